"""Bytes of files that hold arrays and records."""

import io
import json
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load

from analytics.io.export import json_bytes, npz_bytes, safetensors_bytes, zip_bytes

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.asarray(7, np.int32)}


def test_npz_reads_back_without_pickle():
    with np.load(io.BytesIO(npz_bytes(ARRAYS, '{"x": 1}')), allow_pickle=False) as file:
        assert np.array_equal(file["a"], ARRAYS["a"]) and file["b"] == 7
        assert json.loads(str(file["provenance"])) == {"x": 1}


def test_npz_refuses_objects_and_the_reserved_name():
    with pytest.raises(ValueError, match="objects in c"):
        npz_bytes({"c": np.asarray([None])}, "")
    with pytest.raises(ValueError, match="rename"):
        npz_bytes({"provenance": np.zeros(1)}, "")


def test_safetensors_read_back_even_from_views():
    data = safetensors_bytes({"t": ARRAYS["a"].T}, {"note": "turned"})
    assert np.array_equal(load(data)["t"], ARRAYS["a"].T)
    assert b"turned" in data


def test_json_is_readable_and_strict():
    assert json.loads(json_bytes({"name": "Zürich"})) == {"name": "Zürich"}
    assert "Zürich".encode() in json_bytes({"name": "Zürich"})
    with pytest.raises(ValueError):
        json_bytes({"x": float("nan")})


def test_zip_is_the_same_each_time():
    files = {"a.txt": b"one", "b.txt": b"two" * 1000}
    data = zip_bytes(files)
    assert data == zip_bytes(files)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
