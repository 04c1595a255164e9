"""What kind of file this is, told from its first bytes and never from its name."""

from __future__ import annotations

READABLE = "JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF"
"""The picture formats that can be read, as a phrase for messages."""

HEAD_BYTES = 8192
"""How many bytes from the start of a file are enough to tell its kind."""

_JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
_HEIF_SUFFIXES = (".heic", ".heif", ".hif", ".avif")
_OTHER_SUFFIXES = (".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif")
PICTURE_SUFFIXES = frozenset(_JPEG_SUFFIXES + _HEIF_SUFFIXES + _OTHER_SUFFIXES)
"""Endings by which pictures are picked out of a folder; the content decides in the end."""

_PICTURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

_EXPORT = "export it as PNG or JPEG"
_OTHERS = (
    (b"%PDF", "a PDF document", "export the page or the figure as PNG"),
    (b"PK\x03\x04", "a zip archive or an office document", "unpack it and add its pictures"),
    (b"PK\x05\x06", "an empty zip archive", "add the pictures themselves"),
    (b"\x1f\x8b", "a gzip file", "unpack it and add the pictures in it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it and add its pictures"),
    (b"Rar!", "a RAR archive", "unpack it and add its pictures"),
    (b"8BPS", "a Photoshop document", _EXPORT),
    (b"\xff\x0a", "a JPEG XL picture", _EXPORT),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture", _EXPORT),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", _EXPORT),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture", _EXPORT),
    (b"\0\0\x01\0", "an icon file", _EXPORT),
    (b"%!PS", "a PostScript drawing", "export it as PNG"),
    (b"\x89HDF", "an HDF5 file", "export the picture in it as PNG or TIFF"),
    (b"\x93NUMPY", "a NumPy array", "save the picture in it as PNG or TIFF"),
)


def picture_kind(data: bytes) -> str:
    """Say which picture format the bytes are in.

    Args:
        data: the file, or at least its first `HEAD_BYTES` bytes.

    Returns:
        `JPEG`, `PNG`, `GIF`, `BMP`, `TIFF`, `WEBP`, `AVIF` or `HEIF`.

    Raises:
        ValueError: the bytes are no picture that can be read; the message names what
            they are and what to do.
    """
    if not data:
        raise ValueError("expected a picture, got an empty file (0 bytes); choose it again")
    kind = _known_picture(data)
    if kind:
        return kind
    found, advice = _name_other(data[:HEAD_BYTES])
    raise ValueError(f"expected a picture ({READABLE}), got {found}; {advice}")


def _known_picture(data: bytes) -> str:
    for magic, kind in _PICTURES:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    brands = _media_brands(data)
    # An AVIF file may call itself mif1 and name avif among its compatible brands.
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else ""


def _media_brands(data: bytes) -> set[bytes]:
    """Major and compatible brands of an ISO media file, at most 32; empty for others."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), 16 + 32 * 4, len(data))
    return {data[8:12]} | {data[at : at + 4] for at in range(16, end - 3, 4)}


def _name_other(head: bytes) -> tuple[str, str]:
    """Name a file that is no readable picture, and say what to do with it."""
    for magic, found, advice in _OTHERS:
        if head.startswith(magic):
            return found, advice
    if head[4:8] == b"ftyp":
        return "a video or audio file", "export one frame of it as PNG or JPEG"
    if head[128:132] == b"DICM":
        return "a DICOM file", "export the image in it as PNG or TIFF"
    text = _as_text(head)
    if text is None:
        return "a file of another kind", _EXPORT
    return _name_text(text.lstrip("\ufeff \t\r\n").lower())


def _name_text(text: str) -> tuple[str, str]:
    if text.startswith(("<!doctype html", "<html")):
        return "a web page (HTML)", "save the picture itself, not the page that shows it"
    if text.startswith("<") and "<svg" in text:
        return "an SVG file", "SVG is a vector drawing; export it as PNG"
    if text.startswith("version https://git-lfs"):
        return "a Git LFS pointer in place of the picture", "fetch the picture with `git lfs pull`"
    return "a text file", "check that the right file was chosen; its name does not make it one"


def _as_text(head: bytes) -> str | None:
    """The bytes as text, or None where they do not read as text."""
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    # The head may end inside a character, so what follows the last whole one is dropped.
    text = head.decode(encoding, errors="ignore")
    if len(text.encode(encoding, errors="ignore")) < len(head) - 3:
        return None
    return text if all(c.isprintable() or c in "\t\n\r\f\ufeff" for c in text) else None
