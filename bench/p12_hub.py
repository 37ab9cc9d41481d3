"""P12: the lists and searches of the messages hub, in a studio with five million messages."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import asyncpg

from bench import child, machine
from bench.context import Context
from bench.seeds import REMINDER, a_studio
from bench.table import Goal, Row, Run, Series, in_turn
from control_center.domain.message import State
from control_center.engine import hub
from control_center.store import db
from control_center.store.message_search import PATIENCE
from control_center.store.views_messages import Box, Filter

LONGEST: Final = 500.0  # milliseconds, of the slowest
TIMES: Final = 5
_INDEXES: Final = ("attempts_by_words", "messages_by_words")

# A tenth came in. What went out says what every reminder says, whatever is newest; those of long ago say Christmas, one
# in 400000 says zebra, and each has a link of its own. One in 40000 failed, and one trigger of twenty is quiet.
_MESSAGES: Final = """
INSERT INTO messages (studio_id, origin, purpose, action_id, channel, address, account, sender, recipient, kind,
                      record_id, client_id, trigger_id, trigger_version, state, due_at, use_by, created_at, sent_at,
                      body, read_at)
SELECT 'main', CASE WHEN came THEN 'client' ELSE 'trigger' END, 'transactional', CASE WHEN NOT came THEN n END, 'sms',
       '+1312' || n % 300000, 'sms/bench', '+13125550100', '{"role": "client"}', 'session', (n % 500000)::text,
       CASE WHEN n % 1000 > 0 THEN 'c-' || n % 300000 END,
       CASE WHEN came THEN NULL WHEN n % 50001 = 7 THEN 20 ELSE n % 19 + 1 END, CASE WHEN NOT came THEN 1 END,
       CASE WHEN came THEN 'received' WHEN n % 40011 = 7 THEN 'failed' ELSE 'delivered' END, now(), now(),
       now() - ($1 - n) * interval '6 seconds', now(),
       CASE WHEN came THEN 'Can we bring the dog? ' || md5((n % 40000)::text)
            ELSE 'Hi ' || (array['Jo', 'Kim', 'Ada', 'Ben', 'Eva', 'Max'])[n % 6 + 1]
                 || ', your Wedding session is on June ' || n % 30 + 1 || ' at the Lakeside pavilion. '
                 || CASE WHEN n < $1 / 10 THEN 'Merry Christmas! ' ELSE '' END
                 || CASE WHEN n % 400000 = 5 THEN 'zebra ' ELSE '' END
                 || 'https://studio.example/g/' || md5(n::text) END,
       CASE WHEN n % 20 = 0 THEN now() END
  FROM (SELECT n, n % 10 = 0 AS came FROM generate_series(1, $1::integer) n) AS made"""
_ATTEMPTS: Final = """
INSERT INTO attempts (studio_id, message_id, number, key, lease_token, body, started_at, ended_at, outcome)
SELECT studio_id, message_id, 1, 'm-' || message_id || '.1', 1, body, now(), now(), 'accepted'
  FROM messages WHERE origin = 'trigger'"""

ASKED: Final[Mapping[str, tuple[Filter, str | None]]] = {
    "the inbox": (Filter(box=Box.INBOX), None),
    "what was sent": (Filter(box=Box.SENT), None),
    "unread": (Filter(unread=True), None),
    "unlinked": (Filter(unlinked=True), None),
    "of a client": (Filter(client="c-4711"), None),
    "of a quiet trigger": (Filter(trigger="Trigger 20"), None),
    "failed": (Filter(states=[State.FAILED]), None),
    "a word of every message": (Filter(), "wedding"),
    "a word of long ago": (Filter(), "christmas"),
    "a rare word": (Filter(), "zebra"),
    "a word of none": (Filter(), "nowhere"),
    "two words that never meet": (Filter(), "dog wedding"),
    "the beginning of a word": (Filter(), "wed"),
    "a number": (Filter(), "+13124711"),
    "emails, of which there are none": (Filter(channel="email"), None),
    "a word of every message, of a quiet trigger": (Filter(trigger="Trigger 20"), "wedding"),
    "a word that only came in, of what was sent": (Filter(box=Box.SENT), "dog"),
}


async def measure(context: Context) -> list[Row]:
    count = context.count(5_000_000, 5_000)
    context.say(f"   {count:,} messages are written ...")
    template = await context.servers.template("p12", partial(_seed, count=count))

    async def run() -> Run:
        options = {"dsn": context.servers.postgres.dsn(template)}
        async with child.contender("bench.p12_hub", options, context.servers.log) as process:
            trees = context.servers.trees | {"process": [process.pid]}
            first = machine.read(trees)
            await process.go()
            result = await process.result()
            usage = machine.between(first, machine.read(trees))
        notes = {name: result[name] for name in ASKED}
        return Run(max(notes.values()), TIMES * len(ASKED), usage, notes)

    arm: Callable[[], Awaitable[Run]] = run
    series = (await in_turn(context.rounds, {"hub": arm}, context.say))["hub"]
    await context.servers.drop(template)
    return [_row(series, count)]


def _row(series: Series, count: int) -> Row:
    row = Row("P12", f"slowest of the hub's lists, {count:,}", "ms", series, Goal(LONGEST, at_least=False))
    each = ", ".join(f"{name} {series.note(name):.1f}" for name in ASKED)
    row.remarks.append(f"milliseconds, the slowest of {TIMES} each: {each}")
    row.remarks.append(f"a search gives what it has after {PATIENCE * 1000:.0f} milliseconds, and goes on from there")
    return row


async def _seed(connection: asyncpg.Connection, count: int) -> None:
    """The indexes of words are made at the end, as that is quicker."""
    await a_studio(connection, [{**REMINDER, "name": f"Trigger {n}"} for n in range(1, 21)])
    made = [await connection.fetchval("SELECT pg_get_indexdef($1::regclass)", name) for name in _INDEXES]
    await connection.execute(f"DROP INDEX {', '.join(_INDEXES)}")
    await connection.execute(_MESSAGES, count, timeout=3600)
    await connection.execute(_ATTEMPTS, timeout=3600)
    for definition in made:
        await connection.execute(definition, timeout=3600)


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Ask for a page of each, and keep the slowest of some times."""
    pool = await db.open_pool(options["dsn"], application="bench", size=1)
    await child.ready()
    stretch = child.Stretch()
    stretch.begin()
    slowest = {}
    for name, (wanted, text) in ASKED.items():
        taken = []
        for _ in range(TIMES):
            begun = time.perf_counter()
            await hub.messages(pool, "main", wanted, text)
            taken.append((time.perf_counter() - begun) * 1000)
        slowest[name] = max(taken)
    result = stretch.end()
    await pool.close()
    return {**result, **slowest}
