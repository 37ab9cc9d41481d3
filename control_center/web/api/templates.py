"""Templates over HTTP, by their names."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from pydantic import Field

from control_center.domain.text_advice import Advice
from control_center.engine import templates
from control_center.engine.templates import Stored
from control_center.store.pages import sorted_page
from control_center.web.api import fields, ids, versions
from control_center.web.api.routes import JSON, Answer, Call, Items, ListQuery, Model, Route, StudioQuery
from control_center.web.problems import wrong

_Words = Annotated[str, Field(min_length=1, max_length=100_000)]


class Words(Model):
    """A template without its name."""

    kind: Annotated[str, Field(min_length=1, max_length=40, description="any, or a kind of record")] = "any"
    purpose: Literal["marketing", "transactional"] = "marketing"
    sms: _Words | None = None
    subject: _Words | None = None
    text: _Words | None = None
    html: _Words | None = None
    layout: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=40,
                description="of its mails: plain, reminder or gallery; none: its html alone",
            ),
        ]
        | None
    ) = None
    attachments: Annotated[
        list[Literal["confirmation", "invoice"]],
        Field(
            max_length=20,
            default_factory=list,
            description="what goes along with an email: the session's .ics file, the invoice's link",
        ),
    ]


class NewTemplate(Words):
    """Words in Liquid for texts, mail, letters and call notes."""

    name: Annotated[str, Field(pattern=ids.TEMPLATE)]


class ChangedTemplate(Words):
    """What a template says from now on; what else was read (name, version, warnings) may be there."""

    name: Annotated[str, Field(pattern=ids.TEMPLATE)] | None = None
    version: Annotated[int, Field(ge=1)] | None = None
    warnings: list[Any] | None = None


class Template(msgspec.Struct, frozen=True):
    """A template of contract part 5, and how often it was saved."""

    name: str
    version: int
    kind: str
    purpose: str
    sms: str | None = None
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    layout: str | None = None
    attachments: tuple[str, ...] = ()


class Caution(msgspec.Struct, frozen=True):
    """What to think over before it goes to many; `code` is stable, `field` the part that it is about."""

    field: str
    code: str
    sentence: str


class TemplateInFull(Template, frozen=True):
    """A template, with what its author should think over; none of it keeps it from being used."""

    warnings: list[Caution] = []


def cautions(found: Iterable[Advice]) -> list[Caution]:
    return [Caution(one.field, one.code, one.sentence) for one in found]


def shown(stored: Stored) -> Template:
    known = {key: stored.body[key] for key in Template.__struct_fields__ if key in stored.body}
    return Template(**{"kind": "any", "purpose": "marketing", **known, "name": stored.name, "version": stored.version})


async def _in_full(call: Call[Any, Any], stored: Stored) -> TemplateInFull:
    found = await templates.advised(call.parts.pool, call.studio, stored)
    return TemplateInFull(**msgspec.structs.asdict(shown(stored)), warnings=cautions(found))


async def _list(call: Call[ListQuery, None]) -> Answer:
    query = call.query
    found = await templates.every(call.parts.pool, call.studio)
    page = sorted_page(found, lambda one: one.name, str, cursor=query.cursor, limit=query.limit)
    return Answer(Items([shown(one) for one in page.items], page.next_cursor))


async def _get(call: Call[StudioQuery, None]) -> Answer:
    stored = await templates.get(call.parts.pool, call.studio, name_of(call))
    return versions.answer(await _in_full(call, stored), stored.version)


async def _post(call: Call[StudioQuery, NewTemplate]) -> Answer:
    name = call.body.name
    with fields.of(f'template "{name}"', "template"):
        stored = await templates.create(call.parts.pool, call.studio, name, words_of(call.body), by=call.by)
    in_full = await _in_full(call, stored)
    return versions.answer(in_full, stored.version, made=f"/api/v1/templates/{quote(stored.name, safe='')}")


async def _put(call: Call[StudioQuery, ChangedTemplate]) -> Answer:
    name = name_of(call)
    if call.body.name not in (None, name):
        raise wrong("name", f"is not that of the address, {name!r}; a template keeps its name")
    wanted = versions.begun(call.versions, call.body.version)
    with fields.of(f'template "{name}"', "template"):
        stored = await templates.replace(
            call.parts.pool, call.studio, name, words_of(call.body), versions=wanted, by=call.by
        )
    return versions.answer(await _in_full(call, stored), stored.version)


async def _delete(call: Call[StudioQuery, None]) -> Answer:
    await templates.drop(call.parts.pool, call.studio, name_of(call), versions=call.versions, by=call.by)
    return Answer(None, HTTPStatus.NO_CONTENT)


def words_of(body: Words) -> dict[str, Any]:
    """The words of a template as its file would have them."""
    return body.model_dump(exclude={"name", "version", "warnings", "record"}, exclude_none=True)


def name_of(call: Call[Any, Any]) -> str:
    name = call.path["name"]
    if "\x00" in name or not name.isprintable():
        raise ids.missing("template", name)
    return name


_ONE = "/templates/{name}"

ROUTES = [
    Route("GET", "/templates", "list_templates", "Templates", "viewer", _list, Template, listed=True, query=ListQuery),
    Route(
        "POST",
        "/templates",
        "create_template",
        "Save a new template",
        "author",
        _post,
        TemplateInFull,
        status=201,
        reads={JSON: NewTemplate},
        versioned=True,
    ),
    Route("GET", _ONE, "get_template", "One template", "viewer", _get, TemplateInFull, versioned=True),
    Route(
        "PUT",
        _ONE,
        "replace_template",
        "Say something else; messages not yet submitted are written with it",
        "author",
        _put,
        TemplateInFull,
        reads={JSON: ChangedTemplate},
        versioned=True,
    ),
    Route(
        "DELETE",
        _ONE,
        "delete_template",
        "Delete one that no trigger uses",
        "author",
        _delete,
        None,
        status=204,
        versioned=True,
    ),
]
