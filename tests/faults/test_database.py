"""The database is killed, full, silent, at odds with itself, or held back by somebody else's long transaction."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
from structlog.testing import capture_logs

from control_center.embedded import Postgres
from control_center.engine.upkeep import Upkeep
from control_center.service import now
from control_center.store import db
from tests.support.bookings import bookings
from tests.support.checker import Findings, check
from tests.support.installation import Installation
from tests.support.matrix import Seen
from tests.support.programs import ROOT, eventually

pytestmark = pytest.mark.process

LISTENERS: Final = (
    "SELECT pid FROM pg_stat_activity WHERE application_name LIKE '%wakes' AND datname = current_database()"
)


async def at_rest(here: Installation, bodies: list[bytes], *, within: float = 120) -> Findings:
    """What there is to find once all is calm; none of it may be a fault."""
    await here.taken_in(len(bodies), within=within)
    await here.calm(within=within)
    findings = await check(here, bodies)
    assert not findings.faults
    return findings


async def asked(here: Installation, path: str) -> tuple[int, str]:
    """What the web of an installation answers, outside of the API."""
    http = json.loads((here.data_dir / "endpoints.json").read_text("utf-8"))["http"]
    async with aiohttp.ClientSession() as session, session.get(f"{http}{path}") as answer:
        return answer.status, await answer.text()


async def becomes_ready(here: Installation) -> None:
    async def ready() -> bool:
        return (await asked(here, "/readyz"))[0] == 200

    await eventually(ready, within=60, what="ready again")


@pytest.mark.fault("F19")
async def test_f19_without_a_word_from_the_listening_connections_all_goes_within_a_poll(
    installation: Installation, seen: Seen
) -> None:
    here = installation
    await here.run()
    mute, slowest = set[int](), 0.0
    bodies: list[bytes] = []
    try:
        for turn in range(3):
            # Killed, and then silent: an open connection of which nothing comes is what a lost host looks like.
            for row in await here.sql(LISTENERS):
                if turn == 0:
                    await here.sql("SELECT pg_terminate_backend($1)", row[0])
                elif row[0] not in mute:
                    os.kill(row[0], signal.SIGSTOP)
                    mute.add(row[0])
            some = bookings(5, prefix=f"t{turn}-", first=10 * turn)
            began = time.monotonic()
            await here.publish(some)
            bodies += some
            await here.sent(len(bodies))
            slowest = max(slowest, time.monotonic() - began)
        # Release polls every five seconds and a worker every second: what is above that is this machine's.
        assert slowest < 5 + 1 + 20
        listeners = len(mute)
        await here.holds(
            f"SELECT count(*) >= {listeners} FROM ({LISTENERS}) AS found WHERE pid <> ALL ($1)", list(mute)
        )
    finally:
        for pid in mute:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    await at_rest(here, bodies)
    seen(f"killed and silent listeners: none lost, {slowest:.1f} s at most; {listeners} silent ones were replaced")


@asynccontextmanager
async def no_connection_left(dsn: str) -> AsyncIterator[int]:
    """Take every connection that the server still gives, and go on taking what others let go."""
    held: list[asyncpg.Connection[Any]] = []
    stop = asyncio.Event()
    full = asyncio.Event()

    async def take() -> None:
        while not stop.is_set():
            try:
                held.append(await asyncpg.connect(dsn, timeout=10))
            except (asyncpg.TooManyConnectionsError, OSError, TimeoutError):
                full.set()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.02)

    taking = asyncio.create_task(take())
    await full.wait()
    try:
        yield len(held)
    finally:
        stop.set()
        await taking
        for connection in held:
            connection.terminate()


async def ours_are_gone(here: Installation) -> bool:
    """Cut every connection of ours; whether there was none."""
    found = await here.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'control-center%'"
    )
    return not found


@pytest.mark.fault("F20")
async def test_f20_without_a_connection_to_be_had_calls_fail_in_time_and_all_goes_on_afterwards(
    to_kill: Installation, seen: Seen
) -> None:
    here = to_kill
    running = await here.run()
    early = bookings(20, prefix="early")
    await here.publish(early)
    await here.sent(20)
    await here.calm()

    # Every connection of the server is somebody else's, also those that were ours.
    await here.sql("SELECT 1")
    late = bookings(20, prefix="late", first=100)
    async with no_connection_left(here.database_url) as taken:
        # Each that is cut leaves a place that ours may be quicker to take again: until none of them has one.
        await eventually(lambda: ours_are_gone(here), what="none of ours has a connection")

        async def red() -> str:
            status, said = await asked(here, "/readyz")
            return said if status == 503 else ""

        full = json.loads(await eventually(red, within=60, what="not ready"))["checks"]["database"]
        await here.publish(late)
        assert len(here.outbox()) == 20
        assert running.code is None
    await becomes_ready(here)
    await here.sent(40, within=120)

    # Every connection of ours waits for somebody's lock: what comes then is refused, and not kept waiting for ever.
    locker = await asyncpg.connect(here.database_url)
    await locker.execute("BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
    over, answers = asyncio.Event(), list[int]()

    async def press() -> None:
        while not over.is_set():
            answers.append(await status_of(here))

    async def refused() -> bool:
        return 503 in answers

    pressing = [asyncio.create_task(press()) for _ in range(24)]
    stuck = json.loads(await eventually(red, within=90, what="not ready"))["checks"]["database"]
    await eventually(refused, within=90, what="a call that is refused")
    over.set()
    await locker.execute("ROLLBACK")
    await locker.close()
    await asyncio.gather(*pressing)
    assert set(answers) <= {200, 500, 503}, answers
    await becomes_ready(here)
    await at_rest(here, [*early, *late])
    assert running.code is None
    seen(f"{taken} connections taken: not ready ({full}); pool exhausted: not ready ({stuck}), 503; then all went")


async def status_of(here: Installation) -> int:
    """The status of a call that reads the messages."""
    endpoints = json.loads((here.data_dir / "endpoints.json").read_text("utf-8"))
    token = Path(endpoints["api_token_file"]).read_text("utf-8").strip()  # noqa: ASYNC240 - 43 bytes
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.get(f"{endpoints['http']}/api/v1/messages", params={"studio": "main"}) as answer,
    ):
        return answer.status


@dataclass(frozen=True)
class Monkey:
    """So many kills, each so many seconds after the last, for so many seconds, under so many events."""

    kills: int
    between: tuple[float, float]
    away: tuple[float, float]
    messages: int


@pytest.mark.fault("F21")
@pytest.mark.parametrize(
    "monkey",
    [Monkey(3, (0.5, 1.5), (0.0, 0.5), 300), pytest.param(Monkey(27, (5, 40), (0, 2), 6000), marks=pytest.mark.long)],
)
async def test_f21_a_database_that_is_killed_again_and_again_loses_nothing_and_repeats_nothing(
    to_kill: Installation, postgres_to_kill: Postgres, seen: Seen, monkey: Monkey
) -> None:
    kills, messages = monkey.kills, monkey.messages
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown where it fails
    chance = random.Random(seed)
    bodies = bookings(messages)
    programs = [await to_kill.run("engine", "release"), await to_kill.work(), await to_kill.work()]
    part = -(-messages // (kills + 1))

    async def flow() -> None:
        for first in range(0, messages, part):
            await to_kill.publish(bodies[first : first + part], within=300)
            await flowing.wait()
            flowing.clear()

    flowing = asyncio.Event()
    load = asyncio.create_task(flow())
    for number in range(kills):
        before = len(to_kill.outbox())
        await to_kill.sent(min(before + 1, messages), within=120)
        await asyncio.wait([load], timeout=chance.uniform(*monkey.between))
        await postgres_to_kill.kill()
        await asyncio.wait([load], timeout=chance.uniform(*monkey.away))
        await postgres_to_kill.start()
        flowing.set()
        assert all(program.code is None for program in programs), f"kill {number + 1}"
    while not load.done():
        flowing.set()
        await asyncio.wait([load], timeout=1)
    load.result()
    await to_kill.taken_in(messages, within=300)
    findings = await at_rest(to_kill, bodies, within=300)
    assert findings.unknown == []

    # And once more while nothing moves: who connects again notices by itself.
    await postgres_to_kill.kill()
    await postgres_to_kill.start()
    late = bookings(1, prefix="late", first=messages)
    await to_kill.publish(late)
    await to_kill.sent(messages + 1)
    assert (await at_rest(to_kill, [*bodies, *late])).unknown == []
    assert len(to_kill.outbox()) == messages + 1
    assert [program.code for program in programs] == [None] * 3
    seen(f"{kills + 1} kills under {messages} events: {messages + 1} texts, none twice, none unknown; no process ended")


# Every so many statements on a table two transactions meet; and for a while all of them do.
MEET: Final = """
CREATE SEQUENCE met;
CREATE TABLE storm (over bigint);
INSERT INTO storm VALUES (30);
CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE number bigint := nextval('met');
BEGIN
    IF number <= (SELECT over FROM storm) OR number % 23 = 0 THEN
        IF number % 2 = 0 THEN
            RAISE EXCEPTION 'two met' USING ERRCODE = 'deadlock_detected';
        END IF;
        RAISE EXCEPTION 'two met' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NULL;
END $$;
"""
TABLES: Final = ("events", "actions", "messages", "attempts", "commands", "records")


@pytest.mark.fault("F22")
@pytest.mark.parametrize("messages", [60, pytest.param(2000, marks=pytest.mark.long)])
async def test_f22_deadlocks_and_serialization_failures_cost_another_try_of_the_transaction_and_nothing_else(
    installation: Installation, seen: Seen, messages: int
) -> None:
    here = installation
    bodies = bookings(messages)
    programs = [await here.run("engine", "release"), await here.work()]
    await here.sql("SELECT 1")
    connection = await asyncpg.connect(here.database_url)
    await connection.execute(MEET)
    for table in TABLES:
        await connection.execute(
            f"CREATE TRIGGER meets AFTER INSERT OR UPDATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION meet()"
        )
    await here.publish(bodies)
    await here.sent(messages, within=240)
    await connection.execute("UPDATE storm SET over = (SELECT last_value + 30 FROM met)")
    late = bookings(5, prefix="late", first=messages)
    await here.publish(late)
    await here.sent(messages + 5, within=240)
    met = await connection.fetchval("SELECT last_value FROM met")
    for table in TABLES:
        await connection.execute(f"DROP TRIGGER meets ON {table}")
    await connection.close()
    assert (await at_rest(here, [*bodies, *late])).unknown == []
    assert len(here.outbox()) == messages + 5
    assert [program.code for program in programs] == [None, None]
    seen(f"one in 23 of {met} statements failed, and twice 30 in a row: each text once, no process ended")


@pytest.mark.fault("F23")
@pytest.mark.parametrize("after", [1.0, pytest.param(300.0, marks=pytest.mark.long)])
async def test_f23_a_transaction_left_open_for_long_is_warned_of_and_holds_nothing_up(
    installation: Installation, seen: Seen, after: float
) -> None:
    here = installation
    running = await here.run()
    analyst = await asyncpg.connect(here.database_url, server_settings={"application_name": "monthly figures"})
    figures = analyst.transaction(isolation="repeatable_read")
    await figures.start()
    await analyst.fetchval("SELECT count(*) FROM messages")
    bodies = bookings(300)
    await here.publish(bodies[:150])
    await here.sent(150)
    metric = "control_center_oldest_transaction_seconds "

    async def old() -> float:
        status, metrics = await asked(here, "/metrics")
        assert status == 200
        [age] = [float(line.split()[1]) for line in metrics.splitlines() if line.startswith(metric)]
        return age if age > after else 0.0

    age = await eventually(old, within=after + 60)
    if after < 300:  # of what waits five minutes to be said, only the saying
        pool = await db.open_pool(here.database_url, application="test")
        upkeep = Upkeep(pool, now, uuid4(), old_transaction=timedelta(seconds=after))
        with capture_logs() as said:
            await upkeep.look_back()
            await upkeep.look_back()
        await pool.close()
        [warned] = said
    else:
        warned = await running.wait_for("database.held_back", within=120)
    assert (warned["event"], warned["application"]) == ("database.held_back", "monthly figures")
    await here.publish(bodies[150:])
    await here.sent(300)
    await at_rest(here, bodies)
    await figures.rollback()
    await analyst.close()
    seen(f"seen after {age:.0f} s, and warned of by name, once; 300 texts went beside it, each once")


@pytest.mark.long
@pytest.mark.fault("F23")
def test_f23_claims_stay_as_quick_beside_a_transaction_that_is_open_for_the_whole_run(
    tmp_path: Path, seen: Seen
) -> None:
    file = tmp_path / "rows.json"
    words = [sys.executable, "-m", "bench", "--no-peers", "--only", "P5", "--json", str(file)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stderr
    [row] = json.loads(file.read_text("utf-8"))["rows"]
    assert row["met"] is True, row
    seen(f"p99 of a claim after 300,000 messages under it {row['ratio']['median']:.2f} times that of the first minute")
