"""Studios and their revision, which rises with everything a decision depends on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from control_center.domain.studio import Studio, parse
from control_center.domain.zones import IANA_VERSION
from control_center.store.db import Connection

_COLUMNS = "studio_id, name, timezone, country, settings, enabled, revision, catalog_revision"

# FOR SHARE: whoever changes a trigger or a blackout day waits for the batches that decide under the old ones.
SHARE = f"SELECT {_COLUMNS} FROM studios WHERE studio_id = ANY ($1::text[]) ORDER BY studio_id FOR SHARE"


async def share(tx: Connection, studios: Iterable[str]) -> dict[str, Studio]:
    """These studios, protected from changes until the transaction ends; unknown ones are left out."""
    return {row[0]: _studio(row) for row in await tx.fetch(SHARE, sorted(set(studios)))}


GET = f"SELECT {_COLUMNS} FROM studios WHERE studio_id = ANY ($1::text[])"


async def get(tx: Connection, studios: Iterable[str]) -> dict[str, Studio]:
    """These studios as they are now; unknown ones are left out."""
    return {row[0]: _studio(row) for row in await tx.fetch(GET, sorted(set(studios)))}


ALL = f"SELECT {_COLUMNS} FROM studios ORDER BY studio_id"


async def every(tx: Connection) -> list[Studio]:
    return [_studio(row) for row in await tx.fetch(ALL)]


SWITCHED_OFF = "SELECT studio_id FROM studios WHERE NOT enabled"


async def switched_off(tx: Connection) -> list[str]:
    """Studios for which nothing is released or sent."""
    return [row[0] for row in await tx.fetch(SWITCHED_OFF)]


PUT = """
INSERT INTO studios (studio_id, name, timezone, country, settings, enabled, numbers, zones)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (studio_id) DO UPDATE
   SET name = excluded.name, timezone = excluded.timezone, country = excluded.country,
       settings = excluded.settings, enabled = excluded.enabled,
       numbers = excluded.numbers, revision = studios.revision + 1"""


async def put(tx: Connection, studio: Studio) -> None:
    """Create a studio or replace what it says."""
    settings = msgspec.json.encode(studio.settings()).decode()
    await tx.execute(
        PUT,
        studio.studio,
        studio.name,
        studio.timezone,
        studio.country,
        settings,
        studio.enabled,
        list(studio.every_number),
        IANA_VERSION,
    )


# Numbers are compared as messages spell them, accounts as the settings name them.
USED_ELSEWHERE = """
SELECT coalesce((SELECT array_agg(number) FROM unnest($2::text[]) AS number
                  WHERE EXISTS (SELECT FROM studios WHERE studio_id <> $1 AND numbers @> ARRAY[number])),
                '{}'),
       ARRAY (SELECT DISTINCT coalesce(settings::jsonb #>> '{sms,account}', 'default') FROM studios
               WHERE studio_id <> $1),
       ARRAY (SELECT DISTINCT coalesce(settings::jsonb #>> '{email,account}', 'default') FROM studios
               WHERE studio_id <> $1)"""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What other studios have: which of the numbers asked about, and the accounts of each channel."""

    numbers: frozenset[str]
    sms_accounts: frozenset[str]
    email_accounts: frozenset[str]


async def used_elsewhere(tx: Connection, studio: str, numbers: Sequence[str]) -> Elsewhere:
    """What studios other than this one have."""
    row = await tx.fetchrow(USED_ELSEWHERE, studio, list(numbers))
    return Elsewhere(frozenset(row[0]), frozenset(row[1]), frozenset(row[2]))


LOCK_NUMBERS = "SELECT pg_advisory_xact_lock(hashtextextended('numbers of studios', 0))"


async def lock_numbers(tx: Connection) -> None:
    """Make whoever else would take a number or an account for a studio wait."""
    await tx.execute(LOCK_NUMBERS)


BUMP = "UPDATE studios SET revision = revision + 1 WHERE studio_id = $1 RETURNING revision"


async def bump(tx: Connection, studio: str) -> int | None:
    """Say that something decisions depend on has changed; None where there is no such studio. Locks its row."""
    revision: int | None = await tx.fetchval(BUMP, studio)
    return revision


PLACED_BEFORE = "SELECT studio_id FROM studios WHERE zones <> $1 ORDER BY studio_id"


async def placed_before(tx: Connection, zones: str) -> list[str]:
    """Studios where what waits was placed by another release of the time zones than this."""
    return [row[0] for row in await tx.fetch(PLACED_BEFORE, zones)]


PLACED = "UPDATE studios SET zones = $2, revision = revision + 1 WHERE studio_id = $1 AND zones <> $2 RETURNING zones"


async def placed(tx: Connection, studio: str, zones: str) -> bool:
    """Say that it is placed by this release; whether it was by another. Locks its row."""
    return await tx.fetchval(PLACED, studio, zones) is not None


LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('studio' || chr(31) || $1, 0))"


async def lock(tx: Connection, studio: str) -> None:
    """Make whoever else would make a studio of that id wait: a row that is not there yet cannot be locked."""
    await tx.execute(LOCK, studio)


HAS_WAITING = """
SELECT EXISTS (SELECT FROM actions WHERE studio_id = $1 AND state IN ('planned', 'review', 'held'))
    OR EXISTS (SELECT FROM messages
                WHERE studio_id = $1 AND state IN ('queued', 'held', 'claimed', 'submitting', 'unknown'))
    OR EXISTS (SELECT FROM bulks WHERE studio_id = $1 AND state IN ('scheduled', 'running', 'paused'))"""


async def has_waiting(tx: Connection, studio: str) -> bool:
    """Whether anything may still be sent for a studio, or may have been sent."""
    return bool(await tx.fetchval(HAS_WAITING, studio))


DROP = "DELETE FROM studios WHERE studio_id = $1"


async def drop(tx: Connection, studio: str) -> bool:
    return bool((await tx.execute(DROP, studio)) == "DELETE 1")


def _studio(row: Sequence[Any]) -> Studio:
    studio, name, timezone, country, settings, enabled, revision, catalog_revision = row
    values = {"id": studio, "name": name, "timezone": timezone, "country": country, "enabled": enabled}
    found = parse({**msgspec.json.decode(settings), **values}, revision=revision)
    return replace(found, catalog_revision=catalog_revision)
