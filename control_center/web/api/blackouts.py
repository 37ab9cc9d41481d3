"""Blackout days over HTTP: one by one, from a calendar file, or a country's holidays."""

from __future__ import annotations

import asyncio
import datetime as dt
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from pydantic import Field, StringConstraints

from control_center.domain import zones
from control_center.domain.blackouts import Blackout, Blackouts
from control_center.domain.errors import Malformed
from control_center.engine import blackout_import, closed_days, public_holidays
from control_center.engine import blackouts as engine
from control_center.store import blackouts, db, studios
from control_center.store.blackouts import Stored
from control_center.store.pages import sorted_page
from control_center.web import forms
from control_center.web.api import ids, versions
from control_center.web.api.routes import JSON, Answer, Call, Items, ListQuery, Model, Route, StudioQuery
from control_center.web.problems import wrong

CALENDAR, FORM = "text/calendar", "multipart/form-data"

_Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", strip_whitespace=True)
]
_Day = Annotated[dt.date, Field(ge=dt.date(1900, 1, 1), le=dt.date(9000, 1, 1))]


class OneDay(Model):
    name: _Name
    date: _Day


class Days(Model):
    """A run of days, both ends included."""

    name: _Name
    first: Annotated[_Day, Field(alias="from")]
    last: Annotated[_Day, Field(alias="to")]


class EveryYear(Model):
    name: _Name
    yearly: Annotated[str, Field(pattern="^[0-9]{2}-[0-9]{2}$", description="MM-DD")]


class Country(Model):
    country: Annotated[str, Field(min_length=2, max_length=3, description="ISO 3166, such as US")]
    subdivision: Annotated[str, Field(min_length=1, max_length=10, description="such as IL")] | None = None
    years: Annotated[list[Annotated[int, Field(ge=2000, le=2100)]], Field(min_length=1, max_length=10)]
    dates: Annotated[
        list[_Day] | None,
        Field(min_length=1, max_length=1000, description="those that the studio ticks; left out, all of them"),
    ] = None


class Holidays(Model):
    """The public holidays of a country; those that are there already are not added again."""

    holidays: Country


class HolidaysQuery(ListQuery):
    """Which country, which part of it, and which years."""

    country: (
        Annotated[str, Field(min_length=2, max_length=3, description="ISO 3166; by default the studio's")] | None
    ) = None
    subdivision: Annotated[str, Field(min_length=1, max_length=10, description="such as IL")] | None = None
    years: (
        Annotated[
            str,
            Field(
                pattern=r"^20[0-9]{2}(,20[0-9]{2}){0,9}$", description="by commas; by default this year and the next"
            ),
        ]
        | None
    ) = None


class Holiday(msgspec.Struct, frozen=True):
    """A public holiday, and whether the studio is closed on that day already."""

    date: dt.date
    name: str
    closed: bool


ONE = (OneDay, Days, EveryYear)


class BlackoutDays(msgspec.Struct, frozen=True, omit_defaults=True, rename={"first": "from", "last": "to"}):
    """A day (`date`), days in a row (`from`, `to`), or a day of every year (`yearly`, MM-DD)."""

    id: str
    name: str
    date: dt.date | None = None
    first: dt.date | None = None
    last: dt.date | None = None
    yearly: str | None = None


def shown(stored: Stored) -> BlackoutDays:
    """A blackout as contract part 5 gives it."""
    blackout, number = stored.blackout, str(stored.blackout_id)
    if blackout.yearly:
        return BlackoutDays(number, blackout.name, yearly=f"{blackout.first:%m-%d}")
    if blackout.first == blackout.last:
        return BlackoutDays(number, blackout.name, date=blackout.first)
    return BlackoutDays(number, blackout.name, first=blackout.first, last=blackout.last)


def _blackout(body: OneDay | Days | EveryYear) -> Blackout:
    match body:
        case OneDay(name=name, date=day):
            return Blackout.on(name, day)
        case Days(name=name, first=first, last=last):
            return Blackout.between(name, first, last)
        case EveryYear(name=name, yearly=yearly):
            return Blackout.every_year(name, yearly)


def _answer(stored: Stored, *, made: str | None = None) -> Answer:
    return versions.answer(shown(stored), engine.edition_of(stored.blackout), made=made)


async def _list(call: Call[ListQuery, None]) -> Answer:
    query = call.query
    async with db.session(call.parts.pool) as tx:
        stored = await blackouts.of_studio(tx, call.studio)
    page = sorted_page(stored, lambda one: (one.blackout_id,), tuple[int], cursor=query.cursor, limit=query.limit)
    return Answer(Items([shown(one) for one in page.items], page.next_cursor))


async def _get(call: Call[StudioQuery, None]) -> Answer:
    return _answer(await _stored(call))


async def _post(call: Call[StudioQuery, Any]) -> Answer:
    """One blackout answers with itself; a file or a country's holidays with a list."""
    if isinstance(call.body, ONE):
        blackout = _blackout(call.body)
        number = await engine.add(call.parts.pool, call.parts.clock, call.studio, blackout, by=call.by)
        return _answer(Stored(number, blackout), made=f"/api/v1/blackouts/{number}")
    if isinstance(call.body, Holidays):
        days = await _ticked(call.body.holidays)
    else:
        days = await closed_days.read(_file(call), today=await _today(call))
    stored = await blackout_import.add_all(call.parts.pool, call.parts.clock, call.studio, days, by=call.by)
    return Answer(Items([shown(one) for one in stored]), HTTPStatus.CREATED)


async def _ticked(wanted: Country) -> list[Blackout]:
    """The holidays that the studio closes on. Raises Problem naming the field within `holidays`."""
    try:
        days = await asyncio.to_thread(public_holidays.of, wanted.country, wanted.subdivision, wanted.years)
        return public_holidays.ticked(days, wanted.dates)
    except Malformed as error:
        raise wrong(f"holidays.{error.field}", error.reason) from None


async def _holidays(call: Call[HolidaysQuery, None]) -> Answer:
    """What there is to tick: nothing is changed by looking."""
    query = call.query
    today = await _today(call)
    years = [int(one) for one in query.years.split(",")] if query.years else [today.year, today.year + 1]
    async with db.session(call.parts.pool) as tx:
        country = query.country or (await studios.get(tx, [call.studio]))[call.studio].country
        have = Blackouts(tuple(one.blackout for one in await blackouts.of_studio(tx, call.studio)))
    days = await asyncio.to_thread(public_holidays.of, country, query.subdivision, years)
    found = [Holiday(one.first, one.name, have.name_of(one.first) is not None) for one in days]
    page = sorted_page(found, lambda one: one.date.isoformat(), str, cursor=query.cursor, limit=query.limit)
    return Answer(Items(page.items, page.next_cursor))


async def _put(call: Call[StudioQuery, OneDay | Days | EveryYear]) -> Answer:
    number, blackout = _number(call), _blackout(call.body)
    parts = call.parts
    stored = await blackout_import.change(
        parts.pool, parts.clock, call.studio, number, blackout, by=call.by, read=call.versions
    )
    return _answer(stored)


async def _delete(call: Call[StudioQuery, None]) -> Answer:
    parts, number = call.parts, _number(call)
    await engine.remove(parts.pool, parts.clock, call.studio, number, by=call.by, read=call.versions)
    return Answer(None, HTTPStatus.NO_CONTENT)


def _number(call: Call[Any, Any]) -> int:
    return ids.number(call.path["id"], ids.BLACKOUT, "blackout")


async def _stored(call: Call[Any, Any]) -> Stored:
    number = _number(call)
    async with db.session(call.parts.pool) as tx:
        for one in await blackouts.of_studio(tx, call.studio):
            if one.blackout_id == number:
                return one
    raise ids.missing("blackout", call.path["id"])


async def _today(call: Call[Any, Any]) -> dt.date:
    async with db.session(call.parts.pool) as tx:
        studio = (await studios.get(tx, [call.studio]))[call.studio]
    return zones.local_date(zones.zone(studio.timezone), call.parts.clock())


def _file(call: Call[Any, Any]) -> bytes:
    """The calendar file: the body itself, or the first file of a form. Raises Malformed where there is none."""
    if call.media == CALENDAR:
        return call.raw
    for part in forms.parts(call.content_type, call.raw):
        content = part.get_payload(decode=True)
        if part.get_param("filename", header="content-disposition") is not None and isinstance(content, bytes):
            return content
    raise Malformed("file", "is missing; send a form with one calendar file, or the file itself as text/calendar")


_ICS = {"type": "string", "description": "a calendar file, RFC 5545"}
_FORM = {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}
_ONE = "/blackouts/{id}"

ROUTES = [
    Route(
        "GET",
        "/blackouts",
        "list_blackouts",
        "Blackout days",
        "viewer",
        _list,
        BlackoutDays,
        listed=True,
        query=ListQuery,
    ),
    Route(
        "POST",
        "/blackouts",
        "add_blackouts",
        "Close a day, days in a row, a day of every year, a country's holidays, or the days of a calendar file",
        "author",
        _post,
        BlackoutDays,
        status=201,
        reads={JSON: (*ONE, Holidays), CALENDAR: _ICS, FORM: _FORM},
        versioned=True,
    ),
    Route(
        "GET",
        "/blackouts/holidays",
        "list_holidays",
        "The public holidays of a country, from which a studio ticks those it closes on",
        "viewer",
        _holidays,
        Holiday,
        listed=True,
        query=HolidaysQuery,
    ),
    Route("GET", _ONE, "get_blackout", "One blackout", "viewer", _get, BlackoutDays, versioned=True),
    Route(
        "PUT", _ONE, "change_blackout", "Change one", "author", _put, BlackoutDays, reads={JSON: ONE}, versioned=True
    ),
    Route("DELETE", _ONE, "open_days", "Open the days again", "author", _delete, None, status=204, versioned=True),
]
