"""Bulks as people and the API see them: the list, one with its progress, and who is on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from control_center.domain.bulk import State, Turn
from control_center.domain.second_person import needed
from control_center.store import bulk_approvals, studios
from control_center.store.bulks import COLUMNS, of_row
from control_center.store.bulks import Bulk as Stored
from control_center.store.db import Connection
from control_center.store.pages import Page, after, page


class Progress(msgspec.Struct, frozen=True):
    """How many of the list stand how; of those released, how many of their messages are in which state."""

    listed: int
    unticked: int
    barred: int
    released: int
    failed: int
    expired: int
    cancelled: int
    messages: dict[str, int]


class ListedBulk(msgspec.Struct, frozen=True):
    """A bulk. `reason` is what it waits for; nothing goes out before a person has let it go (`released_by`)."""

    id: str
    name: str
    state: str
    channel: str
    purpose: str
    audience: dict[str, Any]
    template: str
    sender: str
    start_at: datetime | None
    use_by: datetime | None
    reason: str
    made_by: str
    made_at: datetime
    released_by: str | None
    ended_at: datetime | None

    @property
    def number(self) -> int:
        return int(self.id.removeprefix("b-"))


class Approval(msgspec.Struct, frozen=True):
    """What a second person has to say of a bulk, where its studio wants one `above` so many people.

    While it is `needed`, `seen` names what there is to review; whoever approves it gives that back. Who made or changed
    it only asks for it: to begin at `asked_for`, or (null) once it is approved.
    """

    above: int | None
    needed: bool
    seen: str | None
    asked_by: str | None
    asked_at: datetime | None
    asked_for: datetime | None
    approved_by: str | None
    approved_at: datetime | None


class Bulk(ListedBulk, frozen=True, kw_only=True):
    """A bulk with its frozen words and its progress."""

    words: dict[str, Any]
    progress: Progress
    changed_by: str | None
    approval: Approval


LIST = f"""
SELECT {COLUMNS} FROM bulks
 WHERE studio_id = $1 AND ($2::bigint IS NULL OR bulk_id < $2)
   AND ($3::text[] IS NULL OR state = ANY ($3))
 ORDER BY bulk_id DESC LIMIT $4"""


async def bulks(
    tx: Connection, studio: str, *, states: Sequence[str] | None = None, cursor: str | None = None, limit: int = 50
) -> Page[ListedBulk]:
    """A page of a studio's bulks, newest first. Raises Malformed for a cursor that is none."""
    before = after(cursor, tuple[int])
    rows = await tx.fetch(LIST, studio, before and before[0], None if states is None else list(states), limit + 1)
    return page([ListedBulk(**_head(row)) for row in rows], limit, lambda one: [one.number])


ONE = f"SELECT {COLUMNS} FROM bulks WHERE studio_id = $1 AND bulk_id = $2"

# Counted along the list's key and along the index of its messages: looked up one by one, a long list took seconds.
PROGRESS = """
SELECT true, state, count(*) FROM bulk_recipients WHERE studio_id = $1 AND bulk_id = $2 GROUP BY state
 UNION ALL
SELECT false, state, count(*) FROM messages WHERE studio_id = $1 AND bulk_id = $2 GROUP BY state"""


async def bulk(tx: Connection, studio: str, bulk_id: int) -> Bulk | None:
    """One bulk with its progress; None where there is none."""
    row = await tx.fetchrow(ONE, studio, bulk_id)
    if row is None:
        return None
    turns = {turn.value: 0 for turn in Turn}
    fates: dict[str, int] = {}
    for of_the_list, state, number in await tx.fetch(PROGRESS, studio, bulk_id):
        (turns if of_the_list else fates)[state] = number
    progress = Progress(**turns, messages=dict(sorted(fates.items())))
    one = of_row(row)
    approval = await _approval(tx, one)
    return Bulk(**_head(row), words=one.words, progress=progress, changed_by=one.changed_by, approval=approval)


async def _approval(tx: Connection, one: Stored) -> Approval:
    """What there is to review is named while somebody may: the list may be long."""
    above = seen = None
    if one.state is State.REVIEW:
        house = (await studios.get(tx, [one.studio])).get(one.studio)
        above = house.second_person_above if house is not None else None
    if above is not None:
        reviewed = await bulk_approvals.to_review(tx, one)
        seen = reviewed.code if needed(above, reviewed.listed) else None
    return Approval(
        above=above,
        needed=seen is not None,
        seen=seen,
        asked_by=one.asked_by,
        asked_at=one.asked_at,
        asked_for=one.asked_for,
        approved_by=one.approved_by,
        approved_at=one.approved_at,
    )


class Listed(msgspec.Struct, frozen=True):
    """Somebody on the list of a bulk. `reason` says why they get nothing, where they do not."""

    no: int
    state: str
    name: str
    to: str | None
    record: str
    client: str
    message: str | None
    reason: str


RECIPIENTS = """
SELECT recipient_id, state, name, address, kind, record_id, client_id, message_id, reason FROM bulk_recipients
 WHERE studio_id = $1 AND bulk_id = $2 AND recipient_id > $3 AND ($4::text[] IS NULL OR state = ANY ($4))
 ORDER BY recipient_id LIMIT $5"""


async def recipients(
    tx: Connection,
    studio: str,
    bulk_id: int,
    *,
    states: Sequence[str] | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Listed]:
    """A page of a list, by number. Raises Malformed for a cursor that is none."""
    behind = after(cursor, tuple[int])
    wanted = None if states is None else list(states)
    rows = await tx.fetch(RECIPIENTS, studio, bulk_id, behind[0] if behind else 0, wanted, limit + 1)
    found = [
        Listed(
            no=row[0],
            state=row[1],
            name=row[2],
            to=row[3],
            record=f"{row[4]}/{row[5]}",
            client=row[6],
            message=None if row[7] is None else f"m-{row[7]}",
            reason=row[8],
        )
        for row in rows
    ]
    return page(found, limit, lambda one: [one.no])


def _head(row: Any) -> dict[str, Any]:
    one = of_row(row)
    return {
        "id": f"b-{one.bulk_id}",
        "name": one.name,
        "state": one.state.value,
        "channel": one.channel,
        "purpose": one.purpose,
        "audience": one.audience.said(),
        "template": one.template,
        "sender": one.sender,
        "start_at": one.start_at,
        "use_by": one.use_by,
        "reason": one.reason,
        "made_by": one.made_by,
        "made_at": one.made_at,
        "released_by": one.released_by,
        "ended_at": one.ended_at,
    }
