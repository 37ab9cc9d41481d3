"""What studios have used of their plans, month by month, and the texts that wait because one is used up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from control_center.domain.text_plan import HELD
from control_center.store.db import Connection
from control_center.store.held import studios_holding

Month = tuple[str, date]  # studio, first day

SPENT = """
SELECT studio_id, month, texts_spent(studio_id, month)
  FROM unnest($1::text[], $2::date[]) AS asked (studio_id, month)"""


async def spent(tx: Connection, months: Iterable[Month]) -> dict[Month, int]:
    """How many texts of each of these months are used up; what is with a provider, or may be, is among them."""
    asked = sorted(set(months))
    if not asked:
        return {}
    rows = await tx.fetch(SPENT, [studio for studio, _ in asked], [month for _, month in asked])
    return {(row[0], row[1]): row[2] for row in rows}


_SHARD = "pg_backend_pid() % 8"  # which of a month's rows this connection counts in

# Pieces of the statements that hand texts over: `counted` there is a row for each text that is handed over for the
# first time. In the order of the keys, so that two that count do not wait for each other in a circle.
COUNTING = f"""
totals AS (
     INSERT INTO usage AS known (studio_id, month, shard, texts, segments)
     SELECT studio_id, month, {_SHARD}, count(*), coalesce(sum(segments), 0) FROM counted
      GROUP BY studio_id, month ORDER BY studio_id, month
         ON CONFLICT (studio_id, month, shard) DO UPDATE
        SET texts = known.texts + excluded.texts, segments = known.segments + excluded.segments),
sources AS (
     INSERT INTO usage_sources AS known (studio_id, month, origin, trigger_id, country, shard, texts, segments)
     SELECT studio_id, month, origin, coalesce(trigger_id, 0), country, {_SHARD}, count(*), coalesce(sum(segments), 0)
       FROM counted
      GROUP BY studio_id, month, origin, coalesce(trigger_id, 0), country
      ORDER BY studio_id, month, origin, coalesce(trigger_id, 0), country
         ON CONFLICT (studio_id, month, origin, trigger_id, country, shard) DO UPDATE
        SET texts = known.texts + excluded.texts, segments = known.segments + excluded.segments)"""

HANDED_OVER = f"""
WITH counted AS (
     SELECT messages.studio_id, made.month, origin, trigger_id, made.country, segments
       FROM unnest($1::text[], $2::bigint[], $3::date[], $4::text[]) AS made (studio_id, message_id, month, country)
       JOIN messages USING (studio_id, message_id)
      WHERE channel = 'sms'),
{COUNTING.strip()}
SELECT"""


async def handed_over(tx: Connection, made: Sequence[tuple[str, int, date, str]]) -> None:
    """Count texts that turned out to be handed over, each once: studio, message, month, country or empty.

    Raises nothing of its own; what a worker itself was answered is counted by `submissions.STEP`.
    """
    if made:
        await tx.execute(HANDED_OVER, *([one[n] for one in made] for n in range(4)))


LAST_ASKED = """
SELECT studio_id, message_id, address,
       (SELECT max(started_at) FROM attempts
         WHERE attempts.studio_id = messages.studio_id AND attempts.message_id = messages.message_id)
  FROM unnest($1::text[], $2::bigint[]) AS made (studio_id, message_id) JOIN messages USING (studio_id, message_id)"""


async def last_asked(
    tx: Connection, made: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], tuple[str, datetime | None]]:
    """The address of each of these, and when a provider was last asked to take it, if one was."""
    rows = await tx.fetch(LAST_ASKED, [studio for studio, _ in made], [number for _, number in made])
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


RECEIVED = f"""
INSERT INTO usage_sources AS known (studio_id, month, origin, trigger_id, shard, texts, segments)
VALUES ($1, $2, 'client', 0, {_SHARD}, 1, $3)
    ON CONFLICT (studio_id, month, origin, trigger_id, country, shard) DO UPDATE
   SET texts = known.texts + 1, segments = known.segments + excluded.segments"""


async def received(tx: Connection, studio: str, month: date, segments: int) -> None:
    """Count a text that came in; the last thing its transaction does, so that the next one hardly waits for it."""
    await tx.execute(RECEIVED, studio, month, segments)


@dataclass(frozen=True, slots=True)
class Source:
    """So many texts of one month and origin to one country, which is empty where nobody knows it.

    `trigger` is the name where it is one's, and still has one.
    """

    month: date
    origin: str
    trigger: str | None
    country: str
    texts: int
    segments: int


SOURCES = """
SELECT month, origin, CASE WHEN usage_sources.trigger_id <> 0
                           THEN coalesce(triggers.name, 'trigger ' || usage_sources.trigger_id) END,
       country, sum(texts)::integer, sum(segments)::integer
  FROM usage_sources
  LEFT JOIN triggers ON triggers.studio_id = usage_sources.studio_id
   AND triggers.trigger_id = usage_sources.trigger_id
 WHERE usage_sources.studio_id = $1 AND month = ANY ($2::date[])
 GROUP BY month, origin, usage_sources.trigger_id, triggers.name, country
 ORDER BY sum(texts) DESC, origin, usage_sources.trigger_id, country"""


async def sources(tx: Connection, studio: str, months: Sequence[date]) -> list[Source]:
    """Where the texts of these months came from and went, the most first."""
    return [Source(*row) for row in await tx.fetch(SOURCES, studio, list(months))]


@dataclass(frozen=True, slots=True)
class Spent:
    """What a studio with a plan has used in a month."""

    studio: str
    month: date
    texts: int


# Only of those who have come to the first mark of their plan at least: how many studios there are matters little then.
AT_A_MARK = """
SELECT studio_id, month, sum(texts)::integer
  FROM usage JOIN studios USING (studio_id)
 WHERE month >= $1 AND settings::jsonb #> '{plan,texts_per_month}' IS NOT NULL
 GROUP BY studio_id, month, settings
HAVING sum(texts) * 100 >= $2::bigint * (settings::jsonb #>> '{plan,texts_per_month}')::bigint
 ORDER BY studio_id, month"""


async def at_a_mark(tx: Connection, since: date, percent: int) -> list[Spent]:
    """Months since then of which a studio has used so many per cent of its plan, or more."""
    return [Spent(*row) for row in await tx.fetch(AT_A_MARK, since, percent)]


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of its plan that a studio has come to."""

    studio: str
    month: date
    texts: int
    texts_per_month: int
    percent: int
    held: bool  # whether what goes by itself is held from now on


WARN = """
INSERT INTO plan_warnings (studio_id, month, texts_per_month, percent)
SELECT * FROM unnest($1::text[], $2::date[], $3::integer[], $4::smallint[])
    ON CONFLICT DO NOTHING
RETURNING studio_id, month"""


async def warn(tx: Connection, marks: Sequence[Mark]) -> set[Month]:
    """Note what each is told of; returns the months of which that had not been told."""
    rows = await tx.fetch(
        WARN,
        [one.studio for one in marks],
        [one.month for one in marks],
        [one.texts_per_month for one in marks],
        [one.percent for one in marks],
    )
    return {(row[0], row[1]) for row in rows}


HOLDING = studios_holding(HELD)


async def holding(tx: Connection) -> list[str]:
    """The studios that have texts waiting for their plan."""
    return [row[0] for row in await tx.fetch(HOLDING)]


# What enters the queue enters at its end.
LET_GO = """
WITH free AS MATERIALIZED (
     SELECT first.studio_id, first.message_id
       FROM unnest($1::text[], $2::integer[]) AS room (studio_id, texts) CROSS JOIN LATERAL (
            SELECT studio_id, message_id FROM messages
             WHERE messages.studio_id = room.studio_id AND state = 'held' AND starts_with(reason, 'plan:')
             ORDER BY priority, message_id LIMIT room.texts FOR UPDATE SKIP LOCKED) AS first)
UPDATE messages SET state = 'queued', due_at = clock_timestamp(), reason = 'waited for the plan'
  FROM free
 WHERE messages.studio_id = free.studio_id AND messages.message_id = free.message_id AND state = 'held'
RETURNING messages.studio_id"""


async def let_go(tx: Connection, room: Sequence[tuple[str, int]]) -> list[str]:
    """Queue what waited for a plan, at most so many texts of each studio, reminders before bulk and the oldest first.

    Returns the studio of each.
    """
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
SELECT DISTINCT ON (studio_id) studio_id, month, sum(texts)::integer FROM usage
 WHERE month >= $1 AND month <= $2 GROUP BY studio_id, month ORDER BY studio_id, month DESC"""


async def newest(tx: Connection, since: date, until: date) -> list[tuple[str, date, int]]:
    """The newest month between these of each studio that has sent something, for the metrics."""
    return [tuple(row) for row in await tx.fetch(THIS_MONTH, since, until)]
