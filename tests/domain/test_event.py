"""Bytes from the CRM: what they are understood as, and what is said of those that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_center.domain.catalogue import KINDS
from control_center.domain.errors import Malformed
from control_center.domain.event import EVENT_LIMIT, SNAPSHOT_LIMIT, Event, Verb, decode
from control_center.domain.reconciliation import reconcile
from control_center.domain.record import Facts, as_mapping
from control_center.domain.rules import Rules
from tests.support.values import (
    NOW,
    a_client,
    a_decoded,
    a_record,
    a_trigger,
    an_event,
    an_event_body,
    the_rules,
)

Change = Callable[[dict[str, Any]], Any]

# One trigger on every date of every kind: whoever understands an event must be able to plan with it.
EVERYTHING: Rules = the_rules(
    *(
        a_trigger(number, record=kind.name, activate={"on": base.name, "days": days})
        for number, (kind, base, days) in enumerate(
            (kind, base, days)
            for kind in KINDS.values()
            for base in kind.bases.values()
            for days in (0, 2)
            if not kind.ours  # no event is about them
        )
    )
)
LAW = settings(deadline=None)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**18, 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(
        ["2026-11-21", "2026-W47-6", "2026W47T10", "20261121", "2026-02-30", "0001-01-01", "9999-12-31T23:59", "24:00"]
    )
    | st.sampled_from(["client", "session", "crm.snapshot", "crm.session.created", "a\x00b", "x" * 300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def usable(body: bytes) -> Event | None:
    """The event, if these bytes are one; then all that comes after it must work."""
    try:
        event = decode(body)
    except Malformed as refused:
        check_line(str(refused))
        return None
    for picture in event.seen:
        assert isinstance(as_mapping(picture.body), dict)
        facts = picture.first_facts or Facts(None, None, None, ())
        assert Facts.from_json(facts.to_json()) == facts
        reconcile(picture, EVERYTHING, (), NOW)
        text = picture.record_id + (picture.client_id or "") + (picture.record.status or "")
        assert "\x00" not in text, "PostgreSQL stores no NUL"
    return event


def check_line(message: str) -> None:
    assert message.isprintable(), "one line that a person reads"
    assert len(message) < 500


def refused(body: bytes | dict[str, Any]) -> Malformed:
    with pytest.raises(Malformed) as caught:
        decode(body if isinstance(body, bytes) else msgspec.json.encode(body))
    return caught.value


# What is understood ---------------------------------------------------------------------------------------


def test_an_event_says_who_it_is_from_what_it_is_about_and_when_it_happened() -> None:
    event = a_decoded("crm.session.status_changed", id="e-9", causedby="c-3")

    assert event.key == ("main", "/crm/main", "e-9")
    assert (event.verb, event.subject) == (Verb.STATUS_CHANGED, "session/4711")
    assert event.time == datetime(2026, 11, 21, 16, 4, 5, tzinfo=UTC)
    assert event.caused_by == "c-3"


def test_an_event_about_a_record_shows_the_record_and_its_client() -> None:
    event = a_decoded(data={"record": a_record(version=17), "client": a_client(version=5)})

    client, record = event.seen
    assert (client.kind, client.record_id, client.version, client.client_id) == ("client", "c-12", 5, None)
    assert (record.kind, record.record_id, record.version, record.client_id) == ("session", "4711", 17, "c-12")


@pytest.mark.parametrize("client", [{}, {"client": None}], ids=["left out", "null"])
def test_a_client_that_has_not_changed_may_be_left_out(client: dict[str, Any]) -> None:
    (record,) = a_decoded(data={"record": a_record(), **client}).seen

    assert record.client_id == "c-12"


def test_an_event_about_a_client_has_no_record() -> None:
    (client,) = a_decoded("crm.client.created", {"client": a_client()}).seen

    assert (client.kind, client.record.first_name, client.first_facts) == ("client", "Jo", None)


@pytest.mark.parametrize(
    "kind",
    [
        "appointment",
        "session",
        "invoice",
        "production_order",
        "preproduction_order",
        "task",
        "web_form",
        "loyalty_reward",
    ],
)
def test_records_of_every_kind_are_understood(kind: str) -> None:
    (record,) = a_decoded(f"crm.{kind}.updated", {"record": a_record(kind)}).seen

    assert record.kind == kind


def test_a_deleted_record_is_known_to_be_gone_and_its_client_is_not() -> None:
    client, record = a_decoded("crm.session.deleted", {"record": a_record(), "client": a_client()}).seen

    assert (client.deleted, record.deleted) == (False, True)


def test_what_is_not_known_to_us_is_kept_and_never_refused() -> None:
    unknown = {"album": {"pages": [1, 2.5, None, True]}, "größe": "8 auf 10", "digits": 10**30}

    (record,) = a_decoded(data={"record": a_record(fields=unknown, mood="good"), "extra": 1}, extension="x").seen

    assert as_mapping(record.body)["fields"] == unknown
    assert as_mapping(record.body)["mood"] == "good"


def test_the_body_is_kept_as_it_came() -> None:
    body = msgspec.json.format(an_event_body(), indent=3)

    assert decode(body).body == body.decode()


def test_a_record_seen_being_created_has_no_history() -> None:
    (record,) = a_decoded("crm.session.created").seen

    assert (record.first_facts, record.known_since) == (None, None)


@pytest.mark.parametrize("verb", ["updated", "deleted"])
def test_a_record_first_seen_otherwise_has_lived_before_us(verb: str) -> None:
    (record,) = a_decoded(f"crm.session.{verb}", time="2026-11-22T10:00:00Z").seen

    assert record.known_since == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert record.first_facts is not None
    assert record.first_facts.status == "Booked"
    assert dict(record.first_facts.dates)["session"] == "2027-06-12T14:00"


def test_the_status_change_that_an_event_reports_is_not_history_but_the_dates_are() -> None:
    (record,) = a_decoded("crm.session.status_changed").seen

    assert record.first_facts is not None
    assert (record.first_facts.status, record.first_facts.status_changed_at) == (None, None)
    assert dict(record.first_facts.dates)["booked"] == "2026-11-21"


def test_a_client_shown_beside_a_new_session_is_not_news_itself() -> None:
    client, record = a_decoded("crm.session.created", {"record": a_record(), "client": a_client()}).seen

    assert client.first_facts is not None
    assert record.first_facts is None


# Snapshots ------------------------------------------------------------------------------------------------


def a_snapshot(**data: Any) -> Event:
    return a_decoded("crm.snapshot", data, subject="main")


def test_a_snapshot_shows_clients_and_records_and_may_be_one_of_many() -> None:
    event = a_snapshot(clients=[a_client()], records=[a_record(), a_record("invoice", id="9")], last=False)

    assert event.verb is Verb.SNAPSHOT
    assert [(one.kind, one.record_id) for one in event.seen] == [
        ("client", "c-12"),
        ("session", "4711"),
        ("invoice", "9"),
    ]
    assert all(one.first_facts is not None for one in event.seen)


@pytest.mark.parametrize("data", [{"clients": []}, {"records": []}, {"clients": [], "records": [], "last": True}])
def test_a_snapshot_may_be_empty(data: dict[str, Any]) -> None:
    assert a_snapshot(**data).seen == ()


def test_a_snapshot_may_have_the_shape_of_an_event() -> None:
    event = a_decoded("crm.snapshot", {"record": a_record(), "client": a_client()})

    assert [one.kind for one in event.seen] == ["client", "session"]


def test_a_snapshot_names_the_place_of_what_is_wrong_in_it() -> None:
    wrong = an_event("crm.snapshot", {"records": [a_record(), a_record(version=0)]}, subject="main")

    assert refused(wrong).field == "data.records[1].version"


@pytest.mark.parametrize("kind", [..., "client"])
def test_a_record_without_its_kind_is_not_taken_for_a_client(kind: Any) -> None:
    wrong = an_event("crm.snapshot", {"records": [a_record(kind=kind)]}, subject="main")

    assert refused(wrong).field == "data.records[0].kind"


# What is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"specversion": "0.3"}, "specversion", "allowed is '1.0'"),
        ({"specversion": ...}, "specversion", "is missing"),
        ({"id": ...}, "id", "is missing"),
        ({"id": ""}, "id", "1 to 200"),
        ({"id": 7}, "id", "Expected `str`, got `int`"),
        ({"source": "x" * 201}, "source", "1 to 200"),
        ({"studio": ...}, "studio", "is missing"),
        ({"type": "crm.session.moved"}, "type", "created|updated|status_changed|deleted"),
        ({"type": "crm.meeting.created"}, "type", "'crm.meeting.created'"),
        ({"type": "session.created"}, "type", "crm.<kind>.<verb>"),
        ({"type": "crm.session.snapshot"}, "type", "crm.snapshot"),
        ({"time": "2026-11-21T16:04:05"}, "time", "has no offset"),
        ({"time": "yesterday"}, "time", "'yesterday' is not a date"),
        ({"time": 1_774_000_000}, "time", "Expected `str`, got `int`"),
        ({"subject": "session/4712"}, "subject", "'session/4711'"),
        ({"subject": "appointment/4711"}, "subject", "'session/4711'"),
        ({"subject": ...}, "subject", "0 characters"),
        ({"data": ...}, "data", "is missing"),
        ({"data": {}}, "data.record", "missing"),
        ({"data": {"record": None}}, "data.record", "missing"),
        ({"data": {"record": [1]}}, "data.record", "Expected `object`, got `array`"),
        ({"data": []}, "data", "Expected `object`, got `array`"),
        ({"causedby": 7}, "causedby", "got `int`"),
        ({"type": "crm.client.updated", "subject": "client/c-12"}, "data.client", "missing"),
        ({"id": "a\x00"}, "id", "NUL"),
    ],
)
def test_a_wrong_envelope_is_refused_by_field(change: dict[str, Any], field: str, reason: str) -> None:
    wrong = {**an_event(), **change}
    found = refused({key: value for key, value in wrong.items() if value is not ...})

    assert (found.field, reason in found.reason) == (field, True), str(found)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"id": ...}, "id", "is missing"),
        ({"id": 4711}, "id", "Expected `str`, got `int`"),
        ({"id": ""}, "id", "1 to 200"),
        ({"version": ...}, "version", "is missing"),
        ({"version": 0}, "version", "from 1"),
        ({"version": -3}, "version", "from 1"),
        ({"version": "17"}, "version", "Expected `int`, got `str`"),
        ({"version": True}, "version", "Expected `int`, got `bool`"),
        ({"version": 1.5}, "version", "Expected `int`, got `float`"),
        ({"version": 2**53 + 1}, "version", "2^53"),
        ({"version": 10**400}, "version", "2^53"),
        ({"version": None}, "version", "got `null`"),
        ({"kind": "invoice"}, "kind", "does not fit the type crm.session.*"),
        ({"kind": "meeting"}, "kind", "allowed: appointment, invoice"),
        ({"kind": ...}, "kind", "missing"),
        ({"status": ""}, "status", "1 to 200"),
        ({"status": 5}, "status", "got `int`"),
        ({"type": "x" * 201}, "type", "1 to 200"),
        ({"client_id": 12}, "client_id", "got `int`"),
        ({"status_changed_at": "2026-02-30"}, "status_changed_at", "'2026-02-30' is not a date"),
        ({"status_changed_at": 1_774_000_000}, "status_changed_at", "got `int`"),
        ({"status_due_date": "next week"}, "status_due_date", "not a date such as"),
        ({"dates": {"session": "2026-11-21T25:00"}}, "dates.session", "not a date such as"),
        ({"dates": {"session": ""}}, "dates.session", "not a date such as"),
        ({"dates": {"a\nb": "soon"}}, "dates.a\\nb", "not a date such as"),
        ({"dates": {"session": "0001-01-01"}}, "dates.session", "outside the years 1900 to 9000"),
        ({"dates": {"session": "9999-12-31"}}, "dates.session", "outside the years 1900 to 9000"),
        ({"dates": {"session": 5}}, "dates", "got `int`"),
        ({"birthday": "28 February"}, "birthday", "not a date such as"),
        ({"anniversary": "soon"}, "anniversary", "not a date such as"),
        ({"family": [{"birthday": "?"}]}, "family[0].birthday", "not a date such as"),
        ({"instalments": [{"id": "1", "due": "?"}]}, "instalments[0].due", "not a date such as"),
        ({"instalments": [{"id": ""}]}, "instalments[0].id", "1 to 200"),
        ({"nps": {"id": "r-1", "score": 11}}, "nps.score", "from 0 to 10"),
        ({"nps": {"id": "r-1", "received_at": "?"}}, "nps.received_at", "not a date such as"),
        ({"nps": {"id": ""}}, "nps.id", "1 to 200"),
        ({"dates": None}, "dates", "Expected `object`, got `null`"),
        ({"flags": {"on_hold": "no"}}, "flags.on_hold", "Expected `bool | null`, got `str`"),
        ({"staff": [{"name": "Ada"}]}, "staff[0].role", "is missing"),
        ({"fields": {"note": "a\x00b"}}, "fields.note", "NUL"),
        ({"fields": {"a\x00b": 1}}, "fields", "NUL"),
    ],
)
def test_a_wrong_record_is_refused_by_field(change: dict[str, Any], field: str, reason: str) -> None:
    found = refused(an_event(data={"record": a_record(**change)}, subject="session/4711"))

    assert (found.field, reason in found.reason) == (f"data.record.{field}", True), str(found)
    check_line(str(found))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"phones": [None]}, "phones[0]"),
        ({"phones": [{"number": 3125550188}]}, "phones[0].number"),
        ({"phones": [{"number": "1", "sms": "yes"}]}, "phones[0].sms"),
        ({"emails": [{}]}, "emails[0].address"),
        ({"family": [{"relationship": "Mother", "phones": 5}]}, "family[0].phones"),
        ({"id": "c-13"}, "id"),
    ],
)
def test_a_wrong_client_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    found = refused(an_event(data={"record": a_record(), "client": a_client(**change)}))

    assert found.field == f"data.client.{field}"


@pytest.mark.parametrize(
    "text", ["2026-W47-6", "2026W47T10", "2026-W47T10", "20261121", "2026-11-21T16", "2026-11-21X16:04", "2026-325"]
)
def test_a_spelling_of_dates_that_we_would_not_read_back_as_one_is_refused(text: str) -> None:
    # A week day has ten characters, as a date has, and is no date.
    found = refused(an_event(data={"record": a_record(dates={"session": text})}))

    assert found.field == "data.record.dates.session"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"{'a': 1}", b'{"a": NaN}', b"[" * 100_000],
    ids=["nothing", "cut off", "null", "list", "text", "not UTF-8", "BOM", "quotes", "NaN", "brackets"],
)
def test_what_is_not_a_json_object_is_refused(body: bytes) -> None:
    assert refused(body).reason


RAW = b'{"specversion":"1.0","id":"e","source":"/c","type":"crm.session.updated","subject":"session/1","studio":"main",\
"time":"2026-11-21T16:04:05Z","data":{"record":{"kind":"session","id":"1","version":1,"fields":{"x":%s}}}}'


@pytest.mark.parametrize(
    "value",
    [
        b'"\\ud800"',
        b'"\\ud800\\u0041"',
        b'"\\udc00"',
        b'"\xed\xa0\x80"',
        b'"a\x00b"',
        b'"\x1f"',
        b'"\\x41"',
        b"01",
        b"1e999",
        b"-1e999",
        b"9" * 5000,
        b"9" * 400 + b".5",
        b"9" * 250 + b"e99",
        b"[" * 120 + b"]" * 120,
        b"[" * 990 + b"]" * 990,
        b'["\\u0000", 1e999]',
        b"[" * 120 + b'"\\u0000"' + b"]" * 120,
        b"[" * 3000 + b'"\\u0000"' + b"]" * 3000,
    ],
    ids=lambda value: value[:12].decode("latin-1"),
)
def test_what_could_be_stored_but_never_read_again_is_refused(value: bytes) -> None:
    assert refused(RAW % value).reason


@pytest.mark.parametrize(
    "value", [b"1e99", b"9" * 400, b"[" * 98 + b"]" * 98, b"[" + b"{}," * 500 + b"1]", b'"\\ud83d\\ude00 \\\\u0000"']
)
def test_what_is_merely_unusual_is_understood(value: bytes) -> None:
    assert usable(RAW % value) is not None


# Sizes ----------------------------------------------------------------------------------------------------


def padded(type_: str, data: Any, size: int, pad: str = "x") -> bytes:
    short = an_event_body(type_, data, subject="session/4711", pad="")
    return short.replace(b'"pad":""', b'"pad":"%s"' % (pad * size).encode()[: size - len(short)])


def test_an_event_may_have_256_kib() -> None:
    data = {"record": a_record()}

    assert len(decode(padded("crm.session.updated", data, EVENT_LIMIT)).body) == EVENT_LIMIT
    assert str(EVENT_LIMIT) in refused(padded("crm.session.updated", data, EVENT_LIMIT + 1)).reason


def test_a_snapshot_may_have_8_mib() -> None:
    data = {"records": [a_record()]}

    assert len(decode(padded("crm.snapshot", data, SNAPSHOT_LIMIT)).body) == SNAPSHOT_LIMIT
    assert str(SNAPSHOT_LIMIT) in refused(padded("crm.snapshot", data, SNAPSHOT_LIMIT + 1)).reason


def test_an_event_that_only_speaks_of_a_snapshot_may_not_be_as_large_as_one() -> None:
    assert refused(padded("crm.session.updated", {"record": a_record()}, 1 << 20, pad="crm.snapshot ")).reason


# Anything -------------------------------------------------------------------------------------------------


@LAW
@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_malformed(body: bytes) -> None:
    usable(body)


@LAW
@given(JSON)
def test_any_json_is_an_event_or_malformed(value: Any) -> None:
    usable(msgspec.json.encode(value))


WHOLE = an_event(
    "crm.session.status_changed",
    {
        "record": a_record(
            status_due_date="2026-12-01",
            staff=[{"role": "photographer", "primary": True, "name": "Ada", "phone": "+13125550123", "email": None}],
            fields={"location": "Lakeside"},
            nps=None,
        ),
        "client": a_client(family=[{"relationship": "Mother", "phones": [], "emails": []}], birthday="1990-02-28"),
    },
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield from places(value[key], (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, dict):
        return {key: put(old, path[1:], new) if key == path[0] else old for key, old in value.items()}
    return [put(old, path[1:], new) if n == path[0] else old for n, old in enumerate(value)]


def test_the_event_that_is_spoilt_below_is_good() -> None:
    assert usable(msgspec.json.encode(WHOLE)) is not None


@LAW
@given(st.sampled_from(list(places(WHOLE))), JSON)
def test_a_good_event_with_any_one_value_changed_is_an_event_or_malformed(path: tuple[Any, ...], value: Any) -> None:
    usable(msgspec.json.encode(put(WHOLE, path, value)))


@LAW
@given(st.data())
def test_a_good_event_with_any_byte_changed_is_an_event_or_malformed(data: st.DataObject) -> None:
    body = bytearray(msgspec.json.encode(WHOLE))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    usable(bytes(body))


@pytest.mark.long
@settings(deadline=None, max_examples=20_000)
@given(st.sampled_from(list(places(WHOLE))), JSON)
def test_a_good_event_with_any_one_value_changed_many_times_over(path: tuple[Any, ...], value: Any) -> None:
    usable(msgspec.json.encode(put(WHOLE, path, value)))


def test_a_list_or_a_flag_that_is_null_is_an_empty_one() -> None:
    data = {"record": a_record(flags=None, staff=None), "client": a_client(phones=None, emails=None, family=None)}

    record = a_decoded("crm.session.created", data).seen[1].record

    assert (record.flags, record.staff) == (None, None)


def test_whoever_enters_a_status_without_saying_when_entered_it_when_the_crm_told_us() -> None:
    created = a_decoded("crm.session.created", {"record": a_record(status="Booked", status_changed_at=...)})

    assert created.seen[0].record.status_changed_at == created.time.isoformat()


def test_a_snapshot_needs_no_subject() -> None:
    body = an_event("crm.snapshot", {"clients": [], "records": []}, subject=...)

    assert decode(msgspec.json.encode(body)).subject == "snapshot"
