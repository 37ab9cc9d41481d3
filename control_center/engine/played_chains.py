"""Which changes of a recorded history our own commands brought about: a trigger that is played must not follow them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from control_center.domain.backtest import Shown
from control_center.store import db, history
from control_center.store.history import Entered
from control_center.store.records import Key


async def with_chains(tx: db.Connection, studio: str, heard: Mapping[Key, Sequence[Shown]]) -> dict[Key, list[Shown]]:
    """The same histories, each change with the triggers that led to it."""
    places = [(key, number) for key, shown in heard.items() for number in _entries(shown)]
    entered = [_entered(heard[key][number]) for key, number in places]
    found = await history.answers(tx, studio, entered) if entered else {}
    whole = {key: list(shown) for key, shown in heard.items()}
    for place, chain in found.items():
        key, number = places[place]
        whole[key][number] = replace(whole[key][number], chain=chain)
    return whole


def _entries(shown: Sequence[Shown]) -> Iterator[int]:
    """Where a status was entered, or the CRM says that it answers."""
    for number, (before, after) in enumerate(pairwise(shown), 1):
        was, became = before.picture.record, after.picture.record
        moved = (was.status, was.status_changed_at) != (became.status, became.status_changed_at)
        if after.answers is not None or (moved and not after.loaded):
            yield number


def _entered(shown: Shown) -> Entered:
    picture = shown.picture
    return Entered(f"{picture.kind}/{picture.record_id}", shown.answers, picture.record.status, shown.at)
