"""What the CRM is told of a message: a report for its programs, and a line in the record's history for its people."""

from __future__ import annotations

from dataclasses import dataclass

from control_center.domain.command import Cause, Command, command
from control_center.domain.message import State


@dataclass(frozen=True, slots=True)
class About:
    """A message as the CRM is told of it; `event_id` is the event that led to it."""

    studio: str
    message_id: int
    channel: str
    address: str
    kind: str
    record_id: str
    action_id: int
    event_id: str | None
    trigger: str | None
    trigger_version: int


_REPORTS = {
    State.ACCEPTED: "message.sent",
    State.DELIVERED: "message.delivered",
    State.UNDELIVERED: "message.failed",
    State.UNKNOWN: "message.unknown",
    State.FAILED: "message.failed",
    State.CANCELLED: "message.failed",
    State.SUPPRESSED: "message.failed",
    State.EXPIRED: "message.failed",
}
# What is worth a line in the history; that it arrived after it was sent is not.
_OUTCOMES = {
    State.ACCEPTED: "sent",
    State.UNDELIVERED: "not delivered",
    State.UNKNOWN: "may have been sent; nobody can know yet",
    State.FAILED: "not sent",
    State.CANCELLED: "not sent",
    State.SUPPRESSED: "not sent",
    State.EXPIRED: "not sent",
}
_CHANNELS = {"sms": "Text", "email": "Email"}


def told(about: About, state: State, reason: str) -> tuple[Command, ...]:
    """What to tell the CRM when a message reaches `state`; the same whoever comes to it first, so told once."""
    verb = _REPORTS.get(state)
    if verb is None:
        return ()
    message = f"m-{about.message_id}"
    subject = f"{about.kind}/{about.record_id}"
    cause = Cause(about.trigger, about.trigger_version, f"a-{about.action_id}", about.event_id)
    of = f"{message} {state.value}"
    data = {
        "message": message,
        "channel": about.channel,
        "to": about.address,
        "state": state.value,
        "reason": reason,
    }
    report = command(about.studio, subject, verb, data, cause=cause, of=of)
    outcome = _OUTCOMES.get(state)
    if outcome is None:
        return (report,)
    by = f" by trigger {about.trigger!r}" if about.trigger else ""
    why = f" ({reason})" if reason else ""
    text = f"{_CHANNELS[about.channel]} to {about.address}{by}: {outcome}{why}."
    return report, command(about.studio, subject, "add_note", {"text": text}, cause=cause, of=of)
