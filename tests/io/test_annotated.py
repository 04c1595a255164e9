"""The record of an annotated picture: what it checks and what it says about itself."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.io.annotated import AnnotatedImage
from analytics.io.annotated_labels import content_notes, main_value, packed, ranked

PIXELS = np.zeros((2, 3, 3), np.uint8)
MASK = np.array([[0, 7, 7], [0, 2, 0]], np.int32)


def test_it_names_its_size_and_instances() -> None:
    image = AnnotatedImage("a.png", PIXELS, MASK)
    assert (image.height, image.width, image.ids) == (2, 3, (2, 7))
    assert image.picture.name == "a.png"
    assert image.picture.pixels is PIXELS


def test_the_hash_follows_pixels_instances_and_size() -> None:
    base = AnnotatedImage("a", PIXELS, MASK).sha256
    other_mask, other_pixels = MASK.copy(), PIXELS.copy()
    other_mask[0, 0], other_pixels[0, 0, 0] = 1, 1
    turned = AnnotatedImage("a", PIXELS.reshape(3, 2, 3), MASK.reshape(3, 2))
    hashes = {
        base,
        AnnotatedImage("a", PIXELS, other_mask).sha256,
        AnnotatedImage("a", other_pixels, MASK).sha256,
        turned.sha256,
    }
    assert len(hashes) == 4
    assert AnnotatedImage("b", PIXELS.copy(), np.asfortranarray(MASK)).sha256 == base


@pytest.mark.parametrize(
    ("pixels", "instances", "more", "said"),
    [
        (PIXELS, MASK.T.copy(), {}, "2 x 3"),
        (PIXELS, MASK.astype(np.int64), {}, "int64"),
        (PIXELS, -MASK, {}, "number them from 1"),
        (PIXELS.astype(float), MASK, {}, "float64"),
        (PIXELS[:0], MASK[:0], {}, "1 x 1"),
        (PIXELS[..., 0], MASK, {}, "(2, 3)"),
        (PIXELS, MASK, {"parts": MASK[:1]}, "parts"),
        (PIXELS, MASK, {"amodal": {7: MASK}}, "instance 7"),
    ],
)
def test_what_does_not_fit_is_refused(pixels, instances, more, said) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        AnnotatedImage("a.png", pixels, instances, **more)
    assert said in str(caught.value)
    assert str(caught.value).startswith("a.png: ")


def test_parts_and_wholes_of_the_same_size_are_taken() -> None:
    image = AnnotatedImage("a", PIXELS, MASK, parts=MASK, amodal={7: MASK > 0})
    assert image.amodal is not None
    assert image.amodal[7].sum() == 3


def test_values_are_numbered_in_their_order() -> None:
    assert ranked(np.array([0, 40, 7, 40])).tolist() == [0, 2, 1, 2]
    assert ranked(np.array([9, 9])).tolist() == [1, 1]
    assert ranked(np.zeros(2, int)).tolist() == [0, 0]


def test_colours_become_numbers_by_hand() -> None:
    colours = np.array([[[0, 0, 0], [1, 2, 3], [255, 255, 255]]], np.uint8)
    assert packed(colours).tolist() == [[0, 65536 + 2 * 256 + 3, 2**24 - 1]]


def test_the_main_value_of_an_instance_leaves_zeros_out() -> None:
    instances = np.array([[1, 1, 1, 2, 2, 3, 0]])
    values = np.array([[9, 0, 0, 5, 4, 0, 8]])
    assert main_value(values, instances) == {1: 9, 2: 4}


def test_masks_that_teach_little_are_named() -> None:
    assert content_notes(np.zeros((2, 2), int)) == ("no instance: every pixel is unlabelled",)
    one = np.array([[1, 1], [0, 1]])
    assert content_notes(one)[0].startswith("one instance only")
    assert content_notes(np.array([[1, 1, 2]])) == ("1 instance of one pixel",)
    assert content_notes(np.array([[1, 1], [2, 2]])) == ()
