"""What the fence has held may have gone out, whatever becomes of it: late facts find it, and count."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias
from uuid import uuid4

import pytest

from control_center.domain.consent import DOUBTFUL, Said
from control_center.domain.dead_number import told
from control_center.domain.errors import Refused
from control_center.domain.fence import HELD
from control_center.domain.ladder import NOT_ARRIVED
from control_center.domain.message import settle
from control_center.domain.outcome import Accepted, Fate, Receipt
from control_center.engine import arming, consenting, front_desk, replies
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.engine.upkeep import Upkeep
from control_center.fence import Fence
from control_center.store import actions, bulks, db, dead_numbers, ladders, submissions
from control_center.store.submissions import Settled
from tests.support.crm import client, event, session
from tests.support.rows import a_message, a_studio, a_trigger, ago, ahead, now
from tests.support.sayings import a_saying

NUMBER: Final = "+13125550188"
FAILED_OVER: Final = "UPDATE fence SET timeline = '000000AF'"

Way: TypeAlias = Callable[[db.Pool, int], Awaitable[Any]]


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test", size=4)
    await a_studio(opened)
    yield opened
    await opened.close()


@pytest.fixture
def fence(pool: db.Pool, tmp_path: Path) -> Fence:
    return Fence(pool, tmp_path)


async def fails_over(pool: db.Pool, fence: Fence) -> None:
    await pool.execute(FAILED_OVER)
    assert not await fence.look()


async def of(pool: db.Pool, message: int) -> tuple[str, str]:
    row = await pool.fetchrow("SELECT state, reason FROM messages WHERE message_id = $1", message)
    assert row is not None
    return row[0], row[1]


async def receipt(pool: db.Pool, key: str, fate: Fate = Fate.DELIVERED) -> None:
    await replies.take_receipts(pool, "sms/default", [(f"{key} {fate}", Receipt(fate, key, "SM1"), "as it came")])


async def reports(pool: db.Pool) -> list[str]:
    return [
        row[0]
        for row in await pool.fetch("SELECT verb FROM commands WHERE starts_with(verb, 'message.') ORDER BY sequence")
    ]


# How something ends that the fence holds, or is decided by a person ------------------------------------------


async def says_stop(pool: db.Pool, _: int) -> None:
    async with db.transaction(pool) as tx:
        await consenting.say(tx, a_saying(NUMBER), now())


async def takes_no_texts(pool: db.Pool, _: int) -> None:
    async with db.transaction(pool) as tx:
        await dead_numbers.suppress(tx, ("main", NUMBER), told("a landline"))


async def grows_old(pool: db.Pool, message: int) -> None:
    await pool.execute("UPDATE messages SET use_by = $2 WHERE message_id = $1", message, ago(minutes=1))
    upkeep = Upkeep(pool, now, uuid4())
    await upkeep.expire_messages()


async def is_said_not_to_have_gone(pool: db.Pool, message: int) -> None:
    await arming.arm(pool, "doubt", by="Ada", reason="a backup")
    await front_desk.resolve(pool, "main", message, sent=False, evidence="not in the list", by="Ada")


async def is_let_go(pool: db.Pool, _: int) -> None:
    await arming.arm(pool, "send", by="Ada", reason="a planned switchover")


async def is_let_go_and_waits_for_morning(pool: db.Pool, message: int) -> None:
    await is_let_go(pool, message)
    await pool.execute(
        "UPDATE messages SET reason = 'window: it is night', due_at = $2 WHERE message_id = $1", message, ahead(hours=9)
    )


ENDS: Final[dict[str, tuple[Way, str]]] = {
    "STOP": (says_stop, "suppressed"),
    "its number takes no texts": (takes_no_texts, "suppressed"),
    "its use-by": (grows_old, "expired"),
    "a person: not sent": (is_said_not_to_have_gone, "failed"),
    "a person: it goes": (is_let_go, "queued"),
    "a person: it goes, in the morning": (is_let_go_and_waits_for_morning, "queued"),
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize(("fate", "then"), [(Fate.DELIVERED, "delivered"), (Fate.UNDELIVERED, "undelivered")])
async def test_a_receipt_for_a_forgotten_attempt_counts_whatever_became_of_its_text_meanwhile(
    pool: db.Pool, fence: Fence, how: str, fate: Fate, then: str
) -> None:
    way, before = ENDS[how]
    message = await a_message(pool)
    await fails_over(pool, fence)
    await way(pool, message)
    assert (await of(pool, message))[0] == before

    await receipt(pool, f"m-{message}.1", fate)

    state, reason = await of(pool, message)
    assert (state, f"although {before}" in reason) == (then, True)
    told = await reports(pool)
    assert told[-2:] == ["message.sent", "message.delivered" if fate is Fate.DELIVERED else "message.failed"]
    assert await pool.fetchval("SELECT count(*) FROM receipts WHERE message_id IS NULL") == 0


async def test_what_a_stop_ended_keeps_saying_so_and_that_it_may_have_gone(pool: db.Pool, fence: Fence) -> None:
    message = await a_message(pool)
    await fails_over(pool, fence)

    await says_stop(pool, message)

    state, reason = await of(pool, message)
    assert state == "suppressed"
    assert reason.startswith("opted out: reply")
    assert HELD in reason
    assert await reports(pool) == ["message.unknown"], "nobody knows, so the CRM is not told that it was not sent"

    await receipt(pool, f"m-{message}.1")
    assert "opted out" in (await of(pool, message))[1], "the STOP stays visible"
    assert await reports(pool) == ["message.unknown", "message.sent", "message.delivered"]


async def test_a_receipt_of_an_attempt_that_was_never_made_counts_nowhere_else(pool: db.Pool) -> None:
    message = await a_message(pool)

    await receipt(pool, f"m-{message}.1")

    assert (await of(pool, message))[0] == "queued"
    before = await pool.fetchval("SELECT max(receipt_id) FROM receipts")
    assert await replies.adopt(pool, limit=10) == 0, "and nobody takes it out again and again"
    assert await pool.fetchval("SELECT max(receipt_id) FROM receipts") == before


async def test_a_receipt_that_names_what_came_in_is_not_taken_out_again_and_again(pool: db.Pool) -> None:
    await a_message(pool, state="received", provider_id="SM1")
    await replies.take_receipts(pool, "sms/default", [("SM1 sent", Receipt(Fate.SENT, None, "SM1"), "as it came")])
    before = await pool.fetchval("SELECT max(receipt_id) FROM receipts")

    assert await replies.adopt(pool, limit=10) == 0
    assert await pool.fetchval("SELECT max(receipt_id) FROM receipts") == before


# What else may have gone in the lost time ---------------------------------------------------------------------

WAITS: Final = {
    "breaker": "breaker: wrong password",
    "another account": "failover: out of tries",
    "plan": "plan: 100 of 100",
    "doubt": DOUBTFUL,
    "numbers in a row": "prefix: too many",
}


@pytest.mark.parametrize("why", WAITS)
async def test_what_was_held_for_another_reason_may_have_been_let_go_in_the_lost_time_and_waits_for_the_person_too(
    pool: db.Pool, fence: Fence, why: str
) -> None:
    message = await a_message(pool, state="held", reason=WAITS[why])
    await fails_over(pool, fence)

    state, reason = await of(pool, message)
    assert (state, reason.startswith(HELD), WAITS[why] in reason) == ("held", True, True)
    await Upkeep(pool, now, uuid4()).return_held()
    async with db.transaction(pool) as tx:
        await consenting.say(tx, a_saying(NUMBER, Said.START), now())
    assert (await of(pool, message))[0] == "held"
    with pytest.raises(Refused, match="1 messages and 0 actions may have gone out already"):
        await arming.arm(pool, None, by="Ada", reason="looked")


async def test_words_that_another_text_says_follow_that_one(pool: db.Pool, fence: Fence) -> None:
    first = await a_message(pool, state="submitting")
    rider = await a_message(pool, state="held", reason="calm day", rides_with=first, address="+13125550189")

    await fails_over(pool, fence)

    assert await of(pool, rider) == ("held", "calm day")


async def of_a_bulk(pool: db.Pool) -> tuple[int, bulks.Bulk]:
    await pool.execute(
        """
        INSERT INTO bulks (studio_id, name, state, channel, purpose, audience, template, words, account, sender,
                           start_at, next_at, use_by, lasts, released_by, made_by)
        SELECT 'main', 'Offer', 'running', 'sms', 'marketing', '{"record": "client"}', 'offer', '{}', 'sms/default',
               '+13125550100', $1, $1, $2, interval '1 day', 'Ada', 'Ada'
        """,
        ahead(hours=1),
        ahead(days=1),
    )
    number = await pool.fetchval("SELECT bulk_id FROM bulks")
    message = await a_message(pool, origin="bulk", purpose="marketing", bulk_id=number)
    async with db.session(pool) as tx:
        found = await bulks.lock(tx, "main", number)
    assert found is not None
    return message, found


async def test_a_bulk_that_is_paused_and_goes_on_does_not_take_the_fences_word(pool: db.Pool, fence: Fence) -> None:
    message, bulk = await of_a_bulk(pool)
    await fails_over(pool, fence)
    async with db.transaction(pool) as tx:
        await bulks.pause(tx, bulk, reason="paused by Ada")
        await bulks.resume(tx, bulk, now())

    state, reason = await of(pool, message)
    assert (state, reason.startswith(HELD)) == ("held", True)


async def test_a_receipt_proves_a_text_of_a_bulk_that_was_ended_while_the_fence_held_it(
    pool: db.Pool, fence: Fence
) -> None:
    message, bulk = await of_a_bulk(pool)
    await fails_over(pool, fence)
    async with db.transaction(pool) as tx:
        await bulks.cancel(tx, bulk, reason="ended by Ada")
    assert (await of(pool, message))[0] == "cancelled"
    assert HELD in (await of(pool, message))[1]

    await receipt(pool, f"m-{message}.1")

    assert (await of(pool, message))[0] == "delivered"


# What follows from what a text has come to --------------------------------------------------------------------


@pytest.mark.parametrize("how", ["STOP", "its number takes no texts", "its use-by"])
async def test_what_may_have_gone_is_no_reason_to_go_another_way(pool: db.Pool, fence: Fence, how: str) -> None:
    message = await a_message(pool)
    action = await pool.fetchval("SELECT action_id FROM messages WHERE message_id = $1", message)
    await fails_over(pool, fence)
    await ENDS[how][0](pool, message)

    async with db.session(pool) as tx:
        [due] = await actions.pick(tx, "main", [action])
        [sent] = (await ladders.sent(tx, [due]))["main", action]

    assert sent.state not in NOT_ARRIVED


async def test_what_a_person_says_was_not_sent_goes_another_way(pool: db.Pool, fence: Fence) -> None:
    message = await a_message(pool)
    action = await pool.fetchval("SELECT action_id FROM messages WHERE message_id = $1", message)
    await fails_over(pool, fence)
    await is_said_not_to_have_gone(pool, message)

    async with db.session(pool) as tx:
        [due] = await actions.pick(tx, "main", [action])
        [sent] = (await ladders.sent(tx, [due]))["main", action]

    assert sent.state in NOT_ARRIVED


async def test_who_may_have_been_told_of_the_old_date_counts_as_told(pool: db.Pool, fence: Fence) -> None:
    await a_message(pool)
    await fails_over(pool, fence)

    async with db.session(pool) as tx:
        [action] = (await actions.of_records(tx, [("main", "session", "4711")]))["main", "session", "4711"]

    assert action.released_at is not None


# The worker's own word ----------------------------------------------------------------------------------------


async def answered(pool: db.Pool, message: int) -> None:
    settlement = settle(Accepted("SM1"), key=f"m-{message}", tries=0, use_by=ahead(days=1), now=now())
    month = now().date().replace(day=1)
    done = Settled("main", message, 1, 1, NUMBER, "sms", settlement, (), month)
    async with db.session(pool) as tx:
        await submissions.step(tx, [done], [], lease=timedelta(minutes=1), margin=timedelta(minutes=1))


@pytest.mark.parametrize("how", [None, *ENDS])
async def test_a_worker_that_was_told_so_proves_what_the_database_forgot(
    pool: db.Pool, fence: Fence, how: str | None
) -> None:
    message = await a_message(pool)
    await fails_over(pool, fence)
    if how is not None:
        await ENDS[how][0](pool, message)
    before, _ = await of(pool, message)

    await answered(pool, message)

    state, reason = await of(pool, message)
    assert (state, f"although {before}" in reason) == ("accepted", True)
    row = await pool.fetchrow("SELECT provider_id, ended_at FROM messages WHERE message_id = $1", message)
    assert tuple(row) == ("SM1", None)


async def test_a_worker_that_was_told_so_outdoes_a_person_who_thought_otherwise(pool: db.Pool) -> None:
    message = await a_message(pool, state="unknown")
    await front_desk.resolve(pool, "main", message, sent=False, evidence="not in the list", by="Ada")

    await answered(pool, message)

    state, reason = await of(pool, message)
    assert (state, "although failed: not sent, says Ada" in reason) == ("accepted", True)


# Actions of the lost time --------------------------------------------------------------------------------------


async def test_an_event_of_the_lost_time_that_brings_back_what_had_lapsed_is_held(pool: db.Pool, fence: Fence) -> None:
    await a_trigger(pool, activate={"on": "status_changed"}, processing={"mode": "automatic", "blackouts": False})
    at = now()
    jo = client("c-1000", phones=[{"number": NUMBER, "sms": True}])

    async def comes(version: int, status: str) -> None:
        body = session("1000", client="c-1000", version=version, status=status, status_changed_at=at.isoformat())
        await Intake(pool, now).take_in([event(body, about=jo)])
        while await Release(pool, now).run_once():
            pass

    await pool.execute("UPDATE studios SET enabled = false")  # so that what is planned waits
    await comes(1, "Booked")
    await comes(2, "Tentative")
    assert await pool.fetchval("SELECT state FROM actions") == "lapsed"  # as the backup has it
    await fails_over(pool, fence)  # … which lacks the third version, and that the text of it went out
    await arming.arm(pool, None, by="Ada", reason="restored")
    await pool.execute("UPDATE studios SET enabled = true")

    await comes(3, "Booked")

    row = await pool.fetchrow("SELECT state, reason FROM actions")
    assert row is not None
    assert (row["state"], row["reason"].startswith(HELD)) == ("held", True)
