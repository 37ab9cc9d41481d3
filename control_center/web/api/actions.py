"""Actions over HTTP: the list, one of them, and what a person does with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from pydantic import Field

from control_center.domain.action import PENDING, State
from control_center.domain.errors import Outdated
from control_center.engine import review, review_list
from control_center.engine.review_list import Deed, Miscounted, Tally
from control_center.store import db, views_actions, views_review
from control_center.store.pages import sorted_page
from control_center.store.views_actions import Action, Filter
from control_center.web.api import ids, versions
from control_center.web.api.routes import JSON, Answer, Call, Instant, Items, ListQuery, Model, Route, StudioQuery
from control_center.web.problems import Error, Problem, wrong

STATES = "|".join(state.value for state in State)


_States = Annotated[str, Field(pattern=f"^({STATES})(,({STATES}))*$", description="one or more, by commas")]


class ActionsFilter(StudioQuery):
    """Which actions of a studio; what is left out leaves nothing out."""

    state: _States | None = None
    trigger: ids.Name | None = None
    record: ids.RecordId | None = None
    due_from: Annotated[Instant, Field(description="due at this instant or later")] | None = None
    due_before: Annotated[Instant, Field(description="due before this instant")] | None = None

    @property
    def wanted(self) -> Filter:
        return Filter(
            states=[State(one) for one in self.state.split(",")] if self.state else None,
            trigger=self.trigger,
            record=ids.record(self.record),
            due_from=self.due_from,
            due_before=self.due_before,
        )

    @property
    def given(self) -> list[str]:
        """The parameters that narrow the list."""
        return sorted(self.model_fields_set - StudioQuery.model_fields.keys())


class ActionsQuery(ListQuery, ActionsFilter):
    order: Annotated[Literal["newest", "due"], Field(description="newest first, or what waits, soonest due first")] = (
        "newest"
    )


class GroupsQuery(ListQuery, ActionsFilter):
    """A page of what waits, by trigger."""


class ActionIds(Model):
    """The actions that a person decided on, as they were listed."""

    ids: Annotated[list[ids.ActionId], Field(min_length=1, max_length=1000)]


class Listed(Model):
    """The list that the query names, decided on as a whole."""

    expect: Annotated[
        int,
        Field(
            ge=0,
            le=review_list.MOST,
            description="how many actions the list had when it was decided on; where it has another number now,"
            " the answer is 409 with its `count`, and nothing was done",
        ),
    ]
    all: Annotated[
        bool, Field(description="that the list is meant to leave out nothing; it is refused without this")
    ] = False


class ListedToRelease(Listed):
    """The same, to let go what it holds: nothing is worked out for that, so that one call does for very many."""

    expect: Annotated[int, Field(ge=0, le=review_list.MOST_RELEASED, description="how many actions the list had")]


class Counted(msgspec.Struct, frozen=True):
    """How many actions a list has: together, and by state."""

    count: int
    states: dict[str, int]


class Done(msgspec.Struct, frozen=True):
    """The actions as they are afterwards: one that cannot be changed any more is as it was, with its reason."""

    items: list[Action]


async def _list(call: Call[ActionsQuery, None]) -> Answer:
    """By due time only what waits is listed, unless states are named: what is over was due at some time, too."""
    query, wanted = call.query, call.query.wanted
    if query.order == "due" and wanted.states is None:
        wanted = replace(wanted, states=sorted(PENDING))
    read = views_actions.by_due if query.order == "due" else views_actions.actions
    async with db.session(call.parts.pool) as tx:
        page = await read(tx, call.studio, wanted, cursor=query.cursor, limit=query.limit)
    return Answer(Items(page.items, page.next_cursor))


async def _count(call: Call[ActionsFilter, None]) -> Answer:
    states = await review_list.count(call.parts.pool, call.studio, call.query.wanted)
    return Answer(Counted(sum(states.values()), states))


async def _groups(call: Call[GroupsQuery, None]) -> Answer:
    query = call.query
    async with db.session(call.parts.pool) as tx:
        found = await views_review.groups(tx, call.studio, query.wanted)
    page = sorted_page(found, views_review.order, tuple[bool, bool, float, int], cursor=query.cursor, limit=query.limit)
    return Answer(Items(page.items, page.next_cursor))


async def _get(call: Call[StudioQuery, None]) -> Answer:
    number = _number(call)
    found = await _read(call, [number])
    if not found:
        raise ids.missing("action", call.path["id"])
    return _answer(found[0])


def _answer(found: Action) -> Answer:
    return versions.answer(found, _edition(found))


def _edition(found: Action) -> str:
    return review.edition_of(found.state, found.due_at, found.trigger_version)


_Deed: TypeAlias = Callable[[Call[Any, Any], Sequence[int]], Awaitable[None]]


async def _process(call: Call[Any, Any], numbers: Sequence[int]) -> None:
    await review.process(call.parts.pool, call.parts.clock, call.studio, numbers, by=call.by, read=call.versions)


async def _delete(call: Call[Any, Any], numbers: Sequence[int]) -> None:
    await review.delete(call.parts.pool, call.parts.clock, call.studio, numbers, by=call.by, read=call.versions)


async def _release(call: Call[Any, Any], numbers: Sequence[int]) -> None:
    await review.release(call.parts.pool, call.parts.clock, call.studio, numbers, by=call.by, read=call.versions)


async def _skip(call: Call[Any, Any], numbers: Sequence[int]) -> None:
    """Leave them where they are, to come up again; only that they exist, as they were read, is checked."""
    found = {one.number: one for one in await _read(call, numbers)}
    missing = [number for number in numbers if number not in found]
    if missing:
        raise ids.missing("action", f"a-{missing[0]}")
    if call.versions is not None and not {_edition(one) for one in found.values()} <= call.versions:
        raise Outdated(f"action a-{numbers[0]} has changed by now; look at it again")


def _one(deed: _Deed) -> Callable[[Call[StudioQuery, None]], Awaitable[Answer]]:
    async def handle(call: Call[StudioQuery, None]) -> Answer:
        number = _number(call)
        await deed(call, [number])
        return _answer((await _read(call, [number]))[0])

    return handle


def _several(name: Deed, deed: _Deed) -> Callable[[Call[ActionsFilter, ActionIds | Listed]], Awaitable[Answer]]:
    async def handle(call: Call[ActionsFilter, ActionIds | Listed]) -> Answer:
        if isinstance(call.body, Listed):
            return Answer(await _decide(call, name, call.body))
        if call.query.given:
            raise wrong(call.query.given[0], "narrows a list, and these are named by their ids")
        numbers = [ids.number(one, ids.ACTION, "action") for one in call.body.ids]
        if len(set(numbers)) < len(numbers):
            raise wrong("ids", "names an action twice", HTTPStatus.UNPROCESSABLE_ENTITY)
        await deed(call, numbers)
        return Answer(Done(await _read(call, numbers)))

    return handle


async def _decide(call: Call[ActionsFilter, Any], deed: Deed, listed: Listed) -> Tally:
    parts, wanted = call.parts, call.query.wanted
    try:
        return await review_list.decide(
            parts.pool, parts.clock, call.studio, wanted, deed, expect=listed.expect, every=listed.all, by=call.by
        )
    except Miscounted as error:
        errors = [Error("expect", f"the list has {error.count}")]
        raise Problem(HTTPStatus.CONFLICT, str(error), errors=errors, count=error.count) from None


async def _read(call: Call[Any, Any], numbers: Sequence[int]) -> list[Action]:
    async with db.session(call.parts.pool) as tx:
        return await views_actions.by_id(tx, call.studio, numbers)


def _number(call: Call[Any, Any]) -> int:
    return ids.number(call.path["id"], ids.ACTION, "action")


_DEEDS: Mapping[Deed, tuple[_Deed, str]] = {
    Deed.PROCESS: (_process, "run now: window and weekdays do not apply, everything else is checked again"),
    Deed.RELEASE: (
        _release,
        "let go what is held: it goes as it would have, window and all, and the whole of a trigger opens its guard",
    ),
    Deed.SKIP: (_skip, "leave where it is, to come up again"),
    Deed.DELETE: (_delete, "drop for good: nothing is sent, and the occurrence counts as handled"),
}

ROUTES = [
    Route("GET", "/actions", "list_actions", "Actions", "viewer", _list, Action, listed=True, query=ActionsQuery),
    Route(
        "GET",
        "/actions/count",
        "count_actions",
        "How many actions the list has",
        "viewer",
        _count,
        Counted,
        query=ActionsFilter,
    ),
    Route(
        "GET",
        "/actions/groups",
        "group_actions",
        "What waits, by trigger: how many, the oldest, ten of them, and whether its blast guard is shut",
        "viewer",
        _groups,
        views_review.Group,
        listed=True,
        query=GroupsQuery,
    ),
    Route("GET", "/actions/{id}", "get_action", "One action", "viewer", _get, Action, versioned=True),
    *(
        Route(
            "POST",
            f"/actions/{{id}}/{name.value}",
            f"{name.value}_action",
            says,
            "front_desk",
            _one(deed),
            Action,
            versioned=True,
        )
        for name, (deed, says) in _DEEDS.items()
    ),
    *(
        Route(
            "POST",
            f"/actions/{name.value}",
            f"{name.value}_actions",
            f"the same with several by their ids, or with the list that the query names: {says}",
            "front_desk",
            _several(name, deed),
            (Done, Tally),
            query=ActionsFilter,
            reads={JSON: (ActionIds, ListedToRelease if name is Deed.RELEASE else Listed)},
        )
        for name, (deed, says) in _DEEDS.items()
    ),
]
