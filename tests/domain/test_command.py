"""Commands and reports: the same for the same cause, and readable for the CRM."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_center.domain.command import (
    BUCKETS,
    Cause,
    Command,
    cloud_event,
    command,
    event_type,
    exchange,
    is_report,
)
from tests.support.values import NOW

CAUSE = Cause("Reminder", 3, "a-7", "e-1")
VERBS = [
    "create_call",
    "create_task",
    "create_letter",
    "create_web_form",
    "change_status",
    "add_note",
    "assign_referral",
    "confirm_record",
    "record_nps",
    "create_client",
]
REPORTS = [
    "message.sent",
    "message.delivered",
    "message.failed",
    "message.unknown",
    "message.received",
    "action.lapsed",
    "action.held",
    "consent.changed",
]


def a_command(verb: str = "create_call", **keys: Any) -> Command:
    said: dict[str, Any] = {"subject": "session/4711", "of": "a-7 call", "studio": "main", **keys}
    return command(said["studio"], said["subject"], verb, {"client_id": "c-12"}, cause=CAUSE, of=said["of"])


def published(stored: Command) -> dict[str, Any]:
    event: dict[str, Any] = msgspec.json.decode(cloud_event(stored, sequence=5, created_at=NOW))
    return event


def test_the_same_cause_makes_the_same_command() -> None:
    assert a_command() == a_command()


@pytest.mark.parametrize(
    "other",
    [
        a_command(of="a-8 call"),
        a_command(subject="session/4712"),
        a_command(studio="north"),
        a_command("change_status"),
    ],
    ids=["cause", "record", "studio", "verb"],
)
def test_another_cause_record_studio_or_verb_makes_another_command(other: Command) -> None:
    assert other.command_id != a_command().command_id


def test_a_command_is_published_as_a_cloud_event_about_the_record() -> None:
    stored = a_command()

    assert published(stored) == {
        "specversion": "1.0",
        "id": stored.command_id,
        "source": "/control-center/main",
        "type": "control_center.command.create_call",
        "subject": "session/4711",
        "time": "2026-11-25T16:00:00Z",
        "studio": "main",
        "sequence": 5,
        "datacontenttype": "application/json",
        "data": {
            "client_id": "c-12",
            "cause": {"trigger": "Reminder", "trigger_version": 3, "action": "a-7", "event_id": "e-1", "depth": 1},
        },
    }


@pytest.mark.parametrize("verb", VERBS)
def test_a_command_goes_to_the_exchange_of_commands(verb: str) -> None:
    assert (is_report(verb), exchange(verb)) == (False, "crm.commands")
    assert event_type(verb) == f"control_center.command.{verb}"


@pytest.mark.parametrize("verb", REPORTS)
def test_a_report_goes_to_the_exchange_of_reports(verb: str) -> None:
    assert (is_report(verb), exchange(verb)) == (True, "control-center.reports")
    assert event_type(verb) == f"control_center.{verb}"


@settings(deadline=None)
@given(st.text(min_size=1), st.sampled_from(VERBS + REPORTS), st.sampled_from(VERBS))
def test_all_about_one_record_goes_through_one_bucket_so_that_its_order_holds(
    subject: str, verb: str, other: str
) -> None:
    one, two = a_command(verb, subject=subject, of="1"), a_command(other, subject=subject, of="2")

    assert one.bucket == two.bucket
    assert 0 <= one.bucket < BUCKETS
