"""What the CRM is told of a message: a report for its programs, and a line in the record's history for its people."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from control_center.domain.command import Cause, Command, command, id_of
from control_center.domain.fence import HELD
from control_center.domain.message import State


class Enrolment(msgspec.Struct, frozen=True):
    """The referral program that a client enters with a message; `if_enrolled` says what if they are in one."""

    client_id: str
    program: str
    if_enrolled: str

    @staticmethod
    def of(stored: str | None) -> Enrolment | None:
        """What is kept beside a message."""
        return None if stored is None else msgspec.json.decode(stored, type=Enrolment)


@dataclass(frozen=True, slots=True)
class About:
    """A message as the CRM is told of it; `event_id` is the event that led to it."""

    studio: str
    message_id: int
    channel: str
    address: str
    kind: str | None
    record_id: str | None
    client_id: str | None
    action_id: int | None
    event_id: str | None
    trigger: str | None
    trigger_version: int | None
    enrols: Enrolment | None = None  # whoever gets it: the client of the record, and only once it was handed over

    @property
    def record(self) -> str | None:
        """The record of the CRM in whose history this belongs: the client's where it is about none in particular."""
        if self.kind is not None:
            return f"{self.kind}/{self.record_id}"
        return f"client/{self.client_id}" if self.client_id is not None else None

    @property
    def cause(self) -> Cause:
        action = f"a-{self.action_id}" if self.action_id is not None else None
        return Cause(self.trigger, self.trigger_version, action, self.event_id)


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
_DROPPED = frozenset({State.CANCELLED, State.SUPPRESSED, State.EXPIRED})
_PERHAPS = "will not be sent; whether it was before, nobody can know yet"
_HANDED_OVER = frozenset({State.ACCEPTED, State.DELIVERED})
_CHANNELS = {"sms": "Text", "email": "Email"}


def told(about: About, state: State, reason: str) -> tuple[Command, ...]:
    """What to tell the CRM when a message reaches `state`; the same whoever comes to it first, so told once."""
    verb = _REPORTS.get(state)
    if verb is None:
        return ()
    perhaps = state in _DROPPED and HELD in reason  # it ended while the fence held it
    if perhaps:
        verb = _REPORTS[State.UNKNOWN]
    message = f"m-{about.message_id}"
    subject, cause = about.record or f"message/{message}", about.cause
    of = f"{message} {state.value}"
    data = {
        "message": message,
        "channel": about.channel,
        "to": about.address,
        "state": state.value,
        "reason": reason,
    }
    found = [command(about.studio, subject, verb, data, cause=cause, of=of)]
    if about.enrols is not None and state in _HANDED_OVER:
        found.append(enrolment(about.studio, subject, about.enrols, cause))
    outcome = _PERHAPS if perhaps else _OUTCOMES.get(state)
    if outcome is None or about.record is None:
        return tuple(found)
    by = f" by trigger {about.trigger!r}" if about.trigger else ""
    why = f" ({reason})" if reason else ""
    text = f"{_CHANNELS[about.channel]} to {about.address}{by}: {outcome}{why}."
    return *found, command(about.studio, subject, "add_note", {"text": text}, cause=cause, of=of)


def enrolment(studio: str, subject: str, enrols: Enrolment, cause: Cause) -> Command:
    """The command that puts a client into a program: one for each action, by however many messages it goes."""
    data = msgspec.structs.asdict(enrols)
    return command(studio, subject, "assign_referral", data, cause=cause, of=f"{cause.action} referral")


def id_of_enrolment(studio: str, subject: str, action: str) -> str:
    return id_of(studio, subject, "assign_referral", of=f"{action} referral")
