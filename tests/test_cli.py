"""The command line as hands and scripts meet it: real processes on a real database."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from control_center.cli import app
from tests.support import crm
from tests.support.fixtures import Install
from tests.support.installation import Installation, trigger
from tests.support.programs import ROOT, Program, eventually, family, still_running

SECONDS_TO_STOP = 10.0
REVIEWED = trigger("By hand").replace('mode = "automatic"', 'mode = "manual"')


@pytest.fixture
async def bare(install_alone: Install) -> Installation:
    """An installation on an empty database, with no broker."""
    return await install_alone(furnished=False)


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    """The same with its schema, the studio `main`, and a trigger that texts whoever books."""
    return await install_alone()


def a_booking(number: int = 1, **envelope: Any) -> bytes:
    return crm.event(
        crm.session(f"s-{number}", client=f"c-{number}"),
        about=crm.client(f"c-{number}", phones=[{"number": f"(312) 555-01{number:02}", "sms": True}]),
        event_id=f"e-{number}",
        **envelope,
    )


# --- help ------------------------------------------------------------------------------------------------------


def verbs(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path.strip(), command
    for name, one in (inner or {}).items():
        yield from verbs(one, f"{path} {name}")


VERBS = dict(verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_says_what_it_does_and_gives_an_example(name: str) -> None:
    command = VERBS[name]
    assert command.help
    assert command.epilog.startswith(f"Example: control-center {name}")
    asked = {option for parameter in command.params for option in parameter.opts}
    assert {"--config", "--set", "--data-dir"} - asked <= {"--config"}
    assert "--json" in asked or name == "run"


async def test_help_waits_for_nothing_heavy() -> None:
    heavy = "{'aiohttp', 'aio_pika', 'asyncpg', 'pydantic', 'rich', 'structlog', 'uvloop', 'liquid'}"
    code = f"import sys, control_center.cli; print(sorted({heavy} & set(sys.modules)))"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"


# --- exit codes ------------------------------------------------------------------------------------------------


async def test_wrong_use_exits_with_2(tmp_path: Path) -> None:
    for words in (
        "nothing",
        "actions",
        "actions list --bogus",
        "blackouts add Christmas",
        "run engin",
        "explain",
        "consents record +13125550188 --evidence x",
        "actions delete",
        "actions delete a-1 --all",
        "actions delete a-1 --trigger Booked",
        "actions delete --all --trigger Booked",
        "actions delete --all --expect -1",
    ):
        done = await Installation(tmp_path).cli(*words.split())
        assert (done.code, bool(done.err)) == (2, True), words


FAILURES = {
    "actions show a-999": "control-center actions show: there is no action 'a-999' in studio 'main'",
    "actions list --state wating": "allowed: planned, review",
    "triggers show Nope": "there are: 'Booked'",
    "triggers apply nowhere.toml --yes": "there is no such file or folder",
    "explain m-999": "nothing here is known as 'm-999'",
    "actions list --studio other": "there is no studio 'other'",
    "consents show 12": "address: '12'",
    "events replay 7": "nothing is set aside under 7",
    "emit nowhere.ndjson": "nowhere.ndjson cannot be read",
    "studios list --set listen=nowhere": "CONTROL_CENTER_LISTEN is 'nowhere'; allowed: HOST:PORT",
    "studios list --set": "",
}


async def test_a_failure_exits_with_1_and_one_line(here: Installation) -> None:
    for words, told in FAILURES.items():
        done = await here.cli(*words.split())
        if told:
            assert (done.code, told in done.complaint) == (1, True), f"{words}: {done.code} {done.err}"
        else:
            assert done.code == 2
    assert "FAILED  settings" in (await here.cli("check", "--set", "listen=nowhere")).out


async def test_a_database_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    here = Installation(tmp_path, database_url="postgresql://cc:canary-password@127.0.0.1:1/nothing")
    done = await here.cli("studios", "list")
    assert done.code == 1
    assert "PostgreSQL does not answer" in done.complaint
    checked = await here.cli("check")
    assert checked.code == 1
    assert "FAILED  database" in checked.out
    assert "canary" not in done.out + done.err + checked.out + checked.err


# --- the database ----------------------------------------------------------------------------------------------


async def test_a_database_without_schema_is_refused_with_the_command_to_type(bare: Installation) -> None:
    for words in (["run"], ["studios", "list"]):
        done = await bare.cli(*words)
        assert done.code == 1
        assert done.complaint.endswith("create it with: control-center migrate")
    assert (await bare.json("migrate"))["done"] == ["created at version 1"]
    assert "nothing to do" in (await bare.done("migrate")).out


@pytest.mark.process
async def test_without_a_database_a_verb_has_a_private_one_for_its_own_duration(folder: Path) -> None:
    async with Installation(folder, settings='broker_url = "none"') as here:
        found = await here.json("studios", "list")
        assert [one["id"] for one in found["items"]] == ["main"]
        await here.done("blackouts", "add", "Christmas", "--yearly", "12-25")
        assert "Christmas" in (await here.done("blackouts", "list")).out


async def test_check_tells_each_thing_in_a_line_and_what_to_do_in_the_next(here: Installation) -> None:
    done = await here.done("check")
    told = [line.split()[:2] for line in done.out.splitlines() if not line.startswith(" ")]
    names = "settings links network broker database fence clock events texts mail templates triggers catalog"
    assert told == [["ok", name] for name in names.split()]
    assert "set CONTROL_CENTER_PUBLIC_URL" in done.out
    found = json.loads((await here.done("check", "--json")).out)
    assert found["ok"] is True


# --- studios, triggers, templates, blackouts, consents ---------------------------------------------------------


async def test_triggers_are_compared_applied_and_exported_as_files(here: Installation) -> None:
    edited = here.write("edited.toml", trigger("Booked", processing='window = "09:00-18:00"') + REVIEWED)
    compared = await here.cli("triggers", "diff", str(edited), "--json")
    assert compared.code == 1  # there are changes
    assert [(one["name"], one["kind"]) for one in compared.json["items"]] == [("Booked", "changed"), ("By hand", "new")]

    unasked = await here.cli("triggers", "apply", str(edited))
    assert unasked.code == 1
    assert "say --yes" in unasked.err
    applied = await here.json("triggers", "apply", str(edited), "--yes")
    assert {one["name"]: one["version"] for one in applied["saved"]} == {"Booked": 2, "By hand": 1}

    exported = (await here.done("triggers", "export")).out
    assert tomllib.loads(exported)["trigger"] == tomllib.loads(edited.read_text())["trigger"]
    shown = (await here.done("triggers", "show", "By hand")).out
    assert tomllib.loads(shown)["trigger"] == tomllib.loads(REVIEWED)["trigger"]
    assert (await here.json("triggers", "diff", str(here.write("exported.toml", exported))))["items"][0][
        "kind"
    ] == "same"


async def test_a_wrong_trigger_file_names_the_field_and_changes_nothing(here: Installation) -> None:
    wrong = here.write("wrong.toml", REVIEWED + trigger("Other", action="smoke"))
    done = await here.cli("triggers", "apply", str(wrong), "--yes")
    assert done.code == 1
    assert "wrong.toml \"Other\", action: 'smoke'; allowed: sms" in done.complaint
    assert [one["name"] for one in (await here.json("triggers", "list"))["items"]] == ["Booked"]


async def test_templates_are_saved_under_their_file_s_name(here: Installation) -> None:
    file = here.write("thanks.toml", 'kind = "session"\nsms = "Thank you, {{ client.first_name }}!"')
    assert (await here.json("templates", "apply", str(file)))["saved"] == ["thanks"]
    (found,) = (await here.json("templates", "list"))["items"]
    assert (found["name"], found["sms"]) == ("thanks", "Thank you, {{ client.first_name }}!")
    wrong = here.write("wrong.toml", 'kind = "session"\nsms = "{{ client.frist_name }}"')
    assert "frist_name" in (await here.cli("templates", "apply", str(wrong))).complaint


async def test_blackout_days_come_and_go(here: Installation) -> None:
    await here.done("blackouts", "add", "Christmas", "--yearly", "12-25")
    made = await here.json("blackouts", "add", "Holidays", "--from", "2027-07-01", "--to", "2027-07-14")
    found = (await here.json("blackouts", "list"))["items"]
    assert [(one["name"], one["from"], one["to"], one["yearly"]) for one in found] == [
        ("Christmas", None, None, "12-25"),
        ("Holidays", "2027-07-01", "2027-07-14", None),
    ]
    await here.done("blackouts", "remove", str(made["id"]))
    assert len((await here.json("blackouts", "list"))["items"]) == 1
    assert "2027-13-01" in (await here.cli("blackouts", "add", "x", "--date", "2027-13-01")).complaint


async def test_a_stop_is_written_down_with_its_evidence(here: Installation) -> None:
    await here.done("consents", "record", "(312) 555-0188", "--stop", "--evidence", "asked on the phone")
    found = await here.json("consents", "show", "+13125550188")
    assert (found["channel"], found["address"], found["stopped"]) == ("sms", "+13125550188", True)
    assert found["items"][0]["evidence"] == "asked on the phone"
    await here.done("consents", "record", "+13125550188", "--start", "--evidence", "asked again")
    assert (await here.json("consents", "show", "+13125550188"))["stopped"] is False


async def test_studios_are_put_from_a_file(here: Installation) -> None:
    text = 'id = "second"\nname = "Hill Photos"\ntimezone = "Europe/Berlin"\ncountry = "DE"\n'
    assert (await here.json("studios", "put", str(here.write("second.toml", text))))["id"] == "second"
    assert [one["id"] for one in (await here.json("studios", "list"))["items"]] == ["main", "second"]
    assert (await here.json("studios", "show", "second"))["timezone"] == "Europe/Berlin"
    wrong = here.write("wrong.toml", text.replace("Berlin", "Berln"))
    assert "Europe/Berlin" in (await here.cli("studios", "put", str(wrong))).complaint


# --- run -------------------------------------------------------------------------------------------------------


@pytest.mark.process
async def test_an_event_becomes_a_text_and_everything_can_be_asked_about_it(here: Installation) -> None:
    await here.done("triggers", "apply", str(here.write("hand.toml", REVIEWED)), "--yes")
    running = await here.run()
    endpoints = here.data_dir / "endpoints.json"
    assert stat.S_IMODE(endpoints.stat().st_mode) == 0o600
    assert stat.S_IMODE((here.data_dir / "api_token").stat().st_mode) == 0o600
    assert json.loads(endpoints.read_text())["pid"] == running.pid

    emitted = await here.json("emit", "-", stdin=a_booking(1) + b"\n" + a_booking(2))
    assert emitted == {"sent": 2, "by": "http"}
    lines = await here.sent(2)
    assert {line["to"] for line in lines} == {"+13125550101", "+13125550102"}
    await here.calm()

    messages = (await here.json("messages", "list"))["items"]
    assert {one["state"] for one in messages} == {"delivered"}
    shown = await here.json("messages", "show", messages[0]["id"])
    assert [one["outcome"] for one in shown["attempt_list"]] == ["accepted"]
    told = (await here.done("explain", messages[1]["id"])).out
    assert "delivered" in told
    assert all(one in told for one in ("[e-1]", messages[1]["id"], messages[1]["action"])), told
    assert "Booked" in (await here.done("explain", "--trigger", "Booked", "--record", "session/s-1")).out
    assert len((await here.json("sandbox", "outbox"))["items"]) == 2
    assert [one["id"] for one in (await here.json("events", "list"))["items"]] == ["e-2", "e-1"]
    assert (await here.json("events", "show", "e-1"))[0]["body"]["id"] == "e-1"

    review = (await here.json("actions", "list", "--state", "review"))["items"]
    assert len(review) == 2
    kept, gone = review[0]["id"], review[1]["id"]
    assert (await here.json("actions", "skip", kept))["items"][0]["state"] == "review"
    assert (await here.json("actions", "delete", gone))["items"][0]["state"] == "deleted"
    assert (await here.json("actions", "process", "--trigger", "By hand", "--yes"))["done"] == 1
    await here.sent(3)

    members = family(running.pid)
    assert await running.stop() < SECONDS_TO_STOP
    assert running.code == 0
    assert not endpoints.exists()
    assert still_running(members) == []


async def test_who_saved_a_trigger_does_not_process_more_than_one_person_writes_to(here: Installation) -> None:
    text = 'id = "main"\nname = "Main"\ntimezone = "America/Chicago"\ncountry = "US"\nsecond_person_above = 2\n'
    await here.done("studios", "put", str(here.write("main.toml", text)))
    await here.done("triggers", "apply", str(here.write("hand.toml", REVIEWED)), "--yes")
    await here.sql(
        "INSERT INTO actions (studio_id, kind, record_id, trigger_id, occurrence, trigger_version, state,"
        " activation_at, due_at, use_by) SELECT 'main', 'session', n::text, trigger_id, 'x', 1, 'review', now(), now(),"
        " now() + interval '1 day' FROM triggers, generate_series(1, 3) n WHERE name = 'By hand'"
    )
    process = ("actions", "process", "--trigger", "By hand", "--expect", "3", "--yes")

    refused = await here.cli(*process)
    assert (refused.code, "3 of 'By hand' wait for a person, more than the 2" in refused.err) == (1, True)
    assert "somebody else with the role front_desk has to let them go" in refused.err
    assert await here.value("SELECT count(*) FROM actions WHERE state = 'review'") == 3

    await here.sql("UPDATE trigger_versions SET saved_by = 'somebody else'")
    assert (await here.json(*process))["count"] == 3
    assert await here.value("SELECT count(*) FROM actions WHERE state = 'review'") == 0


async def test_what_the_blast_guard_holds_is_shown_by_trigger_and_let_go_in_one_call(here: Installation) -> None:
    await here.done("triggers", "apply", str(here.write("hand.toml", REVIEWED)), "--yes")
    await here.sql(
        "INSERT INTO actions (studio_id, kind, record_id, trigger_id, occurrence, trigger_version, state, reason,"
        " activation_at, due_at, use_by) SELECT 'main', 'session', n::text, trigger_id, 'x', 1, 'held',"
        " 'blast guard: a test', at, at, 'infinity' FROM triggers, generate_series(1, 12) n,"
        " (VALUES ('2027-06-05 05:00Z'::timestamptz)) AS due (at) WHERE name = 'By hand'"
    )
    await here.sql(
        "INSERT INTO release_guards SELECT 'main', trigger_id, '', now(), 'blast guard: a test' FROM triggers"
        " WHERE name = 'By hand'"
    )

    told = (await here.done("actions", "review")).out
    assert "By hand: 12 held; the oldest was due 2027-06-05 00:00" in told
    assert "blast guard: a test" in told
    assert "and 2 more" in told
    [group] = (await here.json("actions", "review", "--state", "held"))["items"]
    assert (group["count"], len(group["samples"])) == (12, 10)
    assert (await here.cli("actions", "release", "--trigger", "By hand", "--expect", "11", "--yes")).code == 1
    done = await here.done("actions", "release", "--trigger", "By hand", "--expect", "12", "--yes")
    assert done.out.splitlines()[0] == "12 of 12 let go"
    assert await here.value("SELECT count(*) FROM actions WHERE state = 'planned'") == 12
    assert await here.value("SELECT count(*) FROM release_guards WHERE held_since IS NOT NULL") == 0
    assert (await here.done("actions", "review", "--state", "held")).out.strip() == "nothing waits there"


async def test_a_list_is_decided_on_only_as_it_was_counted(here: Installation) -> None:
    await here.done("triggers", "apply", str(here.write("hand.toml", REVIEWED)), "--yes")
    await here.sql(
        "INSERT INTO actions (studio_id, kind, record_id, trigger_id, occurrence, trigger_version, state,"
        " activation_at, due_at, use_by) SELECT 'main', 'session', n::text, trigger_id, 'x', 1, state, at, at, at"
        " FROM triggers, (VALUES (1, 'review', '2027-06-05 05:00Z'::timestamptz), (2, 'held', '2027-06-06 05:00Z'),"
        " (3, 'review', '2027-06-07 05:00Z'), (4, 'planned', '2027-06-08 05:00Z')) AS made (n, state, at)"
        " WHERE name = 'By hand'"
    )

    async def told(*words: str) -> tuple[int, str]:
        done = await here.cli("actions", *words)
        return done.code, done.complaint if done.code == 1 else done.out.splitlines()[0]

    by_hand = ("delete", "--trigger", "By hand")
    assert "say --yes to delete 3 actions (1 in held, 2 in review) without asking" in (await told(*by_hand))[1]
    code, complaint = await told(*by_hand, "--yes", "--expect", "2")
    assert (code, "2 were expected and the list has 3 (1 held, 2 review): nothing was done" in complaint) == (1, True)
    assert "'soon' is not a time" in (await told(*by_hand, "--due-from", "soon", "--yes"))[1]
    assert (
        "leaves out nothing"
        in (
            await told("delete", *(word for one in ("planned", "review", "held") for word in ("--state", one)), "--yes")
        )[1]
    )
    assert (await here.cli("actions", "delete", "--state", "review", "--trigger", "", "--yes")).code == 2
    assert await here.value("SELECT count(*) FROM actions WHERE state = 'deleted'") == 0

    # Midnight in Chicago: the first and the second day are due before the third.
    days = ("--due-from", "2027-06-05", "--due-before", "2027-06-07")
    listed = (await here.json("actions", "list", *days))["items"]
    assert {one["record"] for one in listed} == {"session/1", "session/2"}
    assert await told("skip", "--all") == (0, "3 of 3 left where they are")
    assert await told(*by_hand, *days, "--yes", "--expect", "2") == (0, "2 of 2 deleted")
    assert await told("delete", "--all", "--yes") == (0, "1 of 1 deleted")
    assert await told("process", "--all", "--yes") == (0, "nothing waits for a person there")
    assert await told("process", "--trigger", "By hand", "--state", "planned", "--yes") == (0, "0 of 1 released")


@pytest.mark.process
async def test_events_go_through_the_broker_where_there_is_one(install: Install) -> None:
    here = await install()
    running = await here.run()
    assert (await here.json("emit", "-", stdin=a_booking(1)))["by"] == "broker"
    await here.sent(1)

    await here.done("emit", str(here.write("other.ndjson", a_booking(2, studio="other").decode())))
    await here.holds("SELECT count(*) FROM dead_events")
    (dead,) = (await here.json("events", "dead"))["items"]
    assert dead["field"] == "studio"
    assert (await here.cli("events", "replay", "--all")).code == 1
    await here.furnish(studio="other")
    assert (await here.json("events", "replay", str(dead["id"])))["items"][0]["result"] == "understood"
    assert (await here.json("events", "dead"))["items"] == []
    await here.sent(2)
    await running.stop()


@pytest.mark.process
async def test_a_second_run_on_one_data_folder_names_the_first(here: Installation) -> None:
    first = await here.run("web")
    second = await here.cli("run")
    assert second.code == 1
    assert f"already run by process {first.pid}" in second.complaint
    await first.stop()


@pytest.mark.process
async def test_a_worker_that_dies_is_started_again_and_all_end_with_their_parent(here: Installation) -> None:
    running = await here.run("sms")
    first = await running.wait_for("worker.started", channel="sms")
    os.kill(first["pid"], signal.SIGKILL)
    await running.wait_for("worker.died", channel="sms", code=-signal.SIGKILL)

    async def again() -> list[dict[str, Any]]:
        return running.lines("worker.started", channel="sms")[1:]

    assert await eventually(again)
    members = family(running.pid)
    await running.kill()

    async def gone() -> bool:
        return not still_running(members)

    assert await eventually(gone, within=30)


@pytest.mark.process
async def test_workers_read_a_secret_where_their_parent_did(here: Installation) -> None:
    secret = here.write("database_url", here.database_url)
    running = await here.run(database_url="", database_url_file=str(secret))
    await here.done("emit", "-", stdin=a_booking())
    await here.sent(1)
    assert not running.lines("worker.died")
    await running.stop()


@pytest.mark.process
async def test_run_says_where_to_look_and_makes_the_first_studio(bare: Installation) -> None:
    await bare.done("migrate")
    running = await bare.run("web", studio="north", country="CA")
    assert re.search(r"http://127\.0\.0\.1:\d+", await running.wait_for_words("HTTP API"))
    assert [one["id"] for one in (await bare.json("studios", "list"))["items"]] == ["north"]
    await bare.api("GET", "/messages", studio="north")
    await running.stop()


@pytest.mark.process
async def test_an_address_that_is_taken_is_told(here: Installation) -> None:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    done = await here.cli("run", listen=f"127.0.0.1:{port}")
    server.close()
    assert done.code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.complaint


# --- demo ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Open to the account that root's servers run as."""
    made = tmp_path / "d"
    made.mkdir()
    return made


async def stopped(program: Program) -> None:
    members = family(program.pid)
    assert await program.stop(signal.SIGINT) < SECONDS_TO_STOP
    assert program.code == 0, program.tail()
    assert still_running(members) == []


@pytest.mark.process
async def test_the_demo_shows_what_goes_out_and_what_waits(bare: Installation) -> None:
    await bare.done("migrate")
    demo = await bare.start("control_center", "demo", sms_provider="twilio", sms_account="AC1", sms_secret="canary")
    await demo.wait_for_words("control center runs as process", within=60)
    text = await demo.wait_for_words("TEXT", within=60)
    assert "your Family session is booked" in text or "New Family session" in text
    assert re.search(r"until \w+ \d+ \w+ \d\d:\d\d, ", await demo.wait_for_words("waits", within=60))
    assert (await bare.json("messages", "list", "--demo"))["items"]
    await stopped(demo)
    assert not [line for line in demo.log if line["level"] in ("error", "critical")]


@pytest.mark.process
async def test_the_demo_says_in_one_line_of_json_that_it_is_ready(bare: Installation) -> None:
    await bare.done("migrate")
    demo = await bare.start("control_center", "demo", "--json")
    ready = json.loads(await demo.wait_for_words('"ready"', within=60))
    assert ready["pid"] == demo.pid
    assert await asyncio.to_thread(Path(ready["api_token_file"]).exists)
    await bare.sent(1)
    await stopped(demo)
    assert [line for line in demo.said if line.startswith("{")] == [json.dumps(ready, separators=(",", ":"))]


@pytest.mark.process
async def test_the_demo_leaves_a_database_of_somebody_alone(here: Installation) -> None:
    await here.done("studios", "put", str(here.write("x.toml", 'id = "own"\nname = "Own"\ntimezone = "UTC"\n')))
    done = await here.cli("demo", broker_url="none")
    assert done.code == 1
    assert "belongs to the studio 'Own'" in done.complaint
