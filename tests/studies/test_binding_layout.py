"""Layouts of a picture by a probe: planted parts, every kind of probe, awkward pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analytics.io.scenes import make_scene
from analytics.metrics.binding_layout import separation
from analytics.metrics.binding_subspace import principal_plot
from analytics.models.binding_closed import fit_plda
from analytics.models.binding_fit import standardise
from analytics.models.binding_probes import KINDS, BindingProbe, dimension_holding
from analytics.models.registry import LoadedModel, load_model, parse_model
from analytics.studies.binding_layout import lay_out_binding
from analytics.studies.binding_parts import parts_at, read_directions
from analytics.types import Picture
from tests.models.binding_cases import drawn_probe, planted, split

POINTS, WIDTH = 7, 64


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def scene():
    return make_scene("one-colour", 5, 224, 14)


def picture_of(pixels) -> Picture:
    return Picture("made.png", "a" * 64, np.asarray(pixels, np.uint8))


def laid(loaded, probe, scene, known=True):
    return lay_out_binding(
        probe, loaded, picture_of(scene.pixels), scene.instances if known else None
    )


@pytest.fixture(scope="module")
def planted_probe():
    """PLDA fitted on h = f + b, b of rank 3 at the second point, and the patches."""
    data, _ = planted(images=160, noise=0.4)
    train = split(160)[0]
    return fit_plda(standardise(data, train), train), data


def test_a_planted_part_of_rank_three_shows_three_large_eigenvalues(planted_probe):
    probe, _ = planted_probe
    spectrum = probe.spectrum(1)
    assert dimension_holding(spectrum) == 3
    assert float(spectrum[2]) > 3 * float(spectrum[3])


def test_planted_objects_lie_apart_in_the_binding_part_and_not_in_the_rest(planted_probe):
    probe, data = planted_probe
    grid = np.stack(np.divmod(np.arange(24), 6), axis=1)
    objects = data.objects[-1].numpy()
    parts = parts_at(probe, data.features[1, -1].float(), 1)
    found = {name: separation(table, objects, grid) for name, table in parts.items()}
    assert found["binding"].auc > 0.97 and found["binding"].between > 0.75
    assert found["rest"].auc < 0.65
    assert found["stream"].auc < found["binding"].auc


def turned(probe: BindingProbe, by: torch.Tensor) -> BindingProbe:
    tensors = {**probe.tensors, "matrix": probe.tensors["matrix"] @ by}
    return BindingProbe(probe.kind, tensors, probe.about)


def test_turning_tokens_and_probe_together_changes_nothing():
    probe = drawn_probe("quadratic", width=8, rank=3)
    even = {"mean": torch.zeros(2, 8), "spread": torch.ones(2, 8)}
    probe = BindingProbe("quadratic", {**probe.tensors, **even}, {})
    tokens = torch.randn(12, 8, generator=torch.Generator().manual_seed(1))
    by = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(2)))[0]
    other = turned(probe, by)
    torch.testing.assert_close(other.spectrum(1), probe.spectrum(1), atol=1e-4, rtol=1e-4)
    objects = np.zeros(12)
    before, after = parts_at(probe, tokens, 1), parts_at(other, tokens @ by, 1)
    for name in ("binding", "stream", "rest"):
        first, second = (principal_plot(one[name], objects) for one in (before, after))
        np.testing.assert_allclose(second.places, first.places, atol=1e-3)
        np.testing.assert_allclose(second.explained, first.explained, atol=1e-4)


def test_the_rest_has_nothing_that_the_probe_reads():
    probe = drawn_probe("quadratic", width=8, rank=3)
    tokens = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    rest = parts_at(probe, tokens, 1)["rest"]
    np.testing.assert_allclose(rest @ probe.tensors["matrix"][1].numpy().T, 0, atol=1e-4)


def test_the_score_is_the_signed_product_of_binding_parts():
    probe = drawn_probe("quadratic", width=8, rank=3)
    tokens = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    b = parts_at(probe, tokens, 1)["binding"]
    read = probe.read(tokens, 1)
    signs = np.sign(probe.tensors["signs"][1].numpy())
    expected = probe.logits(read, read, 1).numpy() - float(probe.tensors["bias"][1])
    np.testing.assert_allclose((b * signs) @ b.T, expected, atol=1e-3)


def test_a_probe_of_all_directions_leaves_what_lies_beyond_ninety_percent():
    probe = drawn_probe("plda", width=6, rank=6)
    held = dimension_holding(probe.spectrum(1))
    directions = read_directions(probe, 1)
    assert directions is not None and directions.shape == (held, 6) and held < 6


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_probe_is_laid_out_or_says_what_it_lacks(loaded, scene, kind):
    probe, points = drawn_probe(kind, points=POINTS, width=WIDTH, rank=8), POINTS
    if kind == "next_qk":  # no layer comes after the last point
        probe.tensors["bias"][-1], points = float("nan"), POINTS - 1
    found = laid(loaded, probe, scene)
    wanted = {
        "linear": ("stream",),
        "next_qk": ("binding", "stream"),
        "pointwise": ("binding", "stream"),
        "cosine": ("binding", "stream"),
        "dot": ("binding", "stream"),
    }
    assert found.parts == wanted.get(kind, ("binding", "stream", "rest"))
    shape = (len(found.parts), points, 100, 3)
    assert found.places.shape == shape and np.isfinite(found.places).all()
    assert bool(found.spectra.shape[1]) == (kind not in ("linear", "pointwise", "next_qk"))
    known = np.isfinite(found.random).any()
    assert known == (kind in ("quadratic", "full", "diagonal"))
    assert (found.explained.sum(-1) <= 1 + 1e-5).all()


def test_a_random_spectrum_has_the_energy_of_the_probe(loaded, scene):
    found = laid(loaded, drawn_probe("quadratic", points=POINTS, width=WIDTH, rank=8), scene)
    size = np.square(found.random[..., 0]).sum(1)
    np.testing.assert_allclose(size, np.square(found.spectra).sum(1), rtol=0.05)
    assert found.random_dimensions[1] <= found.random_dimensions[0] <= found.random_dimensions[2]


def test_separation_needs_objects(loaded, scene):
    probe = drawn_probe("quadratic", points=POINTS, width=WIDTH, rank=8)
    assert np.isfinite(laid(loaded, probe, scene).separations).all()
    unknown = laid(loaded, probe, scene, known=False)
    assert np.isnan(unknown.separations).all()
    assert unknown.objects is None and unknown.mask is None


def test_one_pixel_is_laid_out(loaded):
    probe = drawn_probe("quadratic", points=POINTS, width=WIDTH, rank=8)
    found = lay_out_binding(probe, loaded, picture_of([[[200, 30, 30]]]))
    assert np.isfinite(found.places).all() and (found.colours == [200, 30, 30]).all()


def test_a_probe_of_another_depth_is_refused(loaded, scene):
    with pytest.raises(ValueError, match="7 points"):
        laid(loaded, drawn_probe("quadratic", points=4, width=WIDTH, rank=8), scene)
