"""Idempotency-Key on every POST there is: the second call gets the answer of the first, and does nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from control_center.engine import templates
from control_center.store import idempotency
from control_center.web.api.routes import Route
from control_center.web.server import ROUTES
from tests.support.rows import a_client, a_message, a_record, a_trigger, an_action
from tests.support.spent import a_spent_day
from tests.web.conftest import NOW, Answer, Caller
from tests.web.test_api_deeds import an_event
from tests.web.test_api_tenants import rows_of_main
from tests.web.test_api_triggers import a_table

POSTS = [route for route in ROUTES if route.method == "POST"]
BODIES: dict[str, Any] = {
    "post_events": an_event(),
    "receive_text": {"from": "+13125550188", "to": "+13125550100", "text": "See you then"},
    **{f"{deed}_actions": {"ids": ["a-1"]} for deed in ("process", "release", "skip", "delete")},
    "create_trigger": a_table("New"),
    "preview_trigger": a_table("Reminder"),
    "roll_back_trigger": {"version": 1},
    "create_template": {"name": "hello", "sms": "Hello"},
    "preview_draft": {"sms": "Hello"},
    "add_blackouts": {"name": "Closed", "date": "2027-07-04"},
    "create_studio": {"id": "main-too", "name": "Main, too", "timezone": "UTC"},
    "create_user": {"name": "ada", "role": "viewer", "studios": ["main"]},
    "acknowledge_commands": {"up_to": 0},
    "send_message": {"to": "+13125550188", "text": "We are open."},
    "link_message": {"client": "c-12"},
    "assign_message": {"user": "owner *"},
    "task_message": {},
    "resolve_message": {"outcome": "not_sent", "evidence": "not in the provider's log"},
    "create_bulk": {"audience": {"record": "client"}, "template": "again"},
    **{f"{deed}_bulk_recipients": {"recipients": [1]} for deed in ("untick", "tick")},
    "start_bulk": {"expect": 1},
    "release_prefix": {"prefix": "+13125550"},
    "overspend": {"day": f"{NOW:%Y-%m-%d}"},
    "erase_client": {"client": "c-12", "reason": "a letter", "confirm": True},
    "record_consent": {"address": "+13125550188", "says": "stop", "evidence": "on the phone"},
}


async def a_bulk(app: Caller, route: str) -> str:
    """A list in the state in which this may be done with it; returns its id."""
    made = (await app.post("/bulk", json=BODIES["create_bulk"])).json["id"]
    before = {"tick_bulk_recipients": ["untick"], "pause_bulk": ["start"], "resume_bulk": ["start", "pause"]}
    for step in before.get(route, []):
        answer = await app.post(f"/bulk/{made}/{step}", json=BODIES.get(f"{step}_bulk", {"recipients": [1]}))
        assert answer.status == 200, answer.body
    return str(made)


async def to_approve(app: Caller, bulk: str) -> dict[str, Any]:
    """What lets a list of somebody else's go, in a studio where nobody writes to anybody alone."""
    await app.pool.execute("UPDATE studios SET settings = (settings::jsonb || '{\"second_person_above\": 0}')::text")
    await app.pool.execute("UPDATE bulks SET made_by = 'somebody else'")
    return {"expect": 1, "seen": (await app.get(f"/bulk/{bulk}")).json["approval"]["seen"]}


async def asked(app: Caller, route: Route) -> Callable[[], Awaitable[Answer]]:
    """A studio in which this can be asked for, and the call that asks for it under a key."""
    await a_client(app.pool, allow_marketing={"sms": True})
    trigger, record = await a_trigger(app.pool, "Reminder"), await a_record(app.pool)
    action = await an_action(app.pool, record=record, trigger_id=trigger, state="review")
    message = await a_message(app.pool, state="unknown" if route.name == "resolve_message" else "received")
    of = {"actions": f"a-{action}", "messages": f"m-{message}"}
    named = of.get(route.path.split("/")[1], str(trigger))
    shut = "INSERT INTO prefixes (studio_id, prefix, held_since, reason) VALUES ('main', '+13125550', now(), 'many')"
    await app.pool.execute(shut)
    if route.name == "overspend":
        await a_spent_day(app.pool, NOW.date())
    await templates.put(app.pool, "main", "again", {"sms": "Hello"}, by="ada")
    if route.path.startswith("/bulk/"):
        named = await a_bulk(app, route.name)
    path = f"/api/v1{route.path.replace('{id}', named).replace('{name}', 'again')}"
    options: dict[str, Any] = {"json": BODIES.get(route.name, {})} if route.reads else {}
    if route.name == "approve_bulk":
        options["json"] = await to_approve(app, named)
    return partial(app.call, "POST", path, headers={"Idempotency-Key": "once"}, **options)


async def dies_before_its_answer_is_kept(
    app: Caller, post: Callable[[], Awaitable[Answer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody heard an answer, and nothing has happened."""
    before = await rows_of_main(app)

    async def dies(*_: object) -> None:
        raise ConnectionResetError("the database went away")

    with monkeypatch.context() as crash:
        crash.setattr(idempotency, "remember", dies)
        assert (await post()).status == 503
    assert await rows_of_main(app) == before


# An event has an id of its own, by which a repeat is known; the sandbox's text is nobody's.
KNOWN_ANYWAY = {"post_events", "receive_text"}


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.name)
async def test_a_repeat_under_its_key_is_answered_alike_and_changes_nothing(
    app: Caller, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = await asked(app, route)
    if route.name not in KNOWN_ANYWAY:
        await dies_before_its_answer_is_kept(app, post, monkeypatch)

    together = await asyncio.gather(post(), post())
    before = await rows_of_main(app)
    last = await post()

    assert await rows_of_main(app) == before
    assert {(one.status, one.body) for one in together} == {(last.status, last.body)}
    assert last.status == route.status, last.body
    assert sorted("Idempotency-Replayed" in one.headers for one in (*together, last)) == [False, True, True]
    for header in ("Location", "ETag"):
        assert len({one.headers.get(header) for one in (*together, last)}) == 1, header
