"""A delivery's flight recorder: which messages it was about to send, in a file that outlives the process.

The file is memory-mapped and never synced: what a process wrote before `kill -9` is in it, what a machine had not
written to disk before it crashed is not. Its process holds a lock on it, which the kernel gives back when the process
has ended, and not before. `workers.recovery` reads what the dead have left.

    header   whose it is, of which run of which machine, in which file, on which database; since when it is complete
    places   message, token, attempt, when: used in turn, so that what was settled is forgotten late
"""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
import struct
import time
import zlib
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from control_center import crash_points
from workers import leaving
from workers.this_boot import Boot, is_local

MAGIC: Final = b"ccflight1"
PLACES: Final = 4096  # 40 seconds at a hundred messages a second; more than any account has slots
SUFFIX: Final = ".flight"
HISTORY: Final = 40
# magic, owner, boot and host, device and inode of this very file, history of the database, places
FIXED: Final = struct.Struct(f"<9s16s32sQQ{HISTORY}sI")
SUM: Final = struct.Struct("<I")
SINCE: Final = struct.Struct("<Q")  # nanoseconds of this boot; its sum follows
NOTED: Final = struct.Struct("<qqIQ")  # message, token, attempt, nanoseconds of this boot; their sum follows
SINCE_AT: Final = FIXED.size + SUM.size
PLACES_AT: Final = 256
PLACE: Final = NOTED.size + SUM.size
EMPTY: Final = bytes(PLACE)
LARGEST: Final = 1 << 20  # bytes; nobody writes one as large


class NotBelievedError(Exception):
    """What a file says proves nothing, for this reason."""


class FlyingError(Exception):
    """Its process lives."""


@dataclass(frozen=True, slots=True)
class Note:
    """That this message was about to leave, under this token."""

    message_id: int
    token: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Flight:
    """What a process that has ended left: all that it was about to send after `since`, in nanoseconds of this boot."""

    owner: UUID
    history: str
    notes: tuple[Note, ...]
    since: int

    @property
    def complete_for(self) -> timedelta:
        """For how long back from now it tells everything: whoever has waited since it was read asks again."""
        return timedelta(microseconds=(_now() - self.since) // 1000)


class FlightRecorder:
    """Owns the file of one delivery, and its lock for as long as the process lives."""

    def __init__(self, folder: Path, owner: UUID, *, boot: Boot, history: str, places: int = PLACES) -> None:
        """Raises NotBelievedError where nobody could believe it, OSError where there is no place for it.

        `history` names the database and which of its lives this is: after a failover it is another one.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / f"{owner}{SUFFIX}"
        unready = folder / f".{owner}"
        self._descriptor = os.open(unready, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _lock(self._descriptor)
            self._map = _written(self._descriptor, owner, boot, history, places)
            unready.rename(self._path)  # nobody reads it before
        except BaseException:
            os.close(self._descriptor)
            unready.unlink(missing_ok=True)
            raise
        self._places = places
        self._next = 0
        self._since = 0  # what was noted up to then may be forgotten; it never goes back
        self._flying: dict[tuple[int, int], int] = {}  # the place of each message and token that is not settled
        self._taken: set[int] = set()

    def note(self, message_id: int, token: int, attempt: int) -> None:
        """This message is about to leave. Once is enough, for as long as it is not settled."""
        if (message_id, token) in self._flying:
            return
        place = self._free()
        at = PLACES_AT + place * PLACE
        forgotten = NOTED.unpack_from(self._map, at)[3]
        if forgotten > self._since:  # one that flew for long is forgotten after others that are younger
            self._since = forgotten
            self._put(SINCE_AT, SINCE.pack(forgotten))
        self._put(at, NOTED.pack(message_id, token, attempt, _now()))
        self._flying[message_id, token] = place
        self._taken.add(place)
        crash_points.reach("after_note")

    def note_ahead(self, message_id: int, token: int, attempt: int, *, told: bool) -> None:
        """Note it before its first byte leaves: now, where its channel has not `told` us that it says when that is."""
        if told:
            leaving.tell(partial(self.note, message_id, token, attempt))
        else:
            self.note(message_id, token, attempt)

    def settled(self, message_id: int, token: int) -> None:
        """What became of it is committed. Its note stays until its place is needed: a database may lose a commit."""
        place = self._flying.pop((message_id, token), None)
        if place is not None:
            self._taken.discard(place)

    def remove(self) -> None:
        """Nothing is left to tell: an end in order. The lock stays with the process."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give up lock and memory, as the end of the process does."""
        self._map.close()
        os.close(self._descriptor)

    def _put(self, at: int, what: bytes) -> None:
        """Write it with its sum: what is torn in the middle shows."""
        self._map[at : at + len(what) + SUM.size] = _summed(what)

    def _free(self) -> int:
        assert len(self._taken) < self._places, "no more fly than there are places"
        while self._next in self._taken:
            self._next = (self._next + 1) % self._places
        place, self._next = self._next, (self._next + 1) % self._places
        return place


def read(descriptor: int, boot: Boot) -> Flight:
    """What this open file tells of a process that has ended. Raises FlyingError, NotBelievedError, OSError.

    The lock comes first, and stays with the descriptor: what is read then does not change any more.
    """
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_size > LARGEST:
        raise NotBelievedError("it is of another kind")
    _lock(descriptor)
    content = os.pread(descriptor, LARGEST, 0)
    owner, history, places = _checked(content, descriptor, boot)
    since = SINCE.unpack(_whole(content[SINCE_AT : SINCE_AT + SINCE.size + SUM.size]))[0]
    body = content[PLACES_AT : PLACES_AT + places * PLACE]
    notes = tuple(_note(place) for place in _cut(body) if place != EMPTY)
    return Flight(owner, history, notes, since)


def _lock(descriptor: int) -> None:
    if not is_local(descriptor):
        raise NotBelievedError("it lies on no file system of this machine alone")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FlyingError from None


def _checked(content: bytes, descriptor: int, boot: Boot) -> tuple[UUID, str, int]:
    if len(content) < PLACES_AT:
        raise NotBelievedError("it is torn")
    magic, owner, run, device, inode, history, places = FIXED.unpack(_whole(content[:SINCE_AT]))
    about = os.fstat(descriptor)
    if magic != MAGIC or len(content) != PLACES_AT + places * PLACE:
        raise NotBelievedError("it is of another kind")
    if run[:16] != boot.boot.bytes:
        raise NotBelievedError("its machine has been started anew since")
    if run != boot.packed:
        raise NotBelievedError("it is of another machine")
    if (device, inode) != (about.st_dev, about.st_ino):
        raise NotBelievedError("it is a copy")
    return UUID(bytes=owner), history.rstrip(b"\0").decode(), places


def _cut(body: bytes) -> list[bytes]:
    return [body[at : at + PLACE] for at in range(0, len(body), PLACE)]


def _note(place: bytes) -> Note:
    message_id, token, attempt, _ = NOTED.unpack(_whole(place))
    return Note(message_id, token, attempt)


def _summed(what: bytes) -> bytes:
    return what + SUM.pack(zlib.crc32(what))


def _whole(summed: bytes) -> bytes:
    """What stands before its sum. Raises NotBelievedError where they do not agree."""
    what, said = summed[: -SUM.size], summed[-SUM.size :]
    if SUM.pack(zlib.crc32(what)) != said:
        raise NotBelievedError("it is torn")
    return what


def _written(descriptor: int, owner: UUID, boot: Boot, history: str, places: int) -> mmap.mmap:
    """The empty file, written in full: a hole that finds no room on the disk later would end the process."""
    about = os.fstat(descriptor)
    packed = history.encode()
    if len(packed) > HISTORY:
        raise NotBelievedError("the database's history has no room in it")
    fixed = FIXED.pack(MAGIC, owner.bytes, boot.packed, about.st_dev, about.st_ino, packed, places)
    head = _summed(fixed) + _summed(SINCE.pack(_now()))
    content = head.ljust(PLACES_AT, b"\0") + EMPTY * places
    if os.pwrite(descriptor, content, 0) != len(content):
        raise OSError("the disk is full")
    return mmap.mmap(descriptor, len(content))


def _now() -> int:
    """Nanoseconds since the machine was started, sleep included; at least one."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
