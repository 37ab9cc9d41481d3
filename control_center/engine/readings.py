"""A text that could be read in several ways: a person chooses one, and it counts as if it had been clear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from control_center.domain.command import Cause, command
from control_center.domain.consent import Said
from control_center.domain.errors import NotFound, Refused
from control_center.domain.inbound import Inbound
from control_center.domain.reply import (
    Circumstances,
    Declines,
    Doubtful,
    Keywords,
    MayBeOptOut,
    Plain,
    Reading,
    Reply,
    Scores,
    interpret,
    otherwise,
)
from control_center.engine import consenting, understanding
from control_center.engine.circumstances import circumstances
from control_center.engine.consenting import Effect
from control_center.engine.conversations import SHOWN, client_of
from control_center.engine.understanding import Done, Heard, meaning
from control_center.engine.whose_text import in_doubt_with
from control_center.store import audit, commands, consents, conversations, db, desk, studios
from control_center.store.consents import Saying
from control_center.store.conversations import Pair
from control_center.store.desk import Piece
from control_center.store.rulebooks import Rulebook, Rulebooks

# What may be an opt-out is settled by what is written into the ledger of consents.
OPT_OUTS: Final = {"opt_out": Said.STOP, "no_opt_out": Said.NO_STOP}
MEANINGS: Final = (
    *("confirmation", "confirms_nothing", "score", "comment", "keyword", "opt_in", "no", "plain"),
    *OPT_OUTS,
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person takes a text for: a meaning, and of several scores which, of several keywords which."""

    meaning: str
    score: int | None = None
    keyword: str | None = None


async def choose(
    pool: db.Pool, clock: Callable[[], datetime], studio: str, message_id: int, choice: Choice, *, by: str
) -> None:
    """Apply a reading of a doubtful text. Raises NotFound, and Refused where it is not doubtful or not read like that.

    It is read anew with what was open when it came and is open still: what was answered since is not answered twice.
    """

    async def work(tx: db.Connection) -> Done:
        return await _choose(tx, studio, message_id, choice, now=clock(), by=by)

    done = await db.retried(pool, work)
    for effect in done.effects:
        consenting.tell(effect)


async def _choose(tx: db.Connection, studio: str, message_id: int, choice: Choice, *, now: datetime, by: str) -> Done:
    known = await desk.lock(tx, studio, message_id)
    if known is None:
        raise NotFound(f"there is no message m-{message_id}")
    pair = Pair(studio, known.channel, known.ours, known.address)
    others = await in_doubt_with(tx, pair, known.account) if choice.meaning == "opt_out" else []
    for one in sorted({studio, *others}):
        await consents.lock(tx, (one, known.channel, known.address))
    if choice.meaning in OPT_OUTS:
        done = await _settle_opt_out(tx, known, pair, OPT_OUTS[choice.meaning], now=now, by=by)
        done.effects += await _stop_elsewhere(tx, known, pair, others, now=now)
        # One that was shown to this studio besides was taken in by another: what it answers is answered there.
        if choice.meaning == "no_opt_out" and not (known.attention or "").startswith(SHOWN):
            return await _read_on(tx, known, pair, done, now=now, by=by)
    elif known.meaning != "doubtful":
        raise Refused(f"m-{message_id} was taken for {known.meaning or 'nothing'}; only a doubtful text is read again")
    else:
        done = await _read(tx, known, pair, choice, now)
    await _settle(tx, known, pair, Choice(choice.meaning, choice.score), done, by=by)
    return done


async def _settle(tx: db.Connection, known: Piece, pair: Pair, choice: Choice, done: Done, *, by: str) -> None:
    before, after = {"meaning": known.meaning}, {"meaning": choice.meaning, "score": choice.score}
    number = known.message_id
    await desk.settle_doubt(tx, pair.studio, number, meaning=choice.meaning, attention=done.attention, by=str(by))
    await audit.write(tx, by, audit.Entry(pair.studio, "resolve", f"message/m-{number}", before, after))


async def _read_on(tx: db.Connection, known: Piece, pair: Pair, done: Done, *, now: datetime, by: str) -> Done:
    """What is no opt-out may still be an answer: it counts where it is a certain one, else a person chooses again."""
    met, book, books = await _met(tx, known, pair)
    reply = otherwise(known.body or "", _as_then(met, known))
    if isinstance(reply, Plain):
        await _settle(tx, known, pair, Choice("no_opt_out"), done, by=by)
        return done
    heard = _heard(known, pair, now, opted_out=met.opted_out)
    done.attention = (await understanding.act(tx, books, book, heard, reply)).attention
    if isinstance(reply, Doubtful):
        await conversations.mark(tx, pair.studio, known.message_id, "doubtful", done.attention)
    else:
        await _settle(tx, known, pair, Choice(meaning(reply)), done, by=by)
    return done


async def _settle_opt_out(tx: db.Connection, known: Piece, pair: Pair, says: Said, *, now: datetime, by: str) -> Done:
    if known.meaning != "may_be_opt_out":
        raise Refused(
            f"m-{known.message_id} was not taken for what may be an opt-out; `consents` has the ledger itself"
        )
    evidence = f"read in m-{known.message_id}: {known.body or ''}"
    said = Saying(pair.studio, pair.channel, pair.theirs, says, f"person: {by}", evidence)
    return Done(effects=[await consenting.say(tx, said, now, client_id=known.client_id)])


async def _stop_elsewhere(
    tx: db.Connection, known: Piece, pair: Pair, others: Sequence[str], *, now: datetime
) -> list[Effect]:
    """A text that is found to be a STOP is one for each studio that it left in doubt; found to be none, for its own."""
    evidence = f"a person read it in a text to {pair.ours}: {known.body or ''}"
    effects = []
    for one in others:
        client = await client_of(tx, replace(pair, studio=one))
        said = Saying(one, pair.channel, pair.theirs, Said.STOP, "reply", evidence)
        effects.append(await consenting.say(tx, said, now, client_id=client))
    return effects


async def _read(tx: db.Connection, known: Piece, pair: Pair, choice: Choice, now: datetime) -> Done:
    met, book, books = await _met(tx, known, pair)
    reading = _chosen(_reread(known, _as_then(met, known)), choice)
    return await _act(tx, books, book, _heard(known, pair, now, opted_out=met.opted_out), reading)


async def _met(tx: db.Connection, known: Piece, pair: Pair) -> tuple[Circumstances, Rulebook, Rulebooks]:
    books = Rulebooks()
    book = (await books.of(tx, await studios.get(tx, [pair.studio])))[pair.studio]
    inbound = Inbound(f"m-{known.message_id}", known.provider_id, pair.theirs, pair.ours, known.body or "")
    met, _ = await circumstances(tx, pair, inbound, book, known.created_at)
    return met, book, books


def _reread(known: Piece, met: Circumstances) -> Reply:
    """A doubtful text once more; one that a person found to be no opt-out is not taken for one again."""
    reply = interpret(known.body or "", met)
    return otherwise(known.body or "", met) if isinstance(reply, MayBeOptOut) else reply


def _heard(known: Piece, pair: Pair, now: datetime, *, opted_out: bool) -> Heard:
    return Heard(
        pair=pair,
        account=known.account,
        client_id=known.client_id,
        text=known.body or "",
        message_id=known.message_id,
        at=now,
        opted_out=opted_out,
        silent=False,
    )


def _as_then(met: Circumstances, known: Piece) -> Circumstances:
    """Without the questions that were asked after the text had come."""
    asked = tuple(one for one in met.questions if one.asked_at <= known.created_at)
    scored = met.scored if met.scored is None or met.scored.asked_at <= known.created_at else None
    return replace(met, questions=asked, scored=scored)


def _chosen(reply: object, choice: Choice) -> Reading:
    readings: Sequence[Reading] = reply.readings if isinstance(reply, Doubtful) else ()
    fitting = [one for one in readings if meaning(one) == choice.meaning]
    if choice.score is not None:
        fitting = [one for one in fitting if isinstance(one, Scores) and one.score == choice.score]
    if choice.keyword is not None:
        fitting = [one for one in fitting if isinstance(one, Keywords) and choice.keyword in one.keys]
    if len(fitting) == 1:
        return fitting[0]
    if not readings:
        raise Refused("what it might have answered is answered or over by now; mark it as read, and act by hand")
    ways = ", ".join(dict.fromkeys(_told(one) for one in readings))
    raise Refused(
        f"it cannot be read as {_asked(choice)} {'alone' if fitting else ''}; allowed: {ways}".replace(" ;", ";")
    )


def _told(one: Reading) -> str:
    return f"score {one.score}" if isinstance(one, Scores) else meaning(one)


def _asked(choice: Choice) -> str:
    return f"{choice.meaning} {choice.score}" if choice.score is not None else choice.meaning


async def _act(tx: db.Connection, books: Rulebooks, book: Rulebook, heard: Heard, reading: Reading) -> Done:
    if isinstance(reading, Declines):
        _, kind, record_id = reading.question.record
        text = f"The client answered no to the question about this {kind}: {heard.text[:200]!r}"
        cause, of = Cause(None, None, None, None), f"m-{heard.message_id} declines"
        made = command(heard.pair.studio, f"{kind}/{record_id}", "add_note", {"text": text}, cause=cause, of=of)
        await commands.enqueue(tx, [made])
        return Done()
    return await understanding.act(tx, books, book, heard, reading)
