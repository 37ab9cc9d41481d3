"""Events in, actions waiting: batches, copies, versions, history."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from control_center.engine.intake import Intake
from control_center.store import db
from tests.support.crm import client, event, session, snapshot
from tests.support.rows import a_studio, a_trigger

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


@pytest.fixture
def intake(pool: db.Pool) -> Intake:
    return Intake(pool, lambda: NOW)


async def actions_of(pool: db.Pool) -> list[tuple[Any, ...]]:
    rows = await pool.fetch("SELECT record_id, occurrence, state FROM actions ORDER BY record_id, occurrence")
    return [tuple(row) for row in rows]


async def planned(pool: db.Pool) -> list[tuple[Any, ...]]:
    rows = await pool.fetch("""
        SELECT kind, record_id, trigger_id, occurrence, activation_at, due_at, use_by FROM actions
         WHERE state = 'planned' ORDER BY kind, record_id, trigger_id, occurrence""")
    return [tuple(row) for row in rows]


async def records_of(pool: db.Pool) -> list[tuple[Any, ...]]:
    rows = await pool.fetch("""
        SELECT kind, record_id, version, body, client_id, deleted, first_version, first_facts, known_since
          FROM records ORDER BY kind, record_id""")
    return [tuple(row) for row in rows]


async def test_a_booked_session_waits_for_its_reminder(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(
        pool, activate={"on": "session", "days": -7}, processing={"mode": "automatic", "window": "09:00-18:00"}
    )

    await intake.take_in([event(session(), about=client())])

    (row,) = await planned(pool)
    assert row[3] == "2027-06-12T14:00:00"
    assert row[5] == datetime(2027, 6, 5, 14, tzinfo=UTC)  # 09:00 in Chicago


async def test_an_event_that_comes_again_changes_nothing(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool)
    body = event(session())

    first = await intake.take_in([body, body])
    again = await intake.take_in([body] * 100)

    assert (len(first.new), len(first.duplicates)) == (1, 1)
    assert (len(again.new), len(again.duplicates)) == (0, 100)
    assert len(await actions_of(pool)) == 1


async def test_the_same_id_with_another_body_is_the_same_event_the_first_wins(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in([event(session(status="Booked"), event_id="one")])

    other = event(session(version=2, status="Canceled"), event_id="one")
    taken = await intake.take_in([other])

    (record,) = await records_of(pool)
    assert record[2] == 1
    assert (taken.new, taken.duplicates) == ([], [])
    assert [(one.body, one.field) for one in taken.dead] == [(other, "id")]
    assert await pool.fetchval("SELECT body FROM dead_events") == other


async def test_within_one_batch_too_the_first_of_an_id_wins_and_what_says_otherwise_is_set_aside(
    pool: db.Pool, intake: Intake
) -> None:
    first, other = event(session("1"), event_id="one"), event(session("2"), event_id="one")

    taken = await intake.take_in([first, other, first, event(session("3"))])

    assert (len(taken.new), len(taken.duplicates)) == (2, 1)
    assert [one.body for one in taken.dead] == [other]
    assert await pool.fetch("SELECT body FROM events WHERE event_id = 'one'") == [(first.decode(),)]


async def test_a_copy_may_be_written_otherwise_as_long_as_it_says_the_same(pool: db.Pool, intake: Intake) -> None:
    body = event(session(), event_id="one")
    spaced = json.dumps(json.loads(body), indent=1, sort_keys=True).encode()
    await intake.take_in([body])

    taken = await intake.take_in([spaced, body])

    assert (taken.new, len(taken.duplicates), taken.dead) == ([], 2, [])


async def test_an_older_version_never_overwrites_a_newer_one_and_fires_nothing(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool, status="Inquiry", activate={"on": "status_changed"})
    await intake.take_in([event(session(version=5, status="Booked"))])

    await intake.take_in([event(session(version=4, status="Inquiry"), "status_changed")])

    assert (await records_of(pool))[0][2] == 5
    assert await actions_of(pool) == []
    assert await pool.fetchval("SELECT verdict FROM events ORDER BY received_at DESC LIMIT 1") == "superseded"


async def test_a_poison_event_costs_its_neighbours_nothing(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool)
    bodies = [event(session(str(n))) for n in range(10)]
    bodies[5] = b"not json"
    bodies[7] = event(session("7", status_changed_at="2026-02-30"))

    taken = await intake.take_in(bodies)

    assert len(taken.new) == 8
    assert len(await planned(pool)) == 8
    dead = await pool.fetch("SELECT body, field, reason FROM dead_events ORDER BY dead_id")
    assert [row["field"] for row in dead] == ["", "data.record.status_changed_at"]
    assert dead[0]["body"] == b"not json"


async def test_an_event_on_which_we_ourselves_fail_costs_its_neighbours_nothing(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool)
    await pool.execute("""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.record_id = '13' THEN RAISE EXCEPTION 'no' USING errcode = '22000'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON records FOR EACH ROW EXECUTE FUNCTION fail()""")

    taken = await intake.take_in([event(session(str(n))) for n in range(30)])

    assert len(taken.new) == 29
    assert len(await planned(pool)) == 29
    (dead,) = await pool.fetch("SELECT reason FROM dead_events")
    assert dead["reason"] == "our own fault: DataError: no"


async def test_an_event_of_an_unknown_studio_is_set_aside(pool: db.Pool, intake: Intake) -> None:
    taken = await intake.take_in([event(session(), studio="elsewhere")])

    assert taken.new == []
    assert (await pool.fetchrow("SELECT field, reason FROM dead_events"))["field"] == "studio"


async def test_over_http_what_is_not_understood_is_answered_and_not_stored(pool: db.Pool, intake: Intake) -> None:
    taken = await intake.take_in([b"not json"], keep_dead=False)

    assert len(taken.dead) == 1
    assert await pool.fetchval("SELECT count(*) FROM dead_events") == 0


async def test_a_snapshot_loads_and_fires_nothing(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool, activate={"on": "status_changed"})
    await a_trigger(pool, activate={"on": "session", "days": -7})

    await intake.take_in([snapshot(records=[session()], clients=[client()])])

    assert [(row[1], row[2]) for row in await actions_of(pool)] == [
        ("2027-06-12T14:00:00", "planned"),
        ("Booked@2026-11-21T16:04:05+00:00", "baselined"),
    ]


@pytest.mark.parametrize("together", [True, False])
async def test_a_snapshot_fires_nothing_also_where_news_of_the_same_record_comes_with_it(
    pool: db.Pool, intake: Intake, *, together: bool
) -> None:
    await a_trigger(pool, activate={"on": "status_changed"})
    await intake.take_in([event(session(status="Inquiry", status_changed_at="2026-11-20T10:00:00Z"))])
    bodies = [snapshot(records=[session(version=5)]), event(session(version=6, type="Portrait"), "updated")]

    for batch in [bodies] if together else [[body] for body in bodies]:
        await intake.take_in(batch)

    assert [(row[1][:6], row[2]) for row in await actions_of(pool)] == [("Booked", "baselined")]


@pytest.mark.parametrize("together", [True, False])
async def test_news_fires_also_where_a_snapshot_of_the_same_record_comes_behind_it(
    pool: db.Pool, intake: Intake, *, together: bool
) -> None:
    await a_trigger(pool, activate={"on": "status_changed"})
    await intake.take_in([event(session(status="Inquiry", status_changed_at="2026-11-20T10:00:00Z"))])
    bodies = [event(session(version=5), "status_changed"), snapshot(records=[session(version=6, type="Portrait")])]

    for batch in [bodies] if together else [[body] for body in bodies]:
        await intake.take_in(batch)

    assert [(row[1][:6], row[2]) for row in await actions_of(pool)] == [("Booked", "planned")]


async def test_a_record_that_lived_before_us_brings_no_old_news(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool, activate={"on": "status_changed"})
    old = session(status_changed_at="2026-10-01T12:00:00Z")

    await intake.take_in([event(old, "updated")])

    assert [row[2] for row in await actions_of(pool)] == ["baselined"]


async def test_the_status_change_that_a_first_event_reports_is_news(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool, activate={"on": "status_changed"})

    await intake.take_in([event(session(), "status_changed")])

    assert [row[2] for row in await actions_of(pool)] == ["planned"]


async def test_a_moved_session_moves_its_reminder(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool)
    await intake.take_in([event(session())])

    await intake.take_in([event(session(version=2, dates={"session": "2027-07-01T10:00"}), "updated")])

    assert [(row[1], row[2]) for row in await actions_of(pool)] == [
        ("2027-06-12T14:00:00", "lapsed"),
        ("2027-07-01T10:00:00", "planned"),
    ]


async def test_a_session_moved_back_gets_its_first_reminder_back(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool)
    await intake.take_in([event(session())])
    await intake.take_in([event(session(version=2, dates={"session": "2027-07-01T10:00"}), "updated")])

    await intake.take_in([event(session(version=3), "updated")])

    assert [(row[1], row[2]) for row in await actions_of(pool)] == [
        ("2027-06-12T14:00:00", "planned"),
        ("2027-07-01T10:00:00", "lapsed"),
    ]


async def test_a_canceled_session_drops_its_reminder(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool)
    await intake.take_in([event(session())])

    await intake.take_in([event(session(version=2, status="Canceled"), "status_changed")])

    assert [row[2] for row in await actions_of(pool)] == ["lapsed"]


async def test_a_deleted_session_drops_what_is_planned(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool)
    await intake.take_in([event(session())])

    await intake.take_in([event(session(version=2), "deleted")])

    assert [row[2] for row in await actions_of(pool)] == ["lapsed"]


async def test_a_session_on_hold_keeps_its_planned_reminder(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool, exclude={"on_hold": True})
    await intake.take_in([event(session())])

    await intake.take_in([event(session(version=2, flags={"on_hold": True}), "updated")])

    assert [row[2] for row in await actions_of(pool)] == ["planned"]


async def test_two_engines_that_meet_the_same_new_record_make_one_action(pool: db.Pool) -> None:
    await a_trigger(pool)
    engines = [Intake(pool, lambda: NOW) for _ in range(6)]

    await asyncio.gather(*(engine.take_in([event(session(), about=client())]) for engine in engines))

    assert len(await actions_of(pool)) == 1
    assert len(await records_of(pool)) == 2


def a_days_events(sessions: int) -> list[bytes]:
    """Sessions that are created, change status, move, go on hold and come back; in the order they happened."""
    dice = random.Random(4711)
    bodies = []
    for n in range(sessions):
        changed, day = 5, 1
        for version in range(1, dice.randint(2, 8)):
            if dice.random() < 0.4:
                changed += 1
            if dice.random() < 0.3:
                day = dice.randint(1, 28)
            record = session(
                str(n),
                version=version,
                client=f"c-{n % 37}",
                status=("Booked", "Inquiry", "Delivered")[changed % 3],
                status_changed_at=f"2026-11-21T16:04:{changed:02}Z",
                dates={"session": f"2027-06-{day:02}T14:00", "booked": "2026-11-21"},
                flags={"on_hold": dice.random() < 0.1},
            )
            verb = "created" if version == 1 else dice.choice(("updated", "status_changed"))
            about = client(f"c-{n % 37}", version=n + 1) if dice.random() < 0.5 else None
            bodies.append(event(record, verb, about=about, time=f"2026-11-21T16:05:{version:02}Z"))
    return bodies


async def test_the_order_and_repetition_of_events_make_no_difference(pool: db.Pool, intake: Intake) -> None:
    await a_trigger(pool, activate={"on": "status_changed"})
    await a_trigger(pool, activate={"on": "session", "days": -7}, late="skip")
    await a_trigger(pool, status="Delivered", activate={"on": "status_changed", "days": 3})
    bodies = a_days_events(150)
    await intake.take_in(bodies[:77])
    await intake.take_in(bodies[77:])
    in_order = await records_of(pool), await planned(pool)
    await pool.execute("TRUNCATE events, records, actions")

    shuffled = [*bodies, *bodies[::3]]
    random.Random(1).shuffle(shuffled)
    for start in range(0, len(shuffled), 50):
        await intake.take_in(shuffled[start : start + 50])

    # A client seen first inside two different events is known since one or the other.
    def without_clients(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return [row for row in rows if row[0] != "client"]

    records, waiting = await records_of(pool), await planned(pool)
    assert without_clients(records) == without_clients(in_order[0])
    assert [row[:3] for row in records] == [row[:3] for row in in_order[0]]
    assert waiting == in_order[1]
    assert len(waiting) > 100
