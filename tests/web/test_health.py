"""Machines can tell whether the process is alive, ready, and keeping up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from control_center.store import commands, db
from tests.support.rows import a_message, a_studio, an_action
from tests.support.spent import a_spent_day
from tests.web.conftest import NOW, Caller, a_token


async def test_alive_needs_nothing_but_the_process(app: Caller) -> None:
    await app.pool.close()
    assert (await app.call("GET", "/healthz", token=None)).status == 200


async def test_ready_names_what_is_missing(app: Caller) -> None:
    ready = await app.call("GET", "/readyz", token=None)
    assert (ready.status, ready.json) == (200, {"ready": True, "checks": {"database": "ok", "broker": "ok"}})

    app.missing["broker"] = "the consumer is not attached"
    missing = await app.call("GET", "/readyz", token=None)
    assert missing.status == 503
    assert missing.json["checks"] == {"database": "ok", "broker": "the consumer is not attached"}

    await app.pool.close()
    away = await app.call("GET", "/readyz", token=None)
    assert away.status == 503
    assert away.json["checks"]["database"].startswith("away")


async def test_metrics_tell_the_lag_of_each_stage(app: Caller) -> None:
    await an_action(app.pool, due_at=NOW - timedelta(seconds=90))
    await a_studio(app.pool, "closed", enabled=False)
    await an_action(app.pool, studio="closed", due_at=NOW - timedelta(days=9))
    await a_message(app.pool, state="queued")
    await a_message(app.pool, state="held")
    await a_message(app.pool, state="accepted")
    answer = await app.call("GET", "/metrics", token=None)
    assert answer.status == 200
    assert "text/plain" in answer.headers["Content-Type"]
    text = answer.body.decode()
    for line in (
        "control_center_release_lag_seconds 90.0",
        'control_center_messages_queued{account="sms/default"} 1.0',
        'control_center_messages_held{account="sms/default"} 1.0',
        'control_center_latest_messages{account="sms/default",state="accepted"} 1.0',
        'control_center_latest_attempts{account="sms/default",outcome="accepted"} 1.0',
        "control_center_commands_waiting 0.0",
    ):
        assert line in text, line
    for name in ("control_center_loop_lag_seconds", "control_center_events_taken_total", "provider_median_seconds"):
        assert name in text


WAITING = """
INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data, state, created_at)
SELECT 'main', 'c-' || n, 'session/' || n, 'message.sent', 0, '{}', CASE WHEN n = 4 THEN 'new' ELSE 'unroutable' END,
       now() - n * interval '1 hour'
  FROM generate_series(1, 4) AS n"""


async def test_of_what_nobody_listens_for_only_the_oldest_are_counted(app: Caller) -> None:
    await app.pool.execute(WAITING)
    async with db.session(app.pool) as tx:
        waiting, seconds = await commands.unpublished(tx, unheard=2)
        await tx.execute("UPDATE commands SET state = 'unroutable' WHERE state = 'new'")
        unheard, _ = await commands.unpublished(tx, unheard=2)

    assert (waiting, round(seconds / 3600)) == (3, 4)
    assert unheard == 2


async def test_metrics_through_a_proxy_need_a_token_for_every_studio(app: Caller) -> None:
    await a_token(app.pool, "t", "owner", "main")
    proxied = {"X-Forwarded-For": "203.0.113.7"}
    assert (await app.call("GET", "/metrics", token=None, headers=proxied)).status == 401
    assert (await app.call("GET", "/metrics", token="t", headers=proxied)).status == 403
    assert (await app.call("GET", "/metrics", headers=proxied)).status == 200


@pytest.mark.parametrize(
    "passed",
    [
        {"X-Real-IP": "203.0.113.7"},
        {"X-Forwarded-Proto": "https"},
        {"Via": "1.1 proxy"},
        {"Host": "control.studio.example"},
        {"Host": "127.0.0.1.studio.example"},
    ],
)
async def test_metrics_through_a_proxy_that_says_so_in_another_way_or_not_at_all_need_a_token(
    app: Caller, passed: dict[str, str]
) -> None:
    assert (await app.call("GET", "/metrics", token=None, headers=passed)).status == 401
    assert (await app.call("GET", "/metrics", headers=passed)).status == 200


async def test_metrics_are_for_this_machine_by_any_name_of_its_own(app: Caller) -> None:
    for name in ("127.0.0.1", "localhost:8484", "[::1]:8484"):
        assert (await app.call("GET", "/metrics", token=None, headers={"Host": name})).status == 200, name


async def test_texts_that_are_held_for_being_many_to_neighbours_are_warned_of_and_counted(app: Caller) -> None:
    shut = "INSERT INTO prefixes (studio_id, prefix, held_since, reason) VALUES ('main', $1, now(), 'prefix: many')"
    for prefix in ("+13125550", "+14145550"):
        await app.pool.execute(shut, prefix)
    for number in ("+13125550188", "+13125550189", "+17735550188"):
        await a_message(app.pool, state="held", reason="prefix: many", address=number)

    ready = (await app.call("GET", "/readyz", token=None)).json
    assert ready["ready"]
    assert ready["warnings"] == ["texts to 2 range(s) of numbers are held; see: control-center messages prefixes"]
    text = (await app.call("GET", "/metrics", token=None)).body.decode()
    assert 'control_center_neighbours_held{studio="main"} 2.0' in text

    listed = (await app.get("/messages/prefixes")).json["items"]
    assert [(one["prefix"], one["held"]) for one in listed] == [("+13125550", 2), ("+14145550", 0)]
    released = await app.post("/messages/release", json={"prefix": "+13125550"})
    assert (released.status, released.json) == (200, {"prefix": "+13125550", "messages": 2})
    assert (await app.post("/messages/release", json={"prefix": "+13125550"})).status == 404
    assert (await app.post("/messages/release", json={"prefix": "13125550"})).status == 422


async def test_a_day_whose_money_is_spent_is_warned_of_counted_and_given_more(app: Caller) -> None:
    await a_spent_day(app.pool, NOW.date())

    ready = (await app.call("GET", "/readyz", token=None)).json
    assert ready["ready"]
    told = "texts of 1 studio(s) wait because a day's money is spent; see: control-center messages spending"
    assert ready["warnings"] == [told]
    text = (await app.call("GET", "/metrics", token=None)).body.decode()
    assert 'control_center_money_held{studio="main"} 1.0' in text

    [listed] = (await app.get("/messages/spending")).json["items"]
    assert (listed["day"], listed["spent"], listed["held"]) == ("2027-06-01", "0.1", 1)
    other = await app.post("/messages/overspend", json={"day": "2027-05-31"})
    assert other.status == 404
    await a_token(app.pool, "author", "author")
    assert (await app.post("/messages/overspend", json={"day": "2027-06-01"}, token="author")).status == 403
    given = await app.post("/messages/overspend", json={"day": "2027-06-01"})
    assert (given.status, given.json) == (200, {"day": "2027-06-01", "there_is": "0.20", "messages": 1})
    assert (await app.post("/messages/overspend", json={"day": "2027-06-01"})).status == 404
