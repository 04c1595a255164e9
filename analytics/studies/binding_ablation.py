"""What the model loses when the binding part of its patches is shuffled, or made the object's.

The residual stream is replaced at one point of a real forward pass; what follows runs as always.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import torch

from analytics.metrics.binding_subspace import (
    Subspace,
    principal_subspace,
    random_subspace,
    variance_share,
)
from analytics.store.provenance import make_provenance
from analytics.store.results import ResultStore, content_key
from analytics.studies.attend import Progress
from analytics.studies.binding_ablation_passes import AblationPasses, ablation_subjects
from analytics.studies.binding_ablation_record import (
    ABLATION_MEASURES,
    AblationChoices,
    BindingAblation,
    SubspaceName,
    load_ablation,
    save_ablation,
)
from analytics.studies.binding_ablation_scores import EndScorer
from analytics.studies.binding_ablation_sweep import Sweep, run_sweep, unmeasured
from analytics.studies.binding_features import StreamReader
from analytics.studies.binding_images import survey_annotated
from analytics.types import Provenance

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.io.annotated import AnnotatedSource
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel

VERSION = 1
"""Raised whenever a result made from the same inputs would differ."""


def measure_ablation(
    loaded: LoadedModel,
    sources: Sequence[AnnotatedSource],
    probe: BindingProbe,
    choices: AblationChoices,
    progress: Progress | None = None,
    command: str = "",
    sites: SiteMap | None = None,
    store: ResultStore | None = None,
    partial: Callable[[BindingAblation], None] | None = None,
) -> BindingAblation:
    """Change the binding part of all patches at a point, and a control's as much.

    Args:
        loaded: the model; its layers share one grid of patches.
        sources: annotated pictures that the probe was not fitted on; one that cannot be read, or
            without two patches in objects, is skipped with its reason.
        probe: quadratic, fitted on this model at all points; it gives the subspace, and is read
            at the last point as a measure.
        choices: the point, the edits and their amounts.
        progress: called with (done, total, what is being done); may raise to cancel.
        command: what was typed, for the provenance.
        sites: where the model attends, when already known.
        store: where steps are kept as they are measured, and looked for first.
        partial: called with the record as it stands after every step.

    Raises:
        ValueError: a probe of another model or without a matrix, no such point, no usable image,
            a model without one grid of patches, or choices out of range.

    Known answers: ratio 0 and alpha 1 are bitwise identities; in all d directions a shuffle of
    every patch at the embedding is the picture with its patches in another order.

    Reference: Li et al. 2025, arXiv 2510.24709. Differs: the shuffle leaves no drawn patch its
    own part; beside both edits stand a random and a principal subspace, scaled to the same energy
    image by image.
    """
    chosen, report = choices.checked(), progress or (lambda done, total, message: None)
    reader = StreamReader(loaded, sites)
    check_ablation_probe(probe, reader, chosen.point)
    found = survey_annotated(sources, report)
    key = ablation_key(loaded, found.sha256s, probe, chosen)
    if store is not None and (known := load_ablation(store, key)) is not None:
        return known
    subjects, skipped = ablation_subjects(reader, found.sources, found.sha256s, chosen)
    report(0, 1, f"the unchanged model on {len(subjects)} pictures")
    passes = AblationPasses(reader, subjects, chosen.point)
    subspaces = _subspaces(probe, chosen, passes)
    scorer = _scorer(probe, passes, chosen)
    clean = scorer.score(scorer.clean).astype(np.float32)
    values, moved = unmeasured(chosen, clean)
    held = [variance_share(passes.tokens, subspaces[name]) for name in chosen.subspaces]
    notes = _notes(subspaces, scorer, clean)
    record = BindingAblation(
        id=key,
        model_label=loaded.label,
        caution=loaded.caution,
        choices=chosen,
        subspaces=chosen.subspaces,
        steps=chosen.steps,
        dimension=subspaces["binding"].dimension,
        values=values,
        clean=clean,
        moved=moved,
        held=np.array(held, np.float32),
        images=tuple(one.name for one in subjects),
        skipped=(*found.skipped, *skipped),
        notes=notes,
        provenance=_provenance(loaded, passes, probe, chosen, command, notes),
    )
    seen = partial or (lambda record: None)
    seen(record)
    record = run_sweep(Sweep(passes, scorer, subspaces, chosen, store, report, seen), record)
    if store is not None:
        save_ablation(store, record)
    return record


def ablation_key(
    loaded: LoadedModel, sha256s: Sequence[str], probe: BindingProbe, chosen: AblationChoices
) -> str:
    """The id of an ablation: model, images in order, probe and choices."""
    model = [loaded.spec.id, loaded.weights_sha256, list(loaded.input_size), loaded.dtype]
    about = {"model": model, "images": list(sha256s), "probe": probe_sha256(probe)}
    return content_key({"binding ablation": VERSION, **about, "choices": asdict(chosen)})


def probe_sha256(probe: BindingProbe) -> str:
    """SHA-256 of a probe's kind and numbers."""
    digest = hashlib.sha256(probe.kind.encode())
    for name in sorted(probe.tensors):
        tensor = probe.tensors[name].detach().float().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def binding_subspace(probe: BindingProbe, point: int, dimensions: int | None = None) -> Subspace:
    """The strongest directions of a probe's matrix at a point; all where no number is given.

    Raises:
        ValueError: a probe without a matrix.
    """
    basis = probe.subspace(point)[:dimensions]
    return Subspace(basis, probe.tensors["mean"][point], probe.tensors["spread"][point])


def whole_stream(like: Subspace) -> Subspace:
    """All directions of the stream that a subspace lies in."""
    return Subspace(torch.eye(like.basis.shape[-1]), like.mean, like.spread)


def check_ablation_probe(probe: BindingProbe, reader: StreamReader, point: int) -> None:
    """See that a probe gives a subspace at a point and is a measure at the last.

    Raises:
        ValueError: a probe of another model or without a matrix, no such point, or NaN there.
    """
    if probe.points != reader.layers + 1:
        raise ValueError(
            f"expected a probe with {reader.layers + 1} points for {reader.loaded.label}, got one "
            f"with {probe.points}; fit probes on this model"
        )
    if not 0 <= point < probe.points:
        raise ValueError(f"expected a point of 0 to {probe.points - 1}, got {point}")
    if "matrix" not in probe.tensors or "mean" not in probe.tensors or probe.kind == "pointwise":
        raise ValueError(f"expected a probe with a matrix, got {probe.kind}; take quadratic")
    ends = (probe.tensors["matrix"][[point, -1]], probe.tensors["bias"][[point, -1]])
    if not all(bool(torch.isfinite(one).all()) for one in ends):
        raise ValueError(f"expected a probe fitted at point {point} and at the last, got NaN")


def _subspaces(
    probe: BindingProbe, chosen: AblationChoices, passes: AblationPasses
) -> dict[SubspaceName, Subspace]:
    own = binding_subspace(probe, chosen.point, chosen.dimensions)
    found: dict[SubspaceName, Subspace] = {
        "binding": own,
        "random": random_subspace(own, chosen.seed),
        "principal": principal_subspace(passes.tokens, own),
        "stream": whole_stream(own),
    }
    device = passes.reader.loaded.device
    return {
        name: Subspace(*(one.to(device) for one in (space.basis, space.mean, space.spread)))
        for name, space in found.items()
    }


def _scorer(probe: BindingProbe, passes: AblationPasses, chosen: AblationChoices) -> EndScorer:
    drawn = [one.drawn for one in passes.subjects]
    patches = np.stack([one.patches for one in drawn])
    names = sorted({name for one in passes.subjects for name in one.classes if name})
    numbers = {name: number for number, name in enumerate(names)}
    classes = [[numbers.get(name, -1) for name in one.classes] for one in passes.subjects]
    return EndScorer(
        probe,
        passes.clean,
        objects=np.stack([one.objects for one in drawn]),
        classes=np.array(classes),
        places=np.stack(np.divmod(patches, passes.reader.layout.grid.columns), axis=-1),
        neighbours=chosen.neighbours,
        draws=chosen.draws,
        seed=chosen.seed,
    )


def _notes(
    subspaces: dict[SubspaceName, Subspace], scorer: EndScorer, clean: np.ndarray
) -> tuple[str, ...]:
    notes = []
    dimension, width = subspaces["binding"].basis.shape
    if dimension == width:
        notes.append(
            f"The probe's subspace has all {width} dimensions of the stream: every part is "
            "binding, and the controls are the same. Take fewer dimensions."
        )
    for measure, value in zip(ABLATION_MEASURES, clean[:, 0], strict=True):
        if np.isnan(value):
            notes.append(f"{measure} is not known: too few objects or named classes.")
    return tuple(notes)


def _provenance(
    loaded: LoadedModel,
    passes: AblationPasses,
    probe: BindingProbe,
    chosen: AblationChoices,
    command: str,
    notes: tuple[str, ...],
) -> Provenance:
    size = {"input_size": list(loaded.input_size), "dtype": loaded.dtype}
    return make_provenance(
        command,
        loaded.spec.public_id,
        loaded.weights_sha256,
        {one.name: one.sha256 for one in passes.subjects},
        {**asdict(chosen), "probe": probe_sha256(probe), **size},
        chosen.seed,
        loaded.device,
        notes,
    )
