"""Every kind of record, on every date, with every filter and exclusion: written by hand from what was promised."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from control_center.domain.action import State
from control_center.domain.activations import Activation, activation_of, activations, celebrating
from control_center.domain.catalogue import KINDS
from control_center.domain.planner import Expire, Lapse, Send, Wait, decide
from control_center.domain.record import Picture
from control_center.domain.rules import Rule
from tests.support.values import NOW, Shelf, a_rule, a_trigger, local, the_rules

# All in Chicago; NOW is Wednesday, 25 November 2026, ten in the morning.

RECORDS: dict[str, dict[str, Any]] = {
    "appointment": {
        "type": "Consultation",
        "status": "Made",
        "dates": {"appointment": "2026-12-10T11:30", "booked": "2026-11-20"},
    },
    "client": {"status": "Active", "birthday": "1990-02-28", "anniversary": "2015-06-20"},
    "email": {
        "status": "opened",
        "type": "Newsletter",
        "dates": {"received": "2026-11-24T20:15:00Z", "sent": "2026-11-23T15:00:00Z"},
    },
    "invoice": {
        "status": "Open",
        "dates": {"invoice": "2026-11-20", "paid": "2026-11-24"},
        "instalments": [
            {"id": "1", "due": "2026-11-15", "paid": True},
            {"id": "2", "due": "2026-12-15", "paid": False},
            {"id": "3", "due": "2027-01-15", "paid": False},
        ],
    },
    "production_order": {"type": "Album", "status": "At the lab", "dates": {"ordered": "2026-11-18"}},
    "preproduction_order": {"type": "Proofs", "status": "Selecting", "dates": {"ordered": "2026-11-19"}},
    "session": {
        "type": "Wedding",
        "status": "Booked",
        "dates": {"session": "2027-06-12T14:00", "booked": "2026-11-21"},
        "nps": {"id": "r-1", "score": 9, "comment": "lovely", "received_at": "2026-11-24T09:00"},
    },
    "task": {
        "type": "Call back",
        "status": "Open",
        "dates": {"start": "2026-12-01", "due": "2026-12-04", "completed": "2026-11-24"},
    },
    "web_form": {
        "status": "Submitted",
        "form": {"name": "Contact Us"},
        "dates": {"created": "2026-11-22", "submitted": "2026-11-23T23:30"},
    },
    "sms": {"text": "Prints, please!", "dates": {"received": "2026-11-25T09:59"}},
    "loyalty_reward": {
        "type": "Referral",
        "reward": {"code": "X", "balance": "20.00"},
        "dates": {"issued": "2026-11-24", "expires": "2027-11-24"},
    },
}


def a_picture(kind: str, **keys: Any) -> Picture:
    """A record that we saw coming into being."""
    body = {
        "id": "7",
        "version": 1,
        "kind": kind,
        "status_changed_at": "2026-11-20T10:00",
        "status_due_date": "2026-12-01",
        **RECORDS[kind],
        **keys,
    }
    text = msgspec.json.encode({name: value for name, value in body.items() if value is not ...}).decode()
    return Picture("main", kind, "7", 1, text, None, False, 1, None, None)


def on(kind: str, base: str, days: int = 0, **keys: Any) -> Rule:
    keyword = {"keyword": "prints", "match": "first_word"} if kind == "sms" else {}
    return a_rule(record=kind, activate={"on": base, "days": days}, **{**keyword, **keys})


def active(kind: str, base: str, days: int = 0, **keys: Any) -> list[Activation]:
    return activations(on(kind, base, days), a_picture(kind, **keys).record, NOW)


# Dates ----------------------------------------------------------------------------------------------------

# kind, date, offset in days: when it is active.
DATES = [
    ("appointment", "appointment", -2, "2026-12-08 00:00"),
    ("appointment", "appointment", 0, "2026-12-10 00:00"),
    ("appointment", "appointment", 1, "2026-12-11 00:00"),
    ("appointment", "booked", 0, "2026-11-20 00:00"),
    ("appointment", "booked", 3, "2026-11-23 00:00"),
    ("appointment", "status_changed", 0, "2026-11-20 10:00"),
    ("appointment", "status_changed", 1, "2026-11-21 00:00"),
    ("appointment", "status_due", -1, "2026-11-30 00:00"),
    ("client", "status_changed", 0, "2026-11-20 10:00"),
    ("client", "status_due", 2, "2026-12-03 00:00"),
    ("client", "birthday", 0, "2027-02-28 00:00"),
    ("client", "birthday", -7, "2027-02-21 00:00"),
    ("client", "birthday", 3, "2027-03-03 00:00"),
    ("client", "anniversary", 0, "2027-06-20 00:00"),
    ("client", "anniversary", -30, "2027-05-21 00:00"),
    ("email", "received", 0, "2026-11-24 14:15"),
    ("email", "sent", 3, "2026-11-26 00:00"),
    ("invoice", "status_changed", 0, "2026-11-20 10:00"),
    ("invoice", "status_due", 0, "2026-12-01 00:00"),
    ("invoice", "payment_due", -3, "2026-12-12 00:00"),
    ("invoice", "payment_due", 0, "2026-12-15 00:00"),
    ("invoice", "payment_due", 5, "2026-12-20 00:00"),
    ("invoice", "invoice", 0, "2026-11-20 00:00"),
    ("invoice", "paid", 1, "2026-11-25 00:00"),
    ("production_order", "status_changed", 3, "2026-11-23 00:00"),
    ("production_order", "status_due", 1, "2026-12-02 00:00"),
    ("production_order", "ordered", 7, "2026-11-25 00:00"),
    ("preproduction_order", "status_changed", 0, "2026-11-20 10:00"),
    ("preproduction_order", "status_due", -1, "2026-11-30 00:00"),
    ("preproduction_order", "ordered", 0, "2026-11-19 00:00"),
    ("session", "session", -7, "2027-06-05 00:00"),
    ("session", "session", 0, "2027-06-12 00:00"),
    ("session", "session", 14, "2027-06-26 00:00"),
    ("session", "booked", 0, "2026-11-21 00:00"),
    ("session", "status_changed", 0, "2026-11-20 10:00"),
    ("session", "status_due", -1, "2026-11-30 00:00"),
    ("session", "nps_received", 0, "2026-11-24 09:00"),
    ("session", "nps_received", 2, "2026-11-26 00:00"),
    ("task", "start", -1, "2026-11-30 00:00"),
    ("task", "due", 0, "2026-12-04 00:00"),
    ("task", "due", 1, "2026-12-05 00:00"),
    ("task", "completed", 0, "2026-11-24 00:00"),
    ("task", "status_changed", 0, "2026-11-20 10:00"),
    ("task", "status_due", 0, "2026-12-01 00:00"),
    ("web_form", "status_changed", 0, "2026-11-20 10:00"),
    ("web_form", "created", 0, "2026-11-22 00:00"),
    ("web_form", "submitted", 0, "2026-11-23 23:30"),
    ("web_form", "submitted", 1, "2026-11-24 00:00"),
    ("sms", "received", 0, "2026-11-25 09:59"),
    ("loyalty_reward", "issued", 0, "2026-11-24 00:00"),
    ("loyalty_reward", "expires", -30, "2027-10-25 00:00"),
    ("loyalty_reward", "expires", 0, "2027-11-24 00:00"),
]


@pytest.mark.parametrize(("kind", "base", "days", "at"), DATES)
def test_a_trigger_is_active_on_its_date_or_so_many_local_days_from_it(
    kind: str, base: str, days: int, at: str
) -> None:
    assert active(kind, base, days)[0].at == local(at)


def test_every_date_of_every_kind_has_its_case() -> None:
    assert {(kind, base) for kind, base, _, _ in DATES} == {
        (kind.name, base) for kind in KINDS.values() for base in kind.bases
    }


# kind, date, what is changed in the record: it has no such date then.
EMPTY = [
    ("appointment", "appointment", {"dates": {}}),
    ("client", "birthday", {"birthday": None}),
    ("client", "anniversary", {"anniversary": ...}),
    ("invoice", "payment_due", {"instalments": None}),
    ("invoice", "payment_due", {"instalments": [{"id": "1", "due": "2026-12-15", "paid": True}]}),
    ("invoice", "payment_due", {"instalments": [{"id": "1", "due": None}]}),
    ("session", "status_due", {"status_due_date": None}),
    ("session", "status_changed", {"status_changed_at": None}),
    ("session", "nps_received", {"nps": None}),
    ("session", "nps_received", {"nps": {"id": "r-1", "score": 3}}),
    ("task", "completed", {"dates": {"completed": None}}),
]


@pytest.mark.parametrize(("kind", "base", "keys"), EMPTY)
def test_without_its_date_a_trigger_is_never_active(kind: str, base: str, keys: dict[str, Any]) -> None:
    assert active(kind, base, **keys) == []


# What is the same occurrence, and what a new one -----------------------------------------------------------

# kind, date, the record later: whether it fires again.
AGAIN = [
    ("session", "status_changed", {"status_changed_at": "2026-11-24T10:00"}, True),
    ("session", "status_changed", {"status_due_date": "2027-01-01"}, False),
    ("session", "status_due", {"status_due_date": "2027-01-01"}, False),
    ("session", "session", {"dates": {"session": "2027-06-13T14:00"}}, True),
    ("session", "session", {"dates": {"session": "2027-06-12T15:00"}}, True),
    ("session", "booked", {"dates": {"booked": "2026-11-19"}}, False),
    ("session", "nps_received", {"nps": {"id": "r-2", "score": 2, "received_at": "2026-11-25T09:00"}}, True),
    ("session", "nps_received", {"nps": {"id": "r-1", "score": 9, "received_at": "2026-11-25T09:00"}}, False),
    ("appointment", "appointment", {"dates": {"appointment": "2026-12-11T11:30"}}, True),
    ("appointment", "booked", {"dates": {"booked": "2026-11-22"}}, False),
    ("task", "due", {"dates": {"due": "2026-12-05"}}, True),
    ("invoice", "payment_due", {"instalments": [{"id": "2", "due": "2026-12-20"}]}, True),
    ("invoice", "payment_due", {"instalments": [{"id": "2", "due": "2026-12-15", "amount": "1"}]}, False),
    ("invoice", "invoice", {"dates": {"invoice": "2026-11-21"}}, False),
    ("invoice", "paid", {"dates": {"paid": "2026-11-25"}}, True),
    ("production_order", "ordered", {"dates": {"ordered": "2026-11-17"}}, False),
    ("preproduction_order", "ordered", {"dates": {"ordered": "2026-11-17"}}, False),
    ("email", "sent", {"dates": {"sent": "2026-11-24T15:00:00Z"}}, False),
    ("task", "start", {"dates": {"start": "2026-12-02"}}, True),
    ("task", "completed", {"dates": {"completed": "2026-11-25"}}, True),
    ("web_form", "created", {"dates": {"created": "2026-11-21"}}, False),
    ("web_form", "submitted", {"dates": {"submitted": "2026-11-24"}}, False),
    ("loyalty_reward", "issued", {"dates": {"issued": "2026-11-20"}}, False),
    ("loyalty_reward", "expires", {"dates": {"expires": "2028-11-24"}}, True),
    ("email", "received", {"dates": {"received": "2026-11-25T08:00"}}, False),
    ("sms", "received", {"dates": {"received": "2026-11-25T08:00"}}, False),
    ("client", "birthday", {"birthday": "1990-03-01"}, False),
]


@pytest.mark.parametrize(("kind", "base", "keys", "again"), AGAIN)
def test_only_a_new_cause_fires_again(kind: str, base: str, keys: dict[str, Any], *, again: bool) -> None:
    first, later = active(kind, base)[0], active(kind, base, **keys)[0]

    assert (first.occurrence != later.occurrence) is again


@pytest.mark.parametrize(
    ("kind", "base", "keys"),
    [
        ("session", "nps_received", {"nps": {"id": "spring#2", "received_at": "2026-11-24T09:00"}}),
        ("session", "nps_received", {"nps": {"id": "4711", "received_at": "2026-11-24T09:00"}}),
        ("session", "nps_received", {"nps": {"id": "r~told", "received_at": "2026-11-24T09:00"}}),
        ("session", "status_changed", {"status": "Take #2"}),
        ("session", "status_changed", {"status": "Booked@home 2027"}),
        ("invoice", "payment_due", {"instalments": [{"id": "9001#1", "due": "2026-11-24"}]}),
        ("invoice", "payment_due", {"instalments": [{"id": "1@2026-11-20#3", "due": "2026-11-24"}]}),
    ],
)
def test_whatever_the_crm_calls_it_an_occurrence_is_found_again(kind: str, base: str, keys: dict[str, Any]) -> None:
    rule, picture = on(kind, base), a_picture(kind, **keys)
    (found,) = activations(rule, picture.record, NOW)

    assert isinstance(decide(rule, picture, found.occurrence, NOW), Send)


def test_each_unpaid_instalment_has_an_activation_of_its_own_and_a_paid_one_none() -> None:
    assert [one.occurrence for one in active("invoice", "payment_due")] == ["2@2026-12-15", "3@2027-01-15"]


def test_an_instalment_that_is_paid_drops_its_reminder_and_leaves_the_next() -> None:
    rule = on("invoice", "payment_due", -3)
    shelf = Shelf(the_rules(rule.trigger))
    shelf.take(a_picture("invoice"))
    paid = [{"id": "2", "due": "2026-12-15", "paid": True}, {"id": "3", "due": "2027-01-15"}]

    shelf.take(a_picture("invoice", instalments=paid))

    assert shelf.states == {"2@2026-12-15": State.LAPSED, "3@2027-01-15": State.PLANNED}


# kind, date, the record now and later: two spellings of one instant.
SPELLINGS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("session", "session", {"dates": {"session": "2026-11-25T14:00"}}, {"dates": {"session": "2026-11-25T20:00Z"}}),
    (
        "appointment",
        "appointment",
        {"dates": {"appointment": "2026-11-25T20:00:00.000Z"}},
        {"dates": {"appointment": "2026-11-25 14:00"}},
    ),
    ("task", "completed", {"dates": {"completed": "2026-11-25T09:00"}}, {"dates": {"completed": "2026-11-25T15:00Z"}}),
    (
        "session",
        "status_changed",
        {"status_changed_at": "2026-11-25T09:00"},
        {"status_changed_at": "2026-11-25T15:00Z"},
    ),
    (
        "session",
        "status_due",
        {"status_changed_at": "2026-11-25T15:00Z"},
        {"status_changed_at": "2026-11-25T09:00-06:00"},
    ),
]


@pytest.mark.parametrize(("kind", "base", "before", "after"), SPELLINGS)
@pytest.mark.parametrize("sent", [True, False])
def test_an_instant_that_is_spelled_in_another_way_is_nothing_new(
    kind: str, base: str, before: dict[str, Any], after: dict[str, Any], *, sent: bool
) -> None:
    rule = on(kind, base)
    shelf = Shelf(the_rules(rule.trigger))
    shelf.take(a_picture(kind, **before))
    if sent:
        shelf.release()

    steps = shelf.take(a_picture(kind, **after))

    assert (steps, len(shelf.actions)) == ([], 1)
    decision = decide(rule, a_picture(kind, **after), shelf.only.occurrence, local("2026-12-02 12:00"))
    assert isinstance(decision, Send)


# Each year ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "day"),
    [("2027-01-10 12:00", "2027-02-28"), ("2027-12-10 12:00", "2028-02-29"), ("2028-03-20 12:00", "2029-02-28")],
)
def test_a_birthday_on_29_february_is_the_28th_in_common_years(now: str, day: str) -> None:
    rule = on("client", "birthday")

    found = activations(rule, a_picture("client", birthday="1992-02-29").record, local(now))

    assert [one.day.isoformat() for one in found] == [day]


def test_a_reminder_before_a_birthday_in_january_is_active_in_december() -> None:
    rule = on("client", "birthday", -7)

    (found,) = activations(rule, a_picture("client", birthday="1985-01-03").record, NOW)

    assert (found.occurrence, found.at, found.use_by) == ("2027", local("2026-12-27 00:00"), local("2027-01-04 00:00"))


def test_the_day_itself_is_no_anniversary_of_it() -> None:
    assert active("client", "anniversary", anniversary="2026-12-24")[0].occurrence == "2027"


def test_a_birthday_that_was_handled_is_followed_by_the_next_year() -> None:
    rule = on("client", "birthday")
    shelf = Shelf(the_rules(rule.trigger))
    client = a_picture("client")
    shelf.take(client)
    shelf.release("2027", at=local("2027-02-28 09:00"))

    shelf.take(client, now=local("2027-02-28 09:00"))

    assert shelf.states == {"2027": State.RELEASED, "2028": State.PLANNED}


def test_a_birthday_that_can_no_longer_be_wished_expires() -> None:
    rule = on("client", "birthday")

    assert isinstance(decide(rule, a_picture("client"), "2027", local("2027-03-20 12:00")), Expire)
    assert isinstance(decide(rule, a_picture("client"), "2027", local("2027-03-01 12:00")), Send)
    assert isinstance(decide(rule, a_picture("client"), "2027", local("2027-02-27 12:00")), Wait)


def test_a_birthday_that_is_corrected_moves_its_wish() -> None:
    rule = on("client", "birthday")
    shelf = Shelf(the_rules(rule.trigger))
    shelf.take(a_picture("client"))

    shelf.take(a_picture("client", birthday="1990-04-01"))

    assert shelf.only.activation_at == local("2027-04-01 00:00")


FAMILY: list[dict[str, Any]] = [
    {
        "relationship": "Daughter",
        "first_name": "Mia",
        "birthday": "2018-12-24",
        "phones": [{"number": "3125550101", "sms": True}],
    },
    {
        "relationship": "Daughter",
        "first_name": "Zoe",
        "birthday": "2020-01-05",
        "phones": [{"number": "3125550102", "sms": True}],
    },
    {"relationship": "Son", "first_name": "Max", "birthday": "2019-03-01"},
    {"relationship": "Daughter", "first_name": "Ann"},
]


def test_a_wish_for_members_of_the_family_goes_by_their_birthdays() -> None:
    rule = on("client", "birthday", send_to=["family:daughter"])

    found = activations(rule, a_picture("client", family=FAMILY).record, NOW)

    assert [(one.occurrence, one.day.isoformat()) for one in found] == [
        ("2026 daughter mia", "2026-12-24"),
        ("2027 daughter zoe", "2027-01-05"),
    ]
    client, noon = a_picture("client", family=FAMILY), local("2026-12-24 12:00")
    assert isinstance(decide(rule, client, "2026 daughter mia", noon), Send)


def wished(*family: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Each wish for a daughter, son or father: on which day, and to which numbers."""
    rule = on("client", "birthday", send_to=["family:daughter", "family:son", "family:father"])
    record = a_picture("client", family=list(family)).record
    found = activations(rule, record, NOW)
    assert len({one.occurrence for one in found}) == len(found), "an occurrence is unique"
    assert all(activation_of(rule, record, one.occurrence, NOW) == one for one in found), "and is found again"
    return [
        (
            one.day.isoformat(),
            [
                phone.number
                for person in celebrating(rule, record, one.occurrence).family or ()
                for phone in person.phones or ()
            ],
        )
        for one in found
    ]


def a_relative(relationship: str, name: str | None, birthday: str, number: str = "1", **keys: Any) -> dict[str, Any]:
    phones = [{"number": number, "sms": True}]
    return {"relationship": relationship, "first_name": name, "birthday": birthday, "phones": phones, **keys}


@pytest.mark.parametrize("name", ["Mia ", " Mia", "Mia  Ann", "Mia #2", "", None, "!", "M" * 5_000])
def test_a_wish_finds_its_member_of_the_family_however_the_name_is_spelled(name: str | None) -> None:
    assert wished(a_relative("Daughter", name, "2018-12-24")) == [("2026-12-24", ["1"])]


@pytest.mark.parametrize(
    ("one", "other"),
    [(("Father", "John"), ("Son", "John")), (("Daughter", None), ("Daughter", None)), (("Son", "Al"), ("son", "al "))],
)
def test_members_of_the_family_with_one_name_or_none_each_have_their_own_day(
    one: tuple[str, str | None], other: tuple[str, str | None]
) -> None:
    family = (a_relative(*one, "1950-12-24", "1"), a_relative(*other, "2019-01-05", "2"))

    assert wished(*family) == wished(*reversed(family)) == [("2026-12-24", ["1"]), ("2027-01-05", ["2"])]


def test_twins_each_have_a_wish() -> None:
    twins = (a_relative("Daughter", "Ann", "2018-12-24", "1"), a_relative("Daughter", "Bea", "2018-12-24", "2"))

    assert wished(*twins) == [("2026-12-24", ["1"]), ("2026-12-24", ["2"])]


def test_somebody_who_stands_in_the_family_twice_has_one_wish_to_all_their_numbers() -> None:
    twice = (a_relative("Son", "Al", "2018-12-24", "1"), a_relative("Son", "Al", "2018-12-24", "2"))

    assert wished(*twice) == [("2026-12-24", ["1", "2"])]


def test_a_last_name_that_is_added_after_the_wish_brings_no_second_one() -> None:
    rule = on("client", "birthday", send_to=["family:daughter"])
    shelf = Shelf(the_rules(rule.trigger))
    now = local("2026-12-24 09:00")
    shelf.take(a_picture("client", family=[a_relative("Daughter", "mia", "2018-12-24")]))
    shelf.release(at=now)

    shelf.take(a_picture("client", family=[a_relative("Daughter", "Mia", "2018-12-24", last_name="Park")]), now)

    assert shelf.states == {"2026 daughter mia": State.RELEASED, "2027 daughter mia": State.PLANNED}


def test_a_wish_that_goes_to_the_client_too_goes_by_the_clients_birthday() -> None:
    rule = on("client", "birthday", send_to=["client", "family:daughter"])

    (found,) = activations(rule, a_picture("client", family=FAMILY).record, NOW)

    assert found.occurrence == "2027"


# Filters --------------------------------------------------------------------------------------------------

# kind, filter of the trigger, record: whether it is about that record.
FILTERS = [
    ("appointment", {"type": "Consultation"}, {}, True),
    ("appointment", {"type": "Portrait"}, {}, False),
    ("appointment", {"type": "Consultation", "status": "Made"}, {}, True),
    ("appointment", {"type": "Consultation", "status": "Kept"}, {}, False),
    ("appointment", {}, {"status": None, "type": None}, True),
    ("client", {"status": "Active"}, {}, True),
    ("client", {"status": "Lead"}, {}, False),
    ("email", {"event": "opened"}, {}, True),
    ("email", {"event": "bounced"}, {}, False),
    ("email", {"event": "opened", "category": "Newsletter"}, {}, True),
    ("email", {"category": "Reminder"}, {}, False),
    ("invoice", {"status": "Open"}, {}, True),
    ("production_order", {"type": "Album", "status": "At the lab"}, {}, True),
    ("production_order", {"type": "Prints"}, {}, False),
    ("preproduction_order", {"status": "Selecting"}, {}, True),
    ("session", {"status": "Booked", "type": "Wedding"}, {}, True),
    ("session", {"status": "Booked", "type": "Portrait"}, {}, False),
    ("session", {"type": "Wedding"}, {"status": None}, True),
    ("task", {"type": "Call back"}, {}, True),
    ("task", {"status": "Done"}, {}, False),
    ("web_form", {"form": "Contact Us"}, {}, True),
    ("web_form", {"form": "Questionnaire"}, {}, False),
    ("web_form", {"status": "Submitted", "form": "Contact Us"}, {}, True),
    ("web_form", {"form": "Contact Us"}, {"form": None}, False),
    ("loyalty_reward", {"type": "Referral"}, {}, True),
    ("loyalty_reward", {"type": "Loyalty"}, {}, False),
    ("sms", {"keyword": "prints", "match": "whole"}, {"text": " PRINTS! "}, True),
    ("sms", {"keyword": "prints", "match": "whole"}, {"text": "prints please"}, False),
    ("sms", {"keyword": "Prints!", "match": "first_word"}, {"text": "prints, please"}, True),
    ("sms", {"keyword": "prints", "match": "first_word"}, {"text": "please prints"}, False),
    ("sms", {"keyword": "book now"}, {"text": "Book   now."}, True),
    ("sms", {"keyword": "prints"}, {"text": None}, False),
    ("sms", {"keyword": "prints", "match": "whole"}, {"text": "Prints \u2764\ufe0f"}, True),
]


@pytest.mark.parametrize(("kind", "filters", "keys", "about"), FILTERS)
def test_a_trigger_is_about_what_its_filters_let_through(
    kind: str, filters: dict[str, Any], keys: dict[str, Any], *, about: bool
) -> None:
    base = next(iter(KINDS[kind].bases))
    trigger = a_trigger(1, record=kind, activate={"on": base}, **filters)
    picture = a_picture(kind, **keys)
    rules = the_rules(trigger)

    assert bool(list(rules.matching(kind, picture.record))) is about
    decision = decide(rules.by_id[1], picture, "x", NOW)
    names = ("status:", "type:", "form:", "event:", "category:", "keyword:")
    assert isinstance(decision, Lapse)
    assert decision.reason.startswith(names) is not about


# Exclusions -----------------------------------------------------------------------------------------------

ON_HOLD, CONFIRMED, CANCELED = ({"flags": {flag: True}} for flag in ("on_hold", "confirmed", "canceled"))
SCORE_3: dict[str, Any] = {"nps": {"id": "r-1", "score": 3, "comment": " ", "received_at": "2026-11-24T09:00"}}
UNSCORED: dict[str, Any] = {"nps": None}

# kind, date, exclusion, record: how the reason begins; None where it goes out.
EXCLUSIONS: list[tuple[str, str, dict[str, Any], dict[str, Any], str | None]] = [
    ("session", "booked", {"on_hold": True}, ON_HOLD, "on hold"),
    ("session", "booked", {}, ON_HOLD, None),
    ("session", "booked", {"confirmed": True}, CONFIRMED, "confirmed"),
    ("session", "booked", {"confirmed": True}, ON_HOLD, None),
    ("session", "booked", {"canceled": True}, CANCELED, "canceled"),
    ("session", "booked", {"nps": {"recorded": True}}, {}, "NPS: a score of 9 is recorded"),
    ("session", "booked", {"nps": {"recorded": True}}, UNSCORED, None),
    ("session", "booked", {"nps": {"only_between": [0, 6]}}, SCORE_3, None),
    ("session", "booked", {"nps": {"only_between": [3, 3]}}, SCORE_3, None),
    ("session", "booked", {"nps": {"only_between": [0, 6]}}, {}, "NPS: the score is 9"),
    ("session", "booked", {"nps": {"only_between": [0, 6]}}, UNSCORED, "NPS: the score is None"),
    ("session", "booked", {"nps": {"only_with_comment": True}}, {}, None),
    ("session", "booked", {"nps": {"only_with_comment": True}}, SCORE_3, "NPS: there is no comment"),
    ("session", "booked", {"past_date": True}, {}, "past date"),
    ("appointment", "booked", {"on_hold": True}, ON_HOLD, "on hold"),
    ("appointment", "booked", {"confirmed": True}, CONFIRMED, "confirmed"),
    ("appointment", "booked", {"canceled": True}, CANCELED, "canceled"),
    ("appointment", "booked", {"past_date": True}, {}, "past date"),
    ("client", "status_changed", {"past_date": True}, {}, "past date"),
    ("client", "status_changed", {"past_date": True}, {"status_changed_at": "2026-11-25T07:00"}, None),
    ("email", "sent", {"past_date": True}, {}, "past date"),
    ("invoice", "invoice", {"past_date": True}, {}, "past date"),
    ("production_order", "ordered", {"past_date": True}, {}, "past date"),
    ("preproduction_order", "ordered", {"past_date": True}, {}, "past date"),
    ("task", "completed", {"past_date": True}, {}, "past date"),
    ("web_form", "submitted", {"past_date": True}, {}, "past date"),
    ("sms", "received", {"past_date": True}, {}, None),
    ("sms", "received", {"past_date": True}, {"dates": {"received": "2026-11-24T23:59"}}, "past date"),
    ("loyalty_reward", "issued", {"past_date": True}, {}, "past date"),
    ("loyalty_reward", "issued", {}, {}, None),
    ("loyalty_reward", "issued", {}, {"reward": {"balance": "0.00"}}, "redeemed"),
    ("loyalty_reward", "issued", {"redeemed": True}, {"reward": {"balance": "0.00"}}, None),
    ("loyalty_reward", "issued", {}, {"reward": {"balance": "-"}}, None),
    ("loyalty_reward", "issued", {}, {"reward": {"balance": "-0.01"}}, "redeemed"),
]


@pytest.mark.parametrize(("kind", "base", "exclude", "keys", "reason"), EXCLUSIONS)
def test_an_exclusion_leaves_out_or_keeps_what_it_says(
    kind: str, base: str, exclude: dict[str, Any], keys: dict[str, Any], reason: str | None
) -> None:
    rule, picture = on(kind, base, exclude=exclude), a_picture(kind, **keys)
    (active,) = activations(rule, picture.record, NOW)

    decision = decide(rule, picture, active.occurrence, NOW)

    if reason is None:
        assert isinstance(decision, Send)
    else:
        assert isinstance(decision, Lapse)
        assert decision.reason.startswith(reason)


def test_every_exclusion_of_every_kind_has_its_case() -> None:
    offered = {(kind.name, name) for kind in KINDS.values() for name in kind.exclusions}
    later = {
        (kind, name) for kind, name in offered if name == "without_allow_marketing"
    }  # told by the leg that is taken
    of_invoices = {("invoice", "nps")}  # below
    told = {(kind, name) for kind, _, exclude, _, _ in EXCLUSIONS for name in exclude}
    assert told == offered - later - of_invoices


def test_an_invoice_is_left_out_by_the_score_of_its_session() -> None:
    rule = on("invoice", "invoice", exclude={"nps": {"only_between": [9, 10]}})
    invoice = a_picture("invoice")

    assert isinstance(decide(rule, invoice, "invoice", NOW, session=a_picture("session")), Send)
    assert isinstance(decide(rule, invoice, "invoice", NOW, session=a_picture("session", **SCORE_3)), Lapse)
    assert isinstance(decide(rule, invoice, "invoice", NOW), Lapse)


def test_a_use_by_is_fourteen_days_after_what_is_past_and_the_date_itself_for_what_comes_before_it() -> None:
    (past,) = active("web_form", "submitted")
    (before,) = active("task", "due", -1)

    assert past.use_by - past.at == timedelta(days=14)
    assert before.use_by == local("2026-12-05 00:00")


def test_a_status_that_must_hold_into_the_next_day_is_active_on_that_day() -> None:
    rule = on("session", "status_changed", must_hold="30m", exclude={"past_date": True})
    late = a_picture("session", status_changed_at="2026-11-24T23:50")
    (found,) = activations(rule, late.record, NOW)

    assert (found.at, found.day.isoformat()) == (local("2026-11-25 00:20"), "2026-11-25")
    assert isinstance(decide(rule, late, found.occurrence, local("2026-11-25 00:20")), Send)


def test_days_are_local_to_the_studio() -> None:
    evening = active("email", "received", 1, dates={"received": "2026-11-25T04:30:00Z"})

    assert evening[0].at == datetime.fromisoformat("2026-11-25T06:00:00Z")
