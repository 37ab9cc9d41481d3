"""What is done about an incoming text, by what the interpreter of replies took it for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from control_center.domain import automatic
from control_center.domain.command import Cause, command
from control_center.domain.consent import Said
from control_center.domain.people import Recipient
from control_center.domain.reply import (
    Comments,
    Confirms,
    ConfirmsNothing,
    Declines,
    Doubtful,
    Help,
    Keywords,
    MayBeOptOut,
    OptIn,
    OptOut,
    Plain,
    Question,
    Reading,
    Reply,
    Scores,
)
from control_center.engine import answering, consenting, own_records
from control_center.engine.answering import Answer
from control_center.engine.consenting import Effect
from control_center.store import commands, consents, db, messages, outgoing
from control_center.store.consents import Saying
from control_center.store.conversations import Pair
from control_center.store.outgoing import Outgoing
from control_center.store.rulebooks import Rulebook, Rulebooks

ANSWER_LASTS: Final = timedelta(minutes=5)  # after that a confirmation of STOP would be one more text after STOP


@dataclass(frozen=True, slots=True)
class Heard:
    """An incoming text that is kept as a message. `silent`: its provider has answered, if it asked for an answer.

    `said_at` is when it was sent, where the provider tells: not the order in which texts come, but this one counts.
    `tireless` is why nothing of ours answers by itself: there may be a machine at the other end as well.
    """

    pair: Pair
    account: str
    client_id: str | None
    text: str
    message_id: int
    at: datetime
    opted_out: bool
    silent: bool
    said_at: datetime | None = None
    tireless: str | None = None


@dataclass(slots=True)
class Done:
    """What was done about it: why a person should look, and what became of consents."""

    attention: str | None = None
    effects: list[Effect] = field(default_factory=list)


_MEANINGS: Final[Mapping[type[Reply | Declines], str]] = {
    OptOut: "opt_out",
    MayBeOptOut: "may_be_opt_out",
    OptIn: "opt_in",
    Help: "help",
    Confirms: "confirmation",
    ConfirmsNothing: "confirms_nothing",
    Scores: "score",
    Comments: "comment",
    Keywords: "keyword",
    Doubtful: "doubtful",
    Declines: "no",
    Plain: "plain",
}


def meaning(reply: Reply | Reading) -> str:
    """In a word, what a text was taken for; kept with it."""
    return _MEANINGS[type(reply)]


async def act(tx: db.Connection, books: Rulebooks, book: Rulebook, heard: Heard, reply: Reply) -> Done:
    """Do what a text asks for. Raises Conflict where somebody else notes it: to be called in `db.retried`."""
    match reply:
        case OptOut() | MayBeOptOut() | OptIn() | Help():
            return await _about_texting(tx, book, heard, reply)
        case Confirms() | ConfirmsNothing() | Scores() | Comments():
            return await _about_a_question(tx, books, heard, reply)
        case Doubtful(readings=readings):
            return Done(f"can be read as {_side_by_side(readings)}")
        case Keywords() | Plain():
            done = await _fire(tx, heard)
            if isinstance(reply, Plain) and heard.client_id is None and book.studio.create_unknown_clients:
                await _introduce(tx, heard)
            return done


async def _fire(tx: db.Connection, heard: Heard) -> Done:
    """Let triggers hear of a text, save where they would answer a machine for ever."""
    if heard.tireless is None:
        await own_records.note_texts(tx, [(heard.pair.studio, heard.message_id)], heard.at)
        return Done()
    return Done(heard.tireless if await own_records.listens(tx, heard.pair.studio) else None)


async def _about_texting(
    tx: db.Connection, book: Rulebook, heard: Heard, reply: OptOut | MayBeOptOut | OptIn | Help
) -> Done:
    """STOP is final and takes effect here. It is confirmed once; a second STOP is met with silence."""
    done = Done()
    match reply:
        case OptOut(said=said, appointment=appointment):
            done.effects.append(await say(tx, heard, Said.STOP))
            if appointment:
                done.attention = f"{said!r} stops all texts; they may have meant their appointment"
            if not heard.opted_out:
                await _answer(tx, heard, automatic.stopped(book.studio))
        case MayBeOptOut(words=words):
            done.attention = f"may be an opt-out: {', '.join(words)}"
            if not heard.opted_out:
                done.effects.append(await say(tx, heard, Said.DOUBT))
        case OptIn() if await _overtaken(tx, heard):
            done.attention = "it was sent before the STOP that came first: the number stays stopped"
        case OptIn():
            done.effects.append(await say(tx, heard, Said.START))
            await _answer(tx, heard, automatic.welcome_back(book.studio))
        case Help():
            await _answer(tx, heard, automatic.help_text(book.studio))
    done.attention = done.attention or heard.tireless
    return done


async def _about_a_question(
    tx: db.Connection, books: Rulebooks, heard: Heard, reply: Confirms | ConfirmsNothing | Scores | Comments
) -> Done:
    """An answer counts at once; a yes to what is not so any more confirms nothing, and people hear of it."""
    question = reply.question
    _, kind, record_id = question.record
    by = f"text from {heard.pair.theirs}"
    given = Answer(question.message_id, question.asked_at, question.record, heard.message_id, by, heard.at)
    match reply:
        case Confirms(note=note):
            await answering.confirm(tx, books, given)
            if note:
                await _note(tx, heard, question, note)
        case ConfirmsNothing(why=why):
            await answering.void(tx, given, why.value)
            # With their words: who says so twice in others has said two things, and the notes of both are not the same.
            said = f"The client answered yes, but the {kind} is {why.value}: {heard.text[:200]!r}"
            await _note(tx, heard, question, said)
            return Done(f"a yes to a {kind} that is {why.value} since: {record_id}")
        case Scores(score=score, comment=comment):
            await answering.score(tx, books, given, score, comment)
        case Comments():
            await answering.comment(tx, books, given, heard.text)
    return Done()


async def say(tx: db.Connection, heard: Heard, says: Said) -> Effect:
    """Write down what a text says about being written to."""
    said = Saying(
        heard.pair.studio, heard.pair.channel, heard.pair.theirs, says, "reply", heard.text, said_at=heard.said_at
    )
    return await consenting.say(tx, said, heard.at, client_id=heard.client_id)


async def _overtaken(tx: db.Connection, heard: Heard) -> bool:
    """Whether a STOP that was sent after this text came before it. Only a time that the provider tells can say so."""
    if heard.said_at is None:
        return False
    return await consents.overtaken(tx, (heard.pair.studio, heard.pair.channel, heard.pair.theirs), heard.said_at)


async def _answer(tx: db.Connection, heard: Heard, body: str) -> None:
    """Answer from the number that was written to, unless the provider has, or a machine would go on for ever."""
    if heard.silent or heard.tireless:
        return
    recipient = Recipient("client" if heard.client_id is not None else "unknown")
    await outgoing.send(
        tx,
        Outgoing(
            origin="answer",
            purpose="transactional",
            pair=heard.pair,
            account=heard.account,
            recipient=msgspec.json.encode(recipient).decode(),
            body=body,
            lasts=ANSWER_LASTS,
            client_id=heard.client_id,
        ),
    )
    await db.notify(tx, messages.WORK_CHANNEL)


async def _note(tx: db.Connection, heard: Heard, question: Question, text: str) -> None:
    _, kind, record_id = question.record
    cause = Cause(None, None, None, None)
    of = f"m-{heard.message_id} note"
    made = command(heard.pair.studio, f"{kind}/{record_id}", "add_note", {"text": text}, cause=cause, of=of)
    await commands.enqueue(tx, [made])


async def _introduce(tx: db.Connection, heard: Heard) -> None:
    """Ask the CRM to make a client of a number that nobody knows: once for each number."""
    cause, of = Cause(None, None, None, None), f"client of {heard.pair.theirs}"
    subject = f"{heard.pair.channel}/{heard.pair.theirs}"
    data = {"number": heard.pair.theirs}
    await commands.enqueue(tx, [command(heard.pair.studio, subject, "create_client", data, cause=cause, of=of)])


def _side_by_side(readings: Iterable[Reading]) -> str:
    return " or ".join(dict.fromkeys(_reading(one) for one in readings))


def _reading(one: Reading) -> str:
    """One way to read a doubtful text, for the person who decides."""
    match one:
        case Scores(question=question, score=score):
            return f"a score of {score} for {question.record[1]} {question.record[2]}"
        case Confirms(question=question):
            return f"a yes to {question.record[1]} {question.record[2]}"
        case ConfirmsNothing(question=question, why=why):
            return f"a yes to {question.record[1]} {question.record[2]}, which is {why.value}"
        case Declines(question=question):
            return f"a no to {question.record[1]} {question.record[2]}"
        case Comments(question=question):
            return f"a comment on the score for {question.record[1]} {question.record[2]}"
        case Keywords(keys=keys):
            return f"the keyword {keys[0]}"
        case OptIn():
            return "an opt-in"
        case Plain():
            return "a plain text"
