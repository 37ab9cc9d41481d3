"""What marketing mail says of its sender, and how it is left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control_center.domain import trigger, trigger_words
from control_center.domain.imprint import lacking, signed_off
from control_center.domain.rating import NpsBar
from control_center.domain.studio import Studio, parse
from control_center.domain.template import render
from control_center.domain.words import Words

HOUSE = Studio("main", "Ada & Co", "America/Chicago", "US", postal_address="12 Shore Drive\nChicago")
LINK = "https://control.studio.example/u/abc"


def test_a_studio_that_says_not_where_it_is_sends_no_marketing_mail() -> None:
    assert lacking(HOUSE) is None
    for nothing in ("", " \n"):
        assert "email.postal_address" in str(lacking(replace(HOUSE, postal_address=nothing)))


def test_a_studio_is_read_with_its_postal_address_and_written_again() -> None:
    email = {"from": "a@studio.example", "postal_address": "12 Shore Drive"}
    found = parse({"id": "main", "name": "A", "timezone": "America/Chicago", "email": email})
    assert found.postal_address == "12 Shore Drive"
    assert found.settings()["email"]["postal_address"] == "12 Shore Drive"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<html><body><p>Hi</p></body></html>", "</p>\n</body></html>"),
        ("<p>Hi</p></BODY >", "</p>\n</BODY >"),
        ("<p>Hi</p>\n", "</p>\n"),
    ],
)
def test_the_end_of_a_page_is_inside_of_its_body(html: str, expected: str) -> None:
    found = signed_off(Words("Hi", "s", html), HOUSE, LINK).html
    assert found is not None
    assert found.endswith(expected)
    assert found.count("Ada &amp; Co<br>12 Shore Drive<br>Chicago<br><a href") == 1


def test_what_the_words_say_themselves_is_not_said_again() -> None:
    own = Words(f"12 Shore Drive\nChicago\n{LINK}", "s", f'12 Shore Drive, Chicago <a href="{LINK}">no more</a>')
    assert signed_off(own, HOUSE, LINK) == own


def test_an_address_that_html_spells_otherwise_is_not_said_again() -> None:
    house = replace(HOUSE, postal_address="12 O'Hare St & Co")
    own = Words(f"12 O'Hare St & Co\n{LINK}", "s", f'<p>12 O&#39;Hare St &amp; Co <a href="{LINK}">no more</a></p>')
    assert signed_off(own, house, LINK) == own


def test_signing_off_twice_is_signing_off_once() -> None:
    once = signed_off(Words("Hi", "s", "<p>Hi</p>"), HOUSE, LINK)
    assert signed_off(once, HOUSE, LINK) == once


def test_the_bar_is_a_link_in_text_and_eleven_in_html() -> None:
    seen = {"record": {"nps_bar": NpsBar("https://x.example/n/t")}}
    assert render("{{ record.nps_bar }}", seen) == "https://x.example/n/t"
    html = render("{{ record.nps_bar }}", seen, html=True)
    assert html.count("<a href=") == 11
    assert 'href="https://x.example/n/t/10"' in html
    assert render("{% if record.nps_bar %}{{ record.nps_bar }}{% endif %}", seen, html=True) == html


@pytest.mark.parametrize(
    ("keys", "refused"),
    [
        ({}, True),
        ({"action": "sms_or_email"}, True),
        ({"purpose": "transactional"}, False),
        ({"action": "sms"}, False),
    ],
)
def test_a_trigger_of_marketing_mail_is_not_switched_on_for_a_studio_without_address(
    keys: dict[str, str],
    *,
    refused: bool,
) -> None:
    table = {
        "name": "Spring",
        "purpose": "marketing",
        "record": "session",
        "activate": {"on": "status_changed"},
        "action": "email",
        "text": "Spring!",
        **keys,
    }
    for house, expected in ((replace(HOUSE, postal_address=""), refused), (HOUSE, False)):
        found = trigger_words.lacking(trigger.parse(table, where="a test"), {}, house)
        assert ("email.postal_address" in found.get("purpose", "")) is expected
