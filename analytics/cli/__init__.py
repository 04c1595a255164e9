"""The same studies from a terminal: `attention-atlas COMMAND`."""

from analytics.cli.entry import main

__all__ = ["main"]
