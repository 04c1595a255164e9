"""Models held in memory: bound, sharing, one load at a time per model."""

import threading
from dataclasses import replace

import pytest

from analytics.models import ModelPool, load_model, parse_model

SPECS = [parse_model(f"{name}:random") for name in ("test_vit", "test_vit2", "test_vit3")]


@pytest.fixture(scope="module")
def sample():
    return load_model(SPECS[0])


@pytest.fixture
def loads(sample):
    """A loader that gives distinct records quickly and remembers what was asked."""
    asked = []

    def load(spec, input_size, device, dtype):
        asked.append((spec.name, input_size))
        size = (input_size or 160,) * 2
        return replace(sample, spec=spec, input_size=size, device=device, dtype=dtype)

    load.asked = asked
    return load


def test_the_same_model_is_loaded_once(loads):
    pool = ModelPool(load=loads)
    assert pool.get(SPECS[0]) is pool.get(SPECS[0])
    assert loads.asked == [("test_vit", None)]


def test_a_native_size_named_or_not_is_one_model(loads):
    pool = ModelPool(load=loads)
    assert pool.get(SPECS[0]) is pool.get(SPECS[0], 160, "cpu")
    assert len(pool.held()) == 1


def test_size_and_dtype_make_another_model(loads):
    pool = ModelPool(load=loads)
    found = [pool.get(SPECS[0]), pool.get(SPECS[0], 224), pool.get(SPECS[0], dtype="bfloat16")]
    assert len({id(loaded) for loaded in found}) == 3


def test_the_least_recently_used_leaves(loads):
    pool = ModelPool(max_models=2, load=loads)
    pool.get(SPECS[0])
    pool.get(SPECS[1])
    pool.get(SPECS[0])
    pool.get(SPECS[2])
    assert [loaded.spec for loaded in pool.held()] == [SPECS[0], SPECS[2]]


def test_bytes_are_bounded_but_the_newest_stays(loads, sample):
    pool = ModelPool(max_bytes=sample.nbytes // 2, load=loads)
    pool.get(SPECS[0])
    pool.get(SPECS[1])
    assert [loaded.spec for loaded in pool.held()] == [SPECS[1]]


def test_a_failure_is_told_and_not_remembered(loads):
    fail = [True]

    def sometimes(*request):
        if fail.pop() if fail else False:
            raise ValueError("no such weights")
        return loads(*request)

    pool = ModelPool(load=sometimes)
    with pytest.raises(ValueError, match="no such weights"):
        pool.get(SPECS[0])
    assert pool.held() == ()
    assert pool.get(SPECS[0]).spec == SPECS[0]


def test_two_requests_wait_for_one_load_and_others_pass(loads):
    started, go = threading.Event(), threading.Event()

    def slow(spec, *rest):
        if spec == SPECS[0]:
            started.set()
            assert go.wait(10)
        return loads(spec, *rest)

    pool = ModelPool(load=slow)
    found = []
    threads = [threading.Thread(target=lambda: found.append(pool.get(SPECS[0]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert started.wait(10)
    assert pool.get(SPECS[1]).spec == SPECS[1]
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(found) == 4
    assert len({id(loaded) for loaded in found}) == 1
    assert loads.asked.count(("test_vit", None)) == 1


def test_a_changed_checkpoint_is_another_model(loads, tmp_path):
    path = tmp_path / "own.pth"
    path.write_bytes(b"1")
    spec = parse_model("test_vit", path)
    pool = ModelPool(load=loads)
    pool.get(spec)
    path.write_bytes(b"22")
    pool.get(spec)
    assert len(loads.asked) == 2


def test_a_pool_of_none_is_refused():
    with pytest.raises(ValueError, match="at least 1 model"):
        ModelPool(max_models=0)


def test_real_models_are_held(sample):
    pool = ModelPool()
    assert pool.get(SPECS[0]).weights_sha256 == sample.weights_sha256
