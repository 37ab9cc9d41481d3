"""Told to end while fifty texts are with their provider: once, twice, or by a kill because it took too long."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.support.bookings import bookings
from tests.support.checker import Findings, check
from tests.support.gateway_stub import GatewayStub
from tests.support.http_stub import Answer, Request
from tests.support.installation import RUN_OUT, Installation
from tests.support.matrix import Seen
from tests.support.programs import Program, eventually

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

FLYING: Final = 50
MANY: Final = 120
SECRET: Final = "s3cret-of-the-own-gateway"
ACCOUNT: Final = (
    '[accounts.own]\nchannel = "sms"\nprovider = "http"\nurl = "{url}"\nsecret = "{secret}"\nslots = {slots}\n'
)
STATES: Final = "SELECT state, count(*) FROM messages GROUP BY 1"
IN_HAND: Final = "SELECT count(*) FROM messages WHERE lease_owner IS NOT NULL"
UNFINISHED: Final = "SELECT count(*) FROM messages WHERE state IN ('queued', 'claimed', 'submitting')"
# What a gateway says of each text in the end, which here nobody waits for.
ARRIVED: Final = """
UPDATE messages SET state = 'delivered', ended_at = clock_timestamp()
 WHERE state = 'accepted' AND 'm-' || message_id = ANY ($1::text[])"""


@dataclass
class Pensive(GatewayStub):
    """A gateway that takes texts and answers when it may."""

    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def _answer(self, writer: asyncio.StreamWriter, answer: Answer, request: Request) -> bool:
        await self.may_answer.wait()
        return await super()._answer(writer, answer, request)

    def ledger(self) -> list[dict[str, Any]]:
        """What it took, as the sandbox would have written it down."""
        keys = [one["reference"] for one in self.accepted]
        return [{"message": key.rpartition(".")[0], "key": key} for key in keys]


@pytest.fixture
async def gateway() -> AsyncIterator[Pensive]:
    async with Pensive(secret=SECRET) as stub:
        yield stub
        stub.may_answer.set()


async def in_flight(install: Install, gateway: Pensive) -> tuple[Installation, list[bytes], Program]:
    """An installation whose worker has as many texts in flight as it may, and more at hand."""
    here = await install(ACCOUNT.format(url=gateway.url, secret=SECRET, slots=FLYING))
    here.outbox = gateway.ledger  # type: ignore[method-assign]  # the gateway's, in place of the sandbox's
    await here.furnish(account="own")
    await here.run("engine", "release")
    bodies = bookings(MANY)
    await here.publish(bodies)
    await here.holds("SELECT count(*) = $1 FROM messages", MANY, within=240)
    worker = await here.start("workers", "sms")
    await here.sent(FLYING, within=240)
    await here.holds("SELECT count(*) > 0 FROM messages WHERE state = 'claimed'", within=120)
    return here, bodies, worker


async def states(here: Installation) -> dict[str, int]:
    return {row["state"]: row["count"] for row in await here.sql(STATES)}


async def at_rest(here: Installation, bodies: list[bytes], gateway: Pensive) -> Findings:
    """A worker has sent the rest, and each text that the gateway has answered for has arrived."""
    gateway.may_answer.set()
    await here.work()
    await here.holds(f"SELECT ({UNFINISHED}) = 0", within=240)
    await here.sql(ARRIVED, [line["message"] for line in gateway.ledger()])
    # A doubt that a receipt would settle: this gateway sends none, so there is nothing to wait for.
    findings = await check(here, bodies, patience=0)
    taken = {line["message"] for line in gateway.ledger()}
    stuck = [one for one in findings.stuck if one.removesuffix(" is unknown") not in taken]
    assert {name: faults for name, faults in findings.faults.items() if name != "stuck"} == {}
    assert stuck == []
    return findings


@pytest.mark.fault("F38")
async def test_f38_told_to_end_with_fifty_in_flight_it_claims_nothing_more_and_writes_down_all_fifty_answers(
    install: Install, gateway: Pensive, seen: Seen
) -> None:
    here, bodies, worker = await in_flight(install, gateway)

    os.kill(worker.pid, signal.SIGTERM)
    await worker.wait_for("service.stopping")
    assert len(gateway.accepted) == FLYING
    gateway.may_answer.set()
    assert await worker.ended() == 0

    assert await states(here) == {"accepted": FLYING, "queued": MANY - FLYING}
    assert await here.value(IN_HAND) == 0
    assert len(gateway.accepted) == FLYING, "nothing more was begun"
    findings = await at_rest(here, bodies, gateway)
    assert findings.unknown == []
    assert len(gateway.accepted) == MANY
    seen(f"SIGTERM: {FLYING} in flight answered and written down, {MANY - FLYING} given back, 0 unknown")


async def _second_signal(worker: Program) -> None:
    """Again, until it is taken for a second one: in the first second it is an echo of the first."""

    async def hurried() -> bool:
        if worker.code is None:
            os.kill(worker.pid, signal.SIGTERM)
        return bool(worker.lines("service.hurried"))

    await eventually(hurried, within=60)
    await worker.ended()


async def _too_late(worker: Program) -> None:
    """What systemd does when TimeoutStopSec is over."""
    await worker.kill()


@pytest.mark.fault("F38")
@pytest.mark.parametrize("then", [_second_signal, _too_late])
async def test_f38_hurried_or_killed_while_it_ends_only_what_it_had_begun_to_send_is_in_doubt(
    install: Install, gateway: Pensive, then: Callable[[Program], Awaitable[None]], seen: Seen
) -> None:
    here, bodies, worker = await in_flight(install, gateway)
    flew = {line["message"] for line in gateway.ledger()}

    os.kill(worker.pid, signal.SIGTERM)
    await worker.wait_for("service.stopping")
    await then(worker)
    assert len(gateway.accepted) == FLYING
    await here.sql(RUN_OUT)  # nobody waits for that here

    findings = await at_rest(here, bodies, gateway)
    assert set(findings.unknown) == flew, "these may have been sent, and no other"
    assert len(gateway.accepted) == MANY
    how = "a second SIGTERM" if then is _second_signal else "a kill"
    seen(f"{how} with {FLYING} in flight: those {len(findings.unknown)} unknown, the other {MANY - FLYING} sent once")


@pytest.mark.fault("F38")
@pytest.mark.long
async def test_f38_what_is_not_answered_in_the_time_to_end_is_written_down_as_unknown(
    install: Install, gateway: Pensive, seen: Seen
) -> None:
    here, bodies, worker = await in_flight(install, gateway)
    flew = {line["message"] for line in gateway.ledger()}

    assert await worker.stop(within=120) < 40

    assert worker.code == 0
    assert await states(here) == {"unknown": FLYING, "queued": MANY - FLYING}
    findings = await at_rest(here, bodies, gateway)
    assert set(findings.unknown) == flew
    seen(f"no answer within 25 s of SIGTERM: {FLYING} unknown, {MANY - FLYING} given back")
