"""What the catalogue offers is what the contract says."""

from __future__ import annotations

import pytest

from control_center.domain.catalogue import KINDS, RECORD_KINDS, TYPES, Source
from control_center.domain.catalogue_actions import ACTIONS, Choice, Leg, Question

# record: filters, bases ("°" for one that only ever lies behind us), exclusions.
CONTRACT = {
    "appointment": (
        "type status",
        "appointment booked° status_changed° status_due",
        "past_date without_allow_marketing on_hold confirmed canceled",
    ),
    "client": ("status", "status_changed° status_due birthday anniversary", "past_date without_allow_marketing"),
    "email": ("event category", "received° sent°", "past_date without_allow_marketing"),
    "invoice": (
        "status",
        "status_changed° status_due payment_due invoice° paid°",
        "past_date without_allow_marketing nps",
    ),
    "production_order": (
        "type status",
        "status_changed° status_due ordered°",
        "past_date without_allow_marketing",
    ),
    "preproduction_order": (
        "type status",
        "status_changed° status_due ordered°",
        "past_date without_allow_marketing",
    ),
    "session": (
        "status type",
        "session booked° status_changed° status_due nps_received°",
        "past_date without_allow_marketing on_hold confirmed canceled nps",
    ),
    "task": (
        "status type",
        "start due completed° status_changed° status_due",
        "past_date without_allow_marketing",
    ),
    "web_form": ("status form", "status_changed° created° submitted°", "past_date without_allow_marketing"),
    "sms": ("keyword", "received°", "past_date without_allow_marketing"),
    "loyalty_reward": ("type", "issued° expires", "past_date without_allow_marketing redeemed"),
}

# The fourteen types: name, kind and filters.
FOURTEEN = {
    1: ("Appointment Type", "appointment", "type"),
    2: ("Appointment Type and Status", "appointment", "type status"),
    3: ("Client Status", "client", "status"),
    4: ("Email Records", "email", "event category"),
    5: ("Invoice Status", "invoice", "status"),
    6: ("Production Status", "production_order", "type status"),
    7: ("Preproduction Status", "preproduction_order", "type status"),
    8: ("Session Status", "session", "status type"),
    9: ("Session Type", "session", "type"),
    10: ("Task Status", "task", "status type"),
    11: ("Task Type", "task", "type"),
    12: ("Web Form Status", "web_form", "status form"),
    13: ("SMS Records (Incoming Keyword)", "sms", "keyword match"),
    14: ("Loyalty Reward", "loyalty_reward", "type"),
}


def test_there_are_fourteen_types_of_triggers() -> None:
    assert {one.number: (one.name, one.kind, " ".join(one.filters)) for one in TYPES} == FOURTEEN


def test_a_trigger_may_hang_on_exactly_these_kinds() -> None:
    assert set(KINDS) == set(CONTRACT)


@pytest.mark.parametrize("name", CONTRACT)
def test_a_kind_offers_the_filters_dates_and_exclusions_of_the_contract(name: str) -> None:
    kind, (filters, bases, exclusions) = KINDS[name], CONTRACT[name]

    assert set(kind.filters) == set(filters.split())
    assert {base.name + "°" * base.past for base in kind.bases.values()} == set(bases.split())
    assert kind.exclusions == set(exclusions.split())


@pytest.mark.parametrize("name", CONTRACT)
def test_each_name_is_the_one_it_is_looked_up_by(name: str) -> None:
    kind = KINDS[name]

    assert kind.name == name
    assert all(key == base.name for key, base in kind.bases.items())
    assert all(base.key == base.name for base in kind.bases.values() if base.source is Source.DATE)
    assert kind.primary in {"", *kind.bases}


def test_the_date_of_a_record_is_the_one_that_it_is_about() -> None:
    assert {name: kind.primary for name, kind in KINDS.items()} == {
        "appointment": "appointment",
        "client": "",
        "email": "received",
        "invoice": "invoice",
        "production_order": "ordered",
        "preproduction_order": "ordered",
        "session": "session",
        "task": "due",
        "web_form": "submitted",
        "sms": "received",
        "loyalty_reward": "issued",
    }


def test_events_are_about_every_kind_but_our_own() -> None:
    assert set(KINDS) - {"email", "sms"} == RECORD_KINDS


@pytest.mark.parametrize(
    ("name", "legs", "choice"),
    [
        ("sms", (Leg.SMS,), Choice.FIRST),
        ("email", (Leg.EMAIL,), Choice.FIRST),
        ("email_or_call", (Leg.EMAIL, Leg.CALL), Choice.FIRST),
        ("email_or_letter", (Leg.EMAIL, Leg.LETTER), Choice.FIRST),
        ("sms_or_call", (Leg.SMS, Leg.CALL), Choice.FIRST),
        ("sms_or_email", (Leg.SMS, Leg.EMAIL), Choice.FIRST),
        ("email_and_sms", (Leg.EMAIL, Leg.SMS), Choice.EACH),
        ("call", (Leg.CALL,), Choice.FIRST),
        ("letter", (Leg.LETTER,), Choice.FIRST),
        ("task", (Leg.TASK,), Choice.FIRST),
        ("web_form", (Leg.WEB_FORM,), Choice.FIRST),
        ("nps_sms", (Leg.SMS,), Choice.FIRST),
        ("confirmation_sms", (Leg.SMS,), Choice.FIRST),
        ("change_status", (Leg.CHANGE_STATUS,), Choice.FIRST),
    ],
)
def test_an_action_has_its_legs_in_the_order_in_which_they_are_tried(
    name: str, legs: tuple[Leg, ...], choice: Choice
) -> None:
    action = ACTIONS[name]

    assert (action.name, action.legs, action.choice) == (name, legs, choice)


def test_there_are_fourteen_actions() -> None:
    assert len(ACTIONS) == 14


def test_what_writes_needs_words() -> None:
    wordless = {"call", "task", "web_form", "change_status"}

    assert {name for name, action in ACTIONS.items() if action.writes} == set(ACTIONS) - wordless


@pytest.mark.parametrize(
    ("name", "kinds", "question"),
    [
        ("confirmation_sms", frozenset({"session", "appointment"}), Question.CONFIRMATION),
        ("nps_sms", frozenset({"session"}), Question.NPS),
    ],
)
def test_a_text_that_asks_is_offered_where_there_is_something_to_answer(
    name: str, kinds: frozenset[str], question: Question
) -> None:
    assert (ACTIONS[name].kinds, ACTIONS[name].question) == (kinds, question)
