"""What every test may ask for: a database of its own, a broker, a program of the system, and no outside world.

One PostgreSQL and one RabbitMQ serve the whole session, real ones, started on first use. A test that kills a
server starts its own. What could not be had here is listed after the last line of the run, and fails it on CI.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import aio_pika
import asyncpg
import hypothesis
import pytest
from _pytest.outcomes import Skipped  # `pytest.skip.Exception`, under the name that carries its type

from control_center.embedded import Postgres, Rabbitmq, debian, ensure_rabbitmq, find_rabbitmq
from tests.support.hosts import apart
from tests.support.installation import Installation

pytest_plugins = ["tests.support.fixtures", "tests.support.matrix"]

ROOT: Final = Path(__file__).resolve().parents[1]
ON_CI: Final = os.environ.get("CI") == "true"
MAY_FETCH: Final = not os.environ.get("CONTROL_CENTER_BROKER_URL")

# A test sets what it needs; only which PostgreSQL to test against may come from outside.
for name in [name for name in os.environ if name.startswith("CONTROL_CENTER_")]:
    if name != "CONTROL_CENTER_POSTGRES_BIN":
        del os.environ[name]

# Whoever is started in the background by a shell ignores Ctrl-C, and so would every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

EXCHANGES: Final = ("crm.events", "crm.commands", "control-center.reports", "control-center.events.dlx")
QUEUES: Final = ("control-center.events", "control-center.events.dead")
PACKAGES: Final = {
    "amqp-publish": "amqp-tools",
    "amqp-consume": "amqp-tools",
    "amqp-get": "amqp-tools",
    "amqp-declare-queue": "amqp-tools",
    "ip": "iproute2",
    "swaks": "swaks",
    "systemd-analyze": "systemd",
    "pg_ctlcluster": "postgresql",
}

# systemd-analyze makes a folder in /run, which only root may where there never was a systemd.
RUNS_NOT_HERE: Final = (
    frozenset({"systemd-analyze"}) if os.geteuid() != 0 and not Path("/run/systemd").exists() else frozenset()
)

Needs = Callable[[str], Path]
NOT_RUN: pytest.StashKey[dict[str, list[str]]] = pytest.StashKey()
MEMORY: Final = Path("/dev/shm")
OURS: Final = "control-center-test-"
ROOM: Final = 8 * 1024**3  # bytes; three processes of a run, one with the databases of test_plans, take half of it
NOT_HERE: Final = "not here"  # under which a report names the tool that its test wants

# Of each law: at a glance, in a run of minutes, and in a long one hypothesis' own number, or that which a test names.
# The same each time but in the long one, so that a change is judged by what it changes. None by the clock: a machine
# that has much else to do proves nothing.
for name, examples in {"glance": 8, "minutes": 25}.items():
    hypothesis.settings.register_profile(
        name, hypothesis.settings(), max_examples=examples, derandomize=True, database=None, deadline=None
    )
hypothesis.settings.register_profile("hours", hypothesis.settings(), deadline=None)


class NotHere(Skipped):
    """Skips a test for want of a program, so that the end of the run can say what was not run."""

    def __init__(self, tool: str) -> None:
        super().__init__(f"{tool} is not here and could not be fetched")
        self.tool = tool


class OutsideWorld(Exception):  # noqa: N818 - not an OSError, which the code under test would take for a bad line
    """A test tried to reach something that is not on this machine."""


# --- the run ---------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests that take minutes")


def pytest_xdist_auto_num_workers() -> int:
    """Processes of a whole run, each with servers of its own: one more than cores, as most tests wait for others."""
    return min(len(os.sched_getaffinity(0)) + 1, 6)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOT_RUN] = {}
    config.pluginmanager.register(Absences(config.stash[NOT_RUN]))
    if not config.getoption("--hypothesis-profile"):
        hypothesis.settings.load_profile("hours" if config.getoption("--long") else "minutes")
    Installation.copies = not config.getoption("--long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Their databases take half a minute to fill. One process of several begins with them, and others take from its end.
    items.sort(key=lambda item: not item.path.name.startswith("test_plans"))
    if config.getoption("--long") or config.getoption("markexpr"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def pytest_collection_finish() -> None:
    """Thousands of tests stay until the end: the collector need not look at them after each, a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if ON_CI and session.config.stash[NOT_RUN] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    for tool, tests in sorted(config.stash.get(NOT_RUN, {}).items()):
        shown = ", ".join(tests[:3]) + (f" and {len(tests) - 3} more" if len(tests) > 3 else "")
        print(f"not run here: {tool}: {shown}")  # noqa: T201 - after pytest's own last line


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report = yield
    if call.excinfo and isinstance(call.excinfo.value, NotHere):
        report.user_properties.append((NOT_HERE, call.excinfo.value.tool))
    return report


class Absences:
    """Hears of every test's report, also of those that another process of the run carried out."""

    def __init__(self, not_run: dict[str, list[str]]) -> None:
        self.not_run = not_run

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, tool in report.user_properties:
            if name == NOT_HERE:
                self.not_run.setdefault(str(tool), []).append(report.nodeid)


def _say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Progress that reaches the terminal past pytest's capture: an installation takes a while."""
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def say(line: str) -> None:
        if capture:
            with capture.global_and_fixture_disabled():
                print(f"\n{line}", flush=True)  # noqa: T201

    return say


@pytest.fixture(scope="session")
def _find_program(request: pytest.FixtureRequest) -> Callable[[str], Path | None]:
    found: dict[str, Path | None] = {}

    def find(program: str) -> Path | None:
        if program not in found:
            package = PACKAGES.get(program)
            installed = shutil.which(program) or shutil.which(program, path=Path(sys.executable).parent)
            found[program] = (
                None
                if program in RUNS_NOT_HERE
                else Path(installed)
                if installed
                else debian.obtain(program, package, _say(request))
                if package and MAY_FETCH
                else None
            )
        return found[program]

    return find


@pytest.fixture
def needs(_find_program: Callable[[str], Path | None]) -> Needs:
    """`needs("swaks")` is the program's path, fetched if need be; else the test is skipped and listed at the end."""

    def path_of(program: str) -> Path:
        path = _find_program(program)
        if path is None:
            raise NotHere(program)
        return path

    return path_of


# --- no outside world ------------------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def _stay_on_this_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for verb in ("connect", "connect_ex"):
            patch.setattr(socket.socket, verb, _guarded(getattr(socket.socket, verb)))
        yield


def _guarded(connect: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_here(str(address[0])):
            raise OutsideWorld(f"a test tried to reach {address}")
        return connect(self, address)

    return guarded


def _is_here(host: str) -> bool:
    if host == "localhost" or apart(host):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# --- PostgreSQL ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _servers() -> Iterator[Path]:
    """Where the session's servers keep their files; open to the account that root's servers run as."""
    folder = Path(tempfile.mkdtemp(prefix="control-center-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def _forgetful(_servers: Path) -> Iterator[Path]:
    """Where a server keeps what need not survive the machine: in memory, where there is plenty of it.

    Each test has a database, three hundred files that come and go: on a disk, a fifth of the time of a whole run.
    """
    _sweep()
    if _room() < ROOM:
        yield _servers
        return
    folder = Path(tempfile.mkdtemp(prefix=f"{OURS}{os.getpid()}-", dir=MEMORY))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def _room() -> int:
    """Bytes that may be kept in memory: no more than there are, whatever the file system promises."""
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        return 0
    available = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text("ascii"), re.MULTILINE)
    return min(shutil.disk_usage(MEMORY).free, int(available[1]) * 1024 if available else 0)


def _sweep() -> None:
    """Give back the memory of runs that were killed."""
    for left in MEMORY.glob(f"{OURS}*"):
        if not Path("/proc", left.name.removeprefix(OURS).partition("-")[0]).exists():
            shutil.rmtree(left, ignore_errors=True)  # another process of this run may be at it


@pytest.fixture(scope="session")
async def postgres(_forgetful: Path) -> AsyncIterator[Postgres]:
    """The session's server. It forgets when the machine is lost, not when it is killed; but kill your own."""
    server = Postgres(_forgetful / "postgres", durable=False)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
def programs_with_tls(_find_program: Callable[[str], Path | None]) -> Path:
    """The folder with Debian's PostgreSQL, which speaks TLS; that of the wheel was built without."""
    _find_program("pg_ctlcluster")
    found = list(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        raise NotHere("postgresql")
    return max(found, key=lambda folder: int(folder.parent.name))


@pytest.fixture(scope="session")
async def _administrator(postgres: Postgres) -> AsyncIterator[asyncpg.Connection[Any]]:
    """The session's connection of the one who makes the databases of its tests."""
    connection = await asyncpg.connect(postgres.dsn("postgres"))
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def _template(postgres: Postgres, _administrator: asyncpg.Connection[Any]) -> str:
    """A database with the schema, to be cloned for each test."""
    await _administrator.execute("CREATE DATABASE template_for_tests")
    connection = await asyncpg.connect(postgres.dsn("template_for_tests"))
    try:
        schema = ROOT / "schema.sql"
        if schema.exists():
            await connection.execute(schema.read_text("utf-8"))
    finally:
        await connection.close()
    return "template_for_tests"


_numbers = count(1)


@pytest.fixture
async def database_url(
    postgres: Postgres, _administrator: asyncpg.Connection[Any], _template: str
) -> AsyncIterator[str]:
    """The URL of a database of this test alone, with the schema and no rows."""
    name = f"test_{next(_numbers)}"
    await _administrator.execute(f"CREATE DATABASE {name} TEMPLATE {_template} STRATEGY FILE_COPY")
    yield postgres.dsn(name)
    await _administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


# --- RabbitMQ --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
async def rabbitmq_programs(request: pytest.FixtureRequest) -> None:
    """RabbitMQ's programs are here, fetched if need be."""
    if await (ensure_rabbitmq(_say(request)) if MAY_FETCH else asyncio.to_thread(find_rabbitmq)) is None:
        raise NotHere("rabbitmq")


@pytest.fixture(scope="session")
async def broker(rabbitmq_programs: None, _servers: Path) -> AsyncIterator[Rabbitmq]:
    """The session's broker; a test that wants it empty asks for `broker_url`. Kill your own, not this one."""
    server = Rabbitmq(_servers / "rabbitmq")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def broker_url(broker: Rabbitmq) -> str:
    """The URL of the session's broker, rid of whatever earlier tests declared."""
    connection = await aio_pika.connect(broker.url)
    async with connection, connection.channel() as channel:
        for queue in QUEUES:
            await channel.queue_delete(queue)
        for exchange in EXCHANGES:
            await channel.exchange_delete(exchange)
    return broker.url
