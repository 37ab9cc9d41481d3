"""Bearer tokens of API clients: only their digests are here."""

from __future__ import annotations

from dataclasses import dataclass

from control_center.store.db import Connection

EVERY_STUDIO = "*"


@dataclass(frozen=True, slots=True)
class Token:
    """Who holds a token, for which studio (`*`: every one), and what they may do."""

    studio: str
    digest: str
    name: str
    role: str


BY_DIGEST = "SELECT studio_id, digest, name, role FROM tokens WHERE digest = $1 ORDER BY studio_id"


async def by_digest(tx: Connection, digest: str) -> list[Token]:
    """What a token allows: one row for each studio it is for."""
    return [Token(*row) for row in await tx.fetch(BY_DIGEST, digest)]


OF_STUDIO = "SELECT studio_id, digest, name, role FROM tokens WHERE studio_id = $1 ORDER BY name"


async def of_studio(tx: Connection, studio: str) -> list[Token]:
    return [Token(*row) for row in await tx.fetch(OF_STUDIO, studio)]


KEEP = """
INSERT INTO tokens (studio_id, digest, name, role) VALUES ($1, $2, $3, $4)
    ON CONFLICT (studio_id, digest) DO UPDATE SET name = excluded.name, role = excluded.role"""


async def put(tx: Connection, token: Token) -> None:
    await tx.execute(KEEP, token.studio, token.digest, token.name, token.role)


DROP = "DELETE FROM tokens WHERE studio_id = $1 AND name = $2"


async def drop(tx: Connection, studio: str, name: str) -> bool:
    """Whether there was one of that name."""
    return int((await tx.execute(DROP, studio, name)).split()[1]) > 0
