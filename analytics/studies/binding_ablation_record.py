"""The result of taking the binding part of patches away, or of making it stronger."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from analytics.store.provenance import parse_provenance, provenance_json
from analytics.store.results import ResultStore
from analytics.types import Fit, Provenance

if TYPE_CHECKING:
    import pandas as pd

    from analytics.studies.binding_edits import Edit

SubspaceName = Literal["binding", "random", "principal", "stream"]
"""`stream` is the whole of it: its edits move their own energy and not that of the binding part."""

SUBSPACES: tuple[SubspaceName, ...] = ("binding", "random", "principal")
ABLATION_MEASURES = ("auc_matched", "knn_objects", "knn_classes", "cosine")


@dataclass(frozen=True)
class AblationChoices:
    """What shapes an ablation, beside model, images and probe.

    `point` is where the stream is changed, 0 for the embedding and l after the l-th layer.
    `ratios` of shuffled patches and `alphas` of the injection are 0 to 1. `dimensions` are taken
    of the probe's subspace, the strongest; None for all. `patches` are drawn of each image for
    the measures; `neighbours` vote in the k-NN.
    """

    point: int
    ratios: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    alphas: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25, 0.0)
    subspaces: tuple[SubspaceName, ...] = SUBSPACES
    dimensions: int | None = None
    patches: int = 64
    neighbours: int = 5
    purity: float = 0.6
    fit: Fit = "crop"
    seed: int = 0
    draws: int = 200

    @property
    def steps(self) -> tuple[tuple[Edit, float], ...]:
        """Every edit with its amount, in order."""
        shuffles: list[tuple[Edit, float]] = [("shuffle", one) for one in self.ratios]
        return (*shuffles, *(("inject", one) for one in self.alphas))

    def checked(self) -> AblationChoices:
        """The same.

        Raises:
            ValueError: nothing to do, or a number out of range.
        """
        if not self.steps or not all(0 <= amount <= 1 for _, amount in self.steps):
            raise ValueError(f"expected ratios and alphas of 0 to 1, got {self.steps}")
        known = get_args(SubspaceName)
        if not self.subspaces or not set(self.subspaces) <= set(known):
            raise ValueError(f"expected subspaces of {known}, got {self.subspaces}")
        least = min(self.patches - 1, self.neighbours, self.draws)
        if least < 1 or (self.dimensions is not None and self.dimensions < 1):
            raise ValueError(
                "expected 2 patches or more, and neighbours, draws and dimensions of 1 or more, "
                f"got {self.patches}, {self.neighbours}, {self.draws} and {self.dimensions}"
            )
        return self


@dataclass(frozen=True, eq=False)
class BindingAblation:
    """What is left of the model's output when a part of the stream is changed at one point.

    S subspaces, T `steps` (an edit and its amount). `values` is float32 (S, T, measures, 3):
    value, low and high over images of each of `ABLATION_MEASURES`, `clean` (measures, 3) of the
    unchanged model, NaN where unknown; `moved` float32 (S, T), the mean over images of the energy
    moved as a share of the patches' variance, equal in all subspaces but the whole stream unless
    a control has nothing to move, and NaN for a step that is not measured yet; `held` (S,) the
    share of the patches' variance that each subspace holds.

    `auc_matched` is the distance-matched AUC of the probe at the last point; `knn_objects` the
    mIoU of a leave-one-out k-NN vote for the object within each image, `knn_classes` of a vote
    for the class by the unchanged patches of all other images, both by cosine of final patch
    tokens; `cosine` that of the image's embedding with the unchanged one.
    """

    id: str
    model_label: str
    caution: str
    choices: AblationChoices
    subspaces: tuple[SubspaceName, ...]
    steps: tuple[tuple[Edit, float], ...]
    dimension: int
    values: np.ndarray
    clean: np.ndarray
    moved: np.ndarray
    held: np.ndarray
    images: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    provenance: Provenance

    @property
    def done(self) -> int:
        """Steps of subspaces that are measured."""
        return int(np.isfinite(self.moved).sum())

    @property
    def complete(self) -> bool:
        """Whether all steps are measured."""
        return self.done == self.moved.size

    def curve(self, subspace: str, edit: str, measure: str) -> np.ndarray:
        """Amount, value, low and high along one edit, (amounts, 4), as they were asked for.

        Raises:
            ValueError: no such subspace, edit or measure.
        """
        edits = [one for one, _ in self.steps]
        for given, known in (
            (subspace, self.subspaces),
            (edit, edits),
            (measure, ABLATION_MEASURES),
        ):
            if given not in known:
                raise ValueError(f"expected one of {', '.join(dict.fromkeys(known))}; got {given}")
        place = ABLATION_MEASURES.index(measure)
        row = self.subspaces.index(subspace)  # type: ignore[arg-type]
        return np.array(
            [
                [amount, *self.values[row, at, place]]
                for at, (one, amount) in enumerate(self.steps)
                if one == edit
            ]
        )


def ablation_table(record: BindingAblation) -> pd.DataFrame:
    """One line for each subspace and step.

    Columns: subspace, edit, amount, moved, then each of `ABLATION_MEASURES` with _low and _high.
    """
    import pandas as pd

    lines = []
    for row, subspace in enumerate(record.subspaces):
        for at, (edit, amount) in enumerate(record.steps):
            line: dict[str, object] = {"subspace": subspace, "edit": edit, "amount": amount}
            line["moved"] = float(record.moved[row, at])
            for place, measure in enumerate(ABLATION_MEASURES):
                value, low, high = record.values[row, at, place].tolist()
                line |= {measure: value, f"{measure}_low": low, f"{measure}_high": high}
            lines.append(line)
    return pd.DataFrame(lines)


_ARRAYS = ("values", "clean", "moved", "held")


def save_ablation(store: ResultStore, record: BindingAblation) -> None:
    """Keep a record under its id."""
    about = {
        name: value
        for name, value in vars(record).items()
        if name not in (*_ARRAYS, "choices", "provenance")
    }
    about |= {"choices": asdict(record.choices), "provenance": provenance_json(record.provenance)}
    store.begin(record.id, {"id": record.id, "model_label": record.model_label})
    store.put(record.id, 0, {name: getattr(record, name) for name in _ARRAYS}, about)


def load_ablation(store: ResultStore, key: str) -> BindingAblation | None:
    """What `save_ablation` kept; None where there is nothing, or only some of the steps."""
    for part, arrays, about in store.parts(key):
        if part:
            return None
        given = json.loads(json.dumps(about))
        choices: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in given["choices"].items()
        }
        texts = {
            "subspaces": tuple(given["subspaces"]),
            "steps": tuple((edit, amount) for edit, amount in given["steps"]),
            "images": tuple(given["images"]),
            "skipped": tuple((name, why) for name, why in given["skipped"]),
            "notes": tuple(given["notes"]),
            "choices": AblationChoices(**choices),
            "provenance": parse_provenance(given["provenance"]),
        }
        return BindingAblation(**{**given, **{n: arrays[n] for n in _ARRAYS}, **texts})
    return None
