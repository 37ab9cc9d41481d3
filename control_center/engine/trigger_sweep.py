"""Every record a trigger is about, held against it page by page: what a save does to them, and what it would do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from control_center.domain import zones
from control_center.domain.action import PAUSED, PENDING, Action, Add, Change, State
from control_center.domain.blackouts import Blackouts
from control_center.domain.planner import due
from control_center.domain.reconciliation import reconcile
from control_center.domain.record import Picture
from control_center.domain.rules import Rules
from control_center.domain.studio import Studio
from control_center.domain.trigger import Trigger
from control_center.store import actions, blackouts, db, records
from control_center.store.records import Key

PAGE = 1000
Step: TypeAlias = Add | Change
Progress: TypeAlias = Callable[[int, int], None]  # how many are looked through, of how many


@dataclass(frozen=True, slots=True)
class Looked:
    """One record, what one trigger has for it, and what has to change."""

    picture: Picture
    have: Sequence[Action]
    steps: Sequence[Step]


async def rules_of(tx: db.Connection, house: Studio, trigger: Trigger, *, kept: Iterable[Trigger] = ()) -> Rules:
    """A trigger by itself, with its studio's calendar; empty where it is off and nothing of it waits."""
    days = Blackouts(tuple(stored.blackout for stored in await blackouts.of_studio(tx, house.studio)))
    live = trigger.enabled or trigger.paused is not None
    return Rules([trigger] if live else [], zones.zone(house.timezone), days, kept=kept if live else ())


async def looked_at(
    tx: db.Connection,
    rules: Rules,
    studio: str,
    trigger_id: int,
    kind: str,
    *,
    now: datetime,
    baseline: str | None,
    seen: Callable[[Action], Action] = lambda action: action,
    progress: Progress | None = None,
) -> AsyncIterator[list[Looked]]:
    """All records of a kind, a page at a time; `progress` hears of a page once it is dealt with. Nothing is written.

    `seen` gives an action as it will be by then, where something is done to it before.
    """
    after, done = "", 0
    total = await records.count_of_kind(tx, studio, kind) if progress is not None else 0
    while page := await records.of_kind(tx, studio, kind, after=after, limit=PAGE):
        have = await actions.of_records(tx, [picture.key for picture in page])
        mine = {key: [seen(one) for one in found if one.trigger_id == trigger_id] for key, found in have.items()}
        yield [_look(picture, rules, mine.get(picture.key, ()), now, baseline) for picture in page]
        after, done = page[-1].record_id, done + len(page)
        if progress is not None:
            progress(done, total)
    if progress is not None and done < total:  # deleted ones are counted, too, and not looked at
        progress(total, total)


def _look(picture: Picture, rules: Rules, mine: Sequence[Action], now: datetime, baseline: str | None) -> Looked:
    steps = reconcile(picture, rules, mine, now, baseline=baseline)
    if promised := [step.action for step in steps if isinstance(step, Change) and _is_promised(step)]:
        without = reconcile(picture, rules, mine, now)
        steps = [
            *(step for step in steps if not (isinstance(step, Change) and step.action in promised)),
            *(step for step in without if isinstance(step, Change) and step.action in promised),
        ]
    changing = {step.action.action_id for step in steps if isinstance(step, Change)}
    steps = [_held_on(step) for step in steps]
    return Looked(picture, mine, [*steps, *_placed(rules, [one for one in mine if one.action_id not in changing], now)])


def _held_on(step: Step) -> Step:
    """What waits for a person's word goes on waiting for it, whatever is edited: only its times follow the edit."""
    if isinstance(step, Add) or step.action.state is not State.HELD or step.action.reason == PAUSED:
        return step
    if step.plan.state is not State.PLANNED:
        return step
    return replace(step, plan=replace(step.plan, state=State.HELD, reason=step.action.reason))


def _placed(rules: Rules, staying: Iterable[Action], now: datetime) -> Iterator[Change]:
    """What keeps its activation, and has another time by the hours and days that are open now."""
    for one in staying:
        rule = rules.of(one.trigger_id, one.trigger_version)
        if one.state is State.PLANNED and rule is not None:
            plan = due(rule, one, now)
            if max(plan.due_at, now) != max(one.due_at, now):
                yield Change(one, plan)


def _is_promised(step: Change) -> bool:
    """Whether what waits for a time that stays the same would be called history: it was announced, and goes out."""
    waits = step.action.state in PENDING and step.plan.state is State.BASELINED
    return waits and step.plan.activation_at == step.action.activation_at


async def sweep(
    tx: db.Connection,
    rules: Rules,
    studio: str,
    trigger_id: int,
    kinds: Iterable[str],
    *,
    now: datetime,
    baseline: str | None,
    progress: Progress | None = None,
) -> int:
    """Bring every record of these kinds into line with a trigger; returns how many actions that changed.

    The studio's row is locked, so no event comes in between: no record is missed and none is taken twice.
    """
    changed = 0
    for kind in kinds:
        pages = looked_at(tx, rules, studio, trigger_id, kind, now=now, baseline=baseline, progress=progress)
        async for page in pages:
            changed += await _write(tx, page)
    return changed


async def _write(tx: db.Connection, page: Sequence[Looked]) -> int:
    added: list[tuple[Key, Add, str | None]] = []
    changes: list[tuple[str, Change]] = []
    for one in page:
        for step in one.steps:
            match step:
                case Add():
                    added.append((one.picture.key, step, None))
                case Change():
                    changes.append((one.picture.studio, step))
    if added:
        await actions.add(tx, added)
    if changes:
        await actions.change(tx, changes)
    return len(added) + len(changes)
