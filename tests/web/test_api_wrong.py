"""A wrong call is answered with the field, the value that was given, and what is allowed there, in words."""

from __future__ import annotations

import pytest

from tests.web.conftest import Caller


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=0", "limit: '0'; allowed: 1 or more"),
        ("limit=many", "limit: 'many'; a whole number is needed"),
        ("cursor=x", "cursor: 'x'; allowed: next_cursor of the page before"),
        ("channel=fax", "channel: 'fax'; allowed: sms or email"),
        ("record=4711", "record: '4711'; write the kind and the id, such as session/4711"),
        ("bulk=m-1", "bulk: 'm-1'; write b- and a number, such as b-12"),
        ("since=soon", "since: 'soon'; an instant such as 2027-06-01T15:00:00Z is needed"),
        ("since=0", "since: '0'; an instant is needed, such as 2027-06-01T15:00:00Z"),
        ("unread=maybe", "unread: 'maybe'; allowed: true or false"),
        ("client=", "client: is empty"),
        (f"client={'c' * 201}", "client: 201 characters; at most 200"),
    ],
)
async def test_a_wrong_parameter_is_told_with_its_value_and_what_is_allowed(
    app: Caller, query: str, detail: str
) -> None:
    answer = await app.get(f"/messages?{query}")

    assert (answer.status, answer.json["detail"]) == (400, detail)


async def test_words_that_are_allowed_are_listed_and_not_shown_as_a_pattern(app: Caller) -> None:
    answer = await app.get("/actions?state=sleeping")

    assert answer.json["detail"].startswith("state: 'sleeping'; allowed: planned, review, ")
    assert answer.json["detail"].endswith("; several with commas between")


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        (
            "/bulk/b-1/start",
            {"expect": 1, "when": "soon"},
            "when: 'soon'; allowed: now, or an instant such as 2027-06-01T15:00:00Z is needed",
        ),
        ("/commands/ack", {"up_to": "x"}, "up_to: 'x'; a whole number is needed"),
        ("/actions/skip?state=review", {}, "ids: is missing; give ids, or expect"),
        ("/blackouts", {"name": "Fair"}, "date: is missing; give date, or from and to, or yearly"),
        ("/messages", {"to": 5, "text": "x"}, "to: 5; a text is needed"),
    ],
)
async def test_a_wrong_body_names_the_field_as_the_caller_knows_it(
    app: Caller, path: str, body: object, detail: str
) -> None:
    answer = await app.post(path, json=body)

    assert (answer.status, answer.json["detail"]) == (422, detail)
    assert answer.json["field"] == detail.partition(":")[0]
