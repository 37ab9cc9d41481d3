"""What an edit of a trigger changes, and what it does to the actions that wait: known before it is saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from control_center.domain.action import BEFORE_TRIGGER, PAUSED, PENDING, Action, State
from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.rules import Rules
from control_center.domain.studio import Studio
from control_center.domain.trigger import Trigger, parse
from control_center.engine import catalogs
from control_center.engine.trigger_checks import checked, hindrances
from control_center.engine.trigger_circles import refuse_circles
from control_center.engine.trigger_effect import Effect
from control_center.engine.trigger_files import Mistakes, Named, Table, mistakes_of, plain
from control_center.engine.trigger_lines import lines
from control_center.engine.trigger_pausing import Choices, paused
from control_center.engine.trigger_sweep import Progress, looked_at, rules_of
from control_center.store import actions, db, studios, triggers
from control_center.store.triggers import Saved


@dataclass(frozen=True, slots=True)
class Edit:
    """One trigger as it is stored and as it is to be. `after` has the id, the next version and how it is paused."""

    before: Saved | None
    after: Trigger
    pending: str  # what becomes of what waits: an edit's choice, or that of switching off

    @property
    def turns_on(self) -> bool:
        return self.after.enabled and self.before is not None and not self.before.enabled

    @property
    def turns_off(self) -> bool:
        return not self.after.enabled and self.before is not None and self.before.enabled

    @property
    def only_turns_off(self) -> bool:
        """Whether nothing but that is new in it."""
        after = self.after
        was = self.before.trigger if self.before is not None else after
        return replace(was, version=after.version, enabled=after.enabled, paused=after.paused) == after

    @property
    def live(self) -> bool:
        """Whether anything can come of it, or is left of it, so that its records have to be looked at."""
        return self.after.enabled or self.after.paused is not None

    @property
    def kinds(self) -> list[str]:
        """The kinds of records that it is about, or was."""
        was = [self.before.trigger.kind.name] if self.before is not None else []
        return list(dict.fromkeys([*was, self.after.kind.name]))

    @property
    def baseline(self) -> str | None:
        """Why what is past by now is history: a trigger that goes live, or an edit of who matches or when."""
        was = self.before.trigger if self.before is not None and self.before.enabled else None
        return BEFORE_TRIGGER if was is None or was.matching != self.after.matching else None


def edit_of(before: Saved | None, after: Trigger, choices: Choices) -> Edit:
    """What saving `after` over `before` is. Raises Refused for a choice that this edit does not have."""
    if before is None:
        return Edit(None, replace(after, version=1), "follow")
    after = replace(after, trigger_id=before.trigger_id, version=before.version + 1)
    edit = Edit(before, after, choices.edited)
    if edit.turns_off:
        return Edit(before, replace(after, paused=paused(choices.off)), choices.off)
    if not after.enabled:
        return Edit(before, replace(after, paused=before.paused), "follow")
    if edit.turns_on:
        return replace(edit, pending="follow")
    now = before.trigger
    if choices.edited == "keep" and (now.kind.name, now.activate.on) != (after.kind.name, after.activate.on):
        raise Refused(
            f"{after.name!r} hangs on another date or kind of record now, so what waits cannot be kept: it would go "
            "out beside what is planned anew; choose follow"
        )
    return edit


# What it does ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preview:
    """What saving one table would do. `kind`: new, changed, same, missing (from the files), or removed.

    `version` is the one that was compared with, None where there is none: saving can be held to it.
    """

    name: str
    kind: str
    version: int | None = None
    lines: tuple[str, ...] = ()
    effect: Effect = field(default_factory=Effect)
    choice: str = "follow"
    enabled: bool = False
    turns: str = ""  # on or off
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return self.kind in ("new", "changed", "removed")


async def preview(
    pool: db.Pool,
    clock: Callable[[], datetime],
    studio: str,
    definition: Table,
    *,
    pending: str | None = None,
    where: str = "trigger",
    progress: Progress | None = None,
) -> Preview:
    """What `triggers.put` with the same arguments would do. Raises as it would; changes nothing."""
    choices = Choices.of(pending)
    async with db.session(pool) as connection:
        house = await house_of(connection, studio)
        shown = await previewed(connection, house, definition, where, now=clock(), choices=choices, progress=progress)
        await refuse_circles(connection, studio, [(where, parse(plain(definition, where), where=where))])
        return shown


async def previewed(
    connection: db.Connection,
    house: Studio,
    table: Table,
    where: str,
    *,
    now: datetime,
    choices: Choices,
    progress: Progress | None = None,
) -> Preview:
    """The same over an open connection, page by page through the records."""
    table = plain(table, where)
    trigger = await checked(connection, house, table, where)
    saved = await triggers.by_name(connection, house.studio, trigger.name)
    doubts = await catalogs.check(
        connection,
        house.studio,
        table,
        f'{where} "{trigger.name}"',
        saved=saved.definition if saved is not None else None,
    )
    doubts += await hindrances(connection, house, trigger)
    if saved is not None and saved.definition == table:
        return Preview(trigger.name, "same", saved.version, enabled=saved.enabled, warnings=tuple(doubts))
    edit = edit_of(saved, trigger, choices)
    return Preview(
        name=trigger.name,
        kind="new" if saved is None else "changed",
        version=saved.version if saved is not None else None,
        lines=tuple(lines(saved.definition, table)) if saved is not None else (),
        effect=await effect_of(connection, house, edit, now, progress),
        choice=edit.pending,
        enabled=trigger.enabled,
        turns="on" if edit.turns_on else "off" if edit.turns_off else "",
        warnings=tuple(doubts),
    )


async def effect_of(
    connection: db.Connection, house: Studio, edit: Edit, now: datetime, progress: Progress | None = None
) -> Effect:
    """What an edit does to what is stored, counted by the planner as it would write it."""
    before, after, effect = edit.before, edit.after, Effect()
    if edit.turns_off and (edit.only_turns_off or not edit.live):
        waiting = await actions.count_of_trigger(connection, house.studio, after.trigger_id, states=PENDING)
        return Effect.of_all(waiting, edit.pending)
    if not edit.live:
        return effect
    versions = [one for one in await triggers.kept(connection, house.studio) if one.trigger_id == after.trigger_id]
    if before is not None and edit.pending == "keep":
        versions.append(before.trigger)
    elif edit.pending == "follow":
        versions = []
    rules = await rules_of(connection, house, after, kept=versions)
    for kind in edit.kinds:
        pages = looked_at(
            connection,
            rules,
            house.studio,
            after.trigger_id,
            kind,
            now=now,
            baseline=edit.baseline,
            seen=_as_it_will_be(edit, rules),
            progress=progress,
        )
        async for page in pages:
            for looked in page:
                effect.take(looked)
    return effect.on_hold() if edit.turns_off and edit.pending == "hold" else effect


def _as_it_will_be(edit: Edit, rules: Rules) -> Callable[[Action], Action]:
    """What saving does to what waits besides: it names the version that is kept, is put on hold, or let go again."""

    def seen(action: Action) -> Action:
        if action.state not in PENDING:
            return action
        if edit.turns_on and action.reason == PAUSED:
            return replace(action, state=State.PLANNED, reason="")
        if edit.pending == "hold" and action.state is not State.HELD:
            return replace(action, state=State.HELD, reason=PAUSED)
        if edit.pending == "keep" and edit.before is not None and not rules.keep(action):
            return replace(action, trigger_version=edit.before.version)
        return action

    return seen


async def house_of(connection: db.Connection, studio: str) -> Studio:
    """Raises NotFound."""
    found = (await studios.get(connection, [studio])).get(studio)
    if found is None:
        raise NotFound(f"there is no studio {studio!r}")
    return found


# A plan of changes ----------------------------------------------------------------------------------------


async def plan(
    pool: db.Pool,
    clock: Callable[[], datetime],
    studio: str,
    tables: Sequence[Named],
    *,
    choices: Choices | None = None,
    prune: bool = False,
    progress: Progress | None = None,
) -> list[Preview]:
    """What applying these tables would do, one preview each, then those that no table names. Changes nothing.

    Raises Mistakes with everything that is wrong with them.
    """
    chosen = choices or Choices()
    async with db.session(pool) as connection:
        house = await house_of(connection, studio)
        mistakes = mistakes_of(tables)
        wrong = {one.field.partition(", ")[0] for one in mistakes}
        found = []
        for where, table in tables:
            if f'{where} "{table.get("name")}"' in wrong or not isinstance(table.get("name"), str):
                continue
            try:
                found.append(
                    await previewed(connection, house, table, where, now=clock(), choices=chosen, progress=progress)
                )
            except Mistakes as error:
                mistakes.extend(error.all)
            except Malformed as error:
                mistakes.append(error)
        if mistakes:
            raise Mistakes(mistakes)
        named = {one.name for one in found}
        left_out = [one for one in await triggers.every(connection, studio) if one.name not in named]
        removed = [one.name for one in left_out] if prune else []
        written = [(where, parse(plain(table, where), where=where)) for where, table in tables]
        await refuse_circles(connection, studio, written, removed=removed)
        return found + [await _left_out(connection, studio, one, prune=prune) for one in left_out]


async def _left_out(connection: db.Connection, studio: str, saved: Saved, *, prune: bool) -> Preview:
    """A trigger that is in none of the files."""
    effect = Effect()
    if prune:
        waiting = await actions.count_of_trigger(connection, studio, saved.trigger_id, states=PENDING)
        effect = Effect(total=waiting, vanish=waiting)
    return Preview(saved.name, "removed" if prune else "missing", saved.version, effect=effect, enabled=saved.enabled)
