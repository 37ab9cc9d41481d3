"""The versions of a trigger over HTTP: what an edit would do, shown before it is saved, and the way back to one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic import Field

from control_center.engine import trigger_changes, trigger_edits
from control_center.engine import trigger_versions as engine
from control_center.engine.editions import check_version
from control_center.engine.trigger_effect import Effect
from control_center.store.pages import sorted_page
from control_center.store.triggers import Saved
from control_center.web.api import fields, ids, reading, triggers, versions
from control_center.web.api.routes import JSON, Answer, Call, Items, ListQuery, Model, Route

_NEWEST = 10**9  # no trigger has more versions: so counted down from, they are listed from the newest on


class Version(msgspec.Struct, frozen=True):
    """What a trigger said, who saved it, and what was chosen for what waited then."""

    version: int
    saved_at: datetime
    saved_by: str
    pending: str
    definition: dict[str, Any]


class Pending(msgspec.Struct, frozen=True):
    """How many actions wait, and what becomes of them; `why` counts the reasons to vanish."""

    total: int
    keep: int
    move: int
    vanish: int
    hold: int
    why: dict[str, int]


class Seen(msgspec.Struct, frozen=True):
    """What saving would change: line by line, in what waits, and beside it; and what to think of first."""

    kind: str
    version: int | None
    lines: list[str]
    choice: str
    turns: str
    pending: Pending
    planned: int
    set_aside: int
    warnings: list[str]


class Back(Model):
    """The version whose words and rules the trigger is to have again."""

    version: Annotated[int, Field(ge=1, le=_NEWEST)]


async def _list(call: Call[ListQuery, None]) -> Answer:
    saved = await _of_address(call)
    found = await engine.versions(call.parts.pool, call.studio, saved.name)
    query = call.query
    page = sorted_page(found, lambda one: f"{_NEWEST - one.version:010}", str, cursor=query.cursor, limit=query.limit)
    return Answer(Items([_shown(one) for one in page.items], page.next_cursor))


def _shown(one: Saved) -> Version:
    return Version(one.version, one.saved_at, str(one.saved_by), one.pending, one.definition)


async def _preview(call: Call[triggers.EditQuery, None]) -> Answer:
    """As with a PUT, which would do it; another name is no edit of what waits, and is not looked at."""
    saved = await _of_address(call)
    given = reading.table(call.raw)
    table = {key: value for key, value in given.items() if key not in triggers.OURS} | {"name": saved.name}
    parts = call.parts
    with fields.of(f'{trigger_edits.WHERE} "{saved.name}"', trigger_edits.WHERE):
        found = await trigger_changes.preview(
            parts.pool, parts.clock, call.studio, table, pending=call.query.pending, where=trigger_edits.WHERE
        )
    effect = found.effect
    return Answer(
        Seen(
            kind=found.kind,
            version=found.version,
            lines=list(found.lines),
            choice=found.choice,
            turns=found.turns,
            pending=_pending(effect),
            planned=effect.planned,
            set_aside=effect.set_aside,
            warnings=list(found.warnings),
        )
    )


def _pending(effect: Effect) -> Pending:
    return Pending(effect.total, effect.keep, effect.move, effect.vanish, effect.hold, dict(effect.why))


async def _rollback(call: Call[triggers.EditQuery, Back]) -> Answer:
    saved, parts = await _of_address(call), call.parts
    check_version(saved.version, call.versions, f"trigger {saved.name!r}")
    with fields.of(f'{trigger_edits.WHERE} "{saved.name}"', trigger_edits.WHERE):
        await engine.rollback(
            parts.pool,
            parts.clock,
            call.studio,
            saved.name,
            call.body.version,
            by=call.by,
            pending=call.query.pending,
            expect=None if call.versions is None else saved.version,
        )
    found = await _of_address(call)
    return versions.answer(triggers.shown(found), found.version)


async def _of_address(call: Call[Any, Any]) -> Saved:
    number = ids.number(call.path["id"], ids.TRIGGER, "trigger")
    return await trigger_edits.get(call.parts.pool, call.studio, number)


ROUTES = [
    Route(
        "GET",
        "/triggers/{id}/versions",
        "list_trigger_versions",
        "What a trigger said, version by version, the newest first",
        "viewer",
        _list,
        Version,
        listed=True,
        query=ListQuery,
    ),
    Route(
        "POST",
        "/triggers/{id}/preview",
        "preview_trigger",
        "What a PUT of the same table would do to the trigger and to what waits under it; nothing is saved",
        "author",
        _preview,
        Seen,
        query=triggers.EditQuery,
        reads={JSON: triggers.WRITTEN},
    ),
    Route(
        "POST",
        "/triggers/{id}/rollback",
        "roll_back_trigger",
        "Let a trigger say again what it said in an earlier version, as a version of its own",
        "author",
        _rollback,
        triggers.SHOWN,
        query=triggers.EditQuery,
        reads={JSON: Back},
        versioned=True,
    ),
]
