"""The Lens page: what an address means, what is remembered, what is said when it fails."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from pages import _address, _choose
from pages._shared import MODEL, NOTES, PICTURE, SIZE


def notes_of(app) -> str:
    return "\n".join(app.session_state[NOTES]) if NOTES in app.session_state else ""


def test_the_bundled_model_and_the_first_sample_are_the_start(open_page):
    app = open_page()
    assert not app.exception
    assert app.session_state[MODEL] == "bundled"
    assert app.selectbox[0].value == "bundled"
    assert app.query_params["model"] == "bundled"
    assert notes_of(app) == ""


def test_the_panel_describes_the_model_and_offers_its_sizes(open_page):
    app = open_page()
    sizes = app.selectbox[1]
    assert sizes.value == 224
    assert "518 px, 37×37 patches" in sizes.options
    assert app.session_state["lens_last"]


def test_a_link_chooses_picture_size_and_fit(open_page):
    from pages._shared import sample_pictures

    second = sample_pictures()[1].sha256
    app = open_page(image=second[:16], fit="pad", size="238", layer="3", head="5", q="7,9")
    assert not app.exception
    assert app.session_state[PICTURE] == second
    assert app.session_state[SIZE] == 238
    assert app.segmented_control[0].value == "pad"
    assert app.session_state["lens_view"]["q"] == "7,9"
    assert notes_of(app) == ""


def test_what_a_link_gets_wrong_is_noted_and_left_out(open_page):
    app = open_page(
        size="huge",
        fit="squeeze",
        layer="-1",
        q="here",
        dir="up",
        image="zz",
        heads="all",
        opacity="2",
    )
    assert not app.exception
    said = notes_of(app)
    for part in (
        "size='huge'",
        "fit='squeeze'",
        "layer='-1'",
        "q='here'",
        "dir='up'",
        "heads='all'",
        "opacity='2'",
    ):
        assert part in said
    assert "not stored on this server" in said
    assert app.session_state[SIZE] is None


def test_an_unknown_model_is_a_message_and_the_page_stays(open_page):
    app = open_page(model="vit_smal_patch16_224")
    assert not app.exception
    assert "vit_small_patch16_224" in notes_of(app)
    assert "Try again" in [button.label for button in app.button]


def test_a_size_the_model_does_not_take_names_the_nearest(open_page):
    app = open_page(size="225")
    assert not app.exception
    assert "multiple of 14" in notes_of(app)


def test_a_link_cannot_name_a_file_on_the_server(open_page):
    app = open_page(model="file:vit_tiny_patch16_224@/etc/passwd")
    assert app.session_state[MODEL] == "bundled"
    assert "cannot name a file" in notes_of(app)


def test_the_last_good_view_stays_when_the_next_one_fails(open_page):
    app = open_page()
    shown = app.session_state["lens_last"]
    app.session_state[SIZE] = 225
    from tests.pages.conftest import settle

    app = settle(app.run())
    assert not app.exception
    assert app.session_state["lens_last"] == shown


def png(side: int = 40) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def said(monkeypatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(_choose, "note", found.append)
    return found


def test_a_zip_gives_its_pictures_and_names_what_it_refuses(said):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.png", png(40))
        archive.writestr("b/readme.png", b"no picture")
    found = _choose._stored(packed.getvalue(), "both.zip")
    assert [one.title for one in found] == ["a.png"]
    assert len(said) == 1
    assert "readme.png" in said[0]


def test_a_file_that_is_no_picture_is_refused_in_one_sentence(said):
    assert _choose._stored(b"<svg></svg>", "drawing.svg") == []
    assert len(said) == 1
    assert "drawing.svg" in said[0]


@pytest.mark.parametrize(
    ("params", "view"),
    [
        ({"q": "7, 9"}, {"q": "7,9", "dir": "to"}),
        ({"q": "reg3", "direction": "from"}, {"q": "reg3", "dir": "from"}),
        ({"layer": "2", "head": "1"}, {"layer": 2, "head": 1, "dir": "to"}),
        (
            {"heads": "9:3,11:0", "opacity": "0.5"},
            {"heads": "9:3,11:0", "opacity": "0.5", "dir": "to"},
        ),
    ],
)
def test_addresses_are_read_in_parts(params, view):
    found, notes = _address.read(params)
    assert found.view == view
    assert notes == []


def test_names_of_weights_files_are_hashes_only():
    from pages._shared import checkpoint_path

    assert checkpoint_path("../../etc/passwd") is None
    assert checkpoint_path("a" * 64) is None
