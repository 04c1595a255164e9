"""The lens as a Streamlit component: joins the ES modules and mounts them.

The modules in `lens/` are plain ES modules with imports and exports, so that editors and
`node --check` understand them. Streamlit takes one script, so they are joined in the order
of their dependencies, without the import lines and the word `export`; names are unique
across the modules (a test holds this).
"""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

FOLDER = Path(__file__).with_name("lens")
MODULES = (
    "half.js",
    "record.js",
    "scale.js",
    "geometry.js",
    "stats.js",
    "rows.js",
    "theme.js",
    "matrix.js",
    "stage.js",
    "overlay.js",
    "spread.js",
    "panel.js",
    "controls.js",
    "dialog.js",
    "help.js",
    "keys.js",
    "listening.js",
    "pointer.js",
    "drop.js",
    "state.js",
    "actions.js",
    "instrument.js",
    "mounting.js",
    "lens.js",
)
"""Order of dependencies: a module stands after everything it imports."""

_IMPORT = re.compile(r"^import\s[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


@cache
def joined(names: tuple[str, ...] = MODULES, folder: Path = FOLDER) -> str:
    """One ES module out of several in a folder, in the order given."""
    parts = []
    for name in names:
        text = (folder / name).read_text(encoding="utf-8")
        parts.append(f"// {name}\n" + _EXPORT.sub("", _IMPORT.sub("", text)))
    return "\n".join(parts)


def base_path() -> str:
    """Where the app lies on its server: empty, or `/` and a path."""
    path = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def heard() -> None:
    """Registers a name with Streamlit; the page reads the value from the result."""


@cache
def palettes() -> dict[str, str]:
    """Colour tables for the browser: 768 bytes each, as base64 text, the default first."""
    from analytics.views.colours import NAMES, table

    names = sorted(NAMES, key=lambda name: name != "inferno")
    return {name: base64.b64encode(table(name).tobytes()).decode() for name in names}


_mount = st.components.v2.component(
    "attention_atlas_lens",
    html=(FOLDER / "lens.html").read_text(encoding="utf-8"),
    css="".join((FOLDER / name).read_text(encoding="utf-8") for name in ("lens.css", "panel.css")),
    js=joined(),
)


def lens(
    token: str,
    picture: str,
    view: dict[str, Any],
    link: dict[str, str],
    serial: int,
    key: str = "lens",
) -> Any:
    """Show a computed record; everything under the pointer happens in the browser.

    Args:
        token: signed id of the record, as the routes know it.
        picture: path of the picture's route.
        view: layer, head, q, dir, scale, cmap, overlay, opacity, heads to start from; missing
            ones have defaults.
        link: what else belongs into a copied link (model, image, size, fit).
        serial: another number makes the lens go to `view` again; otherwise the user's own
            choices stay when the record changes.
        key: Streamlit's key.

    Returns:
        The component's result: `view` (state, with the entries of the argument),
        `upload` (trigger: sha256, name, width, height, notes), `off` (trigger: heads to switch
        off, as pairs) and `gone` (trigger: the token whose record the server no longer holds).
    """
    data = {
        "token": token,
        "picture": picture,
        "view": view,
        "link": link,
        "serial": serial,
        "base": base_path(),
        "palettes": palettes(),
    }
    return _mount(
        key=key,
        data=data,
        on_view_change=heard,
        on_upload_change=heard,
        on_off_change=heard,
        on_gone_change=heard,
    )
