"""The actions of records that changed are brought into line with them, in the transaction that changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from control_center.domain.action import IN_SNAPSHOT, Add, Change, State
from control_center.domain.chains import STOPPED
from control_center.domain.errors import Conflict
from control_center.domain.reconciliation import reconcile
from control_center.domain.rules import Rules
from control_center.engine.seen import Seen
from control_center.store import actions, chains, db, scores
from control_center.store.records import Key

# What db.notify is told where an action is due already, and what release listens to.
RELEASE_CHANNEL = "control_center_release"


@dataclass(slots=True)
class Lined:
    """What came of it: whether any action is due already, and which chains of triggers end here, with the reason."""

    due_now: bool = False
    stopped: list[tuple[Key, str]] = field(default_factory=list)


async def bring(tx: db.Connection, seen: Sequence[Seen], rules: Mapping[str, Rules], now: datetime) -> Lined:
    """Add, move and end the actions of these records, and of the invoices that waited for a score of theirs.

    `rules` are those of each record's studio. The caller holds the records, and wakes release where something is due.
    Raises Conflict where somebody has dealt with one of them meanwhile: what was said by that counts for the others.
    """
    every = [*seen, *await _scored(tx, seen, rules, now)]
    have = await actions.of_records(tx, [one.picture.key for one in every if one.picture])
    added: list[tuple[Key, Add, str | None]] = []
    changes: list[tuple[str, Change]] = []
    causes = await _chains(tx, every, rules)
    for one in every:
        picture = one.picture
        assert picture is not None
        event_id = one.event.event_id if one.event else None
        for step in reconcile(
            picture,
            rules[picture.studio],
            have.get(picture.key, ()),
            now,
            baseline=IN_SNAPSHOT if one.snapshot else None,
            chain=causes.get(picture.key, ()),
        ):
            match step:
                case Add():
                    added.append((picture.key, step, event_id))
                case Change():
                    changes.append((picture.studio, step))
    if added:
        await actions.add(tx, added)
    if changes and {one.action.action_id for _, one in changes} - await actions.change(tx, changes):
        raise Conflict("an action was released, or decided on, while its record changed")
    plans = [one.plan for _, one, _ in added] + [one.plan for _, one in changes]
    return Lined(
        due_now=any(plan.state is State.PLANNED and plan.due_at <= now for plan in plans),
        stopped=[(key, one.plan.reason) for key, one, _ in added if one.plan.reason.startswith(STOPPED)],
    )


async def _scored(tx: db.Connection, seen: Sequence[Seen], rules: Mapping[str, Rules], now: datetime) -> list[Seen]:
    """The invoices that lapsed for want of the score that their session has now."""
    scored = {one.picture.key for one in seen if one.picture and one.got_a_score}
    if not scored:
        return []
    found = await scores.waiting(tx, scored, rules, now)
    known = {one.picture.key for one in seen if one.picture}
    return [Seen(picture, picture) for key, picture in found.items() if key not in known]


async def _chains(tx: db.Connection, seen: Sequence[Seen], rules: Mapping[str, Rules]) -> dict[Key, tuple[int, ...]]:
    """The triggers that brought these changes about, where the CRM answers our commands. Nearly always: none."""
    named = [(one.picture.key, one.caused_by) for one in seen if one.picture and one.caused_by is not None]
    found = await chains.of_commands(tx, named) if named else {}
    entered = [
        (one.picture.key, one.picture.record.status)
        for one in seen
        if one.picture and one.entered_status and rules[one.picture.studio].change_statuses
    ]
    silent = [(key, status) for key, status in entered if status is not None and key not in found]
    return {**(await chains.of_statuses(tx, silent) if silent else {}), **found}
