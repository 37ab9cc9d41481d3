"""Who calls: a bearer token, known by its digest, with a role and the studio it is for."""

from __future__ import annotations

import hashlib
import hmac
from http import HTTPStatus

from aiohttp import web

from control_center.store import db, studios, tokens
from control_center.store.tokens import EVERY_STUDIO, Token
from control_center.web.parts import Parts
from control_center.web.problems import Problem, wrong

ROLES = ("viewer", "front_desk", "author", "owner")  # each may what those before it may

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="control-center"'}
_LONGEST = 500  # characters of a token


def digest(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


async def held(parts: Parts, request: web.Request) -> list[Token]:
    """What the caller's token allows, by studio. Raises Problem 401 where it allows nothing."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    given = given.strip()
    if scheme.lower() != "bearer" or not given or len(given) > _LONGEST or not given.isascii():
        raise Problem(HTTPStatus.UNAUTHORIZED, "a header Authorization: Bearer <token> is needed", headers=_CHALLENGE)
    wanted = digest(given)
    async with db.session(parts.pool) as tx:
        found = await tokens.by_digest(tx, wanted)
    # The index compared digests already; this says so in constant time, whatever the index does.
    found = [one for one in found if hmac.compare_digest(one.digest, wanted)]
    if not found:
        raise Problem(HTTPStatus.UNAUTHORIZED, "this token is not known", headers=_CHALLENGE)
    return found


async def choose(parts: Parts, found: list[Token], studio: str | None, role: str) -> tuple[Token, str]:
    """The token row and studio of a call. Raises Problem: 403 beyond role or studio, 404 for an unknown studio."""
    everywhere = next((one for one in found if one.studio == EVERY_STUDIO), None)
    if studio is None:
        studio = await _default(parts) if everywhere else found[0].studio
    token = next((one for one in found if one.studio == studio), everywhere)
    if token is None:
        raise Problem(HTTPStatus.FORBIDDEN, f"this token is not for studio {studio!r}")
    if ROLES.index(token.role) < ROLES.index(role):
        raise Problem(HTTPStatus.FORBIDDEN, f"this needs the role {role}; the token {token.name!r} has {token.role}")
    async with db.session(parts.pool) as tx:
        if not await studios.get(tx, [studio]):
            raise wrong("studio", f"there is no studio {studio!r}", HTTPStatus.NOT_FOUND)
    return token, studio


async def _default(parts: Parts) -> str:
    if parts.studio is not None:
        return parts.studio
    async with db.session(parts.pool) as tx:
        known = await studios.every(tx)
    if not known:
        raise wrong("studio", "there is no studio yet", HTTPStatus.NOT_FOUND)
    return known[0].studio
