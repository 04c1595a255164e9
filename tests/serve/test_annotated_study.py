"""Probes fitted on an annotated set: the job, its words, and sets that cannot teach."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.serve import binding_work
from analytics.serve.annotated_sets import keep_upload
from analytics.serve.binding_work import fitted_words, held_binding, set_name
from analytics.serve.state import make_services
from tests.io.annotated_making import palette, write, zipped

MODEL = {"model": "test_vit:random", "checkpoint": None, "size": None, "fit": "crop"}
SIDE = 80


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    made = make_services(tmp_path_factory.mktemp("study"))
    yield made
    made.close()


def kept(here, folder, masks) -> str:
    """A set with a noisy picture for each mask."""
    rng = np.random.default_rng(len(masks))
    for number, mask in enumerate(masks):
        shades = rng.integers(0, 200, int(mask.max()) + 1)
        pixels = shades[mask] + rng.integers(0, 40, mask.shape)
        write(folder / "images" / f"{number}.png", np.dstack([pixels] * 3).astype(np.uint8))
        palette(folder / "masks" / f"{number}.png", mask)
    return keep_upload(here, zipped(folder).read_bytes(), "cells.zip").id


def sides(split: int) -> np.ndarray:
    """Object 1 on the left, 2 on the right, nothing below."""
    mask = np.where(np.arange(SIDE) < split, 1, 2) * np.ones((SIDE, 1), int)
    mask[SIDE * 3 // 4 :] = 0
    return mask


def run(here, data, **more):
    job = f"binding-{data[:8]}-{len(more)}"
    params = {**MODEL, "whole": False, "seed": 0, "data": data, "job": job, **more}
    here.jobs.submit("binding", params, job, "test")
    return here.jobs.wait(job, 120)


@pytest.fixture(scope="module")
def cells(here, tmp_path_factory):
    masks = [sides(split) for split in range(24, 60, 3)]
    return kept(here, tmp_path_factory.mktemp("cells") / "set", masks)


def test_probes_are_fitted_on_the_set_and_say_so(here, cells):
    job = run(here, cells)
    assert job.state == "done", job.error
    record = held_binding(here, str(job.result))
    assert len(record.images) == 12 and record.families == ("",)
    assert set_name(here, record.id) == "cells.zip"
    train = sum(one.part == "train" for one in record.images)
    assert fitted_words(record, "cells.zip") == f"{train} pictures of cells.zip"
    assert fitted_words(record) == f"{train} annotated pictures"
    assert record.provenance.parameters["purity"] == 0.6
    # The map is read with such a probe as with any other.
    scene = {**MODEL, "picture": None, "scene": ["split", 900_000], "row": "plda"}
    here.jobs.submit("bound", {**scene, "study": record.id}, "bound", "test")
    found = here.bounds.get(str(here.jobs.wait("bound", 60).result))
    assert found.fitted_on == f"{train} pictures of cells.zip"


def test_purity_and_background_are_those_that_were_asked_for(here, cells):
    record = held_binding(here, str(run(here, cells, purity=0.8, count_background=True).result))
    made = record.provenance.parameters
    assert made["purity"] == 0.8 and made["count_background"] is True
    assert any("authors' code" in note for note in record.notes)


def test_a_large_set_is_drawn_from(here, cells, monkeypatch):
    monkeypatch.setattr(binding_work, "PREVIEW_SCENES", 5)
    record = held_binding(here, str(run(here, cells, seed=3, purity=0.5).result))
    assert len(record.images) == 5


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ([sides(30), sides(45)], "at least 3"),
        ([np.where(sides(split) > 0, 1, 0) for split in (20, 30, 40, 50)], "with two objects"),
        ([np.zeros((SIDE, SIDE), int)] * 4, "expected pictures with objects"),
    ],
    ids=["too few", "one instance only", "all background"],
)
def test_sets_that_cannot_teach_say_why(here, tmp_path, masks, expected):
    job = run(here, kept(here, tmp_path / "set", masks))
    assert job.state == "failed" and expected in job.error


def test_background_counted_as_an_object_helps_one_instance(here, tmp_path):
    masks = [
        np.where(np.arange(SIDE) < split, 1, 0) * np.ones((SIDE, 1), int)
        for split in (20, 30, 40, 50, 60)
    ]
    data = kept(here, tmp_path / "set", masks)
    assert run(here, data).state == "failed"
    assert run(here, data, count_background=True).state == "done"


def test_an_unknown_set_is_refused(here):
    job = run(here, "0" * 64)
    assert job.state == "failed" and "not stored on this server" in job.error
