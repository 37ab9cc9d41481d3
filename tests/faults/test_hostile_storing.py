"""What was understood of hostile input can be stored, planned, released and answered: nothing behind it breaks."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import pytest

from control_center.domain.errors import Malformed, Refused
from control_center.domain.event import Event, Verb
from control_center.engine import replies, templates, triggers
from control_center.engine.conversations import Conversations
from control_center.engine.hearing import Hearing as Reading
from control_center.engine.intake import Intake
from control_center.engine.mailroom import Mailroom
from control_center.engine.release import Release
from control_center.engine.trigger_files import read_files
from control_center.store import db
from control_center.web.hooks.providers import Brought
from tests.faults.test_hostile_input import COUNTS, say, seed_of
from tests.support import surfaces, surfaces_mail, surfaces_templates, surfaces_wire
from tests.support.hostile import Surface, fuzz_and_store
from tests.support.rows import a_client, a_message, a_record, a_studio
from tests.support.values import NOW
from workers.hearing import Hearing

Accepted = Sequence[tuple[bytes, Any]]
BY: Final = "a test"


class Clock:
    """Goes on by some days with each batch, so that what was planned becomes due."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def the_pack(pool: db.Pool, clock: Clock) -> None:
    """Every trigger of the pack switched on, running by itself."""
    await templates.put_all(pool, "main", surfaces.SAVED, by=BY)
    tables = [
        (where, {**table, "enabled": True, "processing": {**table.get("processing", {}), "mode": "automatic"}})
        for where, table in read_files([surfaces.ROOT / "config/triggers", surfaces.ROOT / "config/demo/triggers"])
    ]
    named = {table["name"]: (where, table) for where, table in tables}
    await triggers.apply(pool, clock, "main", list(named.values()), by=BY)


_numbers = itertools.count(1)


def renewed(body: bytes, event: Event) -> bytes:
    """The same event about another record, under another id: what came before must not make a copy of it."""
    number = next(_numbers)
    top = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    top["id"] = msgspec.Raw(f'"x-{number}"'.encode())
    if event.verb not in (Verb.SNAPSHOT, Verb.CATALOG):
        data = msgspec.json.decode(top["data"], type=dict[str, msgspec.Raw])
        shown = event.seen[-1]
        key = "client" if shown.kind == "client" else "record"
        about = msgspec.json.decode(data[key], type=dict[str, msgspec.Raw])
        about["id"] = msgspec.Raw(f'"r-{number}"'.encode())
        data[key] = msgspec.Raw(msgspec.json.encode(about))
        top["data"] = msgspec.Raw(msgspec.json.encode(data))
        top["subject"] = msgspec.Raw(f'"{shown.kind}/r-{number}"'.encode())
    return msgspec.json.encode(top)


@pytest.mark.parametrize("count", COUNTS)
async def test_an_event_that_is_understood_is_stored_planned_and_released(
    pool: db.Pool, clock: Clock, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    await the_pack(pool, clock)
    intake, release = Intake(pool, clock), Release(pool, clock)

    async def store(accepted: Accepted) -> None:
        bodies = [body for body, _ in accepted] + [renewed(*one) for one in accepted]
        taken = await intake.take_in(bodies)
        faults = [one for one in taken.dead if one.reason.startswith("our own fault")]
        assert not faults, f"{faults[0].reason}: {faults[0].body!r}"
        for _ in range(8):
            clock.now += timedelta(days=2)
            while await release.run_once():
                pass

    tally = await fuzz_and_store(surfaces.BODIES, count, seed_of(count), store, batch=50)
    released = await pool.fetchval("SELECT count(*) FROM actions WHERE state = 'released'")
    say(capsys, tally)
    assert released > 100


@pytest.mark.parametrize("count", COUNTS)
async def test_a_trigger_file_that_is_understood_is_saved_or_refused(
    pool: db.Pool, clock: Clock, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    await templates.put_all(pool, "main", surfaces.SAVED, by=BY)
    await a_client(pool)
    await a_record(pool)

    async def store(accepted: Accepted) -> None:
        for _, tables in accepted:
            with contextlib.suppress(Malformed, Refused):
                await triggers.apply(pool, clock, "main", tables, by=BY)
        for saved in await triggers.export(pool, "main"):
            await triggers.apply(pool, clock, "main", [], by=BY, remove=[saved["name"]])

    say(capsys, await fuzz_and_store(surfaces.FILES, count, seed_of(count), store, batch=25, one_in=25))


@pytest.mark.parametrize("count", COUNTS)
async def test_a_template_that_is_understood_is_saved(
    pool: db.Pool, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def store(accepted: Accepted) -> None:
        await templates.put_all(
            pool, "main", {f"T{n}": msgspec.json.decode(body) for n, (body, _) in enumerate(accepted)}, by=BY
        )

    say(capsys, await fuzz_and_store(surfaces_templates.TEMPLATES, count, seed_of(count), store, batch=50, one_in=25))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("surface", [surfaces_mail.BOUNCES, surfaces_mail.LETTERS], ids=lambda one: one.name)
async def test_a_mail_is_taken_in_whatever_it_is(
    pool: db.Pool, clock: Clock, surface: Surface, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    await a_client(pool)
    for _ in range(13):
        await a_message(pool, channel="email", state="accepted")
    await pool.execute("UPDATE messages SET nonce = $1 WHERE message_id = 12", surfaces_mail.NONCE)
    mailroom = Mailroom(pool, clock, surfaces_mail.LINKS)

    async def store(accepted: Accepted) -> None:
        for raw, _ in accepted:
            await mailroom.take("email/default", raw, to=raw[:60].decode("utf-8", "surrogateescape").replace("\0", ""))

    say(capsys, await fuzz_and_store(surface, count, seed_of(count), store, batch=25, one_in=50))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("surface", surfaces_wire.HOOKS.values(), ids=lambda one: one.name)
async def test_what_a_signed_call_brings_is_stored(
    pool: db.Pool, clock: Clock, surface: Surface, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    await a_client(pool)
    for _ in range(13):
        await a_message(pool, state="accepted")
    conversations = Conversations(pool, clock)

    async def store(accepted: Accepted) -> None:
        brought: list[tuple[bytes, Brought]] = list(accepted)
        raw = [(one, body.decode("utf-8", "replace")) for body, one in brought]
        came = [(known_by, receipt, text) for one, text in raw for known_by, receipt in one.receipts]
        await replies.take_receipts(pool, "sms/default", came)
        for one, text in raw:
            await conversations.take("sms/default", [(inbound, text.replace("\0", "")) for inbound in one.texts])

    say(capsys, await fuzz_and_store(surface, count, seed_of(count), store, batch=25, one_in=25))


@pytest.mark.parametrize("count", COUNTS)
async def test_what_a_message_centre_delivers_is_kept_and_read(
    pool: db.Pool, clock: Clock, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    await a_client(pool)
    hearing, reading = Hearing(pool, "sms/default"), Reading(pool, clock)

    async def store(accepted: Accepted) -> None:
        for raw, brought in accepted:
            if brought is not None:
                text, part, receipt = brought
                assert await hearing.hear(text, part, receipt, raw.hex())
        while await reading.run_once():
            pass
        await replies.adopt(pool, limit=100)

    say(capsys, await fuzz_and_store(surfaces_wire.UNITS, count, seed_of(count), store, batch=25, one_in=25))
