"""Arrays, records and tables to the bytes of a file: NPZ, safetensors, JSON, Parquet, zip."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""One date for every member, so that the same content gives the same bytes."""


def npz_bytes(arrays: Mapping[str, np.ndarray], provenance: str) -> bytes:
    """Arrays as a compressed NPZ with an entry `provenance` that holds JSON text.

    `numpy.load` reads it without pickle; `str(file["provenance"])` is the text.

    Raises:
        ValueError: an array is named `provenance` or holds objects.
    """
    if "provenance" in arrays:
        raise ValueError("expected no array named 'provenance', which holds the text; rename it")
    objects = [name for name, array in arrays.items() if array.dtype.hasobject]
    if objects:
        raise ValueError(f"expected arrays of numbers; got objects in {', '.join(objects)}")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(arrays), provenance=np.array(provenance))  # type: ignore[arg-type]
    return buffer.getvalue()


def safetensors_bytes(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Arrays as safetensors; `metadata` goes into the header as it is."""
    from safetensors.numpy import save

    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return save(whole, metadata=dict(metadata))


def json_bytes(record: Mapping[str, Any]) -> bytes:
    """A record of plain values as indented JSON.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not know.
    """
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Several files as one zip; equal files give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def table_bytes(frame: pd.DataFrame, kind: Literal["parquet", "csv"]) -> bytes:
    """A table as the bytes of a file, without its index.

    Args:
        frame: the table.
        kind: `parquet`, or `csv` in UTF-8 with a header.

    Raises:
        ValueError: another kind.
    """
    if kind == "parquet":
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue()
    if kind == "csv":
        return frame.to_csv(index=False, lineterminator="\n").encode()
    raise ValueError(f"expected a kind of parquet or csv, got {kind!r}")
