"""Pictures out of a zip archive, in memory, without trusting what its headers say.

Nothing is unpacked to disk, so a member's path is only ever a name.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from analytics.io.images import DEFAULT_LIMITS, MEBIBYTE, Limits, check_bytes, read_picture
from analytics.io.names import natural_key, plain_path
from analytics.io.signatures import HEAD_BYTES, picture_kind
from analytics.types import Picture

_CLUTTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError)
_RATIO_FROM = MEBIBYTE
"""Below this size a member may grow as it likes; a small flat picture compresses well."""


@dataclass(frozen=True)
class Refusal:
    """A file that was not taken, and why; `name` may hold folders."""

    name: str
    reason: str


@dataclass(frozen=True)
class Member:
    """One file of an archive that passed the checks; `name` may hold folders."""

    name: str
    data: bytes


def read_archive(
    data: bytes, name: str, limits: Limits = DEFAULT_LIMITS
) -> tuple[list[Picture], list[Refusal]]:
    """Decode the pictures of a zip archive, in natural order of their names.

    Args:
        data: the bytes of the archive.
        name: its name, for messages.
        limits: what is accepted of the archive and of each picture.

    Returns:
        The pictures, and a refusal for every other file. Hidden files and those that
        macOS and Windows add are left out without a word.

    Raises:
        ValueError: the archive itself is refused; one line that says why and what to do.
    """
    pictures: list[Picture] = []
    refusals: list[Refusal] = []
    room = limits.max_archive_pixels
    for member in archive_members(data, name, limits):
        if isinstance(member, Refusal):
            refusals.append(member)
            continue
        try:
            picture = read_picture(member.data, member.name, limits)
        except ValueError as error:
            refusals.append(Refusal(member.name, str(error).removeprefix(f"{member.name}: ")))
            continue
        room -= picture.height * picture.width
        if room < 0:
            refusals.append(Refusal(member.name, _no_room(limits)))
            continue
        pictures.append(picture)
    return pictures, refusals


def archive_members(
    data: bytes, name: str, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Member | Refusal]:
    """Yield the files of a zip archive one at a time, so that one is in memory at once.

    Each is checked for size and growth while it is read; its kind is told from its first
    bytes. What is no picture comes as a `Refusal`.

    Raises:
        ValueError: the archive itself is refused, as in `read_archive`.
    """
    label = plain_path(name)
    _check_archive_bytes(len(data), label, limits)
    # Every entry of the directory starts with these four bytes, so counting them bounds the
    # work of listing it. Ten times the limit, because stored data may hold them too.
    if data.count(b"PK\x01\x02") > 10 * limits.max_members:
        raise ValueError(_too_many(label, "far more", limits))
    with _open_zip(io.BytesIO(data), label) as archive:
        for info in _wanted(archive, label, limits):
            shown = plain_path(info.filename)
            try:
                content = _read_member(archive, info, limits)
            except ValueError as error:
                yield Refusal(shown, str(error))
                continue
            yield Member(shown, content)


def list_members(path: Path, limits: Limits = DEFAULT_LIMITS) -> list[str]:
    """Names inside a zip file on disk as the archive writes them, natural order.

    Raises:
        ValueError: the archive is refused, as in `read_archive`.
    """
    _check_archive_bytes(path.stat().st_size, path.name, limits)
    with _open_zip(path, path.name) as archive:
        return [info.filename for info in _wanted(archive, path.name, limits)]


def read_member(path: Path, member: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Bytes of one picture inside a zip file on disk; `member` as `list_members` gives it.

    Raises:
        ValueError: the archive or the member is refused.
    """
    with _open_zip(path, path.name) as archive:
        try:
            return _read_member(archive, archive.getinfo(member), limits)
        except KeyError:
            reason = "expected a file of this name in the archive, found none"
        except ValueError as error:
            reason = str(error)
    raise ValueError(f"{path.name}/{plain_path(member)}: {reason}")


def _open_zip(source: io.BytesIO | Path, label: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except (*_DAMAGE, ValueError) as error:
        raise ValueError(
            f"{label}: expected a whole zip archive, got a file that is damaged, cut short or of "
            "another kind; make the archive again"
        ) from error


def _wanted(archive: zipfile.ZipFile, label: str, limits: Limits) -> list[zipfile.ZipInfo]:
    """Files worth a look, in natural order, after the checks that the directory allows."""
    members = [info for info in archive.infolist() if not info.is_dir()]
    members = [info for info in members if not _is_clutter(info.filename)]
    if not members:
        raise ValueError(f"{label}: expected a zip archive with pictures, got one without files")
    if len(members) > limits.max_members:
        raise ValueError(_too_many(label, f"{len(members):,}", limits))
    claimed = sum(info.file_size for info in members)
    if claimed > limits.max_unpacked_bytes:
        raise ValueError(
            f"{label}: expected an archive that unpacks to at most "
            f"{limits.max_unpacked_bytes / MEBIBYTE:,.0f} MiB, got one of "
            f"{claimed / MEBIBYTE:,.0f} MiB; split it"
        )
    return sorted(members, key=lambda info: natural_key(info.filename))


def _is_clutter(name: str) -> bool:
    """Hidden files and what macOS and Windows leave in archives."""
    parts = name.replace("\\", "/").split("/")
    return any((p.startswith(".") and p.strip(".")) or p.lower() in _CLUTTER for p in parts)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits) -> bytes:
    """Read one member, never more than its header claims.

    The claims are bounded one by one (`_check_header`) and together (`_wanted`), so what is
    unpacked is bounded too. A member that holds more than it claims fails its checksum.
    """
    _check_header(info, limits)
    try:
        with archive.open(info) as stream:
            head = stream.read(min(HEAD_BYTES, info.file_size + 1))
            picture_kind(head)
            # One more than is left, so that the end is reached and the checksum compared.
            return head + stream.read(info.file_size + 1 - len(head))
    except (*_DAMAGE, NotImplementedError) as error:
        raise ValueError(
            "expected a whole file, got one that is damaged in the archive; make the archive again"
        ) from error


def _check_header(info: zipfile.ZipInfo, limits: Limits) -> None:
    if info.flag_bits & 1:
        raise ValueError(
            "expected a file that can be read, got one locked with a password; "
            "make the archive without a password"
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            "expected a file that is stored or deflated, got another compression; "
            "make the archive as an ordinary zip"
        )
    check_bytes(info.file_size, limits)
    growth = info.file_size / max(1, info.compress_size)
    if info.file_size > _RATIO_FROM and growth > limits.max_ratio:
        raise ValueError(
            f"expected a file that grows at most {limits.max_ratio:g} times, got one that grows "
            f"{growth:,.0f} times, as zip bombs do; add the picture itself"
        )


def _check_archive_bytes(size: int, label: str, limits: Limits) -> None:
    if size > limits.max_archive_bytes:
        raise ValueError(
            f"{label}: expected an archive of at most {limits.max_archive_bytes / MEBIBYTE:,.0f} "
            f"MiB, got {size / MEBIBYTE:,.0f} MiB; split it"
        )


def _too_many(label: str, got: str, limits: Limits) -> str:
    return f"{label}: expected at most {limits.max_members:,} files, got {got}; split the archive"


def _no_room(limits: Limits) -> str:
    return (
        f"expected at most {limits.max_archive_pixels / 1e6:,.0f} megapixels from one archive, "
        "got more before this one; split the archive"
    )
