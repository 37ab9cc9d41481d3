"""Texts through Twilio: one POST each, never repeated, never redirected."""

from __future__ import annotations

from collections.abc import Collection
from contextvars import ContextVar
from typing import Any

import aiohttp

from control_center.domain.outcome import CannotTell, Lookup, NotSent, Outcome, Stage, Text, Unknown
from control_center.domain.wire import twilio

TOTAL = 20.0  # seconds; a third of a lease and less
CONNECT = 5.0
IDLE = 15.0  # a connection kept longer than the provider keeps it dies at the moment of sending
LARGEST_ANSWER = 256 * 1024
LARGEST_LIST = 8 * 1024 * 1024


# Whether the request of this task may have left: unset is a proof that it did not.
_left: ContextVar[bool] = ContextVar("left", default=False)


class _Connector(aiohttp.TCPConnector):
    """Notes when a request has a connection to leave on. aiohttp's own tracing would say it a little later, and costs
    an eighth of every request.
    """

    async def connect(self, *arguments: Any, **keywords: Any) -> Any:
        connection = await super().connect(*arguments, **keywords)
        _left.set(True)
        return connection


class Twilio:
    """Owns the connections to one Twilio account. Make it inside the running loop, close it there."""

    def __init__(
        self,
        *,
        account: str,
        secret: str,
        callback_url_template: str | None = None,
        base: str = twilio.BASE,
        user: str | None = None,
        slots: int = 16,
        total: float = TOTAL,
        connect: float = CONNECT,
    ) -> None:
        """`user` is an API key's id where `secret` is that key's; else the account itself logs in.

        `callback_url_template` is our public status address with `{key}` where the reference goes.
        """
        self._url = base.rstrip("/") + twilio.messages_path(account)
        self._callback = callback_url_template
        self._session = aiohttp.ClientSession(
            headers={"Authorization": aiohttp.encode_basic_auth(user or account, secret)},
            connector=_Connector(limit=slots, keepalive_timeout=IDLE),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=total, sock_connect=connect),
            trust_env=False,  # a proxy is one more place where an answer gets lost
        )

    async def submit(self, message: Text) -> Outcome:
        """Ask Twilio to send this text. Whatever the network or Twilio does is a value, save cancellation."""
        _left.set(False)
        try:
            response = await self._session.post(
                self._url,
                data=twilio.form(message, self._callback),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                allow_redirects=False,  # a 307 would send the text to another address once more
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return _lost(error)
        body = await _read(response, LARGEST_ANSWER)
        return twilio.outcome(response.status, response.headers.get("Retry-After"), body, message.at)

    async def lookup(self, message: Text, known: Collection[str] = ()) -> Lookup:
        """Look for this text in Twilio's list; `known` are the provider ids that other attempts have."""
        try:
            response = await self._session.get(self._url, params=twilio.search(message), allow_redirects=False)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return CannotTell(f"twilio: {_name(error)}")
        body = await _read(response, LARGEST_LIST)
        if response.status != 200:
            return CannotTell(f"twilio: HTTP {response.status}")
        return twilio.found(body, message, known)

    async def close(self) -> None:
        await self._session.close()


def _lost(error: Exception) -> Outcome:
    if not _left.get():
        return NotSent(f"twilio: {_name(error)}")
    # A malformed answer is still an answer: somebody took the request and said something.
    stage = Stage.ANSWERED if isinstance(error, aiohttp.ClientResponseError) else Stage.SENT
    return Unknown(f"twilio: {_name(error)}", stage)


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200].rstrip(": ")


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body, or None where it was cut off, timed out or grew beyond the limit."""
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
