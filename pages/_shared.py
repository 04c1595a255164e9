"""What every page needs: the frame's style, cached loaders, the names of remembered choices."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from analytics.models.registry import LoadedModel
    from analytics.serve.state import Services

STYLE = Path(__file__).with_name("_frame.css")
BUNDLED = "bundled"

# Names under which choices are remembered across reruns and pages.
MODEL, WEIGHTS, PICTURE, FIT, SIZE = (
    "atlas_model",
    "atlas_weights",
    "atlas_picture",
    "atlas_fit",
    "atlas_size",
)
OFF, LENS_READOUT = "lens_off", "lens_readout"
"""Heads that are switched off in the lens, as pairs; name of the read-out that judges it."""
OWN_PICTURES = "atlas_own_pictures"
NOTES = "atlas_notes"


@dataclass(frozen=True)
class Shown:
    """A picture on offer: its hash, a title and what is said of its licence."""

    sha256: str
    title: str
    licence: str = ""


def here() -> Services:
    """The services of this process."""
    from analytics.serve.state import services

    return services()


def frame() -> None:
    """Give the page the look of the app, the same on every page."""
    st.html(STYLE)


def heading(text: str) -> None:
    """A section heading of the left panel."""
    st.html(f'<h2 class="atlas-heading">{text}</h2>')


def remember(name: str) -> None:
    """Keep the value of the widget `_name` under `name`: widgets forget on another page."""
    st.session_state[name] = st.session_state[f"_{name}"]


def note(text: str) -> None:
    """Say one plain sentence above the instrument, as long as this study stays chosen."""
    st.session_state.setdefault(NOTES, {}).setdefault(text, None)


def show_notes(study: str, retry: Callable[[], None] | None = None) -> None:
    """Show the notes; those of another study are forgotten.

    Args:
        study: key of what is chosen in the left panel.
        retry: starts the computation again where one has failed.
    """
    notes = st.session_state.get(NOTES, {})
    kept = {text: study for text, of in notes.items() if of in (None, study)}
    st.session_state[NOTES] = kept
    if kept:
        with st.container(key="atlas_notes", horizontal=True):
            st.text("\n".join(kept))
            if retry:
                st.button("Try again", on_click=retry, type="tertiary")
            st.button("Close", on_click=_forget_notes, type="tertiary")


def _forget_notes() -> None:
    st.session_state[NOTES] = {}


@st.cache_resource(show_spinner=False)
def sample_pictures() -> tuple[Shown, ...]:
    """The shipped photographs, stored so that links to them work on a fresh server."""
    from analytics.io.sources import samples

    found = []
    for sample in samples():
        picture = here().pictures.put(sample.path.read_bytes(), sample.name)
        found.append(Shown(picture.sha256, sample.title, sample.licence))
    return tuple(found)


def model_names() -> tuple[str, ...]:
    """Timm's architectures in alphabetical order; empty until timm has been imported."""
    # Importing timm takes seconds: the background thread does it, the page does not wait.
    return _model_names() if hasattr(sys.modules.get("timm"), "list_models") else ()


@st.cache_resource(show_spinner=False)
def _model_names() -> tuple[str, ...]:
    from analytics.models.registry import list_models

    return tuple(name for name in list_models() if name != BUNDLED)


@st.cache_resource(show_spinner=False, max_entries=4096)
def has_weights(name: str) -> bool:
    """Whether timm can fetch trained weights of an architecture from a hub."""
    from analytics.models.specs import has_weights as known

    return known(name)


def loaded_model(model: str, checkpoint: str | None, size: int | None) -> LoadedModel:
    """The model out of the process's pool, loaded where it is not held.

    Raises:
        ValueError: unknown, not reachable, or a checkpoint that does not fit.
    """
    from analytics.models.registry import parse_model
    from analytics.serve.device import resolve_device

    spec = parse_model(model, Path(checkpoint) if checkpoint else None)
    return here().models.get(spec, size, resolve_device(here().settings.device), "float32")


def keep_checkpoint(data: bytes, name: str) -> str:
    """Store an uploaded weights file under its hash; returns the hash.

    Raises:
        ValueError: the ending is none of a weights file.
    """
    ending = Path(name).suffix.lower()
    if ending not in (".safetensors", ".pth", ".pt", ".bin"):
        raise ValueError(f"expected a .safetensors, .pth, .pt or .bin file; got {name!r}")
    sha256 = hashlib.sha256(data).hexdigest()
    folder = here().data_dir / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / f"{sha256}{ending}"
    if not target.exists():
        part = target.with_suffix(".part")
        part.write_bytes(data)
        part.replace(target)
    return sha256


def checkpoint_path(sha256: str) -> str | None:
    """Where a stored weights file lies; None where no such file is stored."""
    # Only hashes are looked up, so that an address can never name a path on the server.
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        return None
    found = sorted((here().data_dir / "checkpoints").glob(f"{sha256}.*"))
    kept = [path for path in found if path.suffix != ".part"]
    return str(kept[0]) if kept else None
