"""The invariants over a whole history: what the CRM said, what the provider took, and what the database says of it.

lost     an event that was confirmed and is neither stored nor set aside
dup      two lines of the provider for one (record, trigger, occurrence, channel, address)
ghost    a line of the provider without an attempt that asked for it
false    a state or an outcome that contradicts the provider's lines
stuck    not at its end and in nobody's hands, after calm; a doubt that a receipt should have settled
unknown  may have been sent: no fault in itself, but bounded
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from tests.support.installation import Installation

MESSAGES: Final = """
SELECT 'm-' || message_id AS id, messages.state, channel, address, messages.due_at <= clock_timestamp() AS due,
       messages.kind || '/' || messages.record_id || ', ' || triggers.name || ', ' || occurrence AS cause
  FROM messages JOIN actions USING (studio_id, action_id)
  JOIN triggers ON triggers.studio_id = messages.studio_id AND triggers.trigger_id = messages.trigger_id"""
ATTEMPTS: Final = "SELECT key, outcome FROM attempts"
OVERDUE: Final = "SELECT 'a-' || action_id FROM actions WHERE state = 'planned' AND due_at <= clock_timestamp()"
KNOWN: Final = "SELECT source, event_id FROM events"
DEAD: Final = "SELECT body FROM dead_events"

TOOK: Final = frozenset({"accepted", "delivered", "undelivered"})  # the provider has it, says the state
MAY_HAVE: Final = TOOK | {"submitting", "unknown"}


@dataclass(frozen=True, slots=True)
class Findings:
    lost: list[str]
    dup: list[str]
    ghost: list[str]
    false: list[str]
    stuck: list[str]
    unknown: list[str]

    @property
    def faults(self) -> dict[str, list[str]]:
        """Everything that must not be, by its name; empty where all is well."""
        found = {name: getattr(self, name)[:10] for name in ("lost", "dup", "ghost", "false", "stuck")}
        return {name: faults for name, faults in found.items() if faults}


async def check(here: Installation, bodies: Iterable[bytes]) -> Findings:
    """Compare the events that were confirmed with the outbox and the database, once all is calm."""
    lines = here.outbox()
    messages = {row["id"]: row for row in await here.sql(MESSAGES)}
    attempts = {row["key"]: row["outcome"] for row in await here.sql(ATTEMPTS)}
    overdue = [row[0] for row in await here.sql(OVERDUE)]
    return Findings(
        lost=await _lost(here, bodies),
        dup=_dup(lines, messages),
        ghost=[line["key"] for line in lines if line["key"] not in attempts or line["message"] not in messages],
        false=_false(lines, messages, attempts),
        stuck=overdue + _stuck(lines, messages),
        unknown=[one for one, row in messages.items() if row["state"] == "unknown"],
    )


async def _lost(here: Installation, bodies: Iterable[bytes]) -> list[str]:
    known = {(row["source"], row["event_id"]) for row in await here.sql(KNOWN)}
    dead = {row["body"] for row in await here.sql(DEAD)}
    return [
        str(event["id"])
        for body in bodies
        if body not in dead
        for event in [json.loads(body)]
        if (event["source"], event["id"]) not in known
    ]


def _dup(lines: list[dict[str, Any]], messages: dict[str, Any]) -> list[str]:
    causes = Counter(
        (row["cause"], row["channel"], row["address"])
        for line in lines
        if (row := messages.get(line["message"])) is not None
    )
    return [f"{number} times: {cause}" for cause, number in causes.items() if number > 1]


def _false(lines: list[dict[str, Any]], messages: dict[str, Any], attempts: dict[str, str | None]) -> list[str]:
    taken, keys = {line["message"] for line in lines}, {line["key"] for line in lines}
    by_state = [
        f"{one} is {row['state']}, and the provider {'took it' if one in taken else 'never had it'}"
        for one, row in messages.items()
        if (row["state"] in TOOK and one not in taken) or (row["state"] not in MAY_HAVE and one in taken)
    ]
    by_outcome = [
        f"{key} is {outcome}, and the provider {'took it' if key in keys else 'never had it'}"
        for key, outcome in attempts.items()
        if (outcome == "accepted" and key not in keys) or (outcome in ("not_sent", "refused") and key in keys)
    ]
    return by_state + by_outcome


def _stuck(lines: list[dict[str, Any]], messages: dict[str, Any]) -> list[str]:
    taken = {line["message"] for line in lines}
    return [
        f"{one} is {row['state']}"
        for one, row in messages.items()
        if row["state"] in ("claimed", "submitting", "accepted")
        or (row["state"] == "queued" and row["due"])
        or (row["state"] == "unknown" and one in taken)
    ]
