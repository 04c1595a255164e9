"""Which result a job is growing: a page finds the parts of a study while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.store.results import ResultStore, content_key

if TYPE_CHECKING:
    from analytics.serve.state import Services

FOLDER = "begun"
"""Below the data folder."""

KEEP_NOTES = 800


def note_result(here: Services, job: str, key: str) -> None:
    """Keep which result a job is about to grow, before anything is measured."""
    begun = ResultStore(here.data_dir / FOLDER)
    begun.attach(content_key({"job": job}), "plan", {"job": job, "result": key})
    begun.trim(KEEP_NOTES)  # several jobs may have grown one result


def find_result(here: Services, job: str) -> str | None:
    """Key of the result that a job began; None where there is none.

    Reads one small file: the page asks at every redraw while a study runs.
    """
    plan = ResultStore(here.data_dir / FOLDER).plan(content_key({"job": job}))
    return None if plan is None else str(plan["result"])
