"""The hash that names a set of weights."""

import pytest
import torch

from analytics.models.identity import weights_sha256


@pytest.fixture
def tensors():
    return {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}


def test_order_and_layout_in_memory_do_not_matter(tensors):
    turned = {"b": tensors["b"], "a": tensors["a"].t().contiguous().t()}
    assert weights_sha256(turned) == weights_sha256(tensors)
    assert len(weights_sha256(tensors)) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda t: {**t, "a": t["a"] + 1e-6},
        lambda t: {**t, "a": t["a"].reshape(3, 2)},
        lambda t: {**t, "a": t["a"].view(torch.int32)},
        lambda t: {"c": t["a"], "b": t["b"]},
        lambda t: {**t, "c": torch.zeros(0)},
    ],
)
def test_value_shape_dtype_and_name_matter(tensors, change):
    assert weights_sha256(change(tensors)) != weights_sha256(tensors)


def test_a_scalar_has_an_identity():
    assert weights_sha256({"n": torch.tensor(3)}) != weights_sha256({"n": torch.tensor(4)})
