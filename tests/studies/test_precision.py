"""bfloat16 beside float32, and how large batches are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analytics.capture.tracing import find_sites
from analytics.models.registry import load_model, parse_model
from analytics.studies.batching import BATCH, batch_plan
from analytics.studies.importance import measure_importance
from analytics.studies.precision import PICTURES, agreement_with_float32
from tests.studies.making import Made

METRICS = ("cls_shift", "patch_shift", "taylor")


@pytest.fixture(scope="module")
def exact():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def pictures():
    return [Made(f"{seed}.png", seed) for seed in range(6)]


def test_bfloat16_ranks_the_heads_as_float32_does(exact, pictures):
    half = load_model(parse_model("test_vit:random"), dtype="bfloat16")
    record = measure_importance(half, pictures, METRICS)
    found = agreement_with_float32(exact, pictures, record)
    # Taylor without classes looks at all pictures of the set: it cannot be checked on a few.
    assert set(found) == {"cls_shift", "patch_shift"}
    assert all(0.9 < value <= 1 for value in found.values())


def test_float32_agrees_with_itself_and_a_spoilt_record_does_not(exact, pictures):
    record = measure_importance(exact, pictures, ("cls_shift",))
    assert agreement_with_float32(exact, pictures, record) == {"cls_shift": pytest.approx(1)}
    spoilt = replace(record, values=-record.values)
    assert agreement_with_float32(exact, pictures, spoilt) == {"cls_shift": pytest.approx(-1)}


def test_a_few_pictures_are_measured_again(exact, pictures):
    record = measure_importance(exact, pictures, ("cls_shift",))
    totals = []
    agreement_with_float32(
        exact, pictures, record, progress=lambda done, total, message="": totals.append(total)
    )
    assert max(totals) == PICTURES


def test_stand_ins_from_the_set_cannot_be_checked_on_a_few(exact, pictures):
    record = measure_importance(exact, pictures, ("cls_shift",), "mean")
    assert agreement_with_float32(exact, pictures, record) == {}


def test_a_gpu_gets_all_heads_and_what_its_memory_holds(exact, monkeypatch):
    import torch

    sites = find_sites(exact.module, exact.input_size)
    assert batch_plan(exact, sites) == (BATCH, 1)
    on_gpu = replace(exact, device="cuda:0")
    # 101 tokens of 64 numbers; 6 layers of 2 heads: 4 * 101 * 64 * (36 + 24) bytes a picture.
    picture = 4 * 101 * 64 * 60
    for free, expected in ((40 * picture, 10), (0, 1), (10**12, 64)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, free))
        assert batch_plan(on_gpu, sites) == (expected, 2)
