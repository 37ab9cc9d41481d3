"""What the broker itself has set aside, taken out of its queue into our keeping.

Two kinds lie in the dead queue: copies of bodies that we could not understand, which are stored with us and stay there
for whoever reads that queue, and what the broker put there, which nobody has. To look at a message and give it back
would count as a delivery each time, and after some the broker drops it; so it is kept first and acknowledged then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity

from control_center.crm.connection import answering, connect, hang_up
from control_center.crm.topology import Topology
from control_center.domain.errors import ConfigurationError

PAGE = 100  # messages that are kept in one go
PAGE_BYTES = 32 * 1024 * 1024  # no more are read for a page that has so many


@dataclass(frozen=True, slots=True)
class Letter:
    """A body that the broker has set aside, and why."""

    body: bytes
    reason: str


Keep = Callable[[Sequence[Letter]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Collected:
    """How many letters were kept and taken off the queue, and how many copies of ours were left in it."""

    letters: int
    copies: int


async def collect(url: str, keep: Keep, *, topology: Topology | None = None) -> Collected:
    """Hand over what the broker has set aside, to be kept; what is kept is taken off its queue.

    `keep` is called for every page, and gets no letters where there are copies of ours alone. Who dies in between finds
    what was kept once more. Raises ConfigurationError where this user may not read the queue, or there is none;
    BrokerAway where the broker is lost: what was kept by then stays kept.
    """
    queue, letters, copies = (topology or Topology()).dead_queue, 0, 0
    connection = await connect(url, "control-center dead letters")
    try:
        async with _asking(queue):
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            declared = await channel.declare_queue(queue, durable=True, passive=True)
        # One pass over what lies there now: copies that are put behind are not come to again.
        left = declared.declaration_result.message_count or 0
        while left > 0 and (page := await _read(channel, queue, min(PAGE, left))):
            left -= len(page)
            theirs = [one for one in page if not _is_copy(one.headers)]
            await keep([Letter(one.body, _why(one.headers)) for one in theirs])
            await _settle(channel, queue, page)
            letters += len(theirs)
            copies += len(page) - len(theirs)
    finally:
        await hang_up(connection)
    return Collected(letters, copies)


@asynccontextmanager
async def _asking(queue: str) -> AsyncIterator[None]:
    """Around questions to the broker. Raises ConfigurationError for what only its administrator mends."""
    async with answering(f"reading {queue}"):
        try:
            yield
        except ChannelNotFoundEntity:
            raise ConfigurationError(f"the broker has no queue {queue!r}; the engine creates it") from None
        except ChannelAccessRefused as error:
            raise ConfigurationError(
                f"the broker's user may not read {queue!r}, or not write to it; give it both rights for this once, or"
                f" name another user by --set broker_url=...: {error}"
            ) from error


async def _read(channel: AbstractChannel, name: str, most: int) -> list[AbstractIncomingMessage]:
    """The next messages, not acknowledged yet; fewer where there are no more, or they are heavy."""
    page: list[AbstractIncomingMessage] = []
    size = 0
    async with _asking(name):
        queue = await channel.get_queue(name, ensure=False)
        while len(page) < most and size < PAGE_BYTES:
            if (message := await queue.get(no_ack=False, fail=False)) is None:
                break
            page.append(message)
            size += len(message.body)
    return page


async def _settle(channel: AbstractChannel, name: str, page: Sequence[AbstractIncomingMessage]) -> None:
    """Take these off the queue. A copy of ours is published once more, and confirmed, before."""
    async with _asking(name):
        for one in page:
            if _is_copy(one.headers):
                again = Message(
                    one.body, headers=one.headers, content_type=one.content_type, delivery_mode=DeliveryMode.PERSISTENT
                )
                await channel.default_exchange.publish(again, name, mandatory=True)
            await one.ack()


def _is_copy(headers: Mapping[str, Any]) -> bool:
    """Whether we published it. One that came back to the events and died there is the broker's."""
    return "x-reason" in headers and "x-death" not in headers


def _why(headers: Mapping[str, Any]) -> str:
    """The broker's own words, of the last time that it was set aside."""
    deaths = headers.get("x-death")
    last: Any = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}
    reason = last.get("reason", headers.get("x-first-death-reason"))
    if reason is None:
        return "it lay in the broker's dead queue, and nothing says why"
    told = {
        "delivery_limit": "handed out as often as its limit allows, and never acknowledged",
        "expired": "it was not taken in time",
        "maxlen": "the queue was full",
        "rejected": "somebody rejected it",
    }
    where = f" in {last['queue']}" if isinstance(last.get("queue"), str) else ""
    since = f" at {last['time']:%Y-%m-%dT%H:%M:%S}Z" if hasattr(last.get("time"), "strftime") else ""
    return f"the broker set it aside{where}{since}: {told.get(str(reason), str(reason)[:200])}"
