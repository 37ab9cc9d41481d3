"""Texts through Twilio: one POST each."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlencode

import aiohttp

from control_center.domain.outcome import CannotTell, Lookup, Outcome, Text
from control_center.domain.wire import twilio
from workers.sms.line import CONNECT, TOTAL, Answer, Line

LARGEST_LIST = 8 * 1024 * 1024
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Twilio:
    """Owns the connections to one Twilio account. Make it inside the running loop, close it there."""

    says_when_it_leaves = True  # by its line

    def __init__(
        self,
        *,
        account: str,
        secret: str,
        callback_url_template: str | None = None,
        base: str = twilio.BASE,
        slots: int = 16,
        total: float = TOTAL,
        connect: float = CONNECT,
    ) -> None:
        """`callback_url_template` is our public status address with `{key}` where the reference goes."""
        self._url = base.rstrip("/") + twilio.messages_path(account)
        self._callback = callback_url_template
        login = {"Authorization": aiohttp.encode_basic_auth(account, secret)}
        self._line = Line("twilio", secret=secret, headers=login, slots=slots, total=total, connect=connect)

    async def submit(self, message: Text) -> Outcome:
        """Ask Twilio to send this text. Whatever the network or Twilio does is a value, save cancellation."""
        answer = await self._line.post(self._url, twilio.form(message, self._callback), _FORM, words=message.body)
        if not isinstance(answer, Answer):
            return answer
        return twilio.outcome(answer.status, answer.retry_after, answer.body, message.at)

    async def lookup(self, message: Text, known: Collection[str] = ()) -> Lookup:
        """Look for this text in Twilio's list; `known` are the provider ids that other attempts have."""
        answer = await self._line.get(f"{self._url}?{urlencode(twilio.search(message))}", largest=LARGEST_LIST)
        if not isinstance(answer, Answer):
            return CannotTell(answer.reason)
        if answer.status != 200:
            return CannotTell(f"twilio: HTTP {answer.status}")
        return twilio.found(answer.body, message, known)

    async def close(self) -> None:
        await self._line.close()
