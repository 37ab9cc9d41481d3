"""What is asked of the API and of the hub's search, and what the broker brings: each is answered, none is a fault."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any, Final

import pytest
from aiormq.exceptions import AMQPError
from pamqp import commands

from control_center.crm.connection import connect
from control_center.crm.inbox import Inbox
from control_center.crm.topology import Topology, declare
from control_center.engine import hub
from control_center.store import db
from control_center.store.pages import UNSTORABLE
from control_center.store.views_messages import Filter
from tests.faults.test_hostile_input import COUNTS, FEW, MANY, say, seed_of
from tests.support import surfaces_amqp, surfaces_mail
from tests.support.hostile import Surface, Tally, quiet_logs
from tests.support.mutations import HOSTILE, mutated
from tests.support.rows import a_client, a_message, a_record, a_studio, a_trigger, an_action
from tests.support.surfaces_api import BODIES, CALLS
from tests.web.conftest import Caller, app, pool  # noqa: F401 - fixtures

AT_ONCE: Final = 8
PATIENCE: Final = 20.0  # seconds for one answer; a busy machine is no fault

Ask = Callable[[Any], Awaitable[str | None]]


async def ask_all(name: str, make: Callable[[Random], Any], ask: Ask, count: int, seed: int) -> Tally:
    """Ask so many times, several at once; `ask` says what was wrong with an answer."""
    chance, tally = Random(seed), Tally(name, seed)

    async def one(wanted: Any) -> None:
        begun = time.monotonic()
        try:
            wrong = await asyncio.wait_for(ask(wanted), PATIENCE)
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}: {type(error).__name__}: {error}\n{wanted!r}") from error
        assert wrong is None, f"{name}, seed {seed}: {wrong}\n{wanted!r}"
        tally.inputs += 1
        tally.slowest = max(tally.slowest, time.monotonic() - begun)

    while tally.inputs < count:
        some = [make(chance) for _ in range(min(AT_ONCE, count - tally.inputs))]
        with quiet_logs() as complaints:
            await asyncio.gather(*map(one, some))
        assert not complaints, f"{name}, seed {seed}: {complaints[0]}\n{some!r}"
    return tally


# The API ----------------------------------------------------------------------------------------------------

ICS: Final = Surface("files", surfaces_mail.CALENDARS, json.loads, words=surfaces_mail.ICS_WORDS)
EDGE: Final = "multipart/form-data; boundary=edge"


def a_call(chance: Random) -> tuple[str, str, str, bytes]:
    method, path, body = chance.choice(CALLS)
    data = mutated(json.dumps(body).encode(), BODIES, chance)
    if chance.random() < 0.004:  # a child for each, so only now and then
        form = b"--edge\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n%b\r\n--edge--\r\n" % data
        return "POST", "/blackouts", EDGE, mutated(form, ICS, chance)
    return method, path, "application/json", data


@pytest.mark.parametrize("count", [FEW // 10, pytest.param(MANY // 10, marks=pytest.mark.long)])
async def test_whatever_body_is_sent_to_the_api_it_is_answered(
    app: Caller,  # noqa: F811
    count: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await a_client(app.pool)
    await a_record(app.pool)
    await a_trigger(app.pool, "Reminder")
    await an_action(app.pool)
    await an_action(app.pool, state="review")
    await a_message(app.pool)
    await a_message(app.pool, state="unknown")
    assert (await app.post("/templates", json={"name": "offer", "sms": "Hello {{ client.first_name }}"})).status == 201
    found: dict[int, int] = {}

    async def ask(wanted: tuple[str, str, str, bytes]) -> str | None:
        method, path, media, body = wanted
        answer = await app.call(method, f"/api/v1{path}", data=body, headers={"Content-Type": media})
        found[answer.status] = found.get(answer.status, 0) + 1
        busy = answer.status == 503 and b"come again" in answer.body
        return f"{answer.status}: {answer.body[:300]!r}" if answer.status >= 500 and not busy else None

    tally = await ask_all("api", a_call, ask, count, seed_of(count))
    tally.taken = sum(times for status, times in found.items() if status < 300)
    say(capsys, tally)
    assert 404 not in {status for status, times in found.items() if times > count / 4}


# The search -------------------------------------------------------------------------------------------------

WORDS: Final = Surface(
    "search",
    (b"yes thanks", b"jo@mail.example", b"(312) 555-0188", "größe café".encode(), b"see you on saturday at 10:30", b"https://studio.example/a?b=c"),
    str,
    words=(*b"& | ! :* <-> ' '' \\ % _ ( ) AND OR - \" *".split(), b" AND ", b"\xe3\x80\x80", b"\xc2\xad"),
)  # fmt: skip


def a_search(chance: Random) -> str:
    while True:
        text = mutated(chance.choice(WORDS.corpus), WORDS, chance).decode("utf-8", "replace")[:200]
        if text and not UNSTORABLE.search(text):  # which the API refuses
            return text


@pytest.fixture
async def hub_pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    for number, state in enumerate(("queued", "accepted", "unknown", "received") * 5):
        words = str(HOSTILE[number * 3 % len(HOSTILE)]).replace("\0", "").encode("utf-8", "replace").decode()
        await a_message(opened, state=state, body=f"Yes, thanks {words[:2000]}")
    yield opened
    await opened.close()


@pytest.mark.parametrize("count", COUNTS)
async def test_whatever_is_looked_for_there_is_a_page(
    hub_pool: db.Pool, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = 0

    async def ask(text: str) -> str | None:
        nonlocal found
        page = await hub.messages(hub_pool, "main", Filter(), text)
        found += bool(page.items)
        return None

    tally = await ask_all("search", a_search, ask, count, seed_of(count))
    tally.taken = found
    say(capsys, tally)
    assert found > count / 50


# The broker -------------------------------------------------------------------------------------------------


class Written(commands.Basic.Properties):
    """Properties that leave as these bytes, whatever a library would say of them."""

    raw = b""

    def marshal(self) -> bytes:
        return self.raw


@pytest.mark.parametrize("count", [FEW // 100, pytest.param(FEW, marks=pytest.mark.long)])
async def test_whatever_properties_the_broker_passes_on_the_message_is_taken_in(
    broker_url: str, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that the broker itself refuses end its publisher's connection; the next is published over another."""
    chance, tally = Random(seed_of(count)), Tally("broker", seed_of(count))
    came: set[bytes] = set()
    arrived = asyncio.Event()

    async def commit(bodies: Any) -> Any:
        came.update(bodies)
        arrived.set()
        return []

    inbox, stop = Inbox(broker_url, commit), asyncio.Event()
    async with await connect(broker_url, "crm") as connection:
        await declare(connection, Topology())
    running = asyncio.create_task(inbox.run(stop))
    passed_on: set[bytes] = set()
    for number in range(count):
        properties = Written(message_id=str(number))
        properties.raw = surfaces_amqp.some_properties(chance)
        body = f"{number} {properties.raw.hex()}".encode()
        tally.inputs += 1
        async with await connect(broker_url, "crm") as connection:
            try:
                channel = await (await connection.channel()).get_underlay_channel()
                async with asyncio.timeout(5):
                    await channel.basic_publish(body, exchange="crm.events", routing_key="main", properties=properties)
                passed_on.add(body)
            except (AMQPError, TimeoutError, OSError, RuntimeError):
                continue
    async with asyncio.timeout(60):
        while not passed_on <= came:
            await arrived.wait()
            arrived.clear()
    tally.taken = len(passed_on)
    stop.set()
    await running
    say(capsys, tally)
    assert len(passed_on) > count / 10
