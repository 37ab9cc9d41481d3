"""To whom somebody of the studio writes: found and checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from control_center.domain import number
from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.message import State
from control_center.domain.people import Recipient
from control_center.domain.reach import reach
from control_center.domain.record import Picture
from control_center.domain.studio import Studio
from control_center.domain.text_advice import Advice
from control_center.engine import senders
from control_center.store import db, desk, records
from control_center.store.desk import Piece

# What proves that a message was not taken, so that a person may write again in its place.
NOT_SENT: Final = frozenset(
    {State.FAILED, State.UNDELIVERED, State.CANCELLED, State.SUPPRESSED, State.EXPIRED, State.SHADOW}
)


@dataclass(frozen=True, slots=True)
class Letter:
    """What a person asks to be sent.

    To whom: `to`, a number or an address, or `client`, or the client of `record`; or `reply_to`, a message, whose
    address, client and number of ours are taken; or `again`, a message proven not sent, whose words are taken, too,
    where none are given. Without client and record it is free: it appears in nobody's history. What: `template`, or
    `text` with `subject` and `html` of an email.
    """

    channel: str | None = None
    to: str | None = None
    client: str | None = None
    record: tuple[str, str] | None = None
    reply_to: int | None = None
    again: int | None = None
    template: str | None = None
    text: str | None = None
    subject: str | None = None
    html: str | None = None
    user: str | None = None  # in whose name, where that is somebody else than who sends it


@dataclass(slots=True)
class Draft:
    """A letter with everything that was found out about it so far."""

    studio: Studio
    letter: Letter
    channel: str
    parent: Piece | None = None
    client: Picture | None = None
    record: Picture | None = None
    address: str = ""
    usual: str = ""  # what of ours this address knows
    purpose: str = "transactional"
    message_id: int = 0
    calendar: bool = False  # whether its record goes along for the recipient's calendar
    warnings: list[str] = field(default_factory=list)
    advice: list[Advice] = field(default_factory=list)  # about words that somebody typed
    sender: Mapping[str, str] = field(default_factory=dict)  # name and signature of the person who writes

    @property
    def client_id(self) -> str | None:
        return self.client.record_id if self.client is not None else None

    @property
    def ours(self) -> str:
        """The number or address of ours: the one that is answered, where there was one and it is still ours."""
        parent = self.parent
        if self.channel == "sms" and parent is not None and parent.ours in self.studio.numbers:
            return parent.ours
        return self.usual

    @property
    def recipient(self) -> Recipient:
        if self.client is None:
            return Recipient("address")
        known = self.client.record
        return Recipient("client", known.first_name or "", known.last_name or "")


async def addressed(tx: db.Connection, studio: Studio, letter: Letter) -> Draft:
    """Find out to whom a letter goes. Raises Malformed naming the field, NotFound, Refused."""
    if letter.reply_to is not None and letter.again is not None:
        raise Malformed("again", "a message is written instead of another, or in reply to one; not both")
    parent = await _parent(tx, studio.studio, letter)
    if parent is not None:
        letter = await _following(tx, studio.studio, letter, parent)
    channel = letter.channel or ("email" if letter.to is not None and "@" in letter.to else "sms")
    draft = Draft(studio, letter, channel, parent)
    draft.record, draft.client = await _pictures(tx, studio.studio, letter)
    draft.address = _address(draft)
    draft.usual = await senders.of(tx, studio, draft.address) if channel == "sms" else studio.email_sender
    if not draft.ours:
        raise Refused(f"this studio has no {'number' if channel == 'sms' else 'address'} to send from")
    return draft


async def _parent(tx: db.Connection, studio: str, letter: Letter) -> Piece | None:
    wanted = letter.reply_to if letter.reply_to is not None else letter.again
    if wanted is None:
        return None
    found = await desk.lock(tx, studio, wanted)
    if found is None:
        raise NotFound(f"there is no message m-{wanted}")
    state = State(found.state)
    if letter.again is not None and state not in NOT_SENT:
        why = "it may have been taken: resolve it first" if state is State.UNKNOWN else f"it is {state.value}"
        raise Refused(f"m-{wanted} is not written again: {why}")
    if letter.again is not None and (child := await desk.replaced_by(tx, studio, wanted)) is not None:
        raise Refused(f"m-{child} was written instead of m-{wanted} already")
    return found


async def _following(tx: db.Connection, studio: str, letter: Letter, parent: Piece) -> Letter:
    """The letter with what it leaves to the message that it follows: whose that was, as far as there are such still."""
    own = letter.client is not None or letter.record is not None
    keys = {
        "record": (studio, *parent.record) if parent.record is not None else None,
        "client": (studio, "client", parent.client_id) if parent.client_id is not None else None,
    }
    found = await records.get(tx, [key for key in keys.values() if key is not None])
    there = {name for name, key in keys.items() if key in found and not found[key].deleted}
    return replace(
        letter,
        channel=letter.channel or parent.channel,
        to=letter.to or parent.address,
        client=parent.client_id if not own and "client" in there else letter.client,
        record=parent.record if not own and "record" in there else letter.record,
    )


async def _pictures(tx: db.Connection, studio: str, letter: Letter) -> tuple[Picture | None, Picture | None]:
    """The record that it is about, and its client."""
    record = client = None
    if letter.record is not None:
        record = await _picture(tx, (studio, *letter.record), "record")
    client_id = letter.client
    if record is not None:
        of_record = record.record_id if record.kind == "client" else record.client_id
        if client_id is not None and of_record is not None and of_record != client_id:
            raise Malformed("client", f"{client_id!r} is not the client of {'/'.join(letter.record or ())}")
        client_id = client_id or of_record
    if client_id is not None:
        client = await _picture(tx, (studio, "client", client_id), "client")
    return record, client


async def _picture(tx: db.Connection, key: tuple[str, str, str], name: str) -> Picture:
    found = (await records.get(tx, [key])).get(key)
    if found is None or found.deleted:
        raise Malformed(name, f"there is no {key[1]} {key[2]!r}")
    return found


def _address(draft: Draft) -> str:
    """Where it goes, as messages spell it: as given, which of a client must be theirs, or the client's first."""
    letter, client, sms_wanted = draft.letter, draft.client, draft.channel == "sms"
    theirs = reach(client.record, draft.studio.country) if client is not None else ()
    fitting = [one for one in theirs if ("@" not in one) == sms_wanted]
    if letter.to is None:
        if client is None:
            raise Malformed("to", "is missing; give a number or an address, or a client")
        chosen = _first(client, draft) or (fitting[0] if fitting else None)
        if chosen is None:
            raise Malformed("to", f"client {client.record_id!r} has no {'number' if sms_wanted else 'address'}")
        return _usable(chosen, draft)
    found = _usable(letter.to, draft)
    if client is not None and draft.parent is None and found.lower() not in {one.lower() for one in theirs}:
        raise Malformed("to", f"{found} is none of client {client.record_id!r}; theirs: {', '.join(fitting) or 'none'}")
    return found


def _first(client: Picture, draft: Draft) -> str | None:
    """The client's first number that is ticked for texts, or their first address."""
    if draft.channel == "email":
        return next((one.address for one in client.record.emails or ()), None)
    return next((one.number for one in client.record.phones or () if one.sms), None)


def _usable(typed: str, draft: Draft) -> str:
    found = number.email(typed) if draft.channel == "email" else number.phone(typed, draft.studio.country)
    if isinstance(found, number.Unusable):
        raise Malformed("to", f"{typed[:60]!r}: {found.reason}")
    if isinstance(found, number.Phone):
        foreign = number.foreign(found.e164, draft.studio.country, draft.studio.countries)
        if foreign is not None:
            raise Malformed("to", foreign)
        if not found.valid:
            draft.warnings.append(f"{found.e164} is of the right length, but its country knows no such range")
        return found.e164
    return found
