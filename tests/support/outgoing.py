"""What a channel is handed: a text and a mail, with defaults."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from control_center.domain.outcome import Mail, Text

AT: Final = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
_TEXT: Final = Text(
    key="m-7.1",
    message="m-7",
    sender="+13125550100",
    to="+13125550188",
    body="See you",
    at=AT,
    expires_at=AT + timedelta(hours=2),
)
_MAIL: Final = Mail(
    key="m-8.1",
    message="m-8",
    message_id="m-8@studio.example",
    sender="ada@studio.example",
    sender_name="Ada",
    to="jo@mail.example",
    to_name="Jo",
    subject="Saturday",
    text="See you",
    at=AT,
    expires_at=AT + timedelta(hours=2),
)


def a_text(body: str = "See you", **keys: Any) -> Text:
    return replace(_TEXT, body=body, **keys)


def a_mail(**keys: Any) -> Mail:
    return replace(_MAIL, **keys)
