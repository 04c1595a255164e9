"""A read-out of labelled pictures: fitted once, kept by content, with the pictures it held out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.models.readout import ReadOut, load_readout, save_readout
from analytics.store.results import content_key
from analytics.studies.attend import Progress
from analytics.studies.pictures import Survey, survey
from analytics.types import Fit

if TYPE_CHECKING:
    from analytics.io.labelled import ImageSource
    from analytics.models.readout import Kind
    from analytics.models.registry import LoadedModel


def labelled_pictures(images: Sequence[ImageSource], labels: Sequence[str | None]) -> Survey:
    """The different pictures that have a label.

    The same picture twice would stand on both sides of the split.

    Raises:
        ValueError: no picture has a label, or none can be opened.
    """
    whole = survey(images, labels)
    whole = whole.without({sha256 for sha256, label in whole.content if label is None})
    if not whole.images:
        raise ValueError(
            "a read-out needs pictures with labels, and these have none; sort them into folders "
            "by class, or take the labelled sample"
        )
    return whole


def fitted_readout(
    loaded: LoadedModel,
    whole: Survey,
    classes: Sequence[str],
    folder: Path,
    kind: Kind = "linear",
    layer: int | None = None,
    fit: Fit = "crop",
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[ReadOut, str, Survey]:
    """Fit a read-out on a part of the pictures, or find the one fitted before.

    Args:
        loaded: the model whose features it reads.
        whole: from `labelled_pictures`.
        classes: the order of the classes.
        folder: where read-outs are kept.
        kind: `linear` or `knn`.
        layer: after which features are taken; None for the model's own end.
        fit: how a picture is brought to the model's input size.
        seed: of the split.
        progress: called with (done, total, what is being done); may raise to cancel.

    Returns:
        The read-out, the name under which `folder` keeps it, and the pictures held out of
        its fit.

    Raises:
        ValueError: as `frozen_features` and `fit_readout`.
    """
    name = content_key(
        {
            "model": [loaded.spec.id, loaded.weights_sha256, *loaded.input_size, loaded.dtype],
            "images": [list(one) for one in whole.content],
            "readout": [kind, layer, fit, seed],
        }
    )
    path = folder / f"{name}.safetensors"
    rows_path = path.with_suffix(".json")
    if not (path.is_file() and rows_path.is_file()):
        readout, kept = _fit(loaded, whole, classes, kind, layer, fit, seed, progress)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        save_readout(readout, path)
        rows_path.write_text(json.dumps(kept), encoding="utf-8")
    readout, kept = load_readout(path), json.loads(rows_path.read_text(encoding="utf-8"))
    held_out = {whole.sha256s[kept[row]] for row in readout.held_out}
    return readout, name, whole.without(set(whole.sha256s) - held_out)


def _fit(
    loaded: LoadedModel,
    whole: Survey,
    classes: Sequence[str],
    kind: Kind,
    layer: int | None,
    fit: Fit,
    seed: int,
    progress: Progress | None,
) -> tuple[ReadOut, list[int]]:
    """The read-out, and which picture each row of its features was."""
    from analytics.models.readout_fit import fit_readout
    from analytics.studies.features import frozen_features

    report = progress or (lambda done, total, message: None)
    features = frozen_features(loaded, whole.images, layer, fit, progress=report)
    report(0, 0, "fitting the read-out")
    readout = fit_readout(
        features.values,
        [whole.labels[row] for row in features.kept],
        kind,
        seed=seed,
        model=loaded.spec.public_id,
        weights_sha256=loaded.weights_sha256,
        layer=layer,
        pooling=features.pooling,
        classes=classes,
    )
    return readout, list(features.kept)
