"""The soak: a stream of events, a plan of faults, both at once; then calm, and the check of everything that was."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from tests.soak import laws, office
from tests.soak.befalling import BEFALL, flights
from tests.soak.causes import UNKNOWN, Befallen, doubts
from tests.soak.plan import WORKERS, Fault, plan
from tests.soak.report import Report
from tests.soak.stage import Stage
from tests.soak.stream import Diary, Reply
from tests.support.checker import OVERDUE, check
from tests.support.fake_sms import ACCOUNT
from tests.support.far import UNFINISHED, WAITED

Say = Callable[[str], None]

EVERY_LINE: Final = 10.0  # seconds between two lines of progress
ENOUGH: Final = 600.0  # seconds in which calm has to come
STATES: Final = "SELECT state, count(*) AS number FROM messages WHERE origin <> 'client' GROUP BY state"
COUNTS: Final = """
SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM messages WHERE origin <> 'client') AS messages,
       (SELECT count(*) FROM messages WHERE state = 'unknown') AS unknown"""
OWNERS: Final = "SELECT DISTINCT lease_owner FROM messages WHERE lease_until IS NOT NULL"
RUN_OUT: Final = (
    "UPDATE messages SET lease_until = clock_timestamp() WHERE lease_owner = ANY ($1) AND lease_until IS NOT NULL"
)
BREAKERS: Final = "UPDATE breakers SET open_until = clock_timestamp() WHERE open_until > clock_timestamp()"
LEFT: Final = "SELECT count(*) FROM messages WHERE state = 'held' AND reason LIKE 'breaker:%'"
UNHEARD: Final = "SELECT count(*) FROM commands WHERE state <> 'published'"


@dataclass(frozen=True, slots=True)
class Wish:
    """What kind of soak. `every`: seconds between two faults; `rate`: events a second; `patient`: there are hours."""

    seed: int
    seconds: float
    every: float = 5.0
    rate: float = 4.0
    patient: bool = False


@dataclass
class Soak:
    """Owns one run on a stage: what was said, and what befell."""

    stage: Stage
    wish: Wish
    say: Say
    stop: asyncio.Event = field(default_factory=asyncio.Event)  # ends it gently
    befallen: list[Befallen] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # faults that could not be done
    _bodies: list[bytes] = field(default_factory=list)
    _replies: set[asyncio.Task[None]] = field(default_factory=set)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.diary = Diary(
            Random(f"stream of {self.wish.seed}"), lambda: datetime.now(UTC), lambda: self.stage.provider.accepted
        )
        self.stage.desk.groups = lambda: self.diary.groups

    async def run(self) -> Report:
        """From the first event to the verdict."""
        self.began, at = time.monotonic(), datetime.now(UTC)
        self.say(f"seed {self.wish.seed}: {self.wish.seconds:.0f} s, a fault every {self.wish.every:g} s")
        progress = asyncio.create_task(self._progress())
        try:
            over = asyncio.Event()
            telling = [asyncio.create_task(self._tell(over)), asyncio.create_task(self._publish(over))]
            await self._befall()
            over.set()
            lasted = time.monotonic() - self.began
            self.say(f"{self._at()} no more events, no more faults: until all is calm")
            await asyncio.gather(*telling)
            calm = await self._calm()
        finally:
            progress.cancel()
        return await self._report(at, lasted, calm)

    # While it lasts ---------------------------------------------------------------------------------------

    async def _tell(self, over: asyncio.Event) -> None:
        """Draw what is said, at an even pace."""
        while not await _set(over, 1 / self.wish.rate):
            drawn = self.diary.next()
            if isinstance(drawn, Reply):
                call = asyncio.create_task(self.stage.provider.bring(drawn.words, sender=drawn.sender))
                self._replies.add(call)
                call.add_done_callback(self._replies.discard)
            else:
                self._bodies += drawn

    async def _publish(self, over: asyncio.Event) -> None:
        """Publish what was drawn until it is confirmed, in its order."""
        while not await _set(over, 1.0) or self._bodies:
            some, self._bodies = self._bodies, []
            if some:
                await self.stage.crm.say(some, within=900)

    async def _befall(self) -> None:
        """Let each fault begin at its time, side by side; the last of them may take a little longer."""
        under_way = set()
        for fault in plan(self.wish.seed, self.wish.seconds, every=self.wish.every, patient=self.wish.patient):
            if await _set(self.stop, self.began + fault.at - time.monotonic()):
                break
            under_way.add(asyncio.create_task(self._one(fault)))
        else:
            await _set(self.stop, self.began + self.wish.seconds - time.monotonic())
        if under_way:
            await asyncio.wait(under_way, timeout=300)
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _one(self, fault: Fault) -> None:
        async with self._locks.setdefault(fault.target, asyncio.Lock()):
            began = datetime.now(UTC)
            self.say(f"{self._at()} {fault}")
            try:
                await BEFALL[fault.kind](self.stage, fault)
            except Exception as error:  # noqa: BLE001 - told at the end, whatever it is
                self.failed.append(f"{fault}: {type(error).__name__}: {error}")
            finally:
                self.befallen.append(Befallen(fault, began, datetime.now(UTC)))

    async def _progress(self) -> None:
        while True:
            await asyncio.sleep(EVERY_LINE)
            (row,) = await self.stage.sql(COUNTS)
            self.say(
                f"{self._at()} {row['events']} events, {row['messages']} messages, {len(self.befallen)} faults,"
                f" {row['unknown']} unknown"
            )

    def _at(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        return f"{minutes:3d}:{seconds:02d}"

    # And then ---------------------------------------------------------------------------------------------

    async def _calm(self) -> bool:
        """Lift everything, let every program begin anew, and wait until nothing is due or under way."""
        stage = self.stage
        stage.provider.behave()
        stage.provider.manner = ""
        stage.provider.report()
        stage.relay.behave()
        await office.resume(stage)
        await self._renew()
        deadline = time.monotonic() + ENOUGH
        while time.monotonic() < deadline:
            if await self._is_calm():
                return True
            await asyncio.sleep(1)
        return False

    async def _renew(self) -> None:
        """Every program anew, none of them armed. What dead workers held is read by the next; then its time is over."""
        posts = self.stage.posts
        await asyncio.gather(*(post.renew() for post in posts.values()))
        await asyncio.gather(*(post.ready() for post in posts.values()))
        alive = {owner for name in WORKERS for owner in _owners(posts[name].program)}
        owners = [row[0] for row in await self.stage.sql(OWNERS)]
        await self.stage.sql(RUN_OUT, [one for one in owners if str(one) not in alive])

    async def _is_calm(self) -> bool:
        """Nobody waits here for another try, or for a breaker: what they wait for is brought forward."""
        stage = self.stage
        await stage.sql(WAITED)
        await stage.sql(BREAKERS)
        if self._replies or stage.provider.unreported:
            return False
        if await stage.value(f"SELECT ({UNFINISHED})", [f"sms/{ACCOUNT}"]) or await stage.value(LEFT):
            return False
        return not await stage.value(UNHEARD) and not await stage.sql(OVERDUE)

    async def _report(self, at: datetime, lasted: float, calm: bool) -> Report:  # noqa: FBT001 - one caller
        stage = self.stage
        for post in stage.posts.values():
            if post.program is not None:
                post.look(post.program)
        findings = await check(stage.office, ledgers=[stage.provider, stage.relay], crm=stage.crm)
        rows = await stage.sql(UNKNOWN)
        met = {**stage.provider.met, **stage.relay.met}
        found: dict[str, list[str]] = {
            name: getattr(findings, name) for name in ("lost", "dup", "ghost", "false", "stuck")
        }
        found["twice by the far side's books"] = laws.twice(stage)
        found["silent"] = await laws.silent(stage, self.diary)
        found["after STOP"] = await laws.after_stop(stage)
        found["on a closed day"] = await laws.on_closed_days(stage)
        found["said of itself"] = list(laws.said_of_itself(stage))
        found["not done"] = self.failed
        (row,) = await stage.sql(COUNTS)
        states = {one["state"]: one["number"] for one in await stage.sql(STATES)}
        return Report(
            wish=vars_of(self.wish),
            at=at,
            lasted=lasted,
            calm=calm,
            events=len(stage.crm.said),
            said=dict(self.diary.said),
            stored=row["events"],
            messages=row["messages"],
            texts=len(stage.provider.accepted),
            mails=len(stage.relay.accepted),
            heard=len(stage.crm.heard),
            states=states,
            starts={post.name: post.starts for post in stage.posts.values()},
            faults=Counter(one.fault.kind for one in self.befallen),
            doubts=doubts(rows, met, self.befallen),
            found=found,
        )


def vars_of(wish: Wish) -> dict[str, Any]:
    return {name: getattr(wish, name) for name in Wish.__slots__}


def _owners(program: Any) -> list[str]:
    return flights(program.pid) if program is not None else []


async def _set(event: asyncio.Event, seconds: float) -> bool:
    """Whether it was set before so many seconds had gone."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), max(0.0, seconds))
    return event.is_set()
