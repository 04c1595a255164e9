"""Fitting a read-out on frozen features, with a part of the pictures held out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from analytics.models.readout import TENSORS, Kind, ReadOut, wilson_interval

_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_DEFAULT_STRENGTH = 1e-2
_NEIGHBOURS = 5
_ROUNDS = 1000
_DISTANCE_ROWS = 1000


def fit_readout(
    features: np.ndarray,
    labels: Sequence[str | None],
    kind: Kind = "linear",
    held_out: float = 0.3,
    seed: int = 0,
    *,
    model: str = "",
    weights_sha256: str = "",
    layer: int | None = None,
    pooling: str = "",
    classes: Sequence[str] | None = None,
) -> ReadOut:
    """Fit a read-out on a part of the pictures and measure it on the rest.

    `linear`: each feature standardised by the train part, then multinomial logistic
    regression; its C, the inverse of the penalty, is the one of 0.0001 to 1 with the lowest
    cross-validated log loss within the train part. `knn`: the 5 nearest train pictures (all
    where there are fewer) by cosine, each voting for its class with exp(-d / t), where d is its
    distance and t the mean distance of train pictures to their own nearest ones; one more
    vote, exp(-1), is shared by all classes, so that probabilities move and none is 0.

    Args:
        features: (N, width).
        labels: the class of each row; rows with None are left out.
        kind: which read-out.
        held_out: share of the pictures that is held out, above 0 and at most 0.5; raised
            where it gives fewer pictures than there are classes.
        seed: of the split.
        model: id of the model that gave the features; `public_id` where the file may travel.
        weights_sha256: content hash of its weights.
        layer: after which the tokens were taken; None for the model's own end.
        pooling: how tokens became features, in words.
        classes: their order; sorted if None.

    Raises:
        ValueError: labels that do not match the features or are all None, features that are
            not finite, fewer than two classes with two pictures each, or an unknown kind.

    Known answer: separable classes give an accuracy of 1.

    Reference: for the weighted vote, Wu et al. 2018, "Unsupervised Feature Learning via
    Non-Parametric Instance Discrimination", section 3.4.
    Differs: there the distance scale is fixed at 0.07 and no vote is shared.
    """
    x = _checked(features, labels, kind, held_out)
    rows, y, names, notes = _usable(labels, classes)
    train, test = _split(y, len(names), held_out, seed)
    if kind == "linear":
        tensors, parameters, more = _fit_linear(x[rows[train]], y[train], seed)
    else:
        tensors, parameters, more = _fit_neighbours(x[rows[train]], y[train])
    missing = [name for i, name in enumerate(names) if i not in y[test]]
    more += [f"no held-out picture of {', '.join(missing)}"] if missing else []
    readout = ReadOut(
        kind=kind,
        classes=names,
        tensors=tensors,
        parameters=parameters,
        model=model,
        weights_sha256=weights_sha256,
        layer=layer,
        pooling=pooling,
        train=tuple(rows[train].tolist()),
        held_out=tuple(rows[test].tolist()),
        seed=seed,
        accuracy=0.0,
        interval=(0.0, 1.0),
        majority=float((y[test] == np.bincount(y[train]).argmax()).mean()),
        notes=(*notes, *more),
    )
    named = readout.logits(torch.from_numpy(x[rows[test]])).argmax(dim=1).numpy()
    right, total = int((named == y[test]).sum()), len(test)
    return replace(readout, accuracy=right / total, interval=wilson_interval(right, total))


def _checked(
    features: np.ndarray, labels: Sequence[str | None], kind: str, held_out: float
) -> np.ndarray:
    if kind not in get_args(Kind):
        raise ValueError(f"expected a kind of {' or '.join(get_args(Kind))}, got {kind!r}")
    if not 0 < held_out <= 0.5:
        raise ValueError(f"expected a held-out share above 0 and at most 0.5, got {held_out}")
    if features.ndim != 2 or len(features) != len(labels):
        raise ValueError(
            f"expected features (N, width) and N labels, got {features.shape} and {len(labels)} "
            "labels; leave out the labels of pictures that could not be read"
        )
    x = np.ascontiguousarray(features, np.float32)
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        raise ValueError(
            f"expected finite features, got NaN or infinity in {len(bad):,} of {len(x):,} "
            f"rows, such as row {bad[0]}; try dtype float32 or leave these pictures out"
        )
    return x


def _usable(
    labels: Sequence[str | None], classes: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], list[str]]:
    """Rows that can be used, their class as a number, the classes, and what was left out."""
    counts = Counter(label for label in labels if label is not None)
    if not counts:
        raise ValueError(
            f"expected labels, got none for {len(labels):,} pictures; sort the pictures into "
            "folders by class, or give a table with the columns path and label"
        )
    ordered = sorted(counts) if classes is None else list(dict.fromkeys(classes))
    unknown = sorted(set(counts) - set(ordered))
    if unknown:
        raise ValueError(f"expected labels out of {ordered}, got {unknown[0]!r}; add it to classes")
    names = tuple(name for name in ordered if counts[name] > 1)
    if len(names) < 2:
        raise ValueError(
            f"expected at least two classes with two pictures each, got {len(names)} of "
            f"{len(counts)} ({', '.join(f'{n}: {c}' for n, c in counts.most_common(3))}); "
            "add pictures of another class"
        )
    notes = [f"left out, as it has one picture only: {n}" for n in ordered if counts[n] == 1]
    unlabelled = len(labels) - counts.total()
    notes += [f"left out, {unlabelled:,} without a label"] if unlabelled else []
    number = {name: i for i, name in enumerate(names)}
    rows = np.array([i for i, label in enumerate(labels) if label in number])
    return rows, np.array([number[labels[i]] for i in rows]), names, notes  # type: ignore[index]


def _split(y: np.ndarray, classes: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the train and held-out parts, each class in the train part at least once."""
    from sklearn.model_selection import train_test_split

    size = min(max(math.ceil(share * len(y)), classes), len(y) // 2)
    train, test = train_test_split(np.arange(len(y)), test_size=size, stratify=y, random_state=seed)
    return np.sort(train), np.sort(test)


_Fitted = tuple[dict[str, Tensor], dict[str, float], list[str]]


def _fit_linear(x: np.ndarray, y: np.ndarray, seed: int) -> _Fitted:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    exact = x.astype(np.float64)
    strength, how = _choose_strength(exact, y, seed)
    scaler = StandardScaler().fit(exact)
    fitted = LogisticRegression(C=strength, max_iter=_ROUNDS).fit(scaler.transform(exact), y)
    weight, bias = fitted.coef_, fitted.intercept_
    if len(weight) == 1:
        # Two classes share one row of coefficients: the logit of the second less the first's.
        weight, bias = np.stack([-weight[0], weight[0]]) / 2, np.stack([-bias[0], bias[0]]) / 2
    arrays = (scaler.mean_, scaler.scale_, weight, bias)
    numbers = (torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in arrays)
    tensors = dict(zip(TENSORS["linear"], numbers, strict=True))
    notes = [f"C = {strength:g} ({how})"]
    if int(fitted.n_iter_.max()) >= _ROUNDS:
        notes.append(f"the fit had not settled after {_ROUNDS} rounds")
    return tensors, {"C": strength}, notes


def _choose_strength(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[float, str]:
    """C of the lowest log loss in up to three folds, and how it was chosen in words."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = min(3, int(np.bincount(y).min()))
    if folds < 2:
        return _DEFAULT_STRENGTH, "not chosen: a class has one train picture only"
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    losses = []
    for strength in _STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=_ROUNDS))
        losses.append(-cross_val_score(model, x, y, cv=parts, scoring="neg_log_loss").mean())
    return _STRENGTHS[int(np.argmin(losses))], f"the lowest log loss in {folds} folds"


def _fit_neighbours(x: np.ndarray, y: np.ndarray) -> _Fitted:
    reference = normalize(torch.from_numpy(x))
    k = min(_NEIGHBOURS, len(x))
    # Evenly spaced rows do for a mean; each row finds itself first and that one is left out.
    asked = reference[:: math.ceil(len(x) / _DISTANCE_ROWS)]
    near = (asked @ reference.T).topk(min(k + 1, len(x))).values[:, 1:]  # rows k
    distance = max(float((1 - near).mean()), 1e-6)
    tensors = {"reference": reference, "classes": torch.from_numpy(y)}
    return tensors, {"k": k, "distance": distance}, [f"{k} nearest pictures by cosine"]
