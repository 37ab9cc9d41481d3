"""After a blackout day or a trigger has changed, what waited because of it is looked at again, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from control_center.domain.action import PAUSED
from control_center.store import db, messages
from tests.support.rows import a_message, a_studio, ahead


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def due(pool: db.Pool, message_id: int) -> bool:
    found: bool = await pool.fetchval(
        "SELECT due_at <= clock_timestamp() FROM messages WHERE message_id = $1", message_id
    )
    return found


@pytest.mark.parametrize("reason", [PAUSED, "blackout: Christmas", "window: it opens at 09:00"])
@pytest.mark.parametrize("tries", [0, 1, 3])
async def test_what_waits_for_a_calendar_or_a_trigger_is_looked_at_again_also_where_it_was_tried_before(
    pool: db.Pool, reason: str, tries: int
) -> None:
    one = await a_message(pool, reason=reason, tries=tries, asked=tries, due_at=ahead(hours=1))

    await messages.look_again(pool, "main")

    assert await due(pool, one)


async def test_what_waits_for_another_try_goes_on_waiting(pool: db.Pool) -> None:
    one = await a_message(pool, reason="retry: gateway 429", tries=1, asked=1, due_at=ahead(hours=1))

    await messages.look_again(pool, "main")

    assert not await due(pool, one)
