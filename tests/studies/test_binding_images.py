"""Annotated pictures of a study: a survey is made once, and scenes fit the model's grid."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from analytics.io.scenes import make_scene
from analytics.studies.binding_images import scene_grid, survey_annotated
from tests.studies.binding_making import Objects, Unreadable


@pytest.mark.parametrize(
    ("size", "patch", "expected"),
    [
        ((224, 224), 14, (224, 14)),
        ((518, 518), 14, (518, 14)),
        ((160, 160), 16, (320, 32)),
        ((32, 32), 4, (192, 24)),
        ((32, 32), 1, (192, 6)),
        ((224, 192), 16, (224, 14)),
        ((230, 230), 16, (224, 14)),
        ((224, 224), None, (224, 14)),
        ((224, 224), 1, (224, 14)),
        ((1120, 1120), 14, (224, 14)),
    ],
)
def test_scenes_have_the_size_of_the_input_or_a_multiple(size, patch, expected):
    assert scene_grid(SimpleNamespace(input_size=size, patch_size=patch)) == expected
    side, own = expected
    assert make_scene("copies-aligned", 0, side, own).width == side


def test_a_survey_is_not_made_again():
    class Counted(Objects):
        loads = 0

        def load(self):
            type(self).loads += 1
            return super().load()

    found = survey_annotated([*(Counted(seed) for seed in range(3)), Unreadable()])
    assert survey_annotated(found) is found
    assert Counted.loads == 3 and found.wanted == 4 and len(found.skipped) == 1
