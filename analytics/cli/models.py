"""`attention-atlas models`: names of models, and whether their families work."""

from __future__ import annotations

import argparse
import dataclasses
import json

from analytics.cli.options import Commands, progress


def add_command(commands: Commands) -> None:
    """Add `models` to the command line."""
    parser = commands.add_parser("models", help="list model names", description=__doc__)
    parser.add_argument("filter", nargs="?", default="", metavar="FILTER", help="words or a*b")
    parser.add_argument("--check", action="store_true", help="instantiate and verify families")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print names, or the table of the check.

    Raises:
        ValueError: no name matches.
    """
    from analytics.models.registry import list_models

    names = list_models(args.filter)
    if not names:
        raise ValueError(f"expected words of a model name; nothing matches {args.filter!r}")
    if args.check:
        check(args, names if args.filter else [])
    elif args.json:
        print(json.dumps(names))
    else:
        print("\n".join(names))


def check(args: argparse.Namespace, names: list[str]) -> None:
    """Verify families and print the page of documentation; no names stand for the usual ones."""
    from analytics.store.provenance import installed_versions
    from analytics.studies.model_check import check_models
    from analytics.studies.model_table import markdown, table_names

    found = check_models(names or table_names(), progress(args.quiet))
    if args.json:
        print(json.dumps([dataclasses.asdict(one) for one in found]))
    else:
        versions = installed_versions()
        print(markdown(found, ", ".join(f"{name} {versions[name]}" for name in ("timm", "torch"))))
