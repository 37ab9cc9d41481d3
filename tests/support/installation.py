"""An installation as an administrator has it: a data folder, a settings file, and the processes he started.

Everything here goes through commands, HTTP, log lines, SQL and the sandbox's file; nothing of the product is imported.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import asyncpg

from tests.support.broker import publish
from tests.support.fork_server import ForkServer
from tests.support.programs import ROOT, Done, Program, carry_out, eventually, still_running
from tests.support.programs import family as family_of

PASSED_ON: Final = (
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "CONTROL_CENTER_POSTGRES_BIN",
)

STUDIO: Final = """\
id = "{studio}"
name = "Lakeside Portraits"
timezone = "{timezone}"
country = "US"

[sms]
account = "{account}"
numbers = ["+13125550100"]

[email]
from = "hello@lakeside.example"
"""
TRIGGER: Final = """\
[[trigger]]
name = "{name}"
purpose = "transactional"
record = "session"
status = "Booked"
activate = {{ on = "status_changed" }}
action = "{action}"
text = "Hi {{{{ client.first_name }}}}, see you on {{{{ session.date }}}} for your {{{{ session.type }}}} session."
enabled = true
ceiling = 0                    # thousands at once are what these tests are about

[trigger.processing]
mode = "automatic"
{processing}
"""
CRASH_AT: Final = "CONTROL_CENTER_CRASH_AT"  # looked at when the program is read
UNFINISHED: Final = """
SELECT (SELECT count(*) FROM actions WHERE state = 'planned' AND due_at <= clock_timestamp())
     + (SELECT count(*) FROM messages WHERE state IN ('queued', 'claimed', 'submitting', 'accepted'))"""
LISTENERS: Final = "SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity WHERE application_name = $1"
NEW_LISTENER: Final = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1 AND pid <> ALL ($2::int[]))"""
# As if the time of their leases had gone by; only of those that a worker which is no more has left.
RUN_OUT: Final = (
    "UPDATE messages SET lease_until = clock_timestamp() - interval '1 second' WHERE lease_until IS NOT NULL"
)


@cache
def _program() -> ForkServer:
    """The program, read once for all the processes of this run of the tests."""
    return ForkServer("control_center", "workers")


class Installation:
    """Owns a data folder and every process started on it; leaving it kills what still runs.

    `copies`: whether they may be copies of one that has read the program. In a long run each reads it for itself.
    """

    copies = True

    def __init__(self, folder: Path, *, database_url: str = "", broker_url: str = "", settings: str = "") -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.database_url = database_url
        self.broker_url = broker_url
        self.programs: list[Program] = []
        self.ahead: list[Path] = []  # folders in which its processes look first for what they import
        self.through: list[str] = []  # words before each command: where it runs
        self._connection: asyncpg.Connection | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.write("control_center.toml", settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hang_up()
        for program in self.programs:
            members = family_of(program.pid) if program.code is None else {}
            # Children end with their parent, but write down first what they were at, for as long as a database takes.
            for pid in members:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if program.code is None:
                await program.kill()
            await _gone(members)
            print(f"--- {program.name} ({program.code})\n{program.tail()}")  # noqa: T201 - shown where a test fails

    def hang_up(self) -> None:
        """Let go of the database, so that its server may be stopped."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text, "utf-8")
        return file

    # Commands and processes -------------------------------------------------------------------------------

    def environment(self, **settings: str) -> dict[str, str]:
        """What its processes are told; `settings` are names without the prefix, in lower case."""
        told = {
            "config": str(self.folder / "control_center.toml"),
            "data_dir": str(self.data_dir),
            "database_url": self.database_url,
            "broker_url": self.broker_url,
            "listen": "127.0.0.1:0",
            "timezone": "America/Chicago",
            **settings,
        }
        kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        ours = {f"CONTROL_CENTER_{name.upper()}": value for name, value in told.items() if value}
        path = os.pathsep.join(str(folder) for folder in (*self.ahead, ROOT))
        return {**kept, **ours, "PYTHONPATH": path, "XDG_CONFIG_HOME": str(self.folder)}

    async def cli(self, *words: str, stdin: bytes = b"", within: float = 60.0, **settings: str) -> Done:
        """Carry out `control-center WORDS`."""
        env = self.environment(**settings)
        if self._may_be_copied(env):
            return await _program().run("control_center", words, env=env, cwd=self.folder, stdin=stdin, within=within)
        command = [*self.through, sys.executable, "-m", "control_center", *words]
        return await carry_out(command, env=env, cwd=self.folder, stdin=stdin, within=within)

    async def done(self, *words: str, **options: Any) -> Done:
        """Carry out a command that must succeed."""
        done = await self.cli(*words, **options)
        assert done.code == 0, f"control-center {' '.join(words)}: {done.code}\n{done.out}{done.err}"
        return done

    async def json(self, *words: str, **options: Any) -> Any:
        return (await self.done(*words, "--json", **options)).json

    async def start(self, *words: str, **settings: str) -> Program:
        """Start `python -m WORDS` and return at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        env = self.environment(**settings)
        if self.copies and self._may_be_copied(env):
            copy = await _program().start(words[0], words[1:], env=env, cwd=self.folder)
            program = Program(" ".join(words), copy)
        else:
            program = await Program.start([*self.through, sys.executable, "-m", *words], env=env, cwd=self.folder)
        self.programs.append(program)
        return program

    def _may_be_copied(self, env: Mapping[str, str]) -> bool:
        """Whether nothing is asked of the process that it would have to know before it reads the program."""
        return not self.through and env["PYTHONPATH"] == str(ROOT) and CRASH_AT not in env

    async def run(self, *roles: str, **settings: str) -> Program:
        """Start `control-center run ROLES` and wait until it is up, and has its consumer where it takes events in."""
        program = await self.start("control_center", "run", *roles, **settings)
        await program.wait_for_words("control center runs as process", within=90)
        if self.broker_url and (not roles or "engine" in roles):
            await program.wait_for("inbox.attached", within=60)
        return program

    async def work(self, channel: str = "sms") -> Program:
        """Start a worker by itself and wait until it listens."""
        listens = f"control-center {channel} worker wakes"
        before = await self.value(LISTENERS, listens)  # a killed one may still be among them for a moment
        program = await self.start("workers", channel)
        await self.holds(NEW_LISTENER, listens, before)
        return program

    # What it is told --------------------------------------------------------------------------------------

    async def furnish(
        self, *, studio: str = "main", account: str = "default", timezone: str = "America/Chicago", triggers: str = ""
    ) -> None:
        """A studio with its triggers; without any, one that texts whoever books."""
        words = STUDIO.format(studio=studio, timezone=timezone, account=account)
        await self.done("studios", "put", str(self.write(f"{studio}.toml", words)))
        rules = self.write(f"{studio}-triggers.toml", triggers or trigger())
        await self.done("triggers", "apply", str(rules), "--yes", "--studio", studio)

    async def publish(self, bodies: Sequence[bytes], **options: Any) -> None:
        await publish(self.broker_url, bodies, **options)

    # What it shows ----------------------------------------------------------------------------------------

    def outbox(self) -> list[dict[str, Any]]:
        """Everything the sandbox providers took, in that order."""
        file = self.data_dir / "sandbox" / "outbox.ndjson"
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]

    async def sent(self, number: int, *, within: float = 60.0) -> list[dict[str, Any]]:
        """What the sandbox took, once it is at least so many."""

        async def enough() -> list[dict[str, Any]]:
            return lines if len(lines := self.outbox()) >= number else []

        return await eventually(enough, within=within, what=f"{number} messages in the outbox")

    async def sql(self, statement: str, *values: Any) -> list[Any]:
        """Rows of the database, over a connection that is opened again where the server has been killed."""
        with suppress(asyncpg.InterfaceError, asyncpg.PostgresConnectionError, OSError):
            if self._connection is not None and not self._connection.is_closed():
                return list(await self._connection.fetch(statement, *values))
        self._connection = await asyncpg.connect(self.database_url, timeout=20)
        return list(await self._connection.fetch(statement, *values))

    async def value(self, statement: str, *values: Any) -> Any:
        return (await self.sql(statement, *values))[0][0]

    async def holds(self, statement: str, *values: Any, within: float = 60.0) -> Any:
        """Wait until the statement's one value is true, or not zero."""

        async def fact() -> Any:
            return await self.value(statement, *values)

        return await eventually(fact, within=within, what=statement)

    async def taken_in(self, number: int, *, within: float = 60.0) -> None:
        await self.holds("SELECT count(*) >= $1 FROM events", number, within=within)

    async def calm(self, *, within: float = 90.0) -> None:
        """Wait until nothing is due, under way, or waits for its receipt."""
        await self.holds(f"SELECT ({UNFINISHED}) = 0", within=within)

    async def api(self, method: str, path: str, *, studio: str = "main", body: Any = None) -> Any:
        """Call the API as its first client; answers with the JSON. Fails where it is refused."""
        endpoints = json.loads((self.data_dir / "endpoints.json").read_text("utf-8"))
        token = Path(endpoints["api_token_file"]).read_text("utf-8").strip()  # noqa: ASYNC240 - 43 bytes
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
            session.request(
                method, f"{endpoints['http']}/api/v1{path}", params={"studio": studio}, json=body
            ) as answer,
        ):
            said = await answer.read()
            assert answer.status < 300, f"{method} {path}: {answer.status} {said.decode()}"
            return json.loads(said) if said else None


def trigger(name: str = "Booked", *, action: str = "sms", processing: str = "blackouts = false") -> str:
    """A trigger file that writes to whoever has a session booked."""
    return TRIGGER.format(name=name, action=action, processing=processing)


async def _gone(members: dict[int, str]) -> None:
    """Children end with their parent: the kernel tells them. Wait, so that the next test finds a quiet machine."""

    async def fact() -> bool:
        return not still_running(members)

    await eventually(fact, within=60, what="the children have ended")
    await asyncio.sleep(0)
