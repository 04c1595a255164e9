"""The ablation in words, made from its numbers, and as files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analytics.serve import binding_work
from analytics.serve.ablation_export import ablation_figure, figure_of, sidecar, words_of
from analytics.serve.state import make_services
from analytics.store.provenance import make_provenance
from analytics.studies.binding_ablation_record import (
    ABLATION_MEASURES,
    AblationChoices,
    BindingAblation,
)


def record(own: float, principal: float, spread: float = 0.01) -> BindingAblation:
    """Clean .9; a full shuffle leaves `own` and `principal`, and .89 of the random part."""
    chosen = AblationChoices(point=2, ratios=(0.0, 1.0), alphas=())
    values = np.full((3, 2, len(ABLATION_MEASURES), 3), np.nan, np.float32)
    for row, end in enumerate((own, 0.89, principal)):
        for at, middle in enumerate((0.9, end)):
            values[row, at, 0] = middle, middle - spread, middle + spread
    clean = np.full((len(ABLATION_MEASURES), 3), np.nan, np.float32)
    clean[0] = 0.9, 0.88, 0.92
    return BindingAblation(
        id="ablation1",
        model_label="A small model",
        caution="",
        choices=chosen,
        subspaces=chosen.subspaces,
        steps=chosen.steps,
        dimension=6,
        values=values,
        clean=clean,
        moved=np.array([[0, 0.2]] * 3, np.float32),
        held=np.array([0.3, 0.1, 0.6], np.float32),
        images=("a", "b"),
        skipped=(),
        notes=("knn_classes is not known.",),
        provenance=make_provenance("", "bundled", "b" * 64, {"a": "a" * 64}, {}),
    )


@pytest.mark.parametrize(
    ("own", "principal", "words"),
    [
        (0.7, 0.6, "changes it as much or more"),
        (0.70, 0.71, "no difference is shown"),
        (0.5, 0.8, "changes it more than its controls"),
    ],
)
def test_the_verdict_follows_the_numbers(own, principal, words):
    effect, verdict = words_of(record(own, principal), "auc_matched")
    assert words in verdict
    assert f"binding part {own - 0.9:+.3f} ({own - 0.91:+.3f} to {own - 0.89:+.3f})" in effect


def test_an_unknown_measure_is_said_to_be():
    assert words_of(record(0.5, 0.6), "knn_classes") == [
        "This measure is not known here: too few objects or named classes."
    ]


def test_the_figure_has_a_line_for_each_part():
    figure = figure_of(record(0.5, 0.6), "auc_matched")
    assert [line.subspace for line in figure.lines] == ["binding", "random", "principal"]
    np.testing.assert_allclose(figure.lines[0].points[:, :2], [[0, 0.9], [1, 0.5]], atol=1e-6)
    svg = ablation_figure(record(0.5, 0.6), "auc_matched", "svg").decode()
    assert "share of patches shuffled" in svg and "changes it more than" in svg


def test_the_record_travels_as_plain_values():
    about = json.loads(json.dumps(sidecar(record(0.5, 0.6))))
    assert about["values"][0][1][0][0] == pytest.approx(0.5)
    assert about["values"][0][1][1][0] is None
    assert about["provenance"]["weights_sha256"] == "b" * 64


MODEL = {"model": "test_vit:random", "checkpoint": None, "size": None, "fit": "crop"}
SCENE = {**MODEL, "picture": None, "scene": ["shared-palette", 900_000], "row": "plda"}
AT = {"point": 2, "dimensions": 8}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Services that hold a preview on a few scenes, and its key."""
    patch = pytest.MonkeyPatch()
    patch.setattr(binding_work, "PREVIEW_SCENES", 11)
    here = make_services(tmp_path_factory.mktemp("ablation"))
    job = run(here, "binding", {**MODEL, "whole": False, "seed": 0, "job": "b"}, "b")
    assert job.state == "done", job.error
    yield here, str(job.result)
    here.close()
    patch.undo()


def run(here, kind, params, key):
    here.jobs.submit(kind, {**params, "job": key}, key, "test")
    return here.jobs.wait(key, 120)


def test_a_sweep_is_held_under_its_job(fitted):
    here, key = fitted
    job = run(here, "ablation", {**SCENE, **AT, "study": key, "scenes": 4}, "sweep")
    assert job.state == "done", job.error
    held = here.views.get("sweep")
    assert held.record.dimension == 8 and len(held.record.images) == 4
    assert held.fitted_on.endswith("made scenes")
    # What a probe was fitted on is not what it is measured on.
    fitted_on = {one.name for one in binding_work.held_binding(here, key).images}
    assert not fitted_on & set(held.record.images)


def test_a_picture_before_and_after_is_held_too(fitted):
    here, key = fitted
    asked = {**SCENE, **AT, "study": key, "subspace": "binding", "edit": "inject", "amount": 0.0}
    job = run(here, "edited", asked, "edit")
    assert job.state == "done", job.error
    held = here.views.get("edit")
    assert held.moved > 0 and held.before.same.grid == held.after.same.grid
    assert held.nbytes > 2 * held.before.same.z.nbytes - 1


def test_a_job_without_its_probe_says_what_to_do(fitted):
    here, _ = fitted
    job = run(here, "ablation", {**SCENE, **AT, "study": "gone", "scenes": 4}, "gone")
    assert job.state == "failed"
    assert "no longer kept by the server; fit it again" in job.error
