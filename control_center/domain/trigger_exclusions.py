"""What leaves a record out: the [trigger.exclude] table."""

from __future__ import annotations

from dataclasses import dataclass

from control_center.domain.catalogue import Kind
from control_center.domain.table import Table

_LATER_EXCLUSIONS = frozenset({"without_allow_marketing", "nps", "redeemed"})


@dataclass(frozen=True, slots=True)
class Exclusions:
    past_date: bool = False
    on_hold: bool = False
    confirmed: bool = False
    canceled: bool = False


def exclusions(top: Table, kind: Kind) -> Exclusions:
    table = top.table("exclude")
    names = ("past_date", "on_hold", "confirmed", "canceled")
    chosen = {name: table.boolean(name, default=False) for name in names}
    for name, on in chosen.items():
        if on and name not in kind.exclusions:
            offered = ", ".join(sorted(kind.exclusions))
            raise table.wrong(name, f"is not offered for {kind.name}; offered: {offered}")
    table.refuse_the_rest(later=_LATER_EXCLUSIONS)
    return Exclusions(**chosen)
