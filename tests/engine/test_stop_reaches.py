"""A STOP counts for whoever texted its sender, whatever became of the number it came to, however often it is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import pytest

from control_center.domain.consent import Said
from control_center.domain.inbound import Inbound
from control_center.engine import consenting
from control_center.engine.conversations import Conversations, Taken
from control_center.engine.hearing import Hearing
from control_center.store import consents, conversations, db, heard
from control_center.store.consents import Saying
from control_center.store.heard import Words
from tests.support.rows import a_message, a_studio, ago, now

ACCOUNT = "sms/default"
OURS, SECOND, FORMER = "+13125550100", "+13125550101", "+13125550199"
JO = "+13125550188"
_ids = count(1)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    await a_studio(pool)
    yield pool
    await pool.close()


async def comes_in(pool: db.Pool, text: str, *, to: str = OURS, sender: str = JO, account: str = ACCOUNT) -> Taken:
    """A text as a provider brings it that gives each a name."""
    known_by = f"SM{next(_ids)}"
    inbound = Inbound(known_by, known_by, sender, to, text)
    (taken,) = await Conversations(pool, now).take(account, [(inbound, "{}")])
    return taken


async def is_delivered(pool: db.Pool, text: str, *, to: str = OURS) -> None:
    """A text as a message centre brings it, which gives none a name."""
    known_by = f"smpp {next(_ids)}"
    async with db.transaction(pool) as tx:
        await heard.keep(tx, ACCOUNT, known_by, Words(Inbound(known_by, None, JO, to, text), "00"))
    await Hearing(pool, now).run_once()


async def is_recorded(pool: db.Pool, says: Said) -> None:
    """A person writes down what Jo said on the telephone."""
    async with db.transaction(pool) as tx:
        await consenting.say(tx, Saying("main", "sms", JO, says, "person: ada", "by telephone"), now())


async def stopped(pool: db.Pool, studio: str = "main") -> bool:
    async with db.session(pool) as connection:
        found = await consents.standings(connection, [(studio, "sms", JO)])
    return any(one.stopped for one in found.values())


async def unrouted(pool: db.Pool) -> int:
    async with db.session(pool) as connection:
        return len(await conversations.unrouted(connection, limit=10))


# Said again -----------------------------------------------------------------------------------------------


async def test_a_stop_without_a_name_counts_again_after_a_person_let_texts_go_there_again(pool: db.Pool) -> None:
    await is_delivered(pool, "STOP")
    await is_recorded(pool, Said.START)

    await is_delivered(pool, "STOP")

    assert await stopped(pool)


async def test_a_stop_without_a_name_counts_again_after_a_start_to_another_number_of_ours(pool: db.Pool) -> None:
    await pool.execute("UPDATE studios SET numbers = $1", [OURS, SECOND])
    await is_delivered(pool, "STOP")
    await is_delivered(pool, "START", to=SECOND)

    await is_delivered(pool, "STOP")

    assert await stopped(pool)


async def test_a_stop_without_a_name_that_is_brought_again_stays_one_text(pool: db.Pool) -> None:
    await is_delivered(pool, "STOP")
    await is_delivered(pool, "STOP")

    assert await pool.fetchval("SELECT count(*) FROM messages WHERE origin = 'client'") == 1
    assert await pool.fetchval("SELECT count(*) FROM consents") == 1


async def test_what_may_be_a_stop_counts_again_after_a_person_found_that_it_was_none(pool: db.Pool) -> None:
    await is_delivered(pool, "stop it already")
    await is_recorded(pool, Said.NO_STOP)

    await is_delivered(pool, "stop it already")

    async with db.session(pool) as connection:
        found = await consents.standings(connection, [("main", "sms", JO)])
    assert [one.doubtful for one in found.values()] == [True]


# Numbers that we had --------------------------------------------------------------------------------------


async def test_a_stop_to_a_number_that_the_studio_has_given_up_is_the_studios(pool: db.Pool) -> None:
    await a_message(pool, sender=FORMER, state="delivered", sent_at=ago(days=20))
    waiting = await a_message(pool)

    taken = await comes_in(pool, "STOP", to=FORMER)

    assert (taken.studio, taken.meaning) == ("main", "opt_out")
    assert await stopped(pool)
    assert await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", waiting) == "suppressed"
    assert await unrouted(pool) == 0


async def test_any_other_text_to_it_is_the_studios_as_well(pool: db.Pool) -> None:
    await a_message(pool, sender=FORMER, state="delivered", sent_at=ago(days=20))

    assert (await comes_in(pool, "Can we bring the dog?", to=FORMER)).studio == "main"


async def test_a_text_to_it_from_somebody_who_was_never_texted_from_there_is_nobodys(pool: db.Pool) -> None:
    await a_message(pool, sender=FORMER, state="delivered", sent_at=ago(days=20))
    await a_message(pool, sender=FORMER, address="+13125550177", state="suppressed")

    assert (await comes_in(pool, "STOP", to=FORMER, sender="+13125550177")).studio is None
    assert await unrouted(pool) == 1


async def test_another_providers_account_says_nothing_of_a_number_that_was_given_up(pool: db.Pool) -> None:
    await a_message(pool, sender=FORMER, state="delivered", sent_at=ago(days=20))

    assert (await comes_in(pool, "START", to=FORMER, account="sms/strange")).studio is None


async def test_a_stop_to_a_number_that_is_another_studios_by_now_is_for_both(pool: db.Pool) -> None:
    await pool.execute("UPDATE studios SET numbers = $1", [SECOND])
    await a_studio(pool, "other")
    await a_message(pool, sender=OURS, state="delivered", sent_at=ago(days=20))

    taken = await comes_in(pool, "STOP")

    assert taken.studio == "other"
    assert await stopped(pool)
    assert await stopped(pool, "other")
