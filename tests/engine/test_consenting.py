"""What an address says takes effect in the transaction that writes it down."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from control_center.domain.consent import DOUBTFUL, Purpose, Said
from control_center.domain.errors import Refused
from control_center.engine import consenting
from control_center.engine.consenting import Effect
from control_center.store import consents, db
from control_center.store.consents import Saying
from tests.support.rows import a_message, a_studio, now
from tests.support.sayings import a_saying


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    await a_studio(pool)
    yield pool
    await pool.close()


async def say(pool: db.Pool, said: Saying) -> Effect:
    async with db.transaction(pool) as tx:
        return await consenting.say(tx, said, now())


async def states(pool: db.Pool) -> list[str]:
    return [row[0] for row in await pool.fetch("SELECT state FROM messages ORDER BY message_id")]


async def test_an_unsubscribed_address_loses_marketing_and_keeps_its_reminders(pool: db.Pool) -> None:
    for purpose in ("marketing", "transactional"):
        await a_message(pool, channel="email", purpose=purpose)

    await say(pool, a_saying("jo@mail.example", purpose=Purpose.MARKETING, source="link"))

    assert await states(pool) == ["suppressed", "queued"]


async def test_the_answer_to_a_stop_leaves_all_the_same(pool: db.Pool) -> None:
    await a_message(pool, origin="answer")

    await say(pool, a_saying())

    assert await states(pool) == ["queued"]


async def test_a_person_who_has_read_a_doubtful_text_lets_go_on_what_it_held(pool: db.Pool) -> None:
    await a_message(pool)
    await say(pool, a_saying(says=Said.DOUBT, evidence="leave me alone"))
    assert await states(pool) == ["held"]
    assert await pool.fetchval("SELECT reason FROM messages") == DOUBTFUL

    await say(pool, a_saying(says=Said.NO_STOP, source="person: Ada"))

    assert await states(pool) == ["queued"]


async def test_what_would_mean_nothing_is_refused_and_leaves_no_line(pool: db.Pool) -> None:
    with pytest.raises(Refused):
        await say(pool, a_saying(says=Said.NO_STOP))
    assert await pool.fetchval("SELECT count(*) FROM consents") == 0
    assert await pool.fetchval("SELECT count(*) FROM commands") == 0


async def test_a_person_who_settles_a_doubt_does_not_lift_an_unsubscription_by_it(pool: db.Pool) -> None:
    await say(pool, a_saying("jo@mail.example", purpose=Purpose.MARKETING, source="link"))
    await say(pool, a_saying("jo@mail.example", says=Said.DOUBT))

    with pytest.raises(Refused, match="explicit opt-in"):
        await say(pool, a_saying("jo@mail.example", says=Said.NO_STOP, purpose=Purpose.MARKETING))


@pytest.mark.parametrize("deed", ["UPDATE consents SET says = 'start'", "DELETE FROM consents", "TRUNCATE consents"])
async def test_the_database_keeps_every_line_of_the_ledger_as_it_was_written(pool: db.Pool, deed: str) -> None:
    await say(pool, a_saying())

    with pytest.raises(asyncpg.RaiseError, match="only grows"):
        await pool.execute(deed)

    assert await pool.fetchval("SELECT says FROM consents") == "stop"


async def test_an_email_address_is_the_same_however_its_letters_are_written(pool: db.Pool) -> None:
    await a_message(pool, channel="email", address="Jo@mail.example")

    await say(pool, a_saying("jo@MAIL.example", source="link"))

    assert await states(pool) == ["suppressed"]
    async with db.session(pool) as connection:
        found = await consents.standings(connection, [("main", "email", "JO@mail.example")])
    assert found["main", "email", "JO@mail.example"].stopped
