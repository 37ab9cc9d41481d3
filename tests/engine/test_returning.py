"""What was released and stopped before anything of it left goes on where its record qualifies again."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import cases, db, messages, rulebooks, studios
from control_center.store.messages import Claimed
from tests.support.crm import client, event, session, snapshot
from tests.support.rows import a_studio, a_trigger
from workers.writing import prepare

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)
A, B = "2026-11-25T14:00", "2026-12-20T14:00"
REMINDER: dict[str, Any] = {"exclude": {"on_hold": True}, "use_by": "7d"}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


class Desk:
    """A studio at one hour: what the CRM says, release, and a worker that claims and looks once more."""

    def __init__(self, pool: db.Pool) -> None:
        self.pool = pool
        self.version = 0
        self.owner = uuid.uuid4()

    async def says(self, date: str = A, **keys: Any) -> None:
        self.version += 1
        told = session(version=self.version, dates={"session": date}, **keys)
        body = event(told, "updated" if self.version > 1 else "created", about=client())
        await Intake(self.pool, lambda: NOON).take_in([body])

    async def release(self) -> None:
        await Release(self.pool, lambda: NOON).catch_up()

    async def claim(self) -> list[Claimed]:
        async with db.session(self.pool) as tx:
            since, lease = datetime(1970, 1, 1, tzinfo=UTC), timedelta(minutes=5)
            return await messages.claim_due(tx, "sms/default", self.owner, since=since, lease=lease, limit=10)

    async def look(self, claimed: list[Claimed]) -> list[messages.Return]:
        """The last check of what was claimed, as everything is now; what may not go is to be put back."""
        async with db.session(self.pool) as tx:
            book = await rulebooks.read(tx, (await studios.get(tx, ["main"]))["main"])
            found = [prepare(case, book, NOON) for case in await cases.gather(tx, claimed, self.owner)]
        return [one for one in found if isinstance(one, messages.Return)]

    async def put_back(self, returns: list[messages.Return]) -> None:
        async with db.session(self.pool) as tx:
            await messages.put_back(tx, returns)

    async def check(self) -> None:
        await self.put_back(await self.look(await self.claim()))

    async def actions(self) -> dict[str, str]:
        rows = await self.pool.fetch("SELECT occurrence, state FROM actions ORDER BY action_id")
        return {row[0][:10]: row[1] for row in rows}

    async def texts(self) -> list[str]:
        return [row[0] for row in await self.pool.fetch("SELECT state FROM messages ORDER BY message_id")]


async def test_a_reminder_that_was_stopped_by_a_hold_goes_when_the_hold_is_lifted(pool: db.Pool) -> None:
    desk = Desk(pool)
    await a_trigger(pool, **REMINDER)
    await desk.says()
    await desk.release()
    await desk.says(flags={"on_hold": True})
    await desk.check()
    assert await desk.texts() == ["cancelled"]

    await desk.says(flags={"on_hold": False})
    assert await desk.actions() == {"2026-11-25": "planned"}
    await desk.release()

    assert await desk.actions() == {"2026-11-25": "released"}
    assert await desk.texts() == ["queued"]
    assert await desk.look(await desk.claim()) == []


async def test_a_session_that_moves_away_and_back_before_its_reminder_left_is_reminded_of(pool: db.Pool) -> None:
    desk = Desk(pool)
    await a_trigger(pool, moved="nothing")
    await desk.says(A)
    await desk.release()
    await desk.says(B)
    await desk.check()
    assert await desk.texts() == ["cancelled"]

    await desk.says(A)
    await desk.release()

    assert await desk.actions() == {"2026-11-25": "released", "2026-12-20": "lapsed"}
    assert await desk.texts() == ["queued"]


async def test_so_it_is_where_the_reminder_of_the_other_date_was_stopped_as_well(pool: db.Pool) -> None:
    desk = Desk(pool)
    near = "2026-11-26T10:00"
    await a_trigger(pool, moved="nothing")
    for date in (A, near):
        await desk.says(date)
        await desk.release()
    await desk.says("2027-05-05T10:00")
    await desk.check()
    assert await desk.texts() == ["cancelled", "cancelled"]

    await desk.says(A)
    await desk.release()

    assert await desk.texts() == ["queued", "cancelled"]


async def test_what_was_asked_of_a_provider_never_returns(pool: db.Pool) -> None:
    desk = Desk(pool)
    await a_trigger(pool, **REMINDER)
    await desk.says()
    await desk.release()
    await pool.execute("UPDATE messages SET state = 'cancelled', asked = 1, ended_at = now()")

    await desk.says(flags={"on_hold": False})

    assert await desk.actions() == {"2026-11-25": "released"}


async def test_what_an_edit_has_set_aside_does_not_come_back(pool: db.Pool) -> None:
    desk = Desk(pool)
    await a_trigger(pool, **REMINDER)
    await desk.says()
    await desk.release()
    await desk.says(status="Quoted")
    await desk.check()

    await desk.says(status="Quoted", flags={"on_hold": True})

    assert await desk.actions() == {"2026-11-25": "released"}
    assert await desk.texts() == ["cancelled"]


async def test_a_message_is_not_ended_for_what_is_not_so_any_more(pool: db.Pool) -> None:
    """The hold is lifted between the worker's look and its word: the word would leave a reminder that never went."""
    desk = Desk(pool)
    await a_trigger(pool, **REMINDER)
    await desk.says()
    await desk.release()
    await desk.says(flags={"on_hold": True})
    stopped = await desk.look(await desk.claim())
    assert [one.state.value for one in stopped] == ["cancelled"]

    await desk.says(flags={"on_hold": False})
    await desk.put_back(stopped)

    assert await desk.texts() == ["queued"]
    assert await pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'message.failed'") == 0


async def test_a_date_that_a_snapshot_puts_right_is_reminded_of(pool: db.Pool) -> None:
    desk = Desk(pool)
    await a_trigger(pool, **REMINDER)
    await desk.says(A)
    await desk.says(B)
    before = await pool.fetch("SELECT state FROM actions ORDER BY action_id")
    assert [row[0] for row in before] == ["lapsed", "planned"]

    right = snapshot(records=[session(version=3, dates={"session": A})], clients=[])
    await Intake(pool, lambda: NOON).take_in([right])
    await desk.release()

    after = await pool.fetch("SELECT state FROM actions ORDER BY action_id")
    assert [row[0] for row in after] == ["released", "lapsed"]
