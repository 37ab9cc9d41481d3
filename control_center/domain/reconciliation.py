"""What must change so that a record's actions say what its newest version says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from control_center.domain import zones
from control_center.domain.action import (
    BEFORE_TRIGGER,
    BEFORE_US,
    HANDLED,
    IN_SNAPSHOT,
    PAUSED,
    PENDING,
    Action,
    Add,
    Change,
    Plan,
    State,
)
from control_center.domain.activations import activation_of, activations, dateless, until_its_date, year_after
from control_center.domain.catalogue import Source
from control_center.domain.chains import OF_A_STATUS, broken
from control_center.domain.planner import LATE, moved, opening, plan_of, plans
from control_center.domain.qualification import excluded, unmatched
from control_center.domain.record import Picture
from control_center.domain.recurrence import recurrence, tells_at_once, without_number
from control_center.domain.rules import Rule, Rules


def reconcile(
    picture: Picture,
    rules: Rules,
    actions: Sequence[Action],
    now: datetime,
    *,
    baseline: str | None = None,
    chain: Sequence[int] = (),
) -> list[Add | Change]:
    """What must change so that a record's actions say what its newest version says.

    New occurrences are added; pending ones move, or lapse where they no longer exist; lapsed ones return while
    their use-by lies ahead and nothing excludes them, and so does what was released and stopped before anything of it
    left, and what expired by a date that is later now; all that whether an event says so or a snapshot. What was
    handled stays handled. What is pending under a version that was kept for it goes by that version. `chain` are the
    triggers that brought this version about.
    """
    changes: list[Add | Change] = []
    settled = {one.action_id for one in actions if rules.kept and rules.keep(one) and one.state in PENDING}
    mine: dict[int, list[Action]] = {}
    for action in actions:
        mine.setdefault(action.trigger_id, []).append(action)
        if action.action_id in settled:
            changes += _by_its_version(rules, action, picture, now)
    matching = () if picture.deleted else rules.matching(picture.kind, picture.record)
    for rule in matching:
        earlier = mine.get(rule.trigger.trigger_id, ())
        for wanted in _wanted(rule, picture, earlier, now, baseline):
            found, plan = recurrence(rule, wanted, earlier)
            if found is not None and plan.reason == IN_SNAPSHOT and _is_open(found, plan):
                plan = _anew(rule, plan, picture, now, in_time=False)
            plan = _at_once(rule, found, plan, picture, now)
            if found is not None and found.action_id in settled:
                continue
            if found is not None:
                settled.add(found.action_id)
                changes += _adjust(rule, found, plan, picture, now)
            elif _may_add(rule, earlier):
                changes.append(_added(rule, _on_hold(rule, plan), chain))
    left = [one for one in actions if one.state in PENDING and one.action_id not in settled]
    return [*changes, *(change for one in left for change in _gone(rules.by_id.get(one.trigger_id), one, picture, now))]


def _is_open(found: Action, plan: Plan) -> bool:
    """Whether what a snapshot loads is no history: we knew of it, nothing came of it yet, and it goes no earlier.

    So a date that is put right is put right by whatever brings it. What moves to an earlier day that is past is loaded.
    """
    nothing_yet = found.state in PENDING or found.state is State.EXPIRED or found.may_return
    return nothing_yet and plan.activation_at >= found.activation_at


def _wanted(
    rule: Rule, picture: Picture, earlier: Sequence[Action], now: datetime, baseline: str | None
) -> Iterator[Plan]:
    """What a rule plans for a record: of a day that comes round, also what follows on the year that lies ahead.

    That is where the year is dealt with before its day, so that nothing will tell when it is over; and where the next
    one is known already, as it is when the day was corrected to a later one.
    """
    known = {one.occurrence: one for one in earlier}
    for wanted in plans(rule, picture, now, baseline=baseline):
        yield wanted
        last: Plan | None = wanted if rule.trigger.activate.on.source is Source.YEARLY else None
        while last is not None and last.activation_at > now:
            mine, after = known.get(last.occurrence), year_after(last.occurrence)
            over = mine is not None and mine.state in HANDLED and not mine.may_return
            active = activation_of(rule, picture.record, after, now) if over or after in known else None
            last = plan_of(rule, active, picture, now, baseline=baseline) if active is not None else None
            if last is not None:
                yield last


def _at_once(rule: Rule, found: Action | None, plan: Plan, picture: Picture, now: datetime) -> Plan:
    """A move is told of when it is seen, whenever the reminder would have been due; once planned, it keeps its time.

    What waits to tell is no history, however long the reminder's day is past: the client still has the old date.
    """
    waits = found is not None and found.state in PENDING
    if not tells_at_once(rule, plan.occurrence) or (plan.state is State.BASELINED and not waits):
        return plan
    active = activation_of(rule, picture.record, without_number(plan.occurrence), now)
    assert active is not None, "what is planned has its date"
    use_by = until_its_date(rule, picture.record, active).use_by
    at = found.activation_at if found is not None else min(now, use_by)
    due_at, reason = (at, "") if not rule.trigger.processing.automatic else opening(rule, at, use_by)
    return replace(plan, state=State.PLANNED, activation_at=at, due_at=due_at, use_by=use_by, reason=reason)


def _added(rule: Rule, plan: Plan, chain: Sequence[int]) -> Add:
    """A new occurrence. One that other triggers brought about knows them, and none of them fires again for it."""
    if not chain or rule.trigger.activate.on.source not in OF_A_STATUS:
        return Add(plan)
    stopped = broken(rule.trigger, chain)
    if stopped is not None and plan.state in PENDING:
        plan = replace(plan, state=State.BASELINED, reason=stopped, due_at=plan.activation_at)
    return Add(plan, tuple(chain))


def _gone(rule: Rule | None, action: Action, picture: Picture, now: datetime) -> list[Change]:
    """The end of a pending action whose occurrence the record no longer has."""
    if rule is not None and _is_over(rule, action, picture, now):
        return []
    return [Change(action, action.turned(State.LAPSED, _why_gone(rule, picture, now)))]


def _may_add(rule: Rule, earlier: Sequence[Action]) -> bool:
    """A trigger that was switched off with what it has gets nothing new, save for what has moved."""
    return not rule.trigger.paused or any(one.state in PENDING for one in earlier)


def _by_its_version(rules: Rules, action: Action, picture: Picture, now: datetime) -> list[Change]:
    """What an earlier version, kept for what is pending under it, makes of one such action."""
    rule = rules.kept[action.trigger_id, action.trigger_version]
    active = activation_of(rule, picture.record, without_number(action.occurrence), now)
    if active is None or unmatched(rule, picture) is not None:
        return [Change(action, action.turned(State.LAPSED, _why_gone(rule, picture, now)))]
    wanted = replace(plan_of(rule, active, picture, now, in_time=True), occurrence=action.occurrence)
    return _adjust(rule, action, _at_once(rule, action, wanted, picture, now), picture, now)


def _on_hold(rule: Rule, plan: Plan) -> Plan:
    """What would wait for its time waits for its trigger where that is paused."""
    if rule.trigger.paused != "hold" or plan.state is not State.PLANNED:
        return plan
    return replace(plan, state=State.HELD, reason=PAUSED)


def _is_over(rule: Rule, action: Action, picture: Picture, now: datetime) -> bool:
    """A year that is past is no longer planned, and what is left of it has nowhere moved: `decide` says its end."""
    return (
        rule.trigger.activate.on.source is Source.YEARLY and action.use_by <= now and unmatched(rule, picture) is None
    )


def _adjust(rule: Rule, found: Action, wanted: Plan, picture: Picture, now: datetime) -> list[Change]:
    """The change that an occurrence which exists needs, if any."""
    change = _changed(rule, found, wanted, picture, now)
    return [] if change is None else [replace(change, plan=_on_hold(rule, change.plan))]


def _changed(rule: Rule, found: Action, wanted: Plan, picture: Picture, now: datetime) -> Change | None:
    match found.state:
        case State.PLANNED | State.REVIEW | State.HELD:
            # What waits was planned in time: later it is neither too late nor loaded, unless its time moves.
            if wanted.times == found.times and wanted.reason not in (BEFORE_TRIGGER, BEFORE_US):
                return None
            if wanted.activation_at == found.activation_at and wanted.reason.startswith(LATE):
                wanted = _anew(rule, wanted, picture, now, in_time=True)
            return Change(found, wanted)
        case State.LAPSED | State.RELEASED if found.may_return:
            if wanted.state is State.BASELINED and wanted.reason == BEFORE_TRIGGER:
                return Change(found, wanted)  # else what an edit sets aside would come back with the next event
            in_time = wanted.times == found.times and not found.reason.startswith(LATE)
            if in_time and wanted.reason.startswith(LATE):
                wanted = _anew(rule, wanted, picture, now, in_time=True)
            # Exclusions count from when it is due: until then, what is on hold keeps its reminder. The score of an
            # invoice's session is not at hand here; release has it.
            day = zones.local_date(rule.zone, wanted.activation_at)
            stopped = now >= wanted.activation_at and excluded(rule, picture, day, now, alone=True) is not None
            back = wanted.state is State.PLANNED and now < wanted.use_by and not stopped
            return Change(found, wanted) if back else None
        case State.BASELINED:
            wrongly = found.reason == BEFORE_US and wanted.state is State.PLANNED
            return Change(found, wanted) if wrongly else None
        case State.EXPIRED:
            # Nothing came of it, by a date that is another one now; what an edit lets go longer is over all the same.
            anew = wanted.state is State.PLANNED and wanted.activation_at > found.activation_at and now < wanted.use_by
            return Change(found, wanted) if anew else None
        case State.LAPSED | State.RELEASED | State.DELETED:
            return None


def _anew(rule: Rule, wanted: Plan, picture: Picture, now: datetime, *, in_time: bool) -> Plan:
    """The same plan, not called history that was loaded, nor, with `in_time`, late."""
    active = activation_of(rule, picture.record, without_number(wanted.occurrence), now)
    if active is None:
        return wanted
    return replace(plan_of(rule, active, picture, now, in_time=in_time), occurrence=wanted.occurrence)


def _why_gone(rule: Rule | None, picture: Picture, now: datetime) -> str:
    if rule is None:
        return "trigger: it is switched off"
    found = unmatched(rule, picture)
    if found is not None:
        return found
    return moved(rule, activations(rule, picture.record, now)) or f"{dateless(rule, picture)} any more"
