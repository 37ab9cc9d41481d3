"""SMPP's meaning: how a text is cut, what a status and a receipt prove, what a delivery says of itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.inbound import Inbound
from control_center.domain.outcome import (
    Accepted,
    Blocked,
    Cause,
    Fate,
    NotSent,
    Outcome,
    Refused,
    Stage,
    Text,
    Unknown,
)
from control_center.domain.sms import segments
from control_center.domain.wire import smpp
from control_center.domain.wire.smpp import Delivered

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)
TAKEN = Accepted("id-1", 1)


@given(st.text(min_size=1, max_size=600), st.integers(0, 255))
def test_the_parts_of_a_text_are_the_text_and_none_is_longer_than_a_message(text: str, reference: int) -> None:
    cut = smpp.parts(text, reference)

    assert "".join(part.text for part in cut) == text
    assert len(cut) == segments(text).count
    assert {bool(part.header) for part in cut} == {len(cut) > 1}
    for number, part in enumerate(cut, 1):
        if part.header:
            assert Delivered("", "", smpp.UDH, "", {}, part.header).part == (reference, len(cut), number)
        if part.encoding == "ucs2":
            assert len(part.header) + len(part.text.encode("utf-16-be", "surrogatepass")) <= 140


@given(st.integers(1, 0xFFFF))
def test_whatever_a_centre_answers_only_zero_is_accepted(status: int) -> None:
    assert not isinstance(smpp.outcome(status, "id-1"), Accepted)


@pytest.mark.parametrize(
    ("outcomes", "found"),
    [
        ([TAKEN, TAKEN, Accepted("id-3", 1)], Accepted("id-3", 3)),
        ([NotSent("busy", "0x58")], NotSent("busy", "0x58")),
        ([Refused("no", Cause.RECIPIENT, "0x0B")], Refused("no", Cause.RECIPIENT, "0x0B")),
        ([TAKEN, NotSent("busy", "0x58")], Unknown("busy (part 2 of 3, after 1 were taken)", Stage.ANSWERED, "0x58")),
        ([TAKEN, Blocked("no", "0x0E")], Unknown("no (part 2 of 3, after 1 were taken)", Stage.ANSWERED, "0x0E")),
        ([TAKEN, TAKEN, Unknown("lost", Stage.SENT)], Unknown("lost", Stage.SENT)),
    ],
)
def test_a_text_is_what_its_parts_prove(outcomes: list[Outcome], found: Outcome) -> None:
    assert smpp.together(outcomes, 3) == found


@pytest.mark.parametrize(("left", "minutes"), [(-5, 1), (0, 1), (30, 30), (60 * 24 * 30, 60 * 24 * 7)])
def test_a_text_is_valid_until_its_use_by_within_what_networks_keep(left: int, minutes: int) -> None:
    text = Text("m-1.1", "m-1", "", "", "", NOON, NOON + timedelta(minutes=left))

    assert smpp.validity(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("words", "known", "fate"),
    [
        (
            "id:7f3a sub:001 dlvrd:001 submit date:2611 done date:2611 stat:DELIVRD err:000 text:Hi",
            "7f3a",
            Fate.DELIVERED,
        ),
        ("id:7f3a stat:UNDELIV err:00B Text:id:9 stat:DELIVRD", "7f3a", Fate.UNDELIVERED),
        ("ID: 7f3a STAT: expired ERR: 12", "7f3a", Fate.UNDELIVERED),
        ("id:7f3a stat:BUFFERED err:000", None, None),
        ("stat:DELIVRD", None, None),
        ("", None, None),
    ],
)
def test_a_receipt_is_read_however_a_centre_writes_it(words: str, known: str | None, fate: Fate | None) -> None:
    said = smpp.receipt(Delivered("a", "b", smpp.RECEIPT, words, {}))

    assert (said and said.provider_id, said and said.fate) == (known, fate)


@pytest.mark.parametrize("state", ["UNDELIV", "EXPIRED", "REJECTD", "ENROUTE"])
def test_a_try_that_came_to_nothing_is_not_the_end_while_the_centre_goes_on_trying(state: str) -> None:
    """An intermediate notification: the text may arrive yet, and must not go another way besides."""
    said = smpp.receipt(Delivered("13125550188", "13125550100", smpp.INTERMEDIATE, f"id:7f3a stat:{state} err:001", {}))

    assert said is not None
    assert (said.fate, said.code) == (Fate.SENT, None)


@given(st.binary(max_size=40))
def test_no_header_is_too_odd_to_be_read(header: bytes) -> None:
    part = Delivered("", "", smpp.UDH, "", {}, header).part

    assert part is None or 1 <= part[2] <= part[1]


def test_a_text_with_a_part_missing_says_so_where_it_is() -> None:
    def one(words: str) -> Inbound:
        return Inbound("k", None, "a", "b", words, NOON)

    assert smpp.whole({3: one("three"), 1: one("one ")}, 3).text == "one  […] three"
    assert smpp.whole({2: one("two"), 1: one("one ")}, 2).text == "one two"


@pytest.mark.parametrize(
    ("reference", "total", "number"),
    [(b"\0\1", b"\x7f" * 5, b"\1"), (b"\xff" * 4000, b"\2", b"\1"), (b"\0\1", b"\1\0", b"\1"), (b"\0\1", b"\2", b"")],
)
def test_a_text_of_more_parts_than_any_has_is_no_part_of_one(reference: bytes, total: bytes, number: bytes) -> None:
    """Nobody waits for a billion parts, or counts up to them."""
    tags = {smpp.SAR_REFERENCE: reference, smpp.SAR_TOTAL: total, smpp.SAR_NUMBER: number}

    assert Delivered("", "", 0, "", tags).part is None
