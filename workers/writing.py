"""The last decision on a claimed message, and its words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import msgspec

from control_center.domain import imprint, number, sms, words, zones
from control_center.domain.activations import as_released
from control_center.domain.arrival import CALM, Rival, addressee, is_today
from control_center.domain.bulk import PAUSED, off_the_list
from control_center.domain.bulk import State as Bulk
from control_center.domain.catalogue_actions import Leg
from control_center.domain.confirmation import attached, calendar_file, enclosed
from control_center.domain.consent import DOUBTFUL
from control_center.domain.courtesy import Posted, courtesy
from control_center.domain.links import Links, message_header
from control_center.domain.message import BY_ITSELF, Origin, State, key_of
from control_center.domain.outcome import Mail, Text
from control_center.domain.patience import patience
from control_center.domain.people import GONE, OF_CLIENT
from control_center.domain.planner import PAUSED_LOOK, Decision, Expire, Lapse, Review, Send, Wait, decide
from control_center.domain.recipients import allowed
from control_center.domain.record import Picture
from control_center.domain.recurrence import tells
from control_center.domain.rules import Rule
from control_center.domain.telling import told
from control_center.domain.template import Unrenderable
from control_center.domain.trigger import USUAL_PRIORITY
from control_center.domain.words import Words
from control_center.store.cases import Case
from control_center.store.day_shares import Found
from control_center.store.messages import Return
from control_center.store.rulebooks import Rulebook
from control_center.store.submissions import Ready

SWITCHED_OFF = "studio: it is switched off, and nothing of it is sent"


def prepare(
    case: Case, book: Rulebook, now: datetime, *, session: Picture | None = None, links: Links | None = None
) -> Ready | Return:
    """Decide on a claimed message as everything is now, and write it if it may go.

    A message that may not go now comes back as what becomes of it; waiting costs no attempt. `session` is the one
    that an invoice is for, where its score counts; without `links` a message that needs one fails.
    """
    if not case.studio.enabled:  # put back: at hand it would stand before the messages of others
        return _not_now(case, Wait(now + PAUSED_LOOK, SWITCHED_OFF))
    barred = _barred(case)
    if barred is not None:
        return barred
    if case.written is not None:
        return _as_written(case, case.written, book, now, links)
    if case.trigger_id is None or case.about.trigger_version is None or case.activation_at is None:
        return _ended(case, State.FAILED, "template: it has no words")
    rule = book.rules.of(case.trigger_id, case.about.trigger_version)
    by_hand = case.released_by is not None
    active = as_released(rule, case.occurrence, case.activation_at, case.use_by) if rule is not None else None
    decision = decide(rule, case.record, case.occurrence, now, by_hand=by_hand, session=session, released=active)
    if rule is None or not isinstance(decision, (Send, Wait)):
        return _not_now(case, decision)
    kept = courtesy(_posted(case, book, rule), decision, now, rule.by_hand if by_hand else rule.calendar)
    if not isinstance(kept.decision, Send):
        return _not_now(case, kept.decision)
    unwanted = _unwanted(case, rule)
    if unwanted is not None:
        return _ended(case, State.CANCELLED, unwanted)
    try:
        written, calendar = _words(case, rule, book, now, links)
    except Unrenderable as error:
        return _ended(case, State.FAILED, error.reason)
    ready = Ready(
        case=case,
        until=min(kept.decision.until, case.use_by),
        key=key_of(case.message_id, case.asked + 1),
        subject=written.subject,
        body=written.text,
        html=written.html,
        calendar=calendar,
        shares=kept.shares,
    )
    return _with_riders(ready, rule, book, now, links) if case.riders else ready


def _with_riders(ready: Ready, rule: Rule, book: Rulebook, now: datetime, links: Links | None) -> Ready:
    """With the words of what gives way to it that day, each decided on like itself, as long as they make one text."""
    for rider in _riders(ready.case, rule, book, now):
        unnamed = replace(rider, studio=replace(rider.studio, sms_identify=False))
        decided = prepare(unnamed, book, now, links=links)
        if not isinstance(decided, Ready):
            continue
        body = f"{ready.body}\n\n{decided.body}"
        if sms.refusal(body) is None:
            until = min(ready.until, decided.until)
            ready = replace(ready, body=body, until=until, riders=(*ready.riders, rider))
    return ready


def _riders(case: Case, rule: Rule, book: Rulebook, now: datetime) -> list[Case]:
    """What may go in the text of a message, the most important first."""
    found, house = [], zones.zone(case.studio.timezone)
    about = {one.message_id: one for one in case.rivals}
    for rider in case.riders:
        theirs, seen = book.rules.of(rider.trigger_id or 0, rider.about.trigger_version or 0), about[rider.message_id]
        waits = seen.rides or seen.reason.startswith(CALM) or is_today(house, seen.at, now)
        if theirs is None or not waits or theirs.trigger.ladder.rungs or rider.record is None:
            continue
        # What an invoice is for has a score, which is not looked up for it here.
        if rider.record.kind != "invoice":
            found.append((theirs.trigger.priority, rider.message_id, rider))
    first = (rule.trigger.priority, case.message_id)
    return [rider for *rank, rider in sorted(found, key=lambda one: one[:2]) if tuple(rank) > first]


def _posted(case: Case, book: Rulebook, rule: Rule | None) -> Posted:
    """The message as far as its recipient's day is concerned."""
    return Posted(
        studio=case.studio,
        message_id=case.message_id,
        origin=case.origin,
        purpose=case.purpose,
        channel=case.channel,
        to=addressee(case.address, msgspec.json.decode(case.recipient).get("role", "client"), case.client),
        use_by=case.use_by,
        priority=rule.trigger.priority if rule is not None else USUAL_PRIORITY,
        whose=tuple(case.whose_days.items()),
        taken=tuple((one.whom, one.day, one.holder) for one in case.shares),
        rivals=tuple(_rival(one, book) for one in case.rivals if not one.rides),
    )


def _rival(found: Found, book: Rulebook) -> Rival:
    """What else reaches the client. A reminder is never given way by: it comes before whatever is marketing."""
    rule = book.rules.of(found.trigger_id or 0, found.trigger_version or 0)
    priority = rule.trigger.priority if rule is not None else USUAL_PRIORITY
    return Rival(found.message_id, priority if found.purpose == "marketing" else 0, found.at, found.gone)


def _barred(case: Case) -> Return | None:
    """What becomes of a message whose address does not want it, or may not; None where it may go."""
    if case.origin is Origin.ANSWER:
        return None
    if case.consent.bars(case.purpose):
        what = "said STOP" if case.consent.stopped else "has unsubscribed from marketing"
        return _ended(case, State.SUPPRESSED, f"opted out: the address {what}")
    foreign = (
        number.foreign(case.address, case.studio.country, case.studio.countries) if case.channel == "sms" else None
    )
    if foreign is not None:
        return _ended(case, State.CANCELLED, foreign)
    if case.bulk == Bulk.CANCELLED.value:
        return _ended(case, State.CANCELLED, "cancelled: a person ended its bulk")
    if case.bulk == Bulk.PAUSED.value:
        return Return(case.studio.studio, case.message_id, case.token, State.HELD, PAUSED)
    if case.consent.doubtful and case.origin in BY_ITSELF:
        return Return(case.studio.studio, case.message_id, case.token, State.HELD, DOUBTFUL)
    return None


def _as_written(case: Case, written: Words, book: Rulebook, now: datetime, links: Links | None) -> Ready | Return:
    """A message whose words are chosen already: it keeps to its use-by, and to the hours that its origin keeps to."""
    decision = patience(case.origin, book.rules.house, now, case.use_by)
    if isinstance(decision, Expire):
        return _not_now(case, decision)
    kept = courtesy(_posted(case, book, None), decision, now, book.rules.house)
    if not isinstance(kept.decision, Send):
        return _not_now(case, kept.decision)
    off = off_the_list(case.client, Leg(case.channel), case.purpose) if case.origin is Origin.BULK else None
    if off is not None:
        return _ended(case, State.CANCELLED, off)
    try:
        written = _with_imprint(case, written, links)
        if case.calendar and case.record is not None:
            calendar_file(case.record, case.studio, now)
    except Unrenderable as error:
        return _ended(case, State.FAILED, error.reason)
    return Ready(
        case=case,
        until=kept.decision.until,
        key=key_of(case.message_id, case.asked + 1),
        subject=written.subject,
        body=written.text,
        html=written.html,
        calendar=case.calendar,
        shares=kept.shares,
    )


def _unwanted(case: Case, rule: Rule) -> str | None:
    """Why the recipient is not written to any more: the client is gone, or does not allow what the trigger asks."""
    role = msgspec.json.decode(case.recipient).get("role", "client")
    if case.client is not None and case.client.deleted and role.partition(":")[0] in OF_CLIENT:
        return GONE
    if not rule.trigger.exclude.without_allow_marketing:
        return None
    assert case.record is not None, "what may be sent has a record"
    client = case.client.record if case.client else None
    if allowed(rule.trigger, Leg(case.channel), role, case.record.record, client):
        return None
    return f"allow marketing: {role} has not ticked the box for {case.channel}"


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
    version = case.record.version if state is State.CANCELLED and case.record is not None else None
    reports = told(case.about, state, reason)
    return Return(case.studio.studio, case.message_id, case.token, state, reason, told=reports, version=version)


def _words(case: Case, rule: Rule, book: Rulebook, now: datetime, links: Links | None) -> tuple[Words, bool]:
    """The words of a message, and whether its record goes along for the calendar. Raises Unrenderable."""
    assert case.record is not None, "what may be sent has a record"
    parts = words.source(rule.trigger, book.templates, Leg(case.channel), moved=tells(case.occurrence))
    recipient = msgspec.json.decode(case.recipient)
    made = links.of_message(case.message_id, case.record, case.channel) if links is not None else {}
    seen = words.fields(book.studio, case.record, case.client, recipient, now, links=made)
    if case.channel == "sms":
        return words.text_message(parts, seen, case.studio, first=case.first), False
    wanted = attached(rule.trigger, parts)
    written, calendar = enclosed(wanted, words.mail(parts, seen), case.record, case.studio, now)
    return _with_imprint(case, written, links), calendar


def _with_imprint(case: Case, written: Words, links: Links | None) -> Words:
    """Marketing mail with what it has to say of its sender. Raises Unrenderable where that cannot be said."""
    if case.channel != "email" or case.purpose != "marketing":
        return written
    lacking = imprint.lacking(case.studio)
    if lacking is not None or links is None:
        raise Unrenderable("", lacking or "unsubscribe_link: this worker has no key to make it with")
    return imprint.signed_off(written, case.studio, links.unsubscribe(case.message_id))


def sheet(ready: Ready, now: datetime, links: Links | None = None) -> Text | Mail:
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
        message_id=message_header(case.message_id, case.nonce.hex, case.sender),
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
        headers=_headers(case, links),
        attachments=(calendar_file(case.record, case.studio, now),) if ready.calendar and case.record else (),
    )


def _headers(case: Case, links: Links | None) -> tuple[tuple[str, str], ...]:
    """Marketing mail is left with one click; what a person typed is not said to be automatic."""
    typed = (("Auto-Submitted", "no"),) if case.origin is Origin.PERSON else ()
    if case.purpose != "marketing" or links is None:
        return typed
    stream = f"t{case.trigger_id}" if case.trigger_id is not None else case.origin.value
    return (
        *typed,
        *imprint.headers(case.studio, links.unsubscribe(case.message_id), sender=case.sender, stream=stream),
    )
