"""Workers as children of this process: started, started again when they die, stopped with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog

from control_center.embedded.process import as_account
from control_center.loop import first_of

PACKAGES: Final = str(Path(__file__).resolve().parents[2])

log = structlog.get_logger(__name__)

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
SETTLED: Final = 60.0  # seconds after which a death is a new one and no repetition
PATIENCE: Final = 30.0  # a worker finishes what it has begun to send


async def tend(channel: str, environment: Mapping[str, str], stop: asyncio.Event) -> None:
    """Keep one worker of this channel running until `stop`."""
    clock = asyncio.get_running_loop().time
    pause = FIRST_PAUSE
    while not stop.is_set():
        began = clock()
        worker = await _start(channel, environment)
        log.info("worker.started", channel=channel, pid=worker.pid)
        ended = asyncio.ensure_future(worker.wait())
        try:
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        except asyncio.CancelledError:  # we are hurried: nobody waits for anything any more
            worker.kill()
            raise
        finally:
            await _end(worker)
        if stop.is_set():
            return
        pause = FIRST_PAUSE if clock() - began > SETTLED else pause
        log.error("worker.died", channel=channel, code=worker.returncode, again_in=pause)
        await first_of(stop, wait=pause)
        pause = min(pause * 2, LONGEST_PAUSE)


async def _start(channel: str, environment: Mapping[str, str]) -> Process:
    """It hears of our death from the kernel, and of a Ctrl-C from us alone: it has a session of its own."""
    path = os.pathsep.join(filter(None, [PACKAGES, os.environ.get("PYTHONPATH", "")]))
    return await asyncio.create_subprocess_exec(
        *as_account(None, signal.SIGTERM),
        *(sys.executable, "-P", "-m", "workers", channel),
        stdin=DEVNULL,
        env={**os.environ, "PYTHONPATH": path, **environment},
        start_new_session=True,
    )


async def _end(worker: Process) -> None:
    """SIGTERM, and wait for what it has begun; SIGKILL to one that does not end, or when we are hurried."""
    if worker.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        worker.terminate()
    try:
        await asyncio.wait_for(worker.wait(), PATIENCE)
    except TimeoutError:
        log.warning("worker.killed", pid=worker.pid)
    finally:
        if worker.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()
