"""Folders on the server: only under the allowed roots, whatever the path looks like."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.io import folders
from analytics.io.folders import list_pictures, picture_files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An allowed folder `open` beside a private one."""
    for name in ("open/b10.png", "open/b9.PNG", "open/sub/c.jpg", "private/secret.png"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    for name in ("open/notes.txt", "open/.hidden.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "open/.git").mkdir()
    (tmp_path / "open/.git/d.png").write_bytes(b"x")
    (tmp_path / "open/none").mkdir()
    return tmp_path


def names(found: list[Path], root: Path) -> list[str]:
    return [file.relative_to(root).as_posix() for file in found]


def test_pictures_below_a_root_in_natural_order(tree: Path) -> None:
    root = tree / "open"
    expected = ["b9.PNG", "b10.png", "sub/c.jpg"]
    assert names(list_pictures(root, (root,)), root) == expected
    assert names(list_pictures(".", (root,)), root) == expected
    assert names(list_pictures("sub", (root,)), root) == ["sub/c.jpg"]
    assert names(list_pictures("sub/c.jpg", (root,)), root) == ["sub/c.jpg"]
    assert names(list_pictures("sub/../sub", (root,)), root) == ["sub/c.jpg"]


def test_the_second_root_is_tried_too(tree: Path) -> None:
    roots = (tree / "private", tree / "open")
    assert names(list_pictures("sub", roots), tree / "open") == ["sub/c.jpg"]


def test_outside_gives_one_message_whether_it_exists_or_not(tree: Path) -> None:
    root = tree / "open"
    paths = ["../private", "../missing", str(tree / "private"), "/etc", "/no/such", "a\0b", ".."]
    messages = set()
    for path in paths:
        with pytest.raises(ValueError, match="expected a path under") as caught:
            list_pictures(path, (root,))
        messages.add(str(caught.value))
    assert len(messages) == 1
    assert str(root) in messages.pop()


def test_a_folder_whose_name_starts_like_a_root_is_outside(tree: Path) -> None:
    (tree / "open-too").mkdir()
    with pytest.raises(ValueError, match="got one outside"):
        list_pictures(str(tree / "open-too"), (tree / "open",))


def test_links_out_of_the_root_are_not_followed(tree: Path) -> None:
    root = tree / "open"
    (root / "way-out").symlink_to(tree / "private")
    (root / "leak.png").symlink_to(tree / "private" / "secret.png")
    (root / "inner.png").symlink_to(root / "b10.png")
    with pytest.raises(ValueError, match="got one outside"):
        list_pictures("way-out", (root,))
    with pytest.raises(ValueError, match="got one outside"):
        list_pictures("leak.png", (root,))
    found = names(list_pictures(".", (root,)), root)
    assert found == ["b9.PNG", "b10.png", "b10.png", "sub/c.jpg"]


def test_a_link_to_itself_is_outside(tree: Path) -> None:
    (tree / "open/loop").symlink_to(tree / "open/loop")
    with pytest.raises(ValueError, match="expected a"):
        list_pictures("loop", (tree / "open",))


def test_empty_and_missing_folders_are_named(tree: Path) -> None:
    root = tree / "open"
    with pytest.raises(
        ValueError, match=r"expected pictures in .*none, found none; they are known"
    ):
        list_pictures("none", (root,))
    with pytest.raises(ValueError, match="expected a folder or a picture, found nothing at"):
        list_pictures("missing", (root,))


def test_a_server_without_roots_says_so() -> None:
    with pytest.raises(ValueError, match="expected a server with an allowed folder, got none"):
        list_pictures("/", ())


def test_number_of_pictures_is_bounded(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_FOLDER", 2)
    with pytest.raises(ValueError, match=r"at most 2 pictures in .* found 3"):
        list_pictures(".", (tree / "open",))


def test_picture_files_leaves_hidden_ones_out(tree: Path) -> None:
    found = names(picture_files(tree / "open"), tree / "open")
    assert found == ["b9.PNG", "b10.png", "sub/c.jpg"]
