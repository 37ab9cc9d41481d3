"""Idempotency-Key: the same key with the same request gets the answer of the first time, and nothing happens again."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from control_center.store import db, idempotency
from control_center.store.idempotency import Answered
from control_center.store.users import User
from control_center.web.api.routes import Answer, Call
from control_center.web.problems import wrong

HEADER = "Idempotency-Key"
_LONGEST = 200


class _Kept(msgspec.Struct, frozen=True):
    status: int
    body: msgspec.Raw
    headers: dict[str, str] = {}


def digest(user: User, request: web.Request, media: str, body: bytes) -> str:
    """Everything that makes a call what it is, in short; who makes it, too, since answers are for whom they are for."""
    head = f"{user.id} {request.method} {request.path_qs} {media}\n".encode()
    return hashlib.sha256(head + body).hexdigest()


def key_of(request: web.Request) -> str | None:
    """The key of a call. Raises Problem 400 for one that is empty, too long or not printable, and for two of them."""
    given = request.headers.getall(HEADER, [])
    if len(given) > 1:
        raise wrong(HEADER, "is given more than once", HTTPStatus.BAD_REQUEST)
    key = given[0] if given else None
    if key is not None and not (1 <= len(key) <= _LONGEST and key.isascii() and key.isprintable()):
        raise wrong(HEADER, f"allowed are 1 to {_LONGEST} printable ASCII characters", HTTPStatus.BAD_REQUEST)
    return key


async def once(
    call: Call[Any, Any], key: str, work: Callable[[Call[Any, Any]], Awaitable[Answer]], *, asked: str
) -> Answer:
    """Do the work, or answer as the first time. Raises Problem 422 where the key was used for another request.

    `asked` is the digest of everything that makes the call what it is. Others with this key wait meanwhile. Only
    good answers are kept: what failed may be tried again. The work and its answer are one transaction, so that whoever
    heard no answer, because something died, repeats either what was never done or what is answered as it was.
    """
    async with db.transaction(call.parts.pool) as tx:
        await idempotency.lock(tx, call.studio, key)
        earlier = await idempotency.answered(tx, call.studio, key)
        if earlier is not None:
            if earlier.digest != asked:
                raise wrong(HEADER, "was used for another request; take a new key for a new one")
            kept = msgspec.json.decode(earlier.answer, type=_Kept)
            return Answer(kept.body, kept.status, {**kept.headers, "Idempotency-Replayed": "true"})
        answer = await work(replace(call, parts=replace(call.parts, pool=db.inside(tx))))
        body = msgspec.Raw(msgspec.json.encode(answer.body))
        text = msgspec.json.encode(_Kept(answer.status, body, dict(answer.headers))).decode()
        await idempotency.remember(tx, call.studio, key, Answered(asked, text))
        return answer
