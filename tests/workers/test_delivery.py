"""Messages from the queue to the provider and back: once, at the right time, or with a reason why not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from control_center import service
from control_center.domain.outcome import (
    Accepted,
    Blocked,
    CannotTell,
    Cause,
    Lookup,
    NotSent,
    Outcome,
    Refused,
    Stage,
    Text,
    Unknown,
)
from control_center.engine import consenting
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import consents, db, message_leases, messages, submissions
from tests.support.crm import client, event, session
from tests.support.days import noon_near
from tests.support.rows import a_studio, a_trigger
from tests.support.sayings import a_saying
from workers.delivery import DRAIN, FAREWELL, Delivery
from workers.sandbox import Sandbox

NOON = noon_near()
DEADLINE = 20.0  # seconds that a test waits for a fact


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


class Scripted:
    """A provider that answers what a test says, and remembers what it was asked."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[Text] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.flying = 0
        self.most = 0

    async def submit(self, message: Text) -> Outcome:
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            await self.gate.wait()
            self.asked.append(message)
            return self.outcomes.pop(0) if self.outcomes else Accepted(f"SM-{message.key}")
        finally:
            self.flying -= 1

    async def lookup(self, _message: Text) -> Lookup:
        return CannotTell("scripted")

    async def close(self) -> None:
        self.gate.set()


async def queued(pool: db.Pool, number: int = 1, *, at: datetime = NOON, **trigger: Any) -> None:
    """So many released texts to as many clients, about sessions just booked."""
    await a_trigger(pool, **{"activate": {"on": "status_changed"}, **trigger})
    people = [
        event(
            session(str(n), client=f"c-{n}", status_changed_at=(NOON - timedelta(minutes=1)).isoformat()),
            about=client(f"c-{n}", phones=[{"number": f"+1312555{n:04}", "sms": True}]),
        )
        for n in range(1000, 1000 + number)
    ]
    await Intake(pool, lambda: at).take_in(people)
    while await Release(pool, lambda: at).run_once():
        pass


def delivery(pool: db.Pool, channel: Any, *, at: datetime = NOON, slots: int = 16) -> Delivery:
    return Delivery(pool, channel, account="sms/default", owner=uuid4(), clock=lambda: at, slots=slots)


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(DEADLINE):
        while not await fact():  # noqa: ASYNC110 - the fact is in the database, which sets no event here
            await asyncio.sleep(0.01)


async def delivering(pool: db.Pool, *deliveries: Delivery, ends: tuple[str, ...]) -> None:
    """Deliver until every message is in one of these states."""

    async def over() -> bool:
        return not await pool.fetchval("SELECT count(*) FROM messages WHERE state <> ALL ($1)", list(ends))

    async with running(*deliveries):
        await until(over)


@asynccontextmanager
async def running(*deliveries: Delivery) -> AsyncIterator[None]:
    """Deliveries at work, stopped gracefully at the end; the failure of one is the test's."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for one in deliveries:
            group.create_task(one.run(stop))
        yield
        stop.set()


async def the_message(pool: db.Pool) -> Any:
    (row,) = await pool.fetch("SELECT * FROM messages")
    return row


async def test_a_queued_text_is_accepted_once_with_its_exact_words_on_record(pool: db.Pool) -> None:
    await queued(pool, text="Hi {{ client.first_name }}, see you on {{ session.date }}.")
    provider = Scripted()

    await delivering(pool, delivery(pool, provider), ends=("accepted",))

    (asked,) = provider.asked
    assert (asked.to, asked.body) == ("+13125551000", "Hi Jo, see you on Saturday, June 12.")
    message = await the_message(pool)
    assert (message["state"], message["body"], message["provider_id"]) == ("accepted", asked.body, f"SM-{asked.key}")
    attempt = await pool.fetchrow("SELECT * FROM attempts")
    assert (attempt["key"], attempt["outcome"], attempt["body"]) == (asked.key, "accepted", asked.body)
    assert await pool.fetchval("SELECT verb FROM commands") == "message.sent"


async def test_many_workers_send_each_message_once(pool: db.Pool) -> None:
    await queued(pool, 500)
    provider = Scripted()

    await delivering(pool, *(delivery(pool, provider) for _ in range(4)), ends=("accepted",))

    assert len(provider.asked) == 500
    assert len({text.message for text in provider.asked}) == 500


async def test_never_more_are_submitting_than_there_are_slots(pool: db.Pool) -> None:
    await queued(pool, 100)
    provider = Scripted()
    provider.gate.clear()

    async def full() -> bool:
        return provider.flying == 8

    async with running(delivery(pool, provider, slots=8)):
        await until(full)
        assert await pool.fetchval("SELECT count(*) FROM messages WHERE state = 'submitting'") == 8
        provider.gate.set()

    assert provider.most == 8


async def test_a_stopped_worker_finishes_what_it_began_and_gives_the_rest_back(pool: db.Pool) -> None:
    await queued(pool, 50)
    provider = Scripted()
    provider.gate.clear()
    stop = asyncio.Event()

    async def full() -> bool:
        return provider.flying == 4

    async with asyncio.TaskGroup() as group:
        group.create_task(delivery(pool, provider, slots=4).run(stop))
        await until(full)
        stop.set()
        provider.gate.set()

    states = {row[0]: row[1] for row in await pool.fetch("SELECT state, count(*) FROM messages GROUP BY 1")}
    assert states == {"accepted": 4, "queued": 46}
    assert len(provider.asked) == 4


async def test_what_is_proven_not_sent_is_tried_again_later_and_never_past_its_use_by(pool: db.Pool) -> None:
    await queued(pool)
    provider = Scripted(NotSent("connection refused"))

    async def retried() -> bool:
        return bool((await the_message(pool))["tries"])

    async with running(delivery(pool, provider)):
        await until(retried)

    message = await the_message(pool)
    assert (message["state"], message["reason"]) == ("queued", "retry: connection refused")
    assert timedelta(seconds=7) < message["due_at"] - NOON < timedelta(seconds=16)
    assert len(provider.asked) == 1


async def test_a_refusal_for_good_ends_and_the_crm_is_told(pool: db.Pool) -> None:
    await queued(pool)

    await delivering(
        pool, delivery(pool, Scripted(Refused("no such number", Cause.RECIPIENT, "21211"))), ends=("failed",)
    )

    message = await the_message(pool)
    assert message["reason"] == "recipient: no such number"
    report = await pool.fetchrow("SELECT verb, data FROM commands")
    assert (report["verb"], json.loads(report["data"])["state"]) == ("message.failed", "failed")


async def test_an_opt_out_at_the_provider_suppresses_the_number_from_now_on(pool: db.Pool) -> None:
    await queued(pool)

    await delivering(pool, delivery(pool, Scripted(Refused("blacklisted", Cause.OPTED_OUT, "21610"))), ends=("failed",))

    async with db.session(pool) as connection:
        asked = ("main", "sms", "+13125551000")
        assert (await consents.standings(connection, [asked]))[asked].stopped


async def test_an_answer_that_is_lost_is_unknown_and_never_sent_again(pool: db.Pool, tmp_path: Path) -> None:
    await queued(pool)
    await pool.execute("UPDATE messages SET address = '+13125550003'")  # the sandbox accepts it and loses the answer
    sandbox = Sandbox(outbox=tmp_path / "outbox.ndjson", clock=lambda: NOON)

    await delivering(pool, delivery(pool, sandbox), ends=("unknown",))
    await delivering(pool, delivery(pool, sandbox), ends=("unknown",))

    assert len((tmp_path / "outbox.ndjson").read_text().splitlines()) == 1
    assert await pool.fetchval("SELECT verb FROM commands") == "message.unknown"


async def test_a_fault_of_ours_while_sending_is_unknown_and_not_a_retry(pool: db.Pool) -> None:
    await queued(pool)

    class Broken(Scripted):
        async def submit(self, message: Text) -> Outcome:
            self.asked.append(message)
            raise RuntimeError("a bug")

    broken = Broken()
    await delivering(pool, delivery(pool, broken), ends=("unknown",))

    assert len(broken.asked) == 1


async def test_stop_wins_over_a_message_already_claimed(pool: db.Pool) -> None:
    await queued(pool)
    async with db.session(pool) as connection:
        claimed = await messages.claim_due(
            connection,
            "sms/default",
            uuid4(),
            since=datetime(1970, 1, 1, tzinfo=UTC),
            lease=timedelta(seconds=90),
            limit=10,
        )
    assert len(claimed) == 1

    async with db.transaction(pool) as tx:
        await consenting.say(tx, a_saying("+13125551000"), NOON)

    assert (await the_message(pool))["state"] == "suppressed"


async def test_a_session_that_moved_after_release_cancels_its_message(pool: db.Pool) -> None:
    await queued(pool, activate={"on": "session", "days": -300})
    moved = session("1000", client="c-1000", version=2, dates={"session": "2027-07-01T10:00"})
    await Intake(pool, lambda: NOON).take_in([event(moved, "updated")])
    provider = Scripted()

    await delivering(pool, delivery(pool, provider), ends=("cancelled",))

    assert provider.asked == []
    assert (await the_message(pool))["reason"].startswith("moved: the session is now 2027-07-01T10:00")


async def test_what_changes_between_the_decision_and_the_point_of_no_return_is_decided_again(pool: db.Pool) -> None:
    await queued(pool, 2)
    one = delivery(pool, Scripted(), slots=1)
    await one._refill()
    assert len(one._ready) == 2
    canceled = session("1000", client="c-1000", version=2, status="Canceled")
    await Intake(pool, lambda: NOON).take_in([event(canceled, "status_changed")])

    await delivering(pool, one, ends=("accepted", "cancelled"))

    rows = await pool.fetch("SELECT record_id, state FROM messages ORDER BY record_id")
    assert [tuple(row) for row in rows] == [("1000", "cancelled"), ("1001", "accepted")]


async def test_what_was_lost_with_its_worker_is_prepared_alone_and_everything_else_is_anybodys_meanwhile(
    pool: db.Pool,
) -> None:
    await queued(pool, 5)
    lost = delivery(pool, Scripted())
    await lost._refill()
    await pool.execute("UPDATE messages SET lease_until = clock_timestamp() - interval '1 second'")
    async with db.transaction(pool) as tx:
        await message_leases.rescue_expired_leases(tx, poison=3, limit=10)

    provider = Scripted()
    one = delivery(pool, provider)
    await one._refill()
    assert not one._ready
    rows = await pool.fetch("SELECT state, claims, count(*) FROM messages GROUP BY 1, 2 ORDER BY 1")
    assert [tuple(row) for row in rows] == [("claimed", 2, 1), ("queued", 1, 4)]

    await delivering(pool, one, ends=("accepted",))
    assert len(provider.asked) == 5


async def test_what_was_lost_with_its_worker_waits_until_nothing_is_under_way_that_its_death_would_leave_in_doubt(
    pool: db.Pool,
) -> None:
    await queued(pool, 3)
    await pool.execute("UPDATE messages SET claims = 1 WHERE message_id > (SELECT min(message_id) FROM messages)")
    provider = Scripted()
    provider.gate.clear()

    async def put_aside() -> bool:
        claimed = await pool.fetchval("SELECT count(*) FROM messages WHERE state = 'claimed' AND claims = 2")
        return provider.flying == 1 and claimed == 1

    async with running(delivery(pool, provider)):
        await until(put_aside)
        states = await pool.fetch("SELECT state, count(*) FROM messages GROUP BY state ORDER BY state")
        assert [tuple(row) for row in states] == [("claimed", 1), ("queued", 1), ("submitting", 1)]
        provider.gate.set()
        await until(lambda: pool.fetchval("SELECT count(*) = 3 FROM messages WHERE state = 'accepted'"))
    assert len(provider.asked) == 3


async def test_a_blackout_day_postpones_without_costing_an_attempt(pool: db.Pool) -> None:
    await queued(pool)
    await pool.execute(
        "INSERT INTO blackouts (studio_id, name, first_day, last_day) VALUES ('main', 'Off', $1, $1)", NOON.date()
    )
    await pool.execute("UPDATE studios SET revision = revision + 1")
    provider = Scripted()

    async def postponed() -> bool:
        return str((await the_message(pool))["reason"]) == "blackout day (Off)"

    async with running(delivery(pool, provider)):
        await until(postponed)

    message = await the_message(pool)
    assert (message["state"], message["asked"], message["tries"]) == ("queued", 0, 0)
    assert message["due_at"] == NOON + timedelta(hours=12)
    assert provider.asked == []


async def test_a_missing_field_fails_that_one_message_visibly(pool: db.Pool) -> None:
    await queued(pool, text="See you at {{ record.fields.location }}.")

    await delivering(pool, delivery(pool, Scripted()), ends=("failed",))

    assert (await the_message(pool))["reason"] == "template: record.fields.location"


async def test_wrong_credentials_hold_everything_and_burn_no_attempts(pool: db.Pool) -> None:
    await queued(pool, 40)
    provider = Scripted(*(Blocked("unauthorized", "401") for _ in range(100)))

    async def opened() -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM breakers WHERE open_until IS NOT NULL"))

    async with running(delivery(pool, provider, slots=4)):
        await until(opened)

    assert await pool.fetchval("SELECT max(tries) FROM messages") == 0
    assert await pool.fetchval("SELECT count(*) FROM messages WHERE state NOT IN ('queued', 'held')") == 0
    assert len(provider.asked) <= 2 * 4, "what was at hand when the breaker opened was given back"


async def test_a_lease_that_ran_out_before_submitting_queues_and_after_it_leaves_unknown(pool: db.Pool) -> None:
    await queued(pool, 2)
    await pool.execute("""
        UPDATE messages SET state = CASE record_id WHEN '1000' THEN 'claimed' ELSE 'submitting' END,
               lease_owner = gen_random_uuid(), lease_until = clock_timestamp() - interval '1 second'""")

    async with db.transaction(pool) as tx:
        await message_leases.rescue_expired_leases(tx, poison=3, limit=10)

    rows = await pool.fetch("SELECT record_id, state FROM messages ORDER BY record_id")
    assert [tuple(row) for row in rows] == [("1000", "queued"), ("1001", "unknown")]


async def test_a_provider_that_leaves_nothing_but_doubts_is_left_alone_before_everything_is_in_doubt(
    pool: db.Pool,
) -> None:
    """Each may have been sent, and is not sent again: what has not been asked for yet waits for better days."""
    provider = Scripted(*(Unknown("no answer", Stage.SENT) for _ in range(100)))
    await queued(pool, 40)

    async def opened() -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM breakers WHERE open_until IS NOT NULL"))

    async with running(delivery(pool, provider, slots=4)):
        await until(opened)
    doubts = len(provider.asked)
    assert doubts <= 3 * 4, "two times its slots, and what was under way"
    assert await pool.fetchval("SELECT count(*) FROM messages WHERE state = 'queued'") == 40 - doubts
    assert "in a row" in await pool.fetchval("SELECT reason FROM breakers")

    provider.outcomes.clear()
    await pool.execute("UPDATE breakers SET open_until = clock_timestamp()")
    await delivering(pool, delivery(pool, provider, slots=4), ends=("accepted", "unknown"))
    assert len(provider.asked) == 40, "the probe went through, and the rest after it"
    assert await pool.fetchval("SELECT count(*) FROM messages WHERE state = 'unknown'") == doubts


async def test_doubts_with_an_answer_now_and_then_are_no_reason_to_leave_a_provider_alone(pool: db.Pool) -> None:
    doubt = Unknown("no answer", Stage.SENT)
    answers: list[Outcome] = [doubt, doubt, doubt, Refused("not a number", Cause.CONTENT, "1")]
    provider = Scripted(*answers * 8)
    await queued(pool, 32)

    await delivering(pool, delivery(pool, provider, slots=2), ends=("failed", "unknown"))

    assert len(provider.asked) == 32
    assert await pool.fetchval("SELECT count(*) FROM breakers") == 0


async def test_a_worker_that_lost_its_lease_cannot_pass_the_point_of_no_return(pool: db.Pool) -> None:
    await queued(pool)
    provider = Scripted()
    zombie = delivery(pool, provider)
    await zombie._refill()
    await pool.execute("UPDATE messages SET lease_until = clock_timestamp() - interval '1 second'")
    async with db.transaction(pool) as tx:
        await message_leases.rescue_expired_leases(tx, poison=3, limit=10)

    await zombie._step()

    assert zombie._sends.begun == {}
    assert (await the_message(pool))["state"] == "queued"


async def test_a_late_answer_of_a_worker_that_lost_its_lease_is_recorded_as_a_fact(pool: db.Pool) -> None:
    await queued(pool)
    provider = Scripted()
    provider.gate.clear()
    zombie = delivery(pool, provider)
    await zombie._refill()
    await zombie._step()
    await pool.execute("UPDATE messages SET lease_until = clock_timestamp() - interval '1 second'")
    async with db.transaction(pool) as tx:
        await message_leases.rescue_expired_leases(tx, poison=3, limit=10)
    assert (await the_message(pool))["state"] == "unknown"

    provider.gate.set()
    await asyncio.gather(*zombie._sends._flying.values())
    await zombie._step()

    assert (await the_message(pool))["state"] == "accepted"
    assert len(provider.asked) == 1


async def test_what_was_marked_when_the_answer_of_the_database_was_lost_is_put_back_and_sent_once(
    pool: db.Pool,
) -> None:
    await queued(pool, 3)
    provider = Scripted()
    one = delivery(pool, provider)
    await one._refill()
    marked = [one._ready.popleft() for _ in range(3)]
    async with db.session(pool) as connection:
        await submissions.step(connection, [], marked, lease=timedelta(seconds=90), margin=timedelta(seconds=45))
    one._doubtful = marked  # as after an exception in the middle of that statement

    await delivering(pool, one, ends=("accepted",))

    assert len(provider.asked) == 3


async def test_what_was_claimed_when_the_answer_of_the_database_was_lost_is_sent_without_waiting_for_its_lease(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queued(pool, 3)
    claim_due = messages.claim_due
    lost: list[messages.Claimed] = []

    async def claims_and_hears_nothing(*arguments: Any, **keywords: Any) -> list[messages.Claimed]:
        claimed = await claim_due(*arguments, **keywords)
        if claimed and not lost:
            lost.extend(claimed)
            raise ConnectionResetError("the answer was lost")
        return claimed

    monkeypatch.setattr(messages, "claim_due", claims_and_hears_nothing)
    provider = Scripted()

    await delivering(pool, delivery(pool, provider), ends=("accepted",))

    assert len(lost) == 3
    assert len({text.to for text in provider.asked}) == len(provider.asked) == 3


async def test_what_a_provider_answered_is_written_down_though_the_database_is_away_when_the_worker_stops(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else knows it: without that it would be in doubt."""
    await queued(pool, 3)
    step, refused = submissions.step, list[int]()
    provider = Scripted()
    provider.gate.clear()

    async def is_away_for_a_while(*arguments: Any, **keywords: Any) -> set[int]:
        if arguments[1] and len(refused) < 3:
            refused.append(len(arguments[1]))
            raise ConnectionResetError("the database is restarted")
        return await step(*arguments, **keywords)

    monkeypatch.setattr(submissions, "step", is_away_for_a_while)

    async def under_way() -> bool:
        return provider.flying == 3

    stop = asyncio.Event()
    running = asyncio.create_task(delivery(pool, provider).run(stop))
    await until(under_way)
    stop.set()
    provider.gate.set()
    await running

    assert refused
    states = await pool.fetch("SELECT DISTINCT state, lease_owner IS NULL FROM messages")
    assert [tuple(row) for row in states] == [("accepted", True)]
    assert len(provider.asked) == 3


def test_a_worker_has_written_what_was_answered_before_its_process_gives_up_waiting() -> None:
    assert DRAIN + FAREWELL < service.DRAIN
