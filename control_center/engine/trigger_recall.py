"""A trigger that is made manual: what it let go by itself and is in the queue yet is shown for review, too."""

from __future__ import annotations

from typing import Final

import structlog

from control_center.domain.message import State
from control_center.domain.trigger import Trigger
from control_center.engine import reports
from control_center.engine.reports import Step
from control_center.engine.trigger_changes import Edit
from control_center.store import db, waiting

log = structlog.get_logger(__name__)

WHY: Final = "manual: its trigger waits for a person by now"


async def recall(tx: db.Connection, studio: str, edit: Edit, after: Trigger) -> None:
    """End what is in the queue, before the records are swept: an action of which nothing left is planned anew then."""
    was = edit.before.trigger if edit.before is not None else after
    if edit.pending != "follow" or not was.processing.automatic or after.processing.automatic:
        return
    ended = await waiting.recall(tx, studio, after.trigger_id, WHY)
    await reports.tell(tx, [Step(studio, message_id, State.CANCELLED) for message_id in ended])
    for message_id in ended:
        log.info("message.cancelled", studio=studio, message=f"m-{message_id}", trigger=after.name, reason=WHY)
