"""ETag and If-Match: an edit is refused where somebody else has saved since it was begun."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from control_center.web.problems import wrong

IF_MATCH = "If-Match"
PATTERN = r'^(\*|"[0-9]{1,9}"(, ?"[0-9]{1,9}")*)$'


def tag(version: int) -> Mapping[str, str]:
    """The header that names a version."""
    return {"ETag": f'"{version}"'}


def wanted(request: web.Request) -> frozenset[int] | None:
    """The versions from which an edit may have been made; None is any. Raises Problem 400 for what names none."""
    given = request.headers.get(IF_MATCH, "*").strip()
    if not re.fullmatch(PATTERN, given):
        raise wrong(IF_MATCH, 'allowed: * or the ETag that was read, such as "3"', HTTPStatus.BAD_REQUEST)
    return None if given == "*" else frozenset(map(int, re.findall("[0-9]+", given)))
