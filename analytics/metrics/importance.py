"""How much a head matters: what changes in the model when it is taken out, and what it writes.

`clean` is the model as it is, `pruned` the same model without the head, on the same B images.
Everything is computed in float32, or in float64 if given. Where nothing changed, bit for bit,
every shift, divergence and drop is exactly 0.
"""

from __future__ import annotations

import torch
from torch import Tensor


def probability_drop(clean: Tensor, pruned: Tensor, classes: Tensor) -> Tensor:
    """How much of the probability of one class is lost without the head.

    Args:
        clean: probabilities, (B, C).
        pruned: the same without the head, (B, C).
        classes: the class looked at in each image, target or predicted, int64 (B,).

    Returns:
        (B,), from -1 to 1; negative where the head spoke against the class. Known answer:
        from (.7, .3) to (.2, .8) the drop of class 0 is .5.
    """
    _expect_pair(clean, pruned, "(images, classes)", 2)
    if classes.shape != clean.shape[:1]:
        raise ValueError(
            f"expected one class for each of {len(clean)} images, got classes of shape "
            f"{tuple(classes.shape)}"
        )
    drop = _precise(clean) - _precise(pruned)
    return drop.gather(1, classes[:, None])[:, 0]


def js_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence, in nats: how far two distributions are apart.

    Args:
        p: probabilities, (..., C); zeros are allowed.
        q: the others, (..., C).

    Returns:
        (...). Known answers: 0 for equal distributions, ln 2 for disjoint ones, and
        (3/4) ln(4/3) for (1, 0) against (1/2, 1/2).

    Reference: Lin 1991, "Divergence measures based on the Shannon entropy", section IV.
    """
    _expect_pair(p, q, "(..., classes)", 1)
    p, q = _precise(p), _precise(q)
    total = p + q
    # p / m = 1 + tilt with m = (p + q) / 2: no two large logarithms are subtracted.
    tilt = (p - q) / torch.where(total > 0, total, 1)
    terms = torch.special.xlog1py(p, tilt) + torch.special.xlog1py(q, -tilt)
    return (terms.sum(-1) / 2).clamp(min=0)


def flipped(clean: Tensor, pruned: Tensor) -> Tensor:
    """Whether the predicted class is another one without the head; its mean is `flip_rate`.

    Args:
        clean: probabilities or logits, (B, C).
        pruned: the same without the head, (B, C).

    Returns:
        float32 (B,), 1 where the largest entry is at another place and 0 elsewhere.
    """
    _expect_pair(clean, pruned, "(images, classes)", 2)
    return (clean.argmax(-1) != pruned.argmax(-1)).float()


def cosine_shift(clean: Tensor, pruned: Tensor) -> Tensor:
    """1 - cosine of two vectors; of the cls token after the final norm it is `cls_shift`.

    Args:
        clean: (B, D).
        pruned: the same without the head, (B, D).

    Returns:
        (B,), from 0 to 2. Known answers: 0 for parallel vectors, 1 for orthogonal and 2 for
        opposite ones; 0 for two zero vectors, 1 for a zero against any other vector.
    """
    _expect_pair(clean, pruned, "(images, width)", 2)
    return _shift(clean, pruned)


def l2_shift(clean: Tensor, pruned: Tensor) -> Tensor:
    """Euclidean distance of two vectors, in units of the vectors.

    Args:
        clean: (B, D).
        pruned: the same without the head, (B, D).

    Returns:
        (B,). Known answer: 5 between (0, 0) and (3, 4).
    """
    _expect_pair(clean, pruned, "(images, width)", 2)
    return torch.linalg.vector_norm(_precise(clean) - _precise(pruned), dim=-1)


def mean_cosine_shift(clean: Tensor, pruned: Tensor) -> Tensor:
    """1 - mean cosine over tokens, each against itself.

    Of the patch tokens after the final norm it is `patch_shift`; of all tokens of a layer's
    own output it is `layer_impact`.

    Args:
        clean: (B, T, D).
        pruned: the same without the head, (B, T, D).

    Returns:
        (B,), from 0 to 2. Known answer: .25 where one of four tokens turns by 90 degrees.
    """
    _expect_pair(clean, pruned, "(images, tokens, width)", 3)
    return _shift(clean, pruned).mean(-1)


def correlation_shift(clean: Tensor, pruned: Tensor) -> Tensor:
    """1 - Pearson correlation of two maps over their pixels; of saliency it is `saliency_shift`.

    Args:
        clean: maps, (B, ...).
        pruned: the same without the head, (B, ...).

    Returns:
        (B,), from 0 to 2. Known answers: 0 where one map is a rising linear function of the
        other, 2 where it is a falling one. The correlation with a constant map is not
        defined: 0 is given for two equal constant maps, 1 otherwise.
    """
    _expect_pair(clean, pruned, "(images, ...)", 2)
    clean, pruned = _precise(clean).flatten(1), _precise(pruned).flatten(1)
    centred = [one - one.mean(-1, keepdim=True) for one in (clean, pruned)]
    shift = _shift(centred[0], centred[1])
    # Asked of the maps: the mean of equal numbers is rounded, and need not be that number.
    constant = (clean.amax(-1) == clean.amin(-1)) | (pruned.amax(-1) == pruned.amin(-1))
    differs = (clean != pruned).any(-1).to(shift.dtype)
    return torch.where(constant, differs, shift)


def map_divergence(clean: Tensor, pruned: Tensor) -> Tensor:
    """KL(clean || pruned) of two maps that are each scaled to sum 1; `saliency_kl`, in nats.

    Args:
        clean: maps of values >= 0 that are not all 0, (B, ...).
        pruned: the same without the head, (B, ...).

    Returns:
        (B,); infinite where a pixel of `pruned` is 0 and that of `clean` is not. Known
        answers: 0 for maps in proportion; ln 2 for (1, 0) against (1, 1).

    Raises:
        ValueError: a map is negative somewhere, or 0 everywhere.
    """
    _expect_pair(clean, pruned, "(images, ...)", 2)
    shares = []
    for values in (_precise(clean).flatten(1), _precise(pruned).flatten(1)):
        total = values.sum(-1, keepdim=True)
        if bool((values < 0).any()) or bool((total == 0).any()):
            raise ValueError(
                "expected maps of values >= 0 that are not all 0, because they are scaled to "
                f"sum 1; got values from {float(values.min()):.3g} with sums from "
                f"{float(total.min()):.3g}. Take saliency before any centring"
            )
        shares.append(values / total)
    p, q = shares
    terms = torch.where(p > 0, p * torch.log(p / q), 0)
    return terms.sum(-1).clamp(min=0)


def confidence(attention: Tensor) -> Tensor:
    """Mean over queries of the largest attention to any one key.

    Args:
        attention: after the softmax, (B, H, Q, K).

    Returns:
        (B, H). Known answers: 1/K for uniform attention, 1 where each query looks at one key.

    Reference: Voita et al. 2019, "Analyzing Multi-Head Self-Attention", section 4.
    Differs: their average leaves the end-of-sentence token out; here all queries count.
    """
    _expect_axes(attention, "(images, heads, queries, keys)", 4)
    return _precise(attention).amax(-1).mean(-1)


def contribution(head_outputs: Tensor, projection: Tensor) -> Tensor:
    """How much of what a layer's attention writes comes from each head (ours).

    The norm of W_O^h o_h over that of the sum over the heads; both are Frobenius norms over
    all tokens together. The projection's bias belongs to no head and is left out. The shares
    do not sum to 1: heads may write the same, or against each other.

    Args:
        head_outputs: before the output projection, (B, H, T, d).
        projection: weight of the output projection, (D, H*d), columns head by head.

    Returns:
        (B, H). A head that writes nothing has 0, also where no head writes; infinite where
        heads cancel exactly. Known answers: 1 for the only head that writes, 1/2 each for
        two that write the same.

    Raises:
        ValueError: the projection does not have H*d columns.
    """
    _expect_axes(head_outputs, "(images, heads, tokens, width)", 4)
    heads, width = head_outputs.shape[1], head_outputs.shape[3]
    if projection.ndim != 2 or projection.shape[1] != heads * width:
        raise ValueError(
            f"expected a projection of {heads} heads x {width} = {heads * width} columns, got "
            f"shape {tuple(projection.shape)}; pass the weight of the output projection as "
            "nn.Linear keeps it, (out, in)"
        )
    outputs, weight = _precise(head_outputs), _precise(projection)
    per_head = weight.unflatten(1, (heads, width)).movedim(1, 0)  # h D d
    # |W o|^2 = o' (W'W) o: the products of every head, (B, H, T, D), are never made.
    gram = per_head.mT @ per_head  # h d d
    parts = ((outputs @ gram) * outputs).sum((-2, -1)).clamp(min=0).sqrt()  # b h
    written = outputs.movedim(1, 2).flatten(2) @ weight.mT  # b t D
    whole = torch.linalg.vector_norm(written, dim=(1, 2))[:, None]  # b 1
    return torch.where(parts > 0, parts / whole, 0)


def taylor(gate_gradient: Tensor) -> Tensor:
    """First-order estimate of how much the loss changes when the head is taken out.

    Args:
        gate_gradient: derivative of each image's loss by the head's gate at 1, (B, H).

    Returns:
        (B, H), its absolute value. Known answer: abs(sum over tokens and dimensions of
        o * dL/do) for the head output o. A distance to one's own clean output has derivative
        0 there, so its Taylor importance is 0 for every head: use the loss of a class.

    Reference: Michel et al. 2019, "Are Sixteen Heads Really Better than One?", section 4.1.
    Differs: the absolute value is taken per image, so effects of opposite sign do not cancel.
    """
    _expect_axes(gate_gradient, "(images, heads)", 2)
    return _precise(gate_gradient).abs()


def _precise(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _shift(first: Tensor, second: Tensor) -> Tensor:
    """1 - cosine over the last axis, as half the squared distance of the unit vectors.

    Unlike 1 - cos this loses no digits where the vectors are nearly parallel.
    """
    first, second = _unit(_precise(first)), _unit(_precise(second))
    shift = (first - second).square().sum(-1) / 2
    one_is_zero = (first != 0).any(-1) != (second != 0).any(-1)
    return torch.where(one_is_zero, 1, shift)


def _unit(vectors: Tensor) -> Tensor:
    """Vectors of length 1 over the last axis; zero vectors stay zero."""
    largest = vectors.abs().amax(-1, keepdim=True)
    scaled = vectors / torch.where(largest > 0, largest, 1)  # so that no square is lost
    length = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
    return scaled / torch.where(length > 0, length, 1)


def _expect_axes(tensor: Tensor, axes: str, count: int) -> None:
    if tensor.ndim != count:
        raise ValueError(f"expected {axes}, got shape {tuple(tensor.shape)}")


def _expect_pair(clean: Tensor, pruned: Tensor, axes: str, least: int) -> None:
    exact = "..." not in axes
    if clean.shape != pruned.shape or clean.ndim < least or (exact and clean.ndim != least):
        raise ValueError(
            f"expected two tensors of one shape {axes}, got {tuple(clean.shape)} and "
            f"{tuple(pruned.shape)}"
        )
