"""Studios over their life: a studio that is made again is another one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from control_center.domain.studio import Studio
from control_center.engine import studios as engine
from control_center.store import db, studios
from control_center.store.rulebooks import Rulebook, Rulebooks
from tests.support.rows import a_trigger

WANTED = Studio("main", "Ada Park Photography", "America/Chicago", "US")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    yield opened
    await opened.close()


async def book_of(pool: db.Pool, books: Rulebooks) -> Rulebook:
    async with db.session(pool) as connection:
        return (await books.of(connection, await studios.get(connection, ["main"])))["main"]


async def test_a_studio_that_is_made_again_is_not_taken_for_the_first(pool: db.Pool) -> None:
    books = Rulebooks()
    first = await engine.put(pool, WANTED, by="Ada")
    await a_trigger(pool)
    assert (await book_of(pool, books)).rules.by_id

    await engine.drop(pool, "main", by="Ada")
    second = await engine.put(pool, WANTED, by="Ada")

    assert second.revision > first.revision
    assert not (await book_of(pool, books)).rules.by_id
