"""What is told about the words of a text, a mail and a template when they are saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain import sms, wording
from control_center.domain.errors import Malformed
from control_center.domain.identity import HOW_TO_STOP, says_who, with_how_to_stop, with_sender
from control_center.domain.sms_letters import Effect, letters
from control_center.domain.studio import parse
from control_center.domain.template import Template, check_template
from control_center.domain.template_advice import advise, advise_bulk
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


# Whoever wrote it -----------------------------------------------------------------------------------------

INVITES = "Reply CANCEL to cancel your session."
EVERY_PART = [
    ("sms", INVITES),
    ("subject", INVITES),
    ("text", INVITES),
    ("html", "<p>Reply <b>CANCEL</b><br>to cancel your session.</p>"),
    ("html", "<p>Reply&nbsp;&quot;CANCEL&quot;</p>"),
]


@pytest.mark.parametrize(("part", "words"), EVERY_PART)
def test_an_invitation_to_answer_with_what_opts_out_is_refused_in_every_part(part: str, words: str) -> None:
    with pytest.raises(Malformed, match=r"'CANCEL'.*ask for a YES") as saved:
        wording.refuse({part: words}, "template.")
    with pytest.raises(Malformed) as typed:
        wording.refuse_typed({part: words})
    assert (saved.value.field, typed.value.field) == (f"template.{part}", part)
    assert saved.value.reason == typed.value.reason


def test_what_html_hides_or_says_rightly_is_no_invitation() -> None:
    wording.refuse({"html": "<style>p:after{content:'reply CANCEL'}</style><p>Reply STOP to opt out.</p>", "sms": None})


@pytest.mark.parametrize(
    ("part", "words", "why"),
    [
        ("html", "<p>Hi</p><script>a()</script>", "cannot run a script"),
        ("html", "<b>" * 3001, "at most 3000"),
        ("text", "x" * 100_001, "at most 100000"),
    ],
)
def test_typed_words_are_refused_for_what_a_template_is_refused_for(part: str, words: str, why: str) -> None:
    parts: dict[str, Any] = {"text": "Hi", part: words}
    with pytest.raises(Malformed, match=why) as saved:
        check_template(Template("t", **parts))
    with pytest.raises(Malformed, match=why) as typed:
        wording.refuse_typed({part: words})
    assert saved.value.field == f"template.{typed.value.field}"


def typed_codes(text: str, *, greets: bool = True) -> list[tuple[str, str]]:
    return [(one.field, one.code) for one in wording.advise_typed("sms", {"text": text}, STUDIO, greets=greets)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Lakeside: see bit.ly/3x", "shortener"),
        ("Lakeside: http://lakeside.example/a", "link-https"),
        ("Lakeside:https://lakeside.example/a", "link-space"),
        ("Lakeside: https://other.example/a", "link-domain"),
        ("See you soon", "identity"),
        ("Lakeside: see you 🎉", "emoji"),
        ("Lakeside " + "a" * 500, "length"),
        ("Lakeside: Hi {{ client.first_name }}", "braces"),
        ("Lakeside: {% if client %}Hi{% endif %}", "braces"),
    ],
)
def test_a_typed_text_is_advised_of_what_a_template_is_advised_of(text: str, code: str) -> None:
    assert ("text", code) in typed_codes(text)


def test_of_a_typed_text_as_it_should_be_nothing_is_told_nor_of_a_reply_who_writes() -> None:
    assert typed_codes("Lakeside: the key is under the mat. https://lakeside.example/map") == []
    assert typed_codes("Dogs are welcome.", greets=False) == []


def test_a_typed_mail_is_advised_of_what_a_template_is_advised_of() -> None:
    html = "<form></form><p>{{ client.first_name }}</p>" + "é" * 60_000
    parts = {"subject": "Two\nlines", "text": "See https://tinyurl.com/x", "html": html}
    found = {(one.field, one.code) for one in wording.advise_typed("email", parts, STUDIO, greets=True)}
    assert found == {
        ("subject", "subject-lines"),
        ("text", "shortener"),
        ("html", "removed"),
        ("html", "braces"),
        ("html", "size"),
    }


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("sms", {("sms", "identity"), ("sms", "studio"), ("sms", "emoji")}),
        ("email", {("text", "shortener"), ("html", "removed")}),
    ],
)
def test_a_bulk_is_advised_of_the_words_of_its_channel(channel: str, expected: set[tuple[str, str]]) -> None:
    words = {
        "kind": "client",
        "sms": "Spring offer 🎉 call {{ studio.phone }}",
        "subject": "Spring",
        "text": "See https://bit.ly/x",
        "html": "<form></form>",
        "layout": "plain",
        "purpose": "marketing",
    }
    assert {(one.field, one.code) for one in advise_bulk(words, channel, STUDIO)} == expected


def test_a_bulk_of_a_template_with_text_alone_is_advised_of_it_once_by_its_channel() -> None:
    words = {"text": "Spring offer: bit.ly/x"}
    told = [(one.field, one.code) for one in advise_bulk(words, "sms", STUDIO)]
    assert told == [("text", "shortener"), ("text", "identity")]
    assert [(one.field, one.code) for one in advise_bulk({"sms": "Hi"}, "email", STUDIO)] == []


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
