"""Does a study in bfloat16 rank the heads as float32 does?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analytics.metrics.ranking import rank_agreement
from analytics.studies.attend import Progress
from analytics.studies.importance import measure_importance
from analytics.studies.pictures import survey
from analytics.types import Fit

if TYPE_CHECKING:
    from analytics.io.labelled import ImageSource
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel
    from analytics.studies.importance_record import Importance

PICTURES = 4
"""Pictures that are measured again in float32."""


def agreement_with_float32(
    exact: LoadedModel,
    images: Sequence[ImageSource],
    record: Importance,
    labels: Sequence[str | None] | None = None,
    readout: ReadOut | None = None,
    fit: Fit = "crop",
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Rank correlation over the heads of each metric with its twin in float32.

    The first pictures of a record are measured again. Metrics that look at other pictures of
    the set (Taylor without classes) are left out, and so is every ablation but zero, whose
    stand-ins come from the whole set.

    Args:
        exact: the record's model in float32.
        images: the pictures of the study.
        record: measured in another precision.
        labels: class of each picture, with `readout`.
        readout: the study's classifier.
        fit: placement of the study.
        seed: of the study.
        progress: called with (done, total, what is being done); may raise to cancel.

    Returns:
        Metric -> Spearman's rank correlation of the means over the same pictures; empty for
        other ablations than zero.
    """
    if record.ablation != "zero":
        return {}
    found = survey(images, labels)
    rows = [i for i, sha256 in enumerate(found.sha256s) if sha256 in _measured(record)][:PICTURES]
    metrics = tuple(name for name in record.metrics if name != "taylor" or readout is not None)
    if not rows or not metrics:
        return {}
    twin = measure_importance(
        exact,
        [found.images[row] for row in rows],
        metrics,
        labels=None if labels is None else [found.labels[row] for row in rows],
        readout=readout,
        fit=fit,
        seed=seed,
        progress=progress,
    )
    place = {image.sha256: row for row, image in enumerate(record.images)}
    same = [place[image.sha256] for image in twin.images]
    result = {}
    for name in metrics:
        pair = np.stack([record.table(name)[same].mean(axis=0), twin.table(name).mean(axis=0)])
        result[name] = float(rank_agreement(pair)[0, 1])
    return result


def _measured(record: Importance) -> set[str]:
    return {image.sha256 for image in record.images}
