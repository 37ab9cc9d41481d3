"""The catalogue from the CRM's exchange to a refused trigger: real broker, real database."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from control_center.crm.inbox import Dead, Inbox
from control_center.domain.errors import Malformed
from control_center.engine import catalogs, triggers
from control_center.engine.intake import Intake
from control_center.store import db
from tests.support.broker import publish, taken_out
from tests.support.programs import eventually
from tests.support.rows import a_studio

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)


def told(event_id: str, **data: Any) -> bytes:
    body = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/crm/main",
        "type": "crm.catalog",
        "time": "2026-11-21T16:04:06Z",
        "studio": "main",
        "data": data,
    }
    return json.dumps(body).encode()


@contextlib.asynccontextmanager
async def consuming(url: str, intake: Intake) -> AsyncIterator[None]:
    async def take_in(bodies: Sequence[bytes]) -> list[Dead]:
        return [Dead(dead.body, dead.reason, dead.field) for dead in (await intake.take_in(bodies)).dead]

    inbox, stop = Inbox(url, take_in), asyncio.Event()
    task = asyncio.create_task(inbox.run(stop))

    async def attached() -> bool:
        return inbox.attached

    await eventually(attached, within=30, what="the inbox is attached")
    yield
    stop.set()
    await task


async def test_a_catalogue_from_the_broker_is_taken_once_and_a_malformed_one_comes_to_the_dead_queue(
    database_url: str, broker_url: str
) -> None:
    pool = await db.open_pool(database_url, application="test")
    await a_studio(pool)
    right = told("c-1", statuses=[{"kind": "session", "name": "Booked"}])
    wrong = told("c-2", statuses=[{"kind": "session"}])

    async with consuming(broker_url, Intake(pool, lambda: NOW)):
        await publish(broker_url, [right, wrong, right], key="main.catalog")
        ((dead, headers),) = await taken_out(broker_url, 1)

        async def taken() -> bool:
            return bool((await catalogs.read(pool, "main")).statuses)

        await eventually(taken, within=30, what="the catalogue is stored")

    assert (dead, headers["x-field"]) == (wrong, "data.statuses[0]")
    assert await pool.fetchval("SELECT count(*) FROM events") == 1
    table = {
        "name": "Thanks",
        "record": "session",
        "status": "Bookd",
        "activate": {"on": "status_changed"},
        "action": "sms",
        "text": "Thanks!",
    }
    with pytest.raises(Malformed, match="nearest: 'Booked'"):
        await triggers.put(pool, lambda: NOW, "main", table, by="Ada")
    await pool.close()
