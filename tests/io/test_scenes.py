"""Made scenes: what holds for every family, and sets of them."""

import hashlib

import numpy as np
import pytest

from analytics.io.scenes import (
    FAMILIES,
    FAMILY_TITLES,
    MadeScene,
    make_scene,
    scene_sources,
)

HASHES = {
    "one-colour": "45cb1d98190ef3d9",
    "shared-palette": "7d1db80221113d05",
    "copies-aligned": "eb5c6f9c8a18c0ea",
    "copies-free": "83ff53466a1d2ec8",
    "two-kinds": "bf050d346c110ef8",
    "strips-own": "aa19c44e68fdf53f",
    "strips-same": "04acafa538a0f2ae",
    "split": "1963d31f2be01e40",
    "aligned-pair": "21ebbde4bcfa5626",
    "shifted": "45acdbb1816f77d4",
}


def patch_objects(scene, patch=14, purity=0.6):
    """The object of every patch by the rule of the study, by brute force: 0 for none."""
    rows, columns = scene.height // patch, scene.width // patch
    found = np.zeros((rows, columns), int)
    for row in range(rows):
        for column in range(columns):
            box = slice(row * patch, (row + 1) * patch), slice(column * patch, (column + 1) * patch)
            ids, counts = np.unique(scene.instances[box], return_counts=True)
            if counts.max() >= purity * patch**2:
                found[row, column] = ids[counts.argmax()]
    return found


def pair_distances(scenes):
    """Distances in patches of all pairs of labelled patches, and whether they share an object."""
    distances, same = [], []
    for scene in scenes:
        objects = patch_objects(scene)
        at = np.argwhere(objects > 0)
        first, second = np.triu_indices(len(at), 1)
        distances.append(np.hypot(*(at[first] - at[second]).T))
        of = objects[objects > 0]
        same.append(of[first] == of[second])
    return np.concatenate(distances), np.concatenate(same)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("seed", "size"), [(0, 224), (1, 224), (2, 266)])
def test_the_masks_of_every_family_agree_with_one_another(family, seed, size):
    scene = make_scene(family, seed, size)
    assert (scene.height, scene.width) == (size, size)
    assert scene.family == family
    assert len(scene.ids) >= 2
    assert set(scene.classes) == set(scene.ids) == set(scene.amodal)
    for number in scene.ids:
        visible, whole = scene.instances == number, scene.amodal[number]
        assert np.all(whole[visible])
        hiding = scene.instances[whole & ~visible]
        assert np.all(hiding > number), "only later objects lie over an object"
    assert np.array_equal(scene.parts > 0, scene.instances > 0)
    for part in np.unique(scene.parts[scene.parts > 0]):
        assert len(np.unique(scene.instances[scene.parts == part])) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_is_one_scene_and_another_seed_another(family):
    first, again, other = (make_scene(family, seed) for seed in (5, 5, 6))
    assert first.sha256 == again.sha256
    assert np.array_equal(first.parts, again.parts)
    assert np.array_equal(first.pixels, again.pixels)
    assert first.sha256 != other.sha256


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "cut-outs"])
def test_scenes_have_the_bytes_that_they_always_had(family):
    # Cut-outs are resized by Pillow, whose versions may round otherwise.
    scene = make_scene(family, 3)
    digest = hashlib.sha256(scene.sha256.encode() + scene.parts.astype("<i4").tobytes())
    assert digest.hexdigest()[:16] == HASHES[family]


@pytest.mark.parametrize("family", ["one-colour", "shared-palette", "split", "two-kinds"])
def test_some_same_pairs_are_farther_apart_than_some_different_pairs(family):
    distances, same = pair_distances([make_scene(family, seed) for seed in range(6)])
    assert np.quantile(distances[same], 0.95) > np.quantile(distances[~same], 0.05)
    shared = np.intersect1d(distances[same], distances[~same])
    covered = np.isin(distances[same], shared).mean()
    assert covered > 0.9, "nearly every same pair has a different pair at its distance"


def test_distance_says_little_about_strips():
    distances, same = pair_distances([make_scene("strips-same", seed) for seed in range(4)])
    different = np.sort(distances[~same])
    below = np.searchsorted(different, distances[same]) / len(different)
    at_most = np.searchsorted(different, distances[same], side="right") / len(different)
    auc = 1 - (below + at_most).mean() / 2
    assert 0.5 < auc < 0.6


def test_sources_take_the_families_in_turn_and_load_what_they_name():
    sources = scene_sources(8, seed=2, families=("one-colour", "split", "strips-own"))
    families = [source.family for source in sources]
    assert families == ["one-colour", "split", "strips-own"] * 2 + ["one-colour", "split"]
    assert len({source.name for source in sources}) == 8
    loaded = sources[1].load()
    assert loaded.name == sources[1].name == "split 200001"
    assert loaded.sha256 == make_scene("split", 200_001).sha256


def test_sets_of_two_seeds_share_no_scene():
    seeds = [{source.seed for source in scene_sources(1000, seed)} for seed in (0, 1)]
    assert not seeds[0] & seeds[1]


def test_every_family_has_its_title():
    assert list(FAMILY_TITLES) == list(FAMILIES)
    assert all(len(title) > 10 for title in FAMILY_TITLES.values())


def test_the_patch_size_reaches_the_copies():
    assert (
        MadeScene("copies-aligned", 1, 224, 16).load().sha256
        != make_scene("copies-aligned", 1, 224, 14).sha256
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no-such", 0), "one of one-colour"),
        (("split", -1), "0 or above"),
        (("split", 0, 100), "168 to 1036"),
        (("split", 0, 2000), "168 to 1036"),
        (("copies-aligned", 0, 225), "take 224"),
    ],
)
def test_what_cannot_be_made_is_refused_in_words(arguments, words):
    with pytest.raises(ValueError, match=words):
        make_scene(*arguments)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"count": 0}, "1 to 100,000 scenes"),
        ({"count": 100_001}, "1 to 100,000 scenes"),
        ({"families": ()}, "name a family of one-colour"),
        ({"families": ("strips",)}, "got 'strips'"),
        ({"size": 230}, "take 224"),
    ],
)
def test_a_set_that_cannot_be_made_is_refused_before_it_is_made(changes, words):
    with pytest.raises(ValueError, match=words):
        scene_sources(**({"count": 10} | changes))


def test_a_folder_without_cut_outs_is_refused_before_a_scene_is_made(tmp_path):
    with pytest.raises(ValueError, match="expected PNG or WebP files with transparency"):
        scene_sources(4, cutouts=tmp_path)
