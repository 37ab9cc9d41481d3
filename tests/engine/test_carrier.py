"""The sandbox's network brings the receipts of whatever stands in the outbox file, however the answer fared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from control_center.domain.message import key_of
from control_center.domain.outcome import Text
from control_center.domain.wire import sandbox
from control_center.engine.carrier import CHUNK, POLL, Carrier
from control_center.store import db
from tests.support.rows import a_message, ago, ahead, now
from workers.sandbox import append


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    yield pool
    await pool.close()


def accept(
    folder: Path, message: int, to: str = "+13125550188", *, at: datetime | None = None, body: str = "Hi"
) -> None:
    """The sandbox accepted the first attempt of this message."""
    text = Text(key_of(message, 1), f"m-{message}", "+13125550100", to, body, now(), ahead(days=1))
    append(folder / "outbox.ndjson", sandbox.outbox_line(text, at or ago(minutes=1)))


def carrier_of(pool: db.Pool, folder: Path, **more: Any) -> Carrier:
    return Carrier(pool, folder, now, **more)


async def state(pool: db.Pool, message: int) -> str:
    return str(await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", message))


@pytest.mark.parametrize("before", ["submitting", "unknown", "accepted"])
@pytest.mark.parametrize(("to", "after"), [("+13125550188", "delivered"), ("+13125550005", "undelivered")])
async def test_what_the_sandbox_took_settles_by_itself(
    pool: db.Pool, tmp_path: Path, before: str, to: str, after: str
) -> None:
    message = await a_message(pool, state=before)
    accept(tmp_path, message, to)

    await carrier_of(pool, tmp_path).run_once()

    assert await state(pool, message) == after


async def test_where_the_sandbox_loses_the_answer_no_receipt_comes(pool: db.Pool, tmp_path: Path) -> None:
    message = await a_message(pool, state="unknown")
    accept(tmp_path, message, "+13125550003")

    await carrier_of(pool, tmp_path).run_once()

    assert await state(pool, message) == "unknown"


async def test_messages_of_any_account_and_studio_are_found(pool: db.Pool, tmp_path: Path) -> None:
    mine = await a_message(pool, state="accepted", account="sms/spare")
    theirs = await a_message(pool, state="accepted", studio="other", channel="email")
    accept(tmp_path, mine)
    accept(tmp_path, theirs, "jo@mail.example")

    await carrier_of(pool, tmp_path).run_once()

    assert (await state(pool, mine), await state(pool, theirs)) == ("delivered", "delivered")


async def test_a_message_takes_its_time_to_arrive(pool: db.Pool, tmp_path: Path) -> None:
    first, second = await a_message(pool, state="accepted"), await a_message(pool, state="accepted")
    accept(tmp_path, first)
    accept(tmp_path, second, at=now())
    carrier = carrier_of(pool, tmp_path, travel=timedelta(minutes=1))

    assert await carrier.run_once() == POLL

    assert (await state(pool, first), await state(pool, second)) == ("delivered", "accepted")


async def test_without_a_file_there_is_nothing_to_bring(pool: db.Pool, tmp_path: Path) -> None:
    assert await carrier_of(pool, tmp_path / "nowhere").run_once() == POLL


async def test_after_a_restart_it_goes_on_where_it_was(pool: db.Pool, tmp_path: Path) -> None:
    accept(tmp_path, await a_message(pool, state="accepted"))
    await carrier_of(pool, tmp_path).run_once()
    size = (tmp_path / "outbox.ndjson").stat().st_size
    assert (tmp_path / "receipts.offset").read_text() == str(size)

    message = await a_message(pool, state="accepted")
    accept(tmp_path, message)
    await carrier_of(pool, tmp_path).run_once()

    assert await state(pool, message) == "delivered"
    assert await pool.fetchval("SELECT count(*) FROM receipts") == 2


@pytest.mark.parametrize("lost", ["", "not a number", None])
async def test_a_place_that_is_lost_costs_nothing(pool: db.Pool, tmp_path: Path, lost: str | None) -> None:
    message = await a_message(pool, state="accepted")
    accept(tmp_path, message)
    await carrier_of(pool, tmp_path).run_once()
    place = tmp_path / "receipts.offset"
    place.unlink() if lost is None else place.write_text(lost)

    await carrier_of(pool, tmp_path).run_once()

    assert await pool.fetchval("SELECT count(*) FROM receipts") == 1
    assert await pool.fetchval("SELECT count(*) FROM commands WHERE verb <> 'add_note'") == 1


async def test_a_file_begun_anew_is_read_from_its_beginning(pool: db.Pool, tmp_path: Path) -> None:
    accept(tmp_path, await a_message(pool, state="accepted"), body="a long text " * 20)
    carrier = carrier_of(pool, tmp_path)
    await carrier.run_once()
    (tmp_path / "outbox.ndjson").unlink()
    message = await a_message(pool, state="accepted")
    accept(tmp_path, message)

    await carrier.run_once()

    assert await state(pool, message) == "delivered"


async def test_a_line_still_being_written_comes_with_the_next_look(pool: db.Pool, tmp_path: Path) -> None:
    message = await a_message(pool, state="accepted")
    accept(tmp_path, message)
    outbox = tmp_path / "outbox.ndjson"
    line = outbox.read_bytes()
    outbox.write_bytes(line[:20])
    carrier = carrier_of(pool, tmp_path)

    await carrier.run_once()
    assert await state(pool, message) == "accepted"
    append(outbox, line[20:])
    await carrier.run_once()

    assert await state(pool, message) == "delivered"


async def test_a_cut_line_is_passed_over(pool: db.Pool, tmp_path: Path) -> None:
    message = await a_message(pool, state="accepted")
    append(tmp_path / "outbox.ndjson", b'{"at": "2026-\n')
    accept(tmp_path, message)

    await carrier_of(pool, tmp_path).run_once()

    assert await state(pool, message) == "delivered"


async def test_a_file_larger_than_one_look_is_read_at_once_to_its_end(pool: db.Pool, tmp_path: Path) -> None:
    long, last = await a_message(pool, state="accepted"), await a_message(pool, state="accepted")
    accept(tmp_path, long, body="x" * (CHUNK + 10))
    accept(tmp_path, last)
    carrier = carrier_of(pool, tmp_path)

    assert await carrier.run_once() == 0
    assert await carrier.run_once() == POLL

    assert (await state(pool, long), await state(pool, last)) == ("delivered", "delivered")
