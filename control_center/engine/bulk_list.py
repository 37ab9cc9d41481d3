"""Freezing a list: everybody whom a filter finds now, each at an address, or with the reason why at none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from control_center.domain.bulk import MOST, Audience, Entry, Way, entries, once
from control_center.domain.consent import OPEN, OPTED_OUT, Standing
from control_center.domain.errors import Refused
from control_center.domain.record import Picture
from control_center.store import bulks, consents, db, records

PAGE = 200  # rows: reading numbers is work, and others wait for this process meanwhile


async def freeze(tx: db.Connection, studio: str, bulk_id: int, audience: Audience, way: Way) -> int:
    """Write the list of a bulk; returns how many rows it has. Raises Refused where there are too many."""
    taken: dict[str, int] = {}
    count = 0
    async for page in _pages(tx, studio, audience):
        found = [one for picture, client in page for one in entries(picture, client, way)]
        numbered = list(once(await _heard(tx, studio, found, way), taken, count + 1))
        if numbered:
            await bulks.add_recipients(tx, studio, bulk_id, numbered)
        count += len(numbered)
        if count > MOST:
            raise Refused(f"more than {MOST:,} are meant; narrow the audience")
    return count


async def _pages(
    tx: db.Connection, studio: str, audience: Audience
) -> AsyncIterator[list[tuple[Picture, Picture | None]]]:
    """The records that are meant, each with its client."""
    after = ""
    while page := await records.of_kind(tx, studio, audience.kind, after=after, limit=PAGE):
        after = page[-1].record_id
        yield await with_clients(tx, [one for one in page if audience.has(one)])


async def with_clients(tx: db.Connection, pictures: Sequence[Picture]) -> list[tuple[Picture, Picture | None]]:
    """Records with the clients they belong to; a client belongs to itself."""
    keys = {(one.studio, "client", one.client_id) for one in pictures if one.client_id is not None}
    clients = await records.get(tx, keys) if keys else {}
    return [
        (one, one if one.kind == "client" else clients.get((one.studio, "client", one.client_id or "")))
        for one in pictures
    ]


async def _heard(tx: db.Connection, studio: str, found: Sequence[Entry], way: Way) -> list[Entry]:
    """These, with the reason at those who have said that they want no such message, or take no texts."""
    channel = way.leg.value
    said = await consents.standings(tx, [(studio, channel, one.address) for one in found if one.address is not None])
    return [
        replace(one, reason=against(said.get((studio, channel, one.address or "")), way) or one.reason) for one in found
    ]


def against(said: Standing | None, way: Way) -> str | None:
    """Why an address gets none of a bulk, by how it stands."""
    why = (said or OPEN).against(way.purpose)
    return f"{OPTED_OUT}: the address takes no such messages" if why == OPTED_OUT else why or None
