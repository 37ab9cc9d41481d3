"""What a dead worker never sent goes back, what it may have sent does not, and nothing else is touched."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from control_center.domain.outcome import Accepted, CannotTell, Lookup, NotSent, Outcome, Text
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db, flights
from tests.support.crm import client, event, session
from tests.support.days import noon_near
from tests.support.programs import eventually
from tests.support.rows import a_studio, a_trigger
from workers import claims, leaving, recovery
from workers.delivery import Delivery
from workers.flight_recorder import FlightRecorder
from workers.recovery import Recovery
from workers.this_boot import Boot, here

NOON = noon_near()
DEADLINE = 20.0

SUBMIT = """
WITH marked AS (
     UPDATE messages SET state = 'submitting', asked = asked + 1, claims = 1, lease_token = 5, lease_owner = $1,
                         lease_until = clock_timestamp() + interval '2 minutes'
      WHERE state IN ('queued', 'claimed') RETURNING studio_id, message_id, asked)
INSERT INTO attempts (studio_id, message_id, number, key, lease_token, body, started_at)
SELECT studio_id, message_id, asked, 'm-' || message_id || '.' || asked, 5, 'Hi', clock_timestamp() FROM marked
RETURNING message_id"""
CLAIM = """
UPDATE messages SET state = 'claimed', claims = 1, lease_token = 5, lease_owner = $1,
                    lease_until = clock_timestamp() + interval '2 minutes'"""
ONE_WAITS = """
SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"""
CLAIM_ONE = "UPDATE messages SET state = 'claimed' WHERE message_id IN (SELECT min(message_id) FROM messages)"
UNKNOWN = "UPDATE messages SET state = 'unknown', lease_owner = NULL, lease_until = NULL WHERE message_id = $1"
TAKEN = "UPDATE attempts SET outcome = 'accepted', ended_at = clock_timestamp() WHERE message_id = $1"
STATES = "SELECT message_id, state FROM messages ORDER BY message_id"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "flights"


def boot() -> Boot:
    found = here()
    assert found is not None
    return found


async def queued(pool: db.Pool, number: int) -> None:
    """So many released texts to as many clients, about sessions just booked."""
    await a_trigger(pool, activate={"on": "status_changed"})
    people = [
        event(
            session(str(n), client=f"c-{n}", status_changed_at=(NOON - timedelta(minutes=1)).isoformat()),
            about=client(f"c-{n}", phones=[{"number": f"+1312555{n:04}", "sms": True}]),
        )
        for n in range(1000, 1000 + number)
    ]
    await Intake(pool, lambda: NOON).take_in(people)
    while await Release(pool, lambda: NOON).run_once():
        pass


async def life(pool: db.Pool) -> str:
    async with db.session(pool) as connection:
        known = await flights.history(connection)
    assert known, "the tests' database says which of its lives this is"
    return known


async def recorder(pool: db.Pool, folder: Path, owner: UUID, *, history: str = "") -> FlightRecorder:
    return FlightRecorder(folder, owner, boot=boot(), history=history or await life(pool))


async def a_reader(pool: db.Pool, folder: Path, by: Boot | None = None) -> Recovery:
    return Recovery(pool, folder, boot=by or boot(), history=await life(pool))


async def submitting(pool: db.Pool, number: int, owner: UUID) -> list[int]:
    """So many messages past the point of no return, all of this owner."""
    await queued(pool, number)
    return sorted(row[0] for row in await pool.fetch(SUBMIT, owner))


async def states(pool: db.Pool) -> list[str]:
    return [row["state"] for row in await pool.fetch(STATES)]


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.flight"))


async def test_what_a_dead_worker_did_not_note_is_queued_again_and_what_it_noted_is_not(
    pool: db.Pool, folder: Path
) -> None:
    owner = uuid4()
    flying = await recorder(pool, folder, owner)
    first, second, third = await submitting(pool, 3, owner)
    flying.note(second, 5, 1)
    flying.close()
    reader = await a_reader(pool, folder)

    await reader.run_once()

    assert await states(pool) == ["queued", "submitting", "queued"]
    row = await pool.fetchrow("SELECT * FROM messages WHERE message_id = $1", first)
    assert (row["reason"], row["lease_owner"]) == ("its worker was killed before it left", None)
    outcomes = [row[0] for row in await pool.fetch("SELECT outcome FROM attempts ORDER BY message_id")]
    assert outcomes == ["not_sent", None, "not_sent"]
    assert len(files(folder)) == 1, "something of its is left"

    await pool.execute(UNKNOWN, second)
    await reader.run_once()
    assert files(folder) == []
    assert third > second


async def test_a_note_under_an_earlier_token_is_of_an_earlier_send(pool: db.Pool, folder: Path) -> None:
    owner = uuid4()
    flying = await recorder(pool, folder, owner)
    (one,) = await submitting(pool, 1, owner)
    flying.note(one, 4, 0)
    flying.settled(one, 4)
    flying.close()

    await (await a_reader(pool, folder)).run_once()

    assert await states(pool) == ["queued"]


@pytest.mark.parametrize(
    ("how", "then"),
    [
        ("lease_owner = gen_random_uuid()", "submitting"),  # another worker's, or of the inquiry that asks again
        ("lease_until = clock_timestamp()", "submitting"),  # the rescue of leases has it, or will
        ("state = 'unknown', lease_owner = NULL, lease_until = NULL", "unknown"),
        ("state = 'accepted', sent_at = clock_timestamp(), lease_owner = NULL, lease_until = NULL", "accepted"),
        ("claims = 3", "submitting"),  # what kills its worker each time does not go round for ever
    ],
)
async def test_what_is_not_plainly_the_dead_workers_is_left_alone(
    pool: db.Pool, folder: Path, how: str, then: str
) -> None:
    owner = uuid4()
    (await recorder(pool, folder, owner)).close()
    await submitting(pool, 1, owner)
    await pool.execute(f"UPDATE messages SET {how}")

    await (await a_reader(pool, folder)).run_once()

    assert await states(pool) == [then]


async def test_an_attempt_that_has_an_outcome_or_is_older_than_the_file_knows_is_left_alone(
    pool: db.Pool, folder: Path
) -> None:
    owner = uuid4()
    first, second, third = await submitting(pool, 3, owner)
    (await recorder(pool, folder, owner)).close()
    await pool.execute("UPDATE attempts SET started_at = clock_timestamp() + interval '1 second'")
    await pool.execute(
        "UPDATE attempts SET started_at = clock_timestamp() - interval '9 seconds' WHERE message_id = $1", second
    )
    await pool.execute(TAKEN, third)

    await (await a_reader(pool, folder)).run_once()

    assert await states(pool) == ["queued", "submitting", "submitting"]
    assert first < second


async def test_in_another_life_of_the_database_no_file_of_before_is_believed(pool: db.Pool, folder: Path) -> None:
    owner = uuid4()
    database, _, timeline = (await life(pool)).rpartition("/")
    (await recorder(pool, folder, owner, history=f"{database}/{int(timeline, 16) + 1:08X}")).close()
    await submitting(pool, 1, owner)

    await (await a_reader(pool, folder)).run_once()

    assert await states(pool) == ["submitting"]


async def test_while_the_fence_is_closed_nothing_goes_back(pool: db.Pool, folder: Path) -> None:
    owner = uuid4()
    (await recorder(pool, folder, owner)).close()
    await submitting(pool, 1, owner)
    await pool.execute("UPDATE fence SET closed_at = clock_timestamp()")

    await (await a_reader(pool, folder)).run_once()

    assert await states(pool) == ["submitting"]


async def test_a_file_of_another_database_is_left_to_its_own_workers(pool: db.Pool, folder: Path) -> None:
    owner = uuid4()
    (await recorder(pool, folder, owner, history="7302859038475629384/5/00000001")).close()
    await submitting(pool, 1, owner)

    await (await a_reader(pool, folder)).run_once()

    assert await states(pool) == ["submitting"]
    assert len(files(folder)) == 1


async def test_nothing_is_taken_from_a_worker_that_lives(pool: db.Pool, folder: Path) -> None:
    owner = uuid4()
    flying = await recorder(pool, folder, owner)
    await submitting(pool, 2, owner)

    await (await a_reader(pool, folder)).run_once()

    assert await states(pool) == ["submitting", "submitting"]
    assert len(files(folder)) == 1
    flying.close()


@pytest.mark.parametrize("what", ["copy", "boot", "torn"])
async def test_what_is_not_believed_changes_nothing_and_goes(pool: db.Pool, folder: Path, what: str) -> None:
    owner = uuid4()
    flying = await recorder(pool, folder, owner)
    await submitting(pool, 1, owner)
    reader = boot()
    (file,) = files(folder)
    if what == "copy":  # of the folder of a worker that lives
        shutil.copytree(folder, folder.with_name("copy"))
        folder = folder.with_name("copy")
    else:
        flying.close()
    if what == "boot":
        reader = replace(reader, boot=uuid4())
    if what == "torn":
        file.write_bytes(b"\1" + file.read_bytes()[1:])

    await (await a_reader(pool, folder, reader)).run_once()

    assert await states(pool) == ["submitting"]
    assert files(folder) == []
    if what == "copy":
        flying.close()


@pytest.mark.parametrize("what", ["a folder", "a pipe", "a link", "a file of another kind", "one without an end"])
async def test_what_somebody_else_put_there_stops_nobody(pool: db.Pool, folder: Path, what: str) -> None:
    (await recorder(pool, folder, uuid4())).close()
    strange = folder / "0.flight"
    match what:
        case "a folder":
            strange.mkdir()
        case "a pipe":
            os.mkfifo(strange)
        case "a link":
            strange.symlink_to(folder / "nowhere")
        case "a file of another kind":
            strange.write_bytes(b"notes of a flight to Chicago\n" * 1000)
        case _:
            with strange.open("wb") as sparse:
                sparse.truncate(1 << 40)

    reader = await a_reader(pool, folder)
    async with asyncio.timeout(DEADLINE):
        await reader.run_once()

    assert [file for file in files(folder) if file != strange] == [], "the others are read all the same"


async def test_a_folder_that_nothing_can_be_taken_out_of_stops_nobody(
    pool: db.Pool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = uuid4()
    (await recorder(pool, folder, owner)).close()
    await submitting(pool, 1, owner)

    def read_only(_: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system", missing_ok)

    monkeypatch.setattr(Path, "unlink", read_only)
    reader = await a_reader(pool, folder)
    for _ in range(2):
        await reader.run_once()

    assert await states(pool) == ["queued"]


async def test_what_the_dead_had_claimed_is_free_at_once(pool: db.Pool, folder: Path) -> None:
    owner = uuid4()
    (await recorder(pool, folder, owner)).close()
    await submitting(pool, 2, owner)
    await pool.execute(CLAIM_ONE)

    await (await a_reader(pool, folder)).run_once()

    assert await states(pool) == ["claimed", "queued"]
    assert await pool.fetchval("SELECT lease_until <= clock_timestamp() FROM messages WHERE state = 'claimed'")
    assert await pool.fetchval("SELECT claims FROM messages WHERE state = 'claimed'") == 1, "a lost claim still counts"


async def test_a_mark_that_the_server_still_carries_out_for_the_dead_is_waited_for(pool: db.Pool, folder: Path) -> None:
    owner = uuid4()
    (await recorder(pool, folder, owner)).close()
    await queued(pool, 2)
    await pool.execute(CLAIM, owner)
    reader = await a_reader(pool, folder)
    async with db.transaction(pool) as its:
        await its.fetch(SUBMIT, owner)
        look = asyncio.create_task(reader.run_once())
        await eventually(lambda: pool.fetchval(ONE_WAITS), what="the look waits for the mark")

    await look

    assert await states(pool) == ["queued", "queued"]
    assert files(folder) == []


async def test_two_readers_at_once_do_no_more_than_one(pool: db.Pool, folder: Path) -> None:
    owner = uuid4()
    flying = await recorder(pool, folder, owner)
    ids = await submitting(pool, 20, owner)
    for one in ids[:5]:
        flying.note(one, 5, 1)
    flying.close()

    readers = [await a_reader(pool, folder) for _ in range(4)]

    await asyncio.gather(*(one.run_once() for one in readers))

    assert sorted(await states(pool)) == ["queued"] * 15 + ["submitting"] * 5


# --- together with a delivery ----------------------------------------------------------------------------------


class Provider:
    """Takes everything, once its gate is open; it may say when a text leaves."""

    def __init__(self, outcome: Outcome | None = None) -> None:
        self.asked: list[Text] = []
        self.waiting = 0
        self.gate = asyncio.Event()
        self.outcome = outcome

    async def submit(self, message: Text) -> Outcome:
        self.waiting += 1
        await self.gate.wait()
        leaving.about_to_leave()
        self.asked.append(message)
        return self.outcome or Accepted(f"SM-{message.key}")

    async def lookup(self, _message: Text, _known: Collection[str] = ()) -> Lookup:
        return CannotTell("scripted")

    async def close(self) -> None:
        self.gate.set()


class Telling(Provider):
    says_when_it_leaves = True


async def until(fact: Any) -> None:
    async with asyncio.timeout(DEADLINE):
        while not fact():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("kind", "noted"), [(Telling, 0), (Provider, 4)])
async def test_a_channel_that_tells_is_believed_and_for_another_all_is_noted_before_it_is_called(
    pool: db.Pool, folder: Path, kind: type[Provider], noted: int
) -> None:
    await queued(pool, 4)
    provider, owner, stop = kind(), uuid4(), asyncio.Event()
    flying = await recorder(pool, folder, owner)
    work = Delivery(pool, provider, account="sms/default", owner=owner, clock=lambda: NOON, recorder=flying)

    async with asyncio.TaskGroup() as group:
        group.create_task(work.run(stop))
        await until(lambda: provider.waiting == 4)
        assert len(flying._flying) == noted
        stop.set()
        provider.gate.set()

    assert await states(pool) == ["accepted"] * 4
    assert flying._flying == {}
    assert files(folder) == [], "an end in order leaves no file"
    flying.close()


async def test_what_was_queued_again_is_decided_anew_and_goes_once(pool: db.Pool, folder: Path) -> None:
    owner = uuid4()
    (await recorder(pool, folder, owner)).close()
    await submitting(pool, 3, owner)
    await (await a_reader(pool, folder)).run_once()
    provider, stop = Provider(), asyncio.Event()
    provider.gate.set()
    work = Delivery(pool, provider, account="sms/default", owner=uuid4(), clock=lambda: NOON)

    async with asyncio.TaskGroup() as group:
        group.create_task(work.run(stop))
        await until(lambda: len(provider.asked) == 3)
        stop.set()

    assert await states(pool) == ["accepted"] * 3
    assert {text.key.rpartition(".")[2] for text in provider.asked} == {"2"}


async def test_a_note_stays_until_the_outcome_is_committed(pool: db.Pool, folder: Path) -> None:
    await queued(pool, 1)
    provider, owner, stop = Telling(NotSent("not now")), uuid4(), asyncio.Event()
    flying = await recorder(pool, folder, owner)
    work = Delivery(pool, provider, account="sms/default", owner=owner, clock=lambda: NOON, recorder=flying)

    async with asyncio.TaskGroup() as group:
        group.create_task(work.run(stop))
        await until(lambda: provider.waiting)
        async with pool.acquire() as other, other.transaction():
            await other.execute("SELECT FROM messages FOR UPDATE")
            provider.gate.set()
            await until(lambda: work._sends.answered)
            assert len(flying._flying) == 1
        await until(lambda: not work._sends.answered)
        assert flying._flying == {}
        assert await states(pool) == ["queued"]
        stop.set()
    flying.close()


def test_leases_of_what_is_submitted_outlast_two_looks() -> None:
    assert timedelta(seconds=2 * recovery.EVERY) <= timedelta(seconds=30) + claims.LEASE
