from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_center.domain.blackouts import Blackout, Blackouts
from control_center.domain.errors import Malformed

DATES = st.dates(date(2020, 1, 1), date(2032, 12, 31))
ENTRIES = st.one_of(
    DATES.map(lambda day: Blackout.on("day", day)),
    st.tuples(DATES, st.integers(0, 400)).map(
        lambda run: Blackout.between("run", run[0], run[0] + timedelta(days=run[1]))
    ),
    DATES.map(lambda day: Blackout.every_year("yearly", f"{day:%m-%d}")),
)


def test_a_run_of_days_covers_both_its_ends() -> None:
    run = Blackout.between("Summer", date(2026, 8, 1), date(2026, 8, 14))

    assert [run.covers(date(2026, 8, 1)), run.covers(date(2026, 8, 14))] == [True, True]
    assert [run.covers(date(2026, 7, 31)), run.covers(date(2026, 8, 15))] == [False, False]


def test_a_run_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(Malformed) as refusal:
        Blackout.between("Summer", date(2026, 8, 14), date(2026, 8, 1))

    assert refusal.value.field == "to"


def test_29_february_of_every_year_is_only_ever_that_day() -> None:
    leap_day = Blackout.every_year("leap day", "02-29")

    assert leap_day.covers(date(2028, 2, 29))
    assert not leap_day.covers(date(2027, 2, 28))
    assert not leap_day.covers(date(2027, 3, 1))
    assert leap_day.next(date(2096, 3, 1)) == date(2104, 2, 29)


@pytest.mark.parametrize("text", ["", "1-1", "13-01", "02-30", "12-25\n", "W01-1", "2026-12-25", "12/25", "١٢-٢٥"])
def test_what_is_no_day_of_the_year_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as refusal:
        Blackout.every_year("Christmas", text)

    assert refusal.value.field == "yearly"


def test_a_date_names_a_day_before_a_yearly_day_and_that_before_a_run() -> None:
    day = date(2026, 12, 25)
    run = Blackout.between("holidays", day, date(2026, 12, 31))
    yearly, single = Blackout.every_year("Christmas", "12-25"), Blackout.on("wedding", day)

    assert Blackouts((run, yearly, single)).name_of(day) == "wedding"
    assert Blackouts((run, yearly)).name_of(day) == "Christmas"
    assert Blackouts((run,)).name_of(day) == "holidays"
    assert Blackouts((single, Blackout.on("fair", day))).name_of(day) == "wedding"
    assert Blackouts().name_of(day) is None


def test_a_blackout_without_a_name_still_covers() -> None:
    assert Blackouts((Blackout.on("", date(2026, 12, 25)),)).name_of(date(2026, 12, 25)) == ""


def test_a_blackout_is_written_as_a_person_would() -> None:
    assert str(Blackout.on("Fair", date(2026, 5, 2))) == "Fair (2026-05-02)"
    assert str(Blackout.between("Fair", date(2026, 5, 2), date(2026, 5, 4))) == "Fair (2026-05-02 to 2026-05-04)"
    assert str(Blackout.every_year("Christmas", "12-25")) == "Christmas (every 12-25)"


@settings(deadline=None)
@given(st.lists(ENTRIES, max_size=6).map(tuple), DATES)
def test_looking_a_day_up_finds_what_asking_each_entry_would(entries: tuple[Blackout, ...], day: date) -> None:
    blackouts = Blackouts(entries)
    days = [day + timedelta(days=ahead) for ahead in range(200)]

    covered = [any(entry.covers(each) for entry in entries) for each in days]

    assert [blackouts.name_of(each) is not None for each in days] == covered
    found = blackouts.next(day)
    assert found == days[covered.index(True)] if True in covered else found is None or found > days[-1]


def test_nothing_covers_a_day_after_the_last_year() -> None:
    assert Blackout.every_year("Christmas", "12-25").next(date(9999, 12, 26)) is None
