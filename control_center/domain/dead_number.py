"""A number that takes no texts: when a provider's word for it is enough, and how it is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

# A refusal is the provider's own and counts at once. A receipt is some carrier's guess, and mistaken about numbers that
# have just moved to another: of so many texts, with nothing in between that the number took or sent.
ENOUGH: Final = 2
WITHIN: Final = timedelta(days=90)


def told(reason: str) -> str:
    """Why nothing goes there by itself, for people; `reason` is how it is known."""
    return f"this number takes no texts: {reason}"
