"""What a bulk needs a second person for: that it was asked for, what there is to review, that it was approved."""

from __future__ import annotations

from datetime import datetime

from control_center.domain.second_person import Reviewed
from control_center.store.bulks import Bulk
from control_center.store.db import Connection

TO_REVIEW = """
SELECT count(*), encode(sha256(convert_to(
       coalesce(string_agg(recipient_id || ' ' || address, E'\\n' ORDER BY recipient_id), ''), 'UTF8')), 'hex')
  FROM bulk_recipients WHERE studio_id = $1 AND bulk_id = $2 AND state = 'listed'"""


async def to_review(tx: Connection, bulk: Bulk) -> Reviewed:
    """What there is to look at now, before a bulk goes."""
    listed, people = await tx.fetchrow(TO_REVIEW, bulk.studio, bulk.bulk_id)
    return Reviewed(f"{bulk.studio} b-{bulk.bulk_id}", people, listed, bulk.words, bulk.begins)


ASK = """
UPDATE bulks SET asked_by = $3, asked_at = $4, asked_for = $5, reason = $6
 WHERE studio_id = $1 AND bulk_id = $2 AND state = 'review'"""


async def ask(tx: Connection, bulk: Bulk, now: datetime, begins: datetime | None, *, by: str, reason: str) -> None:
    """Note that somebody wants a locked bulk to begin, who may not let it go alone. A later one replaces it."""
    await tx.execute(ASK, bulk.studio, bulk.bulk_id, by, now, begins, reason)


CHANGED = """
UPDATE bulks SET changed_by = $3, asked_by = NULL, asked_at = NULL, asked_for = NULL, reason = ''
 WHERE studio_id = $1 AND bulk_id = $2 AND state = 'review'"""


async def changed(tx: Connection, bulk: Bulk, *, by: str) -> None:
    """Somebody has changed the list of a locked bulk: what was asked for was another one."""
    await tx.execute(CHANGED, bulk.studio, bulk.bulk_id, by)


APPROVE = "UPDATE bulks SET approved_by = $3, approved_at = $4 WHERE studio_id = $1 AND bulk_id = $2"


async def approve(tx: Connection, bulk: Bulk, now: datetime, *, by: str) -> None:
    """Note who approved a locked bulk that has just been let go."""
    await tx.execute(APPROVE, bulk.studio, bulk.bulk_id, by, now)
