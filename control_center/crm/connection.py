"""The edge of the broker: how a connection is opened, how its loss looks, and how long to wait before the next."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Iterator
from typing import cast
from urllib.parse import parse_qs, urlsplit

import aio_pika
import aiormq
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import AMQPError, AuthenticationError, InvalidFrameError, ProbableAuthenticationError

from control_center.crm.properties import be_lenient
from control_center.domain.errors import ConfigurationError, ControlCenterError
from control_center.domain.server_list import each_server

HEARTBEAT_SECONDS = 10  # a silent peer is given up after 3 x (heartbeat + 1); with the default of 60, 3 minutes
CONNECT_SECONDS = 15.0  # of a cluster, all that is tried together
ANSWER_SECONDS = 30.0  # long: a question given up closes its channel; and a queue may be electing its leader
HANG_UP_SECONDS = 3.0
# Frames that wait between the library's tasks and ours. With its own ten a process that has much else to do publishes,
# or hears of, three messages in each turn of its loop, however much there is. Each has 128 KiB at most.
FRAMES = 1000

# Both libraries log each refused connection with a traceback; the inbox and the outbox say the same in one line.
for _library in ("aio_pika", "aiormq"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)

be_lenient()
aiormq.Connection.FRAME_BUFFER_SIZE = FRAMES


class BrokerAway(ControlCenterError):  # noqa: N818 - reads as the sentence "raise BrokerAway(...)"
    """The broker cannot be reached, or what we held on it is gone; trying again later is the answer."""


class _Connection(aio_pika.Connection):
    def __del__(self) -> None:
        """Whoever opened it closes it: the library's would begin a task, where there may be no loop any more."""


async def connect(url: str, name: str) -> AbstractConnection:
    """Open a connection that the broker's operator will see under `name`, to whichever node of a cluster answers.

    It does not restore itself: whoever opened it notices the loss and opens the next.
    Raises ConfigurationError when the address or the user is wrong, BrokerAway for everything that may pass.
    """
    every = each_server(url)
    # Not always the same first: a node that lets us in and then is of no use must not be where each next try ends,
    # and of many engines not all are to hang on one node.
    random.shuffle(every)
    faults = []
    for node in every:
        try:
            return await _connect(node, name, CONNECT_SECONDS / len(every))
        except BrokerAway as away:
            faults.append(str(away) if len(every) == 1 else f"{urlsplit(node).netloc.rpartition('@')[2]}: {away}")
    raise BrokerAway("; ".join(faults))


async def _connect(url: str, name: str, within: float) -> AbstractConnection:
    parts = urlsplit(url)
    if parts.scheme not in {"amqp", "amqps"}:
        raise ConfigurationError("broker_url must begin with amqp:// or amqps://")
    heartbeat = None if "heartbeat" in parse_qs(parts.query) else HEARTBEAT_SECONDS
    with broker_errors("connecting"):
        try:
            return await aio_pika.connect(
                url, timeout=within, name=name, heartbeat=heartbeat, connection_class=_Connection
            )
        except (AuthenticationError, ProbableAuthenticationError) as error:
            raise ConfigurationError("the broker refuses the user or the password in broker_url") from error
        except InvalidFrameError as error:
            raise BrokerAway("the broker closed the door: is the virtual host in broker_url right?") from error


async def open_channel(connection: AbstractConnection, *, confirms: bool = False) -> aiormq.Channel:
    """A channel of the library underneath aio-pika, which does less for each message; it is never opened again.

    With `confirms` what is published on it is confirmed, or returned as an error. Raises BrokerAway.
    """
    async with answering("opening a channel"):
        if connection.transport is None:
            raise BrokerAway("opening a channel: the connection was closed")
        opened = await connection.transport.connection.channel(
            publisher_confirms=confirms, on_return_raises=confirms, frame_buffer_size=FRAMES
        )
        return cast("aiormq.Channel", opened)


async def hang_up(connection: AbstractConnection) -> None:
    """Close without waiting for a peer that may be long gone."""
    with contextlib.suppress(BrokerAway, TimeoutError):
        async with asyncio.timeout(HANG_UP_SECONDS):
            with broker_errors("closing"):
                await connection.close()


@contextlib.asynccontextmanager
async def answering(doing: str) -> AsyncIterator[None]:
    """Around questions that the broker must answer: those it leaves open for long count as BrokerAway too."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            with broker_errors(doing):
                yield
    except TimeoutError:
        raise BrokerAway(f"{doing}: no answer within {ANSWER_SECONDS:.0f} s") from None


@contextlib.contextmanager
def broker_errors(doing: str) -> Iterator[None]:
    """Turn every way in which a call on a connection can fail into BrokerAway, and nothing else."""
    try:
        yield
    except asyncio.CancelledError:
        # A dying connection rejects the calls that wait on it with CancelledError. Unless somebody did cancel this
        # task, that is a loss of the broker and must not end us.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BrokerAway(f"{doing}: the connection was closed") from None
    # RuntimeError: "channel closed", "connection closed". StopAsyncIteration: closed in the middle of the greeting.
    except (AMQPError, OSError, RuntimeError, StopAsyncIteration) as error:
        raise BrokerAway(f"{doing}: {str(error) or type(error).__name__}") from error


def pauses(longest: float) -> Iterator[float]:
    """Seconds to wait before each further try: doubling up to `longest`, spread so that many do not come at once."""
    pause = 0.2
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        pause = min(pause * 2, longest)


async def elapsed(stop: asyncio.Event, seconds: float) -> bool:
    """Wait; True when the time went by, False as soon as `stop` is set."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return True
    return False
