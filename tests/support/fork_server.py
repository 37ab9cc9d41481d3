"""Processes without the seconds that Python takes to read the program: one has read it, and makes copies of itself.

Each copy is a process of its own, with the arguments, the environment, the folder and the streams of its caller, and
ends as `python -m MODULE` would. Nothing has been carried out in the one that is copied: it has imported, no more.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

from tests.support.programs import LONGEST_LINE, ROOT, Done

MOST: Final = 1_000_000  # bytes of a call: words and environment
STREAMS: Final = 3
PR_SET_PDEATHSIG: Final = 1


class Copy:
    """A copy that goes on until it is told to end, as `asyncio.subprocess.Process` shows one."""

    def __init__(
        self, connection: socket.socket, pid: int, out: asyncio.StreamReader, err: asyncio.StreamReader
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = out
        self.stderr = err
        self._ended = asyncio.create_task(self._end(connection))

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    async def _end(self, connection: socket.socket) -> int:
        with connection:
            said = await asyncio.get_running_loop().sock_recv(connection, 100)
        self.returncode = int(said or -signal.SIGKILL)  # nothing is said by what it was a copy of when that has ended
        return self.returncode


class ForkServer:
    """Owns the process that is copied. It ends with us: it reads from a pipe that closes when we do."""

    def __init__(self, *packages: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fork-")
        self._at = str(Path(self._folder.name) / "socket")
        words = [sys.executable, "-m", "tests.support.fork_server", self._at, *packages]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise AssertionError(f"the process that is to be copied ended with {self._process.wait()}")
        atexit.register(self.close)

    async def run(
        self, module: str, words: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: bytes, within: float
    ) -> Done:
        """Carry out `python -m MODULE WORDS` to its end. Raises TimeoutError where that takes longer, and kills it."""
        streams = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
        try:
            os.pwrite(streams[0], stdin, 0)
            connection, pid = await self._ask(module, words, env, cwd, streams)
            with connection:
                try:
                    async with asyncio.timeout(within):
                        code = int(await asyncio.get_running_loop().sock_recv(connection, 100))
                except BaseException:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    raise
            return Done(code, _text(streams[1]), _text(streams[2]))
        finally:
            for stream in streams:
                os.close(stream)

    async def start(self, module: str, words: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> Copy:
        """Start `python -m MODULE WORDS`, which reads nothing."""
        (said, out), (complained, err) = os.pipe(), os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            connection, pid = await self._ask(module, words, env, cwd, [nothing, out, err])
        finally:
            for stream in (nothing, out, err):
                os.close(stream)
        return Copy(connection, pid, await _reader(said), await _reader(complained))

    async def _ask(
        self, module: str, words: Sequence[str], env: Mapping[str, str], cwd: Path, streams: Sequence[int]
    ) -> tuple[socket.socket, int]:
        """The number of the copy that carries this out, and where it is said how it ended."""
        loop = asyncio.get_running_loop()
        call = {"module": module, "words": list(words), "env": dict(env), "cwd": str(cwd)}
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST)
            connection.setblocking(False)
            await loop.sock_connect(connection, self._at)
            socket.send_fds(connection, [json.dumps(call).encode()], streams)
            return connection, int(await loop.sock_recv(connection, 100))
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """End the process and what it has made."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


def _text(stream: int) -> str:
    return os.pread(stream, os.fstat(stream).st_size, 0).decode("utf-8", "replace")


async def _reader(pipe: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    return reader


# The process that is copied ------------------------------------------------------------------------------------


def main(at: str, *packages: str) -> None:
    """Read the packages, say so, and make a copy for each call until stdin is closed."""
    for package in packages:
        _read(package)
    gc.freeze()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening, selectors.DefaultSelector() as selector:
        listening.bind(at)
        listening.listen(64)
        selector.register(listening, selectors.EVENT_READ)
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        running: dict[int, tuple[int, socket.socket]] = {}
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            for key, _ in selector.select():
                if key.fileobj == sys.stdin.fileno():
                    for pid, _connection in running.values():
                        os.kill(pid, signal.SIGKILL)
                    return
                if key.fileobj is listening:
                    connection, _ = listening.accept()
                    pid = _copied(connection, [listening, selector])
                    ended = os.pidfd_open(pid)
                    running[ended] = pid, connection
                    selector.register(ended, selectors.EVENT_READ)
                    connection.send(str(pid).encode())
                else:
                    pid, connection = running.pop(key.fd)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    with connection, suppress(OSError):  # whoever asked may have given up
                        connection.send(str(code).encode())


def _read(package: str) -> None:
    found = importlib.import_module(package)
    for one in pkgutil.walk_packages(found.__path__, f"{package}."):
        if not one.name.endswith("__main__"):
            importlib.import_module(one.name)


def _copied(connection: socket.socket, ours: Sequence[Any]) -> int:
    """The number of the process that carries out what this connection asks for."""
    said, streams, _, _ = socket.recv_fds(connection, MOST, STREAMS)
    pid = os.fork()
    if pid == 0:
        for one in (*ours, connection):
            one.close()
        _carry_out(json.loads(said), streams)
    for stream in streams:
        os.close(stream)
    return pid


def _carry_out(call: dict[str, Any], streams: Sequence[int]) -> NoReturn:
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # it ends with us, however we end
        os.setsid()
        os.chdir(call["cwd"])
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(STREAMS, os.sysconf("SC_OPEN_MAX"))  # what is open for other copies must not stay open here
        os.environ.clear()
        os.environ.update(call["env"])
        time.tzset()
        sys.path[:0] = [call["cwd"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        sys.argv[1:] = call["words"]
        runpy.run_module(call["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = _code_of(ended)
    except BaseException:  # noqa: BLE001 - as an interpreter does with what nobody caught
        traceback.print_exc()
    finally:
        try:
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)  # whatever happened: it must never come back into what it is a copy of


def _code_of(ended: SystemExit) -> int:
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    sys.stderr.write(f"{ended.code}\n")
    return 1


if __name__ == "__main__":
    main(*sys.argv[1:])
