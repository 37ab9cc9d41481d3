"""A session has one score, however many give one at once, and an invoice of it goes by that score."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest

from control_center.domain.inbound import Inbound
from control_center.domain.links import Links
from control_center.engine.conversations import Conversations, Taken
from control_center.engine.explain import explain
from control_center.engine.following import Following, Shown, View
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db
from tests.support.crm import client, event, session
from tests.support.programs import eventually
from tests.support.rows import a_client, a_message, a_record, a_studio, a_trigger, ago, now

PAID = datetime(2026, 11, 23, 18, tzinfo=UTC)
THANKS: dict[str, Any] = {
    "record": "invoice",
    "status": None,
    "activate": {"on": "paid", "days": 1},
    "text": "Would you tell others?",
}
HAPPY = {"id": "r-1", "score": 9, "comment": None, "received_at": "2026-11-20T10:00:00Z"}
POOR = {**HAPPY, "score": 3}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def takes_in(pool: db.Pool, record: dict[str, Any], verb: str = "updated", *, at: datetime = PAID) -> None:
    await Intake(pool, lambda: at).take_in([event(record, verb, about=client(), time=at.isoformat())])


async def is_scored(pool: db.Pool, nps: dict[str, Any] | None, *, version: int = 1, at: datetime = PAID) -> None:
    await takes_in(pool, session("4711", version=version, nps=nps), "created" if version == 1 else "updated", at=at)


async def is_paid(pool: db.Pool, *, version: int = 1, at: datetime = PAID, **keys: Any) -> None:
    invoice = {
        "kind": "invoice",
        "id": "9001",
        "version": version,
        "client_id": "c-12",
        "status": "Paid",
        "dates": {"paid": "2026-11-23"},
        "links": {"session": "4711"},
        **keys,
    }
    await takes_in(pool, invoice, "created" if version == 1 else "updated", at=at)


async def release(pool: db.Pool, at: datetime) -> None:
    while await Release(pool, lambda: at).run_once():
        pass


async def ends(pool: db.Pool) -> list[tuple[str, str]]:
    return [tuple(row) for row in await pool.fetch("SELECT state, reason FROM actions ORDER BY action_id")]


DUE = PAID + timedelta(days=1)


@pytest.mark.parametrize(
    ("nps", "exclude", "end"),
    [
        (HAPPY, {"only_between": [9, 10]}, ("released", "")),
        (POOR, {"only_between": [9, 10]}, ("lapsed", "NPS: the score is 3, the trigger wants 9 to 10")),
        (None, {"only_between": [9, 10]}, ("lapsed", "NPS: the score is None, the trigger wants 9 to 10")),
        (None, {"recorded": True}, ("released", "")),
        (POOR, {"recorded": True}, ("lapsed", "NPS: a score of 3 is recorded already")),
        (HAPPY, {"only_with_comment": True}, ("lapsed", "NPS: there is no comment")),
        ({**POOR, "comment": "cold"}, {"only_with_comment": True}, ("released", "")),
    ],
)
async def test_an_invoice_is_judged_by_the_score_of_its_session(
    pool: db.Pool, nps: dict[str, Any] | None, exclude: dict[str, Any], end: tuple[str, str]
) -> None:
    await a_trigger(pool, **THANKS, exclude={"nps": exclude})
    await is_scored(pool, nps)
    await is_paid(pool)

    await release(pool, DUE)

    assert await ends(pool) == [end]


async def test_an_invoice_that_waited_in_vain_for_a_score_goes_out_when_it_comes(pool: db.Pool) -> None:
    await a_trigger(pool, **THANKS, exclude={"nps": {"only_between": [9, 10]}})
    await is_scored(pool, None)
    await is_paid(pool)
    await release(pool, DUE)

    await is_scored(pool, HAPPY, version=2, at=DUE + timedelta(days=2))
    assert [state for state, _ in await ends(pool)] == ["planned"]
    await release(pool, DUE + timedelta(days=2))

    assert [state for state, _ in await ends(pool)] == ["released"]


async def test_only_the_invoices_of_the_session_that_was_scored_come_back(pool: db.Pool) -> None:
    await a_trigger(pool, **THANKS, exclude={"nps": {"only_between": [9, 10]}})
    await is_scored(pool, None)
    await is_paid(pool)
    await is_paid(pool, id="9002", links={"session": "4712"})
    await release(pool, DUE)

    await is_scored(pool, HAPPY, version=2, at=DUE)

    assert await pool.fetch("SELECT record_id, state FROM actions ORDER BY 1") == [
        ("9001", "planned"),
        ("9002", "lapsed"),
    ]


async def test_a_score_that_does_not_fit_leaves_the_invoice_where_it_is(pool: db.Pool) -> None:
    await a_trigger(pool, **THANKS, exclude={"nps": {"only_between": [9, 10]}})
    await is_scored(pool, None)
    await is_paid(pool)
    await release(pool, DUE)

    await is_scored(pool, POOR, version=2, at=DUE + timedelta(days=2))
    await release(pool, DUE + timedelta(days=2))

    assert [state for state, _ in await ends(pool)] == ["lapsed"]


async def test_a_score_after_the_use_by_brings_nothing_back(pool: db.Pool) -> None:
    await a_trigger(pool, **THANKS, exclude={"nps": {"only_between": [9, 10]}}, use_by="2d")
    await is_scored(pool, None)
    await is_paid(pool)
    await release(pool, DUE)

    await is_scored(pool, HAPPY, version=2, at=DUE + timedelta(days=3))

    assert [state for state, _ in await ends(pool)] == ["lapsed"]


async def test_an_invoice_that_changes_after_the_score_came_is_judged_by_it(pool: db.Pool) -> None:
    await a_trigger(pool, **THANKS, exclude={"nps": {"only_between": [9, 10]}})
    await is_scored(pool, HAPPY)
    await is_paid(pool, links=None)
    await release(pool, DUE)
    assert [state for state, _ in await ends(pool)] == ["lapsed"]

    await is_paid(pool, version=2, at=DUE)
    await release(pool, DUE)

    assert [state for state, _ in await ends(pool)] == ["released"]


async def test_explain_knows_the_score_of_an_invoice_s_session(pool: db.Pool) -> None:
    await a_trigger(pool, "Thanks", **THANKS, exclude={"nps": {"only_between": [9, 10]}})
    await is_scored(pool, HAPPY)
    await is_paid(pool)
    number = await pool.fetchval("SELECT action_id FROM actions")

    told = await explain(pool, lambda: PAID, "main", f"a-{number}")

    assert "waits until" in told.sentence, told.sentence


# Two at the same instant ----------------------------------------------------------------------------------

JO, KIM = "+13125550188", "+13125550177"
LINKS = Links("https://control.studio.example", b"a key that nobody else has, really")
_names = count(1)


async def a_question(pool: db.Pool, **columns: Any) -> int:
    """A message, by default a text, that has asked for the score of session 4711."""
    return await a_message(pool, **{"state": "accepted", "question": "nps", "sent_at": ago(hours=1), **columns})


async def texted(pool: db.Pool, words: str, sender: str = JO) -> Taken:
    """A text comes in by a process of its own."""
    name = f"SM-race-{next(_names)}"
    inbound = Inbound(name, name, sender, "+13125550100", words)
    (taken,) = await Conversations(pool, now).take("sms/default", [(inbound, "{}")])
    return taken


async def pressed(pool: db.Pool, message: int, score: int, comment: str = "") -> View:
    """The link of a message is followed, and its button pressed, by a process of its own."""
    view = await Following(pool, now, LINKS).score(LINKS.score(message).rpartition("/")[2], score, comment)
    assert view is not None
    return view


async def race(pool: db.Pool, *ways: Awaitable[Any]) -> list[Any]:
    """All of these at once: every one has read that the question is open before any of them can write a score."""

    async def all_wait() -> bool:
        waiting = await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(waiting == len(ways))

    async with db.transaction(pool) as tx:
        await tx.execute("SELECT FROM records WHERE kind = 'session' FOR UPDATE")
        running = [asyncio.ensure_future(way) for way in ways]
        await eventually(all_wait)
    return list(await asyncio.gather(*running))


async def told_to_the_crm(pool: db.Pool) -> list[tuple[int, str]]:
    rows = await pool.fetch("SELECT data FROM commands WHERE verb = 'record_nps' ORDER BY sequence")
    return [(said["score"], said["comment"]) for said in (msgspec.json.decode(row[0]) for row in rows)]


async def recorded(pool: db.Pool) -> int:
    body = await pool.fetchval("SELECT body FROM records WHERE kind = 'session'")
    score: int = msgspec.json.decode(body)["nps"]["score"]
    return score


async def test_of_two_replies_from_two_numbers_in_one_instant_one_score_counts_and_the_other_is_a_plain_text(
    pool: db.Pool,
) -> None:
    await a_record(pool)
    await a_question(pool)
    await a_question(pool, address=KIM)

    taken = await race(pool, texted(pool, "9"), texted(pool, "3", KIM))

    assert sorted(one.meaning for one in taken) == ["plain", "score"]
    (winner,) = [one for one in taken if one.meaning == "score"]
    score = int(winner.inbound.text)
    assert await told_to_the_crm(pool) == [(score, "")]
    assert await recorded(pool) == score
    assert await pool.fetchval("SELECT count(*) FROM messages WHERE origin = 'client' AND read_at IS NULL") == 2


async def test_of_two_replies_from_one_number_in_one_instant_the_second_is_no_other_score(pool: db.Pool) -> None:
    await a_record(pool)
    await a_question(pool)

    taken = await race(pool, texted(pool, "9"), texted(pool, "3"))

    (winner,) = [one for one in taken if one.meaning == "score"]
    assert await recorded(pool) == int(winner.inbound.text)
    assert {score for score, _ in await told_to_the_crm(pool)} == {int(winner.inbound.text)}


async def test_of_a_reply_and_a_link_in_one_instant_one_score_counts(pool: db.Pool) -> None:
    await a_client(pool)
    await a_record(pool)
    await a_question(pool)
    mail = await a_question(pool, channel="email", question=None)

    taken, view = await race(pool, texted(pool, "9"), pressed(pool, mail, 3))

    by_text = taken.meaning == "score"
    assert view.shown is (Shown.COMMENTED if by_text else Shown.DONE)
    assert await told_to_the_crm(pool) == [(9 if by_text else 3, "")]
    assert await recorded(pool) == (9 if by_text else 3)


async def test_of_two_links_of_two_mails_in_one_instant_one_score_counts(pool: db.Pool) -> None:
    await a_client(pool)
    await a_record(pool)
    mails = [await a_question(pool, channel="email", question=None, address=f"{n}@mail.example") for n in "ab"]

    views = await race(pool, *(pressed(pool, mail, score) for mail, score in zip(mails, (9, 3), strict=True)))

    assert sorted(one.shown.value for one in views) == ["commented", "done"]
    ((score, _),) = await told_to_the_crm(pool)
    assert await recorded(pool) == score


async def test_of_a_reply_and_a_newer_version_of_the_record_that_has_a_score_the_one_that_was_first_counts(
    pool: db.Pool,
) -> None:
    await a_client(pool)
    await a_record(pool)
    await a_question(pool)
    poor = {**POOR, "received_at": now().isoformat()}

    taken, _ = await race(pool, texted(pool, "9"), is_scored(pool, poor, version=2, at=now()))

    told = await told_to_the_crm(pool)
    assert told == ([(9, "")] if taken.meaning == "score" else [])
    assert await recorded(pool) == 3  # the record is the CRM's: what it says last holds, whoever was first


async def test_of_two_comments_in_one_instant_one_counts(pool: db.Pool) -> None:
    await a_client(pool)
    await a_record(pool)
    question = await a_question(pool)
    await texted(pool, "9")

    await race(pool, texted(pool, "Ada was so patient"), pressed(pool, question, 0, "Lovely"))

    told = await told_to_the_crm(pool)
    assert len(told) == 2
    assert told[1] in [(9, "Ada was so patient"), (9, "Lovely")]
