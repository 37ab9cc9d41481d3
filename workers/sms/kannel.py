"""Texts through a Kannel gateway: one GET each, as it wants them."""

from __future__ import annotations

from collections.abc import Collection

from control_center.domain.outcome import CannotTell, Lookup, Outcome, Text
from control_center.domain.wire import kannel
from workers.sms.line import CONNECT, TOTAL, Answer, Line


class Kannel:
    """Owns the connections to one Kannel. Make it inside the running loop, close it there."""

    says_when_it_leaves = True  # by its line

    def __init__(
        self,
        *,
        base: str,
        user: str,
        secret: str,
        callback_url_template: str | None = None,
        slots: int = 16,
        total: float = TOTAL,
        connect: float = CONNECT,
    ) -> None:
        """`base` is smsbox's address, such as `http://10.0.0.5:13013`; `user` and `secret` are of a sendsms-user.

        `callback_url_template` is our public status address with `{key}` where the reference goes.
        """
        self._url = base.rstrip("/") + kannel.PATH
        self._user = user
        self._secret = secret
        self._callback = callback_url_template
        self._line = Line("kannel", secret=secret, slots=slots, total=total, connect=connect)

    async def submit(self, message: Text) -> Outcome:
        """Ask Kannel to send this text. Whatever the network or Kannel does is a value, save cancellation."""
        query = kannel.query(message, user=self._user, password=self._secret, callback_url_template=self._callback)
        answer = await self._line.get(f"{self._url}?{query}", words=message.body)
        if not isinstance(answer, Answer):
            return answer
        return kannel.outcome(answer.status, answer.retry_after, answer.body, message.at)

    async def lookup(self, message: Text, known: Collection[str] = ()) -> Lookup:  # noqa: ARG002 - as every channel
        return CannotTell("kannel: only a report tells")

    async def close(self) -> None:
        await self._line.close()
