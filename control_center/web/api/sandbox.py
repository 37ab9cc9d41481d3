"""The sandbox over HTTP: a text comes in, by the same path as one that a provider brings."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from pydantic import Field

from control_center.domain.inbound import brought_by_hand
from control_center.store import db
from control_center.store import studios as stored
from control_center.web.api import ids
from control_center.web.api.routes import JSON, Answer, Call, Model, Route, StudioQuery
from control_center.web.problems import Problem, wrong

_Number = Annotated[str, Field(min_length=2, max_length=40, pattern=ids.TEXT)]
_Text = Annotated[str, Field(min_length=1, max_length=1600, pattern=ids.TEXT)]


class TextBody(Model):
    """A text from outside. `to` is one of the studio's numbers."""

    sender: Annotated[_Number, Field(alias="from", description="whose phone it comes from")]
    to: _Number
    text: _Text


class Received(msgspec.Struct, frozen=True):
    """What a text was taken for, and the message that it became."""

    message: str
    client: str | None
    meaning: str
    attention: str | None


async def _receive(call: Call[StudioQuery, TextBody]) -> Answer:
    body = call.body
    async with db.session(call.parts.pool) as tx:
        studio = (await stored.get(tx, [call.studio]))[call.studio]
        shared = (await stored.used_elsewhere(tx, call.studio, [body.to])).numbers
    if body.to not in studio.numbers:
        raise wrong("to", f"{body.to!r} is none of this studio's numbers: {', '.join(studio.numbers) or 'it has none'}")
    if shared and not call.caller.everywhere:  # whose the text is depends on what was written last
        detail = f"{body.to} is another studio's, too: only who is for every studio may let a text come in to it"
        raise Problem(HTTPStatus.FORBIDDEN, detail)
    account = f"sms/{studio.sms_account}"
    if account not in call.parts.sandboxes:
        raise Problem(HTTPStatus.CONFLICT, f"{account} is no sandbox: only its provider brings texts there")
    inbound = brought_by_hand(body.sender, body.to, body.text, at=call.parts.clock())
    (taken,) = await call.parts.conversations.take(account, [(inbound, body.text)])
    if taken.message_id is None or taken.studio != call.studio:
        raise Problem(HTTPStatus.CONFLICT, "this number is shared, and the text was not taken for this studio's")
    return Answer(
        Received(f"m-{taken.message_id}", taken.client_id, taken.meaning, taken.attention), HTTPStatus.CREATED
    )


ROUTES = [
    Route(
        "POST",
        "/sandbox/inbound",
        "receive_text",
        "Let a text come in",
        "front_desk",
        _receive,
        Received,
        status=HTTPStatus.CREATED,
        reads={JSON: TextBody},
    ),
]
