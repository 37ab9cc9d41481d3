"""ETag and If-Match: an edit is refused where somebody else has saved since it was begun."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from control_center.engine.editions import LENGTH
from control_center.web.api.routes import Answer
from control_center.web.problems import wrong

IF_MATCH = "If-Match"
_TAG = f'"[0-9a-f]{{1,{LENGTH}}}"'
PATTERN = rf"^(\*|{_TAG}(, ?{_TAG})*)$"


def answer(resource: Any, version: int | str, *, made: str | None = None) -> Answer:
    """A resource with the header that names its version; `made` is the address of one that was made just now."""
    tag: Mapping[str, str] = {"ETag": f'"{version}"'}
    if made is None:
        return Answer(resource, HTTPStatus.OK, tag)
    return Answer(resource, HTTPStatus.CREATED, {**tag, "Location": made})


def wanted(request: web.Request, *, heeded: bool) -> frozenset[str] | None:
    """The versions from which an edit may have been made; None is any.

    Raises Problem 400 for what names none, and for a condition on a call that changes something and looks at none:
    whoever makes one would believe that it held.
    """
    given = ", ".join(request.headers.getall(IF_MATCH, ["*"])).strip()
    if not heeded:
        if IF_MATCH in request.headers and request.method != "GET":
            raise wrong(IF_MATCH, "is not looked at here; make the call without it", HTTPStatus.BAD_REQUEST)
        return None
    if not re.fullmatch(PATTERN, given):
        raise wrong(IF_MATCH, 'allowed: * or the ETag that was read, such as "3"', HTTPStatus.BAD_REQUEST)
    return None if given == "*" else frozenset(re.findall("[0-9a-f]+", given))


def begun(named: frozenset[str] | None, read: int | None) -> frozenset[str] | None:
    """The versions of `wanted`; where any will do, the one that the body was read with and brings back, if it does."""
    return frozenset({str(read)}) if named is None and read is not None else named
