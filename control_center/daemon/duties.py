"""What each role of the engine process does, wired to the database, the broker and each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

from control_center.crm.inbox import Dead, Inbox
from control_center.crm.outbox import Outbox, Published, Unroutable
from control_center.crm.outbox import Parcel as Letter
from control_center.domain.links import Links
from control_center.engine import dead_queue
from control_center.engine.bulks import PUMP_CHANNEL
from control_center.engine.carrier import Carrier
from control_center.engine.hearing import Hearing
from control_center.engine.intake import Intake
from control_center.engine.ladder import Ladder
from control_center.engine.lines import RELEASE_CHANNEL
from control_center.engine.pump import Pump
from control_center.engine.relay import Answer, Parcel, Relay, Verdict
from control_center.engine.release import Release
from control_center.engine.upkeep import Ages, Upkeep
from control_center.loop import Loop
from control_center.service import Service
from control_center.store import db, fences, heard

POLL: Final = 5.0  # seconds between looks for what is due, when nobody says that there is something
TEND: Final = 15.0
CLIMB: Final = 15.0  # seconds between looks at the ladders: what they wait for is counted in minutes at least


@dataclass(slots=True)
class Duties:
    """Starts duties on one process' life, the spine on the `hot` pool. Readiness looks at `loops` and `inbox`."""

    life: Service
    pool: db.Pool
    hot: db.Pool
    dsn: str
    broker_url: str
    now: Callable[[], datetime]
    ages: Ages = field(default_factory=Ages)
    links: Links | None = None  # what links in a bulk's mail are made with
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    bulk_wake: asyncio.Event = field(default_factory=asyncio.Event)
    loops: list[Loop] = field(default_factory=list)
    inbox: Inbox | None = None
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        self.intake = Intake(self.hot, self.now)

    def release(self) -> None:
        """SPINE 2, whenever something is due: by its own clock, or woken by an intake anywhere."""
        release = Release(self.hot, self.now)

        async def work() -> float:
            if await release.run_once():
                await release.catch_up()
            due = await release.next_due()
            # What is due and not ours is another release's; its transaction is short.
            return POLL if due is None else min(POLL, max(0.05, (due - self.now()).total_seconds()))

        wakes = {RELEASE_CHANNEL: self.wake, PUMP_CHANNEL: self.bulk_wake}
        listener = db.Listener(self.dsn, wakes, application="control-center release wakes")
        self.life.on_close(listener.close)

        async def listen() -> float:
            await listener.tend()
            return TEND

        self._start(Loop("release", work, self.life.stop, away=db.PASSES, wake=self.wake))
        self._start(Loop("listen", listen, self.life.stop, away=db.PASSES))
        self._ladder()
        self._pump()

    def _pump(self) -> None:
        """Bulks have their turns: once somebody lets one go, and then as fast as its number takes it."""
        pump = Pump(self.pool, self.now, links=self.links)

        async def turn() -> float:
            if await pump.run_once():
                return 0.0
            due = await pump.next_due()
            wait = POLL if due is None else (due - self.now()).total_seconds()
            # What is due and was not ours is another pump's, or its studio is switched off.
            return min(POLL, wait) if wait > 0 else 1.0

        self._start(Loop("pump", turn, self.life.stop, away=db.PASSES, wake=self.bulk_wake))

    def _ladder(self) -> None:
        """What was released and came to nothing goes another way in time."""
        ladder = Ladder(self.pool, self.now)

        async def climb() -> float:
            return 0.0 if await ladder.run_once() else CLIMB

        self._start(Loop("ladder", climb, self.life.stop, away=db.PASSES))

    def engine(self) -> None:
        """SPINE 1 from the broker, the way back to it, and the upkeep of the database."""
        if self.broker_url:
            self.inbox = Inbox(self.broker_url, self._take_in, copying=partial(dead_queue.copying, self.pool))
            self.life.start("inbox", self.inbox.run(self.life.stop))
            self._dead_queue(self.inbox)
            self._relay()
        self._upkeep()
        self._hearing()

    def _hearing(self) -> None:
        """What workers heard on their sessions is read once it is there."""
        hearing, wake = Hearing(self.pool, self.now), asyncio.Event()
        listener = db.Listener(self.dsn, {heard.CHANNEL: wake}, application="control-center hearing wakes")
        self.life.on_close(listener.close)

        async def listen() -> float:
            await listener.tend()
            return TEND

        async def read() -> float:
            return 0.0 if await hearing.run_once() else POLL

        self._start(Loop("hearing-wakes", listen, self.life.stop, away=db.PASSES))
        self._start(Loop("hearing", read, self.life.stop, away=db.PASSES, wake=wake))

    def _dead_queue(self, inbox: Inbox) -> None:
        """What the broker has set aside is told of."""

        async def ask() -> dead_queue.Count | None:
            found = await inbox.dead_queue()
            return None if found is None else dead_queue.Count(found.ready, found.consumers)

        async def look() -> float:
            await dead_queue.watch(self.pool, ask)
            return TEND

        self._start(Loop("dead-queue", look, self.life.stop, away=db.PASSES))

    def _relay(self) -> None:
        outbox = Outbox(self.broker_url)

        async def publish(parcels: Sequence[Parcel]) -> list[Answer]:
            letters = [Letter(one.exchange, one.routing_key, one.body, one.command_id, one.headers) for one in parcels]
            return [_answer(receipt) for receipt in await outbox.publish(letters)]

        relay = Relay(self.pool, publish, uuid4())
        self.life.on_close(outbox.close)
        self.life.on_close(relay.close)
        self._start(Loop("relay", relay.run_once, self.life.stop, away=db.PASSES))

    def _upkeep(self) -> None:
        upkeep = Upkeep(self.pool, self.now, uuid4(), ages=self.ages)
        self.life.on_close(upkeep.close)
        self._start(Loop("upkeep", upkeep.run_once, self.life.stop, away=db.PASSES))

    def carrier(self, folder: Path) -> None:
        """Receipts for what the sandbox of this data folder took."""
        self._start(Loop("carrier", Carrier(self.pool, folder, self.now).run_once, self.life.stop, away=db.PASSES))

    async def fenced(self) -> str | None:
        """What keeps messages from being sent, for readiness."""
        async with db.session(self.pool) as connection:
            if await fences.is_open(connection):
                return None
            return f"nothing is sent: {(await fences.look(connection)).reason or 'this is another database'}"

    async def consuming(self) -> str | None:
        """What keeps events from coming in, for readiness; None where nothing does."""
        if self.inbox is None or self.inbox.attached:
            return None
        return "no consumer is attached to the broker's queue"

    async def _take_in(self, bodies: Sequence[bytes]) -> list[Dead]:
        taken = await self.intake.take_in(bodies)
        return [Dead(dead.body, dead.reason, dead.field) for dead in taken.dead]

    def _start(self, loop: Loop) -> None:
        self.loops.append(loop)
        self.life.start(loop.name, loop.run())


def _answer(receipt: object) -> Answer:
    match receipt:
        case Published():
            return Answer(Verdict.PUBLISHED)
        case Unroutable(reason=reason):
            return Answer(Verdict.UNROUTABLE, reason)
        case _:
            return Answer(Verdict.UNCONFIRMED, getattr(receipt, "reason", ""))
