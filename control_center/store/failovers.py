"""Texts that an account certainly did not send, and that another account takes over."""

from __future__ import annotations

from dataclasses import dataclass

from control_center.store.db import Connection

# What was refused because of the account, what has no tries left there, and, while its breaker is open, what waits to
# be tried. All of it is proven not taken: what may have been taken is in none of these states. What a doubt or a plan
# holds, another account does not cure. A text leaves from a number of its own studio: who answers STOP says it to them.
_OWN = """($3::text IS NULL OR EXISTS (
             SELECT FROM studios WHERE studios.studio_id = messages.studio_id AND $3 = ANY (numbers)))"""
MOVE = f"""
WITH stranded AS MATERIALIZED (
     SELECT studio_id, message_id FROM messages
      WHERE account BETWEEN $1 AND $1 AND state = 'held'
        AND (starts_with(reason, 'breaker:') OR starts_with(reason, 'failover:')) AND {_OWN}
      ORDER BY account, message_id LIMIT $4 FOR UPDATE SKIP LOCKED),
waiting AS MATERIALIZED (
     SELECT studio_id, message_id FROM messages
      WHERE account = $1 AND state = 'queued' AND due_at <= statement_timestamp()
        AND EXISTS (SELECT FROM breakers WHERE breakers.account = $1 AND open_until > statement_timestamp()) AND {_OWN}
      LIMIT $4 FOR UPDATE SKIP LOCKED)
UPDATE messages
   SET account = $2, sender = coalesce($3, sender), state = 'queued', tries = 0, due_at = clock_timestamp(),
       moved_from = array_append(moved_from, $1::text),
       reason = left(concat('moved from ', $1::text, '; ', reason), 500)
  FROM (SELECT * FROM stranded UNION ALL SELECT * FROM waiting) AS moving
 WHERE messages.studio_id = moving.studio_id AND messages.message_id = moving.message_id
   AND messages.account = $1 AND messages.state IN ('held', 'queued')
   AND NOT EXISTS (SELECT FROM breakers WHERE breakers.account = $2 AND open_until IS NOT NULL)
RETURNING messages.studio_id, messages.message_id, messages.reason"""


@dataclass(frozen=True, slots=True)
class Moved:
    studio: str
    message_id: int
    reason: str


async def move(tx: Connection, account: str, to: str, *, sender: str | None, limit: int) -> list[Moved]:
    """Hand over to another account, unless that one is blocked, too; `sender` is its number where it has one.

    Studios that this is not a number of keep what they have where it is.
    """
    return [Moved(*row) for row in await tx.fetch(MOVE, account, to, sender, limit)]
