"""The job queue with real threads; events and conditions order them, never time."""

import json
import logging
import threading

import pytest

from analytics.jobs.queue import JobQueue

WAIT = 10  # seconds after which a test gives up; never reached when things work


@pytest.fixture
def queue():
    jobs = JobQueue()
    yield jobs
    jobs.close()


class Gate:
    """A job that says when it runs and goes on when it is told to."""

    def __init__(self):
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.threads = []

    def __call__(self, params, report):
        self.threads.append(threading.current_thread().name)
        report(1, 4, "first layer")
        self.entered.set()
        assert self.leave.wait(WAIT)
        report(4, 4, "last layer")
        return params.get("value")


def test_job_runs_reports_and_keeps_its_result(queue):
    gate = Gate()
    queue.register("gate", gate)
    assert queue.submit("gate", {"value": 7}, "a").state == "queued"
    assert gate.entered.wait(WAIT)
    running = queue.get("a")
    assert (running.state, running.done, running.total) == ("running", 1, 4)
    assert running.message == "first layer" and running.started > 0
    gate.leave.set()
    ended = queue.wait("a", WAIT)
    assert (ended.state, ended.result, ended.done) == ("done", 7, 4)


def test_equal_keys_join_one_job(queue):
    gate = Gate()
    queue.register("gate", gate)
    queue.submit("gate", {"value": 1}, "same")
    assert gate.entered.wait(WAIT)
    assert queue.submit("gate", {"value": 2}, "same").params == {"value": 1}
    gate.leave.set()
    assert queue.wait("same", WAIT).result == 1
    assert len(gate.threads) == 1


def test_ended_job_runs_again_when_submitted_again(queue):
    queue.register("echo", lambda params, report: params["value"])
    queue.submit("echo", {"value": 1}, "k")
    assert queue.wait("k", WAIT).result == 1
    queue.submit("echo", {"value": 2}, "k")
    assert queue.wait("k", WAIT).result == 2


def test_one_thread_per_device_and_devices_run_side_by_side(queue):
    meeting = threading.Barrier(2)

    def meet(params, report):
        meeting.wait(WAIT)
        return threading.current_thread().name

    queue.register("meet", meet)
    for device in ("cpu", "cuda:0"):
        queue.submit("meet", {}, device, device=device)
    assert queue.wait("cpu", WAIT).result == "jobs-cpu"
    assert queue.wait("cuda:0", WAIT).result == "jobs-cuda:0"


def test_jobs_of_one_device_keep_their_order(queue):
    order = []
    queue.register("note", lambda params, report: order.append(params["n"]))
    gate = Gate()
    queue.register("gate", gate)
    queue.submit("gate", {}, "gate")
    for n in range(5):
        queue.submit("note", {"n": n}, f"n{n}")
    assert queue.get("n4").state == "queued"
    gate.leave.set()
    assert queue.wait("n4", WAIT).state == "done"
    assert order == [0, 1, 2, 3, 4]


def test_cancel_before_start_and_while_running(queue):
    gate = Gate()
    queue.register("gate", gate)
    queue.submit("gate", {}, "running")
    queue.submit("gate", {}, "waiting")
    assert gate.entered.wait(WAIT)
    queue.cancel("waiting")
    assert queue.get("waiting").state == "cancelled"
    queue.cancel("running")
    gate.leave.set()
    assert queue.wait("running", WAIT).state == "cancelled"
    assert len(gate.threads) == 1
    queue.cancel("never seen")
    assert queue.get("never seen") is None


def test_submit_takes_back_a_cancel_that_has_not_struck(queue):
    gate = Gate()
    queue.register("gate", gate)
    queue.submit("gate", {"value": 1}, "k")
    assert gate.entered.wait(WAIT)
    queue.cancel("k")
    queue.submit("gate", {"value": 1}, "k")
    gate.leave.set()
    assert queue.wait("k", WAIT).result == 1
    assert len(gate.threads) == 1


def test_stopped_run_does_not_touch_the_next_one_of_its_key(queue):
    struck, leave = threading.Event(), threading.Event()

    def linger(params, report):
        if params["value"] == 2:
            return 2
        struck.wait(WAIT)
        try:
            report(1, 2)
        finally:
            leave.wait(WAIT)

    queue.register("linger", linger)
    queue.submit("linger", {"value": 1}, "k")
    queue.cancel("k")
    struck.set()
    assert queue.wait("k", WAIT).state == "cancelled"
    queue.submit("linger", {"value": 2}, "k")
    leave.set()
    assert queue.wait("k", WAIT).result == 2


def test_plain_error_is_passed_on_and_others_are_hidden(queue, caplog):
    def refuse(params, report):
        raise ValueError("expected a picture; got a poem")

    def crash(params, report):
        raise RuntimeError("secret inner detail")

    queue.register("refuse", refuse)
    queue.register("crash", crash)
    with caplog.at_level(logging.INFO, logger="analytics"):
        queue.submit("refuse", {}, "r")
        queue.submit("crash", {}, "c")
        queue.wait("c", WAIT)
    assert queue.get("r").error == "expected a picture; got a poem"
    assert queue.get("c").state == "failed"
    assert "secret" not in queue.get("c").error and "log" in queue.get("c").error
    assert len(caplog.records) == 2 and all(record.exc_info is None for record in caplog.records)


def test_worker_survives_a_failed_job(queue):
    queue.register("exit", lambda params, report: exit(3))
    queue.register("fine", lambda params, report: "fine")
    queue.submit("exit", {}, "e")
    queue.submit("fine", {}, "f")
    assert queue.wait("f", WAIT).result == "fine"
    assert queue.get("e").state == "failed"


def test_ended_jobs_are_bounded():
    queue = JobQueue(keep=3)
    queue.register("echo", lambda params, report: params["n"])
    for n in range(6):
        queue.submit("echo", {"n": n}, str(n))
        queue.wait(str(n), WAIT)
    queue.close()
    assert [job.key for job in queue.jobs()] == ["3", "4", "5"]


def test_unknown_kind_and_closed_queue_are_refused(queue):
    with pytest.raises(ValueError, match="registered kind"):
        queue.submit("nothing", {}, "k")
    queue.register("echo", lambda params, report: None)
    queue.close()
    with pytest.raises(ValueError, match="closed"):
        queue.submit("echo", {}, "k")


def test_crash_leaves_an_interrupted_job_that_resumes(tmp_path):
    gate = Gate()
    before = JobQueue(tmp_path)
    before.register("gate", gate)
    before.submit("gate", {"value": 5}, "k")
    assert gate.entered.wait(WAIT)

    after = JobQueue(tmp_path)  # as a new process would find the folder
    assert after.get("k").state == "interrupted"
    assert after.get("k").params == {"value": 5}
    after.register("gate", lambda params, report: params["value"])
    after.resume("k")
    assert after.wait("k", WAIT).result == 5
    assert list(tmp_path.glob("*.json")) == []
    gate.leave.set()
    before.close()
    after.close()


def test_close_keeps_unfinished_jobs_in_the_journal(tmp_path):
    entered = threading.Event()

    def until_stopped(params, report):
        entered.set()
        while True:
            report(1, 4, "goes on until the queue closes")

    queue = JobQueue(tmp_path)
    queue.register("endless", until_stopped)
    queue.submit("endless", {}, "running")
    queue.submit("endless", {"value": 2}, "waiting")
    assert entered.wait(WAIT)
    queue.close()
    assert [job.state for job in queue.jobs()] == ["interrupted", "interrupted"]
    found = JobQueue(tmp_path)
    assert found.get("waiting").state == "interrupted"
    found.cancel("waiting")
    assert found.get("waiting").state == "cancelled"


def test_broken_journal_and_unplain_parameters(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "other.json").write_text(json.dumps({"what": 1}))
    queue = JobQueue(tmp_path)
    assert queue.jobs() == []
    queue.register("echo", lambda params, report: None)
    with pytest.raises(ValueError, match="plain text and numbers"):
        queue.submit("echo", {"array": object()}, "k")
    queue.close()


def test_resume_of_an_unknown_job_is_refused(queue):
    with pytest.raises(ValueError, match="known job"):
        queue.resume("gone")
