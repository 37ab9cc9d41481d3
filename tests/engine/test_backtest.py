"""A backtest plays what was heard through the planner again: what it says of a live trigger is what that one did."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from control_center.domain import zones
from control_center.domain.blackouts import Blackout
from control_center.domain.forecast import Fate, Line
from control_center.domain.studio_catalog import parse
from control_center.domain.tally import Tally
from control_center.engine import backtest as engine
from control_center.engine import blackouts, catalogs
from control_center.engine.intake import Intake
from control_center.engine.own_records import note_texts
from control_center.engine.release import Release
from control_center.store import cases, db, messages, rulebooks, studios
from tests.support.crm import client, event, session, snapshot
from tests.support.rows import a_message, a_studio, a_trigger
from tests.support.sayings import said
from workers.writing import prepare

START = datetime(2026, 11, 2, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


class Past:
    """A clock that is moved on by hand; whatever becomes due meanwhile is released at its time."""

    def __init__(self, pool: db.Pool) -> None:
        self.pool = pool
        self.now = START
        self.sent: list[tuple[Any, ...]] = []
        self._release = Release(pool, lambda: self.now)

    async def hear(self, *bodies: bytes) -> None:
        """Take events in now. They are stored, and their records written, as of this clock."""
        await Intake(self.pool, lambda: self.now).take_in(bodies)
        for table, column in (("events", "received_at"), ("records", "changed_at")):
            await self.pool.execute(f"UPDATE {table} SET {column} = $1 WHERE {column} > $2", self.now, self.until)
        await self._release_now()

    async def say_stop(self, number: str) -> None:
        async with db.transaction(self.pool) as tx:
            await tx.execute("SET LOCAL session_replication_role = replica")  # the ledger only grows; its clock is ours
            await said(tx, number)
            await tx.execute("UPDATE consents SET at = $1 WHERE at > $2", self.now, self.until)

    until = datetime(2026, 11, 21, tzinfo=UTC)  # no time of the story is later, and none of the machine's earlier

    async def pass_by(self, **span: float) -> None:
        end = self.now + timedelta(**span)
        while (due := await self._release.next_due()) is not None and due <= end:
            self.now = max(due, self.now)
            await self._release_now()
        self.now = end

    async def _release_now(self) -> None:
        while await self._release.run_once():
            pass
        await self._write()

    async def _write(self) -> None:
        """The words of what was released, as a worker writes them then."""
        owner = uuid.uuid4()
        async with db.transaction(self.pool) as tx:
            book = await rulebooks.read(tx, (await studios.get(tx, ["main"]))["main"])
            for account in ("sms/default", "email/default"):
                claimed = await messages.claim_due(
                    tx, account, owner, since=EPOCH, lease=timedelta(minutes=5), limit=1000
                )
                for case in await cases.gather(tx, claimed, owner):
                    record = f"{case.about.kind}/{case.about.record_id}"
                    text = getattr(prepare(case, book, self.now), "body", None)
                    self.sent.append((self.now, record, case.channel, case.address, text))
            await tx.execute(
                "UPDATE messages SET state = 'accepted', sent_at = now(), lease_owner = NULL, lease_until = NULL"
                " WHERE state = 'claimed'"
            )


@pytest.fixture
async def past(pool: db.Pool) -> Past:
    return Past(pool)


async def backtested(past: Past) -> list[Line]:
    trigger = await engine.stored(past.pool, "main", "Reminder")
    return [one async for one in engine.backtest(past.pool, "main", trigger, past.now, days=18)]


def gone(lines: list[Line]) -> list[tuple[Any, ...]]:
    going = (one for one in lines if one.fate in (Fate.GOES, Fate.FAILS))
    return sorted(((one.at, one.record, one.leg, one.address, one.text) for one in going), key=str)


WORK: dict[str, Any] = {"mode": "automatic", "window": "09:00-18:00", "not_on": ["sat", "sun"]}
WORDS = "{{ client.first_name }}: {{ session.date }}, {{ session.status }}"


TIME = "2026-11-02T17:30:00Z"  # of every event, as its envelope says


def told(record: dict[str, Any], verb: str = "created", **keys: Any) -> bytes:
    return event(record, verb, time=TIME, **keys)


def a_session(number: int, version: int = 1, day: str = "2026-11-16T14:00", **keys: Any) -> dict[str, Any]:
    owner = keys.pop("client", f"c-{number}")
    keys = {"status_changed_at": "2026-11-02T17:00:00Z", **keys}
    return session(f"s-{number}", version=version, client=owner, dates={"session": day}, **keys)


def a_client(number: int, version: int = 1, **keys: Any) -> dict[str, Any]:
    phones = keys.pop("phones", [{"number": f"+1312555010{number}", "sms": True}])
    name, birthday = f"Jo{number}", f"1990-11-{number + 3:02}"
    return client(f"c-{number}", version=version, first_name=name, birthday=birthday, phones=phones, **keys)


async def a_story(past: Past) -> None:
    """Booked, moved, held, cancelled, told anew, loaded, opted out, and a client who changes their number elsewhere."""
    await past.hear(*(told(a_session(n), about=a_client(n)) for n in range(1, 8)))
    await past.pass_by(days=2)
    await past.hear(
        told(a_session(1, 2, "2026-11-18T10:00"), "updated"),
        told(a_session(2, 2, flags={"on_hold": True}), "updated"),
        told(a_session(3, 2, status="Cancelled", status_changed_at="2026-11-04T18:00:00Z"), "status_changed"),
    )
    await past.hear(snapshot(time=TIME, records=[a_session(8, client="c-1")], clients=[]))
    await past.pass_by(days=3)
    await past.say_stop("+13125550104")
    other = session("other", client="c-5", status="Asked", dates={})
    await past.hear(told(other, about=a_client(5, 2, phones=[{"number": "+13125550155", "sms": True}])))
    await past.pass_by(days=4)
    await past.hear(told(a_session(6, 2, "2026-11-17T09:00"), "updated"), told(a_session(9, client="c-9")))
    await past.hear(told(a_session(2, 3, flags={"on_hold": False}), "updated"))
    await past.pass_by(days=6)
    await past.hear(told(a_session(5, 3, "2026-11-19T15:00"), "updated"))
    await past.pass_by(days=2)


@pytest.mark.parametrize(
    "keys",
    [
        {"processing": WORK},
        {"action": "sms_or_email", "exclude": {"on_hold": True}},
        {"activate": {"on": "status_changed"}, "status": None, "processing": WORK},
        {"activate": {"on": "session", "days": -3}, "moved": "nothing"},
        {"activate": {"on": "session", "days": -3}, "moved": "tell", "moved_template": "moved"},
        {"activate": {"on": "session", "days": -10}, "late": "skip"},
        {"record": "client", "status": None, "activate": {"on": "birthday"}, "text": "{{ client.first_name }}"},
    ],
    ids=["window", "fallback", "entered", "moved", "told", "late", "birthday"],
)
async def test_the_backtest_of_a_live_trigger_over_its_own_past_is_what_it_did(
    past: Past, keys: dict[str, Any]
) -> None:
    await blackouts.add(past.pool, lambda: START, "main", Blackout.on("Fair", date(2026, 11, 13)), by="a test")
    await past.pool.execute("INSERT INTO templates VALUES ('main', 'moved', $1)", '{"sms": "Now {{ session.date }}"}')
    await a_trigger(past.pool, "Reminder", **{"text": WORDS, **keys})

    await a_story(past)

    lines = await backtested(past)
    assert len(past.sent) >= 3
    assert any(str(one[-1]).startswith("Now") for one in past.sent) is (keys.get("moved") == "tell")
    assert gone(lines) == sorted(past.sent, key=str)


@pytest.mark.parametrize("said", [True, False], ids=["named", "silent"])
async def test_the_answer_to_a_trigger_s_own_change_of_status_does_not_fire_it_in_the_backtest(
    past: Past, *, said: bool
) -> None:
    entered: dict[str, Any] = {"activate": {"on": "status_changed"}, "status": None}
    await a_trigger(past.pool, "Reminder", text=WORDS, then_status="Thanked", **entered)
    await past.hear(told(a_session(1), about=a_client(1)))
    await past.pool.execute("UPDATE commands SET created_at = $1", past.now)
    command = await past.pool.fetchval("SELECT command_id FROM commands WHERE verb = 'change_status'")
    past.now += timedelta(minutes=5)
    if not said:  # the same clock for both, as the engine has it
        await past.pool.execute("UPDATE commands SET created_at = clock_timestamp()")

    answer = a_session(1, 2, status="Thanked", status_changed_at="2026-11-02T18:05:00Z")
    await past.hear(told(answer, "status_changed", **({"causedby": command} if said else {})))
    await past.pool.execute("UPDATE commands SET created_at = $1", START)
    await past.pass_by(days=1)

    assert len(past.sent) == 1
    assert [one for one in gone(await backtested(past)) if one[2] == "sms"] == past.sent


async def test_on_a_relative_s_birthday_that_relative_alone_is_written_to_in_the_backtest(past: Past) -> None:
    yearly: dict[str, Any] = {"record": "client", "status": None, "activate": {"on": "birthday"}}
    await a_trigger(past.pool, "Reminder", text="{{ recipient.first_name }}", send_to=["family:Mother"], **yearly)
    mothers = [
        {"relationship": "Mother", "first_name": name, "birthday": day, "phones": [{"number": number, "sms": True}]}
        for name, day, number in (("Ann", "1960-11-05", "+13125550121"), ("Bea", "1962-11-09", "+13125550122"))
    ]
    await past.hear(event(about=a_client(1, family=mothers), time=TIME))
    await past.pass_by(days=17)

    assert [one[-1] for one in sorted(past.sent)] == ["Ann", "Bea"]
    assert gone(await backtested(past)) == past.sent


async def test_who_has_left_is_written_to_neither_by_a_release_nor_in_a_backtest(past: Past) -> None:
    await a_trigger(past.pool, "Reminder", text=WORDS, send_to=["client", "photographer"])
    await catalogs.replace(past.pool, "main", parse({"users": [{"name": "Ada", "active": False}]}), by="a test")
    staff = [{"role": "photographer", "primary": True, "name": "Ada", "phone": "+13125550199"}]
    await past.hear(told(a_session(1, staff=staff), about=a_client(1)))
    await past.pass_by(days=17)

    assert [one[3] for one in past.sent] == ["+13125550101"]
    assert gone(await backtested(past)) == past.sent


async def test_a_text_that_came_in_fires_its_keyword_trigger_in_the_backtest_as_it_did(past: Past) -> None:
    on_text: dict[str, Any] = {"record": "sms", "status": None, "keyword": "book", "activate": {"on": "received"}}
    await a_trigger(past.pool, "Reminder", text="Hello {{ client.first_name }}", **on_text)
    await past.hear(event(about=a_client(1), time=TIME))
    number = await a_message(past.pool, state="received", body="Book!", client_id="c-1", address="+13125550101")
    await db.retried(past.pool, lambda tx: note_texts(tx, [("main", number)], past.now))
    await past.pool.execute("UPDATE records SET changed_at = $1 WHERE kind = 'sms'", past.now)
    await past.pass_by(days=1)

    assert [one[-1] for one in past.sent] == ["Hello Jo1"]
    assert gone(await backtested(past)) == past.sent


async def test_a_backtest_of_a_draft_stores_nothing(past: Past) -> None:
    await a_story(past)
    table = {
        "name": "Draft",
        "record": "session",
        "status": "Booked",
        "activate": {"on": "session", "days": -7},
        "action": "sms",
        "text": WORDS,
        "processing": {"mode": "automatic"},
    }

    draft = await engine.drafted(past.pool, "main", table)
    lines = [one async for one in engine.backtest(past.pool, "main", draft, past.now, days=18)]

    assert len(gone(lines)) > 3
    assert await past.pool.fetchval("SELECT count(*) FROM actions") == 0
    assert await past.pool.fetchval("SELECT count(*) FROM triggers") == 0


async def test_a_manual_trigger_would_have_asked_a_person(past: Past) -> None:
    await a_trigger(past.pool, "Reminder", processing={"mode": "manual"})
    await a_story(past)

    lines = await backtested(past)

    reviewed = await past.pool.fetchval("SELECT count(*) FROM actions WHERE state = 'review'")
    assert [one.fate for one in lines].count(Fate.REVIEW) >= reviewed > 0


async def test_who_would_have_been_written_to_twice_a_day_is_counted(past: Past) -> None:
    await a_trigger(past.pool, "Reminder", text=WORDS)
    await past.hear(told(a_session(1), about=a_client(1)), told(a_session(2, client="c-1")))
    await past.hear(told(a_session(3), about=a_client(3)))
    await past.pass_by(days=17)

    tally = Tally(zones.zone("America/Chicago"))
    for one in await backtested(past):
        tally.add(one)

    assert [(one.who, one.day, one.times) for one in tally.twice()] == [("c-1", date(2026, 11, 9), 2)]


async def test_what_another_trigger_really_sent_that_day_counts_towards_twice(past: Past) -> None:
    await a_trigger(past.pool, "Another", activate={"on": "session", "days": -7})
    await past.hear(told(a_session(1), about=a_client(1)), told(a_session(3), about=a_client(3)))
    await past.pass_by(days=17)
    monday = datetime(2026, 11, 9, 18, tzinfo=UTC)
    await past.pool.execute(
        "UPDATE messages SET state = 'accepted', sent_at = $1, lease_until = NULL, lease_owner = NULL"
        " WHERE client_id = 'c-3'",
        monday,
    )
    await a_trigger(past.pool, "Reminder", text=WORDS)
    tally = Tally(zones.zone("America/Chicago"))
    for one in await backtested(past):
        tally.add(one)

    trigger = await engine.stored(past.pool, "main", "Reminder")
    kept = await engine.beside(past.pool, "main", trigger, tally, START)

    assert [(one.who, one.day, one.times) for one in tally.twice()] == [("c-3", date(2026, 11, 9), 2)]
    assert kept == START


async def test_pages_of_records_are_played_one_after_the_other(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    await a_trigger(past.pool, "Reminder", text=WORDS)
    await a_story(past)
    whole = await backtested(past)
    monkeypatch.setattr(engine, "PAGE", 2)
    seen: list[tuple[int, int]] = []

    trigger = await engine.stored(past.pool, "main", "Reminder")
    paged = [
        one
        async for one in engine.backtest(
            past.pool, "main", trigger, past.now, days=18, progress=lambda done, total: seen.append((done, total))
        )
    ]

    assert paged == whole
    assert seen[0] == (2, 10)
    assert seen[-1] == (10, 10)
