"""What the texts of a day have cost: one row for each studio that limits it, locked while texts are let pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from control_center.domain.spending import HELD, Day
from control_center.store.db import Connection
from control_center.store.held import studios_holding

Text = tuple[str, int, int, date]  # studio, message, lease token, day

# In one order, so that two workers cannot wait for each other. The update changes nothing; it locks what is there.
LOCK = """
INSERT INTO spending (studio_id) SELECT unnest($1::text[])
    ON CONFLICT (studio_id) DO UPDATE SET studio_id = excluded.studio_id
RETURNING studio_id, day, spent, again, full_at, held_since, reason"""


async def lock(tx: Connection, studios: Iterable[str]) -> dict[str, Day]:
    """The days of these studios as they are, nobody else's until the transaction ends."""
    return {row[0]: Day(*row[1:]) for row in await tx.fetch(LOCK, sorted(set(studios)))}


SAVE = """
UPDATE spending
   SET day = saved.day, spent = saved.spent, again = saved.again, full_at = saved.full_at,
       held_since = saved.held_since, reason = saved.reason
  FROM unnest($1::text[], $2::date[], $3::numeric[], $4::integer[], $5::numeric[], $6::timestamptz[], $7::text[])
       AS saved (studio_id, day, spent, again, full_at, held_since, reason)
 WHERE spending.studio_id = saved.studio_id"""


async def save(tx: Connection, after: Mapping[str, Day]) -> None:
    """Write days that this transaction has locked."""
    if not after:
        return
    keys = sorted(after)
    days = [after[one] for one in keys]
    await tx.execute(
        SAVE,
        keys,
        [one.day for one in days],
        [one.spent for one in days],
        [one.again for one in days],
        [one.full_at for one in days],
        [one.held_since for one in days],
        [one.reason for one in days],
    )


CHARGED = """
SELECT messages.studio_id, messages.message_id
  FROM unnest($1::text[], $2::bigint[], $3::date[]) AS asked (studio_id, message_id, day)
  JOIN messages ON messages.studio_id = asked.studio_id AND messages.message_id = asked.message_id
   AND messages.charged_on = asked.day"""


async def charged(tx: Connection, texts: Sequence[Text]) -> set[tuple[str, int]]:
    """Those of these that the money of their day was taken for already: another try costs nothing more."""
    rows = await tx.fetch(CHARGED, *([one[n] for one in texts] for n in (0, 1, 3)))
    return {(row[0], row[1]) for row in rows}


CHARGE = """
UPDATE messages SET charged_on = let.day
  FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::date[]) AS let (studio_id, message_id, token, day)
 WHERE messages.studio_id = let.studio_id AND messages.message_id = let.message_id
   AND messages.lease_token = let.token"""


async def charge(tx: Connection, texts: Sequence[Text]) -> None:
    """Note for which day each was let pass."""
    if texts:
        await tx.execute(CHARGE, *([one[n] for one in texts] for n in range(4)))


HOLDING = studios_holding(HELD)


async def holding(tx: Connection) -> list[str]:
    """The studios that have texts waiting because the day's money is spent."""
    return [row[0] for row in await tx.fetch(HOLDING)]


# What enters the queue enters at its end.
LET_GO = """
WITH free AS MATERIALIZED (
     SELECT studio_id, message_id FROM messages
      WHERE studio_id = $1 AND state = 'held' AND starts_with(reason, 'money:')
      ORDER BY priority, message_id LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE messages SET state = 'queued', due_at = clock_timestamp(), reason = 'waited for money'
  FROM free
 WHERE messages.studio_id = free.studio_id AND messages.message_id = free.message_id AND state = 'held'"""


async def let_go(tx: Connection, studio: str, *, limit: int) -> int:
    """Queue what waited for money, reminders before bulk and the oldest first; returns how many texts that are."""
    return int((await tx.execute(LET_GO, studio, limit)).split()[1])


@dataclass(frozen=True, slots=True)
class Shut:
    """A studio's day whose money is spent, and how many texts wait."""

    studio: str
    day: date
    spent: Decimal
    again: int
    since: datetime | None
    reason: str
    held: int


SHUT = """
SELECT spending.studio_id, day, spent, again, held_since, spending.reason, held.number
  FROM spending CROSS JOIN LATERAL (
       SELECT count(*) AS number FROM messages
        WHERE messages.studio_id = spending.studio_id AND state = 'held'
          AND starts_with(messages.reason, 'money:')) AS held
 WHERE held.number > 0 AND ($1::text IS NULL OR spending.studio_id = $1)
 ORDER BY spending.studio_id"""


async def shut(tx: Connection, studio: str | None = None) -> list[Shut]:
    """What waits because of this, of one studio or of all."""
    return [Shut(*row) for row in await tx.fetch(SHUT, studio)]
