"""What the CRM is told of a message."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from control_center.domain.message import State
from control_center.domain.telling import About, Enrolment, told

ABOUT = About("main", 12, "sms", "+13125550188", "session", "4711", "c-12", 7, "e-1", "Thanks", 3)


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        (State.ACCEPTED, ["message.sent", "add_note"]),
        (State.DELIVERED, ["message.delivered"]),
        (State.UNDELIVERED, ["message.failed", "add_note"]),
        (State.UNKNOWN, ["message.unknown", "add_note"]),
        (State.FAILED, ["message.failed", "add_note"]),
        (State.CANCELLED, ["message.failed", "add_note"]),
        (State.QUEUED, []),
        (State.SUBMITTING, []),
    ],
)
def test_an_outcome_is_reported_and_leaves_a_line_in_the_history(state: State, verbs: list[str]) -> None:
    assert [command.verb for command in told(ABOUT, state, "")] == verbs


def test_the_line_names_the_rule_the_recipient_and_the_outcome() -> None:
    note = told(ABOUT, State.FAILED, "recipient: no such number")[1]

    assert json.loads(note.data)["text"] == (
        "Text to +13125550188 by trigger 'Thanks': not sent (recipient: no such number)."
    )


def test_everything_told_names_its_cause() -> None:
    for command in told(ABOUT, State.ACCEPTED, ""):
        assert json.loads(command.data)["cause"] == {
            "trigger": "Thanks",
            "trigger_version": 3,
            "action": "a-7",
            "event_id": "e-1",
            "depth": 1,
        }


def test_the_same_outcome_told_twice_is_the_same_command() -> None:
    assert told(ABOUT, State.ACCEPTED, "") == told(ABOUT, State.ACCEPTED, "")


ENROLLING = replace(ABOUT, enrols=Enrolment("c-12", "Spring", "move"))


@pytest.mark.parametrize("state", list(State))
def test_a_client_enters_a_program_only_once_the_message_was_handed_over(state: State) -> None:
    enrolled = [one for one in told(ENROLLING, state, "") if one.verb == "assign_referral"]

    assert len(enrolled) == (state in (State.ACCEPTED, State.DELIVERED))
    for one in enrolled:
        data = json.loads(one.data)
        assert {key: data[key] for key in ("client_id", "program", "if_enrolled")} == {
            "client_id": "c-12",
            "program": "Spring",
            "if_enrolled": "move",
        }
        assert data["cause"]["trigger"] == "Thanks"


def test_two_messages_of_one_action_enrol_once() -> None:
    first, second = told(ENROLLING, State.ACCEPTED, ""), told(replace(ENROLLING, message_id=13), State.DELIVERED, "")

    ids = {one.command_id for one in (*first, *second) if one.verb == "assign_referral"}
    assert len(ids) == 1
