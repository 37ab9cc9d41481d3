"""Inputs made of a few real ones by chance: of their tree where they are JSON, else of lines, words and bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.support.hostile import Surface

# No index of PostgreSQL takes so long a word: it cannot be packed.
LONG: Final = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=6000))
# What has broken readers before: of numbers, of days, of letters, of markup, of sizes.
HOSTILE: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 10**400, 0.1, -0.0, 1e308),
    *(float("nan"), float("inf"), "", " ", "\0", "a\0b", "\ud800", "\udc80x", "\ufeff", "\u202e", "\u2028"),
    *("0", "-1", "007", "9" * 400, "1e999", "NaN", "٣", "½", "true", "null", "None", "[]", "{}"),
    *("2027-02-29", "2027-02-30T14:00", "0001-01-01", "9999-12-31T23:59:59Z", "1900-01-01", "9000-01-01", "24:00"),
    *("2026-W47-6", "2027-03-14T02:30", "2027-11-07T01:30", "2027-06-12T14:00:60Z", "2027-06-12T14:00+99:99"),
    *("2027-06-12T14:00:00.123456789+14:00", "20270612", "12:00", "-0001-01-01", "2027-06-12T14:00-23:59"),
    *("+13125550188", "+1", "+" + "1" * 40, "00493012345678", "tel:+13125550188;ext=1", "١٢٣", "STOP", "yes", "10"),
    *("jo@mail.example", "a@b", "@", "jo@" + "x" * 300 + ".example", '"a b"@mail.example', "jö@münchen.example"),
    *("jo@mail.example\r\nBcc: all@mail.example", "a,b@mail.example", "<script>alert(1)</script>", "../../etc/passwd"),
    *("{{ client.first_name }}", "{{ 7 | times: 7 }}", "{% for a in b %}", "{{", "%}", "${x}", "%s%n", "'; --", "\\"),
    *(
        "é",
        "e\u0301" * 50,
        "👩‍👩‍👧‍👦",
        "ﷺ",
        "x" * 201,
        LONG,
        LONG[:400],
        "\r\n",
        "\t",
        "\x7f",
        "\x1b[31m",
        [],
        {},
        [[]],
        [None],
    ),
    *({"a": None}, [{}], {"": ""}, ["x"] * 500, "session", "client", "crm.snapshot", "Booked", "main", "client/c-12"),
)
_TEXTS: Final = tuple(
    one.encode("utf-8", "surrogatepass") if isinstance(one, str) else json.dumps(one).encode()
    for one in HOSTILE
    if not isinstance(one, str) or one
)
_BYTES: Final = (
    b"\0",
    b"\xff",
    b"\x80",
    b"\r\n",
    b"\n",
    b'"',
    b"'",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b";",
    b",",
    b"=",
    b"&",
)


def made_by(surface: Surface, chance: Random) -> bytes:
    """An input from nothing, where the surface can make one, or a real one changed."""
    if surface.make is not None and chance.random() < 0.4:
        data = surface.make(chance)
        return data if chance.random() < 0.6 else mutated(data, surface, chance)
    return mutated(chance.choice(surface.corpus), surface, chance)


def mutated(data: bytes, surface: Surface, chance: Random) -> bytes:
    """One to four changes: of its tree where it is JSON, else of its lines, its words and its bytes."""
    if data[:1] in (b"{", b"[") and chance.random() < 0.75:
        data = _with_another_tree(data, chance)
        if chance.random() < 0.9:
            return data
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        data = chance.choice(_CHANGES)(data, surface, chance)
    return data


def _with_another_tree(data: bytes, chance: Random) -> bytes:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return data
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3))):
        tree = _grafted(tree, chance)
    return json.dumps(tree, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def _grafted(tree: Any, chance: Random) -> Any:
    """One node somewhere in a tree replaced, removed, doubled, added, or moved there from elsewhere."""
    places = list(_places(tree))
    if not places:
        return hostile(chance)
    inside, key = chance.choice(places)
    match chance.randrange(8):
        case 0:
            del inside[key]
        case 1 if isinstance(inside, list):
            inside.insert(key, inside[key])
        case 1 | 2 if isinstance(inside, dict):
            inside[str(hostile(chance))[:300]] = inside[key]
        case 3:
            other, name = chance.choice(places)
            inside[key] = json.loads(json.dumps(other[name])) if name in _keys(other) else None
        case 4:
            inside[key] = [inside[key]] if chance.random() < 0.5 else {"id": inside[key]}
        case _:
            inside[key] = hostile(chance)
    return tree


def hostile(chance: Random) -> Any:
    """A value that has broken readers before; one's own, to be changed further."""
    found = chance.choice(HOSTILE)
    return json.loads(json.dumps(found)) if isinstance(found, dict | list) else found


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    waiting = [tree]
    while waiting:
        inside = waiting.pop()
        for key in _keys(inside):
            yield inside, key
            if isinstance(inside[key], dict | list):
                waiting.append(inside[key])


def _keys(inside: Any) -> Sequence[Any]:
    return list(inside) if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ()


def _place(data: bytes, chance: Random, longest: int = 40) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.randrange(1, longest))


def _flipped(data: bytes, _: Surface, chance: Random) -> bytes:
    if not data:
        return bytes([chance.randrange(256)])
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def _cut(data: bytes, _: Surface, chance: Random) -> bytes:
    start, end = _place(data, chance)
    return data[:start] + data[end:]


def _ended(data: bytes, _: Surface, chance: Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _repeated(data: bytes, _: Surface, chance: Random) -> bytes:
    start, end = _place(data, chance)
    return data[:end] + data[start:end] * chance.choice((1, 1, 2, 10, 200)) + data[end:]


def _put_in(data: bytes, surface: Surface, chance: Random) -> bytes:
    start, _ = _place(data, chance)
    return data[:start] + _word(surface, chance) + data[start:]


def _put_over(data: bytes, surface: Surface, chance: Random) -> bytes:
    start, end = _place(data, chance, 12)
    return data[:start] + _word(surface, chance) + data[end:]


def _spliced(data: bytes, surface: Surface, chance: Random) -> bytes:
    other = chance.choice(surface.corpus)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def _lined(data: bytes, surface: Surface, chance: Random) -> bytes:
    """Another order of lines, one twice, one missing, one of another input, or the words behind its `:` or `=`."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    place = chance.randrange(len(lines))
    match chance.randrange(6):
        case 0:
            del lines[place]
        case 1:
            lines.insert(chance.randrange(len(lines)), lines[place])
        case 2:
            lines.insert(place, chance.choice(chance.choice(surface.corpus).splitlines(keepends=True) or [b""]))
        case _:
            for sign in (b":", b"=", b" "):
                head, found, rest = lines[place].partition(sign)
                if found:
                    end = b"\r\n" if rest.endswith(b"\r\n") else b"\n"
                    lines[place] = head + found + (b" " if sign == b":" else b"") + _word(surface, chance) + end
                    break
    return b"".join(lines)


def _word(surface: Surface, chance: Random) -> bytes:
    kind = chance.random()
    if surface.words and kind < 0.5:
        return chance.choice(surface.words)
    return chance.choice(_TEXTS) if kind < 0.8 else chance.choice(_BYTES) * chance.choice((1, 1, 2, 50))


_CHANGES: Final = (
    _flipped,
    _cut,
    _ended,
    _repeated,
    _put_in,
    _put_in,
    _put_over,
    _put_over,
    _spliced,
    _lined,
    _lined,
    _lined,
)
