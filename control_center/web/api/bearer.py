"""Who calls: a bearer token, known by its digest, and the user it was made for."""

from __future__ import annotations

import hmac
from http import HTTPStatus

from aiohttp import web

from control_center.store import db, studios, tokens
from control_center.store.audit import INSTALLATION
from control_center.store.users import User
from control_center.web.api.routes import Route
from control_center.web.parts import Parts
from control_center.web.problems import Problem, wrong

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="control-center"'}
_LONGEST = 500  # characters of a token
_FEW = 5  # studios that one answer names


async def caller(parts: Parts, request: web.Request) -> User:
    """Whose token the call brings. Raises Problem 401 where it lets nobody in."""
    said = request.headers.getall("Authorization", [])
    scheme, _, given = said[0].partition(" ") if len(said) == 1 else ("", "", "")
    given = given.strip()
    if scheme.lower() != "bearer" or not given or len(given) > _LONGEST or not given.isascii():
        raise Problem(HTTPStatus.UNAUTHORIZED, "a header Authorization: Bearer <token> is needed", headers=_CHALLENGE)
    wanted = tokens.digest(given)
    async with db.session(parts.pool) as tx:
        found = await tokens.holder(tx, wanted)
    # The index compared digests already; this says so in constant time, whatever the index does.
    if found is None or not hmac.compare_digest(found[0], wanted):
        raise Problem(HTTPStatus.UNAUTHORIZED, "this token is not known", headers=_CHALLENGE)
    return found[1]


def allow(user: User, route: Route) -> None:
    """Raises Problem 403 where a route is beyond the user's role, or for those of every studio alone."""
    if not user.may(route.role):
        raise Problem(HTTPStatus.FORBIDDEN, f"this needs the role {route.role}; {user.name!r} has {user.role}")
    if route.everywhere and not user.everywhere:
        raise Problem(HTTPStatus.FORBIDDEN, f"this is about every studio; {user.name!r} is for some")


async def studio(parts: Parts, user: User, route: Route, named: str | None) -> str:
    """The studio that a call is about. Raises Problem 404, the same for one that is not there and one not for them.

    Where none is named, and there is no saying which is meant, a call that only looks is about the first; one that may
    change something is refused with Problem 400.
    """
    if route.about == "installation":
        return INSTALLATION
    wanted = named if named is not None else await _default(parts, user, looking=route.method == "GET" or route.of_many)
    async with db.session(parts.pool) as tx:
        known = user.sees(wanted) and bool(await studios.get(tx, [wanted]))
    if not known:
        raise no_studio(wanted)
    return wanted


def no_studio(studio: str) -> Problem:
    """That there is none, told in the same words to whom it is hidden from."""
    return wrong("studio", f"there is no studio {studio[:60]!r}", HTTPStatus.NOT_FOUND)


async def _default(parts: Parts, user: User, *, looking: bool) -> str:
    """The studio meant where none is named: the configured one, else the only one, or the first, that the user sees."""
    async with db.session(parts.pool) as tx:
        known = [one.studio for one in await studios.every(tx) if user.sees(one.studio)]
    if not known:
        raise wrong("studio", "there is no studio yet", HTTPStatus.NOT_FOUND)
    if parts.studio in known:
        return parts.studio
    if len(known) > 1 and not looking:
        some = ", ".join(known[:_FEW]) + (", ..." if len(known) > _FEW else "")
        raise wrong("studio", f"is missing; say which is meant: {some}", HTTPStatus.BAD_REQUEST)
    return known[0]
