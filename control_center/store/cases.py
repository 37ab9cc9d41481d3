"""A message with everything that deciding on it and writing its words needs, as committed now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from control_center.domain.arrival import of_client, of_number
from control_center.domain.consent import Purpose, Said, Standing, standing
from control_center.domain.message import BY_ITSELF, Origin
from control_center.domain.record import Facts, Picture
from control_center.domain.studio import Studio
from control_center.domain.telling import About, Enrolment
from control_center.domain.words import Words
from control_center.store import day_shares, firsts
from control_center.store.day_shares import Found, Taken
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
    slot_at: datetime | None = None  # the place that its number has kept for it
    bulk: str | None = None  # the state of the bulk that it is of
    first: bool = False  # the first text that goes to its number by itself, where its studio says how to stop in that
    calendar: bool = False  # one that was written before: its record goes along for the recipient's calendar
    shares: tuple[Taken, ...] = ()  # which others have taken of the days of its number and its client
    rivals: tuple[Found, ...] = ()  # what else reaches its client, where its studio keeps days calm
    riders: tuple[Case, ...] = ()  # … and whose words it might say, too

    @property
    def client_id(self) -> str | None:
        return self.about.client_id

    @property
    def keeps_calm(self) -> bool:
        """Whether it gives way to what is more important for its client that day."""
        marketing = self.origin is Origin.TRIGGER and self.purpose == Purpose.MARKETING
        return marketing and self.client_id is not None and self.studio.hours.calm_day != "off"

    @property
    def whose_days(self) -> dict[str, str]:
        """Whose days it takes a share of when it goes, and as which holder; what is no marketing takes none."""
        found = {}
        if self.channel == "sms" and self.purpose == Purpose.MARKETING and self.origin in BY_ITSELF:
            found[of_number(self.address)] = f"m-{self.message_id}"
        if self.keeps_calm and self.client_id is not None:
            found[of_client(self.client_id)] = f"a-{self.action_id}"
        return found


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
       messages.subject, CASE WHEN origin <> 'trigger' THEN messages.body END, messages.html, actions.activation_at,
       messages.slot_at,
       (SELECT state FROM bulks WHERE bulks.studio_id = messages.studio_id AND bulks.bulk_id = messages.bulk_id),
       messages.calendar
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
GATHER_RIDERS = f"{_GATHERED}\n WHERE messages.state IN ('queued', 'claimed', 'held')"
GATHER_UNKNOWN = f"{_GATHERED}\n WHERE messages.state = 'unknown'"


async def gather(tx: Connection, claimed: Sequence[Claimed], owner: UUID) -> list[Case]:
    """The cases of these messages, as far as they are still claimed by us."""
    if not claimed:
        return []
    ids = ([one.studio for one in claimed], [one.message_id for one in claimed])
    studios = await get_studios(tx, ids[0])
    rows = await tx.fetch(GATHER, *ids, owner)
    found = await _with_firsts(tx, [_case(row, studios) for row in rows if row[0] in studios])
    return await _with_days(tx, found)


async def of_unknown(tx: Connection, studio: str, message_id: int) -> Case | None:
    """The case of a message that may have been taken, as everything is now; None where it is settled."""
    studios = await get_studios(tx, [studio])
    row = await tx.fetchrow(GATHER_UNKNOWN, [studio], [message_id])
    if row is None or studio not in studios:
        return None
    return (await _with_days(tx, await _with_firsts(tx, [_case(row, studios)])))[0]


async def _with_firsts(tx: Connection, found: list[Case]) -> list[Case]:
    """The same cases, with what is said of itself by the first text to a number; asks nothing where no studio does."""
    wanted = {
        (one.studio.studio, one.address, one.message_id)
        for one in found
        if one.channel == "sms" and one.origin is Origin.TRIGGER and one.studio.sms_identify
    }
    if not wanted:
        return found
    had = await firsts.had(tx, sorted(wanted))
    first = {message_id for studio, address, message_id in wanted if (studio, address) not in had}
    return [replace(one, first=True) if one.message_id in first else one for one in found]


async def _with_days(tx: Connection, found: list[Case]) -> list[Case]:
    """The same cases, with what marketing among them has to know of the days that it would go on."""
    wanted = {one.message_id: one.whose_days for one in found if one.whose_days}
    if not wanted:
        return found
    asked = {(one.studio.studio, whom) for one in found for whom in wanted.get(one.message_id, {})}
    taken = await day_shares.taken(tx, asked)
    calm = [
        day_shares.Asked(one.studio.studio, one.message_id, one.action_id, one.client_id)
        for one in found
        if one.keeps_calm and one.action_id is not None and one.client_id is not None
    ]
    rivals = await day_shares.rivals(tx, calm)
    riders = await _riders(tx, found, rivals)
    return [
        replace(
            one,
            shares=tuple(
                share
                for whom, holder in wanted.get(one.message_id, {}).items()
                for share in taken.get((one.studio.studio, whom), ())
                if share.holder != holder
            ),
            rivals=tuple(rivals.get(one.message_id, ())),
            riders=tuple(riders[other.message_id] for other in _joining(one, rivals) if other.message_id in riders),
        )
        for one in found
    ]


async def _riders(tx: Connection, found: list[Case], rivals: dict[int, list[Found]]) -> dict[int, Case]:
    """The cases of what might be said in the texts of these, too; asks nothing where no studio merges."""
    ids = sorted({(one.studio.studio, other.message_id) for one in found for other in _joining(one, rivals)})
    if not ids:
        return {}
    studios = {one.studio.studio: one.studio for one in found}
    rows = await tx.fetch(GATHER_RIDERS, [studio for studio, _ in ids], [number for _, number in ids])
    return {row[1]: _case(row, studios) for row in rows}


def _joining(one: Case, rivals: dict[int, list[Found]]) -> list[Found]:
    """What may be said in its text, too: other marketing to the same number, which is none that must be kept apart."""
    if one.channel != "sms" or one.studio.hours.calm_day != "merge":
        return []
    return [other for other in rivals.get(one.message_id, ()) if other.joins and other.purpose == Purpose.MARKETING]


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
        slot_at=row[41],
        bulk=row[42],
        calendar=row[43],
    )
