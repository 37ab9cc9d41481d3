"""Triggers over HTTP: made, read, filtered, edited from the version that was read, copied, switched and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rows import a_client, a_record, a_studio, a_trigger, an_action
from tests.web.conftest import Caller


def a_table(name: str = "Thanks", **keys: Any) -> dict[str, Any]:
    return {
        "name": name,
        "record": "session",
        "status": "Booked",
        "activate": {"on": "session", "days": -7},
        "action": "sms",
        "text": "Hello {{ client.first_name }}",
        "purpose": "transactional",
        "processing": {"mode": "automatic"},
        "enabled": True,
        **keys,
    }


async def created(app: Caller, **keys: Any) -> dict[str, Any]:
    answer = await app.post("/triggers", json=a_table(**keys))
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.json
    return found


async def test_a_trigger_that_was_made_reads_back_as_it_was_written(app: Caller) -> None:
    answer = await app.post("/triggers", json=a_table())
    assert (answer.status, answer.headers["ETag"]) == (201, '"1"')
    read = await app.call("GET", answer.headers["Location"])
    assert read.json == answer.json
    assert {key: read.json[key] for key in a_table()} == a_table()
    assert (read.json["version"], read.json["saved_by"]) == (1, "owner *")


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"record": "sesion"}, "record"),
        ({"activate": {"on": "session", "days": "7"}}, "activate.days"),
        ({"text": "{{ client.frist_name }}"}, "text"),
        ({"colour": "red"}, "colour"),
        ({"name": 7}, "name"),
        ({"name": "x" * 300}, "name"),
        ({"processing": {"window": "09:00"}}, "processing.window"),
    ],
)
async def test_a_wrong_trigger_is_refused_by_the_name_of_its_field(app: Caller, keys: Any, field: str) -> None:
    answer = await app.post("/triggers", json=a_table(**keys))
    assert (answer.status, answer.json["field"]) == (422, field), answer.body
    assert (await app.get("/triggers")).json["items"] == []


async def test_a_name_that_is_taken_is_a_conflict(app: Caller) -> None:
    first, second = await created(app), await created(app, name="Other")
    assert (await app.post("/triggers", json=a_table())).status == 409
    renamed = await app.call("PUT", f"/api/v1/triggers/{second['id']}", json=a_table(first["name"]))
    assert renamed.status == 409


async def test_an_edit_from_an_older_version_is_refused_and_changes_nothing(app: Caller) -> None:
    made = await created(app)
    path = f"/api/v1/triggers/{made['id']}"
    first = await app.call("PUT", path, json=a_table(status="Done"), headers={"If-Match": '"1"'})
    assert (first.status, first.headers["ETag"]) == (200, '"2"')

    late = await app.call("PUT", path, json=a_table(status="Lost"), headers={"If-Match": '"1"'})
    in_body = await app.call("PUT", path, json={**made, "status": "Lost"})

    assert (late.status, in_body.status) == (412, 412)
    assert "version 2" in late.json["detail"]
    assert (await app.call("GET", path)).json["status"] == "Done"
    for given in ('"1", "2"', "*"):
        assert (await app.call("PUT", path, json=a_table(), headers={"If-Match": given})).status == 200
    assert (await app.call("PUT", path, json=a_table(), headers={"If-Match": 'W/"1"'})).status == 400


async def test_what_was_read_may_be_sent_back_and_is_the_same_version(app: Caller) -> None:
    made = await created(app)
    path = f"/api/v1/triggers/{made['id']}"
    again = await app.call("PUT", path, json=made)
    assert (again.status, again.json) == (200, made)
    wrong = await app.call("PUT", path, json={**made, "id": "999"})
    assert (wrong.status, wrong.json["field"]) == (422, "id")


async def test_a_renamed_trigger_keeps_its_id_and_its_actions(app: Caller) -> None:
    made = await created(app)
    await an_action(app.pool, trigger_id=int(made["id"]))
    renamed = await app.call("PUT", f"/api/v1/triggers/{made['id']}", json=a_table("Welcome"))
    assert (renamed.status, renamed.json["id"], renamed.json["name"]) == (200, made["id"], "Welcome")
    assert len((await app.get("/actions?trigger=Welcome")).json["items"]) == 1


async def test_a_copy_is_another_trigger_and_switched_off(app: Caller) -> None:
    made = await created(app)
    copies = [await app.post(f"/triggers/{made['id']}/copy", json=body) for body in ({}, {}, {"name": "Mine"})]
    assert [one.status for one in copies] == [201] * 3
    assert [one.json["name"] for one in copies] == ["Thanks (copy)", "Thanks (copy 2)", "Mine"]
    assert {one.json["enabled"] for one in copies} == {False}
    assert (await app.post(f"/triggers/{made['id']}/copy", json={"name": "Mine"})).status == 409


async def test_switching_on_and_off_is_a_version_each(app: Caller) -> None:
    made = await created(app, enabled=False)
    on = await app.post(f"/triggers/{made['id']}/enable")
    off = await app.post(f"/triggers/{made['id']}/disable")
    assert [(one.json["enabled"], one.json["version"]) for one in (on, off)] == [(True, 2), (False, 3)]
    assert (await app.post("/triggers/999/enable")).status == 404


@pytest.mark.parametrize(("pending", "state"), [("hold", "held"), ("drain", "planned"), ("drop", "deleted")])
async def test_switching_off_does_to_what_waits_what_was_asked_for(app: Caller, pending: str, state: str) -> None:
    await a_client(app.pool)
    await a_record(app.pool, dates={"session": "2027-08-14T14:00"})
    made = await created(app)
    assert (await app.post(f"/triggers/{made['id']}/disable?pending={pending}")).status == 200
    assert [one["state"] for one in (await app.get("/actions")).json["items"]] == [state]


async def test_what_waits_under_a_deleted_trigger_is_deleted_with_the_reason(app: Caller) -> None:
    made = await created(app)
    await a_client(app.pool)
    record = await a_record(app.pool)
    action = await an_action(app.pool, trigger_id=int(made["id"]), record=record)
    sent = await an_action(app.pool, trigger_id=int(made["id"]), state="released", occurrence="sent")

    assert (await app.call("DELETE", f"/api/v1/triggers/{made['id']}")).status == 204

    shown = (await app.get(f"/actions/a-{action}")).json
    assert shown["state"] == "deleted"
    assert "owner *" in shown["reason"]
    assert (await app.get(f"/actions/a-{sent}")).json["state"] == "released"
    assert (await app.get(f"/triggers/{made['id']}")).status == 404


async def test_triggers_are_listed_by_record_and_by_their_status_or_type(app: Caller) -> None:
    await a_trigger(app.pool, "by status", status="Booked", type="Wedding")
    await a_trigger(app.pool, "by type", status=None, type="Wedding")
    await a_trigger(app.pool, "neither", status=None)
    await a_trigger(app.pool, "client", record="client", activate={"on": "birthday"})

    async def names(query: str) -> list[str]:
        return [one["name"] for one in (await app.get(f"/triggers?{query}")).json["items"]]

    assert await names("record=session") == ["by status", "by type", "neither"]
    assert await names("record=session&by=status") == ["by status", "neither"]
    assert await names("record=session&by=status&value=Booked") == ["by status"]
    assert await names("record=session&by=type&value=Wedding") == ["by type"]
    assert await names("record=session&by=type&value=Portrait") == []
    for wrong, field in (
        ("by=type", "by"),
        ("record=client&by=type", "by"),
        ("value=x", "value"),
        ("record=x", "record"),
    ):
        answer = await app.get(f"/triggers?{wrong}")
        assert (answer.status, answer.json["field"]) == (400, field)


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_pages_of_triggers_lose_and_repeat_nothing(app: Caller, limit: int) -> None:
    for name in ("d", "B", "a", "É", "c"):
        await a_trigger(app.pool, name)
    names, cursor = [], ""
    while True:
        page = (await app.get(f"/triggers?limit={limit}{cursor}")).json
        names += [one["name"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert names == sorted(["d", "B", "a", "É", "c"])


async def test_a_trigger_of_another_studio_is_not_there(app: Caller) -> None:
    await a_studio(app.pool, "north")
    made = await created(app)
    for method in ("GET", "PUT", "DELETE"):
        body: dict[str, Any] = {"json": a_table()} if method == "PUT" else {}
        assert (await app.call(method, f"/api/v1/triggers/{made['id']}?studio=north", **body)).status == 404


async def test_the_same_key_creates_one_trigger_and_answers_the_same(app: Caller) -> None:
    options = {"json": a_table(), "headers": {"Idempotency-Key": "k1"}}
    first, second = await app.post("/triggers", **options), await app.post("/triggers", **options)
    assert (first.status, second.status, first.body) == (201, 201, second.body)
    assert second.headers["ETag"] == first.headers["ETag"]


# Versions ---------------------------------------------------------------------------------------------------


async def test_what_an_edit_does_to_what_waits_is_shown_before_it_is_saved(app: Caller) -> None:
    made = await created(app)
    await a_client(app.pool)
    await a_record(app.pool, "session/s1")
    await an_action(app.pool, trigger_id=int(made["id"]), record="session/s1")

    seen = await app.post(f"/triggers/{made['id']}/preview", json=a_table(type="Nothing like it"))

    assert (seen.status, seen.json["kind"], seen.json["version"]) == (200, "changed", 1), seen.body
    assert seen.json["lines"] == ['+ type = "Nothing like it"']
    assert (seen.json["pending"]["total"], seen.json["pending"]["vanish"]) == (1, 1)
    assert (await app.get(f"/triggers/{made['id']}")).json["version"] == 1

    wrong = await app.post(f"/triggers/{made['id']}/preview", json=a_table(action="smoke"))
    assert (wrong.status, wrong.json["field"]) == (422, "action")


async def test_rolling_back_is_one_call_and_a_version_of_its_own(app: Caller) -> None:
    made = await created(app)
    await app.call("PUT", f"/api/v1/triggers/{made['id']}", json=a_table(text="Bye"))

    back = await app.post(f"/triggers/{made['id']}/rollback?pending=keep", json={"version": 1})

    assert (back.status, back.json["version"], back.json["text"]) == (200, 3, made["text"]), back.body
    found = (await app.get(f"/triggers/{made['id']}/versions")).json["items"]
    assert [(one["version"], one["pending"]) for one in found] == [(3, "keep"), (2, "follow"), (1, "follow")]
    page = (await app.get(f"/triggers/{made['id']}/versions?limit=1")).json
    assert [one["version"] for one in page["items"]] == [3]
    assert page["next_cursor"] is not None
    assert (await app.post(f"/triggers/{made['id']}/rollback", json={"version": 9})).status == 404
