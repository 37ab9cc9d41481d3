"""A studio's plan: how many texts a month it has bought, and what becomes of those beyond."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from control_center.domain import zones
from control_center.domain.message import BY_ITSELF, Origin
from control_center.domain.number import is_country
from control_center.domain.table import Table, shown

MARKS: Final = (80, 100)  # per cent of the plan at which the studio is warned
HELD: Final = "plan:"  # how the reason of every text begins that waits for the month to turn or the plan to be raised
DEAREST: Final = Decimal(1000)
_SUM: Final = re.compile(r"[0-9]+([.][0-9]+)?")


@dataclass(frozen=True, slots=True)
class TextPlan:
    """`texts_per_month` None is no limit. `overrun`: what is beyond it goes out, too.

    `prices` are those of countries where a segment costs something else than `price_per_segment`.
    """

    texts_per_month: int | None = None
    overrun: bool = False
    price_per_segment: Decimal | None = None
    prices: tuple[tuple[str, Decimal], ...] = ()
    currency: str = ""

    @property
    def limit(self) -> int | None:
        """From how many texts on what goes by itself is held; None: never."""
        return None if self.overrun else self.texts_per_month

    def mark(self, sent: int) -> int:
        """The highest of MARKS that so many texts have come to; 0 below all, and without a plan."""
        if self.texts_per_month is None:
            return 0
        return max((mark for mark in MARKS if sent * 100 >= mark * self.texts_per_month), default=0)

    def holds(self, origin: Origin, sent: int) -> str | None:
        """Why a text waits once so many were sent this month; None where it may go.

        Only what goes by itself waits: a person's own text and the answers to STOP and HELP count, and leave.
        """
        if self.limit is None or sent < self.limit or origin not in BY_ITSELF:
            return None
        return f"{HELD} {self.limit} texts of this month's {self.limit} are used up"

    def price_to(self, country: str) -> Decimal | None:
        """What a segment to that country costs; None where nobody has said."""
        return dict(self.prices).get(country, self.price_per_segment)

    def cost(self, segments: Mapping[str, int]) -> str | None:
        """What so many segments to each country cost, such as `12.35 USD`; None where one of them has no price.

        A country that nobody knows is empty, and costs the price that is for all others.
        """
        total = Decimal(0)
        for country, count in segments.items():
            price = self.price_to(country)
            if price is None:
                return None
            total += price * count
        if not segments and self.price_per_segment is None and not self.prices:
            return None
        return f"{total:.2f} {self.currency}".strip()

    def settings(self) -> dict[str, Any]:
        """What is stored; `parse` reads it back."""
        price = None if self.price_per_segment is None else format(self.price_per_segment, "f")
        said: dict[str, Any] = {
            "texts_per_month": self.texts_per_month,
            "overrun": self.overrun or None,
            "price_per_segment": price,
            "prices": {country: format(one, "f") for country, one in self.prices} or None,
            "currency": self.currency or None,
        }
        return {key: value for key, value in said.items() if value is not None}


NO_PLAN: Final = TextPlan()


def parse(table: Table) -> TextPlan:
    """Read `plan` of a studio. Raises Malformed naming the field."""
    texts = table.take("texts_per_month")
    found = TextPlan(
        texts_per_month=None if texts is None else table.whole("texts_per_month", 1, 100_000_000),
        overrun=table.boolean("overrun", default=False),
        price_per_segment=amount(table, "price_per_segment"),
        prices=_prices(table.table("prices")),
        currency=_currency(table),
    )
    table.refuse_the_rest()
    return found


def amount(table: Table, field: str, most: Decimal = DEAREST) -> Decimal | None:
    """A sum of money, as it is typed; None where nothing is. Raises Malformed naming the field."""
    typed = table.optional(field, limit=12)
    if typed is None:
        return None
    price = Decimal(typed) if _SUM.fullmatch(typed) else Decimal(-1)  # which reads 1_0 as ten, and other digits
    if not 0 <= price <= most:
        raise table.wrong(field, f'{shown(typed)}; a price such as "0.0079" is needed')
    return price


def _prices(table: Table) -> tuple[tuple[str, Decimal], ...]:
    found = []
    for country in sorted(table.values):
        if not is_country(country):
            raise table.wrong(country, "is no country; two capital letters of ISO 3166 are needed, such as CA")
        price = amount(table, country)
        if price is not None:
            found.append((country, price))
    table.refuse_the_rest()
    return tuple(found)


def _currency(table: Table) -> str:
    currency = table.optional("currency", limit=3) or ""
    if currency and not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
        raise table.wrong("currency", f"{shown(currency)}; allowed: three capital letters of ISO 4217, such as USD")
    return currency


def month_of(at: datetime, timezone: str) -> date:
    """The month that it is on this zone's calendar, by its first day."""
    return zones.local_date(zones.zone(timezone), at).replace(day=1)


def month_before(month: date) -> date:
    """The month before, by its first day."""
    return month.replace(year=month.year - 1, month=12) if month.month == 1 else month.replace(month=month.month - 1)
