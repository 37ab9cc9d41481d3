"""A status that a trigger has changed comes back as an event: it fires others, and never its own trigger again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from control_center.domain.errors import Malformed
from control_center.engine import trigger_changes, triggers
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db
from tests.support.crm import client, event, session
from tests.support.rows import a_studio, a_trigger

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)
AT_ONCE: dict[str, Any] = {"activate": {"on": "status_changed"}, "processing": {"mode": "automatic"}}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def moves_on(pool: db.Pool) -> None:
    """Every booked session becomes `Shot`; whatever enters a status is thanked for."""
    changes: dict[str, Any] = {"action": "change_status", "change_status": {"to": "Shot"}, "text": None}
    await a_trigger(pool, name="Moves on", status="Booked", **changes, **AT_ONCE)
    await a_trigger(pool, name="Thanks", status=None, **AT_ONCE)


async def take_in(pool: db.Pool, *bodies: bytes) -> None:
    await Intake(pool, lambda: NOON).take_in(bodies)


async def released(pool: db.Pool) -> None:
    while await Release(pool, lambda: NOON).run_once():
        pass


async def the_command(pool: db.Pool) -> dict[str, Any]:
    (row,) = await pool.fetch("SELECT command_id, data FROM commands WHERE verb = 'change_status'")
    return {"id": row[0], **json.loads(row[1])}


async def actions_of(pool: db.Pool, version: str) -> dict[str, tuple[str, str]]:
    rows = await pool.fetch(
        "SELECT name, state, chain FROM actions JOIN triggers USING (studio_id, trigger_id) WHERE occurrence LIKE $1",
        f"{version}@%",
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def test_a_change_that_answers_a_command_fires_others_that_know_where_it_came_from(pool: db.Pool) -> None:
    await moves_on(pool)
    await take_in(pool, event(session(), about=client()))
    await released(pool)
    asked = await the_command(pool)
    assert asked["cause"]["depth"] == 1

    shot = session(version=2, status="Shot", status_changed_at="2026-11-23T12:00")
    await take_in(pool, event(shot, "status_changed", causedby=asked["id"]))

    first = await pool.fetchval("SELECT trigger_id FROM triggers WHERE name = 'Moves on'")
    assert await actions_of(pool, "Shot") == {"Thanks": ("planned", str(first))}


async def test_without_the_commands_id_the_change_we_asked_for_within_ten_minutes_is_the_answer(pool: db.Pool) -> None:
    await moves_on(pool)
    await take_in(pool, event(session(), about=client()))
    await released(pool)

    shot = session(version=2, status="Shot", status_changed_at="2026-11-23T12:00")
    await take_in(pool, event(shot, "status_changed"))

    first = await pool.fetchval("SELECT trigger_id FROM triggers WHERE name = 'Moves on'")
    assert await actions_of(pool, "Shot") == {"Thanks": ("planned", str(first))}


async def test_the_ten_minutes_count_from_when_the_command_was_out(pool: db.Pool) -> None:
    await moves_on(pool)
    await take_in(pool, event(session(), about=client()))
    await released(pool)
    await pool.execute(
        "UPDATE commands SET created_at = created_at - interval '1 hour', state = 'published', published_at = now()"
    )

    shot = session(version=2, status="Shot", status_changed_at="2026-11-23T12:00")
    await take_in(pool, event(shot, "status_changed"))

    first = await pool.fetchval("SELECT trigger_id FROM triggers WHERE name = 'Moves on'")
    assert await actions_of(pool, "Shot") == {"Thanks": ("planned", str(first))}


async def test_an_answer_is_known_as_one_also_where_another_change_comes_right_behind_it(pool: db.Pool) -> None:
    await moves_on(pool)
    await take_in(pool, event(session(), about=client()))
    await released(pool)
    asked = await the_command(pool)
    await pool.execute("UPDATE commands SET created_at = created_at - interval '11 minutes'")

    shot = session(version=2, status="Shot", status_changed_at="2026-11-23T12:00")
    await take_in(
        pool,
        event(shot, "status_changed", causedby=asked["id"]),
        event({**shot, "version": 3, "fields": {"location": "Lakeside"}}, "updated"),
    )

    first = await pool.fetchval("SELECT trigger_id FROM triggers WHERE name = 'Moves on'")
    assert await actions_of(pool, "Shot") == {"Thanks": ("planned", str(first))}


async def test_of_two_changes_that_we_asked_for_each_is_known_by_its_status(pool: db.Pool) -> None:
    for name, status in [("Shoots", "Shot"), ("Tags", "Tagged")]:
        changes: dict[str, Any] = {"action": "change_status", "change_status": {"to": status}, "text": None}
        await a_trigger(pool, name=name, status="Booked", **changes, **AT_ONCE)
    await a_trigger(pool, name="Thanks", status=None, **AT_ONCE)
    await take_in(pool, event(session(), about=client()))
    await released(pool)

    await take_in(
        pool, event(session(version=2, status="Shot", status_changed_at="2026-11-23T12:00"), "status_changed")
    )

    first = await pool.fetchval("SELECT trigger_id FROM triggers WHERE name = 'Shoots'")
    assert await actions_of(pool, "Shot") == {"Thanks": ("planned", str(first))}


@pytest.mark.parametrize("how", ["another status", "long ago"])
async def test_a_change_that_we_did_not_ask_for_begins_anew(pool: db.Pool, how: str) -> None:
    await moves_on(pool)
    await take_in(pool, event(session(), about=client()))
    await released(pool)
    if how == "long ago":
        await pool.execute("UPDATE commands SET created_at = created_at - interval '11 minutes'")

    status = "Lost" if how == "another status" else "Shot"
    later = session(version=2, status=status, status_changed_at="2026-11-23T12:00")
    await take_in(pool, event(later, "status_changed"))

    assert await actions_of(pool, status) == {"Thanks": ("planned", "")}


async def test_a_write_back_to_its_own_status_fires_nothing_of_its_own(pool: db.Pool) -> None:
    changes: dict[str, Any] = {"action": "change_status", "change_status": {"to": "Booked"}, "text": None}
    await a_trigger(pool, name="Stays", status="Booked", **changes, **AT_ONCE)
    await take_in(pool, event(session(), about=client()))
    await released(pool)

    again = session(version=2, status_changed_at="2026-11-23T12:00")
    with capture_logs() as lines:
        await take_in(pool, event(again, "status_changed", causedby=(await the_command(pool))["id"]))
    await released(pool)

    rows = await pool.fetch("SELECT state, reason FROM actions ORDER BY action_id")
    assert [tuple(row) for row in rows] == [
        ("released", ""),
        ("baselined", "chain: this change came of the trigger itself"),
    ]
    assert await pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'change_status'") == 1
    [said] = [line for line in lines if line["event"] == "chain.stopped"]
    assert (said["record"], said["reason"]) == ("session/4711", rows[1]["reason"])


async def test_a_status_that_flaps_within_the_time_it_must_hold_fires_once_or_not_at_all(pool: db.Pool) -> None:
    await a_trigger(pool, name="Calm", status="Booked", must_hold="15m", **AT_ONCE)
    at = {version: f"2026-11-23T11:{50 + version}" for version in (1, 2, 3)}
    await take_in(
        pool,
        event(session(status_changed_at=at[1]), about=client()),
        event(session(version=2, status="Lost", status_changed_at=at[2]), "status_changed"),
    )
    await released(pool)
    assert await pool.fetchval("SELECT count(*) FROM messages") == 0

    await take_in(pool, event(session(version=3, status_changed_at=at[3]), "status_changed"))
    await released(pool)
    assert await pool.fetchval("SELECT count(*) FROM messages") == 0
    later = datetime(2026, 11, 23, 18, 9, tzinfo=UTC)
    while await Release(pool, lambda: later).run_once():
        pass
    assert await pool.fetchval("SELECT count(*) FROM messages") == 1


def changing(name: str, status: str, to: str, **more: Any) -> dict[str, Any]:
    keys = {"name": name, "record": "session", "status": status, "activate": {"on": "status_changed"}}
    return {**keys, "action": "change_status", "change_status": {"to": to}, "enabled": True, **more}


def clock() -> datetime:
    return NOON


async def test_triggers_that_would_go_round_in_a_circle_are_refused_when_the_last_is_saved(
    pool: db.Pool,
) -> None:
    await triggers.put(pool, clock, "main", changing("ping", "Booked", "Shot"), by="Ada")
    await triggers.put(pool, clock, "main", changing("pong", "Shot", "Booked", enabled=False), by="Ada")

    with pytest.raises(Malformed, match="'ping' sets off 'pong' sets off 'ping'") as refused:
        await triggers.switch(pool, clock, "main", "pong", on=True, by="Ada")

    assert refused.value.field == 'trigger "pong", change_status.to'
    assert not await pool.fetchval("SELECT enabled FROM triggers WHERE name = 'pong'")


async def test_a_circle_is_shown_before_it_is_saved(pool: db.Pool) -> None:
    await triggers.put(pool, clock, "main", changing("ping", "Booked", "Shot"), by="Ada")
    pong = changing("pong", "Shot", "Booked")

    with pytest.raises(Malformed, match="goes round in a circle"):
        await trigger_changes.preview(pool, clock, "main", pong)
    with pytest.raises(Malformed, match="goes round in a circle") as refused:
        await trigger_changes.plan(pool, clock, "main", [("a.toml", pong)])

    assert refused.value.field == 'a.toml "pong", change_status.to'


@pytest.mark.parametrize("how", ["ends it", "removes it"])
async def test_a_circle_is_judged_by_all_that_is_saved_at_once(pool: db.Pool, how: str) -> None:
    """One file turns the way round: while it is saved table by table, both ways would be there for a moment."""
    await triggers.put(pool, clock, "main", changing("ping", "Booked", "Shot"), by="Ada")
    tables = [("a.toml", changing("pong", "Shot", "Booked"))]
    if how == "ends it":
        tables.append(("a.toml", changing("ping", "Booked", "Lost")))
    remove = ["ping"] if how == "removes it" else []

    await trigger_changes.plan(pool, clock, "main", tables, prune=bool(remove))
    await triggers.apply(pool, clock, "main", tables, by="Ada", remove=remove)

    assert await pool.fetchval("SELECT enabled FROM triggers WHERE name = 'pong'")
