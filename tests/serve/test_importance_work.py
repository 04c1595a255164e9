"""The jobs of the Heads page on a small model: what they measure, keep, reuse and refuse."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from analytics.jobs.queue import Cancelled
from analytics.serve import begun
from analytics.serve.begun import find_result
from analytics.serve.importance_work import QUICK, held_importance
from analytics.serve.sets import keep_zip
from analytics.serve.state import make_services
from analytics.serve.subject import find_subject
from tests.serve.asking import made, measure, request, run, silent, two_classes


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    here = make_services(tmp_path_factory.mktemp("data"))
    yield here
    here.close()


@pytest.fixture(scope="module")
def hashes(services):
    return [services.pictures.put(made(i), f"made {i}.png").sha256 for i in range(6)]


@pytest.fixture(scope="module")
def labelled(services):
    return two_classes(services)


def test_the_preview_measures_what_one_pass_gives(services, hashes):
    record = measure(services, request(hashes[:4]))
    assert record.metrics == QUICK
    assert record.complete and record.ablation == "zero"
    assert [image.sha256 for image in record.images] == hashes[:4]
    assert np.isfinite(record.values).all()


def test_exact_equals_the_study_itself(services, hashes):
    from analytics.metrics.catalogue import metrics_for
    from analytics.studies.importance import measure_importance
    from analytics.studies.reading import available

    params = request(hashes[:3], "exact", ablation="mean")
    record = measure(services, params)
    subject = find_subject(services, params, silent)
    names = metrics_for(available(subject.loaded, None))
    alone = measure_importance(subject.loaded, subject.images, names, "mean")
    assert record.metrics == alone.metrics and "cls_shift" in record.metrics
    assert record.ablation == "mean"
    np.testing.assert_allclose(record.values, alone.values, rtol=1e-5, atol=1e-7)


def test_one_picture_has_no_prototype_and_no_second_one_to_borrow_from(services, hashes):
    quick = measure(services, request(hashes[:1]))
    assert quick.metrics == tuple(name for name in QUICK if name != "taylor")
    exact = measure(services, request(hashes[:1], "exact"))
    assert "taylor" not in exact.metrics and np.isfinite(exact.table("cls_shift")).all()
    job = run(services, "importance", request(hashes[:1], "exact", ablation="mean"), "one-mean")
    assert job.state == "failed" and "got 1 picture" in job.error and "zero" in job.error


def test_the_same_pictures_twice_are_measured_once(services):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("a/1.png", "b/1.png"):
            archive.writestr(name, made(1))
    record = measure(services, request(keep_zip(services, buffer.getvalue())))
    assert len(record.images) == 1 and record.complete
    assert "the same bytes as" in record.skipped[0][1]
    assert np.isfinite(record.table("sensitivity")).all()


def test_a_readout_is_fitted_once_and_reused(services, labelled, monkeypatch):
    from analytics.studies import features

    params = request(labelled, readout={"kind": "linear", "layer": None})
    first = measure(services, params)
    assert "Linear read-out" in first.readout and first.classes == ("bright", "dark")

    def refuse(*_args, **_more):
        raise AssertionError("the read-out was fitted again")

    monkeypatch.setattr(features, "frozen_features", refuse)
    again = measure(services, {**params, "effort": "exact", "job": "importance-reuse"})
    assert again.readout == first.readout
    assert {"probability_drop", "js_divergence", "flip_rate"} <= set(again.metrics)


def test_measured_pictures_are_held_out_of_the_fit_and_labelled(services, labelled):
    from analytics.models.readout import load_readout

    params = request(labelled, readout={"kind": "knn", "layer": 1}, limit=4)
    before = set((services.data_dir / "readouts").glob("*.safetensors"))
    subject = find_subject(services, params, silent)
    [file] = set((services.data_dir / "readouts").glob("*.safetensors")) - before
    kept = json.loads(file.with_suffix(".json").read_text())
    readout = load_readout(file)
    from analytics.serve.sets import find_set

    names = [image.name for image in find_set(services, params["set"]).images]
    fitted_on = {names[kept[row]] for row in readout.train}
    assert len(fitted_on) == readout.n_train > 0
    assert len(subject.images) == 4 and sorted(subject.labels) == ["bright"] * 2 + ["dark"] * 2
    for image, label in zip(subject.images, subject.labels, strict=True):
        assert image.name not in fitted_on
        assert image.name.startswith(f"{label}/")
    record = measure(services, params)
    assert [image.label for image in record.images] == list(subject.labels)


@pytest.mark.parametrize("readout", [None, {"kind": "linear", "layer": None}])
def test_pictures_of_a_labelled_set_can_be_shown(services, labelled, readout):
    record = measure(services, request(labelled, readout=readout, limit=6))
    assert len(record.images) == 6
    for image in record.images:
        data = services.pictures.data(image.sha256)
        assert hashlib.sha256(data).hexdigest() == image.sha256


def test_a_readout_needs_labels(services, hashes):
    params = request(hashes, readout={"kind": "linear", "layer": None})
    job = run(services, "importance", params, "unlabelled")
    assert job.state == "failed" and "a read-out needs pictures with labels" in job.error


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"set": {"kind": "zip", "sha256": "d" * 64}}, "upload it again"),
        ({"set": {"kind": "pictures", "images": ["e" * 64]}}, "can be read"),
        ({"set": {"kind": "pictures", "images": []}}, "at least one picture"),
        ({"model": "resnet18:random"}, "no attention between the places of a picture"),
        ({"model": "xcit_nano_12_p16_224:random"}, "between channels"),
        ({"ablation": "half", "effort": "exact"}, "zero, mean, resample"),
    ],
)
def test_what_cannot_be_measured_says_why_in_one_line(services, hashes, more, expected):
    params = {**request(hashes[:2]), **more}
    job = run(services, "importance", params, "refused")
    assert job.state == "failed"
    assert expected in job.error and "\n" not in job.error


def test_a_layer_that_is_not_there_is_named(services, labelled):
    params = request(labelled, readout={"kind": "linear", "layer": 40})
    job = run(services, "importance", params, "deep")
    assert job.state == "failed" and "40" in job.error


def test_a_stopped_study_is_found_and_completed_by_the_next_run(services, hashes):
    from analytics.serve.importance_work import importance_work

    params = request(hashes, "exact", ablation="resample")
    work = importance_work(services)
    heard = []

    def stop(done: float, total: float, message: str = "") -> None:
        heard.append(message)
        if message.startswith("pictures 5"):
            raise Cancelled

    assert find_result(services, params["job"]) is None
    with pytest.raises(Cancelled):
        work(params, stop)
    key = find_result(services, params["job"])
    part = held_importance(services, key)
    assert len(part.images) == 4 and not part.complete and part.images_wanted == 6
    begun = heard.count("pictures 1 to 4 of 6, head 0 of 12")
    heard.clear()

    def listen(done: float, total: float, message: str = "") -> None:
        heard.append(message)

    assert work(params, listen) == key
    assert not any("of 6" in message for message in heard) and begun <= 1
    whole = held_importance(services, key)
    assert whole.complete and [image.sha256 for image in whole.images] == hashes
    assert np.array_equal(whole.values[:, :4], part.values)


def test_finding_the_result_of_a_job_reads_no_plan_and_survives_a_restart(
    services, hashes, monkeypatch
):
    params = request(hashes[:2], seed=11)
    record = measure(services, params)
    asked = []
    monkeypatch.setattr(services.importance, "plan", asked.append)
    monkeypatch.setattr(services.importance, "keys", lambda: asked.append("all"))
    assert find_result(services, params["job"]) == record.id
    assert find_result(services, "importance-never") is None and asked == []
    again = make_services(services.data_dir)
    try:
        assert find_result(again, params["job"]) == record.id
        again.importance.remove(record.id)
        assert held_importance(again, record.id) is None
    finally:
        again.close()


def test_two_jobs_that_ask_for_the_same_find_the_same_result(services, hashes):
    # One model under two of its choices: the effort of a preview has no ablation.
    first, second = request(hashes[:2], seed=12), request(hashes[:2], seed=12, ablation="mean")
    assert first["job"] != second["job"]
    record = measure(services, first)
    assert measure(services, second).id == record.id
    assert [find_result(services, one["job"]) for one in (first, second)] == [record.id] * 2


def test_the_notes_of_jobs_do_not_grow_without_end(services, monkeypatch):
    monkeypatch.setattr(begun, "KEEP_NOTES", 4)
    for number in range(9):
        begun.note_result(services, f"importance-{number}", "a" * 64)
    folder = services.data_dir / begun.FOLDER
    assert len(list(folder.iterdir())) == 4


def test_details_equal_partial_pruning_of_that_picture(services):
    from analytics.capture.tracing import find_sites
    from analytics.studies.features import read_batches
    from analytics.studies.partial import partial_pruning

    # Two pictures with one name: the second one is meant.
    pair = [services.pictures.put(made(40 + i), "image.png").sha256 for i in range(2)]
    params = request(pair, "exact")
    record = measure(services, params)
    wanted = {"result": record.id, "image": 1, "layer": 2, "head": 1}
    job = run(services, "partial", wanted, "partial")
    assert job.state == "done", job.error
    subject = find_subject(services, params, silent)
    loaded = subject.loaded
    sites = find_sites(loaded.module, loaded.input_size)
    [batch] = read_batches(subject.images[1:], loaded, "crop", 1)
    found = partial_pruning(loaded, sites, batch.pixels, 2, 1)
    assert {one["mode"]: one["value"] for one in job.result["modes"]} == pytest.approx(found.values)
    assert job.result["metric"] == "cls shift" and job.result["before"] is None
    assert job.result["modes"][0] == {"mode": "none", "value": 0.0}
    values = {one["mode"]: one["value"] for one in job.result["modes"]}
    exact = record.table("cls_shift")[1, record.column(2, 1)]
    assert values["all"] == pytest.approx(float(exact), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("kind", ["curves", "partial", "prune", "iterate"])
def test_a_result_that_was_deleted_is_a_plain_sentence(services, kind):
    params = {"result": "0" * 64, "image": 0, "layer": 0, "head": 0, "heads": [[0, 0]]}
    params |= {"metric": "cls_shift", "count": 1, "steps": 1}
    job = run(services, kind, params, f"gone-{kind}")
    assert job.state == "failed"
    assert job.error == "this study is no longer kept on this server; measure again"


def test_details_of_a_picture_that_left_the_store_are_a_plain_sentence(services):
    pair = [services.pictures.put(made(60 + i), f"leaving {i}.png").sha256 for i in range(2)]
    record = measure(services, request(pair))
    (services.pictures.root / pair[0]).unlink()
    wanted = {"result": record.id, "image": 0, "layer": 0, "head": 0}
    job = run(services, "partial", wanted, "left")
    assert job.state == "failed" and "leaving 0.png is no longer stored" in job.error


def test_a_study_and_a_detail_at_once_do_not_disturb_each_other(services, hashes):
    record = measure(services, request(hashes[:2], "exact"))
    wanted = {"result": record.id, "image": 0, "layer": 1, "head": 0}
    alone = run(services, "partial", wanted, "alone").result
    # The page's details run in the lens's line beside a long study on the same model.
    params = request(hashes, "exact", seed=7)
    services.jobs.submit("importance", params, params["job"], "test study")
    for turn in range(3):
        services.jobs.submit("partial", wanted, f"beside-{turn}", "test")
        assert services.jobs.wait(f"beside-{turn}", 60).result == alone
    job = services.jobs.wait(params["job"], 60)
    beside = held_importance(services, job.result)
    quiet = request(hashes, "exact", seed=7)
    services.importance.remove(job.result)
    again = measure(services, quiet)
    assert np.array_equal(beside.values, again.values, equal_nan=True)
