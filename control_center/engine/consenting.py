"""What an address says about being written to takes effect in the transaction that writes it down.

A stop ends what waits for the address. Each action that lost a message by it is decided again: where its trigger has
another leg, and no text of it has been on its way yet, that leg is taken; else the action ends, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from control_center.domain.catalogue_actions import Leg
from control_center.domain.command import Cause, Command, command
from control_center.domain.consent import DOUBTFUL, OPTED_OUT, Purpose, Said, Standing, refuse_pointless
from control_center.domain.ladder import NOT_ARRIVED, Sent
from control_center.domain.message import State
from control_center.domain.number import mask_email, mask_phone
from control_center.domain.planner import Send, Wait, decide
from control_center.domain.recipients import Routing
from control_center.domain.record import Picture
from control_center.domain.recurrence import tells
from control_center.domain.template import Unrenderable
from control_center.engine import reports
from control_center.engine.addressing import Sending, message, routes
from control_center.engine.commands import Job, of_errand
from control_center.engine.release import client_key, pictures_of
from control_center.engine.reports import Step
from control_center.engine.senders import stick
from control_center.store import actions, commands, consents, db, ladders, messages, studios
from control_center.store.actions import Due
from control_center.store.consents import Saying
from control_center.store.rulebooks import Rulebooks

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Effect:
    """What a saying did, to be told once it is committed."""

    said: Saying
    before: Standing
    suppressed: list[int] = field(default_factory=list)
    otherwise: list[tuple[Due, str]] = field(default_factory=list)  # actions that went another way, or ended


async def say(tx: db.Connection, said: Saying, now: datetime, *, client_id: str | None = None) -> Effect:
    """Write down what an address said and let it take effect. Raises Refused where it would mean nothing.

    `client_id` is whose address it is, where that is known: the CRM is told of it.
    """
    await consents.lock(tx, said.key)
    before = (await consents.standings(tx, [said.key])).get(said.key, Standing())
    refuse_pointless(before, said.says, said.purpose)
    await consents.record(tx, said)
    effect = Effect(said, before)
    match said.says:
        case Said.STOP:
            await _stop(tx, effect, now)
        case Said.DOUBT:
            await consents.hold(tx, said, DOUBTFUL)
        case Said.START | Said.NO_STOP:
            await consents.free(tx, said, DOUBTFUL)
            await db.notify(tx, messages.WORK_CHANNEL)
    await commands.enqueue(tx, [_report(said, now, client_id)])
    return effect


async def follow(tx: db.Connection, said: Saying, now: datetime, *, client_id: str | None = None) -> Effect:
    """Let a stop that a worker has written down take effect on all that waits, and tell the CRM of it."""
    await consents.lock(tx, said.key)
    effect = Effect(said, (await consents.standings(tx, [said.key])).get(said.key, Standing()))
    if effect.before.stopped:
        await _stop(tx, effect, now)
        await commands.enqueue(tx, [_report(said, now, client_id)])
    return effect


async def _stop(tx: db.Connection, effect: Effect, now: datetime) -> None:
    said = effect.said
    ended = await consents.suppress(tx, said)
    effect.suppressed = [one.message_id for one in ended]
    await reports.tell(tx, [Step(said.studio, number, State.SUPPRESSED) for number in effect.suppressed])
    lost = sorted({one.action_id for one in ended if one.action_id is not None})
    if lost:
        due = [one for one in await actions.pick(tx, said.studio, lost) if one.action.released_at is not None]
        effect.otherwise = await otherwise(tx, due, said.studio, f"{OPTED_OUT}: {said.source}", now)


async def otherwise(
    tx: db.Connection, due: Sequence[Due], studio: str, why: str, now: datetime, *, refused: str | None = None
) -> list[tuple[Due, str]]:
    """Take the other leg of these actions where they have one; returns what is kept with each, which begins with `why`.

    No text to the number `refused` was taken, whatever is written down of it so far.
    """
    books = await Rulebooks().of(tx, await studios.get(tx, {studio}))
    book = books.get(studio)
    if book is None:
        return []  # the studio was deleted
    pictures = await pictures_of(tx, due)
    passed = await ladders.sent(tx, due)
    sending: list[Sending] = []
    kept: list[tuple[Due, str]] = []
    for action in due:
        rule = book.rules.of(action.action.trigger_id, action.action.trigger_version)
        picture = pictures.get(action.key)
        decision = decide(rule, picture, action.action.occurrence, now, by_hand=True)
        # On a closed day it is written to them all the same: the words wait for the next open one by themselves.
        waits = isinstance(decision, Wait) and rule is not None and not rule.trigger.paused
        goes = (isinstance(decision, Send) or waits) and rule is not None and not rule.trigger.shadow
        if rule is None or picture is None or not goes:
            kept.append((action, why))
        elif _on_its_way(passed.get((action.studio, action.action.action_id), ()), refused):
            kept.append((action, f"{why}; a text of it was on its way already"))
        else:
            sending.append(Sending(action, book, rule, picture, _client(picture, pictures)))
    made: list[messages.New] = []
    asked: list[Command] = []
    for one, routing in await routes(tx, sending):
        known = {(sent.leg, sent.address) for sent in passed.get((one.due.studio, one.due.action.action_id), ())}
        boxes = [message(one, box) for box in routing.letterboxes if (box.leg, box.address) not in known]
        errands = _errands(one, routing, now)
        made += boxes
        asked += errands
        what = routing.reason if boxes or errands else "nobody else to write to"
        kept.append((one.due, f"{why}; {what}"))
    if made:
        await messages.add(tx, await stick(tx, made, [one.book.studio for one in sending]))
        await db.notify(tx, messages.WORK_CHANNEL)
    if asked:
        await commands.enqueue(tx, asked)
    if kept:
        await ladders.note(tx, kept)
    return kept


def _on_its_way(sent: Sequence[Sent], refused: str | None) -> bool:
    """Whether a text of the action may have arrived, or may still: a second leg would then be a second message."""
    waiting = {State.QUEUED, State.HELD, State.CLAIMED}
    texts = [one for one in sent if one.leg is Leg.SMS and one.address != refused]
    return any(one.state not in NOT_ARRIVED | waiting for one in texts)


def _client(picture: Picture, pictures: dict[consents.Address, Picture]) -> Picture | None:
    key = client_key(picture)
    return pictures.get(key) if key is not None else None


def _errands(one: Sending, routing: Routing, now: datetime) -> list[Command]:
    """The commands that stand in for a message. What cannot be written is left out, with the reason."""
    job = Job(one.rule.trigger, one.picture, one.client, one.book, one.cause, now, tells(one.due.action.occurrence))
    asked = []
    for errand in routing.errands:
        try:
            asked.append(of_errand(errand, job))
        except Unrenderable as error:
            routing.reasons.append(error.reason)
    return asked


def _report(said: Saying, now: datetime, client_id: str | None) -> Command:
    subject = f"client/{client_id}" if client_id is not None else f"{said.channel}/{said.address}"
    data = {
        "channel": said.channel,
        "address": said.address,
        "purpose": said.purpose,
        "says": said.says,
        "source": said.source,
        "evidence": said.evidence,
        "at": now,
    }
    of = f"{said.channel} {said.address} {said.purpose} {said.says} {now.isoformat()}"
    return command(said.studio, subject, "consent.changed", data, cause=Cause(None, None, None, None), of=of)


_EVENTS = {
    Said.STOP: "consent.stopped",
    Said.START: "consent.started",
    Said.DOUBT: "consent.doubted",
    Said.NO_STOP: "consent.cleared",
}


def tell(effect: Effect) -> None:
    """Log what a committed saying did."""
    said = effect.said
    address = mask_phone(said.address) if said.channel == "sms" else mask_email(said.address)
    log.info(
        _EVENTS[said.says],
        studio=said.studio,
        channel=said.channel,
        address=address,
        purpose=said.purpose.value if said.purpose is not Purpose.ALL else None,
        source=said.source,
        suppressed=len(effect.suppressed) or None,
    )
    for number in effect.suppressed:
        log.info("message.suppressed", studio=said.studio, message=f"m-{number}", reason=f"opted out: {said.source}")
    tell_otherwise(effect.otherwise)


def tell_otherwise(went: Sequence[tuple[Due, str]]) -> None:
    """Log which actions took another leg, or ended."""
    for due, reason in went:
        log.info(
            "action.rerouted",
            studio=due.studio,
            action=f"a-{due.action.action_id}",
            record=f"{due.kind}/{due.record_id}",
            reason=reason,
        )
