"""What a bounce's code means for its recipient and for us."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from control_center.domain.bounce import Verdict, blames_our_domain, code_of, enough, placed, verdict

NOW = datetime(2027, 6, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ("5.1.1 5.1.2 5.1.3 5.1.6 5.1.10 5.4.4", Verdict.GONE),
        ("5.2.1 5.0.0 550 551 553 5.1.0 5.4.1", Verdict.DISABLED),
        ("4.2.2 5.2.2 552", Verdict.FULL),
        ("5.2.3 5.3.4 5.6.0", Verdict.CONTENT),
        ("4.3.2 4.4.1 4.4.7 421 450 451 452 5.3.0 5.4.7", Verdict.PASSING),
        ("4.7.0 4.7.28", Verdict.SLOW),
        ("5.7.1 5.7.26 5.7.515 5.1.8 554", Verdict.POLICY),
        ("5.5.2 5.5.4 501 503", Verdict.OURS),
    ],
)
def test_every_code_of_the_table_has_its_verdict(codes: str, expected: Verdict) -> None:
    assert {verdict(code) for code in codes.split()} == {expected}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("<jo@mail.example>: host mx.mail.example[192.0.2.1] said: 550 no (in reply to RCPT TO command)", Verdict.GONE),
        ("said: 550 no (in reply to end of DATA command)", Verdict.POLICY),
        ("SMTP error from remote mail server after RCPT TO:<jo@mail.example>: 550 no", Verdict.GONE),
        ("SMTP error from remote mail server after end of data: 550 no", Verdict.POLICY),
        ("... while talking to mx.mail.example.:\n>>> RCPT To:<jo@mail.example>\n<<< 550 no", Verdict.GONE),
        ("... while talking to mx.mail.example.:\n>>> DATA\n<<< 550 no", Verdict.POLICY),
        ("in reply to RCPT TO command ... in reply to end of DATA command", Verdict.DISABLED),
        ("550 no", Verdict.DISABLED),
    ],
)
def test_a_bare_code_means_what_it_was_the_reply_to(told: str, expected: Verdict) -> None:
    assert {verdict(code, placed(code, told) + "550 no") for code in ("550", "551", "553")} == {expected}
    assert verdict("5.2.1", placed("5.2.1", told) + "550 no") is Verdict.DISABLED


@pytest.mark.parametrize(
    ("of", "days", "expected"),
    [
        (Verdict.GONE, (), True),
        (Verdict.DISABLED, (0,), False),
        (Verdict.DISABLED, (0, 179), True),
        (Verdict.DISABLED, (0, 181), False),
        (Verdict.FULL, (0, 1, 2), False),
        (Verdict.FULL, (0, 3), False),
        (Verdict.FULL, (0, 1, 3), True),
        (Verdict.FULL, (0, 1, 61), False),
        (Verdict.PASSING, (0, 1, 2, 3, 4), False),
    ],
)
def test_what_one_mail_is_too_few_for_is_counted_over_time(of: Verdict, days: tuple[int, ...], expected: bool) -> None:  # noqa: FBT001 - a column
    others = [(Verdict.DISABLED if of is Verdict.FULL else Verdict.FULL, NOW)] * 5
    assert enough(of, [*others, *((of, NOW - timedelta(days=ago)) for ago in days)], NOW) is expected


def test_only_what_our_domain_lacks_is_held_against_all_its_mail() -> None:
    assert blames_our_domain("5.7.26")
    assert blames_our_domain("5.7.515")
    assert not blames_our_domain("5.7.1")
    assert not blames_our_domain("5.1.1")


@pytest.mark.parametrize(
    ("status", "diagnostic", "expected"),
    [
        ("5.1.1", "smtp; 550 5.7.1 no", "5.1.1"),
        ("5.0.0", "smtp; 550 5.1.1 <jo@mail.example>... User unknown", "5.1.1"),
        ("5.0.0 (permanent failure)", "smtp; 550 no such user", "550"),
        ("5.0.0", "X-Postfix; mail for mail.example loops back", "5.0.0"),
        ("", "smtp; 552 full", "552"),
        ("", "nothing at 10.5.1.1 and port 5500", None),
    ],
)
def test_a_status_that_says_nothing_yields_to_what_the_other_server_said(
    status: str, diagnostic: str, expected: str | None
) -> None:
    assert code_of(status, diagnostic) == expected
