"""Read-outs against scikit-learn and votes counted by hand, and their honest figures."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression

from analytics.models.readout import check_fits, load_readout, save_readout, wilson_interval
from analytics.models.readout_fit import fit_readout

KINDS = ("linear", "knn")
FACTS = {"model": "m", "weights_sha256": "a" * 64, "layer": 8, "pooling": "mean"}


def clouds(count, classes=3, width=6, apart=8.0, seed=0):
    """`count` rows of each class around corners that are `apart` deviations away."""
    generator = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), count)
    x = generator.normal(size=(len(y), width)) + apart * np.eye(classes, width)[y]
    return x.astype(np.float32), [f"c{i}" for i in y]


def refused(*args, **options):
    with pytest.raises(ValueError, match="expected") as caught:
        fit_readout(*args, **options)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_separable_classes_are_all_told_apart(kind):
    readout = fit_readout(*clouds(20), kind, **FACTS)
    assert readout.accuracy == 1
    assert (readout.n_train, readout.n_test) == (42, 18)
    assert readout.interval == wilson_interval(18, 18)
    assert readout.majority == readout.chance == pytest.approx(1 / 3)
    assert readout.classes == ("c0", "c1", "c2")
    assert (readout.model, readout.weights_sha256) == ("m", "a" * 64)
    assert (readout.layer, readout.pooling, readout.width) == (8, "mean", 6)


@pytest.mark.parametrize("kind", KINDS)
def test_shuffled_labels_are_told_apart_as_by_chance(kind):
    x, labels = clouds(200)
    orders = [np.random.default_rng(seed).permutation(labels).tolist() for seed in range(10)]
    shares = [fit_readout(x, order, kind).accuracy for order in orders]
    # 1,800 held-out answers in all: 3.6 standard errors of a share of a third.
    assert np.mean(shares) == pytest.approx(1 / 3, abs=0.04)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_equals_scikit_learn(classes, dtype):
    x, labels = clouds(30, classes, apart=1.5)
    readout = fit_readout(x, labels)
    rows = list(readout.train)
    mean, spread = x[rows].mean(0, dtype=float), x[rows].std(0, dtype=float)
    twin = LogisticRegression(C=readout.parameters["C"], max_iter=1000)
    twin.fit((x[rows] - mean) / spread, np.array(labels)[rows])
    expected = twin.predict_proba((x - mean) / spread)
    found = readout.probabilities(torch.from_numpy(x).to(dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    right = (twin.classes_[expected.argmax(1)] == np.array(labels))[list(readout.held_out)]
    assert readout.accuracy == right.mean() < 1


def by_hand(x, train, y, classes, k):
    """Votes of nearest neighbours, one distance at a time."""

    def distance(a, b):
        return 1 - float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))

    own = [
        sorted(distance(a, b) for j, b in enumerate(train) if j != i)[:k]
        for i, a in enumerate(train)
    ]
    typical = np.mean(own)
    rows = []
    for a in x:
        near = sorted((distance(a, b), c) for b, c in zip(train, y, strict=True))[:k]
        votes = [math.exp(-1) / classes] * classes
        for d, c in near:
            votes[c] += math.exp(-d / typical)
        rows.append([vote / sum(votes) for vote in votes])
    return np.array(rows)


@pytest.mark.parametrize("count", [2, 3, 12])
def test_neighbours_equal_a_count_by_hand(count):
    x, labels = clouds(count, 2, apart=1.5)
    readout = fit_readout(x, labels, "knn", held_out=0.5)
    k = min(5, count)
    assert readout.parameters["k"] == k
    rows = list(readout.train)
    y = [int(labels[row][1]) for row in rows]
    wide = x.astype(float)
    expected = by_hand(wide, wide[rows], y, 2, min(k, len(rows)))
    if count > 5:
        found = readout.probabilities(torch.from_numpy(x))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_allclose(readout.logits(torch.from_numpy(x)).exp(), found, atol=1e-6)
    # With five or fewer train rows all of them vote, but each has one neighbour less itself.
    votes = readout.probabilities(torch.from_numpy(x))
    np.testing.assert_array_equal(votes.argmax(1), expected.argmax(1))


def test_neighbours_move_with_every_distance():
    x, labels = clouds(20)
    readout = fit_readout(x, labels, "knn")
    one = torch.from_numpy(x[:1])
    clean, moved = readout.probabilities(one), readout.probabilities(one + 0.5)
    assert 0 < clean[0, 1] < moved[0, 1]
    assert clean[0, 0] > moved[0, 0]


def test_neighbours_of_identical_pictures_stay_finite():
    x = np.repeat(np.eye(2, 4, dtype=np.float32), 10, axis=0)
    readout = fit_readout(x, ["a"] * 10 + ["b"] * 10, "knn")
    found = readout.probabilities(torch.cat([torch.from_numpy(x), torch.zeros(1, 4)]))
    assert readout.accuracy == 1
    # Five equal pictures against the shared vote of exp(-1).
    assert found[0, 0] == pytest.approx((5 + math.exp(-1) / 2) / (5 + math.exp(-1)), abs=1e-3)
    assert found[-1].tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_finite_differences(kind):
    x, labels = clouds(20, apart=2.0)
    readout = fit_readout(x, labels, kind)
    rows = torch.from_numpy(x[:3]).double().requires_grad_()
    assert torch.autograd.gradcheck(readout.probabilities, rows, eps=1e-5, atol=1e-5)
    (grown,) = torch.autograd.grad(readout.probabilities(rows)[:, 0].sum(), rows)
    assert grown.abs().max() > 1e-4


def test_a_feature_that_never_changes_has_no_effect_on_the_scale():
    x, labels = clouds(20)
    x[:, -1] = 7
    readout = fit_readout(x, labels)
    assert readout.tensors["scale"][-1] == 1
    assert readout.accuracy == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_split_is_stratified_and_the_fit_never_sees_the_held_out_part(kind):
    x, labels = clouds(20, 2)
    readout = fit_readout(x, labels, kind, held_out=0.25, seed=3)
    held = list(readout.held_out)
    assert [labels[row] for row in held].count("c0") == 5
    assert len(held) == 10
    assert sorted(held + list(readout.train)) == list(range(40))
    changed = x.copy()
    changed[held] = 100
    again = fit_readout(changed, labels, kind, held_out=0.25, seed=3)
    assert again.held_out == readout.held_out
    for name, tensor in readout.tensors.items():
        assert torch.equal(again.tensors[name], tensor)
    assert again.accuracy < readout.accuracy
    assert fit_readout(x, labels, kind, held_out=0.25, seed=4).held_out != readout.held_out


def test_always_naming_the_most_frequent_class():
    x, labels = clouds(20, 2)
    readout = fit_readout(x[:25], labels[:25], held_out=0.4)
    held = [labels[row] for row in readout.held_out]
    assert readout.majority == held.count("c0") / len(held) == 0.8
    assert readout.chance == 0.5


def test_what_cannot_be_used_is_left_out_with_a_note():
    x, labels = clouds(10, 3)
    labels[0], labels[20:29] = None, ["c0"] * 9
    readout = fit_readout(x, labels, classes=("c2", "c1", "c0"))
    assert readout.classes == ("c1", "c0")
    assert readout.notes[:2] == (
        "left out, as it has one picture only: c2",
        "left out, 1 without a label",
    )
    used = {*readout.train, *readout.held_out}
    assert used == set(range(30)) - {0, 29}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held_out", [0.01, 0.3, 0.5])
def test_every_class_is_in_the_train_part_however_small(kind, held_out):
    x, labels = clouds(21, 4)
    labels = ["c9", "c9", *labels[2:]]
    for rows in (range(84), [0, 1, 30, 31, 50, 51, 70, 71, 72]):
        given = [labels[row] for row in rows]
        readout = fit_readout(x[list(rows)], given, kind, held_out)
        assert {given[row] for row in readout.train} == set(given)
        assert readout.n_test >= len(set(given)) - 1
        unseen = set(given) - {given[row] for row in readout.held_out}
        noted = [note for note in readout.notes if note.startswith("no held-out picture of")]
        assert noted == [f"no held-out picture of {', '.join(sorted(unseen))}"] * bool(unseen)
        assert readout.probabilities(torch.from_numpy(x)).shape == (84, len(set(given)))


@pytest.mark.parametrize(
    ("count", "share", "held"), [(3, 0.5, 4), (3, 0.01, 3), (10, 0.25, 8), (2, 0.3, 3)]
)
def test_how_many_pictures_are_held_out(count, share, held):
    readout = fit_readout(*clouds(count), "knn", share)
    assert (readout.n_test, readout.n_train) == (held, 3 * count - held)


def test_how_c_was_chosen_is_said():
    assert fit_readout(*clouds(20)).notes[-1].endswith("(the lowest log loss in 3 folds)")
    few = fit_readout(*clouds(2))
    assert few.notes[-1] == "C = 0.01 (not chosen: a class has one train picture only)"


def test_the_summary_says_it_all_in_one_sentence():
    readout = fit_readout(*clouds(40, 2), **FACTS)
    assert readout.summary() == (
        "Linear read-out of L8: 100.0 % of 24 held-out pictures right (95 % interval 86.2 to "
        "100.0 %; always the most frequent class 50.0 %, chance 50.0 %), fitted on 56 pictures of "
        "2 classes; 24 held-out pictures are too few to tell much."
    )
    enough = fit_readout(*clouds(50, 2), "knn").summary()
    assert enough.startswith("Nearest-neighbour read-out of the model's end: 100.0 % of 30 held")
    assert enough.endswith("70 pictures of 2 classes.")


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(5, 10, 0.236593, 0.763407), (0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0)],
)
def test_wilson_interval(right, total, low, high):
    assert wilson_interval(right, total) == pytest.approx((low, high), abs=1e-6)
    for bound in wilson_interval(right, total):
        # Its bounds are the shares at which the observed one is 1.96 deviations away.
        assert abs(bound - right / total) == pytest.approx(
            1.959964 * math.sqrt(bound * (1 - bound) / total), abs=1e-6
        )


@pytest.mark.parametrize(("right", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_shares_that_cannot_be_are_refused(right, total):
    with pytest.raises(ValueError, match=f"got {right} of {total}"):
        wilson_interval(right, total)


@pytest.mark.parametrize("kind", KINDS)
def test_saving_and_loading_loses_nothing(kind, tmp_path):
    x, labels = clouds(20, apart=2.0)
    readout = fit_readout(x, [label.replace("c", "é/") for label in labels], kind, **FACTS)
    save_readout(readout, tmp_path / "r.safetensors")
    again = load_readout(tmp_path / "r.safetensors")
    assert {**vars(again), "tensors": None} == {**vars(readout), "tensors": None}
    assert again.tensors.keys() == readout.tensors.keys()
    for name, tensor in readout.tensors.items():
        assert torch.equal(again.tensors[name], tensor)
        assert again.tensors[name].dtype == tensor.dtype
    rows = torch.from_numpy(x)
    assert torch.equal(again.to("cpu").logits(rows), readout.logits(rows))
    assert again.summary() == readout.summary()


def spoilt(kind, path, record=None, **tensors):
    readout = fit_readout(*clouds(20), kind)
    save_readout(readout, path)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        kept = {**json.loads(file.metadata()["readout"]), **(record or {})}
    save_file({**readout.tensors, **tensors}, path, metadata={"readout": json.dumps(kept)})
    return path


@pytest.mark.parametrize(
    ("kind", "record", "tensors"),
    [
        ("linear", {"kind": "forest"}, {}),
        ("linear", {"extra": 1}, {}),
        ("linear", {"classes": ["a", "b"]}, {}),
        ("linear", {}, {"mean": torch.zeros(5)}),
        ("knn", {"parameters": {"k": 99, "distance": 0.1}}, {}),
        ("knn", {"parameters": {"k": 5, "distance": 0.0}}, {}),
        ("knn", {"parameters": {"k": 5}}, {}),
        ("knn", {}, {"classes": torch.full((42,), 3)}),
        ("knn", {}, {"classes": torch.zeros(42)}),
    ],
)
def test_files_that_do_not_hang_together_are_refused(kind, record, tensors, tmp_path):
    path = spoilt(kind, tmp_path / "r.safetensors", record, **tensors)
    with pytest.raises(ValueError, match=r"expected a read-out saved by this app at r\.safet"):
        load_readout(path)


def test_an_unchanged_copy_is_accepted(tmp_path):
    assert load_readout(spoilt("knn", tmp_path / "r.safetensors")).accuracy == 1


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "r.safetensors"
    with pytest.raises(ValueError, match="missing, damaged"):
        load_readout(path)
    path.write_bytes(b"\x80\x04 no pickle is read")
    with pytest.raises(ValueError, match="missing, damaged"):
        load_readout(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="missing, damaged"):
        load_readout(path)


def test_a_read_out_fits_its_own_model_and_weights_only():
    readout = fit_readout(*clouds(5), **FACTS)
    check_fits(readout, "m", "a" * 64)
    with pytest.raises(ValueError, match=r"expected features of m with .* got other"):
        check_fits(readout, "other", "a" * 64)
    with pytest.raises(ValueError, match=r"weights aaaaaaaaaaaa, .* got m with bbbbbbbbbbbb"):
        check_fits(readout, "m", "b" * 64)


def test_features_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r"\(pictures, 6\), got \(2, 5\)"):
        fit_readout(*clouds(5)).logits(torch.zeros(2, 5))


def test_what_cannot_be_fitted_is_refused():
    x, labels = clouds(3, 2)
    assert "got (6, 6) and 5 labels" in refused(x, labels[:5])
    assert "got none for 6 pictures" in refused(x, [None] * 6)
    assert "got 1 of 1 (a: 6)" in refused(x, ["a"] * 6)
    assert "got 1 of 2 (a: 5, b: 1)" in refused(x, ["a"] * 5 + ["b"])
    assert "linear or knn, got 'tree'" in refused(x, labels, "tree")
    assert "got 'c1'; add it" in refused(x, labels, classes=["c0"])
    for share in (0, 0.6):
        assert f"at most 0.5, got {share}" in refused(x, labels, held_out=share)
    for bad in (math.nan, math.inf):
        x[4, 2] = bad
        assert "infinity in 1 of 6 rows, such as row 4" in refused(x, labels)
