"""An owner of one studio, and everything of another: nothing of it is shown to them, and nothing of it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from control_center.web.api.routes import Route
from control_center.web.server import ROUTES
from tests.support.rows import a_client, a_message, a_record, a_studio, a_trigger, an_action
from tests.support.spent import a_spent_day
from tests.web.conftest import NOW, Answer, Caller, a_token
from tests.web.test_api_deeds import a_command, an_event
from tests.web.test_api_triggers import a_table

WORD = "Lakeside-Secret"  # in everything that is of the studio `main`, and nowhere else

# What each call would have to bring to do harm; {trigger} and the like are ids of `main`. Several are tried one by one.
_ABOUT = {"text": "Hello", "channel": "sms"}
BODIES: dict[str, Any] = {
    "post_events": an_event("e-9"),
    **{f"{deed}_actions": [{"ids": ["{action}"]}, {"all": True}] for deed in ("process", "release", "skip", "delete")},
    "create_trigger": a_table("Of south", template=WORD),
    "replace_trigger": a_table("Taken over"),
    "preview_trigger": a_table("Taken over"),
    "roll_back_trigger": {"version": 1},
    "copy_trigger": {"name": "Copied"},
    "forecast_trigger": {"days": 30},
    "backtest_trigger": {"draft": a_table("Of south")},
    "create_template": {"name": "t", "sms": "Hello"},
    "replace_template": {"sms": "Taken over", "name": WORD},
    "preview_template": {"record": "session/4711"},
    "preview_draft": {"sms": "{{ client.full_name }} {{ record.type }}", "record": "session/4711"},
    "add_blackouts": {"name": "Closed", "date": "2027-07-04"},
    "change_blackout": {"name": "Taken over", "date": "2027-07-04"},
    "create_studio": {"id": "west", "name": "West", "timezone": "UTC"},
    "replace_studio": {"name": "Taken over", "timezone": "UTC"},
    "replace_catalog": {"forms": []},
    "create_user": {"name": "spy", "role": "owner", "studios": ["main"]},
    "replace_user": {"id": "{user}", "name": "taken over", "role": "owner", "studios": ["south"]},
    "acknowledge_commands": {"up_to": 10**17},
    "send_message": [
        {**_ABOUT, "client": "c-12"},
        {**_ABOUT, "record": "session/4711"},
        {**_ABOUT, "reply_to": "{came}"},
        {"again": "{message}"},
        {"client": "c-12", "template": WORD},
    ],
    "link_message": [{"client": None, "earlier": True}, {"client": "c-12", "record": "session/4711"}],
    "assign_message": {"user": "south"},
    "task_message": {"subject": "Taken over", "assign": "south"},
    "resolve_message": [{"outcome": "sent", "evidence": "spying"}, {"reading": "opt_out"}],
    "record_consent": {"address": "+13125550188", "says": "stop", "evidence": "spying"},
    "erase_client": [
        {"client": "c-12", "reason": "spying"},
        {"client": "c-12", "reason": "spying", "confirm": True},
    ],
    "create_bulk": {"audience": {"record": "client"}, "template": WORD},
    "tick_bulk_recipients": {"recipients": [1]},
    "untick_bulk_recipients": {"recipients": [1]},
    "start_bulk": {"expect": 1},
    "approve_bulk": {"expect": 1, "seen": "0123456789ab"},
    "receive_text": {"from": "+13125550188", "to": "+13125550100", "text": "STOP"},
    "release_prefix": {"prefix": "+13125550"},
    "overspend": {"day": f"{NOW:%Y-%m-%d}"},
}
_LISTED = ("", f"trigger={WORD}", "record=session/4711")
QUERIES = {
    "explain": (
        *("message={message}", "action={action}", "event=e-1", "event=e-dead", "id={message}", "id={action}", "id=e-1"),
        f"trigger={WORD}&record=session/4711",
    ),
    "list_messages": (
        *("", f"search={WORD}", "action={action}", f"trigger={WORD}", "search=%2B13125550188", "box=inbox"),
        *("client=c-12", "unread=true", "unlinked=true", "record=session/4711", "bulk={bulk}", f"made_by={WORD}"),
        f"assigned_to={WORD}",
    ),
    "list_triggers": ("", "record=session", "record=session&by=status&value=Booked"),
    "list_events": ("", "subject=session/4711"),
    "get_consents": ("address=%2B13125550188",),
    "list_actions": (*_LISTED, "order=due"),
    "count_actions": _LISTED,
    "group_actions": _LISTED,
    "list_audit": ("", "resource=trigger/{trigger}", "resource=user/{user}", "who=owner *"),
    "get_forecast": ("", f"trigger={WORD}", "client=c-12"),
    "get_scores": ("", f"trigger={WORD}"),
    **{f"{deed}_actions": (*_LISTED, "state=review") for deed in ("process", "release", "skip", "delete")},
}

# What names nothing of a studio's. Whatever else a query or a body takes has to be tried above.
HARMLESS = {
    *("studio", "limit", "cursor", "after", "since", "until", "state", "channel", "due_from", "due_before", "order"),
    *(
        "days",
        "closed",
        "by",
        "addresses",
        "pending",
        "kind",
        "country",
        "subdivision",
        "years",
        "value",
        "box",
        "draft",
    ),
    *("unread", "unlinked", "attention", "name", "text", "subject", "html", "sms", "layout", "attachments", "purpose"),
    *("description", "type", "priority", "due_date", "evidence", "reading", "score", "keyword", "when", "use_by"),
    *("expect", "version", "warnings", "first", "last", "yearly", "holidays", "date", "email", "active", "signature"),
    *("all", "to", "from", "says", "outcome", "earlier", "role", "reason", "confirm"),
    "user",  # of a message: whose signature it carries, one of the studio's own people, as its catalogue says
}
OF_WHAT_CAME = {"read_message", "unread_message", "link_message"}
UNCHANGED = "resource=trigger/{trigger}"  # of which there is nothing to tell
NAMELESS = {"list_holidays", "list_template_fields", "count_actions", "group_actions", "list_users"}  # in their answers


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
            "bulk": "bulk",
        }
        what = "came" if route.name in OF_WHAT_CAME else of.get(route.path.split("/")[1], "")
        named = self.ids.get(what, "main")
        path = route.path.replace("{id}", named).replace("{name}", WORD)
        return f"/api/v1{path}?{query.format(**self.ids)}".rstrip("?")

    def options(self, route: Route) -> list[dict[str, Any]]:
        """The bodies to bring, one call for each."""
        if not route.reads:
            return [{}]
        bodies = BODIES[route.name]  # a route that has none here is not tried, and fails
        return [{"json": self._of_main(body)} for body in (bodies if isinstance(bodies, list) else [bodies])]

    def _of_main(self, value: Any) -> Any:
        match value:
            case dict():
                return {key: self._of_main(one) for key, one in value.items()}
            case list():
                return [self._of_main(one) for one in value]
            case str() if value.strip("{}") in self.ids:
                return self.ids[value.strip("{}")]
        return value


@pytest.fixture
async def main(app: Caller) -> Main:
    """A studio that has one of everything, and a user of another one with the highest role."""
    theirs = {"sms": {"account": "default", "numbers": ["+13125550199"]}}
    await a_studio(app.pool, "south", settings=theirs, numbers=["+13125550199"])
    await a_token(app.pool, "south", "owner", "south")
    await a_token(app.pool, "of-main", "owner", "main")
    await a_client(app.pool, first_name=WORD, allow_marketing={"sms": True, "email": True})
    record = await a_record(app.pool, fields={"location": WORD})
    trigger = await a_trigger(app.pool, WORD, text=WORD)
    action = await an_action(app.pool, record=record, trigger_id=trigger, state="review", reason=WORD)
    about: dict[str, Any] = {"made_by": WORD, "assigned_to": WORD, "body": WORD}
    message = await a_message(app.pool, action_id=action, trigger_id=trigger, reason=WORD, state="unknown", **about)
    came = await a_message(app.pool, state="received", body=WORD, meaning="plain")
    await a_message(app.pool, state="received", body=WORD, client_id=None, address="+13125550166")
    asked = await a_message(app.pool, trigger_id=trigger, state="accepted", question="nps", address="+13125550168")
    scored = (
        "INSERT INTO answers (studio_id, message_id, meaning, words, at)"
        " VALUES ('main', $1, 'scored', '9', '2027-05-30T12:00:00Z')"
    )
    await app.pool.execute(scored, asked)
    counted = (
        "INSERT INTO usage_sources (studio_id, month, origin, trigger_id, texts, segments)"
        " VALUES ('main', '2027-06-01', 'trigger', $1, 3, 3)"
    )
    await app.pool.execute(counted, trigger)  # its name is the word
    await app.pool.execute("INSERT INTO usage (studio_id, month, texts) VALUES ('main', '2027-06-01', 3)")
    await app.pool.execute("UPDATE studios SET name = $1 WHERE studio_id = 'main'", WORD)
    await a_command(app, record)
    await app.post("/events", json=an_event("e-1"))
    await app.post("/templates", json={"name": WORD, "sms": WORD})
    await app.post("/consents", json={"address": "+13125550177", "says": "stop", "evidence": WORD})
    await app.post("/consents", json={"address": "+13125550188", "says": "start", "evidence": WORD})
    blackout = (await app.post("/blackouts", json={"name": WORD, "date": "2027-12-24"})).json["id"]
    await app.call("PUT", "/api/v1/studios/main/catalog", json={"forms": [WORD]})
    user = {"name": WORD, "role": "viewer", "studios": ["main"]}
    made = (await app.post("/users", json=user)).json["id"]
    bulk = await app.post("/bulk", json={"audience": {"record": "client"}, "template": WORD, "name": WORD})
    of_bulk = int(bulk.json["id"].removeprefix("b-"))
    await a_message(app.pool, origin="bulk", bulk_id=of_bulk, body=WORD, address="+13125550167")
    dead = b'{"id": "e-dead", "studio": "main", "subject": "session/4711"}'
    shut = "INSERT INTO prefixes (studio_id, prefix, held_since, reason) VALUES ('main', '+13125550', now(), $1)"
    await app.pool.execute(shut, WORD)
    await a_spent_day(app.pool, NOW.date())
    await app.pool.execute("UPDATE spending SET reason = $1", WORD)
    bury = "INSERT INTO dead_events (body, field, reason) VALUES ($1, 'type', $2)"
    for body in (dead, b'"e-dead" "session/4711"'):  # of the second nobody can know whose it is
        await app.pool.execute(bury, body, WORD)
    return Main(
        {
            "trigger": str(trigger),
            "action": f"a-{action}",
            "message": f"m-{message}",
            "came": f"m-{came}",
            "blackout": blackout,
            "user": made,
            "bulk": bulk.json["id"],
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


def _takes(model: Any) -> set[str]:
    """The fields that a query or a body has, whichever of several it may be."""
    if isinstance(model, tuple):
        return set().union(*(_takes(one) for one in model))
    return (
        {field.alias or name for name, field in model.model_fields.items()} if hasattr(model, "model_fields") else set()
    )


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_whatever_a_call_takes_that_may_name_something_is_tried(route: Route) -> None:
    asked = {part.partition("=")[0] for query in QUERIES.get(route.name, ()) for part in query.split("&")}
    assert _takes(route.query) - HARMLESS <= asked
    bodies = BODIES.get(route.name, [])
    brought = set().union(*(bodies if isinstance(bodies, list) else [bodies]))
    assert set().union(*(_takes(model) for model in route.reads.values())) - HARMLESS <= brought
    assert not route.reads or bodies


async def test_of_another_studio_nothing_is_shown_and_nothing_changes(app: Caller, main: Main) -> None:
    before = await rows_of_main(app)
    assert sum(digest is not None for digest in before.values()) >= 15, before  # there is something to be seen

    for route in ROUTES:
        for n, query in enumerate(QUERIES.get(route.name, ("",))):
            for options in main.options(route):
                for named in [False] if n or route.about != "query" else [False, True]:
                    address = main.address(route, f"{query}&studio=main".lstrip("&") if named else query)
                    told = await app.call(route.method, address, token="south", **options)
                    what = f"{route.name} {address} {options}: {told.status} {told.body!r}"
                    assert told.status < 500, what
                    _check_silent(told, what)
                    if named or "{" in route.path:
                        # Not 422: what was brought is right, and it is not there for them.
                        assert told.status == (403 if route.everywhere else 404), what

    assert await rows_of_main(app) == before


async def test_the_same_calls_find_everything_where_its_own_people_make_them(app: Caller, main: Main) -> None:
    """So that the rule above is not kept by calls that would find nothing, or are wrong, whoever makes them."""
    for route in sorted(ROUTES, key=lambda route: ["GET", "POST", "PUT", "DELETE"].index(route.method)):
        if route.everywhere:
            continue
        for query in QUERIES.get(route.name, ("",)):
            for options in main.options(route):
                told = await app.call(route.method, main.address(route, query), token="of-main", **options)
                what = f"{route.name} {query} {options}: {told.status} {told.body!r}"
                assert told.status not in {400, 403, 404, 415}, what
                if route.method == "GET" and route.name not in NAMELESS and query != UNCHANGED:
                    assert told.status == 200, what
                    assert any(mark in told.body.decode() for mark in (WORD, "session/4711", main.ids["action"])), what


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


async def test_a_text_comes_in_by_hand_only_to_a_number_that_is_nobody_elses(app: Caller) -> None:
    await a_studio(app.pool, "south")  # with the number of `main`: who is for every studio may let several use it
    await a_token(app.pool, "south", "owner", "south")
    text = {"from": "+13125550188", "to": "+13125550100", "text": "STOP"}

    assert (await app.post("/sandbox/inbound?studio=south", token="south", json=text)).status == 403
    assert await app.pool.fetchval("SELECT count(*) FROM messages") == 0
    assert (await app.post("/sandbox/inbound?studio=main", json=text)).status == 201
