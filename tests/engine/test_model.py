"""Whatever happens in whatever order: what goes out is what a naive reading of the whole history says, none twice.

The model beside the product looks at every record at every hour and asks, in a few lines of plain Python, whether
something would have to go out. It knows no plans, no states and no due times, and shares no code with the product.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from control_center.domain.blackouts import Blackout
from control_center.domain.studio_catalog import parse
from control_center.engine import blackouts, catalogs, triggers
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
STATUSES = ("Booked", "Shot", "Asked")
MOST = 4  # sessions: few, so that much happens to each
FLAGS = ("on_hold", "canceled", "confirmed")
T = TypeVar("T")


# The naive model --------------------------------------------------------------------------------------------


@dataclass
class Wish:
    """What the reminder's trigger says as it is now."""

    hours: tuple[int, int] = (9, 18)
    days: int = 1  # before the session
    status: str | None = "Booked"  # None: any
    without: tuple[str, ...] = FLAGS


@dataclass
class Session:
    """What the CRM last said of a session, and what was written about it."""

    starts: datetime  # the local time on the studio's wall
    status: str
    entered: datetime
    flags: dict[str, bool]
    # Which starts were dealt with and when, in this order: whether a reminder went out, or an edit set it aside.
    dealt_with: list[tuple[datetime, datetime, bool]] = field(default_factory=list)
    thanked: set[datetime] = field(default_factory=set)

    @property
    def reminded(self) -> list[datetime]:
        return [starts for starts, _, went in self.dealt_with if went]


def is_open_matter(one: Session) -> bool:
    """Nothing was done about this start, or a reminder of another one went out since."""
    mine = [number for number, (starts, _, _) in enumerate(one.dealt_with) if starts == one.starts]
    if not mine:
        return True
    _, at, went = one.dealt_with[mine[-1]]
    return any(
        other and starts != one.starts and (then > at if went else number > mine[-1])
        for number, (starts, then, other) in enumerate(one.dealt_with)
    )


def is_its_day(one: Session, now: datetime, wish: Wish) -> bool:
    """So many days before the session, or later, and the session still lies ahead."""
    day = now.astimezone(CHICAGO).date()
    return day >= one.starts.date() - timedelta(days=wish.days) and now < instant(one.starts)


def is_closed(now: datetime, wish: Wish, closed: set[date]) -> bool:
    wall = now.astimezone(CHICAGO)
    return wall.date() in closed or not time(wish.hours[0]) <= wall.time() < time(wish.hours[1])


def matches(one: Session, wish: Wish) -> bool:
    return wish.status in (None, one.status)


def is_left_out(one: Session, wish: Wish) -> bool:
    return any(one.flags[flag] for flag in wish.without)


def reminder_waits(one: Session, now: datetime, wish: Wish) -> bool:
    """It could go, were it not for the hour and the day."""
    return matches(one, wish) and not is_left_out(one, wish) and is_its_day(one, now, wish) and is_open_matter(one)


def is_set_aside(one: Session, now: datetime, old: Wish, new: Wish) -> bool:
    """Whether an edit makes history of it: it is due by now, and was not waiting for its hour before."""
    if (old.days, old.status) == (new.days, new.status):
        return False
    promised = old.days == new.days and matches(one, old)
    due = matches(one, new) and now.astimezone(CHICAGO).date() >= one.starts.date() - timedelta(days=new.days)
    return due and not promised and is_open_matter(one)


def instant(wall: datetime) -> datetime:
    return wall.replace(tzinfo=CHICAGO).astimezone(UTC)


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
# What workers do meanwhile: every text has left before anything else happens.
TAKEN = "UPDATE messages SET state = 'accepted', sent_at = $1 WHERE state = 'queued'"
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
        self.wish = Wish()
        self.expected: dict[str, int] = {}
        self.last: dict[str, bytes] = {}
        self.now = STARTS[0]

    def does(self, work: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            return await work()

        return self.runner.run(run())

    @initialize(
        start=st.sampled_from(STARTS), hours=st.sampled_from([0, 4, 10, 18]), ahead=st.sampled_from([20, 30, 44])
    )
    def opens(self, start: datetime, hours: int, ahead: int) -> None:
        self.now = start + hours * HOUR

        async def prepare() -> None:
            self.pool = await db.open_pool(self.dsn, application="model")
            await self.pool.execute("TRUNCATE studios, triggers, trigger_versions, blackouts, records, events CASCADE")
            await self.pool.execute("TRUNCATE actions, messages, commands RESTART IDENTITY CASCADE")
            await a_studio(self.pool)
            known = parse({"statuses": [{"kind": "session", "name": status} for status in STATUSES]})
            await catalogs.replace(self.pool, "main", known, by="Ada")
            await a_trigger(self.pool, **REMINDER)
            await a_trigger(self.pool, **THANKS)
            self.restarted()

        self.does(prepare)
        self.books(ahead, 0)

    def restarted(self) -> None:
        self.intake = Intake(self.pool, lambda: self.now)
        self.release = Release(self.pool, lambda: self.now)

    # What happens

    @precondition(lambda self: len(self.sessions) < MOST)
    @rule(hours=st.sampled_from([14, 20, 30, 44, 90]), minutes=st.sampled_from([0, 30]))
    def books(self, hours: int, minutes: int) -> None:
        name = f"s{len(self.sessions)}"
        starts = self._wall(hours).replace(minute=minutes)
        self.sessions[name] = Session(starts, "Booked", self.now, dict.fromkeys(FLAGS, False))
        self._says(name, "created")

    @rule(data=st.data(), hours=st.sampled_from([3, 14, 20, 30, 44, 90]))
    def moves(self, data: Any, hours: int) -> None:
        name, one = self._one(data)
        starts = self._wall(hours).replace(minute=self.versions[name] % 60)  # another one each time
        if all(starts != earlier for earlier, _, _ in one.dealt_with):
            one.starts = starts
            self._says(name, "updated")

    @precondition(lambda self: any(one.reminded for one in self.sessions.values()))
    @rule(data=st.data())
    def moves_back(self, data: Any) -> None:
        """To a start that a reminder went out for, if not for the last time."""
        name = data.draw(st.sampled_from(sorted(name for name, one in self.sessions.items() if one.reminded)))
        one = self.sessions[name]
        self.now += timedelta(seconds=1)  # what went out before this did so at an earlier time
        one.starts = data.draw(st.sampled_from(one.reminded))
        self._says(name, "updated")

    @rule(data=st.data(), flag=st.sampled_from(FLAGS))
    def flags(self, data: Any, flag: str) -> None:
        name, one = self._one(data)
        one.flags[flag] = not one.flags[flag]
        self._says(name, "updated")

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

    @rule(hours=st.sampled_from([(9, 18), (10, 16), (13, 22), (8, 11)]))
    def edits_the_window(self, hours: tuple[int, int]) -> None:
        self._edits(replace(self.wish, hours=hours))

    @rule(days=st.sampled_from([1, 2, 3]))
    def edits_the_offset(self, days: int) -> None:
        self._edits(replace(self.wish, days=days))

    @rule(status=st.sampled_from([*STATUSES, None]))
    def edits_the_filter(self, status: str | None) -> None:
        self._edits(replace(self.wish, status=status))

    @rule(without=st.sampled_from([FLAGS, FLAGS[:1], FLAGS[1:], ()]))
    def edits_the_exclusions(self, without: tuple[str, ...]) -> None:
        self._edits(replace(self.wish, without=without))

    def _edits(self, wish: Wish) -> None:
        # What an exclusion holds back at this moment may have been looked at already or not: a promise or none.
        unclear = [one for one in self.sessions.values() if is_left_out(one, self.wish) and is_open_matter(one)]
        if (wish.days, wish.status) != (self.wish.days, self.wish.status) and unclear:
            return
        for one in self.sessions.values():
            if is_set_aside(one, self.now, self.wish, wish):
                one.dealt_with.append((one.starts, self.now, False))
        self.wish = wish
        begins, ends = wish.hours
        table = {
            **REMINDER,
            "activate": {"on": "session", "days": -wish.days},
            "processing": {"mode": "automatic", "window": f"{begins:02}:00-{ends:02}:00"},
            "exclude": dict.fromkeys(wish.without, True),
        }
        if wish.status is None:
            del table["status"]
        else:
            table["status"] = wish.status

        async def edit() -> None:
            await triggers.put(self.pool, lambda: self.now, "main", table, by="Ada")

        self.does(edit)
        self._looks()

    @rule(data=st.data())
    def restarts_and_hears_it_again(self, data: Any) -> None:
        name, _ = self._one(data)
        self.restarted()
        self._takes_in(self.last[name])
        self._looks()

    @rule(hours=st.sampled_from([-3, -1, 7, 30, 100]))
    def the_clock_steps(self, hours: int) -> None:
        if hours < 0 and any(self._has_been_put_off(one, self.now + hours * HOUR) for one in self.sessions.values()):
            return
        self.now += hours * HOUR
        self._looks()

    def _has_been_put_off(self, one: Session, back: datetime) -> bool:
        """It waits for an opening that it was told, or ended with its session: going back undoes neither."""
        waits = reminder_waits(one, self.now, self.wish) and is_closed(self.now, self.wish, set(self.closed))
        return waits or back < instant(one.starts) <= self.now

    @rule(hours=st.sampled_from([1, 3, 8, 13]))
    def time_passes(self, hours: int) -> None:
        for _ in range(hours):
            self.now += HOUR
            self._looks()

    # Both look

    def _looks(self) -> None:
        for name, one in self.sessions.items():
            if reminder_waits(one, self.now, self.wish) and not is_closed(self.now, self.wish, set(self.closed)):
                one.dealt_with.append((one.starts, self.now, True))
                self.expected[f"Reminder {name}"] = self.expected.get(f"Reminder {name}", 0) + 1
            if thanks_are_due(one, self.now):
                one.thanked.add(one.entered)
                self.expected[f"Thanks {name}"] = self.expected.get(f"Thanks {name}", 0) + 1

        async def release() -> dict[str, int]:
            while await self.release.run_once():
                pass
            await self.pool.execute(TAKEN, self.now)
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


class Chosen:
    """What a rule draws, said beforehand."""

    def __init__(self, *values: Any) -> None:
        self.values = list(values)

    def draw(self, _: Any) -> Any:
        return self.values.pop(0)


OPEN, CLOSED = 0, 10  # hours after nine in the morning


def returns_to_a_start_that_was_told_of(one: Studio) -> None:
    before = one.sessions["s0"].starts
    one.time_passes(1)
    one.moves(Chosen("s0"), 14)
    one.moves_back(Chosen("s0", before))


def edits_the_window_while_it_waits(one: Studio) -> None:
    one.edits_the_window((13, 22))


def edits_the_filter_while_it_waits(one: Studio) -> None:
    one.edits_the_filter(None)
    one.time_passes(13)
    one.time_passes(3)


def edits_the_filter_over_what_had_lapsed(one: Studio) -> None:
    one.advances(Chosen("s0"), "Asked")
    one.edits_the_filter("Asked")
    one.flags(Chosen("s0"), "on_hold")
    one.flags(Chosen("s0"), "on_hold")
    one.time_passes(13)
    one.time_passes(3)


def edits_the_offset_past_today(one: Studio) -> None:
    one.books(90, 0)
    one.edits_the_offset(3)
    one.edits_the_offset(2)
    one.time_passes(13)
    one.time_passes(13)


def closes_and_opens_the_day_it_waits_for(one: Studio) -> None:
    one.moves(Chosen("s0"), 30)
    one.closes_or_opens_a_day(1)
    one.time_passes(13)
    one.time_passes(3)
    one.closes_or_opens_a_day(0)


def lapses_and_qualifies_again(one: Studio) -> None:
    one.edits_the_window((13, 22))
    one.books(20, 30)
    one.flags(Chosen("s1"), "confirmed")
    one.time_passes(8)
    one.edits_the_exclusions(())


@pytest.mark.parametrize(
    ("hours", "story"),
    [
        (OPEN, returns_to_a_start_that_was_told_of),
        (CLOSED, edits_the_window_while_it_waits),
        (CLOSED, edits_the_filter_while_it_waits),
        (CLOSED, edits_the_filter_over_what_had_lapsed),
        (CLOSED, edits_the_offset_past_today),
        (CLOSED, closes_and_opens_the_day_it_waits_for),
        (OPEN, lapses_and_qualifies_again),
    ],
)
def test_what_long_runs_come_upon_is_walked_through_each_time(
    database_url: str, runner: asyncio.Runner, hours: int, story: Callable[[Studio], None]
) -> None:
    one = type("Machine", (Studio,), {"runner": runner, "dsn": database_url})()
    one.opens(STARTS[0], hours, 20)
    story(one)
    one.teardown()


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
