"""The fence: nothing passes the point of no return on a database that may have forgotten what was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control_center.domain.fence import HELD, MAY_HAVE_ENDED, MAY_HAVE_GONE, Home, Sight
from control_center.store.db import Connection

_CLUSTER = "(SELECT system_identifier FROM pg_control_system())"
_TIMELINE = "left(pg_walfile_name(pg_current_wal_lsn()), 8)"

# A condition for whatever passes the point of no return. It reads where the database is, and not what somebody found
# earlier: after a failover the first statement on the new primary is stopped by it.
STANDS = f"""(SELECT closed_at IS NULL AND cluster = {_CLUSTER} AND timeline = {_TIMELINE}
                FROM fence WHERE name = 'sending')"""

# Beside the reason for which something of it ends: it may have gone all the same.
KEPT = f"""CASE WHEN messages.state = 'held' AND starts_with(messages.reason, '{HELD}')
                 THEN '; ' || messages.reason ELSE '' END"""

IS_OPEN = f"SELECT {STANDS}"


async def is_open(tx: Connection) -> bool:
    """Whether anything may be sent."""
    return bool(await tx.fetchval(IS_OPEN))


@dataclass(frozen=True, slots=True)
class Fence:
    """How the fence stands. `lost` is the time whose end the database may have forgotten, the last such one."""

    home: Home
    sight: Sight
    closed_at: datetime | None
    reason: str
    lost_from: datetime | None
    lost_until: datetime | None
    armed_at: datetime | None
    armed_by: str | None


LOOK = f"""
SELECT cluster, timeline, arming, {_CLUSTER} AS now_cluster, {_TIMELINE} AS now_timeline,
       pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint AS position,
       beats, closed_at, reason, lost_from, lost_until, armed_at, armed_by
  FROM fence WHERE name = 'sending'"""


async def look(tx: Connection) -> Fence:
    """The fence as it stands, and where the database is."""
    row = await tx.fetchrow(LOOK)
    home = Home(row["cluster"], row["timeline"], row["arming"])
    sight = Sight(row["now_cluster"], row["now_timeline"], row["position"], home.arming, row["beats"])
    return Fence(home, sight, *tuple(row)[7:])


# How long ago all was well, as the database itself knows: what it has forgotten is younger than that.
BEAT = f"""
UPDATE fence SET beats = beats + 1, beat_at = clock_timestamp()
 WHERE name = 'sending' AND {STANDS} AND beat_at < clock_timestamp() - $1::interval"""


async def beat(tx: Connection, *, every: timedelta) -> None:
    """Write down that all is well, at most once in `every`."""
    await tx.execute(BEAT, every)


# Whatever was due by now may have gone out in the time that was lost, and what a breaker, a plan or a person held may
# have been let go in it; a bulk that was to begin later may have been ended. What is being submitted stays a doubt of
# its own, and words that another message says come to what that one comes to.
CLOSE = f"""
WITH closed AS (
     UPDATE fence
        SET closed_at = statement_timestamp(), reason = $1, lost_from = beat_at, lost_until = statement_timestamp()
      WHERE name = 'sending' AND closed_at IS NULL
  RETURNING closed_at),
waiting AS (
     SELECT studio_id, message_id FROM messages, closed WHERE state = 'queued' AND due_at <= closed_at
      UNION ALL
     SELECT studio_id, message_id FROM messages, closed WHERE state = 'claimed' AND lease_until IS NOT NULL
      UNION ALL
     SELECT studio_id, message_id FROM messages, closed
      WHERE state = 'held' AND rides_with IS NULL AND NOT starts_with(messages.reason, '{HELD}')),
held AS (
     UPDATE messages
        SET state = 'held', claims = 0, lease_owner = NULL, lease_until = NULL, forgotten = 'perhaps',
            reason = '{MAY_HAVE_GONE}'
                     || CASE WHEN messages.state = 'held' THEN '; held before: ' || messages.reason ELSE '' END
       FROM waiting
      WHERE messages.studio_id = waiting.studio_id AND messages.message_id = waiting.message_id
        AND state IN ('queued', 'claimed', 'held')
  RETURNING 1),
stopped AS (
     UPDATE actions SET state = 'held', reason = '{MAY_HAVE_GONE}'
       FROM closed
      WHERE state = 'planned' AND due_at <= closed_at
  RETURNING 1),
paused AS (
     UPDATE bulks
        SET state = 'paused', next_at = NULL,
            reason = CASE WHEN state = 'paused' THEN '{MAY_HAVE_GONE}; paused before: ' || bulks.reason
                          WHEN start_at <= closed_at THEN '{MAY_HAVE_GONE}' ELSE '{MAY_HAVE_ENDED}' END
       FROM closed
      WHERE next_at IS NOT NULL OR state = 'paused' AND NOT starts_with(bulks.reason, '{HELD}')
  RETURNING 1)
SELECT closed_at, (SELECT count(*) FROM held) AS messages, (SELECT count(*) FROM stopped) AS actions,
       (SELECT count(*) FROM paused) AS bulks
  FROM closed"""


@dataclass(frozen=True, slots=True)
class Closed:
    """What was stopped because it may have gone out, or its rest may have."""

    messages: int
    actions: int
    bulks: int


# Numbers that were given out in the lost time are known outside, to providers and to the CRM: none of them is given out
# again. A thousand a second is more than any installation makes.
LEAP = """
SELECT setval(pg_sequences.sequencename::regclass, coalesce(last_value, 0) + 1000 * (3600
           + extract(epoch FROM (SELECT lost_until - lost_from FROM fence WHERE name = 'sending'))::bigint))
  FROM pg_sequences WHERE schemaname = current_schema()"""


async def close(tx: Connection, reason: str) -> Closed | None:
    """Let nothing pass until a person says so; None where that was so already."""
    row = await tx.fetchrow(CLOSE, reason)
    if row is None:
        return None
    await tx.execute(LEAP)
    return Closed(*tuple(row)[1:])


ARM = f"""
UPDATE fence
   SET closed_at = NULL, reason = '', cluster = {_CLUSTER}, timeline = {_TIMELINE}, arming = arming + 1,
       beat_at = clock_timestamp(), armed_at = clock_timestamp(), armed_by = $1
 WHERE name = 'sending' AND closed_at IS NOT NULL
RETURNING arming"""


async def arm(tx: Connection, by: str) -> bool:
    """Take this database for the one to send from, as `by` decided; False where nothing was closed."""
    return await tx.fetchval(ARM, by) is not None


HELD_BY_FENCE = f"""
SELECT (SELECT count(*) FROM messages WHERE state = 'held' AND reason LIKE '{HELD}%'),
       (SELECT count(*) FROM actions WHERE state = 'held' AND reason LIKE '{HELD}%'),
       (SELECT count(*) FROM bulks WHERE state = 'paused' AND reason LIKE '{HELD}%')"""


async def held(tx: Connection) -> Closed:
    """How much waits for a person because it may have gone out."""
    return Closed(*await tx.fetchrow(HELD_BY_FENCE))


LET_MESSAGES_GO = f"""
UPDATE messages
   SET state = 'queued', due_at = clock_timestamp(), reason = 'a person armed the fence', forgotten = 'denied'
 WHERE state = 'held' AND reason LIKE '{HELD}%'"""
LET_ACTIONS_GO = f"""
UPDATE actions SET state = 'planned', due_at = clock_timestamp(), reason = 'a person armed the fence', let_go_by = $1
 WHERE state = 'held' AND reason LIKE '{HELD}%'"""


async def let_go(tx: Connection, by: str) -> None:
    """Queue again what was held, as `by` knows that it has not gone out."""
    await tx.execute(LET_MESSAGES_GO)
    await tx.execute(LET_ACTIONS_GO, by)


CALL_UNKNOWN = f"""
UPDATE messages SET state = 'unknown'
 WHERE state = 'held' AND reason LIKE '{HELD}%'
RETURNING studio_id, message_id"""


async def call_unknown(tx: Connection) -> list[tuple[str, int]]:
    """Call the held messages what they are: unknown, each for a person to resolve; returns them with their studios."""
    return [(row[0], row[1]) for row in await tx.fetch(CALL_UNKNOWN)]


# What was activated in the lost time and is planned only now comes from an event that came again.
GAP = "SELECT lost_until FROM fence WHERE name = 'sending' AND lost_until IS NOT NULL"


async def gap(tx: Connection) -> datetime | None:
    """Until when the database may have forgotten what was sent, the last time that it did."""
    found: datetime | None = await tx.fetchval(GAP)
    return found


KNOWN_SINCE = """
SELECT action_id FROM actions JOIN unnest($1::text[], $2::bigint[]) AS asked (studio_id, action_id)
 USING (studio_id, action_id)
 WHERE planned_at > $3"""


async def known_since(tx: Connection, asked: Sequence[tuple[str, int]], gap: datetime) -> set[int]:
    """Which of these actions (studio, number) were planned, or planned anew, after the database forgot something."""
    rows = await tx.fetch(KNOWN_SINCE, [studio for studio, _ in asked], [number for _, number in asked], gap)
    return {row[0] for row in rows}
