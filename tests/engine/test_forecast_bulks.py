"""What a forecast says of bulks is what their lists then send; and a text costs what it says, how to stop included."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from control_center.domain.bulk import Audience
from control_center.domain.consent import Purpose, Said
from control_center.domain.forecast import Fate, Line
from control_center.domain.identity import HOW_TO_STOP
from control_center.domain.sms import segments
from control_center.domain.tally import Tally
from control_center.domain.zones import zone
from control_center.engine import bulks, consenting
from control_center.engine.bulks import Wish
from control_center.engine.forecast import Asked, forecast
from control_center.engine.intake import Intake
from control_center.engine.pump import Pump
from control_center.store import db
from control_center.store.bulks import Bulk
from control_center.store.consents import Saying
from tests.support.crm import client, event, session
from tests.support.rows import a_client, a_message, a_studio, a_trigger

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
OURS = "+13125550100"
OFFER = {"kind": "any", "purpose": "marketing", "sms": "Hello {{ client.first_name }}, our spring offer is here."}
ALLOWED = {"sms": True, "email": True}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    await a_template(opened)
    yield opened
    await opened.close()


async def a_template(pool: db.Pool, name: str = "offer", **parts: Any) -> None:
    body = msgspec.json.encode({**OFFER, **parts}).decode()
    await pool.execute("INSERT INTO templates (studio_id, name, body) VALUES ('main', $1, $2)", name, body)


async def people(pool: db.Pool, count: int, **body: Any) -> None:
    for n in range(count):
        phones = [{"number": f"+1312555{n:04}", "sms": True}]
        emails = [{"address": f"jo{n}@mail.example"}]
        given = {"allow_marketing": ALLOWED, "phones": phones, "emails": emails, "first_name": f"Jo{n}", **body}
        await a_client(pool, f"c-{n:03}", **given)


async def settings(pool: db.Pool, *, sms: dict[str, Any] | None = None, **keys: Any) -> None:
    known = json.loads(await pool.fetchval("SELECT settings FROM studios"))
    changed = {**known, **keys, "sms": {**known["sms"], **(sms or {})}}
    await pool.execute("UPDATE studios SET settings = $1, revision = revision + 1", json.dumps(changed))


async def scheduled(pool: db.Pool, at: datetime = NOON + timedelta(days=1), **wish: Any) -> Bulk:
    """A bulk to every client that is let go, to begin at a time."""
    wanted = Wish(Audience("client"), wish.pop("template", "offer"), **wish)
    one = await bulks.create(pool, lambda: NOON, "main", wanted, by="Ada")
    listed = await pool.fetchval(
        "SELECT count(*) FROM bulk_recipients WHERE state = 'listed' AND bulk_id = $1", one.bulk_id
    )
    return await bulks.start(pool, lambda: NOON, "main", one.bulk_id, expect=listed, at=at, by="Ada")


async def foreseen(pool: db.Pool, at: datetime = NOON, **asked: Any) -> list[Line]:
    return [one async for one in forecast(pool, "main", Asked(**asked), at)]


async def pumped(pool: db.Pool, start: datetime, *, days: int = 3) -> list[tuple[datetime, str, str]]:
    """What the pump releases while time passes, and whatever is queued is handed over at once: when, to whom, what."""
    clock = [start]
    pump, sent = Pump(pool, lambda: clock[0]), []
    while True:
        while await pump.run_once():
            rows = await pool.fetch("SELECT message_id, address, body FROM messages WHERE state = 'queued' ORDER BY 1")
            sent += [(clock[0], row["address"], row["body"]) for row in rows]
            await pool.execute("UPDATE messages SET state = 'accepted', sent_at = $1 WHERE state = 'queued'", clock[0])
        due = await pump.next_due()
        if due is None or due > start + timedelta(days=days):
            return sent
        clock[0] = max(due, clock[0])


async def says_stop(pool: db.Pool, number: str) -> None:
    async with db.transaction(pool) as tx:
        stop = Saying("main", "sms", number, Said.STOP, "reply", "STOP", Purpose.MARKETING)
        await consenting.say(tx, stop, NOON)


# Bulks ------------------------------------------------------------------------------------------------------


async def test_a_scheduled_bulk_is_foreseen_as_it_then_goes_line_by_line(pool: db.Pool) -> None:
    await people(pool, 4)
    one = await scheduled(pool)
    await says_stop(pool, "+13125550002")  # once the list was frozen
    await a_client(pool, "c-far", phones=[{"number": "+18085550188", "sms": True}])

    lines = await foreseen(pool)

    assert {one.bulk for one in lines} == {f"b-{one.bulk_id}"}
    assert [(line.fate, line.record, line.leg) for line in lines if line.fate is not Fate.GOES] == [
        (Fate.LAPSES, "client/c-002", "sms")
    ]
    going = [(line.at, line.address, line.text) for line in lines if line.fate is Fate.GOES]
    assert going == await pumped(pool, NOON)
    assert going[0][2] == "Hello Jo0, our spring offer is here."


async def test_who_is_elsewhere_is_written_to_in_the_hours_of_their_own(pool: db.Pool) -> None:
    await people(pool, 1)
    await a_client(pool, "c-far", allow_marketing=ALLOWED, phones=[{"number": "+18085550188", "sms": True}])
    early = datetime(2026, 11, 24, 16, tzinfo=UTC)  # 10:00 in Chicago, 06:00 in Honolulu

    await scheduled(pool, early)
    lines = await foreseen(pool)

    assert [line.at for line in lines] == sorted(line.at for line in lines)
    assert [(line.at, line.address, line.text) for line in lines] == await pumped(pool, NOON)
    assert lines[0].at == early
    assert "Pacific/Honolulu" in lines[1].shifts[-1]


async def test_a_list_that_is_longer_than_the_day_of_its_number_goes_on_over_days(pool: db.Pool) -> None:
    await people(pool, 7)
    await settings(pool, sms={"limits": {"number": {"per_day": 4}, "bulk_percent": 75}})
    await scheduled(pool, NOON)

    lines = await foreseen(pool)

    days = Tally(zone("America/Chicago"), "day")
    for one in lines:
        days.add(one)
    assert [(group.name, group.goes, group.segments) for group in days.ordered()] == [
        ("2026-11-23", 3, 3),
        ("2026-11-24", 3, 3),
        ("2026-11-25", 1, 1),
    ]
    assert lines[3].shifts[0] == f"limit: the day of {OURS} is full"
    assert lines[3].shifts[1].startswith("quiet hours:")


async def test_a_bulk_waits_for_days_that_are_closed_also_if_only_what_if(pool: db.Pool) -> None:
    await people(pool, 1)
    await scheduled(pool)

    (line,) = await foreseen(pool, closed=(date(2026, 11, 24),))

    assert line.at.date() == date(2026, 11, 25)
    assert any(reason.startswith("blackout day (what if)") for reason in line.shifts)


@pytest.mark.parametrize("state", ["review", "paused", "cancelled", "done"])
async def test_a_bulk_that_nobody_has_let_go_or_that_was_stopped_is_not_foreseen(pool: db.Pool, state: str) -> None:
    await people(pool, 2)
    one = await scheduled(pool)
    await pool.execute(
        "UPDATE bulks SET state = $1, next_at = NULL, ended_at = CASE WHEN $1 IN ('cancelled', 'done') THEN now() END"
        " WHERE bulk_id = $2",
        state,
        one.bulk_id,
    )
    assert await foreseen(pool) == []


async def test_what_a_running_bulk_has_sent_is_not_foreseen_again(pool: db.Pool) -> None:
    await people(pool, 3)
    await settings(pool, sms={"limits": {"number": {"per_second": 0.2}}})
    await scheduled(pool, NOON)
    await Pump(pool, lambda: NOON).run_once()
    sent = await pool.fetchval("SELECT count(*) FROM messages")

    assert 0 < sent < 3
    assert len(await foreseen(pool)) == 3 - sent


async def test_of_one_trigger_no_bulk_is_foreseen_and_of_one_client_only_theirs(pool: db.Pool) -> None:
    await people(pool, 3)
    await a_trigger(pool, "Reminder")
    await scheduled(pool)

    assert await foreseen(pool, trigger="Reminder") == []
    assert [one.client for one in await foreseen(pool, client="c-001")] == ["c-001"]


async def test_words_that_cannot_be_written_for_one_fail_for_that_one(pool: db.Pool) -> None:
    await people(pool, 1)
    await a_client(pool, "c-nobody", first_name=None, allow_marketing=ALLOWED)
    await scheduled(pool)

    failing = [one for one in await foreseen(pool) if one.fate is Fate.FAILS]

    assert [(one.client, one.text, one.reason) for one in failing] == [
        ("c-nobody", None, "template: client.first_name")
    ]


async def test_a_bulk_by_email_is_foreseen_with_its_subject(pool: db.Pool) -> None:
    await people(pool, 1)
    await a_template(
        pool, "mail", purpose="transactional", sms=None, subject="Spring", text="Hi {{ client.first_name }}"
    )
    await scheduled(pool, template="mail", channel="email")

    (line,) = await foreseen(pool)

    assert (line.leg, line.address, line.subject, line.text) == ("email", "jo0@mail.example", "Spring", "Hi Jo0")
    assert line.segments is None


async def test_marketing_of_a_bulk_and_of_a_trigger_share_the_day_of_a_number(pool: db.Pool) -> None:
    await people(pool, 1)
    await settings(pool, marketing_per_day=1)
    await a_trigger(pool, "Cards", purpose="marketing", activate={"on": "session", "days": -9}, use_by="30d")
    person = client("c-000", phones=[{"number": "+13125550000", "sms": True}], allow_marketing=ALLOWED)
    booked = session("s-1", client="c-000", dates={"session": "2026-12-03T10:00"})
    await Intake(pool, lambda: NOON).take_in([event(booked, about=person)])
    await scheduled(pool, datetime(2026, 11, 24, 20, tzinfo=UTC))

    lines = await foreseen(pool)

    assert [(one.trigger, one.bulk, one.at.day) for one in lines] == [("Cards", None, 24), ("", "b-1", 25)]
    assert lines[1].shifts[-1].startswith("marketing cap: one marketing text a day to one number, and a-")


@pytest.mark.parametrize("purpose", ["marketing", "transactional"])
async def test_where_days_are_kept_calm_an_offer_gives_way_to_a_bulk_that_went_that_day(
    pool: db.Pool, purpose: str
) -> None:
    await people(pool, 1)
    await settings(pool, marketing_per_day=2, calm_day="move")
    await a_template(pool, "news", purpose=purpose)
    keys: dict[str, Any] = {"purpose": "marketing", "activate": {"on": "session", "days": -9}, "use_by": "30d"}
    await a_trigger(pool, "Cards", processing={"mode": "automatic", "window": "13:00-18:00"}, **keys)
    person = client("c-000", phones=[{"number": "+13125550000", "sms": True}], allow_marketing=ALLOWED)
    booked = session("s-1", client="c-000", dates={"session": "2026-12-04T10:00"})
    await Intake(pool, lambda: NOON).take_in([event(booked, about=person)])
    await scheduled(pool, datetime(2026, 11, 25, 15, 30, tzinfo=UTC), template="news")

    lines = await foreseen(pool)

    # The 26th is Thanksgiving, on which no marketing is texted.
    assert [(one.trigger, one.bulk, one.at.day) for one in lines] == [("", "b-1", 25), ("Cards", None, 27)]
    assert lines[1].shifts[-1].startswith("calm day: the client was written to today already (b-1 no. 1)")


async def test_a_studio_that_is_switched_off_sends_nothing_of_its_bulks(pool: db.Pool) -> None:
    await people(pool, 1)
    await scheduled(pool)
    await pool.execute("UPDATE studios SET enabled = false")

    (line,) = await foreseen(pool)

    assert (line.fate, line.reason.partition(":")[0]) == (Fate.HELD, "studio")


async def test_whom_a_bulk_no_longer_reaches_in_time_is_told(pool: db.Pool) -> None:
    await people(pool, 4)
    await settings(pool, sms={"limits": {"number": {"per_day": 2}, "bulk_percent": 100}})
    await scheduled(pool, NOON, lasts=timedelta(hours=12))

    assert [one.fate for one in await foreseen(pool)] == [Fate.GOES] * 2 + [Fate.EXPIRES] * 2


# How to stop ------------------------------------------------------------------------------------------------


async def test_the_first_text_to_a_number_is_foreseen_with_how_to_stop_and_pays_for_it(pool: db.Pool) -> None:
    await settings(pool, sms={"identify": True})
    long = "Hello {{ client.first_name }}, " + "a" * 110
    await a_trigger(pool, "Week before", text=long)
    await a_trigger(pool, "Day before", activate={"on": "session", "days": -1}, text=long)
    await a_message(pool, address="+13125550009", state="delivered")
    for number in (8, 9):
        person = client(f"c-{number}", phones=[{"number": f"+1312555000{number}", "sms": True}])
        booked = session(f"s-{number}", client=f"c-{number}", dates={"session": "2026-12-03T10:00"})
        await Intake(pool, lambda: NOON).take_in([event(booked, about=person)])

    lines = await foreseen(pool)

    told = {(one.trigger, one.client): (one.text or "").endswith(HOW_TO_STOP) for one in lines}
    assert told == {
        ("Week before", "c-8"): True,
        ("Week before", "c-9"): False,
        ("Day before", "c-8"): False,
        ("Day before", "c-9"): False,
    }
    assert [one.segments for one in lines] == [segments(one.text or "").count for one in lines]
    assert {one.segments for one in lines if told[one.trigger, one.client or ""]} == {2}
    assert {one.segments for one in lines if not told[one.trigger, one.client or ""]} == {1}


async def test_a_bulk_is_foreseen_with_how_to_stop_for_whom_it_is_the_first_text(pool: db.Pool) -> None:
    await settings(pool, sms={"identify": True})
    await people(pool, 3)
    await a_message(pool, address="+13125550001", state="accepted")
    await scheduled(pool)

    lines = await foreseen(pool)

    assert [(one.at, one.address, one.text) for one in lines] == await pumped(pool, NOON)
    assert [HOW_TO_STOP in (one.text or "") for one in lines] == [True, False, True]


async def test_after_a_bulk_a_reminder_says_no_more_how_to_stop(pool: db.Pool) -> None:
    await settings(pool, sms={"identify": True})
    await people(pool, 1)
    await a_trigger(pool, "Week before")
    person = client("c-000", phones=[{"number": "+13125550000", "sms": True}], allow_marketing=ALLOWED)
    booked = session("s-1", client="c-000", dates={"session": "2026-12-03T10:00"})
    await Intake(pool, lambda: NOON).take_in([event(booked, about=person)])
    await scheduled(pool)

    assert [(one.bulk, HOW_TO_STOP in (one.text or "")) for one in await foreseen(pool)] == [
        ("b-1", True),
        (None, False),
    ]


async def test_looking_ahead_at_bulks_changes_nothing_stored(pool: db.Pool) -> None:
    await people(pool, 3)
    await scheduled(pool)
    tables = ("bulks", "bulk_recipients", "messages", "senders", "day_shares")

    async def stored() -> list[Any]:
        return [[tuple(row) for row in await pool.fetch(f"SELECT * FROM {name} ORDER BY 1, 2, 3")] for name in tables]

    before = await stored()
    assert len(await foreseen(pool)) == 3
    assert await stored() == before
