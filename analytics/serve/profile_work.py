"""Jobs of the Strength page: how far and in what shape every head looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analytics.jobs.queue import Report, Work
from analytics.serve.begun import note_result
from analytics.serve.importance_work import KEEP_RESULTS
from analytics.serve.subject import find_subject

if TYPE_CHECKING:
    from analytics.serve.state import Services
    from analytics.studies.profile_record import Profile


def profile_work(here: Services) -> Work:
    """The job kind `profile`: measure, keep part by part; the result is the record's key.

    Parameters: those of `find_subject`, and `job` (the job's own key, by which the page finds
    partial results).
    """

    def work(params: Mapping[str, Any], report: Report) -> str:
        from analytics.capture.tracing import find_sites
        from analytics.studies.pictures import survey
        from analytics.studies.profile import profile_images, profile_key

        subject = find_subject(here, params, report)
        report(0, 0, "finding where the model attends")
        sites = find_sites(subject.loaded.module, subject.loaded.input_size)
        sha256s = survey(subject.images).sha256s
        key = profile_key(subject.loaded, sha256s, params["fit"])
        note_result(here, str(params["job"]), key)
        record = profile_images(
            subject.loaded,
            subject.images,
            fit=params["fit"],
            store=here.profile,
            progress=report,
            sites=sites,
        )
        here.profile.trim(KEEP_RESULTS)
        return record.id

    return work


def held_profile(here: Services, key: str) -> Profile | None:
    """The profile of a key as it stands, from memory where nothing was added since."""
    name = (key, here.profile.count(key))
    found = here.profiles.get(name)
    if found is None:
        from analytics.studies.profile import load_profile

        found = load_profile(here.profile, key)
        if found is not None:
            here.profiles.put(name, found, found.nbytes)
    return found
