"""Binding probes: planted objects, scores pair by pair, saved and read without loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analytics.models.binding_closed import (
    calibrate,
    fit_next_qk,
    fit_plda,
    fit_similarity,
    plda_directions,
    plda_terms,
    scatter,
)
from analytics.models.binding_fit import PairData, enough_epochs, fit_probe, score_images
from analytics.models.binding_probes import (
    KINDS,
    dimension_holding,
    probes_bytes,
    query_key_sums,
    read_probes,
    restore_probe,
)
from tests.models.binding_cases import drawn_probe, one_logit, planted, split, whole

TRAIN, VALIDATION, TEST = split()


def auc(probe, data, point, rows=TEST):
    """Every same pair of the test images against every different one."""
    truth, counted = data.truth(torch.tensor(rows))
    scores = torch.cat(list(score_images(probe, data, rows, point)))
    same = scores[(counted > 0) & (truth > 0)]
    different = scores[(counted > 0) & (truth == 0)]
    won = (same[:, None] > different).double() + 0.5 * (same[:, None] == different)
    return float(won.mean())


@pytest.fixture(scope="module")
def turned():
    data, basis = planted()
    return data, basis, whole(data, TRAIN)


@pytest.fixture(scope="module")
def quadratic(turned):
    return fit_probe("quadratic", turned[2], TRAIN, VALIDATION, rank=8, epochs=60)


@pytest.mark.parametrize("kind", KINDS)
def test_log_odds_pair_by_pair_symmetric_and_in_any_order(kind):
    probe = drawn_probe(kind)
    x = torch.randn(5, 12 if kind == "next_qk" else 6, generator=torch.Generator().manual_seed(3))
    for point in range(2):
        read = probe.read(x, point)
        logits = probe.logits(read, read, point)
        by_hand = [[one_logit(probe, a, b, point) for b in x] for a in x]
        np.testing.assert_allclose(logits, by_hand, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(logits, logits.T, rtol=1e-5, atol=1e-5)
        order = torch.tensor([3, 0, 4, 1, 2])
        again = probe.read(x[order], point)
        np.testing.assert_allclose(
            probe.logits(again, again, point), logits[order][:, order], rtol=1e-5, atol=1e-5
        )
        row = probe.logits(probe.read(x[2:3], point), read, point)
        np.testing.assert_allclose(row[0], logits[2], rtol=1e-5, atol=1e-5)


def test_a_planted_part_is_found_where_it_is(turned, quadratic):
    data, basis, _ = turned
    assert auc(quadratic.probe, data, 1) > 0.87
    assert auc(quadratic.probe, data, 0) == pytest.approx(0.5, abs=0.03)
    values = quadratic.probe.spectrum(1).abs()
    assert values[2] > 3 * values[3]
    assert dimension_holding(quadratic.probe.spectrum(1)) == 3
    spread = quadratic.probe.tensors["spread"][1]
    expected = torch.linalg.qr((basis / spread).T)[0]
    found = quadratic.probe.subspace(1)
    np.testing.assert_allclose(found @ found.T, np.eye(8), atol=1e-5)
    assert torch.linalg.svdvals(found[:3] @ expected).min() > 0.9


def test_a_linear_probe_fails_and_a_diagonal_one_after_a_rotation(turned, quadratic):
    data, _, scaled = turned
    linear = fit_probe("linear", scaled, TRAIN, VALIDATION, epochs=20)
    assert auc(linear.probe, data, 1) == pytest.approx(0.5, abs=0.06)
    diagonal = fit_probe("diagonal", scaled, TRAIN, VALIDATION, epochs=40)
    straight, _ = planted(turned=False)
    along = fit_probe("diagonal", whole(straight, TRAIN), TRAIN, VALIDATION, epochs=40)
    assert auc(along.probe, straight, 1) > 0.86
    assert auc(diagonal.probe, data, 1) < auc(quadratic.probe, data, 1) - 0.1


def test_the_others_find_the_planted_part_too(turned):
    data, _, scaled = turned
    full = fit_probe("full", scaled, TRAIN, VALIDATION, epochs=40)
    assert auc(full.probe, data, 1) > 0.86
    assert auc(fit_plda(scaled, TRAIN), data, 1) > 0.86
    pointwise = fit_probe("pointwise", scaled, TRAIN, VALIDATION, rank=16, epochs=40)
    assert auc(pointwise.probe, data, 1) > 0.75
    for kind in ("cosine", "dot"):
        assert 0.6 < auc(fit_similarity(kind, scaled, TRAIN), data, 1) < 0.8


def test_shuffled_labels_give_one_half(turned):
    data = turned[0]
    generator = torch.Generator().manual_seed(8)
    order = torch.stack([torch.randperm(24, generator=generator) for _ in range(96)])
    shuffled = PairData(data.features, data.objects.gather(1, order))
    fit = fit_probe("quadratic", whole(shuffled, TRAIN), TRAIN, VALIDATION, rank=8, epochs=12)
    assert auc(fit.probe, shuffled, 1) == pytest.approx(0.5, abs=0.03)
    assert auc(fit_plda(whole(shuffled, TRAIN), TRAIN), shuffled, 1) == pytest.approx(0.5, abs=0.04)


def test_the_same_seed_gives_the_same_probe_and_the_best_epoch_is_kept(turned):
    data, _, scaled = turned
    fits = [
        fit_probe("quadratic", scaled, TRAIN, VALIDATION, rank=4, epochs=6, seed=seed)
        for seed in (0, 0, 1)
    ]
    for name, tensor in fits[0].probe.tensors.items():
        assert torch.equal(tensor, fits[1].probe.tensors[name])
    assert not torch.equal(fits[0].probe.tensors["matrix"], fits[2].probe.tensors["matrix"])
    losses = fits[0].validation_losses
    assert losses[list(fits[0].best), [0, 1]].tolist() == pytest.approx(
        losses.min(0).values.tolist(), abs=2e-5
    )
    alone = PairData(data.features[1:], data.objects)
    single = fit_probe("quadratic", whole(alone, TRAIN), TRAIN, VALIDATION, rank=4, epochs=6)
    np.testing.assert_allclose(
        single.probe.tensors["matrix"][0], fits[0].probe.tensors["matrix"][1], atol=1e-4
    )


def test_patches_without_an_object_change_nothing(turned):
    data, _, _ = turned
    padding = torch.full((2, 96, 4, 48), 7.0).half()
    more = PairData(
        torch.cat([data.features, padding], 2),
        torch.cat([data.objects, torch.zeros(96, 4, dtype=torch.int64)], 1),
    )
    for one in (fit_plda, lambda w, t: fit_probe("quadratic", w, t, VALIDATION, 4, 3).probe):
        plain, padded = (one(whole(each, TRAIN), TRAIN) for each in (data, more))
        for name, tensor in plain.tensors.items():
            np.testing.assert_allclose(tensor, padded.tensors[name], rtol=2e-3, atol=2e-4)


def test_plda_is_the_ratio_of_normal_densities():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(3, 3, generator=generator).double()
    within = root @ root.T + torch.eye(3)
    other = torch.randn(3, 2, generator=generator).double()
    between = other @ other.T
    matrix, psi = plda_directions(within, between)
    np.testing.assert_allclose(matrix @ within @ matrix.T, np.eye(3), atol=1e-10)
    np.testing.assert_allclose(matrix @ between @ matrix.T, np.diag(psi), atol=1e-10)
    signs, own, bias = plda_terms(psi)
    x, y = torch.randn(2, 3, generator=generator).double()
    a, b = matrix @ x, matrix @ y
    found = (signs * a * b + own * (a * a + b * b)).sum() + bias
    total = within + between

    def density(covariance, values):
        normal = torch.distributions.MultivariateNormal(
            torch.zeros(len(values)).double(), covariance
        )
        return normal.log_prob(values)

    joint = torch.cat([torch.cat([total, between], 1), torch.cat([between, total], 1)])
    expected = density(joint, torch.cat([x, y])) - density(total, x) - density(total, y)
    assert float(found) == pytest.approx(float(expected), abs=1e-9)


def test_scatter_by_hand():
    x = torch.tensor([[1.0], [3.0], [10.0], [14.0]]) - 7
    within, between = scatter(x, torch.tensor([0, 0, 1, 1]))
    assert float(within) == pytest.approx((1 + 1 + 4 + 4) / 2)
    assert float(between) == pytest.approx(25 - 5 * 2 / 4)  # means 2 and 12 about 7
    for groups in ([0, 0, 0, 0], [0, 1, 2, 3]):
        with pytest.raises(ValueError, match="two objects"):
            scatter(x, torch.tensor(groups))


def test_calibration_gives_back_log_odds():
    generator = torch.Generator().manual_seed(1)
    odds = 2 * torch.randn(40_000, generator=generator) - 1
    truth = torch.rand(40_000, generator=generator) < torch.sigmoid(odds)
    assert calibrate(odds, truth) == pytest.approx((1, 0), abs=0.05)
    assert calibrate(odds / 5 + 3, truth)[0] == pytest.approx(5, abs=0.2)
    scale, _ = calibrate(-odds, truth)
    assert 0 < scale < 1e-5
    share = float(truth.float().mean())
    bias = calibrate(torch.zeros(40_000), truth)[1]
    assert bias == pytest.approx(np.log(share / (1 - share)), abs=1e-3)


def test_queries_and_keys_as_one_signed_product():
    q, k = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(2))
    z = query_key_sums(q, k)
    signed = z * torch.tensor([1.0] * 6 + [-1.0] * 6)
    np.testing.assert_allclose(signed @ z.T, (q @ k.T + k @ q.T) / 2, atol=1e-5)
    data, _ = planted(width=6)
    x = data.features[1].float()
    products = torch.stack([x @ x.mT, torch.full((96, 24, 24), torch.nan)])
    probe = fit_next_qk(products, data.objects, TRAIN, 6)
    assert probe.tensors["signs"][0, 0] > 0 and probe.tensors["signs"][1].isnan().all()
    read = probe.read(query_key_sums(x[0], x[0]), 0)
    scale, bias = probe.tensors["signs"][0, 0], probe.tensors["bias"][0]
    np.testing.assert_allclose(
        probe.logits(read, read, 0), scale * products[0, 0] + bias, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [([2, 2, 2, 0], 3), ([10, 1, 1], 1), ([-3, 3], 2), ([], 0), ([0, 0], 0)],
)
def test_dimensions_that_hold_nine_tenths(values, expected):
    assert dimension_holding(torch.tensor(values, dtype=torch.float32)) == expected


def test_spectra_of_the_kinds(turned):
    probe = drawn_probe("plda", rank=6)
    w, s = probe.tensors["matrix"][1], probe.tensors["signs"][1]
    expected = np.linalg.eigvalsh((w.T * s) @ w)
    np.testing.assert_allclose(np.sort(probe.spectrum(1)), expected, atol=1e-4)
    diagonal = drawn_probe("diagonal")
    np.testing.assert_allclose(
        np.sort(diagonal.spectrum(0)), np.sort(diagonal.tensors["signs"][0]), atol=1e-6
    )
    assert len(drawn_probe("linear").spectrum(0)) == 0
    with pytest.raises(ValueError, match="quadratic"):
        diagonal.subspace(0)


def test_probes_are_saved_and_read_without_loss(tmp_path):
    probes = {kind: drawn_probe(kind) for kind in KINDS}
    probes["another"] = drawn_probe("quadratic", seed=5)
    path = tmp_path / "probes.safetensors"
    path.write_bytes(probes_bytes(probes, {"model": "made", "points": 2}))
    found, about = read_probes(path)
    assert about == {"model": "made", "points": 2} and list(found) == list(probes)
    for name, probe in probes.items():
        assert (found[name].kind, found[name].about) == (probe.kind, probe.about)
        for part, tensor in probe.tensors.items():
            assert torch.equal(found[name].tensors[part], tensor)


def test_what_is_no_file_of_probes_is_refused(tmp_path):
    path = tmp_path / "probes.safetensors"
    for data in (b"", b"no tensors", probes_bytes({"a": drawn_probe("plda")}, {})[:-9]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"probes\.safetensors"):
            read_probes(path)
    tensors = dict(drawn_probe("quadratic").tensors)
    with pytest.raises(ValueError, match="signs"):
        restore_probe("quadratic", {**tensors, "signs": tensors["signs"][:, :2]}, {})
    with pytest.raises(ValueError, match="a probe of"):
        restore_probe("plda", tensors, {})


def test_requests_that_make_no_sense_are_refused(turned):
    _, _, scaled = turned
    with pytest.raises(ValueError, match="to fit"):
        fit_probe("plda", scaled, TRAIN, VALIDATION)
    with pytest.raises(ValueError, match="validation"):
        fit_probe("linear", scaled, TRAIN, [])
    probe = drawn_probe("quadratic")
    with pytest.raises(ValueError, match="point of 0 to 1"):
        probe.read(torch.zeros(3, 6), 2)
    with pytest.raises(ValueError, match="width 6"):
        probe.read(torch.zeros(3, 5), 0)
    assert (enough_epochs(336), enough_epochs(4), enough_epochs(10_000)) == (20, 60, 12)


def test_a_fit_can_be_cancelled(turned):
    def stop(done, total, message):
        assert (done, total, message) == (1, 5, "linear probe: epoch 1 of 5")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_probe("linear", turned[2], TRAIN, VALIDATION, epochs=5, progress=stop)
