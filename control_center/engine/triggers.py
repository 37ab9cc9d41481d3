"""Saving triggers, each with its baseline: a trigger is live only once history has been set aside, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog

from control_center.domain.action import PENDING
from control_center.domain.errors import NotFound, Outdated, Refused
from control_center.domain.studio import Studio
from control_center.domain.trigger import Trigger
from control_center.domain.trigger_words import cautions
from control_center.engine import catalogs, ladder_edits, trigger_pausing, trigger_recall
from control_center.engine.lines import RELEASE_CHANNEL
from control_center.engine.trigger_changes import Edit, edit_of, house_of
from control_center.engine.trigger_checks import checked
from control_center.engine.trigger_circles import refuse_circles
from control_center.engine.trigger_files import Mistakes, Named, Table, mistakes_of, plain
from control_center.engine.trigger_pausing import Choices
from control_center.engine.trigger_sweep import Progress, rules_of, sweep
from control_center.store import actions, audit, db, messages, studios, triggers, waiting
from control_center.store.triggers import Saved

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]


async def apply(
    pool: db.Pool,
    clock: Clock,
    studio: str,
    tables: Sequence[Named],
    *,
    by: str,
    choices: Choices | None = None,
    remove: Collection[str] = (),
    expect: Mapping[str, int | None] | None = None,
    progress: Progress | None = None,
) -> list[Trigger]:
    """Save all tables and remove the triggers of these names, in one transaction, or nothing of it.

    `expect` are the versions that somebody was shown, None for a trigger that is new. `progress` hears how many
    records are looked through, of how many, anew for each trigger. Raises Mistakes naming file, trigger and field, and
    Outdated where a version is another by now.
    """
    mistakes = mistakes_of(tables)
    if mistakes:
        raise Mistakes(mistakes)
    async with db.transaction(pool) as tx:
        house = await locked(tx, studio)
        await _check_versions(tx, studio, expect or {})
        saved = [
            await _save(tx, house, dict(table), where, now=clock(), by=by, choices=choices, progress=progress)
            for where, table in tables
        ]
        for name in remove:
            await _remove(tx, studio, name, by=by)
        await refuse_circles(tx, studio, [(where, one) for (where, _), one in zip(tables, saved, strict=True)])
        return saved


async def put(
    pool: db.Pool,
    clock: Clock,
    studio: str,
    definition: Table,
    *,
    by: str,
    pending: str | None = None,
    progress: Progress | None = None,
) -> Trigger:
    """Save one trigger as its next version. `pending` says what becomes of what waits under the one before:

    `follow` (planned anew, the default) or `keep` for an edit; `hold` (the default), `drain` or `drop` where it is
    switched off. Raises Malformed naming the field, NotFound for the studio, Refused.
    """
    choices, tables = Choices.of(pending), [("trigger", definition)]
    (trigger,) = await apply(pool, clock, studio, tables, by=by, choices=choices, progress=progress)
    return trigger


async def switch(
    pool: db.Pool,
    clock: Clock,
    studio: str,
    name: str,
    *,
    on: bool,
    by: str,
    pending: str | None = None,
    expect: int | None = None,
    progress: Progress | None = None,
) -> Trigger:
    """Enable or disable a trigger: a new version of it, with its baseline where it goes live again.

    What was held when it was switched off waits for its time again when it is switched on. `expect` is the version
    that somebody was shown. Raises as `put`, Outdated where it is another by now, and Refused where it is off already
    and what waits under it was to fare otherwise.
    """
    choices = Choices.of(pending)
    async with db.transaction(pool) as tx:
        house = await locked(tx, studio)
        saved = await named(tx, studio, name)
        await _check_versions(tx, studio, {} if expect is None else {name: expect})
        if not on and not saved.enabled and pending not in (None, saved.paused):
            await _refuse_to_choose_again(tx, studio, saved)
        table = {**saved.definition, "enabled": on}
        return await save(tx, house, table, "trigger", now=clock(), by=by, choices=choices, progress=progress)


async def _refuse_to_choose_again(tx: db.Connection, studio: str, saved: Saved) -> None:
    waiting = await actions.count_of_trigger(tx, studio, saved.trigger_id, states=PENDING)
    if waiting:
        raise Refused(
            f"{saved.name!r} is off already, and {waiting} wait under it on {saved.paused!r}; process or delete those "
            "(actions list --trigger), or switch it on first"
        )


async def export(pool: db.Pool, studio: str) -> list[dict[str, Any]]:
    """Every trigger of a studio as the table it was written as, by name."""
    async with db.session(pool) as connection:
        await house_of(connection, studio)
        return [saved.definition for saved in await triggers.every(connection, studio)]


async def locked(tx: db.Connection, studio: str) -> Studio:
    """The studio while nobody else edits what it decides by, and no event comes in. Raises NotFound."""
    await studios.bump(tx, studio)
    return await house_of(tx, studio)


async def named(tx: db.Connection, studio: str, name: str) -> Saved:
    """Raises NotFound naming those that there are."""
    found = await triggers.by_name(tx, studio, name)
    if found is None:
        names = ", ".join(repr(one.name) for one in await triggers.every(tx, studio))
        raise NotFound(f"there is no trigger {name!r} in studio {studio!r}; there are: {names or 'none'}")
    return found


# One of them ----------------------------------------------------------------------------------------------


async def save(
    tx: db.Connection,
    house: Studio,
    table: Table,
    where: str,
    *,
    now: datetime,
    by: str,
    choices: Choices | None = None,
    progress: Progress | None = None,
) -> Trigger:
    """Save one table where it says something new. The studio's row is locked by then. Raises Malformed, Refused."""
    stored = await _save(tx, house, table, where, now=now, by=by, choices=choices, progress=progress)
    await refuse_circles(tx, house.studio, [(where, stored)])
    return stored


async def _save(
    tx: db.Connection,
    house: Studio,
    table: Table,
    where: str,
    *,
    now: datetime,
    by: str,
    choices: Choices | None,
    progress: Progress | None,
) -> Trigger:
    table = plain(table, where)
    trigger = await checked(tx, house, table, where)
    saved = await triggers.by_name(tx, house.studio, trigger.name)
    if saved is not None and saved.definition == table:
        return saved.trigger
    before, place = saved.definition if saved is not None else None, f'{where} "{trigger.name}"'
    for warning in [*await catalogs.check(tx, house.studio, table, place, saved=before), *cautions(trigger, house)]:
        log.warning("trigger.doubtful", studio=house.studio, trigger=trigger.name, reason=warning)
    edit = edit_of(saved, trigger, choices or Choices())
    stored = await triggers.put(tx, house.studio, edit.after, table, by=by, pending=edit.pending)
    await audit.write(tx, by, saved_as(house.studio, stored, before, table))
    changed = await _carry_out(tx, house, edit, stored, by=by, now=now, progress=progress)
    log.info("trigger.saved", studio=house.studio, trigger=stored.name, version=stored.version, by=by, changed=changed)
    return stored


def saved_as(studio: str, stored: Trigger, before: Table | None, after: Table) -> audit.Entry:
    """What the audit trail says of it."""
    verb = "create" if before is None else "change"
    return audit.Entry(studio, verb, f"trigger/{stored.trigger_id}", before, after)


async def _carry_out(
    tx: db.Connection, house: Studio, edit: Edit, stored: Trigger, *, by: str, now: datetime, progress: Progress | None
) -> int:
    """Bring what waits into line with a trigger that was just stored; returns how many actions that changed."""
    studio, trigger_id, changed = house.studio, stored.trigger_id, 0
    await ladder_edits.follow(tx, house, edit, stored, now)
    if edit.before is not None and edit.pending == "keep":
        await actions.stamp(tx, studio, trigger_id, edit.before.version)
        await triggers.keep(tx, studio, trigger_id, edit.before.version)
    elif edit.pending == "follow":
        await triggers.forget(tx, studio, trigger_id)
        await waiting.repurpose(tx, studio, trigger_id, stored.purpose)
        await trigger_recall.recall(tx, studio, edit, stored)
    if edit.turns_off:
        changed += await trigger_pausing.pause(tx, studio, trigger_id, edit.pending, by=by, now=now)
    if edit.live:
        kept = [one for one in await triggers.kept(tx, studio) if one.trigger_id == trigger_id]
        rules = await rules_of(tx, house, stored, kept=kept)
        changed += await sweep(
            tx, rules, studio, trigger_id, edit.kinds, now=now, baseline=edit.baseline, progress=progress
        )
        if edit.turns_on:
            changed += await trigger_pausing.wake(tx, studio, trigger_id, rules, now)
        await db.notify(tx, RELEASE_CHANNEL)
    if edit.before is not None and (edit.live or edit.turns_off):
        # What waits for a window may not have to any more; and what is dropped must not wait until its trigger is on.
        await messages.look_again(tx, studio)
        await db.notify(tx, messages.WORK_CHANNEL)
    return changed


async def _remove(tx: db.Connection, studio: str, name: str, *, by: str) -> None:
    """Delete a trigger with what waits under it; what was sent remains."""
    saved = await named(tx, studio, name)
    dropped = await trigger_pausing.drop(tx, studio, saved.trigger_id, by=by)
    await triggers.drop(tx, studio, saved.trigger_id)
    await audit.write(tx, by, audit.Entry(studio, "delete", f"trigger/{saved.trigger_id}", saved.definition))
    log.info("trigger.deleted", studio=studio, trigger=name, by=by, changed=dropped)


async def _check_versions(tx: db.Connection, studio: str, expect: Mapping[str, int | None]) -> None:
    for name, version in expect.items():
        saved = await triggers.by_name(tx, studio, name)
        if (saved.version if saved is not None else None) != version:
            raise Outdated(f"trigger {name!r} was changed by somebody else meanwhile; look at the plan again")
