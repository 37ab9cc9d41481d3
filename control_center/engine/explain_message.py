"""The story of one message: every time a provider was asked, with its own words, and what came back."""

from __future__ import annotations

from control_center.domain import dead_number
from control_center.domain.arrival import CALM
from control_center.domain.consent import told
from control_center.domain.message import State
from control_center.engine.explain_words import Case, Step, Told, when
from control_center.store import consents, db, dead_numbers, views_attempts
from control_center.store.views_attempts import Attempt, Receipt
from control_center.store.views_messages import Message


async def of(tx: db.Connection, case: Case, message: Message) -> Told:
    """What became of a message, in a sentence and in steps."""
    studio = case.studio.studio
    steps = [_made(message)]
    steps += [_asked(one, message.id) for one in await views_attempts.attempts(tx, studio, message.number)]
    steps += [_receipt(one, message.id) for one in await views_attempts.receipts(tx, studio, message.number)]
    steps += await _consent(tx, studio, message)
    sentence = _sentence(case, message)
    if message.ended_at is not None:
        steps.append(Step(message.ended_at, f"{message.id} ended as {message.state}{_because(message)}", [message.id]))
    elif message.state != State.RECEIVED.value:
        steps.append(Step(case.now, sentence, [message.id]))
    return Told(sentence, steps)


def _made(message: Message) -> Step:
    if message.direction == "in":
        return Step(message.created_at, f"{message.channel} from {message.sender} came in", [message.id])
    whom = message.recipient.get("role", "a recipient")
    text = f"{message.id} was written down: {message.channel} to {message.to} ({whom}){_whose(message)}"
    return Step(message.created_at, text, [one for one in (message.id, message.action, message.bulk) if one])


def _whose(message: Message) -> str:
    """Who wanted a message that no trigger did."""
    if message.bulk is not None:
        return f", one of bulk {message.bulk}, which {message.made_by} made"
    return f", by {message.made_by}" if message.made_by is not None else ""


def _asked(attempt: Attempt, message: str) -> Step:
    if attempt.outcome is None:
        said = "no answer is known"
    else:
        words = [attempt.outcome.replace("_", " "), attempt.provider_id and f"as {attempt.provider_id}", attempt.code]
        said = " ".join(word for word in words if word) + (f": {attempt.reason}" if attempt.reason else "")
    along = f", with the words of {', '.join(attempt.carries)}" if attempt.carries else ""
    text = f"the provider was asked, {attempt.key}{along}: {said}"
    return Step(attempt.started_at, text, [message, attempt.key, *attempt.carries])


def _receipt(receipt: Receipt, message: str) -> Step:
    words = [receipt.fate, receipt.code and f"({receipt.code})", receipt.reason and f"- {receipt.reason}"]
    return Step(receipt.received_at, "the provider reported: " + " ".join(word for word in words if word), [message])


async def _consent(tx: db.Connection, studio: str, message: Message) -> list[Step]:
    """What the address said about being written to, and whether it takes texts."""
    address = message.sender if message.direction == "in" else message.to
    steps = [
        Step(one.at, f"{address}: {told(one.purpose, one.says)} ({one.source})", [message.id])
        for one in await consents.history(tx, studio, message.channel, address)
    ]
    dead = await dead_numbers.of_number(tx, studio, address)
    if dead is not None:
        shown = f"m-{dead.message_id}"
        steps.append(Step(dead.at, f"{address}: {dead_number.told(dead.reason)}", [message.id, shown]))
        if dead.lifted_at is not None:
            steps.append(Step(dead.lifted_at, f"{address}: it takes texts after all ({dead.lifted_by})", [message.id]))
    return steps


def _sentence(case: Case, message: Message) -> str:
    """How a message stands, told for those that still move; `_ended` tells of the others."""
    why = _because(message)
    match State(message.state):
        case State.QUEUED if message.due_at > case.now:
            return f"{message.id} waits until {when(case.zone, message.due_at)}{why}"
        case State.QUEUED:
            return f"{message.id} has waited for a worker since {when(case.zone, message.due_at)}{why}"
        case State.HELD:
            return f"{message.id} is held{why}"
        case State.CLAIMED:
            return f"{message.id} is being prepared by a worker"
        case State.SUBMITTING:
            return f"{message.id} is being sent at this moment"
        case State.UNKNOWN:
            settles = "a receipt, a lookup or a person settles it, and it is never sent again by itself"
            return f"{message.id} may have been sent{why}; {settles}"
        case ended:
            return _ended(case, message, ended)


def _ended(case: Case, message: Message, state: State) -> str:
    why = _because(message)
    sent = f"on {when(case.zone, message.sent_at)}" if message.sent_at else ""
    match state:
        case State.ACCEPTED if message.reason.startswith(CALM):
            return f"{message.id} was said in another message {sent}{why}, which tells whether it arrived"
        case State.ACCEPTED:
            return f"{message.id} was accepted by the provider {sent}; no receipt has come yet"
        case State.DELIVERED:
            return f"{message.id} was accepted by the provider {sent} and delivered"
        case State.UNDELIVERED:
            return f"{message.id} was accepted by the provider {sent} and not delivered{why}"
        case State.SHADOW:
            return f"{message.id} was only recorded: its trigger runs in shadow mode"
        case State.RECEIVED:
            return f"{message.id} came in from {message.sender} on {when(case.zone, message.created_at)}"
        case _:
            return f"{message.id} was not sent, and is {message.state}{why}"


def _because(message: Message) -> str:
    return f": {message.reason}" if message.reason else ""
