"""Who made a change, and through which door: it reads as the name wherever a name is wanted."""

from __future__ import annotations

from typing import Self


class Signature(str):
    """A name that remembers its door (`api`, `cli`, `settings`, `engine`), for the audit trail; what lies between takes
    it for the name.
    """

    __slots__ = ("via",)
    via: str

    def __new__(cls, name: str, via: str) -> Self:
        made = super().__new__(cls, name)
        made.via = via
        return made


def door(by: str) -> str:
    """Through which door `by` came; what nobody signed was the engine itself."""
    return by.via if isinstance(by, Signature) else "engine"
