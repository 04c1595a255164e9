"""Ids that cannot be guessed: an id travels with a signature of this installation."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

_SECRET_BYTES = 32


class Signer:
    """Signs ids with HMAC-SHA256 under a secret that never leaves the data folder."""

    def __init__(self, secret: bytes) -> None:
        """Use a secret of 32 bytes; `read_secret` gives that of an installation."""
        self._secret = secret

    def sign(self, identifier: str) -> str:
        """`identifier.signature`, safe in a path of an address."""
        return f"{identifier}.{self._signature(identifier)}"

    def open(self, token: str) -> str | None:
        """The id inside a token, or None where the signature is not ours."""
        identifier, dot, signature = token.rpartition(".")
        if not dot or not signature.isascii():
            return None
        ours = hmac.compare_digest(signature, self._signature(identifier))
        return identifier if ours else None

    def _signature(self, identifier: str) -> str:
        digest = hmac.new(self._secret, identifier.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def read_secret(file: Path) -> bytes:
    """The secret in a file that its owner alone may read; made at the first call.

    Several processes may call at once: all get the same secret.

    Raises:
        ValueError: the file holds something else.
    """
    if not file.exists():
        _write_secret(file)
    secret = file.read_bytes()
    if len(secret) != _SECRET_BYTES:
        raise ValueError(
            f"expected a secret of {_SECRET_BYTES} bytes in {file}, got {len(secret)}; "
            "remove the file and a new one is made (links made before stop working)"
        )
    return secret


def _write_secret(file: Path) -> None:
    """Write beside the file, then link: the first writer wins, nobody reads half a secret."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_bytes(_SECRET_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(part, file)
    finally:
        part.unlink(missing_ok=True)
