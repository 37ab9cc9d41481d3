"""Reading a call's body within a limit of size and time."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from control_center.web.problems import Problem

_CLOSE = {"Connection": "close"}  # where the body ends, and the next call begins, is not known any more


async def read(request: web.Request, *, limit: int, seconds: float) -> bytes:
    """The whole body, decompressed. Raises Problem: 413 past `limit` bytes, 408 past `seconds`, 400 where broken."""
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        detail = f"the body did not arrive within {seconds:g} seconds"
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, detail, headers=_CLOSE) from None
    except web.RequestPayloadError:
        detail = "the body ended early, or is not encoded as it says"
        raise Problem(HTTPStatus.BAD_REQUEST, detail, headers=_CLOSE) from None
    return b"".join(chunks)


def _too_large(limit: int) -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body here may have {limit} bytes", headers=_CLOSE)
