"""Options that every study shares, and what a command prints while it works."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from analytics.types import Fit

Commands = Any
"""What argparse's `add_subparsers` returns; its class is private."""


def add_study_options(parser: argparse.ArgumentParser) -> None:
    """Model, picture fitting, device, and where results go."""
    model = parser.add_argument_group("model")
    model.add_argument("--model", default="bundled", metavar="NAME", help="default: %(default)s")
    model.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights for that name")
    model.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:NUMBER")
    model.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    model.add_argument("--seed", type=int, metavar="N", help="of random draws, if any")
    picture = parser.add_argument_group("picture")
    picture.add_argument("--size", type=positive, metavar="PX", help="side of the model's input")
    picture.add_argument("--fit", default="crop", choices=get_args(Fit))
    results = parser.add_argument_group("results")
    results.add_argument("--out", type=Path, default=Path("out"), metavar="DIR")
    results.add_argument("--json", action="store_true", help="print one JSON summary")
    results.add_argument("--quiet", action="store_true", help="print nothing but errors")


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def whole(text: str) -> int:
    """A whole number of at least 0."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def progress(quiet: bool) -> Callable[..., None]:
    """A callback `(done, total, message)` that draws a bar, on a terminal only."""
    shown = not quiet and sys.stderr.isatty()

    def report(done: float, total: float, message: str = "") -> None:
        if not shown:
            return
        filled = round(24 * done / total) if total else 0
        bar = f"[{'#' * filled}{'.' * (24 - filled)}] {message}"[:78]
        # Back to the start of the line; the bar leaves no trace when all is done.
        end = "" if not total or done < total else f"\r{' ' * 78}\r"
        print(f"\r{bar:<78}{end}", end="", file=sys.stderr, flush=True)

    return report


def say(args: argparse.Namespace, summary: dict[str, Any], lines: list[str]) -> None:
    """Print the result: nothing, one JSON object, or lines to read."""
    if args.json:
        print(json.dumps(summary, ensure_ascii=False))
    elif not args.quiet:
        print("\n".join(lines))
