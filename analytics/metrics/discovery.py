"""Objects found in patch features or attention without a probe, as masks on the patch grid.

Features are (rows * columns, d), row-major, without prefix tokens: the keys of the last layer in
the papers. n counts patches.
"""

from __future__ import annotations

import numpy as np

from analytics.types import PatchGrid

LOST_SEEDS = 100
TOKENCUT_TAU, MASKCUT_TAU = 0.2, 0.15
APART = 1e-5
"""Weight of an edge between patches that are not alike."""


def lost_mask(features: np.ndarray, grid: PatchGrid, seeds: int = LOST_SEEDS) -> np.ndarray:
    """The object of LOST: what correlates with the patches that are like fewest others.

    The seed has the lowest degree, the number of patches with a product of 0 or more; of the
    `seeds` patches of lowest degree those with a product of 0 or more with it join it. A patch
    is in where its product with their sum is 0 or more; what hangs together with the seed stays.

    Args:
        features: (n, d).
        grid: of the patches.
        seeds: most patches that join the seed, itself included.

    Returns:
        bool (rows, columns). Known answers: of features u on a small block and -u elsewhere the
        block; all patches where they are equal.

    Raises:
        ValueError: features that do not fit the grid or are not finite.

    Reference: Simeoni et al. 2021, arXiv 2109.14279, section 3. Differs: the mask stays a mask,
    the paper draws a box around it.
    """
    f = _checked(features, grid)
    likeness = f @ f.T  # n n
    degree = (likeness >= 0).sum(1)
    lowest = np.argsort(degree, kind="stable")[: max(1, seeds)]
    seed = int(lowest[0])
    joined = lowest[likeness[lowest, seed] >= 0]
    return connected((likeness[:, joined].sum(1) >= 0).reshape(grid.rows, grid.columns), seed)


def tokencut_mask(features: np.ndarray, grid: PatchGrid, tau: float = TOKENCUT_TAU) -> np.ndarray:
    """The object of TokenCut: one side of a normalised cut of the graph of like patches.

    Edges weigh 1 where the cosine is at least tau and `APART` elsewhere. Patches are split at
    the mean of the second smallest eigenvector; the side of its largest size is the object, and
    what hangs together with that patch stays.

    Returns:
        bool (rows, columns). Known answers: the smaller of two blocks of unlike features; nothing
        where all patches are alike or there is one.

    Raises:
        ValueError: features that do not fit the grid or are not finite.

    Reference: Wang et al. 2022, arXiv 2202.11539, section 3.
    """
    f = _unit(_checked(features, grid))
    cut = _second_vector(np.where(f @ f.T >= tau, 1.0, APART))
    shape = (grid.rows, grid.columns)
    if cut is None:
        return np.zeros(shape, bool)
    seed = int(np.abs(cut).argmax())
    side = cut > cut.mean()
    return connected((side == side[seed]).reshape(shape), seed)


def maskcut_masks(
    features: np.ndarray, grid: PatchGrid, cuts: int = 3, tau: float = MASKCUT_TAU
) -> np.ndarray:
    """The objects of MaskCut: normalised cuts in turn, each without the patches found before.

    As `tokencut_mask`, but where that side has three or more of the grid's four corners the other
    side is the object, and the features of patches in earlier masks count as 0.

    Args:
        features: (n, d).
        grid: of the patches.
        cuts: most masks.
        tau: least cosine of an edge.

    Returns:
        bool (masks, rows, columns), at most `cuts`: it ends where nothing new is found. Known
        answers: each of two blocks on a background; no mask where all patches are alike.

    Raises:
        ValueError: features that do not fit the grid or are not finite, or fewer than one cut.

    Reference: Wang et al. 2023 (CutLER), arXiv 2301.11320, section 3.2. Differs: patches found
    before are left out of later masks, where the authors drop a mask that overlaps too much; the
    side does not hang on the sign of the eigenvector.
    """
    if cuts < 1:
        raise ValueError(f"expected at least one cut, got {cuts}")
    f = _unit(_checked(features, grid))
    free = np.ones(len(f), bool)
    masks: list[np.ndarray] = []
    for _ in range(cuts):
        left = f * free[:, None]
        cut = _second_vector(np.where(left @ left.T >= tau, 1.0, APART))
        mask = None if cut is None else _maskcut_side(cut, free, grid)
        if mask is None:
            break
        masks.append(mask)
        free &= ~mask.reshape(-1)
    return np.array(masks, bool).reshape(-1, grid.rows, grid.columns)


def _maskcut_side(cut: np.ndarray, free: np.ndarray, grid: PatchGrid) -> np.ndarray | None:
    """The object side of a cut, without what was found before; None where nothing is left."""
    seed = int(np.abs(cut).argmax())
    side = cut > cut.mean()
    side = side == side[seed]
    plane = side.reshape(grid.rows, grid.columns)
    if int(plane[[0, 0, -1, -1], [0, -1, 0, -1]].sum()) >= 3:
        side = ~side
    side &= free
    if not side.any():
        return None
    seed = int(np.where(side, np.abs(cut), -1.0).argmax())
    return connected(side.reshape(plane.shape), seed)


def mass_mask(attention: np.ndarray, mass: float = 0.6) -> np.ndarray:
    """The fewest patches that hold a share of the attention of a query.

    Args:
        attention: on patches, (..., n), 0 or more.
        mass: share of the sum over patches, above 0 and at most 1.

    Returns:
        bool (..., n). Known answers: of (.5, .3, .2) at .6 the first two; none of zeros.

    Raises:
        ValueError: a share out of range, or values below 0.

    Reference: Caron et al. 2021 (DINO), arXiv 2104.14294, section 4.2.3: cls attention by head.
    """
    given = np.asarray(attention, np.float64)
    if not 0 < mass <= 1 or not (given >= 0).all():
        raise ValueError(f"expected attention of 0 or more and mass in (0, 1], got mass {mass}")
    order = np.argsort(-given, axis=-1, kind="stable")
    ranked = np.take_along_axis(given, order, -1)
    before = ranked.cumsum(-1) - ranked
    kept = (before < mass * given.sum(-1, keepdims=True) * (1 - 1e-12)) & (ranked > 0)
    mask = np.zeros(given.shape, bool)
    np.put_along_axis(mask, order, kept, -1)
    return mask


def spectral_labels(affinity: np.ndarray, clusters: int, seed: int = 0) -> np.ndarray:
    """Groups of patches by spectral clustering of P(same object).

    Args:
        affinity: of every patch with every other, 0 or more, (n, n), made symmetric here.
        clusters: groups, background included; at most n are made.
        seed: of k-means.

    Returns:
        int32 (n,), from 0. Known answer: the blocks of a matrix of blocks; one group for n = 1.

    Raises:
        ValueError: no square matrix of finite values of 0 or more, or fewer than one group.

    Reference: Ng, Jordan & Weiss 2001, "On Spectral Clustering".
    """
    from sklearn.cluster import KMeans

    a = np.asarray(affinity, np.float64)
    if a.ndim != 2 or a.shape[0] != a.shape[1] or not len(a) or clusters < 1:
        raise ValueError(f"expected (n, n) and one group or more, got {a.shape} and {clusters}")
    if not np.isfinite(a).all() or (a < 0).any():
        raise ValueError("expected finite values of 0 or more between patches")
    clusters = min(clusters, len(a))
    rows = _unit(np.linalg.eigh(_balanced((a + a.T) / 2)[0])[1][:, -clusters:])
    # Equal rows have fewer places than groups.
    clusters = min(clusters, len(np.unique(rows.round(9), axis=0)))
    fitted = KMeans(clusters, n_init=10, random_state=seed).fit(rows)
    return np.asarray(fitted.labels_, np.int32)


def local_coherence(features: np.ndarray, grid: PatchGrid, count: int = 4) -> np.ndarray:
    """How alike a patch and its neighbours are: mean cosine to the most similar of them.

    Args:
        features: (n, d).
        grid: of the patches.
        count: neighbours that are taken of the 3 x 3 around a patch; at the edge all there are
            where they are fewer.

    Returns:
        float32 (rows, columns), -1 to 1; NaN for a grid of one patch. Known answer: 1 where
        all patches are equal.

    Reference: Yun et al. 2022 (SelfPatch), arXiv 2206.07990, section 3.1, whose positive patches
    these are; the mean as a measure is ours.
    """
    f = _unit(_checked(features, grid)).reshape(grid.rows, grid.columns, -1)
    padded = np.pad(f, ((1, 1), (1, 1), (0, 0)))
    there = np.pad(np.ones((grid.rows, grid.columns), bool), 1)
    found = []
    for down in range(3):
        for right in range(3):
            if (down, right) != (1, 1):
                box = np.s_[down : down + grid.rows, right : right + grid.columns]
                found.append(np.where(there[box], (padded[box] * f).sum(-1), -np.inf))
    best = -np.sort(-np.stack(found), axis=0)[:count]  # count, rows, columns
    known = np.isfinite(best)
    total, number = np.where(known, best, 0).sum(0), known.sum(0)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan).astype(np.float32)


def connected(mask: np.ndarray, seed: int) -> np.ndarray:
    """What of a mask hangs together with a patch by sides, bool (rows, columns).

    Args:
        mask: bool (rows, columns).
        seed: place of the patch, row-major; outside the mask the answer is empty.
    """
    found = np.zeros(mask.shape, bool)
    found.reshape(-1)[seed] = mask.reshape(-1)[seed]
    while True:
        grown = found.copy()
        grown[1:] |= found[:-1]
        grown[:-1] |= found[1:]
        grown[:, 1:] |= found[:, :-1]
        grown[:, :-1] |= found[:, 1:]
        grown &= mask
        if (grown == found).all():
            return found
        found = grown


def _second_vector(weights: np.ndarray) -> np.ndarray | None:
    """Second smallest solution of (D - W) x = l D x, (n,); None where there is nothing to cut."""
    if len(weights) < 2 or weights.min() == weights.max():
        return None
    balanced, root = _balanced(weights)
    return np.linalg.eigh(balanced)[1][:, -2] / root


def _balanced(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """D^-1/2 W D^-1/2, whose largest eigenvalues are the smallest of the Laplacian; D^1/2."""
    root = np.sqrt(np.maximum(weights.sum(1), 1e-12))
    return weights / root[:, None] / root, root


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _checked(features: np.ndarray, grid: PatchGrid) -> np.ndarray:
    f = np.asarray(features, np.float64)
    if f.ndim != 2 or len(f) != grid.count or not grid.count:
        raise ValueError(
            f"expected features of {grid.count} patches ({grid.rows} x {grid.columns}), (n, d), "
            f"got {f.shape}; leave prefix tokens out"
        )
    if not np.isfinite(f).all():
        raise ValueError("expected finite features, got NaN or infinity")
    return f
