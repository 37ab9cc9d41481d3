"""Texts held because many would go to neighbouring numbers within an hour: which, and that they are meant."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from pydantic import Field

from control_center.engine import prefixes as engine
from control_center.store import db
from control_center.store import prefixes as store
from control_center.store.pages import sorted_page
from control_center.web.api import ids
from control_center.web.api.routes import JSON, Answer, Call, Items, ListQuery, Model, Route, StudioQuery


class HeldPrefix(msgspec.Struct, frozen=True):
    """Numbers that differ in their last three digits only, and how many texts to them wait for a person."""

    prefix: str
    since: datetime
    reason: str
    held: int


class Release(Model):
    """That the texts to these numbers are meant."""

    prefix: Annotated[str, Field(pattern=ids.PREFIX, description="such as +13125550")]


class Released(msgspec.Struct, frozen=True):
    """How many texts go now; for a day nothing more of these numbers is held."""

    prefix: str
    messages: int


async def _list(call: Call[ListQuery, None]) -> Answer:
    async with db.session(call.parts.pool) as tx:
        found = await store.shut(tx, call.studio)
    shown = [HeldPrefix(one.prefix, one.since, one.reason, one.held) for one in found]
    page = sorted_page(shown, lambda one: one.prefix, str, cursor=call.query.cursor, limit=call.query.limit)
    return Answer(Items(page.items, page.next_cursor))


async def _release(call: Call[StudioQuery, Release]) -> Answer:
    prefix = call.body.prefix
    freed = await engine.let_go(call.parts.pool, call.parts.clock, call.studio, prefix, by=call.by)
    return Answer(Released(prefix, freed))


ROUTES = [
    Route(
        "GET",
        "/messages/prefixes",
        "list_held_prefixes",
        "Neighbouring numbers to which many texts were about to go: what else would go there is held",
        "viewer",
        _list,
        HeldPrefix,
        listed=True,
        query=ListQuery,
    ),
    Route(
        "POST",
        "/messages/release",
        "release_prefix",
        "Let go what is held of neighbouring numbers",
        "front_desk",
        _release,
        Released,
        reads={JSON: Release},
    ),
]
