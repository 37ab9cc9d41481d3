"""What studios have used of their plans, month by month, and the texts that wait because one is used up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from control_center.store.db import Connection

Month = tuple[str, date]  # studio, first day

SPENT = """
SELECT studio_id, month, texts FROM usage JOIN unnest($1::text[], $2::date[]) AS asked (studio_id, month)
 USING (studio_id, month)"""


async def spent(tx: Connection, months: Iterable[Month]) -> dict[Month, int]:
    """How many texts each of these months has seen handed over; none where it is left out."""
    asked = sorted(set(months))
    if not asked:
        return {}
    rows = await tx.fetch(SPENT, [studio for studio, _ in asked], [month for _, month in asked])
    return {(row[0], row[1]): row[2] for row in rows}


# Pieces of the statements that hand texts over: `counted` there is a row for each text that is handed over for the
# first time. In the order of the keys, so that two that count do not wait for each other in a circle.
COUNTING = """
totals AS (
     INSERT INTO usage AS known (studio_id, month, texts, segments)
     SELECT studio_id, month, count(*), coalesce(sum(segments), 0) FROM counted
      GROUP BY studio_id, month ORDER BY studio_id, month
         ON CONFLICT (studio_id, month) DO UPDATE
        SET texts = known.texts + excluded.texts, segments = known.segments + excluded.segments),
sources AS (
     INSERT INTO usage_sources AS known (studio_id, month, origin, trigger_id, texts, segments)
     SELECT studio_id, month, origin, coalesce(trigger_id, 0), count(*), coalesce(sum(segments), 0) FROM counted
      GROUP BY studio_id, month, origin, coalesce(trigger_id, 0)
      ORDER BY studio_id, month, origin, coalesce(trigger_id, 0)
         ON CONFLICT (studio_id, month, origin, trigger_id) DO UPDATE
        SET texts = known.texts + excluded.texts, segments = known.segments + excluded.segments)"""

HANDED_OVER = f"""
WITH counted AS (
     SELECT messages.studio_id, made.month, origin, trigger_id, segments
       FROM unnest($1::text[], $2::bigint[], $3::date[]) AS made (studio_id, message_id, month)
       JOIN messages USING (studio_id, message_id)
      WHERE channel = 'sms'),
{COUNTING.strip()}
SELECT"""


async def handed_over(tx: Connection, made: Sequence[tuple[str, int, date]]) -> None:
    """Count texts that turned out to be handed over, each once: studio, message, month.

    Raises nothing of its own; what a worker itself was answered is counted by `submissions.STEP`.
    """
    if made:
        await tx.execute(HANDED_OVER, [one[0] for one in made], [one[1] for one in made], [one[2] for one in made])


RECEIVED = """
INSERT INTO usage_sources AS known (studio_id, month, origin, trigger_id, texts, segments)
VALUES ($1, $2, 'client', 0, 1, $3)
    ON CONFLICT (studio_id, month, origin, trigger_id) DO UPDATE
   SET texts = known.texts + 1, segments = known.segments + excluded.segments"""


async def received(tx: Connection, studio: str, month: date, segments: int) -> None:
    """Count a text that came in; the last thing its transaction does, so that the next one hardly waits for it."""
    await tx.execute(RECEIVED, studio, month, segments)


@dataclass(frozen=True, slots=True)
class Source:
    """So many texts of one month and origin; `trigger` is the name where it is one's, and still has one."""

    month: date
    origin: str
    trigger: str | None
    texts: int
    segments: int


SOURCES = """
SELECT month, origin, CASE WHEN usage_sources.trigger_id <> 0
                           THEN coalesce(triggers.name, 'trigger ' || usage_sources.trigger_id) END, texts, segments
  FROM usage_sources
  LEFT JOIN triggers ON triggers.studio_id = usage_sources.studio_id
   AND triggers.trigger_id = usage_sources.trigger_id
 WHERE usage_sources.studio_id = $1 AND month = ANY ($2::date[])
 ORDER BY texts DESC, origin, usage_sources.trigger_id"""


async def sources(tx: Connection, studio: str, months: Sequence[date]) -> list[Source]:
    """Where the texts of these months came from, the most first."""
    return [Source(*row) for row in await tx.fetch(SOURCES, studio, list(months))]


@dataclass(frozen=True, slots=True)
class Spent:
    """A month that may have come to a mark of its studio's plan; `warned` is the last one told."""

    studio: str
    month: date
    texts: int
    warned: int


TO_WARN = """
SELECT studio_id, month, texts, warned FROM usage WHERE month >= $1 AND warned < 100 AND texts > 0 ORDER BY studio_id"""


async def to_warn(tx: Connection, since: date) -> list[Spent]:
    """Months since then whose studio may have more to be told."""
    return [Spent(*row) for row in await tx.fetch(TO_WARN, since)]


WARN = """
UPDATE usage SET warned = marked.mark
  FROM unnest($1::text[], $2::date[], $3::smallint[]) AS marked (studio_id, month, mark)
 WHERE usage.studio_id = marked.studio_id AND usage.month = marked.month AND warned < marked.mark
RETURNING usage.studio_id, usage.month"""


async def warn(tx: Connection, marked: Sequence[tuple[Month, int]]) -> set[Month]:
    """Note which mark each was told of; returns those that had not been."""
    rows = await tx.fetch(
        WARN, [one[0] for one, _ in marked], [one[1] for one, _ in marked], [mark for _, mark in marked]
    )
    return {(row[0], row[1]) for row in rows}


# Studio by studio along the index of what waits for a plan, however much that is.
HOLDING = """
WITH RECURSIVE holding AS (
     (SELECT studio_id FROM messages WHERE state = 'held' AND starts_with(reason, 'plan:')
       ORDER BY studio_id LIMIT 1)
      UNION ALL
     SELECT (SELECT messages.studio_id FROM messages
              WHERE state = 'held' AND starts_with(reason, 'plan:') AND messages.studio_id > holding.studio_id
              ORDER BY messages.studio_id LIMIT 1)
       FROM holding WHERE holding.studio_id IS NOT NULL)
SELECT studio_id FROM holding WHERE studio_id IS NOT NULL"""


async def holding(tx: Connection) -> list[str]:
    """The studios that have texts waiting for their plan."""
    return [row[0] for row in await tx.fetch(HOLDING)]


# What enters the queue enters at its end. What has passed its use-by is left to its end.
LET_GO = """
WITH free AS MATERIALIZED (
     SELECT first.studio_id, first.message_id
       FROM unnest($1::text[], $2::integer[]) AS room (studio_id, texts) CROSS JOIN LATERAL (
            SELECT studio_id, message_id FROM messages
             WHERE messages.studio_id = room.studio_id AND state = 'held' AND starts_with(reason, 'plan:')
             ORDER BY message_id LIMIT room.texts FOR UPDATE SKIP LOCKED) AS first)
UPDATE messages SET state = 'queued', due_at = clock_timestamp(), reason = 'waited for the plan'
  FROM free
 WHERE messages.studio_id = free.studio_id AND messages.message_id = free.message_id AND state = 'held'
RETURNING messages.studio_id"""


async def let_go(tx: Connection, room: Sequence[tuple[str, int]]) -> list[str]:
    """Queue what waited for a plan, at most so many texts of each studio, oldest first; the studio of each."""
    if not room:
        return []
    return [row[0] for row in await tx.fetch(LET_GO, [studio for studio, _ in room], [number for _, number in room])]


WAITING = """
SELECT count(*) FROM messages WHERE studio_id = $1 AND state = 'held' AND starts_with(reason, 'plan:')"""


async def waiting(tx: Connection, studio: str) -> int:
    """How many texts of a studio wait for its plan."""
    number: int = await tx.fetchval(WAITING, studio)
    return number


THIS_MONTH = """
SELECT DISTINCT ON (studio_id) studio_id, month, texts FROM usage
 WHERE month >= $1 AND month <= $2 ORDER BY studio_id, month DESC"""


async def newest(tx: Connection, since: date, until: date) -> list[tuple[str, date, int]]:
    """The newest month between these of each studio that has sent something, for the metrics."""
    return [tuple(row) for row in await tx.fetch(THIS_MONTH, since, until)]
