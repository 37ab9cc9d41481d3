"""Triggers from the command line: seen before they are saved, paused, rolled back, tested."""

from __future__ import annotations

import asyncio
import os
import sys
import tomllib

import pytest

from tests.support import crm
from tests.support.fixtures import Install
from tests.support.installation import Installation, trigger

REMINDER = """
[[trigger]]
name = "Reminder"
record = "session"
status = "Booked"
activate = { on = "session", days = -7 }
action = "sms"
text = "See you soon!"
enabled = true

[trigger.processing]
mode = "automatic"

[[trigger.test]]
given = { record = { status = "Booked", dates = { session = "2030-06-12T14:00" } } }
expect = { send_at = "2030-06-05", to = "client" }
"""
MOVED = REMINDER.replace("days = -7", "days = -6").replace("2030-06-05", "2030-06-06")
WRONG_TEST = MOVED.replace("2030-06-06", "2030-06-07")


async def a_reminder_of_a_session(here: Installation) -> None:
    await here.done("migrate")
    await here.furnish(triggers=REMINDER)
    program = await here.run("engine", "web")
    session = crm.session("s-1", client="c-1", dates={"session": "2030-06-12T14:00"})
    events = here.write("events.ndjson", crm.event(session, about=crm.client("c-1")).decode())
    await here.done("emit", str(events))
    await here.holds("SELECT count(*) = 1 FROM actions")
    await program.stop()


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    """The studio `main` with one trigger, and one session in June 2030."""
    return await install_alone(given=a_reminder_of_a_session)


async def test_an_edit_is_shown_with_what_it_does_to_what_waits_and_saved_only_when_agreed(here: Installation) -> None:
    edited = str(here.write("edited.toml", MOVED))

    seen = await here.cli("triggers", "diff", edited)
    assert seen.code == 1
    assert "~ Reminder: to be changed" in seen.out
    assert "~ activate.days = -7 -> -6" in seen.out
    assert "1 pending: 1 move" in seen.out

    unasked = await here.cli("triggers", "apply", edited)
    assert (unasked.code, "say --yes" in unasked.err) == (1, True)
    assert "1 pending: 1 move" in unasked.out
    assert await here.value("SELECT version FROM triggers") == 1

    await here.done("triggers", "apply", edited, "--yes", "--pending", "keep")
    assert (await here.done("triggers", "diff", edited)).out.endswith("plan: 1 unchanged\n")
    rows = (await here.json("triggers", "versions", "Reminder"))["items"]
    assert [(row["version"], row["pending"]) for row in rows] == [(2, "keep"), (1, "follow")]

    rolled = await here.json("triggers", "rollback", "Reminder", "1", "--yes")
    assert rolled["saved"]["version"] == 3


async def test_switching_off_asks_what_becomes_of_what_waits(here: Installation) -> None:
    unasked = await here.cli("triggers", "disable", "Reminder")
    assert (unasked.code, "say --pending hold, drain or drop" in unasked.err) == (1, True)
    assert (await here.cli("triggers", "disable", "Reminder", "--pending", "maybe")).code == 2

    held = await here.done("triggers", "disable", "Reminder", "--pending", "hold", "--yes")
    assert "1 pending: 1 are held" in held.out
    assert await here.value("SELECT state FROM actions") == "held"

    await here.done("triggers", "enable", "Reminder", "--yes")
    assert await here.value("SELECT state FROM actions") == "planned"


async def test_every_mistake_in_the_files_is_a_line_of_its_own(here: Installation) -> None:
    wrong = here.write("wrong.toml", REMINDER.replace('"sms"', '"smoke"') + trigger("B").replace("enabled", "enabeld"))

    done = await here.cli("triggers", "apply", str(wrong), "--yes")

    assert done.code == 1
    lines = done.err.splitlines()
    assert len(lines) == 2
    assert "wrong.toml \"Reminder\", action: 'smoke'; allowed: sms" in lines[0]
    assert "wrong.toml \"B\", enabeld: is not a known key; did you mean 'enabled'?" in lines[1]


async def test_a_trigger_s_tests_are_run_and_one_that_fails_keeps_it_from_being_switched_on(here: Installation) -> None:
    assert "ok  Reminder  (1 tests)" in (await here.done("triggers", "test", "Reminder")).out

    refused = await here.cli("triggers", "apply", str(here.write("wrong.toml", WRONG_TEST)), "--yes")
    assert refused.code == 1
    assert "test[1].send_at: expected 2030-06-07, got 2030-06-06T00:00" in refused.err

    off = WRONG_TEST.replace("enabled = true", "enabled = false")
    await here.done("triggers", "apply", str(here.write("off.toml", off)), "--yes")
    assert (await here.cli("triggers", "test")).code == 1


async def test_what_is_exported_to_a_folder_is_applied_again_without_a_change(here: Installation) -> None:
    folder = here.folder / "exported"

    await here.done("triggers", "export", "--to", str(folder))

    assert tomllib.loads((folder / "session.toml").read_text())["trigger"] == tomllib.loads(REMINDER)["trigger"]
    assert (await here.done("triggers", "diff", str(folder))).code == 0
    again = await here.cli("triggers", "export", "--to", str(folder))
    assert (again.code, "is there already" in again.err) == (1, True)


async def test_how_far_it_is_stands_on_a_terminal_and_nowhere_else(here: Installation) -> None:
    edited = str(here.write("edited.toml", MOVED))

    piped = await here.cli("triggers", "diff", edited)
    shown = [
        await on_a_terminal(here, "triggers", "diff", edited),
        await on_a_terminal(here, "triggers", "apply", edited, "--yes"),
    ]

    assert piped.err == ""
    assert all("100 %  1 of 1" in one for one in shown)


async def on_a_terminal(here: Installation, *words: str) -> str:
    """What a verb says to the terminal it is typed at, beside what it prints."""
    ours, theirs = os.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "control_center", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=theirs,
            env=here.environment(),
            cwd=here.folder,
        )
        async with asyncio.timeout(60):
            await process.communicate()
        return os.read(ours, 65536).decode()
    finally:
        os.close(theirs)
        os.close(ours)


SPOKEN = REMINDER.replace("See you soon!", "Questions? {{ studio.phone }}")
NUMBERLESS = 'id = "main"\nname = "Lakeside Portraits"\ntimezone = "America/Chicago"\n'


async def test_a_trigger_whose_words_the_studio_cannot_fill_in_is_named_when_it_is_switched_on_and_by_check(
    here: Installation,
) -> None:
    off = here.write("off.toml", SPOKEN.replace("enabled = true", "enabled = false"))
    await here.done("triggers", "apply", str(here.write("on.toml", SPOKEN)), "--yes")

    await here.done("studios", "put", str(here.write("studio.toml", NUMBERLESS)))
    assert "Reminder', text: writes studio.phone, and the studio 'main' has none" in (await here.cli("check")).out

    warned = await here.done("triggers", "apply", str(off), "--yes")
    assert "! text: writes studio.phone, and the studio 'main' has none" in warned.out
    refused = await here.cli("triggers", "enable", "Reminder", "--yes")
    assert (refused.code, "give it one with `studios put`" in refused.err) == (1, True)


async def test_a_trigger_is_copied_and_removed_by_name_with_what_waits_under_it(here: Installation) -> None:
    assert "saved: Reminder (copy), switched off" in (await here.done("triggers", "copy", "Reminder")).out
    await here.done("triggers", "copy", "Reminder", "Another")

    assert (await here.cli("triggers", "remove", "Reminder")).code == 1
    removed = await here.done("triggers", "remove", "Reminder", "--yes")

    assert "1 pending: 1 vanish" in removed.out
    assert await here.value("SELECT state FROM actions") == "deleted"
    names = [one["name"] for one in (await here.json("triggers", "list"))["items"]]
    assert names == ["Another", "Reminder (copy)"]


async def test_nothing_is_saved_unseen_for_a_machine_that_did_not_say_yes(here: Installation) -> None:
    edited = str(here.write("edited.toml", MOVED))

    for words in (("apply", edited), ("rollback", "Reminder", "1"), ("disable", "Reminder", "--pending", "hold")):
        done = await here.cli("triggers", *words, "--json")
        assert done.code == (0 if words[0] == "rollback" else 1), done  # to roll back to what it says is no change
    assert await here.value("SELECT version FROM triggers") == 1


async def test_a_template_is_shown_as_the_file_it_could_stand_in(here: Installation) -> None:
    text = 'kind = "session"\npurpose = "transactional"\nsms = "Say \\"hi\\""\ntext = """\nHi\n\nthere\n"""\n'
    await here.done("templates", "apply", str(here.write("words.toml", text)))

    assert (await here.done("templates", "show", "words")).out.rstrip("\n") == text.rstrip("\n")
    assert "there is no template 'nope'" in (await here.cli("templates", "show", "nope")).err
