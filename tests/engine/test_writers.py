"""Words that say who writes: the name and the signature of a person, in whatever a person lets go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from control_center.domain.bulk import Audience
from control_center.domain.errors import Malformed
from control_center.domain.signature import Signature
from control_center.engine import bulks, individual, users
from control_center.engine.addressee import Letter
from control_center.engine.bulks import Wish
from control_center.engine.pump import Pump
from control_center.store import db
from control_center.store.users import User
from tests.support.rows import a_client, a_studio

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
ADA = Signature("Ada", "api")
WORDS = {"kind": "any", "purpose": "transactional", "sms": "We are open on Sunday. {{ sender.signature }}"}
KIM = User("0", "Kim", None, "front_desk", ["main"], active=True, signature=" Kim,\nfront desk ")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    await a_studio(pool)
    await a_client(pool)
    await users.add(pool, KIM, by=ADA)
    body = msgspec.json.encode(WORDS).decode()
    await pool.execute("INSERT INTO templates (studio_id, name, body) VALUES ('main', 'open', $1)", body)
    yield pool
    await pool.close()


async def written(pool: db.Pool, **letter: Any) -> tuple[str, str]:
    sent = await individual.send(pool, lambda: NOON, "main", Letter(client="c-12", template="open", **letter), by=ADA)
    row = await pool.fetchrow("SELECT body, made_by FROM messages WHERE message_id = $1", sent.message_id)
    assert row is not None
    return row["body"], row["made_by"]


async def test_a_template_is_signed_by_whoever_writes(pool: db.Pool) -> None:
    assert await written(pool) == ("We are open on Sunday. Ada", "Ada")


async def test_it_may_be_written_in_the_name_of_a_colleague_and_who_did_is_kept(pool: db.Pool) -> None:
    assert await written(pool, user="Kim") == ("We are open on Sunday. Kim,\nfront desk", "Kim")
    who, after = await pool.fetchrow("SELECT who, after FROM audit WHERE resource LIKE 'message/%'") or ("", "")
    assert (who, msgspec.json.decode(after)["user"]) == ("Ada", "Kim")


@pytest.mark.parametrize("why", ["nobody", "deactivated", "of another studio"])
async def test_nobody_writes_in_the_name_of_who_is_none_of_this_studio(pool: db.Pool, why: str) -> None:
    await pool.execute("UPDATE users SET active = $1, studios = $2", why != "deactivated", ["north"])
    with pytest.raises(Malformed, match="user"):
        await written(pool, user="Lee" if why == "nobody" else "Kim")


async def test_a_bulk_is_signed_by_whoever_made_it(pool: db.Pool) -> None:
    wish = Wish(Audience("client"), "open", expect=1)
    await bulks.create(pool, lambda: NOON, "main", wish, by="Kim")
    while await Pump(pool, lambda: NOON).run_once():
        pass
    assert await pool.fetchval("SELECT body FROM messages") == "We are open on Sunday. Kim,\nfront desk"
