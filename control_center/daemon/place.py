"""The data folder of one installation on one machine: who runs in it, where it is reached, and its first token."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from control_center.domain.errors import ConfigurationError

LOCK: Final = "run.lock"
ENDPOINTS: Final = "endpoints.json"
TOKEN: Final = "api_token"  # noqa: S105 - a file's name
OUTBOX: Final = Path("sandbox") / "outbox.ndjson"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a running installation is reached. `http` and `broker_url` are empty where it has none."""

    http: str
    api_token_file: str
    database_url: str
    broker_url: str
    pid: int


@contextmanager
def occupied(data_dir: Path) -> Iterator[None]:
    """Hold the data folder for this process. Raises ConfigurationError naming the process that already does."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"CONTROL_CENTER_DATA_DIR is {str(data_dir)!r}, which cannot be written: {error.strerror}"
        ) from None
    try:
        if not _locked(handle, tries=5):
            owner = os.read(handle, 20).decode().strip() or "unknown"
            raise ConfigurationError(
                f"{data_dir} is already run by process {owner}; stop that one first, "
                "or choose another CONTROL_CENTER_DATA_DIR"
            )
        os.truncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)


def write_endpoints(data_dir: Path, endpoints: Endpoints) -> None:
    _write(data_dir / ENDPOINTS, json.dumps(asdict(endpoints), indent=2) + "\n")


def remove_endpoints(data_dir: Path) -> None:
    (data_dir / ENDPOINTS).unlink(missing_ok=True)


def read_endpoints(data_dir: Path) -> Endpoints | None:
    """Where the installation in this folder is reached; None when none runs there now."""
    try:
        handle = os.open(data_dir / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _locked(handle):  # nobody holds it: what is written there was left by one that was killed
            return None
        return Endpoints(**json.loads((data_dir / ENDPOINTS).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    finally:
        os.close(handle)


def token(data_dir: Path, configured: str) -> str:
    """The first API client's token: the configured one, else the one made at the first start, kept in a file."""
    file = data_dir / TOKEN
    kept = file.read_text("utf-8").strip() if file.exists() else ""
    wanted = configured or kept or secrets.token_urlsafe(32)
    if wanted != kept:
        _write(file, f"{wanted}\n")
    return wanted


def _locked(handle: int, tries: int = 1) -> bool:
    """Take the lock if it is free. Whoever only looks holds it for an instant, hence the tries."""
    for _ in range(tries):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return True
    return False


def _write(file: Path, text: str) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as sink:
        sink.write(text)
    draft.rename(file)
