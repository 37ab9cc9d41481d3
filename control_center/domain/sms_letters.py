"""Which letters of a text cost more than the others, and which we write in another way so that they do not."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from control_center.domain import sms


class Effect(StrEnum):
    """What a letter does to its text."""

    REPLACED = "replaced"  # written plainly, and so at no cost; `place` counts in the text as it was filled in
    DOUBLE = "double"  # fits the 7-bit alphabet as two units; `place` counts in the text as it is sent
    WIDE = "wide"  # does not fit, so that the whole text travels in 70 characters a part instead of 160


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter that costs or was replaced. `place` is that of its first occurrence, from 1; `count` is of all."""

    letter: str
    name: str
    place: int
    count: int
    effect: Effect
    becomes: str | None = None
    emoji: bool = False

    def __str__(self) -> str:
        """One sentence for a person."""
        where = f"at character {self.place}" + (f" (and {self.count - 1} more)" if self.count > 1 else "")
        match self.effect:
            case Effect.REPLACED:
                end = f"is sent as {self.becomes!r}" if self.becomes else "is left out"
            case Effect.DOUBLE:
                end = "counts twice"
            case Effect.WIDE:
                end = "makes every part hold 70 characters instead of 160"
        return f"{self._shown} {where} {end}"

    @property
    def _shown(self) -> str:
        return f"{self.letter} {self.name}" if self.letter.isprintable() and self.letter.strip() else self.name


def letters(filled_in: str) -> tuple[Letter, ...]:
    """The letters that were replaced or that cost, in the order of their places; `filled_in` is before `sms.plain`."""
    sent = sms.plain(filled_in)
    found = _each(filled_in, Effect.REPLACED, sms.PLAIN.__contains__)
    found += _each(sent, Effect.DOUBLE, lambda letter: sms.width(letter) == 2)
    found += _each(sent, Effect.WIDE, lambda letter: sms.width(letter) == 0)
    return tuple(sorted(found, key=lambda one: (one.place, one.effect)))


def _each(text: str, effect: Effect, wanted: Callable[[str], bool]) -> list[Letter]:
    return [
        Letter(
            letter=letter,
            name=name_of(letter),
            place=text.index(letter) + 1,
            count=text.count(letter),
            effect=effect,
            becomes=sms.PLAIN[letter] if effect is Effect.REPLACED else None,
            emoji=is_emoji(letter),
        )
        for letter in dict.fromkeys(text)
        if wanted(letter)
    ]


def name_of(letter: str) -> str:
    """Its name in Unicode, such as RIGHT SINGLE QUOTATION MARK; its number where it has none."""
    return unicodedata.name(letter, f"U+{ord(letter):04X}")


def is_emoji(letter: str) -> bool:
    """Whether a letter is drawn as a picture: it costs as a letter of another script does, and can be left out."""
    return unicodedata.category(letter) == "So" and (letter >= "\U0001f000" or "\u2600" <= letter <= "\u27bf")
