"""What people do with messages over HTTP: write one, read, link, hand on, settle."""

from __future__ import annotations

from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, field_validator

from control_center.engine import front_desk, individual, readings
from control_center.engine.addressee import Letter
from control_center.engine.front_desk import Task
from control_center.engine.readings import MEANINGS, Choice
from control_center.web.api import ids
from control_center.web.api.messages import MessageInFull, in_full
from control_center.web.api.routes import JSON, Answer, Call, Model, Route, StudioQuery
from control_center.web.api.templates import Caution, cautions

_MessageId = Annotated[str, Field(pattern=ids.MESSAGE, description="such as m-12")]
_Text = Annotated[str, Field(min_length=1, max_length=20_000, pattern=ids.TEXT)]
_Evidence = Annotated[str, Field(min_length=1, max_length=2_000, pattern=ids.TEXT, description="how this is known")]


class NewMessage(Model):
    """One text or email to one address.

    `to`, `client` or `record` say to whom; with neither of the last two it is free, and in nobody's history. `reply_to`
    answers a message; `again` writes one anew that is proven not sent. `template`, or `text` in one's own words.
    """

    channel: Literal["sms", "email"] | None = None
    to: Annotated[str, Field(min_length=1, max_length=320, pattern=ids.TEXT)] | None = None
    client: ids.Name | None = None
    record: ids.RecordId | None = None
    reply_to: _MessageId | None = None
    again: _MessageId | None = None
    template: ids.Name | None = None
    text: _Text | None = None
    subject: Annotated[str, Field(min_length=1, max_length=500, pattern=ids.TEXT)] | None = None
    html: Annotated[str, Field(min_length=1, max_length=100_000, pattern=ids.TEXT)] | None = None
    user: Annotated[ids.Name, Field(description="in whose name; left out, the caller's")] | None = None


class Linkage(Model):
    """Whose a message is. `client` null unlinks it; `earlier` links what else passed with its number, too."""

    client: ids.Name | None
    record: ids.RecordId | None = None
    earlier: bool = False


class Assignment(Model):
    """Who is to see to it; null is nobody."""

    user: ids.Name | None


class NewTask(Model):
    """The task that the CRM is asked for. What is left out is taken from the message."""

    subject: Annotated[str, Field(min_length=1, max_length=500, pattern=ids.TEXT)] | None = None
    description: _Text | None = None
    type: ids.Name | None = None
    priority: ids.Name | None = None
    due_date: (
        Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", json_schema_extra={"format": "date"})] | None
    ) = None
    assign: ids.Name | None = None

    @field_validator("due_date")
    @classmethod
    def _is_a_day(cls, typed: str | None) -> str | None:
        if typed is not None:
            date.fromisoformat(typed)
        return typed


class Settled(Model):
    """What became of a message that may have been taken, as a person found out."""

    outcome: Literal["sent", "not_sent"]
    evidence: _Evidence


class Reading(Model):
    """What a person takes a doubtful text for. `score` and `keyword` say which, where there are several."""

    reading: Literal[MEANINGS]  # type: ignore[valid-type]  # as data
    score: Annotated[int, Field(ge=0, le=10)] | None = None
    keyword: ids.Name | None = None


class Written(MessageInFull, frozen=True, kw_only=True):
    """A message that was queued, with what its writer should know: a late hour, an unusual number.

    `advice` is about the words that they typed, as it is about those of a template; none of it keeps them from going.
    """

    warnings: list[str]
    advice: list[Caution]


class Linked(msgspec.Struct, frozen=True):
    """What was linked. `earlier` is how many messages with that number are nobody's still, to be linked if wanted."""

    linked: list[str]
    earlier: int


async def _send(call: Call[StudioQuery, NewMessage]) -> Answer:
    body = call.body
    given = body.model_dump(exclude={"record", "reply_to", "again"})
    letter = Letter(**given, record=ids.record(body.record), reply_to=_of(body.reply_to), again=_of(body.again))
    parts = call.parts
    sent = await individual.send(parts.pool, parts.clock, call.studio, letter, by=call.by, links=parts.links)
    found = await in_full(call, sent.message_id)
    shown = {name: getattr(found, name) for name in MessageInFull.__struct_fields__}
    where = {"Location": f"/api/v1/messages/{found.id}"}
    written = Written(**shown, warnings=list(sent.warnings), advice=cautions(sent.advice))
    return Answer(written, HTTPStatus.CREATED, where)


def _of(message: str | None) -> int | None:
    return None if message is None else ids.number(message, ids.MESSAGE, "message")


def _number(call: Call[Any, Any]) -> int:
    return ids.number(call.path["id"], ids.MESSAGE, "message")


async def _read(call: Call[StudioQuery, None]) -> Answer:
    await front_desk.mark_read(call.parts.pool, call.studio, [_number(call)], is_read=True)
    return Answer(await in_full(call, _number(call)))


async def _unread(call: Call[StudioQuery, None]) -> Answer:
    await front_desk.mark_read(call.parts.pool, call.studio, [_number(call)], is_read=False)
    return Answer(await in_full(call, _number(call)))


async def _link(call: Call[StudioQuery, Linkage]) -> Answer:
    body = call.body
    done = await front_desk.link(
        call.parts.pool,
        call.studio,
        _number(call),
        body.client,
        record=ids.record(body.record),
        earlier=body.earlier,
        by=call.by,
    )
    return Answer(Linked([f"m-{one}" for one in done.linked], done.earlier))


async def _assign(call: Call[StudioQuery, Assignment]) -> Answer:
    await front_desk.assign(call.parts.pool, call.studio, _number(call), call.body.user, by=call.by)
    return Answer(await in_full(call, _number(call)))


async def _task(call: Call[StudioQuery, NewTask]) -> Answer:
    given = call.body.model_dump(exclude={"due_date"})
    due = None if call.body.due_date is None else date.fromisoformat(call.body.due_date)
    task = Task(**given, due_date=due)
    await front_desk.make_task(call.parts.pool, call.parts.clock, call.studio, _number(call), task, by=call.by)
    return Answer(await in_full(call, _number(call)))


async def _resolve(call: Call[StudioQuery, Settled | Reading]) -> Answer:
    body, number = call.body, _number(call)
    if isinstance(body, Settled):
        sent = body.outcome == "sent"
        await front_desk.resolve(call.parts.pool, call.studio, number, sent=sent, evidence=body.evidence, by=call.by)
    else:
        choice = Choice(body.reading, body.score, body.keyword)
        await readings.choose(call.parts.pool, call.parts.clock, call.studio, number, choice, by=call.by)
    return Answer(await in_full(call, number))


def _route(verb: str, says: str, handler: Any, answers: Any = MessageInFull, *, reads: Any = None) -> Route:
    given = {JSON: reads} if reads is not None else {}
    return Route(
        "POST", f"/messages/{{id}}/{verb}", f"{verb}_message", says, "front_desk", handler, answers, reads=given
    )


ROUTES = [
    Route(
        "POST",
        "/messages",
        "send_message",
        "Write one text or email to one address: queued at once, refused where it said STOP",
        "front_desk",
        _send,
        Written,
        status=201,
        reads={JSON: NewMessage},
    ),
    _route("read", "Somebody has read it", _read),
    _route("unread", "Nobody has read it after all", _unread),
    _route("link", "Say whose it is: what follows from that number is theirs, too", _link, Linked, reads=Linkage),
    _route("assign", "Give it to somebody to see to", _assign, reads=Assignment),
    _route("task", "Ask the CRM for a task about it, once", _task, reads=NewTask),
    _route(
        "resolve",
        "Settle one that may have been sent, or say how a doubtful text is meant; nothing is sent by that",
        _resolve,
        reads=(Settled, Reading),
    ),
]
