"""A page with nothing but the Patterns instrument on made atlases, for the benchmark and tests.

`?atlas=small`, `large` (144 heads on 200 images) or `huge` (100,000 points). Started as
`uvicorn tests.made_atlas_app:app`; no attention stands behind the numbers.
"""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

if TYPE_CHECKING:
    from analytics.serve.state import Services
    from analytics.studies.patterns_record import Atlas

SIZES = {
    "small": {"layers": 4, "heads": 3, "images": 5},
    "gaps": {"layers": 4, "heads": 1, "images": 1},
    "two": {"layers": 4, "heads": 3, "images": 5, "models": 2},
    "large": {"layers": 12, "heads": 12, "images": 200, "side": 16},
    "huge": {"layers": 20, "heads": 20, "images": 250, "side": 16},
}


@functools.cache
def made_services() -> Services:
    from analytics.serve import patterns
    from analytics.serve.patterns_work import HeldAtlas
    from analytics.serve.state import make_services
    from tests.made_atlas import make_atlas, without_head

    folder = os.environ.get("ATTENTION_ATLAS_DATA") or tempfile.mkdtemp()
    here = make_services(Path(folder))
    for number, (name, size) in enumerate(SIZES.items()):
        atlas = make_atlas(**size, identifier=name + "0" * 8, seed=number)
        atlas = without_head(atlas, 1) if name == "gaps" else atlas
        here.atlases.put(atlas.id, HeldAtlas(atlas, None), atlas.nbytes)
    patterns.find_maps = made_maps
    return here


def made_maps(here: Services, atlas: Atlas, row: int) -> tuple[np.ndarray, ...]:
    real = atlas.cluster_maps[atlas.cluster[row]]
    cls = atlas.decoded_cls[0, 0]
    noise = np.random.default_rng(row).integers(0, 60, real.shape)
    return np.clip(real.astype(int) + noise, 0, 255).astype(np.uint8), cls, real, cls


def ui() -> None:
    from pages._components.patterns import patterns
    from pages._shared import frame
    from tests.made_atlas_app import made_services  # this file runs anew for every visitor

    st.set_page_config("Made atlas", layout="wide", initial_sidebar_state=248)
    frame()
    name = st.query_params.get("atlas", "small")
    st.sidebar.text("Made numbers")
    result = patterns(made_services().signer.sign(name + "0" * 8), {}, 0)
    for trigger in ("lens", "layout"):
        if result[trigger]:
            st.sidebar.text(f"{trigger}: {result[trigger]}")


if __name__ == "__main__":
    ui()
else:
    from analytics.serve.routes import routes

    app = st.App(__file__, routes=routes(made_services))
