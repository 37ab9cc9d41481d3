"""What a template may use and what it would say, for whoever writes one. Nothing here saves anything."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pydantic import Field

from control_center.domain.template_fields import KINDS
from control_center.engine import previews, templates
from control_center.engine.previews import Preview
from control_center.store.pages import sorted_page
from control_center.web.api import fields, ids
from control_center.web.api.routes import JSON, Answer, Call, Items, ListQuery, Model, Route, StudioQuery
from control_center.web.api.templates import Caution, Words, name_of, words_of

_KIND = f"^({'|'.join(['any', *KINDS])})$"


class FieldsQuery(ListQuery):
    """The fields for templates of a kind."""

    kind: Annotated[str, Field(pattern=_KIND, description="any, or a kind of record")] = "any"


class About(Model):
    """The record to show a template with; a made-up one where none is named."""

    record: ids.RecordId | None = None


class Draft(Words):
    """A template that need not be saved, and the record to show it with."""

    record: ids.RecordId | None = None


class TemplateField(msgspec.Struct, frozen=True):
    """A field: its name, what to write into a template for it, what it is, and how it reads; `many` is a list."""

    name: str
    insert: str
    sentence: str
    example: str
    many: bool


class Letter(msgspec.Struct, frozen=True):
    """A letter of a text that is `replaced` by a plain one, counts `double`, or makes the whole text `wide`.

    `place` is where it stands first, from 1: of a replaced one in the words as they were filled in, else as they leave.
    """

    letter: str
    name: str
    place: int
    count: int
    effect: str
    becomes: str | None = None
    emoji: bool = False


class Text(msgspec.Struct, frozen=True):
    """An SMS as it would leave. `units` are septets (gsm7) or UTF-16 units (ucs2), `parts` what a phone receives."""

    text: str
    encoding: Literal["gsm7", "ucs2"]
    units: int
    segments: int
    parts: list[str]
    letters: list[Letter]
    cost: str | None = None


class Mail(msgspec.Struct, frozen=True):
    """An email as it would leave; `bytes` is the size of its HTML."""

    subject: str
    text: str
    html: str | None
    bytes: int


class Lack(msgspec.Struct, frozen=True):
    """Why a part cannot be written: the field without a value, or another reason."""

    part: str
    field: str
    reason: str


class Left(msgspec.Struct, frozen=True):
    """This month's texts against the studio's plan; null where it has no limit."""

    texts_per_month: int | None
    used: int
    left: int | None


class TemplatePreview(msgspec.Struct, frozen=True):
    """What would go out, and what it lacks. `record` is null where it was made up."""

    record: str | None
    client: str | None
    sms: Text | None
    email: Mail | None
    missing: list[Lack]
    warnings: list[Caution]
    plan: Left


async def _fields(call: Call[FieldsQuery, None]) -> Answer:
    query = call.query
    found = await templates.fields_of_kind(call.parts.pool, call.studio, query.kind)
    page = sorted_page(found, lambda one: one.name, str, cursor=query.cursor, limit=query.limit)
    items = [TemplateField(one.name, one.insert, one.sentence, one.example, one.many) for one in page.items]
    return Answer(Items(items, page.next_cursor))


async def _saved(call: Call[StudioQuery, About]) -> Answer:
    parts = call.parts
    found = await previews.of_saved(
        parts.pool, parts.clock(), call.studio, name_of(call), record=call.body.record, base=parts.public_url
    )
    return Answer(shown(found))


async def _draft(call: Call[StudioQuery, Draft]) -> Answer:
    parts, record = call.parts, call.body.record
    with fields.of('template "draft"', "template"):
        found = await previews.of_body(
            parts.pool, parts.clock(), call.studio, "draft", words_of(call.body), record=record, base=parts.public_url
        )
    return Answer(shown(found))


def shown(found: Preview) -> TemplatePreview:
    """A preview as the API shows it."""
    return msgspec.convert(found, TemplatePreview, from_attributes=True)


_SAYS = "The very words for a record, or for a made-up one: parts, letters that cost, and what has no value"

ROUTES: list[Route] = [
    Route(
        "GET",
        "/template-fields",
        "list_template_fields",
        "What a template of a kind may use: each field with a sentence and an example",
        "viewer",
        _fields,
        TemplateField,
        listed=True,
        query=FieldsQuery,
    ),
    Route(
        "POST",
        "/templates/{name}/preview",
        "preview_template",
        _SAYS,
        "viewer",
        _saved,
        TemplatePreview,
        reads={JSON: About},
    ),
    Route(
        "POST",
        "/templates/preview",
        "preview_draft",
        f"{_SAYS}; of words that are not saved",
        "viewer",
        _draft,
        TemplatePreview,
        reads={JSON: Draft},
    ),
]
