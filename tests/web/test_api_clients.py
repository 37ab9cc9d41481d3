"""A client is erased over HTTP: counted first, done with `confirm`, refused while anything is being sent."""

from __future__ import annotations

from typing import Any

from tests.support.rows import a_client, a_message, a_record, a_trigger, an_action
from tests.web.conftest import Caller
from tests.web.test_api_deeds import an_event

ASKED = {"client": "c-12", "reason": "letter of 3 May"}


async def test_it_is_counted_and_done_only_where_that_is_confirmed(app: Caller) -> None:
    await a_client(app.pool)
    await a_record(app.pool)
    message = await a_message(app.pool, state="queued")

    counted = await app.post("/clients/erase", json=ASKED)
    assert (counted.status, counted.json["done"]) == (200, False)
    assert counted.json["erased"]["records"] == 2
    assert counted.json["cancelled"] == {"actions": 0, "messages": 1}
    assert (await app.get(f"/messages/m-{message}")).json["state"] == "queued"

    done = await app.post("/clients/erase", json={**ASKED, "confirm": True})
    assert done.json == {**counted.json, "done": True}
    shown = (await app.get(f"/messages/m-{message}")).json
    assert (shown["state"], shown["to"], shown["reason"]) == ("cancelled", f"erased-{message}", "erased")
    assert shown["recipient"] == {"role": "client"}
    again = await app.post("/messages", json={"client": "c-12", "text": "Hello", "channel": "sms"})
    assert again.status in (404, 409, 422)


async def test_who_is_unknown_or_busy_is_told_so_in_a_line(app: Caller) -> None:
    assert (await app.post("/clients/erase", json={**ASKED, "client": "c-13"})).status == 404
    await a_client(app.pool)
    message = await a_message(app.pool, state="submitting")
    refused = await app.post("/clients/erase", json={**ASKED, "confirm": True})
    assert refused.status == 409
    assert f"m-{message} is being sent at this moment; come again in a minute" in refused.json["detail"]


async def test_what_was_erased_is_not_written_again(app: Caller) -> None:
    await a_client(app.pool)
    failed = await a_message(app.pool, state="failed")
    came = await a_message(app.pool, state="received")
    await app.post("/clients/erase", json={**ASKED, "confirm": True})
    for body in ({"again": f"m-{failed}"}, {"reply_to": f"m-{came}", "text": "Hello"}):
        answer = await app.post("/messages", json=body)
        assert answer.status in (404, 409, 422), answer.json
    assert await app.pool.fetchval("SELECT count(*) FROM messages") == 2


async def test_every_list_and_count_meets_what_was_erased(app: Caller) -> None:
    trigger = await a_trigger(app.pool, "Reminder")
    await app.post("/events", json=an_event("e-1"))
    await a_client(app.pool, "c-99", reach=["+13125550188"])
    record = await a_record(app.pool, "session/99", client_id="c-99")
    about: dict[str, Any] = {"record": record, "client_id": "c-99"}
    for state in ("accepted", "unknown", "failed"):
        await a_message(app.pool, state=state, trigger_id=trigger, **about)
    await a_message(app.pool, state="received", **about)
    await an_action(app.pool, record=record, trigger_id=trigger, state="lapsed", reason="so")
    for client in ("c-12", "c-99"):
        await app.post("/clients/erase", json={"client": client, "reason": "x", "confirm": True})

    for path in (
        *("messages", "messages?box=inbox", "messages?unlinked=true", "messages?search=see", "messages?client=c-99"),
        *(
            "actions",
            "events",
            "usage",
            "scores",
            "audit",
            "commands",
            "forecast",
            "forecast?client=c-99",
            "dead-events",
        ),
        *("consents?address=%2B13125550188", "explain?event=e-1", "explain?trigger=Reminder&record=session/99"),
    ):
        answer = await app.get(f"/{path}")
        assert answer.status in ({200, 404} if path == "dead-events" else {200}), (path, answer.body)
    assert (await app.post(f"/triggers/{trigger}/backtest", json={"days": 30})).status == 200
    assert (await app.post(f"/triggers/{trigger}/forecast", json={"days": 30})).status == 200
