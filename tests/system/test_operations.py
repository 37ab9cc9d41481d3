"""What an administrator does by the pages and at a prompt: it works as it stands there, and says what is so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import asyncpg
import pytest

from control_center.cli.aim import Aim
from control_center.domain.errors import ConfigurationError
from control_center.embedded import Postgres
from control_center.embedded.place import borrowed_account
from control_center.embedded.postgres import _reachable, find_postgres
from control_center.settings import Settings, link_key
from tests.support.installation import Installation, trigger
from tests.support.programs import ROOT, Done, carry_out

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

PAGE: Final = (ROOT / "docs/how-to/back-up.md").read_text("utf-8")
SAVED: Final = "SELECT count(*) FROM triggers"
WAITED: Final = 120.0


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    return await install_alone()


# --- the first hour --------------------------------------------------------------------------------------------


async def test_check_finds_nothing_wrong_with_a_database_that_was_just_created(folder: Path, database_url: str) -> None:
    new = Installation(folder / "one", database_url=database_url, settings='broker_url = "none"\n')
    await new.sql("DROP SCHEMA public CASCADE")
    await new.sql("CREATE SCHEMA public")
    new.hang_up()
    await new.done("migrate", within=WAITED)

    checked = await new.cli("check", within=WAITED)

    assert (checked.code, "FAILED" in checked.out) == (0, False), checked.out
    assert "studio    none yet: the first `run` makes 'main'" in checked.out


async def test_a_studio_that_is_misspelt_among_others_is_still_told(here: Installation) -> None:
    checked = await here.cli("check", "--set", "studio=mian", within=WAITED)

    assert checked.code == 1
    assert "FAILED  studio    there is no studio 'mian'" in checked.out


# --- a worker that cannot begin --------------------------------------------------------------------------------


async def work(here: Installation, channel: str, **settings: str) -> Done:
    words = [sys.executable, "-m", "workers", channel]
    return await carry_out(words, env=here.environment(**settings), cwd=here.folder, within=WAITED)


async def test_a_worker_that_the_database_refuses_says_so_in_a_line(here: Installation) -> None:
    nowhere = re.sub(r"/[^/?]+\?", "/nowhere?", here.database_url)
    stranger = re.sub(r"//[^@/]*@", "//stranger:hunter2-and-more@", here.database_url)

    lost, refused = await work(here, "sms", database_url=nowhere), await work(here, "sms", database_url=stranger)

    assert (lost.code, lost.complaint) == (1, 'workers sms: PostgreSQL says: database "nowhere" does not exist')
    assert (refused.code, refused.complaint) == (1, 'workers sms: PostgreSQL says: role "stranger" does not exist')


async def test_a_key_that_cannot_be_read_is_not_blamed_on_the_database(here: Installation) -> None:
    file = here.data_dir / link_key.FILE
    file.mkdir(parents=True)

    refused = await work(here, "email")

    assert (refused.code, refused.complaint) == (1, f"workers email: {file} cannot be read: Is a directory")


@pytest.mark.parametrize("text", [b"caf\xe9" * 20, "é".encode() * 40])
def test_a_key_that_is_no_text_of_ours_is_told_in_words(tmp_path: Path, text: bytes) -> None:
    (tmp_path / link_key.FILE).write_bytes(text)

    with pytest.raises(ConfigurationError, match="cannot be read: not a key"):
        link_key.find(Settings(data_dir=tmp_path))


# --- where nobody reads on, or nothing can be written ----------------------------------------------------------


def carry_out_into(
    here: Installation, stdout: int, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "control_center", *words],
        env={**here.environment(), **environment},
        cwd=here.folder,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=WAITED,
    )


async def test_what_was_begun_is_done_where_nobody_reads_on(here: Installation) -> None:
    before = await here.value(SAVED)
    file = here.write("another.toml", trigger("Another"))
    reading, writing = os.pipe()
    os.close(reading)

    done = carry_out_into(here, writing, "triggers", "apply", str(file), "--yes")
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, "")
    assert await here.value(SAVED) == before + 1


async def test_a_full_disk_is_not_blamed_on_the_database(here: Installation) -> None:
    full = os.open("/dev/full", os.O_WRONLY)

    done = carry_out_into(here, full, "triggers", "list")
    os.close(full)

    assert (done.returncode, done.stderr) == (
        1,
        "control-center triggers list: what there was to write could not be written: No space left on device\n",
    )


async def test_a_terminal_that_does_not_know_a_letter_is_no_fault(here: Installation) -> None:
    await here.done("blackouts", "add", "Zoë 📷", "--date", "2031-05-01", within=WAITED)
    into = here.folder / "listed"

    with into.open("wb") as file:
        done = carry_out_into(here, file.fileno(), "blackouts", "list", PYTHONIOENCODING="latin-1")

    assert (done.returncode, done.stderr) == (0, "")
    assert "Zo\xeb \\U0001f4f7".encode("latin-1") in into.read_bytes()


# --- settings --------------------------------------------------------------------------------------------------


def test_a_setting_that_is_set_to_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_CENTER_CONFIG", os.devnull)
    monkeypatch.setenv("CONTROL_CENTER_SMTP_URL", "smtp://mail.studio.example:587")
    aim = Aim(set_=["smtp_url="])

    aim.apply()

    assert aim.settings().carriers("email")["default"].provider == "sandbox"


def test_a_data_folder_without_a_name_is_the_platforms_and_not_the_one_we_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/control-center")
    monkeypatch.setenv("CONTROL_CENTER_DATA_DIR", "")

    assert Settings().data_dir == Path("/var/lib/control-center")


def test_a_mark_that_an_editor_puts_before_the_first_letter_is_no_part_of_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbfhunter2-and-more\r\n")
    (tmp_path / "some.toml").write_bytes(b'\xef\xbb\xbfsms_secret_file = "secret"\r\ncountry = "DE"\r\n')
    monkeypatch.setenv("CONTROL_CENTER_CONFIG", str(tmp_path / "some.toml"))

    found = Aim().settings()

    assert (found.sms_secret.get_secret_value(), found.country) == ("hunter2-and-more", "DE")


def test_what_stands_where_an_account_should_may_be_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_CENTER_CONFIG", os.devnull)
    monkeypatch.setenv("CONTROL_CENTER_ACCOUNTS", '{"spring": "hunter2-and-more"}')

    with pytest.raises(ConfigurationError, match=r"accounts\.spring is '\*\*\*'"):
        Aim().settings()


@pytest.mark.parametrize("text", [b"", b" \r\n", b"\xef\xbb\xbf"])
def test_a_file_of_a_secret_that_holds_nothing_is_no_secret_that_is_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    (tmp_path / "database_url").write_bytes(text)
    monkeypatch.setenv("CONTROL_CENTER_CONFIG", os.devnull)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    with pytest.raises(ConfigurationError, match="database_url', which is empty"):
        Aim().settings()


async def test_where_units_say_so_an_address_that_got_lost_is_told_and_no_private_server_started(folder: Path) -> None:
    lost = Installation(folder / "one")

    run = await lost.cli("run", "engine", within=WAITED, private_servers="no")
    stop = ("consents", "record", "+13125550188", "--stop", "--evidence", "by phone")
    said = await lost.cli(*stop, within=WAITED, private_servers="no")
    checked = await lost.cli("check", within=WAITED, private_servers="no")

    lost_it = "CONTROL_CENTER_DATABASE_URL is empty, and CONTROL_CENTER_PRIVATE_SERVERS=no: no private one is started"
    for done in (run, said):
        assert (done.code, lost_it in done.complaint) == (1, True), done.err
    assert checked.code == 1
    assert "FAILED  broker    CONTROL_CENTER_BROKER_URL is empty, and CONTROL_CENTER_PRIVATE_SERVERS=no" in checked.out
    assert f"FAILED  database  {lost_it}" in checked.out
    assert not (lost.data_dir / "postgres").exists()


# --- backups ---------------------------------------------------------------------------------------------------


def typed(mark: str) -> str:
    """What the page tells to type at this mark."""
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert found, mark
    return found[1]


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[Postgres]:
    own = Postgres(folder / "postgres", durable=False)
    await own.start()
    yield own
    await own.stop()


@pytest.fixture
def as_root(folder: Path, server: Postgres, record_property: Callable[[str, object], None]) -> Callable[[str], str]:
    """Type lines of the page as root, on a machine whose folders lie under `folder`; its services are stood in for."""
    account = borrowed_account("postgres")
    if account is None or shutil.which("runuser", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        record_property("not here", "runuser (root)")
        pytest.skip("the page is typed by root, with runuser")
    programs, stood_in = _reachable(find_postgres(), account), folder / "bin"
    stood_in.mkdir()
    stood_in.chmod(0o755)
    for name in ("systemctl", "control-center"):
        (stood_in / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (stood_in / name).chmod(0o755)

    def carry_it_out(lines: str) -> str:
        lines = re.sub(r"(?<= |>|<)/var/backups", str(folder / "backups"), lines)
        lines = lines.replace("runuser -u postgres", f"runuser -u {account.name}").replace("-C / ", f"-C {folder} ")
        socket = unquote(server.dsn().partition("host=")[2].partition("&")[0])
        done = subprocess.run(
            ["sh", "-euc", lines],
            env={"PATH": f"{stood_in}:{programs}:/usr/sbin:/usr/bin:/sbin:/bin", "PGHOST": socket, "PGUSER": "cc"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=WAITED,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return carry_it_out


async def test_what_the_page_keeps_can_be_put_back_by_the_page(
    as_root: Callable[[str], str], folder: Path, server: Postgres
) -> None:
    (folder / "backups").mkdir(mode=0o755)
    kept = (
        "etc/control-center/control_center.env",
        "etc/credstore/control-center.broker_url",
        "var/lib/control-center/api_token",
        "var/lib/control-center/link_key",
    )
    for name in kept:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    admin = await asyncpg.connect(server.dsn("postgres"))
    await admin.execute('CREATE ROLE "control-center" LOGIN')
    await admin.execute('ALTER DATABASE control_center OWNER TO "control-center"')
    await admin.close()
    here = Installation(folder / "one", database_url=server.dsn().replace("//cc@", "//control-center@"))
    await here.done("migrate", within=WAITED)
    await here.furnish()
    here.hang_up()

    as_root(typed("run: keep"))
    shutil.rmtree(folder / "etc")
    shutil.rmtree(folder / "var")
    as_root(typed("run: settings back"))
    said = as_root(typed("run: put back"))

    assert {name: (folder / name).read_text() for name in kept} == {name: name for name in kept}
    assert await here.value("SELECT array_agg(name) FROM triggers") == ["Booked"]
    assert "control-center migrate" in said
    here.hang_up()
