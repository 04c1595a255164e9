"""Labelled sets out of folders, zips, tables and arrays, with what was left out."""

import io
import unicodedata
import zipfile

import numpy as np
import pytest
from PIL import Image

from analytics.io.images import Limits, read_picture
from analytics.io.labelled import ArrayImage, read_labelled, shipped_labelled


def picture(shade=0):
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def fill(root, *names):
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture())
    return root


def zipped(file, *names, folders=()):
    with zipfile.ZipFile(file, "w") as archive:
        for folder in folders:
            archive.writestr(f"{folder}/", b"")
        for name in names:
            archive.writestr(name, picture())
    return file


def pairs(found):
    return {image.name: label for image, label in zip(found.images, found.labels, strict=True)}


def refused(*args, **options):
    with pytest.raises(ValueError, match="expected") as caught:
        read_labelled(*args, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_without_labels_every_label_is_none(tmp_path):
    found = read_labelled(fill(tmp_path / "set", "b/1.png", "2.png"))
    assert found.name == "set"
    assert pairs(found) == {"b/1.png": None, "2.png": None}
    assert (found.classes, found.notes) == ((), ())


def test_the_first_folder_is_the_class_in_natural_order(tmp_path):
    root = fill(tmp_path, "c10/1.png", "c2/deep/2.png", "c2/1.png")
    found = read_labelled(root, "folders")
    assert pairs(found) == {"c2/1.png": "c2", "c2/deep/2.png": "c2", "c10/1.png": "c10"}
    assert found.classes == ("c2", "c10")
    assert found.notes == ()


def test_what_folders_leave_out_is_noted(tmp_path):
    root = fill(tmp_path, "cats/1.png", "dogs/1.png", "loose.png", ".thumbs/1.png")
    (root / "birds").mkdir()
    (root / "fish").mkdir()
    (root / "fish" / "readme.txt").write_text("no picture")
    (root / ".git").mkdir()
    found = read_labelled(root, "folders")
    assert pairs(found) == {"cats/1.png": "cats", "dogs/1.png": "dogs"}
    assert found.notes == (
        "Left out, 1 picture beside the class folders: loose.png.",
        "No pictures in 2 class folders: birds, fish.",
        "Left out, 1 hidden folder: .thumbs.",
    )


def test_a_linked_class_folder_is_noted_and_not_followed(tmp_path):
    root = fill(tmp_path / "set", "cats/1.png")
    (root / "dogs").symlink_to(fill(tmp_path / "elsewhere", "1.png"))
    found = read_labelled(root, "folders")
    assert found.labels == ("cats",)
    assert found.notes == ("No pictures in 1 class folder: dogs; linked folders are not followed.",)


def test_a_zip_reads_like_its_folder(tmp_path):
    names = ("cats/1.png", "dogs/a/2.png", "loose.png", "__MACOSX/cats/._1.png")
    file = zipped(tmp_path / "set.zip", *names, folders=("birds", "__MACOSX"))
    found = read_labelled(file, "folders")
    assert pairs(found) == {"cats/1.png": "cats", "dogs/a/2.png": "dogs"}
    assert found.notes == (
        "Left out, 1 picture beside the class folders: loose.png.",
        "No pictures in 1 class folder: birds.",
    )
    assert found.images[0].read_bytes() == picture()


def test_a_folder_around_the_class_folders_of_a_zip_is_seen_through(tmp_path):
    file = zipped(
        tmp_path / "set.zip", "pets/cats/1.png", "pets/dogs/1.png", folders=("pets/owls",)
    )
    found = read_labelled(file, "folders")
    assert found.labels == ("cats", "dogs")
    assert found.notes == (
        "All files lie in pets: its folders are the classes.",
        "No pictures in 1 class folder: owls.",
    )
    one = read_labelled(zipped(tmp_path / "one.zip", "cats/a/1.png", "cats/a/2.png"), "folders")
    assert one.labels == ("cats", "cats")


def test_slashes_of_windows_separate_folders_in_a_zip(tmp_path):
    file = zipped(tmp_path / "set.zip", "big cats\\1.png", "small dogs\\2.png", "..\\owls\\3.png")
    assert set(read_labelled(file, "folders").labels) == {"big cats", "small dogs", "owls"}


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("  two   spaces ", "two spaces"),
        ("Größe 中文", "Größe 中文"),
        (unicodedata.normalize("NFD", "é"), "é"),
        ("turn\u202eed", "turned"),
        ("a\nb", "ab"),
        ("\u200b", "unnamed"),
        ("<b>&", "<b>&"),
    ],
)
def test_odd_class_names_become_plain_text(folder, name, tmp_path):
    assert read_labelled(fill(tmp_path, f"{folder}/1.png"), "folders").classes == (name,)


def test_spellings_that_look_the_same_are_one_class_and_said_so(tmp_path):
    found = read_labelled(fill(tmp_path, "cat/1.png", "cat\u200b/2.png", "dog/3.png"), "folders")
    assert found.classes == ("cat", "dog")
    assert found.notes == ("Spellings that look the same are one class: cat.",)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(("suffix", "comma"), [(".csv", ","), (".csv", ";"), (".tsv", "\t")])
def test_a_table_names_the_classes(header, suffix, comma, tmp_path):
    root = fill(tmp_path / "set", "a/1.png", "2.png", "3.png")
    rows = [["Path", "LABEL", "by"]] * header
    rows += [["a/1.png", ".T-shirt/top", "x"], ["./2.png", "c"]]
    table = tmp_path / f"labels{suffix}"
    text = "\r\n".join(comma.join(row) for row in rows)
    table.write_text(text + "\r\n\r\n", encoding="utf-8-sig")
    found = read_labelled(root, table)
    assert pairs(found) == {"a/1.png": ".T-shirt/top", "2.png": "c", "3.png": None}
    assert found.classes == (".T-shirt/top", "c")
    assert found.notes == ("Without a label, 1 picture: 3.png.",)


def test_columns_may_stand_in_any_order_and_paths_in_any_spelling(tmp_path):
    accent = unicodedata.normalize("NFD", "é.png")
    root = fill(tmp_path / "set", "a/1.png", "b, c/2.png", accent, "5.png")
    rows = ["id,label,path", "0,x,a\\1.png", '1,y,"b, c/2.png"', "2,z,é.png"]
    rows += [f"3,w,{root / '5.png'}", "4,,5.png"]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(rows), encoding="utf-8")
    assert read_labelled(root, table).labels == ("w", "x", "y", "z")
    table.write_text("path,label\nset/5.png,beside")
    assert read_labelled(root, table).labels == ("beside", None, None, None)


def test_a_table_names_pictures_in_a_zip(tmp_path):
    file = zipped(tmp_path / "set.zip", "cats\\1.png", f"{'long' * 40}/2.png")
    table = tmp_path / "labels.csv"
    table.write_text(f"path,label\ncats/1.png,cat\n{'long' * 40}/2.png,long\n")
    assert read_labelled(file, table).labels == ("cat", "long")


def test_missing_files_and_pictures_without_a_row_are_noted(tmp_path):
    root = fill(tmp_path / "set", "1.png", "2.png", "3.png")
    table = tmp_path / "labels.csv"
    gone = "".join(f"gone{i}.png,x\n" for i in range(5))
    table.write_text(f"path,label\n1.png,x\n2.png,\n{gone},y\n")
    found = read_labelled(root, table)
    assert found.labels == ("x", None, None)
    assert found.notes == (
        "Not found, 6 pictures of labels.csv: gone0.png, gone1.png, gone2.png and 3 more.",
        "Without a label, 2 pictures: 2.png, 3.png.",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("filename,class\n1.png,x", "columns path and label in labels.csv, or no header.*filename"),
        ("1.png\n2.png", "columns path and label"),
        ("", "rows of path and label in labels.csv, got none"),
        ("path,label\n", "rows of path and label in labels.csv, got none"),
        ("path,label\nx/8.png,a\nx/9.png,b", r"1 picture in set, such as 1.png, got 2 rows.*x/8"),
        ("path,label\n1.png,a\n1.png,b", "one class for each picture, got 'a' and 'b' for 1.png"),
        (b"path,label\n\xff.png,a", "UTF-8"),
    ],
)
def test_tables_that_do_not_fit_are_refused(text, words, tmp_path):
    root = fill(tmp_path / "set", "1.png")
    table = tmp_path / "labels.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=words):
        read_labelled(root, table)


def test_labels_that_cannot_be_had_are_refused(tmp_path):
    root = fill(tmp_path / "flat", "1.png", "2.png")
    assert "2 pictures and no folder around them" in refused(root, "folders")
    assert "expected a folder or a zip" in refused(root / "1.png", "folders")
    assert "No such file" in refused(root, tmp_path / "none.csv")
    with pytest.raises(ValueError, match="at most 0 MiB"):
        table = tmp_path / "labels.csv"
        table.write_text("path,label\n1.png,x\n")
        read_labelled(root, table, Limits(max_bytes=8))


def test_arrays_with_names(tmp_path):
    pixels = np.arange(3 * 4 * 5 * 3, dtype=np.uint8).reshape(3, 4, 5, 3)
    file = tmp_path / "set.npz"
    np.savez(file, images=pixels, labels=np.array([1, 0, 1]), names=np.array(["a/b", ".c"]))
    found = read_labelled(file)
    assert found.labels == (".c", "a/b", ".c")
    assert found.classes == (".c", "a/b")
    assert [image.name for image in found.images] == ["0.png", "1.png", "2.png"]
    for image, own in zip(found.images, pixels, strict=True):
        decoded = read_picture(image.read_bytes(), image.name)
        np.testing.assert_array_equal(decoded.pixels, own)
    with pytest.raises(ValueError, match=r"^0\.png: expected a file of at most"):
        found.images[0].read_bytes(Limits(max_bytes=10))


@pytest.mark.parametrize(
    ("labels", "given", "classes"),
    [
        (np.array([10, 2]), ("10", "2"), ("2", "10")),
        (np.array(["b", "a"]), ("b", "a"), ("a", "b")),
        (None, (None, None), ()),
    ],
)
def test_arrays_without_names(labels, given, classes, tmp_path):
    file = tmp_path / "set.npz"
    arrays = {"image": np.zeros((2, 8, 8), np.uint8)}
    np.savez(file, **arrays, **({} if labels is None else {"y": labels}))
    found = read_labelled(file)
    assert (found.labels, found.classes) == (given, classes)


def test_a_grey_picture_of_an_array_is_grey():
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    decoded = read_picture(ArrayImage("x.png", pixels).read_bytes(), "x.png")
    np.testing.assert_array_equal(decoded.pixels, np.repeat(pixels[..., None], 3, axis=2))


GOOD = np.zeros((2, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"labels": np.zeros(2, int)}, "array `images` uint8.*got none"),
        ({"images": GOOD.astype(float)}, "got float64"),
        ({"images": GOOD[..., None]}, r"got uint8 \(2, 8, 8, 1\)"),
        ({"images": GOOD[0]}, "expected pictures in set.npz"),
        ({"images": GOOD[:0]}, "expected pictures in set.npz"),
        ({"images": GOOD, "labels": np.zeros(3, int)}, r"expected 2 labels.*got int64 \(3,\)"),
        ({"images": GOOD, "labels": np.zeros(2)}, "integers or text.*got float64"),
        ({"images": GOOD, "labels": np.array([0, 2]), "names": np.array(["a", "b"])}, "0 to 1"),
        ({"images": GOOD, "labels": np.array([-1, 0]), "names": np.array(["a"])}, "got -1 to 0"),
        ({"images": GOOD, "labels": np.array([0, 0]), "names": np.array([1])}, "as text"),
        ({"images": np.array([print, print])}, "plain arrays.*allow_pickle"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays, words, tmp_path):
    file = tmp_path / "set.npz"
    np.savez(file, **arrays)
    with pytest.raises(ValueError, match=words):
        read_labelled(file)


def test_files_that_are_no_arrays_are_refused(tmp_path):
    file = tmp_path / "set.npz"
    assert "No such file" in refused(file)
    file.write_bytes(b"not a zip")
    assert "numpy.savez" in refused(file)
    np.savez(file, images=GOOD)
    assert "at most 0 MiB" in refused(file, limits=Limits(max_unpacked_bytes=100))
    assert "leave them out" in refused(file, "folders")


def test_the_shipped_set():
    found = shipped_labelled()
    assert len(found.images) == len(found.labels) == 1000
    assert len(found.classes) == 10
    assert {found.labels.count(name) for name in found.classes} == {100}
    assert "T-shirt/top" in found.classes
    assert any("no evidence about natural images" in note for note in found.notes)
    assert read_picture(found.images[0].read_bytes(), "x.png").pixels.shape == (28, 28, 3)
