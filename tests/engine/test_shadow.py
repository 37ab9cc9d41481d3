"""A trigger in shadow mode runs live and only writes down what it would have done."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from control_center.engine import triggers
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db
from tests.support.crm import client, event, session
from tests.support.rows import a_studio

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def saved(pool: db.Pool, **keys: Any) -> None:
    """The trigger in shadow mode, or as these keys say."""
    table = {
        "name": "Thanks",
        "record": "session",
        "status": "Booked",
        "activate": {"on": "status_changed"},
        "action": "sms",
        "text": "Hello {{ client.first_name }}, {{ today }}",
        "processing": {"mode": "automatic"},
        "shadow": True,
        "enabled": True,
        **keys,
    }
    await triggers.put(
        pool, lambda: NOON, "main", {key: value for key, value in table.items() if value is not None}, by="a test"
    )


async def booked(pool: db.Pool, session_id: str = "4711", **about: Any) -> None:
    shown = session(session_id, status_changed_at="2026-11-23T17:59:00Z")
    await Intake(pool, lambda: NOON).take_in([event(shown, about=client(**about))])
    while await Release(pool, lambda: NOON).run_once():
        pass


async def rows(pool: db.Pool, table: str) -> list[Any]:
    return list(await pool.fetch(f"SELECT * FROM {table}"))


async def test_what_it_would_have_sent_is_written_down_in_its_words_and_no_worker_may_take_it(pool: db.Pool) -> None:
    await saved(pool)

    await booked(pool)

    (message,) = await rows(pool, "messages")
    assert (message["state"], message["address"]) == ("shadow", "+13125550188")
    assert message["body"] == "Hello Jo, Monday, November 23"
    assert message["ended_at"] is not None
    (action,) = await rows(pool, "actions")
    assert (action["state"], action["reason"]) == ("released", "shadow: only recorded")


async def test_a_command_it_would_have_given_stands_in_the_action_s_reason_only(pool: db.Pool) -> None:
    await saved(pool, action="call", text="Ask about {{ session.type }}", then_status="Called")

    await booked(pool)

    assert [row for row in await rows(pool, "commands") if "." not in row["verb"]] == []
    (action,) = await rows(pool, "actions")
    assert action["reason"] == (
        "shadow: would have asked the CRM for call for client c-12 (Ask about Wedding), change_status (Called)"
    )


async def test_words_that_cannot_be_written_are_written_down_with_the_reason(pool: db.Pool) -> None:
    await saved(pool, text="Dear {{ client.last_name }}")

    await booked(pool, last_name=None)

    (message,) = await rows(pool, "messages")
    assert (message["state"], message["body"], message["reason"]) == ("shadow", None, "template: client.last_name")


async def test_nobody_was_asked_so_no_answer_is_waited_for_and_nobody_is_enrolled(pool: db.Pool) -> None:
    await saved(pool, action="confirmation_sms", text="Reply YES", referral={"program": "Spring"})

    await booked(pool)

    (message,) = await rows(pool, "messages")
    assert (message["question"], message["enrols"]) == (None, None)


async def test_a_shadow_passes_no_ceiling(pool: db.Pool) -> None:
    await saved(pool, ceiling=1)

    await booked(pool)
    await booked(pool, "4712")

    assert [row["state"] for row in await rows(pool, "actions")] == ["released", "released"]


async def test_switching_the_shadow_off_is_a_version_and_sends_what_comes_then_but_nothing_again(pool: db.Pool) -> None:
    await saved(pool)
    await booked(pool)

    await saved(pool, shadow=None)
    await booked(pool)
    await booked(pool, "4712")

    versions = [json.loads(row["definition"]).get("shadow") for row in await rows(pool, "trigger_versions")]
    assert versions == [True, None]
    found = {(row["record_id"], row["state"], row["trigger_version"]) for row in await rows(pool, "messages")}
    assert found == {("4711", "shadow", 1), ("4712", "queued", 2)}
