"""Receipts: stored once, matched now or later, and folded so that neither order nor repetition matters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from control_center.domain.consent import Said
from control_center.domain.message import key_of, settle
from control_center.domain.outcome import Accepted, Fate, NotSent, Outcome, Receipt, Refused, Stage, Unknown
from control_center.domain.outcome import Cause as RefusalCause
from control_center.engine import replies
from control_center.engine.replies import take_receipts
from control_center.store import consents, db, message_leases, submissions
from control_center.store.submissions import Settled
from tests.support.mutations import LONG
from tests.support.rows import MINUTE, a_message, ahead, now

ACCOUNT = "sms/default"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    yield pool
    await pool.close()


def a_receipt(
    message: int | None, fate: Fate = Fate.DELIVERED, *, number: int = 1, provider_id: str | None = None, **more: Any
) -> Receipt:
    return Receipt(fate, None if message is None else key_of(message, number), provider_id, **more)


async def take(pool: db.Pool, *came: Receipt, account: str = ACCOUNT) -> int:
    keys = [f"{one.reference or one.provider_id} {one.fate.value}" for one in came]
    return await take_receipts(pool, account, [(key, one, "{}") for key, one in zip(keys, came, strict=True)])


async def answer(pool: db.Pool, message: int, outcome: Outcome, *, token: int = 1) -> None:
    """The worker writes what the provider answered, as it always does."""
    settlement = settle(outcome, key=f"m-{message}", tries=0, use_by=ahead(days=1), now=now())
    done = Settled(
        studio="main",
        message_id=message,
        token=token,
        number=1,
        address="+13125550188",
        channel="sms",
        settlement=settlement,
        told=(),
        month=now().date().replace(day=1),
    )
    async with db.session(pool) as connection:
        await submissions.step(connection, [done], [], lease=MINUTE, margin=MINUTE)


async def row(pool: db.Pool, message: int) -> Any:
    return await pool.fetchrow("SELECT * FROM messages WHERE message_id = $1", message)


async def attempt(pool: db.Pool, message: int) -> Any:
    return await pool.fetchrow("SELECT * FROM attempts WHERE message_id = $1 ORDER BY number DESC LIMIT 1", message)


async def told(pool: db.Pool) -> list[str]:
    """The verbs of the reports, in the order in which they are published."""
    return [row[0] for row in await pool.fetch("SELECT verb FROM commands WHERE verb <> 'add_note' ORDER BY sequence")]


async def test_a_receipt_with_our_reference_settles_a_message_whose_answer_was_lost(pool: db.Pool) -> None:
    message = await a_message(pool, state="unknown")

    assert await take(pool, a_receipt(message, provider_id="SM1")) == 1

    found = await row(pool, message)
    assert (found["state"], found["provider_id"], found["sent_at"] is not None) == ("delivered", "SM1", True)
    assert (await attempt(pool, message))["outcome"] == "accepted"
    assert (await attempt(pool, message))["provider_id"] == "SM1"
    assert await told(pool) == ["message.sent", "message.delivered"]


async def test_a_receipt_that_proves_a_message_was_taken_enrols_its_client_in_the_same_transaction(
    pool: db.Pool,
) -> None:
    enrols = {"client_id": "c-12", "program": "Spring", "if_enrolled": "move"}
    message = await a_message(pool, state="unknown", enrols=enrols)

    await take(pool, a_receipt(message))
    await take(pool, a_receipt(message, Fate.SENT))

    assert await told(pool) == ["message.sent", "assign_referral", "message.delivered"]
    data = msgspec.json.decode(await pool.fetchval("SELECT data FROM commands WHERE verb = 'assign_referral'"))
    assert {name: data[name] for name in enrols} == enrols


async def test_a_receipt_that_only_says_it_is_on_its_way_settles_an_unknown_as_accepted(pool: db.Pool) -> None:
    message = await a_message(pool, state="unknown")

    await take(pool, a_receipt(message, Fate.SENT))

    assert (await row(pool, message))["state"] == "accepted"
    assert await told(pool) == ["message.sent"]


async def test_the_report_names_message_action_address_and_the_event_that_led_to_it(pool: db.Pool) -> None:
    message = await a_message(pool, state="accepted")

    await take(pool, a_receipt(message, Fate.UNDELIVERED, code="30003", reason="unreachable"))

    command = await pool.fetchrow("SELECT * FROM commands")
    data = msgspec.json.decode(command["data"])
    assert command["subject"] == "session/4711"
    assert data["message"] == f"m-{message}"
    assert data["to"] == "+13125550188"
    assert data["state"] == "undelivered"
    assert data["reason"] == "30003 unreachable"
    assert data["cause"]["event_id"] == "event-1"
    assert data["cause"]["action"].startswith("a-")


async def test_a_repeat_changes_nothing(pool: db.Pool) -> None:
    message = await a_message(pool, state="accepted")

    assert await take(pool, a_receipt(message), a_receipt(message)) == 1
    assert await take(pool, a_receipt(message)) == 0

    assert await pool.fetchval("SELECT count(*) FROM receipts") == 1
    assert await told(pool) == ["message.delivered"]


async def test_delivered_outranks_undelivered_in_either_order(pool: db.Pool) -> None:
    first, second = await a_message(pool, state="accepted"), await a_message(pool, state="accepted")

    await take(pool, a_receipt(first), a_receipt(first, Fate.UNDELIVERED))
    await take(pool, a_receipt(second, Fate.UNDELIVERED))
    await take(pool, a_receipt(second))

    assert {(await row(pool, one))["state"] for one in (first, second)} == {"delivered"}


async def test_a_receipt_for_nobody_we_know_is_kept(pool: db.Pool) -> None:
    await take(pool, a_receipt(None, provider_id="SM404"), a_receipt(999), a_receipt(2**70))

    kept = await pool.fetch("SELECT message_id, body FROM receipts")
    assert [tuple(one) for one in kept] == [(None, "{}")] * 3


async def test_a_reference_to_an_attempt_that_was_never_made_is_not_ours(pool: db.Pool) -> None:
    message = await a_message(pool, state="accepted")

    await take(pool, a_receipt(message, number=2))

    assert (await row(pool, message))["state"] == "accepted"


@pytest.mark.parametrize(
    ("state", "fate", "reached"),
    [
        ("queued", Fate.SENT, "accepted"),  # so that the second account is not asked any more
        ("queued", Fate.UNDELIVERED, "undelivered"),
        ("submitting", Fate.UNDELIVERED, "submitting"),  # what the second account does with it is still to come
        ("accepted", Fate.UNDELIVERED, "accepted"),
        ("accepted", Fate.DELIVERED, "delivered"),
        ("undelivered", Fate.DELIVERED, "delivered"),
    ],
)
async def test_a_receipt_of_the_account_that_a_message_was_moved_away_from_is_believed_with_an_alarm(
    pool: db.Pool, state: str, fate: Fate, reached: str
) -> None:
    asked = 1 if state == "queued" else 2
    message = await a_message(pool, state=state, asked=asked, account="sms/backup", moved_from=[ACCOUNT])

    with capture_logs() as logs:
        await take(pool, a_receipt(message, fate))

    assert (await row(pool, message))["state"] == reached
    assert [one["log_level"] for one in logs if one["event"] == "receipt.contradicts"] == ["error"]
    first = await pool.fetchrow("SELECT outcome, reason FROM attempts WHERE number = 1")
    assert first["outcome"] == "accepted"
    assert await take(pool, a_receipt(message, fate), account="sms/third") == 1
    assert await pool.fetchval("SELECT count(*) FROM receipts WHERE message_id IS NULL") == 1


async def test_a_receipt_of_another_account_does_not_reach_our_message(pool: db.Pool) -> None:
    message = await a_message(pool, state="accepted", provider_id="SM1")

    await take(pool, a_receipt(message), a_receipt(None, provider_id="SM1"), account="sms/other")

    assert (await row(pool, message))["state"] == "accepted"


async def test_a_receipt_that_came_before_we_knew_the_providers_id_is_adopted_once_we_do(pool: db.Pool) -> None:
    message = await a_message(pool, state="submitting")
    await take(pool, a_receipt(None, Fate.SENT, provider_id="SM1"), a_receipt(None, provider_id="SM1"))
    assert await replies.adopt(pool, limit=10) == 0

    await answer(pool, message, Accepted("SM1"))
    assert await replies.adopt(pool, limit=10) == 2

    assert (await row(pool, message))["state"] == "delivered"
    assert await pool.fetchval("SELECT count(*) FROM receipts WHERE message_id = $1", message) == 2
    assert await replies.adopt(pool, limit=10) == 0


async def test_a_repeat_between_the_answer_and_the_adoption_is_still_one_receipt(pool: db.Pool) -> None:
    message = await a_message(pool, state="submitting")
    await take(pool, a_receipt(None, provider_id="SM1"))
    await answer(pool, message, Accepted("SM1"))

    await take(pool, a_receipt(None, provider_id="SM1"))
    await replies.adopt(pool, limit=10)

    kept = await pool.fetch("SELECT studio_id, message_id FROM receipts")
    assert [tuple(one) for one in kept] == [("main", message)]
    assert await told(pool) == ["message.delivered"]


async def test_adoption_keeps_when_a_receipt_came(pool: db.Pool) -> None:
    message = await a_message(pool, state="submitting")
    await take(pool, a_receipt(None, provider_id="SM1", opted_out=True))
    await pool.execute("UPDATE receipts SET received_at = '2026-11-19T12:00:00Z'")

    await answer(pool, message, Accepted("SM1"))
    await replies.adopt(pool, limit=10)

    kept = await pool.fetchrow("SELECT received_at::text, opted_out FROM receipts")
    assert tuple(kept) == ("2026-11-19 12:00:00+00", True)


@pytest.mark.parametrize(
    "late",
    [Accepted("SM1"), Unknown("read timed out", Stage.SENT), NotSent("503"), Refused("no", RefusalCause.RECIPIENT)],
)
@pytest.mark.parametrize(("fate", "settled"), [(Fate.SENT, "accepted"), (Fate.DELIVERED, "delivered")])
async def test_what_the_worker_says_after_a_receipt_settled_its_message_does_not_step_back(
    pool: db.Pool, fate: Fate, settled: str, late: Outcome
) -> None:
    message = await a_message(pool, state="submitting")
    await take(pool, a_receipt(message, fate))

    await answer(pool, message, late)

    assert (await row(pool, message))["state"] == settled


async def test_a_receipt_for_a_message_being_submitted_also_says_that_it_was_sent(pool: db.Pool) -> None:
    message = await a_message(pool, state="submitting")

    await take(pool, a_receipt(message))

    found = await row(pool, message)
    assert (found["lease_owner"], found["lease_until"]) == (None, None)
    assert await told(pool) == ["message.sent", "message.delivered"]


@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_a_receipt_that_proves_us_wrong_is_folded_with_an_alarm(pool: db.Pool, state: str) -> None:
    message = await a_message(pool, state=state, asked=1, reason="recipient: no such number")

    with capture_logs() as logs:
        await take(pool, a_receipt(message))

    found = await row(pool, message)
    assert found["state"] == "delivered"
    assert found["reason"] == f"a receipt came, although {state}: recipient: no such number"
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("message.delivered", "info"),
        ("receipt.contradicts", "error"),
    ]


async def test_a_receipt_for_an_attempt_held_to_be_not_taken_raises_an_alarm(pool: db.Pool) -> None:
    message = await a_message(pool, state="queued", asked=1)

    with capture_logs() as logs:
        await take(pool, a_receipt(message))

    assert "receipt.contradicts" in {line["event"] for line in logs}
    assert (await attempt(pool, message))["outcome"] == "accepted"


async def test_what_its_provider_blames_on_the_account_pauses_it_after_a_few(pool: db.Pool) -> None:
    """Such as a number that is not registered: the provider takes every text, and each carrier drops it."""
    texts = [await a_message(pool, state="accepted") for _ in range(3)]
    blame = [a_receipt(one, Fate.UNDELIVERED, code="30034", reason="twilio 30034: no", blocked=True) for one in texts]

    for _ in range(5):
        await take(pool, blame[0])  # one and the same, brought again
    assert await opens(pool) == []
    await take(pool, *blame)

    assert await opens(pool) == [(ACCOUNT, "twilio 30034: no")]
    assert [(await row(pool, one))["reason"] for one in texts] == ["twilio 30034: no"] * 3


async def opens(pool: db.Pool) -> list[tuple[str, str]]:
    found = await pool.fetch("SELECT account, reason FROM breakers WHERE open_until IS NOT NULL ORDER BY account")
    return [tuple(row) for row in found]


async def test_an_opt_out_at_the_provider_is_one_here_too_and_stops_what_waits(pool: db.Pool) -> None:
    message, waiting = await a_message(pool, state="accepted"), await a_message(pool, state="queued")

    await take(pool, a_receipt(message, Fate.UNDELIVERED, code="21610", opted_out=True))
    await take(pool, a_receipt(message, Fate.SENT, opted_out=True))

    async with db.session(pool) as connection:
        said = await consents.history(connection, "main", "sms", "+13125550188")
    assert [(one.says, one.source) for one in said] == [(Said.STOP, "provider")]
    assert "21610" in said[0].evidence
    assert (await row(pool, waiting))["state"] == "suppressed"


async def test_receipts_of_many_studios_on_one_account_each_find_their_message(pool: db.Pool) -> None:
    ours = await a_message(pool, state="accepted", provider_id="SM1")
    theirs = await a_message(pool, state="accepted", studio="other", provider_id="SM2")

    await take(pool, a_receipt(None, provider_id="SM2"), a_receipt(None, Fate.UNDELIVERED, provider_id="SM1"))

    assert (await row(pool, ours))["state"] == "undelivered"
    assert (await row(pool, theirs))["state"] == "delivered"


async def test_two_who_take_the_same_receipts_at_once_fold_them_once(pool: db.Pool) -> None:
    ids = [await a_message(pool, state="accepted") for _ in range(20)]
    came = [a_receipt(message) for message in ids]

    taken = await asyncio.gather(take(pool, *came), take(pool, *reversed(came)))

    assert sum(taken) == 20
    assert await told(pool) == ["message.delivered"] * 20


FACTS = ("accepted", Fate.SENT, Fate.DELIVERED, Fate.UNDELIVERED, "adopt", "lost")
BY_RANK = {"delivered": 3, "undelivered": 2, "accepted": 1}


def expected(facts: Sequence[Any]) -> str:
    """The highest fact counts; a lost lease is no fact, only a doubt."""
    states = [fact if isinstance(fact, str) else "accepted" if fact is Fate.SENT else fact.value for fact in facts]
    ranked = [state for state in states if state in BY_RANK]
    if ranked:
        return max(ranked, key=lambda state: BY_RANK[state])
    return "unknown" if "lost" in states else "submitting"


async def lose_the_worker(pool: db.Pool, message: int) -> None:
    await pool.execute(
        "UPDATE messages SET lease_until = '-infinity' WHERE message_id = $1 AND state = 'submitting'", message
    )
    async with db.session(pool) as connection:
        await message_leases.rescue_expired_leases(connection, poison=3, limit=10)


@given(st.lists(st.tuples(st.sampled_from(FACTS), st.booleans()), max_size=8))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_order_and_repetition_of_facts_ends_in_the_same_state(
    pool: db.Pool, story: list[tuple[Any, bool]]
) -> None:
    message = await a_message(pool, state="submitting")
    provider_id = f"SM{message}"

    for fact, by_reference in story:
        if fact == "accepted":
            await answer(pool, message, Accepted(provider_id))
        elif fact == "adopt":
            await replies.adopt(pool, limit=10)
        elif fact == "lost":
            await lose_the_worker(pool, message)
        else:
            await take(pool, a_receipt(message if by_reference else None, fact, provider_id=provider_id))
    known = any(fact == "accepted" or (isinstance(fact, Fate) and by_reference) for fact, by_reference in story)
    await replies.adopt(pool, limit=10)

    facts = [fact for fact, by_reference in story if known or by_reference or not isinstance(fact, Fate)]
    assert (await row(pool, message))["state"] == expected(facts)


@pytest.mark.parametrize("known", ["SM\x001", "\ud800", LONG], ids=["a NUL", "half a letter", "too long for an index"])
async def test_a_receipt_of_whatever_id_is_stored(pool: db.Pool, known: str) -> None:
    message = await a_message(pool, state="accepted")

    assert await take(pool, a_receipt(None, provider_id=known), a_receipt(message, provider_id=known)) == 2

    assert (await row(pool, message))["state"] == "delivered"


async def test_no_receipt_is_about_a_text_that_came_in(pool: db.Pool) -> None:
    message = await a_message(pool, state="received", provider_id="SM1")

    with capture_logs() as logs:
        await take(pool, a_receipt(None, Fate.UNDELIVERED, provider_id="SM1"))

    assert (await row(pool, message))["state"] == "received"
    assert [one["event"] for one in logs] == ["receipt.unmatched"]
