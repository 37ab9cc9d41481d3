"""Examples beside a trigger: read strictly, and run through what acts."""

from __future__ import annotations

from typing import Any

import pytest

from control_center.domain.errors import Malformed
from control_center.domain.trigger import Trigger
from control_center.domain.trigger_test_cases import failures, outcomes
from tests.support.values import a_studio, a_trigger

JUNE_12 = "2027-06-12T14:00"
NAME = "{{ client.first_name }}"
OFFICE_HOURS = {"processing": {"mode": "automatic", "window": "09:00-18:00"}}
WEEKDAYS = {"processing": {"mode": "automatic", "not_on": ["sat", "sun"]}}
BOOKED = {"status": "Booked", "dates": {"session": JUNE_12}}


def beside(given: Any, expect: Any, **keys: Any) -> Trigger:
    return a_trigger(test=[{"given": given, "expect": expect}], **keys)


def wrong(given: dict[str, Any], expect: dict[str, Any], **keys: Any) -> list[str]:
    """What fails of one example beside a trigger that texts a week before a session."""
    return [str(one) for one in failures(beside(given, expect, **keys), a_studio(), {"t": {"sms": "A text."}})]


# What holds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expect", "keys"),
    [
        ({"record": BOOKED}, {"send_at": "2027-06-05T00:00"}, {}),
        ({"record": BOOKED}, {"send_at": "2027-06-05"}, {}),
        ({"record": BOOKED}, {"send_at": "2027-06-05T05:00:00Z"}, {}),
        ({"record": BOOKED}, {"send_at": "2027-06-05T09:00"}, OFFICE_HOURS),
        ({"record": BOOKED}, {"send_at": "2027-06-07T00:00"}, WEEKDAYS),
        ({"record": BOOKED}, {"send_at": "2027-06-05T00:00"}, {"processing": {"mode": "manual"}}),
        ({"record": BOOKED}, {"to": "client", "by": "sms"}, {}),
        ({"record": BOOKED}, {"to": ["client"]}, {}),
        ({"record": BOOKED}, {"text_contains": ["Jo", "Saturday"]}, {"text": f"{NAME} {{{{ session.date }}}}"}),
        ({"record": BOOKED}, {"text_contains": "A text"}, {"text": ..., "template": "t"}),
        ({"record": BOOKED, "client": {"first_name": "Kim"}}, {"text_contains": "Kim"}, {"text": NAME}),
        ({"record": BOOKED, "client": {"phones": []}}, {"by": "email"}, {"action": "sms_or_email"}),
        ({"record": {**BOOKED, "flags": {"on_hold": True}}}, {"nothing": "on hold"}, {"exclude": {"on_hold": True}}),
        ({"record": {**BOOKED, "status": "Inquiry"}}, {"nothing": True}, {"status": "Booked"}),
        ({"record": {**BOOKED, "dates": {}}}, {"nothing": "no session"}, {}),
        ({"record": BOOKED, "client": {"phones": []}}, {"nothing": "no number"}, {}),
        ({"record": BOOKED, "at": "2027-06-08T10:00"}, {"nothing": "late"}, {"late": "skip"}),
        ({"record": BOOKED, "at": "2027-06-08T10:00"}, {"send_at": "2027-06-08T10:00"}, {"late": "send"}),
        ({"record": BOOKED, "client": {"first_name": None}}, {"nothing": "client.first_name"}, {"text": NAME}),
    ],
)  # fmt: skip
def test_an_example_holds_that_says_what_happens(
    given: dict[str, Any], expect: dict[str, Any], keys: dict[str, Any]
) -> None:
    assert wrong(given, expect, **keys) == []


def test_of_several_instalments_an_example_is_about_the_one_that_fits() -> None:
    unpaid = [{"id": "1", "due": "2027-01-15", "paid": False}, {"id": "2", "due": "2027-02-15", "paid": False}]
    keys = {"record": "invoice", "activate": {"on": "payment_due"}}

    assert wrong({"record": {"instalments": unpaid}}, {"send_at": "2027-02-15"}, **keys) == []
    assert wrong({"record": {"instalments": unpaid}}, {"send_at": "2027-03-15"}, **keys) != []


# What fails says what was expected and what came ----------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ({"send_at": "2027-06-05T09:00"}, "test[1].send_at: expected 2027-06-05T09:00, got 2027-06-05T00:00"),
        ({"send_at": "2027-06-06"}, "test[1].send_at: expected 2027-06-06, got 2027-06-05T00:00"),
        ({"to": "family:Mother"}, "test[1].to: expected family:Mother, got client"),
        ({"by": "email"}, "test[1].by: expected email, got sms"),
        ({"text_contains": "Monday"}, "test[1].text_contains: expected 'Monday', got 'See you soon.'"),
        ({"nothing": True}, "test[1]: expected nothing, got a send at 2027-06-05T00:00"),
        ({"nothing": "on hold"}, "test[1]: expected nothing because of 'on hold', got a send at 2027-06-05T00:00"),
    ],
)
def test_a_failing_example_says_what_it_expected_and_what_it_got(expect: dict[str, Any], says: str) -> None:
    assert wrong({"record": BOOKED}, expect) == [says]


def test_nothing_for_another_reason_is_not_what_was_expected() -> None:
    held = {**BOOKED, "flags": {"canceled": True}}

    assert wrong({"record": held}, {"nothing": "on hold"}, exclude={"canceled": True}) == [
        "test[1]: expected nothing because of 'on hold', got nothing: canceled: the session is canceled"
    ]


def test_nothing_where_something_was_expected_gives_its_reason() -> None:
    assert wrong({"record": {**BOOKED, "status": "Inquiry"}}, {"send_at": "2027-06-05"}, status="Booked") == [
        "test[1]: expected a send at 2027-06-05, got nothing: status: it is 'Inquiry', the trigger wants 'Booked'"
    ]


def test_every_expectation_that_fails_is_told() -> None:
    assert len(wrong({"record": BOOKED}, {"send_at": "2027-06-06", "to": "photographer", "text_contains": "x"})) == 3


def test_a_trigger_without_examples_has_nothing_that_fails() -> None:
    assert failures(a_trigger(), a_studio(), {}) == []


# What is written wrongly is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "field", "reason"),
    [
        ("x", "test", "written under [[trigger.test]]"),
        ([{"given": {}, "expect": {}}], "test[1].expect", "expects nothing in particular"),
        ([{"given": {}, "expect": {"to": 3}}], "test[1].expect.to", "a text, or a list of texts"),
        ([{"given": {}, "expect": {"to": "clien\0t"}}], "test[1].expect.to", "a text, or a list of texts"),
        ([{"given": {}, "expect": {"nothing": "on\0hold"}}], "test[1].expect.nothing", "allowed: true, or a part of"),
        ([{"given": {}, "expect": {"to": "client", "nothing": True}}], "test[1].expect.to", "stands beside nothing"),
        ([{"given": {}, "expect": {"nothing": False}}], "test[1].expect.nothing", "allowed: true, or a part of"),
        ([{"given": {}, "expect": {"send_at": "noon"}}], "test[1].expect.send_at", "is not a date"),
        ([{"given": {}, "expect": {"by": "fax"}}], "test[1].expect.by", "'fax'; allowed: sms, email"),
        ([{"given": {}, "expect": {"sent": True}}], "test[1].expect.sent", "did you mean 'send_at'?"),
        ([{"given": {}, "expect": {"to": "client", "whom": "x"}}], "test[1].expect.whom", "is not a known key"),
        ([{"given": {"at": 3}, "expect": {"to": "client"}}], "test[1].given.at", "a time such as"),
        ([{"given": {"records": {}}, "expect": {"to": "client"}}], "test[1].given.records", "did you mean 'record'?"),
        ([{"given": {"record": {"dates": 3}}, "expect": {"to": "client"}}], "test[1].given.record.dates", "object"),
        ([{"given": {"record": {"status_changed_at": "x"}}, "expect": {"to": "client"}}],
         "test[1].given.record.status_changed_at", "is not a date"),
        ([{"expect": {"to": "client"}, "expects": {}}], "test[1].expects", "did you mean 'expect'?"),
    ],
)  # fmt: skip
def test_an_example_that_is_written_wrongly_names_its_place_and_what_is_allowed(
    test: Any, field: str, reason: str
) -> None:
    with pytest.raises(Malformed) as caught:
        a_trigger(test=test)

    assert caught.value.field.endswith(f", {field}")
    assert reason in caught.value.reason


def test_an_example_of_a_relative_s_birthday_is_about_that_relative_alone() -> None:
    mothers = [
        {"relationship": "Mother", "first_name": name, "birthday": day, "phones": [{"number": number, "sms": True}]}
        for name, day, number in (("Ann", "1960-03-05", "+13125550121"), ("Bea", "1962-11-09", "+13125550122"))
    ]
    yearly = {"record": "client", "activate": {"on": "birthday"}, "send_to": ["family:Mother"], "status": ...}
    case = beside(
        {"record": {"family": mothers}, "at": "2027-02-01T10:00"},
        {"send_at": "2027-03-05T00:00"},
        text="{{ recipient.first_name }}",
        **yearly,
    )

    (ann,) = (one for one in outcomes(case, case.examples[0], a_studio(), {}) if f"{one.send_at:%m-%d}" == "03-05")

    assert ann.texts == ("Ann",)


def test_an_example_sends_nothing_to_who_has_left() -> None:
    staff = [{"role": "photographer", "primary": True, "name": "Ada", "phone": "+13125550199"}]
    case = beside({"record": {**BOOKED, "staff": staff}}, {"to": "photographer"}, send_to=["photographer"])

    assert failures(case, a_studio(), {}) == []
    (left,) = failures(case, a_studio(), {}, {"Ada": ()})
    assert left.got == "nothing: inactive: Ada does not work here any more"
