"""Public ids: actions are `a-12`, messages `m-12`, bulks `b-12`, blackouts, triggers and users their number."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated

from pydantic import Field

from control_center.web.problems import Problem

_NUMBER = "[1-9][0-9]{0,17}"
ACTION = f"^a-{_NUMBER}$"
MESSAGE = f"^m-{_NUMBER}$"
BULK = f"^b-{_NUMBER}$"
BLACKOUT = f"^{_NUMBER}$"
TRIGGER = USER = f"^{_NUMBER}$"
STUDIO = "^[a-z0-9][a-z0-9_-]{0,49}$"
TEMPLATE = r"^[^\x00-\x1f\x7f/.][^\x00-\x1f\x7f/]{0,199}$"  # also the name of a file, and a part of an address
RECORD = r"^[a-z_]{1,40}/[^\x00]{1,200}$"
PREFIX = r"^\+[1-9][0-9]{4,11}$"  # of neighbouring numbers
CURSOR = "^[A-Za-z0-9_-]{2,3000}$"
TEXT = r"^[^\x00]+$"  # what PostgreSQL can store

ActionId = Annotated[str, Field(pattern=ACTION, description="such as a-12")]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=TEXT)]
RecordId = Annotated[str, Field(pattern=RECORD, description="kind and id, such as session/4711")]


_OF = {
    "actions": ACTION,
    "messages": MESSAGE,
    "blackouts": BLACKOUT,
    "bulk": BULK,
    "triggers": TRIGGER,
    "users": USER,
    "studios": STUDIO,
    "templates": TEMPLATE,
}


def pattern(path: str) -> str:
    """What may stand in the braces of a route's path. So no word in a path is ever taken for an id."""
    return _OF[path.split("/")[1]]


def number(text: str, pattern: str, thing: str) -> int:
    """The number in a public id out of an address. Raises Problem 404 for what can be none."""
    if not re.fullmatch(pattern, text):
        raise missing(thing, text)
    return int(text.rpartition("-")[2])


def missing(thing: str, text: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"there is no {thing} {text[:60]!r}")


def record(text: str | None) -> tuple[str, str] | None:
    """Kind and id of a record given as `session/4711`."""
    if text is None:
        return None
    kind, _, record_id = text.partition("/")
    return kind, record_id
