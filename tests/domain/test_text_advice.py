"""What is told about the words of a text, a mail and a template when they are saved."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain import sms
from control_center.domain.errors import Malformed
from control_center.domain.identity import HOW_TO_STOP, says_who, with_how_to_stop, with_sender
from control_center.domain.sms_letters import Effect, letters
from control_center.domain.studio import parse
from control_center.domain.template import Template
from control_center.domain.template_advice import advise
from control_center.domain.text_advice import refuse_invitation

STUDIO = parse({"id": "main", "name": "Lakeside", "timezone": "America/Chicago", "web": "https://www.lakeside.example"})


def codes(sms: str) -> list[str]:
    return [one.code for one in advise(Template("t", "session", sms=sms), STUDIO)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Lakeside: see https://bit.ly/3x ", "shortener"),
        ("Lakeside: see bit.ly/3x", "shortener"),
        ("Lakeside: http://lakeside.example/a", "link-https"),
        ("Lakeside: see www.lakeside.example/a", "link-https"),
        ("Lakeside:https://lakeside.example/a", "link-space"),
        ("Lakeside: https://lakeside.example/a.", "link-punctuation"),
        ("Lakeside (https://lakeside.example/a)", "link-punctuation"),
        ("Lakeside: {{ record.fields.gallery | default: '' }}, enjoy", "link-punctuation"),
        ("Lakeside: {{ confirm_link }}!", "link-punctuation"),
        ("Lakeside: https://other.example/a", "link-domain"),
        ("Lakeside: https://lakeside.example/~a", "link-letters"),
        ("Hi {{ client.first_name }}, see you soon", "identity"),
        ("Lakeside: see you 🎉", "emoji"),
        ("Lakeside: на связи", "letter"),
        ("{{ studio.name }}: " + "a" * 500, "length"),
        ("Lakeside " + "a" * 1600, "length"),
        ("Lakeside: call {{ studio.phone }}", "studio"),
        ("Lakeside: {{ record.fields.x | default: studio.phone }}", "studio"),
    ],
)
def test_what_is_wrong_with_a_text_is_told(text: str, code: str) -> None:
    assert code in codes(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ studio.name }}: see you on {{ session.date }} at {{ session.time }}!",
        "Hi {{ client.first_name }}, this is Lakeside. Confirm here: {{ confirm_link }} Thank you!",
        "LAKESIDE: your pictures https://lakeside.example/g/1 are ready",
        "Lakeside: https://pictures.lakeside.example/g?a=1&b=2\nSee you",
        "{% if client.first_name %}Hi {{ client.first_name }}, {% endif %}Lakeside here: “see you” \u2013 soon…",
    ],
)
def test_of_a_text_as_it_should_be_nothing_is_told(text: str) -> None:
    assert codes(text) == []


def test_a_studio_that_has_its_name_put_in_front_need_not_write_it() -> None:
    found = advise(Template("t", "session", sms="Hi there"), replace(STUDIO, sms_identify=True))
    assert found == []


def test_an_emoji_is_named_with_its_place() -> None:
    (found,) = advise(Template("t", "session", sms="Lakeside 🎉"), STUDIO)
    assert str(found) == "sms: has 🎉 PARTY POPPER at character 10 makes every part hold 70 characters instead of 160"


def test_braces_hide_no_invitation() -> None:
    with pytest.raises(Malformed, match="RESCHEDULE"):
        refuse_invitation("{{ studio.name }}: reply {% if true %}CANCEL{% endif %} to cancel", "sms")


@pytest.mark.parametrize(
    ("template", "field", "code"),
    [
        (Template("t", text="Hi", subject="Two\nlines"), "subject", "subject-lines"),
        (Template("t", text="Hi", subject="s", html="<p>Hi</p><form></form>"), "html", "removed"),
        (Template("t", text="Hi", subject="s", html="<a href='javascript:a()'>x</a>"), "html", "removed"),
        (Template("t", text="Hi", subject="s", html="<p onclick='a()'>x</p>"), "html", "removed"),
        (Template("t", text="Hi", subject="s", html="<p>" + "é" * 60_000 + "</p>"), "html", "size"),
        (Template("t", text="See https://tinyurl.com/x", subject="s"), "text", "shortener"),
    ],
)
def test_what_is_wrong_with_a_mail_is_told(template: Template, field: str, code: str) -> None:
    assert (field, code) in [(one.field, one.code) for one in advise(template, STUDIO)]


def test_of_a_mail_as_it_should_be_nothing_is_told() -> None:
    head = "<head><style>@media (x){p{color:red}}</style></head>"
    html = f"<html>{head}<body><p>Hi {{{{ client.first_name }}}}</p></body></html>"
    template = Template("t", "session", subject="Soon", text="Hi {{ client.first_name }}", html=html)
    assert advise(template, STUDIO) == []


# Letters --------------------------------------------------------------------------------------------------


def test_each_letter_that_costs_or_is_replaced_is_named_with_its_place() -> None:
    assert [str(one) for one in letters("Jo\u2019s “€5” 😀😀")] == [
        '\u2019 RIGHT SINGLE QUOTATION MARK at character 3 is sent as "\'"',
        "“ LEFT DOUBLE QUOTATION MARK at character 6 is sent as '\"'",
        "€ EURO SIGN at character 7 counts twice",
        "” RIGHT DOUBLE QUOTATION MARK at character 9 is sent as '\"'",
        "😀 GRINNING FACE at character 11 (and 1 more) makes every part hold 70 characters instead of 160",
    ]


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(ANY)
def test_a_text_is_ucs2_where_a_letter_of_it_is_wide_and_counts_its_double_ones(text: str) -> None:
    sent = sms.plain(text)
    found = letters(text)
    wide = [one for one in found if one.effect is Effect.WIDE]
    assert (sms.segments(sent).encoding == "ucs2") == bool(wide)
    if not wide:
        twice = sum(one.count for one in found if one.effect is Effect.DOUBLE)
        assert sms.segments(sent).units == len(sent) + twice
    for one in found:
        where = text if one.effect is Effect.REPLACED else sent
        assert where[one.place - 1] == one.letter
        assert where.count(one.letter) == one.count


@given(ANY)
def test_writing_plainly_twice_is_writing_plainly_once_and_leaves_nothing_to_replace(text: str) -> None:
    once = sms.plain(text)
    assert sms.plain(once) == once
    assert not [one for one in letters(once) if one.effect is Effect.REPLACED]


@given(text=st.text(max_size=120), name=st.text(min_size=1, max_size=20))
def test_a_sender_is_put_in_front_once(text: str, name: str) -> None:
    once = with_sender(text, name)
    assert once.endswith(text)
    assert with_sender(once, name) == once
    assert says_who(once, name) or not name.strip()


@given(text=st.text(max_size=120))
def test_how_to_stop_is_said_once(text: str) -> None:
    once = with_how_to_stop(text)
    assert with_how_to_stop(once) == once
    assert once == text or once.endswith(HOW_TO_STOP)


@pytest.mark.parametrize(
    "text", ["Txt STOP to end", "Para dejar de recibir, responda STOP", "Reply End to opt out.", "unsubscribe: x"]
)
def test_words_that_say_how_to_stop_are_left_alone(text: str) -> None:
    assert with_how_to_stop(text) == text


def test_to_stop_by_is_not_to_say_how_to_stop() -> None:
    assert with_how_to_stop("Please stop by at 3").endswith(HOW_TO_STOP)
