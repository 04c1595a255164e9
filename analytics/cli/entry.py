"""Reads the command line, runs one command and turns every ending into an exit status.

Status 0: done; 1: unexpected failure; 2: bad input or usage; 130: interrupted. Whatever
went wrong is one plain line on standard error. Nothing heavy is imported before a command
runs, so help and usage errors come at once.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from analytics.cli import app, attend, binding, importance, models, patterns, profile, prune

PROGRAM = "attention-atlas"


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where help is."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: what stands after the program's name; None for those of the process.

    Returns:
        The exit status.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        chosen = parser().parse_args(given)
    except SystemExit as ending:
        return int(ending.code or 0)
    chosen.command_line = shlex.join([PROGRAM, *given])
    try:
        chosen.run(chosen)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail(130, "interrupted; files that were written are kept")
    except BrokenPipeError:
        # The reader (head, less) has gone: that is no failure, and Python must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        return _fail(2, _plain(error))
    except Exception as error:
        return _fail(1, f"unexpected failure: {type(error).__name__}: {_plain(error)}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = OneLineParser(
        prog=PROGRAM, description="What does attention look at, which parts matter, and why?"
    )
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    for module in (app, models, attend, importance, prune, profile, patterns, binding):
        module.add_command(commands)
    return whole


def _plain(error: BaseException) -> str:
    """The message of an error in one line."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split()) or type(error).__name__


def _fail(status: int, message: str) -> int:
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    return status
