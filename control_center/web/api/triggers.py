"""Triggers over HTTP: the tables of trigger files, one by one, each with its version."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from control_center.domain.catalogue import KINDS
from control_center.domain.catalogue_actions import ACTIONS
from control_center.engine import trigger_edits
from control_center.store.pages import sorted_page
from control_center.store.triggers import Saved
from control_center.web.api import fields, ids, reading, versions
from control_center.web.api.routes import JSON, Answer, Call, Items, ListQuery, Model, Route, StudioQuery
from control_center.web.problems import wrong

_SPLIT = ("session", "task")  # kinds whose triggers are of the Status type or of the Type type
OURS = ("id", "version", "saved_at", "saved_by")  # what an answer adds to the table; a PUT may send it back


class TriggersQuery(ListQuery):
    """Which triggers: of a kind of record, and of its Status or Type triggers those with that status or type."""

    record: Annotated[Literal[tuple(KINDS)], Field(description="a kind of record")] | None = None  # type: ignore[valid-type]  # as data
    by: Annotated[Literal["type", "status"], Field(description="for session and task only")] | None = None
    value: Annotated[ids.Name, Field(description="the type's or status' name; with `by`")] | None = None


class EditQuery(StudioQuery):
    pending: (
        Annotated[
            Literal["follow", "keep", "hold", "drain", "drop"],
            Field(
                description="what becomes of what waits under the version before: follow (planned anew, the default) or"
                " keep for an edit; hold (the default), drain or drop where it is switched off"
            ),
        ]
        | None
    ) = None


class Copy(Model):
    """What the copy is called; left out, the same with `(copy)`."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=ids.TEXT)] | None = None


def shown(saved: Saved) -> dict[str, Any]:
    """A trigger as the table it was written as, with its id and version."""
    head = {"id": str(saved.trigger_id), "version": saved.version}
    tail = {"enabled": saved.enabled, "saved_at": saved.saved_at, "saved_by": saved.saved_by}
    return {**head, **saved.definition, **tail}


def _answer(saved: Saved) -> Answer:
    return versions.answer(shown(saved), saved.version)


def _made(saved: Saved) -> Answer:
    return versions.answer(shown(saved), saved.version, made=f"/api/v1/triggers/{saved.trigger_id}")


async def _list(call: Call[TriggersQuery, None]) -> Answer:
    query = call.query
    if query.by is not None and query.record not in _SPLIT:
        raise wrong("by", f"is for record={' or '.join(_SPLIT)} only", HTTPStatus.BAD_REQUEST)
    if query.value is not None and query.by is None:
        raise wrong("value", "says nothing without by=type or by=status", HTTPStatus.BAD_REQUEST)
    wanted = [one for one in await trigger_edits.every(call.parts.pool, call.studio) if _wanted(one.definition, query)]
    page = sorted_page(wanted, lambda one: one.name, str, cursor=query.cursor, limit=query.limit)
    return Answer(Items([shown(one) for one in page.items], page.next_cursor))


def _wanted(table: Mapping[str, Any], query: TriggersQuery) -> bool:
    """With only a type a trigger is of the Type type; with a status, both or neither it is of the Status type."""
    if query.record is not None and table["record"] != query.record:
        return False
    if query.by is None:
        return True
    of_type = table.get("type") is not None and table.get("status") is None
    return of_type == (query.by == "type") and query.value in (None, table.get(query.by))


async def _get(call: Call[StudioQuery, None]) -> Answer:
    return _answer(await trigger_edits.get(call.parts.pool, call.studio, _number(call)))


async def _post(call: Call[StudioQuery, None]) -> Answer:
    table = reading.table(call.raw)
    with _fields(table):
        saved = await trigger_edits.create(call.parts.pool, call.parts.clock, call.studio, table, by=call.by)
    return _made(saved)


async def _put(call: Call[EditQuery, None]) -> Answer:
    number, table = _number(call), reading.table(call.raw)
    ours = {key: table.pop(key) for key in OURS if key in table}
    if ours.get("id", str(number)) != str(number):
        raise wrong("id", f"is not that of the address, {number}")
    read = ours.get("version")
    if read is not None and (not isinstance(read, int) or isinstance(read, bool)):
        raise wrong("version", "a whole number is needed")
    parts = call.parts
    with _fields(table):
        saved = await trigger_edits.replace(
            parts.pool,
            parts.clock,
            call.studio,
            number,
            table,
            versions=versions.begun(call.versions, read),
            pending=call.query.pending,
            by=call.by,
        )
    return _answer(saved)


def _fields(table: Mapping[str, Any]) -> Any:
    return fields.of(f'{trigger_edits.WHERE} "{table.get("name")}"', trigger_edits.WHERE)


async def _delete(call: Call[StudioQuery, None]) -> Answer:
    await trigger_edits.drop(call.parts.pool, call.studio, _number(call), versions=call.versions, by=call.by)
    return Answer(None, HTTPStatus.NO_CONTENT)


async def _copy(call: Call[StudioQuery, Copy]) -> Answer:
    parts = call.parts
    saved = await trigger_edits.copy(parts.pool, parts.clock, call.studio, _number(call), call.body.name, by=call.by)
    return _made(saved)


def _switch(*, on: bool) -> Callable[[Call[EditQuery, None]], Awaitable[Answer]]:
    async def handle(call: Call[EditQuery, None]) -> Answer:
        parts, number, pending = call.parts, _number(call), call.query.pending
        with fields.of(trigger_edits.WHERE):
            saved = await trigger_edits.switch(
                parts.pool,
                parts.clock,
                call.studio,
                number,
                on=on,
                versions=call.versions,
                pending=pending,
                by=call.by,
            )
        return _answer(saved)

    return handle


def _number(call: Call[Any, Any]) -> int:
    return ids.number(call.path["id"], ids.TRIGGER, "trigger")


_TABLE = {
    "name": {"type": "string", "minLength": 1, "maxLength": 200},
    "record": {"enum": list(KINDS)},
    "action": {"enum": list(ACTIONS)},
    "activate": {
        "type": "object",
        "required": ["on"],
        "properties": {"on": {"type": "string"}, "days": {"type": "integer"}},
    },
    "purpose": {"enum": ["transactional", "marketing"]},
    "status": {"type": "string"},
    "type": {"type": "string"},
    "enabled": {"type": "boolean"},
    "processing": {"type": "object"},
    "exclude": {"type": "object"},
}
_REQUIRED = ["name", "record", "action", "activate"]
WRITTEN = {
    "type": "object",
    "description": "The [[trigger]] table of a trigger file; docs/reference/triggers.md lists its keys.",
    "required": _REQUIRED,
    "properties": _TABLE,
}
SHOWN = {
    "type": "object",
    "description": "The table, with the trigger's id and version.",
    "required": ["id", "version", "enabled", "saved_at", "saved_by", *_REQUIRED],
    "properties": {
        **_TABLE,
        "id": {"type": "string", "pattern": ids.TRIGGER},
        "version": {"type": "integer", "minimum": 1},
        "saved_at": {"type": "string", "format": "date-time"},
        "saved_by": {"type": "string"},
    },
}
_ONE = "/triggers/{id}"

ROUTES = [
    Route("GET", "/triggers", "list_triggers", "Triggers", "viewer", _list, SHOWN, listed=True, query=TriggersQuery),
    Route(
        "POST",
        "/triggers",
        "create_trigger",
        "Save a new trigger; what is past by then is set aside with it",
        "author",
        _post,
        SHOWN,
        status=201,
        reads={JSON: WRITTEN},
        versioned=True,
    ),
    Route("GET", _ONE, "get_trigger", "One trigger", "viewer", _get, SHOWN, versioned=True),
    Route(
        "PUT",
        _ONE,
        "replace_trigger",
        "Save a trigger's next version",
        "author",
        _put,
        SHOWN,
        query=EditQuery,
        reads={JSON: WRITTEN},
        versioned=True,
    ),
    Route(
        "DELETE",
        _ONE,
        "delete_trigger",
        "Delete a trigger with what waits under it",
        "author",
        _delete,
        None,
        status=204,
        versioned=True,
    ),
    Route(
        "POST",
        f"{_ONE}/copy",
        "copy_trigger",
        "Save it once more under another name, switched off",
        "author",
        _copy,
        SHOWN,
        status=201,
        reads={JSON: Copy},
        versioned=True,
    ),
    *(
        Route(
            "POST",
            f"{_ONE}/{name}",
            f"{name}_trigger",
            says,
            "author",
            _switch(on=on),
            SHOWN,
            query=EditQuery,
            versioned=True,
        )
        for name, on, says in (
            ("enable", True, "Switch a trigger on; what is past by now is set aside"),
            ("disable", False, "Switch a trigger off"),
        )
    ),
]
