"""`triggers enable`, `disable`, `versions`, `rollback` and `test`: one trigger at a time, shown before it is done."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_center.cli.aim import Aim, Database, note, person, show
from control_center.cli.progress import on_terminal
from control_center.cli.tables import as_json, listed
from control_center.cli.trigger_plans import Yes, as_item, ask, tell
from control_center.domain.errors import Refused

if TYPE_CHECKING:
    from control_center.domain.trigger import Trigger
    from control_center.engine.trigger_changes import Preview

Name = Annotated[str, typer.Argument(metavar="NAME")]
Pending = Annotated[
    str, typer.Option("--pending", metavar="hold|drain|drop", help="What becomes of what waits: asked for if left out.")
]
Edited = Annotated[
    str, typer.Option("--pending", metavar="follow|keep", help="Plan what waits anew, or leave it as it was planned.")
]


async def enable(aim: Aim, *, name: Name, yes: Yes = False) -> None:
    """Switch a trigger on; what is past by now is set aside, and what was held while it was off goes on."""
    async with aim.database() as here:
        await _switch(aim, here, name, on=True, yes=yes, pending=None)


async def disable(aim: Aim, *, name: Name, pending: Pending = "", yes: Yes = False) -> None:
    """Switch a trigger off, and say what becomes of what waits: hold it, let it drain, or drop it."""
    from control_center.engine.trigger_pausing import PAUSES

    if pending and pending not in PAUSES:
        raise typer.BadParameter(f"--pending {pending}: allowed are {', '.join(PAUSES)}")
    async with aim.database() as here:
        chosen = pending or await _asked_for(here, name)
        await _switch(aim, here, name, on=False, yes=yes or not pending, pending=chosen)


async def _asked_for(here: Database, name: str) -> str | None:
    """What the person in front of it wants done with what waits; None where nothing does, or it is off already."""
    from control_center.domain.action import PENDING
    from control_center.engine import triggers
    from control_center.engine.trigger_pausing import PAUSES
    from control_center.store import actions, db

    async with db.session(here.pool) as connection:
        saved = await triggers.named(connection, here.studio, name)
        waiting = await actions.count_of_trigger(connection, here.studio, saved.trigger_id, states=PENDING)
    if not waiting or not saved.enabled:
        return None
    if not sys.stdin.isatty():
        raise Refused(f"{waiting} wait under {name!r}; say --pending hold, drain or drop")
    note(f"{waiting} wait under {name!r}: hold them until it is switched on, let them drain, or drop them?")
    answer = sys.stdin.readline().strip().lower()
    if answer not in PAUSES:
        raise Refused("nothing was changed")
    return answer


async def _switch(aim: Aim, here: Database, name: str, *, on: bool, yes: bool, pending: str | None) -> None:
    from control_center.engine import trigger_changes, triggers
    from control_center.service import now
    from control_center.store import db

    async with db.session(here.pool) as connection:
        saved = await triggers.named(connection, here.studio, name)
    table = {**saved.definition, "enabled": on}
    seen = await trigger_changes.preview(here.pool, now, here.studio, table, pending=pending, progress=on_terminal())
    _show(aim, seen, f"switch {name!r} {'on' if on else 'off'}", yes=yes)
    stored = await triggers.switch(
        here.pool,
        now,
        here.studio,
        name,
        on=on,
        by=person(),
        pending=pending,
        expect=seen.version,
        progress=on_terminal(),
    )
    _saved(aim, seen, stored)


def _show(aim: Aim, seen: Preview, what: str, *, yes: bool) -> None:
    if not aim.json:
        tell([seen])
    if seen.changes:
        ask(what, yes=yes, unseen=aim.json)


def _saved(aim: Aim, seen: Preview, stored: Trigger) -> None:
    if aim.json:
        as_json({**as_item(seen), "saved": {"name": stored.name, "version": stored.version}})
    else:
        show(f"saved: version {stored.version}" if seen.changes else "nothing to change")


async def versions(aim: Aim, *, name: Name) -> None:
    """List the versions of a trigger: who saved each, what it changed, and what became of what waited."""
    from control_center.engine import trigger_versions
    from control_center.engine.trigger_lines import lines

    async with aim.database() as here:
        found = await trigger_versions.versions(here.pool, here.studio, name)
    earlier = [*found[1:], None]
    rows: list[dict[str, Any]] = [
        {
            "version": one.version,
            "saved_at": one.saved_at,
            "saved_by": one.saved_by,
            "pending": one.pending,
            "changes": lines(before.definition, one.definition) if before is not None else [],
        }
        for one, before in zip(found, earlier, strict=True)
    ]
    listed(rows, lambda row: {**row, "changes": "; ".join(row["changes"]) or "-"}, json=aim.json, none="")


async def rollback(
    aim: Aim,
    *,
    name: Name,
    version: Annotated[int, typer.Argument(metavar="VERSION")],
    pending: Edited = "follow",
    yes: Yes = False,
) -> None:
    """Let a trigger say again what it said in an earlier version; that makes a new version."""
    from control_center.engine import trigger_versions
    from control_center.engine.trigger_pausing import EDITS
    from control_center.service import now

    if pending not in EDITS:
        raise typer.BadParameter(f"--pending {pending}: allowed are {', '.join(EDITS)}")
    async with aim.database() as here:
        seen = await trigger_versions.preview_rollback(here.pool, now, here.studio, name, version, pending=pending)
        _show(aim, seen, f"roll {name!r} back to version {version}", yes=yes)
        stored = await trigger_versions.rollback(
            here.pool, now, here.studio, name, version, by=person(), pending=pending, expect=seen.version
        )
    _saved(aim, seen, stored)


async def copy(
    aim: Aim,
    *,
    name: Name,
    new: Annotated[str, typer.Argument(metavar="[NEW]", help="By default the same with (copy) behind it.")] = "",
) -> None:
    """Save a trigger once more under another name, switched off."""
    from control_center.engine import trigger_edits, triggers
    from control_center.service import now
    from control_center.store import db

    async with aim.database() as here:
        async with db.session(here.pool) as connection:
            found = await triggers.named(connection, here.studio, name)
        made = await trigger_edits.copy(here.pool, now, here.studio, found.trigger_id, new or None, by=person())
    if aim.json:
        as_json({"id": made.trigger_id, "name": made.name, "version": made.version, "enabled": made.enabled})
    else:
        show(f"saved: {made.name}, switched off")


async def remove(aim: Aim, *, name: Name, yes: Yes = False) -> None:
    """Delete a trigger with what waits under it; what was sent stays."""
    from control_center.domain.action import PENDING
    from control_center.engine import trigger_edits, triggers
    from control_center.engine.trigger_changes import Preview
    from control_center.engine.trigger_effect import Effect
    from control_center.store import actions, db

    async with aim.database() as here:
        async with db.session(here.pool) as connection:
            found = await triggers.named(connection, here.studio, name)
            waiting = await actions.count_of_trigger(connection, here.studio, found.trigger_id, states=PENDING)
        seen = Preview(name, "removed", found.version, effect=Effect(total=waiting, vanish=waiting))
        _show(aim, seen, f"remove {name!r}", yes=yes)
        await trigger_edits.drop(here.pool, here.studio, found.trigger_id, by=person())
    if aim.json:
        as_json(as_item(seen))
    else:
        show(f"trigger {name!r} is removed")


async def run_tests(
    aim: Aim, *, names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]", help="By default all.")] = None
) -> int:
    """Run the tests beside triggers, as they are run before one may be switched on."""
    from control_center.engine import trigger_checks

    async with aim.database() as here:
        results = await trigger_checks.run_tests(here.pool, here.studio, names or ())
    failing = [one for one in results if one.failures]
    if aim.json:
        as_json({"items": results})
        return 1 if failing else 0
    for one in results:
        show(f"{'fails' if one.failures else 'ok' if one.tests else 'none'}  {one.name}  ({one.tests} tests)")
        for failure in one.failures:
            show(f"    {failure}")
    show(f"{sum(one.tests for one in results)} tests beside {len(results)} triggers; {len(failing)} triggers fail")
    return 1 if failing else 0
