"""Templates over HTTP, by their names, and edited from the version that was read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rows import a_trigger
from tests.web.conftest import Caller

WORDS = {"name": "reminder", "kind": "session", "purpose": "transactional", "sms": "See you, {{ client.first_name }}"}


async def test_a_template_is_made_read_changed_and_deleted(app: Caller) -> None:
    made = await app.post("/templates", json=WORDS)
    assert (made.status, made.headers["ETag"], made.json["version"]) == (201, '"1"', 1)
    path = made.headers["Location"]
    assert (await app.call("GET", path)).json == made.json
    changed = await app.call("PUT", path, json={**made.json, "sms": "Soon!"}, headers={"If-Match": '"1"'})
    assert (changed.status, changed.json["sms"], changed.headers["ETag"]) == (200, "Soon!", '"2"')
    assert [one["name"] for one in (await app.get("/templates")).json["items"]] == ["reminder"]
    assert (await app.call("DELETE", path)).status == 204
    assert [(await app.call(method, path, json=WORDS)).status for method in ("GET", "PUT", "DELETE")] == [404] * 3


@pytest.mark.parametrize("name", ["a b", "naïve", "50% off", "what?", "a#b", "x" * 200])
async def test_any_name_that_can_be_a_file_has_an_address(app: Caller, name: str) -> None:
    made = await app.post("/templates", json={**WORDS, "name": name})
    assert made.status == 201, made.body
    from yarl import URL  # noqa: PLC0415

    answer = await app.session.get(
        URL(app.base + made.headers["Location"], encoded=True), headers={"Authorization": "Bearer owner-token"}
    )
    assert (answer.status, (await answer.json())["name"]) == (200, name)


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"sms": "{{ client.frist_name }}"}, "sms"),
        ({"name": "a/b"}, "name"),
        ({"name": ".hidden"}, "name"),
        ({"name": ""}, "name"),
        ({"purpose": "fun"}, "purpose"),
        ({"kind": "wedding"}, "kind"),
        ({"colour": "red"}, "colour"),
        ({"attachments": ["invoice"]}, "attachments"),
    ],
)
async def test_a_wrong_template_is_refused_by_the_name_of_its_field(app: Caller, keys: Any, field: str) -> None:
    answer = await app.post("/templates", json={**WORDS, **keys})
    assert (answer.status, answer.json["field"]) == (422, field), answer.body
    assert await app.pool.fetchval("SELECT count(*) FROM templates") == 0


async def test_an_edit_from_an_older_version_is_refused(app: Caller) -> None:
    made = await app.post("/templates", json=WORDS)
    await app.call("PUT", made.headers["Location"], json={**WORDS, "sms": "First"})
    for late in ({"json": WORDS, "headers": {"If-Match": '"1"'}}, {"json": made.json}):
        assert (await app.call("PUT", made.headers["Location"], **late)).status == 412
    assert (await app.get("/templates/reminder")).json["sms"] == "First"


async def test_a_template_keeps_its_name_and_there_is_one_of_each(app: Caller) -> None:
    await app.post("/templates", json=WORDS)
    assert (await app.post("/templates", json=WORDS)).status == 409
    renamed = await app.call("PUT", "/api/v1/templates/reminder", json={**WORDS, "name": "other"})
    assert (renamed.status, renamed.json["field"]) == (422, "name")


@pytest.mark.parametrize(
    ("kind", "along"), [("session", ["confirmation"]), ("invoice", ["invoice"]), ("any", ["invoice", "confirmation"])]
)
async def test_a_template_says_what_goes_along_with_its_mails(app: Caller, kind: str, along: list[str]) -> None:
    words = {"name": "booked", "kind": kind, "text": "Soon!", "attachments": along}
    made = await app.post("/templates", json=words)
    assert (made.status, made.json["attachments"]) == (201, along), made.body
    again = await app.call("PUT", made.headers["Location"], json={**made.json, "attachments": []})
    assert (again.status, again.json["attachments"]) == (200, [])


@pytest.mark.parametrize(
    ("kind", "along"), [("session", ["invoice"]), ("task", ["confirmation"]), ("any", ["photo"]), ("any", "invoice")]
)
async def test_what_records_of_that_kind_do_not_have_goes_along_with_no_mail(
    app: Caller, kind: str, along: Any
) -> None:
    answer = await app.post("/templates", json={"name": "t", "kind": kind, "text": "Soon!", "attachments": along})
    assert (answer.status, answer.json["field"].startswith("attachments")) == (422, True), answer.body


@pytest.mark.parametrize("change", [{"kind": "invoice"}, {"kind": "any", "attachments": ["invoice"]}])
async def test_a_template_goes_on_fitting_the_triggers_that_use_it(app: Caller, change: Any) -> None:
    words = {"name": "reminder", "kind": "session", "text": "Soon!"}
    made = await app.post("/templates", json=words)
    await a_trigger(app.pool, "Week before", text=None, template="reminder")
    answer = await app.call("PUT", made.headers["Location"], json={**words, **change})
    assert (answer.status, answer.json["field"]) == (422, "kind"), answer.body
    assert "Week before" in answer.json["detail"]


async def test_html_needs_words_for_those_who_cannot_show_it(app: Caller) -> None:
    answer = await app.post("/templates", json={"name": "t", "html": "<p>Soon!</p>"})
    assert (answer.status, "give sms or text" in answer.json["detail"]) == (422, True), answer.body


LADDER = [{"unless": "delivered", "by": "2d", "action": "email", "template": "reminder"}]


@pytest.mark.parametrize(
    "used",
    [
        {"text": None, "template": "reminder"},
        {"text": None, "action": "sms_or_email", "template": {"sms": "reminder", "email": "other"}},
        {"moved": "tell", "moved_template": "reminder"},
        {"text": None, "template": "other", "ladder": LADDER},
    ],
)
async def test_a_template_that_a_trigger_uses_is_not_deleted(app: Caller, used: Any) -> None:
    await app.post("/templates", json=WORDS)
    await a_trigger(app.pool, "Week before", **used)
    answer = await app.call("DELETE", "/api/v1/templates/reminder")
    assert answer.status == 409
    assert "Week before" in answer.json["detail"]
