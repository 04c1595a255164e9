"""Asking for what a view of the Binding page shows, and handing it on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from pages import _objects, _set
from pages._shared import here

FIGURES = ("svg", "png", "pdf")
MIMETYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
    "npz": "application/octet-stream",
}


def record_of(
    kind: str, wanted: Mapping[str, Any], more: Mapping[str, Any], lane: str | None = None
) -> Any:
    """The record of a view's job if it is there; otherwise sees to it, in words.

    Args:
        kind: the job kind, one of `serve.view_work`.
        wanted: parameters of the job that reads the picture; its own key is left out.
        more: the view's own parameters.
        lane: where the job waits; None for that of short jobs.
    """
    shared = {name: value for name, value in wanted.items() if name != "job"}
    params = _set.named(kind, {**shared, **more})
    place = st.container()
    job = _objects.ask(
        kind, params, lambda job: job.state == "done" and _held(job.key) is None, lane
    )
    with place:
        _set.follow(str(params["job"]))
    again = _set.retry(params)
    if again is not None:
        st.button("Try again", on_click=again, key=f"again-{params['job']}")
    return _held(job.key) if job is not None and job.state == "done" else None


def _held(key: str) -> Any:
    return here().views.get(key)


def choose(
    name: str, title: str, options: Sequence[Any], default: Any, words: Callable[[Any], str] = str
) -> Any:
    """A choice of a view, remembered while other views and pages are looked at."""
    state = st.session_state
    if state.get(name) not in options:
        state[name] = default
    state[f"_{name}"] = state[name]

    def keep() -> None:
        state[name] = state[f"_{name}"]

    st.selectbox(title, list(options), key=f"_{name}", format_func=words, on_change=keep, width=170)
    return state[name]


def exports(stem: str, makers: Mapping[str, Callable[[], bytes]]) -> None:
    """One button a kind; a file is made when its button is pressed."""
    st.html('<h3 class="atlas-side">Export</h3>')
    with st.container(horizontal=True, gap="small"):
        for kind, make in makers.items():
            st.download_button(
                {"csv": "CSV", "parquet": "Parquet"}.get(kind, kind.upper()),
                data=make,
                file_name=f"{stem}.{kind}",
                mime=MIMETYPES[kind],
                key=f"{stem}-{kind}",
                on_click="ignore",
            )


def chart(body: Any, **options: Any) -> Any:
    """Show an Altair chart in the size that it says, with the colours of the theme."""
    import altair as alt

    sized = body.properties(autosize=alt.AutoSizeParams(type="pad", contains="padding"))
    return st.altair_chart(sized, width="content", **options)


def side(title: str, *paragraphs: str) -> None:
    """A block of the right panel."""
    st.html(
        f'<h3 class="atlas-side">{title}</h3>'
        + "".join(f'<p class="atlas-words">{one}</p>' for one in paragraphs)
    )


def needs(sentence: str) -> None:
    """What a view waits for, where it has nothing to show yet."""
    st.html(f'<p class="atlas-words">{sentence}</p>')
