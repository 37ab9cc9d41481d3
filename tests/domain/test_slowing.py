"""A domain that is told to send less sends less, and is forgiven in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.slowing import FORGIVEN, SLOWEST, Slowed, domain_of

NOON = datetime(2027, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def apart(slowed: Slowed, at: datetime) -> float:
    return slowed.interval(at).total_seconds()


def test_each_time_it_is_told_its_mails_leave_twice_as_far_apart() -> None:
    slowed, seen = Slowed(), []
    for minute in range(5):
        slowed = slowed.told(NOON + minute * MINUTE)
        seen.append(apart(slowed, NOON + minute * MINUTE))
    assert seen == [1, 2, 4, 8, 16]


def test_what_left_at_the_same_pace_is_told_once() -> None:
    slowed = Slowed().told(NOON)
    assert slowed.told(NOON + timedelta(seconds=14)) == slowed
    slow = Slowed(8, NOON)
    assert slow.told(NOON + timedelta(seconds=127)) == slow
    assert slow.told(NOON + timedelta(seconds=128)).level == 9


def test_without_another_word_it_comes_back_to_its_pace() -> None:
    slowed = Slowed(3, NOON)
    assert [apart(slowed, NOON + n * FORGIVEN) for n in range(5)] == [4, 2, 1, 0, 0]


@given(st.lists(st.timedeltas(timedelta(0), timedelta(hours=3)), max_size=40))
def test_it_is_never_slower_than_the_slowest_nor_slower_by_waiting(waits: list[timedelta]) -> None:
    slowed, at = Slowed(), NOON
    for wait in waits:
        assert apart(slowed, at + wait) <= apart(slowed, at)
        at += wait
        slowed = slowed.told(at)
        assert 0 < slowed.left(at) <= SLOWEST


def test_a_domain_is_the_same_however_it_is_spelled() -> None:
    assert domain_of("Ada@Lakeside.Example") == "@lakeside.example"
