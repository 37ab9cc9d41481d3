"""What the provider that sends nothing does with each recipient, and the file it keeps."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.outcome import Accepted, Cause, Fate, NotSent, Refused, Stage, Unknown
from control_center.domain.wire import sandbox
from control_center.domain.wire.sandbox import OutboxLine, Verdict
from tests.support.outgoing import AT, a_mail, a_text

TEXT = a_text()
MAIL = a_mail(html="<p>See you</p>")
ACCEPTED = Verdict(accepts=True, outcome=Accepted("sandbox-m-7.1"))


@pytest.mark.parametrize(
    "to", ["+13125550188", "jo@mail.example", "+13125550000", "0001@mail.example", "x@refused.example"]
)
def test_everyone_else_is_accepted_and_delivered(to: str) -> None:
    assert sandbox.verdict(to, "m-7.1") == ACCEPTED
    assert sandbox.fate(to) is Fate.DELIVERED


@pytest.mark.parametrize(
    "to", ["+13125550001", "refused@mail.example", "Refused@mail.example", "refused+1@mail.example"]
)
def test_refused_for_good(to: str) -> None:
    verdict = sandbox.verdict(to, "m-7.1")

    assert not verdict.accepts
    assert isinstance(verdict.outcome, Refused)
    assert verdict.outcome.cause is Cause.RECIPIENT


@pytest.mark.parametrize("to", ["+13125550002", "busy@mail.example"])
def test_throttled_twice_then_accepted(to: str) -> None:
    verdicts = [sandbox.verdict(to, f"m-7.{attempt}") for attempt in (1, 2, 3, 4)]

    assert [verdict.accepts for verdict in verdicts] == [False, False, True, True]
    assert isinstance(verdicts[1].outcome, NotSent)
    assert verdicts[1].outcome.wait == timedelta(seconds=1)
    assert verdicts[2].outcome == Accepted("sandbox-m-7.3")


@pytest.mark.parametrize("to", ["+13125550003", "lost@mail.example"])
def test_accepted_but_the_answer_is_lost_and_so_is_the_receipt(to: str) -> None:
    assert sandbox.verdict(to, "m-7.1") == Verdict(
        accepts=True, outcome=Unknown("sandbox: the answer was lost", Stage.SENT, "0003")
    )
    assert sandbox.fate(to) is None


@pytest.mark.parametrize("to", ["+13125550004", "down@mail.example"])
def test_no_connection_however_often(to: str) -> None:
    for attempt in (1, 2, 3, 10):
        verdict = sandbox.verdict(to, f"m-7.{attempt}")
        assert not verdict.accepts
        assert isinstance(verdict.outcome, NotSent)


def test_accepted_then_undelivered() -> None:
    assert sandbox.verdict("+13125550005", "m-7.1") == ACCEPTED
    assert sandbox.fate("+13125550005") is Fate.UNDELIVERED


def test_opted_out_at_the_provider() -> None:
    verdict = sandbox.verdict("+13125550006", "m-7.1")

    assert not verdict.accepts
    assert isinstance(verdict.outcome, Refused)
    assert verdict.outcome.cause is Cause.OPTED_OUT


def test_slow_is_accepted_in_the_end() -> None:
    assert sandbox.verdict("+13125550007", "m-7.1") == replace(ACCEPTED, slow=True)
    assert sandbox.fate("+13125550007") is Fate.DELIVERED


@pytest.mark.parametrize(
    ("key", "attempt"), [("m-7.1", 1), ("m-7.12", 12), ("a.b.3", 3), ("m-7", 1), ("", 1), ("m.x", 1)]
)
def test_the_attempt_is_the_number_after_the_last_dot(key: str, attempt: int) -> None:
    assert sandbox.attempt(key) == attempt


def test_a_text_is_one_line_of_the_outbox() -> None:
    line = sandbox.outbox_line(TEXT, datetime(2026, 11, 21, 11, 0, tzinfo=timezone(timedelta(hours=-5))))

    assert line.endswith(b"\n")
    assert json.loads(line) == {
        "at": "2026-11-21T16:00:00Z",
        "channel": "sms",
        "message": "m-7",
        "key": "m-7.1",
        "from": "+13125550100",
        "to": "+13125550188",
        "subject": None,
        "text": "See you",
    }


def test_a_mail_is_one_line_with_its_subject() -> None:
    assert sandbox.read_outbox(sandbox.outbox_line(MAIL, AT)) == [
        OutboxLine(AT, "email", "m-8", "m-8.1", "ada@studio.example", "jo@mail.example", "Saturday", "See you")
    ]


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=4), st.data())
def test_a_half_written_last_line_waits_for_the_next_read(bodies: list[str], data: st.DataObject) -> None:
    written = b"".join(sandbox.outbox_line(replace(TEXT, body=body), AT) for body in bodies)
    cut = data.draw(st.integers(0, len(written)))

    first = sandbox.read_outbox(written[:cut])
    rest = sandbox.read_outbox(written[sandbox.whole(written[:cut]) :])

    assert [line.text for line in first + rest] == bodies


def test_a_damaged_line_costs_only_itself() -> None:
    line = sandbox.outbox_line(TEXT, AT)

    assert len(sandbox.read_outbox(line + b"{half\n" + b"\n" + b"[1]\n" + line)) == 2
