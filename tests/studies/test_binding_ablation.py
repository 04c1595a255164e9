"""A stream that is changed at one point: identities, twins by hand, threads, and the record."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from analytics.io.fitting import normalise
from analytics.metrics.binding import matched_weights, weighted_auc
from analytics.metrics.binding_subspace import Subspace, energy
from analytics.models.registry import load_model, parse_model
from analytics.store.results import ResultStore
from analytics.studies.binding_ablation import ablation_key, binding_subspace, measure_ablation
from analytics.studies.binding_ablation_record import (
    ABLATION_MEASURES,
    AblationChoices,
    ablation_table,
    save_ablation,
)
from analytics.studies.binding_ablation_scores import Ends, EndScorer
from analytics.studies.binding_choices import BindingChoices
from analytics.studies.binding_edits import changed_patches, edited_stream, replaced_patches
from analytics.studies.binding_images import draw_patches, survey_annotated
from analytics.types import PatchGrid
from tests.models.binding_cases import drawn_probe
from tests.studies.binding_making import Empty, Objects, Unreadable
from tests.studies.flow_making import vit


@dataclass(frozen=True)
class Named:
    """As `Objects`, with a class name for each object."""

    seed: int

    @property
    def name(self):
        return f"named {self.seed}"

    def load(self):
        image = Objects(self.seed).load()
        classes = {1: "box", 2: ("tall", "wide")[self.seed % 2]}
        return replace(image, name=self.name, classes=classes)


SOURCES = [*(Named(seed) for seed in range(5)), Unreadable(), Empty()]
CHOSEN = AblationChoices(
    point=2, ratios=(0.0, 0.5, 1.0), alphas=(1.0, 0.0), patches=24, draws=20, neighbours=3
)


@pytest.fixture(scope="module")
def loaded():
    return vit(load_model(parse_model("test_vit:random")), reg_tokens=1)


@pytest.fixture(scope="module")
def probe(loaded):
    return drawn_probe("quadratic", points=4, width=48, rank=6)


@pytest.fixture(scope="module")
def record(loaded, probe):
    return measure_ablation(loaded, SOURCES, probe, CHOSEN)


def pixels_of(loaded, count=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, *loaded.input_size, generator=generator)


def edit_of(probe, point, edit, amount, prefix=2, control=None):
    space = binding_subspace(probe, point)

    def change(tokens):
        objects = torch.arange(tokens.shape[1] - prefix) % 4
        patches = [
            changed_patches(one, objects, space, control or space, edit, amount, seed=3)[0]
            for one in tokens[:, prefix:]
        ]
        return replaced_patches(tokens, patches)

    return change


@pytest.mark.parametrize("point", [0, 1, 3])
@pytest.mark.parametrize(("edit", "amount"), [("shuffle", 0.0), ("inject", 1.0)])
@torch.no_grad()
def test_ratio_0_and_alpha_1_are_bitwise_identities(loaded, probe, point, edit, amount):
    module, pixels = loaded.module, pixels_of(loaded)
    clean = module.forward_features(pixels)
    for control in (None, Subspace(torch.eye(48)[:6], torch.zeros(48), torch.ones(48))):
        with edited_stream(module, point, edit_of(probe, point, edit, amount, control=control)):
            again = module.forward_features(pixels)
        assert torch.equal(again, clean)


@pytest.mark.parametrize("point", [0, 2, 3])
@torch.no_grad()
def test_the_pass_goes_on_from_the_changed_stream(loaded, probe, point):
    """Twin: the model written out layer by layer, with the change made in between."""
    module, pixels = loaded.module, pixels_of(loaded)
    change = edit_of(probe, point, "shuffle", 1.0)
    with edited_stream(module, point, change):
        found = module.forward_features(pixels)
    x = module.norm_pre(module._pos_embed(module.patch_embed(pixels)))
    x = change(x) if point == 0 else x
    for number, block in enumerate(module.blocks, start=1):
        x = block(x)
        x = change(x) if point == number else x
    expected = module.norm(x)
    assert torch.equal(found, expected)
    assert not torch.allclose(found, module.forward_features(pixels), atol=1e-3)


@torch.no_grad()
def test_prefix_tokens_are_not_touched(loaded, probe):
    tokens = torch.randn(2, 18, 48)
    after = edit_of(probe, 1, "shuffle", 1.0)(tokens)
    assert torch.equal(after[:, :2], tokens[:, :2])
    assert (after[:, 2:] != tokens[:, 2:]).any(-1).all()


@torch.no_grad()
def test_shuffling_all_dimensions_at_the_embedding_only_reorders_the_patches(loaded):
    """Attention knows no order: cls stays, patches change places."""
    module, pixels = loaded.module, pixels_of(loaded, 1)
    whole = Subspace(torch.eye(48), torch.zeros(48), torch.ones(48))
    orders = []

    def change(tokens):
        new, _ = changed_patches(
            tokens[0, 2:], torch.ones(16), whole, whole, "shuffle", 1.0, seed=5
        )
        away = torch.cdist(new.double(), tokens[0, 2:].double())
        orders.append(away.argmin(1))
        return replaced_patches(tokens, [new])

    clean = module.forward_features(pixels)
    with edited_stream(module, 0, change):
        found = module.forward_features(pixels)
    assert (orders[0] != torch.arange(16)).all()
    torch.testing.assert_close(found[:, :2], clean[:, :2], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found[:, 2:], clean[:, 2:][:, orders[0]], rtol=1e-3, atol=1e-4)


def test_a_control_moves_the_same_energy(probe):
    generator = torch.Generator().manual_seed(0)
    patches, objects = torch.randn(16, 48, generator=generator), torch.arange(16) % 3
    own = binding_subspace(probe, 1)
    control = Subspace(torch.eye(48)[:2], own.mean, own.spread)
    for edit, amount in (("shuffle", 0.5), ("inject", 0.25)):
        args = (edit, amount, 7)
        first, share = changed_patches(patches, objects, own, own, *args)
        second, same = changed_patches(patches, objects, own, control, *args)
        assert energy(second - patches) == pytest.approx(energy(first - patches), rel=1e-4)
        assert same == pytest.approx(share, rel=1e-4) and share > 0
        # The control leaves everything outside its two directions alone.
        torch.testing.assert_close(second[:, 2:], patches[:, 2:])


@torch.no_grad()
def test_another_thread_s_pass_is_left_alone(loaded, probe):
    module, pixels = loaded.module, pixels_of(loaded)
    clean, others = module.forward_features(pixels), []
    change = edit_of(probe, 1, "shuffle", 1.0)

    def slow_change(tokens):
        # The other thread runs whole while this one is in the middle of its pass.
        if threading.current_thread() is threading.main_thread():
            thread = threading.Thread(target=lambda: others.append(run(module, pixels)))
            thread.start()
            thread.join()
        return change(tokens)

    with edited_stream(module, 1, slow_change):
        found = module.forward_features(pixels)
    assert torch.equal(others[0], clean)
    assert not torch.equal(found, clean)
    assert torch.equal(module.forward_features(pixels), clean)


@torch.no_grad()
def run(module, pixels):
    return module.forward_features(pixels)


def test_hooks_go_when_a_pass_fails(loaded):
    def fail(tokens):
        raise KeyboardInterrupt

    for point in (0, 2):
        with pytest.raises(KeyboardInterrupt), edited_stream(loaded.module, point, fail):
            loaded.module.forward_features(pixels_of(loaded))
    for block in loaded.module.blocks:
        assert not block._forward_hooks and not block._forward_pre_hooks


def test_the_record_has_every_step_beside_the_unchanged_model(record):
    assert record.values.shape == (3, 5, 4, 3)
    assert record.images == tuple(f"named {seed}" for seed in range(5))
    assert [name for name, _ in record.skipped] == ["gone.png", "empty"]
    for row in range(3):
        for at in (0, 3):  # ratio 0 and alpha 1
            np.testing.assert_array_equal(record.values[row, at], record.clean)
            assert record.moved[row, at] == 0
        assert (record.values[row, [1, 2, 4], 3, 0] < 1).all()
    assert record.clean[3].tolist() == [1, 1, 1]
    np.testing.assert_allclose(record.moved[1:], record.moved[[0, 0]], rtol=1e-3)
    assert (record.moved[0, [1, 2, 4]] > 0).all()
    assert record.moved[0, 2] > record.moved[0, 1]
    assert record.held[2] > record.held[0] and record.held[2] > record.held[1]
    curve = record.curve("random", "shuffle", "cosine")
    assert curve[:, 0].tolist() == [0, 0.5, 1]
    np.testing.assert_array_equal(curve[:, 1:], record.values[1, :3, 3])


@torch.no_grad()
def test_a_step_is_what_the_model_gives_by_hand(loaded, probe, record):
    """Twin: one picture at a time, the change written out patch by patch."""
    found = survey_annotated(SOURCES[:5])
    point, own = 2, binding_subspace(probe, 2)
    basis, mean, spread = own.basis.double(), own.mean.double(), own.spread.double()
    how = BindingChoices(patches=24)
    cosines, truth, scores, apart = [], [], [], []
    for source, sha256 in zip(found.sources, found.sha256s, strict=True):
        drawn = draw_patches(source.load(), sha256, (32, 32), PatchGrid(4, 4), how)
        pixels = torch.from_numpy(normalise(drawn.fitted, loaded.mean, loaded.std))[None]
        objects = drawn.whole.reshape(-1)

        def inject(tokens, objects=objects):
            h = tokens[0, 2:].double()
            parts = torch.stack([basis @ ((one - mean) / spread) for one in h])
            out = tokens.double().clone()
            for i, number in enumerate(objects):
                if number:
                    mates = [parts[j] for j in range(16) if objects[j] == number]
                    moved = sum(mates) / len(mates) - parts[i]
                    out[0, 2 + i] = h[i] + (moved @ basis) * spread
            return out.float()

        clean = loaded.module.forward_features(pixels)[0, 0]
        last = []
        hook = loaded.module.blocks[-1].register_forward_hook(
            lambda *a, into=last: into.append(a[2])
        )
        try:
            with edited_stream(loaded.module, point, inject):
                changed = loaded.module.forward_features(pixels)[0, 0]
        finally:
            hook.remove()
        cosines.append(float(torch.cosine_similarity(clean, changed, dim=0)))
        patches = [p for p in drawn.patches if p >= 0]
        z = probe.read(last[0][0, 2:], 3)
        logits = probe.logits(z, z, 3)
        for a, first in enumerate(patches):
            for second in patches[a + 1 :]:
                truth.append(objects[first] == objects[second])
                scores.append(float(logits[first, second]))
                apart.append(round(np.hypot(*np.subtract(divmod(first, 4), divmod(second, 4)))))
    truth, apart = np.array(truth), np.array(apart)
    expected = weighted_auc(np.array(scores), truth, matched_weights(truth, apart))
    assert record.values[0, 4, 0, 0] == pytest.approx(expected, abs=1e-3)
    assert record.values[0, 4, 3, 0] == pytest.approx(np.mean(cosines), abs=1e-4)


def scorer_of(final, objects, classes, neighbours=1):
    final = torch.tensor(final, dtype=torch.float32)
    ends = Ends(final, final, final.mean(1))
    places = np.stack(np.divmod(np.tile(np.arange(final.shape[1]), (len(final), 1)), 2), -1)
    probe = drawn_probe("quadratic", points=2, width=final.shape[2], rank=1)
    objects, classes = np.array(objects), np.array(classes)
    return ends, EndScorer(probe, ends, objects, classes, places, neighbours, draws=10, seed=0)


def test_votes_of_neighbours_by_hand():
    near, far = [1.0, 0.1], [0.1, 1.0]
    ends, scorer = scorer_of(
        [[near, near, far, far], [near, far, far, near]],
        [[1, 1, 2, 2], [1, 1, 2, 2]],  # the second picture's objects are unlike themselves
        [[0, 0, 1, 1], [0, 1, 1, -1]],
    )
    found = scorer.score(ends)
    objects, classes = (ABLATION_MEASURES.index(n) for n in ("knn_objects", "knn_classes"))
    assert found[objects, 0] == pytest.approx((1 + 0) / 2)
    assert found[classes, 0] == 1
    swapped = Ends(ends.stream, ends.final.flip(-1), ends.embedding)
    assert scorer.score(swapped)[classes, 0] == 0


def test_a_class_is_voted_for_by_other_pictures_alone():
    near, far = [1.0, 0.1], [0.1, 1.0]
    ends, scorer = scorer_of([[near, far]] * 2, [[1, 2]] * 2, [[0, 1], [1, 0]])
    # Each picture agrees with itself, and contradicts the other.
    assert scorer.score(ends)[ABLATION_MEASURES.index("knn_classes"), 0] == 0


def test_unknown_measures_are_missing_and_said(loaded, probe):
    one = measure_ablation(loaded, [Objects(1, count=1)], probe, replace(CHOSEN, alphas=()))
    assert np.isnan(one.clean[:3, 0]).all() and one.clean[3, 0] == 1
    assert np.isnan(one.values[:, :, 3, 1:]).all()
    assert len(one.notes) == 3 and "auc_matched" in one.notes[0]


def test_a_subspace_of_all_dimensions_is_said(loaded):
    probe = drawn_probe("full", points=4, width=48, rank=48)
    choices = replace(CHOSEN, ratios=(1.0,), alphas=(), subspaces=("binding",))
    whole = measure_ablation(loaded, SOURCES[:2], probe, choices)
    assert "all 48 dimensions" in whole.notes[0]
    assert whole.held[0] == pytest.approx(1)
    few = measure_ablation(loaded, SOURCES[:2], probe, replace(choices, dimensions=5))
    assert few.dimension == 5 and few.notes == ()


def test_a_record_is_kept_without_loss(record, tmp_path, loaded, probe):
    save_ablation(store := ResultStore(tmp_path), record)
    told = []
    again = measure_ablation(
        loaded, SOURCES, probe, CHOSEN, lambda *words: told.append(words[2]), store=store
    )
    assert not any("subspace" in words for words in told)
    for name, value in vars(record).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(again, name), value)
        elif name != "provenance":
            assert getattr(again, name) == value, name
    assert again.provenance == record.provenance
    hashes = survey_annotated(SOURCES).sha256s
    assert ablation_key(loaded, hashes, probe, CHOSEN) == record.id
    assert ablation_key(loaded, hashes, probe, replace(CHOSEN, seed=1)) != record.id
    other = drawn_probe("quadratic", points=4, width=48, rank=6, seed=1)
    assert ablation_key(loaded, hashes, other, CHOSEN) != record.id


def test_the_table_has_a_line_for_each_subspace_and_step(record):
    table = ablation_table(record)
    line = table[(table.subspace == "principal") & (table.edit == "inject")].iloc[1]
    assert len(table) == 15 and line.amount == 0
    assert line.cosine == pytest.approx(record.values[2, 4, 3, 0])
    assert line.auc_matched_low == pytest.approx(record.values[2, 4, 0, 1])


def test_a_run_says_what_it_does_and_can_be_cancelled(loaded, probe):
    seen = []
    choices = replace(CHOSEN, subspaces=("binding", "random"), ratios=(0.0, 1.0), alphas=(0.5,))
    measure_ablation(loaded, SOURCES[:2], probe, choices, lambda *one: seen.append(one))
    steps = [one for one in seen if not one[2].startswith("reading")]
    assert steps[0] == (0, 1, "the unchanged model on 2 pictures")
    assert [one[0] for one in steps] == [0, 1, 2, 3, 4, 5]
    assert steps[-1] == (5, 5, "done")
    assert steps[1][2] == "shuffle 1 of the binding subspace"

    def stop(done, total, message):
        if done == 2 and total == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_ablation(loaded, SOURCES[:2], probe, choices, stop)
    assert not any(block._forward_hooks for block in loaded.module.blocks)


def test_what_does_not_go_together_is_refused(loaded, probe):
    with pytest.raises(ValueError, match="4 points"):
        measure_ablation(loaded, SOURCES, drawn_probe("quadratic", 3, 48), CHOSEN)
    with pytest.raises(ValueError, match="point of 0 to 3, got 4"):
        measure_ablation(loaded, SOURCES, probe, replace(CHOSEN, point=4))
    with pytest.raises(ValueError, match="take quadratic"):
        measure_ablation(loaded, SOURCES, drawn_probe("diagonal", 4, 48), CHOSEN)
    with pytest.raises(ValueError, match="none: the mask is missing"):
        measure_ablation(loaded, [Unreadable()], probe, CHOSEN)
    with pytest.raises(ValueError, match="got none: 0 patches"):
        measure_ablation(loaded, [Empty()], probe, CHOSEN)
    missing = drawn_probe("quadratic", 4, 48)
    missing.tensors["bias"][-1] = torch.nan
    with pytest.raises(ValueError, match="at the last, got NaN"):
        measure_ablation(loaded, SOURCES, missing, CHOSEN)
    with pytest.raises(ValueError, match="one of binding"):
        measure_ablation(loaded, SOURCES[:2], probe, CHOSEN).curve("other", "shuffle", "cosine")


@pytest.mark.parametrize(
    "change",
    [
        {"ratios": (1.5,)},
        {"alphas": (-0.1,)},
        {"ratios": (), "alphas": ()},
        {"subspaces": ("other",)},
        {"patches": 1},
        {"neighbours": 0},
        {"dimensions": 0},
    ],
)
def test_choices_out_of_range_are_refused(change):
    with pytest.raises(ValueError, match="expected"):
        replace(CHOSEN, **change).checked()
