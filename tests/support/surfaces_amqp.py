"""The properties of a delivery as a broker hands them on, for fuzzing."""

from __future__ import annotations

import struct
from random import Random
from typing import Final

import pamqp.frame
from pamqp.exceptions import PAMQPException

from control_center.crm import properties
from tests.support.hostile import Surface
from tests.support.mutations import HOSTILE

properties.be_lenient()

# In the order of their flags, how each property's bytes are cut off from the next.
_KINDS: Final = (
    "short",
    "short",
    "table",
    "octet",
    "octet",
    "short",
    "short",
    "short",
    "short",
    "time",
    "short",
    "short",
    "short",
    "short",
)


def short(text: bytes) -> bytes:
    return bytes([min(len(text), 255)]) + text[:255]


def some_text(chance: Random) -> bytes:
    found = chance.choice(HOSTILE)
    return (
        chance.randbytes(chance.randrange(20))
        if chance.random() < 0.3
        else str(found).encode("utf-8", "surrogatepass")[:120]
    )


def a_value(chance: Random, depth: int = 0) -> bytes:
    """A value of a header, with its type in front; one in a while of none that is known."""
    match chance.randrange(12 if depth < 4 else 10):
        case 0:
            return b"S" + struct.pack(">I", len(text := some_text(chance))) + text
        case 1:
            return b"T" + chance.choice((chance.randbytes(8), struct.pack(">Q", 1_795_276_800_000), b"\xff" * 8))
        case 2:
            return b"D" + chance.randbytes(5)
        case 3:
            return chance.choice((b"I", b"i", b"f")) + chance.randbytes(4)
        case 4:
            return chance.choice((b"l", b"L", b"d")) + chance.randbytes(8)
        case 5:
            return chance.choice((b"t", b"b", b"B")) + chance.randbytes(1)
        case 6:
            return chance.choice((b"s", b"u")) + chance.randbytes(2)
        case 7:
            return b"V"
        case 8:
            return b"x" + struct.pack(">I", len(text := some_text(chance))) + text
        case 9:
            return chance.randbytes(chance.randrange(1, 9))
        case 10:
            inside = b"".join(a_value(chance, depth + 1) for _ in range(chance.randrange(4)))
            return b"A" + struct.pack(">I", len(inside)) + inside
        case _:
            return b"F" + a_table(chance, depth + 1)


def a_table(chance: Random, depth: int = 0) -> bytes:
    inside = b"".join(short(some_text(chance)) + a_value(chance, depth) for _ in range(chance.randrange(5)))
    return struct.pack(">I", len(inside)) + inside


def some_properties(chance: Random) -> bytes:
    """Flags, and behind them the properties that they announce."""
    flags, values = 0, b""
    for place, kind in enumerate(_KINDS):
        if chance.random() < 0.3:
            flags |= 1 << 15 - place
            match kind:
                case "short":
                    values += short(some_text(chance))
                case "table":
                    values += a_table(chance)
                case "octet":
                    values += chance.randbytes(1)
                case _:
                    values += chance.choice((chance.randbytes(8), struct.pack(">Q", 1_795_276_800_000), b"\0" * 8))
    return struct.pack(">H", flags) + values


def is_whole(raw: bytes) -> bool:
    """Whether the broker could hand these on: each property that is announced is there, and nothing behind them."""
    if len(raw) < 2:
        return False
    (flags,) = struct.unpack_from(">H", raw)
    place = 2
    for number, kind in enumerate(_KINDS):
        if flags & 1 << 15 - number:
            if place >= len(raw):
                return False
            before = raw[place : place + 4]
            size = {"short": 1 + raw[place], "table": 4 + int.from_bytes(before), "octet": 1, "time": 8}[kind]
            if kind == "table" and len(before) < 4:
                return False
            place += size
    return not flags & 3 and place == len(raw)


class NotPassedOnError(Exception):
    """Properties that no broker hands on."""


def some_headers(raw: bytes) -> None:
    """What the library makes of a frame with these properties: whatever the broker hands on must be read."""
    content = struct.pack(">HHQ", 60, 0, 3) + raw
    frame = struct.pack(">BHI", 2, 1, len(content)) + content + b"\xce"
    try:
        pamqp.frame.unmarshal(frame)
    except PAMQPException as error:
        if is_whole(raw):
            raise
        raise NotPassedOnError from error


HEADERS: Final = Surface(
    "amqp",
    (b"\x20\x00" + struct.pack(">I", 4) + b"\x01at\x01", b"\0\0"),
    some_headers,
    (NotPassedOnError,),
    make=some_properties,
)
