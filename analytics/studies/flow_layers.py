"""Which layers a flow can be followed through, and where the output is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from analytics.types import PatchGrid, TokenLayout

if TYPE_CHECKING:
    from analytics.capture.sites import Site, SiteMap
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel

ReadAt = Literal["cls", "patches", "both"]
"""Which output tokens are read: cls, the mean of the patches, or both joined."""

READ_WORDS: dict[ReadAt, str] = {
    "cls": "the row of the cls token",
    "patches": "the mean of the rows of all patches",
    "both": "the row of the cls token and the mean of the rows of all patches, half each",
}


class FlowLayers(NamedTuple):
    """The layers of a model as a flow sees them.

    `placed` are all layers of the lens. `mixing` are those that maps are followed through, in
    order; none of them where `refused` says why not. `base` is the layout of all numbers.
    """

    placed: tuple[Site, ...]
    mixing: tuple[Site, ...]
    refused: str
    base: TokenLayout
    read_at: ReadAt

    @property
    def labels(self) -> tuple[str, ...]:
        """`L0`, `L1`, ..."""
        return tuple(f"L{i}" for i in range(len(self.placed)))

    def position(self, site: Site) -> int | None:
        """Which layer of the lens a site is; None for none."""
        return next((i for i, one in enumerate(self.placed) if one.index == site.index), None)


def flow_layers(loaded: LoadedModel, sites: SiteMap, readout: ReadOut | None) -> FlowLayers:
    """The layers of a model, up to the one that a read-out reads.

    Raises:
        ValueError: no layer can be drawn.
    """
    from analytics.studies.features import layer_count

    if sites.undrawable:
        raise ValueError(
            f"{loaded.label} has no layer in which patches attend to patches in a way that can "
            f"be drawn ({sites.undrawable}). Choose another model, for example a ViT, DeiT, "
            "BEiT or EVA"
        )
    refused = _refusal(sites)
    mixing = () if refused else tuple(site for site in sites.placed if _asks(site))
    if readout is not None and readout.layer is not None:
        # Later layers have no part in what is read.
        mixing = mixing[: readout.layer + 1] if len(mixing) == layer_count(loaded.module) else ()
        refused = refused or ("" if mixing else "its attention layers and its outputs differ")
    return FlowLayers(
        sites.placed, mixing, refused, base_layout(sites), _read_at(loaded.module, readout)
    )


def base_layout(sites: SiteMap) -> TokenLayout:
    """All prefix tokens of all layers, and the finest grid."""
    both = [(site.query_layout, site.key_layout) for site in sites.placed]
    layouts = [layout for pair in both for layout in pair if layout is not None]
    grid: PatchGrid = max((layout.grid for layout in layouts), key=lambda grid: grid.count)
    prefix = dict.fromkeys(name for layout in layouts for name in layout.prefix)
    return TokenLayout(tuple(prefix), grid)


def read_weights(layout: TokenLayout, read_at: ReadAt) -> np.ndarray:
    """How much of each token of a layout is read at the end, float32 (tokens,); sums to 1.

    Known answer: cls and two patches, read `both`, give (1/2, 1/4, 1/4).
    """
    patches = np.zeros(layout.num_tokens, np.float32)
    patches[len(layout.prefix) :] = 1 / layout.grid.count
    if read_at == "patches" or "cls" not in layout.prefix:
        return patches
    cls = np.zeros_like(patches)
    cls[layout.prefix.index("cls")] = 1
    return cls if read_at == "cls" else (cls + patches) / 2


def on_base(values: np.ndarray, layout: TokenLayout, base: TokenLayout) -> np.ndarray:
    """One layer's numbers on the layout of all layers, float32 (tokens of `base`,).

    A coarser patch is repeated at every place that it covers; tokens that the layer lacks
    are NaN.

    Args:
        values: (tokens of `layout`,).
        layout: the layer's own.
        base: that of all layers.
    """
    found = np.full(base.num_tokens, np.nan, np.float32)
    for place, name in enumerate(base.prefix):
        if name in layout.prefix:
            found[place] = values[layout.prefix.index(name)]
    if layout.grid.count:
        rows = (2 * np.arange(base.grid.rows) + 1) * layout.grid.rows // (2 * base.grid.rows)
        columns = 2 * np.arange(base.grid.columns) + 1
        columns = columns * layout.grid.columns // (2 * base.grid.columns)
        plane = values[len(layout.prefix) :].reshape(layout.grid.rows, layout.grid.columns)
        found[len(base.prefix) :] = plane[rows[:, None], columns[None]].reshape(-1)
    return found


def _asks(site: Site) -> bool:
    """Whether patches are among a layer's queries."""
    return bool(site.query_layout and site.query_layout.grid.count)


def _refusal(sites: SiteMap) -> str:
    """Why maps cannot be followed through all layers; empty where they can."""
    asking = [site for site in sites.placed if _asks(site)]
    layouts = {layout for site in asking for layout in (site.query_layout, site.key_layout)}
    if sites.refused:
        return f"some of its layers have no attention between tokens ({sites.refused_notes[0]})"
    if len(sites.placed) != len(sites.sites):
        return "the places of the tokens are not known in all of its layers"
    if any(site.num_windows > 1 for site in asking):
        return "its attention stays inside windows, and no window sees the whole picture"
    if len(layouts) > 1:
        return "its layers differ in tokens or grid, so that their maps cannot be multiplied"
    if any(site.mixed for site in asking):
        return "its heads are mixed after the softmax, so that rows need not sum to 1"
    return ""


def _read_at(module: object, readout: ReadOut | None) -> ReadAt:
    from analytics.studies.features import prefix_facts

    _, has_cls = prefix_facts(module)  # type: ignore[arg-type]
    if not has_cls:
        return "patches"
    if readout is not None:
        return "both"
    classes = int(getattr(module, "num_classes", 0) or 0)
    return "patches" if classes and getattr(module, "global_pool", "") == "avg" else "cls"
