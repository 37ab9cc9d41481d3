"""Due actions become messages and commands, wait, or end with their reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from control_center.domain import planner
from control_center.domain.blackouts import Blackout
from control_center.engine import blackouts, review
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db
from tests.support.crm import client, event, session
from tests.support.rows import a_studio, a_trigger
from tests.support.sayings import said

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def take_in(pool: db.Pool, *bodies: bytes, at: datetime = NOON) -> None:
    await Intake(pool, lambda: at).take_in(bodies)


async def release(pool: db.Pool, at: datetime = NOON) -> None:
    clock: Callable[[], datetime] = lambda: at  # noqa: E731 - a clock that stands still
    while await Release(pool, clock).run_once():
        pass


async def the_action(pool: db.Pool) -> Any:
    (row,) = await pool.fetch("SELECT * FROM actions")
    return row


async def messages_of(pool: db.Pool) -> list[tuple[str, str]]:
    return [tuple(row) for row in await pool.fetch("SELECT channel, address FROM messages ORDER BY channel, address")]


TODAY: dict[str, Any] = {"activate": {"on": "status_changed"}}


async def test_a_due_action_becomes_one_text_to_each_ticked_number(pool: db.Pool) -> None:
    await a_trigger(pool, **TODAY)
    phones = [
        {"number": "(312) 555-0188", "sms": True},
        {"number": "+1 312 555 0189", "sms": True},
        {"number": "312-555-0188", "sms": True},
        {"number": "(312) 555-0190", "sms": False},
    ]

    await take_in(pool, event(session(), about=client(phones=phones)))
    await release(pool)

    assert await messages_of(pool) == [("sms", "+13125550188"), ("sms", "+13125550189")]
    assert (await the_action(pool))["state"] == "released"


async def test_sms_or_email_takes_the_second_leg_where_no_number_takes_texts(pool: db.Pool) -> None:
    await a_trigger(pool, action="sms_or_email", **TODAY)

    await take_in(pool, event(session(), about=client(phones=[{"number": "(312) 555-0188", "sms": False}])))
    await release(pool)

    assert await messages_of(pool) == [("email", "jo@mail.example")]
    assert "no number that takes texts" in (await the_action(pool))["reason"]


async def test_a_number_that_said_stop_counts_as_no_number(pool: db.Pool) -> None:
    await a_trigger(pool, action="sms_or_email", **TODAY)
    async with db.transaction(pool) as tx:
        await said(tx, "+13125550188")

    await take_in(pool, event(session(), about=client()))
    await release(pool)

    assert await messages_of(pool) == [("email", "jo@mail.example")]
    assert "opted out" in (await the_action(pool))["reason"]


async def test_email_and_sms_are_both_sent_each_on_its_own(pool: db.Pool) -> None:
    await a_trigger(pool, action="email_and_sms", **TODAY)

    await take_in(pool, event(session(), about=client()))
    await release(pool)

    assert await messages_of(pool) == [("email", "jo@mail.example"), ("sms", "+13125550188")]


async def test_an_action_with_nobody_to_write_to_ends_and_says_so(pool: db.Pool) -> None:
    await a_trigger(pool, **TODAY)

    await take_in(pool, event(session(client=None)))
    await release(pool)

    action = await the_action(pool)
    assert (action["state"], action["reason"]) == ("expired", "no recipient: the session has no client")
    (report,) = await pool.fetch("SELECT verb, data FROM commands")
    assert report["verb"] == "action.lapsed"
    assert json.loads(report["data"])["reason"] == action["reason"]


async def test_a_record_without_a_client_never_reaches_the_client_who_happens_to_have_its_id(pool: db.Pool) -> None:
    await a_trigger(pool, **TODAY)
    await take_in(pool, event(about=client("4711")))

    await take_in(pool, event(session("4711", client=None)))
    await release(pool)

    assert await messages_of(pool) == []


async def test_a_call_becomes_a_command_to_the_crm(pool: db.Pool) -> None:
    await a_trigger(
        pool, action="call", text="Ask about {{ session.type }}", call={"type": "Booking", "due_days": 2}, **TODAY
    )

    await take_in(pool, event(session(), about=client(), event_id="e-1"))
    await release(pool)

    (command,) = await pool.fetch("SELECT verb, subject, data FROM commands")
    data = json.loads(command["data"])
    assert (command["verb"], command["subject"]) == ("create_call", "session/4711")
    assert (data["client_id"], data["call_type"], data["due_date"]) == ("c-12", "Booking", "2026-11-25")
    assert data["note"] == "Ask about Wedding"
    assert data["cause"]["event_id"] == "e-1"


async def test_a_status_change_becomes_a_command_to_the_crm(pool: db.Pool) -> None:
    await a_trigger(pool, action="change_status", text=None, change_status={"to": "Thanked"}, **TODAY)

    await take_in(pool, event(session(), about=client()))
    await release(pool)

    (command,) = await pool.fetch("SELECT verb, data FROM commands")
    assert (command["verb"], json.loads(command["data"])["status"]) == ("change_status", "Thanked")


async def test_a_manual_action_waits_for_a_person_who_processes_it(pool: db.Pool) -> None:
    await a_trigger(pool, processing={"mode": "manual", "window": "03:00-04:00", "not_on": ["mon"]}, **TODAY)
    await take_in(pool, event(session(), about=client()))
    await release(pool)
    action = await the_action(pool)
    assert action["state"] == "review"

    done = await review.process(pool, lambda: NOON, "main", [action["action_id"]], by="Ada")

    assert [state.value for state, _ in done.values()] == ["released"]
    assert (await the_action(pool))["released_by"] == "Ada"
    assert len(await messages_of(pool)) == 1


async def test_a_deleted_action_never_sends(pool: db.Pool) -> None:
    await a_trigger(pool, processing={"mode": "manual"}, **TODAY)
    await take_in(pool, event(session(), about=client()))
    await release(pool)
    action = await the_action(pool)

    await review.delete(pool, lambda: NOON, "main", [action["action_id"]], by="Ada")
    await take_in(pool, event(session(version=2), "updated"))
    await release(pool)

    assert (await the_action(pool))["state"] == "deleted"
    assert await messages_of(pool) == []


@pytest.mark.parametrize(
    ("processing", "until", "reason"),
    [
        ({"window": "14:00-16:00"}, datetime(2026, 11, 23, 20, tzinfo=UTC), "outside the window 14:00-16:00"),
        ({"not_on": ["mon"]}, datetime(2026, 11, 24, 6, tzinfo=UTC), "excluded weekday (Monday)"),
    ],
)
async def test_closed_hours_hold_an_action_and_it_says_until_when_and_why(
    pool: db.Pool, processing: dict[str, Any], until: datetime, reason: str
) -> None:
    await a_trigger(pool, processing={"mode": "automatic", **processing}, **TODAY)

    await take_in(pool, event(session(status_changed_at="2026-11-23T17:59:00Z"), about=client()))
    await release(pool)

    action = await the_action(pool)
    assert (action["state"], action["due_at"], action["reason"]) == ("planned", until, reason)


async def test_a_blackout_day_holds_and_its_removal_sends_at_once(pool: db.Pool) -> None:
    clock = lambda: NOON  # noqa: E731 - a clock that stands still
    day = await blackouts.add(pool, clock, "main", Blackout.on("Staff day", NOON.date()), by="ada")
    await a_trigger(pool, **TODAY)
    await take_in(pool, event(session(), about=client()))
    await release(pool)
    waiting = await the_action(pool)
    assert (waiting["state"], waiting["reason"]) == ("planned", "blackout day (Staff day)")
    assert waiting["due_at"] == datetime(2026, 11, 24, 6, tzinfo=UTC)

    await blackouts.remove(pool, clock, "main", day, by="ada")
    await release(pool)

    assert (await the_action(pool))["state"] == "released"


async def test_a_blackout_day_set_later_moves_what_was_planned_for_it(pool: db.Pool) -> None:
    await a_trigger(
        pool, activate={"on": "session", "days": -7}, processing={"mode": "automatic", "window": "09:00-18:00"}
    )
    await take_in(pool, event(session(), about=client()))

    await blackouts.add(
        pool, lambda: NOON, "main", Blackout.on("Fair", datetime(2027, 6, 5, tzinfo=UTC).date()), by="ada"
    )

    action = await the_action(pool)
    assert action["due_at"] == datetime(2027, 6, 6, 14, tzinfo=UTC)
    assert action["reason"] == "blackout day (Fair)"


@pytest.mark.parametrize(
    ("flag", "reason"),
    [("on_hold", "on hold"), ("confirmed", "already confirmed"), ("canceled", "canceled")],
)
async def test_an_exclusion_that_is_true_when_due_drops_the_action_and_its_end_brings_it_back(
    pool: db.Pool, flag: str, reason: str
) -> None:
    await a_trigger(pool, exclude={flag: True}, **TODAY)
    await take_in(pool, event(session(flags={flag: True}), about=client()))
    await release(pool)
    lapsed = await the_action(pool)
    assert lapsed["state"] == "lapsed"
    assert reason in lapsed["reason"]

    await take_in(pool, event(session(version=2, flags={flag: False}), "updated"))
    await release(pool)

    assert (await the_action(pool))["state"] == "released"


async def test_past_its_use_by_an_action_expires(pool: db.Pool) -> None:
    await a_trigger(pool, use_by="2h", **TODAY)

    await take_in(pool, event(session(status_changed_at="2026-11-23T15:00:00Z"), about=client()))
    await release(pool)

    action = await the_action(pool)
    assert action["state"] == "expired"
    assert action["reason"].startswith("use-by")


async def test_a_studio_switched_off_releases_nothing(pool: db.Pool) -> None:
    await a_trigger(pool, **TODAY)
    await take_in(pool, event(session(), about=client()))
    await pool.execute("UPDATE studios SET enabled = false, revision = revision + 1")

    await release(pool)

    assert (await the_action(pool))["state"] == "planned"


async def test_many_releases_at_once_make_each_message_once(pool: db.Pool) -> None:
    await a_trigger(pool, ceiling=0, **TODAY)
    people = [event(session(str(n), client=f"c-{n}"), about=client(f"c-{n}")) for n in range(600)]
    await take_in(pool, *people)

    await asyncio.gather(*(release(pool) for _ in range(6)))

    assert await pool.fetchval("SELECT count(*) FROM messages") == 600
    assert await pool.fetchval("SELECT count(*) FROM actions WHERE state = 'released'") == 600


async def test_a_status_already_superseded_when_its_event_arrives_fires_nothing(pool: db.Pool) -> None:
    await a_trigger(pool, **TODAY)
    await take_in(
        pool, event(session(version=3, status="Delivered", status_changed_at="2026-11-23T17:00:00Z"), "status_changed")
    )
    await release(pool)

    await take_in(pool, event(session(version=2), "status_changed", about=client()))
    await release(pool)

    assert await messages_of(pool) == []


async def test_an_action_that_waits_is_looked_at_again_only_when_its_time_comes(pool: db.Pool) -> None:
    await a_trigger(pool, processing={"mode": "automatic", "window": "14:00-16:00"}, **TODAY)
    await take_in(pool, event(session(status_changed_at="2026-11-23T17:59:00Z"), about=client()))

    await release(pool)
    later = NOON + timedelta(hours=2)
    assert await Release(pool, lambda: NOON).next_due() == later
    await release(pool, later)

    assert (await the_action(pool))["state"] == "released"


async def test_a_backlog_is_released_by_two_batches_at_a_time_and_each_action_once(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control_center.engine.release.BATCH", 7)
    await a_trigger(pool, **TODAY)
    await take_in(pool, *(event(session(str(n), client=None), about=None) for n in range(3)))
    await take_in(
        pool,
        *(
            event(
                session(f"s{n}", client=f"c-{n}"),
                about=client(f"c-{n}", phones=[{"number": f"312555{n:04}", "sms": True}]),
            )
            for n in range(60)
        ),
    )

    await Release(pool, lambda: NOON).catch_up()

    assert len(await messages_of(pool)) == 60
    assert await pool.fetchval("SELECT count(*) FROM actions WHERE state = 'planned'") == 0


async def test_every_line_about_an_action_names_its_trigger(pool: db.Pool) -> None:
    await a_trigger(pool, name="Thanks", **TODAY)
    await take_in(pool, event(session(), about=client()))

    with capture_logs() as lines:
        await release(pool)

    (line,) = (line for line in lines if line["event"] == "action.released")
    assert line["trigger"] == "Thanks"


async def test_an_action_that_we_fail_on_is_held_for_a_person_and_stops_no_other(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(rule: Any, picture: Any, *rest: Any, **named: Any) -> Any:
        if picture.record_id == "s1":
            raise ZeroDivisionError("a fault of ours")
        return planner.decide(rule, picture, *rest, **named)

    await a_trigger(pool, **TODAY)
    for name in ("s0", "s1", "s2"):
        told = session(name, client=f"c-{name}", status_changed_at="2026-11-23T17:59:00Z")
        await take_in(pool, event(told, about=client(f"c-{name}")))
    monkeypatch.setattr("control_center.engine.release.decide", failing)

    with capture_logs() as lines:
        await release(pool)

    rows = await pool.fetch("SELECT record_id, state, reason FROM actions ORDER BY record_id")
    assert [tuple(row) for row in rows] == [
        ("s0", "released", ""),
        ("s1", "held", "our own fault: ZeroDivisionError; the log says more"),
        ("s2", "released", ""),
    ]
    assert [line["action"] for line in lines if line["event"] == "action.fault"] == ["a-2"]
    assert await pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'action.held'") == 1
