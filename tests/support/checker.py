"""The invariants over a whole history: what the CRM and clients said, what the far side has, and what we say of it.

lost     an event that was confirmed, or a call that was answered with 200, and is neither stored nor set aside
dup      two lines of providers for one cause and address, whatever the cause; one command under two names
ghost    something with a provider, or at the CRM, that nothing here asked for
false    a state or an outcome that contradicts the ledgers
stuck    not at its end and in nobody's hands, after calm; a doubt that a receipt should have settled
unknown  may have been sent: no fault in itself, but bounded
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.support.fake_crm import Crm
from tests.support.installation import Installation
from tests.support.ledger import Brought, Ledger, Taken
from tests.support.programs import POLL

# What a person wrote is its own cause, and so is an answer: of those there may be one for each text that came in.
MESSAGES: Final = """
SELECT 'm-' || message_id AS id, origin, messages.state, channel, address, messages.due_at <= clock_timestamp() AS due,
       CASE origin WHEN 'trigger' THEN messages.kind || '/' || messages.record_id || ', ' || triggers.name || ', '
                                       || occurrence
                   WHEN 'bulk' THEN 'bulk ' || bulk_id
                   ELSE 'm-' || message_id || ' of a ' || origin END AS cause
  FROM messages LEFT JOIN actions USING (studio_id, action_id)
  LEFT JOIN triggers ON triggers.studio_id = messages.studio_id AND triggers.trigger_id = messages.trigger_id
 WHERE origin <> 'client'"""
CAME_IN: Final = "SELECT address, count(*) AS number FROM messages WHERE origin = 'client' GROUP BY address"
ATTEMPTS: Final = "SELECT key, 'm-' || message_id AS message, outcome, carries FROM attempts"
OVERDUE: Final = """
SELECT 'a-' || action_id || ' is planned' FROM actions WHERE state = 'planned' AND due_at <= clock_timestamp()
 UNION ALL
SELECT 'the ladder of a-' || action_id FROM ladders WHERE due_at <= clock_timestamp()
 UNION ALL
SELECT 'b-' || bulk_id || ' is ' || state FROM bulks
 WHERE next_at <= clock_timestamp() AND state IN ('scheduled', 'running')
 UNION ALL
SELECT 'arrival ' || known_by FROM arrivals WHERE waiting"""
KNOWN: Final = "SELECT source, event_id FROM events"
DEAD: Final = "SELECT body FROM dead_events"
STORED: Final = """
SELECT 'receipt', dedupe_key FROM receipts UNION ALL SELECT 'text', known_by FROM arrivals"""
COMMANDS: Final = "SELECT command_id, studio_id, subject, verb, data, state FROM commands"

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


@dataclass(frozen=True, slots=True)
class _History:
    """Everything that is compared, as it stood when it was read."""

    taken: Sequence[Taken]  # by all providers
    messages: dict[str, Any]
    attempts: dict[str, Any]
    came_in: dict[str, int]
    commands: dict[str, Any]
    crm: Crm | None

    @property
    def with_provider(self) -> dict[str, bool]:
        """The messages whose words a provider has, and whether it told us what became of them."""
        found: dict[str, bool] = {}
        for one in self.taken:
            carried = (self.attempts[one.key]["carries"] or ()) if one.key in self.attempts else ()
            for message in (one.message, *(f"m-{rider}" for rider in carried)):
                found[message] = found.get(message, False) or one.told
        return found


async def check(
    here: Installation,
    bodies: Collection[bytes] = (),
    *,
    ledgers: Sequence[Ledger] = (),
    crm: Crm | None = None,
    outboxes: Sequence[Installation] = (),
    patience: float = 30.0,
) -> Findings:
    """Compare the events that were confirmed with the providers' books, the CRM's, and the database, once all is calm.

    The sandbox's outbox of `here` is always among the books, and that of `outboxes`, which share its database. What a
    `crm` has said counts as confirmed. What has merely not happened yet is not stuck: where that is all there is, it is
    looked at again for `patience` seconds (a doubt is at rest too, until its receipt or a late answer settles it).
    """
    deadline = time.monotonic() + patience
    while True:
        findings = await _look(here, bodies, ledgers=ledgers, crm=crm, outboxes=outboxes)
        if findings.faults.keys() != {"stuck"} or time.monotonic() > deadline:
            return findings
        await asyncio.sleep(POLL)


async def _look(
    here: Installation,
    bodies: Collection[bytes],
    *,
    ledgers: Sequence[Ledger],
    crm: Crm | None,
    outboxes: Sequence[Installation],
) -> Findings:
    sandboxes = [_of_sandbox(line) for one in (here, *outboxes) for line in one.outbox()]
    history = _History(
        taken=[*sandboxes, *(one for ledger in ledgers for one in ledger.taken())],
        messages={row["id"]: row for row in await here.sql(MESSAGES)},
        attempts={row["key"]: row for row in await here.sql(ATTEMPTS)},
        came_in={row["address"]: row["number"] for row in await here.sql(CAME_IN)},
        commands={row["command_id"]: row for row in await here.sql(COMMANDS)},
        crm=crm,
    )
    said = [*bodies, *(crm.said if crm is not None else ())]
    brought = [one for ledger in ledgers for one in ledger.brought()]
    return Findings(
        lost=await _lost_events(here, said) + await _lost_calls(here, brought),
        dup=[*_dup(history), *_dup_commands(history)],
        ghost=[*_ghosts(history)],
        false=[*_false_states(history), *_false_outcomes(history), *_false_commands(history)],
        stuck=[row[0] for row in await here.sql(OVERDUE)] + [*_stuck(history)],
        unknown=[one for one, row in history.messages.items() if row["state"] == "unknown"],
    )


def _of_sandbox(line: dict[str, Any]) -> Taken:
    return Taken(line["message"], line["key"], told=True)


async def _lost_events(here: Installation, bodies: Iterable[bytes]) -> list[str]:
    known = {(row["source"], row["event_id"]) for row in await here.sql(KNOWN)}
    dead = {row["body"] for row in await here.sql(DEAD)}
    return [
        str(event["id"])
        for body in bodies
        if body not in dead
        for event in [json.loads(body)]
        if (event["source"], event["id"]) not in known
    ]


async def _lost_calls(here: Installation, brought: Iterable[Brought]) -> list[str]:
    stored = {tuple(row) for row in await here.sql(STORED)}
    return [f"{one.what} {one.known_by}" for one in brought if (one.what, one.known_by) not in stored]


def _dup(history: _History) -> Iterator[str]:
    lines = [row for one in history.taken if (row := history.messages.get(one.message)) is not None]
    causes = Counter((row["cause"], row["channel"], row["address"]) for row in lines)
    yield from (f"{number} times: {cause}" for cause, number in causes.items() if number > 1)
    answers = Counter(row["address"] for row in lines if row["origin"] == "answer")
    for address, number in answers.items():
        if number > history.came_in.get(address, 0):
            yield f"{number} answers to {address}, who wrote {history.came_in.get(address, 0)} times"


def _dup_commands(history: _History) -> Iterator[str]:
    """What the CRM would take for two wishes, though they are one: it knows repeats by their name alone."""
    wishes = [row for row in history.commands.values() if "." not in row["verb"]]  # a report may say the same again
    says = Counter((row["studio_id"], row["subject"], row["verb"], row["data"]) for row in wishes)
    yield from (f"{number} times: {verb} of {subject}" for (_, subject, verb, _), number in says.items() if number > 1)


def _ghosts(history: _History) -> Iterator[str]:
    asked = {row["message"] for row in history.attempts.values()}
    for one in history.taken:
        by_key = one.key is None or one.key in history.attempts
        if not by_key or one.message not in asked or one.message not in history.messages:
            yield one.name
    if history.crm is not None:
        yield from (one for one in history.crm.heard if one not in history.commands)


def _false_states(history: _History) -> Iterator[str]:
    taken = history.with_provider
    for one, row in history.messages.items():
        if (row["state"] in TOOK and one not in taken) or (row["state"] not in MAY_HAVE and one in taken):
            yield f"{one} is {row['state']}, and the provider {'took it' if one in taken else 'never had it'}"


def _false_outcomes(history: _History) -> Iterator[str]:
    keys = {one.key for one in history.taken if one.key is not None}
    unkeyed = Counter(one.message for one in history.taken if one.key is None)
    proven = Counter(row["message"] for row in history.attempts.values() if row["outcome"] == "accepted")
    for key, row in history.attempts.items():
        outcome, by_name = row["outcome"], row["message"] in unkeyed
        if outcome == "accepted" and key not in keys and not by_name:
            yield f"{key} is accepted, and the provider never had it"
        if outcome in ("not_sent", "refused", "blocked") and key in keys:
            yield f"{key} is {outcome}, and the provider took it"
    for message, number in proven.items():
        if 0 < unkeyed[message] < number:
            yield f"{message} was accepted {number} times, and the provider took it {unkeyed[message]} times"


def _false_commands(history: _History) -> Iterator[str]:
    if history.crm is None:
        return
    heard = history.crm.heard
    for one, row in history.commands.items():
        if row["state"] == "published" and one not in heard:
            yield f"{row['verb']} {one} is published, and the CRM never heard it"
    yield from history.crm.out_of_order()


def _stuck(history: _History) -> Iterator[str]:
    taken = history.with_provider
    for one, row in history.messages.items():
        told = taken.get(one, False)
        waits = row["state"] in ("claimed", "submitting") or (row["state"] == "queued" and row["due"])
        if waits or (row["state"] in ("accepted", "unknown") and told):
            yield f"{one} is {row['state']}"
    if history.crm is not None:
        yield from (f"{row['verb']} {one}" for one, row in history.commands.items() if row["state"] != "published")
