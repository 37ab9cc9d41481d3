"""A session moves while its text passes the point of no return: of the two one is first, and the other one knows.

What an event decides hangs on whether anybody was told of the date before. So nothing may be told of that date between
the look at it and the commit, and whoever is late sees what the other did.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest

from control_center.domain.outcome import Accepted, CannotTell, Lookup, Outcome, Text
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.engine.templates import put as put_template
from control_center.store import db, submissions
from tests.support.crm import client, event, session
from tests.support.programs import eventually
from tests.support.rows import a_studio, a_trigger
from workers.delivery import Delivery

NOON: Final = datetime(2026, 11, 23, 18, tzinfo=UTC)
FIRST, SECOND, FAR = "2026-11-25T14:00", "2026-11-26T15:00", "2026-12-20T14:00"
BLOCKED: Final = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
WITHIN: Final = 60.0


class Phone:
    """A provider that takes everything; what it was asked to send is what the client was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def submit(self, message: Text) -> Outcome:
        self.told.append(message.body)
        return Accepted(f"SM-{message.key}")

    async def lookup(self, _message: Text, _known: Collection[str] = ()) -> Lookup:
        return CannotTell("a phone")

    async def close(self) -> None:
        pass


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_hot_pool(database_url, application="test", size=6)
    await a_studio(opened)
    await put_template(opened, "main", "moved", {"kind": "session", "sms": "Now: {{ session.date }}"}, by="Ada")
    yield opened
    await opened.close()


@pytest.fixture
def phone() -> Phone:
    return Phone()


def worker(pool: db.Pool, phone: Phone) -> Delivery:
    return Delivery(pool, phone, account="sms/default", owner=uuid4(), clock=lambda: NOON, slots=16)


async def reminded(pool: db.Pool, **keys: Any) -> None:
    """A trigger that tells clients of the date a week before."""
    words = {"text": "{{ session.date }}", "activate": {"on": "session", "days": -7}}
    await a_trigger(pool, **{**words, **({"moved_template": "moved"} if keys.get("moved") == "tell" else {}), **keys})


async def shows(pool: db.Pool, version: int, at: str, number: str = "4711") -> None:
    """The CRM says so, and it is committed, as far as this pool commits."""
    verb = "created" if version == 1 else "updated"
    about = client(f"c-{number}", phones=[{"number": f"+1312555{number}", "sms": True}]) if version == 1 else None
    told = event(session(number, client=f"c-{number}", version=version, dates={"session": at}), verb, about=about)
    await Intake(pool, lambda: NOON).take_in([told])


async def released(pool: db.Pool, *, later: int = 0) -> None:
    """All that is due has become messages, so many minutes later."""
    await Release(pool, lambda: NOON + timedelta(minutes=later)).catch_up()


async def delivered(pool: db.Pool, phone: Phone) -> None:
    """Everything that may go now has gone."""
    one = worker(pool, phone)
    stop = asyncio.Event()
    running = asyncio.create_task(one.run(stop))

    async def over() -> bool:
        waits = await pool.fetchval(
            "SELECT count(*) FROM messages WHERE state IN ('queued', 'claimed', 'submitting') AND due_at <= now()"
        )
        return running.done() or not waits

    try:
        await eventually(over, within=WITHIN, what="all of it has gone")
    finally:
        stop.set()
        await running


async def passes(one: Delivery) -> None:
    """One step of a worker with what it has in hand, and a second one that writes down what its provider said."""
    await one._step()
    await asyncio.gather(*one._sends._flying.values())
    await one._step()


async def occurrences(pool: db.Pool) -> dict[str, str]:
    rows = await pool.fetch("SELECT occurrence, state FROM actions ORDER BY action_id")
    return {row[0].replace("T14:00:00", "").replace("T15:00:00", "")[5:]: row[1] for row in rows}


async def test_nobody_is_told_of_a_date_that_is_just_taken_back(pool: db.Pool, phone: Phone) -> None:
    """Told of the first date, moved to the second, moved back: told of the second meanwhile, and of nothing more."""
    await reminded(pool)
    await shows(pool, 1, FIRST)
    await released(pool)
    await delivered(pool, phone)
    await shows(pool, 2, SECOND)
    await released(pool, later=1)
    one = worker(pool, phone)

    async with db.transaction(pool) as tx:
        await shows(db.inside(tx), 3, FIRST)  # it waits, and so will be stopped: the client knows the first date
        await one._refill()  # … but a worker has it in hand before that is committed
        await passes(one)
    await passes(one)
    await released(pool)
    await delivered(pool, phone)

    assert phone.told[-1].endswith("November 25"), "what they heard last is how it is"
    assert len(phone.told) == 1, "and nothing was told of that is not so"


async def test_what_is_told_first_is_known_to_the_event_that_takes_it_back(pool: db.Pool, phone: Phone) -> None:
    await reminded(pool)
    await shows(pool, 1, FIRST)
    await released(pool)
    await delivered(pool, phone)
    await shows(pool, 2, SECOND)
    await released(pool, later=1)
    one = worker(pool, phone)
    await one._refill()
    ready = list(one._ready)
    assert len(ready) == 1

    async with db.transaction(pool) as tx:
        lease, margin = timedelta(seconds=90), timedelta(seconds=45)
        assert len(await submissions.step(tx, [], ready, lease=lease, margin=margin)) == 1
        back = asyncio.create_task(shows(pool, 3, FIRST))

        async def waits() -> bool:
            return back.done() or bool(await pool.fetchval(BLOCKED))

        await eventually(waits, within=WITHIN, what="the event waits for the mark, or has overtaken it")
        assert not back.done(), "else it decides on what is not so any more"
    await back

    assert await occurrences(pool) == {"11-25": "released", "11-26": "released", "11-25#2": "planned"}


@pytest.mark.parametrize("policy", ["nothing", "tell", "remind"])
async def test_what_a_worker_holds_and_has_not_marked_has_told_nobody(pool: db.Pool, phone: Phone, policy: str) -> None:
    """It is stopped since its session has moved: were it taken for said, nobody would be reminded of anything."""
    await reminded(pool, moved=policy)
    await shows(pool, 1, FIRST)
    await released(pool)
    one = worker(pool, phone)
    await one._refill()

    await shows(pool, 2, FAR)
    await passes(one)
    await released(pool)

    assert phone.told == []
    assert await occurrences(pool) == {"11-25": "released", "12-20": "planned"}


async def test_what_is_released_while_its_session_moves_tells_nobody_of_the_date_before(
    pool: db.Pool, phone: Phone
) -> None:
    await reminded(pool, moved="tell")
    await shows(pool, 1, FIRST)

    async with db.transaction(pool) as tx:
        await tx.execute("SELECT FROM records WHERE kind = 'session' FOR UPDATE")  # as the event does, and then reads
        await released(pool)
        one = worker(pool, phone)
        await one._refill()
        await passes(one)
        await shows(db.inside(tx), 2, FAR)
    await passes(one)
    await released(pool)

    assert phone.told == []
    assert await occurrences(pool) == {"11-25": "released", "12-20": "planned"}


async def test_a_record_that_is_just_changing_holds_up_nobody_elses_text(pool: db.Pool, phone: Phone) -> None:
    await reminded(pool)
    for number in ("4711", "4712"):
        await shows(pool, 1, FIRST, number)
    await released(pool)
    one = worker(pool, phone)
    await one._refill()

    async with db.transaction(pool) as tx:
        await shows(db.inside(tx), 2, SECOND)
        async with asyncio.timeout(WITHIN):
            await passes(one)
        assert len(phone.told) == 1
        assert await pool.fetchval("SELECT record_id FROM messages WHERE state = 'accepted'") == "4712"


async def test_what_release_makes_in_that_moment_is_known_to_the_event(pool: db.Pool) -> None:
    """A call is for the studio's people to make, and counts as said: no worker has a last look at it."""
    await reminded(pool, moved="nothing", action="call", send_to=["client"])
    await shows(pool, 1, FIRST)

    async with db.transaction(pool) as tx:
        assert not await Release(db.inside(tx), lambda: NOON).run_once()
        moved = asyncio.create_task(shows(pool, 2, FAR))

        async def waits() -> bool:
            return moved.done() or bool(await pool.fetchval(BLOCKED))

        await eventually(waits, within=WITHIN, what="the event waits for release, or has overtaken it")
    await moved

    assert await occurrences(pool) == {"11-25": "released", "12-20": "baselined"}
