"""Numbers that take no texts, as providers say: one row each, which stays when it turns out otherwise."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from control_center.store.consents import Suppressed
from control_center.store.db import Connection
from control_center.store.fences import KEPT
from control_center.store.halves import BOTH, WAITS

Number = tuple[str, str]  # studio, number


@dataclass(frozen=True, slots=True)
class DeadNumber:
    """How it is known that a number takes no texts, and what took that back: `lifted_at` None where nothing has."""

    reason: str
    message_id: int
    at: datetime
    lifted_at: datetime | None
    lifted_by: str | None


OF_NUMBER = """
SELECT reason, message_id, at, lifted_at, lifted_by FROM dead_numbers WHERE studio_id = $1 AND number = $2"""


async def of_number(tx: Connection, studio: str, number: str) -> DeadNumber | None:
    """What is known of a number; None where nothing ever was."""
    row = await tx.fetchrow(OF_NUMBER, studio, number)
    return None if row is None else DeadNumber(*row)


# The texts that came to nothing because of their number, since it last took or sent one: one counts once, however often
# it was told of.
TIMES = f"""
WITH passed AS MATERIALIZED (
     SELECT message_id, CASE WHEN state = 'delivered' THEN ended_at WHEN state = 'received' THEN created_at END AS alive
       FROM {BOTH} AS messages
      WHERE studio_id = $1 AND lower(address) = $2 AND channel = 'sms' AND created_at > $3)
SELECT count(*) FROM passed
 WHERE EXISTS (SELECT FROM receipts
                WHERE receipts.studio_id = $1 AND receipts.message_id = passed.message_id AND dead
                  AND received_at > greatest(
                      $3, (SELECT max(alive) FROM passed),
                      (SELECT lifted_at FROM dead_numbers WHERE dead_numbers.studio_id = $1 AND number = $2)))"""


async def times(tx: Connection, number: Number, *, since: datetime) -> int:
    """How many texts to a number came back since then because it takes none, as far as nothing has shown otherwise."""
    found: int = await tx.fetchval(TIMES, *number, since)
    return found


# The first word of it stays, until it is taken back.
MARK = """
INSERT INTO dead_numbers (studio_id, number, reason, message_id, at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (studio_id, number) DO UPDATE
   SET reason = excluded.reason, message_id = excluded.message_id, at = excluded.at, lifted_at = NULL, lifted_by = NULL
 WHERE dead_numbers.lifted_at IS NOT NULL"""


async def mark(tx: Connection, number: Number, reason: str, message_id: int, at: datetime) -> bool:
    """Write down that a number takes no texts; False where that was known."""
    return str(await tx.execute(MARK, *number, reason, message_id, at)) == "INSERT 0 1"


LIFT = """
UPDATE dead_numbers SET lifted_at = clock_timestamp(), lifted_by = $3
  FROM unnest($1::text[], $2::text[]) AS heard (studio_id, number)
 WHERE dead_numbers.studio_id = heard.studio_id AND dead_numbers.number = heard.number AND lifted_at IS NULL
RETURNING dead_numbers.studio_id, dead_numbers.number"""


async def lift(tx: Connection, numbers: Collection[Number], by: str) -> list[Number]:
    """These take texts after all; returns those of which anything else was known."""
    wanted = sorted(set(numbers))
    rows = await tx.fetch(LIFT, [one for one, _ in wanted], [one for _, one in wanted], by) if wanted else []
    return [(row[0], row[1]) for row in rows]


# What a person wrote goes all the same, and so does what is being said in another text already.
SUPPRESS = f"""
UPDATE messages
   SET state = 'suppressed', reason = $3 || {KEPT}, lease_owner = NULL, lease_until = NULL,
       ended_at = clock_timestamp()
 WHERE studio_id = $1 AND channel = 'sms' AND lower(address) = $2 AND {WAITS}
   AND origin IN ('trigger', 'bulk') AND rides_with IS NULL
RETURNING message_id, action_id"""


async def suppress(tx: Connection, number: Number, reason: str) -> list[Suppressed]:
    """End what would go to a number by itself, in the transaction that writes down that it takes no texts."""
    return [Suppressed(*row) for row in await tx.fetch(SUPPRESS, *number, reason)]
