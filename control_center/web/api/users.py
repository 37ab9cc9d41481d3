"""Users over HTTP. Their tokens are made and revoked on the machine itself: `control-center users token NAME`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, StringConstraints

from control_center.engine import users
from control_center.engine.editions import edition
from control_center.store.pages import sorted_page
from control_center.store.users import ROLES, User
from control_center.web.api import ids, versions
from control_center.web.api.routes import JSON, Answer, Call, Items, Model, NoQuery, PageQuery, Route
from control_center.web.problems import wrong

_Studio = Annotated[str, Field(pattern=r"^(\*|[a-z0-9][a-z0-9_-]{0,49})$")]


class WantedUser(Model):
    """Who may call. `studios` are those that exist for this user; `*` is every one, those to come included."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    email: Annotated[str, Field(min_length=3, max_length=254)] | None = None
    role: Literal[ROLES]  # type: ignore[valid-type]  # as data
    studios: Annotated[list[_Studio], Field(max_length=1000)]
    active: bool = True
    signature: (
        Annotated[str, Field(max_length=200, pattern=ids.TEXT, description="what {{ sender.signature }} writes")] | None
    ) = None


class ChangedUser(WantedUser):
    """What a user is from now on; the id, as it was read, may be there."""

    id: Annotated[str, Field(pattern=ids.USER)] | None = None


async def _list(call: Call[PageQuery, None]) -> Answer:
    found = await users.visible(call.parts.pool, call.caller)
    page = sorted_page(found, lambda one: one.name, str, cursor=call.query.cursor, limit=call.query.limit)
    return Answer(Items(page.items, page.next_cursor))


async def _get(call: Call[NoQuery, None]) -> Answer:
    return _answer(await users.get(call.parts.pool, _number(call), call.caller))


async def _post(call: Call[NoQuery, WantedUser]) -> Answer:
    made = await users.add(call.parts.pool, _user("0", call.body), by=call.by, of=call.caller)
    return versions.answer(made, edition(made), made=f"/api/v1/users/{made.id}")


async def _put(call: Call[NoQuery, ChangedUser]) -> Answer:
    number = str(_number(call))
    if call.body.id not in (None, number):
        raise wrong("id", f"is not that of the address, {number}")
    wanted = _user(number, call.body)
    return _answer(await users.change(call.parts.pool, wanted, by=call.by, of=call.caller, read=call.versions))


async def _delete(call: Call[NoQuery, None]) -> Answer:
    await users.drop(call.parts.pool, _number(call), by=call.by, of=call.caller, read=call.versions)
    return Answer(None, HTTPStatus.NO_CONTENT)


def _answer(user: User) -> Answer:
    return versions.answer(user, edition(user))


def _user(number: str, body: WantedUser) -> User:
    return msgspec.convert({**body.model_dump(exclude={"id"}), "id": number}, User)


def _number(call: Call[Any, Any]) -> int:
    return ids.number(call.path["id"], ids.USER, "user")


_ONE = "/users/{id}"
_WHERE: Any = {"query": NoQuery, "about": "installation", "versioned": True}
_LISTED: Any = {"query": PageQuery, "about": "installation", "listed": True}
_MADE: Any = {**_WHERE, "status": 201, "reads": {JSON: WantedUser}}

ROUTES = [
    Route("GET", "/users", "list_users", "Users of the caller's studios", "owner", _list, User, **_LISTED),
    Route("POST", "/users", "create_user", "Make a user", "owner", _post, User, **_MADE),
    Route("GET", _ONE, "get_user", "One user", "owner", _get, User, **_WHERE),
    Route("PUT", _ONE, "replace_user", "Replace all of it", "owner", _put, User, reads={JSON: ChangedUser}, **_WHERE),
    Route("DELETE", _ONE, "delete_user", "Delete a user with all tokens", "owner", _delete, None, status=204, **_WHERE),
]
