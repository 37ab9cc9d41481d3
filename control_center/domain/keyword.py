"""Keywords: how an incoming text is compared with the word that a trigger waits for."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from control_center.domain import opt_out

# What is acted on before anybody else sees it, by providers or by us, so that no trigger may wait for it.
RESERVED: Final = opt_out.RESERVED

# Phones put one behind a symbol to have it drawn in colour: seen by nobody, and a mark in the eyes of Unicode.
_FIRST_VARIANT, _LAST_VARIANT = "\ufe00", "\ufe0f"


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word, or several, as `plain` spells them; with `first_word` the text may go on after it."""

    word: str
    first_word: bool = False

    @property
    def key(self) -> str:
        """What the text is looked up by."""
        return f"{self.word} ..." if self.first_word else self.word


def plain(text: str) -> str:
    """Without case, punctuation and spare spaces: "Book  now!" and "book now" are the same."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(letter if _counts(letter) else " " for letter in folded).split())


def _counts(letter: str) -> bool:
    return unicodedata.category(letter)[0] not in "PSZC" and not _FIRST_VARIANT <= letter <= _LAST_VARIANT


def spoken(text: str) -> tuple[str, ...]:
    """The keys of all keywords that a text says: itself as a whole, and its first word."""
    words = plain(text)
    if not words:
        return ()
    return (Keyword(words).key, Keyword(words.partition(" ")[0], first_word=True).key)
