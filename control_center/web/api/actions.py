"""Actions over HTTP: the list, one of them, and what a person does with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from pydantic import AwareDatetime, Field

from control_center.domain.action import PENDING, State
from control_center.engine import review
from control_center.store import db, views_actions
from control_center.store.views_actions import Action, Filter
from control_center.web.api import ids
from control_center.web.api.routes import JSON, Answer, Call, Items, ListQuery, Model, Route, StudioQuery
from control_center.web.problems import wrong

STATES = "|".join(state.value for state in State)


_States = Annotated[str, Field(pattern=f"^({STATES})(,({STATES}))*$", description="one or more, by commas")]

_Order = Annotated[Literal["newest", "due"], Field(description="newest first, or what waits, soonest due first")]


class ActionsQuery(ListQuery):
    state: _States | None = None
    trigger: ids.Name | None = None
    record: ids.RecordId | None = None
    due_from: Annotated[AwareDatetime, Field(description="due at this instant or later")] | None = None
    due_before: Annotated[AwareDatetime, Field(description="due before this instant")] | None = None
    order: Annotated[Literal["newest", "due"], Field(description="newest first, or what waits, soonest due first")] = (
        "newest"
    )


class ActionIds(Model):
    """The actions that a person decided on, as they were listed."""

    ids: Annotated[list[ids.ActionId], Field(min_length=1, max_length=1000)]


class Done(msgspec.Struct, frozen=True):
    """The actions as they are afterwards: one that cannot be changed any more is as it was, with its reason."""

    items: list[Action]


async def _list(call: Call[ActionsQuery, None]) -> Answer:
    """By due time only what waits is listed, unless states are named: what is over was due at some time, too."""
    query = call.query
    waiting = sorted(PENDING) if query.order == "due" else None
    wanted = Filter(
        states=[State(one) for one in query.state.split(",")] if query.state else waiting,
        trigger=query.trigger,
        record=ids.record(query.record),
        due_from=query.due_from,
        due_before=query.due_before,
    )
    read = views_actions.by_due if query.order == "due" else views_actions.actions
    async with db.session(call.parts.pool) as tx:
        page = await read(tx, call.studio, wanted, cursor=query.cursor, limit=query.limit)
    return Answer(Items(page.items, page.next_cursor))


async def _get(call: Call[StudioQuery, None]) -> Answer:
    number = _number(call)
    found = await _read(call, [number])
    if not found:
        raise ids.missing("action", call.path["id"])
    return Answer(found[0])


_Deed: TypeAlias = Callable[[Call[Any, Any], Sequence[int]], Awaitable[None]]


async def _process(call: Call[Any, Any], numbers: Sequence[int]) -> None:
    await review.process(call.parts.pool, call.parts.clock, call.studio, numbers, by=call.by)


async def _delete(call: Call[Any, Any], numbers: Sequence[int]) -> None:
    await review.delete(call.parts.pool, call.parts.clock, call.studio, numbers, by=call.by)


async def _skip(call: Call[Any, Any], numbers: Sequence[int]) -> None:
    """Leave them where they are, to come up again; only that they exist is checked."""
    found = {one.number for one in await _read(call, numbers)}
    missing = [number for number in numbers if number not in found]
    if missing:
        raise ids.missing("action", f"a-{missing[0]}")


def _one(deed: _Deed) -> Callable[[Call[StudioQuery, None]], Awaitable[Answer]]:
    async def handle(call: Call[StudioQuery, None]) -> Answer:
        number = _number(call)
        await deed(call, [number])
        return Answer((await _read(call, [number]))[0])

    return handle


def _several(deed: _Deed) -> Callable[[Call[StudioQuery, ActionIds]], Awaitable[Answer]]:
    async def handle(call: Call[StudioQuery, ActionIds]) -> Answer:
        numbers = [ids.number(one, ids.ACTION, "action") for one in call.body.ids]
        if len(set(numbers)) < len(numbers):
            raise wrong("ids", "names an action twice", HTTPStatus.UNPROCESSABLE_ENTITY)
        await deed(call, numbers)
        return Answer(Done(await _read(call, numbers)))

    return handle


async def _read(call: Call[Any, Any], numbers: Sequence[int]) -> list[Action]:
    async with db.session(call.parts.pool) as tx:
        return await views_actions.by_id(tx, call.studio, numbers)


def _number(call: Call[Any, Any]) -> int:
    return ids.number(call.path["id"], ids.ACTION, "action")


_DEEDS: Mapping[str, tuple[_Deed, str]] = {
    "process": (_process, "run now: window and weekdays do not apply, everything else is checked again"),
    "skip": (_skip, "leave where it is, to come up again"),
    "delete": (_delete, "drop for good: nothing is sent, and the occurrence counts as handled"),
}

ROUTES = [
    Route("GET", "/actions", "list_actions", "Actions", "viewer", _list, Action, listed=True, query=ActionsQuery),
    Route("GET", "/actions/{id}", "get_action", "One action", "viewer", _get, Action),
    *(
        Route("POST", f"/actions/{{id}}/{name}", f"{name}_action", says, "front_desk", _one(deed), Action)
        for name, (deed, says) in _DEEDS.items()
    ),
    *(
        Route(
            "POST",
            f"/actions/{name}",
            f"{name}_actions",
            f"the same with several: {says}",
            "front_desk",
            _several(deed),
            Done,
            reads={JSON: ActionIds},
        )
        for name, (deed, says) in _DEEDS.items()
    ),
]
