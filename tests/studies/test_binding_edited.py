"""One picture before and after an edit: identities, and what an edit must and must not move."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from analytics.io.images import read_picture
from analytics.models.registry import load_model, parse_model
from analytics.studies.binding_edited import edited_maps
from tests.models.binding_cases import drawn_probe
from tests.studies.binding_making import Objects
from tests.studies.flow_making import vit


@pytest.fixture(scope="module")
def loaded():
    return vit(load_model(parse_model("test_vit:random")), reg_tokens=1)


@pytest.fixture(scope="module")
def probe():
    return drawn_probe("quadratic", points=4, width=48, rank=6)


@pytest.fixture(scope="module")
def subject():
    image = Objects(1).load()
    buffer = io.BytesIO()
    Image.fromarray(image.pixels).save(buffer, "PNG")
    return read_picture(buffer.getvalue(), "made.png"), image.instances


def maps(probe, loaded, subject, edit, amount, subspace="binding", point=2, known=True):
    picture, instances = subject
    known = instances if known else None
    return edited_maps(probe, loaded, picture, known, point, None, subspace, edit, amount)


@pytest.mark.parametrize(("edit", "amount"), [("shuffle", 0.0), ("inject", 1.0)])
def test_no_edit_is_the_same_map(probe, loaded, subject, edit, amount):
    before, after, moved = maps(probe, loaded, subject, edit, amount)
    np.testing.assert_array_equal(before.z, after.z)
    assert moved == 0


@pytest.mark.parametrize("subspace", ["binding", "random", "principal"])
@pytest.mark.parametrize(("edit", "amount"), [("shuffle", 1.0), ("inject", 0.0)])
def test_an_edit_moves_the_map_and_controls_as_much_energy(
    probe, loaded, subject, edit, amount, subspace
):
    before, after, moved = maps(probe, loaded, subject, edit, amount, subspace)
    assert not np.allclose(before.z, after.z)
    own = maps(probe, loaded, subject, edit, amount)[2]
    assert moved == pytest.approx(own, rel=1e-3) and moved > 0


def test_injected_at_the_last_point_patches_of_an_object_are_read_alike(probe, loaded, subject):
    from analytics.io.fitting import fit_mask, place
    from analytics.metrics.patch_objects import patch_objects

    picture, instances = subject
    _, after, _ = maps(probe, loaded, subject, "inject", 0.0, point=3)
    placement = place(picture.height, picture.width, "crop", *loaded.input_size)
    objects = patch_objects(fit_mask(instances, placement), after.grid)[0].reshape(-1)
    members = np.flatnonzero(objects == objects[objects >= 0][0])
    assert len(members) > 1
    read = after.z[0, members]
    np.testing.assert_allclose(read, np.broadcast_to(read[0], read.shape), atol=1e-4)


def test_the_model_is_left_as_it_was(probe, loaded, subject):
    first, _, _ = maps(probe, loaded, subject, "shuffle", 1.0)
    again, _, _ = maps(probe, loaded, subject, "shuffle", 0.0)
    np.testing.assert_array_equal(first.z, again.z)


def test_an_injection_needs_objects_and_a_probe_a_matrix(probe, loaded, subject):
    with pytest.raises(ValueError, match="objects are known"):
        maps(probe, loaded, subject, "inject", 0.0, known=False)
    assert maps(probe, loaded, subject, "shuffle", 0.5, known=False)[2] > 0
    with pytest.raises(ValueError, match="a probe with a matrix, got cosine"):
        maps(drawn_probe("cosine", points=4, width=48), loaded, subject, "shuffle", 1.0)
    with pytest.raises(ValueError, match="a point of 0 to 3, got 9"):
        maps(probe, loaded, subject, "shuffle", 1.0, point=9)
