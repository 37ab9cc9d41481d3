"""Contenders run in processes of their own, which say when they are ready, begin when told, and say how it went.

A contender is a module with `async def contend(options) -> result`, run as `python -m bench.child MODULE OPTIONS`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import uvloop

from control_center import logs

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 900.0


@dataclass(slots=True)
class Child:
    """A contender that has connected and prepared everything, and waits for the word."""

    process: Process

    @property
    def pid(self) -> int:
        return self.process.pid

    async def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")
        await self.process.stdin.drain()

    async def result(self) -> dict[str, Any]:
        """How it went. Raises RuntimeError where it ended without a word."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)
        if not line:
            raise RuntimeError(f"a contender ended with exit {await self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    async def end(self) -> None:
        """SIGTERM, and SIGKILL to one that does not mind."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 20)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()


@asynccontextmanager
async def contender(module: str, options: Mapping[str, Any], log: BinaryIO) -> AsyncIterator[Child]:
    """Start one and wait until it is ready; ended on leaving, whatever happened."""
    words = (sys.executable, "-m", "bench.child", module, json.dumps(options))
    async with program(words, log) as child:
        assert (said := await child.result()) == {"ready": True}, said
        yield child


@asynccontextmanager
async def program(
    words: tuple[str, ...], log: BinaryIO, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Child]:
    """Start any program; ended on leaving."""
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))}
    process = await asyncio.create_subprocess_exec(
        *words, stdin=PIPE, stdout=PIPE, stderr=log, env={**os.environ, **paths, **(environment or {})}, cwd=ROOT
    )
    child = Child(process)
    try:
        yield child
    finally:
        await child.end()


# Inside the child -----------------------------------------------------------------------------------------


async def ready() -> None:
    """Say that everything is prepared, and wait for the word."""
    print(json.dumps({"ready": True}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


def main() -> None:
    module, options = importlib.import_module(sys.argv[1]), json.loads(sys.argv[2])
    logs.configure(style="json")  # to a file, as the product would to the journal: what is said has its price
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result: dict[str, Any] = runner.run(module.contend(options))
    print(json.dumps(result), flush=True)


class Stretch:
    """The stretch that counts, from the first piece of work to the last: its length and our own CPU in it."""

    def __init__(self) -> None:
        self._began = self._cpu = 0.0

    def begin(self) -> None:
        if not self._began:
            self._began, self._cpu = time.monotonic(), time.process_time()

    def end(self) -> dict[str, float]:
        return {"seconds": time.monotonic() - self._began, "cpu": time.process_time() - self._cpu}


if __name__ == "__main__":
    main()
