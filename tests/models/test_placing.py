"""Finished files in their place: whole, with the mode of any new file, or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from analytics.models.placing import place_file


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_the_mode_is_that_of_a_new_file_whatever_the_source_has(tmp_path, mask, mode):
    source, target = tmp_path / "draft", tmp_path / "weights"
    source.write_bytes(b"abc")
    source.chmod(0o600)
    target.write_bytes(b"what was there")
    target.chmod(0o600)
    before = os.umask(mask)
    try:
        assert place_file(source, target) == target
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert target.read_bytes() == b"abc" and source.exists()


def test_what_fails_on_the_way_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "weights"
    target.write_bytes(b"old")

    def broken(source, part):
        part.write_bytes(b"ne")
        raise OSError("no space left")

    monkeypatch.setattr("analytics.models.placing.shutil.copyfile", broken)
    with pytest.raises(OSError, match="no space left"):
        place_file(tmp_path / "draft", target)
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]
