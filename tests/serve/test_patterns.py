"""Routes of an atlas: what the browser gets, byte by byte, and what is refused."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analytics.serve import patterns, patterns_export
from analytics.serve.begun import note_result
from analytics.serve.patterns_work import HeldAtlas
from tests.made_atlas import half_done, make_atlas


@pytest.fixture(scope="module")
def atlas():
    return make_atlas(models=2)


@pytest.fixture
def place(here, atlas):
    """Address of the atlas, held as if it had just been computed."""
    here.atlases.put(atlas.id, HeldAtlas(atlas, None), atlas.nbytes)
    return f"/atlas/patterns/{here.signer.sign(atlas.id)}"


def put(here, atlas):
    here.atlases.put(atlas.id, HeldAtlas(atlas, None), atlas.nbytes)


def test_the_description_has_what_the_browser_needs(client, place, atlas):
    found = client.get(place).json()
    assert found["count"] == atlas.count == 2 * 6 * 4
    assert found["heads"][:2] == [[0, 0, 0], [0, 0, 1]] and found["heads"][-1] == [1, 2, 1]
    assert found["fit"] == {
        "latent_size": 2,
        "r2_autoencoder": 0.68,
        "r2_pca": 0.44,
        "better": "autoencoder",
    }
    assert [one["label"] for one in found["models"]] == ["Made model 1", "Made model 2"]
    assert sum(one["size"] for one in found["clusters"]) == atlas.count
    assert found["complete"] is True
    assert found["images"][2]["name"] == "made 2.png"


def test_points_arrive_as_they_are(client, place, atlas):
    found = client.get(place).json()
    data = client.get(found["urls"]["points"]).content
    n = atlas.count
    assert len(data) == found["bytes"]["points"] == 25 * n
    for at, kind, values in (
        (0, "<f4", atlas.x),
        (4 * n, "<f4", atlas.y),
        (8 * n, "<f4", atlas.error),
        (12 * n, "<i4", atlas.image),
        (16 * n, "<i2", atlas.model),
        (18 * n, "<i2", atlas.layer),
        (20 * n, "<i2", atlas.head),
        (22 * n, "<i2", atlas.cluster),
        (24 * n, "u1", atlas.held_out),
    ):
        np.testing.assert_array_equal(np.frombuffer(data, kind, n, at), values)


def test_decoded_patterns_arrive_as_they_are(client, place, atlas):
    found = client.get(place).json()
    data = np.frombuffer(client.get(found["urls"]["decoded"]).content, np.uint8)
    assert data.size == found["bytes"]["decoded"]
    cells = found["grid"]["rows"] * found["grid"]["columns"]
    maps, cls = cells * atlas.side**2, cells * atlas.cls_side**2
    np.testing.assert_array_equal(data[:maps], atlas.decoded.ravel())
    np.testing.assert_array_equal(data[maps : maps + cls], atlas.decoded_cls.ravel())
    near = data[maps + cls : maps + cls + cells]
    np.testing.assert_array_equal(near.astype(bool), atlas.decoded_near.ravel())
    np.testing.assert_array_equal(data[maps + cls + cells :], atlas.cluster_maps.ravel())


def test_one_map_comes_with_its_reconstruction(client, place, atlas, monkeypatch):
    def made(here, found, row):
        side, cls = found.side, found.cls_side
        real = np.full((side, side), row, np.uint8)
        return real, np.full((cls, cls), 7, np.uint8), real + 1, np.full((cls, cls), 8, np.uint8)

    monkeypatch.setattr(patterns, "find_maps", made)
    data = np.frombuffer(client.get(f"{place}/map?row=5").content, np.uint8)
    sizes = [atlas.side**2, atlas.cls_side**2] * 2
    parts = np.split(data, np.cumsum(sizes)[:-1])
    assert [set(part.tolist()) for part in parts] == [{5}, {7}, {6}, {8}]


def test_a_training_is_followed_by_its_job(client, here, place, atlas, monkeypatch):
    of = here.signer.sign("patterns-0123")
    nothing = {"train": [], "held_out": [], "epochs": 0}
    assert client.get(f"{place}/training?of={of}").json() == nothing
    assert client.get(f"{place}/drawn?of={of}").status_code == 404
    key = "9" * 64
    here.patterns.begin(key, {"id": key})
    note_result(here, "patterns-0123", key)
    losses = {"train": [1.0, 0.5], "held_out": [1.1, float("nan")], "epochs": 7}
    here.patterns.attach(key, "losses", losses)
    found = client.get(f"{place}/training?of={of}").json()
    assert found == {"train": [1.0, 0.5], "held_out": [1.1, None], "epochs": 7}
    made = np.arange(6 * 6 * 4, dtype=np.uint8).reshape(6, 6, 2, 2)
    monkeypatch.setattr(patterns, "sketch", lambda _here, found, shown: made)
    assert client.get(f"{place}/drawn?of={of}").content == made.tobytes()
    for path in ("training", "drawn"):
        assert client.get(f"{place}/{path}?of=forged.token").status_code == 404


@pytest.mark.parametrize("row", ["", "-1", "48", "1.5", "x", "9" * 12])
def test_a_row_that_there_is_not_is_refused(client, place, row):
    answer = client.get(f"{place}/map?row={row}")
    assert answer.status_code == 400
    assert "expected a" in answer.json()["error"]


def test_unknown_numbers_become_null(client, here, atlas):
    nan = float("nan")
    put(here, replace(atlas, id="c" * 64, r2_autoencoder=nan, r2_pca=nan, held_out_losses=(nan,)))
    found = client.get(f"/atlas/patterns/{here.signer.sign('c' * 64)}").json()
    assert found["fit"]["r2_autoencoder"] is None and found["training"]["held_out"] == [None]


def test_a_training_under_way_says_how_far_it_is(client, here, atlas):
    put(here, replace(half_done(atlas), id="d" * 64))
    found = client.get(f"/atlas/patterns/{here.signer.sign('d' * 64)}").json()
    assert found["complete"] is False
    assert found["progress"] == {"done": 10, "wanted": 20, "unit": "epochs"}
    put(here, replace(atlas, id="e" * 64, images_wanted=9, pretrained=True))
    found = client.get(f"/atlas/patterns/{here.signer.sign('e' * 64)}").json()
    assert found["progress"] == {"done": 4, "wanted": 9, "unit": "images"}


def test_skipped_pictures_are_named_up_to_five(client, here, atlas):
    skipped = tuple((f"bad {i}.png", "no picture") for i in range(8))
    put(here, replace(atlas, id="f" * 64, skipped=skipped, notes=("2 heads had NaN.",)))
    notes = client.get(f"/atlas/patterns/{here.signer.sign('f' * 64)}").json()["notes"]
    assert notes[0] == "2 heads had NaN."
    assert notes[1] == "Bad 0.png: no picture." and notes[-1] == "And 3 more pictures."
    assert len(notes) == 7


def test_what_is_not_kept_or_not_ours_is_refused(client, here):
    assert client.get(f"/atlas/patterns/{here.signer.sign('0' * 64)}").status_code == 410
    assert client.get("/atlas/patterns/abc.def").status_code == 404


def test_tables_hold_every_point(client, place, atlas):
    text = client.get(f"{place}/export/csv").text
    frame = pd.read_csv(io.StringIO(text))
    assert len(frame) == atlas.count
    assert list(frame.columns)[:6] == ["model", "image", "layer", "head", "x", "y"]
    last = frame.iloc[-1]
    assert (last.model, last.image, last.layer, last["head"]) == (
        "Made model 2",
        "made 3.png",
        2,
        1,
    )
    assert frame.cluster.value_counts().to_dict() == {
        name: size
        for name, size in zip(atlas.cluster_names, atlas.cluster_sizes, strict=True)
        if size
    }
    parquet = pd.read_parquet(io.BytesIO(client.get(f"{place}/export/parquet").content))
    np.testing.assert_allclose(parquet.x, atlas.x)


def test_arrays_hold_the_points_and_the_patterns(client, place, atlas):
    with np.load(io.BytesIO(client.get(f"{place}/export/npz").content)) as file:
        np.testing.assert_array_equal(file["decoded"], atlas.decoded)
        np.testing.assert_array_equal(file["latent"], atlas.latent)
        assert '"model": "made"' in str(file["provenance"])


def test_a_point_in_no_cluster_has_no_name():
    made = make_atlas()
    cluster = made.cluster.copy()
    cluster[3] = -1
    table = patterns_export.points_table(replace(made, cluster=cluster))
    assert table.cluster[3] == "" and (table.cluster[:3] != "").all()


def test_figures_carry_their_caption(client, place):
    answer = client.get(f"{place}/export/svg")
    assert (
        answer.headers["content-disposition"] == 'attachment; filename="patterns-autoencoder.svg"'
    )
    assert answer.text.startswith("<svg")
    for words in (
        "Attention patterns of 12 heads on 4 pictures",
        "fitted on these",
        "0.68",
        "0.44",
    ):
        assert words in answer.text
    assert client.get(f"{place}/export/png").content.startswith(b"\x89PNG")
    assert client.get(f"{place}/export/pdf").content.startswith(b"%PDF")


def test_an_unknown_export_names_the_known_ones(client, place):
    answer = client.get(f"{place}/export/gif")
    assert answer.status_code == 400 and "safetensors" in answer.json()["error"]
