"""`actions process|release|skip|delete`: what a person decides, about single actions or a list that was counted."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_center.cli.aim import Aim, Database, note, person, show
from control_center.cli.narrowing import Due, DueBefore, DueFrom, OfRecord, OfTrigger, filter_of, number_of
from control_center.cli.tables import as_json, columns
from control_center.cli.verbs import Work
from control_center.domain.errors import NotFound, Refused

if TYPE_CHECKING:
    from control_center.domain.zones import Zone
    from control_center.engine.review_list import Tally
    from control_center.store.views_actions import Filter

Waiting = Annotated[
    list[str] | None, typer.Option("--state", help="Only in this state; may be repeated. By default review and held.")
]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="An action, such as a-12.")]
Every = Annotated[bool, typer.Option("--all", help="The whole review list, with nothing narrowing it but --state.")]
Expect = Annotated[int | None, typer.Option("--expect", min=0, help="Do nothing unless the list has so many.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def _deciding(name: str, purpose: str) -> Work:
    """A verb that is about all that waits for a person, unless states are named; `purpose` is what its help says."""

    async def decide(
        aim: Aim,
        *,
        ids: Ids = None,
        state: Waiting = None,
        trigger: OfTrigger = None,
        record: OfRecord = None,
        due_from: DueFrom = None,
        due_before: DueBefore = None,
        every: Every = False,
        expect: Expect = None,
        yes: Yes = False,
    ) -> int:
        chosen = _Chosen(ids, state, trigger, record, (due_from, due_before), every, expect, yes)
        return await _decide(aim, name, chosen)

    decide.__doc__ = purpose
    return decide


process = _deciding(
    "process", "Run actions now: the window does not apply to what a person decides, everything else is checked again."
)
skip = _deciding("skip", "Leave actions where they are: they come up again.")
delete = _deciding("delete", "Drop actions for good: the occurrence counts as handled, and sends nothing.")


async def release(
    aim: Aim,
    *,
    ids: Ids = None,
    trigger: OfTrigger = None,
    record: OfRecord = None,
    due_from: DueFrom = None,
    due_before: DueBefore = None,
    every: Every = False,
    expect: Expect = None,
    yes: Yes = False,
) -> int:
    """Let go what is held: it goes as it would have, window and all. The whole of a trigger opens its guard."""
    chosen = _Chosen(ids, None, trigger, record, (due_from, due_before), every, expect, yes, of=("held",))
    return await _decide(aim, "release", chosen)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is to be decided on: actions by their ids, or a list by its filter."""

    ids: list[str] | None
    state: list[str] | None
    trigger: str | None
    record: str | None
    due: Due
    every: bool
    expect: int | None
    yes: bool
    of: tuple[str, ...] = ("review", "held")  # the states where none is named

    def check(self) -> None:
        narrowed = any((self.trigger, self.record, *self.due))
        if self.ids and (narrowed or self.state or self.every or self.expect is not None):
            raise typer.BadParameter("give ids, or say which list, not both")
        if narrowed and self.every:
            raise typer.BadParameter("--all is the whole list; leave it out where --trigger or the like narrows it")
        if not (self.ids or narrowed or self.state or self.every):
            raise typer.BadParameter("give ids, or a filter such as --trigger, or --all")

    def wanted(self, zone: Zone) -> Filter:
        return filter_of(self.state or list(self.of), self.trigger, self.record, due=self.due, zone=zone)


async def _decide(aim: Aim, name: str, chosen: _Chosen) -> int:
    chosen.check()
    async with aim.database() as here:
        if chosen.ids:
            _tell(aim, await _of_ids(here, name, [number_of(one) for one in chosen.ids]))
            return 0
        told = await _of_list(here, name, chosen)
    if aim.json:
        as_json(told)
    else:
        _print(name, told)
    return 1 if told.not_reached else 0


async def _of_ids(here: Database, name: str, numbers: list[int]) -> dict[int, tuple[Any, str]]:
    from control_center.engine import review
    from control_center.service import now

    if name == "skip":
        return {one.number: (one.state, one.reason) for one in await _read(here, numbers)}
    deed = {"process": review.process, "release": review.release, "delete": review.delete}[name]
    after: dict[int, tuple[Any, str]] = {**await deed(here.pool, now, here.studio, numbers, by=person())}
    return after


async def _of_list(here: Database, name: str, chosen: _Chosen) -> Tally:
    """Count, say so, ask, and do it; where the list changes while one thinks about it, nothing is done."""
    from control_center.domain.action import PENDING
    from control_center.engine import review_list
    from control_center.service import now

    wanted, deed = chosen.wanted(await here.zone()), review_list.Deed(name)
    every = chosen.every and set(wanted.states or ()) >= PENDING
    review_list.check(wanted, every=every)
    states = await review_list.count(here.pool, here.studio, wanted)
    expect = sum(states.values()) if chosen.expect is None else chosen.expect
    if expect != sum(states.values()):
        raise review_list.Miscounted(expect, states)
    if expect and deed is not review_list.Deed.SKIP:
        _ask(f"{name} {_counted(states)}", yes=chosen.yes)
    return await review_list.decide(here.pool, now, here.studio, wanted, deed, expect=expect, every=every, by=person())


def _counted(states: dict[str, int]) -> str:
    each = ", ".join(f"{number} in {state}" for state, number in states.items())
    number = sum(states.values())
    return f"{number} action{'' if number == 1 else 's'} ({each})"


def _ask(what: str, *, yes: bool) -> None:
    if yes:
        note(what)
        return
    if not sys.stdin.isatty():
        raise Refused(f"nobody is here to be asked; say --yes to {what} without asking")
    note(f"{what}? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("nothing was changed")


def _print(name: str, told: Tally) -> None:
    if not told.count:
        show("nothing waits for a person there")
        return
    done = {"process": "released", "release": "let go", "skip": "left where they are", "delete": "deleted"}[name]
    show(f"{told.done} of {told.count} {done}")
    if told.why:
        rows = [
            {"not": one.count, "state": one.state, "reason": one.reason, "such as": ", ".join(one.ids[:3])}
            for one in told.why
        ]
        columns(rows, none="")


async def _read(here: Database, numbers: list[int]) -> list[Any]:
    from control_center.store import db, views_actions

    async with db.session(here.pool) as connection:
        found = await views_actions.by_id(connection, here.studio, numbers)
    missing = set(numbers) - {one.number for one in found}
    if missing:
        raise NotFound(f"there is no action {', '.join(f'a-{one}' for one in sorted(missing))}")
    return found


def _tell(aim: Aim, after: dict[int, tuple[Any, str]]) -> None:
    rows = [
        {"id": f"a-{number}", "state": getattr(state, "value", state), "reason": reason}
        for number, (state, reason) in after.items()
    ]
    if aim.json:
        as_json({"items": rows})
    else:
        columns(rows, none="nothing waits for a person there")
