"""A study that is killed goes on after what it had measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from tests.commands import MODEL, ends, save
from tests.conftest import ROOT


def test_a_killed_process_loses_at_most_the_pictures_under_way(tmp_path, capsys):
    pictures = save(tmp_path / "pictures", range(40))
    store = tmp_path / "store"
    given = ["importance", pictures, *MODEL, "--metric", "cls_shift", "--store", store]
    command = [sys.executable, "-m", "analytics.cli", *map(str, given)]
    process = subprocess.Popen([*command, "--out", str(tmp_path / "killed")], cwd=ROOT)
    deadline = time.monotonic() + 120
    while len(list(store.glob("*/0*.npz"))) < 2 and process.poll() is None:
        assert time.monotonic() < deadline, "nothing was measured in two minutes"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it had ended before it was killed"
    assert not (tmp_path / "killed").exists()
    kept = len(list(store.glob("*/0*.npz")))

    status, said, _ = ends(capsys, *given, "--out", tmp_path / "out", "--json")
    summary = json.loads(said)
    assert status == 0
    assert summary["complete"] and summary["images"] == 40
    assert summary["reused"] == 4 * kept
    fresh = [*given[:-1], tmp_path / "other", "--out", tmp_path / "fresh", "--json"]
    again = json.loads(ends(capsys, *fresh)[1])
    assert again["reused"] == 0
    assert again["most_important"] == summary["most_important"]
