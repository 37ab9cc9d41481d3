"""What the texts of a day may cost: nothing passes that would be dearer, and who waits is told why."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.errors import Malformed
from control_center.domain.spending import Day, Wish, admit
from control_center.domain.studio import parse

NOON: Final = datetime(2026, 11, 23, 18, tzinfo=UTC)
MONDAY: Final = date(2026, 11, 23)
STUDIO: Final = {"id": "main", "name": "Main", "timezone": "America/Chicago"}
sums = st.decimals(0, 100, places=4)


@given(costs=st.lists(sums, max_size=40), limit=sums, again=st.integers(0, 3))
def test_a_day_never_costs_more_than_there_is_for_it(costs: list[Decimal], limit: Decimal, again: int) -> None:
    before = Day(MONDAY, again=again)

    found = admit(before, [Wish(cost) for cost in costs], limit, NOON)

    let = [cost for cost, goes in zip(costs, found.goes, strict=True) if goes]
    assert found.day.spent == sum(let, Decimal(0)) <= limit * (1 + again)
    assert (found.day.held_since is None) == all(found.goes)


@given(first=st.lists(sums, max_size=20), second=st.lists(sums, max_size=20), limit=sums)
def test_what_goes_does_not_depend_on_how_it_is_cut_into_batches(
    first: list[Decimal], second: list[Decimal], limit: Decimal
) -> None:
    at_once = admit(Day(MONDAY), [Wish(cost) for cost in [*first, *second]], limit, NOON)
    one = admit(Day(MONDAY), [Wish(cost) for cost in first], limit, NOON)
    other = admit(one.day, [Wish(cost) for cost in second], limit, NOON)

    assert (one.goes + other.goes, other.day) == (at_once.goes, at_once.day)


def test_a_dear_text_waits_and_a_cheap_one_behind_it_goes() -> None:
    found = admit(Day(MONDAY), [Wish(Decimal(1)), Wish(Decimal(9)), Wish(Decimal(1))], Decimal(5), NOON, currency="USD")

    assert found.goes == (True, False, True)
    assert found.day.reason == "money: 1 of this day's 5 USD are spent, and the next text costs 9"


def test_bulk_leaves_the_rest_of_the_day_to_reminders() -> None:
    wishes = [Wish(Decimal(1), percent=80)] * 10 + [Wish(Decimal(1))] * 3

    found = admit(Day(MONDAY), wishes, Decimal(10), NOON)

    assert found.goes == (True,) * 8 + (False,) * 2 + (True,) * 2 + (False,)
    assert found.day.reason.endswith("the next text costs 1; bulk takes 80 per cent")


def test_the_answer_to_a_stop_goes_in_any_case_and_counts() -> None:
    found = admit(Day(MONDAY), [Wish(Decimal(9), always=True), Wish(Decimal(1))], Decimal(5), NOON)

    assert (found.goes, found.day.spent) == ((True, False), Decimal(9))


@given(costs=st.lists(sums, max_size=20), spent=sums, limit=sums)
def test_who_only_looks_holds_no_text_that_would_go_alone_and_spends_nothing(
    costs: list[Decimal], spent: Decimal, limit: Decimal
) -> None:
    found = admit(Day(MONDAY, spent=spent), [Wish(cost) for cost in costs], limit, NOON, paying=False)

    assert found.goes == tuple(spent + cost <= limit for cost in costs)
    assert found.day.spent == spent


def test_there_is_room_once_more_is_given_or_the_limit_is_raised_and_not_before() -> None:
    full = admit(Day(MONDAY, spent=Decimal(4)), [Wish(Decimal(2))], Decimal(5), NOON).day

    assert not full.has_room(Decimal(5))
    assert not full.has_room(Decimal(4))
    assert full.has_room(Decimal(6))
    assert full.once_more().has_room(Decimal(5))
    assert full.once_more().there_is(Decimal(5)) == 10


def test_another_day_begins_with_nothing_and_a_clock_that_is_behind_begins_none_anew() -> None:
    spent = Day(MONDAY, spent=Decimal(4))

    assert spent.on(MONDAY) is spent
    assert spent.on(date(2026, 11, 24)) == Day(date(2026, 11, 24))
    assert spent.on(date(2026, 11, 22)) is spent
    assert spent.on(date(2026, 11, 20)) == Day(date(2026, 11, 20))  # what was ahead by more was a wrong clock


@pytest.mark.parametrize("plan", [{}, {"price_per_segment": "0"}, {"prices": {"US": "0.01"}}])
def test_a_limit_in_money_needs_a_price_for_every_country(plan: dict[str, object]) -> None:
    with pytest.raises(Malformed, match=r"sms\.limits\.money_per_day.*price_per_segment"):
        parse({**STUDIO, "sms": {"limits": {"money_per_day": "25"}}, "plan": plan})


@pytest.mark.parametrize("typed", ["-1", "NaN", "Infinity", "1e99", "many", 25])
def test_a_sum_is_a_number_in_quotes(typed: object) -> None:
    plan = {"price_per_segment": "0.01"}
    with pytest.raises(Malformed, match=r"sms\.limits\.money_per_day"):
        parse({**STUDIO, "sms": {"limits": {"money_per_day": typed}}, "plan": plan})


def test_the_limit_is_read_back_as_it_was_said() -> None:
    limits = {"money_per_day": "25.00", "bulk_percent": 50, "zone": "Europe/Berlin"}
    studio = parse({**STUDIO, "sms": {"limits": limits}, "plan": {"price_per_segment": "0.01"}})

    assert studio.settings()["sms"]["limits"] == limits
