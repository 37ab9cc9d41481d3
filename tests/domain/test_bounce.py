"""What a bounce's code means for its recipient and for us."""

from __future__ import annotations

import pytest

from control_center.domain.bounce import Verdict, blames_our_domain, code_of, verdict


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ("5.1.1 5.1.2 5.1.3 5.1.6 5.1.10 5.4.4", Verdict.GONE),
        ("5.2.1 5.0.0 550 551 553", Verdict.DISABLED),
        ("4.2.2 5.2.2 552", Verdict.FULL),
        ("5.2.3 5.3.4 5.6.0", Verdict.CONTENT),
        ("4.3.2 4.4.1 4.4.7 421 450 451 452", Verdict.PASSING),
        ("4.7.0 4.7.28", Verdict.SLOW),
        ("5.7.1 5.7.26 5.7.515", Verdict.POLICY),
        ("5.5.2 5.5.4 501 503", Verdict.OURS),
    ],
)
def test_every_code_of_the_table_has_its_verdict(codes: str, expected: Verdict) -> None:
    assert {verdict(code) for code in codes.split()} == {expected}


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
