"""The metrics of how far and in what shape heads look, by name: title, unit, definition, source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ClsRule = Literal["renormalised", "raw"]
RULES: tuple[ClsRule, ...] = ("renormalised", "raw")
"""What becomes of the mass on prefix tokens: dropped and the rest scaled to 1, or kept at 0."""

TEMPLATES = (
    "self",
    "up left",
    "up",
    "up right",
    "left",
    "right",
    "down left",
    "down",
    "down right",
    "row",
    "column",
    "cls",
)
"""Where a template's mass lies: the patch itself, each neighbour, the rest of its row, of its
column, and the cls token. What is left is spread over the other patches and registers."""

BLOCKS = ("cls", "registers", "patches")


@dataclass(frozen=True)
class StrengthMetric:
    """One number per image and head; `axis` names its unit, `definition` is shown on the page.

    `ruled` metrics exist under both cls rules.
    """

    name: str
    title: str
    axis: str
    definition: str
    source: str
    ruled: bool = False


_VA = "Li et al. 2023 (2303.13731), as read off the authors' system picture"

STRENGTH_METRICS: dict[str, StrengthMetric] = {
    one.name: one
    for one in (
        StrengthMetric(
            "mean_distance",
            "mean distance",
            "patches",
            "Mean over patches of the distance to the patches they attend to, weighted by "
            "attention. Uniform attention gives the dashed line.",
            "Dosovitskiy et al. 2021 (2010.11929); Raghu et al. 2021 (2108.08810)",
            ruled=True,
        ),
        StrengthMetric(
            "hop_entropy",
            "hop entropy",
            "nats",
            "Shannon entropy of the hop strengths scaled to sum 1: 0 where all attention goes "
            "equally far, at most ln of the number of hops.",
            _VA,
            ruled=True,
        ),
        StrengthMetric(
            "row_entropy",
            "row entropy",
            "nats",
            "Mean over patches of the entropy of their attention; at most ln of the number of "
            "keys.",
            "Clark et al. 2019 (1906.04341)",
            ruled=True,
        ),
        StrengthMetric(
            "nmi",
            "normalised mutual information",
            "0 to 1",
            "Mutual information of query and key patch, with all queries equally likely, over the "
            "root of the product of their entropies: 0 where every patch attends alike, 1 where "
            "each attends to one key of its own.",
            "Park et al. 2023 (2305.00729)",
        ),
        StrengthMetric(
            "self_mass",
            "mass on itself",
            "share",
            "Mean attention of a patch to itself.",
            "ours",
        ),
        StrengthMetric(
            "cls_mass",
            "mass on cls",
            "share",
            "Mean attention of the patches to the cls token.",
            "ours",
        ),
        StrengthMetric(
            "offset_length",
            "offset length",
            "patches",
            "Length of the mean offset from query to key, weighted by attention: large where a "
            "head looks into one direction.",
            "Walmer et al. 2023 (2212.03862)",
            ruled=True,
        ),
    )
}


def column_name(metric: str, rule: str) -> str:
    """Key of a metric's table: `mean_distance:raw`, or the bare name without a cls rule."""
    return f"{metric}:{rule}" if rule else metric


SCALARS: tuple[str, ...] = tuple(
    column_name(one.name, rule)
    for one in STRENGTH_METRICS.values()
    for rule in (RULES if one.ruled else ("",))
)
"""Keys of all tables of a profile, in order."""
