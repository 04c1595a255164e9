"""The command line: endings in process, and the real thing once in a process of its own."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analytics.cli import main
from analytics.cli.app import listen
from analytics.store.provenance import parse_provenance

ROOT = Path(__file__).resolve().parents[1]
CAT = str(ROOT / "assets" / "images" / "chelsea.png")


def ends(capsys, *arguments):
    """Status, standard output, and standard error, which is one plain line or nothing."""
    status = main([str(one) for one in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err and err.count("\n") == bool(err)
    return status, out, err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["sing"], "invalid choice"),
        (["attend"], "IMAGE, --query"),
        (["attend", CAT], "--query"),
        (["attend", CAT, "--query", "cls", "--fit", "squash"], "--fit"),
        (["attend", CAT, "--query", "cls", "--layer", "last"], "whole number"),
        (["attend", CAT, "--query", "cls", "--head", "-1"], "whole number"),
        (["attend", CAT, "--query", "cls", "--size", "0"], "at least 1"),
        (["attend", CAT, "--query", "cls", "--opacity", "7"], "opacity"),
        (["attend", CAT, "--query", "cls", "--cmap", "jet"], "--cmap"),
        (["attend", "no/such/file.jpg", "--query", "cls"], "no/such/file.jpg"),
        (["app", "--port", "99999"], "65535"),
        (["app", "--host", "no.such.host.invalid"], "host name"),
        (["models", "zzz-no-model"], "zzz-no-model"),
    ],
)
def test_bad_usage_and_input_are_one_line_and_status_2(capsys, arguments, words):
    status, out, err = ends(capsys, *arguments)
    assert (status, out) == (2, "")
    assert words in err and err.startswith("attention-atlas")


def test_file_that_is_no_picture(capsys, tmp_path):
    (tmp_path / "notes.png").write_text("dear diary")
    status, _, err = ends(capsys, "attend", tmp_path / "notes.png", "--query", "cls")
    assert status == 2 and "notes.png" in err


def test_folder_of_several_pictures(capsys):
    status, _, err = ends(capsys, "attend", Path(CAT).parent, "--query", "cls")
    assert status == 2 and "one picture" in err


def test_port_that_is_taken(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, out, err = ends(capsys, "app", "--port", port)
    assert (status, out) == (2, "")
    assert str(port) in err and "--port" in err


def test_free_port_is_bound():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with listen("127.0.0.1", port) as listener:
        assert listener.getsockname() == ("127.0.0.1", port)


@pytest.mark.parametrize(
    ("failure", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("boom\nline"), 1, "unexpected failure: RuntimeError: boom line"),
        (ValueError("expected\nthis"), 2, "expected this"),
        (PermissionError(13, "Permission denied", "/x"), 2, "Permission denied: /x"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_every_ending_has_its_status(capfd, monkeypatch, failure, status, words):
    def fail(args):
        raise failure

    monkeypatch.setattr("analytics.cli.models.run", fail)
    monkeypatch.setattr("os.dup2", lambda *given: None)
    assert main(["models"]) == status
    err = capfd.readouterr().err
    assert words in err and err.count("\n") == bool(words)


def test_help_and_usage_errors_import_nothing_heavy():
    code = (
        "import sys\nfrom analytics.cli import main\n"
        "helps = [[name, '--help'] for name in ('attend', 'importance', 'prune')]\n"
        "for given in (['--help'], *helps, ['attend']):\n    main(given)\n"
        "heavy = {'torch', 'timm', 'streamlit', 'starlette', 'altair', 'PIL'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(option in done.stdout for option in ("--query", "--ablation", "--budget"))


def test_models_are_listed_and_filtered(capsys):
    status, out, _ = ends(capsys, "models", "vit_tiny")
    assert status == 0 and "vit_tiny_patch16_224" in out.splitlines()
    status, out, _ = ends(capsys, "models", "vit_tiny", "--json")
    assert "vit_tiny_patch16_224" in json.loads(out)


def test_attend_writes_what_the_contract_says(tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "analytics.cli", "attend", CAT, "--query", "7,9"]
    command += ["--layer", "11", "--head", "2", "--out", str(out), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    summary = json.loads(done.stdout)
    files = ["attention.json", "attention.npz", "lens.pdf", "lens.png", "lens.svg"]
    assert sorted(summary["files"]) == [*files, "provenance.json"]
    assert sorted(path.name for path in out.iterdir()) == [*files, "provenance.json"]
    with np.load(out / "attention.npz") as arrays:
        assert arrays["attention"].shape == (1, 6, 257)
        assert arrays["attention"].dtype == np.float32
        assert np.allclose(arrays["attention"].sum(-1), 1, atol=1e-4)
        assert arrays["grid_size"].tolist() == [16, 16] and int(arrays["num_prefix_tokens"]) == 1
    made = parse_provenance((out / "provenance.json").read_text())
    assert made.command.startswith("attention-atlas attend") and "--query 7,9" in made.command
    assert made.weights_sha256 == summary["weights_sha256"]
    assert json.loads((out / "attention.json").read_text())["view"]["head"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--query", "16,0"], "outside the grid"),
        (["--query", "reg0"], "this model has: cls"),
        (["--query", "cls", "--layer", "12"], "layer from 0 to 11"),
        (["--query", "cls", "--layer", "3", "--head", "6"], "head from 0 to 5"),
        (["--query", "cls", "--model", "no_such_model_at_all"], "no_such_model_at_all"),
        (["--query", "cls", "--size", "225"], "225"),
        (["--query", "cls", "--device", "toaster"], "toaster"),
    ],
)
def test_what_the_model_does_not_have_writes_nothing(capsys, tmp_path, arguments, words):
    out = tmp_path / "out"
    status, _, err = ends(capsys, "attend", CAT, "--out", out, *arguments)
    assert status == 2 and words in err
    assert not out.exists()
