"""The services of a process and the job that pages submit."""

import io
import stat
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from analytics.serve.cache import RecordCache
from analytics.serve.state import Settings, default_data_dir, environment_settings, make_services
from analytics.serve.work import attend_work

WAIT = 30


def png():
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_services_keep_their_things_in_a_private_folder(tmp_path):
    folder = tmp_path / "atlas"
    made = make_services(folder, Settings(hosts=("a.example",)))
    token = made.signer.sign("x")
    made.close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["jobs", "pictures", "secret"]
    again = make_services(folder)
    assert again.signer.open(token) == "x"
    again.close()


def test_folder_that_cannot_be_made_is_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="ATTENTION_ATLAS_DATA"):
        make_services(tmp_path / "file" / "below")


def test_environment_decides(monkeypatch, tmp_path):
    monkeypatch.setenv("ATTENTION_ATLAS_DATA", str(tmp_path / "d"))
    assert default_data_dir() == tmp_path / "d"
    monkeypatch.delenv("ATTENTION_ATLAS_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / "attention-atlas"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_data_dir().parts[-3:] == (".local", "share", "attention-atlas")
    monkeypatch.setenv("ATTENTION_ATLAS_ROOTS", f"{tmp_path}:/data")
    monkeypatch.setenv("ATTENTION_ATLAS_HOSTS", "a.example, b.example,")
    found = environment_settings()
    assert found.roots[0] == tmp_path and len(found.roots) == 2
    assert found.hosts == ("a.example", "b.example")


def test_records_and_jobs_start_empty(tmp_path):
    made = make_services(tmp_path)
    assert isinstance(made.records, RecordCache) and len(made.records) == 0
    assert made.jobs.jobs() == []
    made.close()


@pytest.fixture
def working(here, record, monkeypatch):
    """Services whose `attend` job runs a stand-in for the study, and what it was called with."""
    calls = []

    def attend(loaded, picture, fit="crop", progress=None, **more):
        calls.append((loaded, picture.sha256, fit))
        progress(1, 2, "layer 1")
        return record

    loaded = SimpleNamespace(
        spec=SimpleNamespace(id="bundled"),
        weights_sha256="b" * 64,
        input_size=(224, 224),
        module=ModuleType("model"),
    )
    found: list[object] = []
    tracing = ModuleType("analytics.capture.tracing")
    tracing.find_sites = lambda module, size: found.append(module) or "sites"
    monkeypatch.setitem(sys.modules, tracing.__name__, tracing)
    object.__setattr__(here, "models", SimpleNamespace(get=lambda *given: loaded))
    object.__setattr__(here, "records", RecordCache(10_000))
    study = ModuleType("analytics.studies.attend")
    study.attend, study.lens_key = attend, lambda *given: "record-1"
    monkeypatch.setitem(sys.modules, study.__name__, study)
    here.jobs.register("attend", attend_work(here))
    return here, calls


def test_attend_job_computes_once_and_holds_the_record(working):
    here, calls = working
    sha256 = here.pictures.put(png(), "black.png").sha256
    params = {"model": "bundled", "checkpoint": None, "picture": sha256, "fit": "pad", "size": 224}
    here.jobs.submit("attend", params, "key")
    job = here.jobs.wait("key", WAIT)
    assert (job.state, job.result, job.error) == ("done", "record-1", "")
    assert here.records.get("record-1") is not None
    assert [call[1:] for call in calls] == [(sha256, "pad")]
    here.jobs.submit("attend", params, "key")
    assert here.jobs.wait("key", WAIT).result == "record-1"
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"model": "no_such_model_at_all"}, "no_such_model"), ({"picture": "c" * 64}, "upload it")],
)
def test_attend_job_fails_in_words(working, changed, words):
    here, _ = working
    sha256 = here.pictures.put(png(), "black.png").sha256
    here.jobs.submit("attend", {"model": "bundled", "picture": sha256, **changed}, "key")
    job = here.jobs.wait("key", WAIT)
    assert job.state == "failed" and words in job.error
