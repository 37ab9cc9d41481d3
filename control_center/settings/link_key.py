"""The key by which links in mails are known to be ours: one for the whole installation, and for as long as it lives."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from control_center.domain.errors import ConfigurationError
from control_center.settings.model import Settings

FILE: Final = "link_key"


def find(chosen: Settings) -> bytes | None:
    """The configured key, else the one that lies in the data folder; None where there is neither.

    Raises ConfigurationError where one lies there that cannot be read.
    """
    configured = chosen.link_key.get_secret_value()
    if configured:
        return configured.encode()
    file = chosen.data_dir / FILE
    try:
        kept = file.read_text("ascii").strip() if file.exists() else ""
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} cannot be read: not a key that was made here") from None
    return kept.encode() if kept else None


def keep(chosen: Settings) -> bytes:
    """The key; at the first start one is made and kept in the data folder, for us alone to read."""
    found = find(chosen)
    if found is None:
        chosen.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(chosen.data_dir / FILE)
        found = find(chosen)
    assert found is not None, "it was just made"
    return found


def _make(file: Path) -> None:
    """Whole or not at all; where two make one at the same time, the first one's stays."""
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_text(f"{secrets.token_urlsafe(32)}\n", "ascii")
    with suppress(FileExistsError):
        file.hardlink_to(draft)
    draft.unlink()
