"""The annotated pictures that `attention-atlas binding fit --data` names."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analytics.io.annotated import AnnotatedSource
    from analytics.models.registry import LoadedModel

SCENES, PREVIEW_SCENES = 480, 66
"""Made scenes where no count is given."""

DATA = (
    "synthetic[:COUNT], ade20k:DIR, adechallenge:DIR, coco:IMAGES:ANNOTATIONS, voc:DIR or masks:DIR"
)


def names(text: str) -> tuple[str, ...]:
    """Names between commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def annotated(args: argparse.Namespace) -> tuple[Sequence[AnnotatedSource] | None, list[str]]:
    """The pictures that `--data` names and a word on them; None for scenes, which come later.

    Raises:
        ValueError: an unknown kind, no pictures of that kind, or options of scenes.
        OSError: a file cannot be read.
    """
    from analytics.cli.profile import drawn
    from analytics.io.annotated_sets import KINDS, read_annotated

    kind, _, rest = args.data.partition(":")
    if kind == "synthetic":
        scene_count(rest)
        return None, []
    if kind not in KINDS or not rest:
        raise ValueError(f"--data: expected {DATA}; got {args.data!r}")
    if args.families:
        raise ValueError("--families says which scenes are made: it goes with --data synthetic")
    # The file of annotations comes after the last colon; without one it is looked for.
    images, _, file = rest.rpartition(":") if kind == "coco" and ":" in rest else (rest, "", "")
    found = read_annotated(images, kind, file or None)
    sources, notes = drawn(cast("Any", found.sources), args.limit, args.seed or 0)
    return cast("Sequence[AnnotatedSource]", sources), [*found.notes, *notes]


def scene_count(text: str, count: int = SCENES) -> int:
    """How many scenes, as it stands after `synthetic:`; `count` where nothing does.

    Raises:
        ValueError: no whole number of at least 1.
    """
    if text and not (text.isascii() and text.isdecimal() and int(text)):
        raise ValueError(f"--data synthetic:COUNT: expected a whole number above 0, got {text!r}")
    return int(text or count)


def scenes(args: argparse.Namespace, loaded: LoadedModel) -> Sequence[AnnotatedSource]:
    """Made scenes for a model.

    Raises:
        ValueError: an unknown family, or a size at which no scenes are made.
    """
    from analytics.io.scenes import FAMILIES, scene_sources
    from analytics.studies.binding_images import scene_grid

    size, patch = scene_grid(loaded)
    families = names(args.families) if args.families else FAMILIES
    text = args.data.partition(":")[2]
    count = scene_count(text, PREVIEW_SCENES if args.preview else SCENES)
    if args.limit is not None:
        count = min(count, args.limit)
    return scene_sources(count, args.seed or 0, size, families, patch)
