"""What a client answers counts at once: in our picture of the record, in what is planned by it, and to the CRM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control_center.domain import answered
from control_center.domain.command import Cause, command
from control_center.domain.errors import Conflict
from control_center.domain.record import Picture
from control_center.engine import lines
from control_center.engine.lines import RELEASE_CHANNEL
from control_center.engine.seen import Seen
from control_center.store import answers, commands, db, records, studios
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebooks


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to the question that a message asked; `reply` is the message it came in, None for a followed link."""

    question: int
    asked_at: datetime
    record: Key
    reply: int | None
    by: str
    at: datetime

    @property
    def subject(self) -> str:
        return f"{self.record[1]}/{self.record[2]}"


async def confirm(tx: db.Connection, books: Rulebooks, answer: Answer) -> None:
    """They will come: the record is confirmed from now on."""
    await _change(tx, books, answer, answered.confirmed)
    await answers.give(tx, answer.record[0], answer.question, reply=answer.reply, meaning="confirmed")
    await _tell(tx, answer, "confirm_record", {"by": answer.by, "at": answer.at})


async def score(tx: db.Connection, books: Rulebooks, answer: Answer, number: int, comment: str) -> None:
    """How likely they are to recommend us, from 0 to 10: the first who says so counts.

    Raises Conflict where another answer, by whatever way, has come first; read anew, this one finds no open question.
    """
    await _first(tx, answer)
    await _change(
        tx, books, answer, lambda picture: answered.scored(picture, answer.question, number, comment, answer.at)
    )
    await answers.give(
        tx, answer.record[0], answer.question, reply=answer.reply, meaning="scored", words=f"{number} {comment}".strip()
    )
    await _tell(tx, answer, "record_nps", {"score": number, "comment": comment, "at": answer.at})


async def comment(tx: db.Connection, books: Rulebooks, answer: Answer, words: str) -> None:
    """What they add to a score that they gave before. Raises Conflict where another comment has come first."""
    changed = await _change(tx, books, answer, lambda picture: answered.commented(picture, words))
    await answers.give(tx, answer.record[0], answer.question, reply=answer.reply, meaning="commented", words=words)
    nps = changed.record.nps if changed is not None else None
    if nps is not None:
        await _tell(tx, answer, "record_nps", {"score": nps.score, "comment": nps.comment, "at": answer.at})


async def void(tx: db.Connection, answer: Answer, why: str) -> None:
    """They said yes to what is not so any more: people are told, and nothing is confirmed."""
    await answers.give(tx, answer.record[0], answer.question, reply=answer.reply, meaning="void", words=why)


async def _first(tx: db.Connection, answer: Answer) -> None:
    """Keep others from scoring the record meanwhile. Raises Conflict where one has since this answer was read."""
    house = (await studios.share(tx, [answer.record[0]])).get(answer.record[0])
    picture = (await records.lock(tx, [answer.record])).get(answer.record)
    if house is not None and answered.rated(picture, answer.asked_at, house.timezone):
        raise Conflict(f"{answer.subject} was scored in the same instant")


async def _change(
    tx: db.Connection, books: Rulebooks, answer: Answer, change: Callable[[Picture], Picture | None]
) -> Picture | None:
    """Move our picture of the record, and bring its actions into line; None where there is no such record."""
    studio = answer.record[0]
    known = await studios.share(tx, [studio])
    before = await records.lock(tx, [answer.record])
    picture = before.get(answer.record)
    changed = change(picture) if picture is not None else None
    if changed is None or studio not in known:
        return None
    await records.save(tx, [changed], before)
    book = (await books.of(tx, known))[studio]
    lined = await lines.bring(tx, [Seen(picture, changed)], {studio: book.rules}, answer.at)
    if lined.due_now:
        await db.notify(tx, RELEASE_CHANNEL)
    return changed


async def _tell(tx: db.Connection, answer: Answer, verb: str, data: dict[str, Any]) -> None:
    # By one link come a score and, later, a comment to it: they are told apart by what they say.
    of = f"m-{answer.question} answered by {answer.reply or (answer.by, data.get('comment'))}"
    cause = Cause(None, None, None, None)
    await commands.enqueue(tx, [command(answer.record[0], answer.subject, verb, data, cause=cause, of=of)])
