"""Whatever happens in whatever order: what goes out is what a naive reading of the whole history says, none twice.

The model beside the product looks at every record at every hour and asks, in a few lines of plain Python, whether
something would have to go out. It knows no plans, no states and no due times, and shares no code with the product.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from control_center.domain.blackouts import Blackout
from control_center.engine import blackouts, triggers
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db
from tests.support.crm import client, event, session
from tests.support.rows import a_studio, a_trigger

CHICAGO = ZoneInfo("America/Chicago")
HOUR = timedelta(hours=1)
STARTS = (
    datetime(2026, 11, 22, 15, tzinfo=UTC),
    datetime(2027, 3, 12, 2, tzinfo=UTC),  # clocks go forward on the 14th
    datetime(2026, 10, 30, 20, tzinfo=UTC),  # and back on 1 November
)
STATUSES = ("Booked", "Shot")
FLAGS = ("on_hold", "canceled", "confirmed")
T = TypeVar("T")


# The naive model --------------------------------------------------------------------------------------------


@dataclass
class Session:
    """What the CRM last said of a session, and what was written about it."""

    starts: datetime  # the local time on the studio's wall
    status: str
    entered: datetime
    flags: dict[str, bool]
    reminded: set[datetime] = field(default_factory=set)  # the starts that a reminder went out for
    thanked: set[datetime] = field(default_factory=set)


def reminder_is_due(one: Session, now: datetime, closed: set[date], hours: tuple[time, time]) -> bool:
    """The day before the session, within these hours, while it is booked and has none of the flags."""
    wall = now.astimezone(CHICAGO)
    return (
        one.status == "Booked"
        and not any(one.flags.values())
        and one.starts not in one.reminded
        and wall.date() >= one.starts.date() - timedelta(days=1)
        and now < one.starts.replace(tzinfo=CHICAGO).astimezone(UTC)
        and hours[0] <= wall.time() < hours[1]
        and wall.date() not in closed
    )


def thanks_are_due(one: Session, now: datetime) -> bool:
    """At any hour and on any day, as soon as it is shot, within two weeks."""
    fresh = one.entered <= now < one.entered + timedelta(days=14)
    return one.status == "Shot" and fresh and one.entered not in one.thanked


# The product beside it --------------------------------------------------------------------------------------


REMINDER: dict[str, Any] = {
    "name": "Reminder",
    "activate": {"on": "session", "days": -1},
    "processing": {"mode": "automatic", "window": "09:00-18:00"},
    "exclude": {"on_hold": True, "canceled": True, "confirmed": True},
    "record": "session",
    "status": "Booked",
    "action": "sms",
    "text": "See you soon.",
    "purpose": "transactional",
    "enabled": True,
}
THANKS: dict[str, Any] = {
    "name": "Thanks",
    "status": "Shot",
    "activate": {"on": "status_changed"},
    "processing": {"mode": "automatic", "blackouts": False},
}
SENT = """
SELECT triggers.name || ' ' || messages.record_id, count(*) FROM messages JOIN triggers USING (studio_id, trigger_id)
 GROUP BY 1"""


class Studio(RuleBasedStateMachine):
    """Both of them through the same days."""

    runner: asyncio.Runner
    dsn: str

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, Session] = {}
        self.versions: dict[str, int] = {}
        self.closed: dict[date, int] = {}
        self.hours = (time(9), time(18))
        self.expected: dict[str, int] = {}
        self.last: dict[str, bytes] = {}
        self.now = STARTS[0]

    def does(self, work: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            return await work()

        return self.runner.run(run())

    @initialize(start=st.sampled_from(STARTS))
    def opens(self, start: datetime) -> None:
        self.now = start

        async def prepare() -> None:
            self.pool = await db.open_pool(self.dsn, application="model")
            await self.pool.execute("TRUNCATE studios, triggers, trigger_versions, blackouts, records, events CASCADE")
            await self.pool.execute("TRUNCATE actions, messages, commands RESTART IDENTITY CASCADE")
            await a_studio(self.pool)
            await a_trigger(self.pool, **REMINDER)
            await a_trigger(self.pool, **THANKS)
            self.restarted()

        self.does(prepare)

    def restarted(self) -> None:
        self.intake = Intake(self.pool, lambda: self.now)
        self.release = Release(self.pool, lambda: self.now)

    # What happens

    @rule(hours=st.integers(14, 60), minutes=st.sampled_from([0, 30]))
    def books(self, hours: int, minutes: int) -> None:
        name = f"s{len(self.sessions)}"
        starts = self._wall(hours).replace(minute=minutes)
        self.sessions[name] = Session(starts, "Booked", self.now, dict.fromkeys(FLAGS, False))
        self._says(name, "created")

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), hours=st.integers(1, 90))
    def moves(self, data: Any, hours: int) -> None:
        name, one = self._one(data)
        starts = self._wall(hours).replace(minute=len(one.reminded) + self.versions[name] % 50)
        if starts not in one.reminded:
            one.starts = starts
            self._says(name, "updated")

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), flag=st.sampled_from(FLAGS))
    def flags(self, data: Any, flag: str) -> None:
        name, one = self._one(data)
        one.flags[flag] = not one.flags[flag]
        self._says(name, "updated")

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), status=st.sampled_from(STATUSES))
    def advances(self, data: Any, status: str) -> None:
        name, one = self._one(data)
        if status != one.status:
            one.status, one.entered = status, self.now + timedelta(microseconds=self.versions[name])
            self._says(name, "status_changed")

    @rule(days=st.integers(0, 2))
    def closes_or_opens_a_day(self, days: int) -> None:
        day = self.now.astimezone(CHICAGO).date() + timedelta(days=days)

        async def change() -> None:
            clock = lambda: self.now  # noqa: E731 - a clock that stands still
            if day in self.closed:
                await blackouts.remove(self.pool, clock, "main", self.closed.pop(day), by="Ada")
            else:
                self.closed[day] = await blackouts.add(self.pool, clock, "main", Blackout.on("Away", day), by="Ada")

        self.does(change)
        self._looks()

    @rule(hours=st.sampled_from([(9, 18), (10, 16), (13, 22)]))
    def edits_the_window(self, hours: tuple[int, int]) -> None:
        begins, ends = hours
        self.hours = (time(begins), time(ends))
        processing = {"mode": "automatic", "window": f"{begins:02}:00-{ends:02}:00"}

        async def edit() -> None:
            table = {**REMINDER, "processing": processing}
            await triggers.put(self.pool, lambda: self.now, "main", table, by="Ada")

        self.does(edit)
        self._looks()

    @rule()
    def restarts(self) -> None:
        self.restarted()

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def hears_it_again(self, data: Any) -> None:
        name, _ = self._one(data)
        self._takes_in(self.last[name])
        self._looks()

    @rule(hours=st.sampled_from([-3, -1, 7, 30, 100]))
    def the_clock_steps(self, hours: int) -> None:
        self.now += hours * HOUR
        self._looks()

    @rule(hours=st.integers(1, 20))
    def time_passes(self, hours: int) -> None:
        for _ in range(hours):
            self.now += HOUR
            self._looks()

    # Both look

    def _looks(self) -> None:
        for name, one in self.sessions.items():
            if reminder_is_due(one, self.now, set(self.closed), self.hours):
                one.reminded.add(one.starts)
                self.expected[f"Reminder {name}"] = self.expected.get(f"Reminder {name}", 0) + 1
            if thanks_are_due(one, self.now):
                one.thanked.add(one.entered)
                self.expected[f"Thanks {name}"] = self.expected.get(f"Thanks {name}", 0) + 1

        async def release() -> dict[str, int]:
            while await self.release.run_once():
                pass
            return {row[0]: row[1] for row in await self.pool.fetch(SENT)}

        assert self.does(release) == self.expected, f"at {self.now.astimezone(CHICAGO):%a %d %b %H:%M}"

    def _says(self, name: str, verb: str) -> None:
        one = self.sessions[name]
        self.versions[name] = self.versions.get(name, 0) + 1
        record = session(
            name,
            version=self.versions[name],
            client=f"c-{name}",
            status=one.status,
            status_changed_at=one.entered.isoformat(),
            dates={"session": one.starts.isoformat(timespec="minutes")},
            flags=one.flags,
        )
        number = f"312555{int(name[1:]):04}"
        about = client(f"c-{name}", phones=[{"number": number, "sms": True}])
        said = event(record, verb, about=about, time=self.now.isoformat())
        self.last[name] = said
        self._takes_in(said)
        self._looks()

    def _takes_in(self, body: bytes) -> None:
        async def take() -> None:
            taken = await self.intake.take_in([body])
            assert not taken.dead, taken.dead

        self.does(take)

    def _one(self, data: Any) -> tuple[str, Session]:
        name = data.draw(st.sampled_from(sorted(self.sessions)))
        return name, self.sessions[name]

    def _wall(self, hours: int) -> datetime:
        ahead = (self.now + hours * HOUR).astimezone(CHICAGO).replace(tzinfo=None, minute=0, second=0, microsecond=0)
        # Three at night is left to the tests of clock changes: nobody is photographed in an hour that does not exist.
        return ahead.replace(hour=12) if ahead.hour < 4 else ahead

    def teardown(self) -> None:
        if hasattr(self, "pool"):
            self.does(self.pool.close)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.mark.parametrize(
    ("examples", "steps"), [(40, 25), pytest.param(400, 40, marks=pytest.mark.long)], ids=["fast", "long"]
)
def test_what_goes_out_is_what_the_whole_history_says(
    database_url: str, runner: asyncio.Runner, examples: int, steps: int
) -> None:
    machine = type("Machine", (Studio,), {"runner": runner, "dsn": database_url})
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    # The fast run takes the same days each time; the long one finds others.
    law = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=checks,
        derandomize=steps < 40,
        database=None,
    )
    run_state_machine_as_test(machine, settings=law)
