"""Results grow part by part, survive a crash, and are never read half."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.store.results import ResultStore, content_key


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path / "importance")


def test_parts_come_back_in_order_without_loss(store):
    store.begin("abc", {"images": ["a", "b"], "title": "größer"})
    store.put("abc", 1, {"values": np.float32([[2.5, np.nan]])}, {"names": ["b"]})
    store.put("abc", 0, {"values": np.float32([[1.0, 3.0]])}, {"names": ["a"]})
    assert store.plan("abc") == {"images": ["a", "b"], "title": "größer"}
    (first, arrays, about), (second, later, _) = store.parts("abc")
    assert (first, second) == (0, 1)
    np.testing.assert_array_equal(arrays["values"], np.float32([[1.0, 3.0]]))
    np.testing.assert_array_equal(later["values"], np.float32([[2.5, np.nan]]))
    assert about == {"names": ["a"]}


def test_the_first_plan_stands(store):
    store.begin("abc", {"seed": 1})
    store.begin("abc", {"seed": 2})
    assert store.plan("abc") == {"seed": 1}


def test_a_damaged_part_is_left_out_and_removed(store, tmp_path):
    store.put("abc", 0, {"values": np.ones(3)}, {})
    store.put("abc", 1, {"values": np.ones(3)}, {})
    broken = tmp_path / "importance" / "abc" / "00001.npz"
    broken.write_bytes(broken.read_bytes()[:40])
    assert [number for number, _, _ in store.parts("abc")] == [0]
    assert not broken.exists()


def test_running_sums_belong_to_the_last_part(store):
    store.put("abc", 0, {"values": np.ones(3)}, {}, {"sum": np.float64([1.5])})
    store.put("abc", 1, {"values": np.ones(3)}, {}, {"sum": np.float64([4.0])})
    assert store.running("abc", 0) is None
    assert store.running("abc", 1)["sum"] == 4.0
    assert store.count("abc") == 2
    assert [number for number, _, _ in store.parts("abc")] == [0, 1]


def test_damaged_running_sums_are_none(store, tmp_path):
    store.put("abc", 0, {"values": np.ones(3)}, {}, {"sum": np.ones(9)})
    broken = tmp_path / "importance" / "abc" / "running-00000.npz"
    broken.write_bytes(broken.read_bytes()[:40])
    assert store.running("abc", 0) is None


def test_a_failed_write_leaves_no_part(store, monkeypatch):
    def fail(*_args):
        raise OSError("no space left")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="no space"):
        store.put("abc", 0, {"values": np.ones(3)}, {})
    assert list(store.parts("abc")) == []


def test_objects_are_never_pickled(store):
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        store.put("abc", 0, {"values": np.array([{}], dtype=object)}, {})


def test_unknown_results_are_none_and_removed_ones_gone(store):
    assert store.plan("nothing") is None
    store.begin("abc", {})
    assert store.keys() == ["abc"]
    store.remove("abc")
    assert store.keys() == []


def test_values_are_kept_beside_the_parts(store):
    store.begin("abc", {})
    store.put("abc", 0, {"values": np.ones(3)}, {})
    assert store.attached("abc", "curves") is None
    store.attach("abc", "curves", {"removed": [0, 4]})
    assert store.attached("abc", "curves") == {"removed": [0, 4]}
    assert store.count("abc") == 1


def test_only_the_newest_results_are_kept(store):
    import os

    for number in range(4):
        store.begin(f"k{number}", {})
        plan = store._folder / f"k{number}" / "plan.json"
        os.utime(plan, (number, number))
    store.trim(2)
    assert store.keys() == ["k3", "k2"]


def test_a_key_cannot_leave_the_folder(store):
    with pytest.raises(ValueError, match="letters and digits"):
        store.plan("../secret")


def test_equal_content_has_one_key_and_other_content_another():
    assert content_key({"a": 1, "b": [2]}) == content_key({"b": [2], "a": 1})
    assert content_key({"a": 1}) != content_key({"a": 2})
