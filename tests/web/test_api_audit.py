"""The audit trail: a change leaves who, through which door, and what was before and after; a refused one nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from control_center import store
from control_center.domain.blackouts import Blackout
from control_center.domain.signature import Signature
from control_center.engine import blackouts
from control_center.store import audit
from tests.support.rows import a_client, a_record, a_studio, a_trigger, an_action
from tests.web.conftest import NOW, Caller, a_token
from tests.web.test_api_triggers import a_table


async def trail(app: Caller, query: str = "", token: str = "owner-token") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await app.get(f"/audit?{query}", token=token)).json["items"]
    return items


def told(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    return entry["who"], entry["via"], entry["verb"], entry["resource"].split("/")[0]


async def test_a_trigger_is_followed_from_its_making_to_its_end(app: Caller) -> None:
    made = (await app.post("/triggers", json=a_table())).json
    path = f"/api/v1/triggers/{made['id']}"
    await app.call("PUT", path, json=a_table(status="Done"))
    await app.call("POST", f"{path}/disable")
    await app.call("DELETE", path)

    last, off, edit, first = await trail(app, f"resource=trigger/{made['id']}")

    assert [told(one) for one in (first, edit, off, last)] == [
        ("owner *", "api", verb, "trigger") for verb in ("create", "change", "change", "delete")
    ]
    assert (first["before"], first["after"]["status"]) == (None, "Booked")
    assert (edit["before"]["status"], edit["after"]["status"]) == ("Booked", "Done")
    assert (off["before"]["enabled"], off["after"]["enabled"]) == (True, False)
    assert last["after"] is None


@pytest.mark.parametrize(
    ("resource", "path", "body", "changed"),
    [
        ("template", "/templates", {"name": "t", "sms": "Hello"}, {"name": "t", "sms": "Bye"}),
        ("blackout", "/blackouts", {"name": "Fair", "date": "2027-07-04"}, {"name": "Fair", "yearly": "07-04"}),
        ("studio", "/studios", {"id": "n", "name": "N", "timezone": "UTC"}, {"name": "M", "timezone": "UTC"}),
        (
            "user",
            "/users",
            {"name": "a", "role": "viewer", "studios": ["*"]},
            {"name": "b", "role": "viewer", "studios": ["*"]},
        ),
    ],
)
async def test_making_changing_and_deleting_leave_an_entry_each(
    app: Caller, resource: str, path: str, body: Any, changed: Any
) -> None:
    made = await app.post(path, json=body)
    await app.call("PUT", made.headers["Location"], json=changed)
    await app.call("DELETE", made.headers["Location"])

    entries = await trail(app, "studio=main") if resource != "studio" else await _of(app, "n")

    assert [told(one) for one in reversed(entries)] == [
        ("owner *", "api", verb, resource) for verb in ("create", "change", "delete")
    ]
    for former, latter in zip(entries[1:], entries, strict=False):
        assert former["after"] == latter["before"] is not None


async def _of(app: Caller, studio: str) -> list[dict[str, Any]]:
    """The entries of a studio that is no longer there to be asked about."""
    await a_studio(app.pool, studio)
    return await trail(app, f"studio={studio}")


async def test_what_was_refused_leaves_nothing(app: Caller) -> None:
    await a_trigger(app.pool, "Thanks", text=None, template="t")
    await app.post("/triggers", json=a_table())  # its name is taken
    await app.post("/triggers", json=a_table("Other", record="nothing"))
    await app.post("/templates", json={"name": "t", "sms": "{{ nothing }}"})
    await app.call("PUT", "/api/v1/blackouts/9", json={"name": "Fair", "date": "2027-07-04"})
    assert await trail(app) == []


async def test_a_decision_on_an_action_tells_how_it_waited_and_what_became_of_it(app: Caller) -> None:
    await a_client(app.pool)
    record, trigger = await a_record(app.pool), await a_trigger(app.pool)
    one = await an_action(app.pool, record=record, trigger_id=trigger, state="review", reason="by hand")
    two = await an_action(app.pool, trigger_id=trigger, state="review", record="session/9", reason="by hand")
    await a_token(app.pool, "desk", "front_desk")

    await app.post(f"/actions/a-{one}/delete", token="desk")
    await app.post("/actions/delete?state=review", token="desk", json={"expect": 1})

    entries = await trail(app)
    assert {entry["resource"] for entry in entries} == {f"action/a-{one}", f"action/a-{two}"}
    assert {told(entry) for entry in entries} == {("front_desk *", "api", "decide", "action")}
    assert {entry["before"]["state"] for entry in entries} == {"review"}
    assert {entry["after"]["state"] for entry in entries} == {"deleted"}


async def test_the_door_is_told_and_what_nobody_signed_was_the_engine(app: Caller) -> None:
    for by in (Signature("ada", "cli"), "demo"):
        await blackouts.add(app.pool, lambda: NOW, "main", Blackout.on("Fair", NOW.date()), by=by)
    assert [(one["who"], one["via"]) for one in await trail(app)] == [("demo", "engine"), ("ada", "cli")]


async def test_an_entry_goes_with_its_change_or_not_at_all(app: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = audit.WRITE_AUDIT.replace("$3, verb, resource", "$3, verb, (1 / 0)::text")
    monkeypatch.setattr(audit, "WRITE_AUDIT", failing)
    assert (await app.post("/blackouts", json={"name": "Fair", "date": "2027-07-04"})).status == 500
    assert (await app.get("/blackouts")).json["items"] == []


async def test_an_owner_of_one_studio_reads_the_trail_of_that_one(app: Caller) -> None:
    await a_studio(app.pool, "north")
    await a_token(app.pool, "north", "owner", "north")
    for studio in ("main", "north"):
        await app.post(f"/blackouts?studio={studio}", json={"name": "Fair", "date": "2027-07-04"})
    await app.post("/users", json={"name": "everywhere", "role": "viewer", "studios": ["*"]})
    await app.post("/users", json={"name": "both", "role": "viewer", "studios": ["main", "north"]})

    assert [told(one)[3] for one in await trail(app, token="north")] == ["user", "blackout"]
    assert {one["studio"] for one in await trail(app, token="north")} == {"north"}
    assert {one["studio"] for one in await trail(app)} == {"main", "*"}


async def test_pages_of_the_trail_lose_and_repeat_nothing(app: Caller) -> None:
    for day in range(1, 8):
        await app.post("/blackouts", json={"name": "Fair", "date": f"2027-07-0{day}"})
    seen, cursor = [], ""
    while True:
        page = (await app.get(f"/audit?limit=3{cursor}")).json
        seen += [one["after"]["from"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"2027-07-0{day}" for day in range(7, 0, -1)]


def test_no_statement_changes_or_removes_an_entry() -> None:
    written = [
        f"{module.stem}: {verb}"
        for module in Path(store.__path__[0]).glob("*.py")
        for verb in re.findall(r"\b(INSERT INTO|UPDATE|DELETE FROM|TRUNCATE) audit\b", module.read_text("utf-8"))
    ]
    assert written == ["audit: INSERT INTO"]
