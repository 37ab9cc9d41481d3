"""Who a text is from: a phone shows a number, so the words have to say it."""

from __future__ import annotations

from typing import Final

BEGINNING: Final = 60  # characters within which a text should have begun to say who writes


def says_who(text: str, name: str) -> bool:
    """Whether a text names the studio at its beginning."""
    return bool(name.strip()) and name.casefold() in text[: BEGINNING + len(name)].casefold()


def with_sender(text: str, name: str) -> str:
    """A text that names the studio at its beginning: as it is where it does, else with the name in front."""
    return text if says_who(text, name) or not name.strip() else f"{name}: {text}"
