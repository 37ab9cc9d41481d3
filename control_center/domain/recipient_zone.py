"""Where the recipient of a text is, and by which clock: what they said, else their address, else their number.

Where several zones are possible all of them are named, and a text must be within its hours in every one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import msgspec
import phonenumbers
from phonenumbers import timezone as number_zones

from control_center.domain import number, regions, zones

MOST_ZONES: Final = 4  # that a country may have for an address in it to say what the clock shows
MOST_APART: Final = 8 * 3_600  # seconds; clocks so far apart have no hour of the usual day in common


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody is: every zone that it may be, how that is known, and the regions whose rules hold there.

    `source` is `client`, `address`, `number` or `studio`. A region is a country (US) or a state with it (US-TX).
    """

    zones: tuple[str, ...]
    source: str
    regions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"zone from {_SOURCES[self.source]}: {', '.join(self.zones)}"


_SOURCES: Final = {
    "client": "the client's own timezone",
    "address": "the postal address",
    "number": "the number",
    "studio": "the studio, for want of a better one",
}


class _Said(msgspec.Struct, frozen=True):
    """What a client's JSON may say of where they are. Anything may stand there: it is the CRM's."""

    timezone: Any = None
    address: Any = None
    postal_address: Any = None
    fields: Any = None
    state: Any = None
    province: Any = None
    postal_code: Any = None
    zip: Any = None
    country: Any = None


_DECODER: Final = msgspec.json.Decoder(_Said)


@lru_cache(maxsize=16_384)
def place(e164: str, studio_zone: str, studio_country: str, body: str | None = None) -> Place:
    """Where a recipient is. `body` is the client's JSON, only where the client themselves is written to."""
    said = _DECODER.decode(body) if body is not None else _Said()
    home = _home(said, studio_country)
    called = _called(e164, studio_country)
    rules = home.regions if home is not None else called.regions
    if isinstance(said.timezone, str) and said.timezone in zones.names():
        return Place((said.timezone,), "client", rules)
    for found in (home, called):
        if found is not None and found.zones:
            return Place(found.zones, found.source, rules)
    return Place((studio_zone,), "studio", rules)


def _home(said: _Said, studio_country: str) -> Place | None:
    """Where the postal address is; None where none is known well enough."""
    flat = {name: getattr(said, name) for name in ("state", "province", "postal_code", "zip", "country")}
    for parts in (said.address, said.postal_address, flat, said.fields):
        if isinstance(parts, Mapping) and (found := _by_address(parts, studio_country)) is not None:
            return found
    return None


def _by_address(parts: Mapping[str, Any], studio_country: str) -> Place | None:
    state = _first(parts, "state", "province", "region")
    postal_code = _first(parts, "postal_code", "zip", "zip_code", "postcode").upper()
    written = _first(parts, "country", "country_code")
    country = regions.country_of(written) if written else None
    if written and country is None:
        return None
    # A postal code of digits alone is everybody's: whose, the studio's country says.
    asked = country or (studio_country if not state else None)
    region = regions.shipped().at(asked, state, postal_code)
    if region is not None:
        return Place(region.zones_at(postal_code), "address", (region.country, region.code))
    if country is None or country in regions.COUNTRIES:
        return None
    kept = _of_countries().get(country, ())
    return Place(kept, "address", (country,)) if 0 < len(kept) <= MOST_ZONES else None


def _first(parts: Mapping[str, Any], *names: str) -> str:
    found = (parts.get(name) for name in names)
    return next((one.strip() for one in found if isinstance(one, str) and one.strip()), "")


def _called(e164: str, studio_country: str) -> Place:
    """Where the number was given out; its zones may be none."""
    try:
        parsed = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return Place((), "number", (studio_country,))
    country = number.region_of(e164) or studio_country
    known = _narrowed(set(number_zones.time_zones_for_number(parsed)) & zones.names(), country)
    states = [one for one in regions.shipped().of_number(e164) if one.country == country]
    return Place(known, "number", (country, *(one.code for one in states)))


def _narrowed(found: set[str], country: str) -> tuple[str, ...]:
    """The zones of a number. Of a mobile one all of its country code may be named: half the world, for Jamaica's.

    Then they are those of its country; and where even those have no hour in common, the number says nothing.
    """
    if len(found) > MOST_ZONES:
        found = found & set(_of_countries().get(country, ())) or found
    offsets = [zones.zone(name).offsets[-1] for name in found]
    too_far = offsets and max(offsets) - min(offsets) >= MOST_APART
    return () if too_far else tuple(sorted(found))


@lru_cache(maxsize=1)
def _of_countries() -> Mapping[str, tuple[str, ...]]:
    """The zones of every country, by its two letters."""
    found: dict[str, tuple[str, ...]] = {}
    table = files("tzdata").joinpath("zoneinfo").joinpath("zone.tab").read_text("utf-8")
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            found[country] = (*found.get(country, ()), zone)
    return found
