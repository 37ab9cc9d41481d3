"""The messages hub keeps to its indexes and reads a page's worth, however many messages there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import pytest

from control_center.domain.message import State
from control_center.embedded import Postgres
from control_center.store import db, message_search, views_messages
from control_center.store.message_search import Sought
from control_center.store.views_messages import Box, Filter, Message

COUNT: Final = 1_000_000
PAGES: Final = 3_000  # of 8 kB: what a list may touch of a gigabyte
BLOCKS: Final = 12_000  # and a search: every word in every block, and one block read for a page
_INDEXES: Final = ("attempts_by_words", "messages_by_words")

# A tenth came in, of 1000 one is nobody's, of 40000 one failed, one trigger has sent 20; those of a year ago wished a
# merry Christmas. Every fifth that went out has its words; of the rest nobody ever looked for any.
FILL = f"""
INSERT INTO studios (studio_id, name, timezone, country) VALUES ('main', 'Main', 'America/Chicago', 'US');
INSERT INTO triggers (studio_id, trigger_id, name, version, kind, enabled)
SELECT 'main', n, 'T' || n, 1, 'session', true FROM generate_series(1, 20) n;
INSERT INTO messages (studio_id, origin, purpose, action_id, channel, address, account, sender, recipient, kind,
                      record_id, client_id, trigger_id, trigger_version, state, due_at, use_by, created_at, sent_at,
                      body, read_at)
SELECT 'main', CASE WHEN came THEN 'client' ELSE 'trigger' END, 'transactional', CASE WHEN NOT came THEN n END, 'sms',
       '+1312' || n % 300000, 'sms/default', '+13125550100', '{{"role": "client"}}', 'session', (n % 500000)::text,
       CASE WHEN n % 1000 > 0 THEN 'c-' || n % 300000 END,
       CASE WHEN came THEN NULL WHEN n % 50001 = 7 THEN 20 ELSE n % 19 + 1 END, CASE WHEN NOT came THEN 1 END,
       CASE WHEN came THEN 'received' WHEN n % 40011 = 7 THEN 'failed' ELSE 'delivered' END, now(), now(),
       now() - ({COUNT} - n) * interval '10 seconds', now(),
       CASE WHEN came THEN 'can we bring the dog? ' || n ELSE 'Your Wedding session is at Lakeside.' END,
       CASE WHEN n % 20 = 0 THEN now() END
  FROM (SELECT n, n % 10 = 0 AS came FROM generate_series(1, {COUNT}) n) AS made;
INSERT INTO attempts (studio_id, message_id, number, key, lease_token, body, started_at, ended_at, outcome)
SELECT 'main', n, 1, 'm-' || n || '.1', 1, 'Your Wedding session is at Lakeside, ' || n
       || CASE WHEN n BETWEEN 100000 AND 300000 THEN '. Merry Christmas' ELSE '' END
       || CASE WHEN n % 400005 = 0 THEN ' zebra' ELSE '' END, now(), now(), 'accepted'
  FROM generate_series(5, {COUNT}, 5) n WHERE n % 10 <> 0;
"""


# Of the whole session: where a run has several processes, each comes back to these tests, and would make it again.
@pytest.fixture(scope="session")
async def crowded(postgres: Postgres, _template: str) -> AsyncIterator[db.Pool]:
    """A studio with a million messages. The indexes of words are made at the end, as that is quicker."""
    administrator = await asyncpg.connect(postgres.dsn("postgres"))
    await administrator.execute(f"CREATE DATABASE hub TEMPLATE {_template}")
    filling = await asyncpg.connect(postgres.dsn("hub"))
    made = [await filling.fetchval("SELECT pg_get_indexdef($1::regclass)", name) for name in _INDEXES]
    await filling.execute(f"DROP INDEX {', '.join(_INDEXES)}")
    await filling.execute(FILL)
    for definition in made:
        await filling.execute(definition)
    await filling.execute("VACUUM ANALYZE")
    await filling.close()
    pool = await db.open_pool(postgres.dsn("hub"), application="test", size=1)
    yield pool
    await pool.close()
    await administrator.execute("DROP DATABASE hub WITH (FORCE)")
    await administrator.close()


_TOUCHED = """
SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint FROM pg_statio_user_tables"""


async def touched(tx: Any) -> int:
    await tx.execute("SELECT pg_stat_force_next_flush()")
    await tx.execute("SELECT pg_stat_clear_snapshot()")
    return int(await tx.fetchval(_TOUCHED))


def ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


LISTS: Final[dict[str, tuple[Filter, int]]] = {
    "everything": (Filter(), 50),
    "the inbox": (Filter(box=Box.INBOX), 50),
    "what was sent": (Filter(box=Box.SENT), 50),
    "unread": (Filter(unread=True), 50),
    "unlinked": (Filter(unlinked=True), 50),
    "unlinked in the inbox": (Filter(unlinked=True, box=Box.INBOX), 50),
    "for attention": (Filter(attention=True), 0),
    "of a client": (Filter(client="c-4711"), 4),
    "of a record": (Filter(record=("session", "4711")), 2),
    "of a busy trigger": (Filter(trigger="T3"), 50),
    "of a quiet trigger": (Filter(trigger="T20"), 18),
    "of no trigger": (Filter(trigger="nothing"), 0),
    "failed": (Filter(states=[State.FAILED]), 22),
    "failed or unknown": (Filter(states=[State.FAILED, State.UNKNOWN]), 22),
    "assigned": (Filter(assigned_to="Ada"), 0),
    "of a month": (Filter(since=ago(60), until=ago(30)), 50),
    "of the inbox of a month": (Filter(box=Box.INBOX, since=ago(60), until=ago(30)), 50),
}


# One test for all of them, and below: each process of a run would make the million anew for its share of them.
async def test_every_list_reads_about_a_page(crowded: db.Pool) -> None:
    for name, (wanted, many) in LISTS.items():
        async with db.session(crowded) as tx:
            before = await touched(tx)
            page = await views_messages.messages(tx, "main", wanted)
            assert await touched(tx) - before < PAGES, name
        assert abs(len(page.items) - many) <= 1, name
        _check_order(page.items)


SEARCHES: Final[dict[str, tuple[str, Filter, int]]] = {
    "a word of every message": ("wedding", Filter(), 50),
    "the beginning of one": ("wed", Filter(), 50),
    "a word of long ago": ("christmas", Filter(), 50),
    "a rare word": ("zebra", Filter(), 1),
    "a word of none": ("nowhere", Filter(), 0),
    "two words that never meet": ("zebra dog", Filter(), 0),
    "a word of the inbox": ("dog", Filter(box=Box.INBOX), 50),
    "a common word of one client": ("wedding", Filter(client="c-4715"), 2),
    "a common word among what failed": ("session", Filter(states=[State.FAILED]), 22),
    "a word of the others among what failed": ("dog", Filter(states=[State.FAILED]), 0),
    "a common word of a quiet trigger": ("session", Filter(trigger="T20"), 18),
}


async def test_every_search_reads_block_by_block_and_no_table(crowded: db.Pool) -> None:
    for name, (text, wanted, many) in SEARCHES.items():
        async with db.session(crowded) as tx:
            before = await touched(tx)
            page = await message_search.search(tx, "main", Sought(text), wanted, patience=60)
            assert await touched(tx) - before < BLOCKS, name
        assert abs(len(page.items) - many) <= 3, name
        _check_order(page.items)


async def test_a_search_goes_on_where_its_page_ended(crowded: db.Pool) -> None:
    found: list[str] = []
    cursor = None
    async with db.session(crowded) as tx:
        for _ in range(4):
            page = await message_search.search(tx, "main", Sought("christmas"), cursor=cursor, limit=20)
            found += [one.id for one in page.items]
            cursor = page.next_cursor
        whole = await message_search.search(tx, "main", Sought("christmas"), limit=80)
    assert found == [one.id for one in whole.items]
    assert found[0] == "m-299995"


async def test_a_search_that_has_no_time_gives_what_it_has_and_loses_nothing(crowded: db.Pool) -> None:
    wanted = Filter(since=ago(81), until=ago(80))
    async with db.session(crowded) as tx:
        found, cursor, pages = [], None, 0
        while pages == 0 or cursor is not None:
            page = await message_search.search(tx, "main", Sought("dog"), wanted, cursor=cursor, patience=0)
            found += [one.id for one in page.items]
            cursor, pages = page.next_cursor, pages + 1
        whole = await message_search.search(tx, "main", Sought("dog"), wanted, limit=2_000, patience=60)
    assert pages > 8
    assert found == [one.id for one in whole.items]
    assert len(found) == 864
    _check_order(page.items)


async def test_a_number_is_found_with_all_that_passed(crowded: db.Pool) -> None:
    async with db.session(crowded) as tx:
        before = await touched(tx)
        page = await message_search.search(tx, "main", Sought("+13124712", "+13124712"))
        assert await touched(tx) - before < PAGES
    assert {one.to for one in page.items} == {"+13124712"}
    assert len(page.items) == 4


async def test_a_stretch_of_time_has_all_of_it_and_no_more(crowded: db.Pool) -> None:
    since, until = ago(30), ago(30) + timedelta(minutes=5)
    async with db.session(crowded) as tx:
        page = await views_messages.messages(tx, "main", Filter(since=since, until=until))
        exact = "SELECT message_id FROM messages WHERE created_at >= $1 AND created_at < $2 ORDER BY message_id DESC"
        rows = await tx.fetch(exact, since, until)
    assert [one.number for one in page.items] == [row[0] for row in rows]
    assert len(rows) >= 29


def _check_order(items: list[Message]) -> None:
    numbers = [one.number for one in items]
    assert numbers == sorted(numbers, reverse=True)
