"""Models timed side by side, by a clock that only they move."""

import pytest
import torch
from torch import nn

from analytics.studies import latency
from analytics.studies.latency import measure_latency

BATCH = torch.zeros(4, 3, 8, 8)
WARM_UP = 2


class Clock:
    """A clock for `perf_counter`, and what was called in which order."""

    def __init__(self):
        self.now = 0.0
        self.calls = []


class Worker(nn.Module):
    """Takes the seconds that come next in `seconds`, again and again."""

    def __init__(self, clock, name, *seconds):
        super().__init__()
        self.clock, self.name, self.seconds, self.runs = clock, name, seconds, 0
        self.eval()

    def forward(self, batch):
        assert not torch.is_grad_enabled()
        self.clock.now += self.seconds[self.runs % len(self.seconds)]
        self.clock.calls.append(self.name)
        self.runs += 1
        return batch


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(latency, "perf_counter", lambda: made.now)
    return made


def rounds_of(clock, models):
    return [tuple(clock.calls[i : i + models]) for i in range(0, len(clock.calls), models)]


@pytest.mark.parametrize("times", [2, 7, 0.5])
def test_a_model_that_works_k_times_as_long_has_a_ratio_of_k(times, clock):
    models = {"full": Worker(clock, "full", 3.0), "other": Worker(clock, "other", 3.0 * times)}
    measured = measure_latency(models, BATCH)
    assert list(measured) == ["full", "other"]
    assert measured["full"].ratio == 1
    assert measured["other"].ratio == pytest.approx(times)
    assert measured["other"].median_s == pytest.approx(3 * times)
    assert measured["other"].ratio_low == pytest.approx(times)
    assert measured["other"].ratio_high == pytest.approx(times)


def test_the_ratio_is_taken_within_a_round(clock):
    # The machine slows down for both alike: the ratio of every round is 2.
    slowing = [1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0]
    models = {
        "full": Worker(clock, "full", *slowing),
        "twice": Worker(clock, "twice", *(2 * s for s in slowing)),
    }
    measured = measure_latency(models, BATCH, rounds=5)
    assert measured["twice"].ratio_low == measured["twice"].ratio_high == 2
    assert measured["full"].median_s == 4


def test_median_and_middle_80_percent_by_hand(clock):
    # Timed are 0 to 10 after two of warm-up: percentiles 10, 50 and 90 are 1, 5 and 9.
    seconds = [100.0, 100.0, *map(float, range(11))]
    models = {"one": Worker(clock, "one", *[1.0]), "steps": Worker(clock, "steps", *seconds)}
    steps = measure_latency(models, BATCH, rounds=11)["steps"]
    assert (steps.low_s, steps.median_s, steps.high_s) == pytest.approx((1, 5, 9))
    assert (steps.ratio_low, steps.ratio, steps.ratio_high) == pytest.approx((1, 5, 9))


def test_every_round_runs_all_in_an_order_of_its_own(clock):
    models = {name: Worker(clock, name, 1.0) for name in "abc"}
    measure_latency(models, BATCH, rounds=12)
    rounds = rounds_of(clock, 3)
    assert len(rounds) == 12 + WARM_UP
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert all(b == a[::-1] for a, b in zip(rounds[::2], rounds[1::2], strict=True))
    assert len(set(rounds)) > 2
    for name in "abc":
        places = [one.index(name) for one in rounds]
        assert sum(places) == len(rounds)  # in the middle, on average
    clock.calls.clear()
    measure_latency(models, BATCH, rounds=12)
    assert rounds_of(clock, 3) == rounds


def test_the_warm_up_is_not_counted(clock):
    slow_start = Worker(clock, "slow start", 50.0, 50.0, 1.0, 1.0, 1.0)
    measured = measure_latency({"slow start": slow_start}, BATCH, rounds=3)
    assert measured["slow start"].high_s == 1
    assert slow_start.runs == 3 + WARM_UP


def test_the_record_says_where_it_was_measured(clock):
    one = measure_latency({"a": Worker(clock, "a", 1.0)}, BATCH, rounds=1)["a"]
    assert (one.images, one.rounds, one.device) == (4, 1, "cpu")
    assert one.threads == torch.get_num_threads()


def test_progress_is_reported_and_can_cancel(clock):
    seen = []
    models = {"a": Worker(clock, "a", 1.0)}
    measure_latency(models, BATCH, 3, lambda done, total, message: seen.append((done, total)))
    assert seen == [(step, 5) for step in range(6)]

    def cancel(done, total, message):
        if done == 2:
            raise KeyboardInterrupt

    clock.calls.clear()
    with pytest.raises(KeyboardInterrupt):
        measure_latency(models, BATCH, 3, cancel)
    assert clock.calls == ["a", "a"]


def test_real_models_are_timed():
    models = {"a": nn.Conv2d(3, 8, 3).eval(), "b": nn.Conv2d(3, 8, 5).eval()}
    measured = measure_latency(models, BATCH, rounds=3)
    assert measured["a"].ratio == 1
    assert all(0 < one.low_s <= one.median_s <= one.high_s for one in measured.values())


def test_what_cannot_be_compared_is_refused(clock):
    with pytest.raises(ValueError, match="at least one model and one round; got 0 and 10"):
        measure_latency({}, BATCH)
    with pytest.raises(ValueError, match="got 1 and 0"):
        measure_latency({"a": Worker(clock, "a", 1.0)}, BATCH, rounds=0)
    with pytest.raises(ValueError, match=r"call eval\(\) on 'b'"):
        measure_latency({"a": nn.Identity().eval(), "b": nn.Linear(2, 2)}, BATCH)
    elsewhere = nn.Linear(2, 2, device="meta").eval()
    with pytest.raises(ValueError, match=r"expected all on cpu.*'b' is on meta"):
        measure_latency({"b": elsewhere}, BATCH)
