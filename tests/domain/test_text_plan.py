"""A plan of texts: when its studio is warned, what is held, and in which month a text counts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.errors import Malformed
from control_center.domain.message import Origin
from control_center.domain.studio import parse
from control_center.domain.text_plan import TextPlan, month_before, month_of


@given(st.integers(1, 10_000), st.integers(0, 20_000))
def test_what_goes_by_itself_is_held_from_the_hundredth_per_cent_on_and_not_before(texts: int, sent: int) -> None:
    plan = TextPlan(texts)

    assert (plan.holds(Origin.BULK, sent) is not None) == (plan.mark(sent) == 100) == (sent >= texts)
    assert plan.mark(sent) >= 80 or sent * 100 < 80 * texts


def test_without_a_plan_there_is_neither_a_mark_nor_a_limit() -> None:
    assert (TextPlan().mark(10**9), TextPlan().holds(Origin.BULK, 10**9)) == (0, None)


def test_a_plan_that_may_be_overrun_warns_and_holds_nothing() -> None:
    plan = TextPlan(100, overrun=True)

    assert (plan.mark(100), plan.holds(Origin.TRIGGER, 1000)) == (100, None)


@pytest.mark.parametrize(
    ("at", "zone", "month"),
    [
        (datetime(2026, 12, 1, 5, 59, tzinfo=UTC), "America/Chicago", date(2026, 11, 1)),
        (datetime(2026, 12, 1, 6, 0, tzinfo=UTC), "America/Chicago", date(2026, 12, 1)),
        (datetime(2026, 12, 31, 11, 0, tzinfo=UTC), "Pacific/Auckland", date(2027, 1, 1)),
    ],
)
def test_a_month_is_the_studios(at: datetime, zone: str, month: date) -> None:
    assert month_of(at, zone) == month


@given(st.dates(date(2000, 2, 1), date(2100, 1, 1)))
def test_the_month_before_is_the_one_whose_last_day_is_the_day_before(day: date) -> None:
    month = day.replace(day=1)

    assert date.fromordinal(month.toordinal() - 1).replace(day=1) == month_before(month)


def test_a_studio_says_its_plan_again_as_it_was_told() -> None:
    plan = {"texts_per_month": 500, "overrun": True, "price_per_segment": "0.0079", "currency": "USD"}
    studio = parse({"id": "main", "name": "Main", "timezone": "UTC", "plan": plan})

    assert studio.plan == TextPlan(500, overrun=True, price_per_segment=Decimal("0.0079"), currency="USD")
    assert studio.settings()["plan"] == plan
    assert parse({"id": "main", "name": "Main", "timezone": "UTC", **studio.settings()}) == studio


def test_a_cost_is_of_segments_and_to_the_cent() -> None:
    assert TextPlan(price_per_segment=Decimal("0.0079"), currency="USD").cost({"US": 600}) == "4.74 USD"
    assert TextPlan().cost({"US": 600}) is None


PRICES = TextPlan(price_per_segment=Decimal("0.0079"), prices=(("CA", Decimal("0.02")),), currency="USD")


@pytest.mark.parametrize(
    ("plan", "sent", "cost"),
    [
        (PRICES, {"CA": 100}, "2.00 USD"),
        (PRICES, {"US": 100}, "0.79 USD"),
        (PRICES, {"": 100}, "0.79 USD"),
        (PRICES, {"US": 100, "CA": 100}, "2.79 USD"),
        (PRICES, {}, "0.00 USD"),
        (TextPlan(prices=PRICES.prices), {"CA": 100}, "2.00"),
        (TextPlan(prices=PRICES.prices), {"CA": 100, "US": 1}, None),
    ],
)
def test_a_segment_costs_what_its_country_costs_or_else_the_one_price_and_without_either_nobody_knows(
    plan: TextPlan, sent: dict[str, int], cost: str | None
) -> None:
    assert plan.cost(sent) == cost


def test_prices_of_countries_are_said_again_as_they_were_told() -> None:
    plan = {"price_per_segment": "0.0079", "prices": {"CA": "0.0085", "GB": "0.04"}}
    studio = parse({"id": "main", "name": "Main", "timezone": "UTC", "plan": plan})
    assert studio.settings()["plan"] == plan
    assert parse({"id": "main", "name": "Main", "timezone": "UTC", **studio.settings()}) == studio


@pytest.mark.parametrize(
    ("prices", "field"),
    [
        ({"UK": "0.01"}, "plan.prices.UK"),
        *(({"CA": typed}, "plan.prices.CA") for typed in ("cheap", "-1", "-0", "0,01", "1_0", "1e2", "\u0663", "NaN")),
    ],
)
def test_a_price_that_is_none_or_of_no_country_is_refused_by_its_name(prices: dict[str, str], field: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse({"id": "main", "name": "Main", "timezone": "UTC", "plan": {"prices": prices}})
    assert refused.value.field.endswith(field)
