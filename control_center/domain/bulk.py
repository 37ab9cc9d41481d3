"""A bulk: one message to everybody whom a filter finds, each at an address that is theirs and takes it.

review ──▶ scheduled ──▶ running ──▶ done
  │            │  ▲        │  ▲
  │            ▼  │        ▼  │
  │           paused ◀────────┘
  └──────▶ cancelled ◀── any of these
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from control_center.domain.catalogue import KINDS
from control_center.domain.catalogue_actions import Leg
from control_center.domain.errors import Refused
from control_center.domain.people import GONE, Circle, Recipient, named, ticked
from control_center.domain.record import Picture, as_mapping
from control_center.domain.table import Table, shown

PAUSED: Final = "paused: a person stopped its bulk"  # the reason of a message that a paused bulk holds
MOST: Final = 100_000  # rows of one list
LASTS: Final = timedelta(days=14)  # how long after its begin a bulk is of use, unless it says otherwise
MESSAGE_LASTS: Final = timedelta(days=2)  # of one message, from its release: a night and a closed day are less
_WORDS: Final = 50  # values that one filter may list
# Records that belong to a client, and have been there long enough for a list: an email or a text is neither.
AUDIENCES: Final = tuple(name for name in KINDS if name not in ("email", "sms"))


class State(Enum):
    """The states of a bulk; what each means stands beside the column in schema.sql."""

    REVIEW = "review"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


class Turn(Enum):
    """How somebody on the list stands; what each means stands beside the column in schema.sql."""

    LISTED = "listed"
    UNTICKED = "unticked"
    BARRED = "barred"
    RELEASED = "released"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


_FROM: Final[Mapping[str, frozenset[State]]] = {
    "changed": frozenset({State.REVIEW}),
    "started": frozenset({State.REVIEW}),
    "approved": frozenset({State.REVIEW}),
    "paused": frozenset({State.SCHEDULED, State.RUNNING}),
    "resumed": frozenset({State.PAUSED}),
    "cancelled": frozenset({State.REVIEW, State.SCHEDULED, State.RUNNING, State.PAUSED}),
}


def check(state: State, deed: str) -> None:
    """Raise Refused where a bulk in this state cannot be `changed`, `started`, or whatever else _FROM has."""
    if state not in _FROM[deed]:
        allowed = " or ".join(sorted(one.value for one in _FROM[deed]))
        raise Refused(f"this bulk is {state.value}; only one that is {allowed} can be {deed}")


@dataclass(frozen=True, slots=True)
class Audience:
    """Records of a kind whose status, type and own fields are among those given; their clients are written to.

    An empty list leaves nothing out. `fields` are those that the CRM sends beside the known ones, such as a group or
    tags: a text that is one of the values, or a list that has one of them.
    """

    kind: str
    statuses: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    fields: tuple[tuple[str, frozenset[str]], ...] = ()

    def said(self) -> dict[str, Any]:
        """As it is asked for; `parse` reads it back."""
        found: dict[str, Any] = {"record": self.kind}
        if self.statuses:
            found["status"] = sorted(self.statuses)
        if self.types:
            found["type"] = sorted(self.types)
        if self.fields:
            found["fields"] = {name: sorted(values) for name, values in self.fields}
        return found

    def has(self, picture: Picture) -> bool:
        """Whether a record is meant."""
        record = picture.record
        if picture.deleted or (self.statuses and record.status not in self.statuses):
            return False
        if self.types and record.type not in self.types:
            return False
        if not self.fields:
            return True
        body = as_mapping(picture.body)
        own = body.get("fields")
        beside = {**body, **(own if isinstance(own, dict) else {})}
        return all(not values.isdisjoint(_texts(beside.get(name))) for name, values in self.fields)


def _texts(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, bool):
            yield "true" if one else "false"
        elif isinstance(one, str | int | float):
            yield str(one)


def parse(values: Mapping[str, Any], where: str = "bulk") -> Audience:
    """Understand an audience. Raises Malformed naming field, value and what is allowed."""
    table = Table(values, where, "audience.")
    kind = table.choice("record", AUDIENCES, "client")
    filters = KINDS[kind].filters
    found = Audience(
        kind=kind,
        statuses=_among(table, "status"),
        types=_among(table, "type"),
        fields=tuple((name, _among(table.table("fields"), name)) for name in sorted(table.table("fields").values)),
    )
    if found.types and "type" not in filters:
        raise table.wrong("type", f"a {kind} has no type; leave it out")
    if found.statuses and "status" not in filters:
        raise table.wrong("status", f"a {kind} has no status; leave it out")
    table.refuse_the_rest()
    return found


def _among(table: Table, key: str) -> frozenset[str]:
    value = table.take(key)
    if value is None:
        return frozenset()
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not 1 <= len(values) <= _WORDS or not all(map(_is_word, values)):
        raise table.wrong(key, f"{shown(value)}; a text or a list of up to {_WORDS} texts is needed")
    return frozenset(values)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 200 and "\x00" not in value


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody whom a filter found: at an address of theirs, or with the reason why at none."""

    kind: str
    record_id: str
    client_id: str
    recipient: Recipient
    address: str | None
    reason: str = ""

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.recipient.first_name, self.recipient.last_name) if part)


@dataclass(frozen=True, slots=True)
class Way:
    """How a list is written to: by which channel, what for, and in which country numbers were typed."""

    leg: Leg
    purpose: str
    country: str


def entries(picture: Picture, client: Picture | None, way: Way) -> list[Entry]:
    """The addresses at which the client of a record may be written to, or the one reason why there is none.

    As for a trigger: every number that is ticked for texts, the first email address. Marketing needs the client's leave
    for this channel.
    """
    client_id = client.record_id if client is not None else picture.client_id
    if client_id is None:
        return []
    notes: list[str] = []
    known = client.record if client is not None and not client.deleted else None
    circle = Circle(picture.record, known, way.country, gone=client is not None and client.deleted)
    somebody = next(named("client", circle, notes.append), None)
    recipient = somebody.recipient if somebody is not None else Recipient("client")

    def entry(address: str | None, reason: str = "") -> Entry:
        return Entry(picture.kind, picture.record_id, client_id, recipient, address, reason)

    if known is None or somebody is None:
        return [entry(None, next(iter(notes), GONE))]
    if way.purpose == "marketing" and not ticked(way.leg, "client", picture.record, known):
        return [entry(None, f"allow marketing: the box for {way.leg.value} is not ticked")]
    addresses = somebody.phones if way.leg is Leg.SMS else somebody.emails[:1]
    if not addresses:
        what = "no number that takes texts" if way.leg is Leg.SMS else "no email address"
        return [entry(None, "; ".join([f"no route: {what}", *notes]))]
    return [entry(address) for address in dict.fromkeys(addresses)]


def once(found: Iterable[Entry], taken: dict[str, int], number: int) -> Iterator[tuple[int, Entry]]:
    """Number entries from `number` on; whoever has an address that is `taken` gets nothing of their own."""
    for one in found:
        key = one.address.casefold() if one.address is not None else None
        if key is not None and key in taken:
            reason = f"one message to each address: no. {taken[key]} has the same"
            yield number, Entry(one.kind, one.record_id, one.client_id, one.recipient, None, reason)
        else:
            if key is not None:
                taken[key] = number
            yield number, one
        number += 1


def still(one: Entry, picture: Picture, client: Picture | None, way: Way) -> str | None:
    """Why an address on a frozen list is not written to any more; None where it is."""
    if picture.deleted:
        return GONE if picture.kind == "client" else f"deleted: the {picture.kind} no longer exists"
    now = entries(picture, client, way)
    if any(found.address == one.address for found in now):
        return None
    reason = next((found.reason for found in now if found.reason), "")
    return reason or "no route: the address is not theirs any more, or takes no such message"


def off_the_list(client: Picture | None, leg: Leg, purpose: str) -> str | None:
    """Why somebody whose words wait already is not written to any more: they are gone, or have unticked the box."""
    if client is None:
        return None
    if client.deleted:
        return GONE
    if purpose != "marketing" or ticked(leg, "client", client.record, client.record):
        return None
    return f"allow marketing: the box for {leg.value} is not ticked"
