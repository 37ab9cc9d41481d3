"""A line to a provider's HTTP API: each request is made once, never repeated, never redirected.

What matters when no answer comes is whether the request may have left. That is known here, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import reduce
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, quote_plus

import aiohttp
from yarl import URL

from control_center.domain.outcome import NotSent, Stage, Unknown
from workers.leaving import about_to_leave

TOTAL = 20.0  # seconds; a third of a lease and less
CONNECT = 5.0
IDLE = 15.0  # a connection kept longer than the provider keeps it dies at the moment of sending
LARGEST_ANSWER = 256 * 1024

# Whether the request of this task may have left: unset is a proof that it did not.
_left: ContextVar[bool] = ContextVar("left", default=False)


class _Connector(aiohttp.TCPConnector):
    """Notes when a request has a connection to leave on. aiohttp's own tracing would say it a little later, and costs
    an eighth of every request.

    No request gets a second one. Where a connection drops, aiohttp sends a GET once more by itself, and there are
    providers that take a text by GET.
    """

    async def connect(self, *arguments: Any, **keywords: Any) -> Any:
        if _left.get():
            raise aiohttp.ServerDisconnectedError("the connection dropped")
        connection = await super().connect(*arguments, **keywords)
        about_to_leave()
        _left.set(True)
        return connection


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is None where it was cut off, timed out or grew beyond the limit."""

    status: int
    retry_after: str | None
    body: bytes | None


class Line:
    """Owns the connections to one provider account. Make it inside the running loop, close it there."""

    def __init__(
        self,
        provider: str,
        *,
        secret: str,
        headers: Mapping[str, str] | None = None,
        slots: int = 16,
        total: float = TOTAL,
        connect: float = CONNECT,
    ) -> None:
        """`provider` is how reasons begin. `headers` go with every request. `secret` is what no answer may bring back:
        proxies like to quote what they refuse, and the reason of a refusal is kept and shown.
        """
        self._provider = provider
        login = (headers or {}).get("Authorization", "").rpartition(" ")[2]
        self._hidden = sorted({*_spellings(secret), login.encode()} - {b""}, key=len, reverse=True)
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=_Connector(limit=slots, keepalive_timeout=IDLE),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=total, sock_connect=connect),
            trust_env=False,  # a proxy is one more place where an answer gets lost
        )

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, words: str = ""
    ) -> Answer | NotSent | Unknown:
        """One POST. Whatever the network or the provider does is a value, save cancellation.

        `words` are the client's, which a refusal may not quote either.
        """
        return await self._exchange("POST", url, LARGEST_ANSWER, words, data=body, headers=headers)

    async def get(self, url: str, *, words: str = "", largest: int = LARGEST_ANSWER) -> Answer | NotSent | Unknown:
        """One GET of an address whose query is encoded as it is to leave."""
        return await self._exchange("GET", url, largest, words)

    async def close(self) -> None:
        await self._session.close()

    async def _exchange(
        self, method: str, url: str, largest: int, words: str, **options: Any
    ) -> Answer | NotSent | Unknown:
        _left.set(False)
        try:
            # A redirect with 307 would send the text to another address once more.
            response = await self._session.request(method, URL(url, encoded=True), allow_redirects=False, **options)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return self._lost(error)
        body = await _read(response, largest)
        if body is not None and response.status >= HTTPStatus.MULTIPLE_CHOICES:
            hidden = [*self._hidden, *(_spellings(words) - {b""})]
            body = reduce(lambda said, one: said.replace(one, b"***"), hidden, body)
        return Answer(response.status, response.headers.get("Retry-After"), body)

    def _lost(self, error: Exception) -> NotSent | Unknown:
        reason = f"{self._provider}: {type(error).__name__}: {_words(error)}"[:200].rstrip(": ")
        if not _left.get():
            return NotSent(reason)
        # A malformed answer is still an answer: somebody took the request and said something.
        stage = Stage.ANSWERED if isinstance(error, aiohttp.ClientResponseError) else Stage.SENT
        return Unknown(reason, stage)


def _spellings(text: str) -> set[bytes]:
    """As it is, as it stands in an address, and in JSON."""
    return {one.encode() for one in (text, quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1])}


def _words(error: Exception) -> str:
    """What went wrong, without the address: with some providers it carries a password and the text."""
    match error:
        case aiohttp.InvalidURL():
            return "the provider's address is not valid"
        case aiohttp.ClientResponseError():
            return error.message
        case _:
            return str(error)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    content = bytearray()
    try:
        while chunk := await response.content.readany():
            content += chunk
            if len(content) > limit:
                return None
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None
    finally:
        response.release()  # back to the pool when read to its end, else closed
    return bytes(content)
