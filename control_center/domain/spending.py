"""What a studio's texts of one day may cost: what would be dearer than that waits for tomorrow, or for a person.

A limit in texts or segments says little where a segment costs a cent to one country and twenty to another. What is let
pass counts, whether or not its provider takes it then: a fence may be near, but must not be far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

HELD: Final = "money:"  # how the reason of every text begins that waits because of this


@dataclass(frozen=True, slots=True)
class Day:
    """What is spent of one day, by the studio's calendar.

    `again` is how often a person gave the day its money once more. Where a text did not fit, `full_at` says how much
    there was in all, `held_since` since when and `reason` why.
    """

    day: date = date.min
    spent: Decimal = Decimal(0)
    again: int = 0
    full_at: Decimal | None = None
    held_since: datetime | None = None
    reason: str = ""

    def on(self, day: date) -> Day:
        """The same where it is that day, else a new one.

        It may be the next one already by the clock of another worker, which begins no day twice.
        """
        return self if day <= self.day <= day + timedelta(days=1) else Day(day)

    def there_is(self, limit: Decimal) -> Decimal:
        """How much there is for the day in all."""
        return limit * (1 + self.again)

    def has_room(self, limit: Decimal) -> bool:
        """Whether it is worth while to ask again for what waits: none of it fitted into what there was then."""
        there_is = self.there_is(limit)
        return self.spent < there_is and (self.full_at is None or self.full_at < there_is)

    def opened(self) -> Day:
        """The same, in which nothing waits."""
        return replace(self, full_at=None, held_since=None, reason="")

    def once_more(self) -> Day:
        """The same with its money once more."""
        return replace(self.opened(), again=self.again + 1)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a text costs. `always`: it goes in any case, and counts. Of what there is, `percent` is for such as it."""

    cost: Decimal
    always: bool = False
    percent: int = 100


@dataclass(frozen=True, slots=True)
class Admitted:
    """Which of the texts go, in their order, and the day as it is afterwards."""

    goes: tuple[bool, ...]
    day: Day


def admit(
    before: Day, wishes: Sequence[Wish], limit: Decimal, now: datetime, *, currency: str = "", paying: bool = True
) -> Admitted:
    """Let pass what there is money for. A dear text that waits does not stop a cheap one behind it.

    Not `paying`, each is looked at as if it were the only one, and nothing is spent.
    """
    there_is, after, goes = before.there_is(limit), before, []
    for wish in wishes:
        fits = wish.always or after.spent + wish.cost <= there_is * wish.percent / 100
        goes.append(fits)
        if fits and paying:
            after = replace(after, spent=after.spent + wish.cost)
        elif not fits and (after.full_at is None or after.full_at < there_is):
            why = _why(after.spent, there_is, wish, currency)
            after = replace(after, full_at=there_is, held_since=now, reason=why)
    return Admitted(tuple(goes), after)


def _why(spent: Decimal, there_is: Decimal, wish: Wish, currency: str) -> str:
    total = f"{there_is:f} {currency}".rstrip()
    rest = "" if wish.percent == 100 else f"; bulk takes {wish.percent} per cent"
    return f"{HELD} {spent:f} of this day's {total} are spent, and the next text costs {wish.cost:f}{rest}"
