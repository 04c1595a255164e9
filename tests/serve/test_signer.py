"""Signatures, and the secret behind them."""

import stat
import threading

import pytest

from analytics.serve.signer import Signer, read_secret


def test_own_tokens_open_and_others_do_not():
    signer = Signer(b"a" * 32)
    token = signer.sign("id.with.dots")
    assert signer.open(token) == "id.with.dots"
    assert Signer(b"b" * 32).open(token) is None
    assert signer.open("id.with.dots") is None
    assert signer.open("") is None
    assert signer.open(token[:-1]) is None
    assert signer.open("other" + token) is None
    assert signer.open("id.signaturé") is None


def test_secret_is_private_and_stays(tmp_path):
    file = tmp_path / "deep" / "secret"
    secret = read_secret(file)
    assert len(secret) == 32 and read_secret(file) == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret"]
    assert read_secret(tmp_path / "other") != secret


def test_processes_that_start_together_agree(tmp_path):
    found, start = [], threading.Barrier(8)

    def read():
        start.wait(10)
        found.append(read_secret(tmp_path / "secret"))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_damaged_secret_is_refused_in_words(tmp_path):
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(ValueError, match="remove the file"):
        read_secret(tmp_path / "secret")
