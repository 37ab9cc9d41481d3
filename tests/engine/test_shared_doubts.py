"""What may be a STOP, to a number of several studios, holds the texts of each whose client may have said it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import pytest

from control_center.domain.inbound import Inbound
from control_center.engine import readings
from control_center.engine.conversations import Conversations, Taken
from control_center.engine.hearing import Hearing
from control_center.engine.readings import Choice
from control_center.store import consents, conversations, db, heard
from control_center.store.heard import Words
from tests.support.rows import a_client, a_message, a_studio, ago, now

ACCOUNT = "sms/default"
OURS, SECOND = "+13125550100", "+13125550101"
JO, KIM = "+13125550188", "+13125550177"
DOUBT = "stop it already"
_ids = count(1)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    for studio in ("main", "other", "third"):
        await a_studio(pool, studio)
    yield pool
    await pool.close()


async def comes_in(pool: db.Pool, text: str = DOUBT, *, to: str = OURS, sender: str = JO) -> Taken:
    known_by = f"SM{next(_ids)}"
    (taken,) = await Conversations(pool, now).take(ACCOUNT, [(Inbound(known_by, known_by, sender, to, text), "{}")])
    return taken


async def state(pool: db.Pool, message: int) -> str:
    found: str = await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", message)
    return found


async def doubtful(pool: db.Pool) -> list[str]:
    async with db.session(pool) as connection:
        asked = [(studio, "sms", JO) for studio in ("main", "other", "third")]
        found = await consents.standings(connection, asked)
    return sorted(studio for (studio, _, _), one in found.items() if one.doubtful)


async def stopped(pool: db.Pool) -> list[str]:
    async with db.session(pool) as connection:
        asked = [(studio, "sms", JO) for studio in ("main", "other", "third")]
        found = await consents.standings(connection, asked)
    return sorted(studio for (studio, _, _), one in found.items() if one.stopped)


async def test_it_holds_the_texts_of_each_studio_that_wrote_to_them(pool: db.Pool) -> None:
    await a_message(pool, state="accepted", sent_at=ago(days=3))
    await a_message(pool, studio="other", state="accepted", sent_at=ago(days=1))
    waiting = [await a_message(pool), await a_message(pool, studio="other")]

    taken = await comes_in(pool)

    assert (taken.studio, taken.meaning) == ("other", "may_be_opt_out")
    assert [await state(pool, one) for one in waiting] == ["held", "held"]
    assert await doubtful(pool) == ["main", "other"]
    assert await pool.fetchval("SELECT count(*) FROM messages WHERE origin = 'answer'") == 0


async def test_it_holds_those_of_a_studio_whose_client_they_are_and_that_never_wrote(pool: db.Pool) -> None:
    await a_message(pool, state="accepted", sent_at=ago(days=1))
    await a_client(pool, studio="other", reach=[JO])

    await comes_in(pool)

    assert await doubtful(pool) == ["main", "other"]


async def test_it_holds_what_waits_for_them_wherever_it_waits(pool: db.Pool) -> None:
    await a_message(pool, state="accepted", sent_at=ago(days=1))
    waiting = await a_message(pool, studio="third", sender=SECOND)

    await comes_in(pool)

    assert await state(pool, waiting) == "held"


async def test_a_studio_that_knows_nobody_of_that_number_hears_nothing_of_it(pool: db.Pool) -> None:
    await a_message(pool, state="accepted", sent_at=ago(days=1))
    await a_message(pool, studio="third", state="accepted", address=KIM)

    await comes_in(pool)

    assert await doubtful(pool) == ["main"]
    assert await pool.fetchval("SELECT count(*) FROM commands WHERE studio_id <> 'main'") == 0


async def test_a_studio_that_has_the_number_no_more_holds_its_texts_too(pool: db.Pool) -> None:
    await pool.execute("UPDATE studios SET numbers = $1 WHERE studio_id = 'main'", [SECOND])
    await pool.execute("DELETE FROM studios WHERE studio_id = 'third'")
    await a_message(pool, sender=OURS, state="delivered", sent_at=ago(days=20))
    await a_message(pool, studio="other", state="delivered", sent_at=ago(days=2))

    await comes_in(pool)

    assert await doubtful(pool) == ["main", "other"]


async def test_it_is_read_somewhere_also_where_nobody_wrote_last(pool: db.Pool) -> None:
    """As a STOP is heard there: else it would hold nothing, and nobody would ever see it."""
    for studio in ("other", "third"):
        await a_client(pool, studio=studio, reach=[JO])

    taken = await comes_in(pool)

    assert (taken.studio, taken.meaning) == ("other", "may_be_opt_out")
    assert await doubtful(pool) == ["other", "third"]


async def test_of_somebody_whom_no_studio_knows_it_is_nobodys(pool: db.Pool) -> None:
    assert (await comes_in(pool)).studio is None
    async with db.session(pool) as connection:
        assert len(await conversations.unrouted(connection, limit=10)) == 1


async def test_it_does_not_weaken_a_stop(pool: db.Pool) -> None:
    for studio in ("main", "other"):
        await a_message(pool, studio=studio, state="accepted", sent_at=ago(days=1))
    await pool.execute(
        "INSERT INTO consents (studio_id, channel, address, purpose, says, source, evidence)"
        " VALUES ('main', 'sms', $1, 'all', 'stop', 'reply', 'STOP')",
        JO,
    )

    await comes_in(pool)

    assert (await stopped(pool), await doubtful(pool)) == (["main"], ["other"])


async def test_a_person_who_reads_a_stop_in_it_ends_the_texts_of_each(pool: db.Pool) -> None:
    await a_message(pool, state="accepted", sent_at=ago(days=3))
    await a_message(pool, studio="other", state="accepted", sent_at=ago(days=1))
    waiting = [await a_message(pool), await a_message(pool, studio="other")]
    taken = await comes_in(pool)
    assert taken.message_id is not None

    await readings.choose(pool, now, "other", taken.message_id, Choice("opt_out"), by="ada")

    assert [await state(pool, one) for one in waiting] == ["suppressed", "suppressed"]
    assert await stopped(pool) == ["main", "other"]


async def test_a_person_who_reads_none_in_it_frees_their_own_studios_and_no_other(pool: db.Pool) -> None:
    await a_message(pool, state="accepted", sent_at=ago(days=3))
    await a_message(pool, studio="other", state="accepted", sent_at=ago(days=1))
    waiting = [await a_message(pool), await a_message(pool, studio="other")]
    taken = await comes_in(pool)
    assert taken.message_id is not None

    await readings.choose(pool, now, "other", taken.message_id, Choice("no_opt_out"), by="ada")

    assert [await state(pool, one) for one in waiting] == ["held", "queued"]


async def test_each_studio_has_it_to_read_and_settles_it_for_itself(pool: db.Pool) -> None:
    """A text that waits for a person waits for one of its own studio: nobody else would ever let it go."""
    await a_message(pool, state="accepted", sent_at=ago(days=3))
    await a_message(pool, studio="other", state="accepted", sent_at=ago(days=1))
    await a_client(pool, reach=[JO])
    waiting = [await a_message(pool), await a_message(pool, studio="other")]
    await comes_in(pool)

    rows = await pool.fetch(
        "SELECT studio_id, message_id, meaning, attention, body, client_id FROM messages WHERE state = 'received'"
        " ORDER BY studio_id"
    )
    assert [(row["studio_id"], row["meaning"], row["body"]) for row in rows] == [
        ("main", "may_be_opt_out", DOUBT),
        ("other", "may_be_opt_out", DOUBT),
    ]
    assert rows[0]["client_id"] == "c-12"
    assert "several studios" in rows[0]["attention"]
    assert await pool.fetchval("SELECT sum(texts) FROM usage_sources WHERE origin = 'client'") == 1, (
        "its carrier bills it once"
    )

    await readings.choose(pool, now, "main", rows[0]["message_id"], Choice("no_opt_out"), by="bea")
    assert [await state(pool, one) for one in waiting] == ["queued", "held"]


async def test_a_text_that_was_shown_to_a_studio_is_no_sign_that_it_knows_the_sender(pool: db.Pool) -> None:
    await a_message(pool, studio="other", state="accepted", sent_at=ago(days=1))
    await a_message(pool, studio="third", state="received", body="hello")

    await comes_in(pool)

    assert await doubtful(pool) == ["other"]


async def test_said_again_without_a_name_it_counts_where_it_does_not_hold_any_more(pool: db.Pool) -> None:
    await a_message(pool, state="accepted", sent_at=ago(days=3))
    await a_message(pool, studio="other", state="accepted", sent_at=ago(days=1))

    async def is_delivered() -> None:
        async with db.transaction(pool) as tx:
            known_by = f"smpp {next(_ids)}"
            await heard.keep(tx, ACCOUNT, known_by, Words(Inbound(known_by, None, JO, OURS, DOUBT), "00"))
        await Hearing(pool, now).run_once()

    await is_delivered()
    await pool.execute(
        "INSERT INTO consents (studio_id, channel, address, purpose, says, source, evidence)"
        " VALUES ('main', 'sms', $1, 'all', 'no_stop', 'person', 'by telephone')",
        JO,
    )
    await is_delivered()

    assert await doubtful(pool) == ["main", "other"]
