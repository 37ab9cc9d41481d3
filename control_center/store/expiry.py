"""Ends of what nobody will look at again by itself: messages and actions whose use-by has passed while they waited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from control_center.store.db import Connection


@dataclass(frozen=True, slots=True)
class Ended:
    """A message that expired."""

    studio: str
    message_id: int
    reason: str


# A claimed one is its worker's, who looks at the use-by too; a submitting one is past recall, and so is what may have
# been said in another text.
EXPIRE_MESSAGES = """
WITH late AS MATERIALIZED (
     SELECT studio_id, message_id FROM messages
      WHERE state IN ('queued', 'held') AND use_by <= $1
        AND (rides_with IS NULL
             OR (SELECT first.state FROM messages AS first
                  WHERE first.studio_id = messages.studio_id AND first.message_id = messages.rides_with)
                NOT IN ('submitting', 'unknown', 'accepted', 'delivered', 'undelivered'))
      ORDER BY use_by LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE messages
   SET state = 'expired', ended_at = clock_timestamp(),
       reason = 'use-by: it was of use until ' || to_char(use_by AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')
                || CASE WHEN messages.reason = '' THEN '' ELSE ', and waited: ' || messages.reason END
  FROM late
 WHERE messages.studio_id = late.studio_id AND messages.message_id = late.message_id
   AND messages.state IN ('queued', 'held')
RETURNING messages.studio_id, messages.message_id, messages.reason"""


async def expire_messages(tx: Connection, now: datetime, *, limit: int) -> list[Ended]:
    """End messages that can no longer be of use, the longest overdue first. None of them is at a provider."""
    return [Ended(*row) for row in await tx.fetch(EXPIRE_MESSAGES, now, limit)]


@dataclass(frozen=True, slots=True)
class Lapsed:
    """An action that expired, with its record and the event that planned it."""

    studio: str
    kind: str
    record_id: str
    occurrence: str
    action_id: int
    trigger_version: int
    event_id: str | None
    reason: str


# A planned one is release's as soon as it is due; it is only taken here when release has left it, because its
# studio is switched off for instance. Studio by studio, for the index of what waits begins with it.
EXPIRE_ACTIONS = """
WITH unseen AS MATERIALIZED (
     SELECT late.* FROM studios CROSS JOIN LATERAL (
            SELECT studio_id, action_id FROM actions
             WHERE actions.studio_id = studios.studio_id AND state IN ('review', 'held') AND use_by <= $1
             LIMIT $3 FOR UPDATE SKIP LOCKED) AS late
      LIMIT $3),
left_over AS MATERIALIZED (
     SELECT studio_id, action_id FROM actions
      WHERE state = 'planned' AND due_at <= $2 AND use_by <= $1
      LIMIT $3 FOR UPDATE SKIP LOCKED),
late AS (SELECT * FROM unseen UNION ALL SELECT * FROM left_over)
UPDATE actions
   SET state = 'expired',
       reason = 'use-by: it was of use until ' || to_char(use_by AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')
                || CASE actions.state WHEN 'review' THEN ', and nobody processed it'
                                      WHEN 'held' THEN ', and nobody released it' ELSE '' END
  FROM late
 WHERE actions.studio_id = late.studio_id AND actions.action_id = late.action_id
   AND actions.state IN ('planned', 'review', 'held')
RETURNING actions.studio_id, kind, record_id, occurrence, actions.action_id, trigger_version, event_id,
          actions.reason"""


async def expire_actions(tx: Connection, now: datetime, *, overdue: datetime, limit: int) -> list[Lapsed]:
    """End pending actions that can no longer be of use; planned ones only if they were due by `overdue`."""
    return [Lapsed(*row) for row in await tx.fetch(EXPIRE_ACTIONS, now, overdue, limit)]
