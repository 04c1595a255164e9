"""Samples, and what IMAGES of the command line stands for."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from analytics.io.images import Limits, read_picture
from analytics.io.sources import assets_dir, expand_images, samples


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("set/b10.png", "set/b9.png", "set/cats/c.png", "one.png"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20)).save(file)
    (tmp_path / "set/readme.txt").write_text("words")
    return tmp_path


def names(path: Path) -> list[str]:
    return [image.name for image in expand_images(path)]


def test_a_file_stands_for_itself(tree: Path) -> None:
    (image,) = expand_images(tree / "one.png")
    assert (image.name, image.path, image.member) == ("one.png", tree / "one.png", "")
    assert image.read_bytes() == (tree / "one.png").read_bytes()


def test_a_folder_stands_for_the_pictures_below_it(tree: Path) -> None:
    assert names(tree / "set") == ["b9.png", "b10.png", "cats/c.png"]


def test_a_zip_stands_for_the_pictures_in_it(tree: Path) -> None:
    file = tree / "set.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("b10.png", "b9.png", "readme.txt"):
            archive.write(tree / "set" / name, f"deep/{name}")
    found = expand_images(file)
    assert [image.name for image in found] == ["deep/b9.png", "deep/b10.png"]
    assert found[0].read_bytes() == (tree / "set/b9.png").read_bytes()


def test_a_text_file_lists_paths_relative_to_itself(tree: Path) -> None:
    listing = tree / "set" / "list.txt"
    lines = ["# my pictures", "", "b10.png", "  cats  ", str(tree / "one.png"), "../one.png"]
    listing.write_text("\n".join(lines), encoding="utf-8-sig")
    expected = ["b10.png", "cats/c.png", (tree / "one.png").as_posix(), "../one.png"]
    assert names(listing) == expected


def test_a_list_with_something_missing_names_the_line(tree: Path) -> None:
    listing = tree / "list.txt"
    listing.write_text("one.png\nnone.png\n")
    with pytest.raises(ValueError, match=r"on line 2 of .*list\.txt, found none at .*none\.png"):
        expand_images(listing)


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\x89PNG\r\n\x1a\n\xff\xfe"])
def test_an_empty_or_binary_list_is_refused(tree: Path, content: bytes) -> None:
    listing = tree / "list.txt"
    listing.write_bytes(content)
    with pytest.raises(ValueError, match=r"expected (pictures in the list|a text file of paths)"):
        expand_images(listing)


def test_what_is_missing_or_empty_is_named(tree: Path) -> None:
    with pytest.raises(ValueError, match=r"found nothing at .*nowhere"):
        expand_images(tree / "nowhere")
    (tree / "empty").mkdir()
    with pytest.raises(ValueError, match=r"expected pictures in the folder .*empty, found none"):
        expand_images(tree / "empty")
    with zipfile.ZipFile(tree / "no.zip", "w") as archive:
        archive.writestr("words.txt", "words")
    with pytest.raises(ValueError, match=r"expected pictures in the archive .*no\.zip"):
        expand_images(tree / "no.zip")
    (tree / "bad.zip").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"bad\.zip: expected a whole zip archive"):
        expand_images(tree / "bad.zip")


def test_a_file_above_the_limit_is_refused_unread(tree: Path) -> None:
    (image,) = expand_images(tree / "one.png")
    with pytest.raises(ValueError, match=r"one\.png: expected a file of at most"):
        image.read_bytes(Limits(max_bytes=10))


def test_samples_are_readable_and_carry_their_licence() -> None:
    found = samples()
    assert "chelsea.png" in {sample.name for sample in found}
    for sample in found:
        picture = read_picture(sample.path.read_bytes(), sample.name)
        assert min(picture.height, picture.width) >= 300
        assert all("embedded profile" in note for note in picture.notes)
        assert sample.title
        assert any(word in sample.licence for word in ("CC0", "CC BY", "Public domain", "No known"))


def test_every_shipped_picture_is_a_sample() -> None:
    shipped = {file.name for file in (assets_dir() / "images").iterdir()}
    assert shipped == {s.name for s in samples() if s.path.parent == assets_dir() / "images"}


def test_samples_of_scikit_learn_are_found_without_importing_it() -> None:
    code = "import sys; from analytics.io.sources import samples; samples(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded.isdisjoint({"sklearn", "scipy", "torch", "streamlit", "pillow_heif"})
