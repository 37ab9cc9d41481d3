"""The last decision on a claimed message, and its words."""

from __future__ import annotations

from datetime import datetime

import msgspec

from control_center.domain import words
from control_center.domain.command import Cause, Command, command
from control_center.domain.message import State, key_of
from control_center.domain.outcome import Mail, Text
from control_center.domain.planner import Decision, Expire, Lapse, Review, Send, Wait, decide
from control_center.domain.rules import Rule
from control_center.domain.template import Unrenderable
from control_center.domain.words import Words
from control_center.store.messages import Case, Ready, Return
from control_center.store.rulebooks import Rulebook


def prepare(case: Case, book: Rulebook, now: datetime) -> Ready | Return:
    """Decide on a claimed message as everything is now, and write it if it may go.

    A message that may not go now comes back as what becomes of it; waiting costs no attempt.
    """
    rule = book.rules.by_id.get(case.trigger_id)
    if case.stopped:
        return _ended(case, State.SUPPRESSED, "opted out: the address said STOP")
    decision = decide(rule, case.record, case.occurrence, now, by_hand=case.released_by is not None)
    if not isinstance(decision, Send) or rule is None:
        return _not_now(case, decision)
    try:
        written = _words(case, rule, book, now)
    except Unrenderable as error:
        return _ended(case, State.FAILED, error.reason)
    return Ready(
        case=case,
        until=min(decision.until, case.use_by),
        key=key_of(case.message_id, case.asked + 1),
        subject=written.subject,
        body=written.text,
        html=written.html,
    )


def _not_now(case: Case, decision: Decision) -> Return:
    match decision:
        case Wait(until=until, reason=reason):
            return Return(case.studio.studio, case.message_id, case.token, State.QUEUED, reason, until)
        case Lapse(reason=reason) | Review(reason=reason):
            return _ended(case, State.CANCELLED, reason)
        case Expire(reason=reason):
            return _ended(case, State.EXPIRED, reason)
        case Send():
            raise AssertionError("what may be sent is written")


def _ended(case: Case, state: State, reason: str) -> Return:
    told = report(case, "message.failed", state, reason)
    return Return(case.studio.studio, case.message_id, case.token, state, reason, report=told)


def _words(case: Case, rule: Rule, book: Rulebook, now: datetime) -> Words:
    """The words of a message. Raises Unrenderable."""
    assert case.record is not None, "what may be sent has a record"
    parts = words.source(rule.trigger, book.templates)
    recipient = msgspec.json.decode(case.recipient)
    seen = words.fields(book.studio, case.record, case.client, recipient, now)
    return words.text_message(parts, seen) if case.channel == "sms" else words.mail(parts, seen)


def sheet(ready: Ready, now: datetime) -> Text | Mail:
    """What the channel is handed: a text or a mail, exactly as it was stored with the attempt."""
    case = ready.case
    if case.channel == "sms":
        return Text(
            key=ready.key,
            message=f"m-{case.message_id}",
            sender=case.sender,
            to=case.address,
            body=ready.body,
            at=now,
            expires_at=case.use_by,
        )
    recipient = msgspec.json.decode(case.recipient)
    names = (recipient.get("first_name", ""), recipient.get("last_name", ""))
    return Mail(
        key=ready.key,
        message=f"m-{case.message_id}",
        message_id=f"{case.nonce.hex}@{case.sender.rpartition('@')[2] or 'localhost'}",
        sender=case.sender,
        sender_name=case.studio.name,
        to=case.address,
        to_name=" ".join(name for name in names if name),
        subject=ready.subject or "",
        text=ready.body,
        html=ready.html,
        at=now,
        expires_at=case.use_by,
        reply_to=case.studio.reply_to,
    )


def report(case: Case, verb: str, state: State, reason: str, *, of: str = "") -> Command:
    """What the CRM is told of a message that was sent, failed or may have been sent."""
    message = f"m-{case.message_id}"
    cause = Cause(None, None, f"a-{case.action_id}", case.event_id)
    subject = f"{case.record.kind}/{case.record.record_id}" if case.record else f"message/{message}"
    data = {"message": message, "channel": case.channel, "to": case.address, "state": state.value, "reason": reason}
    return command(case.studio.studio, subject, verb, data, cause=cause, of=of or f"{message} {state.value}")
