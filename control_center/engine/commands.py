"""What the CRM is asked to do when a leg of an action is not a message, and beside what an action does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from control_center.domain import words, zones
from control_center.domain.catalogue_actions import Leg
from control_center.domain.command import Cause, Command, command, id_of
from control_center.domain.recipients import Errand
from control_center.domain.record import Picture, as_mapping
from control_center.domain.telling import Enrolment, enrolment, id_of_enrolment
from control_center.domain.template import Unrenderable
from control_center.domain.trigger import Trigger
from control_center.store.rulebooks import Rulebook

VERBS = {
    Leg.CALL: "create_call",
    Leg.LETTER: "create_letter",
    Leg.TASK: "create_task",
    Leg.WEB_FORM: "create_web_form",
    Leg.CHANGE_STATUS: "change_status",
}


@dataclass(frozen=True, slots=True)
class Job:
    """An action that may go, as its commands need it."""

    trigger: Trigger
    picture: Picture
    client: Picture | None
    book: Rulebook
    cause: Cause
    now: datetime
    moved: bool = False  # it tells of a new date, in the words for that

    @property
    def subject(self) -> str:
        return _subject(self.picture)

    @property
    def today(self) -> date:
        return zones.local_date(zones.zone(self.book.studio.timezone), self.now)

    def source(self, leg: Leg) -> words.Source:
        """The parts its words for a leg are made of. Raises Unrenderable."""
        return words.source(self.trigger, self.book.templates, leg, moved=self.moved)

    def seen(self, errand: Errand) -> Mapping[str, Any]:
        """What its templates see."""
        recipient = {} if errand.recipient is None else msgspec.to_builtins(errand.recipient)
        return words.fields(self.book.studio, self.picture, self.client, recipient, self.now)


def of_errand(errand: Errand, job: Job) -> Command:
    """The command of one errand, with an id that follows from the action, so that it is the same at every try.

    Raises Unrenderable for a letter whose words cannot be written.
    """
    data: Mapping[str, Any]
    trigger = job.trigger
    match errand.leg:
        case Leg.CALL:
            data = _call(errand, job)
        case Leg.LETTER:
            data = _letter(errand, job)
        case Leg.TASK:
            data = _task(errand, job)
        case Leg.WEB_FORM:
            data = {"client_id": errand.client_id, "form": trigger.web_form}
        case Leg.CHANGE_STATUS:
            data = _status(trigger, trigger.to_status)
        case Leg.SMS | Leg.EMAIL:
            raise AssertionError("messages are written by the workers")
    of = _of(errand.leg, f"{job.cause.action}", job.picture, errand.client_id)
    return command(job.picture.studio, job.subject, VERBS[errand.leg], data, cause=job.cause, of=of)


def beside(job: Job, errands: list[Errand]) -> list[Command]:
    """What an action does besides: its change of status, and the referral program of a client called instead."""
    found = []
    if job.trigger.then_status is not None:
        data = _status(job.trigger, job.trigger.then_status)
        of = f"{job.cause.action} then_status"
        found.append(command(job.picture.studio, job.subject, "change_status", data, cause=job.cause, of=of))
    enrols = enrols_of(job.trigger, job.picture)
    if enrols is not None and any(errand.instead for errand in errands):
        found.append(enrolment(job.picture.studio, job.subject, enrols, job.cause))
    return found


def enrols_of(trigger: Trigger, picture: Picture) -> Enrolment | None:
    """The program that the record's client enters once something was handed over."""
    referral, client_id = trigger.referral, _client_id(picture)
    if referral is None or client_id is None:
        return None
    return Enrolment(client_id, referral.program, "skip" if referral.skip else "move")


def ids_of(trigger: Trigger, picture: Picture, action: str) -> list[str]:
    """The ids of every command that an action (`a-12`) can have become."""
    studio, subject = picture.studio, _subject(picture)
    payer = picture.record.bill_to
    legs = dict.fromkeys((*trigger.action.legs, *(rung.leg for rung in trigger.ladder.rungs)))
    clients = dict.fromkeys((_client_id(picture), payer.payer_id if payer else None))
    return [
        *(
            id_of(studio, subject, VERBS[leg], of=_of(leg, action, picture, client_id))
            for leg in legs
            if not leg.is_message
            for client_id in clients
        ),
        id_of(studio, subject, "change_status", of=f"{action} then_status"),
        id_of_enrolment(studio, subject, action),
    ]


def _of(leg: Leg, action: str, picture: Picture, client_id: str | None) -> str:
    """The cause of a command: the leg of the action, and whom it is about where that is not the record's client."""
    other = "" if client_id in (None, _client_id(picture)) else f" {client_id}"
    return f"{action} {leg.value}{other}"


def _client_id(picture: Picture) -> str | None:
    return picture.record_id if picture.kind == "client" else picture.client_id


def _subject(picture: Picture) -> str:
    return f"{picture.kind}/{picture.record_id}"


def _status(trigger: Trigger, status: str | None) -> Mapping[str, Any]:
    return {"status": status, "note": f"by trigger {trigger.name!r}"}


def _call(errand: Errand, job: Job) -> Mapping[str, Any]:
    """A call record. A note that cannot be written is said in its place: the call itself must not get lost."""
    trigger = job.trigger
    note, warnings = None, [_red_warning(errand, job.client)]
    if job.moved or trigger.words.text is not None or trigger.words.template_of(Leg.CALL) is not None:
        try:
            note = words.note(job.source(Leg.CALL), job.seen(errand))
        except Unrenderable as error:
            warnings.append(error.reason)
    return {
        "client_id": errand.client_id,
        "call_type": trigger.call.type,
        "due_date": job.today + timedelta(days=trigger.call.due_days),
        "assign": trigger.call.assign,
        "note": note,
        "warning": "; ".join(warning for warning in warnings if warning) or None,
    }


def _red_warning(errand: Errand, client: Picture | None) -> str | None:
    """What the studio noted for whoever calls this client."""
    if client is None or client.record_id != errand.client_id:
        return None
    try:
        body = as_mapping(client.body)
    except (msgspec.DecodeError, RecursionError):
        return None
    beside = body.get("fields")
    found = (beside.get("call_warning") if isinstance(beside, dict) else None) or body.get("call_warning")
    return found if isinstance(found, str) else None


def _letter(errand: Errand, job: Job) -> Mapping[str, Any]:
    """A letter, merged. Raises Unrenderable."""
    written = words.letter(job.source(Leg.LETTER), job.seen(errand))
    named = job.trigger.words
    return {
        "client_id": errand.client_id,
        "template": (job.moved and named.moved) or named.template_of(Leg.LETTER),
        "subject": written.subject,
        "html": written.html,
        "text": written.text,
    }


def _task(errand: Errand, job: Job) -> Mapping[str, Any]:
    """A task, linked to its record. As with a call, words that cannot be written do not stop it."""
    task = job.trigger.task
    assert task is not None, "a trigger that creates tasks says which"
    try:
        subject, description = words.task(task, job.seen(errand))
    except Unrenderable as error:
        subject, description = job.trigger.name, f"The words of this task could not be written ({error.reason})."
    links = {kind: one for kind, one in (job.picture.record.links or {}).items() if one is not None}
    if job.picture.kind != "client":
        links[job.picture.kind] = job.picture.record_id
    return {
        "client_id": errand.client_id,
        "links": links,
        "task_type": task.type,
        "subject": subject,
        "description": description,
        "start_date": job.today,
        "due_date": job.today + timedelta(days=task.due_days),
        "priority": task.priority,
        "assign": task.assign,
    }
