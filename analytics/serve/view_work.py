"""Jobs of the Binding page's views: each makes one record, held in memory by the job's key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics.jobs.queue import Report, Work

if TYPE_CHECKING:
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel
    from analytics.serve.binding_subject import BindingSubject
    from analytics.serve.state import Services

Make = Callable[["Services", Mapping[str, Any], Report], Any]
"""Makes a record out of a job's parameters; the record says its memory as `nbytes`."""

LOOK_SEED = 8
"""The set of scenes that views measure on: probes are fitted on sets of other seeds."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What most views begin with: the model, a fitted probe, and the picture."""

    loaded: LoadedModel
    probe: BindingProbe
    fitted_on: str
    subject: BindingSubject


def view_work(here: Services, make: Make) -> Work:
    """A job kind: parameters are those of `bound_work` with more of the view's own.

    The result is the key under which `here.views` holds the record.
    """

    def work(params: Mapping[str, Any], report: Report) -> str:
        key = str(params["job"])
        if here.views.get(key) is None:
            record = make(here, params, report)
            here.views.put(key, record, int(record.nbytes))
        return key

    return work


def begin(here: Services, params: Mapping[str, Any], report: Report) -> Reading:
    """Load what the parameters name.

    Raises:
        ValueError: the model, probe or picture is not there, or they do not go together.
    """
    from analytics.serve.binding_subject import binding_model, binding_subject
    from analytics.serve.binding_work import find_probe

    report(0, 0, "loading the model")
    loaded = binding_model(here, params)
    report(0, 0, "reading the probe")
    probe, words = find_probe(here, params["study"], params["row"], loaded)
    return Reading(loaded, probe, words, binding_subject(here, params, loaded))


def look_scenes(loaded: LoadedModel, count: int) -> list[Any]:
    """Made scenes for a model that no probe was fitted on."""
    from analytics.io.scenes import scene_sources
    from analytics.studies.binding_images import scene_grid

    size, patch = scene_grid(loaded)
    return list(scene_sources(count, LOOK_SEED, size, patch=patch))
