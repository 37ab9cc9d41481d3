"""Signing a mail with a key of the studio's own domain (DKIM), where its relay does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import dkim  # type: ignore[import-untyped] # it has no types

from control_center.domain.errors import ConfigurationError

# From twice: a second one, put in on the way, breaks the signature. So does whatever of these a mail does not have.
HEADERS: Final = (
    *(b"from", b"from", b"to", b"reply-to", b"subject", b"date", b"message-id", b"mime-version", b"content-type"),
    *(b"list-unsubscribe", b"list-unsubscribe-post"),
)


def signer(*, selector: str, domain: str, key_file: Path) -> Callable[[bytes], bytes]:
    """What puts a signature before a mail. Raises ConfigurationError where the key cannot be used."""
    try:
        key = key_file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"dkim_key_file is {str(key_file)!r}, which cannot be read: {error.strerror}"
        ) from None

    def sign(mail: bytes) -> bytes:
        signature: bytes = dkim.sign(
            mail,
            selector.encode("ascii"),
            domain.encode("ascii"),
            key,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=list(HEADERS),
        )
        return signature + mail

    try:
        sign(b"From: a@studio.example\r\n\r\n")
    except dkim.DKIMException as error:
        raise ConfigurationError(f"dkim_key_file is {str(key_file)!r}, which is no RSA key: {error}") from None
    return sign
