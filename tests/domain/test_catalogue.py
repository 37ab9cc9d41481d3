"""What the catalogue offers is what the contract says of the kinds that are built."""

from __future__ import annotations

import pytest

from control_center.domain.catalogue import KINDS, RECORD_KINDS, Source
from control_center.domain.catalogue_actions import ACTIONS, Choice, Leg

# record: filters, bases ("°" for one that only ever lies behind us), exclusions.
CONTRACT = {
    "client": ("status", "status_changed° status_due", "past_date"),
    "session": (
        "status type",
        "session booked° status_changed° status_due",
        "past_date on_hold confirmed canceled",
    ),
    "appointment": (
        "status type",
        "appointment booked° status_changed° status_due",
        "past_date on_hold confirmed canceled",
    ),
    "invoice": ("status", "status_changed° status_due invoice° paid°", "past_date"),
}


def test_a_trigger_may_hang_on_exactly_these_kinds() -> None:
    assert set(KINDS) == set(CONTRACT)


@pytest.mark.parametrize("name", CONTRACT)
def test_a_kind_offers_the_filters_dates_and_exclusions_of_the_contract(name: str) -> None:
    kind, (filters, bases, exclusions) = KINDS[name], CONTRACT[name]

    assert kind.filters == set(filters.split())
    assert {base.name + "°" * base.past for base in kind.bases.values()} == set(bases.split())
    assert kind.exclusions == set(exclusions.split())


@pytest.mark.parametrize("name", CONTRACT)
def test_each_name_is_the_one_it_is_looked_up_by(name: str) -> None:
    kind = KINDS[name]

    assert kind.name == name
    assert all(key == base.name for key, base in kind.bases.items())
    assert all(base.key == base.name for base in kind.bases.values() if base.source is Source.DATE)
    assert kind.primary in {"", *kind.bases}


def test_records_of_every_kind_of_the_contract_are_taken_in() -> None:
    later = {"production_order", "preproduction_order", "task", "web_form", "loyalty_reward"}

    assert set(KINDS) | later == RECORD_KINDS


@pytest.mark.parametrize(
    ("name", "legs", "choice"),
    [
        ("sms", (Leg.SMS,), Choice.FIRST),
        ("email", (Leg.EMAIL,), Choice.FIRST),
        ("sms_or_email", (Leg.SMS, Leg.EMAIL), Choice.FIRST),
        ("email_and_sms", (Leg.EMAIL, Leg.SMS), Choice.EACH),
        ("call", (Leg.CALL,), Choice.FIRST),
        ("change_status", (Leg.CHANGE_STATUS,), Choice.FIRST),
    ],
)
def test_an_action_has_its_legs_in_the_order_in_which_they_are_tried(
    name: str, legs: tuple[Leg, ...], choice: Choice
) -> None:
    action = ACTIONS[name]

    assert (action.name, action.legs, action.choice) == (name, legs, choice)


def test_only_what_workers_deliver_needs_words() -> None:
    assert {name for name, action in ACTIONS.items() if action.writes} == set(ACTIONS) - {"call", "change_status"}
