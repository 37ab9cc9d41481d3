"""Forecast and backtest over HTTP: pages, counts, hypothetical days, and nothing stored."""

from __future__ import annotations

from typing import Any

import pytest

from control_center.engine.intake import Intake
from control_center.settings.model import Settings
from tests.support.crm import client, event, session
from tests.support.rows import a_trigger
from tests.web.conftest import NOW, Caller, a_token


@pytest.fixture
async def booked(app: Caller) -> Caller:
    """Three sessions in June, with a reminder a week before each: on the 5th, the 6th and the 7th."""
    await a_trigger(app.pool, "Reminder", processing={"mode": "automatic", "window": "09:00-18:00"})
    bodies = [
        event(
            session(f"s-{n}", client=f"c-{n}", dates={"session": f"2027-06-{11 + n}T14:00"}),
            about=client(f"c-{n}", phones=[{"number": f"+1312555010{n}", "sms": True}]),
        )
        for n in (1, 2, 3)
    ]
    await Intake(app.pool, lambda: NOW).take_in(bodies)
    return app


async def a_draft(**keys: Any) -> dict[str, Any]:
    return {
        "name": "Draft",
        "record": "session",
        "activate": {"on": "session", "days": -7},
        "action": "sms",
        "text": "Soon",
        **keys,
    }


async def test_a_forecast_comes_in_pages_with_its_addresses_masked(booked: Caller) -> None:
    first = (await booked.get("/forecast?limit=2")).json
    second = (await booked.get(f"/forecast?limit=2&cursor={first['next_cursor']}")).json

    lines = first["items"] + second["items"]
    assert [(one["at"], one["record"]) for one in lines] == [
        ("2027-06-05T14:00:00Z", "session/s-1"),
        ("2027-06-06T14:00:00Z", "session/s-2"),
        ("2027-06-07T14:00:00Z", "session/s-3"),
    ]
    assert second["next_cursor"] is None
    assert lines[0]["text"] == "Hello Jo, see you soon."
    assert lines[0]["shifts"] == ["window opens 09:00"]
    assert "5550101" not in lines[0]["address"]
    (plain, *_) = (await booked.get("/forecast?addresses=true")).json["items"]
    assert plain["address"] == "+13125550101"


async def test_a_forecast_is_counted_by_day_client_or_trigger(booked: Caller) -> None:
    days = (await booked.get("/forecast?by=day")).json["items"]
    clients = (await booked.get("/forecast?by=client")).json["items"]
    (rule,) = (await booked.get("/forecast?by=trigger")).json["items"]

    assert [(one["name"], one["goes"]) for one in days] == [("2027-06-05", 1), ("2027-06-06", 1), ("2027-06-07", 1)]
    assert [one["name"] for one in clients] == ["c-1", "c-2", "c-3"]
    assert (rule["name"], rule["goes"]) == ("Reminder", 3)


async def test_closed_days_that_are_only_asked_about_are_not_stored(booked: Caller) -> None:
    answer = (await booked.get("/forecast?closed=2027-06-05,2027-06-06")).json

    assert [one["at"] for one in answer["items"]] == ["2027-06-07T14:00:00Z"] * 3
    assert await booked.pool.fetchval("SELECT count(*) FROM blackouts") == 0
    assert len((await booked.get("/forecast?by=day")).json["items"]) == 3


async def test_one_trigger_is_forecast_and_backtested_by_its_id(booked: Caller) -> None:
    number = await booked.pool.fetchval("SELECT trigger_id FROM triggers")

    ahead = (await booked.post(f"/triggers/{number}/forecast", json={"closed": ["2027-06-05"]})).json
    back = await booked.post(f"/triggers/{number}/backtest", json={"days": 30})

    assert len(ahead["items"]) == 3
    assert (back.status, back.json["lines"]) == (200, 0)


async def test_a_backtest_looks_back_over_all_that_may_be_kept_and_no_further(booked: Caller) -> None:
    number = await booked.pool.fetchval("SELECT trigger_id FROM triggers")
    most = Settings.model_json_schema()["properties"]["keep_events_days"]["maximum"]

    whole = await booked.post(f"/triggers/{number}/backtest", json={"days": most})
    more = await booked.post(f"/triggers/{number}/backtest", json={"days": most + 1})

    assert (whole.status, more.status) == (200, 422)


async def test_a_draft_is_refused_by_the_field_that_is_wrong_and_stored_nowhere(booked: Caller) -> None:
    number = await booked.pool.fetchval("SELECT trigger_id FROM triggers")

    good = await booked.post(f"/triggers/{number}/backtest", json={"draft": await a_draft()})
    wrong = await booked.post(f"/triggers/{number}/backtest", json={"draft": await a_draft(action="smoke")})

    assert good.status == 200
    assert wrong.status == 422
    assert wrong.json["errors"][0]["field"] == "action"
    assert await booked.pool.fetchval("SELECT count(*) FROM triggers") == 1


@pytest.mark.parametrize(
    "query",
    ["days=0", "days=400", "closed=2027-13-01", "closed=soon", "by=week", "cursor=WzEsMl0", "trigger=Nobody"],
)
async def test_a_question_that_makes_no_sense_is_refused(booked: Caller, query: str) -> None:
    answer = await booked.get(f"/forecast?{query}")

    assert answer.status in {400, 404}


async def test_a_viewer_may_look_ahead_and_not_play_the_past(booked: Caller) -> None:
    await a_token(booked.pool, "t-viewer", "viewer")
    number = await booked.pool.fetchval("SELECT trigger_id FROM triggers")

    assert (await booked.get("/forecast", token="t-viewer")).status == 200
    assert (await booked.post(f"/triggers/{number}/backtest", json={}, token="t-viewer")).status == 403
