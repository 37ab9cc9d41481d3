"""Consents over HTTP: the whole proof for one number or address, and what a person adds to it."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field

from control_center.domain.consent import Purpose, Said
from control_center.engine import proof
from control_center.store.dead_numbers import DeadNumber
from control_center.web.api import ids
from control_center.web.api.routes import JSON, Answer, Call, Model, Route, StudioQuery

_Address = Annotated[
    str, Field(min_length=3, max_length=320, pattern=ids.TEXT, description="a number or an email address")
]


class ConsentsQuery(StudioQuery):
    address: _Address


class NewConsent(Model):
    """What an address said, and how it is known: kept for good."""

    address: _Address
    says: Annotated[
        Literal["stop", "start", "no_stop", "takes_texts"],
        Field(description="`takes_texts`: what a provider said of the number is not so, or not any more"),
    ]
    purpose: Literal["all", "marketing"] = "all"
    evidence: Annotated[str, Field(min_length=1, max_length=2000, pattern=ids.TEXT)]


class Line(msgspec.Struct, frozen=True):
    """One thing that the address said. Of each purpose the last one counts; `said_at` is by their provider's clock."""

    at: datetime
    purpose: str
    says: str
    source: str
    evidence: str
    said_at: datetime | None


class Dead(msgspec.Struct, frozen=True):
    """Why a number takes no texts, by the text `message`; `lifted_at` and `lifted_by` say what took that back."""

    reason: str
    message: str
    at: datetime
    lifted_at: datetime | None
    lifted_by: str | None


class Proof(msgspec.Struct, frozen=True):
    """How an address stands, why, whose it is, and what has passed between it and the studio."""

    channel: str
    address: str
    stopped: bool
    no_marketing: bool
    doubtful: bool
    takes_no_texts: bool
    dead: Dead | None
    items: list[Line]
    clients: list[str]
    sent: int
    suppressed: int
    received: int
    last_sent_at: datetime | None
    last_received_at: datetime | None


async def _get(call: Call[ConsentsQuery, None]) -> Answer:
    return Answer(await _proof(call, call.query.address))


async def _post(call: Call[StudioQuery, NewConsent]) -> Answer:
    body, parts = call.body, call.parts
    if body.says == "takes_texts":
        known = await proof.takes_texts(parts.pool, call.studio, body.address, evidence=body.evidence, by=call.by)
        return Answer(await _proof(call, known), HTTPStatus.CREATED)
    address = await proof.record(
        parts.pool,
        parts.clock,
        call.studio,
        body.address,
        says=Said(body.says),
        purpose=Purpose(body.purpose),
        evidence=body.evidence,
        by=call.by,
    )
    return Answer(await _proof(call, address), HTTPStatus.CREATED)


async def _proof(call: Call[Any, Any], address: str) -> Proof:
    found = await proof.read(call.parts.pool, call.studio, address)
    return Proof(
        channel=found.channel,
        address=found.address,
        stopped=found.standing.stopped,
        no_marketing=found.standing.no_marketing,
        doubtful=found.standing.doubtful,
        takes_no_texts=bool(found.standing.dead),
        dead=_dead(found.dead) if found.dead is not None else None,
        items=[Line(one.at, one.purpose, one.says, one.source, one.evidence, one.said_at) for one in found.said],
        clients=found.clients,
        sent=found.sent,
        suppressed=found.suppressed,
        received=found.received,
        last_sent_at=found.last_sent_at,
        last_received_at=found.last_received_at,
    )


def _dead(known: DeadNumber) -> Dead:
    return Dead(known.reason, f"m-{known.message_id}", known.at, known.lifted_at, known.lifted_by)


ROUTES = [
    Route(
        "GET",
        "/consents",
        "get_consents",
        "What a number or address said about being written to, with the proof",
        "viewer",
        _get,
        Proof,
        query=ConsentsQuery,
    ),
    Route(
        "POST",
        "/consents",
        "record_consent",
        "Write down what an address said (only START lifts a STOP), or that a number takes texts after all",
        "front_desk",
        _post,
        Proof,
        status=201,
        reads={JSON: NewConsent},
    ),
]
