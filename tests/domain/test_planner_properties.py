"""Laws of planning and deciding, whatever the history, the calendar and the clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_center.domain.action import BEFORE_TRIGGER, IN_SNAPSHOT, State
from control_center.domain.activations import Activation, activations
from control_center.domain.blackouts import Blackout
from control_center.domain.planner import Decision, Expire, Lapse, Review, Send, Wait, decide
from control_center.domain.record import Picture, project
from control_center.domain.rules import Rule, Rules
from control_center.domain.zones import names, zone
from tests.support import brute_force_calendar as slow
from tests.support.values import DAY, Shelf, a_picture, a_rule, a_trigger, the_rules

LAW = settings(deadline=None)
MANY = settings(deadline=None, max_examples=3000)
MINUTE = timedelta(minutes=1)

# Histories of one session ---------------------------------------------------------------------------------

# Hours after this the versions of a history are written, one an hour; dates lie around it, so that in any history
# some activations are past when we first hear of them, some at the time of reading, and some lie ahead.
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
DATES = st.sampled_from(
    [
        None,
        "2026-11-10",
        "2026-11-21T14:00",
        "2026-11-22",
        "2026-11-27T14:00",
        "2026-12-01",
        "2026-12-01T14:00",
        "2027-06-12",
    ]
)
STATUSES = st.sampled_from([None, "Booked", "Delivered"])

RULES = the_rules(
    a_trigger(1),
    a_trigger(2, status="Booked", exclude={"on_hold": True}),
    a_trigger(3, status="Booked", activate={"on": "status_changed"}),
    a_trigger(4, activate={"on": "status_due", "days": -1}, processing={"mode": "automatic", "window": "09:00-18:00"}),
    a_trigger(5, status="Delivered", activate={"on": "status_due", "days": 1}, processing={"mode": "manual"}),
    a_trigger(6, activate={"on": "booked"}, use_by="2d"),
    a_trigger(7, type="Portrait", activate={"on": "session"}, exclude={"past_date": True}, moved="nothing"),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Picture]:
    """Up to five versions of a session, each as its event shows it: created, or first seen by an update."""
    seen: list[Picture] = []
    entry: tuple[str | None, str | None] = (None, None)
    for version in range(1, draw(st.integers(1, 5)) + 1):
        time = START + timedelta(hours=version)
        status = draw(STATUSES)
        entered = version == 1 or (status, entry[1]) != entry
        if entered:
            behind = draw(st.sampled_from([timedelta(0), timedelta(minutes=5), 9 * DAY]))
            entry = (status, (time - behind).isoformat())
        verb = draw(st.sampled_from(["updated", "status_changed"])) if entered else "updated"
        if version == 1:
            verb = draw(st.sampled_from(["created", verb]))
        if version > 2 and draw(st.integers(0, 9)) == 0:
            verb = "deleted"
        seen.append(
            a_picture(
                verb=verb,
                time=time.isoformat(),
                version=version,
                type=draw(st.sampled_from(["Wedding", "Portrait"])),
                status=status,
                status_changed_at=entry[1],
                status_due_date=draw(DATES),
                dates={"session": draw(DATES), "booked": draw(DATES)},
                flags={"on_hold": draw(st.booleans())},
            )
        )
    return seen


NOWS = st.integers(0, 20 * 24).map(lambda hours: START + timedelta(hours=6 + hours))


def taken_in(arrived: Sequence[Picture], now: datetime, rules: Rules = RULES) -> tuple[Picture, Shelf]:
    """What intake makes of versions that arrive in this order while the release stands still."""
    picture: Picture | None = None
    shelf = Shelf(rules)
    for seen in arrived:
        before, picture = picture, project(picture, seen)
        if picture != before:
            shelf.take(picture, now)
    assert picture is not None
    return picture, shelf


Waiting = tuple[int, str, datetime, datetime, datetime]


def waiting(picture: Picture, shelf: Shelf, now: datetime) -> set[Waiting]:
    """What is planned, but for what the next release would drop in the same moment."""
    return {
        (one.trigger_id, one.occurrence, one.activation_at, one.due_at, one.use_by)
        for one in shelf.actions
        if one.state is State.PLANNED
        and not (
            one.activation_at <= now
            and isinstance(decide(shelf.rules.by_id[one.trigger_id], picture, one.occurrence, now), Lapse | Expire)
        )
    }


def check_any_order(history: list[Picture], arrived: list[Picture], now: datetime) -> None:
    picture, shelf = taken_in(history, now)
    other, mixed = taken_in(arrived, now)

    assert other == picture
    assert waiting(other, mixed, now) == waiting(picture, shelf, now)


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[Picture], list[Picture]]:
    history = draw(histories())
    again = draw(st.lists(st.sampled_from(history), max_size=2))
    return history, draw(st.permutations(history + again))


@LAW
@given(arrivals(), NOWS)
def test_whatever_the_order_in_which_versions_arrive_the_same_is_planned(
    arrived: tuple[list[Picture], list[Picture]], now: datetime
) -> None:
    check_any_order(*arrived, now)


@pytest.mark.long
@MANY
@given(arrivals(), NOWS)
def test_whatever_the_order_in_which_versions_arrive_the_same_is_planned_many_times_over(
    arrived: tuple[list[Picture], list[Picture]], now: datetime
) -> None:
    check_any_order(*arrived, now)


ENDS = st.sampled_from([State.RELEASED, State.REVIEW, State.HELD, State.LAPSED, State.EXPIRED, State.DELETED])


@LAW
@given(arrivals(), NOWS, st.sampled_from([None, BEFORE_TRIGGER, IN_SNAPSHOT]), st.data())
def test_bringing_actions_into_line_twice_is_bringing_them_into_line_once(
    arrived: tuple[list[Picture], list[Picture]], now: datetime, baseline: str | None, data: st.DataObject
) -> None:
    """And no history makes a move that the states forbid, or one occurrence twice: the shelf refuses both."""
    picture: Picture | None = None
    shelf = Shelf(RULES)
    for minute, seen in enumerate(arrived[1]):
        picture = project(picture, seen)
        shelf.take(picture, now, baseline=baseline)

        assert shelf.take(picture, now, baseline=baseline) == []
        for action in [one for one in shelf.actions if one.state is State.PLANNED]:
            if data.draw(st.booleans()):
                end = data.draw(ENDS)
                at = now + minute * MINUTE if end is State.RELEASED else None
                shelf.set(replace(action, state=end, released_at=at))


# Deciding -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One rule, one record, and when and how it is looked at."""

    rule: Rule
    picture: Picture
    now: datetime
    by_hand: bool

    @property
    def occurrence(self) -> str:
        return self.active.occurrence

    @property
    def active(self) -> Activation:
        (found,) = activations(self.rule, self.picture.record, self.now)
        return found

    def at(self, now: datetime) -> Decision:
        return decide(self.rule, self.picture, self.occurrence, now, by_hand=self.by_hand)


def why_not(case: Case, at: datetime) -> str | None:
    """What forbids sending at an instant, straight from the rules; None where nothing does."""
    rule, record = case.rule, case.picture.record
    exclude, processing = rule.trigger.exclude, rule.trigger.processing
    local = at.astimezone(slow.rules(rule.zone.name))
    if at < case.active.at:
        return "not yet"
    if at >= case.active.use_by:
        return "use-by"
    if exclude.past_date and local.date() > case.active.day:
        return "past date"
    if any(getattr(exclude, flag) and getattr(record.flags, flag) for flag in ("on_hold", "confirmed", "canceled")):
        return "excluded"
    if processing.blackouts and rule.calendar.blackouts.name_of(local.date()) is not None:
        return "blackout"
    if case.by_hand:
        return None
    return None if slow.open_at(rule.calendar, local) else "closed"


def instants(start: datetime, end: datetime, count: int = 40) -> Iterator[datetime]:
    """Instants from `start` to just before `end`, both included, and the minutes beside them."""
    last = end - timedelta(microseconds=1)
    step = max((end - start) / count, MINUTE)
    at = start
    while at < end:
        yield at
        at += step
    yield from (at for at in (start + MINUTE, end - MINUTE, last) if start <= at < end)


def check_one(case: Case) -> Decision:
    """What a decision says of this moment and of the moments up to the next look is true."""
    decision, now = case.at(case.now), case.now
    match decision:
        case Send(until=until):
            assert until > now
            for at in instants(now, until):
                assert why_not(case, at) is None, at
            assert why_not(case, until) is not None, "it could have held longer"
            assert not isinstance(case.at(until), Send)
        case Wait(until=until):
            assert until > now
            for at in instants(now, until):
                assert why_not(case, at) is not None, "it could have gone then"
        case Lapse() | Expire():
            assert why_not(case, now) is not None
        case Review():
            raise AssertionError("nobody but a manual trigger asks a person")
    return decision


def follow(case: Case) -> Decision:
    """Decide, look again when told to, and so on: it must come to an end."""
    for _ in range(30):
        decision = check_one(case)
        if not isinstance(decision, Wait):
            return decision
        case = replace(case, now=decision.until)
    raise AssertionError("it waits for ever")


WINDOWS = st.sampled_from(
    [None, "09:00-18:00", "22:00-06:00", "00:00-00:30", "23:30-24:00", "01:30-02:30", "02:15-02:45", "23:45-00:15"]
)
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
PLACES = st.sampled_from(
    ["America/Chicago", "America/Santiago", "Africa/Cairo", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Chatham"]
)
YEARS = st.dates(date(2024, 1, 1), date(2036, 12, 31))
CLOCKS = st.times().map(lambda time: time.replace(microsecond=0))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    day = draw(YEARS)
    days = draw(st.sampled_from([-7, -1, 0, 2]))
    near = st.integers(-9, 20).map(lambda offset: day + timedelta(days=offset))
    rule = a_rule(
        at=zone(draw(PLACES)),
        blackouts=[
            Blackout.between("away", first, first + timedelta(days=draw(st.integers(0, 4))))
            for first in draw(st.lists(near, max_size=3))
        ],
        activate={"on": "session", "days": days},
        use_by=draw(st.sampled_from([..., "6h", "3d"])),
        processing={
            "mode": "automatic",
            "not_on": draw(st.lists(st.sampled_from(WEEKDAYS), unique=True, max_size=5)),
            "blackouts": draw(st.booleans()),
            **({"window": window} if (window := draw(WINDOWS)) else {}),
        },
        exclude={"past_date": draw(st.booleans()), "on_hold": draw(st.booleans()), "confirmed": draw(st.booleans())},
    )
    base = day.isoformat() + draw(st.sampled_from(["", "T00:00", "T02:30", "T14:00", "T14:00Z"]))
    flags = {"on_hold": draw(st.booleans()), "confirmed": draw(st.booleans()), "canceled": draw(st.booleans())}
    now = datetime.combine(draw(near), draw(CLOCKS), UTC) + timedelta(days=days)
    return Case(rule, a_picture(dates={"session": base}, flags=flags), now, by_hand=draw(st.booleans()))


@LAW
@given(cases())
def test_nothing_goes_out_when_a_rule_forbids_it_and_nothing_waits_longer_than_it_must_or_is_lost(case: Case) -> None:
    follow(case)


@pytest.mark.long
@MANY
@given(cases())
def test_nothing_goes_out_when_a_rule_forbids_it_many_times_over(case: Case) -> None:
    follow(case)


# Every zone and every change of its clock -----------------------------------------------------------------

FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2037, 1, 1, tzinfo=UTC)
AROUND = ("09:00-18:00", "22:00-06:00", "01:30-02:30", "02:15-02:45", "00:00-00:30", "23:45-00:15", None)


@cache
def changes(name: str) -> tuple[datetime, ...]:
    """The instants between 2024 and 2036 at which clocks of a zone change."""
    return tuple(
        datetime.fromtimestamp(change, UTC)
        for change in zone(name).changes
        if FIRST.timestamp() <= change < LAST.timestamp()
    )


def cases_around(name: str, change: datetime) -> Iterator[Case]:
    """Triggers that are due about a change of the clock, looked at before, in and after it."""
    day = change.astimezone(slow.rules(name)).date()
    picture = a_picture(dates={"session": (day + timedelta(days=1)).isoformat()})
    for window in AROUND:
        for not_on in ([], [WEEKDAYS[day.weekday()]]):
            processing = {"mode": "automatic", "not_on": not_on, **({"window": window} if window else {})}
            rule = a_rule(at=zone(name), activate={"on": "session", "days": -2}, use_by="4d", processing=processing)
            for offset in (-26 * 60, -61, -1, 0, 1, 31, 200):
                yield Case(rule, picture, change + offset * MINUTE, by_hand=False)


# Changes by an hour at two, at midnight, by half an hour, by two hours, backwards for a month.
SAMPLES = (
    "America/Chicago",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
)


@pytest.mark.parametrize("name", SAMPLES)
def test_around_a_change_of_the_clock_it_goes_at_the_first_open_moment(name: str) -> None:
    assert len(changes(name)) >= 24
    for change in changes(name)[4:6]:
        for case in list(cases_around(name, change))[::9]:
            follow(case)


@pytest.mark.long
def test_around_every_change_of_every_clock_it_goes_at_the_first_open_moment() -> None:
    # Many names are of one clock: each clock is followed once.
    clocks = {(changes(name), zone(name).offset(LAST.timestamp())): name for name in sorted(names())}
    for name in clocks.values():
        for change in changes(name):
            for case in cases_around(name, change):
                follow(case)


def check_start_of_day(name: str) -> None:
    picture = a_picture(dates={"session": "2030-03-10"})
    case = Case(a_rule(at=zone(name), activate={"on": "session"}), picture, FIRST, by_hand=False)
    first = case.at(case.now)

    assert first == Wait(case.active.at, "date: its activation is 2030-03-10"), name
    assert isinstance(case.at(first.until), Send), name
    assert case.active.at.astimezone(slow.rules(name)).date() == date(2030, 3, 10), name


def test_without_a_window_it_goes_with_the_start_of_the_studios_day() -> None:
    for name in (*SAMPLES, "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"):
        check_start_of_day(name)


@pytest.mark.long
def test_without_a_window_it_goes_with_the_start_of_the_day_in_every_zone() -> None:
    for name in sorted(names()):
        check_start_of_day(name)
