"""Whose turn it is among what a worker has at hand: bulk comes last, and never has every place.

A provider that is slow to answer would otherwise let one studio's bulk stand before the reminders of all others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from control_center.domain.message import PRIORITIES, Origin
from control_center.store.cases import Case
from control_center.store.submissions import Ready

_OF_BULK = max(PRIORITIES)
_KEPT = 8  # of so many slots one is kept for what is no bulk


def in_turn(ready: Iterable[Ready]) -> deque[Ready]:
    """The same, bulk behind everything else."""
    return deque(sorted(ready, key=lambda one: _is_bulk(one.case)))


def numbers(*ready: Iterable[Ready]) -> list[int]:
    """The ids of the messages that are at hand there."""
    return [one.case.message_id for some in ready for one in some]


def of_bulk(cases: Iterable[Case]) -> int:
    """How many of these are bulk."""
    return sum(map(_is_bulk, cases))


def wanted(ready: Iterable[Ready], slots: int) -> tuple[int, ...]:
    """The priorities that a claim asks for: none of which there is enough at hand for two rounds."""
    at_hand = list(ready)
    bulk = of_bulk(one.case for one in at_hand)
    if len(at_hand) - bulk >= 2 * slots:
        return ()
    return PRIORITIES if bulk < 2 * slots else tuple(one for one in PRIORITIES if one != _OF_BULK)


def draw(ready: deque[Ready], begun: Iterable[Case], slots: int) -> list[Ready]:
    """Take off `ready`, which is in turn, what may begin beside those that have `begun`."""
    under_way = list(begun)
    free = slots - len(under_way)
    places = slots - max(1, slots // _KEPT) - of_bulk(under_way) if slots > 1 else free
    taken: list[Ready] = []
    while ready and len(taken) < free:
        if _is_bulk(ready[0].case):
            if places <= 0:
                break
            places -= 1
        taken.append(ready.popleft())
    return taken


def _is_bulk(case: Case) -> bool:
    return case.origin is Origin.BULK
