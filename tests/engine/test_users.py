"""Tokens: made once, kept as digests, let in no more once they are revoked."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest

from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.signature import Signature
from control_center.engine import users
from control_center.store import db, tokens
from control_center.store.users import User
from tests.support.rows import a_studio

ADMIN = Signature("ada", "cli")
SETTINGS = Signature(users.SETTINGS, "settings")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test")
    await a_studio(pool)
    yield pool
    await pool.close()


async def admitted(pool: db.Pool, token: str, *, configured: bool = True) -> bool:
    return await users.admit_first(pool, token, configured=configured, by=SETTINGS)


async def let_in(pool: db.Pool, token: str) -> str | None:
    async with db.session(pool) as connection:
        found = await tokens.holder(connection, tokens.digest(token))
    return found and found[1].name


async def a_user(pool: db.Pool, name: str = "jo", role: str = "viewer") -> User:
    return await users.add(pool, User("0", name, None, role, ["main"], active=True), by=ADMIN)


# The token of the settings ----------------------------------------------------------------------------------


async def test_a_changed_token_of_the_settings_revokes_the_one_before(pool: db.Pool) -> None:
    await admitted(pool, "old")
    await admitted(pool, "new")
    assert [await let_in(pool, one) for one in ("old", "new")] == [None, "first"]


async def test_going_back_to_the_token_before_lets_it_in_again(pool: db.Pool) -> None:
    for token in ("old", "new", "old"):
        assert await admitted(pool, token)
    assert [await let_in(pool, one) for one in ("old", "new")] == ["first", None]


async def test_a_restart_changes_nothing_and_writes_nothing_down(pool: db.Pool) -> None:
    await admitted(pool, "same")
    entries = await pool.fetchval("SELECT count(*) FROM audit")
    await admitted(pool, "same")
    assert await pool.fetchval("SELECT count(*) FROM audit") == entries


async def test_tokens_generated_on_two_machines_stand_beside_each_other(pool: db.Pool) -> None:
    for token in ("here", "there"):
        await admitted(pool, token, configured=False)
    assert [await let_in(pool, one) for one in ("here", "there")] == ["first", "first"]
    await admitted(pool, "configured")
    assert [await let_in(pool, one) for one in ("here", "there")] == [None, None]


async def test_what_a_person_revoked_or_switched_off_does_not_come_back_with_a_restart(pool: db.Pool) -> None:
    await admitted(pool, "leaked")
    await users.revoke(pool, "first", None, by=ADMIN)
    assert not await admitted(pool, "leaked")
    assert await let_in(pool, "leaked") is None

    assert await admitted(pool, "another")
    await users.add(pool, User("0", "boss", None, "owner", ["*"], active=True), by=ADMIN)
    first = await users.named(pool, "first")
    await users.change(pool, User(first.id, "first", None, "owner", ["*"], active=False), by=ADMIN)
    assert not await admitted(pool, "another")


async def test_the_user_of_the_settings_keeps_its_name_and_stays(pool: db.Pool) -> None:
    await admitted(pool, "token")
    first = await users.named(pool, "first")
    with pytest.raises(Refused, match="keeps the name"):
        await users.change(pool, User(first.id, "last", None, "owner", ["*"], active=True), by=ADMIN)
    with pytest.raises(Refused, match="deactivate"):
        await users.drop(pool, first.number, by=ADMIN)


async def test_somebody_who_may_do_everything_is_always_left(pool: db.Pool) -> None:
    await admitted(pool, "token")
    first = await users.named(pool, "first")
    for role, studios, active in (("author", ["*"], True), ("owner", ["main"], True), ("owner", ["*"], False)):
        with pytest.raises(Refused, match="nobody would be left"):
            await users.change(pool, User(first.id, "first", None, role, studios, active=active), by=ADMIN)


async def test_before_there_is_anybody_who_may_do_everything_the_others_can_be_changed(pool: db.Pool) -> None:
    user = await a_user(pool)
    changed = await users.change(pool, User(user.id, "jo", None, "author", ["main"], active=True), by=ADMIN)
    assert changed.role == "author"
    await users.drop(pool, user.number, by=ADMIN)


# The tokens of users ----------------------------------------------------------------------------------------


async def test_a_token_is_kept_as_a_digest_and_nowhere_else(pool: db.Pool) -> None:
    await a_user(pool)
    token = await users.issue(pool, "jo", by=ADMIN)
    assert await pool.fetchval("SELECT digest FROM tokens") == hashlib.sha256(token.encode()).hexdigest()
    tables = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for (table,) in tables:
        rows = await pool.fetch(f"SELECT t::text FROM {table} t")
        assert not any(token in row[0] for row in rows), table


async def test_one_token_or_all_of_a_user_are_revoked(pool: db.Pool) -> None:
    user = await a_user(pool)
    made = [await users.issue(pool, "jo", by=ADMIN) for _ in range(3)]
    one = tokens.name_of(tokens.digest(made[0]))

    await users.revoke(pool, "jo", one, by=ADMIN)

    assert [await let_in(pool, token) for token in made] == [None, "jo", "jo"]
    with pytest.raises(NotFound):
        await users.revoke(pool, "jo", one, by=ADMIN)
    assert len(await users.revoke(pool, "jo", None, by=ADMIN)) == 2
    async with db.session(pool) as connection:
        assert {token.revoked_by for token in await tokens.of_user(connection, user.number)} == {"ada"}


async def test_making_and_revoking_tokens_are_in_the_trail_without_the_token(pool: db.Pool) -> None:
    await a_user(pool)
    token = await users.issue(pool, "jo", by=ADMIN)
    await users.revoke(pool, "jo", None, by=ADMIN)
    rows = await pool.fetch(
        "SELECT studio_id, who, via, verb FROM audit WHERE resource = $1 ORDER BY audit_id",
        f"token/{tokens.name_of(tokens.digest(token))}",
    )
    assert [tuple(row) for row in rows] == [("main", "ada", "cli", verb) for verb in ("issue", "revoke")]


async def test_a_deleted_users_tokens_let_nobody_in(pool: db.Pool) -> None:
    await admitted(pool, "token")
    user = await a_user(pool)
    token = await users.issue(pool, "jo", by=ADMIN)
    await users.drop(pool, user.number, by=ADMIN)
    assert await let_in(pool, token) is None


async def test_a_wrong_role_or_studio_is_named(pool: db.Pool) -> None:
    for role, studios, field in (("king", ["main"], "role"), ("viewer", ["nowhere"], "studios[0]")):
        with pytest.raises(Malformed) as refused:
            await users.add(pool, User("0", "x", None, role, studios, active=True), by=ADMIN)
        assert refused.value.field == field
