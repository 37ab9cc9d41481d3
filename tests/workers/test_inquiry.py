"""What may have been taken is asked about, and what the provider says settles it or is kept as evidence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import timedelta

import pytest

from control_center.domain.outcome import CannotTell, Fate, Found, Lookup, NotFoundThere, Text
from control_center.engine.replies import adopt
from control_center.store import db
from tests.support.rows import a_client, a_message, a_record, a_studio, ago, now
from workers.inquiry import PATIENCE, Inquiry


class Directory:
    """A provider that only answers questions."""

    def __init__(self, answer: Lookup) -> None:
        self.answer = answer
        self.asked: list[tuple[Text, tuple[str, ...]]] = []

    async def lookup(self, message: Text, known: Collection[str] = ()) -> Lookup:
        self.asked.append((message, tuple(known)))
        return self.answer


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    await a_client(opened)
    await a_record(opened)
    yield opened
    await opened.close()


async def an_old_unknown(pool: db.Pool) -> int:
    message = await a_message(pool, state="unknown", reason="sent: the answer was lost")
    await pool.execute("UPDATE attempts SET started_at = $1", ago(minutes=5))
    return message


async def state_of(pool: db.Pool, message: int) -> tuple[str, str]:
    row = await pool.fetchrow("SELECT state, reason FROM messages WHERE message_id = $1", message)
    return row["state"], row["reason"]


async def test_a_text_that_the_provider_has_is_settled_by_asking(pool: db.Pool) -> None:
    message = await an_old_unknown(pool)
    directory = Directory(Found("SM1", Fate.DELIVERED))

    await Inquiry(pool, directory, account="sms/default", clock=now).run_once()
    await adopt(pool, limit=10)

    assert (await state_of(pool, message))[0] == "delivered"
    ((asked, _),) = directory.asked
    assert (asked.key, asked.to, asked.body) == (f"m-{message}.1", "+13125550188", "See you soon.")


async def test_a_text_that_the_provider_does_not_find_stays_unknown_with_that_as_evidence(pool: db.Pool) -> None:
    message = await an_old_unknown(pool)
    inquiry = Inquiry(pool, Directory(NotFoundThere()), account="sms/default", clock=now)

    await inquiry.run_once()
    await inquiry.run_once()

    assert await state_of(pool, message) == ("unknown", "sent: the answer was lost; the provider does not find it")


async def test_a_provider_that_cannot_tell_is_not_asked_again(pool: db.Pool) -> None:
    await an_old_unknown(pool)
    directory = Directory(CannotTell("no lookup"))
    inquiry = Inquiry(pool, directory, account="sms/default", clock=now)

    await inquiry.run_once()
    await inquiry.run_once()

    assert len(directory.asked) == 1


async def test_after_a_few_questions_it_is_for_a_person(pool: db.Pool) -> None:
    await an_old_unknown(pool)
    directory = Directory(NotFoundThere())
    inquiry = Inquiry(pool, directory, account="sms/default", clock=now)

    for _ in range(PATIENCE + 3):
        await inquiry.run_once()

    assert len(directory.asked) == PATIENCE


async def test_a_receipt_is_given_time_to_come_by_itself(pool: db.Pool) -> None:
    await a_message(pool, state="unknown")
    directory = Directory(Found("SM1", Fate.SENT))

    await Inquiry(pool, directory, account="sms/default", clock=now, youngest=timedelta(minutes=2)).run_once()

    assert directory.asked == []


async def test_ids_of_other_messages_to_the_same_number_are_told_apart(pool: db.Pool) -> None:
    await a_message(pool, state="accepted", provider_id="SM-other")
    await an_old_unknown(pool)
    directory = Directory(NotFoundThere())

    await Inquiry(pool, directory, account="sms/default", clock=now).run_once()

    assert directory.asked[0][1] == ("SM-other",)


async def test_what_is_too_old_to_be_asked_about_is_not_remembered_either(pool: db.Pool) -> None:
    await an_old_unknown(pool)
    later = [now()]
    inquiry = Inquiry(pool, Directory(CannotTell("no lookup")), account="sms/default", clock=lambda: later[0])
    await inquiry.run_once()

    await pool.execute("UPDATE attempts SET started_at = started_at - interval '25 hours'")
    later[0] += timedelta(hours=25)
    await inquiry.run_once()

    assert (inquiry._asked, inquiry._began) == ({}, {})


async def test_texts_of_a_studio_that_shares_the_number_are_told_apart_too(pool: db.Pool) -> None:
    await an_old_unknown(pool)
    await a_studio(pool, studio="other")
    await a_message(pool, studio="other", state="accepted", provider_id="SM-other")
    directory = Directory(NotFoundThere())

    await Inquiry(pool, directory, account="sms/default", clock=now).run_once()

    assert directory.asked[0][1] == ("SM-other",)
