"""Whose day has how many messages already: what the cap on marketing and calm days are kept by."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from control_center.store.db import Connection
from control_center.store.halves import BOTH

TAKEN = """
SELECT studio_id, whom, day, holder FROM day_shares
  JOIN (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS asked (studio_id, whom)) AS asked
 USING (studio_id, whom)"""

Whose = tuple[str, str]  # studio, whom


@dataclass(frozen=True, slots=True)
class Taken:
    """A share of somebody's day, and who has it."""

    whom: str
    day: date
    holder: str


async def taken(tx: Connection, asked: Collection[Whose]) -> dict[Whose, list[Taken]]:
    """Which shares of their days are taken; what is over for a week is forgotten."""
    found: dict[Whose, list[Taken]] = {}
    if not asked:
        return found
    for studio, whom, day, holder in await tx.fetch(TAKEN, *([one[n] for one in asked] for n in range(2))):
        found.setdefault((studio, whom), []).append(Taken(whom, day, holder))
    return found


OF_STUDIO = "SELECT whom, day, holder FROM day_shares WHERE studio_id = $1"


async def of_studio(tx: Connection, studio: str) -> list[Taken]:
    """Every share of a day that is taken and not forgotten yet."""
    return [Taken(*row) for row in await tx.fetch(OF_STUDIO, studio)]


@dataclass(frozen=True, slots=True)
class Asked:
    """A message whose client may be reached by others."""

    studio: str
    message_id: int
    action_id: int
    client_id: str


@dataclass(frozen=True, slots=True)
class Found:
    """Another message to the same client, gone or about to go. `at`: when it went, or is looked at.

    `joins`: a text of a trigger to the same number that has not left, and `rides`: whose words are this one's to say.
    """

    message_id: int
    purpose: str
    origin: str
    trigger_id: int | None
    trigger_version: int | None
    at: datetime
    gone: bool
    reason: str
    joins: bool
    rides: bool


# What a person writes is theirs to time, and answers are answers.
RIVALS = f"""
SELECT asked.message_id, rival.message_id, rival.purpose, rival.origin, rival.trigger_id, rival.trigger_version,
       coalesce(rival.sent_at, rival.due_at), rival.state NOT IN ('queued', 'claimed', 'held'), rival.reason,
       rival.state IN ('queued', 'claimed', 'held') AND rival.channel = 'sms' AND rival.origin = 'trigger'
          AND rival.question IS NULL AND rival.asked = 0
          AND rival.address = (SELECT address FROM messages AS first WHERE first.studio_id = asked.studio_id
                                  AND first.message_id = asked.message_id AND question IS NULL),
       rival.rides_with IS NOT NULL
  FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[])
       AS asked (studio_id, message_id, action_id, client_id)
 CROSS JOIN LATERAL (
       SELECT * FROM {BOTH} AS messages
        WHERE messages.studio_id = asked.studio_id AND messages.client_id = asked.client_id
        ORDER BY messages.message_id DESC LIMIT 200) AS rival
 WHERE rival.origin IN ('trigger', 'bulk') AND rival.action_id IS DISTINCT FROM asked.action_id
   AND (rival.state IN ('queued', 'claimed', 'submitting', 'accepted', 'delivered', 'undelivered', 'unknown')
        OR rival.state = 'held' AND rival.rides_with = asked.message_id)"""


async def rivals(tx: Connection, asked: Sequence[Asked]) -> dict[int, list[Found]]:
    """By message: what else went to its client lately or waits to, its own action's messages left out."""
    found: dict[int, list[Found]] = {}
    if not asked:
        return found
    rows = await tx.fetch(
        RIVALS,
        [one.studio for one in asked],
        [one.message_id for one in asked],
        [one.action_id for one in asked],
        [one.client_id for one in asked],
    )
    for row in rows:
        found.setdefault(row[0], []).append(Found(*row[1:]))
    return found
