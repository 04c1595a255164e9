"""The attention of one model on one picture, ready for the lens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.io.fitting import fit_picture, normalise, place, placement_notes
from analytics.store.provenance import make_provenance
from analytics.studies.heads_off import HeadsOff, Pairs, effect_of, gates_of
from analytics.types import Direction, Fit, PatchGrid, Picture, Placement, Provenance, TokenLayout

if TYPE_CHECKING:
    from analytics.capture.layers import LayerAttention
    from analytics.capture.recording import Gates
    from analytics.capture.sites import SiteMap
    from analytics.models.readout import ReadOut
    from analytics.models.registry import LoadedModel

VERSION = 1
"""Raised whenever a record made from the same inputs would differ."""

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True)
class LensRecord:
    """Everything the lens shows of one model on one picture.

    `base_layout` holds what can be pointed at: all prefix tokens, and the finest grid of
    patches. `token_norms` has, per layer, the norm of every token of the residual stream
    after that layer, float32 (tokens,), and `pca` the first three principal components of
    the patch tokens there as colours, uint8 (rows, columns, 3); both are empty where the
    family does not give its residual stream. `off` says which heads were switched off and
    what that changed; None where none was.
    """

    id: str
    picture: Picture
    placement: Placement
    base_layout: TokenLayout
    layers: tuple[LayerAttention, ...]
    token_norms: tuple[np.ndarray, ...]
    pca: tuple[np.ndarray, ...]
    provenance: Provenance
    model_label: str
    caution: str
    off: HeadsOff | None = None

    @property
    def nbytes(self) -> int:
        """Memory of the attention and the picture."""
        extra = sum(array.nbytes for array in (*self.token_norms, *self.pca, self.picture.pixels))
        return extra + sum(layer.nbytes for layer in self.layers)

    def rows(self, token: str, direction: Direction) -> list[np.ndarray]:
        """Per layer float32 (heads, tokens): attention of, or to, one token.

        Raises:
            ValueError: no such token, or another direction.
        """
        if direction not in ("to", "from"):
            raise ValueError(f"expected a direction of 'to' or 'from', got {direction!r}")
        self.base_layout.index(token)
        return [layer.rows(token, self.base_layout.grid, direction) for layer in self.layers]


def lens_key(
    model: str,
    weights_sha256: str,
    picture_sha256: str,
    fit: Fit,
    input_size: tuple[int, int],
    dtype: str,
    off: Pairs = (),
    readout: str = "",
) -> str:
    """The id that `attend` gives its record for these inputs.

    `readout` is the hash of a read-out's numbers; it counts where heads are switched off.
    """
    parts: list[object] = [VERSION, model, weights_sha256, picture_sha256, fit]
    parts += [list(input_size), dtype]
    if off:
        parts += [sorted(map(list, off)), readout]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def attend(
    loaded: LoadedModel,
    picture: Picture,
    fit: Fit = "crop",
    progress: Progress | None = None,
    command: str = "",
    sites: SiteMap | None = None,
    off: Pairs = (),
    readout: ReadOut | None = None,
) -> LensRecord:
    """Run a model on a picture and keep the attention of every layer and head.

    Args:
        loaded: the model, built for the input size to use.
        picture: any decoded picture.
        fit: how the picture is brought to the model's input size.
        progress: called with (done, total, what is being done); may raise to cancel.
        command: what was typed, for the provenance.
        sites: where the model attends at this size, when already known.
        off: heads that are switched off.
        readout: names classes from the model's features; asked where heads are off.

    Raises:
        ValueError: the model has no attention that can be drawn, or no such head.
    """
    import torch

    from analytics.capture.tracing import find_sites

    report = progress or (lambda done, total, message: None)
    height, width = loaded.input_size
    placement = place(picture.height, picture.width, fit, height, width)
    report(0, 3, "finding where the model attends")
    sites = sites or find_sites(loaded.module, loaded.input_size)
    if sites.undrawable:
        raise ValueError(
            f"{loaded.label} has no layer in which patches attend to patches in a way that can "
            f"be drawn ({sites.undrawable}). Choose another model, for example a ViT, DeiT, "
            "BEiT, EVA or Swin"
        )
    report(1, 3, "running the model")
    pixels = normalise(fit_picture(picture, placement), loaded.mean, loaded.std)
    batch = torch.from_numpy(pixels)[None].to(loaded.device, getattr(torch, loaded.dtype))
    gates = gates_of(sites, off)
    layers, streams = _capture(loaded.module, sites, batch, gates)
    effect = effect_of(loaded, sites, batch, gates, off, readout) if off else None
    report(2, 3, "measuring tokens")
    norms, colours = _token_views(layers, streams)
    left_out = len(sites.sites) - len(sites.placed)
    notes = [*placement_notes(picture.height, picture.width, placement), *sites.refused_notes]
    if left_out:
        notes.append(f"{left_out} of {len(sites.sites)} attention layers have no known places")
    report(3, 3, "done")
    return LensRecord(
        id=lens_key(
            loaded.spec.id,
            loaded.weights_sha256,
            picture.sha256,
            fit,
            loaded.input_size,
            loaded.dtype,
            off,
            readout.sha256 if readout else "",
        ),
        picture=picture,
        placement=placement,
        base_layout=_base_layout(layers),
        layers=layers,
        token_norms=norms,
        pca=colours,
        provenance=make_provenance(
            command,
            loaded.spec.public_id,
            loaded.weights_sha256,
            {picture.name: picture.sha256},
            {
                "fit": fit,
                "input_size": [height, width],
                "dtype": loaded.dtype,
                "version": VERSION,
                **(
                    {"heads_off": [f"L{layer}H{head}" for layer, head in sorted(off)]}
                    if off
                    else {}
                ),
            },
            device=loaded.device,
            notes=tuple(notes),
        ),
        model_label=loaded.label,
        caution=loaded.caution,
        off=effect,
    )


def _capture(
    module: object, sites: SiteMap, batch: object, gates: Gates | None
) -> tuple[tuple[LayerAttention, ...], list[np.ndarray]]:
    """The layers' attention and, where the family gives it, the residual stream after each."""
    import torch

    from analytics.capture.layers import keep_layer
    from analytics.capture.recording import Heads, capture
    from analytics.capture.streams import forward_with_streams

    def explicit_map(heads: Heads) -> torch.Tensor | None:
        # Fused layers keep q and k; only the others have to keep the map.
        return None if heads.softmax is None else heads.attention()

    with (
        torch.no_grad(),
        capture(
            module,  # type: ignore[arg-type]
            sites,
            ("query", "key"),
            explicit_map,
            gates,
        ) as captured,
    ):
        streams = forward_with_streams(module, batch)  # type: ignore[arg-type]
    drawn = [one for one in captured if one.site.placed]
    return tuple(keep_layer(one, f"L{i}") for i, one in enumerate(drawn)), list(streams)


def _base_layout(layers: tuple[LayerAttention, ...]) -> TokenLayout:
    """All prefix tokens of all layers, and the finest grid."""
    layouts = [layout for one in layers for layout in (one.query_layout, one.key_layout)]
    grid: PatchGrid = max((layout.grid for layout in layouts), key=lambda grid: grid.count)
    prefix = dict.fromkeys(name for layout in layouts for name in layout.prefix)
    return TokenLayout(tuple(prefix), grid)


def _token_views(
    layers: tuple[LayerAttention, ...], streams: list[np.ndarray]
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Token norms and patch colours of every layer, or nothing where layers and streams differ.

    A layer that only pools (no patch asks) has no residual stream of its own: its norms are
    NaN and its patches grey.
    """
    from analytics.metrics.tokens import component_colours, token_norms

    blocks = [one.key_layout.num_tokens for one in layers if one.query_layout.grid.count]
    if not streams or [len(stream) for stream in streams] != blocks:
        return (), ()
    norms, colours, before = [], [], None
    rest = iter(streams)
    for layer in layers:
        layout = layer.key_layout
        shape = (layout.grid.rows, layout.grid.columns, 3)
        if layer.query_layout.grid.count == 0:
            norms.append(np.full(layout.num_tokens, np.nan, np.float32))
            colours.append(np.full(shape, 128, np.uint8))
            continue
        stream = next(rest)
        norms.append(token_norms(stream))
        before = component_colours(stream[len(layout.prefix) :], before)
        colours.append(before.colours.reshape(shape))
    return tuple(norms), tuple(colours)
