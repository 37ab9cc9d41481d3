"""A surface with a defect that chance alone does not find: each letter of a word opens another branch."""

from __future__ import annotations

from typing import Final

from tests.support.hostile import Surface


def take(data: bytes) -> None:
    if data[:1] == b"S" and data[1:2] == b"T" and data[2:3] == b"O" and data[3:4] == b"P":
        raise KeyError(data[:4])


PLANTED: Final = Surface("planted", [b"hello"], take)
