"""What a verb is aimed at: an installation, found by settings, by what runs in its data folder, or started for us."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from control_center.domain.errors import ConfigurationError, NotFound
from control_center.domain.signature import Signature

if TYPE_CHECKING:
    from control_center.daemon.place import Endpoints
    from control_center.domain.zones import Zone
    from control_center.settings import Settings
    from control_center.store import db

PREFIX: Final = "CONTROL_CENTER_"
# The demo never reaches a real provider, whatever is set: what is not in this list is not heard.
OF_THE_DEMO: Final = frozenset({"DATA_DIR", "DATABASE_URL", "BROKER_URL", "LISTEN", "API_TOKEN", "POSTGRES_BIN"})
LOGS: Final = "LOG_"


@dataclass(slots=True)
class Aim:
    """The options that every verb has, and what follows from them."""

    config: str = ""
    data_dir: str = ""
    set_: list[str] = field(default_factory=list)
    demo: bool = False
    studio: str | None = None  # None: what it is typed for is about no one studio; empty: that of the settings
    json: bool = False

    def apply(self) -> None:
        """Let options override the environment, for us and for the processes we start."""
        if self.demo:
            of_the_demo()
        given = {"CONFIG": self.config, "DATA_DIR": self.data_dir}
        chosen = {name: value for name, value in given.items() if value}
        for one in self.set_:
            name, equals, value = one.partition("=")
            if not equals or not name.strip():
                raise ConfigurationError(f"--set {one}: write NAME=VALUE, such as listen=127.0.0.1:0")
            chosen[_setting(name.strip())] = value
        for name, value in chosen.items():
            os.environ[f"{PREFIX}{name}"] = value

    def settings(self) -> Settings:
        from control_center import settings

        return settings.read()

    def quiet(self) -> Settings:
        """The settings, with a log of errors only: a verb prints what it did itself."""
        from control_center import logs

        found = self.settings()
        logs.configure(
            style=found.log_format,
            level="debug" if found.log_level == "debug" else "error",
            personal=found.log_personal_data,
            secrets=found.secrets(),
        )
        return found

    def endpoints(self, found: Settings) -> Endpoints | None:
        from control_center.daemon.place import read_endpoints

        return read_endpoints(found.data_dir)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """The installation's database: the configured one, that of what runs here, else a private one for now."""
        from control_center.store import db

        found = self.quiet()
        async with self._dsn(found) as dsn:
            pool = await db.open_pool(dsn, application="control-center cli", size=2)
            try:
                here = Database(pool, dsn, self.studio or found.studio)
                if self.studio is not None:
                    await here.zone()  # a studio that is not there would look like one that has nothing
                yield here
            finally:
                await pool.close()

    @asynccontextmanager
    async def _dsn(self, found: Settings) -> AsyncIterator[str]:
        from control_center.daemon import place, servers
        from control_center.daemon.studio import first_studio
        from control_center.store import db, migrate

        running = self.endpoints(found)
        configured = found.database_url.get_secret_value() or (running.database_url if running else "")
        if configured:
            await migrate.check(configured)
            yield configured
            return
        with place.occupied(found.data_dir):
            async with servers.private_database(found, note) as dsn:
                pool = await db.open_pool(dsn, application="control-center cli", size=1)
                await first_studio(pool, found)
                await pool.close()
                yield dsn


@dataclass(frozen=True, slots=True)
class Database:
    """An open database and the studio that a verb is about."""

    pool: db.Pool
    dsn: str
    studio: str

    async def zone(self) -> Zone:
        """The studio's zone, in which people are shown times. Raises NotFound where there is no such studio."""
        from control_center.domain import zones
        from control_center.store import db, studios

        async with db.session(self.pool) as connection:
            found = (await studios.get(connection, [self.studio])).get(self.studio)
            known = [one.studio for one in await studios.every(connection)] if found is None else []
        if found is None:
            raise NotFound(f"there is no studio {self.studio!r}; {_there_is(known, self.studio)}")
        return zones.zone(found.timezone)


def _there_is(known: list[str], wanted: str) -> str:
    """What there is in place of a studio that is not there: the nearest, where there are many."""
    from difflib import get_close_matches

    if not known:
        return "there is none at all yet: run makes the first one, or studios put"
    if near := get_close_matches(wanted, known, 1):
        return f"did you mean {near[0]!r}?"
    return f"there are: {', '.join(known[:5])}{', ...' if len(known) > 5 else ''}"


def _setting(name: str) -> str:
    """A setting's name as the environment has it. Raises ConfigurationError for what is none."""
    from difflib import get_close_matches

    from control_center.settings import Settings

    known = [one for one in Settings.model_fields if one != "accounts"]
    outer = name.lower().partition("__")[0]
    if outer not in (*known, "accounts"):
        near = get_close_matches(name.lower(), known, 1)
        hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(known)}"
        raise ConfigurationError(f"--set {name}: is not a setting; {hint}")
    return name.upper()


def of_the_demo() -> None:
    """Turn the environment into the demo's: its data folder, no settings file, no provider."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        short = name.removeprefix(PREFIX)
        if short not in OF_THE_DEMO and not short.startswith(LOGS):
            del os.environ[name]
    os.environ[f"{PREFIX}CONFIG"] = os.devnull
    os.environ.setdefault(f"{PREFIX}DATA_DIR", str(checkout() / ".demo"))


def checkout() -> Path:
    """The folder that this program was checked out into; where it was installed instead, the one we are in."""
    beside = Path(__file__).resolve().parents[2]
    return beside if (beside / "pyproject.toml").exists() else Path.cwd()


def sample(name: str) -> Path:
    """A file or folder of `config/`, which is package data too."""
    beside = Path(__file__).resolve().parents[2] / "config" / name
    return beside if beside.exists() else Path(__file__).resolve().parents[1] / "package_data" / "config" / name


def person() -> Signature:
    """Who types this, as changes are signed."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        name = f"uid {os.getuid()}"
    return Signature(name, "cli")


def note(line: str) -> None:
    """A line for the person in front of it, out of the way of what is printed; where it cannot be said, it is not."""
    with suppress(OSError):
        print(harmless(line), file=sys.stderr, flush=True)  # noqa: T201


# Whoever wrote it, nothing that is shown moves the cursor, sets the clipboard or turns the direction of writing.
_ACTS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def show(value: Any) -> None:
    """A line on stdout, or several; what acts is written out by its number, as JSON would write it.

    Where nobody reads on, what is being done is done all the same. Raises OSError where nothing can be written.
    """
    try:
        print(harmless(str(value)), flush=True)  # noqa: T201
    except BrokenPipeError:  # `... | head` has read enough
        fall_silent()
    except OSError:
        fall_silent()
        raise


def fall_silent() -> None:
    """Write to nowhere from now on: what stdout still holds would fail once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def harmless(text: str) -> str:
    """The same text with what a terminal would obey written out by its number."""
    return text if text.isprintable() else _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
