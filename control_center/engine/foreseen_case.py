"""An action as a forecast looks at it: with what it is decided on, and what follows on it next year."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from control_center.domain.action import Plan, State
from control_center.domain.catalogue import Source
from control_center.domain.forecast import End, Fate, Line, follow
from control_center.domain.planner import Expire, Lapse, decide, plans
from control_center.domain.record import Picture
from control_center.domain.rules import Rule
from control_center.engine.release import client_key
from control_center.store import actions, db
from control_center.store.actions import Due
from control_center.store.records import Key


@dataclass(frozen=True, slots=True)
class Case:
    """An action with its rule, its record, and the session whose score counts; what is gone is None."""

    due: Due
    rule: Rule | None
    picture: Picture | None
    session: Picture | None

    @property
    def client(self) -> Key | None:
        """Whose record it is."""
        return None if self.picture is None else client_key(self.picture)

    def follow(self, start: datetime, until: datetime) -> End | None:
        """Where it gets by itself from `start` on."""
        return follow(self.rule, self.picture, self.due.action.occurrence, start, until, session=self.session)

    def waits(self, now: datetime) -> End:
        """Where something is that waits for a person already."""
        action = self.due.action
        decision = decide(self.rule, self.picture, action.occurrence, now, by_hand=True, session=self.session)
        if isinstance(decision, Lapse):
            return End(now, Fate.LAPSES, decision.reason)
        if isinstance(decision, Expire):
            return End(now, Fate.EXPIRES, decision.reason)
        return End(now, Fate.REVIEW if action.state is State.REVIEW else Fate.HELD, action.reason)

    def next_years(self, end: End, until: datetime) -> list[Plan]:
        """What is planned where this is dealt with and its day comes round each year."""
        if self.rule is None or self.picture is None or self.rule.trigger.activate.on.source is not Source.YEARLY:
            return []
        return [
            plan
            for plan in plans(self.rule, self.picture, end.at)
            if plan.state is State.PLANNED and plan.due_at <= until and plan.occurrence > self.due.action.occurrence
        ]

    def of_nothing(self, end: End) -> Line:
        """Its line where its trigger or record is gone."""
        action = self.due.action
        return Line(
            at=end.at,
            fate=end.fate,
            trigger=self.rule.trigger.name if self.rule else f"trigger {action.trigger_id}",
            version=action.trigger_version,
            action=f"a-{action.action_id}",
            record=f"{self.due.kind}/{self.due.record_id}",
            client=self.picture.client_id if self.picture else None,
            reason=end.reason,
        )


async def following_years(
    pool: db.Pool, ended: Sequence[tuple[Case, End]], until: datetime, numbers: Iterator[int]
) -> list[Due]:
    """What is planned next on a day that comes round each year, where that still lies within a forecast.

    `numbers` tell those actions apart that nobody has made yet.
    """
    next_years = [
        (case, plan) for case, end in ended if end.fate is not Fate.REVIEW for plan in case.next_years(end, until)
    ]
    if not next_years:
        return []
    async with db.session(pool) as tx:
        have = await actions.of_records(tx, {case.due.key for case, _ in next_years})
    found = []
    for case, plan in next_years:
        mine = (one for one in have.get(case.due.key, ()) if one.trigger_id == plan.trigger_id)
        if all(one.occurrence != plan.occurrence for one in mine):
            action = replace(
                case.due.action,
                action_id=-1 - next(numbers),
                occurrence=plan.occurrence,
                state=plan.state,
                activation_at=plan.activation_at,
                due_at=plan.due_at,
                use_by=plan.use_by,
                reason=plan.reason,
            )
            found.append(replace(case.due, action=action, event_id=None))
    return found
