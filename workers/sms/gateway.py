"""Texts through a gateway of the studio's own that speaks our small HTTP API: one POST each."""

from __future__ import annotations

from collections.abc import Collection

from control_center.domain.outcome import CannotTell, Lookup, Outcome, Text
from control_center.domain.wire import gateway
from workers.sms.line import CONNECT, TOTAL, Answer, Line


class Gateway:
    """Owns the connections to one gateway. Make it inside the running loop, close it there."""

    says_when_it_leaves = True  # by its line

    def __init__(
        self, *, url: str, secret: str, slots: int = 16, total: float = TOTAL, connect: float = CONNECT
    ) -> None:
        """`url` is the whole address to post to."""
        self._url = url
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        self._line = Line("gateway", secret=secret, headers=headers, slots=slots, total=total, connect=connect)

    async def submit(self, message: Text) -> Outcome:
        """Ask the gateway to send this text. Whatever it or the network does is a value, save cancellation."""
        answer = await self._line.post(self._url, gateway.body(message), {}, words=message.body)
        if not isinstance(answer, Answer):
            return answer
        return gateway.outcome(answer.status, answer.retry_after, answer.body, message.at)

    async def lookup(self, message: Text, known: Collection[str] = ()) -> Lookup:  # noqa: ARG002 - as every channel
        return CannotTell("gateway: only a report tells")

    async def close(self) -> None:
        await self._line.close()
