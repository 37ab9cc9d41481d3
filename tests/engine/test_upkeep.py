"""What crashes, open breakers and time leave behind is settled, once, by however many processes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from control_center.domain.outcome import Fate, Receipt
from control_center.engine.replies import take_receipts
from control_center.engine.upkeep import Ages, Intervals, Upkeep
from control_center.store import breakers, db, leases
from tests.support.rows import a_message, a_studio, ago, ahead, an_action, now

ACCOUNT = "sms/default"
OPEN = "SELECT account, open_until, reason FROM breakers WHERE open_until IS NOT NULL"
LONG_AGO = ago(days=40)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=6)
    yield pool
    await pool.close()


def upkeep_of(pool: db.Pool, **more: Any) -> Upkeep:
    return Upkeep(pool, now, uuid.uuid4(), **more)


async def state(pool: db.Pool, message: int) -> str:
    return str(await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", message))


async def told(pool: db.Pool) -> list[tuple[str, str]]:
    """The verb and the state of each report."""
    rows = await pool.fetch("SELECT verb, data FROM commands WHERE verb <> 'add_note' ORDER BY sequence")
    return [(row[0], msgspec.json.decode(row[1])["state"]) for row in rows]


# --- lost workers -----------------------------------------------------------------------------------------------


async def test_what_a_lost_worker_was_sending_is_unknown_and_the_crm_hears_of_it(pool: db.Pool) -> None:
    message = await a_message(pool, state="submitting", lease_until=ago(seconds=1))

    await upkeep_of(pool).run_once()

    assert await state(pool, message) == "unknown"
    assert await told(pool) == [("message.unknown", "unknown")]


async def test_what_a_lost_worker_only_prepared_is_queued_again_and_nobody_is_told(pool: db.Pool) -> None:
    message = await a_message(pool, state="claimed", lease_until=ago(seconds=1))

    await upkeep_of(pool).run_once()

    assert await state(pool, message) == "queued"
    assert await told(pool) == []


async def test_a_message_that_is_lost_with_every_worker_fails_as_poison(pool: db.Pool) -> None:
    message = await a_message(pool, state="claimed", claims=3, lease_until=ago(seconds=1))

    await upkeep_of(pool).run_once()

    assert await state(pool, message) == "failed"
    assert await told(pool) == [("message.failed", "failed")]


async def test_a_message_whose_worker_still_has_its_lease_is_left_alone(pool: db.Pool) -> None:
    sending, preparing = await a_message(pool, state="submitting"), await a_message(pool, state="claimed")

    await upkeep_of(pool).run_once()

    assert (await state(pool, sending), await state(pool, preparing)) == ("submitting", "claimed")


async def test_ten_upkeeps_at_once_rescue_each_message_once(pool: db.Pool) -> None:
    for _ in range(60):
        await a_message(pool, state="submitting", lease_until=ago(seconds=1))

    await asyncio.gather(*(upkeep_of(pool, batch=25).run_once() for _ in range(10)))

    assert await pool.fetchval("SELECT count(*) FROM messages WHERE state = 'unknown'") == 60
    assert await told(pool) == [("message.unknown", "unknown")] * 60


async def test_a_full_batch_says_that_there_is_more_at_once(pool: db.Pool) -> None:
    for _ in range(3):
        await a_message(pool, state="submitting", lease_until=ago(seconds=1))
    upkeep = upkeep_of(pool, batch=2)

    assert await upkeep.run_once() == 0
    assert await upkeep.run_once() > 0

    assert await pool.fetchval("SELECT count(*) FROM messages WHERE state = 'unknown'") == 3


# --- breakers ---------------------------------------------------------------------------------------------------


async def allowance(pool: db.Pool, **more: Any) -> int:
    async with db.session(pool) as connection:
        return await breakers.allowance(connection, ACCOUNT, 100, **more)


async def failed(pool: db.Pool, times: int = 1) -> bool:
    async with db.session(pool) as connection:
        return await breakers.failed(connection, ACCOUNT, "account suspended", times=times)


async def succeeded(pool: db.Pool) -> bool:
    async with db.session(pool) as connection:
        return await breakers.succeeded(connection, ACCOUNT)


async def come_due(pool: db.Pool) -> None:
    """As if the wait of the breaker were over."""
    await pool.execute("UPDATE breakers SET open_until = clock_timestamp()")


async def test_a_breaker_opens_at_the_third_blocked_outcome_in_a_row(pool: db.Pool) -> None:
    assert [await failed(pool), await failed(pool)] == [False, False]
    assert await allowance(pool) == 100
    assert await failed(pool) is True

    assert await allowance(pool) == 0
    [breaker] = await pool.fetch(OPEN)
    assert (breaker["account"], breaker["reason"]) == (ACCOUNT, "account suspended")
    assert now() + timedelta(seconds=50) < breaker["open_until"] < now() + timedelta(seconds=70)


async def test_a_message_that_is_taken_in_between_starts_the_count_anew(pool: db.Pool) -> None:
    await failed(pool, 2)
    assert await succeeded(pool) is True
    assert await failed(pool, 2) is False


async def test_many_blocked_at_once_open_it_no_longer_than_three(pool: db.Pool) -> None:
    assert await failed(pool, 16) is True
    assert await failed(pool, 16) is True

    [breaker] = await pool.fetch(OPEN)
    assert breaker["open_until"] < now() + timedelta(seconds=70)


async def test_while_a_breaker_is_open_what_waits_for_it_waits(pool: db.Pool) -> None:
    message = await a_message(pool, state="held", reason="breaker: account suspended")
    await failed(pool, 3)

    await upkeep_of(pool).run_once()

    assert await state(pool, message) == "held"


async def test_when_its_time_has_come_one_message_goes_first_as_a_probe(pool: db.Pool) -> None:
    held = [await a_message(pool, state="held", reason="breaker: account suspended") for _ in range(3)]
    await failed(pool, 3)
    await come_due(pool)
    upkeep = upkeep_of(pool, intervals=Intervals(return_held=0))

    assert await allowance(pool) == 0  # nothing is queued that could be the probe
    await upkeep.run_once()
    await upkeep.run_once()

    assert sorted([await state(pool, message) for message in held]) == ["held", "held", "queued"]
    assert sorted([await allowance(pool), await allowance(pool)]) == [0, 1]


async def test_any_of_what_waits_is_a_probe_so_that_one_studios_sender_does_not_keep_those_who_share_its_account(
    pool: db.Pool,
) -> None:
    for studio in ("main", "north"):
        for _ in range(20):
            await a_message(pool, studio=studio, state="held", reason="breaker: account suspended")
    await failed(pool, 3)

    probed = set()
    for _ in range(40):
        await come_due(pool)
        async with db.transaction(pool) as tx:
            ((studio, _),) = await breakers.return_held(tx, limit=100)
        probed.add(studio)
        await pool.execute("UPDATE messages SET state = 'held', reason = 'breaker: again' WHERE state = 'queued'")

    assert probed == {"main", "north"}


async def test_what_was_asked_for_and_blocked_comes_due_the_later_the_more_often_and_the_rest_at_once(
    pool: db.Pool,
) -> None:
    for asked in (0, 1, 3, 9):
        await a_message(pool, state="held", reason="breaker: this sender may not", asked=asked)

    await upkeep_of(pool).run_once()

    rows = await pool.fetch(
        "SELECT state, round(extract(epoch FROM due_at - now()) / 60) AS minutes FROM messages ORDER BY message_id"
    )
    assert [(row["state"], row["minutes"]) for row in rows] == [("queued", minutes) for minutes in (0, 1, 4, 30)]


async def test_each_probe_in_vain_doubles_the_wait_up_to_half_an_hour(pool: db.Pool) -> None:
    await a_message(pool, state="queued")
    await failed(pool, 3)

    waits = []
    for _ in range(7):
        await come_due(pool)
        assert await allowance(pool) == 1
        await failed(pool)
        waits.append(await pool.fetchval("SELECT round(extract(epoch FROM open_until - now()) / 60) FROM breakers"))

    assert waits == [2, 4, 8, 16, 30, 30, 30]


async def test_once_the_probe_was_taken_everything_goes(pool: db.Pool) -> None:
    held = [await a_message(pool, state="held", reason="breaker: account suspended") for _ in range(5)]
    await failed(pool, 3)
    await succeeded(pool)

    await upkeep_of(pool, batch=3).run_once()
    await upkeep_of(pool, batch=3).run_once()

    assert {await state(pool, message) for message in held} == {"queued"}
    assert await allowance(pool) == 100


async def test_what_is_held_for_another_reason_is_not_a_breakers_to_return(pool: db.Pool) -> None:
    message = await a_message(pool, state="held", reason="plan: the month's texts are used up")

    await upkeep_of(pool).run_once()

    assert await state(pool, message) == "held"


async def test_a_message_held_by_a_worker_that_died_before_it_told_the_breaker_is_returned(pool: db.Pool) -> None:
    await a_message(pool, state="held", account="sms/a", reason="plan: used up")
    message = await a_message(pool, state="held", account="sms/b", reason="breaker: account suspended")

    await upkeep_of(pool).run_once()

    assert await state(pool, message) == "queued"


# --- use-by -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waits", ["queued", "held"])
async def test_a_message_past_its_use_by_expires_and_the_crm_hears_of_it(pool: db.Pool, waits: str) -> None:
    message = await a_message(pool, state=waits, use_by=ago(seconds=1), reason="breaker: account suspended")
    fresh = await a_message(pool, state=waits, use_by=ahead(hours=1), reason="plan: used up")

    await upkeep_of(pool).run_once()

    assert (await state(pool, message), await state(pool, fresh)) == ("expired", waits)
    assert await told(pool) == [("message.failed", "expired")]
    reason = await pool.fetchval("SELECT reason FROM messages WHERE message_id = $1", message)
    assert reason.startswith("use-by: it was of use until 20")


async def test_what_may_be_at_a_provider_never_expires(pool: db.Pool) -> None:
    messages = [await a_message(pool, state=one, use_by=ago(days=1)) for one in ("claimed", "submitting", "unknown")]

    await upkeep_of(pool).run_once()

    assert [await state(pool, message) for message in messages] == ["claimed", "submitting", "unknown"]


@pytest.mark.parametrize("waits", ["review", "held", "planned"])
async def test_an_action_past_its_use_by_expires_and_the_crm_hears_of_it(pool: db.Pool, waits: str) -> None:
    await a_studio(pool)
    action = await an_action(pool, state=waits, due_at=ago(days=1), use_by=ago(seconds=1))

    await upkeep_of(pool).run_once()
    await upkeep_of(pool).run_once()

    assert await pool.fetchval("SELECT state FROM actions WHERE action_id = $1", action) == "expired"
    assert await told(pool) == [("action.lapsed", "expired")]


async def test_an_action_that_release_is_about_to_see_is_left_to_it(pool: db.Pool) -> None:
    await a_studio(pool)
    await an_action(pool, state="planned", due_at=ago(seconds=1), use_by=ago(seconds=1))
    await an_action(pool, state="review", due_at=ago(days=1), use_by=ahead(days=1))

    await upkeep_of(pool).run_once()

    assert {row[0] for row in await pool.fetch("SELECT state FROM actions")} == {"planned", "review"}


# --- receipts ---------------------------------------------------------------------------------------------------


async def test_a_receipt_finds_its_message_once_the_providers_id_is_known(pool: db.Pool) -> None:
    await take_receipts(pool, ACCOUNT, [("SM1 delivered", Receipt(Fate.DELIVERED, None, "SM1"), "{}")])
    message = await a_message(pool, state="accepted", provider_id="SM1")

    await upkeep_of(pool).run_once()

    assert await state(pool, message) == "delivered"


# --- what is forgotten ------------------------------------------------------------------------------------------

OLD_EVENTS = """
INSERT INTO events (studio_id, source, event_id, type, subject, time, body, received_at)
SELECT $1, '/crm/main', n::text, 'crm.session.created', 'session/1', now(), '{}', now() - n * interval '1 day'
  FROM generate_series(1, 40) AS n"""
OLD_COMMANDS = """
INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data, state, created_at, published_at)
SELECT 'main', n || '-' || state || '-' || verb, 'session/1', verb, 0, '{}', state, now() - n * interval '1 day',
       CASE state WHEN 'published' THEN now() - n * interval '1 day' END
  FROM generate_series(1, 40) AS n, unnest(ARRAY['new', 'published', 'unroutable']) AS state,
       unnest(ARRAY['create_call', 'message.sent']) AS verb"""
OLD_KEYS = """
INSERT INTO idempotency_keys (studio_id, key, digest, answer, created_at)
SELECT 'main', n::text, '', '', now() - n * interval '1 hour' FROM generate_series(1, 30) AS n"""


async def test_events_are_forgotten_after_thirty_days_in_bounded_steps(pool: db.Pool) -> None:
    for studio in ("main", "other"):
        await a_studio(pool, studio)
        await pool.execute(OLD_EVENTS, studio)
    upkeep = upkeep_of(pool, batch=7)

    await upkeep.run_once()
    assert await pool.fetchval("SELECT count(*) FROM events") == 80 - 7
    while await upkeep.run_once() == 0:
        pass

    left = await pool.fetch("SELECT studio_id, count(*) FROM events GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in left] == [("main", 29), ("other", 29)]


async def test_a_command_is_forgotten_once_published_a_report_also_where_nobody_ever_listened(pool: db.Pool) -> None:
    await pool.execute(OLD_COMMANDS)

    await upkeep_of(pool).run_once()

    left = await pool.fetch("SELECT state, verb, count(*) FROM commands GROUP BY 1, 2 ORDER BY 1, 2")
    assert [tuple(row) for row in left] == [
        ("new", "create_call", 40),
        ("new", "message.sent", 40),
        ("published", "create_call", 29),
        ("published", "message.sent", 29),
        ("unroutable", "create_call", 40),
        ("unroutable", "message.sent", 29),
    ]


async def test_idempotency_keys_are_kept_for_a_day_and_receipts_of_nobody_for_a_month(pool: db.Pool) -> None:
    await pool.execute(OLD_KEYS)
    message = await a_message(pool, state="accepted", provider_id="SM1")
    known = Receipt(Fate.DELIVERED, None, "SM1")
    await take_receipts(pool, ACCOUNT, [("1", known, ""), ("2", Receipt(Fate.DELIVERED, None, "SM2"), "")])
    await pool.execute("UPDATE receipts SET received_at = $1", LONG_AGO)

    await upkeep_of(pool).run_once()

    assert await pool.fetchval("SELECT count(*) FROM idempotency_keys") == 23
    assert [row[0] for row in await pool.fetch("SELECT message_id FROM receipts")] == [message]


async def test_actions_messages_and_attempts_are_never_forgotten(pool: db.Pool) -> None:
    await a_message(pool, state="delivered", created_at=LONG_AGO)

    await upkeep_of(pool, ages=Ages(events=timedelta(0), commands=timedelta(0))).run_once()

    assert [await pool.fetchval(f"SELECT count(*) FROM {table}") for table in ("actions", "messages", "attempts")] == [
        1,
        1,
        1,
    ]


# --- one process at a time --------------------------------------------------------------------------------------


async def test_heavy_duties_are_one_processs_at_a_time_and_rescue_is_everybodys(pool: db.Pool) -> None:
    async with db.session(pool) as connection:
        await leases.hold(connection, ["upkeep"], uuid.uuid4(), lease=timedelta(hours=1))
    late = await a_message(pool, state="queued", use_by=ago(days=1))
    lost = await a_message(pool, state="submitting", lease_until=ago(seconds=1))

    await upkeep_of(pool).run_once()

    assert (await state(pool, late), await state(pool, lost)) == ("queued", "unknown")


async def test_an_upkeep_that_stops_lets_another_take_over_at_once(pool: db.Pool) -> None:
    first = upkeep_of(pool)
    await first.run_once()
    await first.close()
    late = await a_message(pool, state="queued", use_by=ago(days=1))

    await upkeep_of(pool).run_once()

    assert await state(pool, late) == "expired"


async def test_a_duty_that_is_not_due_is_not_done_and_the_wait_says_when_it_is(pool: db.Pool) -> None:
    upkeep = upkeep_of(
        pool, intervals=Intervals(rescue=50, return_held=50, adopt=30, plans=50, gaps=50, expire=60, prune=600)
    )
    wait = await upkeep.run_once()
    lost = await a_message(pool, state="submitting", lease_until=ago(seconds=1))

    await upkeep.run_once()

    assert 0 < wait <= 30
    assert await state(pool, lost) == "submitting"


async def test_hours_from_which_the_blast_guard_no_longer_learns_are_forgotten(pool: db.Pool) -> None:
    for days in (1, 28, 30):
        await pool.execute("INSERT INTO release_counts VALUES ('main', 1, $1, 5)", ago(days=days))

    await upkeep_of(pool).run_once()

    assert await pool.fetchval("SELECT count(*) FROM release_counts") == 2


async def test_what_came_in_is_forgotten_after_ninety_days_where_it_became_a_message_and_kept_where_it_is_nobodys(
    pool: db.Pool,
) -> None:
    came = """
        INSERT INTO arrivals (studio_id, account, known_by, sender, receiver, body, message_id, received_at)
        VALUES ('main', 'sms/default', $1, '', '', '', $2, $3)"""
    await pool.execute(came, "young", 1, ago(days=89))
    await pool.execute(came, "old", 2, ago(days=91))
    await pool.execute(came, "old, and nobody's", None, ago(days=91))

    await upkeep_of(pool).run_once()

    assert {row[0] for row in await pool.fetch("SELECT known_by FROM arrivals")} == {"young", "old, and nobody's"}


async def test_a_quiet_round_says_nothing(pool: db.Pool) -> None:
    with capture_logs() as logs:
        await upkeep_of(pool).run_once()
    assert logs == []
