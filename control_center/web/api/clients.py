"""Clients over HTTP: what is stored of one, counted, and taken away at their wish."""

from __future__ import annotations

from typing import Annotated

import msgspec
from pydantic import Field

from control_center.engine import erasure
from control_center.web.api import ids
from control_center.web.api.routes import JSON, Answer, Call, Model, Route, StudioQuery


class Erasure(Model):
    """Who is to be erased, and why. Only with `confirm` anything is changed, and that cannot be taken back."""

    client: Annotated[str, Field(min_length=1, max_length=200, pattern=ids.TEXT, description="id in the CRM")]
    reason: Annotated[str, Field(min_length=1, max_length=2000, pattern=ids.TEXT, description="names nobody")]
    confirm: bool = False


class Cancelled(msgspec.Struct, frozen=True):
    """What waited, and does so no more."""

    actions: int
    messages: int


class Erased(msgspec.Struct, frozen=True):
    """Rows that were emptied, by kind; with `done` false those that would be."""

    client: str
    done: bool
    erased: dict[str, int]
    cancelled: Cancelled


async def _erase(call: Call[StudioQuery, Erasure]) -> Answer:
    body, pool = call.body, call.parts.pool
    if body.confirm:
        done = await erasure.erase(pool, call.studio, body.client, reason=body.reason, by=call.by)
    else:
        done = await erasure.preview(pool, call.studio, body.client, by=call.by)
    cancelled = Cancelled(done.cancelled_actions, done.cancelled_messages)
    return Answer(Erased(done.client, body.confirm, done.counts, cancelled))


ROUTES = [
    Route(
        "POST",
        "/clients/erase",
        "erase_client",
        "Take a client and their family out of everything that is stored, or count what that would be",
        "owner",
        _erase,
        Erased,
        reads={JSON: Erasure},
    ),
]
