"""Ways to find objects without being told of any, what each needs, and how it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from analytics.types import Fit

Source = Literal["keys", "keys_centred", "stream", "stream_centred"]

SOURCES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "keys": (
            "keys, as in the papers",
            "Keys of a layer's attention, all heads side by side, as the attention uses them. LOST "
            "and the cuts take those of the last layer.",
        ),
        "keys_centred": (
            "keys, centred",
            "The same less their mean over the picture's patches (ours): where all keys share one "
            "large part, every pair is alike and nothing is cut.",
        ),
        "stream": ("residual stream", "The residual stream at the point, prefix tokens left out."),
        "stream_centred": (
            "residual stream, centred",
            "The same less its mean over the picture's patches (ours).",
        ),
    }
)
"""Title and definition of what LOST, TokenCut, MaskCut and the coherence are computed from.

That features of some models need an offset before LOST works on them is known: Darcet et al. 2024,
arXiv 2309.16588, add one to the products; centring is our way."""


@dataclass(frozen=True)
class Method:
    """One way to find objects.

    `kind` says whether it looks at features, at cls attention, at a probe, or at nothing;
    `apart` whether no two of its masks share a patch, so that they are groups.
    """

    title: str
    kind: Literal["features", "cls", "probe", "baseline"]
    definition: str
    reference: str
    apart: bool = True


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "lost": Method(
            "LOST",
            "features",
            "The patch that is like fewest others is the seed; of the 100 next those like it "
            "join; what is like their sum and hangs together with the seed is the object.",
            "Simeoni et al. 2021, arXiv 2109.14279, section 3. Differs: a mask, where the paper "
            "draws a box.",
        ),
        "tokencut": Method(
            "TokenCut",
            "features",
            "Patches with a cosine of .2 or more are joined; the second eigenvector of the "
            "normalised cut parts them; the side of its largest entry, as far as it hangs "
            "together, is the object.",
            "Wang et al. 2022, arXiv 2202.11539, section 3. Differs: the mask is not refined "
            "at pixels.",
        ),
        "maskcut": Method(
            "MaskCut",
            "features",
            "Up to three normalised cuts in turn (cosine .15), each without the patches found "
            "before; a side with three corners of the picture is background.",
            "Wang et al. 2023, arXiv 2301.11320, section 3.2. Differs: patches found before are "
            "left out, where the authors drop a mask that overlaps; no refinement at pixels.",
        ),
        "cls_mean": Method(
            "cls attention",
            "cls",
            "The fewest patches that hold 60 % of the cls token's attention to patches, mean "
            "over heads.",
            "Caron et al. 2021, arXiv 2104.14294, section 4.2.3. Differs: the mean over heads "
            "is ours, the paper shows heads.",
        ),
        "cls_heads": Method(
            "cls heads",
            "cls",
            "The fewest patches that hold 60 % of each head's attention. Scored by its best head, "
            "which is found with the truth: an upper limit, not a method.",
            "Caron et al. 2021, arXiv 2104.14294, section 4.2.3. Differs: scores on patches, not "
            "pixels.",
            apart=False,
        ),
        "spectral": Method(
            "spectral, probe",
            "probe",
            "Spectral clustering of P(same object) between all patches into a fixed number of "
            "groups, the background among them. The probe was fitted on marked objects, and not "
            "on the background, which it may part at will.",
            "Ng, Jordan & Weiss 2001, on the matrix of the probe (Li et al. 2025, arXiv "
            "2510.24709); the combination is ours.",
        ),
        "centre_box": Method(
            "centre box",
            "baseline",
            "The middle half of rows and columns, without looking.",
            "A baseline, ours.",
        ),
        "whole": Method(
            "whole picture", "baseline", "Every patch, without looking.", "A baseline, ours."
        ),
    }
)
"""In the order in which they are shown."""

MEASURES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "mean_best_iou": (
            "mean IoU over objects",
            "For each object the largest IoU with a mask, the mean over objects. One mask cannot "
            "meet two objects well: more masks have more chances.",
        ),
        "best_iou": ("best IoU", "The largest IoU of any mask with any object."),
        "correct": (
            "CorLoc",
            "Whether the box around a mask meets the box around an object with an IoU of .5 or "
            "more; over pictures the share. Boxes are in patches. Any of several masks counts.",
        ),
        "fg_ari": (
            "FG-ARI",
            "Adjusted Rand index of groups and objects over the patches of objects: 1 for the "
            "same groups, about 0 for random ones and for a single group.",
        ),
        "box_iou": ("best box IoU", "The largest IoU of the boxes of any mask and any object."),
        "masks": ("masks", "How many masks the method gives."),
    }
)
"""Title and definition of each score of a picture; the first is shown first."""

PURITY = 1e-6
"""An object has the patches in which it is the most frequent number, background counted; no patch
is left out, so that a mask can have an IoU of 1."""


@dataclass(frozen=True)
class DiscoveryChoices:
    """What shapes the search.

    `point` is 0 for the embedding and l after the l-th layer, None for the last: keys and cls
    attention are those of the layer that ends there. `groups` of the spectral clustering; `cuts`
    of MaskCut at most; `mass` of the cls attention; `seed` of k-means and random weights.
    `controls` measures the same architecture with random weights beside it, on a set.
    """

    features: Source = "keys"
    point: int | None = None
    groups: int = 5
    cuts: int = 3
    mass: float = 0.6
    fit: Fit = "crop"
    seed: int = 0
    controls: bool = True

    def checked(self, layers: int) -> DiscoveryChoices:
        """The same with the point's number.

        Raises:
            ValueError: an unknown source of features, no such point, or a number out of range.
        """
        point = layers if self.point is None else self.point
        if self.features not in SOURCES:
            raise ValueError(
                f"expected features out of {', '.join(SOURCES)}, got {self.features!r}"
            )
        if not 0 <= point <= layers:
            raise ValueError(f"expected a point of 0 to {layers}, got {point}")
        if point == 0 and self.features.startswith("keys"):
            raise ValueError(
                "expected a point of 1 or more for keys, got 0: no layer has made keys before the "
                "first; choose a later point or the residual stream"
            )
        if self.groups < 1 or self.cuts < 1 or not 0 < self.mass <= 1:
            raise ValueError(
                "expected at least one group and one cut and a mass above 0 and at most 1, got "
                f"{self.groups}, {self.cuts} and {self.mass}"
            )
        return replace(self, point=point)

    def plain(self) -> dict[str, Any]:
        """Plain values, for keys and provenance."""
        return dict(vars(self))
