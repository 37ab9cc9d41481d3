"""Which text of a forecast says how to stop, and what it is paid for then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain import sms, words
from control_center.domain.forecast import Fate, Line
from control_center.domain.foreseen_firsts import ForeseenFirsts
from control_center.domain.identity import HOW_TO_STOP
from control_center.domain.studio import parse
from control_center.domain.tally import Tally
from control_center.domain.template import Unrenderable
from control_center.domain.zones import zone

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)
JO = "+13125550188"
LAKESIDE = {"id": "main", "name": "Lakeside", "timezone": "America/Chicago", "sms": {"identify": True}}
STUDIO = parse(LAKESIDE)


def a_line(text: str | None = "Lakeside: see you soon.", **keys: Any) -> Line:
    known: dict[str, Any] = {
        "at": NOON,
        "fate": Fate.GOES,
        "trigger": "Reminder",
        "version": 1,
        "action": "a-1",
        "record": "session/1",
        "client": "c-1",
        "leg": "sms",
        "address": JO,
        "text": text,
        "segments": None if text is None else sms.segments(text).count,
    }
    return Line(**{**known, **keys})


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}"), max_size=1600))
def test_the_first_text_is_told_in_the_words_that_a_worker_writes(text: str) -> None:
    said = f"Lakeside: {text}"
    told = ForeseenFirsts(wished=True).told(a_line(sms.plain(said)))
    try:
        written, reason = words.text_message({"sms": said}, {}, STUDIO, first=True).text, ""
    except Unrenderable as error:
        written, reason = None, error.reason
    assert (told.text, told.reason, told.fate is Fate.FAILS) == (written, reason, written is None)
    assert told.segments == (None if written is None else sms.segments(written).count)


def test_the_second_text_to_a_number_says_nothing_of_stopping() -> None:
    firsts = ForeseenFirsts(wished=True)
    assert [HOW_TO_STOP in (firsts.told(a_line()).text or "") for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize("fate", [Fate.REVIEW, Fate.HELD, Fate.FOLLOWS])
def test_what_may_never_go_takes_the_sentence_from_no_other(fate: Fate) -> None:
    firsts = ForeseenFirsts(wished=True)
    assert HOW_TO_STOP in (firsts.told(a_line(fate=fate)).text or "")
    assert HOW_TO_STOP in (firsts.told(a_line()).text or "")
    assert HOW_TO_STOP not in (firsts.told(a_line(fate=fate)).text or "")


@pytest.mark.parametrize(
    "line",
    [
        a_line(leg="email", address="jo@mail.example"),
        a_line(None, fate=Fate.FAILS),
        a_line(fate=Fate.SHADOW),
        a_line(leg="call", address=""),
    ],
)
def test_what_is_no_text_or_leaves_nobody_is_told_as_it_is(line: Line) -> None:
    firsts = ForeseenFirsts(wished=True)
    assert firsts.told(line) == line
    assert HOW_TO_STOP in (firsts.told(a_line()).text or "")


def test_where_the_studio_does_not_wish_it_nothing_is_added_and_nothing_looked_up() -> None:
    firsts = ForeseenFirsts(wished=False)
    assert firsts.unknown([JO]) == set()
    assert firsts.told(a_line()) == a_line()


def test_a_number_is_looked_up_once() -> None:
    firsts = ForeseenFirsts(wished=True)
    assert firsts.unknown([JO, JO]) == {JO}
    firsts.learn([JO], [JO])
    assert firsts.unknown([JO]) == set()
    assert HOW_TO_STOP not in (firsts.told(a_line()).text or "")


def test_a_count_has_the_segments_of_what_goes_and_bulks_by_their_number() -> None:
    tally = Tally(zone("America/Chicago"), "trigger")
    bulk = msgspec.structs.replace(a_line("x" * 200), trigger="", action=None, bulk="b-7")
    for line in (a_line(), bulk, bulk, a_line(fate=Fate.REVIEW), a_line(fate=Fate.LAPSES, text=None)):
        tally.add(line)
    assert [(one.name, one.goes, one.segments) for one in tally.ordered()] == [("Reminder", 1, 1), ("b-7", 2, 4)]
