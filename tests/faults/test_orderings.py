"""A worker that was given up and whoever gives it up, at one message: in each of the four orders they can have.

Solid Queue holds its own claims against these four; ours add what a provider said meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest

from control_center.domain.message import POISON, settle
from control_center.domain.outcome import Accepted, Cause, NotSent, Outcome, Refused, Stage, Unknown
from control_center.store import cases, db, message_leases, messages, submissions
from control_center.store.submissions import Ready, Settled
from tests.faults.spoiled import WAITING, Waits
from tests.support.programs import eventually
from tests.support.rows import a_message, a_record, a_studio, a_trigger, ago, ahead, now

ORDERS: Final = ("answer, then rescue", "rescue, then answer", "rescue beside an answer", "answer beside a rescue")
OUTCOMES: Final[dict[str, Outcome]] = {
    "accepted": Accepted("SM1"),
    "refused": Refused("no such number", Cause.RECIPIENT, "30005"),
    "not sent": NotSent("connection refused"),
    "unknown": Unknown("no answer", Stage.SENT),
}
BLOCKED: Final = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
MINUTE: Final = timedelta(minutes=1)
EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_hot_pool(database_url, application="test")
    await a_studio(opened)
    await a_trigger(opened)
    await a_record(opened)
    yield opened
    await opened.close()


async def answer(tx: db.Connection, message: int, outcome: Outcome) -> None:
    """The worker writes what it was answered, under the lease that it had."""
    settlement = settle(outcome, key=f"m-{message}", tries=0, use_by=ahead(days=1), now=now())
    done = Settled(
        studio="main",
        message_id=message,
        token=1,
        number=1,
        address="+13125550188",
        channel="sms",
        settlement=settlement,
        told=(),
        month=now().date().replace(day=1),
    )
    await submissions.step(tx, [done], [], lease=MINUTE, margin=MINUTE)


async def rescue(tx: db.Connection) -> None:
    await message_leases.rescue_expired_leases(tx, poison=POISON, limit=10)


async def in_order(pool: db.Pool, order: str, work: Callable[[db.Connection], Awaitable[Any]]) -> None:
    """The worker's `work` and the rescue, one after the other or one while the other has written and not committed."""
    async with db.session(pool) as one, db.session(pool) as other:
        match order:
            case "answer, then rescue":
                await work(one)
                await rescue(other)
            case "rescue, then answer":
                await rescue(other)
                await work(one)
            case "rescue beside an answer":
                async with one.transaction():
                    await work(one)
                    await rescue(other)  # passes it over, and does not wait
                await rescue(other)
            case _:
                async with other.transaction():
                    await rescue(other)
                    waiting = asyncio.ensure_future(work(one))

                    async def met() -> bool:
                        return waiting.done() or bool(await pool.fetchval(BLOCKED))

                    await eventually(met, within=30, what="the worker waits, or has passed by")
                await waiting


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("said", OUTCOMES)
async def test_what_was_asked_for_is_never_asked_for_again_but_by_proof_and_what_was_taken_is_known(
    pool: db.Pool, order: str, said: str
) -> None:
    message = await a_message(pool, state="submitting", lease_until=ago(seconds=1))

    await in_order(pool, order, lambda tx: answer(tx, message, OUTCOMES[said]))

    row: Any = await pool.fetchrow("SELECT * FROM messages")
    first = order in ("answer, then rescue", "rescue beside an answer")
    # Whoever was given up can still say that it was taken; that it was not, only while it was theirs.
    settled = {"accepted": "accepted", "refused": "failed", "not sent": "queued", "unknown": "unknown"}[said]
    assert row["state"] == (settled if first or said == "accepted" else "unknown")
    assert row["lease_owner"] is None
    told = await pool.fetchval("SELECT outcome FROM attempts")
    assert told == {"not sent": "not_sent"}.get(said, said), "what was answered stands beside it in any order"


@pytest.mark.parametrize("order", ORDERS)
async def test_what_was_put_back_under_a_worker_is_the_next_ones(pool: db.Pool, order: str) -> None:
    """The lease ran out before the mark: the mark does not pass, in any order, and the message is queued once."""
    owner = uuid4()
    await a_message(pool, state="queued", use_by=ahead(days=200))
    async with db.session(pool) as tx:
        claimed = await messages.claim_due(tx, "sms/default", owner, since=EVER, lease=MINUTE, limit=1)
        [case] = await cases.gather(tx, claimed, owner)
    ready = Ready(case=case, until=ahead(days=1), key="m-1.1", subject=None, body="See you soon.")
    await pool.execute("UPDATE messages SET lease_until = clock_timestamp() - interval '1 second'")
    passed: list[set[int]] = []

    async def mark(tx: db.Connection) -> None:
        passed.append(await submissions.step(tx, [], [ready], lease=MINUTE, margin=timedelta(seconds=45)))

    await in_order(pool, order, mark)

    row: Any = await pool.fetchrow("SELECT state, lease_owner, claims, asked FROM messages")
    assert tuple(row) == ("queued", None, 1, 0)
    assert passed == [set()]


async def beside(pool: db.Pool, work: Callable[[db.Connection], Awaitable[Any]]) -> tuple[Any, bool]:
    """What one has done and not committed, and whether another one that does the same then waits for it."""
    async with db.session(pool) as one, db.session(pool) as other:
        async with one.transaction():
            await work(one)
            second = asyncio.ensure_future(work(other))

            async def met() -> bool:
                return second.done() or bool(await pool.fetchval(BLOCKED))

            await eventually(met, within=60, what="the second is done, or waits")
            waits = not second.done()
        return await second, waits


async def claim_one(tx: db.Connection) -> list[int]:
    found = await messages.claim_due(tx, "sms/default", uuid4(), since=EVER, lease=MINUTE, limit=1)
    return [one.message_id for one in found]


MEETING: Final = {"CLAIM_DUE": claim_one, "RESCUE_EXPIRED_LEASES": rescue}


async def two(pool: db.Pool) -> list[int]:
    """Two texts that a worker may claim, and two that a dead one has left."""
    for _ in range(2):
        await a_message(pool, state="submitting", lease_until=ago(seconds=1))
    return [await a_message(pool) for _ in range(2)]


@pytest.mark.parametrize("name", MEETING)
async def test_whoever_claims_or_rescues_waits_for_nobody_who_does(pool: db.Pool, name: str) -> None:
    _, later = await two(pool)

    found, waits = await beside(pool, MEETING[name])

    assert not waits
    assert found == ([later] if name == "CLAIM_DUE" else None)


@pytest.mark.parametrize("one", WAITING, ids=lambda one: one.words)
async def test_a_statement_that_waits_is_found_out(pool: db.Pool, monkeypatch: pytest.MonkeyPatch, one: Waits) -> None:
    await two(pool)
    monkeypatch.setattr(one.place, one.name, one.made())

    _, waits = await beside(pool, MEETING[one.name])

    assert waits
