"""Budgets of sender numbers: whoever takes from them, no number carries more than its limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.errors import Malformed
from control_center.domain.pacing import AHEAD, CAMPAIGN, Budget, Budgets, Limits, Pace, Place, meter, parse
from control_center.domain.table import Table

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
OURS, ALSO = "+13125550100", "+13125550101"
CHICAGO = "America/Chicago"


def one_a_second(**more: Any) -> Limits:
    return Limits(number=Pace(per_second=1), **more)


def taken(limits: Limits, count: int, *, at: datetime = NOON, **how: Any) -> tuple[Budgets, list[Place]]:
    """So many texts of one segment at one instant."""
    gauge, budgets, places = meter(limits, CHICAGO), dict[str, Budget](), []
    for _ in range(count):
        after, place = gauge.take(budgets, OURS, 1, at, **how)
        budgets = dict(after)
        places.append(place)
    return budgets, places


def waits(places: list[Place]) -> list[float]:
    return [(place.at - NOON).total_seconds() for place in places]


def test_reminders_that_come_at_once_get_places_one_after_the_other() -> None:
    _, places = taken(one_a_second(), 5)
    assert waits(places) == [0, 0, 2, 3, 4]
    assert all(place.kept for place in places)
    assert places[4].reason == f"limit: {OURS} takes no more at once"


def test_bulk_keeps_no_place_so_that_a_reminder_goes_before_it() -> None:
    gauge = meter(one_a_second(), CHICAGO)
    budgets, places = taken(one_a_second(), 5, bulk=True)
    assert waits(places) == [0, 0, 2, 2, 2]
    assert [place.kept for place in places] == [True, True, False, False, False]
    _, reminder = gauge.take(budgets, OURS, 1, NOON)
    assert (reminder.at - NOON).total_seconds() == 2


def test_what_a_person_wrote_goes_at_once_and_is_counted() -> None:
    budgets, places = taken(one_a_second(), 4, urgent=True)
    assert waits(places) == [0, 0, 0, 0]
    assert budgets[OURS].free_at == NOON + timedelta(seconds=4)


def test_segments_count_and_not_texts() -> None:
    gauge = meter(one_a_second(), CHICAGO)
    budgets, _ = gauge.take({}, OURS, 3, NOON)
    _, place = gauge.take(budgets, OURS, 1, NOON)
    assert place.at == NOON + timedelta(seconds=3)


def test_the_numbers_of_a_studio_share_the_pace_of_their_campaign() -> None:
    gauge = meter(Limits(number=Pace(per_second=10), campaign=Pace(per_second=1)), CHICAGO)
    budgets: Budgets = {}
    for number in (OURS, ALSO, OURS):
        budgets, place = gauge.take(budgets, number, 1, NOON)
    assert place.at == NOON + timedelta(seconds=2)
    assert budgets[CAMPAIGN].used == 3


def test_a_full_day_waits_for_the_next_one_and_bulk_leaves_room_for_reminders() -> None:
    limits = Limits(number=Pace(per_day=10))
    midnight = datetime(2026, 11, 24, 6, tzinfo=UTC)
    assert [place.at for place in taken(limits, 10, bulk=True)[1]] == [NOON] * 8 + [midnight] * 2
    _, places = taken(limits, 12)
    assert [place.at for place in places] == [NOON] * 10 + [midnight] * 2
    assert (places[-1].kept, places[-1].reason) == (False, f"limit: the day of {OURS} is full")
    pacific = Limits(number=Pace(per_day=10), zone="America/Los_Angeles")
    assert taken(pacific, 11)[1][-1].at == midnight + timedelta(hours=2)


def test_a_text_longer_than_a_whole_day_is_not_kept_for_ever() -> None:
    gauge = meter(Limits(number=Pace(per_day=2)), CHICAGO)
    assert gauge.take({}, OURS, 5, NOON)[1].at == NOON


def test_the_next_day_begins_with_nothing_used() -> None:
    limits = Limits(number=Pace(per_day=3))
    gauge, (budgets, _) = meter(limits, CHICAGO), taken(limits, 3)
    after, place = gauge.take(budgets, OURS, 1, NOON + timedelta(days=1))
    assert (place.kept, after[OURS].used) == (True, 1)


def test_room_is_what_fits_before_the_lead_and_none_where_it_is_taken() -> None:
    gauge, lead = meter(one_a_second(), CHICAGO), timedelta(seconds=5)
    assert gauge.room({}, OURS, NOON, lead=lead, most=100)[0] == 5
    budgets, _ = taken(one_a_second(), 3)
    assert gauge.room(budgets, OURS, NOON, lead=lead, most=100)[0] == 2
    busy, _ = taken(one_a_second(), 60)
    assert gauge.room(busy, OURS, NOON, lead=lead, most=100) == (
        0,
        Place(NOON + timedelta(seconds=60), reason=f"limit: {OURS} takes no more at once"),
    )
    slow = meter(Limits(number=Pace(per_second=0.05)), CHICAGO)
    assert slow.room({}, OURS, NOON, lead=lead, most=100)[0] == 1


steps = st.lists(
    st.tuples(
        st.integers(0, 3000),  # milliseconds since the one before
        st.integers(1, 6),
        st.sampled_from([{}, {"bulk": True}]),
    ),
    max_size=60,
)


@given(steps, st.sampled_from([0.25, 1.0, 4.0]))
def test_in_no_stretch_of_time_does_a_number_carry_more_than_its_pace(steps: list[Any], per_second: float) -> None:
    gauge, budgets, now = meter(Limits(number=Pace(per_second=per_second)), CHICAGO), dict[str, Budget](), NOON
    sent: list[tuple[datetime, int]] = []
    for wait, count, how in steps:
        now += timedelta(milliseconds=wait)
        after, place = gauge.take(budgets, OURS, count, now, **how)
        budgets = dict(after)
        if place.kept:
            sent.append((max(place.at, now), count))
        assert place.at >= now
    sent.sort()
    longest = max((count for _, count in sent), default=0)
    for first in range(len(sent)):
        carried = 0
        for at, count in sent[first:]:
            carried += count
            seconds = (at - sent[first][0] + AHEAD).total_seconds()
            assert carried <= seconds * per_second + longest + 1e-6


@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 3), st.booleans()), max_size=40))
def test_on_no_day_does_a_number_carry_more_than_its_day(steps: list[tuple[int, int, bool]]) -> None:
    limits = Limits(number=Pace(per_day=10))
    gauge, budgets, now = meter(limits, CHICAGO), dict[str, Budget](), NOON
    used: dict[Any, int] = {}
    for wait, count, bulk in steps:
        now += timedelta(seconds=wait)
        after, place = gauge.take(budgets, OURS, count, now, bulk=bulk)
        budgets = dict(after)
        if place.kept:
            day = budgets[OURS].day
            used[day] = used.get(day, 0) + count
            assert used[day] <= (8 if bulk else 10)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"number": {"per_second": 0}}, "per_second"),
        ({"number": {"per_second": True}}, "per_second"),
        ({"number": {"per_second": "1"}}, "per_second"),
        ({"campaign": {"per_day": 0}}, "per_day"),
        ({"bulk_percent": 101}, "bulk_percent"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"per_second": 1}, "per_second"),
    ],
)
def test_limits_that_make_no_sense_are_refused_by_name(values: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(Table(values, "studio", "sms.limits."))
    assert caught.value.field.endswith(field)


def test_limits_are_kept_as_they_were_written() -> None:
    said = {
        "number": {"per_second": 0.25, "per_day": 1000},
        "campaign": {"per_second": 4},
        "bulk_percent": 60,
        "zone": "America/Los_Angeles",
    }
    assert parse(Table(said, "studio", "sms.limits.")).said() == said
    assert parse(Table({}, "studio", "sms.limits.")).said() == {}
