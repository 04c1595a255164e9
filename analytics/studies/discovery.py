"""Object discovery: what several methods hold to be objects of a picture, beside what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.io.fitting import fit_mask, fit_picture, place
from analytics.metrics.discovery import (
    local_coherence,
    lost_mask,
    maskcut_masks,
    mass_mask,
    spectral_labels,
    tokencut_mask,
)
from analytics.metrics.discovery_scores import foreground_ari, mask_iou, score_masks
from analytics.metrics.patch_objects import patch_objects
from analytics.studies.discovery_methods import (
    MEASURES,
    METHODS,
    PURITY,
    DiscoveryChoices,
    Method,
)
from analytics.studies.discovery_tokens import PictureTokens, TokenReader
from analytics.types import PatchGrid, Picture

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.models.binding_probes import BindingProbe
    from analytics.models.registry import LoadedModel

NOT_MARKED = "nobody has marked the objects of this picture"
TOO_SMALL = "no object is the most frequent thing in any patch"


@dataclass(frozen=True, eq=False)
class FoundMasks:
    """What one method found on a picture.

    `masks` is bool (m, rows, columns), none where `absent` says why the method could not run.
    `scores` maps each of `MEASURES` to its value, NaN where unknown; `ious` float64 (m,) is each
    mask's largest IoU with an object. `best` is the mask with the largest, the first where
    objects are not known, -1 without a mask. `note` is about a plain answer, such as nothing.
    """

    method: str
    masks: np.ndarray
    scores: dict[str, float]
    ious: np.ndarray
    absent: str = ""
    note: str = ""

    @property
    def best(self) -> int:
        """Number of the mask that meets an object best."""
        if not len(self.masks):
            return -1
        return int(np.nan_to_num(self.ious, nan=-1.0).argmax())

    @property
    def labels(self) -> np.ndarray:
        """int32 (rows, columns): number of the mask from 1, 0 for none; of several the first."""
        return mask_labels(self.masks)


@dataclass(frozen=True, eq=False)
class Discovery:
    """Masks of every method on one picture at the model's input.

    `coherence` is float32 (rows, columns), NaN for a grid of one patch; `objects` int32 (rows,
    columns), 0 for none, None where nobody has marked them. `unscored` says why there are no
    scores; empty where there are some.
    """

    choices: DiscoveryChoices
    grid: PatchGrid
    layers: int
    found: tuple[FoundMasks, ...]
    coherence: np.ndarray
    objects: np.ndarray | None
    unscored: str

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        whole = self.coherence.nbytes + (0 if self.objects is None else self.objects.nbytes)
        return whole + sum(one.masks.nbytes + one.ious.nbytes for one in self.found)


def discover(
    loaded: LoadedModel,
    picture: Picture,
    instances: np.ndarray | None = None,
    choices: DiscoveryChoices | None = None,
    probe: BindingProbe | None = None,
    sites: SiteMap | None = None,
) -> Discovery:
    """Find objects on a picture with every method and score them where objects are known.

    Args:
        loaded: the model.
        picture: decoded.
        instances: int (height, width) of the picture, 0 for none; None where nobody has marked
            the objects.
        choices: point, features and parameters; those of the papers by default.
        probe: for spectral clustering; None leaves that method out.
        sites: where the model attends, when already known.

    Raises:
        ValueError: layers without one grid, no such point, keys that cannot be had, or features
            that are not finite.
    """
    from analytics.studies.binding_features import StreamReader

    reader = StreamReader(loaded, sites)
    chosen = (choices or DiscoveryChoices()).checked(reader.layers)
    placement = place(picture.height, picture.width, chosen.fit, *loaded.input_size)
    tokens = TokenReader(reader, chosen, probe).read(fit_picture(picture, placement))
    objects = None
    if instances is not None:
        objects = most_frequent_objects(fit_mask(instances, placement), tokens.grid)
    unscored = NOT_MARKED if objects is None else "" if (objects > 0).any() else TOO_SMALL
    return Discovery(
        choices=chosen,
        grid=tokens.grid,
        layers=reader.layers,
        found=find_masks(tokens, chosen, objects),
        coherence=local_coherence(tokens.features, tokens.grid),
        objects=objects,
        unscored=unscored,
    )


def most_frequent_objects(mask: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """The most frequent instance of every patch, background counted, int32 (rows, columns)."""
    return patch_objects(mask, grid, PURITY, count_background=True)[0]


def find_masks(
    tokens: PictureTokens,
    chosen: DiscoveryChoices,
    objects: np.ndarray | None = None,
    methods: Sequence[str] = tuple(METHODS),
) -> tuple[FoundMasks, ...]:
    """Run methods on one picture.

    Args:
        tokens: features, cls attention and P(same object), as far as they can be had.
        chosen: parameters.
        objects: object of each patch, (rows, columns), 0 and below for none; None where unknown.
        methods: names out of `METHODS`.

    Returns:
        One result a method. Known answers: planted objects are found exactly (IoU 1, FG-ARI 1);
        where all patches are equal LOST gives the whole picture and the cuts nothing.

    Raises:
        ValueError: features that are not finite or do not fit the grid, or an unknown method.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise ValueError(f"expected methods out of {', '.join(METHODS)}, got {unknown[0]!r}")
    return tuple(_found(name, tokens, chosen, objects) for name in methods)


def _found(
    name: str, tokens: PictureTokens, chosen: DiscoveryChoices, objects: np.ndarray | None
) -> FoundMasks:
    shape, method = (tokens.grid.rows, tokens.grid.columns), METHODS[name]
    absent = {"cls": tokens.no_cls, "probe": tokens.no_probe}.get(method.kind, "")
    missing = {"cls": tokens.attention, "probe": tokens.chances}.get(method.kind, ())
    if missing is None:
        nothing = np.zeros((0, *shape), bool)
        unknown = dict.fromkeys(MEASURES, float("nan"))
        return FoundMasks(name, nothing, unknown, np.zeros(0), absent or "it was not read")
    masks = np.asarray(_masks(name, tokens, chosen), bool)
    masks = masks[masks.any((1, 2))]
    scores, ious = score_found(masks, objects, method)
    return FoundMasks(name, masks, scores, ious, note=_note(masks, METHODS[name]))


def _masks(name: str, tokens: PictureTokens, chosen: DiscoveryChoices) -> np.ndarray:
    """Masks of a method, (m, rows, columns); empty ones among them count as none."""
    features, grid = tokens.features, tokens.grid
    shape = (-1, grid.rows, grid.columns)
    if name == "lost":
        return lost_mask(features, grid)[None]
    if name == "tokencut":
        return tokencut_mask(features, grid)[None]
    if name == "maskcut":
        return maskcut_masks(features, grid, chosen.cuts)
    if name in ("cls_mean", "cls_heads"):
        assert tokens.attention is not None
        rows = tokens.attention.mean(0, keepdims=True) if name == "cls_mean" else tokens.attention
        return mass_mask(rows, chosen.mass).reshape(shape)
    if name == "spectral":
        assert tokens.chances is not None
        labels = spectral_labels(tokens.chances, chosen.groups, chosen.seed)
        return (labels == np.unique(labels)[:, None]).reshape(shape)
    return (centre_box(grid) if name == "centre_box" else np.ones(shape[1:], bool))[None]


def centre_box(grid: PatchGrid) -> np.ndarray:
    """The middle half of rows and of columns, one at least, bool (rows, columns).

    Known answer: of 8 x 8 patches rows and columns 2 to 5.
    """
    box = np.zeros((grid.rows, grid.columns), bool)
    high, wide = max(1, grid.rows // 2), max(1, grid.columns // 2)
    top, left = (grid.rows - high) // 2, (grid.columns - wide) // 2
    box[top : top + high, left : left + wide] = True
    return box


def score_found(
    masks: np.ndarray, objects: np.ndarray | None, method: Method
) -> tuple[dict[str, float], np.ndarray]:
    """Every one of `MEASURES`, and each mask's largest IoU with an object.

    FG-ARI takes each mask for a group and what is in none for one more; it is NaN for methods
    whose masks overlap.

    Args:
        masks: bool (m, rows, columns).
        objects: of patches, (rows, columns); None where unknown, which gives NaN.
        method: whose masks they are.
    """
    scores = dict.fromkeys(MEASURES, float("nan")) | {"masks": float(len(masks))}
    ious = np.full(len(masks), np.nan)
    if objects is None or not (objects > 0).any():
        return scores, ious
    found = score_masks(masks, objects)
    numbers = [one for one in np.unique(objects) if one > 0]
    ious = np.array([max(mask_iou(m, objects == one) for one in numbers) for m in masks])
    scores |= {
        "best_iou": found.best_iou,
        "mean_best_iou": found.mean_best_iou,
        "box_iou": found.box_iou,
        "correct": float(found.correct),
    }
    if method.apart:
        scores["fg_ari"] = foreground_ari(mask_labels(masks), objects)
    return scores, ious.reshape(len(masks))


def mask_labels(masks: np.ndarray) -> np.ndarray:
    """Number of each patch's mask from 1, 0 for none, int32 (rows, columns); of several the first.

    Known answer: masks that share no patch can be read back as labels == 1, 2, ...
    """
    labels = np.zeros(masks.shape[1:], np.int32)
    for number in range(len(masks), 0, -1):
        labels[masks[number - 1]] = number
    return labels


def _note(masks: np.ndarray, method: Method) -> str:
    """What is to be said of a plain answer."""
    if method.kind == "baseline":
        return ""
    if not len(masks):
        return "found nothing: all patches are alike to it; centred features may differ more"
    if len(masks) == 1 and masks.all():
        return "holds the whole picture to be one; centred features may differ more"
    return ""
