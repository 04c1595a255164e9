"""The search for the most important heads: the same heads as measuring all, with less work."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.models.registry import load_model, parse_model
from analytics.store.results import ResultStore
from analytics.studies.importance import measure_importance
from analytics.studies.top_importance import find_important_heads, search_summary
from tests.studies.making import Broken, Made


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def pictures():
    return [Made(f"{seed}.png", seed) for seed in range(30)]


@pytest.fixture(scope="module")
def whole(loaded, pictures):
    return measure_importance(loaded, pictures, ("cls_shift",))


@pytest.fixture(scope="module")
def found(loaded, pictures):
    return find_important_heads(loaded, pictures, "cls_shift", 3)


def test_the_top_heads_are_those_of_the_whole_table(whole, found):
    best = np.argsort(-whole.mean("cls_shift"), kind="stable")[:3]
    assert set(found.heads) == {whole.heads[column] for column in best}
    assert found.heads == tuple(found.record.heads[column] for column in found.search.top)
    assert found.search.decided and not found.reused


def test_what_was_measured_is_what_the_whole_table_holds(whole, found):
    values = found.record.table("cls_shift")
    rows = [[one.name for one in whole.images].index(one.name) for one in found.record.images]
    known = np.isfinite(values)
    assert values.shape == (len(found.search.images), 12)
    np.testing.assert_allclose(values[known], whole.table("cls_shift")[rows][known], atol=1e-5)
    assert found.search.work == pytest.approx(known.sum() / (30 * 12))
    assert found.search.work < 1 and found.record.provenance.parameters["metrics"] == ["cls_shift"]
    about = search_summary(found)
    assert (about["images"], about["images_drawn"]) == (30, len(rows))
    assert about["decided"] and not about["exact"]


class Stop(Exception):
    pass


def test_a_stopped_search_goes_on_after_its_last_look(loaded, pictures, found, tmp_path):
    store, limit = ResultStore(tmp_path), 12  # pictures of the first look

    def stop(done, total, message=""):
        if "undecided" in message and done >= limit:
            raise Stop

    options = {"store": store, "k": 3, "metric": "cls_shift"}
    with pytest.raises(Stop):
        find_important_heads(loaded, pictures, progress=stop, **options)
    seen = []
    again = find_important_heads(
        loaded,
        pictures,
        progress=lambda done, total, message="": seen.append((done, message)),
        **options,
    )
    assert min(done for done, message in seen if "undecided" in message) == limit
    assert again.heads == found.heads and not again.reused
    np.testing.assert_allclose(again.search.measured, found.search.measured, atol=1e-6)
    third = find_important_heads(loaded, pictures, **options)
    assert third.reused and third.heads == found.heads


def test_mean_ablation_takes_the_mean_of_the_whole_set(loaded, pictures):
    some = [*pictures[:5], Broken()]
    found = find_important_heads(loaded, some, "cls_shift", 2, "mean")
    whole = measure_importance(loaded, some, ("cls_shift",), "mean")
    assert found.search.exact and found.record.skipped == whole.skipped
    order = [[one.name for one in whole.images].index(one.name) for one in found.record.images]
    expected = whole.table("cls_shift")[order]
    np.testing.assert_allclose(found.record.table("cls_shift"), expected, atol=1e-5)


def test_what_cannot_be_searched_is_refused(loaded, pictures):
    with pytest.raises(ValueError, match="k from 1 to 11"):
        find_important_heads(loaded, pictures[:3], "cls_shift", 12)
    with pytest.raises(ValueError, match="pictures that can be read"):
        find_important_heads(loaded, [Broken()], "cls_shift", 2)
    with pytest.raises(ValueError, match="use zero"):
        find_important_heads(loaded, pictures[:1], "cls_shift", 2, "resample")
