"""The job that finds the top heads: what it says, keeps, shares with the command line, refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analytics.jobs.queue import Cancelled
from analytics.serve.search_work import search_store, search_work
from analytics.serve.state import make_services
from analytics.serve.subject import find_subject
from tests.serve.asking import MODEL, made, silent


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    here = make_services(tmp_path_factory.mktemp("data"))
    yield here
    here.close()


@pytest.fixture(scope="module")
def hashes(services):
    return [services.pictures.put(made(i), f"made {i}.png").sha256 for i in range(26)]


def request(pictures, **more):
    return {
        "model": MODEL, "checkpoint": None, "size": None, "fit": "crop", "readout": None,
        "set": {"kind": "pictures", "images": pictures}, "limit": 64, "seed": 0,
        "ablation": "zero", "metric": "cls_shift", "top": 3, **more,
    }  # fmt: skip


def run(here, params, key):
    here.jobs.submit("search", params, key, "test")
    return here.jobs.wait(key, 60)


@pytest.fixture(scope="module")
def done(services, hashes):
    job = run(services, request(hashes), "search")
    assert job.state == "done", job.error
    return job.result


def test_the_heads_are_the_top_of_all_measured(services, hashes, done):
    from analytics.studies.importance import measure_importance

    subject = find_subject(services, request(hashes), silent)
    whole = measure_importance(subject.loaded, subject.images, ("cls_shift",))
    best = np.argsort(-whole.mean("cls_shift"), kind="stable")[:3]
    assert {tuple(pair) for pair in done["heads"]} == {whole.heads[column] for column in best}
    assert done["images"] == 26 and 12 <= done["images_drawn"] <= 26
    assert 0 < done["work"] < 1 and not done["exact"] and done["error_rate"] == 0.05
    assert json.loads(json.dumps(done, allow_nan=False)) == done


def test_few_pictures_are_measured_whole_and_said_to_be_exact(services, hashes):
    job = run(services, request(hashes[:5]), "few")
    assert job.result["exact"] and job.result["work"] == 1
    assert job.result["images_drawn"] == job.result["images"] == 5


def test_the_command_line_finds_the_same_search(services, hashes, done):
    from analytics.studies.pictures import survey
    from analytics.studies.top_importance import load_search, search_key

    subject = find_subject(services, request(hashes), silent)
    content = survey(subject.images, None).content
    key = search_key(subject.loaded, content, "cls_shift", 3, "zero", None, "crop", 0)
    held = load_search(search_store(services), key)
    assert held is not None and len(held.images) == done["images_drawn"]
    assert (services.data_dir / "importance" / "top" / key).is_dir()
    assert key not in services.importance.keys()  # noqa: SIM118  # a store, no mapping


def test_a_stopped_search_goes_on_after_what_it_kept(services, hashes):
    params = request(hashes, seed=5, ablation="resample")
    work, heard = search_work(services), []

    def stop(done: float, total: float, message: str = "") -> None:
        heard.append(message)
        if "picture 9," in message:
            raise Cancelled

    def listen(done: float, total: float, message: str = "") -> None:
        heard.append(message)

    with pytest.raises(Cancelled):
        work(params, stop)
    before = [message for message in heard if "undecided; picture" in message]
    assert any("picture 1," in message for message in before)
    heard.clear()
    found = work(params, listen)
    after = [message for message in heard if "undecided; picture" in message]
    assert not any("picture 1," in message or "picture 5," in message for message in after)
    assert any("picture 9," in message for message in after)
    alone = search_work(make_alone(services, hashes))(params, silent)
    assert found == alone


def make_alone(services, hashes):
    """Other services with the same pictures that have measured nothing."""
    folder = services.data_dir / "alone"
    here = make_services(folder)
    for sha256 in hashes:
        here.pictures.put(services.pictures.data(sha256), services.pictures.name(sha256))
    here.close()
    return here


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"top": 12}, "k from 1 to 11 of 12 heads, got 12"),
        ({"top": 0}, "got 0"),
        ({"metric": "beauty"}, "beauty"),
        ({"ablation": "half"}, "zero, mean, resample"),
        ({"set": {"kind": "pictures", "images": []}}, "at least one picture"),
        ({"set": {"kind": "zip", "sha256": "d" * 64}}, "upload it again"),
    ],
)
def test_what_cannot_be_searched_says_why_in_one_line(services, hashes, more, expected):
    job = run(services, {**request(hashes[:3]), **more}, "refused")
    assert job.state == "failed" and "unexpected failure" not in job.error
    assert expected in job.error and "\n" not in job.error


def test_one_picture_without_another_to_borrow_from(services, hashes):
    assert run(services, request(hashes[:1]), "one").result["exact"]
    job = run(services, request(hashes[:1], ablation="mean"), "one-mean")
    assert job.state == "failed" and "got 1 picture" in job.error
