"""Entry of Attention Atlas: the page frame, our routes, and what happens at start and stop.

`uvicorn app:app`, `streamlit run app.py` and `AppTest.from_file("app.py")` all work: run as
a script this file draws the page, imported it is the ASGI application.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st

# Threads of torch that wait must not burn the cores that the server itself needs: on a busy
# machine spinning made one small forward pass three times slower. Read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def ui() -> None:
    """Draw the frame and the page that the address names."""
    from pages._shared import frame

    st.set_page_config("Attention Atlas", layout="wide", initial_sidebar_state=248)
    page = st.navigation(
        [
            st.Page("pages/lens.py", title="Lens", default=True),
            st.Page("pages/heads.py", title="Heads"),
            st.Page("pages/strength.py", title="Strength"),
            st.Page("pages/patterns.py", title="Patterns"),
            st.Page("pages/flow.py", title="Flow"),
            st.Page("pages/binding.py", title="Binding"),
        ],
        position="top",
    )
    frame()
    page.run()


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Prepare the process for its visitors; stop running jobs when it ends."""
    from streamlit.runtime.pages_manager import PagesManager

    from pages._job import warm_up
    from pages._shared import here

    # A folder named `pages` beside the entry turns Streamlit's legacy multipage mode on until
    # st.navigation has run once; a deep link on a fresh server would then lose the frame.
    PagesManager.uses_pages_directory = False
    warm_up()
    yield
    here().close()


if __name__ == "__main__":
    ui()
else:
    from analytics.serve.routes import routes

    app = st.App(__file__, routes=routes(), lifespan=lifespan)
