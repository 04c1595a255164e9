"""Running commands of `attention-atlas` in process, on small pictures and a random model."""

from __future__ import annotations

from pathlib import Path

from analytics.cli import main
from tests.studies.making import Made

MODEL = ("--model", "test_vit:random")


def ends(capsys, *arguments):
    """Status, standard output, and standard error, which is one plain line or nothing."""
    status = main([str(one) for one in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err and err.count("\n") == bool(err)
    return status, out, err


def save(folder: Path, seeds) -> Path:
    folder.mkdir(parents=True)
    for seed in seeds:
        (folder / f"{seed}.png").write_bytes(Made("", seed).read_bytes())
    return folder
