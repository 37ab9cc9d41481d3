"""Messages whose words another one says, too: brought to what that one has come to."""

from __future__ import annotations

from dataclasses import dataclass

from control_center.domain.message import State
from control_center.store.db import Connection

# What the other was proven to have said is said; where it went without these words, or did not go, they go by
# themselves. While nobody knows whether it went, they wait for whoever settles that.
FOLLOW = """
WITH over AS MATERIALIZED (
     SELECT messages.studio_id, messages.message_id, first.sent_at,
            first.state IN ('accepted', 'delivered', 'undelivered')
            AND EXISTS (SELECT FROM attempts
                         WHERE attempts.studio_id = first.studio_id AND attempts.message_id = first.message_id
                           AND outcome = 'accepted' AND messages.message_id = ANY (carries)) AS said
       FROM messages
       JOIN messages AS first ON first.studio_id = messages.studio_id AND first.message_id = messages.rides_with
      WHERE messages.state = 'held' AND messages.rides_with IS NOT NULL
        AND first.state NOT IN ('queued', 'claimed', 'submitting', 'unknown')
        AND (first.state <> 'held' OR first.rides_with IS NOT NULL)
      LIMIT $1 FOR UPDATE OF messages SKIP LOCKED)
UPDATE messages
   SET state = CASE WHEN said THEN 'accepted' ELSE 'queued' END,
       sent_at = CASE WHEN said THEN over.sent_at END,
       reason = CASE WHEN said THEN 'calm day: its words went with m-' || rides_with
                     ELSE 'calm day: its words did not go with m-' || rides_with END,
       rides_with = CASE WHEN said THEN rides_with END,
       due_at = CASE WHEN said THEN due_at ELSE clock_timestamp() END
  FROM over
 WHERE messages.studio_id = over.studio_id AND messages.message_id = over.message_id AND messages.state = 'held'
RETURNING messages.studio_id, messages.message_id, messages.state, messages.reason"""


@dataclass(frozen=True, slots=True)
class Followed:
    """A message whose words went with another, or that goes by itself after all."""

    studio: str
    message_id: int
    state: State
    reason: str


async def follow(tx: Connection, *, limit: int) -> list[Followed]:
    """Bring what rides with another message to what became of that one, at most `limit`."""
    return [Followed(row[0], row[1], State(row[2]), row[3]) for row in await tx.fetch(FOLLOW, limit)]
