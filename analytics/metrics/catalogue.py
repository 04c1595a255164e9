"""The head-importance metrics by name: what each says, its unit, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ABLATIONS = ("zero", "mean", "resample")
"""What stands in for a removed head: nothing, its mean over the set, another picture's."""

Need = Literal["tokens", "classes", "saliency", "gradient", "attention", "projection"]


@dataclass(frozen=True)
class HeadMetric:
    """One metric of a head's importance; `definition` and `source` are shown on the page.

    `needs` says what must be had to measure it: all tokens of the features, class
    probabilities, the bundled saliency read-out, a gradient, the attention, or the projection.
    `signed` metrics can be negative; for all others larger means more important.
    """

    name: str
    title: str
    axis: str
    definition: str
    source: str
    needs: frozenset[Need] = frozenset()
    signed: bool = False


def _metric(
    name: str,
    title: str,
    axis: str,
    definition: str,
    source: str,
    *needs: Need,
    signed: bool = False,
) -> tuple[str, HeadMetric]:
    return name, HeadMetric(name, title, axis, definition, source, frozenset(needs), signed)


_REMOVAL = "head removal as in Michel et al. 2019 (1905.10650); this distance is ours"
_VA = "Li et al. 2023 (2303.13731), as read off the authors' system picture"

HEAD_METRICS: dict[str, HeadMetric] = dict(
    (
        _metric(
            "cls_shift",
            "cls shift",
            "1 − cosine",
            "1 − cosine of the cls token after the final norm with and without the head; the mean "
            "of the patch tokens where a model has no cls. Needs no classifier.",
            _REMOVAL,
        ),
        _metric(
            "cls_distance",
            "cls distance",
            "Euclidean distance",
            "Euclidean distance of the same two vectors.",
            _REMOVAL,
        ),
        _metric(
            "patch_shift",
            "patch shift",
            "1 − mean cosine",
            "1 − mean cosine over the patch tokens after the final norm with and without the head.",
            _REMOVAL,
            "tokens",
        ),
        _metric(
            "layer_impact",
            "layer impact",
            "1 − mean cosine",
            "1 − mean cosine over all tokens of the layer's own output with and without the head: "
            "what the head changes before later layers react.",
            _REMOVAL,
            "tokens",
        ),
        _metric(
            "saliency_shift",
            "saliency shift",
            "1 − correlation",
            "1 − Pearson correlation of the bundled read-out's saliency map with and without the "
            "head.",
            "ours",
            "tokens",
            "saliency",
        ),
        _metric(
            "saliency_kl",
            "saliency KL",
            "nats",
            "KL(with ‖ without) of the bundled read-out's saliency map, each map scaled to sum 1.",
            "ours",
            "tokens",
            "saliency",
        ),
        _metric(
            "probability_drop",
            "probability drop",
            "probability",
            "Probability of the image's class (its label, else the predicted one) with the head "
            "less that without it.",
            _VA,
            "classes",
            signed=True,
        ),
        _metric(
            "js_divergence",
            "JS divergence",
            "nats",
            "Jensen-Shannon divergence of the class probabilities with and without the head; at "
            "most ln 2.",
            f"{_VA}; Lin 1991",
            "classes",
        ),
        _metric(
            "flip_rate",
            "flip rate",
            "share of images",
            "Share of images whose predicted class changes without the head.",
            _VA,
            "classes",
        ),
        _metric(
            "taylor",
            "Taylor",
            "|dL / d gate|",
            "First-order estimate of the loss without the head: absolute derivative by the head's "
            "gate, per image. The loss is the log probability of the image's class; without a "
            "classifier the cosine to the mean embedding of the other images.",
            "Michel et al. 2019 (1905.10650); the absolute value per image",
            "gradient",
        ),
        _metric(
            "sensitivity",
            "sensitivity",
            "squared derivative",
            "Square of the derivative, by the head's gate, of the unit embedding along one random "
            "direction per image: over images it estimates how far the embedding moves. One "
            "backward pass for all heads; a preview of the cls shift.",
            "ours",
            "gradient",
        ),
        _metric(
            "confidence",
            "confidence",
            "attention",
            "Mean over queries of the largest attention to any one key.",
            "Voita et al. 2019 (1905.09418)",
            "attention",
        ),
        _metric(
            "contribution",
            "contribution",
            "ratio of norms",
            "Norm of what the head writes into the residual stream over that of what all heads of "
            "the layer write together, over all tokens.",
            "ours, after the norm-based analysis of Kobayashi et al. 2020 (2004.10102)",
            "projection",
        ),
    )
)


def metrics_for(have: frozenset[Need]) -> tuple[str, ...]:
    """Names of the metrics that can be measured with what is there."""
    return tuple(name for name, metric in HEAD_METRICS.items() if metric.needs <= have)


def check_metrics(names: tuple[str, ...], have: frozenset[Need]) -> None:
    """Refuse metrics that are unknown or lack what they need.

    Raises:
        ValueError: names the metrics there are, or what is missing.
    """
    unknown = [name for name in names if name not in HEAD_METRICS]
    if unknown or not names:
        got = ", ".join(unknown) or "none"
        raise ValueError(f"expected metrics out of {', '.join(HEAD_METRICS)}; got {got}")
    lacking = {
        "classes": "a classifier: fit or give a read-out, or take a model with a trained head",
        "saliency": "the bundled model, whose saliency read-out it uses",
        "projection": "attention with a plain output projection",
        "gradient": "a model on which gradients can be had",
        "attention": "attention maps",
        "tokens": "all tokens of the model's features",
    }
    for name in names:
        for need in sorted(HEAD_METRICS[name].needs - have):
            raise ValueError(f"the metric {name} needs {lacking[need]}")
