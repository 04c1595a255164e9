"""The job of the Heads page that finds the most important heads on few pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analytics.jobs.queue import Report, Work
from analytics.serve.subject import find_subject
from analytics.store.results import ResultStore

if TYPE_CHECKING:
    from analytics.serve.state import Services

KEEP_SEARCHES = 200


def search_store(here: Services) -> ResultStore:
    """Where searches are kept; the command line's lie there too."""
    return ResultStore(here.data_dir / "importance" / "top")


def search_work(here: Services) -> Work:
    """The job kind `search`: the K most important heads by one metric, kept part by part.

    Parameters: those of `find_subject`, and `metric`, `top` (K) and `ablation`. The result is
    that of `search_summary`, the heads as pairs, with the largest mean first. Stopped or
    killed, it goes on after the last pictures kept.
    """

    def work(params: Mapping[str, Any], report: Report) -> dict[str, Any]:
        from analytics.studies.top_importance import find_important_heads, search_summary

        subject = find_subject(here, params, report)
        store = search_store(here)
        found = find_important_heads(
            subject.loaded,
            subject.images,
            str(params["metric"]),
            int(params["top"]),
            str(params["ablation"]),
            subject.labels,
            subject.readout,
            params["fit"],
            int(params["seed"]),
            store,
            report,
        )
        store.trim(KEEP_SEARCHES)
        return search_summary(found)

    return work
