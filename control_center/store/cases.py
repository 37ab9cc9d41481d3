"""A message with everything that deciding on it and writing its words needs, as committed now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from control_center.domain.consent import Purpose, Said, Standing, standing
from control_center.domain.message import Origin
from control_center.domain.record import Facts, Picture
from control_center.domain.studio import Studio
from control_center.domain.telling import About, Enrolment
from control_center.domain.words import Words
from control_center.store.db import Connection
from control_center.store.messages import Claimed
from control_center.store.studios import get as get_studios


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that deciding on a claimed message and writing its words needs, as committed now.

    One that no trigger made has neither trigger nor action, and its `written` words already.
    """

    studio: Studio
    message_id: int
    token: int
    origin: Origin
    purpose: str
    channel: str
    address: str
    sender: str
    recipient: str
    trigger_id: int | None
    occurrence: str
    released_by: str | None
    action_id: int | None
    event_id: str | None
    activation_at: datetime | None
    use_by: datetime
    asked: int
    tries: int
    claims: int
    record: Picture | None
    client: Picture | None
    consent: Standing
    nonce: UUID
    written: Words | None
    about: About


# Message by message along the keys; OFFSET 0 keeps the planner from joining the tables.
_GATHERED = """
SELECT messages.studio_id, messages.message_id, lease_token, channel, address, sender, recipient, messages.trigger_id,
       occurrence, released_by, messages.action_id, actions.event_id, messages.use_by, asked, tries, claims,
       (SELECT says FROM consents
         WHERE consents.studio_id = messages.studio_id AND consents.channel = messages.channel
           AND consents.address = lower(messages.address) AND consents.purpose = 'all'
         ORDER BY consent_id DESC LIMIT 1),
       messages.kind, messages.record_id, record.version, record.body, record.client_id, record.deleted,
       record.first_version, record.first_facts, record.known_since,
       messages.client_id, client.version, client.body, client.deleted, messages.nonce, messages.trigger_version,
       (SELECT name FROM triggers WHERE triggers.studio_id = messages.studio_id
           AND triggers.trigger_id = messages.trigger_id), messages.enrols, origin, messages.purpose,
       (SELECT says FROM consents
         WHERE consents.studio_id = messages.studio_id AND consents.channel = messages.channel
           AND consents.address = lower(messages.address) AND consents.purpose = 'marketing'
         ORDER BY consent_id DESC LIMIT 1),
       messages.subject, CASE WHEN origin <> 'trigger' THEN messages.body END, messages.html, actions.activation_at
  FROM unnest($1::text[], $2::bigint[]) AS wanted (studio_id, message_id)
 CROSS JOIN LATERAL (
       SELECT * FROM messages
        WHERE messages.studio_id = wanted.studio_id AND messages.message_id = wanted.message_id OFFSET 0) AS messages
  LEFT JOIN LATERAL (
       SELECT * FROM actions
        WHERE actions.studio_id = messages.studio_id AND actions.action_id = messages.action_id OFFSET 0)
       AS actions ON true
  LEFT JOIN LATERAL (
       SELECT * FROM records
        WHERE records.studio_id = messages.studio_id AND records.kind = messages.kind
          AND records.record_id = messages.record_id OFFSET 0) AS record ON true
  LEFT JOIN LATERAL (
       SELECT * FROM records
        WHERE records.studio_id = messages.studio_id AND records.kind = 'client'
          AND records.record_id = messages.client_id OFFSET 0) AS client ON true"""
GATHER = f"{_GATHERED}\n WHERE messages.state = 'claimed' AND lease_owner = $3"
GATHER_UNKNOWN = f"{_GATHERED}\n WHERE messages.state = 'unknown'"


async def gather(tx: Connection, claimed: Sequence[Claimed], owner: UUID) -> list[Case]:
    """The cases of these messages, as far as they are still claimed by us."""
    if not claimed:
        return []
    ids = ([one.studio for one in claimed], [one.message_id for one in claimed])
    studios = await get_studios(tx, ids[0])
    rows = await tx.fetch(GATHER, *ids, owner)
    return [_case(row, studios) for row in rows if row[0] in studios]


async def of_unknown(tx: Connection, studio: str, message_id: int) -> Case | None:
    """The case of a message that may have been taken, as everything is now; None where it is settled."""
    studios = await get_studios(tx, [studio])
    row = await tx.fetchrow(GATHER_UNKNOWN, [studio], [message_id])
    return _case(row, studios) if row is not None and studio in studios else None


def _consent(everything: str | None, marketing: str | None) -> Standing:
    newest = ((Purpose.ALL, everything), (Purpose.MARKETING, marketing))
    return standing({purpose: Said(says) for purpose, says in newest if says is not None})


def _case(row: Any, studios: dict[str, Studio]) -> Case:
    studio, kind, record_id, client_id = row[0], row[17], row[18], row[26]
    record = client = None
    if row[19] is not None:
        facts = row[24] and Facts.from_json(row[24])
        record = Picture(studio, kind, record_id, row[19], row[20], row[21], row[22], row[23], facts, row[25])
    if row[27] is not None:
        client = Picture(studio, "client", client_id, row[27], row[28], None, row[29], row[27], None, None)
    return Case(
        studio=studios[studio],
        message_id=row[1],
        token=row[2],
        origin=Origin(row[34]),
        purpose=row[35],
        channel=row[3],
        address=row[4],
        sender=row[5],
        recipient=row[6],
        trigger_id=row[7],
        occurrence=row[8] or "",
        released_by=row[9],
        action_id=row[10],
        event_id=row[11],
        activation_at=row[40],
        use_by=row[12],
        asked=row[13],
        tries=row[14],
        claims=row[15],
        record=record,
        client=client,
        consent=_consent(row[16], row[36]),
        nonce=row[30],
        written=None if row[38] is None else Words(row[38], row[37], row[39]),
        about=About(
            studio=studio,
            message_id=row[1],
            channel=row[3],
            address=row[4],
            kind=kind,
            record_id=record_id,
            client_id=client_id,
            action_id=row[10],
            event_id=row[11],
            trigger=row[32],
            trigger_version=row[31],
            enrols=Enrolment.of(row[33]),
        ),
    )
