"""A worker that stands still between its mark and the first byte does not send what it may not send any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from control_center.domain.outcome import Accepted, Outcome, Text
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db, submissions
from tests.support.crm import client, event, session
from tests.support.days import booked_before, monday_ahead
from tests.support.programs import eventually
from tests.support.rows import a_studio, a_trigger
from workers.delivery import Delivery

NOON = monday_ahead()  # 12:00 in Chicago


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def released(pool: db.Pool) -> None:
    processing = {"mode": "automatic", "window": "09:00-18:00", "blackouts": False}
    await a_trigger(pool, activate={"on": "status_changed"}, processing=processing)
    booked = event(
        session("4711", client="c-1", **booked_before(NOON)),
        about=client("c-1", phones=[{"number": "+13125551000", "sms": True}]),
    )
    await Intake(pool, lambda: NOON).take_in([booked])
    while await Release(pool, lambda: NOON).run_once():
        pass


class Provider:
    """Takes everything, and remembers when it was asked."""

    def __init__(self) -> None:
        self.asked: list[Text] = []

    async def submit(self, message: Text) -> Outcome:
        self.asked.append(message)
        return Accepted("SM1")


@pytest.mark.parametrize(("stands_still", "leaves"), [(timedelta(minutes=1), 1), (timedelta(hours=10), 0)])
async def test_what_was_held_up_beyond_its_hours_does_not_leave(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch, stands_still: timedelta, leaves: int
) -> None:
    await released(pool)
    clock, stop, provider, step = [NOON], asyncio.Event(), Provider(), submissions.step

    async def asleep_after_the_mark(*args: Any, **named: Any) -> set[int]:
        passed = await step(*args, **named)
        if passed:
            clock[0] = NOON + stands_still
        return passed

    monkeypatch.setattr(submissions, "step", asleep_after_the_mark)
    worker = Delivery(pool, provider, account="sms/default", owner=uuid4(), clock=lambda: clock[0])  # type: ignore[arg-type]
    running = asyncio.create_task(worker.run(stop))

    async def is_settled() -> bool:
        return bool(await pool.fetchval("SELECT outcome IS NOT NULL FROM attempts"))

    await eventually(is_settled, within=60, what="the attempt is settled")
    stop.set()
    await running

    assert len(provider.asked) == leaves
    row = await pool.fetchrow("SELECT state, reason FROM messages")
    assert row is not None
    if leaves:
        assert row["state"] == "accepted"
    else:
        assert row["state"] == "queued"
        assert "held up" in row["reason"]
