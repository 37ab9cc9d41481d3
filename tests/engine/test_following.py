"""Links in messages: looking changes nothing, pressing the button acts once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec
import pytest

from control_center.domain.links import Links
from control_center.domain.record import Picture
from control_center.engine.following import Following, Shown
from control_center.store import consents, db, records
from tests.support.rows import a_client, a_message, a_record, a_studio, a_trigger, ago, ahead, now

LINKS = Links("https://control.studio.example", b"a key that nobody else has, really")
SOON = ahead(days=5).date().isoformat()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    await a_studio(pool)
    await a_client(pool)
    yield pool
    await pool.close()


def following(pool: db.Pool, at: datetime | None = None) -> Following:
    return Following(pool, lambda: at or now(), LINKS)


def token(url: str) -> str:
    return url.rpartition("/")[2]


async def a_mail(pool: db.Pool, **columns: Any) -> int:
    return await a_message(pool, **{"channel": "email", "state": "accepted", "purpose": "marketing", **columns})


async def picture(pool: db.Pool, record_id: str = "4711") -> Picture:
    async with db.session(pool) as connection:
        key = ("main", "session", record_id)
        return (await records.get(connection, {key}))[key]


async def told(pool: db.Pool, verb: str) -> list[dict[str, Any]]:
    rows = await pool.fetch("SELECT data FROM commands WHERE verb = $1 ORDER BY sequence", verb)
    return [msgspec.json.decode(row[0]) for row in rows]


async def said(pool: db.Pool) -> list[tuple[str, ...]]:
    return [tuple(row) for row in await pool.fetch("SELECT address, purpose, says, source FROM consents ORDER BY 1")]


# Unsubscribing --------------------------------------------------------------------------------------------


async def test_one_click_ends_marketing_and_nothing_else(pool: db.Pool) -> None:
    mail = await a_mail(pool)
    waiting = await a_mail(pool, state="queued")
    reminder = await a_mail(pool, state="queued", purpose="transactional")
    link = token(LINKS.unsubscribe(mail))

    before = await following(pool).subscription(link)
    after = await following(pool).unsubscribe(link)

    assert before is not None
    assert after is not None
    assert (before.shown, after.shown) == (Shown.OPEN, Shown.DONE)
    assert await said(pool) == [("jo@mail.example", "marketing", "stop", "link")]
    states = dict(await pool.fetch("SELECT message_id, state FROM messages"))
    assert (states[waiting], states[reminder]) == ("suppressed", "queued")
    (report,) = await told(pool, "consent.changed")
    assert (report["purpose"], report["says"]) == ("marketing", "stop")


async def test_looking_changes_nothing(pool: db.Pool) -> None:
    link = token(LINKS.unsubscribe(await a_mail(pool)))
    for _ in range(2):
        await following(pool).subscription(link)
    assert await said(pool) == []


async def test_pressing_it_again_and_at_once_says_it_once(pool: db.Pool) -> None:
    link = token(LINKS.unsubscribe(await a_mail(pool)))
    shown = await asyncio.gather(*(following(pool).unsubscribe(link) for _ in range(4)))
    assert {view.shown for view in shown if view is not None} == {Shown.DONE}
    assert len(await said(pool)) == 1


async def test_it_never_grows_old(pool: db.Pool) -> None:
    mail = await a_mail(pool, sent_at=ago(days=4000), created_at=ago(days=4000))
    view = await following(pool).unsubscribe(token(LINKS.unsubscribe(mail)))
    assert view is not None
    assert view.shown is Shown.DONE


async def test_a_forged_link_is_none(pool: db.Pool) -> None:
    mail = await a_mail(pool)
    theirs = Links(LINKS.base, b"a key of somebody else, as long as it")
    for made in (theirs.unsubscribe(mail), LINKS.score(mail), LINKS.unsubscribe(mail + 1000)):
        assert await following(pool).unsubscribe(token(made)) is None
    assert await said(pool) == []


async def test_triggers_on_unsubscribed_emails_fire(pool: db.Pool) -> None:
    await a_record(pool)
    await a_trigger(pool, record="email", status=None, event="unsubscribed", activate={"on": "received"})
    await following(pool).unsubscribe(token(LINKS.unsubscribe(await a_mail(pool))))
    row = await pool.fetchrow("SELECT kind, record_id FROM actions WHERE kind = 'email'")
    assert row is not None
    assert row["record_id"].endswith(".unsubscribed")


# Confirming -----------------------------------------------------------------------------------------------


async def a_link_to_confirm(pool: db.Pool, **record: Any) -> str:
    await a_record(pool, **{"dates": {"session": SOON}, **record})
    mail = await a_mail(pool, purpose="transactional")
    return token(LINKS.confirm(mail, await picture(pool)))


async def test_the_button_confirms_here_and_in_the_crm(pool: db.Pool) -> None:
    link = await a_link_to_confirm(pool)
    assert (await following(pool).confirmation(link)).shown is Shown.OPEN  # type: ignore[union-attr]
    assert await told(pool, "confirm_record") == []

    view = await following(pool).confirm(link)

    assert view is not None
    assert view.shown is Shown.DONE
    assert (await picture(pool)).record.flags.confirmed  # type: ignore[union-attr]
    (command,) = await told(pool, "confirm_record")
    assert command["by"] == "link to jo@mail.example"
    assert [row[0] for row in await pool.fetch("SELECT meaning FROM answers")] == ["confirmed"]


async def test_confirming_twice_tells_the_crm_once(pool: db.Pool) -> None:
    link = await a_link_to_confirm(pool)
    views = await asyncio.gather(*(following(pool).confirm(link) for _ in range(3)))
    assert {view.shown for view in views if view is not None} == {Shown.DONE}
    assert len(await told(pool, "confirm_record")) == 1


MOVED = {"dates": {"session": ahead(days=9).date().isoformat()}}
CANCELED = {"flags": {"canceled": True}}


@pytest.mark.parametrize(("change", "shown"), [(MOVED, Shown.MOVED), (CANCELED, Shown.CANCELED)])
async def test_a_session_that_moved_or_was_canceled_is_not_confirmed(
    pool: db.Pool, change: dict[str, Any], shown: Shown
) -> None:
    link = await a_link_to_confirm(pool)
    await pool.execute("DELETE FROM records WHERE record_id = '4711'")
    await a_record(pool, **{"dates": {"session": SOON}, **change})

    for _ in range(2):
        view = await following(pool).confirm(link)
        assert view is not None
        assert view.shown is shown
    assert await told(pool, "confirm_record") == []
    rows = [tuple(row) for row in await pool.fetch("SELECT meaning, words FROM answers")]
    assert rows == [("void", shown.value)]


async def test_a_session_that_is_over_is_not_confirmed(pool: db.Pool) -> None:
    link = await a_link_to_confirm(pool)
    view = await following(pool, ahead(days=8)).confirm(link)
    assert view is not None
    assert view.shown is Shown.OVER


# Rating ---------------------------------------------------------------------------------------------------


async def a_link_to_rate(pool: db.Pool, **columns: Any) -> str:
    await a_record(pool)
    return token(LINKS.score(await a_mail(pool, purpose="transactional", **columns)))


async def test_the_first_score_counts_and_one_comment_may_follow(pool: db.Pool) -> None:
    link = await a_link_to_rate(pool)
    assert (await following(pool).question(link)).shown is Shown.OPEN  # type: ignore[union-attr]
    given = [(9, ""), (2, ""), (0, "Great!"), (0, "!")]
    views = [await following(pool).score(link, *answer) for answer in given]
    shown = [view.shown for view in views if view is not None]
    assert shown == [Shown.DONE, Shown.DONE, Shown.COMMENTED, Shown.COMMENTED]
    nps = (await picture(pool)).record.nps
    assert nps is not None
    assert (nps.score, nps.comment) == (9, "Great!")
    assert [(one["score"], one["comment"]) for one in await told(pool, "record_nps")] == [(9, ""), (9, "Great!")]


async def test_after_two_weeks_it_is_too_late(pool: db.Pool) -> None:
    link = await a_link_to_rate(pool, sent_at=ago(days=15))
    view = await following(pool).score(link, 9, "")
    assert view is not None
    assert view.shown is Shown.OVER
    assert await told(pool, "record_nps") == []


async def test_whoever_answered_otherwise_is_not_asked_again(pool: db.Pool) -> None:
    await a_record(pool, nps={"id": "r-1", "score": 3, "comment": "", "received_at": ahead(days=1).isoformat()})
    link = token(LINKS.score(await a_mail(pool)))
    view = await following(pool).score(link, 9, "")
    assert view is not None
    assert view.shown is Shown.COMMENTED
    assert await told(pool, "record_nps") == []


async def test_pressing_a_button_is_a_click(pool: db.Pool) -> None:
    await a_trigger(pool, record="email", status=None, event="clicked", activate={"on": "received"})
    link = await a_link_to_rate(pool)
    await following(pool).question(link)
    assert await pool.fetchval("SELECT count(*) FROM records WHERE kind = 'email'") == 0
    await following(pool).score(link, 9, "")
    assert await pool.fetchval("SELECT count(*) FROM records WHERE kind = 'email'") == 1


async def test_nothing_is_read_of_other_addresses_consents(pool: db.Pool) -> None:
    link = token(LINKS.unsubscribe(await a_mail(pool, address="kim@mail.example")))
    await following(pool).unsubscribe(link)
    async with db.session(pool) as connection:
        found = await consents.standings(connection, [("main", "email", "jo@mail.example")])
    assert found == {}
