"""What people do with messages: read, link, hand on, and settle what nobody could know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import msgspec
import pytest

from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.inbound import Inbound
from control_center.domain.message import State
from control_center.domain.signature import Signature
from control_center.engine import front_desk
from control_center.engine.conversations import Conversations, Taken
from control_center.engine.front_desk import Task
from control_center.store import db
from tests.support.rows import a_client, a_message, a_record, a_studio, now

OURS, JO, KIM = "+13125550100", "+13125550188", "+13125550177"
ADA = Signature("Ada", "api")
_ids = count(1)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    await a_studio(pool)
    yield pool
    await pool.close()


async def comes_in(pool: db.Pool, text: str, sender: str = KIM) -> Taken:
    inbound = Inbound(f"SM{next(_ids)}", None, sender, OURS, text)
    (taken,) = await Conversations(pool, now).take("sms/default", [(inbound, "{}")])
    return taken


async def column(pool: db.Pool, message: int | None, name: str) -> Any:
    return await pool.fetchval(f"SELECT {name} FROM messages WHERE message_id = $1", message)


async def told(pool: db.Pool, verb: str) -> list[tuple[str, dict[str, Any]]]:
    rows = await pool.fetch("SELECT subject, data FROM commands WHERE verb = $1 ORDER BY sequence", verb)
    return [(subject, msgspec.json.decode(data)) for subject, data in rows]


async def test_only_what_came_in_is_read_or_unread(pool: db.Pool) -> None:
    came, went = await a_message(pool, state="received"), await a_message(pool, state="accepted")

    await front_desk.mark_read(pool, "main", [came], is_read=True)
    first = await column(pool, came, "read_at")
    await front_desk.mark_read(pool, "main", [came], is_read=True)
    assert await column(pool, came, "read_at") == first
    await front_desk.mark_read(pool, "main", [came], is_read=False)
    assert await column(pool, came, "read_at") is None
    with pytest.raises(NotFound, match=f"m-{went}"):
        await front_desk.mark_read(pool, "main", [came, went], is_read=True)
    assert await column(pool, came, "read_at") is None


async def test_linking_one_message_offers_the_earlier_ones_and_later_ones_follow(pool: db.Pool) -> None:
    first, second = await comes_in(pool, "hello?"), await comes_in(pool, "anybody?")
    stranger = await comes_in(pool, "and I?", "+13125550166")
    answer = await a_message(pool, origin="answer", address=KIM, client_id=None, state="accepted")
    await a_client(pool)
    assert first.message_id is not None

    offered = await front_desk.link(pool, "main", first.message_id, "c-12", by=ADA)
    assert (offered.linked, offered.earlier) == ([first.message_id], 2)
    assert await column(pool, second.message_id, "client_id") is None

    done = await front_desk.link(pool, "main", first.message_id, "c-12", earlier=True, by=ADA)
    assert (done.linked, done.earlier) == ([first.message_id, second.message_id, answer], 0)
    assert await column(pool, second.message_id, "client_id") == "c-12"
    assert await column(pool, stranger.message_id, "client_id") is None
    assert (await comes_in(pool, "thanks")).client_id == "c-12"
    assert await pool.fetchval("SELECT linked_by FROM conversations WHERE theirs = $1", KIM) == "Ada"
    assert {subject for subject, _ in await told(pool, "message.linked")} == {"client/c-12"}


async def test_what_a_person_linked_holds_against_the_number_until_it_is_unlinked(pool: db.Pool) -> None:
    await a_client(pool, "c-1", reach=[KIM])
    await a_client(pool, "c-2")
    came = await comes_in(pool, "it is me, with a new phone")
    assert came.client_id == "c-1"
    assert came.message_id is not None

    await front_desk.link(pool, "main", came.message_id, "c-2", by=ADA)
    assert (await comes_in(pool, "hello")).client_id == "c-2"
    await front_desk.link(pool, "main", came.message_id, None, by=ADA)
    assert await column(pool, came.message_id, "client_id") is None
    assert (await comes_in(pool, "hello")).client_id == "c-1"


async def test_a_link_to_a_client_who_was_deleted_since_holds_no_more(pool: db.Pool) -> None:
    await a_client(pool, "c-1", reach=[KIM])
    await a_client(pool, "c-2")
    came = await comes_in(pool, "it is me, with a new phone")
    assert came.message_id is not None
    await front_desk.link(pool, "main", came.message_id, "c-2", by=ADA)

    await pool.execute("UPDATE records SET deleted = true WHERE record_id = 'c-2'")

    assert (await comes_in(pool, "hello?")).client_id == "c-1"


async def test_a_message_is_linked_to_a_record_of_its_client_only(pool: db.Pool) -> None:
    await a_client(pool)
    await a_client(pool, "c-2")
    await a_record(pool)
    came = await comes_in(pool, "about Saturday")
    assert came.message_id is not None

    await front_desk.link(pool, "main", came.message_id, "c-12", record=("session", "4711"), by=ADA)
    assert await column(pool, came.message_id, "record_id") == "4711"
    for client, record, field in [("c-2", ("session", "4711"), "record"), ("c-9", None, "client")]:
        with pytest.raises(Malformed) as refused:
            await front_desk.link(pool, "main", came.message_id, client, record=record, by=ADA)
        assert refused.value.field == field

    await front_desk.link(pool, "main", came.message_id, "c-12", by=ADA)
    assert await column(pool, came.message_id, "record_id") == "4711"
    await front_desk.link(pool, "main", came.message_id, "c-2", by=ADA)
    assert await column(pool, came.message_id, "record_id") is None


async def test_a_message_is_assigned_to_who_is_of_the_studio(pool: db.Pool) -> None:
    came = await a_message(pool, state="received")
    users = (
        "INSERT INTO users (name, role, studios) VALUES ('Ada', 'front_desk', '{main}'), ('Eve', 'owner', '{other}')"
    )
    await pool.execute(users)

    await front_desk.assign(pool, "main", came, "Ada", by=ADA)
    assert await column(pool, came, "assigned_to") == "Ada"
    with pytest.raises(Malformed, match="'Eve'"):
        await front_desk.assign(pool, "main", came, "Eve", by=ADA)
    await front_desk.assign(pool, "main", came, None, by=ADA)
    assert await column(pool, came, "assigned_to") is None


async def test_a_task_about_a_message_is_asked_for_once(pool: db.Pool) -> None:
    came = await a_message(pool, state="received", body="Can we move it?")

    command = await front_desk.make_task(pool, now, "main", came, Task(priority="High"), by=ADA)

    ((subject, data),) = await told(pool, "create_task")
    assert subject == "session/4711"
    assert (data["client_id"], data["links"], data["priority"]) == ("c-12", {"session": "4711"}, "High")
    assert (data["subject"], data["description"]) == ("sms from +13125550188: Can we move it?", "Can we move it?")
    assert await column(pool, came, "task") == command
    with pytest.raises(Refused, match="already"):
        await front_desk.make_task(pool, now, "main", came, Task(), by=ADA)


@pytest.mark.parametrize(
    ("sent", "state", "verb"), [(True, "accepted", "message.sent"), (False, "failed", "message.failed")]
)
async def test_an_unknown_message_is_settled_as_a_person_found_out(
    pool: db.Pool, *, sent: bool, state: str, verb: str
) -> None:
    message = await a_message(pool, state="unknown", reason="sent: the connection was lost")

    await front_desk.resolve(pool, "main", message, sent=sent, evidence="the provider's log", by=ADA)

    row = await pool.fetchrow("SELECT * FROM messages WHERE message_id = $1", message)
    assert (row["state"], row["resolved_by"]) == (state, "Ada")
    assert "the provider's log" in row["reason"]
    assert (row["sent_at"] is not None) == sent
    assert len(await told(pool, verb)) == 1
    assert await pool.fetchval("SELECT outcome FROM attempts WHERE message_id = $1", message) == "unknown"
    with pytest.raises(Refused, match=f"is {state}"):
        await front_desk.resolve(pool, "main", message, sent=not sent, evidence="I was wrong", by=ADA)


@pytest.mark.parametrize("state", [one.value for one in State if one is not State.UNKNOWN])
async def test_nothing_else_is_settled_by_a_person(pool: db.Pool, state: str) -> None:
    message = await a_message(pool, state=state)
    with pytest.raises(Refused, match="only what is unknown"):
        await front_desk.resolve(pool, "main", message, sent=False, evidence="a guess", by=ADA)
    assert await column(pool, message, "state") == state
