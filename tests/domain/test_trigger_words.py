"""What keeps a trigger from ever writing anything is told when it is saved, not when its first message fails."""

from __future__ import annotations

from typing import Any

import pytest

from control_center.domain.errors import Malformed
from control_center.domain.studio import parse as parse_studio
from control_center.domain.template import needed
from control_center.domain.trigger import parse
from control_center.domain.trigger_words import cautions, check_words, lacking
from tests.support.values import a_trigger_table

HERE = {"id": "main", "name": "Ada Park", "timezone": "America/Chicago", "email": {"postal_address": "12 Shore Drive"}}
STUDIO = parse_studio(HERE)
TEMPLATES: dict[str, dict[str, Any]] = {
    "plain": {"text": "Hi {{ client.first_name }}"},
    "short": {"sms": "Call {{ studio.phone }}"},
    "long": {"sms": "Hi", "subject": "From {{ studio.web }}", "text": "Hi"},
    "page": {"html": "<p>Hi</p>"},
    "signed": {"text": "Hi {{ sender.name }}"},
    "careful": {"text": "Call {{ studio.phone | default: 'us' }}{% if studio.web %}, see {{ studio.web }}{% endif %}"},
}


def found(**keys: Any) -> dict[str, str]:
    return lacking(parse(a_trigger_table(text=..., **keys)), TEMPLATES, STUDIO)


@pytest.mark.parametrize(
    ("keys", "key", "says"),
    [
        ({"action": "sms", "template": "short"}, "template", "studio.phone"),
        ({"action": "sms_or_email", "template": "long"}, "template", "studio.web"),
        ({"action": "sms", "template": "page"}, "template", "has no sms"),
        ({"action": "sms", "template": "signed"}, "template", "nobody writes what a trigger sends"),
        ({"action": "email", "template": "page"}, "template", "has no text"),
        ({"action": "letter", "template": "page"}, "template", "has no text"),
        ({"action": "sms_or_email", "template": {"sms": "short", "email": "plain"}}, "template.sms", "studio.phone"),
        (
            {"action": "sms", "template": "plain", "moved": "tell", "moved_template": "short"},
            "moved_template",
            "studio.phone",
        ),
        (
            {
                "action": "sms",
                "template": "plain",
                "ladder": [{"unless": "delivered", "by": "1d", "action": "email", "template": "long"}],
            },
            "ladder.template",
            "studio.web",
        ),
    ],
)
def test_words_that_could_never_be_written_are_named_by_their_key(keys: dict[str, Any], key: str, says: str) -> None:
    assert list(found(**keys)) == [key]
    assert says in found(**keys)[key]


def test_a_text_of_the_trigger_s_own_is_looked_at_as_well() -> None:
    trigger = parse(a_trigger_table(action="sms", text="We are at {{ studio.address }}"))

    assert lacking(trigger, TEMPLATES, STUDIO) == {
        "text": "writes studio.address, and the studio 'main' has none, so that every message would fail; give it one "
        'with `studios put`, or write {{ studio.address | default: "…" }}'
    }


@pytest.mark.parametrize(
    "keys",
    [
        {"action": "sms_or_email", "template": "plain"},
        {"action": "sms", "template": "long"},  # the subject that lacks something goes nowhere
        {"action": "sms_or_email", "template": "careful"},
        {"action": "call", "template": "short"},  # the call is made without its note
    ],
)
def test_what_a_message_does_not_need_is_not_missed(keys: dict[str, Any]) -> None:
    assert found(**keys) == {}


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("Hi", set()),
        ("{{ client.first_name }} {{ studio.phone | upcase }}", {"client.first_name", "studio.phone"}),
        ("{{ client.first_name | default: 'x' | upcase }}", set()),
        ("{% if studio.web %}{{ studio.web }}{% endif %}", set()),
        ("{{ client.phones[0].number }}", {"client.phones[0].number"}),
        ("{{ 'a word' }}", set()),
    ],
)
def test_a_source_needs_what_it_writes_without_a_default_and_without_asking(source: str, fields: set[str]) -> None:
    assert needed(source) == {(field,) for field in fields}


@pytest.mark.parametrize(
    ("source", "tried"),
    [
        ("{{ record.fields.gallery | default: studio.web }}", {("record.fields.gallery", "studio.web")}),
        ("{{ studio.phone | default: studio.web | upcase }}", {("studio.phone", "studio.web")}),
        ("{{ studio.phone | default: studio.web | default: 'us' }}", set()),
        ("{{ studio.phone | default }}", set()),
    ],
)
def test_what_a_default_puts_in_the_place_of_a_field_may_itself_be_absent(source: str, tried: set[Any]) -> None:
    assert needed(source) == tried


@pytest.mark.parametrize(
    ("text", "never"),
    [
        ("Call {{ studio.phone | default: studio.web }}", True),
        ("See {{ record.fields.gallery | default: studio.web }}", False),  # some sessions have one
        ("Call {{ studio.phone | default: studio.web | default: 'us' }}", False),
        ("Call {{ studio.phone | default: studio.name }}", False),
    ],
)
def test_words_are_never_written_where_no_stand_in_has_a_value_either(text: str, *, never: bool) -> None:
    says = lacking(parse(a_trigger_table(action="sms", text=text)), TEMPLATES, STUDIO)
    assert ("studio.phone or studio.web" in says.get("text", "")) == never


def test_a_text_that_asks_to_be_answered_with_what_opts_out_is_refused() -> None:
    asks = parse(a_trigger_table(action="sms", text="Reply CANCEL to cancel your session"))
    with pytest.raises(Malformed, match="CANCEL") as refused:
        check_words(asks, "trigger", TEMPLATES, "US")
    assert refused.value.field == "trigger, text"
    check_words(parse(a_trigger_table(action="sms", text="Reply STOP to opt out")), "trigger", TEMPLATES, "US")


@pytest.mark.parametrize("action", ["sms", "email", "sms_or_email", "email_or_letter"])
def test_such_words_are_refused_in_a_mail_as_well_since_its_answers_are_heard(action: str) -> None:
    with pytest.raises(Malformed, match="CANCEL"):
        check_words(parse(a_trigger_table(action=action, text="Reply CANCEL to cancel")), "trigger", TEMPLATES, "US")


def test_the_note_of_a_call_may_say_what_nobody_answers() -> None:
    check_words(parse(a_trigger_table(action="call", text="Reply CANCEL means no")), "trigger", TEMPLATES, "US")


@pytest.mark.parametrize(("word", "warns"), [("YES", True), ("y", True), ("10", True), ("sí", True), ("book", False)])
def test_a_keyword_that_is_also_an_answer_warns(word: str, *, warns: bool) -> None:
    keys = {"record": "sms", "keyword": word, "activate": {"on": "received"}, "action": "email"}
    assert any(one.startswith("keyword:") for one in cautions(parse(a_trigger_table(**keys)))) == warns


def test_the_words_of_a_trigger_are_advised_on_as_those_of_a_template() -> None:
    found = cautions(parse(a_trigger_table(action="sms", text="Pictures: https://bit.ly/x1.")), STUDIO)
    assert [one for one in found if "shortener" in one]
    assert [one for one in found if "who writes" in one]
    named = cautions(parse(a_trigger_table(action="sms", text="{{ studio.name }}: see you soon")), STUDIO)
    assert not [one for one in named if one.startswith("text:")]


@pytest.mark.parametrize(
    ("keys", "warns"),
    [
        ({"action": "sms", "processing": {"mode": "automatic"}}, True),
        ({"action": "email_and_sms", "processing": {"mode": "automatic"}}, True),
        ({"action": "sms", "processing": {"mode": "automatic", "window": "09:00-18:00"}}, False),
        ({"action": "sms", "processing": {"mode": "manual"}}, False),
        ({"action": "email", "processing": {"mode": "automatic"}}, False),
    ],
)
def test_a_trigger_that_texts_by_itself_at_any_hour_warns_that_it_may_text_at_night(
    keys: dict[str, Any], *, warns: bool
) -> None:
    assert any("may text at night" in one for one in cautions(parse(a_trigger_table(**keys)))) == warns
