"""Who a text is from, and how to end them: a phone shows a number, so the words have to say both."""

from __future__ import annotations

import re
from typing import Final

BEGINNING: Final = 60  # characters within which a text should have begun to say who writes


def says_who(text: str, name: str) -> bool:
    """Whether a text names the studio at its beginning."""
    return bool(name.strip()) and name.casefold() in text[: BEGINNING + len(name)].casefold()


def with_sender(text: str, name: str) -> str:
    """A text that names the studio at its beginning: as it is where it does, else with the name in front."""
    return text if says_who(text, name) or not name.strip() else f"{name}: {text}"


HOW_TO_STOP: Final = "Reply STOP to opt out."
_SAYS_HOW: Final = re.compile(r"\bSTOP\b|(?i:\bopt(?:ing)?[ -]out\b|\bunsubscribe\b)")


def with_how_to_stop(text: str) -> str:
    """A text that says how to get no more of them: as it is where it does, else with that behind it."""
    return text if _SAYS_HOW.search(text) else f"{text.rstrip()} {HOW_TO_STOP}"
