"""Jobs of object binding: probes fitted on scenes, and pictures that one of them reads."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.serve import binding_work
from analytics.serve.binding_work import find_binding, held_binding
from analytics.serve.state import make_services

MODEL = {"model": "test_vit:random", "checkpoint": None, "size": None, "fit": "crop"}
STUDY = {**MODEL, "whole": False, "seed": 0, "job": "binding-1"}
SCENE = {**MODEL, "picture": None, "scene": ["shared-palette", 900_000], "row": "plda"}


def run(here, kind, params, key):
    here.jobs.submit(kind, params, key, "test")
    return here.jobs.wait(key, 120)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Services that hold a preview on a few scenes, and its job."""
    patch = pytest.MonkeyPatch()
    patch.setattr(binding_work, "PREVIEW_SCENES", 11)
    here = make_services(tmp_path_factory.mktemp("binding"))
    job = run(here, "binding", STUDY, STUDY["job"])
    assert job.state == "done", job.error
    yield here, str(job.result)
    here.close()
    patch.undo()


def test_the_preview_is_kept_and_found_by_its_job(fitted):
    here, key = fitted
    record = held_binding(here, key)
    assert record.complete and record.rows[0] == "plda"
    assert len(record.images) == 11
    assert find_binding(here, "binding-1") == key
    assert find_binding(here, "another") is None
    assert held_binding(here, key) is record


def test_a_scene_is_read_with_its_truth(fitted):
    here, key = fitted
    job = run(here, "bound", {**SCENE, "study": key}, "bound-1")
    found = here.bounds.get(str(job.result))
    assert found.same.z.shape[:2] == (7, 100) and found.mask.shape == (160, 160)
    assert found.objects.shape == (10, 10) and found.objects.max() >= 1
    assert found.scene == "shared-palette 900000"
    trained = sum(one.part == "train" for one in held_binding(here, key).images)
    assert found.fitted_on == f"{trained} made scenes"
    # The page shows the scene, and the lens opens it, as any other picture.
    assert here.pictures.get(found.picture.sha256).name == "scene shared-palette 900000.png"


def test_a_photograph_has_no_truth_and_one_pixel_is_enough(fitted):
    import io

    from PIL import Image

    here, key = fitted
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1), (200, 30, 30)).save(buffer, "PNG")
    picture = here.pictures.put(buffer.getvalue(), "dot.png")
    params = {**SCENE, "scene": None, "picture": picture.sha256, "study": key}
    found = here.bounds.get(str(run(here, "bound", params, "bound-2").result))
    assert found.mask is None and found.objects is None and found.scene == ""
    assert np.isfinite(found.same.row(0)).all()


def test_the_same_question_is_answered_once(fitted):
    here, key = fitted
    first = run(here, "bound", {**SCENE, "study": key}, "bound-3")
    held = here.bounds.get(str(first.result))
    again = run(here, "bound", {**SCENE, "study": key}, "bound-4")
    assert again.result == first.result and here.bounds.get(str(again.result)) is held


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"row": "quadratic"}, "no longer kept by the server"),
        ({"study": "0" * 64}, "no longer kept by the server"),
        ({"model": "test_vit2:random"}, "expected a probe of"),
        ({"study": "shipped"}, "no longer kept by the server"),
    ],
)
def test_probes_that_are_not_there_or_of_another_model_are_refused(fitted, change, expected):
    here, key = fitted
    job = run(here, "bound", {**SCENE, "study": key, **change}, f"wrong-{sorted(change.items())}")
    assert job.state == "failed" and expected in job.error


def test_a_model_without_one_grid_is_refused_before_scenes_are_made(fitted):
    here, _ = fitted
    params = {**STUDY, "model": "swin_tiny_patch4_window7_224:random", "job": "swin"}
    job = run(here, "binding", params, "swin")
    assert job.state == "failed"
    assert "one grid of patches" in job.error and "choose a ViT" in job.error
