"""Addresses below /atlas/ by a test client: content, refusals, and nothing but JSON errors."""

import io
import logging

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from analytics.serve.routes import routes


def png(width=8, height=6):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(("q", "direction"), [("cls", "to"), ("7,9", "to"), ("15,15", "from")])
def test_row_is_every_head_of_every_layer_in_float16(client, address, record, q, direction):
    answer = client.get(f"{address}/row", params={"q": q, "direction": direction})
    assert answer.status_code == 200
    got = np.frombuffer(answer.content, "<f2").reshape(12, 6, 257)
    want = np.stack(record.rows(q, direction)).astype(np.float16)
    assert np.array_equal(got, want)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "immutable" in answer.headers["cache-control"]


def test_row_of_unlike_layers_is_concatenated(client, here, swin):
    here.records.put(swin)
    answer = client.get(f"/atlas/lens/{here.signer.sign(swin.id)}/row?q=3,4")
    want = [row.astype("<f2").ravel() for row in swin.rows("3,4", "to")]
    got = np.frombuffer(answer.content, "<f2")
    assert np.array_equal(got, np.concatenate(want), equal_nan=True)
    assert np.isnan(got[-24 * 4 :]).all()


def test_norms_and_pca_are_layer_after_layer(client, address, record):
    norms = np.frombuffer(client.get(f"{address}/norms").content, "<f4")
    assert np.array_equal(norms, np.concatenate(record.token_norms))
    colours = np.frombuffer(client.get(f"{address}/pca").content, np.uint8)
    assert np.array_equal(colours, np.concatenate([one.ravel() for one in record.pca]))


def test_norms_and_pca_that_a_model_does_not_give(client, here, other):
    here.records.put(other("bare", token_norms=(), pca=()))
    bare = f"/atlas/lens/{here.signer.sign('bare')}"
    assert client.get(bare).json()["tokens"] is False
    for tail in ("norms", "pca"):
        answer = client.get(f"{bare}/{tail}")
        assert answer.status_code == 404 and "does not give" in answer.json()["error"]


def test_metadata_says_what_the_component_needs(client, address, here, record):
    found = client.get(address).json()
    assert len(found["layers"]) == 12
    assert found["layers"][3] == {
        "label": "L3",
        "name": "blocks.3.attn",
        "heads": 6,
        "visible": 257,
        "prefix": ["cls"],
        "rows": 16,
        "columns": 16,
        "queryPrefix": ["cls"],
        "queryRows": 16,
        "queryColumns": 16,
        "notes": [],
    }
    assert (found["prefix"], found["rows"], found["columns"]) == (["cls"], 16, 16)
    assert found["picture"]["width"] == 120 and found["picture"]["name"] == record.picture.name
    assert found["placement"] == {"top": 0.0, "left": 15.0, "height": 90.0, "width": 90.0}
    assert found["model"] == "A small model" and found["caution"]
    assert client.get(found["urls"]["row"] + "?q=cls").status_code == 200


@pytest.mark.parametrize(
    "query", ["q=16,0", "q=", "q=reg0", "q=1;2", "q=cls&direction=up", "", "q=%F0%9F%90%88"]
)
def test_bad_query_is_a_plain_400(client, address, query):
    answer = client.get(f"{address}/row?{query}")
    assert answer.status_code == 400
    assert "expected" in answer.json()["error"] and "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    "token", ["record-1", "record-1.", "record-1.AAAA", "record-2.{}", ".{}", "x%C3%A9.%C3%A9"]
)
@pytest.mark.parametrize("tail", ["", "/row?q=cls", "/export/svg"])
def test_forged_token_is_not_found(client, here, token, tail):
    signature = here.signer.sign("record-1").split(".")[1]
    answer = client.get(f"/atlas/lens/{token.format(signature)}{tail}")
    assert answer.status_code == 404
    assert "error" in answer.json()


def test_evicted_record_is_gone_and_says_so(client, here, other):
    for number in range(12):
        here.records.put(other(f"more-{number}"))
    answer = client.get(f"/atlas/lens/{here.signer.sign('record-1')}/row?q=cls")
    assert answer.status_code == 410
    assert "compute it again" in answer.json()["error"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:8501"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"host": "127.0.0.1:9999"}, 200),
        ({"host": "[::1]:8501"}, 200),
        ({"host": "Atlas.Example"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost:8502"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"host": "evil.example"}, 403),
        ({"host": "localhost.evil.example:8501"}, 403),
        ({"host": ""}, 403),
    ],
)
def test_host_and_origin_are_checked_everywhere(client, address, headers, status):
    for path in ("/atlas/health", f"{address}/row?q=cls"):
        assert client.get(path, headers=headers).status_code == status
    if status == 403:
        refused = client.put("/atlas/upload", content=png(), headers=headers)
        assert refused.status_code == 403


def test_other_methods_and_addresses_are_refused_in_json(client, address):
    assert client.post(f"{address}/row?q=cls").status_code == 405
    assert client.get("/atlas/upload").status_code == 405
    assert client.get("/atlas/nowhere").json()["error"]
    assert client.get("/atlas/nowhere").status_code == 404


def test_health_says_what_is_held(client):
    found = client.get("/atlas/health").json()
    assert found["status"] == "ok" and found["models"] == ["bundled"]
    assert found["records"]["count"] == 1 and found["jobs"] == {}


def test_upload_then_picture(client, here):
    data = png(100, 60)
    answer = client.put("/atlas/upload?name=a%20cat.png", content=data)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["name"], found["width"], found["height"]) == ("a cat.png", 100, 60)
    assert here.pictures.data(found["sha256"]) == data
    token = here.signer.sign(found["sha256"])
    shown = client.get(f"/atlas/picture/{token}?side=50")
    assert shown.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(shown.content)).size == (50, 30)
    whole = client.get(f"/atlas/picture/{token}")
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(whole.content))), np.asarray(Image.open(io.BytesIO(data)))
    )
    assert len(here.encoded) == 2


def test_large_picture_goes_out_as_jpeg(here, client):
    image = Image.new("RGB", (900, 400), (200, 30, 30))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    sha256 = client.put("/atlas/upload?name=red", content=buffer.getvalue()).json()["sha256"]
    answer = client.get(f"/atlas/picture/{here.signer.sign(sha256)}?side=800")
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (800, 356)


@pytest.mark.parametrize("side", ["0", "-5", "100000", "many", "1.5", "²"])
def test_side_of_a_picture_is_bounded(client, here, side):
    answer = client.get(f"/atlas/picture/{here.signer.sign('c' * 64)}", params={"side": side})
    assert answer.status_code == 400


def test_missing_and_forged_pictures(client, here):
    assert client.get(f"/atlas/picture/{here.signer.sign('c' * 64)}").status_code == 410
    assert client.get(f"/atlas/picture/{'c' * 64}.forged").status_code == 404


def test_upload_is_bounded_by_header_and_while_it_comes(client, here):
    limit = here.pictures.limits.max_bytes
    declared = client.put("/atlas/upload", content=b"x" * (limit + 1))
    assert declared.status_code == 413 and "MiB" in declared.json()["error"]
    sent = []

    def endless():
        for _ in range(100):
            sent.append(1)
            yield b"x" * (limit // 4)

    assert client.put("/atlas/upload", content=endless()).status_code == 413
    lying = client.put("/atlas/upload", content=png(), headers={"content-length": "many"})
    assert lying.status_code in (400, 413)


def test_upload_of_something_else_is_a_plain_400(client, here):
    answer = client.put("/atlas/upload?name=notes.png", content=b"dear diary")
    assert answer.status_code == 400
    assert "notes.png" in answer.json()["error"]
    assert list(here.pictures.recent()) == []


def test_unexpected_failure_hides_its_details_and_logs_one_line(client, here, address, caplog):
    class Broken:
        def get(self, identifier):
            raise RuntimeError("inner\ndetail")

    object.__setattr__(here, "records", Broken())
    with caplog.at_level(logging.INFO, logger="analytics"):
        answer = client.get(f"{address}/row?q=cls")
    assert answer.status_code == 500
    assert "inner" not in answer.text
    assert len(caplog.records) == 1 and "\n" not in caplog.text.strip()


def test_export_is_a_download(client, address):
    answer = client.get(f"{address}/export/npz?q=7,9&layer=3&head=2")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].endswith('-7_9-to-L3H2-npz.zip"')


@pytest.mark.parametrize(
    "tail",
    [
        "exe?q=cls",
        "npz?q=99,0",
        "svg?q=cls&layer=12",
        "svg?q=cls&head=6",
        "svg?q=cls&head=two",
        "svg?q=cls&heads=a",
        "svg?q=cls&cmap=jet",
        "svg?q=cls&opacity=2",
        "svg?q=cls&opacity=nan",
        "svg?q=cls&scale=mine",
    ],
)
def test_bad_export_is_a_plain_400(client, address, tail):
    answer = client.get(f"{address}/export/{tail}")
    assert answer.status_code == 400 and "expected" in answer.json()["error"]


def test_streamlit_sends_the_row_as_it_is_and_compresses_the_description(here, address, root):
    import streamlit as st

    app = st.App(root / "app.py", routes=routes(lambda: here))
    client = TestClient(app, base_url="http://localhost")
    asked = {"accept-encoding": "gzip"}
    row = client.get(f"{address}/row?q=cls", headers=asked)
    assert row.headers["content-encoding"] == "identity"
    assert int(row.headers["content-length"]) == 12 * 6 * 257 * 2 == len(row.content)
    described = client.get(address, headers=asked)
    assert described.headers["content-encoding"] == "gzip"
    assert client.get("/atlas/nowhere").json()["error"]
    assert client.put(f"{address}/row").status_code == 405


def test_rows_in_one_answer_equal_the_single_rows(client, address, record):
    names = record.base_layout.names
    assert names[:3] == ("cls", "0,0", "0,1")
    assert [record.base_layout.index(name) for name in names] == list(range(257))
    answer = client.get(f"{address}/rows?first=15&count=20&direction=from")
    single = [client.get(f"{address}/row?q={name}&direction=from").content for name in names[15:35]]
    assert answer.content == b"".join(single)
    last = client.get(f"{address}/rows?first=250&count=20&direction=to")
    assert len(last.content) == 7 * 2 * 72 * 257


@pytest.mark.parametrize("wrong", ["first=257", "first=-1", "count=0", "count=65", "first=x"])
def test_rows_out_of_range_are_refused(client, address, wrong):
    answer = client.get(f"{address}/rows?{wrong}&direction=to")
    assert answer.status_code == 400
    assert "expected" in answer.json()["error"]
