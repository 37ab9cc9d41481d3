"""Values of the domain with defaults: a test names only what matters to it.

Records and clients are the JSON that a CRM writes; `as_read` is what deciding sees of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from control_center.domain.action import TRANSITIONS, Action, Add, Change, Plan, State
from control_center.domain.blackouts import Blackout, Blackouts
from control_center.domain.event import Event, decode
from control_center.domain.planner import Decision, decide
from control_center.domain.reconciliation import reconcile
from control_center.domain.record import Picture, Record, read
from control_center.domain.rules import Rule, Rules
from control_center.domain.studio import Studio
from control_center.domain.studio import parse as parse_studio
from control_center.domain.trigger import Trigger
from control_center.domain.trigger import parse as parse_trigger
from control_center.domain.zones import Zone, zone

CHICAGO: Final = zone("America/Chicago")
NOW: Final = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)  # a Wednesday, ten in the morning in Chicago
DAY: Final = timedelta(days=1)


def utc(text: str) -> datetime:
    """`utc("2026-11-25 16:00")`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, name: str = "America/Chicago") -> datetime:
    """The instant at which clocks of that zone show this, where they show it once."""
    offset = zone(name).offset(int(utc(text).timestamp()))
    for guess in (offset, offset - 3600, offset + 3600):
        at = utc(text) - timedelta(seconds=guess)
        if zone(name).offset(int(at.timestamp())) == guess:
            return at
    raise AssertionError(f"clocks of {name} never show {text}")


# What the CRM writes --------------------------------------------------------------------------------------


def a_record(kind: str = "session", **keys: Any) -> dict[str, Any]:
    """A booked wedding on 12 June 2027; a key given as `...` is left out."""
    dates = {"session": "2027-06-12T14:00", "booked": "2026-11-21"} if kind == "session" else {}
    record = {
        "kind": kind,
        "id": "4711",
        "version": 1,
        "client_id": "c-12",
        "type": "Wedding",
        "status": "Booked",
        "status_changed_at": "2026-11-21T16:04:05Z",
        "dates": dates,
        "flags": {"on_hold": False, "confirmed": False, "canceled": False},
    }
    return _without({**record, **keys})


def a_client(**keys: Any) -> dict[str, Any]:
    """Jo Park, with a mobile number that takes texts and an email address."""
    client = {
        "id": "c-12",
        "version": 1,
        "first_name": "Jo",
        "last_name": "Park",
        "status": "Active",
        "status_changed_at": "2026-11-21T16:04:05Z",
        "phones": [{"number": "(312) 555-0188", "label": "mobile", "sms": True}],
        "emails": [{"address": "jo@mail.example"}],
    }
    return _without({**client, **keys})


def an_event(type_: str = "crm.session.updated", data: Any = None, **keys: Any) -> dict[str, Any]:
    """A CloudEvent about `a_record`, or about what `data` holds."""
    shown = {"record": a_record()} if data is None else data
    about = shown.get("record") or shown.get("client") or {} if isinstance(shown, dict) else {}
    kind = type_.split(".")[1] if type_.count(".") > 1 else about.get("kind", "session")
    event = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/crm/main",
        "type": type_,
        "subject": f"{kind}/{about.get('id', '4711')}",
        "time": "2026-11-21T16:04:05Z",
        "studio": "main",
        "datacontenttype": "application/json",
        "data": shown,
    }
    return _without({**event, **keys})


def an_event_body(type_: str = "crm.session.updated", data: Any = None, **keys: Any) -> bytes:
    return msgspec.json.encode(an_event(type_, data, **keys))


def a_decoded(type_: str = "crm.session.updated", data: Any = None, **keys: Any) -> Event:
    return decode(an_event_body(type_, data, **keys))


def _without(keys: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value is not ...}


# What we make of it ---------------------------------------------------------------------------------------


def as_read(written: dict[str, Any]) -> Record:
    return read(msgspec.json.encode(written).decode())


def a_picture(
    kind: str = "session", *, verb: str = "created", time: str = "2026-11-21T16:04:05Z", **keys: Any
) -> Picture:
    """The picture of one record of which we have seen one version; by default we saw it being created."""
    written = a_client(**keys) if kind == "client" else a_record(kind, **keys)
    event = a_decoded(f"crm.{kind}.{verb}", {"client" if kind == "client" else "record": written}, time=time)
    return event.seen[-1]


def a_trigger_table(**keys: Any) -> dict[str, Any]:
    """A trigger that texts a week before a session, by itself; a key given as `...` is left out."""
    table = {
        "name": "Reminder",
        "record": "session",
        "activate": {"on": "session", "days": -7},
        "action": "sms",
        "text": "See you soon.",
        "processing": {"mode": "automatic"},
        "enabled": True,
    }
    return _without({**table, **keys})


def a_trigger(trigger_id: int = 1, **keys: Any) -> Trigger:
    return replace(parse_trigger(a_trigger_table(**keys)), trigger_id=trigger_id, version=1)


def a_rule(*, at: Zone = CHICAGO, blackouts: Iterable[Blackout] = (), **keys: Any) -> Rule:
    return the_rules(a_trigger(**keys), at=at, blackouts=blackouts).by_id[1]


def the_rules(*triggers: Trigger, at: Zone = CHICAGO, blackouts: Iterable[Blackout] = ()) -> Rules:
    return Rules(triggers, at, Blackouts(tuple(blackouts)))


def an_action(**keys: Any) -> Action:
    """A planned action of `a_trigger` for `a_record`."""
    fields: dict[str, Any] = {
        "action_id": 1,
        "trigger_id": 1,
        "trigger_version": 1,
        "occurrence": "2027-06-12T14:00:00",
        "state": State.PLANNED,
        "activation_at": utc("2027-06-05 05:00"),
        "due_at": utc("2027-06-05 05:00"),
        "use_by": utc("2027-06-12 19:00"),
        "reason": "",
        "released_at": None,
    }
    return Action(**{**fields, **keys})


def a_studio(**keys: Any) -> Studio:
    table = {"id": "main", "name": "Ada Park Photography", "timezone": "America/Chicago", "country": "US"}
    return parse_studio(_without({**table, **keys}))


def decided(rule: Rule, picture: Picture, now: datetime, *, by_hand: bool = False) -> Decision:
    """What is decided about the occurrence that the record has now."""
    (step,) = reconcile(picture, _only(rule), (), now)
    assert isinstance(step, Add)
    return decide(rule, picture, step.plan.occurrence, now, by_hand=by_hand)


def _only(rule: Rule) -> Rules:
    return Rules([rule.trigger], rule.zone, rule.calendar.blackouts)


@dataclass(slots=True)
class Shelf:
    """The actions of one record, as the store keeps them: what `reconcile` says is done, and nothing else."""

    rules: Rules
    actions: list[Action] = field(default_factory=list)

    def take(self, picture: Picture, now: datetime = NOW, *, baseline: str | None = None) -> Sequence[Add | Change]:
        """Bring the actions into line with a picture; what the store would refuse fails here."""
        steps = reconcile(picture, self.rules, self.actions, now, baseline=baseline)
        for step in steps:
            match step:
                case Add(plan=plan):
                    assert plan.occurrence not in self.occurrences(plan.trigger_id), "an occurrence is unique"
                    self.actions.append(_made(len(self.actions) + 1, plan))
                case Change(action=action, plan=plan):
                    assert plan.state in TRANSITIONS[action.state], f"{action.state} to {plan.state}"
                    assert plan.occurrence == action.occurrence
                    self._put(_made(action.action_id, plan))
        return steps

    def release(self, occurrence: str | None = None, at: datetime = NOW) -> None:
        """Send the planned action of this occurrence, or the only one there is."""
        (action,) = (one for one in self.actions if one.state is State.PLANNED and occurrence in (None, one.occurrence))
        self._put(replace(action, state=State.RELEASED, released_at=at))

    def end(self, state: State, reason: str = "") -> None:
        """Move the only planned action, as release or a person would."""
        (action,) = (one for one in self.actions if one.state is State.PLANNED)
        self._put(replace(action, state=state, reason=reason))

    def set(self, action: Action) -> None:
        self._put(action)

    def _put(self, changed: Action) -> None:
        self.actions = [changed if one.action_id == changed.action_id else one for one in self.actions]

    def occurrences(self, trigger_id: int) -> list[str]:
        return [one.occurrence for one in self.actions if one.trigger_id == trigger_id]

    @property
    def states(self) -> dict[str, State]:
        """The state of each occurrence, oldest first."""
        return {one.occurrence: one.state for one in self.actions}

    @property
    def only(self) -> Action:
        (action,) = self.actions
        return action


def _made(action_id: int, plan: Plan) -> Action:
    return Action(
        action_id=action_id,
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
