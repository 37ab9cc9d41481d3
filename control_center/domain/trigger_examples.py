"""Examples beside a trigger in its file: for such a record it must send this, then, to them, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from control_center.domain.catalogue import Kind
from control_center.domain.catalogue_actions import Leg
from control_center.domain.errors import Malformed
from control_center.domain.event_json import check_record, decode_json
from control_center.domain.record import RECORD_DECODER, check_moment
from control_center.domain.table import Table, shown

MOST = 50  # examples of one trigger
CLIENT_ID = "example"
COUNTRY = "US"  # of the number that whoever a file does not describe is texted at

# Whoever a file does not describe: reached by text and by mail, with every box ticked.
_CLIENT: Mapping[str, Any] = {
    "id": CLIENT_ID,
    "version": 1,
    "first_name": "Jo",
    "last_name": "Park",
    "phones": [{"number": "+13125550188", "label": "mobile", "sms": True}],
    "emails": [{"address": "jo@mail.example"}],
    "allow_marketing": {"sms": True, "email": True, "call": True, "mail": True},
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come of it; what is None is not looked at. Times are the studio's.

    `to` are roles, or names of photographers and the like; `by` the legs that are taken, in their order. `nothing` is
    a part of the reason why nothing is sent, empty for any reason.
    """

    send_at: str | None = None
    to: tuple[str, ...] | None = None
    by: tuple[str, ...] | None = None
    text_contains: tuple[str, ...] = ()
    nothing: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One [[trigger.test]]. `record` and `client` are bodies as a CRM would send them; `at` is when we hear of them."""

    number: int
    record: str
    client: str
    at: str | None
    expected: Expected

    @property
    def place(self) -> str:
        return f"test[{self.number}]"


def examples(top: Table, kind: Kind) -> tuple[Example, ...]:
    """Read the [[trigger.test]] tables. Raises Malformed naming the one that is wrong, and what in it."""
    value = top.take("test")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise top.wrong("test", f"{shown(value)}; an example is written under [[trigger.test]]")
    if len(value) > MOST:
        raise top.wrong("test", f"{len(value)} examples; allowed are {MOST}")
    return tuple(
        _example(Table(one, top.where, f"test[{number}]."), number, kind) for number, one in enumerate(value, 1)
    )


def _example(table: Table, number: int, kind: Kind) -> Example:
    given, expect = table.table("given"), table.table("expect")
    table.refuse_the_rest()
    person = {**_CLIENT, **given.table("client").values}
    about = given.table("record").values
    if kind.name == "client":
        person, about = {**person, **about}, {}
    shown_at = given.take("at")
    if shown_at is not None:
        _moment(given, "at", shown_at)
    given.refuse_the_rest()
    record = {"id": "example", "version": 1, "client_id": CLIENT_ID, **about, "kind": kind.name}
    return Example(
        number=number,
        record=_body(given, "record", person if kind.name == "client" else record),
        client=_body(given, "client", person),
        at=shown_at,
        expected=_expected(expect),
    )


def _body(given: Table, key: str, values: Mapping[str, Any]) -> str:
    """What is given, as an event would bring it. Raises Malformed for what no event could say."""
    field = f"{given.where}, {given.path}{key}"
    try:
        raw = msgspec.json.encode(values)
    except (TypeError, OverflowError, RecursionError) as error:
        raise Malformed(field, str(error)) from None
    check_record(decode_json(RECORD_DECODER, raw, field), field)
    return raw.decode()


_KEYS = ("send_at", "to", "by", "text_contains")


def _expected(table: Table) -> Expected:
    nothing = table.take("nothing")
    for key in _KEYS:
        if nothing is not None and key in table.values:
            raise table.wrong(key, "stands beside nothing; where nothing is sent there is no such thing")
    if nothing is not None and nothing is not True and not _is_text(nothing):
        raise table.wrong("nothing", f'{shown(nothing)}; allowed: true, or a part of the reason such as "on hold"')
    send_at = table.take("send_at")
    if send_at is not None:
        _moment(table, "send_at", send_at)
    expected = Expected(
        send_at=send_at,
        to=_texts(table, "to"),
        by=_texts(table, "by"),
        text_contains=_texts(table, "text_contains") or (),
        nothing=None if nothing is None else "" if nothing is True else nothing,
    )
    table.refuse_the_rest()
    for leg in expected.by or ():
        if leg not in {one.value for one in Leg}:
            raise table.wrong("by", f"{leg!r}; allowed: {', '.join(one.value for one in Leg)}")
    if expected == Expected():
        raise Malformed(f"{table.where}, {table.path.rstrip('.')}", f"expects nothing in particular; give {_ALLOWED}")
    return expected


_ALLOWED = f"{', '.join(_KEYS)} or nothing"


def _moment(table: Table, key: str, value: Any) -> None:
    if not isinstance(value, str):
        raise table.wrong(key, f"{shown(value)}; a time such as 2027-06-05T09:00 is needed")
    check_moment(f"{table.where}, {table.path}{key}", value)


def _texts(table: Table, key: str) -> tuple[str, ...] | None:
    """One text, or a list of them."""
    value = table.take(key)
    if value is None:
        return None
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(_is_text(one) for one in found):
        raise table.wrong(key, f"{shown(value)}; a text, or a list of texts, is needed")
    return tuple(found)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value
