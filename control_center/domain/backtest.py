"""What a trigger would have done: the history of one record played through the planner once more.

Every version of the record comes at the time when we heard of it, every action is decided on when it was due, on what
was known then. The rules and the calendar are those of today.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from control_center.domain.action import BEFORE_TRIGGER, IN_SNAPSHOT, Action, Add, Plan, State
from control_center.domain.catalogue import Source
from control_center.domain.forecast import End, Fate
from control_center.domain.planner import Expire, Lapse, Review, Send, Wait, decide
from control_center.domain.recipients import Routing
from control_center.domain.reconciliation import reconcile
from control_center.domain.record import Picture, project
from control_center.domain.rules import Rule, Rules
from control_center.domain.shifts import LEAST_STEP

# Events of a record that come closer together were taken in by one transaction, as far as can be told: what lay
# between them was never acted on.
TOGETHER = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class Shown:
    """One version of a record, and when we heard of it. `loaded`: by a snapshot, which fires nothing.

    `answers` is the id of our command that the CRM says it answers; `chain` are the triggers that brought it about.
    """

    at: datetime
    picture: Picture
    loaded: bool = False
    answers: str | None = None
    chain: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Came:
    """What came of one action: to whom it went, if it went."""

    action: Action
    picture: Picture
    end: End
    routing: Routing | None = None


# To whom an occurrence of a record goes at an instant; None where that is not looked at.
Routed: TypeAlias = Callable[[Rule, Picture, str, datetime], Routing | None]
SessionOf: TypeAlias = Callable[[Picture, datetime], Picture | None]


@dataclass(frozen=True, slots=True)
class Play:
    """One trigger on its own, from `start` until `end`: whatever was past at the start is history."""

    rules: Rules
    start: datetime
    end: datetime
    routed: Routed
    session_of: SessionOf

    @property
    def rule(self) -> Rule:
        (rule,) = self.rules.by_id.values()
        return rule


def known_at(history: Sequence[Shown], at: datetime) -> Picture | None:
    """What was known of a record at an instant."""
    picture = None
    for one in history:
        if one.at > at:
            break
        picture = project(picture, one.picture)
    return picture


def play(play: Play, history: Sequence[Shown]) -> list[Came]:
    """Everything that came of a record, in time. `history` is in the order in which we heard of it."""
    desk = _Desk(play)
    before = [one for one in history if one.at < play.start]
    for one in before:
        desk.learn(one)
    if before:
        desk.reconcile(play.start, BEFORE_TRIGGER)
    news = history[len(before) :]
    for number, one in enumerate(news):
        desk.run(one.at)
        moved = desk.learn(one)
        if number + 1 == len(news) or news[number + 1].at - one.at > TOGETHER:
            desk.reconcile(one.at, IN_SNAPSHOT if one.loaded and moved else None, one.chain)
    desk.run(play.end + LEAST_STEP)
    return desk.came


@dataclass(slots=True)
class _Desk:
    """The actions of one record as they would have stood."""

    play: Play
    picture: Picture | None = None
    clock: datetime = field(init=False)
    actions: list[Action] = field(default_factory=list)
    came: list[Came] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = self.play.start

    def learn(self, shown: Shown) -> bool:
        """Take a version in; whether it is the newest so far."""
        newest = self.picture is None or shown.picture.version > self.picture.version
        self.picture = project(self.picture, shown.picture)
        return newest

    def reconcile(self, now: datetime, baseline: str | None = None, chain: Sequence[int] = ()) -> None:
        """Bring the actions into line with what is known now, as intake does."""
        assert self.picture is not None, "only what was shown is reconciled"
        self.clock = now
        for step in reconcile(self.picture, self.play.rules, self.actions, now, baseline=baseline, chain=chain):
            if isinstance(step, Add):
                self.actions.append(_made(len(self.actions) + 1, step.plan))
            else:
                self._put(_made(step.action.action_id, step.plan))

    def run(self, until: datetime) -> None:
        """Decide on whatever is due before `until`, as release does."""
        while (due := self._next(until)) is not None:
            now = max(due.due_at, self.clock)
            self.clock = now
            self._decide(due, now)
            if self.play.rule.trigger.activate.on.source is Source.YEARLY and self._is_over(due):
                self._plan_next(now)

    def _next(self, until: datetime) -> Action | None:
        waiting = (one for one in self.actions if one.state is State.PLANNED and max(one.due_at, self.clock) < until)
        return min(waiting, key=lambda one: (one.due_at, one.action_id), default=None)

    def _decide(self, action: Action, now: datetime) -> None:
        picture, play = self.picture, self.play
        assert picture is not None, "an action has a record"
        session = play.session_of(picture, now)
        match decide(play.rule, picture, action.occurrence, now, session=session):
            case Wait(until=later, reason=reason):
                self._put(replace(action, due_at=max(later, now + LEAST_STEP), reason=reason))
            case Send():
                self._send(action, picture, now)
            case Review(reason=reason):
                routing = play.routed(play.rule, picture, action.occurrence, now)
                self._end(action, State.REVIEW, End(now, Fate.REVIEW, reason), routing)
            case Lapse(reason=reason):
                self._end(action, State.LAPSED, End(now, Fate.LAPSES, reason))
            case Expire(reason=reason):
                self._end(action, State.EXPIRED, End(now, Fate.EXPIRES, reason))

    def _send(self, action: Action, picture: Picture, now: datetime) -> None:
        routing = self.play.routed(self.play.rule, picture, action.occurrence, now)
        if routing is not None and routing.empty:
            lapses = bool(routing.excluded)
            end = End(now, Fate.LAPSES if lapses else Fate.EXPIRES, routing.reason or "no route")
            self._end(action, State.LAPSED if lapses else State.EXPIRED, end)
        else:
            gone = replace(action, released_at=now)
            self._end(gone, State.RELEASED, End(now, Fate.GOES), routing)

    def _end(self, action: Action, state: State, end: End, routing: Routing | None = None) -> None:
        assert self.picture is not None, "an action has a record"
        self._put(replace(action, state=state, reason=end.reason))
        self.came.append(Came(action, self.picture, end, routing))

    def _plan_next(self, now: datetime) -> None:
        assert self.picture is not None, "an action has a record"
        for step in reconcile(self.picture, self.play.rules, self.actions, now):
            if isinstance(step, Add):
                self.actions.append(_made(len(self.actions) + 1, step.plan))

    def _is_over(self, action: Action) -> bool:
        return any(one.action_id == action.action_id and one.state is not State.PLANNED for one in self.actions)

    def _put(self, changed: Action) -> None:
        self.actions = [changed if one.action_id == changed.action_id else one for one in self.actions]


def _made(number: int, plan: Plan) -> Action:
    return Action(
        action_id=number,
        trigger_id=plan.trigger_id,
        trigger_version=plan.trigger_version,
        occurrence=plan.occurrence,
        state=plan.state,
        activation_at=plan.activation_at,
        due_at=plan.due_at,
        use_by=plan.use_by,
        reason=plan.reason,
        released_at=None,
    )


def with_beginning(history: Sequence[Shown], row: Picture, changed_at: datetime) -> list[Shown]:
    """A record's history as far as its events are kept, made whole with the row that we have of it.

    What a snapshot loaded, or an event showed that is kept no longer, is known from the row alone: its newest version
    since it was written, and what the record was when we first heard of it. What came to be before our eyes and never
    changed, such as a text that came in, was news then.
    """
    whole = list(history)
    if all(one.picture.version < row.version for one in history):
        is_news = row.first_facts is None and row.first_version == row.version
        whole.append(Shown(changed_at, row, loaded=not is_news))
        whole.sort(key=lambda one: one.at)
    if whole and row.first_version < min(one.picture.first_version for one in whole):
        first = whole[0]
        known = replace(
            first.picture,
            first_version=row.first_version,
            first_facts=row.first_facts,
            known_since=row.known_since,
        )
        whole[0] = replace(first, picture=known)
    return whole
