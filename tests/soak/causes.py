"""From which fault each doubt follows that is left at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tests.soak.plan import PROVIDER_LINE, RELAY_LINE, Fault

UNKNOWN: Final = """
SELECT DISTINCT ON (message_id) 'm-' || message_id AS message, channel, messages.reason, key, started_at,
       attempts.ended_at
  FROM messages JOIN attempts USING (studio_id, message_id) WHERE state = 'unknown' ORDER BY message_id, number DESC"""
LOST: Final = "the worker was lost"
ENDS: Final = frozenset({"kill -9", "SIGTERM", "stands still", "stands still for minutes", "dies at a point"})
PLACES: Final[Mapping[str, frozenset[str]]] = {
    "sms": frozenset({"text-1", "text-2", PROVIDER_LINE}),
    "email": frozenset({"mail", RELAY_LINE}),
}
LONGEST: Final = timedelta(seconds=60)  # that a call is answered or given up in, on a busy machine


@dataclass(frozen=True, slots=True)
class Befallen:
    """A fault as it really was."""

    fault: Fault
    began: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Doubt:
    """One message of which nobody can know, and the fault that it follows from; None where there is none to be seen."""

    message: str
    attempt: str
    reason: str
    fault: Fault | None


def doubts(rows: Iterable[Mapping[str, Any]], met: Mapping[str, int], befallen: Sequence[Befallen]) -> list[Doubt]:
    """Each with its cause. `met` are the numbers of faults by attempt or message, as the far side knows them."""
    by_number = {one.fault.number: one.fault for one in befallen}
    found = []
    for row in rows:
        number = met.get(row["key"]) or met.get(row["message"])
        fault = by_number.get(number or 0) or _during(row, befallen)
        found.append(Doubt(row["message"], row["key"], row["reason"], fault))
    return found


def _during(row: Mapping[str, Any], befallen: Sequence[Befallen]) -> Fault | None:
    """What befell its worker or its line while it was with the provider.

    A worker that was lost was so by the first end of one of its channel after that; else the last counts that came.
    """
    began, lost = row["started_at"], LOST in row["reason"]
    until = min(row["ended_at"] or began + LONGEST, began + LONGEST)
    near = [one for one in befallen if one.began <= until and one.ended >= began and _touches(row, one.fault)]
    likely = [one for one in near if (one.fault.kind in ENDS) == lost] or near
    if not likely:
        return None
    return (min if lost else max)(likely, key=lambda one: one.began).fault


def _touches(row: Mapping[str, Any], fault: Fault) -> bool:
    places = PLACES[row["channel"]]
    return (
        fault.target in places
        or any(fault.target == f"{one} to database" for one in places)
        or (fault.target == "database")
    )


def by_fault(found: Iterable[Doubt]) -> Iterator[tuple[str, list[Doubt]]]:
    """Doubts of one cause together, most first."""
    causes: dict[str, list[Doubt]] = {}
    for one in found:
        causes.setdefault(str(one.fault) if one.fault else "no fault that could be its cause", []).append(one)
    yield from sorted(causes.items(), key=lambda cause: -len(cause[1]))
