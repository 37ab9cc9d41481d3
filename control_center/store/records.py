"""Our picture of the CRM's records and clients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias

from control_center.domain.errors import Conflict
from control_center.domain.record import Facts, Picture
from control_center.store.db import Connection

Key: TypeAlias = tuple[str, str, str]  # studio, kind, record id

_COLUMNS = """records.studio_id, records.kind, records.record_id, version, body, client_id, deleted,
       first_version, first_facts, known_since, erased_at IS NOT NULL"""

# Record by record along the key, in the order asked for; OFFSET 0 keeps the planner from joining the tables.
LOCK = f"""
SELECT {_COLUMNS}
  FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (studio_id, kind, record_id)
 CROSS JOIN LATERAL (
       SELECT * FROM records
        WHERE records.studio_id = wanted.studio_id AND records.kind = wanted.kind
          AND records.record_id = wanted.record_id OFFSET 0 FOR UPDATE) AS records"""


async def lock(tx: Connection, keys: Iterable[Key]) -> dict[Key, Picture]:
    """The pictures of these records, locked in one order so that two batches cannot wait for each other."""
    rows = await tx.fetch(LOCK, *_columns(sorted(keys)))
    return {picture.key: picture for picture in map(_picture, rows)}


GET = f"""
SELECT {_COLUMNS}
  FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (studio_id, kind, record_id)
 CROSS JOIN LATERAL (
       SELECT * FROM records
        WHERE records.studio_id = wanted.studio_id AND records.kind = wanted.kind
          AND records.record_id = wanted.record_id OFFSET 0) AS records"""


async def get(tx: Connection, keys: Iterable[Key]) -> dict[Key, Picture]:
    """The pictures of these records as they are committed now; unknown ones are left out."""
    rows = await tx.fetch(GET, *_columns(list(keys)))
    return {picture.key: picture for picture in map(_picture, rows)}


SAVE = """
INSERT INTO records (studio_id, kind, record_id, version, body, client_id, deleted,
                     first_version, first_facts, known_since, reach)
SELECT studio_id, kind, record_id, version, body, client_id, deleted, first_version, first_facts, known_since,
       string_to_array(reach, ' ')
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::boolean[],
              $8::bigint[], $9::text[], $10::timestamptz[], $11::text[])
       AS seen (studio_id, kind, record_id, version, body, client_id, deleted, first_version, first_facts, known_since,
                reach)
    ON CONFLICT (studio_id, kind, record_id) DO UPDATE
   SET version = excluded.version, body = excluded.body, client_id = excluded.client_id,
       deleted = excluded.deleted, first_version = excluded.first_version, first_facts = excluded.first_facts,
       known_since = excluded.known_since, reach = excluded.reach, changed_at = clock_timestamp(),
       erased_at = NULL
 WHERE records.version <= excluded.version
RETURNING studio_id, kind, record_id, xmax = 0 AS created"""


async def save(
    tx: Connection,
    pictures: Sequence[Picture],
    known: Iterable[Key],
    *,
    reached: Mapping[Key, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Write new pictures. `known` are the keys that `lock` found; `reached` is where each client is reached.

    Raises Conflict when another transaction created one of the others meanwhile: what was decided on did not hold.
    """
    rows = await tx.fetch(
        SAVE,
        [picture.studio for picture in pictures],
        [picture.kind for picture in pictures],
        [picture.record_id for picture in pictures],
        [picture.version for picture in pictures],
        [picture.body for picture in pictures],
        [picture.client_id for picture in pictures],
        [picture.deleted for picture in pictures],
        [picture.first_version for picture in pictures],
        [picture.first_facts and picture.first_facts.to_json() for picture in pictures],
        [picture.known_since for picture in pictures],
        [" ".join(reached[picture.key]) if picture.key in reached else None for picture in pictures],
    )
    known = set(known)
    if len(rows) != len(pictures) or any(row["created"] is (tuple(row[:3]) in known) for row in rows):
        raise Conflict("another transaction saw the same new record first")


OF_KIND = f"""
SELECT {_COLUMNS} FROM records
 WHERE studio_id = $1 AND kind = $2 AND record_id > $3 AND NOT deleted
 ORDER BY record_id LIMIT $4"""


async def of_kind(tx: Connection, studio: str, kind: str, *, after: str, limit: int) -> list[Picture]:
    """A page of all records of a kind, for the baseline of a trigger."""
    return [_picture(row) for row in await tx.fetch(OF_KIND, studio, kind, after, limit)]


EVERY_OF_KIND = f"""
SELECT {_COLUMNS}, changed_at FROM records
 WHERE studio_id = $1 AND kind = $2 AND record_id > $3
 ORDER BY record_id LIMIT $4"""


async def every_of_kind(
    tx: Connection, studio: str, kind: str, *, after: str, limit: int
) -> list[tuple[Picture, datetime]]:
    """A page of all records of a kind, deleted ones too, each with the time when its newest version was written."""
    return [(_picture(row[:-1]), row[-1]) for row in await tx.fetch(EVERY_OF_KIND, studio, kind, after, limit)]


COUNT_OF_KIND = "SELECT count(*) FROM records WHERE studio_id = $1 AND kind = $2"


async def count_of_kind(tx: Connection, studio: str, kind: str) -> int:
    """How many `every_of_kind` has."""
    count: int = await tx.fetchval(COUNT_OF_KIND, studio, kind)
    return count


GET_WITH_TIMES = f"""
SELECT {_COLUMNS}, changed_at
  FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (studio_id, kind, record_id)
 CROSS JOIN LATERAL (
       SELECT * FROM records
        WHERE records.studio_id = wanted.studio_id AND records.kind = wanted.kind
          AND records.record_id = wanted.record_id OFFSET 0) AS records"""


async def get_with_times(tx: Connection, keys: Iterable[Key]) -> dict[Key, tuple[Picture, datetime]]:
    """The same of these records; unknown ones are left out."""
    rows = await tx.fetch(GET_WITH_TIMES, *_columns(list(keys)))
    return {picture.key: (picture, at) for picture, at in ((_picture(row[:-1]), row[-1]) for row in rows)}


def _columns(keys: Sequence[Key]) -> tuple[list[str], list[str], list[str]]:
    return [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]


def _picture(row: Any) -> Picture:
    studio, kind, record_id, version, body, client_id, deleted, first_version, first_facts, known_since, erased = row
    return Picture(
        studio=studio,
        kind=kind,
        record_id=record_id,
        version=version,
        body=body,
        client_id=client_id,
        deleted=deleted,
        first_version=first_version,
        first_facts=first_facts and Facts.from_json(first_facts),
        known_since=known_since,
        erased=erased,
    )
