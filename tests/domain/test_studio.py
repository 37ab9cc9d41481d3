"""A studio as it is written, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from control_center.domain.errors import Malformed
from control_center.domain.studio import Studio, parse
from control_center.domain.template import Unrenderable, render
from control_center.domain.words import fields
from tests.support.values import NOW, a_picture, a_studio

FULL: dict[str, Any] = {
    "id": "main",
    "name": "Ada Park Photography",
    "timezone": "America/Chicago",
    "country": "CA",
    "sms": {"account": "north", "numbers": ["+13125550100"], "countries": ["US"], "limits": {"per_prefix": 50}},
    "email": {"account": "post", "from": "ada@studio.example", "reply_to": "desk@studio.example"},
    "phone": "(312) 555-0100",
    "address": "1 Lake Street",
    "web": "https://studio.example",
    "quiet_hours": {"marketing": {"days": "09:00-20:00", "sun": False}, "transactional": True},
    "marketing_per_day": 2,
    "calm_day": "move",
    "blast_ceiling": 0,
    "second_person_above": 0,
    "enabled": False,
}


def test_a_studio_says_from_where_it_sends() -> None:
    studio = parse(FULL)

    assert (studio.studio, studio.timezone, studio.country, studio.enabled) == ("main", "America/Chicago", "CA", False)
    assert (studio.sms_account, studio.sms_sender) == ("north", "+13125550100")
    assert (studio.email_account, studio.email_sender) == ("post", "ada@studio.example")
    assert studio.reply_to == "desk@studio.example"


def test_a_trigger_of_a_studio_sends_no_more_than_500_an_hour_unless_it_says_otherwise() -> None:
    assert (a_studio().blast_ceiling, a_studio(blast_ceiling=40).blast_ceiling, parse(FULL).blast_ceiling) == (
        500,
        40,
        0,
    )


def test_a_studio_that_says_nothing_of_a_second_person_asks_for_none() -> None:
    assert (a_studio().second_person_above, a_studio(second_person_above=200).second_person_above) == (None, 200)
    assert (parse(FULL).second_person_above, "second_person_above" in a_studio().settings()) == (0, False)


def test_a_studio_needs_no_more_than_an_id_a_name_and_a_zone() -> None:
    studio = parse({"id": "main", "name": "Ada", "timezone": "UTC"})

    assert (studio.country, studio.enabled) == ("US", True)
    assert (studio.sms_account, studio.email_account) == ("default", "default")
    assert (studio.sms_sender, studio.email_sender, studio.reply_to) == ("", "", None)


@pytest.mark.parametrize("written", [FULL, {"id": "main", "name": "Ada", "timezone": "UTC"}], ids=["full", "least"])
def test_what_is_stored_of_a_studio_reads_back_as_the_same_studio(written: dict[str, Any]) -> None:
    studio = parse(written)
    columns = {"id": studio.studio, "name": studio.name, "timezone": studio.timezone, "country": studio.country}

    assert parse({**columns, "enabled": studio.enabled, **studio.settings()}) == studio


def written(source: str, studio: Studio) -> str:
    """A source as a message of this studio says it."""
    return render(source, fields(studio, a_picture(), None, {}, NOW))


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("id", "main"),
        ("name", "Ada Park Photography"),
        ("timezone", "America/Chicago"),
        ("country", "CA"),
        ("phone", "(312) 555-0100"),
        ("email", "ada@studio.example"),
        ("reply_to", "desk@studio.example"),
        ("address", "1 Lake Street"),
        ("web", "https://studio.example"),
    ],
)
def test_templates_see_how_the_studio_is_reached(field: str, shown: str) -> None:
    assert written(f"{{{{ studio.{field} }}}}", parse(FULL)) == shown


def test_a_studio_without_a_phone_is_reached_at_the_number_it_texts_from() -> None:
    studio = parse({key: value for key, value in FULL.items() if key != "phone"})

    assert written("{{ studio.phone }}", studio) == "+13125550100"


@pytest.mark.parametrize("field", ["phone", "email", "reply_to", "address", "web"])
def test_what_a_studio_does_not_say_is_absent_from_its_messages_and_never_empty_words(field: str) -> None:
    studio = parse({"id": "main", "name": "Ada", "timezone": "UTC"})

    with pytest.raises(Unrenderable, match=rf"studio\.{field}"):
        written(f"Find us at {{{{ studio.{field} }}}}.", studio)


@pytest.mark.parametrize(
    ("keys", "field", "reason"),
    [
        ({"id": ...}, "id", "is missing"),
        ({"id": "Main"}, "id", "lower-case letters"),
        ({"id": "a/b"}, "id", "lower-case letters"),
        ({"id": "x" * 51}, "id", "at most 50"),
        ({"id": 7}, "id", "a text"),
        ({"name": ...}, "name", "is missing"),
        ({"name": ""}, "name", "1 to 200"),
        ({"timezone": ...}, "timezone", "is missing"),
        ({"timezone": "America/Chicgo"}, "timezone", "America/Chicago"),
        ({"timezone": "CST6"}, "timezone", "not a time zone"),
        ({"country": "USA"}, "country", "two capital letters"),
        ({"country": "us"}, "country", "two capital letters"),
        ({"enabled": "yes"}, "enabled", "true, false"),
        ({"sms": []}, "sms", "a table"),
        ({"sms": {"numbers": "+13125550100"}}, "sms.numbers", "a list such as"),
        ({"sms": {"numbers": [3125550100]}}, "sms.numbers", "a list such as"),
        ({"sms": {"numbers": ["+1\x00"]}}, "sms.numbers", "a list such as"),
        ({"sms": {"numbers": ["+13125550100"], "failover_numbers": ["(312) 555-0100"]}}, "sms.failover_numbers", "too"),
        ({"sms": {"sender": "Ada"}}, "sms.sender", "not a known key"),
        ({"email": {"form": "ada@studio.example"}}, "email.form", "did you mean 'from'?"),
        ({"blast_ceiling": -1}, "blast_ceiling", "from 0"),
        ({"blast_ceiling": "many"}, "blast_ceiling", "a whole number"),
        ({"sms": {"limits": {"per_prefix": 9}}}, "sms.limits.per_prefix", "from 10 to 1000"),
        ({"second_person_above": -1}, "second_person_above", "from 0"),
        ({"plan": {"texts_per_month": 0}}, "plan.texts_per_month", "from 1 to"),
        ({"plan": {"texts": 500}}, "plan.texts", "not a known key"),
        ({"plan": {"price_per_segment": "cheap"}}, "plan.price_per_segment", "0.0079"),
        ({"plan": {"currency": "usd"}}, "plan.currency", "USD"),
        ({"quiet_hours": {"marketing": "18:00-10:00"}}, "quiet_hours.marketing", "not the quiet ones"),
        ({"quiet_hours": {"marketing": False}}, "quiet_hours.marketing", "always keep to hours"),
        ({"quiet_hours": {"marketing": {"mon": "10:00-18:00"}}}, "quiet_hours.marketing.tue", "is missing"),
        ({"quiet_hours": {"reminders": "10:00-18:00"}}, "quiet_hours.reminders", "not a known key"),
        ({"quiet_hours": {"transactional": 9}}, "quiet_hours.transactional", "hours such as"),
        ({"marketing_per_day": 0}, "marketing_per_day", "from 1 to"),
        ({"calm_day": "share"}, "calm_day", "off, move, drop, merge"),
        ({"country": "UK"}, "country", "GB, not UK"),
        ({"sms": {"countries": ["CA", "UK"]}}, "sms.countries", "'UK' is no country with phone numbers"),
        ({"sms": {"countries": ["Germany"]}}, "sms.countries", "ISO 3166"),
        ({"timezon": "UTC"}, "timezon", "did you mean 'timezone'?"),
    ],
)
def test_a_wrong_studio_is_refused_by_field_with_what_is_allowed(keys: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(Malformed) as refused:
        a_studio(**keys)

    assert refused.value.field == f"studio, {field}"
    assert reason in refused.value.reason
