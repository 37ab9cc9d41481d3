"""Mail from a free mailbox is believed only where its own provider sends it."""

from __future__ import annotations

import pytest

from control_center.domain.mail_sender import borrowed


@pytest.mark.parametrize(
    ("sender", "relay", "expected"),
    [
        ("Ada.Studio@Gmail.com", "smtp.relay.example", "gmail.com"),
        ("ada@gmail.com", "smtp.gmail.com", None),
        ("ada@googlemail.com", "SMTP.gmail.com", None),
        ("ada@gmail.com", "notgmail.com", "gmail.com"),
        ("ada@hotmail.com", "smtp.office365.com", None),
        ("ada@lakeside.example", "smtp.gmail.com", None),
    ],
)
def test_an_address_of_somebody_else_s_is_borrowed_unless_they_send_it(
    sender: str, relay: str, expected: str | None
) -> None:
    assert borrowed(sender, relay) == expected
