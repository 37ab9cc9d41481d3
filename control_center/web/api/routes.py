"""What a route of the API is: its address, who may call it, what it takes and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from control_center.domain.signature import Signature
from control_center.store.pages import LONGEST, is_storable
from control_center.store.users import User
from control_center.web.api import ids
from control_center.web.parts import Parts

JSON = "application/json"


class Model(BaseModel):
    """A query or a body: strict, and nothing beside what it names."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=False)


_AWARE = TypeAdapter(AwareDatetime)


def _instant(text: str) -> datetime:
    """What an address says as an instant; seconds since 1970, which pydantic would take, too, are none."""
    at = _AWARE.validate_strings(text)
    if text[4:5] != "-" or not is_storable(at):
        raise ValueError("an instant is needed, such as 2027-06-01T15:00:00Z")
    return at


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]


class StudioQuery(Model):
    """The studio that a call is about; where it is left out, that of the settings."""

    studio: Annotated[str, Field(pattern=ids.STUDIO, description="id of the studio")] | None = None


_Limit = Annotated[int, Field(ge=1, le=LONGEST, description="rows of one page")]
_Cursor = Annotated[str, Field(pattern=ids.CURSOR, description="next_cursor of the page before")]


class PageQuery(Model):
    """A page of a list."""

    limit: _Limit = 50
    cursor: _Cursor | None = None


class ListQuery(StudioQuery, PageQuery):
    """A page of a studio's list."""


class NoQuery(Model):
    """Nothing: what the call is about stands in its address."""


Q = TypeVar("Q", bound=Model)
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, B]):
    """One call, understood: who makes it, about which studio, with which query and body.

    `by` is the caller's name as changes are signed. `studio` is `*` where a call is about the installation. `path`
    holds the parts of the address in braces, `versions` those that If-Match names (None: any). `raw` and `media` are
    the body as it came, for what is not one JSON model.
    """

    parts: Parts
    caller: User
    by: Signature
    studio: str
    path: Mapping[str, str]
    query: Q
    body: B
    raw: bytes = b""
    media: str = ""
    content_type: str = ""
    versions: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call is answered with; None is no body at all."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Items(msgspec.Struct, frozen=True):
    """A list, and the cursor of what follows."""

    items: list[Any]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one address.

    `reads` gives the body by media type: a pydantic model, several of which one is chosen by its fields, or an
    OpenAPI schema where the handler reads `raw` itself. `answers` is the shape of a good answer (a type, several, or
    an OpenAPI schema), `listed` says
    that it is a list of those. `role` is the least that may call it.

    `about` says where the studio is named: in the query, in the address as `{id}`, or nowhere, where the call is about
    the installation. With `of_many` what the body holds names its studios itself. With `everywhere` only who is for
    every studio may call it. With `versioned` the thing has an ETag, which good answers show, and a call that changes
    it heeds If-Match.
    """

    method: str
    path: str
    name: str
    summary: str
    role: str
    handler: Callable[[Call[Any, Any]], Awaitable[Answer]]
    answers: Any
    status: int = 200
    listed: bool = False
    query: type[Model] = StudioQuery
    reads: Mapping[str, Any] = field(default_factory=dict)
    about: Literal["query", "address", "installation"] = "query"
    everywhere: bool = False
    versioned: bool = False
    of_many: bool = False

    @property
    def heeds(self) -> bool:
        """Whether it looks at If-Match: it changes a thing that was there, and has a version."""
        return self.versioned and self.method != "GET" and self.status != HTTPStatus.CREATED
