"""Class probabilities from a model's frozen features: a linear layer or nearest neighbours.

A read-out runs, and is saved and loaded, with torch and safetensors alone; `readout_fit` fits
one.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from analytics.models.identity import weights_sha256
from analytics.models.placing import place_file

Kind = Literal["linear", "knn"]

FEW = 30
"""Below this many held-out pictures the summary warns."""

TENSORS = {"linear": ("mean", "scale", "weight", "bias"), "knn": ("reference", "classes")}
"""Names of a read-out's numbers, by kind."""


@dataclass(frozen=True, eq=False)
class ReadOut:
    """A classifier of frozen features, and how well it did on pictures held out of its fit.

    `model` and `weights_sha256` name the model whose features it reads, `layer` and `pooling`
    which features. `train` and `held_out` are rows of the features it was fitted on.
    `accuracy` with its 95 % `interval` and `majority` (always naming the class that is most
    frequent in the train part) are shares of the held-out rows; `chance` is one over the
    number of classes. `parameters` has C for linear, k and the typical distance for knn.
    """

    kind: Kind
    classes: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    parameters: Mapping[str, float]
    model: str
    weights_sha256: str
    layer: int | None
    pooling: str
    train: tuple[int, ...]
    held_out: tuple[int, ...]
    seed: int
    accuracy: float
    interval: tuple[float, float]
    majority: float
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Hash of its numbers."""
        return weights_sha256(dict(self.tensors))

    @property
    def n_train(self) -> int:
        """Pictures that it was fitted on."""
        return len(self.train)

    @property
    def n_test(self) -> int:
        """Pictures held out."""
        return len(self.held_out)

    @property
    def chance(self) -> float:
        """Accuracy of naming a class at random."""
        return 1 / len(self.classes)

    @property
    def width(self) -> int:
        """How many numbers a row of features has."""
        return self.tensors["weight" if self.kind == "linear" else "reference"].shape[1]

    def logits(self, features: Tensor) -> Tensor:
        """Logits of the classes, (b, width) -> (b, classes); for knn log probabilities.

        Computed on the features' device in float32 at least; gradients flow to the features.

        Raises:
            ValueError: features of another width.
        """
        if features.ndim != 2 or features.shape[1] != self.width:
            raise ValueError(
                f"expected features (pictures, {self.width}), got {tuple(features.shape)}; pool "
                "the tokens of the layer that the read-out was fitted on"
            )
        x = features if features.dtype == torch.float64 else features.float()
        own = {name: t.to(x.device) for name, t in self.tensors.items()}
        if self.kind == "linear":
            own = {name: t.to(x.dtype) for name, t in own.items()}
            return (x - own["mean"]) / own["scale"] @ own["weight"].T + own["bias"]
        cosines = normalize(x) @ own["reference"].to(x.dtype).T
        near, which = cosines.topk(int(self.parameters["k"]))  # b k
        weights = torch.exp((near - 1) / self.parameters["distance"])  # b k
        votes = x.new_zeros(len(x), len(self.classes))
        votes = votes.scatter_add(1, own["classes"][which], weights) + self.chance / math.e
        return torch.log(votes / votes.sum(dim=1, keepdim=True))

    def probabilities(self, features: Tensor) -> Tensor:
        """Probabilities of the classes, (b, width) -> (b, classes); rows sum to 1."""
        return torch.softmax(self.logits(features), dim=1)

    def to(self, device: str | torch.device) -> ReadOut:
        """The same read-out with its numbers on a device, to save moving them at each call."""
        return replace(self, tensors={name: t.to(device) for name, t in self.tensors.items()})

    def summary(self) -> str:
        """One sentence: what it reads, how well, against what, and on how many pictures."""
        what = {"linear": "Linear", "knn": "Nearest-neighbour"}[self.kind]
        where = "the model's end" if self.layer is None else f"L{self.layer}"
        low, high = self.interval
        few = f"; {self.n_test} held-out pictures are too few to tell much"
        return (
            f"{what} read-out of {where}: {100 * self.accuracy:.1f} % of {self.n_test:,} held-out "
            f"pictures right (95 % interval {100 * low:.1f} to {100 * high:.1f} %; always the most "
            f"frequent class {100 * self.majority:.1f} %, chance {100 * self.chance:.1f} %), "
            f"fitted on {self.n_train:,} pictures of {len(self.classes)} classes"
            f"{few if self.n_test < FEW else ''}."
        )


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """95 % interval of a share, from `right` of `total`.

    Known answer: 5 of 10 gives .2366 to .7634.

    Reference: Wilson 1927, "Probable Inference, the Law of Succession", z = 1.96.

    Raises:
        ValueError: `right` does not lie between 0 and a positive `total`.
    """
    if not 0 <= right <= total or total < 1:
        raise ValueError(f"expected 0 <= right <= total, got {right} of {total}; count again")
    z = 1.959963984540054
    share, grown = right / total, 1 + z * z / total
    centre = (share + z * z / (2 * total)) / grown
    half = z / grown * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def check_fits(readout: ReadOut, model: str, weights_sha256: str) -> None:
    """Refuse a read-out for a model or weights that it was not fitted on.

    Raises:
        ValueError: another model id or other weights.
    """
    if (readout.model, readout.weights_sha256) != (model, weights_sha256):
        raise ValueError(
            f"expected features of {readout.model} with the weights "
            f"{readout.weights_sha256[:12]}, on which this read-out was fitted, got {model} with "
            f"{weights_sha256[:12]}; fit a read-out for this model"
        )


def save_readout(readout: ReadOut, path: str | Path) -> None:
    """Write a read-out to one safetensors file; its record is JSON in the header."""
    from safetensors.torch import save_file

    kept = {f.name: getattr(readout, f.name) for f in fields(readout) if f.name != "tensors"}
    tensors = {name: t.detach().cpu().contiguous() for name, t in readout.tensors.items()}
    with tempfile.TemporaryDirectory() as name:
        draft = Path(name) / "readout"
        save_file(tensors, draft, metadata={"readout": json.dumps(kept, allow_nan=False)})
        place_file(draft, Path(path))


def load_readout(path: str | Path) -> ReadOut:
    """Read what `save_readout` wrote; nothing in the file is executed.

    Raises:
        ValueError: missing, damaged or another kind of file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            record = json.loads((file.metadata() or {})["readout"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _restored(record, tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"expected a read-out saved by this app at {Path(path).name}, got a file that is "
            f"missing, damaged or of another kind ({type(error).__name__}); save it again"
        ) from error


def _restored(record: dict[str, Any], tensors: dict[str, Tensor]) -> ReadOut:
    """A read-out from its saved parts, checked so that a made-up file cannot misuse it."""
    for name in ("classes", "train", "held_out", "interval", "notes"):
        record[name] = tuple(record[name])
    readout = ReadOut(**record, tensors=tensors)
    shapes = [tuple(tensors[name].shape) for name in TENSORS[readout.kind]]
    count, width = len(readout.classes), readout.width
    if readout.kind == "linear":
        fits = shapes == [(width,), (width,), (count, width), (count,)]
    else:
        held, near = tensors["classes"], readout.parameters["k"]
        fits = shapes == [(len(held), width), (len(held),)] and 0 < near <= len(held)
        fits = fits and 0 <= int(held.min()) <= int(held.max()) < count
        fits = fits and held.dtype == torch.int64 and readout.parameters["distance"] > 0
    if not fits:
        raise ValueError(f"expected numbers for {count} classes, got shapes {shapes}")
    return readout
