"""The study of binding: every row measured, resumed, seeded, and mapped on a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from analytics.io.annotated import AnnotatedImage
from analytics.metrics.binding import MEASURES, pair_set, weighted_auc
from analytics.models.binding_probes import KINDS, probes_bytes, read_probes
from analytics.models.registry import load_model, parse_model
from analytics.store.results import ResultStore
from analytics.studies.binding import measure_binding, preview_binding
from analytics.studies.binding_choices import BindingChoices, split_images
from analytics.studies.binding_features import StreamReader, binding_features
from analytics.studies.binding_images import survey_annotated
from analytics.studies.binding_map import same_object_map
from analytics.studies.binding_record import (
    LINKS,
    binding_table,
    load_binding,
    load_binding_probes,
)
from tests.studies.binding_making import Objects, Unreadable


@dataclass(frozen=True)
class Crowd:
    """300 instances of a few pixels each, the last of one pixel, over two large ones."""

    seed: int

    @property
    def name(self) -> str:
        return f"crowd {self.seed}"

    def load(self) -> AnnotatedImage:
        rng = np.random.default_rng(self.seed)
        instances = np.ones((160, 160), np.int32)
        instances[:, 80:] = 2
        for number in range(298):
            y, x = rng.integers(0, 157, 2)
            instances[y : y + 3, x : x + 3] = number + 3
        instances[159, 159] = 301
        pixels = rng.integers(0, 256, (160, 160, 3), np.uint8)
        return AnnotatedImage(self.name, pixels, instances)


CHOSEN = BindingChoices(seeds=(0, 4), patches=16, rank=4, epochs=2)
COUNT = 16


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def sources():
    return [*(Objects(seed) for seed in range(COUNT)), Unreadable()]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("binding")
    return ResultStore(folder / "studies"), ResultStore(folder / "features")


@pytest.fixture(scope="module")
def record(loaded, sources, stores):
    return measure_binding(loaded, sources, CHOSEN, *stores, request={"asked": "by a test"})


def same(a, b):
    for name, value in vars(a).items():
        if name == "provenance":
            assert replace(value, time="") == replace(b.provenance, time="")
        elif name == "link":
            for key in LINKS:
                np.testing.assert_array_equal(value[key], b.link[key])
        else:
            np.testing.assert_array_equal(value, getattr(b, name), err_msg=name)


def test_every_probe_control_and_baseline_is_measured(record):
    assert record.complete and record.done == record.wanted == 2 * 15 + 1
    assert set(KINDS) < set(record.rows) and record.points == 7
    assert record.kinds.count("control") == 2 and record.kinds.count("baseline") == 4
    values = record.values
    for row, name in enumerate(record.rows):
        last = 6 if name == "next_qk" else 7  # no layer follows the last point
        assert np.isfinite(values[row, :last, :, :, 0]).all(), name
        assert np.isnan(values[row, last:]).all()
    assert (values[..., 1] <= values[..., 0] + 1e-3)[np.isfinite(values[..., 0])].all()
    majority = values[record.row("majority")]
    np.testing.assert_allclose(majority[:, :, 1:, 0], 0.5)
    share = record.pairs[:, :, 0].sum(1) / record.pairs.sum((1, 2))
    np.testing.assert_allclose(majority[0, :, 0, 0], np.maximum(share, 1 - share), atol=1e-6)
    assert record.skipped == (("gone.png", "the mask is missing"),)
    assert [one.part for one in record.images].count("test") == 4
    assert any("few" in note for note in record.notes)
    assert np.isfinite(record.dimensions[record.row("quadratic")]).all()
    assert record.spectra.shape == (15, 7, 64)


def test_a_cell_is_the_auc_of_the_saved_probe_on_the_test_images(record, loaded, stores, sources):
    whole = binding_features(loaded, survey_annotated(sources), CHOSEN, stores[1])
    for number, seed in enumerate(CHOSEN.seeds):
        test = split_images(whole.families, seed)[2]
        pairs = pair_set(whole.objects[test], whole.places[test])
        probes = load_binding_probes(stores[0], record.id, seed)
        for name in ("quadratic", "plda", "linear", "full"):
            x = torch.from_numpy(whole.features[3, test])
            read = probes[name].read(x, 3)
            scores = pairs.scores(probes[name].logits(read, read, 3).numpy())
            expected = weighted_auc(scores, pairs.truth)
            found = record.values[record.row(name), 3, number, MEASURES.index("auc"), 0]
            assert found == pytest.approx(expected, abs=1e-5), name


def test_the_same_seeds_give_the_same_result_also_on_a_surveyed_set(record, loaded, sources):
    same(measure_binding(loaded, survey_annotated(sources), CHOSEN), record)


def test_a_cancelled_study_goes_on_after_the_last_unit(record, loaded, sources, stores, tmp_path):
    store = ResultStore(tmp_path)

    def stop(done, total, message):
        if message.startswith("seed 0: pointwise"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_binding(loaded, sources, CHOSEN, store, stores[1], stop)
    half = load_binding(store, record.id)
    assert half.done == 9 and not half.complete
    row = half.row("plda")
    np.testing.assert_array_equal(half.values[row, :, 0], record.values[row, :, 0])
    assert np.isnan(half.values[:, :, 1]).all() and half.link == {}
    seen = []
    again = measure_binding(
        loaded, sources, CHOSEN, store, stores[1], lambda d, t, m: seen.append(m)
    )
    same(again, record)
    assert not any("plda" in one and "seed 0" in one for one in seen)
    same(load_binding(store, record.id), record)
    assert load_binding(store, "0" * 64) is None
    assert store.plan(record.id)["model_label"] == loaded.label


def test_the_request_is_kept(record, stores):
    assert stores[0].plan(record.id)["request"] == {"asked": "by a test"}


def test_the_table_has_a_line_a_point_probe_and_seed(record):
    frame = binding_table(record)
    assert len(frame) == 2 * (9 * 7 - 1 + 2 * 7 + 4)
    assert {"layer", "probe", "split", "accuracy", "balanced_accuracy", "auc", "n"} <= set(
        frame.columns
    )
    assert {"auc_matched", "auc_matched_low", "auc_matched_high"} <= set(frame.columns)
    line = frame[(frame.probe == "diagonal") & (frame.layer == 5) & (frame.seed == 4)].iloc[0]
    cell = record.values[record.row("diagonal"), 5, 1, MEASURES.index("auc_matched")]
    assert [line.auc_matched, line.auc_matched_low, line.auc_matched_high] == pytest.approx(cell)
    assert line.n == record.pairs[1].sum()
    assert frame[frame.probe == "position"].layer.isna().all()


def test_a_curve_is_the_mean_over_seeds(record):
    own = record.values[record.row("dot"), :, :, MEASURES.index("auc")]
    np.testing.assert_allclose(record.curve("dot", "auc"), own.mean(1), rtol=1e-6)
    with pytest.raises(ValueError, match="quadratic"):
        record.curve("cubic")
    with pytest.raises(ValueError, match="auc_matched"):
        record.curve("dot", "f1")


def test_the_link_has_a_row_a_layer_and_the_mean_over_heads(record):
    for name in LINKS:
        table = record.link[name]
        assert table.shape == (6, 3) and np.isfinite(table).all()
        low = 0 if name in ("auc", "top_share") else -1
        assert (table >= low).all() and (table <= 1).all()


def test_the_preview_is_plda_beside_the_baselines(loaded, sources):
    record = preview_binding(loaded, sources)
    assert record.rows == ("plda", "majority", "position", "pixel", "both") and record.complete


@pytest.mark.parametrize("kind", KINDS)
def test_a_click_is_one_product_of_what_the_probe_reads(kind, record, loaded, stores):
    probe = load_binding_probes(stores[0], record.id, 0)[kind]
    image = Objects(40).load()
    found = same_object_map(probe, loaded, image.picture)
    assert found.points == tuple(range(6 if kind == "next_qk" else 7))
    reader = StreamReader(loaded)
    from analytics.io.fitting import fit_picture, normalise, place

    placement = place(image.height, image.width, "crop", *loaded.input_size)
    pixels = normalise(fit_picture(image.picture, placement), loaded.mean, loaded.std)
    streams = reader.read(torch.from_numpy(pixels)[None])
    tokens = (streams.queries if kind == "next_qk" else streams.points)[4][0]
    read = probe.read(tokens, 4)
    expected = torch.sigmoid(probe.logits(read, read, 4))
    for query in (0, 37):
        row = found.row(query, 4)
        assert row.shape == (found.grid.rows, found.grid.columns) and row.dtype == np.float32
        np.testing.assert_allclose(row.reshape(-1), expected[query], atol=1e-4)
    alone = same_object_map(probe, loaded, image.picture, layer=4)
    np.testing.assert_allclose(alone.row(37), found.row(37, 4), atol=1e-5)


def test_maps_of_what_is_not_there_are_refused(record, loaded, stores):
    probes = load_binding_probes(stores[0], record.id, 0)
    picture = Objects(40).load().picture
    with pytest.raises(ValueError, match="0 to 5"):
        same_object_map(probes["next_qk"], loaded, picture, layer=6)
    found = same_object_map(probes["plda"], loaded, picture, layer=2)
    with pytest.raises(ValueError, match="a patch of"):
        found.row(found.grid.count)
    with pytest.raises(ValueError, match="a point out of"):
        found.row(0, 3)
    cut = {name: tensor[:3] for name, tensor in probes["plda"].tensors.items()}
    with pytest.raises(ValueError, match="7 points"):
        same_object_map(replace(probes["plda"], tensors=cut), loaded, picture)


def test_the_study_s_probes_are_saved_and_read(record, stores, tmp_path):
    probes = load_binding_probes(stores[0], record.id, 4)
    path = tmp_path / "probes.safetensors"
    path.write_bytes(probes_bytes(probes, {"study": record.id}))
    found, about = read_probes(path)
    assert about == {"study": record.id} and set(found) == set(probes)
    assert "quadratic, random weights" in found
    for name, probe in probes.items():
        for part, tensor in probe.tensors.items():
            np.testing.assert_array_equal(found[name].tensors[part], tensor)


def test_too_few_images_are_refused(loaded):
    with pytest.raises(ValueError, match="at least 3 pictures with two objects"):
        measure_binding(loaded, [Objects(0), Objects(1)], CHOSEN)
    single = [Objects(seed, count=1) for seed in range(5)]
    with pytest.raises(ValueError, match="got 0 of 5"):
        measure_binding(loaded, single, CHOSEN)
    chosen = replace(CHOSEN, count_background=True, probes=("plda",), controls=(), link=False)
    record = measure_binding(loaded, single, chosen)
    assert record.complete and any("count as one object" in note for note in record.notes)


def test_many_and_tiny_objects(loaded):
    crowded = [Crowd(seed) for seed in range(4)]
    chosen = replace(CHOSEN, probes=("plda", "linear"), controls=(), link=False, purity=0.2)
    record = measure_binding(loaded, crowded, chosen)
    assert record.complete and np.isfinite(record.curve("linear", "accuracy")[:, 0]).all()
    with pytest.raises(ValueError, match="lower the purity"):
        measure_binding(loaded, crowded, replace(chosen, purity=1.0))
