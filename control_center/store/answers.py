"""What was answered to the questions that messages ask: a ledger, by which one is open or closed."""

from __future__ import annotations

from control_center.domain.errors import Conflict
from control_center.store.db import Connection

GIVE = """
INSERT INTO answers (studio_id, message_id, reply_id, meaning, words) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING"""


async def give(tx: Connection, studio: str, question: int, *, reply: int | None, meaning: str, words: str = "") -> None:
    """Write down that a question was answered, or is not open any more.

    Raises Conflict where somebody else has just given the one score, or the one comment, that a question takes.
    """
    if await tx.execute(GIVE, studio, question, reply, meaning, words) == "INSERT 0 0":
        raise Conflict("the question was answered in the same instant")
