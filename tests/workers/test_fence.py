"""Nothing is sent from a database that may have forgotten what was sent, until a person says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from control_center.domain.errors import Refused
from control_center.domain.fence import HELD
from control_center.domain.outcome import Fate, Receipt
from control_center.engine import arming, front_desk, replies
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.fence import FILE, Fence
from control_center.store import breakers, db, fences
from tests.support.crm import client, event, session
from tests.support.rows import a_message, a_studio, a_trigger, ahead, an_action, now
from workers.delivery import Delivery
from workers.sandbox import Sandbox

DEADLINE: Final = 20.0  # seconds that a test waits for a fact
FAILED_OVER: Final = "UPDATE fence SET timeline = '000000AF'"  # as the new primary finds what the old one wrote
COPIED: Final = "UPDATE fence SET cluster = cluster - 1"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


@pytest.fixture
def fence(pool: db.Pool, tmp_path: Path) -> Fence:
    return Fence(pool, tmp_path)


async def booked(pool: db.Pool, number: int) -> None:
    """So many sessions, booked just now by as many clients."""
    at = now()
    people = [
        event(
            session(str(n), client=f"c-{n}", status_changed_at=at.isoformat()),
            about=client(f"c-{n}", phones=[{"number": f"+1312555{n:04}", "sms": True}]),
        )
        for n in range(1000, 1000 + number)
    ]
    await Intake(pool, now).take_in(people)


async def released(pool: db.Pool, number: int = 1) -> None:
    """A text to each of so many clients, waiting for a worker."""
    await a_trigger(pool, activate={"on": "status_changed"}, processing={"mode": "automatic", "blackouts": False})
    await booked(pool, number)
    while await Release(pool, now).run_once():
        pass


@asynccontextmanager
async def delivering(pool: db.Pool, folder: Path, fence: Fence | None = None) -> AsyncIterator[Path]:
    """A worker at work; gives the file of what its provider took."""
    outbox, stop = folder / "outbox.ndjson", asyncio.Event()
    channel = Sandbox(outbox=outbox, clock=now, latency=timedelta())
    worker = Delivery(pool, channel, account="sms/default", owner=uuid4(), clock=now, fence=fence)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run(stop))
        yield outbox
        stop.set()


async def until(fact: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not await fact():  # noqa: ASYNC110 - the fact is in the database, which sets no event here
            await asyncio.sleep(0.01)


async def states(pool: db.Pool) -> list[tuple[str, str]]:
    return [tuple(row) for row in await pool.fetch("SELECT state, reason FROM messages ORDER BY message_id")]


def took(outbox: Path) -> int:
    return outbox.read_bytes().count(b"\n") if outbox.exists() else 0


@pytest.mark.parametrize("forgot", [FAILED_OVER, COPIED], ids=["after a failover", "on a copy"])
async def test_nothing_is_claimed_even_before_anybody_has_looked(pool: db.Pool, forgot: str) -> None:
    await a_message(pool)
    async with db.session(pool) as connection:
        assert await breakers.allowance(connection, "sms/default", 100) == 100
        await pool.execute(forgot)
        assert await breakers.allowance(connection, "sms/default", 100) == 0


async def test_what_was_at_hand_when_the_database_failed_over_is_not_sent_and_is_anybodys_again(
    pool: db.Pool, tmp_path: Path
) -> None:
    await released(pool, 40)  # more than the slots that a worker has
    stop, begun = asyncio.Event(), asyncio.Event()

    class Slow(Sandbox):
        async def submit(self, message: Any) -> Any:
            begun.set()
            await stop.wait()
            return await super().submit(message)

    outbox = tmp_path / "outbox.ndjson"
    channel = Slow(outbox=outbox, clock=now, latency=timedelta())
    worker = Delivery(pool, channel, account="sms/default", owner=uuid4(), clock=now, slots=4)
    ended = asyncio.create_task(worker.run(stop))
    await asyncio.wait_for(begun.wait(), DEADLINE)
    await pool.execute(FAILED_OVER)
    stop.set()
    await asyncio.wait_for(ended, DEADLINE)

    assert took(outbox) == 4, "those that were on their way before"
    counted = await pool.fetch("SELECT state, count(*) FROM messages GROUP BY state ORDER BY state")
    assert [tuple(row) for row in counted] == [("accepted", 4), ("queued", 36)]


async def test_who_finds_it_out_closes_the_fence_and_holds_what_may_have_gone_out(pool: db.Pool, fence: Fence) -> None:
    assert await fence.look()
    due, later = await a_message(pool), await a_message(pool, due_at=ahead(hours=1))
    claimed, asked = await a_message(pool, state="claimed"), await a_message(pool, state="submitting")
    pending, far = await an_action(pool), await an_action(pool, due_at=ahead(days=2), activation_at=ahead(days=2))
    await pool.execute(FAILED_OVER)

    assert not await fence.look()

    found = dict(await pool.fetch("SELECT message_id, state FROM messages"))
    assert found == {due: "held", later: "queued", claimed: "held", asked: "submitting"}
    actions = dict(await pool.fetch("SELECT action_id, state FROM actions WHERE state <> 'released'"))
    assert actions == {pending: "held", far: "planned"}
    async with db.session(pool) as connection:
        known = await fences.look(connection)
    assert "failed over or was recovered" in known.reason
    assert known.lost_from is not None
    assert known.closed_at is not None
    assert known.lost_from < known.closed_at == known.lost_until


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"position": 10_000_000_000}, id="a snapshot of its disk: it is shorter than it was"),
        pytest.param({"beats": 1000}, id="a dump, into the same server: less has happened in it"),
        pytest.param({"arming": 1}, id="from before a person armed it"),
    ],
)
async def test_a_database_that_was_put_back_is_known_by_what_the_host_remembers(
    pool: db.Pool, fence: Fence, tmp_path: Path, more: dict[str, int]
) -> None:
    assert await fence.look()
    seen = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({**seen, **{name: seen[name] + by for name, by in more.items()}}))

    assert not await fence.look()

    async with db.session(pool) as connection:
        assert "put back to an earlier state" in (await fences.look(connection)).reason


async def test_a_neighbour_that_looks_later_and_writes_sooner_is_no_sign_of_a_database_put_back(
    pool: db.Pool, fence: Fence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, neighbour, turns = fences.look, Fence(pool, tmp_path), iter([True])

    async def slowly(tx: db.Connection) -> fences.Fence:
        found = await looking(tx)
        if next(turns, False):
            await booked(pool, 1)
            assert await neighbour.look()
        return found

    assert await fence.look()
    monkeypatch.setattr(fences, "look", slowly)

    assert await fence.look()


async def test_a_host_that_remembers_nothing_or_rubbish_goes_by_the_database(
    pool: db.Pool, fence: Fence, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text('{"cluster": ')

    assert await fence.look()
    assert json.loads((tmp_path / FILE).read_text())["arming"] == 1


async def test_while_it_is_closed_new_messages_wait_and_a_person_is_asked_before_what_is_held_goes(
    pool: db.Pool, fence: Fence, tmp_path: Path
) -> None:
    await released(pool, 2)
    await pool.execute(FAILED_OVER)
    assert not await fence.look()
    await a_message(pool)  # due only since

    with pytest.raises(Refused, match=r"2 messages and 0 actions may have gone out already: .* --held send .* doubt"):
        await arming.arm(pool, None, by="Ada", reason="looked")
    assert [state for state, _ in await states(pool)] == ["held", "held", "queued"]

    await arming.arm(pool, "send", by="Ada", reason="the provider has none of them")

    async with delivering(pool, tmp_path, fence) as outbox:
        await until(lambda: pool.fetchval("SELECT count(*) >= 2 FROM messages WHERE state = 'accepted'"))
    assert took(outbox) >= 2
    trail = await pool.fetchrow("SELECT who, verb, resource, after FROM audit ORDER BY audit_id DESC LIMIT 1")
    assert tuple(trail)[:3] == ("Ada", "arm", "fence")
    assert "the provider has none of them" in trail["after"]


async def test_in_doubt_each_message_is_for_a_person_and_the_crm_is_told(
    pool: db.Pool, fence: Fence, tmp_path: Path
) -> None:
    await released(pool)
    pending = await an_action(pool)
    await pool.execute(FAILED_OVER)
    assert not await fence.look()

    await arming.arm(pool, "doubt", by="Ada", reason="the backup of Monday")

    assert await states(pool) == [("unknown", await pool.fetchval("SELECT reason FROM messages"))]
    assert await pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'message.unknown'") == 1
    assert await pool.fetchval("SELECT state FROM actions WHERE action_id = $1", pending) == "held"
    assert await fence.look(), "whoever armed it said that this is the database"


@pytest.mark.parametrize(("sent", "then"), [(True, "accepted"), (False, "failed")])
async def test_what_the_database_forgot_a_person_can_say_either_of(
    pool: db.Pool, fence: Fence, *, sent: bool, then: str
) -> None:
    await released(pool)
    await pool.execute(FAILED_OVER)
    assert not await fence.look()
    await arming.arm(pool, "doubt", by="Ada", reason="the backup of Monday")
    [number] = [row[0] for row in await pool.fetch("SELECT message_id FROM messages")]

    await front_desk.resolve(pool, "main", number, sent=sent, evidence="it is in the provider's list", by="Ada")

    row = await pool.fetchrow("SELECT state, sent_at = due_at AS at_its_time FROM messages")
    assert (row["state"], row["at_its_time"]) == (then, True if sent else None)


@pytest.mark.parametrize("when", ["noticed", "not noticed yet", "armed in doubt"])
async def test_a_receipt_for_an_attempt_that_the_database_forgot_proves_it_and_nobody_sends_it_again(
    pool: db.Pool, fence: Fence, when: str
) -> None:
    await released(pool, 2)
    first, second = [row[0] for row in await pool.fetch("SELECT message_id FROM messages ORDER BY message_id")]
    await pool.execute(FAILED_OVER)
    if when != "not noticed yet":
        await fence.look()
    if when == "armed in doubt":
        await arming.arm(pool, "doubt", by="Ada", reason="the backup of Monday")

    came = Receipt(Fate.DELIVERED, f"m-{first}.1", "SM1")
    await replies.take_receipts(pool, "sms/default", [("SM1 delivered", came, "as it came")])
    await fence.look()
    await replies.adopt(pool, limit=10)
    if when != "armed in doubt":
        await arming.arm(pool, "send", by="Ada", reason="the provider has none but that one")

    other = "unknown" if when == "armed in doubt" else "queued"
    assert dict(await pool.fetch("SELECT message_id, state FROM messages")) == {first: "delivered", second: other}


async def test_an_event_of_the_lost_time_that_comes_again_is_held_and_one_after_it_goes(
    pool: db.Pool, fence: Fence
) -> None:
    await a_trigger(pool, activate={"on": "status_changed"}, processing={"mode": "automatic", "blackouts": False})
    await booked(pool, 1)  # what the database forgets
    await pool.execute("DELETE FROM actions")
    await pool.execute("DELETE FROM events")
    await pool.execute("DELETE FROM records")
    again = now()
    await pool.execute(FAILED_OVER)
    assert not await fence.look()
    await arming.arm(pool, None, by="Ada", reason="restored")

    replayed = event(
        session("1000", client="c-1000", status_changed_at=again.isoformat()),
        about=client("c-1000", phones=[{"number": "+13125551000", "sms": True}]),
    )
    fresh = event(
        session("1001", client="c-1001", status_changed_at=now().isoformat()),
        about=client("c-1001", phones=[{"number": "+13125551001", "sms": True}]),
    )
    await Intake(pool, now).take_in([replayed, fresh])
    while await Release(pool, now).run_once():
        pass

    found = {row["record_id"]: row for row in await pool.fetch("SELECT record_id, state, reason FROM actions")}
    assert (found["1000"]["state"], found["1000"]["reason"].startswith(HELD)) == ("held", True)
    assert found["1001"]["state"] == "released"


async def test_a_fence_that_is_open_cannot_be_armed(pool: db.Pool) -> None:
    with pytest.raises(Refused, match="the fence is not closed"):
        await arming.arm(pool, None, by="Ada", reason="why not")
