"""Pruned models as downloads: one zip each, kept under a hash of what was cut out."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from analytics.serve.guard import Problem
from analytics.serve.lens import signed_id
from analytics.store.results import content_key

if TYPE_CHECKING:
    from analytics.models.registry import LoadedModel
    from analytics.serve.state import Services
    from analytics.studies.pruning import Pruned

KEEP = 8
"""Zips on disk; the oldest leave first."""


def write_zip(here: Services, loaded: LoadedModel, pruned: Pruned) -> str:
    """Write checkpoint, recipe, loader and provenance into one zip.

    Returns:
        The name under which `download` finds it.

    Raises:
        ValueError: plain timm cannot build this model again.
    """
    from analytics.studies.pruned_export import export_pruned

    folder = here.data_dir / "pruned"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    size = list(loaded.input_size)
    cut = [loaded.spec.id, loaded.weights_sha256, size, sorted(map(list, pruned.heads))]
    name = content_key({"cut": cut})
    with tempfile.TemporaryDirectory(dir=folder) as draft:
        files = export_pruned(Path(draft), loaded, pruned)
        packed = Path(draft) / "pruned.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                archive.write(file, file.name)
        packed.replace(folder / f"{name}.zip")
    kept = sorted(folder.glob("*.zip"), key=lambda path: -path.stat().st_mtime)
    for old in kept[KEEP:]:
        old.unlink(missing_ok=True)
    return name


def download(here: Services, request: Request) -> Response:
    """GET /atlas/pruned/{token}: the zip of a pruned model.

    Raises:
        Problem: 410 where it is no longer kept.
    """
    name = signed_id(here, request)
    path = here.data_dir / "pruned" / f"{name}.zip"
    if not (name.isalnum() and path.is_file()):
        raise Problem(410, "this pruned model is no longer kept; prune again")
    return FileResponse(path, filename="pruned-model.zip", media_type="application/zip")
