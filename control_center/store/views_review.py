"""The review list as people see it: by trigger, with a few of each to look at before deciding about all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from control_center.domain.action import PENDING
from control_center.store import release_guards
from control_center.store.db import Connection
from control_center.store.views_actions import TABLES, WANTED, Filter, arguments

SAMPLES = 10


class Sample(msgspec.Struct, frozen=True):
    """One action of a group: `who` is the client's name, null where the record has none that we know."""

    id: str
    state: str
    record: str
    who: str | None
    due_at: datetime
    reason: str


class Group(msgspec.Struct, frozen=True):
    """What waits of one trigger: how many by state, the oldest due, and the first of them, held ones before others.

    `trigger` is null once it was deleted. `held_since` and `reason` are of its blast guard while that is shut: then
    whatever comes due is held, until what is held was let go or dropped.
    """

    trigger: str | None
    trigger_id: int
    count: int
    states: dict[str, int]
    oldest_due: datetime | None
    held_since: datetime | None
    reason: str
    samples: list[Sample]


GROUPS = f"""
SELECT actions.trigger_id, triggers.name, state, count(*), min(due_at){TABLES}{WANTED}
 GROUP BY actions.trigger_id, triggers.name, state"""

_FIRST = """PARTITION BY actions.trigger_id
         ORDER BY CASE state WHEN 'held' THEN 0 WHEN 'review' THEN 1 ELSE 2 END, due_at, action_id"""

SAMPLED = f"""
SELECT trigger_id, action_id, state, sampled.kind, sampled.record_id, due_at, reason, clients.body
  FROM (SELECT actions.*, row_number() OVER ({_FIRST}) AS place{TABLES}{WANTED}) AS sampled
  LEFT JOIN records ON records.studio_id = sampled.studio_id AND records.kind = sampled.kind
       AND records.record_id = sampled.record_id
  LEFT JOIN records AS clients ON clients.studio_id = sampled.studio_id AND clients.kind = 'client'
       AND clients.record_id = CASE sampled.kind WHEN 'client' THEN sampled.record_id ELSE records.client_id END
 WHERE place <= $9
 ORDER BY trigger_id, place"""

NAME = "SELECT name FROM triggers WHERE studio_id = $1 AND trigger_id = $2"


@dataclass(slots=True)
class _Counted:
    """One trigger's numbers while they are gathered."""

    name: str | None
    states: dict[str, int]
    oldest: datetime | None = None

    def add(self, state: str, number: int, oldest: datetime) -> None:
        self.states[state] = number
        self.oldest = oldest if self.oldest is None else min(self.oldest, oldest)


async def groups(tx: Connection, studio: str, wanted: Filter, *, samples: int = SAMPLES) -> list[Group]:
    """What a list has, by trigger: those that wait for a person first, then by what is due soonest.

    Without states, what waits is listed. A trigger whose guard is shut is there even where nothing of it waits,
    unless the filter leaves it out.
    """
    values = arguments(wanted if wanted.states is not None else wanted.of(PENDING))
    counted: dict[int, _Counted] = {}
    for trigger_id, name, state, number, oldest in await tx.fetch(GROUPS, studio, *values):
        counted.setdefault(trigger_id, _Counted(name, {})).add(state, number, oldest)
    shown: dict[int, list[Sample]] = defaultdict(list)
    for row in await tx.fetch(SAMPLED, studio, *values, samples):
        shown[row[0]].append(_sample(row))
    shut = await release_guards.shut(tx, studio)
    for trigger_id in shut.keys() - counted.keys():
        name = await tx.fetchval(NAME, studio, trigger_id)
        if name is not None and wanted.trigger in (None, name) and not wanted.narrows_within:
            counted[trigger_id] = _Counted(name, {})
    made = [
        Group(
            trigger=one.name,
            trigger_id=trigger_id,
            count=sum(one.states.values()),
            states=dict(sorted(one.states.items())),
            oldest_due=one.oldest,
            held_since=shut[trigger_id].since if trigger_id in shut else None,
            reason=shut[trigger_id].reason if trigger_id in shut else "",
            samples=shown[trigger_id],
        )
        for trigger_id, one in counted.items()
    ]
    return sorted(made, key=order)


def order(group: Group) -> tuple[bool, bool, float, int]:
    """By this a list of groups is sorted: first those that wait for a person, then by what is due soonest."""
    waits = "held" in group.states or group.held_since is not None
    due = group.oldest_due.timestamp() if group.oldest_due else 0.0
    return not waits, "review" not in group.states, due, group.trigger_id


class _Named(msgspec.Struct, frozen=True):
    """What is read of a client."""

    first_name: str | None = None
    last_name: str | None = None


def _sample(row: Any) -> Sample:
    _, action_id, state, kind, record_id, due_at, reason, body = row
    return Sample(f"a-{action_id}", state, f"{kind}/{record_id}", _who(body), due_at, reason)


def _who(body: str | None) -> str | None:
    if body is None:
        return None
    client = msgspec.json.decode(body, type=_Named)
    return " ".join(name for name in (client.first_name, client.last_name) if name) or None
