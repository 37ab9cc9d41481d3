"""Whose a text is that came in: which of our numbers it was sent to, and which of the studios there it is for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from control_center.domain.inbound import Inbound
from control_center.domain.reply import Circumstances, MayBeOptOut, OptOut, Reply, interpret
from control_center.store import consents, conversations, db, written
from control_center.store.conversations import Arrival, Pair

SHARED_FOR: Final = timedelta(days=90)  # how long a number that several studios use remembers who wrote to whom


async def reached(tx: db.Connection, ours: str, account: str, theirs: str) -> tuple[str, list[str], bool]:
    """Which number of ours was texted by way of this account, the studios that text from it, and whether they did so
    `former`ly: then they are those that this very person has a text of from there.

    A centre may leave out its country code.
    """
    sharing = await conversations.studios_at(tx, ours, account, theirs)
    if not sharing and (whole := await conversations.number_ending(tx, ours.lstrip("+0"))) is not None:
        return whole, await conversations.studios_at(tx, whole, account, theirs), False
    if not sharing and (wrote := await written.wrote_from(tx, ours, account, theirs)):
        return ours, wrote, True
    return ours, sharing, False


async def concerned_by(
    tx: db.Connection, sharing: Sequence[str], pair: Pair, came: Arrival, inbound: Inbound, *, now: datetime
) -> list[str]:
    """Whom what a text says of texting is about, besides whose it is. Nobody else, where it says nothing of it.

    Of a STOP the studios of its number and those that texted its sender while it was theirs; of what may be one those
    of them whose client its sender may be.
    """
    said = by_itself(inbound, now)
    if not isinstance(said, OptOut | MayBeOptOut):
        return []
    every = sorted({*sharing, *await written.wrote_from(tx, pair.ours, came.account, pair.theirs)})
    return every if isinstance(said, OptOut) else await written.known_to(tx, every, pair.theirs)


async def in_doubt_with(tx: db.Connection, pair: Pair, account: str) -> list[str]:
    """The other studios that a text of this pair has left in doubt, or another one like it; in the order of locks."""
    every = {
        *await conversations.studios_at(tx, pair.ours, account, pair.theirs),
        *await written.wrote_from(tx, pair.ours, account, pair.theirs),
    } - {pair.studio}
    stands = await consents.standings(tx, [(one, pair.channel, pair.theirs) for one in every])
    return sorted(studio for (studio, _, _), one in stands.items() if one.doubtful)


def by_itself(inbound: Inbound, now: datetime) -> Reply:
    """What a text is without what was asked: enough to know a STOP."""
    return interpret(inbound.text, Circumstances(now, answered=inbound.answered))


async def studio_of(
    tx: db.Connection, sharing: Sequence[str], pair: Pair, came: Arrival, inbound: Inbound, *, now: datetime
) -> str | None:
    """Whose text it is: of several studios on its number, the one that wrote to its sender last.

    A repeat stays whose it was. A STOP is for each of them, so that it is heard where nobody wrote last, too; and what
    may be one is read at the first of those whose client its sender may be.
    """
    if len(sharing) < 2:
        return sharing[0] if sharing else None
    known = await conversations.known_at(tx, ["", *sharing], came.account, came.known_by)
    if known is not None:
        return known or None
    last = await written.last_studio(tx, sharing, pair.ours, pair.theirs, now - SHARED_FOR)
    if last is not None:
        return last
    match by_itself(inbound, now):
        case OptOut():
            return sharing[0]
        case MayBeOptOut():
            return next(iter(await written.known_to(tx, sharing, pair.theirs)), None)
        case _:
            return None
