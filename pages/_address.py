"""The address of a view: what a deep link says, checked before anything uses it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import streamlit as st

from analytics.types import Fit
from pages._shared import (
    BUNDLED,
    FIT,
    MODEL,
    OFF,
    OWN_PICTURES,
    PICTURE,
    SIZE,
    WEIGHTS,
    Shown,
    checkpoint_path,
    here,
    note,
    sample_pictures,
)

if TYPE_CHECKING:
    from analytics.studies.attend import LensRecord

WRITTEN = "atlas_written"
VIEW = "lens_view"
SERIAL = "lens_serial"
_PREFIX = re.compile(r"[0-9a-f]{8,64}")
_QUERY = re.compile(r"(cls|reg\d{1,2}|dist|\d{1,4},\d{1,4})")
_LOOKS = {"scale": ("map", "layer", "all"), "overlay": ("attention", "pca", "norm")}


@dataclass(frozen=True)
class Address:
    """A deep link in checked parts.

    `view` holds layer, head, q, dir, scale, cmap, overlay, opacity, heads and metric.
    """

    model: str = BUNDLED
    weights: str = ""
    image: str = ""
    off: tuple[tuple[int, int], ...] = ()
    size: int | None = None
    fit: Fit = "crop"
    view: Mapping[str, Any] = field(default_factory=dict)


def read(params: Mapping[str, str]) -> tuple[Address, list[str]]:
    """Check an address part by part.

    Returns:
        The address with defaults in place of what cannot be used, and one plain sentence
        for each part that was left out.
    """
    notes: list[str] = []
    fit = choice(params, "fit", get_args(Fit), "crop", notes)
    return (
        Address(
            model=_model(params.get("model", ""), notes),
            weights=params.get("weights", ""),
            image=params.get("image", "").lower(),
            off=_pairs(_heads(params, "off", notes)),
            size=number(params, "size", notes),
            fit=fit,  # type: ignore[arg-type]  # one of Fit, checked above
            view=_view(params, notes),
        ),
        notes,
    )


def _model(text: str, notes: list[str]) -> str:
    # `file:` names a path on the server: only this page may say which files are read.
    if text.startswith("file:"):
        notes.append("A link cannot name a file on the server; the bundled model is shown.")
        return BUNDLED
    return text.strip() or BUNDLED


def number(params: Mapping[str, str], name: str, notes: list[str]) -> int | None:
    """A whole number of an address; None, with a note, where it is none."""
    text = params.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 5):
        notes.append(f"The link has {name}={text[:20]!r}, which is no number; it was left out.")
        return None
    return int(text)


def choice(
    params: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str, notes: list[str]
) -> str:
    """One of the values allowed; the default, with a note, where it is none of them."""
    text = params.get(name, default) or default
    if text in allowed:
        return text
    notes.append(f"The link has {name}={text[:20]!r}; expected {', '.join(allowed)}.")
    return default


def _view(params: Mapping[str, str], notes: list[str]) -> dict[str, Any]:
    view: dict[str, Any] = {}
    for name in ("layer", "head"):
        value = number(params, name, notes)
        if value is not None:
            view[name] = value
    query = params.get("q", "").replace(" ", "")
    if query and _QUERY.fullmatch(query):
        view["q"] = query
    elif query:
        notes.append(f"The link has q={query[:20]!r}; expected cls, reg0 or a patch as 7,9.")
    way = {"dir": params.get("dir") or params.get("direction", "")}
    view["dir"] = choice(way, "dir", ("to", "from"), "to", notes)
    for name, allowed in _LOOKS.items():
        if name in params:
            view[name] = choice(params, name, allowed, allowed[0], notes)
    view |= _opacity(params.get("opacity", ""), notes)
    heads = _heads(params, "heads", notes)
    view |= {"heads": heads} if heads else {}
    metric = params.get("metric", "")
    if metric and metric not in strength_metrics():
        from analytics.metrics.catalogue import HEAD_METRICS

        view["metric"] = choice(params, "metric", tuple(HEAD_METRICS), "cls_shift", notes)
    if "cmap" in params:
        from analytics.views.colours import NAMES

        view["cmap"] = choice(params, "cmap", NAMES, "inferno", notes)
    return view


def strength_metrics() -> tuple[str, ...]:
    """Names that `metric` has on the Strength page, which reads them itself."""
    from analytics.metrics.strength_catalogue import STRENGTH_METRICS

    return (*STRENGTH_METRICS, "content_agnosticism")


def _opacity(text: str, notes: list[str]) -> dict[str, str]:
    if not text or re.fullmatch(r"(0(\.\d{1,4})?|1(\.0{1,4})?)", text):
        return {"opacity": text} if text else {}
    notes.append(f"The link has opacity={text[:20]!r}; expected a number from 0 to 1.")
    return {}


def _heads(params: Mapping[str, str], name: str, notes: list[str]) -> str:
    """Heads as `9:3,11:0` (layer:head): those of a mean, or those switched off."""
    text = params.get(name, "")
    if len(text) <= 2000 and re.fullmatch(r"(\d{1,3}:\d{1,3}(,\d{1,3}:\d{1,3})*)?", text):
        return text
    notes.append(f"The link has {name}={text[:20]!r}; expected layer:head pairs as 9:3,11:0.")
    return ""


def _pairs(text: str) -> tuple[tuple[int, int], ...]:
    """`9:3,11:0` as pairs."""
    found = [pair.split(":") for pair in text.split(",") if pair]
    return tuple(dict.fromkeys((int(layer), int(head)) for layer, head in found))


def find_picture(text: str) -> str | None:
    """The stored picture that a hash, or the start of one, names; None where there is none.

    A start is enough for samples and for this session's own pictures; anybody else's
    picture opens only by its whole hash, which cannot be guessed.
    """
    if not _PREFIX.fullmatch(text):
        return None
    offered = (*sample_pictures(), *own_pictures())
    for picture in offered:
        if picture.sha256.startswith(text):
            return picture.sha256
    try:
        here().pictures.data(text)
    except ValueError:
        return None
    return text


def own_pictures() -> list[Shown]:
    """Pictures that this session has brought, newest first."""
    return list(st.session_state.setdefault(OWN_PICTURES, []))


def seed() -> None:
    """Take the address over into the session: at its start and when the browser went back."""
    now = st.query_params.to_dict()
    # A bare address is another page of the same session: its choices go along.
    if PICTURE in st.session_state and now in ({}, st.session_state.get(WRITTEN)):
        return
    found, notes = read(now)
    for sentence in notes:
        note(sentence)
    state = st.session_state
    state[MODEL], state[FIT], state[SIZE] = found.model, found.fit, found.size
    state[OFF] = found.off
    state[WEIGHTS] = found.weights if found.weights and checkpoint_path(found.weights) else ""
    if found.weights and not state[WEIGHTS]:
        note("The link names a weights file that is not stored on this server; upload it again.")
        state[MODEL] = BUNDLED
    picture = find_picture(found.image) if found.image else None
    if found.image and picture is None:
        note("The picture of this link is not stored on this server; upload it, or take a sample.")
    samples = sample_pictures()
    state[PICTURE] = picture or (samples[0].sha256 if samples else "")
    if picture and picture not in {one.sha256 for one in (*samples, *own_pictures())}:
        keep_own(Shown(picture, here().pictures.name(picture)))
    state[VIEW] = dict(found.view)
    state[SERIAL] = state.get(SERIAL, 0) + 1
    state[WRITTEN] = now


def keep_own(picture: Shown) -> None:
    """Add a picture to the session's own, newest first, at most 24."""
    others = [one for one in own_pictures() if one.sha256 != picture.sha256]
    st.session_state[OWN_PICTURES] = [picture, *others][:24]


def link() -> dict[str, str]:
    """The part of the address that does not depend on the view inside the instrument."""
    state = st.session_state
    sample = any(one.sha256 == state[PICTURE] for one in sample_pictures())
    parts = {
        "model": state[MODEL],
        "weights": state[WEIGHTS],
        "image": state[PICTURE][:16] if sample else state[PICTURE],
        "size": str(state[SIZE] or ""),
        "fit": state[FIT],
        "off": ",".join(f"{layer}:{head}" for layer, head in state.get(OFF) or ()),
    }
    return {name: value for name, value in parts.items() if value}


def write(more: Mapping[str, str] | None = None) -> None:
    """Put the present choices into the address, so that it can be shared or reloaded.

    `more` is what belongs to the page alone.
    """
    view = st.session_state.get(VIEW) or {}
    parts = link() | {name: str(value) for name, value in view.items() if value not in ("", None)}
    parts |= more or {}
    if st.query_params.to_dict() != parts:
        st.query_params.from_dict(parts)
    st.session_state[WRITTEN] = parts


def fit_view(record: LensRecord) -> dict[str, Any]:
    """The remembered view, with a note for what this model does not have."""
    view = dict(st.session_state.get(VIEW) or {})
    layers = record.layers
    layer = view.get("layer")
    if isinstance(layer, int) and layer >= len(layers):
        note(f"The link asks for layer {layer}; this model has layers 0 to {len(layers) - 1}.")
        view.pop("layer"), view.pop("head", None)
    head, layer = view.get("head"), view.get("layer", len(layers) - 1)
    if isinstance(head, int) and head >= layers[layer].num_heads:
        note(f"The link asks for head {head}; layer {layer} has {layers[layer].num_heads} heads.")
        view.pop("head")
    pairs = [pair for pair in view.get("heads", "").split(",") if pair]
    absent = [pair for pair in pairs if not _has_head(record, *map(int, pair.split(":")))]
    if absent:
        note(f"The link takes heads into a mean that this model lacks: {', '.join(absent)}.")
    view["heads"] = ",".join(pair for pair in pairs if pair not in absent)
    try:
        record.base_layout.index(view.get("q") or record.base_layout.prefix[0])
    except (ValueError, IndexError):
        if view.get("q"):
            grid = record.base_layout.grid
            note(
                f"The link asks for {view['q']}; the grid has {grid.rows} x {grid.columns} patches."
            )
        view["q"] = ""
    return view


def _has_head(record: LensRecord, layer: int, head: int) -> bool:
    return layer < len(record.layers) and head < record.layers[layer].num_heads
