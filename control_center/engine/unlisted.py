"""A number or address that a client has no more, or a record that has another client: what waits goes where it should.

The tick of a number is the leave to text it, and who has a number that was put down wrongly is a stranger; so is, to a
session, the client who had it before. So what the CRM says of it counts at once, as a STOP does; but nobody said
anything, and no line goes into the ledger of consents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec
import structlog

from control_center.domain.message import State
from control_center.domain.people import Recipient
from control_center.domain.reach import given_up, written_to
from control_center.domain.record import Picture
from control_center.domain.studio import Studio
from control_center.engine import consenting, reports
from control_center.engine.reports import Step
from control_center.engine.seen import Seen
from control_center.store import actions, db, records, waiting
from control_center.store.actions import Due
from control_center.store.waiting import Ended, Heir

log = structlog.get_logger(__name__)

WHY: Final[Mapping[str, str]] = {
    "sms": "changed: the client has this number no more, or it takes no texts",
    "email": "changed: the client has this address no more",
}
ANOTHERS: Final = "changed: it is another client's now"


@dataclass(slots=True)
class Withdrawn:
    """What ended with an address: messages, each with its studio and reason, and what became of their actions."""

    messages: list[tuple[str, int, str]] = field(default_factory=list)
    otherwise: list[tuple[Due, str]] = field(default_factory=list)


async def withdraw(
    tx: db.Connection, seen: Iterable[Seen], known: Mapping[str, Studio], now: datetime, done: Withdrawn
) -> None:
    """End what waits for addresses that these clients have no more, and for clients who have these records no more.

    Their pictures are stored by then.
    """
    for one in seen:
        before, picture = one.before, one.picture
        if before is None or picture is None or picture.deleted:
            continue  # what waits for a client who is gone, or for a record, is ended by the last check
        if picture.kind != "client":
            if before.client_id is not None and before.client_id != picture.client_id:
                heir = await _heir(tx, picture, known[picture.studio])
                ended = await waiting.hand_over(tx, picture.key, before.client_id, ANOTHERS, heir=heir)
                await _elsewhere(tx, picture.studio, ended, ANOTHERS, now=now, done=done)
            continue
        studio = known[picture.studio]
        lost = given_up(before.record, picture.record, studio.country, studio.countries)
        for channel, why in WHY.items():
            if addresses := sorted(address for its, address in lost if its == channel):
                ended = await waiting.withdraw(tx, picture.key, channel, addresses, why)
                await _elsewhere(tx, picture.studio, ended, why, now=now, done=done)


async def _heir(tx: db.Connection, picture: Picture, studio: Studio) -> Heir | None:
    """Whose a record is now, as far as anything was heard of them."""
    if picture.client_id is None:
        return None
    key = (picture.studio, "client", picture.client_id)
    client = (await records.get(tx, {key})).get(key)
    if client is None or client.deleted:
        return None
    recipient = Recipient("client", client.record.first_name or "", client.record.last_name or "")
    ways = written_to(client.record, studio.country, studio.countries)
    return Heir(picture.client_id, msgspec.json.encode(recipient).decode(), ways)


async def _elsewhere(
    tx: db.Connection, studio: str, ended: Sequence[Ended], why: str, *, now: datetime, done: Withdrawn
) -> None:
    """Tell the CRM of what ended, and let the actions that lost it go where their people are reached."""
    await reports.tell(tx, [Step(studio, message_id, State.CANCELLED) for message_id, _ in ended])
    done.messages += [(studio, message_id, why) for message_id, _ in ended]
    lost = sorted({action_id for _, action_id in ended if action_id is not None})
    if lost:
        due = [one for one in await actions.pick(tx, studio, lost) if one.action.released_at is not None]
        done.otherwise += await consenting.otherwise(tx, due, studio, why, now)


def tell(done: Withdrawn) -> None:
    """Log what a committed batch ended so."""
    for studio, message_id, why in done.messages:
        log.info("message.cancelled", studio=studio, message=f"m-{message_id}", reason=why)
    consenting.tell_otherwise(done.otherwise)
