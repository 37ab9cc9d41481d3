"""A country's holidays, of which the studio ticks those it closes on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.conftest import Caller


async def test_holidays_are_shown_before_anything_is_closed(app: Caller) -> None:
    await app.post("/blackouts", json={"name": "Closed", "date": "2027-12-25"})
    items = (await app.get("/blackouts/holidays?country=US&years=2027")).json["items"]
    christmas = [one for one in items if one["date"] == "2027-12-25"]
    assert [(one["name"], one["closed"]) for one in christmas] == [("Christmas Day", True)]
    assert [one["closed"] for one in items if one["date"] == "2027-01-01"] == [False]
    assert len((await app.get("/blackouts")).json["items"]) == 1


async def test_without_more_the_holidays_are_those_of_the_studios_country_this_year_and_the_next(app: Caller) -> None:
    items = (await app.get("/blackouts/holidays")).json["items"]
    assert {one["date"][:4] for one in items} == {"2027", "2028"}
    assert "Thanksgiving Day" in {one["name"] for one in items}


async def test_only_what_the_studio_ticks_is_closed(app: Caller) -> None:
    holidays = {"country": "US", "years": [2027], "dates": ["2027-07-04", "2027-12-25"]}
    for _ in range(2):  # what is closed already is not closed again
        answer = await app.post("/blackouts", json={"holidays": holidays})
        assert (answer.status, [one["date"] for one in answer.json["items"]]) == (201, ["2027-07-04", "2027-12-25"])
    assert len((await app.get("/blackouts")).json["items"]) == 2


@pytest.mark.parametrize(
    ("holidays", "field"),
    [
        ({"country": "US", "years": [2027], "dates": ["2027-07-04", "2027-07-06"]}, "holidays.dates[1]"),
        ({"country": "US", "years": [2027], "dates": []}, "holidays.dates"),
        ({"country": "US", "years": [2027], "dates": ["Christmas"]}, "holidays.dates[0]"),
        ({"country": "XX", "years": [2027]}, "holidays.country"),
        ({"country": "DE", "subdivision": "IL", "years": [2027]}, "holidays.subdivision"),
    ],
)
async def test_a_day_that_is_no_holiday_is_refused_and_closes_nothing(app: Caller, holidays: Any, field: str) -> None:
    answer = await app.post("/blackouts", json={"holidays": holidays})
    assert (answer.status, answer.json["field"]) == (422, field), answer.body
    assert (await app.get("/blackouts")).json["items"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [("country=XX", "country"), ("country=US&subdivision=ZZ", "subdivision"), ("years=27", "years")],
)
async def test_a_wrong_country_or_year_is_named(app: Caller, query: str, field: str) -> None:
    answer = await app.get(f"/blackouts/holidays?{query}")
    assert (answer.status, answer.json["field"]) == (400, field)
