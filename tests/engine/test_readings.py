"""A doubtful text: the reading that a person chose takes effect, once, and nothing else does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from control_center.domain.errors import Refused
from control_center.domain.inbound import Inbound
from control_center.domain.signature import Signature
from control_center.engine import readings
from control_center.engine.conversations import Conversations
from control_center.engine.readings import Choice
from control_center.store import consents, db
from tests.support.rows import a_client, a_message, a_record, a_studio, ago, ahead, now

OURS, JO = "+13125550100", "+13125550188"
SOON = ahead(days=5).date().isoformat()
ADA = Signature("Ada", "api")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    await a_studio(pool)
    await a_client(pool, reach=[JO])
    yield pool
    await pool.close()


async def asked(pool: db.Pool, question: str = "confirmation") -> int:
    await a_record(pool, dates={"session": SOON})
    sent: dict[str, Any] = {"state": "accepted", "question": question, "asked_date": SOON, "sent_at": ago(hours=1)}
    return await a_message(pool, **sent, created_at=ago(hours=1))


async def comes_in(pool: db.Pool, text: str) -> int:
    (taken,) = await Conversations(pool, now).take("sms/default", [(Inbound(text, None, JO, OURS, text), "{}")])
    assert taken.attention is not None
    assert taken.message_id is not None
    return taken.message_id


async def choose(pool: db.Pool, message: int, meaning: str, **more: Any) -> None:
    await readings.choose(pool, now, "main", message, Choice(meaning, **more), by=ADA)


async def verbs(pool: db.Pool) -> list[str]:
    rows = await pool.fetch("SELECT verb FROM commands WHERE verb NOT LIKE 'message.%' ORDER BY sequence")
    return [row[0] for row in rows]


async def test_a_doubtful_yes_confirms_once_a_person_says_so(pool: db.Pool) -> None:
    await asked(pool)
    message = await comes_in(pool, "yes but can we do 4 instead?")

    await choose(pool, message, "confirmation")

    body = msgspec.json.decode(await pool.fetchval("SELECT body FROM records WHERE record_id = '4711'"))
    assert body["flags"]["confirmed"] is True
    assert await verbs(pool) == ["confirm_record"]
    row = await pool.fetchrow("SELECT * FROM messages WHERE message_id = $1", message)
    assert (row["meaning"], row["attention"], row["resolved_by"]) == ("confirmation", None, "Ada")
    assert row["read_at"] is not None
    with pytest.raises(Refused, match="taken for confirmation"):
        await choose(pool, message, "confirmation")


async def test_what_is_no_opt_out_is_read_on_for_what_it_answers(pool: db.Pool) -> None:
    await asked(pool)
    message = await comes_in(pool, "Yes! Can we stop by at 3 to look at frames first?")

    await choose(pool, message, "no_opt_out")

    row = await pool.fetchrow("SELECT meaning, attention, read_at FROM messages WHERE message_id = $1", message)
    assert (row["meaning"], row["read_at"]) == ("doubtful", None)
    assert row["attention"].startswith("can be read as a yes to session 4711")
    await choose(pool, message, "confirmation")
    assert await verbs(pool) == ["consent.changed", "consent.changed", "confirm_record"]


async def test_what_is_no_opt_out_and_can_only_be_one_answer_counts_as_that(pool: db.Pool) -> None:
    await asked(pool, question="nps")
    message = await comes_in(pool, "10! though the bus stop was far")
    assert await verbs(pool) == ["consent.changed"]

    await choose(pool, message, "no_opt_out")

    assert (await verbs(pool))[2:] == ["record_nps"]
    assert await pool.fetchval("SELECT meaning FROM messages WHERE message_id = $1", message) == "score"


async def test_a_no_is_noted_and_nothing_is_confirmed(pool: db.Pool) -> None:
    await asked(pool)
    message = await comes_in(pool, "no")

    await choose(pool, message, "no")

    assert await verbs(pool) == ["add_note"]
    assert await pool.fetchval("SELECT count(*) FROM answers") == 0


async def test_a_reading_that_it_has_not_is_refused_naming_those_it_has(pool: db.Pool) -> None:
    await asked(pool)
    message = await comes_in(pool, "yes but can we do 4 instead?")
    with pytest.raises(Refused, match="allowed: confirmation"):
        await choose(pool, message, "score", score=9)
    assert await verbs(pool) == []


async def test_what_was_answered_since_is_not_answered_twice(pool: db.Pool) -> None:
    question = await asked(pool)
    message = await comes_in(pool, "yes but can we do 4 instead?")
    answer = "INSERT INTO answers (studio_id, message_id, meaning) VALUES ('main', $1, 'confirmed')"
    await pool.execute(answer, question)
    with pytest.raises(Refused, match="answered or over"):
        await choose(pool, message, "confirmation")


@pytest.mark.parametrize(("meaning", "stopped"), [("opt_out", True), ("no_opt_out", False)])
async def test_what_may_be_an_opt_out_is_settled_into_the_ledger(pool: db.Pool, *, meaning: str, stopped: bool) -> None:
    message = await comes_in(pool, "please stop texting me so early")

    await choose(pool, message, meaning)

    async with db.session(pool) as tx:
        standing = (await consents.standings(tx, [("main", "sms", JO)]))["main", "sms", JO]
    assert (standing.stopped, standing.doubtful) == (stopped, False)
