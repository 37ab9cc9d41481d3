"""What we know of a record: dates as the CRM writes them, and versions in whatever order they come."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_center.domain.errors import Malformed
from control_center.domain.record import Facts, Picture, as_mapping, check_moment, facts_of, moment, project
from control_center.domain.record_parts import Flags
from tests.support.values import a_client, a_decoded, a_picture, a_record, as_read, utc

LAW = settings(deadline=None)


# Dates ----------------------------------------------------------------------------------------------------


def test_a_date_is_a_day_without_an_instant() -> None:
    assert (moment("2026-11-21", "America/Chicago").day, moment("2026-11-21", "UTC").instant) == (
        date(2026, 11, 21),
        None,
    )


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2026-11-21T10:04", "America/Chicago", "2026-11-21 16:04"),
        ("2026-11-21 10:04:05", "America/Chicago", "2026-11-21 16:04:05"),
        ("2026-11-21T16:04:05Z", "America/Chicago", "2026-11-21 16:04:05"),
        ("2026-11-21T16:04:05.250+01:00", "America/Chicago", "2026-11-21 15:04:05.250"),
        ("2026-11-21T16:04+0530", "UTC", "2026-11-21 10:34"),
        ("2026-03-08T02:30", "America/Chicago", "2026-03-08 08:00"),  # skipped: the moment of the skip
        ("2026-11-01T01:30", "America/Chicago", "2026-11-01 06:30"),  # shown twice: the first
    ],
)
def test_a_time_without_offset_is_in_the_studios_zone(text: str, zone: str, instant: str) -> None:
    check_moment("f", text)

    assert moment(text, zone).instant == utc(instant)


def test_the_day_of_an_instant_is_the_one_in_the_studio() -> None:
    days = {zone: moment("2026-11-22T03:00:00Z", zone).day for zone in ("America/Chicago", "Asia/Tokyo")}

    assert days == {"America/Chicago": date(2026, 11, 21), "Asia/Tokyo": date(2026, 11, 22)}


@LAW
@given(
    st.text(max_size=30) | st.from_regex(r"[0-9]{4}-?W?[0-9]{2}-?[0-9]{1,2}([T ][0-9:.,Z+-]{0,14})?", fullmatch=True)
)
def test_a_date_that_is_taken_can_be_read_in_any_zone(text: str) -> None:
    try:
        check_moment("f", text)
    except Malformed:
        return
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/Chicago"):
        moment(text, zone)


# Reading --------------------------------------------------------------------------------------------------


def test_a_record_says_what_deciding_needs_and_keeps_the_rest_for_the_templates() -> None:
    record = as_read(a_record(flags={"on_hold": True}, fields={"location": "Lakeside"}))

    assert (record.status, record.type, record.client_id) == ("Booked", "Wedding", "c-12")
    assert record.flags == Flags(on_hold=True, canceled=False)
    assert as_mapping(a_picture(fields={"location": "Lakeside"}).body)["fields"] == {"location": "Lakeside"}


def test_what_a_record_leaves_out_is_absent_false_or_empty() -> None:
    record = as_read({"kind": "session", "id": "1", "version": 1})

    assert (record.client_id, record.status, record.status_changed_at, record.status_due_date) == (None,) * 4
    assert (record.dates, record.staff, record.phones) == ({}, (), ())
    assert record.flags == Flags()


@LAW
@given(
    st.builds(
        Facts,
        st.none() | st.text(max_size=5),
        st.none() | st.text(max_size=5),
        st.none() | st.text(max_size=5),
        st.dictionaries(st.text(max_size=4), st.none() | st.text(max_size=4)).map(
            lambda keys: tuple(sorted(keys.items()))
        ),
    )
)
def test_facts_are_stored_and_read_back_unchanged(facts: Facts) -> None:
    assert Facts.from_json(facts.to_json()) == facts


# Versions -------------------------------------------------------------------------------------------------


def a_version(number: int, verb: str = "updated", **keys: Any) -> Picture:
    """One version, seen an hour after the one before."""
    at = datetime(2026, 11, 21, 8, tzinfo=UTC) + timedelta(hours=number)
    return a_picture(verb=verb, time=at.isoformat(), version=number, fields={"n": number}, **keys)


def folded(*seen: Picture) -> Picture:
    picture: Picture | None = None
    for one in seen:
        picture = project(picture, one)
    assert picture is not None
    return picture


def test_the_newest_version_is_the_picture_and_the_oldest_says_what_was_before_us() -> None:
    picture = folded(a_version(2, status="Lead"), a_version(5, status="Booked"))

    assert (picture.version, picture.record.status) == (5, "Booked")
    assert picture.first_facts is not None
    assert (picture.first_version, picture.first_facts.status) == (2, "Lead")
    assert picture.known_since == utc("2026-11-21 10:00")


def test_an_older_version_never_overwrites_a_newer_one() -> None:
    picture = folded(a_version(5, status="Booked"), a_version(4, status="Lead", client_id="c-9"))

    assert (picture.version, picture.record.status, picture.client_id) == (5, "Booked", "c-12")


def test_an_equal_version_changes_nothing() -> None:
    first = a_version(5, status="Booked")

    assert folded(first, a_version(5, status="Lead")) == first


def test_a_record_whose_creation_is_seen_last_has_no_history() -> None:
    picture = folded(a_version(3), a_version(2), a_version(1, "created"))

    assert (picture.version, picture.first_facts, picture.known_since) == (3, None, None)


def test_a_deleted_record_stays_so_until_a_newer_version_says_otherwise() -> None:
    assert folded(a_version(3, "deleted"), a_version(2)).deleted
    assert not folded(a_version(3, "deleted"), a_version(4)).deleted


def test_a_new_client_shown_first_beside_its_session_is_still_a_new_client() -> None:
    created = a_decoded("crm.client.created", {"client": a_client()}).seen[0]
    beside = a_decoded("crm.session.created", {"record": a_record(), "client": a_client()}).seen[0]

    assert folded(beside, created) == folded(created, beside)
    assert folded(beside, created).first_facts is None


def test_of_two_events_about_one_version_the_one_that_reports_the_status_change_counts() -> None:
    reported = a_version(5, "status_changed")
    either = {folded(*order).first_facts for order in permutations([a_version(5), reported])}

    assert either == {reported.first_facts}


def test_a_stale_version_that_is_sent_again_later_does_not_make_more_of_the_record_history() -> None:
    early, stale = a_version(5), a_picture(verb="updated", time="2026-12-24T00:00:00Z", version=4)

    assert folded(early, stale).known_since == early.known_since


@LAW
@given(st.data())
def test_versions_may_come_in_any_order_and_more_than_once(data: st.DataObject) -> None:
    first = data.draw(st.sampled_from(["created", "updated", "status_changed", "snapshot"]))
    verbs = data.draw(st.lists(st.sampled_from(["updated", "status_changed", "deleted"]), max_size=4))
    history = [
        a_decoded("crm.snapshot", {"record": a_record()}).seen[0] if verb == "snapshot" else a_version(number, verb)
        for number, verb in enumerate([first, *verbs], 1)
    ]
    arrived = data.draw(st.permutations(history + data.draw(st.lists(st.sampled_from(history), max_size=3))))

    assert folded(*arrived) == folded(*history)


def test_facts_are_the_bases_of_activations() -> None:
    record = as_read(a_record(status_due_date="2026-12-01", dates={"session": "2027-06-12", "booked": None}))

    assert facts_of(record) == Facts(
        "Booked", "2026-11-21T16:04:05Z", "2026-12-01", (("booked", None), ("session", "2027-06-12"))
    )
