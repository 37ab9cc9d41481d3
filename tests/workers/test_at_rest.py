"""A worker that can do nothing waits for whatever would let it do something, and does not look again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import pytest

from control_center.domain.outcome import Accepted, CannotTell, Lookup, Outcome, Text
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.loop import first_of
from control_center.store import db
from tests.support.crm import client, event, session
from tests.support.days import noon_near
from tests.support.programs import eventually
from tests.support.rows import a_studio, a_trigger
from workers import delivery
from workers.delivery import Delivery

NOON: Final = noon_near()
SLOTS: Final = 4
RESTS: Final = 5  # in a row, before anybody says that it rests


class Slow:
    """A provider that answers when the test lets it."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.flying = 0

    async def submit(self, message: Text) -> Outcome:
        self.flying += 1
        await self.answers.wait()
        return Accepted(f"SM-{message.key}")

    async def lookup(self, _message: Text, _known: Collection[str] = ()) -> Lookup:
        return CannotTell("slow")

    async def close(self) -> None:
        self.answers.set()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_hot_pool(database_url, application="test", size=6)
    await a_studio(opened)
    yield opened
    await opened.close()


async def waiting(pool: db.Pool, number: int) -> None:
    """So many texts that are due, each about a session and to a client of its own."""
    await a_trigger(pool, activate={"on": "status_changed"})
    people = [
        event(
            session(str(n), client=f"c-{n}", status_changed_at=(NOON - timedelta(minutes=1)).isoformat()),
            about=client(f"c-{n}", phones=[{"number": f"+1312555{n:04}", "sms": True}]),
        )
        for n in range(1000, 1000 + number)
    ]
    await Intake(pool, lambda: NOON).take_in(people)
    await Release(pool, lambda: NOON).catch_up()


class Rests:
    """What the worker waited for each time, in place of `first_of`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._first_of = first_of
        self.every: list[tuple[bool, float]] = []
        monkeypatch.setattr(delivery, "first_of", self)

    async def __call__(self, came: asyncio.Event, *others: asyncio.Event, wait: float) -> None:
        self.every.append((any(one.is_set() for one in others), wait))
        await self._first_of(came, *others, wait=wait)

    async def some(self) -> list[tuple[bool, float]]:
        """The next few."""
        before = len(self.every)

        async def over() -> bool:
            return len(self.every) >= before + RESTS

        await eventually(over, what="it has looked a few times")
        return self.every[before:]


@pytest.mark.parametrize("woken", [False, True], ids=["nobody calls", "somebody calls"])
async def test_with_its_hands_full_it_waits_for_its_provider(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch, *, woken: bool
) -> None:
    """A hundred were claimed at once, so there may be more: that is for when a place is free."""
    await waiting(pool, delivery.CLAIM_LIMIT + 50)
    provider, stop, rests = Slow(), asyncio.Event(), Rests(monkeypatch)
    one = Delivery(pool, provider, account="sms/default", owner=uuid4(), clock=lambda: NOON, slots=SLOTS)
    running = asyncio.create_task(one.run(stop))

    async def full() -> bool:
        return provider.flying == SLOTS and one._refilling is None

    await eventually(full, what="every slot is taken")
    if woken:
        one.wake.set()
    seen = await rests.some()
    stop.set()
    provider.answers.set()
    await running

    assert [wait for _, wait in seen if wait <= 0] == []
    assert not any(set_already for set_already, _ in seen[:-1])


async def test_what_is_refused_twice_is_let_be_for_a_moment(pool: db.Pool) -> None:
    """Somebody has its record, for a moment mostly; else the database would be asked a thousand times a second."""
    await waiting(pool, 1)
    one = Delivery(pool, Slow(), account="sms/default", owner=uuid4(), clock=lambda: NOON, slots=SLOTS)
    await one._refill()

    async with db.transaction(pool) as tx:
        await tx.execute("SELECT FROM records WHERE kind = 'session' FOR UPDATE")
        done: list[Any] = [await one._step() for _ in range(3)]
    after = await one._step()

    assert done == [True, False, False]
    assert after is True
    assert one._sends.begun
    await one._sends._channel.close()
    await asyncio.gather(*one._sends._flying.values())
