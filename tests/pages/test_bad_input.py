"""Every awkward file and model: a plain sentence on the page, the last view kept, a quiet log."""

from __future__ import annotations

import io
import logging
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pages._shared import NOTES, PICTURE
from tests.pages.conftest import settle

PHOTO = Path(__file__).parents[2] / "assets" / "images" / "rocket.jpg"


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def colour(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (200, 90, 40))


def two_hundred_megapixels() -> bytes:
    """A PNG whose header promises 20,000 x 10,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(20_001) * 100)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def zip_bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("huge.png", bytes(60_000_000))
    return packed.getvalue()


def animation() -> bytes:
    frames = [Image.new("RGB", (60, 60), (shade, 40, 90)) for shade in (10, 90, 200)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def sixteen_bits() -> bytes:
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    return encoded(Image.fromarray(values), "PNG")


REFUSED = {
    "1x5000": ("tall.png", lambda: encoded(colour(1, 5000), "PNG"), "100 times"),
    "truncated": ("cut.jpg", lambda: PHOTO.read_bytes()[:20_000], "cut short"),
    "zip bomb": ("bomb.zip", zip_bomb, "huge.png"),
    "200 megapixels": ("vast.png", two_hundred_megapixels, "20,000 x 10,000"),
    "text renamed": ("notes.png", lambda: b"Dear diary,\nnothing.\n", "a text file"),
    "svg renamed": (
        "drawing.png",
        lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "export it as PNG",
    ),
    "empty": ("empty.png", lambda: b"", "empty"),
}

READ = {
    "1x1": ("dot.png", lambda: encoded(colour(1, 1), "PNG"), "1 x 1"),
    "animated": ("move.gif", animation, "first of 3 frames"),
    "16-bit": ("deep.png", sixteen_bits, "16"),
    "cmyk": ("print.jpg", lambda: encoded(colour(90, 60).convert("CMYK"), "JPEG"), "CMYK"),
}


def upload(app, name: str, data: bytes):
    [uploader] = [one for one in app.file_uploader if one.label == "Add pictures"]
    uploader.upload(name, data, "application/octet-stream")
    return settle(app.run())


def shown(app):
    from analytics.serve.state import services

    return services().records.get(app.session_state["lens_last"])


@pytest.fixture
def quiet(caplog):
    """Nothing but single lines may be logged, and no more than one."""
    caplog.set_level(logging.WARNING)
    yield
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) <= 1
    assert all(record.exc_info is None and "\n" not in record.getMessage() for record in lines)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_refused_and_the_view_stays(kind, open_page, quiet):
    name, make, expected = REFUSED[kind]
    app = open_page()
    before = app.session_state[PICTURE], app.session_state["lens_last"]
    app = upload(app, name, make())
    assert not app.exception
    said = "\n".join(app.session_state[NOTES])
    assert expected in said
    assert said in "\n".join(text.value for text in app.text)
    assert (app.session_state[PICTURE], app.session_state["lens_last"]) == before
    another = open_page()
    assert not another.session_state[NOTES]


@pytest.mark.parametrize("kind", READ)
def test_what_is_awkward_is_read_and_says_what_was_done(kind, open_page, quiet):
    name, make, expected = READ[kind]
    app = upload(open_page(), name, make())
    assert not app.exception
    record = shown(app)
    assert record.picture.name == name
    assert expected in " ".join([*record.picture.notes, *record.provenance.notes])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("vit_smal_patch16", "the nearest names are"),
        ("resnet18:random", "no attention between the places of a picture"),
        ("xcit_nano_12_p16_224:random", "between channels"),
        ("test_vit", "use the bundled model"),
    ],
)
def test_models_that_cannot_be_shown_say_why(model, expected, open_page, quiet):
    app = open_page(model=model)
    assert not app.exception
    assert expected in "\n".join(app.session_state[NOTES])


@pytest.mark.slow
def test_talking_heads_are_shown_with_their_label(open_page, quiet):
    app = open_page(model="cait_xxs24_224:random")
    assert not app.exception
    assert "rows need not sum to 1" in " ".join(shown(app).layers[0].notes)


class Code:
    """Unpickling this would make a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def use_weights(app, name: str, data: bytes, architecture: str):
    [uploader] = [one for one in app.file_uploader if one.label.startswith("Weights")]
    uploader.upload(name, data, "application/octet-stream")
    [architecture_name] = [one for one in app.text_input if "timm name" in one.label]
    architecture_name.set_value(architecture)
    app.run()
    [button] = [one for one in app.button if one.label == "Use these weights"]
    return settle(button.click().run())


def test_a_checkpoint_with_code_is_refused_and_not_run(open_page, tmp_path, quiet):
    target = tmp_path / "made"
    app = use_weights(open_page(), "evil.pth", pickle.dumps(Code(target)), "test_vit")
    assert not app.exception
    assert not target.exists()
    assert "refused" in "\n".join(app.session_state[NOTES])


def test_a_checkpoint_of_another_model_is_refused(open_page, quiet):
    import torch
    from safetensors.torch import save

    data = save({"layer.weight": torch.zeros(3, 3)})
    app = use_weights(open_page(), "other.safetensors", data, "test_vit")
    assert not app.exception
    said = "\n".join(app.session_state[NOTES])
    assert "test_vit" in said
    assert app.session_state["lens_last"]


def test_a_fitting_checkpoint_says_what_of_it_was_used(open_page):
    import timm
    from safetensors.torch import save

    state = timm.create_model("test_vit").state_dict()
    del state["head.weight"]
    app = use_weights(open_page(), "mine.safetensors", save(state), "test_vit")
    assert not app.exception
    [report] = [one for one in app.expander if one.label == "What of the file was used"]
    assert "head.weight" in report.text[0].value
