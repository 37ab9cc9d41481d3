"""A forecast is what then goes out, line by line; asking for one, or asking what if, changes nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from control_center.domain.blackouts import Blackout
from control_center.domain.forecast import Fate, Line
from control_center.engine import blackouts
from control_center.engine.forecast import Asked, forecast
from control_center.engine.intake import Intake
from control_center.engine.ladder import Ladder
from control_center.engine.release import Release
from control_center.store import cases, db, messages, rulebooks, studios
from tests.support.crm import client, event, session
from tests.support.rows import a_studio, a_trigger
from tests.support.sayings import said
from workers.writing import prepare

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def take_in(pool: db.Pool, *bodies: bytes, at: datetime = NOON) -> None:
    await Intake(pool, lambda: at).take_in(bodies)


async def foreseen(pool: db.Pool, at: datetime = NOON, **asked: Any) -> list[Line]:
    return [one async for one in forecast(pool, "main", Asked(**asked), at)]


async def let_time_pass(pool: db.Pool, *, days: int, start: datetime = NOON) -> None:
    """Release whatever is due, at the instant when it is due, as a clock that nothing holds up would."""
    clock = [start]
    release = Release(pool, lambda: clock[0])
    while True:
        while await release.run_once():
            pass
        due = await release.next_due()
        if due is None or due > start + timedelta(days=days):
            return
        clock[0] = max(due, clock[0])


async def all_stored(pool: db.Pool) -> list[Any]:
    """Every row of every table."""
    names = [row[0] for row in await pool.fetch("SELECT relname FROM pg_stat_user_tables ORDER BY 1")]
    return [(name, [tuple(row) for row in await pool.fetch(f"SELECT * FROM {name} ORDER BY 1, 2")]) for name in names]


WORK: dict[str, Any] = {"mode": "automatic", "window": "09:00-18:00", "not_on": ["sat", "sun"]}


async def a_busy_studio(pool: db.Pool) -> None:
    """Six triggers on four sessions and their clients, with a closed day, a STOP and words that cannot be written."""
    await blackouts.add(pool, lambda: NOON, "main", Blackout.on("Fair", date(2026, 11, 30)), by="a test")
    await a_trigger(pool, "Week before", processing=WORK)
    await a_trigger(
        pool,
        "Day before",
        activate={"on": "session", "days": -1},
        action="sms_or_email",
        text="Tomorrow, {{ client.first_name }}, it is {{ today }}",
        exclude={"on_hold": True},
    )
    await a_trigger(
        pool, "Call", activate={"on": "session", "days": -3}, action="call", text="About {{ session.type }}"
    )
    await a_trigger(pool, "By hand", activate={"on": "session", "days": -2}, processing={"mode": "manual"})
    await a_trigger(pool, "No words", activate={"on": "session", "days": -4}, text="At {{ record.fields.place }}")
    birthday = {"on": "birthday", "days": 0}
    await a_trigger(pool, "Birthday", record="client", status=None, activate=birthday, processing=WORK)
    for number, day in enumerate(("2026-12-07T14:00", "2026-12-05T10:00", "2026-12-01", "2026-12-12T09:30"), 1):
        person = client(
            f"c-{number}",
            first_name=f"Jo{number}",
            phones=[{"number": f"+1312555010{number}", "sms": number != 3}],
            emails=[{"address": f"jo{number}@mail.example"}],
            birthday=f"1990-11-{26 + number}",
        )
        flags = {"on_hold": number == 2}
        shown = session(f"s-{number}", client=f"c-{number}", dates={"session": day}, flags=flags)
        await take_in(pool, event(shown, about=person))
    async with db.transaction(pool) as tx:
        await said(tx, "+13125550104")


async def what_went_out(pool: db.Pool) -> list[tuple[Any, ...]]:
    """When, by what, about whom, by which leg, where to, in which words: of every message and command there is."""
    found = []
    owner = uuid.uuid4()
    async with db.transaction(pool) as tx:
        book = await rulebooks.read(tx, (await studios.get(tx, ["main"]))["main"])
        claims = []
        for account in ("sms/default", "email/default"):
            claimed = await messages.claim_due(tx, account, owner, since=EPOCH, lease=timedelta(minutes=5), limit=1000)
            claims += await cases.gather(tx, claimed, owner)
        released = {row[0]: row[1] for row in await tx.fetch("SELECT action_id, released_at FROM actions")}
        for case in claims:
            at = released[case.action_id]
            text = getattr(prepare(case, book, at), "body", None)
            record = f"{case.about.kind}/{case.about.record_id}"
            found.append((at, case.about.trigger, record, case.channel, case.address, text))
        rows = await tx.fetch("SELECT subject, data FROM commands WHERE verb = 'create_call'")
    for row in rows:
        data = json.loads(row["data"])
        action = int(data["cause"]["action"][2:])
        found.append((released[action], data["cause"]["trigger"], row["subject"], "call", "", data["note"]))
    return sorted(found, key=str)


def told(lines: list[Line]) -> list[tuple[Any, ...]]:
    going = (one for one in lines if one.fate in (Fate.GOES, Fate.FAILS))
    return sorted(((one.at, one.trigger, one.record, one.leg, one.address, one.text) for one in going), key=str)


async def test_what_goes_out_in_the_next_days_is_the_forecast_line_by_line(pool: db.Pool) -> None:
    await a_busy_studio(pool)
    lines = await foreseen(pool)

    await let_time_pass(pool, days=14)

    sent = await what_went_out(pool)
    assert len(sent) == 11
    assert told(lines) == sent
    ended = await pool.fetch("SELECT action_id, state, reason FROM actions WHERE state IN ('lapsed', 'expired')")
    over = {Fate.LAPSES: "lapsed", Fate.EXPIRES: "expired"}
    expected = {(one.action, over[one.fate], one.reason) for one in lines if one.fate in over}
    assert {(f"a-{row['action_id']}", row["state"], row["reason"]) for row in ended} == expected


async def test_a_forecast_comes_in_time_and_says_why_anything_is_shifted(pool: db.Pool) -> None:
    await a_busy_studio(pool)

    lines = await foreseen(pool)

    assert [one.at for one in lines] == sorted(one.at for one in lines)
    (shifted,) = [one for one in lines if (one.trigger, one.record) == ("Week before", "session/s-1")]
    assert shifted.at == datetime(2026, 12, 1, 15, tzinfo=UTC)
    assert shifted.shifts == ("blackout day (Fair)", "window opens 09:00")
    (weekend,) = [one for one in lines if (one.trigger, one.record) == ("Birthday", "client/c-2")]
    assert weekend.shifts == (
        "excluded weekday (Saturday)",
        "excluded weekday (Sunday)",
        "blackout day (Fair)",
        "window opens 09:00",
    )


async def test_a_marketing_text_is_told_for_the_recipients_hours_in_its_place_in_time_and_waits_for_them(
    pool: db.Pool,
) -> None:
    await a_busy_studio(pool)
    await a_trigger(pool, "Offer", purpose="marketing", activate={"on": "session", "days": -6})
    other = client("c-9", phones=[{"number": "+12125550188", "sms": True}])
    await take_in(pool, event(session("s-9", client="c-9", dates={"session": "2026-12-12T10:00"}), about=other))

    lines = await foreseen(pool)

    assert [one.at for one in lines] == sorted(one.at for one in lines)
    (offer,) = [one for one in lines if (one.trigger, one.record) == ("Offer", "session/s-9")]
    assert offer.at == datetime(2026, 12, 7, 15, tzinfo=UTC)  # 10:00 in New York
    assert offer.shifts[-1] == "quiet hours: Sunday (zone from the number: America/New_York)"
    await let_time_pass(pool, days=14)
    owner = uuid.uuid4()
    async with db.transaction(pool) as tx:
        book = await rulebooks.read(tx, (await studios.get(tx, ["main"]))["main"])
        claimed = await messages.claim_due(
            tx, "sms/default", owner, since=EPOCH, lease=timedelta(minutes=5), limit=1000
        )
        found = await cases.gather(tx, claimed, owner)
        (case,) = [one for one in found if (one.about.trigger, one.about.record_id) == ("Offer", "s-9")]
    decided = prepare(case, book, offer.at - timedelta(hours=12))
    assert (getattr(decided, "due_at", None), getattr(decided, "reason", None)) == (offer.at, offer.shifts[-1])


OFFERS: dict[str, Any] = {"purpose": "marketing", "activate": {"on": "session", "days": -9}, "use_by": "30d"}


@pytest.mark.parametrize(
    ("calm", "expected"),
    [
        ("off", {"Mini": 3, "Cards": 4, "Reminder": 3}),
        ("move", {"Mini": 4, "Cards": 5, "Reminder": 3}),
        ("merge", {"Mini": 4, "Cards": 4, "Reminder": 3}),
        ("drop", {"Reminder": 3}),
    ],
)
async def test_a_forecast_shows_the_cap_on_marketing_and_calm_days(
    pool: db.Pool, calm: str, expected: dict[str, int]
) -> None:
    await pool.execute(
        "UPDATE studios SET settings = $1",
        json.dumps(
            {"sms": {"numbers": ["+13125550100"]}, "calm_day": calm, "marketing_per_day": 1 if calm == "off" else 2}
        ),
    )
    await a_trigger(pool, "Cards", text="Cards", priority=7, **OFFERS)
    await a_trigger(pool, "Mini", text="Mini", priority=2, **OFFERS)
    await a_trigger(pool, "Reminder", activate={"on": "session", "days": -9})
    await take_in(pool, event(session("s-1", client="c-1", dates={"session": "2026-12-12T10:00"}), about=client("c-1")))

    lines = await foreseen(pool)

    assert [one.at for one in lines] == sorted(one.at for one in lines)
    going = {one.trigger: one.at.day for one in lines if one.fate is Fate.GOES}
    assert going == expected
    (cards,) = [one for one in lines if one.trigger == "Cards"]
    assert calm != "off" or cards.shifts[-1].startswith("marketing cap: one marketing text a day to one number")
    assert calm != "move" or cards.shifts[-1].startswith("calm day: the client was written to today already")
    assert calm != "merge" or cards.reason == "calm day: in one text with 'Mini'"
    assert calm != "drop" or (cards.fate is Fate.EXPIRES and cards.reason.endswith("; dropped"))


async def test_what_cannot_be_written_says_why_and_what_waits_for_a_person_is_marked(pool: db.Pool) -> None:
    await a_busy_studio(pool)

    lines = await foreseen(pool)

    (wordless,) = [one for one in lines if one.trigger == "No words" and one.record == "session/s-1"]
    assert (wordless.fate, wordless.text, wordless.reason) == (Fate.FAILS, None, "template: record.fields.place")
    waiting = [one for one in lines if one.trigger == "By hand"]
    assert {one.fate for one in waiting} == {Fate.REVIEW}
    assert [(one.record, one.text) for one in waiting] == [
        ("session/s-3", None),  # no number takes texts
        ("session/s-2", "Hello Jo2, see you soon."),
        ("session/s-1", "Hello Jo1, see you soon."),
    ]
    (held,) = [one for one in lines if one.trigger == "Day before" and one.record == "session/s-2"]
    assert (held.fate, held.reason) == (Fate.LAPSES, "on hold: the session is on hold")


async def test_a_forecast_and_a_hypothetical_closed_day_change_nothing_stored(pool: db.Pool) -> None:
    await a_busy_studio(pool)
    before = await all_stored(pool)

    as_it_is = await foreseen(pool)
    if_closed = await foreseen(pool, closed=(date(2026, 12, 4),))

    assert await all_stored(pool) == before
    moved = {one.action: one for one in if_closed}
    (day_before,) = [one for one in as_it_is if one.at.date() == date(2026, 12, 4) and one.fate is Fate.LAPSES]
    assert moved[day_before.action].at >= day_before.at
    assert not [one for one in if_closed if one.fate is Fate.GOES and "2026-12-04" in f"{one.at - timedelta(hours=6)}"]


async def test_a_closed_day_pushes_what_would_have_gone_on_it_and_names_itself(pool: db.Pool) -> None:
    await a_busy_studio(pool)

    lines = await foreseen(pool, closed=(date(2026, 12, 1),), trigger="Week before")

    (one,) = [one for one in lines if one.record == "session/s-1"]
    assert one.at == datetime(2026, 12, 2, 15, tzinfo=UTC)
    assert "blackout day (what if)" in one.shifts
    assert {one.trigger for one in lines} == {"Week before"}


async def test_what_passes_the_ceiling_is_marked_as_it_will_be_held(pool: db.Pool) -> None:
    await a_trigger(pool, "Week before", ceiling=2)
    for number in range(4):
        shown = session(f"s-{number}", client=f"c-{number}", dates={"session": "2026-12-04T14:00"})
        await take_in(pool, event(shown, about=client(f"c-{number}")))

    lines = await foreseen(pool)
    await let_time_pass(pool, days=14)

    states = await pool.fetch("SELECT state, count(*) FROM actions GROUP BY state ORDER BY state")
    assert [tuple(row) for row in states] == [("held", 2), ("released", 2)]
    assert [one.fate for one in lines] == [Fate.GOES, Fate.GOES, Fate.HELD, Fate.HELD]
    assert "ceiling is 2" in lines[-1].reason


async def test_what_a_ceiling_holds_is_held_in_the_lines_of_one_client_alone_too(pool: db.Pool) -> None:
    await a_trigger(pool, "Week before", ceiling=2)
    for number in range(4):
        shown = session(f"s-{number}", client=f"c-{number}", dates={"session": "2026-12-04T14:00"})
        await take_in(pool, event(shown, about=client(f"c-{number}")))

    (last,) = [one for one in await foreseen(pool) if one.client == "c-3"]

    assert last.fate is Fate.HELD
    assert await foreseen(pool, client="c-3") == [last]


LADDER = [
    {"unless": "delivered", "by": "3d", "action": "email"},
    {"unless": "confirmed", "by": "36h", "action": "call"},
]


async def on_a_ladder(pool: db.Pool) -> None:
    """A text a week before the session of 5 December, which a mail and a call may follow."""
    hours = {"mode": "automatic", "window": "09:00-18:00"}
    await a_trigger(pool, "Week before", processing=hours, ladder=LADDER)
    for number in (1, 2):
        shown = session(f"s-{number}", client=f"c-{number}", dates={"session": "2026-12-05T14:00"})
        mail = [{"address": f"jo{number}@mail.example"}]
        await take_in(pool, event(shown, about=client(f"c-{number}", emails=mail)))


def may_follow(lines: list[Line]) -> list[tuple[Any, ...]]:
    return [(one.at, one.record, one.leg, one.address, one.reason) for one in lines if one.fate is Fate.FOLLOWS]


WEDNESDAY = datetime(2026, 12, 2, 20, tzinfo=UTC)  # three days before the session
FRIDAY = datetime(2026, 12, 4, 15, tzinfo=UTC)  # 36 hours before is at two in the night; the window opens at nine
STEPS = [
    (WEDNESDAY, "session/s-1", "email", "jo1@mail.example", "ladder step 1: unless delivered by 2026-12-02 14:00"),
    (WEDNESDAY, "session/s-2", "email", "jo2@mail.example", "ladder step 1: unless delivered by 2026-12-02 14:00"),
    (FRIDAY, "session/s-1", "call", "", "ladder step 2: unless confirmed by 2026-12-04 02:00"),
    (FRIDAY, "session/s-2", "call", "", "ladder step 2: unless confirmed by 2026-12-04 02:00"),
]


async def test_the_steps_of_a_ladder_are_told_as_what_may_follow_and_go_so_where_nothing_comes_of_a_text(
    pool: db.Pool,
) -> None:
    await on_a_ladder(pool)
    lines = await foreseen(pool)
    assert [one.at for one in lines] == sorted(one.at for one in lines)
    assert may_follow(lines) == STEPS
    assert [one.shifts for one in lines if one.leg == "call"] == [("window opens 09:00",)] * 2

    await let_time_pass(pool, days=6)
    await pool.execute("UPDATE messages SET state = 'undelivered', sent_at = $1", NOON)
    clock = [WEDNESDAY]
    ladder = Ladder(pool, lambda: clock[0])
    await ladder.run_once()
    assert await pool.fetchval("SELECT count(*) FROM messages WHERE channel = 'email'") == 2
    clock[0] = FRIDAY - timedelta(hours=7)
    await ladder.run_once()
    assert await pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'create_call'") == 0
    clock[0] = FRIDAY
    await ladder.run_once()

    mailed = await pool.fetch("SELECT record_id, address FROM messages WHERE channel = 'email' ORDER BY 1")
    assert [(f"session/{row[0]}", row[1]) for row in mailed] == [(one[1], one[3]) for one in STEPS[:2]]
    called = await pool.fetch("SELECT subject FROM commands WHERE verb = 'create_call' ORDER BY 1")
    assert [row[0] for row in called] == [one[1] for one in STEPS[2:]]


async def test_what_was_sent_and_may_go_another_way_is_told_as_far_as_it_is_still_needed(pool: db.Pool) -> None:
    await on_a_ladder(pool)
    await let_time_pass(pool, days=6)
    sunday = datetime(2026, 11, 29, 18, tzinfo=UTC)
    assert may_follow(await foreseen(pool, sunday)) == STEPS
    assert may_follow(await foreseen(pool, sunday, client="c-2", trigger="Week before")) == STEPS[1::2]
    assert may_follow(await foreseen(pool, sunday, days=4)) == STEPS[:2]

    await pool.execute("UPDATE messages SET state = 'delivered', sent_at = $1 WHERE record_id = 's-1'", NOON)
    shown = session("s-2", version=2, client="c-2", dates={"session": "2026-12-05T14:00"}, flags={"confirmed": True})
    await take_in(pool, event(shown, "updated"), at=sunday)

    assert may_follow(await foreseen(pool, sunday)) == STEPS[1:3]


async def test_what_is_held_or_only_recorded_has_no_ladder(pool: db.Pool) -> None:
    await on_a_ladder(pool)
    await pool.execute("UPDATE trigger_versions SET definition = jsonb_set(definition::jsonb, '{ceiling}', '1')")

    lines = await foreseen(pool)

    assert [one.fate for one in lines if one.leg == "sms"] == [Fate.GOES, Fate.HELD]
    assert may_follow(lines) == STEPS[::2]


async def test_a_day_of_next_year_follows_on_the_one_that_went(pool: db.Pool) -> None:
    await a_trigger(pool, "Birthday", record="client", status=None, activate={"on": "birthday"})
    await take_in(pool, event(about=client(birthday="1990-11-28")))

    lines = await foreseen(pool, days=366 * 2)

    assert [f"{one.at:%Y-%m-%d}" for one in lines] == ["2026-11-28", "2027-11-28"]
    await let_time_pass(pool, days=366 * 2)
    rows = await pool.fetch("SELECT released_at FROM actions WHERE state = 'released' ORDER BY 1")
    assert [row[0] for row in rows] == [one.at for one in lines]


async def test_only_one_client_s_lines_are_told_where_that_is_asked(pool: db.Pool) -> None:
    await a_busy_studio(pool)

    lines = await foreseen(pool, client="c-2")

    assert lines
    assert {one.client for one in lines} == {"c-2"}


async def test_of_a_studio_that_is_switched_off_nothing_goes(pool: db.Pool) -> None:
    await a_trigger(pool, "Week before")
    await take_in(pool, event(session(dates={"session": "2026-12-04T14:00"}), about=client()))
    await pool.execute("UPDATE studios SET enabled = false")

    (one,) = await foreseen(pool)

    assert (one.fate, one.reason) == (Fate.HELD, "studio: it is switched off, and nothing is released for it")


async def test_pages_of_what_waits_are_told_in_one_order(pool: db.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await a_busy_studio(pool)
    closed = (date(2026, 12, 1), date(2026, 12, 3))
    whole = await foreseen(pool, closed=closed)
    monkeypatch.setattr("control_center.engine.forecast.PAGE", 3)
    seen: list[tuple[int, int]] = []

    asked = Asked(closed=closed)
    told_so = lambda done, total: seen.append((done, total))  # noqa: E731 - it only writes down
    paged = [one async for one in forecast(pool, "main", asked, NOON, progress=told_so)]

    assert paged == whole
    assert seen[0] == (3, seen[-1][0])
