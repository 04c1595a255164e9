"""Background jobs: one worker thread per device, progress, cancel, crash recovery.

One thread per device keeps two users from running models on it at the same time.
Jobs are known by a key that names their content, so a reloaded page, or another user
who asks for the same thing, finds the same job.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from analytics.jobs.journal import Entry, Journal

log = logging.getLogger(__name__)

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]


class Cancelled(Exception):
    """Raised inside a job by `report` when somebody has cancelled it."""


class Report(Protocol):
    """How a job tells its progress; raises `Cancelled` when it must stop."""

    def __call__(self, done: float, total: float, message: str = "") -> None:
        """`done` of `total` steps are over; `message` says in words what runs now."""


Work = Callable[[Mapping[str, Any], Report], Any]


@dataclass(frozen=True)
class Job:
    """A job as it stood when it was asked for; ask again for news.

    `started` is the time in seconds since 1970 at which the work began (0 before);
    `error` is one plain line, filled in the state `failed`.
    """

    key: str
    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    state: State = "queued"
    done: float = 0
    total: float = 0
    message: str = ""
    error: str = ""
    result: Any = None
    started: float = 0.0

    @property
    def alive(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("queued", "running")


class JobQueue:
    """Jobs of one process; every method may be called from any thread."""

    def __init__(self, journal: Path | None = None, keep: int = 64) -> None:
        """Open the queue and list what the last process left unfinished.

        Args:
            journal: folder of the journal, or None to keep nothing on disk.
            keep: how many ended jobs are remembered with their results.
        """
        self._journal = Journal(journal) if journal else None
        self._keep = keep
        self._kinds: dict[str, Work] = {}
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._waiting: dict[str, deque[str]] = {}
        self._workers: list[threading.Thread] = []
        self._stopping: set[str] = set()
        self._closed = False
        self._changed = threading.Condition()
        for entry in self._journal.entries() if self._journal else []:
            self._jobs[entry.key] = Job(**vars(entry), state="interrupted")

    def register(self, kind: str, function: Work) -> None:
        """Say which function does jobs of a kind."""
        with self._changed:
            self._kinds[kind] = function

    def submit(self, kind: str, params: Mapping[str, Any], key: str, device: str = "cpu") -> Job:
        """Queue a job, or join the one with this key that waits or runs already.

        Args:
            kind: a registered kind.
            params: plain text and numbers.
            key: names what is computed, so that equal keys mean equal results.
            device: name of the device whose worker runs it.

        Raises:
            ValueError: the kind is unknown, the parameters are not plain, or the queue
                is closed.
        """
        with self._changed:
            self._check(kind)
            known = self._jobs.get(key)
            if known is not None and known.alive:
                # Somebody wants it after all: a cancel that has not struck yet is taken back.
                self._stopping.discard(key)
                return known
            job = Job(key, kind, dict(params), device)
            if self._journal:
                self._journal.write(Entry(key, kind, job.params, device))
            self._jobs[key] = job
            self._jobs.move_to_end(key)
            self._line(device).append(key)
            self._changed.notify_all()
            return job

    def resume(self, key: str) -> Job:
        """Run an interrupted, failed or cancelled job again with the same parameters.

        Raises:
            ValueError: no job has this key.
        """
        job = self.get(key)
        if job is None:
            raise ValueError(f"expected the key of a known job; got {key!r}; submit it again")
        return self.submit(job.kind, job.params, key, job.device)

    def get(self, key: str) -> Job | None:
        """The job as it stands now, or None where the key is not known (any more)."""
        with self._changed:
            return self._jobs.get(key)

    def jobs(self) -> list[Job]:
        """All known jobs, oldest first."""
        with self._changed:
            return list(self._jobs.values())

    def wait(self, key: str, timeout: float | None = None) -> Job | None:
        """Block until the job has ended or `timeout` seconds have passed; then as `get`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_alive(key), timeout)
            return self._jobs.get(key)

    def cancel(self, key: str) -> None:
        """Stop a job: at once where it waits, at its next report where it runs.

        An interrupted job is dropped from the list and the journal.
        """
        with self._changed:
            job = self._jobs.get(key)
            if job is None:
                return
            if job.state == "running":
                self._stopping.add(key)
            elif job.state == "queued":
                self._waiting[job.device].remove(key)
                self._end(key, state="cancelled")
            elif job.state == "interrupted":
                self._end(key, state="cancelled")

    def close(self) -> None:
        """Stop every job and wait for the workers; unfinished jobs stay in the journal."""
        with self._changed:
            self._closed = True
            self._stopping.update(key for key, job in self._jobs.items() if job.alive)
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def _check(self, kind: str) -> None:
        if self._closed:
            raise ValueError("the job queue is closed because the server stops; start it again")
        if kind not in self._kinds:
            known = ", ".join(sorted(self._kinds)) or "none"
            raise ValueError(f"expected a registered kind of job ({known}); got {kind!r}")

    def _is_alive(self, key: str) -> bool:
        job = self._jobs.get(key)
        return job is not None and job.alive

    def _line(self, device: str) -> deque[str]:
        """The waiting line of a device; its worker starts with its first job."""
        if device not in self._waiting:
            self._waiting[device] = deque()
            name = f"jobs-{device}"
            worker = threading.Thread(target=self._serve, args=(device,), name=name, daemon=True)
            self._workers.append(worker)
            worker.start()
        return self._waiting[device]

    def _serve(self, device: str) -> None:
        """Run the jobs of one device, one after the other, until the queue closes."""
        line = self._waiting[device]
        while True:
            with self._changed:
                self._changed.wait_for(lambda: line or self._closed)
                if self._closed:
                    for key in line:
                        self._end(key, state="interrupted")
                    return
                key = line.popleft()
                job = replace(self._jobs[key], state="running", started=time.time())
                self._jobs[key] = job
                work = self._kinds[job.kind]
                self._changed.notify_all()
            self._run(job, work)

    def _run(self, job: Job, work: Work) -> None:
        """Do one job and note how it ended; nothing that it raises leaves this function."""

        def report(done: float, total: float, message: str = "") -> None:
            with self._changed:
                if job.key in self._stopping:
                    state = "interrupted" if self._closed else "cancelled"
                    self._end(job.key, state=state)
                if not self._is_run(job):
                    raise Cancelled
                now = self._jobs[job.key]
                self._jobs[job.key] = replace(now, done=done, total=total, message=message)
                self._changed.notify_all()

        outcome: dict[str, Any]
        try:
            outcome = {"state": "done", "result": work(job.params, report)}
        except Cancelled:
            outcome = {"state": "cancelled"}
        except ValueError as error:
            outcome = {"state": "failed", "error": str(error)}
            log.warning("job %s failed: %s", job.kind, error)
        except BaseException as error:
            outcome = {"state": "failed", "error": "unexpected failure of this job; see the log"}
            log.error("job %s failed: %s: %s", job.kind, type(error).__name__, error)
            log.debug("job %s failed", job.kind, exc_info=True)
        with self._changed:
            if self._is_run(job):
                self._end(job.key, **outcome)

    def _is_run(self, job: Job) -> bool:
        """Whether this run still stands for its key: not stopped, not replaced by another."""
        now = self._jobs.get(job.key)
        return now is not None and now.state == "running" and now.started == job.started

    def _end(self, key: str, **outcome: Any) -> None:
        """Note the end of a job and forget the oldest ended ones; the lock is held."""
        self._jobs[key] = job = replace(self._jobs[key], **outcome)
        self._stopping.discard(key)
        if self._journal and job.state != "interrupted":
            self._journal.remove(key)
        ended = [k for k, j in self._jobs.items() if not j.alive and j.state != "interrupted"]
        for old in ended[: max(0, len(ended) - self._keep)]:
            del self._jobs[old]
        self._changed.notify_all()
