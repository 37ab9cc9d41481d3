"""Bearer tokens of users: only their digests are here."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import msgspec

from control_center.store.db import Connection
from control_center.store.users import User, by_id


class Token(msgspec.Struct, frozen=True):
    """A token without itself: `id` is the beginning of its digest, by which people name it."""

    id: str
    origin: str
    made_at: datetime
    made_by: str
    revoked_at: datetime | None
    revoked_by: str | None


_ID = 12  # characters of a digest that name a token


def digest(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def name_of(digest: str) -> str:
    """The id by which people name a token."""
    return digest[:_ID]


HOLDER = """
SELECT digest, user_id FROM tokens JOIN users USING (user_id) WHERE digest = $1 AND revoked_at IS NULL AND active"""


async def holder(tx: Connection, digest: str) -> tuple[str, User] | None:
    """The digest as it is stored, and whose token it is; None for one that lets nobody in (any more)."""
    row = await tx.fetchrow(HOLDER, digest)
    if row is None:
        return None
    user = await by_id(tx, row[1])
    return None if user is None else (row[0], user)


OF_USER = """
SELECT digest, origin, made_at, made_by, revoked_at, revoked_by FROM tokens WHERE user_id = $1
 ORDER BY made_at, digest"""


async def of_user(tx: Connection, user_id: int) -> list[Token]:
    """A user's tokens, revoked ones included, oldest first."""
    return [_token(row) for row in await tx.fetch(OF_USER, user_id)]


PUT = "INSERT INTO tokens (digest, user_id, origin, made_by) VALUES ($1, $2, 'issued', $3)"


async def put(tx: Connection, user_id: int, digest: str, *, by: str) -> None:
    await tx.execute(PUT, digest, user_id, str(by))


# What a person revoked stays so: only what a change of the settings revoked comes back with the settings.
ADMIT = """
INSERT INTO tokens (digest, user_id, origin, made_by) VALUES ($1, $2, 'settings', $3)
    ON CONFLICT (digest) DO UPDATE
   SET revoked_at = CASE WHEN tokens.revoked_by = $3 THEN NULL ELSE tokens.revoked_at END,
       revoked_by = CASE WHEN tokens.revoked_by = $3 THEN NULL ELSE tokens.revoked_by END
RETURNING revoked_at IS NULL, xmax = 0"""


async def admit(tx: Connection, user_id: int, digest: str, *, by: str) -> tuple[bool, bool]:
    """Let the token of the settings in; returns whether it is in force, and whether it is new."""
    in_force, is_new = await tx.fetchrow(ADMIT, digest, user_id, str(by))
    return bool(in_force), bool(is_new)


REVOKE = """
UPDATE tokens SET revoked_at = clock_timestamp(), revoked_by = $3
 WHERE user_id = $1 AND revoked_at IS NULL AND ($2::text IS NULL OR left(digest, 12) = $2)
RETURNING digest, origin, made_at, made_by, revoked_at, revoked_by"""


async def revoke(tx: Connection, user_id: int, token: str | None, *, by: str) -> list[Token]:
    """Revoke one of a user's tokens by its id, or all of them; returns those that were in force."""
    return [_token(row) for row in await tx.fetch(REVOKE, user_id, token, str(by))]


REVOKE_OTHERS = """
UPDATE tokens SET revoked_at = clock_timestamp(), revoked_by = $3
 WHERE user_id = $1 AND revoked_at IS NULL AND origin = 'settings' AND digest <> $2
RETURNING digest, origin, made_at, made_by, revoked_at, revoked_by"""


async def revoke_others(tx: Connection, user_id: int, digest: str, *, by: str) -> list[Token]:
    """Revoke what the settings said before; returns those that were in force."""
    return [_token(row) for row in await tx.fetch(REVOKE_OTHERS, user_id, digest, str(by))]


def _token(row: Any) -> Token:
    return Token(name_of(row[0]), *row[1:])
