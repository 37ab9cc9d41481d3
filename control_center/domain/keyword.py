"""Keywords: how an incoming text is compared with the word that a trigger waits for."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

# What carriers and providers act on before anybody else, so that no trigger may wait for it.
RESERVED = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke", "start", "unstop", "help", "info"}
)


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
    return unicodedata.category(letter)[0] not in "PSZC"


def spoken(text: str) -> tuple[str, ...]:
    """The keys of all keywords that a text says: itself as a whole, and its first word."""
    words = plain(text)
    if not words:
        return ()
    return (Keyword(words).key, Keyword(words.partition(" ")[0], first_word=True).key)
