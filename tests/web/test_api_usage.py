"""What a studio used of its plan, over HTTP."""

from __future__ import annotations

from datetime import date
from typing import Any

from tests.support.rows import a_message
from tests.web.conftest import Caller

PLAN = {"texts_per_month": 500, "price_per_segment": "0.0079", "currency": "USD"}


async def a_plan(app: Caller, **plan: Any) -> None:
    body = {"name": "Ada Park Photography", "timezone": "America/Chicago", "plan": {**PLAN, **plan}}
    assert (await app.call("PUT", "/api/v1/studios/main", json=body)).status == 200


async def sent(
    app: Caller, month: date, texts: int, segments: int, *, origin: str = "bulk", country: str = "US"
) -> None:
    await app.pool.execute(
        "INSERT INTO usage_sources (studio_id, month, origin, trigger_id, texts, segments, country)"
        " VALUES ('main', $1, $2, 0, $3, $4, $5)",
        month,
        origin,
        texts,
        segments,
        country,
    )


async def test_texts_sent_and_received_are_told_for_this_month_and_last_with_what_they_cost(app: Caller) -> None:
    await a_plan(app)
    await sent(app, date(2027, 6, 1), 420, 600)
    await sent(app, date(2027, 6, 1), 30, 31, origin="client")
    await sent(app, date(2027, 5, 1), 100, 100)

    found = (await app.get("/usage")).json

    assert found["enabled"] is True
    assert found["plan"] == PLAN
    assert (found["used_percent"], found["warning"]) == (84, "420 of this month's 500 texts are used up")
    this, last = found["this_month"], found["last_month"]
    assert (this["month"], this["sent"], this["received"], this["cost"]) == ("2027-06", 420, 30, "4.74 USD")
    assert (this["segments_sent"], this["segments_received"]) == (600, 31)
    assert (last["month"], last["sent"], last["received"], last["cost"]) == ("2027-05", 100, 0, "0.79 USD")


async def test_segments_and_their_cost_are_told_by_the_country_they_went_to(app: Caller) -> None:
    await a_plan(app, prices={"CA": "0.02"})
    await sent(app, date(2027, 6, 1), 100, 200)
    await sent(app, date(2027, 6, 1), 40, 50, country="CA")
    await sent(app, date(2027, 6, 1), 10, 10, country="CA", origin="person")
    await sent(app, date(2027, 6, 1), 1, 1, country="")
    await sent(app, date(2027, 6, 1), 9, 9, country="", origin="client")

    this = (await app.get("/usage")).json["this_month"]

    assert this["by_country"] == [
        {"country": "US", "texts": 100, "segments": 200, "cost": "1.58 USD"},
        {"country": "CA", "texts": 50, "segments": 60, "cost": "1.20 USD"},
        {"country": None, "texts": 1, "segments": 1, "cost": "0.01 USD"},
    ]
    assert [(one["origin"], one["texts"], one["segments"]) for one in this["by_trigger"]] == [
        ("bulk", 141, 251),
        ("person", 10, 10),
    ]
    assert (this["segments_sent"], this["cost"]) == (261, "2.79 USD")


async def test_what_went_where_the_plan_says_no_price_leaves_the_sum_open(app: Caller) -> None:
    await a_plan(app, price_per_segment=None, prices={"CA": "0.02"})
    await sent(app, date(2027, 6, 1), 1, 1)
    await sent(app, date(2027, 6, 1), 1, 1, country="CA")

    this = (await app.get("/usage")).json["this_month"]

    assert this["cost"] is None
    assert {one["country"]: one["cost"] for one in this["by_country"]} == {"US": None, "CA": "0.02 USD"}


async def test_without_an_account_the_studio_is_told_that_it_has_not_enabled_texting(app: Caller) -> None:
    body = {"name": "Ada", "timezone": "UTC", "sms": {"account": "nobody-has-it"}}
    await app.call("PUT", "/api/v1/studios/main", json=body)

    assert (await app.get("/usage")).json == {
        "enabled": False,
        "text": "You have not enabled SMS text messaging.",
    }


async def test_without_a_plan_nothing_is_warned_of(app: Caller) -> None:
    found = (await app.get("/usage")).json

    assert (found["plan"], found["used_percent"], found["warning"]) == (None, None, None)
    assert found["this_month"]["cost"] is None


async def test_the_plan_is_among_the_metrics_and_held_texts_among_the_warnings_of_readiness(app: Caller) -> None:
    await a_plan(app, texts_per_month=2)
    await app.pool.execute("INSERT INTO usage (studio_id, month, texts) VALUES ('main', '2027-06-01', 2)")
    await a_message(app.pool, state="held", reason="plan: 2 texts of this month's 2 are used up")

    metrics = (await app.call("GET", "/metrics")).body.decode()
    ready = (await app.call("GET", "/readyz")).json

    assert 'control_center_texts_this_month{studio="main"} 2.0' in metrics
    assert 'control_center_texts_planned{studio="main"} 2.0' in metrics
    assert (ready["ready"], ready["warnings"]) == (True, ["texts of 1 studio(s) wait because a plan is used up"])
    await app.pool.execute("INSERT INTO event_numbers VALUES ('main', '/crm', 9, '{[3,5],[7,7]}', clock_timestamp())")
    said = (await app.call("GET", "/readyz")).json["warnings"]
    assert said[1:] == ["events of 1 source(s) never came; see: control-center events gaps"]
    metrics = (await app.call("GET", "/metrics")).body.decode()
    assert 'control_center_events_missing{source="/crm",studio="main"} 4.0' in metrics
    assert "control_center_events_set_aside 0.0" in metrics
    await app.pool.execute("UPDATE dead_queue SET others = 2, others_since = clock_timestamp()")
    said = (await app.call("GET", "/readyz")).json["warnings"]
    assert said[2:] == ["the broker has set 2 event(s) aside; see: control-center events collect"]
    assert "control_center_events_set_aside 2.0" in (await app.call("GET", "/metrics")).body.decode()
    await app.pool.execute("UPDATE dead_queue SET others = 0, others_since = NULL")
    bury = "INSERT INTO dead_events (body, field, reason, by_broker) VALUES ('x', '', 'handed out too often', $1)"
    await app.pool.executemany(bury, [(True,), (True,), (False,)])
    said = (await app.call("GET", "/readyz")).json["warnings"]
    assert said[2:] == ["2 event(s) the broker had set aside wait to be replayed; see: control-center events dead"]
    assert "control_center_events_set_aside 2.0" in (await app.call("GET", "/metrics")).body.decode()
