"""A country's public holidays as blackout days."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from datetime import date

from control_center.domain.blackouts import Blackout
from control_center.domain.errors import Malformed


def of(country: str, subdivision: str | None, years: Sequence[int]) -> list[Blackout]:
    """The holidays of a country (`US`), or of one of its subdivisions (`IL`), in these years, observed days included.

    Takes a fraction of a second of computing. Raises Malformed naming country or subdivision and the nearest ones.
    """
    import holidays  # noqa: PLC0415 - heavy, and rarely needed

    known: dict[str, list[str]] = holidays.list_supported_countries(include_aliases=True)
    if country not in known:
        raise Malformed("country", _unknown(country, known))
    if subdivision is not None and subdivision not in known[country]:
        raise Malformed("subdivision", _unknown(subdivision, known[country]))
    days = holidays.country_holidays(country, subdiv=subdivision, years=list(years))
    return [Blackout.on(name[:200], day) for day, name in sorted(days.items())]


def ticked(days: Sequence[Blackout], dates: Sequence[date] | None) -> list[Blackout]:
    """Of these holidays the ones that fall on `dates`; None is all. Raises Malformed for a date on which none does."""
    if dates is None:
        return list(days)
    known = {one.first for one in days}
    for n, day in enumerate(dates):
        if day not in known:
            raise Malformed(f"dates[{n}]", f"{day} is none of the public holidays there")
    return [one for one in days if one.first in set(dates)]


def _unknown(code: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(code.upper(), known, 3, 0.5)
    if near:
        return f"{code!r} is not known; did you mean {' or '.join(near)}?"
    return f"{code!r} is not known" + (f"; allowed: {', '.join(sorted(known)[:80])}" if known else " and none is")
