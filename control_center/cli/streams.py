"""Bytes as they come: piped in, from a file that may still grow, from the journal."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import asyncio
import os
import select
import shutil
import stat
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import typer

from control_center.domain.errors import ConfigurationError

SIZE: Final = 1 << 16
LAST: Final = 10  # lines to begin with where what comes is followed, as journalctl and tail do
LOOK: Final = 0.25  # seconds between looks at a file that may have grown


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """The lines of what comes, without their ends, as many at a time as came together."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield whole
    if rest:
        yield [rest]


async def piped(descriptor: int) -> AsyncGenerator[bytes, None]:
    """What comes in by a pipe or a terminal, as soon as it does; or what is in a file."""
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)):
        while chunk := os.read(descriptor, SIZE):
            yield chunk
        return
    loop, news = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, news.set)
    try:
        while True:
            await news.wait()
            news.clear()
            # The event may be older than the last read; and it may not be made non-blocking, for others have it, too.
            if select.select([descriptor], [], [], 0)[0]:
                chunk = os.read(descriptor, SIZE)
                if not chunk:
                    return
                yield chunk
    finally:
        loop.remove_reader(descriptor)


async def file(path: Path, *, follow: bool) -> AsyncGenerator[bytes, None]:
    """What a file holds; with `follow` its last lines, and then what is written, also once it was begun anew.

    Raises ConfigurationError where it cannot be read.
    """
    opened = _open(path)
    try:
        if not follow:
            async for chunk in piped(opened.fileno()):
                yield chunk
            return
        yield _last_lines(opened)
        while True:
            while chunk := opened.read(SIZE):
                yield chunk
            await _a_moment()
            if _begun_anew(path, opened):
                opened.close()
                opened = _open(path)
    finally:
        opened.close()


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None


def _last_lines(opened: BinaryIO) -> bytes:
    """The end of a file, of which nothing is left to read then."""
    size = opened.seek(0, os.SEEK_END)
    opened.seek(max(0, size - SIZE))
    return b"".join(opened.read(SIZE).splitlines(keepends=True)[-LAST:])


def _begun_anew(path: Path, opened: BinaryIO) -> bool:
    """Whether the file was cut off, or another one stands in its place. While there is none, nothing is new."""
    try:
        now = path.stat()
    except OSError:
        return False
    known = os.fstat(opened.fileno())
    return (now.st_dev, now.st_ino) != (known.st_dev, known.st_ino) or now.st_size < opened.tell()


async def _a_moment() -> None:
    from control_center.loop import first_of

    await first_of(asyncio.Event(), wait=LOOK)


async def journal(unit: str, *, follow: bool) -> AsyncGenerator[bytes, None]:
    """What units whose names match said to systemd's journal. Raises ConfigurationError where there is none."""
    program = shutil.which("journalctl")
    if program is None:
        raise ConfigurationError(
            "there is no journalctl here; type: control-center logs FILE, or pipe lines into: control-center logs -"
        )
    process = await asyncio.create_subprocess_exec(
        *(program, "--output=cat", "--no-pager", f"--unit={unit}"),
        *(["--follow", f"--lines={LAST}"] if follow else []),
        stdin=DEVNULL,
        stdout=PIPE,
    )
    assert process.stdout is not None
    try:
        while chunk := await process.stdout.read(SIZE):
            yield chunk
        if await process.wait():
            raise typer.Exit(1)  # it has said why
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
