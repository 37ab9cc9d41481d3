"""A person sees one number of a studio that has several: the one used with them last, else always the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from zlib import crc32

from control_center.domain.studio import Studio
from control_center.store import db, messages, senders


async def stick(
    tx: db.Connection, made: Sequence[messages.New], studios: Iterable[Studio] | None = None
) -> Sequence[messages.New]:
    """These messages, their texts from the number that each person knows.

    `studios` are those that they are of, where the caller has them at hand: if none has several numbers, nothing is
    asked.
    """
    if studios is not None and all(len(one.numbers) < 2 for one in studios):
        return made
    wanted = sorted({(one.studio, one.address) for one in made if one.channel == "sms"})
    known = await senders.last(tx, wanted) if wanted else {}
    return [_from(one, *known[one.studio, one.address]) if _has(known, one) else one for one in made]


async def of(tx: db.Connection, studio: Studio, address: str) -> str:
    """The number of this studio that a text to this one of theirs leaves from."""
    if len(studio.numbers) < 2:
        return studio.sms_sender
    known = await senders.last(tx, [(studio.studio, address)])
    numbers, last = known.get((studio.studio, address), (list(studio.numbers), None))
    return last or chosen(numbers, address)


def chosen(numbers: Sequence[str], address: str) -> str:
    """The same number for the same person, for as long as the studio has the same ones."""
    return numbers[crc32(address.encode()) % len(numbers)]


def _has(known: dict[tuple[str, str], tuple[list[str], str | None]], one: messages.New) -> bool:
    return one.channel == "sms" and (one.studio, one.address) in known


def _from(one: messages.New, numbers: list[str], last: str | None) -> messages.New:
    return replace(one, sender=last or chosen(numbers, one.address))
