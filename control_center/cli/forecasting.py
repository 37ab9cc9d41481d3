"""`triggers forecast` and `triggers backtest`: what will go out, and what a trigger would have sent."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from control_center.cli.aim import Aim, Database, show
from control_center.cli.progress import on_terminal
from control_center.cli.tables import columns, local
from control_center.domain.errors import Malformed

if TYPE_CHECKING:
    from control_center.domain.forecast import Line
    from control_center.domain.tally import Group, Tally
    from control_center.domain.trigger import Trigger
    from control_center.domain.zones import Zone

By = Annotated[
    Literal["client", "trigger", "day"] | None,
    typer.Option("--by", help="Count by client, trigger or day instead of showing every line."),
]
Closed = Annotated[
    list[str] | None,
    typer.Option("--closed", metavar="DATE", help="As if this day were closed, too; may be repeated. Stores nothing."),
]
Addresses = Annotated[bool, typer.Option("--addresses", help="Show numbers and addresses in full.")]


async def forecast(
    aim: Aim,
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How many days ahead.")] = 14,
    by: By = None,
    closed: Closed = None,
    trigger: Annotated[str | None, typer.Option("--trigger", help="Only of this trigger.")] = None,
    client: Annotated[str | None, typer.Option("--client", help="Only to this client, by the id.")] = None,
    addresses: Addresses = False,
) -> None:
    """Show what will go out in the next days, when, to whom, in which words, and why not sooner."""
    from control_center.domain.tally import Tally
    from control_center.engine.forecast import Asked
    from control_center.engine.forecast import forecast as foresee
    from control_center.service import now

    asked = Asked(days, trigger, client, tuple(_day(one) for one in closed or ()))
    async with aim.database() as here:
        zone = await here.zone()
        tally = Tally(zone, by or "trigger")
        found = _counted(foresee(here.pool, here.studio, asked, now(), progress=on_terminal()), tally)
        if aim.json:
            await _as_json(found, tally, by=by, addresses=addresses)
            return
        await _lines(found, zone, shown=by is None, addresses=addresses)
        if by is not None:
            _groups(tally.ordered(), by, zone)
    _sum(tally)


async def backtest(
    aim: Aim,
    *,
    which: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A file with one [[trigger]], or a saved trigger.")],
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="How many days back.")] = 30,
    by: By = None,
    addresses: Addresses = False,
) -> None:
    """Show what a trigger would have done over the last days, from the events that are kept."""
    from control_center.domain.tally import Tally
    from control_center.engine import backtest as engine
    from control_center.service import now

    async with aim.database() as here:
        zone = await here.zone()
        tally = Tally(zone, by or "day")
        trigger = await _trigger(here, which)
        at = now()
        since = at - timedelta(days=days)
        played = engine.backtest(here.pool, here.studio, trigger, at, days=days, progress=on_terminal())
        found = _counted(played, tally)

        async def beside() -> datetime | None:
            return await engine.beside(here.pool, here.studio, trigger, tally, since)

        if aim.json:
            await _as_json(found, tally, by=by, addresses=addresses, beside=beside)
            return
        await _lines(found, zone, shown=by is None, addresses=addresses)
        if by is not None:
            _groups(tally.ordered(), by, zone)
        kept = await beside()
    _sum(tally)
    if kept is None or kept > since:
        begun = "no events are kept" if kept is None else f"events are kept since {local(zone, kept)}"
        show(f"{begun}: before that, records are known only as they were left")
        show("to look back further from now on, set keep_events_days to more")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Malformed("closed", f"{text!r} is not a day; write YYYY-MM-DD, such as 2026-12-24") from None


async def _trigger(here: Database, which: str) -> Trigger:
    """The draft in a file, or the trigger of this name. Raises Malformed, NotFound."""
    from control_center.engine import backtest as engine
    from control_center.engine.trigger_files import read_files

    if not _is_file(which) and not which.endswith(".toml"):
        return await engine.stored(here.pool, here.studio, which)
    path = Path(which)
    tables = read_files([path])
    if len(tables) != 1:
        raise Malformed(path.name, f"holds {len(tables)} triggers; a backtest is about one")
    where, table = tables[0]
    return await engine.drafted(here.pool, here.studio, table, where)


def _is_file(which: str) -> bool:
    with suppress(OSError):  # a name that is too long to be a file's
        return Path(which).is_file()
    return False


async def _counted(found: AsyncIterator[Line], tally: Tally) -> AsyncIterator[Line]:
    async for one in found:
        tally.add(one)
        yield one


# Showing --------------------------------------------------------------------------------------------------


async def _lines(found: AsyncIterator[Line], zone: Zone, *, shown: bool, addresses: bool) -> None:
    from control_center.engine.masked import masked

    async for one in found:
        if shown:
            _line(one if addresses else masked(one), zone)


def _line(one: Line, zone: Zone) -> None:
    """What goes, and under it its words, what shifted it and what there is to say."""
    whom = " ".join(part for part in (one.leg, one.recipient or one.role, one.address) if part)
    client = f", client {one.client}" if one.client else ""
    cause = f"bulk {one.bulk}" if one.bulk else one.trigger
    parts = f" ({one.segments} parts)" if (one.segments or 1) > 1 else ""
    about = f"{cause}, {one.record}{client}" + (f": {whom}{parts}" if whom else "")
    show(f"{local(zone, one.at)}  {one.fate.value}: {about}")
    for text in (one.subject, one.text):
        for part in text.splitlines() if text else ():
            show(f"    | {_plain(part)}")
    if one.shifts:
        show(f"    later because of: {', '.join(one.shifts)}")
    if one.reason:
        show(f"    {_plain(one.reason)}")


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _groups(groups: list[Group], by: str, zone: Zone) -> None:
    rows: list[dict[str, Any]] = [
        {
            by: one.name,
            "goes": one.goes,
            "shadow": one.shadow,
            "waits": one.waits,
            "held": one.held,
            "may follow": one.follows,
            "fails": one.fails,
            "nothing": one.nothing,
            "segments": one.segments,
            "first": local(zone, one.first),
            "last": local(zone, one.last),
        }
        for one in groups
    ]
    columns(rows, none="nothing")


MOST_TWICE = 20


def _sum(tally: Tally) -> None:
    from control_center.logs.masking import scrub

    twice = sorted(tally.twice(), key=lambda one: (-one.times, one.day, one.who))
    segments = sum(group.segments for group in tally.groups.values())
    lines = f"{tally.lines} line{'' if tally.lines == 1 else 's'}; segments of what goes: {segments}"
    show(f"{lines}; written to more than once on a day: {len(twice)}")
    for one in twice[:MOST_TWICE]:
        show(f"    {one.day}  {scrub(one.who)}: {one.times} times")
    if len(twice) > MOST_TWICE:
        show(f"    and {len(twice) - MOST_TWICE} more")


async def _as_json(
    found: AsyncIterator[Line],
    tally: Tally,
    *,
    by: str | None,
    addresses: bool,
    beside: Callable[[], Awaitable[datetime | None]] | None = None,
) -> None:
    """One document, written line by line: it may be longer than what memory should hold."""
    import msgspec

    from control_center.engine.masked import masked
    from control_center.logs.masking import scrub

    begun = False
    sys.stdout.write('{"items":[')
    async for one in found:
        if by is None:
            sys.stdout.write(",\n" if begun else "\n")
            sys.stdout.write(msgspec.json.encode(one if addresses else masked(one)).decode())
            begun = True
    if by is not None:
        sys.stdout.write(",\n".join(msgspec.json.encode(one).decode() for one in tally.ordered()))
    kept = {} if beside is None else {"kept_since": await beside()}
    twice = [{"who": scrub(one.who), "day": one.day, "times": one.times} for one in tally.twice()]
    rest = msgspec.json.encode({"lines": tally.lines, "reasons": tally.reasons, "twice_a_day": twice, **kept}).decode()
    show(f'],"next_cursor":null,{rest[1:]}')
