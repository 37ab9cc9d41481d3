"""One event, from the CRM to the provider, told by everything an administrator can look at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.bookings import booking, phone
from tests.support.broker import publish
from tests.support.checker import check
from tests.support.installation import Installation
from tests.support.programs import Program

pytestmark = pytest.mark.process

Needs = Callable[[str], Path]


@pytest.fixture
async def running(installation: Installation) -> tuple[Installation, Program]:
    return installation, await installation.run()


async def test_an_event_that_a_foreign_program_publishes_becomes_one_text_with_a_story(
    running: tuple[Installation, Program], needs: Needs
) -> None:
    here, program = running
    body = booking("4711", number=3)
    amqp = await asyncio.create_subprocess_exec(
        needs("amqp-publish"), "--url", here.broker_url, "-e", "crm.events",
        "-r", "main.session.created", "-C", "application/cloudevents+json", "-p", "-b", body.decode(),
    )  # fmt: skip
    assert await amqp.wait() == 0

    (line,) = await here.sent(1)
    assert line["to"] == phone(3)
    assert line["text"].startswith("Hi Jo, see you on ")
    assert line["from"] == "+13125550100"
    await here.calm()
    await _tells_its_story(here, line["message"])
    await _leaves_its_trail(program, line["message"])
    assert not (await check(here, [body])).faults
    assert len(here.outbox()) == 1


async def _tells_its_story(here: Installation, message: str) -> None:
    words = (await here.done("explain", message)).out
    assert "accepted by the provider" in words
    assert "delivered" in words
    told = await here.json("explain", message)
    story = " ".join(part for step in told["steps"] for part in (step["text"], *step["ids"]))
    assert told["id"] == message
    assert [step["at"] for step in told["steps"]] == sorted(step["at"] for step in told["steps"])
    for part in ("4711-1", "'Booked'", "was released", message, "delivered"):
        assert part in story, part
    shown = await here.json("messages", "show", message)
    assert (shown["state"], shown["record"], shown["trigger"]) == ("delivered", "session/4711", "Booked")


async def _leaves_its_trail(program: Program, message: str) -> None:
    """One id follows the cause from the event over the action to the message, in the lines of three processes."""
    received = await program.wait_for("event.received", event_id="4711-1")
    released = await program.wait_for("action.released", event_id="4711-1", record=received["record"])
    accepted = await program.wait_for("message.accepted", event_id="4711-1", action=released["action"])
    delivered = await program.wait_for("message.delivered", message=message)
    assert accepted["message"] == message
    assert accepted["attempt"] == f"{message}.1"
    for line in (received, released, accepted, delivered):
        assert {"timestamp", "level", "event", "studio"} <= line.keys()
    said = str(program.log)
    assert phone(3) not in said
    assert "see you" not in said
    # Nobody listens to reports here, which is worth a line.
    complaints = [line for line in program.log if line["level"] in ("warning", "error")]
    assert {line["event"] for line in complaints} <= {"command.unroutable"}


async def test_the_same_event_published_a_hundred_times_is_one_text(running: tuple[Installation, Program]) -> None:
    here, program = running
    body, last = booking("4711"), booking("4712", number=1)
    await publish(here.broker_url, [body] * 100)
    await publish(here.broker_url, [last])

    await here.sent(2)
    await here.calm()
    assert len(here.outbox()) == 2
    assert not (await check(here, [body, last])).faults
    assert len(program.lines("event.received", event_id="4711-1")) == 1
    assert len(program.lines("event.duplicate", event_id="4711-1")) == 99


async def test_a_status_that_is_superseded_when_its_event_arrives_fires_nothing(
    running: tuple[Installation, Program],
) -> None:
    here, program = running
    newer = booking("4711", version=2, verb="status_changed", status="Completed")
    older = booking("4711", version=1)
    other = booking("4712", number=1)
    await publish(here.broker_url, [newer, older, other])

    await here.sent(1)
    await here.calm()
    await program.wait_for("event.received", event_id="4711-1")
    assert [line["to"] for line in here.outbox()] == [phone(1)]
    assert not (await check(here, [newer, older, other])).faults
    assert await here.sql("SELECT verdict FROM events WHERE event_id = '4711-1'") == [("superseded",)]
    assert "changed nothing" in (await here.done("explain", "4711-1")).out
