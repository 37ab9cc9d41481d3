"""What the API changes: events come in, people decide, days are closed, commands are read."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec
import pytest

from control_center.domain.command import Cause, command
from control_center.store import commands, db
from tests.support.rows import a_client, a_record, a_studio, a_trigger, an_action
from tests.web.conftest import NOW, Caller, a_token

JSON = {"Content-Type": "application/json"}


def an_event(event_id: str = "e-1", version: int = 1, **envelope: Any) -> dict[str, Any]:
    record = {"kind": "session", "id": "4711", "version": version, "status": "Booked", "dates": {}}
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/crm/main",
        "type": "crm.session.created",
        "subject": "session/4711",
        "time": "2027-05-01T12:00:00Z",
        "studio": "main",
        "data": {"record": record},
        **envelope,
    }


# Events -----------------------------------------------------------------------------------------------------


async def test_each_event_of_an_array_is_answered_for_itself(app: Caller) -> None:
    bad = an_event("e-2", version=0)
    answer = await app.post("/events", json=[an_event(), bad, an_event(), an_event("e-3", studio="elsewhere"), 7])

    assert answer.status == 202
    results = [(one["index"], one["result"], one.get("field")) for one in answer.json["items"]]
    assert results[:4] == [
        (0, "accepted", None),
        (1, "rejected", "data.record.version"),
        (2, "duplicate", None),
        (3, "rejected", "studio"),
    ]
    assert results[4][1] == "rejected"
    assert (answer.json["accepted"], answer.json["duplicate"], answer.json["rejected"]) == (1, 1, 3)
    assert answer.json["items"][0]["id"] == "e-1"


async def test_what_is_rejected_over_http_is_not_stored(app: Caller) -> None:
    answer = await app.post("/events", json=an_event(version=0))
    assert (answer.status, answer.json["rejected"]) == (202, 1)
    assert await app.pool.fetchval("SELECT count(*) FROM dead_events") == 0
    assert await app.pool.fetchval("SELECT count(*) FROM events") == 0


async def test_the_second_copy_does_nothing(app: Caller) -> None:
    await app.post("/events", json=an_event())
    assert (await app.post("/events", json=an_event())).json["duplicate"] == 1
    [listed] = (await app.get("/events?subject=session/4711")).json["items"]
    assert (listed["id"], listed["verdict"]) == ("e-1", "taken")


@pytest.mark.parametrize("media", ["application/cloudevents+json", "application/cloudevents-batch+json"])
async def test_cloudevents_media_types_are_taken(app: Caller, media: str) -> None:
    body = msgspec.json.encode([an_event()])
    assert (await app.post("/events", data=body, headers={"Content-Type": media})).json["accepted"] == 1


async def test_a_compressed_body_is_taken_and_its_size_counts_unpacked(app: Caller) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    small = await app.post("/events", data=gzip.compress(msgspec.json.encode(an_event())), headers=headers)
    assert small.json["accepted"] == 1
    bomb = gzip.compress(b" " * (9 * 1024 * 1024))
    assert len(bomb) < 20_000
    assert (await app.post("/events", data=bomb, headers=headers)).status == 413
    assert (await app.post("/events", data=b"no gzip", headers=headers)).status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[{]", b"\xff\xfe", b'{"a":' * 50_000])
async def test_what_is_no_json_is_one_problem(app: Caller, body: bytes) -> None:
    answer = await app.post("/events", data=body, headers=JSON)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")


async def test_a_token_of_one_studio_brings_no_events_of_another(app: Caller) -> None:
    await a_studio(app.pool, "north")
    await a_token(app.pool, "t", "owner", "north")
    answer = await app.post("/events", token="t", json=[an_event(), an_event("e-2", studio="north")])
    assert [one["result"] for one in answer.json["items"]] == ["rejected", "accepted"]
    assert await app.pool.fetchval("SELECT count(*) FROM events WHERE studio_id = 'main'") == 0


async def test_dead_bodies_from_the_broker_are_listed(app: Caller) -> None:
    await app.pool.execute("INSERT INTO dead_events (body, field, reason) VALUES ($1, 'id', 'is missing')", b"\xff{}")
    [dead] = (await app.get("/events/dead")).json["items"]
    assert (dead["field"], dead["reason"], dead["body"]) == ("id", "is missing", "\ufffd{}")


# Actions ----------------------------------------------------------------------------------------------------


async def a_due_action(app: Caller) -> str:
    trigger = await a_trigger(app.pool, "Reminder", processing={"mode": "manual"})
    await a_client(app.pool)
    await a_record(app.pool)
    number = await an_action(
        app.pool,
        trigger_id=trigger,
        state="review",
        occurrence="2027-06-12T14:00:00",
        activation_at=datetime(2027, 6, 5, 5, tzinfo=UTC),
        due_at=datetime(2027, 6, 5, 5, tzinfo=UTC),
    )
    return f"a-{number}"


async def test_processing_one_releases_it_in_the_name_of_the_token(app: Caller) -> None:
    action = await a_due_action(app)
    await app.pool.execute("UPDATE records SET body = replace(body, '2027-06-12T14:00', '2027-06-02T14:00')")
    await app.pool.execute("UPDATE actions SET occurrence = '2027-06-02T14:00:00'")
    answer = await app.post(f"/actions/{action}/process")
    assert answer.status == 200
    assert (answer.json["state"], answer.json["released_by"]) == ("released", "owner *")
    assert len((await app.get(f"/messages?action={action}")).json["items"]) == 1


async def test_skipping_leaves_it_where_it_is(app: Caller) -> None:
    action = await a_due_action(app)
    assert (await app.post(f"/actions/{action}/skip")).json["state"] == "review"


async def test_deleting_several_drops_them_for_good(app: Caller) -> None:
    actions = [f"a-{await an_action(app.pool, state='review')}" for _ in range(2)]
    answer = await app.post("/actions/delete", json={"ids": actions})
    assert {one["id"]: one["state"] for one in answer.json["items"]} == dict.fromkeys(actions, "deleted")
    assert answer.json["items"][0]["reason"].startswith("deleted by owner *")


async def test_one_unknown_action_stops_the_whole_list(app: Caller) -> None:
    action = f"a-{await an_action(app.pool, state='review')}"
    for deed in ("process", "skip", "delete"):
        answer = await app.post(f"/actions/{deed}", json={"ids": [action, "a-999"]})
        assert answer.status == 404
        assert "a-999" in answer.json["detail"]
    assert (await app.get(f"/actions/{action}")).json["state"] == "review"


@pytest.mark.parametrize(
    ("body", "field"),
    [({"ids": []}, "ids"), ({"ids": ["a-1", "a-1"]}, "ids"), ({"ids": ["1"]}, "ids[0]"), ({"id": "a-1"}, "ids")],
)
async def test_a_wrong_list_of_actions_is_named(app: Caller, body: object, field: str) -> None:
    answer = await app.post("/actions/delete", json=body)
    assert (answer.status, answer.json["field"]) == (422, field)


# Blackout days ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "days",
    [
        {"name": "Independence Day", "date": "2027-07-04"},
        {"name": "Holidays", "from": "2027-07-01", "to": "2027-07-14"},
        {"name": "Christmas", "yearly": "12-25"},
    ],
)
async def test_a_blackout_is_shown_as_it_was_given(app: Caller, days: dict[str, str]) -> None:
    made = await app.post("/blackouts", json=days)
    assert made.status == 201
    assert made.json == {"id": made.json["id"], **days}
    assert (await app.get("/blackouts")).json["items"] == [made.json]
    assert (await app.call("GET", made.headers["Location"])).json == made.json


async def test_changing_a_blackout_keeps_its_id_and_moves_what_waits(app: Caller) -> None:
    await a_trigger(app.pool, "Reminder")
    trigger = await app.pool.fetchval("SELECT trigger_id FROM triggers")
    await a_record(app.pool)
    at = datetime(2027, 6, 5, 5, tzinfo=UTC)  # midnight in Chicago
    await an_action(app.pool, trigger_id=trigger, activation_at=at, due_at=at, use_by=NOW + timedelta(days=11))
    made = (await app.post("/blackouts", json={"name": "Closed", "date": "2027-06-05"})).json
    assert await app.pool.fetchval("SELECT due_at FROM actions") == at + timedelta(days=1)

    changed = await app.call("PUT", f"/api/v1/blackouts/{made['id']}", json={"name": "Closed", "date": "2027-06-07"})

    assert changed.json == {"id": made["id"], "name": "Closed", "date": "2027-06-07"}
    assert await app.pool.fetchval("SELECT due_at FROM actions") == at
    assert (await app.call("PUT", "/api/v1/blackouts/99", json={"name": "x", "date": "2027-06-07"})).status == 404


async def test_opening_days_again_takes_them_off_the_list(app: Caller) -> None:
    made = (await app.post("/blackouts", json={"name": "Closed", "date": "2027-07-04"})).json
    gone = await app.call("DELETE", f"/api/v1/blackouts/{made['id']}")
    assert (gone.status, gone.body) == (204, b"")
    assert (await app.get("/blackouts")).json["items"] == []
    assert (await app.call("DELETE", f"/api/v1/blackouts/{made['id']}")).status == 404


async def test_a_countrys_holidays_are_added_once(app: Caller) -> None:
    body = {"holidays": {"country": "US", "subdivision": "IL", "years": [2027]}}
    first = await app.post("/blackouts", json=body)
    assert first.status == 201
    assert ("Memorial Day", "2027-05-31") in [(one["name"], one["date"]) for one in first.json["items"]]
    assert (await app.post("/blackouts", json=body)).json == first.json


CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//a studio//EN
BEGIN:VEVENT
UID:1
SUMMARY:Summer break
DTSTART;VALUE=DATE:20270701
DTEND;VALUE=DATE:20270705
END:VEVENT
BEGIN:VEVENT
UID:2
SUMMARY:Cancelled closing
STATUS:CANCELLED
DTSTART;VALUE=DATE:20270801
END:VEVENT
BEGIN:VEVENT
UID:3
SUMMARY:Dentist
DTSTART:20270802T140000Z
DTEND:20270802T150000Z
END:VEVENT
BEGIN:VEVENT
UID:4
SUMMARY:Inventory
DTSTART;VALUE=DATE:20270105
RRULE:FREQ=YEARLY
EXDATE;VALUE=DATE:20280105
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


async def test_a_calendar_file_closes_its_whole_days(app: Caller) -> None:
    answer = await app.post("/blackouts", data=CALENDAR.encode(), headers={"Content-Type": "text/calendar"})
    assert answer.status == 201
    assert [{key: one[key] for key in one if key != "id"} for one in answer.json["items"]] == [
        {"name": "Summer break", "from": "2027-07-01", "to": "2027-07-04"},
        {"name": "Inventory", "date": "2029-01-05"},
    ]


async def test_a_calendar_file_may_come_in_a_form(app: Caller) -> None:
    form = aiohttp.FormData()
    form.add_field("file", _file(CALENDAR), filename="days.ics", content_type="text/calendar")
    assert len((await app.post("/blackouts", data=form)).json["items"]) == 2
    empty = aiohttp.FormData()
    empty.add_field("note", "no file", content_type="text/plain")
    answer = await app.post("/blackouts", data=empty)
    assert answer.status in {415, 422}


async def test_a_calendar_file_in_a_form_within_a_form_is_not_looked_for(app: Caller) -> None:
    file = b'Content-Disposition: form-data; name="file"; filename="days.ics"\r\n\r\n' + CALENDAR.encode()
    within = (
        b"--outer\r\nContent-Type: multipart/mixed; boundary=inner\r\n\r\n--inner\r\n" + file + b"\r\n--inner--\r\n"
    )
    form = {"Content-Type": "multipart/form-data; boundary=outer"}
    assert (
        len((await app.post("/blackouts", data=b"--outer\r\n" + file + b"\r\n--outer--", headers=form)).json["items"])
        == 2
    )
    answer = await app.post("/blackouts", data=within + b"--outer--\r\n", headers=form)
    assert answer.status == 422
    assert "send a form with one calendar file" in str(answer.json)


@pytest.mark.parametrize(
    ("calendar", "says"),
    [
        (CALENDAR.replace("FREQ=YEARLY", "FREQ=SECONDLY"), "repeats SECONDLY"),
        (CALENDAR.replace("FREQ=YEARLY", "FREQ=HOURLY;INTERVAL=2"), "repeats HOURLY"),
        (CALENDAR.replace("20270701", "20200701").replace("20270705", "20200705").replace("RRULE", "X-R"), "holds no"),
        ("hello", "calendar"),
        ("BEGIN:VCALENDAR\r\n" + "X" * 1_100_000, "may have 1048576"),
        (CALENDAR.replace("20270701", "19000101"), "Summer break"),
    ],
)
async def test_a_calendar_file_that_is_not_plain_days_is_refused(app: Caller, calendar: str, says: str) -> None:
    answer = await app.post("/blackouts", data=_file(calendar), headers={"Content-Type": "text/calendar"})
    if says == "Summer break":
        assert answer.json["items"][0]["name"] == says
        return
    assert (answer.status, answer.json["field"]) == (422, "file")
    assert says in answer.json["detail"]
    assert await app.pool.fetchval("SELECT count(*) FROM blackouts") == 0


def _file(calendar: str) -> Any:
    return io.BytesIO(calendar.encode())


# Commands ---------------------------------------------------------------------------------------------------


async def a_command(app: Caller, of: str) -> None:
    async with db.transaction(app.pool) as tx:
        cause = Cause("Reminder", 1, "a-1", "e-1")
        await commands.enqueue(tx, [command("main", "session/4711", "create_call", {"note": of}, cause=cause, of=of)])


async def test_commands_are_read_in_order_and_acknowledged_up_to_a_cursor(app: Caller) -> None:
    for of in ("one", "two", "three"):
        await a_command(app, of)
    first = (await app.get("/commands?limit=2")).json
    assert [one["data"]["note"] for one in first["items"]] == ["one", "two"]
    assert first["items"][0]["type"] == "control_center.command.create_call"
    assert first["next_cursor"] == str(first["items"][-1]["sequence"])
    rest = (await app.get(f"/commands?after={first['next_cursor']}")).json
    assert [one["data"]["note"] for one in rest["items"]] == ["three"]
    done = await app.post("/commands/ack", json={"up_to": first["next_cursor"]})
    assert done.json == {"acknowledged": 2}
    again = (await app.get("/commands")).json
    assert [one["data"]["note"] for one in again["items"]] == ["three"]
    assert (await app.post("/commands/ack", json={"up_to": again["items"][0]["sequence"]})).json == {"acknowledged": 1}
    assert (await app.get("/commands")).json == {"items": [], "next_cursor": None}


async def test_a_command_that_commits_late_is_neither_skipped_nor_acknowledged_unread(app: Caller) -> None:
    async with app.pool.acquire() as connection:
        late = connection.transaction()
        await late.start()
        cause = Cause("Reminder", 1, "a-1", "e-1")
        await commands.enqueue(connection, [command("main", "session/1", "create_call", {}, cause=cause, of="late")])
        await a_command(app, "early")
        cursor = (await app.get("/commands")).json["next_cursor"]
        await late.commit()
    assert (await app.post("/commands/ack", json={"up_to": cursor})).json == {"acknowledged": 1}
    left = (await app.get(f"/commands?after={cursor}")).json["items"]
    assert [one["subject"] for one in left] == ["session/1"]


async def test_a_command_that_committed_late_is_read_again_where_the_answer_with_it_was_lost(app: Caller) -> None:
    cause = Cause(None, None, "a-9", None)
    late = command("main", "session/1", "create_call", {}, cause=cause, of="late")
    async with db.transaction(app.pool) as connection:
        await commands.enqueue(connection, [late])
        await a_command(app, "early")
        cursor = (await app.get("/commands")).json["next_cursor"]
    await a_command(app, "soon")

    await app.get(f"/commands?after={cursor}")  # and this answer never arrives
    found = (await app.get(f"/commands?after={cursor}")).json

    assert found["items"][0]["id"] == late.command_id
    assert len(found["items"]) == 2
    assert (await app.post("/commands/ack", json={"up_to": found["next_cursor"]})).json == {"acknowledged": 3}
    assert (await app.get("/commands")).json["items"] == []


async def test_a_command_that_the_relay_tried_in_vain_is_neither_skipped_nor_acknowledged_unread(app: Caller) -> None:
    cause = Cause(None, None, "a-9", None)
    late = command("main", "session/1", "create_call", {}, cause=cause, of="late")
    async with db.transaction(app.pool) as connection:
        await commands.enqueue(connection, [late])
        await a_command(app, "early")
        cursor = (await app.get("/commands")).json["next_cursor"]
    async with db.session(app.pool) as connection:  # the broker has no queue for it: the CRM reads over HTTP
        await commands.postpone(connection, [(late, timedelta(minutes=1))], unroutable=True)

    assert (await app.post("/commands/ack", json={"up_to": cursor})).json == {"acknowledged": 1}
    found = (await app.get(f"/commands?after={cursor}")).json["items"]
    assert [one["id"] for one in found] == [late.command_id]


@pytest.mark.parametrize("up_to", [-1, "x", None, 1.5, True, "1" * 30])
async def test_a_cursor_that_is_none_is_refused(app: Caller, up_to: object) -> None:
    answer = await app.post("/commands/ack", json={"up_to": up_to})
    assert answer.status == 422
    assert answer.json["field"].startswith("up_to")


# Why --------------------------------------------------------------------------------------------------------


async def test_the_api_says_why(app: Caller) -> None:
    await a_trigger(app.pool, "Reminder")
    await a_record(app.pool, status="Inquiry")
    answer = await app.get("/explain?trigger=Reminder&record=session/4711")
    assert answer.json["sentence"] == "Nothing was sent: status: it is 'Inquiry', the trigger wants 'Booked'."
    assert answer.json["steps"][0]["at"].endswith("Z")
    await app.post("/events", json=an_event(version=3))
    assert "e-1" in (await app.get("/explain?event=e-1")).json["sentence"]
    assert "e-1" in (await app.get("/explain?event=/crm/main%23e-1")).json["sentence"]
    assert (await app.get("/explain?message=m-77")).status == 404
    assert (await app.get("/explain?trigger=Remindr&record=session/4711")).status == 404
    for query in ("", "?trigger=Reminder", "?record=session/1", "?message=m-1&action=a-1", "?event=e&trigger=t"):
        assert (await app.get(f"/explain{query}")).status == 400, query
