"""Read-outs kept by content, and what they held out."""

from __future__ import annotations

import pytest

from analytics.models.registry import load_model, parse_model
from analytics.studies import readouts
from analytics.studies.readouts import fitted_readout, labelled_pictures
from tests.studies.making import Made

LABELS = ["odd", "even"] * 6


@pytest.fixture(scope="module")
def loaded():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def pictures():
    return [Made(f"{seed}.png", seed) for seed in range(12)]


def test_what_is_held_out_was_not_fitted_on(loaded, pictures, tmp_path):
    whole = labelled_pictures(pictures, LABELS)
    readout, name, held_out = fitted_readout(loaded, whole, ("even", "odd"), tmp_path)
    assert readout.n_test == len(held_out.images)
    assert readout.n_train + readout.n_test == 12
    assert {whole.sha256s[row] for row in readout.held_out} == set(held_out.sha256s)
    assert (tmp_path / f"{name}.safetensors").is_file()


def test_the_same_picture_twice_is_on_one_side_of_the_split(loaded, pictures, tmp_path):
    twice = [*pictures, *(Made(f"again {one.name}", one.seed) for one in pictures)]
    whole = labelled_pictures(twice, LABELS * 2)
    assert len(whole.images) == 12
    readout, _, held_out = fitted_readout(loaded, whole, ("even", "odd"), tmp_path)
    train = {whole.sha256s[row] for row in readout.train}
    assert not train & set(held_out.sha256s)


def test_it_is_fitted_once_for_the_same_pictures_and_choices(
    loaded, pictures, tmp_path, monkeypatch
):
    whole = labelled_pictures(pictures, LABELS)
    first, name, held_out = fitted_readout(loaded, whole, ("even", "odd"), tmp_path, "knn")
    monkeypatch.setattr(readouts, "_fit", None)  # calling it again would fail
    again, same, still = fitted_readout(loaded, whole, ("even", "odd"), tmp_path, "knn")
    assert (again.sha256, same, still.sha256s) == (first.sha256, name, held_out.sha256s)
    with pytest.raises(TypeError):
        fitted_readout(loaded, whole, ("even", "odd"), tmp_path, "knn", layer=2)


def test_pictures_without_labels_are_left_out_or_refused(pictures):
    assert len(labelled_pictures(pictures, ["a", None] * 6).images) == 6
    with pytest.raises(ValueError, match="sort them into folders by class"):
        labelled_pictures(pictures, [None] * 12)
