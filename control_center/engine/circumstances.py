"""What a text has to be read with: the questions that are open with whoever wrote it, and what they said before."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from control_center.domain import answered
from control_center.domain.inbound import Inbound
from control_center.domain.reply import Asked as Kind
from control_center.domain.reply import Circumstances, Question, Reply, Standing
from control_center.store import consents, conversations, db, records
from control_center.store.conversations import Asked, Pair
from control_center.store.rulebooks import Rulebook

OVER_FOR: Final = timedelta(days=7)  # after its date: how old a question may be that a yes is late for
ASKED_WITHIN: Final = max(answered.LASTS.values())


async def circumstances(
    tx: db.Connection, pair: Pair, inbound: Inbound, book: Rulebook, now: datetime
) -> tuple[Circumstances, dict[int, Asked]]:
    """What a text has to be read with, and the questions by their message."""
    found = await conversations.asked(tx, pair, now - ASKED_WITHIN)
    pictures = await records.get(tx, {(pair.studio, one.kind, one.record_id) for one in found}) if found else {}
    questions = []
    scored = None
    for one in found:
        kind, key = Kind(one.question), (pair.studio, one.kind, one.record_id)
        picture, zone = pictures.get(key), book.studio.timezone
        closed = bool({"confirmed", "scored", "void"}.intersection(one.answered))
        closed = closed or (kind is Kind.NPS and answered.rated(picture, one.asked_at, zone))
        where = answered.standing(kind, picture, one.date, zone, now, answered=closed)
        question = Question(kind, one.message_id, key, one.asked_at, one.asked_at + answered.LASTS[kind], where)
        if kind is Kind.NPS and "scored" in one.answered and scored is None:
            late = one.answered_at is None or now > one.answered_at + answered.COMMENT_LASTS
            scored = None if late or "commented" in one.answered else question
        if (
            where is not Standing.ANSWERED
            and now < question.expires_at
            and not (where is Standing.OVER and now > one.asked_at + OVER_FOR)
        ):
            questions.append(question)
    said = await consents.standings(tx, [(pair.studio, pair.channel, pair.theirs)])
    opted_out = any(one.stopped for one in said.values())
    met = Circumstances(now, tuple(questions), book.rules.keywords, opted_out, scored, inbound.answered)
    return met, {one.message_id: one for one in found}


def answered_by(reply: Reply, asked: dict[int, Asked]) -> Asked | None:
    """The question that a reply answers, where it does."""
    question = getattr(reply, "question", None)
    return asked.get(question.message_id) if isinstance(question, Question) else None
