"""An owner of one studio, and everything of another: nothing of it is shown to them, and nothing of it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from control_center.web.api.routes import Route
from control_center.web.server import ROUTES
from tests.support.rows import a_client, a_message, a_record, a_studio, a_trigger, an_action
from tests.web.conftest import Answer, Caller, a_token
from tests.web.test_api_deeds import a_command, an_event
from tests.web.test_api_triggers import a_table

WORD = "Lakeside-Secret"  # in everything that is of the studio `main`, and nowhere else

# What each call would have to bring to do harm; {trigger} and the like are ids of `main`.
BODIES: dict[str, Any] = {
    "post_events": an_event("e-9"),
    **{f"{deed}_actions": {"ids": ["{action}"]} for deed in ("process", "release", "skip", "delete")},
    "create_trigger": a_table("Of south", template=WORD),
    "replace_trigger": a_table("Taken over"),
    "preview_trigger": a_table("Taken over"),
    "roll_back_trigger": {"version": 1},
    "copy_trigger": {"name": "Copied"},
    "forecast_trigger": {},
    "backtest_trigger": {"draft": a_table("Of south")},
    "create_template": {"name": "t", "sms": "Hello"},
    "replace_template": {"sms": "Taken over"},
    "preview_template": {"record": "session/4711"},
    "preview_draft": {"sms": "{{ client.full_name }} {{ record.type }}", "record": "session/4711"},
    "add_blackouts": {"name": "Closed", "date": "2027-07-04"},
    "change_blackout": {"name": "Taken over", "date": "2027-07-04"},
    "create_studio": {"id": "west", "name": "West", "timezone": "UTC"},
    "replace_studio": {"name": "Taken over", "timezone": "UTC"},
    "replace_catalog": {"forms": []},
    "create_user": {"name": "spy", "role": "owner", "studios": ["main"]},
    "replace_user": {"name": "taken over", "role": "owner", "studios": ["south"]},
    "acknowledge_commands": {"up_to": 10**17},
    "send_message": {"client": "c-12", "text": "Hello"},
    "link_message": {"client": None, "earlier": True},
    "assign_message": {"user": "south"},
    "task_message": {"subject": "Taken over"},
    "resolve_message": {"outcome": "sent", "evidence": "spying"},
    "record_consent": {"address": "+13125550188", "says": "stop", "evidence": "spying"},
}
QUERIES = {
    "explain": (
        "message={message}",
        "action={action}",
        "event=e-1",
        "event=e-dead",
        f"trigger={WORD}&record=session/4711",
    ),
    "list_messages": (
        *("", f"search={WORD}", "action={action}", f"trigger={WORD}", "search=%2B13125550188", "box=inbox"),
        *("client=c-12", "unread=true", "unlinked=true"),
    ),
    "get_consents": ("address=%2B13125550188",),
    "list_actions": ("", f"trigger={WORD}", "record=session/4711", "order=due"),
    "list_audit": ("", "resource=trigger/{trigger}", "resource=user/{user}", "who=owner *"),
    "get_forecast": ("", f"trigger={WORD}", "client=c-12"),
    **{f"{deed}_actions": ("", "state=review") for deed in ("process", "release", "skip", "delete")},
}


@dataclass(frozen=True)
class Main:
    """What there is in the studio `main`, by the ids that addresses have."""

    ids: dict[str, str]

    def address(self, route: Route, query: str = "") -> str:
        of = {
            "triggers": "trigger",
            "actions": "action",
            "messages": "message",
            "blackouts": "blackout",
            "users": "user",
        }
        named = self.ids.get(of.get(route.path.split("/")[1], ""), "main")
        path = route.path.replace("{id}", named).replace("{name}", WORD)
        return f"/api/v1{path}?{query.format(**self.ids)}".rstrip("?")

    def body(self, route: Route) -> Any:
        body = BODIES.get(route.name, {})
        return {"ids": [self.ids["action"]]} if "ids" in body else body


@pytest.fixture
async def main(app: Caller) -> Main:
    """A studio that has one of everything, and a user of another one with the highest role."""
    await a_studio(app.pool, "south")
    await a_token(app.pool, "south", "owner", "south")
    await a_client(app.pool, first_name=WORD)
    record = await a_record(app.pool, fields={"location": WORD})
    trigger = await a_trigger(app.pool, WORD, text=WORD)
    action = await an_action(app.pool, record=record, trigger_id=trigger, state="review", reason=WORD)
    message = await a_message(app.pool, action_id=action, reason=WORD)
    counted = "INSERT INTO usage_sources VALUES ('main', '2027-06-01', 'trigger', $1, 3, 3)"
    await app.pool.execute(counted, trigger)  # its name is the word
    await app.pool.execute("INSERT INTO usage (studio_id, month, texts) VALUES ('main', '2027-06-01', 3)")
    await a_command(app, record)
    await app.post("/events", json=an_event("e-1"))
    await app.post("/templates", json={"name": WORD, "sms": WORD})
    blackout = (await app.post("/blackouts", json={"name": WORD, "date": "2027-12-24"})).json["id"]
    await app.call("PUT", "/api/v1/studios/main/catalog", json={"forms": [WORD]})
    user = {"name": WORD, "role": "viewer", "studios": ["main"]}
    made = (await app.post("/users", json=user)).json["id"]
    dead = b'{"id": "e-dead", "studio": "main", "subject": "session/4711"}'
    bury = "INSERT INTO dead_events (body, field, reason) VALUES ($1, 'type', $2)"
    for body in (dead, b'"e-dead" "session/4711"'):  # of the second nobody can know whose it is
        await app.pool.execute(bury, body, WORD)
    return Main(
        {
            "trigger": str(trigger),
            "action": f"a-{action}",
            "message": f"m-{message}",
            "blackout": blackout,
            "user": made,
        }
    )


async def rows_of_main(app: Caller) -> dict[str, str]:
    """A digest of every table's rows that are of `main`, and of the users who are not of `south`."""
    tables = await app.pool.fetch(
        "SELECT table_name FROM information_schema.columns"
        " JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_schema = 'public' AND column_name = 'studio_id' AND table_type = 'BASE TABLE'"
    )
    found = {}
    for (table,) in tables:
        digest = (
            f"SELECT md5(string_agg(one::text, ',' ORDER BY one::text)) FROM {table} AS one WHERE studio_id = 'main'"
        )
        found[table] = await app.pool.fetchval(digest)
    users = (
        "SELECT md5(string_agg(one::text, ',' ORDER BY one::text)) FROM users AS one WHERE NOT 'south' = ANY (studios)"
    )
    return {**found, "users": await app.pool.fetchval(users)}


async def test_of_another_studio_nothing_is_shown_and_nothing_changes(app: Caller, main: Main) -> None:
    before = await rows_of_main(app)
    assert sum(digest is not None for digest in before.values()) >= 12, before  # there is something to be seen

    for route in ROUTES:
        for query in QUERIES.get(route.name, ("",)):
            for studio in ("", "studio=main", "studio=south"):
                if studio and route.about != "query":
                    continue
                address = main.address(route, "&".join(part for part in (query, studio) if part))
                options = {"json": main.body(route)} if route.reads else {}
                told = await app.call(route.method, address, token="south", **options)
                assert told.status < 500, f"{route.name} {address}: {told.body!r}"
                _check_silent(told, f"{route.name} {address}")
                if studio == "studio=main":
                    assert told.status == (403 if route.everywhere else 404), f"{route.name} {address}"

    assert await rows_of_main(app) == before


def _check_silent(told: Answer, what: str) -> None:
    """What is refused says again what was asked for; nothing else may hold the word."""
    said = told.body.decode()
    assert WORD not in said or told.status in {404, 422}, f"{what}: {said[:500]}"


async def test_who_is_for_a_studio_is_told_why_its_own_event_was_not_understood(app: Caller, main: Main) -> None:
    assert main.ids
    assert WORD in (await app.get("/explain?event=e-dead")).json["sentence"]  # the same for those of every studio
    bury = "INSERT INTO dead_events (body, field, reason) VALUES ($1, 'type', 'is missing')"
    await app.pool.execute(bury, b'{"id": "e-south", "studio": "south", "note": "e-dead"}')
    told = (await app.get("/explain?event=e-south", token="south")).json
    assert "type: is missing" in told["sentence"]


async def test_the_trail_of_a_studio_names_no_other_studio(app: Caller) -> None:
    await a_studio(app.pool, "south")
    await a_token(app.pool, "south", "owner", "south")
    user = {"name": "ada", "role": "viewer", "studios": ["main", "south"]}
    made = (await app.post("/users", json=user)).headers["Location"]
    await app.call("PUT", made, json={**user, "studios": ["main"]})

    entries = (await app.get("/audit", token="south")).json["items"]
    assert [(one["verb"], one["before"] and one["before"]["studios"], one["after"]["studios"]) for one in entries] == [
        ("change", ["south"], []),
        ("create", None, ["south"]),
    ]
    of_main = (await app.get("/audit?studio=main")).json["items"]
    assert [one["after"]["studios"] for one in of_main] == [["main"], ["main"]]
