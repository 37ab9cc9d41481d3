"""States and provinces by postal address and phone number, with the clocks that are kept there."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

COUNTRIES: Final = {"US": ("USA", "United States", "United States of America"), "CA": ("CAN", "Canada")}
_LONGEST: Final = 10  # characters of a postal code: 12345-6789


@dataclass(frozen=True, slots=True)
class Region:
    """A state or province: `code` such as US-TX, every zone in it, and what leads to it."""

    code: str
    name: str
    zones: tuple[str, ...]
    postal: tuple[str, ...]  # beginnings of its postal codes
    clocks: tuple[tuple[str, str], ...]  # beginnings of postal codes where only this zone is kept
    area_codes: tuple[str, ...]

    @property
    def country(self) -> str:
        return self.code[:2]

    def zones_at(self, postal_code: str) -> tuple[str, ...]:
        """The zones that may be kept at a postal code of the region; of an unknown or empty one all."""
        fits = [(len(start), zone) for start, zone in self.clocks if postal_code.startswith(start)]
        return (max(fits)[1],) if fits else self.zones


@dataclass(frozen=True, slots=True)
class Atlas:
    """All regions, found by code, name, postal code or area code."""

    regions: tuple[Region, ...]
    _by_name: dict[tuple[str, str], Region] = field(init=False, repr=False, compare=False)
    _by_area_code: dict[str, tuple[Region, ...]] = field(init=False, repr=False, compare=False)
    _by_postal: dict[tuple[str, str], tuple[Region, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = {(one.country, said.casefold()): one for one in self.regions for said in (one.code[3:], one.name)}
        by_area_code: dict[str, tuple[Region, ...]] = {}
        by_postal: dict[tuple[str, str], tuple[Region, ...]] = {}
        for one in self.regions:
            for area_code in one.area_codes:
                by_area_code[area_code] = (*by_area_code.get(area_code, ()), one)
            for start in one.postal:
                by_postal[one.country, start] = (*by_postal.get((one.country, start), ()), one)
        object.__setattr__(self, "_by_name", names)
        object.__setattr__(self, "_by_area_code", by_area_code)
        object.__setattr__(self, "_by_postal", by_postal)

    def at(self, country: str | None, state: str, postal_code: str) -> Region | None:
        """The region of a postal address, whose parts may be empty; None where they do not lead to one."""
        asked = [country] if country else list(COUNTRIES)
        for one in asked:
            if (one, state.casefold()) in self._by_name:
                return self._by_name[one, state.casefold()]
        if state or not postal_code:
            return None
        for end in range(min(len(postal_code), _LONGEST), 0, -1):
            fits = {at.code: at for one in asked for at in self._by_postal.get((one, postal_code[:end]), ())}
            if fits:
                return next(iter(fits.values())) if len(fits) == 1 else None
        return None

    def of_number(self, e164: str) -> tuple[Region, ...]:
        """The regions that a North American number was given out in."""
        return self._by_area_code.get(e164[2:5], ()) if e164.startswith("+1") else ()


def country_of(said: str) -> str | None:
    """The two letters of a country as people write it; None for what is no code and no name of one here."""
    text = said.strip()
    for code, names in COUNTRIES.items():
        if text.casefold() in {code.casefold(), *(name.casefold() for name in names)}:
            return code
    return text.upper() if len(text) == len("US") and text.isalpha() else None


@cache
def shipped() -> Atlas:
    """The regions of `config/regions.toml`."""
    return atlas(tomllib.loads(text_of("regions.toml")))


def atlas(table: Mapping[str, Any]) -> Atlas:
    return Atlas(tuple(_region(f"{c}-{code}", one) for c in COUNTRIES for code, one in table.get(c, {}).items()))


def text_of(name: str) -> str:
    """A file of `config/`: inside the package where installed, beside it in a checkout."""
    package = files("control_center")
    inside = package.joinpath("package_data").joinpath("config").joinpath(name)
    beside = package.joinpath("..").joinpath("config").joinpath(name)
    return (inside if inside.is_file() else beside).read_text("utf-8")


def _region(code: str, table: Mapping[str, Any]) -> Region:
    clocks = table.get("clocks", {})
    return Region(
        code=code,
        name=table["name"],
        zones=tuple(table["zones"]),
        postal=tuple(_starts(table["postal"].split())),
        clocks=tuple((start, zone) for zone, said in clocks.items() for start in _starts(said.split())),
        area_codes=tuple(table["area_codes"].split()),
    )


def _starts(said: Iterable[str]) -> Iterator[str]:
    """Beginnings of postal codes, where 350-369 stands for twenty of three digits."""
    for one in said:
        first, _, last = one.partition("-")
        yield from (f"{n:03}" for n in range(int(first), int(last) + 1)) if last else (first,)
