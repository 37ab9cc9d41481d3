"""`bulk`: one message to everybody whom a filter finds, reviewed before anything goes out."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_center.cli.aim import Aim, person, show
from control_center.cli.narrowing import instant_of, number_of
from control_center.cli.tables import as_json, columns, listed, local
from control_center.cli.verbs import group, verb
from control_center.domain.errors import Malformed, NotFound, Refused

if TYPE_CHECKING:
    from control_center.cli.aim import Database
    from control_center.domain.text_advice import Advice
    from control_center.domain.zones import Zone
    from control_center.store.views_bulks import Bulk, Listed

Id = Annotated[str, typer.Argument(metavar="ID", help="Such as b-12.")]
Numbers = Annotated[list[int], typer.Argument(metavar="NO", help="Numbers of the list; `bulk recipients` shows them.")]
When = Annotated[
    str | None, typer.Option("--when", metavar="TIME", help="When to begin, as the studio's clock shows it.")
]
Expect = Annotated[int, typer.Option("--expect", help="How many are listed, as `bulk show` says.")]


def add_to(app: typer.Typer) -> None:
    noun = group(app, "bulk", "One message to many: a list that is reviewed, then sent as fast as its number takes it.")
    verb(noun, "make", example="bulk make --template spring-offer --status Active --field group=Families")(make)
    verb(noun, "list", example="bulk list --state running")(list_)
    verb(noun, "show", example="bulk show b-12")(show_one)
    verb(noun, "recipients", example="bulk recipients b-12 --state listed")(recipients)
    verb(noun, "untick", example="bulk untick b-12 3 17")(untick)
    verb(noun, "tick", example="bulk tick b-12 3")(tick)
    verb(noun, "start", example="bulk start b-12 --expect 240 --when 2027-03-01T10:00")(start)
    verb(noun, "approve", example="bulk approve b-12 --expect 2400 --seen 5f2c9b0a11de")(approve)
    verb(noun, "pause", example="bulk pause b-12")(pause)
    verb(noun, "resume", example="bulk resume b-12")(resume)
    verb(noun, "cancel", example="bulk cancel b-12")(cancel)


async def make(
    aim: Aim,
    *,
    template: Annotated[str, typer.Option("--template", help="Its words are frozen with the list.")],
    record: Annotated[
        str, typer.Option("--record", help="Clients, or the clients of records of this kind.")
    ] = "client",
    status: Annotated[list[str] | None, typer.Option("--status", help="Of the record; may be repeated.")] = None,
    type_: Annotated[list[str] | None, typer.Option("--type", help="Of the record; may be repeated.")] = None,
    field: Annotated[
        list[str] | None, typer.Option("--field", metavar="NAME=VALUE", help="One of its own fields, such as a tag.")
    ] = None,
    email: Annotated[bool, typer.Option("--email", help="Mail them, and do not text.")] = False,
    name: Annotated[str, typer.Option("--name", help="What to call it.")] = "",
    when: When = None,
    use_by: Annotated[
        str, typer.Option("--use-by", metavar="PERIOD", help="Of use for so long after its begin.")
    ] = "14d",
) -> None:
    """Freeze the list of everybody who is meant now. Nothing goes out before somebody starts it."""
    from control_center.domain.bulk import LASTS, parse
    from control_center.domain.table import Table
    from control_center.engine import bulks
    from control_center.engine.bulks import Wish
    from control_center.service import now

    audience: dict[str, Any] = {"record": record, "fields": _fields(field or [])}
    audience |= {key: values for key, values in (("status", status), ("type", type_)) if values}
    period = Table({"use-by": use_by}, "bulk", "").period("use-by")
    async with aim.database() as here:
        begins = instant_of("when", when, await here.zone())
        wish = Wish(parse(audience), template, "email" if email else "sms", name, begins, period or LASTS)
        made = await bulks.create(here.pool, now, here.studio, wish, by=person())
        await _print(aim, here, made.bulk_id)


def _fields(given: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not (name and sign and value):
            raise Malformed("field", f"{one!r}; write the name and the value, such as group=Families")
        found.setdefault(name, []).append(value)
    return found


async def list_(
    aim: Aim,
    *,
    state: Annotated[list[str] | None, typer.Option("--state", help="review, running, ...; may be repeated.")] = None,
) -> None:
    """List the bulks of a studio, newest first."""
    from control_center.domain.bulk import State
    from control_center.store import db, views_bulks

    names = [one.value for one in State]
    if wrong := [one for one in state or () if one not in names]:
        raise Malformed("state", f"{wrong[0]!r}; allowed: {', '.join(names)}")
    async with aim.database() as here, db.session(here.pool) as connection:
        zone = await here.zone()
        page = await views_bulks.bulks(connection, here.studio, states=state, limit=200)
    if aim.json:
        as_json({"items": page.items, "next_cursor": page.next_cursor})
        return
    rows = [
        {
            "id": one.id,
            "state": one.state,
            "name": one.name,
            "made": local(zone, one.made_at),
            "by": one.made_by,
            "begins": local(zone, one.start_at) if one.start_at else "",
            "reason": one.reason,
        }
        for one in page.items
    ]
    columns(rows, none="there is no bulk; begin with: control-center bulk make --template NAME")


async def show_one(aim: Aim, *, id_: Id) -> None:
    """Show a bulk: who is meant, the words, and how far it is."""
    async with aim.database() as here:
        await _print(aim, here, number_of(id_, "b"))


async def recipients(
    aim: Aim,
    *,
    id_: Id,
    state: Annotated[list[str] | None, typer.Option("--state", help="listed, barred, ...; may be repeated.")] = None,
) -> None:
    """Show who is on the list, with their numbers, and who is not and why."""
    from control_center.domain.bulk import Turn
    from control_center.store import db, views_bulks

    names = [one.value for one in Turn]
    if wrong := [one for one in state or () if one not in names]:
        raise Malformed("state", f"{wrong[0]!r}; allowed: {', '.join(names)}")
    found: list[views_bulks.Listed] = []
    async with aim.database() as here, db.session(here.pool) as connection:
        bulk_id, cursor = number_of(id_, "b"), None
        if await views_bulks.bulk(connection, here.studio, bulk_id) is None:
            raise NotFound(f"there is no bulk {id_}")
        while True:
            page = await views_bulks.recipients(
                connection, here.studio, bulk_id, states=state, cursor=cursor, limit=1000
            )
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
    listed(found, _person, json=aim.json, none="nobody is on this list")


def _person(one: Listed) -> dict[str, Any]:
    return {
        "no": one.no,
        "state": one.state,
        "name": one.name,
        "to": one.to or "",
        "record": one.record,
        "reason": one.reason,
    }


async def untick(aim: Aim, *, id_: Id, numbers: Numbers) -> None:
    """Take people off a list that is being reviewed."""
    await _tick(aim, id_, numbers, on=False)


async def tick(aim: Aim, *, id_: Id, numbers: Numbers) -> None:
    """Put people back on a list that is being reviewed."""
    await _tick(aim, id_, numbers, on=True)


async def _tick(aim: Aim, id_: str, numbers: list[int], *, on: bool) -> None:
    from control_center.engine import bulks

    async with aim.database() as here:
        await bulks.tick(here.pool, here.studio, number_of(id_, "b"), numbers, on=on, by=person())
        await _print(aim, here, number_of(id_, "b"))


async def start(aim: Aim, *, id_: Id, expect: Expect, when: When = None) -> None:
    """Let a reviewed list go, now or at a time; refused where it has another number than expected.

    Where that takes a second person, it is asked for.
    """
    from control_center.domain.bulk import State
    from control_center.engine import bulks
    from control_center.service import now

    async with aim.database() as here:
        bulk_id, at = number_of(id_, "b"), instant_of("when", when, await here.zone())
        begun = await bulks.start(here.pool, now, here.studio, bulk_id, expect=expect, at=at, by=person())
        if begun.state is State.REVIEW:
            raise Refused(f"{id_} does not begin yet: {begun.reason}")
        await _print(aim, here, bulk_id)


async def approve(
    aim: Aim,
    *,
    id_: Id,
    expect: Expect,
    seen: Annotated[str, typer.Option("--seen", metavar="CODE", help="What you have looked at; `bulk show` names it.")],
) -> None:
    """Let a list go that others made and you have reviewed: just these people, these words, that time."""
    from control_center.engine import bulks
    from control_center.service import now

    async with aim.database() as here:
        bulk_id = number_of(id_, "b")
        await bulks.approve(here.pool, now, here.studio, bulk_id, expect=expect, seen=seen, by=person())
        await _print(aim, here, bulk_id)


async def pause(aim: Aim, *, id_: Id) -> None:
    """Stop a bulk: what has not left yet waits."""
    await _turn(aim, id_, "pause")


async def resume(aim: Aim, *, id_: Id) -> None:
    """Let a paused bulk go on."""
    await _turn(aim, id_, "resume")


async def cancel(aim: Aim, *, id_: Id) -> None:
    """End a bulk: what has not left yet never does."""
    await _turn(aim, id_, "cancel")


async def _turn(aim: Aim, id_: str, deed: str) -> None:
    from control_center.engine import bulks
    from control_center.service import now

    deeds = {"pause": bulks.pause, "resume": bulks.resume, "cancel": bulks.cancel}
    async with aim.database() as here:
        await deeds[deed](here.pool, now, here.studio, number_of(id_, "b"), by=person())
        await _print(aim, here, number_of(id_, "b"))


async def _print(aim: Aim, here: Database, bulk_id: int) -> None:
    import msgspec

    from control_center.engine import bulks
    from control_center.store import db, views_bulks

    async with db.session(here.pool) as connection:
        found = await views_bulks.bulk(connection, here.studio, bulk_id)
        if found is None:
            raise NotFound(f"there is no bulk b-{bulk_id}")
        advice = await bulks.advised(connection, here.studio, found.words, found.channel)
    if aim.json:
        as_json({**msgspec.to_builtins(found), "advice": [asdict(one) for one in advice]})
    else:
        _tell(found, await here.zone(), advice)


def _tell(one: Bulk, zone: Zone, advice: list[Advice]) -> None:
    progress = one.progress
    show(f"{one.id} {one.name!r} is {one.state}" + (f": {one.reason}" if one.reason else ""))
    if one.start_at is not None:
        show(f"  begins {local(zone, one.start_at)}")
    counts = {name: getattr(progress, name) for name in progress.__struct_fields__ if name != "messages"}
    show("  " + ", ".join(f"{number:,} {name}" for name, number in counts.items() if number or name == "listed"))
    if progress.messages:
        show("  messages: " + ", ".join(f"{number:,} {state}" for state, number in progress.messages.items()))
    show(f"  words: {one.words.get('sms') or one.words.get('text') or ''}")
    for piece in advice:
        show(f"  advice: {piece}")
    if one.approval.approved_by is not None:
        show(f"  made by {one.made_by}, approved by {one.approval.approved_by}")
    if one.state == "review":
        show(f"  nothing goes out before: {_next(one, zone)}")


def _next(one: Bulk, zone: Zone) -> str:
    """What lets it go, and who."""
    number, approval = one.progress.listed, one.approval
    if not approval.needed:
        return f"control-center bulk start {one.id} --expect {number}"
    begins = one.start_at if approval.asked_by is None else approval.asked_for
    hands = one.made_by if one.changed_by in (None, one.made_by) else f"{one.made_by} and {one.changed_by}"
    when = local(zone, begins) if begins is not None else "at once"
    return (
        f"control-center bulk approve {one.id} --expect {number} --seen {approval.seen}\n"
        f"  by somebody else than {hands}, since more than {approval.above:,} are listed; it begins {when}"
    )
