"""Bytes from the CRM become an Event, or are refused with the field and the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec

from control_center.domain.catalogue import RECORD_KINDS
from control_center.domain.errors import Malformed
from control_center.domain.event_json import check_name, check_readable, check_record, decode_json, refuse_nul
from control_center.domain.record import Facts, Picture, Record, check_moment, facts_of, read, with_entry
from control_center.domain.studio_catalog import Catalog, understand

EVENT_LIMIT = 256 * 1024  # bytes of one event
SNAPSHOT_LIMIT = 8 * 1024 * 1024  # bytes of a snapshot


class Verb(Enum):
    CREATED = "created"
    UPDATED = "updated"
    STATUS_CHANGED = "status_changed"
    DELETED = "deleted"
    SNAPSHOT = "snapshot"
    CATALOG = "catalog"


@dataclass(frozen=True, slots=True)
class Event:
    """One understood event: who it is about, and the versions of records it shows.

    `source` and `event_id` together are its identity. `seen` holds one Picture for each record or client in it,
    each as that version alone would give it. `caused_by` is the id of our command that the CRM answers. `catalog` is
    what a `crm.catalog` event tells of the studio; such an event shows no records. `number` is its place among the
    events of its source, where that one counts them without a gap.
    """

    studio: str
    source: str
    event_id: str
    type: str
    verb: Verb
    subject: str
    time: datetime
    body: str
    seen: tuple[Picture, ...]
    caused_by: str | None = None
    catalog: Catalog | None = None
    number: int | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.studio, self.source, self.event_id)


_ABSENT = msgspec.Raw()


class _Data(msgspec.Struct):
    record: msgspec.Raw = _ABSENT
    client: msgspec.Raw = _ABSENT
    clients: tuple[msgspec.Raw, ...] | None = None
    records: tuple[msgspec.Raw, ...] | None = None

    @property
    def is_list(self) -> bool:
        """Whether this is a snapshot's list, which may be empty, or the shape of a single event."""
        return self.clients is not None or self.records is not None


class _Envelope(msgspec.Struct, rename={"event_id": "id", "event_type": "type"}):
    specversion: str
    event_id: str
    source: str
    event_type: str
    time: str
    studio: str
    data: _Data
    subject: str = ""
    causedby: str | None = None
    sequence: Any = None
    sequencetype: Any = None


class _CatalogEnvelope(msgspec.Struct):
    data: dict[str, Any]


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_CATALOG = msgspec.json.Decoder(_CatalogEnvelope)
_RECORD = msgspec.json.Decoder(Record)
_ANYTHING = msgspec.json.Decoder()
_DIGITS = re.compile(r"[0-9]{1,18}")


def decode(body: bytes) -> Event:
    """Understand one CloudEvent of contract part 3.

    Raises Malformed with the field, such as `data.record.version`, and what is allowed there.
    """
    if len(body) > EVENT_LIMIT:
        _check_size(body)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Malformed("", f"not UTF-8: {error.reason} at byte {error.start}") from None
    envelope = decode_json(_ENVELOPE, body, "")
    refuse_nul(body)
    kind, verb = _type(envelope.event_type)
    if verb is not Verb.SNAPSHOT and len(body) > EVENT_LIMIT:
        raise _too_large(body)
    if envelope.specversion != "1.0":
        raise Malformed("specversion", f"{envelope.specversion[:20]!r}; allowed is '1.0'")
    subject = envelope.subject or _subject_of(verb, envelope.data)
    names = {"id": envelope.event_id, "source": envelope.source, "subject": subject, "studio": envelope.studio}
    for name, value in names.items():
        check_name(name, value)
    reader = _Reader(envelope.studio, _instant("time", envelope.time), verb)
    seen: tuple[Picture, ...] = ()
    if verb is Verb.SNAPSHOT and envelope.data.is_list:
        seen = reader.snapshot(envelope.data)
    elif verb is not Verb.CATALOG:
        seen = reader.single(envelope.data, kind, subject)
    return Event(
        studio=envelope.studio,
        source=envelope.source,
        event_id=envelope.event_id,
        type=envelope.event_type,
        verb=verb,
        subject=subject,
        time=reader.time,
        body=text,
        seen=seen,
        caused_by=envelope.causedby,
        catalog=understand(decode_json(_CATALOG, body, "").data) if verb is Verb.CATALOG else None,
        number=None if envelope.sequencetype is None else _number(envelope),
    )


def _number(envelope: _Envelope) -> int | None:
    """CloudEvents' extension `sequence`; only with the type `Integer` does it promise to leave no number out."""
    text = str(envelope.sequence)
    if envelope.sequencetype != "Integer" or not _DIGITS.fullmatch(text):
        return None  # extensions are the sender's own affair: one that says nothing to us spoils no event
    return int(text)


def _subject_of(verb: Verb, data: _Data) -> str:
    """The subject of an event that names none: what is about no single record need not."""
    return verb.value if verb is Verb.CATALOG or (verb is Verb.SNAPSHOT and data.is_list) else ""


def says_the_same(one: str, other: str) -> bool:
    """Whether two bodies, each of an event understood, say the same: blanks and the order of keys mean nothing."""
    return one == other or bool(_ANYTHING.decode(one) == _ANYTHING.decode(other))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the records of one event; what they have in common is held here."""

    studio: str
    time: datetime
    verb: Verb

    def single(self, data: _Data, kind: str | None, subject: str) -> tuple[Picture, ...]:
        """Pictures of one record with its client, or of one client."""
        about_client = kind == "client" or (kind is None and _absent(data.record))
        if about_client:
            if _absent(data.client):
                raise Malformed("data.client", "missing; an event about a client carries it here")
            client = self.picture(data.client, "data.client", "client", self.verb)
            _check_subject(subject, client)
            return (client,)
        if _absent(data.record):
            raise Malformed("data.record", f"missing; an event about a {kind} carries it here")
        record = self.picture(data.record, "data.record", kind, self.verb)
        _check_subject(subject, record)
        if _absent(data.client):
            return (record,)
        # A client inside another record's event is never news of its creation.
        client = self.picture(data.client, "data.client", "client", Verb.UPDATED)
        if record.client_id != client.record_id:
            raise Malformed("data.client.id", f"{client.record_id!r} is not data.record.client_id {record.client_id!r}")
        return (client, record)

    def snapshot(self, data: _Data) -> tuple[Picture, ...]:
        """Pictures of all clients and records of a snapshot's list."""
        clients, records = enumerate(data.clients or ()), enumerate(data.records or ())
        return (
            *(self.picture(raw, f"data.clients[{n}]", "client", self.verb) for n, raw in clients),
            *(self.picture(raw, f"data.records[{n}]", None, self.verb) for n, raw in records),
        )

    def picture(self, raw: msgspec.Raw, field: str, kind: str | None, verb: Verb) -> Picture:
        """One version of one record, as it alone would be known. Raises Malformed."""
        record = decode_json(_RECORD, raw, field)
        check_readable(bytes(raw), field)
        if kind == "client":
            found = "client"
        elif record.kind not in _KINDS:
            given = "missing, or 'client'" if record.kind == "client" else repr(record.kind[:40])
            raise Malformed(f"{field}.kind", f"{given}; allowed: {', '.join(sorted(_KINDS))}")
        elif kind is not None and record.kind != kind:
            raise Malformed(f"{field}.kind", f"{record.kind[:40]!r} does not fit the type crm.{kind}.*")
        else:
            found = record.kind
        check_record(record, field)
        body = bytes(raw).decode()
        if record.status is not None and record.status_changed_at is None and verb in _ENTERING:
            # Whoever enters a status enters it at some time; where the CRM does not say when, when it told us.
            body = with_entry(body, self.time.isoformat())
            record = read(body)
        created = verb is Verb.CREATED
        return Picture(
            studio=self.studio,
            kind=found,
            record_id=record.record_id,
            version=record.version,
            body=body,
            client_id=None if found == "client" else record.client_id,
            deleted=verb is Verb.DELETED,
            first_version=record.version,
            first_facts=None if created else _facts_before(record, verb),
            known_since=None if created else self.time,
        )


def _facts_before(record: Record, verb: Verb) -> Facts:
    """What the record already was; the status change that an event reports is news, not history."""
    facts = facts_of(record)
    if verb is Verb.STATUS_CHANGED:
        return msgspec.structs.replace(facts, status=None, status_changed_at=None)
    return facts


_ENTERING = (Verb.CREATED, Verb.STATUS_CHANGED)
_KINDS = RECORD_KINDS - {"client"}  # what may stand in `record`; a client stands beside it


def _check_size(body: bytes) -> None:
    """Refuse what is too large even to look into."""
    if len(body) > SNAPSHOT_LIMIT or b"crm.snapshot" not in body:
        raise _too_large(body)


def _too_large(body: bytes) -> Malformed:
    return Malformed("", f"{len(body)} bytes; an event may have {EVENT_LIMIT}, a snapshot {SNAPSHOT_LIMIT}")


def _absent(raw: msgspec.Raw) -> bool:
    return bytes(raw) in (b"", b"null")


def _type(text: str) -> tuple[str | None, Verb]:
    """`crm.session.updated` -> ("session", UPDATED); `crm.snapshot` -> (None, SNAPSHOT)."""
    if text in _WHOLE:
        return None, _WHOLE[text]
    match text.split("."):
        case ["crm", kind, verb] if kind in RECORD_KINDS and verb in _VERBS:
            return kind, _VERBS[verb]
        case _:
            raise Malformed(
                "type",
                f"{text[:60]!r}; allowed: crm.<kind>.<verb> with verb {'|'.join(_VERBS)}, or {' or '.join(_WHOLE)}",
            )


_WHOLE = {f"crm.{verb.value}": verb for verb in (Verb.SNAPSHOT, Verb.CATALOG)}  # of the studio, not of one record
_VERBS = {verb.value: verb for verb in Verb if verb not in _WHOLE.values()}


def _instant(field: str, text: str) -> datetime:
    check_moment(field, text)
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise Malformed(field, f"{text[:40]!r} has no offset; write 2026-11-21T16:04:05Z")
    return at


def _check_subject(subject: str, picture: Picture) -> None:
    expected = f"{picture.kind}/{picture.record_id}"
    if subject != expected:
        raise Malformed("subject", f"{subject[:60]!r} does not match the body, which is about {expected!r}")
