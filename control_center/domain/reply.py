"""What an incoming text is: the one place where replies are understood.

    opt-out, opt-in, help  ->  open confirmation  ->  open question for a score  ->  keywords  ->  plain

Each stage takes what it is certain of. What a stage can read, but not only so, goes to a person with its readings side
by side; a wrong doubt costs a look, a wrong certainty a client who is texted after STOP or not reminded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from control_center.domain import opt_out
from control_center.domain.inbound import Answered
from control_center.domain.keyword import spoken
from control_center.domain.reply_score import Perhaps, Score, score
from control_center.domain.reply_words import Said, heard
from control_center.domain.reply_yes import Answer, answer


class Asked(Enum):
    """What a message asked for."""

    CONFIRMATION = "confirmation"
    NPS = "nps"


class Standing(Enum):
    """What has become, since it was asked, of what a question is about."""

    OPEN = "open"
    MOVED = "moved"
    CANCELED = "canceled"
    OVER = "over"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Question:
    """A message of ours that waits for an answer. `record` is (studio, kind, id)."""

    kind: Asked
    message_id: int
    record: tuple[str, str, str]
    asked_at: datetime
    expires_at: datetime
    standing: Standing = Standing.OPEN


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a text has to be read with.

    `at` is when it came, `questions` all that its number was asked and has not answered, `waiting` the keys of keywords
    that triggers of the studio wait for. `scored` is a question that was answered with a score within a day, so that
    the text may be the comment. `answered` is what the provider took the text for.
    """

    at: datetime
    questions: tuple[Question, ...] = ()
    waiting: frozenset[str] = frozenset()
    opted_out: bool = False
    scored: Question | None = None
    answered: Answered | None = None


# Outcomes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OptOut:
    """Nothing more is texted to the number. With `appointment` the client may have meant that: the studio is told."""

    said: str
    appointment: bool = False


@dataclass(frozen=True, slots=True)
class MayBeOptOut:
    """Nothing automatic is texted until a person has looked. `words` are those that may mean it."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OptIn:
    """The number may be texted again."""


@dataclass(frozen=True, slots=True)
class Help:
    """Who we are and how to stop is answered, unless the provider has."""


@dataclass(frozen=True, slots=True)
class Confirms:
    """A YES to a question. `beside` are the other confirmations that were waiting, and are not meant by it."""

    question: Question
    beside: tuple[Question, ...] = ()

    @property
    def note(self) -> str:
        """What the history says besides; nothing where only one was waiting."""
        others = ", ".join(f"{one.record[1]} {one.record[2]} ({one.standing.value})" for one in self.beside)
        return f"also asked about, and not confirmed by this: {others}" if others else ""


@dataclass(frozen=True, slots=True)
class ConfirmsNothing:
    """A YES to what is no longer so; the front desk is told why it confirms nothing: MOVED, CANCELED or OVER."""

    question: Question
    why: Standing


@dataclass(frozen=True, slots=True)
class Scores:
    """A score from 0 to 10, and what was said beside it."""

    question: Question
    score: int
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Comments:
    """The comment to a score that came before."""

    question: Question


@dataclass(frozen=True, slots=True)
class Keywords:
    """The keys, of those waited for, that the text says."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plain:
    """A text for people."""


@dataclass(frozen=True, slots=True)
class Declines:
    """A no to a question. Only ever a reading: what follows from a no is for a person to decide."""

    question: Question


Reading: TypeAlias = OptIn | Confirms | ConfirmsNothing | Scores | Comments | Keywords | Declines | Plain


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A text that can be read in several ways, likeliest first. None of them is acted on before a person chose."""

    readings: tuple[Reading, ...]


Reply: TypeAlias = (
    OptOut | MayBeOptOut | OptIn | Help | Confirms | ConfirmsNothing | Scores | Comments | Keywords | Doubtful | Plain
)


# Reading --------------------------------------------------------------------------------------------------


def interpret(text: str, met: Circumstances) -> Reply:
    """What a text is. Never raises, whatever the text."""
    said = heard(text)
    return _consent(said, text, met) or _answers(said, text, met)


def otherwise(text: str, met: Circumstances) -> Reply:
    """What a text is, now that a person has found it to be no opt-out: "yes, we will stop by at 3"."""
    return _answers(heard(text), text, met)


def _consent(said: Said, text: str, met: Circumstances) -> Reply | None:
    """Opt-out, opt-in and help; the first because it outranks all, the others because providers act on them, too."""
    gone = next(filter(None, map(opt_out.opts_out, dict.fromkeys((said.every, said.words, said.own)))), None)
    if gone is not None or met.answered is Answered.STOP:
        return OptOut(gone or " ".join(said.every), opt_out.cancels(said.every))
    may = opt_out.may_opt_out(said.own, text)
    if may:
        return MayBeOptOut(may)
    if opt_out.opts_in(said.words) or opt_out.opts_in(said.every) or _lifted(said, met):
        return OptIn()
    if opt_out.asks_for_help(said.words) or met.answered is Answered.HELP:
        return Help()
    return None


def _lifted(said: Said, met: Circumstances) -> bool:
    """Whether the provider's mark brings a number back.

    Some take every YES for it, whatever was asked: one that answers us, or that has nothing to lift, is no opt-in.
    """
    if met.answered is not Answered.START:
        return False
    return answer(said) is not Answer.YES or (met.opted_out and _confirmation(met) is None)


def _answers(said: Said, text: str, met: Circumstances) -> Reply:
    """An answer to what was asked, a keyword or a plain text."""
    agreed, asked = answer(said), _confirmation(met)
    found, rated = score(said.body), _rated(met)
    if agreed is Answer.YES and asked is not None:
        return asked
    if isinstance(found, Score) and rated is not None and (agreed is Answer.NEITHER or asked is None):
        return Scores(rated, found.score, found.comment)
    keys = tuple(key for key in spoken(text) if key in met.waiting)
    wishes = list(_wishes(said, agreed, met))
    if keys and not wishes and (keys[0] == spoken(text)[0] or len(said.every) == 1):
        return Keywords(keys)  # it is, as a whole, what a trigger asked for
    doubts = [*_agreements(agreed, asked), *_scores(found, rated), *wishes]
    return _unasked(doubts, _comments(said, found, met), keys, doubted=said.asks or isinstance(found, Perhaps))


def _unasked(doubts: list[Reading], comments: list[Reading], keys: tuple[str, ...], *, doubted: bool) -> Reply:
    """What no answer is certain of: a comment, a keyword or a plain text, or several of them.

    `doubted` is a comment that asks something or may correct the score: a person reads it.
    """
    readings = [*doubts, *comments, *([Keywords(keys)] if keys else [])]
    match readings:
        case []:
            return Plain()
        case [Keywords() as only]:
            return only
        case [Comments() as only] if not doubted:
            return only
        case _:
            return Doubtful((*readings, Plain()))


def _confirmation(met: Circumstances) -> Confirms | ConfirmsNothing | None:
    """What a YES does: it confirms what was asked last of what can still be, else it says why it confirms nothing."""
    waiting = _unanswered(met, Asked.CONFIRMATION)
    standings = [
        Standing.OVER if one.standing is Standing.OPEN and one.expires_at <= met.at else one.standing for one in waiting
    ]
    if not waiting:
        return None
    if Standing.OPEN not in standings:
        return ConfirmsNothing(waiting[0], standings[0])
    meant = waiting[standings.index(Standing.OPEN)]
    return Confirms(meant, tuple(one for one in waiting if one is not meant))


def _rated(met: Circumstances) -> Question | None:
    """The question for a score that was asked last. It outlives the date of its record, which mostly lies behind it."""
    return next((one for one in _unanswered(met, Asked.NPS) if one.expires_at > met.at), None)


def _unanswered(met: Circumstances, kind: Asked) -> list[Question]:
    waiting = [one for one in met.questions if one.kind is kind and one.standing is not Standing.ANSWERED]
    return sorted(waiting, key=lambda one: one.asked_at, reverse=True)


# Doubts ---------------------------------------------------------------------------------------------------


def _agreements(agreed: Answer, asked: Confirms | ConfirmsNothing | None) -> Iterator[Reading]:
    if asked is not None and agreed in {Answer.PERHAPS, Answer.EITHER}:
        yield asked
    if isinstance(asked, Confirms) and agreed in {Answer.PERHAPS_NO, Answer.EITHER}:
        yield Declines(asked.question)


def _scores(found: Score | Perhaps | None, rated: Question | None) -> Iterator[Reading]:
    if rated is None or found is None:
        return
    if isinstance(found, Score):
        yield Scores(rated, found.score, found.comment)
    else:
        yield from (Scores(rated, number) for number in found.scores)


def _wishes(said: Said, agreed: Answer, met: Circumstances) -> Iterator[Reading]:
    """A stopped number that seems to want texts again. Its YES, with nothing asked, may say so: a person asks."""
    if met.opted_out and (agreed is Answer.YES or opt_out.may_opt_in(said.words)):
        yield OptIn()


def _comments(said: Said, found: Score | Perhaps | None, met: Circumstances) -> list[Reading]:
    """The first score of a question counts: a second one is no comment to it, and neither is a tap or an emoji."""
    return [Comments(met.scored)] if met.scored and said.words and not isinstance(found, Score) else []
