"""The left panel: which model and which picture are under study, the same on every page."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import streamlit as st

from analytics.types import Fit
from pages._address import keep_own, own_pictures
from pages._components.gallery import gallery
from pages._shared import (
    BUNDLED,
    FIT,
    MODEL,
    OFF,
    PICTURE,
    SIZE,
    WEIGHTS,
    Shown,
    checkpoint_path,
    has_weights,
    heading,
    here,
    keep_checkpoint,
    loaded_model,
    model_names,
    note,
    remember,
    sample_pictures,
)

if TYPE_CHECKING:
    from analytics.studies.attend import LensRecord

RANDOM = ":random"
DEFAULT_SIZE = "atlas_default_size"
_ROUND = "_files_round"
_PICTURES = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "gif", "heic", "avif", "zip"]


def choose_model() -> None:
    """The model: bundled, any of timm's, a hub repository, a file; random weights as control."""
    heading("Model")
    state = st.session_state
    bare = state[MODEL].removesuffix(RANDOM)
    names = [BUNDLED, *model_names()]
    options = names if bare in names else [bare, *names]
    state["_model"] = bare
    st.selectbox(
        "Model",
        options,
        key="_model",
        format_func=model_title,
        accept_new_options=True,
        label_visibility="collapsed",
        help="Type a part of a timm name, or hf-hub:owner/name",
        on_change=_take_model,
    )
    if bare != BUNDLED and not bare.startswith("hf-hub:") and not state[WEIGHTS]:
        state["_random"] = state[MODEL].endswith(RANDOM)
        st.toggle(
            "Random weights (a control)",
            key="_random",
            on_change=_take_random,
            help="The same architecture, untrained: what attention looks like before learning",
        )


def model_title(name: str) -> str:
    """A model as the menus show it, with where its weights come from."""
    if name == BUNDLED:
        return "ViT-S/14, bundled"
    if name.startswith("hf-hub:"):
        return f"{name} · from the hub"
    if not model_names():
        return name
    return f"{name} · {'weights from the hub' if _trained(name) else 'no weights, random only'}"


def _trained(name: str) -> bool:
    try:
        return has_weights(name)
    except (RuntimeError, ValueError):
        return False


def _take_model() -> None:
    state = st.session_state
    state[MODEL] = spelled((state["_model"] or BUNDLED).strip())
    state[WEIGHTS], state[SIZE], state[OFF] = "", None, ()


def _take_random() -> None:
    state = st.session_state
    state[MODEL] = state[MODEL].removesuffix(RANDOM) + (RANDOM if state["_random"] else "")


def spelled(name: str) -> str:
    """A name as models are known by: with random weights where there are no others."""
    plain = name != BUNDLED and ":" not in name and name in model_names()
    return name + RANDOM if plain and not _trained(name) else name


def choose_checkpoint() -> None:
    """A local weights file with the architecture it fits."""
    with st.expander("Weights from a file", expanded=bool(st.session_state[WEIGHTS])):
        st.file_uploader(
            "Weights (.safetensors, .pth, .pt, .bin)",
            type=["safetensors", "pth", "pt", "bin"],
            key="_weights_file",
        )
        st.text_input(
            "timm name of the architecture",
            key="_weights_name",
            placeholder="vit_small_patch16_224",
        )
        st.button("Use these weights", on_click=_take_checkpoint, width="stretch")


def _take_checkpoint() -> None:
    state = st.session_state
    file, name = state["_weights_file"], (state["_weights_name"] or "").strip()
    if file is None or not name:
        note("Choose a weights file and name its architecture, then press the button again.")
        return
    try:
        sha256 = keep_checkpoint(file.getvalue(), file.name)
    except (OSError, ValueError) as error:
        note(str(error))
        return
    state[MODEL], state[WEIGHTS], state[SIZE], state[OFF] = name, sha256, None, ()


def describe_model(record: LensRecord | None) -> None:
    """Layers x heads, patch, caution and the start of the weights' hash."""
    if record is None:
        return
    heads = sorted({layer.num_heads for layer in record.layers})
    per_layer = str(heads[0]) if len(heads) == 1 else f"{heads[0]} to {heads[-1]}"
    place, grid = record.placement, record.base_layout.grid
    prefix = len(record.base_layout.prefix)
    lines = [
        f"{len(record.layers)} layers × {per_layer} heads · patch {place.width // grid.columns}",
        f"{prefix} prefix token{'s' if prefix != 1 else ''} · "
        f"weights {record.provenance.weights_sha256[:8]}…",
    ]
    st.html(f'<p class="atlas-facts">{"<br>".join(lines)}</p>')


def describe_report(record: LensRecord | None) -> None:
    """What of a weights file was used: missing and unexpected names."""
    state = st.session_state
    if record is None or not state[WEIGHTS]:
        return
    report = loaded_model(state[MODEL], checkpoint_path(state[WEIGHTS]), state[SIZE]).report
    if report is not None:
        with st.expander("What of the file was used"):
            st.text(report.text())


def choose_picture() -> None:
    """The picture: samples, own uploads, a server folder."""
    heading("Picture")
    pictures = [*own_pictures(), *sample_pictures()]
    picked = gallery(pictures, st.session_state[PICTURE], here().signer.sign)
    if picked and picked != st.session_state[PICTURE]:
        st.session_state[PICTURE] = picked
        st.rerun()
    files = st.file_uploader(
        "Add pictures",
        type=_PICTURES,
        accept_multiple_files=True,
        key=f"_files_{st.session_state.get(_ROUND, 0)}",
        label_visibility="collapsed",
    )
    if files:
        for file in files:
            store_pictures(file.getvalue(), file.name)
        # Another key empties the widget, ready for the next files.
        st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
        st.rerun()
    if here().settings.roots:
        _server_folder()


def store_pictures(data: bytes, name: str) -> bool:
    """Store a picture, or those of a zip, offer them first and look at the first.

    Returns:
        Whether there was any that can be read; notes name what was refused.
    """
    return _take(_stored(data, name))


def _take(stored: list[Shown]) -> bool:
    for picture in reversed(stored):
        keep_own(picture)
    if stored:
        st.session_state[PICTURE] = stored[0].sha256
    return bool(stored)


def _stored(data: bytes, name: str) -> list[Shown]:
    """Store an upload, or every picture of a zip; notes name what was refused."""
    from analytics.io.archives import Member, archive_members

    found = []
    try:
        zipped = name.lower().endswith(".zip")
        members = archive_members(data, name) if zipped else [Member(name, data)]
        for member in members:
            if not isinstance(member, Member):
                note(f"{member.name}: {member.reason}")
                continue
            found += _put(member.data, member.name)
    except ValueError as error:
        note(str(error))
    return found


def _put(data: bytes, name: str) -> list[Shown]:
    try:
        picture = here().pictures.put(data, name)
    except ValueError as error:
        note(str(error))
        return []
    return [Shown(picture.sha256, picture.name)]


def _server_folder() -> None:
    """Pictures in a folder of the server, below the roots that it was started with."""
    from analytics.io.sources import list_pictures

    roots = here().settings.roots
    with st.expander("Folder on the server"):
        folder = st.text_input("Folder", key="_folder", value=str(roots[0]))
        try:
            paths = list_pictures(folder, roots)
        except ValueError as error:
            st.text(str(error))
            return
        path = st.selectbox("Picture", paths, format_func=lambda one: one.name, key="_folder_file")
        if st.button("Look at it", width="stretch") and path is not None:
            _take(_put(path.read_bytes(), path.name))
            st.rerun()


def choose_fit(sizes: tuple[int, ...], patch: int | None) -> None:
    """How the picture is fitted to the model's square input, and the input's side."""
    state = st.session_state
    state["_" + FIT] = state[FIT]
    st.segmented_control(
        "Fit",
        get_args(Fit),
        key="_" + FIT,
        required=True,
        width="stretch",
        label_visibility="collapsed",
        help="Centre crop, pad with grey, or stretch to the model's square input",
        on_change=remember,
        args=(FIT,),
    )
    options = sorted({*sizes, *([state[SIZE]] if state[SIZE] else [])})
    if not options:
        return
    chosen = state[SIZE] or state.get(DEFAULT_SIZE) or options[0]
    state["_" + SIZE] = chosen if chosen in options else options[0]
    st.selectbox(
        "Input size",
        options,
        key="_" + SIZE,
        format_func=lambda side: _size_title(side, patch),
        label_visibility="collapsed",
        on_change=remember,
        args=(SIZE,),
    )


def _size_title(side: int, patch: int | None) -> str:
    if not patch or side % patch:
        return f"{side} px"
    return f"{side} px, {side // patch}×{side // patch} patches"
