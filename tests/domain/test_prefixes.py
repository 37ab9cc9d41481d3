"""Texts to neighbouring numbers: never more of a thousand within an hour than the limit, and never a family held."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.prefixes import LEAST, LET_GO, WINDOW, Prefix, admit, let_go, prefix_of, recent

NOW = datetime(2027, 6, 1, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
LASTS = st.integers(0, 30).map(lambda n: f"+13125550{n:03}")
# Batches of texts, each so many seconds after the one before.
BATCHES = st.lists(st.tuples(st.integers(0, 2400), st.lists(LASTS, max_size=12)), max_size=12)


def numbers(count: int, begin: int = 0) -> list[str]:
    return [f"+13125550{n:03}" for n in range(begin, begin + count)]


def over(texts: list[tuple[str, datetime]], limit: int, now: datetime) -> set[str | None]:
    """The prefixes of which more than `limit` different numbers have had a text in the hour before: the law itself."""
    late = {number for number, at in texts if now - timedelta(minutes=WINDOW) < at <= now}
    each = Counter(prefix_of(number) for number in late)
    return {prefix for prefix, count in each.items() if count > limit}


@given(BATCHES, st.integers(LEAST, 14))
def test_no_hour_ever_sees_more_numbers_of_one_prefix_than_the_limit(
    batches: list[tuple[int, list[str]]], limit: int
) -> None:
    at, prefix, gone = NOW, Prefix(), []
    for seconds, batch in batches:
        at += timedelta(seconds=seconds)
        admitted = admit(prefix, batch, limit, at)
        prefix = admitted.prefix
        gone += [(number, at) for number in batch[: admitted.goes]]
        assert over(gone, limit, at) == set()
        assert (admitted.goes < len(batch)) <= prefix.shut


@given(BATCHES, st.integers(31, 1000))
def test_what_is_no_more_than_the_limit_is_never_held(batches: list[tuple[int, list[str]]], limit: int) -> None:
    at, prefix = NOW, Prefix()
    for seconds, batch in batches:
        at += timedelta(seconds=seconds)
        admitted = admit(prefix, batch, limit, at)
        prefix = admitted.prefix
        assert (admitted.goes, prefix.shut) == (len(batch), False)


@given(st.lists(st.integers(0, 3), max_size=200), st.integers(LEAST, 1000))
def test_a_family_with_numbers_in_a_row_is_never_held_however_often_it_is_written_to(
    whom: list[int], limit: int
) -> None:
    batch = [f"+1312555010{n}" for n in whom]
    assert admit(Prefix(), batch, limit, NOW).goes == len(batch)


@given(BATCHES)
def test_what_is_stored_reads_back_as_it_was(batches: list[tuple[int, list[str]]]) -> None:
    prefix = Prefix()
    for seconds, batch in batches:
        prefix = admit(prefix, batch, 1000, NOW + timedelta(seconds=seconds)).prefix
    assert recent(prefix.text) == prefix.recent


def test_the_number_that_is_one_too_many_is_held_and_all_behind_it() -> None:
    found = admit(Prefix(), [*numbers(10), *numbers(1), *numbers(3, 10)], 10, NOW)

    assert (found.goes, found.prefix.held_since) == (11, NOW)  # the first of them had two
    assert found.prefix.reason == "prefix: more than 10 numbers +13125550xxx within 60 minutes, so a person decides"
    assert admit(found.prefix, numbers(1), 10, NOW + 9 * HOUR).goes == 0


def test_after_an_hour_others_may_follow() -> None:
    before = admit(Prefix(), numbers(10), 10, NOW).prefix

    assert admit(before, numbers(1, 10), 10, NOW + timedelta(minutes=59)).goes == 0
    assert admit(before, numbers(10, 10), 10, NOW + timedelta(minutes=61)).goes == 10


def test_what_a_person_lets_go_is_not_held_for_a_day() -> None:
    free = let_go(NOW)

    assert admit(free, numbers(900), 10, NOW + HOUR).goes == 900
    assert admit(free, numbers(900), 10, NOW + LET_GO).goes == 10


def test_a_clock_that_was_wrong_neither_forgets_nor_holds_for_ever() -> None:
    ahead = admit(Prefix(), numbers(10), 10, NOW + timedelta(days=900)).prefix

    now = admit(ahead, numbers(10), 10, NOW).prefix
    assert admit(now, numbers(1, 10), 10, NOW).goes == 0
    assert admit(now, numbers(1, 10), 10, NOW + timedelta(minutes=61)).goes == 1


@pytest.mark.parametrize(
    ("number", "prefix"),
    [("+13125550188", "+13125550"), ("+4712345678", "+4712345"), ("63018", None), ("STUDIO", None), ("+1312", None)],
)
def test_a_prefix_is_all_but_the_last_three_digits(number: str, prefix: str | None) -> None:
    assert prefix_of(number) == prefix
