"""ETag and If-Match: an edit is refused where somebody else has saved since it was begun."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from control_center.web.api.routes import Answer
from control_center.web.problems import wrong

IF_MATCH = "If-Match"
PATTERN = r'^(\*|"[0-9]{1,9}"(, ?"[0-9]{1,9}")*)$'


def answer(resource: Any, version: int, *, made: str | None = None) -> Answer:
    """A resource with the header that names its version; `made` is the address of one that was made just now."""
    tag: Mapping[str, str] = {"ETag": f'"{version}"'}
    if made is None:
        return Answer(resource, HTTPStatus.OK, tag)
    return Answer(resource, HTTPStatus.CREATED, {**tag, "Location": made})


def wanted(request: web.Request) -> frozenset[int] | None:
    """The versions from which an edit may have been made; None is any. Raises Problem 400 for what names none."""
    given = request.headers.get(IF_MATCH, "*").strip()
    if not re.fullmatch(PATTERN, given):
        raise wrong(IF_MATCH, 'allowed: * or the ETag that was read, such as "3"', HTTPStatus.BAD_REQUEST)
    return None if given == "*" else frozenset(map(int, re.findall("[0-9]+", given)))


def begun(named: frozenset[int] | None, read: int | None) -> frozenset[int] | None:
    """The versions of `wanted`; where any will do, the one that the body was read with and brings back, if it does."""
    return frozenset({read}) if named is None and read is not None else named
