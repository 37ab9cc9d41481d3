"""Where an action gets, why not sooner, and what it comes to: told before it happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain import zones
from control_center.domain.blackouts import Blackout
from control_center.domain.catalogue_actions import Leg
from control_center.domain.forecast import End, Fate, Scene, follow, lines
from control_center.domain.people import Recipient
from control_center.domain.planner import plans
from control_center.domain.recipients import Errand, Letterbox, Routing
from control_center.domain.shifts import shifts
from control_center.domain.tally import Tally, Twice
from control_center.domain.windows import is_open
from tests.support.values import (
    CHICAGO,
    NOW,
    a_picture,
    a_rule,
    a_studio,
    local,
    utc,
)

SMS = Letterbox(Leg.SMS, "+13125550188", Recipient("client", "Jo", "Park"))
FAIR = Blackout.on("Fair", date(2027, 6, 7))
WORK = {"mode": "automatic", "window": "09:00-18:00", "not_on": ["sat", "sun"]}


def a_scene(*, blackouts: tuple[Blackout, ...] = (), record: dict[str, Any] | None = None, **keys: Any) -> Scene:
    return Scene(
        a_rule(blackouts=blackouts, **keys),
        a_picture(**(record or {})),
        "2027-06-12T14:00:00",
        a_picture("client", id="c-12"),
        a_studio(),
        {},
    )


def test_a_send_on_a_weekend_is_shifted_past_the_weekend_the_fair_and_the_night() -> None:
    rule = a_rule(processing=WORK, blackouts=(FAIR,))
    picture = a_picture()

    end = follow(rule, picture, "2027-06-12T14:00:00", NOW, utc("2027-12-01 00:00"))

    assert end == End(local("2027-06-08 09:00"), Fate.GOES)
    assert shifts(rule, local("2027-06-05 00:00"), end.at) == (
        "excluded weekday (Saturday)",
        "excluded weekday (Sunday)",
        "blackout day (Fair)",
        "window opens 09:00",
    )


def test_what_comes_after_the_end_of_the_forecast_is_not_told() -> None:
    assert follow(a_rule(), a_picture(), "2027-06-12T14:00:00", NOW, NOW + timedelta(days=14)) is None


@pytest.mark.parametrize(
    ("keys", "record", "fate"),
    [
        ({"processing": {"mode": "manual"}}, {}, Fate.REVIEW),
        ({"shadow": True}, {}, Fate.SHADOW),
        ({"exclude": {"on_hold": True}}, {"flags": {"on_hold": True}}, Fate.LAPSES),
        ({"status": "Asked"}, {}, Fate.LAPSES),
    ],
)
def test_an_action_that_does_not_go_says_what_comes_of_it(keys: Any, record: Any, fate: Fate) -> None:
    end = follow(a_rule(**keys), a_picture(**record), "2027-06-12T14:00:00", NOW, utc("2027-12-01 00:00"))

    assert end is not None
    assert end.fate is fate


def test_a_paused_trigger_holds_what_it_has() -> None:
    rule = a_rule()
    paused = replace(rule, trigger=replace(rule.trigger, paused="hold"))

    end = follow(paused, a_picture(), "2027-06-12T14:00:00", NOW, utc("2027-12-01 00:00"))

    assert end is not None
    assert end.fate is Fate.HELD


def test_each_message_and_command_is_a_line_with_its_words() -> None:
    scene = a_scene(action="sms_or_call", text="{{ client.first_name }}, {{ session.type }}", then_status="Called")
    routing = Routing(letterboxes=[SMS], errands=[Errand(Leg.CALL, "c-12")], reasons=["fallback: call for client"])

    told = lines(scene, End(NOW, Fate.GOES), routing, NOW)

    assert [(one.leg, one.address, one.recipient, one.text) for one in told] == [
        ("sms", "+13125550188", "Jo Park", "Jo, Wedding"),
        ("call", "", "", "Jo, Wedding"),
        ("change_status", "", "", "Called"),
    ]


def test_a_message_without_its_words_fails_and_says_which_field_is_missing() -> None:
    scene = a_scene(text="{{ record.fields.place }}")

    (told,) = lines(scene, End(NOW, Fate.GOES), Routing(letterboxes=[SMS]), NOW)

    assert (told.fate, told.text, told.reason) == (Fate.FAILS, None, "template: record.fields.place")


@pytest.mark.parametrize(("along", "fate"), [(["confirmation"], Fate.FAILS), ([], Fate.GOES)])
def test_an_email_whose_template_carries_a_session_without_a_date_fails(along: list[str], fate: Fate) -> None:
    mail = Letterbox(Leg.EMAIL, "jo@mail.example", Recipient("client", "Jo", "Park"))
    scene = a_scene(record={"dates": {}}, action="email", text=..., template="booked")
    scene = replace(scene, templates={"booked": {"text": "See you.", "attachments": along}})

    (told,) = lines(scene, End(NOW, Fate.GOES), Routing(letterboxes=[mail]), NOW)

    assert told.fate is fate


def test_a_marketing_text_is_told_at_the_time_at_which_its_recipient_may_have_it_and_email_goes_at_once() -> None:
    mail = Letterbox(Leg.EMAIL, "jo@mail.example", Recipient("client", "Jo", "Park"))
    scene = replace(a_scene(action="email_and_sms", text="x"), use_by=local("2027-07-01 00:00"))
    saturday = local("2027-06-05 18:00")

    text, email = lines(scene, End(saturday, Fate.GOES), Routing(letterboxes=[SMS, mail]), saturday)

    assert (text.at, email.at) == (local("2027-06-07 10:00"), saturday)
    assert text.shifts == ("quiet hours: outside 10:00-17:00 (zone from the number: America/Chicago)",)
    (late,) = lines(
        replace(scene, use_by=local("2027-06-06 18:00")), End(saturday, Fate.GOES), Routing(letterboxes=[SMS]), saturday
    )
    assert (late.fate, late.at, late.reason) == (Fate.EXPIRES, saturday, text.shifts[0])


def test_what_goes_nowhere_ends_and_what_waits_for_a_person_goes_on_waiting() -> None:
    nowhere = Routing(reasons=["no route: client has no number that takes texts"])

    (goes,) = lines(a_scene(), End(NOW, Fate.GOES), nowhere, NOW)
    (waits,) = lines(a_scene(), End(NOW, Fate.REVIEW, "manual"), nowhere, NOW)

    assert (goes.fate, waits.fate) == (Fate.EXPIRES, Fate.REVIEW)
    assert "no number" in waits.reason


def test_two_actions_on_one_day_write_to_somebody_twice_and_one_by_two_ways_does_not() -> None:
    mail = Letterbox(Leg.EMAIL, "jo@mail.example", Recipient("client", "Jo", "Park"))
    tally = Tally(CHICAGO, "day")
    both = Routing(letterboxes=[SMS, mail])
    scene = a_scene(action="email_and_sms", text="x", purpose="transactional")
    morning = local("2027-06-07 09:00")
    for at in (morning, morning + timedelta(days=1), morning + timedelta(days=1, hours=2)):
        for one in lines(scene, End(at, Fate.GOES), both, at):
            tally.add(one)

    assert list(tally.twice()) == [Twice("c-12", date(2027, 6, 8), 2)]
    assert [(group.name, group.goes) for group in tally.ordered()] == [("2027-06-07", 2), ("2027-06-08", 4)]


def test_a_group_says_its_first_and_last_time_in_whatever_order_its_lines_come() -> None:
    tally = Tally(CHICAGO, "trigger")
    morning = local("2027-06-07 09:00")
    for hours in (3, 0, 1):
        at = morning + timedelta(hours=hours)
        scene = a_scene(text="x", purpose="transactional")
        tally.add(lines(scene, End(at, Fate.GOES), Routing(letterboxes=[SMS]), at)[0])

    (group,) = tally.ordered()
    assert (group.first, group.last) == (morning, morning + timedelta(hours=3))


def test_who_pays_is_not_the_client_that_is_written_to_the_same_day() -> None:
    payer = Letterbox(Leg.SMS, "+13125550177", Recipient("bill_to", "Max", "Hill"))
    tally = Tally(CHICAGO)
    for hours, box in ((0, SMS), (1, payer)):
        at = local("2027-06-07 09:00") + timedelta(hours=hours)
        tally.add(lines(a_scene(text="x"), End(at, Fate.GOES), Routing(letterboxes=[box]), at)[0])

    assert list(tally.twice()) == []


WINDOWS = st.sampled_from([None, "09:00-18:00", "22:00-02:00", "00:00-06:30", "17:59-18:00"])
DAYS = st.sets(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), max_size=6)
DATES = st.dates(date(2027, 2, 1), date(2027, 4, 30))


@given(
    window=WINDOWS,
    closed=DAYS,
    fair=st.lists(DATES, max_size=6),
    day=DATES,
    offset=st.integers(-20, 20),
    zone=st.sampled_from(["America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"]),
    hours=st.integers(0, 120 * 24),
)
def test_whatever_goes_goes_when_its_calendar_is_open_and_before_its_use_by(
    *, window: str | None, closed: set[str], fair: list[date], day: date, offset: int, zone: str, hours: int
) -> None:
    processing = {"mode": "automatic", "not_on": sorted(closed), **({"window": window} if window else {})}
    days = [Blackout.on("Fair", one) for one in fair]
    activate = {"on": "session", "days": offset}
    rule = a_rule(at=zones.zone(zone), blackouts=days, activate=activate, processing=processing)
    picture = a_picture(dates={"session": f"{day}T14:00"})
    now = utc("2027-01-01 00:00") + timedelta(hours=hours)

    for plan in plans(rule, picture, now):
        end = follow(rule, picture, plan.occurrence, max(now, plan.due_at), now + timedelta(days=200))

        if end is not None and end.fate is Fate.GOES:
            assert is_open(rule.calendar, end.at)
            assert plan.activation_at <= end.at < plan.use_by
            assert bool(shifts(rule, plan.activation_at, end.at)) or end.at == max(plan.activation_at, now)
