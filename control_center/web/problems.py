"""What went wrong with a call, as RFC 9457 problem documents that name the field."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from aiohttp import web

from control_center.domain.errors import Conflict, ControlCenterError, Malformed, NotFound, Outdated, Refused
from control_center.store import db

log = structlog.get_logger(__name__)

MEDIA = "application/problem+json"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Error(msgspec.Struct, frozen=True):
    """One wrong field and what is allowed there."""

    field: str
    reason: str


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457. `field` is the first wrong one, `errors` are all of them; `count` is the true one of a wrong count."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    field: str | None = None
    errors: list[Error] = []
    count: int | None = None


class Problem(Exception):  # noqa: N818 - what is raised is the answer
    """A call that cannot be answered as asked. `detail` is a sentence for the person who made it."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[Error] = (),
        headers: Mapping[str, str] | None = None,
        count: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.count = count
        self.headers = dict(headers or {})


def wrong(field: str, reason: str, status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY) -> Problem:
    """A problem with one field."""
    return Problem(status, f"{field}: {reason}" if field else reason, errors=[Error(field, reason)])


AWAY = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "the database is away; nothing was changed as far as we know, so try again",
    headers={"Retry-After": "5"},
)


def response(problem: Problem) -> web.Response:
    """The problem as a response."""
    document = ProblemDocument(
        title=problem.status.phrase,
        status=problem.status.value,
        detail=problem.detail,
        field=problem.errors[0].field if problem.errors else None,
        errors=problem.errors,
        count=problem.count,
    )
    return web.Response(
        status=problem.status.value,
        body=msgspec.json.encode(document),
        content_type=MEDIA,
        headers=problem.headers,
    )


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure becomes a problem document; what nobody foresaw is logged and told without details."""
    try:
        return await handler(request)
    except Problem as problem:
        return response(problem)
    except web.HTTPException as error:
        return response(_of_http(request, error))
    except ControlCenterError as error:
        return response(_of_domain(request, error))
    except db.AWAY as error:
        log.warning("http.database_away", reason=f"{type(error).__name__}: {error}")
        return response(AWAY)
    except Exception:
        log.exception("http.failed", route=_name(request))
        return response(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this is our fault; the log says more"))


def _of_domain(request: web.Request, error: ControlCenterError) -> Problem:
    match error:
        case Malformed(field=field, reason=reason) if request.method == "GET" or field == "cursor":
            return wrong(field, reason, HTTPStatus.BAD_REQUEST)  # of the query, and not of a body
        case Malformed(field=field, reason=reason):
            return wrong(field, reason)
        case Outdated():
            return Problem(HTTPStatus.PRECONDITION_FAILED, str(error))
        case NotFound():
            return Problem(HTTPStatus.NOT_FOUND, str(error))
        case Refused():
            return Problem(HTTPStatus.CONFLICT, str(error))
        case Conflict():
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"Retry-After": "1"})
        case _:
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))


def _of_http(request: web.Request, error: web.HTTPException) -> Problem:
    """What aiohttp itself says: no such address, or not with this method."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{request.method[:20]} is not offered here; allowed: {allowed}",
            headers={"Allow": allowed},
        )
    detail = "there is nothing at this address" if error.status == HTTPStatus.NOT_FOUND else error.reason
    return Problem(HTTPStatus(error.status), detail)


def _name(request: web.Request) -> str:
    resource: Any = request.match_info.route
    return str(resource.name or "?")
