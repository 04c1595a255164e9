"""The job of the Strength page on a small model: what it measures, keeps, resumes and refuses."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from analytics.jobs.queue import Cancelled
from analytics.serve.begun import find_result
from analytics.serve.profile_work import held_profile, profile_work
from analytics.serve.state import make_services

MODEL = "test_vit:random"


def made(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), np.uint8)
    pixels[:, : 4 + 3 * seed] = (20 * seed, 200, 90)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def silent(done: float, total: float, message: str = "") -> None:
    pass


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    here = make_services(tmp_path_factory.mktemp("data"))
    yield here
    here.close()


@pytest.fixture(scope="module")
def hashes(services):
    return [services.pictures.put(made(i), f"made {i}.png").sha256 for i in range(10)]


def request(images, **more):
    return {
        "model": MODEL,
        "checkpoint": None,
        "size": None,
        "fit": "crop",
        "set": {"kind": "pictures", "images": images},
        "readout": None,
        "limit": 64,
        "seed": 0,
        "job": "profile-test",
        **more,
    }


def test_a_profile_is_kept_and_found_by_its_job(services, hashes):
    key = profile_work(services)(request(hashes[:3], job="profile-whole"), silent)
    record = held_profile(services, key)
    assert find_result(services, "profile-whole") == key
    assert find_result(services, "profile-other") is None
    assert [image.sha256 for image in record.images] == hashes[:3]
    assert record.complete and np.isfinite(record.scalars["mean_distance:raw"]).all()
    assert held_profile(services, key) is record  # from memory
    assert held_profile(services, "f" * 64) is None


def test_a_limit_measures_a_part_of_the_set(services, hashes):
    key = profile_work(services)(request(hashes[:5], limit=2), silent)
    record = held_profile(services, key)
    assert len(record.images) == 2 and {one.sha256 for one in record.images} <= set(hashes[:5])


def test_what_was_measured_before_a_cancel_is_kept_and_gone_on_with(services, hashes):
    def stopping(done, total, message=""):
        if done:
            raise Cancelled

    work, params = profile_work(services), request(hashes, job="profile-cancelled")
    with pytest.raises(Cancelled):
        work(params, stopping)
    key = find_result(services, "profile-cancelled")
    part = held_profile(services, key)
    assert 0 < len(part.images) < 10 and not part.complete
    assert work(params, silent) == key
    whole = held_profile(services, key)
    assert whole.complete and len(whole.images) == 10
    before = len(part.images)
    assert np.array_equal(whole.scalars["nmi"][:before], part.scalars["nmi"], equal_nan=True)


def test_channel_attention_is_refused_with_its_reason(services, hashes):
    with pytest.raises(ValueError, match=r"no layer in which patches attend to patches.*channels"):
        profile_work(services)(request(hashes[:1], model="xcit_nano_12_p16_224:random"), silent)
