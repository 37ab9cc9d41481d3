"""Nothing passes its ceiling without a person, and nothing is lost because of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.blast import HELD, Ceiling, Guard, Recent, admit, ceiling, passes, recent

NOW = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)
HOUR = timedelta(minutes=60)
OF_THREE = Ceiling(3, "the trigger's own")


def admitted(guard: Guard, number: int, at: datetime = NOW, limit: Ceiling = OF_THREE) -> tuple[int, int, Guard]:
    told = admit(guard, list(range(number)), limit, at, waiting=number)
    return len(told.goes), len(told.held), told.guard


# The ceiling -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "studio", "busiest", "number"),
    [
        (200, 500, 900, 200),
        (0, 500, 900, 0),
        (None, 500, 0, 500),
        (None, 500, 125, 500),
        (None, 500, 126, 504),
        (None, 0, 900, 0),
    ],
)
def test_a_ceiling_is_the_triggers_own_else_the_studios_or_four_times_the_busiest_hour(
    own: int | None, studio: int, busiest: int, number: int
) -> None:
    assert ceiling(own, studio, busiest).number == number


# One guard -------------------------------------------------------------------------------------------------------


def test_the_surplus_is_held_and_the_reason_says_the_numbers_the_ceiling_and_why() -> None:
    goes, held, guard = admitted(Guard(), 5)
    assert (goes, held, guard.shut, guard.held_since) == (3, 2, True, NOW)
    assert guard.reason.startswith(HELD)
    assert "5 were due at once and 0 had gone" in guard.reason
    assert "the ceiling is 3 in 60 minutes (the trigger's own)" in guard.reason


def test_everything_behind_the_surplus_is_held_however_long_ago_that_was() -> None:
    _, _, guard = admitted(Guard(), 4)
    assert admitted(guard, 1, NOW + timedelta(days=30))[:2] == (0, 1)


def test_up_to_the_ceiling_nothing_is_held() -> None:
    goes, held, guard = admitted(Guard(), 3)
    assert (goes, held, guard.shut) == (3, 0, False)


def test_an_hour_later_there_is_room_again() -> None:
    _, _, guard = admitted(Guard(), 3)
    assert admitted(guard, 1, NOW + HOUR)[:2] == (0, 1)
    assert admitted(guard, 3, NOW + HOUR + timedelta(minutes=1))[:2] == (3, 0)


def test_a_ceiling_of_zero_lets_everything_go() -> None:
    goes, held, guard = admitted(Guard(), 5000, limit=Ceiling(0, "the trigger's own"))
    assert (goes, held, guard) == (5000, 0, Guard())
    assert not passes(Guard(), 5000, Ceiling(0, ""), NOW)


def test_a_clock_that_was_a_year_ahead_neither_frees_nor_blocks_for_longer_than_an_hour() -> None:
    _, _, guard = admitted(Guard(), 3, NOW + timedelta(days=365))
    assert guard.recent.count(NOW) == 3
    seen = replace(guard, recent=guard.recent.plus(0, NOW))
    assert seen.recent.count(NOW + HOUR + timedelta(minutes=1)) == 0


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 10**6)), max_size=70))
def test_what_is_written_down_is_read_back(minutes: list[tuple[int, int]]) -> None:
    assert recent(Recent(tuple(minutes)).text) == Recent(tuple(minutes))


# The law ---------------------------------------------------------------------------------------------------------


@dataclass
class Log:
    """What went by itself since a person last decided, and where every action is."""

    guard: Guard = field(default_factory=Guard)
    went: list[datetime] = field(default_factory=list)
    released: int = 0
    held: int = 0


steps = st.lists(
    st.tuples(
        st.floats(0, 4000),  # seconds that pass
        st.integers(0, 12),  # actions that have become due
        st.sampled_from(["nobody", "nobody", "nobody", "a person"]),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 15))
def test_no_sixty_minutes_without_a_person_see_more_than_the_ceiling_and_each_due_action_goes_or_is_held(
    played: list[tuple[float, int, str]], number: int
) -> None:
    log, now, due = Log(), NOW, 0
    for seconds, arrived, who in played:
        now += timedelta(seconds=seconds)
        due += arrived
        if who == "a person":
            log.released, log.held = log.released + log.held, 0
            log.guard, log.went = Guard(), []
        told = admit(log.guard, range(arrived), Ceiling(number, "a test"), now, waiting=arrived)
        assert [*told.goes, *told.held] == list(range(arrived)), "in their order, none twice, none lost"
        log.guard = told.guard
        log.went += [now] * len(told.goes)
        log.released += len(told.goes)
        log.held += len(told.held)
        assert sum(at >= now - HOUR for at in log.went) <= number
        assert log.released + log.held == due
        assert log.guard.shut == (log.held > 0), "shut exactly while it holds something"
