"""Sources that count their events: which number was the newest, and which never came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control_center.store.db import Connection

Source = tuple[str, str]  # the studio and the source's name

# A source is counted from the first number on that we see of it.
BEGIN = """
INSERT INTO event_numbers (studio_id, source, newest)
SELECT studio_id, source, lowest - 1
  FROM unnest($1::text[], $2::text[], $3::bigint[]) AS seen (studio_id, source, lowest)
 ORDER BY studio_id, source
    ON CONFLICT DO NOTHING"""

_LEFT = """(missing + CASE WHEN highest > newest THEN int8multirange(int8range(newest + 1, highest, '[]'))
                              ELSE '{}' END) - came"""

# Locked in the order of their keys first, so that two batches wait for each other and do not deadlock.
NOTE = f"""
WITH seen AS (
     SELECT studio_id, source, highest, came::int8multirange
       FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS given (studio_id, source, highest, came)),
     held AS MATERIALIZED (
     SELECT event_numbers.studio_id, event_numbers.source FROM seen
       JOIN event_numbers ON event_numbers.studio_id = seen.studio_id AND event_numbers.source = seen.source
      ORDER BY 1, 2 FOR UPDATE OF event_numbers)
UPDATE event_numbers
   SET newest = greatest(newest, highest),
       missing = {_LEFT},
       missing_since = CASE WHEN isempty({_LEFT}) THEN NULL ELSE coalesce(missing_since, clock_timestamp()) END
  FROM seen JOIN held ON held.studio_id = seen.studio_id AND held.source = seen.source
 WHERE event_numbers.studio_id = seen.studio_id AND event_numbers.source = seen.source"""


async def note(tx: Connection, came: Mapping[Source, Sequence[int]]) -> None:
    """Take note of the numbers that came, from each source, in any order and however often."""
    sources = sorted(came)
    studios, names = [studio for studio, _ in sources], [name for _, name in sources]
    await tx.execute(BEGIN, studios, names, [min(came[one]) for one in sources])
    ranges = [as_ranges(came[one]) for one in sources]
    await tx.execute(NOTE, studios, names, [max(came[one]) for one in sources], ranges)


def as_ranges(numbers: Iterable[int]) -> str:
    """As PostgreSQL writes them: 1, 2, 3 and 7 are `{[1,3],[7,7]}`."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return "{" + ",".join(f"[{first},{last}]" for first, last in found) + "}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that are missing, both ends among them."""

    studio: str
    source: str
    first: int
    last: int
    since: datetime


_GAPS = """studio_id, source, lower(gap), upper(gap) - 1, missing_since"""

GAPS = f"""
SELECT {_GAPS} FROM event_numbers CROSS JOIN LATERAL unnest(missing) AS gap
 WHERE missing_since IS NOT NULL AND ($1::text IS NULL OR studio_id = $1)
 ORDER BY 1, 2, 3 LIMIT 200"""


async def gaps(tx: Connection, studio: str | None = None) -> list[Gap]:
    """What has not come to a studio, or to any."""
    return [Gap(*row) for row in await tx.fetch(GAPS, studio)]


TELL = f"""
WITH late AS (
     SELECT studio_id, source, missing - told AS fresh, missing_since FROM event_numbers
      WHERE missing_since < clock_timestamp() - $1::interval AND NOT isempty(missing - told)
        FOR UPDATE SKIP LOCKED),
     noted AS (
     UPDATE event_numbers SET told = missing FROM late
      WHERE event_numbers.studio_id = late.studio_id AND event_numbers.source = late.source)
SELECT {_GAPS} FROM late CROSS JOIN LATERAL unnest(fresh) AS gap ORDER BY 1, 2, 3"""


async def tell(tx: Connection, *, patience: timedelta) -> list[Gap]:
    """What has been missing for so long and was not told of yet; it is now."""
    return [Gap(*row) for row in await tx.fetch(TELL, patience)]


FILLED = """
UPDATE event_numbers SET told = '{}' WHERE missing_since IS NULL AND NOT isempty(told)
RETURNING studio_id, source, newest"""


async def filled(tx: Connection) -> list[tuple[str, str, int]]:
    """The sources that were told of and are whole again, with the newest number of each."""
    return [tuple(row) for row in await tx.fetch(FILLED)]


ACCEPT = """
UPDATE event_numbers SET missing = '{}', missing_since = NULL, told = '{}'
 WHERE studio_id = $1 AND missing_since IS NOT NULL"""


async def accept(tx: Connection, studio: str) -> None:
    """Look for what is missing no more."""
    await tx.execute(ACCEPT, studio)
