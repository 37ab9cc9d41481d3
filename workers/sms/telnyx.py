"""Texts through Telnyx: one POST each, which Telnyx knows again by its key."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from control_center.domain.outcome import CannotTell, Lookup, Outcome, Text
from control_center.domain.wire import telnyx
from workers.sms.line import CONNECT, TOTAL, Answer, Line


class Telnyx:
    """Owns the connections to one Telnyx account. Make it inside the running loop, close it there."""

    says_when_it_leaves = True  # by its line

    remembers: timedelta = telnyx.REMEMBERS

    def __init__(
        self,
        *,
        secret: str,
        profile: str = "",
        callback_url_template: str | None = None,
        base: str = telnyx.BASE,
        slots: int = 16,
        total: float = TOTAL,
        connect: float = CONNECT,
    ) -> None:
        """`secret` is the API key, `profile` a messaging profile's id.

        `callback_url_template` is our public status address with `{key}` where the reference goes.
        """
        self._url = base.rstrip("/") + telnyx.PATH
        self._callback = callback_url_template
        self._profile = profile
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        self._line = Line("telnyx", secret=secret, headers=headers, slots=slots, total=total, connect=connect)

    async def submit(self, message: Text) -> Outcome:
        """Ask Telnyx to send this text. Whatever the network or Telnyx does is a value, save cancellation.

        The same text submitted again, within `remembers` and only where its answer was lost, is no second text.
        """
        key = {"Idempotency-Key": telnyx.idempotency_key(message)}
        answer = await self._line.post(
            self._url, telnyx.body(message, self._callback, self._profile), key, words=message.body
        )
        if not isinstance(answer, Answer):
            return answer
        return telnyx.outcome(answer.status, answer.retry_after, answer.body, message.at)

    async def lookup(self, message: Text, known: Collection[str] = ()) -> Lookup:  # noqa: ARG002 - as every channel
        return CannotTell("telnyx: finds a text by its id alone, and that was lost")

    async def close(self) -> None:
        await self._line.close()
