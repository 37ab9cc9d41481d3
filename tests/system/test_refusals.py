"""What is wrong is refused in one line that says what, where and what to do; and nothing is half done."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import pytest

from tests.support.installation import Installation, trigger
from tests.support.programs import Done, carry_out, eventually

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

REFUSING = "127.0.0.1:1"  # nobody listens there, and nobody but root may begin to
SECRET = "hunter2-and-more"
AT_ONCE = 3


async def _each(here: Installation, cases: Mapping[tuple[str, ...], Callable[[Done], None]]) -> None:
    """Carry out all of these, a few at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(words: tuple[str, ...], judge: Callable[[Done], None]) -> None:
        async with gate:
            judge(await here.cli(*words))

    async with asyncio.TaskGroup() as tasks:
        for words, judge in cases.items():
            tasks.create_task(one(words, judge))


def fails(*parts: str) -> Callable[[Done], None]:
    """Exit code 1, nothing on stdout, and one line on stderr with all these parts in it."""

    def judge(done: Done) -> None:
        assert done.code == 1, done
        assert done.out == ""
        for part in parts:
            assert part in done.complaint, done.complaint
        assert SECRET not in done.err
        assert "a fault of this program" not in done.err

    return judge


def wrong_use(*parts: str) -> Callable[[Done], None]:
    def judge(done: Done) -> None:
        assert done.code == 2, done
        assert "Traceback" not in done.err
        for part in parts:
            assert part in done.err + done.out, done

    return judge


async def test_a_wrong_setting_stops_the_start_with_its_name_its_value_and_what_is_allowed(
    folder: Path,
) -> None:
    here = Installation(folder / "one")
    unknown_key = here.write("unknown.toml", 'lissten = "127.0.0.1:0"\n')
    no_toml = here.write("no.toml", "listen = \n")
    wrong_account = here.write("account.toml", '[accounts.two]\nprovider = "pigeon"\n')
    await _each(
        here,
        {
            ("run", "--set", "listen=nowhere"): fails("CONTROL_CENTER_LISTEN", "'nowhere'", "HOST:PORT"),
            ("run", "--set", "timezone=Mars/Olympus"): fails("CONTROL_CENTER_TIMEZONE", "Mars/Olympus"),
            ("run", "--set", "log_level=loud"): fails("CONTROL_CENTER_LOG_LEVEL", "'loud'", "debug"),
            ("run", "--set", "sms_provider=pigeon"): fails("CONTROL_CENTER_SMS_PROVIDER", "pigeon", "sandbox"),
            ("run", "--set", "sms_provider=twilio"): fails("sms_account", "is missing", "twilio"),
            ("run", "--set", f"database_url=mysql://cc:{SECRET}@db/cc"): fails(
                "CONTROL_CENTER_DATABASE_URL", "***", "postgresql://"
            ),
            ("run", "--set", f"broker_url=http://cc:{SECRET}@broker"): fails("CONTROL_CENTER_BROKER_URL", "amqp://"),
            ("run", "--config", str(here.folder / "gone.toml")): fails("CONTROL_CENTER_CONFIG", "gone.toml"),
            ("run", "--config", str(unknown_key)): fails("unknown.toml", "lissten", "listen"),
            ("run", "--config", str(no_toml)): fails("no.toml"),
            ("run", "--config", str(wrong_account)): fails("account.toml", "accounts", "pigeon"),
            ("run", "--data-dir", str(no_toml)): fails("CONTROL_CENTER_DATA_DIR", "no.toml"),
        },
    )
    misspelt = await here.cli("run", lissten="127.0.0.1:0")
    fails("CONTROL_CENTER_LISSTEN", "CONTROL_CENTER_LISTEN")(misspelt)
    assert not here.data_dir.exists()


async def test_wrong_use_exits_two_and_says_how(folder: Path) -> None:
    here = Installation(folder / "one")
    await _each(
        here,
        {
            ("run", "engin"): wrong_use("engin", "engine, release, sms, email, web"),
            ("fly",): wrong_use("fly"),
            ("explain",): wrong_use("ID"),
            ("explain", "--trigger", "Booked"): wrong_use("--record"),
            ("events", "replay"): wrong_use("--all"),
            ("blackouts", "add", "Christmas"): wrong_use("--yearly"),
            ("emit",): wrong_use("FILE"),
            ("messages", "list", "--limit", "0"): wrong_use("limit"),
        },
    )
    done = await carry_out([sys.executable, "-m", "workers", "fax"], env=here.environment(), cwd=here.folder)
    wrong_use("fax", "sms", "email")(done)
    assert not here.data_dir.exists()


def _without_database(folder: Path) -> Installation:
    return Installation(folder / "one", database_url=f"postgresql://cc:{SECRET}@{REFUSING}/cc", broker_url="none")


async def test_without_its_database_a_verb_fails_in_one_line_and_an_empty_one_is_not_filled_unasked(
    install: Install, folder: Path
) -> None:
    here = _without_database(folder)
    verbs: list[tuple[str, ...]] = [("migrate",), ("messages", "list"), ("triggers", "list"), ("explain", "m-1")]
    await _each(here, dict.fromkeys(verbs, fails("PostgreSQL", "does not answer")))

    empty = await install(broker_url="none", furnished=False)
    fails("control-center migrate")(await empty.cli("run"))
    fails("control-center migrate")(await empty.cli("messages", "list"))
    assert await empty.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    fails("there is no message", "m-1")(await (await install()).cli("messages", "show", "m-1"))


@pytest.mark.long
async def test_without_its_database_a_service_waits_a_while_and_then_says_so_in_one_line(folder: Path) -> None:
    here = _without_database(folder)
    worker = carry_out([sys.executable, "-m", "workers", "sms"], env=here.environment(), cwd=here.folder, within=90)
    delivering, running = await asyncio.gather(worker, here.cli("run", within=90))
    fails("workers sms", "PostgreSQL")(delivering)
    fails("control-center run", "PostgreSQL", "does not answer")(running)
    assert not (here.data_dir / "endpoints.json").exists()


async def test_without_its_broker_it_runs_is_not_ready_and_says_so_in_one_line_a_try(install: Install) -> None:
    here = await install(broker_url=f"amqp://cc:{SECRET}@{REFUSING}/")
    program = await here.start("control_center", "run", "engine", "web")
    away = await program.wait_for("inbox.broker_away")
    assert away["level"] == "warning"
    words = await program.wait_for_words("HTTP API")
    async with aiohttp.ClientSession() as session, session.get(f"{words.split()[-1]}/readyz") as answer:
        said = await answer.json()
        assert answer.status == 503
        assert said["checks"]["database"] == "ok"
        assert "consumer" in said["checks"]["broker"]
    fails("line 1", "the broker")(
        await here.cli("emit", "-", stdin=b'{"type": "crm.session.created", "studio": "main"}\n')
    )
    await program.stop()
    assert program.code == 0
    assert SECRET not in program.tail(1000)


async def test_a_broker_that_refuses_the_password_stops_the_start(installation: Installation) -> None:
    here = installation
    wrong = here.broker_url.replace("guest:guest", f"guest:{SECRET}")
    done = await here.cli("run", "engine", broker_url=wrong, within=60)
    assert done.code == 1
    last = [line for line in done.err.splitlines() if not line.startswith("{")]
    assert len(last) == 1
    assert "refuses the user or the password" in last[0]
    assert SECRET not in done.err + done.out


async def test_wrong_trigger_files_change_nothing_and_name_file_trigger_field_and_what_is_allowed(
    installation: Installation,
) -> None:
    here = installation
    good = trigger("Good")
    files = {
        "no-toml.toml": ("[[trigger]\n", ("no-toml.toml",)),
        "no-trigger.toml": ('[rule]\nname = "x"\n', ("no-trigger.toml", "rule", "[[trigger]]")),
        "misspelt.toml": (good + trigger("Bad").replace("purpose", "porpoise"), ("misspelt.toml", "Bad", "porpoise")),
        "purpose.toml": (good + trigger("Bad").replace("transactional", "fun"), ("Bad", "purpose", "fun", "marketing")),
        "action.toml": (good + trigger("Bad", action="pigeon"), ("action.toml", "Bad", "action", "pigeon", "sms")),
        "window.toml": (good + trigger("Bad", processing='window = "9-25"'), ("Bad", "window", "9-25", "HH:MM")),
        "days.toml": (good + trigger("Bad").replace('_changed" }', '_changed", days = -3 }'), ("Bad", "days", "-3")),
        "held.toml": (
            good + trigger("Bad").replace("enabled", 'must_hold = "soon"\nenabled'),
            ("held.toml", "Bad", "must_hold", "soon"),
        ),
        "field.toml": (good + trigger("Bad").replace("first_name", "fist_name"), ("field.toml", "Bad", "fist_name")),
        "template.toml": (
            good + trigger("Bad").replace('text = "', 'template = "gone"\n#'),
            ("template.toml", "Bad", "template", "gone"),
        ),
        "twice.toml": (good + good, ("twice.toml", "Good", "twice")),
    }
    before = await here.sql(EVERYTHING)
    cases: dict[tuple[str, ...], Callable[[Done], None]] = {}
    for name, (text, parts) in files.items():
        cases["triggers", "apply", str(here.write(name, text)), "--yes"] = fails(*parts)
    cases["triggers", "apply", str(here.folder / "gone.toml"), "--yes"] = fails("gone.toml")
    cases["triggers", "apply", str(here.write("good.toml", good)), "--yes", "--studio", "no"] = fails("'no'")
    cases["triggers", "apply", str(here.write("fine.toml", good))] = _asks_nobody
    await _each(here, cases)
    assert await here.sql(EVERYTHING) == before


EVERYTHING = "SELECT studios.*, triggers.*, trigger_versions.* FROM studios, triggers, trigger_versions"


def _asks_nobody(done: Done) -> None:
    """Without a terminal and without --yes nothing is saved."""
    assert done.code == 1
    assert "--yes" in done.complaint


async def test_a_second_run_on_one_data_folder_is_refused_naming_the_first(install: Install) -> None:
    here = await install(broker_url="none")
    first = await here.run("web")
    fails(str(first.pid), str(here.data_dir))(await here.cli("run", "web"))
    assert first.code is None
    assert await here.api("GET", "/messages") == {"items": [], "next_cursor": None}
    await first.stop()
    assert first.code == 0
    again = await here.run("web")
    assert (await again.stop()) < 10
    assert again.code == 0


async def test_a_port_that_is_taken_stops_the_start_and_leaves_nothing_behind(install: Install) -> None:
    here = await install(broker_url="none")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = await here.cli("run", listen=address)
    assert done.code == 1
    (line,) = [line for line in done.err.splitlines() if not line.startswith("{")]
    assert address in line
    assert not (here.data_dir / "endpoints.json").exists()

    async def nobody_connected() -> bool:
        others = "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND pid <> $1"
        return bool(await here.value(others.replace("$1", "pg_backend_pid()")))

    await eventually(nobody_connected, within=10)
