"""What leaves a record out: the [trigger.exclude] table."""

from __future__ import annotations

from dataclasses import dataclass

from control_center.domain.catalogue import Kind
from control_center.domain.table import Table, shown

BEST_SCORE = 10


@dataclass(frozen=True, slots=True)
class NpsExclusion:
    """One of three: leave out what has a score, or keep only scores in a range, or only those with a comment."""

    recorded: bool = False
    only_between: tuple[int, int] | None = None
    only_with_comment: bool = False


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Mind the polarity: `nps` may keep instead of leaving out, and `redeemed` lets in what is otherwise left out."""

    past_date: bool = False
    without_allow_marketing: bool = False
    on_hold: bool = False
    confirmed: bool = False
    canceled: bool = False
    nps: NpsExclusion | None = None
    redeemed: bool = False


_SWITCHES = ("past_date", "without_allow_marketing", "on_hold", "confirmed", "canceled", "redeemed")


def exclusions(top: Table, kind: Kind) -> Exclusions:
    """Read the table. Raises Malformed for an exclusion that the kind does not offer."""
    table = top.table("exclude")
    chosen = {name: table.boolean(name, default=False) for name in _SWITCHES}
    nps = table.table("nps")
    for name in (*_SWITCHES, "nps"):
        if table.values.get(name) and name not in kind.exclusions:
            offered = ", ".join(sorted(kind.exclusions))
            raise table.wrong(name, f"is not offered for {kind.name}; offered: {offered}")
    table.refuse_the_rest()
    return Exclusions(**chosen, nps=_nps(nps) if nps.values else None)


def _nps(table: Table) -> NpsExclusion:
    recorded = table.boolean("recorded", default=False)
    between = table.take("only_between")
    commented = table.boolean("only_with_comment", default=False)
    table.refuse_the_rest()
    if between is not None and not _is_range(between):
        raise table.wrong(
            "only_between",
            f"{shown(between)}; allowed: two whole numbers from 0 to {BEST_SCORE}, the lower one first, such as [0, 6]",
        )
    if recorded and (between is not None or commented):
        raise table.wrong("recorded", "leaves out every score, so nothing can be kept beside it; give one of them")
    return NpsExclusion(recorded, None if between is None else (between[0], between[1]), commented)


def _is_range(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in value):
        return False
    return bool(0 <= value[0] <= value[1] <= BEST_SCORE)
