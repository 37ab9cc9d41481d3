"""`triggers diff` and `apply`: what files would change, shown before anything is saved."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from control_center.cli.aim import Aim, Database, note, person, show
from control_center.cli.progress import on_terminal
from control_center.cli.tables import as_json
from control_center.domain.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from control_center.engine.trigger_changes import Preview
    from control_center.engine.trigger_files import Mistakes, Named
    from control_center.engine.trigger_pausing import Choices

Paths = Annotated[list[Path], typer.Argument(metavar="PATH", help="Trigger files, or folders of them.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Edited = Annotated[
    str, typer.Option("--pending", metavar="follow|keep", help="Plan what waits anew, or leave it as it was planned.")
]
Off = Annotated[
    str,
    typer.Option("--switched-off", metavar="hold|drain|drop", help="What becomes of what waits under a trigger then."),
]
Prune = Annotated[bool, typer.Option("--prune", help="Remove the triggers that are in none of the files.")]

MARKS: Final = {"new": "+", "changed": "~", "removed": "-", "missing": "?", "same": " "}
WORDS: Final = {
    "new": "to be created",
    "changed": "to be changed",
    "removed": "to be removed",
    "missing": "in none of the files, left alone",
    "same": "unchanged",
}


async def diff(aim: Aim, *, paths: Paths, pending: Edited = "follow", off: Off = "hold", prune: Prune = False) -> int:
    """Show what applying these files would change; the exit code is 1 where that is anything."""
    return await _carry_out(aim, paths, _choices(pending, off), prune=prune, saves=False, yes=False)


async def apply(
    aim: Aim, *, paths: Paths, yes: Yes = False, pending: Edited = "follow", off: Off = "hold", prune: Prune = False
) -> int:
    """Save the triggers of these files, all or none, after showing what that changes."""
    return await _carry_out(aim, paths, _choices(pending, off), prune=prune, saves=True, yes=yes)


async def _carry_out(aim: Aim, paths: list[Path], choices: Choices, *, prune: bool, saves: bool, yes: bool) -> int:
    """Plan, show, and save where that is asked for. Every mistake in the files is a line of its own."""
    from control_center.engine import trigger_changes, trigger_files
    from control_center.service import now

    try:
        tables = trigger_files.read_files(paths)
        async with aim.database() as here:
            found = await trigger_changes.plan(
                here.pool, now, here.studio, tables, choices=choices, prune=prune, progress=on_terminal()
            )
            if not aim.json:
                tell(found)
            saved = await _save(here, tables, found, choices, yes=yes, unseen=aim.json) if saves else None
    except trigger_files.Mistakes as error:
        _complain(error)
        return 1
    changes = sum(one.changes for one in found)
    if aim.json:
        items = {"items": [as_item(one) for one in found]}
        as_json(items if saved is None else {**items, "saved": saved})
    elif saved is not None:
        show(f"saved: {changes}" if changes else "nothing to change")
    return 1 if changes and not saves else 0


async def _save(
    here: Database, tables: Sequence[Named], found: Sequence[Preview], choices: Choices, *, yes: bool, unseen: bool
) -> list[dict[str, Any]]:
    """Ask, and save what was shown: nothing else, if somebody has changed it meanwhile."""
    from control_center.engine import triggers
    from control_center.service import now

    changes = [one for one in found if one.changes]
    if not changes:
        return []
    ask(f"save {_counted(len(changes), 'change')}", yes=yes, unseen=unseen)
    saved = await triggers.apply(
        here.pool,
        now,
        here.studio,
        tables,
        by=person(),
        choices=choices,
        remove=[one.name for one in changes if one.kind == "removed"],
        expect={one.name: one.version for one in found if one.kind != "missing"},
        progress=on_terminal(),
    )
    return [{"name": one.name, "version": one.version} for one in saved]


def _complain(error: Mistakes) -> None:
    for one in error.all:
        note(f"control-center triggers: {' '.join(str(one).split())}")


def _choices(pending: str, off: str) -> Choices:
    from control_center.engine.trigger_pausing import EDITS, PAUSES, Choices

    for value, allowed, option in ((pending, EDITS, "--pending"), (off, PAUSES, "--switched-off")):
        if value not in allowed:
            raise typer.BadParameter(f"{option} {value}: allowed are {', '.join(allowed)}")
    return Choices(pending, off)


def ask(what: str, *, yes: bool, unseen: bool = False) -> None:
    """Ask the person in front of it. Raises Refused where they say no, nobody is there, or nothing was shown."""
    if yes:
        return
    if unseen:
        raise Refused(f"--json shows nothing before it is done; say --yes to {what}, or look without --json first")
    if not sys.stdin.isatty():
        raise Refused(f"nobody is here to be asked; say --yes to {what} without asking")
    note(f"{what[0].upper()}{what[1:]}? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("nothing was changed")


def tell(found: Sequence[Preview]) -> None:
    """A plan of changes, the way a person reads it."""
    for one in found:
        turns = f", switched {one.turns}" if one.turns else ""
        show(f"{MARKS[one.kind]} {one.name}: {WORDS[one.kind]}{turns}")
        for line in one.lines:
            show(f"    {line}")
        if effect := str(one.effect):
            kept = " (kept as planned)" if one.choice == "keep" else ""
            show(f"    {effect}{kept}")
        for reason, number in one.effect.why.most_common():
            show(f"      {number} would vanish: {reason}")
        for warning in one.warnings:
            show(f"    ! {warning}")
    counts = {kind: sum(one.kind == kind for one in found) for kind in WORDS}
    show(
        "plan: " + (", ".join(f"{number} {WORDS[kind]}" for kind, number in counts.items() if number) or "no triggers")
    )


def as_item(one: Preview) -> dict[str, Any]:
    """A preview for machines."""
    effect = one.effect
    return {
        "name": one.name,
        "kind": one.kind,
        "version": one.version,
        "lines": one.lines,
        "enabled": one.enabled,
        "choice": one.choice,
        "pending": {
            "total": effect.total,
            "keep": effect.keep,
            "move": effect.move,
            "vanish": effect.vanish,
            "hold": effect.hold,
            "why": dict(effect.why),
        },
        "planned": effect.planned,
        "set_aside": effect.set_aside,
        "warnings": one.warnings,
    }


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
