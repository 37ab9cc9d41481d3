"""What an explanation is made of: its steps, the case it looks at, and the planner's verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec

from control_center.domain import zones
from control_center.domain.action import Action, Add, Plan, State
from control_center.domain.activations import activations
from control_center.domain.planner import Expire, Lapse, Review, Send, Wait, decide
from control_center.domain.reconciliation import reconcile
from control_center.domain.record import Picture
from control_center.domain.rules import Rule, Rules
from control_center.domain.studio import Studio
from control_center.domain.zones import Zone
from control_center.store.triggers import Saved


class Step(msgspec.Struct, frozen=True):
    """One thing that happened or holds, with the ids it is about."""

    at: datetime
    text: str
    ids: list[str] = []


class Told(NamedTuple):
    """The answer in a sentence, and the steps that lead to it."""

    sentence: str
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class Case:
    """A record of a studio under its rules of today, at one instant."""

    studio: Studio
    zone: Zone
    rules: Rules
    saved: Mapping[int, Saved]
    kind: str
    record_id: str
    picture: Picture | None
    now: datetime
    session: Picture | None = None  # the one that an invoice is for

    @property
    def record(self) -> str:
        return f"{self.kind}/{self.record_id}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one trigger makes of one version of a record: whether it qualifies, and the first thing that stops it."""

    qualifies: bool
    sentence: str


def when(zone: Zone, at: datetime) -> str:
    """An instant as the studio's wall clock shows it."""
    local = zones.at_local(zone, at)
    return f"{local:%a} {local.day} {local:%b %Y} at {local:%H:%M} ({zone.name})"


def verdict_of(case: Case, saved: Saved, picture: Picture, settled: Mapping[int, Plan]) -> Verdict:
    """What a trigger that has no action for a record says about this version of it.

    `settled` are the occurrences that would be over as soon as they were planned, as `settled_by` finds them.
    """
    kind = saved.definition["record"]
    if kind != picture.kind:
        return Verdict(False, f"trigger {saved.name!r} is about {kind} records, and this is of kind {picture.kind}")
    plan = settled.get(saved.trigger_id)
    if plan is not None:
        return Verdict(True, f"it would be {plan.state.value}: {plan.reason}")
    rule = case.rules.by_id.get(saved.trigger_id) if saved.enabled else None
    active = activations(rule, picture.record, case.now) if rule else []
    return _said(case, rule, picture, active[0].occurrence if active else "")


def settled_by(case: Case, picture: Picture, have: Sequence[Action] = ()) -> dict[int, Plan]:
    """The occurrences without an action that the planner would not let wait, by trigger: history, or too late."""
    plans = [one.plan for one in reconcile(picture, case.rules, have, case.now) if isinstance(one, Add)]
    return {plan.trigger_id: plan for plan in plans if plan.state is not State.PLANNED}


def _said(case: Case, rule: Rule | None, picture: Picture, occurrence: str) -> Verdict:
    decision = decide(rule, picture, occurrence, case.now, session=case.session)
    match decision:
        case Lapse(reason=reason) | Expire(reason=reason):
            return Verdict(False, reason)
        case Wait(until=until, reason=reason):
            return Verdict(True, f"it qualifies and would wait until {when(case.zone, until)}: {reason}; {_UNPLANNED}")
        case Review(reason=reason):
            return Verdict(True, f"{reason}; {_UNPLANNED}")
        case Send():
            return Verdict(True, f"it qualifies now; {_UNPLANNED}")


_UNPLANNED = "no action exists yet, because the record has not changed since the trigger was saved"
