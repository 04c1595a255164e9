"""A view as files: content, names, and what travels with them."""

import io
import json
import zipfile
from dataclasses import replace
from urllib.parse import parse_qs

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from analytics.serve.export import array_files, attention_arrays, export_lens
from analytics.serve.sidecar import link, sidecar
from analytics.store.provenance import parse_provenance
from analytics.types import PatchGrid, TokenLayout
from analytics.views.maps import LensView

VIEW = LensView("7,9", "to", layer=11, head=2, scale="layer", cmap="viridis")


def members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_npz_has_the_keys_of_the_contract(record):
    name, mimetype, data = export_lens(record, VIEW, "npz")
    assert (name, mimetype) == ("lens-holiday---co-7_9-to-L11H2-npz.zip", "application/zip")
    files = members(data)
    assert sorted(files) == ["attention.json", "attention.npz"]
    with np.load(io.BytesIO(files["attention.npz"]), allow_pickle=False) as arrays:
        assert arrays["attention"].shape == (12, 6, 257)
        assert arrays["attention"].dtype == np.float32
        assert np.array_equal(arrays["attention"], np.stack(record.rows("7,9", "to")))
        assert arrays["grid_size"].tolist() == [16, 16]
        assert int(arrays["num_prefix_tokens"]) == 1
        assert arrays["layers"].tolist() == list(range(12))
        assert parse_provenance(str(arrays["provenance"])) == record.provenance


def test_safetensors_hold_the_same_and_the_provenance(record, tmp_path):
    files = members(export_lens(record, VIEW, "safetensors")[2])
    (tmp_path / "a.safetensors").write_bytes(files["attention.safetensors"])
    with safe_open(tmp_path / "a.safetensors", "numpy") as file:
        assert np.array_equal(file.get_tensor("attention"), np.stack(record.rows("7,9", "to")))
        assert parse_provenance(file.metadata()["provenance"]) == record.provenance
        about = json.loads(file.metadata()["sidecar"])
    assert about["arrays"]["attention"] == {"shape": [12, 6, 257], "dtype": "float32"}


def test_chosen_layers_only(record):
    files = array_files(record, VIEW, "npz", layers=(11,))
    with np.load(io.BytesIO(files["attention.npz"])) as arrays:
        assert arrays["attention"].shape == (1, 6, 257)
        assert arrays["layers"].tolist() == [11]
    assert [layer["label"] for layer in json.loads(files["attention.json"])["layers"]] == ["L11"]
    with pytest.raises(ValueError, match="layer from 0 to 11"):
        attention_arrays(record, VIEW, (12,))


def test_unlike_layers_get_one_array_each(swin):
    view = LensView("3,4", layer=1, head=5)
    arrays = attention_arrays(swin, view, range(4))
    assert "attention" not in arrays
    assert arrays["attention_L0"].shape == (3, 256)
    assert arrays["attention_L3"].shape == (24, 4)
    assert arrays["grid_size_L2"].tolist() == [4, 4]
    assert int(arrays["num_prefix_tokens_L1"]) == 0
    assert np.isnan(arrays["attention_L3"]).all()


def test_sidecar_reopens_the_view(record):
    about = sidecar(record, LensView("7,9", "from", 3, 4, heads=((3, 4), (9, 0))))
    assert about["provenance"]["weights_sha256"] == "b" * 64
    asked = parse_qs(about["link"].removeprefix("?"))
    assert asked["q"] == ["7,9"] and asked["dir"] == ["from"]
    assert asked["heads"] == ["3:4,9:0"] and asked["image"] == ["a" * 64]
    assert link(record, VIEW).startswith("?model=bundled&image=aaa")
    assert "heads=" not in link(record, VIEW)
    assert about["clip_percentile"] == 99.5


def test_link_never_holds_a_path(record):
    made = replace(record.provenance, model="file:vit_tiny_patch16_224@/a/b/mine.pth")
    found = parse_qs(link(replace(record, provenance=made), VIEW).removeprefix("?"))
    assert found["model"] == ["vit_tiny_patch16_224"] and found["weights"] == ["mine"]


def test_caption_says_what_is_shown(record):
    text = " ".join(sidecar(record, VIEW)["caption"])
    for words in (
        "A small model. Made up for a test.",
        "holiday & co.png, centre crop, 224 x 224 px, 16 x 16 patches",
        "what patch (7, 9) attends to, L11 H2",
        "one scale per layer",
        "percentile 99.5",
        "Share on prefix tokens: 0.0",
        "picture aaaaaaaaaaaa, weights bbbbbbbbbbbb",
    ):
        assert words in text


def test_caption_of_a_layer_without_the_query(swin):
    text = " ".join(sidecar(swin, LensView("3,4", layer=3, head=1))["caption"])
    assert "No prefix tokens here" in text
    lost = replace(swin, base_layout=TokenLayout(("cls",), swin.base_layout.grid))
    layout = TokenLayout(("cls",), PatchGrid(2, 2))
    layer = replace(swin.layers[3], key_layout=layout, query_layout=layout)
    lost = replace(lost, layers=(*swin.layers[:3], layer))
    text = " ".join(sidecar(lost, LensView("3,4", layer=3, head=1))["caption"])
    assert "No such token in this layer" in text


def test_caption_of_what_attends_to_a_token(record):
    text = " ".join(sidecar(record, LensView("cls", "from", layer=1))["caption"])
    assert "what attends to cls, L1 H0" in text and "Share from prefix tokens: 0." in text


def test_figures_carry_title_and_sidecar(record):
    name, mimetype, svg = export_lens(record, VIEW, "svg")
    assert (name, mimetype) == ("lens-holiday---co-7_9-to-L11H2.svg", "image/svg+xml")
    assert b"<title>Attention from patch (7, 9), L11 H2</title>" in svg
    assert b"holiday &amp; co.png" in svg and len(svg) < 2_000_000
    _, mimetype, png = export_lens(record, VIEW, "png")
    with Image.open(io.BytesIO(png)) as image:
        assert json.loads(image.text["Description"])["view"]["token"] == "7,9"
        assert image.width > 1000
    assert mimetype == "image/png"


def test_json_alone(record):
    name, mimetype, data = export_lens(record, VIEW, "json")
    assert name.endswith(".json") and mimetype == "application/json"
    assert json.loads(data)["view"]["layer"] == 11


def test_equal_views_give_equal_bytes(record):
    assert export_lens(record, VIEW, "npz") == export_lens(record, VIEW, "npz")


def test_what_the_record_does_not_have_is_refused(record):
    with pytest.raises(ValueError, match="export out of svg"):
        export_lens(record, VIEW, "gif")
    with pytest.raises(ValueError, match="outside the grid"):
        export_lens(record, LensView("16,0"), "npz")
    with pytest.raises(ValueError, match="head from 0 to 5 in layer 2"):
        export_lens(record, LensView("cls", layer=2, head=6), "svg")
