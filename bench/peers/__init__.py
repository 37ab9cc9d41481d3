"""Other people's queues at the same work, in an environment of their own: nothing of them is imported here."""

from __future__ import annotations

import asyncio
import os
import subprocess
import venv
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

from bench import child
from bench.context import Context

HERE: Final = Path(__file__).resolve().parent
LOCK: Final = HERE.parent / "peers.lock"
PLACE: Final = HERE.parents[1] / ".build" / "bench-peers"

Start: TypeAlias = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Peer:
    """A queue: the script that fills it, `SCRIPT fill`, and the command that drains it."""

    name: str
    script: str
    command: tuple[str, ...]  # with {bin} for the folder of the environment's programs

    @asynccontextmanager
    async def loaded(self, context: Context, python: str, count: int) -> AsyncIterator[Start]:
        """Fill the queue with `count` jobs; yields what starts the workers."""
        name = f"peer_{self.script}"
        await context.servers.administer(f"CREATE DATABASE {name}")
        environment = {
            "PEER_DSN": context.servers.postgres.dsn(name),
            "PEER_BROKER": context.servers.broker_url,
            "PEER_URL": f"{context.provider.url}/",
            "PEER_COUNT": str(count),
            "PYTHONPATH": str(HERE),
            "PYTHONSAFEPATH": "",
        }
        try:
            await _run((python, str(HERE / f"{self.script}.py"), "fill"), environment, context)

            @asynccontextmanager
            async def start() -> AsyncIterator[list[int]]:
                words = tuple(word.format(bin=Path(python).parent, here=HERE) for word in self.command)
                async with child.program(words, context.servers.log, environment) as process:
                    yield [process.pid]

            yield start
        finally:
            await context.servers.drop(name)


PEERS: Final = (
    Peer("PgQueuer, batch 10", "queuer", ("{bin}/python", "{here}/queuer.py", "drain")),
    Peer(
        "dramatiq, 2 processes x 8 threads",
        "actors",
        ("{bin}/dramatiq", "actors", "--processes", "2", "--threads", "8", "--path", "{here}"),
    ),
    Peer(
        "Celery, 2 processes",
        "tasks",
        (
            "{bin}/celery",
            "--app",
            "tasks",
            "--workdir",
            "{here}",
            "worker",
            "--concurrency",
            "2",
            "--loglevel",
            "ERROR",
        ),
    ),
)


async def ready_to_run(say: Callable[[str], None], log: BinaryIO) -> str:
    """The Python of the peers' environment, made from its lock where it is not there yet."""
    python = PLACE / "bin" / "python"
    stamp = PLACE / "made-from"
    if not stamp.exists() or stamp.read_text() != LOCK.read_text():
        say(f"installing the peers into {PLACE.relative_to(HERE.parents[1])} ...")
        await asyncio.to_thread(_install, python, log)
        stamp.write_text(LOCK.read_text())
    return str(python)


def _install(python: Path, log: BinaryIO) -> None:
    venv.EnvBuilder(clear=True, with_pip=True).create(PLACE)
    pip = (str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "-q")
    subprocess.run(
        (*pip, "--require-hashes", "-r", str(LOCK)), check=True, env=_plain_environment(), stdout=log, stderr=log
    )


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


async def _run(words: tuple[str, ...], environment: dict[str, str], context: Context) -> None:
    log = context.servers.log
    process = await asyncio.create_subprocess_exec(*words, env={**os.environ, **environment}, stdout=log, stderr=log)
    if await process.wait():
        raise RuntimeError(f"{' '.join(words)} ended with exit {process.returncode}")
