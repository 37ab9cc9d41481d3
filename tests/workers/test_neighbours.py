"""Texts to many neighbouring numbers are held where they would be too many within an hour, until a person decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from control_center.domain.errors import NotFound
from control_center.domain.outcome import Accepted, CannotTell, Lookup, Outcome, Text
from control_center.engine import prefixes as engine
from control_center.engine.upkeep import Upkeep
from control_center.store import db, prefixes
from tests.support.days import monday_ahead
from tests.support.rows import a_message, a_studio, ahead
from workers.delivery import Delivery

NOON = monday_ahead()  # 12:00 in Chicago
LIMIT = 10
DEADLINE = 60.0


class Provider:
    """Takes every text."""

    def __init__(self) -> None:
        self.asked: list[Text] = []

    async def submit(self, message: Text) -> Outcome:
        self.asked.append(message)
        return Accepted(f"SM-{message.key}")

    async def lookup(self, _message: Text, _known: Collection[str] = ()) -> Lookup:
        return CannotTell("scripted")

    async def close(self) -> None:
        return None


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened, settings=settings(LIMIT))
    yield opened
    await opened.close()


def settings(limit: int | None) -> dict[str, Any]:
    limits = {} if limit is None else {"limits": {"per_prefix": limit}}
    return {"sms": {"account": "default", "numbers": ["+13125550100"], **limits}}


async def texts(pool: db.Pool, number: int, *, begin: int = 0, area: str = "+1414555", **columns: Any) -> None:
    """So many texts that are written and wait, to as many numbers in a row."""
    columns = {"origin": "bulk", "body": "See you soon.", "use_by": ahead(days=900), **columns}
    for n in range(begin, begin + number):
        await a_message(pool, address=f"{area}{1000 + n}", **columns)


async def delivered(pool: db.Pool, *, at: datetime = NOON, workers: int = 1) -> Provider:
    """Deliver until nothing waits to be taken or is on its way."""
    provider, stop = Provider(), asyncio.Event()
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        for _ in range(workers):
            worker = Delivery(pool, provider, account="sms/default", owner=uuid4(), clock=lambda: at, slots=4)
            group.create_task(worker.run(stop))
        moving = "SELECT count(*) FROM messages WHERE state IN ('queued', 'claimed', 'submitting')"
        while await pool.fetchval(moving):  # noqa: ASYNC110 - the fact is in the database, which sets no event here
            await asyncio.sleep(0.01)
        stop.set()
    return provider


async def states(pool: db.Pool) -> dict[str, int]:
    return {row[0]: row[1] for row in await pool.fetch("SELECT state, count(*) FROM messages GROUP BY state")}


async def waiting(pool: db.Pool) -> list[tuple[str, int]]:
    async with db.session(pool) as connection:
        return [(one.prefix, one.held) for one in await prefixes.shut(connection, "main")]


async def test_what_is_one_neighbour_too_many_is_held_with_the_reason_and_told_of_once(pool: db.Pool) -> None:
    await texts(pool, 25)

    with capture_logs() as lines:
        provider = await delivered(pool)
        await texts(pool, 3, begin=30)
        await delivered(pool)

    assert (len(provider.asked), await states(pool)) == (LIMIT, {"accepted": LIMIT, "held": 18})
    assert await waiting(pool) == [("+14145551", 18)]
    reasons = {row[0] for row in await pool.fetch("SELECT reason FROM messages WHERE state = 'held'")}
    assert reasons == {"prefix: more than 10 numbers +14145551xxx within 60 minutes, so a person decides"}
    assert [line["log_level"] for line in lines if line["event"] == "prefix.shut"] == ["warning"]
    assert sum(line["event"] == "message.held" for line in lines) == 18


@pytest.mark.parametrize("origin", ["bulk", "person"])
async def test_others_go_meanwhile_and_so_does_what_is_written_to_one_number_again(pool: db.Pool, origin: str) -> None:
    await texts(pool, 12, origin=origin)
    await texts(pool, 9, area="+1773555")
    for _ in range(12):
        await texts(pool, 1, area="+1847555")
    await texts(pool, 12, area="+1630555", origin="answer")

    provider = await delivered(pool)

    assert await waiting(pool) == [("+14145551", 2)]
    areas = [text.to[:5] for text in provider.asked]
    assert [areas.count(area) for area in ("+1414", "+1773", "+1847", "+1630")] == [LIMIT, 9, 12, 12]


async def test_several_workers_together_let_no_more_go_than_one(pool: db.Pool) -> None:
    await texts(pool, 60)

    provider = await delivered(pool, workers=3)

    assert len({text.to for text in provider.asked}) == len(provider.asked) == LIMIT
    assert await waiting(pool) == [("+14145551", 50)]


async def test_a_person_lets_them_go_and_for_a_day_nothing_more_is_held_there(pool: db.Pool) -> None:
    await texts(pool, 25)
    await delivered(pool)

    freed = await engine.let_go(pool, lambda: NOON, "main", "+14145551", by="Ada")
    await texts(pool, 25, begin=30)
    await delivered(pool)

    assert (freed, await states(pool), await waiting(pool)) == (15, {"accepted": 50}, [])
    [entry] = await pool.fetch("SELECT who, verb, resource, after FROM audit")
    assert tuple(entry)[:3] == ("Ada", "release", "prefix/+14145551")
    assert '"messages":15' in entry["after"]
    await texts(pool, 25, begin=60)
    await delivered(pool, at=NOON + timedelta(hours=25))
    assert await waiting(pool) == [("+14145551", 15)]


async def test_where_nothing_is_held_there_is_nothing_to_let_go(pool: db.Pool) -> None:
    with pytest.raises(NotFound, match=r"no texts to \+14145551 are held"):
        await engine.let_go(pool, lambda: NOON, "main", "+14145551", by="Ada")


async def test_where_nothing_held_is_left_it_is_looked_at_afresh(pool: db.Pool) -> None:
    await texts(pool, 12)
    await delivered(pool)
    await pool.execute("UPDATE messages SET state = 'cancelled', ended_at = now() WHERE state = 'held'")

    await Upkeep(pool, lambda: NOON, uuid4()).expire_messages()

    assert await waiting(pool) == []
    await texts(pool, 1, begin=40)
    await delivered(pool, at=NOON + timedelta(hours=2))
    assert (await states(pool))["accepted"] == 11


async def test_a_studio_that_says_nothing_of_it_holds_nothing_and_asks_nothing(pool: db.Pool) -> None:
    await a_studio(pool, "south", settings=settings(None))
    await texts(pool, 25, studio="south")

    assert len((await delivered(pool)).asked) == 25
    assert await pool.fetchval("SELECT count(*) FROM prefixes") == 0


async def test_what_is_long_over_is_forgotten(pool: db.Pool) -> None:
    await texts(pool, 12)
    await texts(pool, 1, area="+1773555")
    await delivered(pool)
    await pool.execute("UPDATE prefixes SET changed_at = now() - interval '2 days'")

    await Upkeep(pool, lambda: NOON, uuid4()).prune()

    assert [row[0] for row in await pool.fetch("SELECT prefix FROM prefixes")] == [
        "+14145551"
    ]  # a person has to decide
