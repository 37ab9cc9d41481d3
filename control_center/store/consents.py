"""What each address said about being written to: append-only, the newest row of a purpose counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from control_center.domain.consent import Purpose, Said, Standing, standing
from control_center.store.db import Connection
from control_center.store.fences import KEPT
from control_center.store.halves import WAITS

# Beside it whether a number takes texts at all: whoever asks the one has to know the other.
NEWEST = """
WITH asked AS MATERIALIZED (
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS asked (studio_id, channel, address))
(SELECT DISTINCT ON (consents.studio_id, consents.channel, consents.address, purpose)
        consents.studio_id, consents.channel, consents.address, purpose, says, '' AS dead
   FROM consents JOIN asked USING (studio_id, channel, address)
  ORDER BY consents.studio_id, consents.channel, consents.address, purpose, consent_id DESC)
 UNION ALL
 SELECT asked.studio_id, channel, address, NULL, NULL, reason
   FROM dead_numbers JOIN asked ON asked.studio_id = dead_numbers.studio_id AND asked.address = dead_numbers.number
  WHERE lifted_at IS NULL"""

Address = tuple[str, str, str]  # studio, channel, address


async def standings(tx: Connection, asked: Iterable[Address]) -> dict[Address, Standing]:
    """How these addresses stand, by the spelling they were asked in; one of which nothing is known is left out."""
    wanted = set(asked)
    if not wanted:
        return {}
    keys = sorted({spelled(one) for one in wanted})
    newest: dict[Address, dict[Purpose, Said]] = {}
    dead: dict[Address, str] = {}
    for *known, purpose, says, reason in await tx.fetch(NEWEST, *([one[n] for one in keys] for n in range(3))):
        key: Address = (known[0], known[1], known[2])
        if purpose is None:
            dead[key] = reason
        else:
            newest.setdefault(key, {})[Purpose(purpose)] = Said(says)
    found = {key: standing(newest.get(key, {}), dead.get(key, "")) for key in newest.keys() | dead.keys()}
    return {one: found[key] for one in wanted if (key := spelled(one)) in found}


def spelled(address: Address) -> Address:
    """The one spelling under which it is kept what an address said: capitals in an email address mean nothing."""
    studio, channel, written = address
    return studio, channel, written.lower()


@dataclass(frozen=True, slots=True)
class Saying:
    """What an address said, and how it is known."""

    studio: str
    channel: str
    address: str
    says: Said
    source: str
    evidence: str
    purpose: Purpose = Purpose.ALL
    said_at: datetime | None = None  # when, where their provider tells

    @property
    def key(self) -> Address:
        return spelled((self.studio, self.channel, self.address))


LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(chr(31), 'address', $1::text, $2::text, $3::text), 0))"


async def lock(tx: Connection, address: Address) -> None:
    """Make whoever else reads or writes what this address says wait until the transaction ends."""
    await tx.execute(LOCK, *spelled(address))


RECORD = """
INSERT INTO consents (studio_id, channel, address, purpose, says, source, evidence, said_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"""


async def record(tx: Connection, said: Saying) -> None:
    """Write down what an address said. What that does to messages that wait is its caller's to see to."""
    await tx.execute(RECORD, *said.key, said.purpose, said.says, said.source, said.evidence, said.said_at)


OVERTAKEN = """
SELECT EXISTS (SELECT FROM consents
                WHERE studio_id = $1 AND channel = $2 AND address = $3 AND purpose = 'all' AND says = 'stop'
                  AND said_at > $4)"""


async def overtaken(tx: Connection, address: Address, said_at: datetime) -> bool:
    """Whether a stop that was said after this time is known already: providers do not keep the order of texts."""
    found: bool = await tx.fetchval(OVERTAKEN, *spelled(address), said_at)
    return found


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A message that a stop kept from being sent; `action_id` is its trigger's action."""

    message_id: int
    action_id: int | None


# What is being submitted is past recall, and its order shows in the times. So are words that go with it: they come to
# what it comes to, and where it did not go, they are held against the STOP then. The answer to one leaves all the same.
SUPPRESS = f"""
UPDATE messages
   SET state = 'suppressed', reason = $5 || {KEPT}, lease_owner = NULL, lease_until = NULL,
       ended_at = clock_timestamp()
 WHERE studio_id = $1 AND channel = $2 AND lower(address) = $3 AND {WAITS}
   AND origin <> 'answer' AND ($4 = 'all' OR purpose = $4) AND rides_with IS NULL
RETURNING message_id, action_id"""


async def suppress(tx: Connection, said: Saying) -> list[Suppressed]:
    """End what waits for an address that said stop, in the transaction that writes it down."""
    reason = f"opted out: {said.source}"
    rows = await tx.fetch(SUPPRESS, *said.key, said.purpose, reason)
    return [Suppressed(*row) for row in rows]


# What a doubt holds, and what a person's word sets free again.
HOLD = f"""
UPDATE messages SET state = 'held', reason = $4, lease_owner = NULL, lease_until = NULL
 WHERE studio_id = $1 AND channel = $2 AND lower(address) = $3 AND {WAITS} AND state <> 'held'
   AND origin IN ('trigger', 'bulk')"""
FREE = f"""
UPDATE messages SET state = 'queued', reason = '', due_at = clock_timestamp()
 WHERE studio_id = $1 AND channel = $2 AND lower(address) = $3 AND {WAITS}
   AND state = 'held' AND starts_with(reason, $4)"""


async def hold(tx: Connection, said: Saying, reason: str) -> None:
    """Hold what would go to an address by itself."""
    await tx.execute(HOLD, *said.key, reason)


async def free(tx: Connection, said: Saying, reason: str) -> None:
    """Let go on what was held for a reason that begins like this."""
    await tx.execute(FREE, *said.key, reason)


# Whether what its address said lets a message go now; in the statement that lets it pass the point of no return.
MAY_GO = """(messages.origin = 'answer'
             OR coalesce((SELECT says IN ('start', 'no_stop') OR says = 'doubt' AND messages.origin = 'person'
                            FROM consents
                           WHERE consents.studio_id = messages.studio_id AND consents.channel = messages.channel
                             AND consents.address = lower(messages.address) AND consents.purpose = 'all'
                           ORDER BY consent_id DESC LIMIT 1), true)
            AND (messages.purpose = 'transactional'
                 OR coalesce((SELECT says <> 'stop' FROM consents
                               WHERE consents.studio_id = messages.studio_id AND consents.channel = messages.channel
                                 AND consents.address = lower(messages.address) AND consents.purpose = 'marketing'
                               ORDER BY consent_id DESC LIMIT 1), true)))"""

HISTORY = """
SELECT at, purpose, says, source, evidence, said_at FROM consents
 WHERE studio_id = $1 AND channel = $2 AND address = $3 ORDER BY consent_id"""


@dataclass(frozen=True, slots=True)
class Consent:
    """One line of the ledger: written at `at`, and said at `said_at` where their provider told."""

    at: datetime
    purpose: Purpose
    says: Said
    source: str
    evidence: str
    said_at: datetime | None


async def history(tx: Connection, studio: str, channel: str, address: str) -> list[Consent]:
    """Everything an address ever said, oldest first."""
    rows = await tx.fetch(HISTORY, *spelled((studio, channel, address)))
    return [Consent(at, Purpose(purpose), Said(says), *known) for at, purpose, says, *known in rows]
