"""Machines whose clock is wrong, and releases of the time zones that say what a test wants them to say."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Final

# Found by each process before it begins: its clock is then off by what the file beside this one says.
SHIM: Final = """\
from datetime import UTC, datetime, timedelta
from pathlib import Path

from control_center import service

OFF = Path(__file__).with_name("seconds")


def now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float(OFF.read_text("utf-8")))


service.now = now
"""
DAY: Final = 86400


class WrongClock:
    """A folder to put ahead; the clock of every process that looks there can be set while they run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.set(timedelta())
        (folder / "sitecustomize.py").write_text(SHIM, "utf-8")

    def set(self, off: timedelta) -> None:
        """Set it, in one step."""
        draft = self.folder / "draft"
        draft.write_text(str(off.total_seconds()), "utf-8")
        draft.replace(self.folder / "seconds")


class Zones:
    """A folder to put ahead, with a release of the time zones of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with_types = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(str(files("tzdata")), folder / "tzdata", ignore=with_types)

    def release(self, name: str) -> None:
        """Be another release."""
        (self.folder / "tzdata" / "__init__.py").write_text(f'IANA_VERSION = "{name}"\n', "utf-8")

    def write(self, zone: str, offset: int, *changes: tuple[datetime, int]) -> None:
        """Make a zone have this offset from UTC in seconds, and from each instant on the one beside it."""
        target = (self.folder / "tzdata" / "zoneinfo").joinpath(*zone.split("/"))
        target.write_bytes(_compiled([offset, *(to for _, to in changes)], [at for at, _ in changes]))


def _compiled(offsets: Sequence[int], instants: Sequence[datetime]) -> bytes:
    """A TZif file of version 2 (RFC 9636): the second block alone is read."""
    return _block(b"q", offsets, instants, empty=True) + _block(b"q", offsets, instants) + b"\n\n"


def _block(width: bytes, offsets: Sequence[int], instants: Sequence[datetime], *, empty: bool = False) -> bytes:
    if empty:  # one type is the least that a block may have
        return struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", 0, 0, 0) + b"LMT\0"
    times = [int(at.timestamp()) for at in instants]
    head = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, len(times), len(offsets), 4)
    listed = struct.pack(f">{len(times)}{width.decode()}", *times) + bytes(range(1, len(offsets)))
    return head + listed + b"".join(struct.pack(">lbb", each, 0, 0) for each in offsets) + b"LMT\0"


def shows(wall: time, at: datetime) -> int:
    """The offset in seconds with which clocks show `wall` at that instant."""
    utc = at.astimezone(UTC)
    apart = (wall.hour * 60 + wall.minute) * 60 - (utc.hour * 60 + utc.minute) * 60 - utc.second
    return (apart + DAY // 2) % DAY - DAY // 2
