"""Links that act for whoever got a message: only this installation makes them, and each for one thing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.errors import Malformed
from control_center.domain.links import URL_LENGTH, For, Links, message_header, named_in
from control_center.domain.record import Picture
from control_center.domain.template import Template, check_template
from control_center.domain.template_fields import offered

OURS = Links("https://control.studio.example", b"a key that nobody else has, really")
THEIRS = Links("https://control.studio.example", b"a key of somebody else, as long as it")


def a_session(date: str | None = "2027-06-12T14:00", record_id: str = "4711") -> Picture:
    when = f'"{date}"' if date else "null"
    body = f'{{"kind": "session", "id": "{record_id}", "version": 1, "dates": {{"session": {when}}}}}'
    return Picture("main", "session", record_id, 1, body, "c-12", False, 1, None, None)


def token(url: str) -> str:
    return url.rpartition("/")[2]


@given(st.integers(1, 2**48 - 1))
def test_a_link_leads_back_to_its_message_and_fits_a_header(message: int) -> None:
    link = OURS.unsubscribe(message)
    assert OURS.message(For.UNSUBSCRIBE, token(link)) == message
    assert OURS.message(For.CONFIRM, token(OURS.confirm(message, a_session()))) == message
    assert OURS.message(For.SCORE, token(OURS.score(message))) == message
    assert max(map(len, (link, OURS.confirm(message, a_session()), OURS.score(message)))) <= URL_LENGTH


def test_a_link_does_the_one_thing_it_was_made_for() -> None:
    made = {
        For.UNSUBSCRIBE: token(OURS.unsubscribe(12)),
        For.CONFIRM: token(OURS.confirm(12, a_session())),
        For.SCORE: token(OURS.score(12)),
    }
    for what in made:
        for other, one in made.items():
            assert (OURS.message(what, one) is not None) is (what is other)


@given(st.data())
def test_a_forged_link_leads_nowhere(data: st.DataObject) -> None:
    genuine = token(OURS.unsubscribe(12))
    assert THEIRS.message(For.UNSUBSCRIBE, genuine) is None
    place = data.draw(st.integers(0, len(genuine) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_"))
    forged = genuine[:place] + other + genuine[place + 1 :]
    assert (OURS.message(For.UNSUBSCRIBE, forged) is not None) is (forged == genuine)


@given(st.text(max_size=40))
def test_what_is_no_token_leads_nowhere(text: str) -> None:
    assert OURS.message(For.UNSUBSCRIBE, text) is None
    assert not OURS.same_date(text, a_session())


def test_a_link_to_confirm_knows_the_date_it_was_made_for() -> None:
    made = token(OURS.confirm(12, a_session()))
    assert OURS.same_date(made, a_session())
    assert not OURS.same_date(made, a_session("2027-06-13T14:00"))
    assert not OURS.same_date(made, a_session(None))
    assert not OURS.same_date(made, a_session(record_id="4712"))


@given(st.integers(1, 2**48 - 1), st.integers(1, 2**16 - 1))
def test_a_return_path_leads_back_to_its_attempt_whatever_became_of_its_capitals(message: int, attempt: int) -> None:
    key = f"m-{message}.{attempt}"
    path = OURS.return_path(key, "bounces.studio.example")
    assert path is not None
    assert len(path.partition("@")[0]) <= 64
    assert OURS.returned(f"To: <{path}>") == OURS.returned(path.upper()) == key
    assert THEIRS.returned(path) is None


@pytest.mark.parametrize("key", ["", "m-12", "sms-1", "m-12.0"])
def test_what_is_no_attempt_has_no_return_path(key: str) -> None:
    assert OURS.return_path(key, "bounces.studio.example") is None


def test_message_ids_of_ours_are_found_in_what_answers_them() -> None:
    nonce = "0123456789abcdef" * 2
    ours = message_header(12, nonce, "ada@studio.example")
    assert ours == f"m-12.{nonce}@studio.example"
    assert named_in(f"<a@b.example>\r\n <{ours}> <m-12.short@studio.example>") == [(12, nonce)]


@pytest.mark.parametrize(
    ("source", "kind", "refused"),
    [
        ("{{ confirm_link }}", "session", False),
        ("{{ confirm_link }}", "appointment", False),
        ("{{ confirm_link }}", "any", False),
        ("{{ confirm_link }}", "invoice", True),
        ("{{ record.nps_bar }}", "session", False),
        ("{{ record.nps_bar }}", "appointment", True),
        ("{{ unsubscribe_link }}", "invoice", False),
    ],
)
def test_a_link_stands_only_where_it_has_a_meaning(source: str, kind: str, *, refused: bool) -> None:
    try:
        check_template(Template("t", kind, text=source))
    except Malformed:
        assert refused
    else:
        assert not refused


def test_a_text_is_not_ended_by_a_link() -> None:
    with pytest.raises(Malformed, match="STOP"):
        check_template(Template("t", "session", sms="No more: {{ unsubscribe_link }}"))


def test_what_a_message_is_offered_follows_its_record_and_its_way() -> None:
    assert offered("session", "email") == {"confirm_link", "nps_bar", "unsubscribe_link"}
    assert offered("appointment", "sms") == {"confirm_link"}
    assert offered("invoice", "sms") == frozenset()
