"""What a provider says of a text, at every moment but the usual one, over the route that it calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import pytest

from tests.support.bookings import booking, bookings
from tests.support.checker import check
from tests.support.gateway_stub import GatewayStub, signed
from tests.support.http_stub import Answer, Request
from tests.support.installation import Installation
from tests.support.matrix import Seen
from tests.support.programs import eventually

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

SECRET: Final = "s3cret-of-the-own-gateway"
ACCOUNT: Final = '[accounts.own]\nchannel = "sms"\nprovider = "http"\nurl = "{url}"\nsecret = "{secret}"\nslots = 1\n'
# As if all of it had been three days ago.
DAYS_AGO: Final = """
WITH message AS (
     UPDATE messages SET sent_at = sent_at - interval '3 days', created_at = created_at - interval '3 days'
      WHERE 'm-' || message_id = $1)
UPDATE attempts SET started_at = started_at - interval '3 days', ended_at = ended_at - interval '3 days'
 WHERE 'm-' || message_id = $1"""
STATE: Final = "SELECT state FROM messages WHERE 'm-' || message_id = $1"


@dataclass
class Talkative(GatewayStub):
    """A gateway that says more of a text before it has answered the call that brought it."""

    before_answer: Callable[[dict[str, Any], int], Awaitable[None]] | None = None

    async def _answer(self, writer: asyncio.StreamWriter, answer: Answer, request: Request) -> bool:
        if self.before_answer is not None:
            await self.before_answer(request.json, len(self.accepted))
        return await super()._answer(writer, answer, request)


class Hooks:
    """The address that the gateway calls."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base
        self._calls = 0

    async def say(self, *, call: str = "", status: str = "delivered", **words: str) -> None:
        """Call it once; it has to be answered with 200."""
        self._calls += 1
        body = json.dumps({"type": "message.status", "status": status, **words}).encode()
        headers = signed(body, datetime.now(UTC), SECRET.encode(), call or f"call-{self._calls}")
        async with self._session.post(f"{self._base}/hooks/sms/http/own/status", data=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()


def ledger(gateway: GatewayStub) -> list[dict[str, Any]]:
    """What it took, as the sandbox would have written it down."""
    return [
        {"message": one["reference"].rpartition(".")[0], "key": one["reference"], "to": one["to"]}
        for one in gateway.accepted
    ]


@pytest.mark.fault("F35")
async def test_f35_receipts_that_come_too_early_twice_in_the_wrong_order_for_nobody_or_days_late_all_count_once(
    install: Install, seen: Seen
) -> None:
    async with Talkative(secret=SECRET) as gateway, aiohttp.ClientSession() as session:
        here = await install(ACCOUNT.format(url=gateway.url, secret=SECRET))
        here.outbox = lambda: ledger(gateway)  # type: ignore[method-assign]  # the gateway's, in place of the sandbox's
        await here.furnish(account="own")
        await here.run("engine", "release", "web")
        endpoints = json.loads((here.data_dir / "endpoints.json").read_text("utf-8"))
        hooks = Hooks(session, endpoints["http"])

        async def early(text: dict[str, Any], place: int) -> None:
            """Before the answer, and so before anybody here knows that the text was taken."""
            key = text["reference"]
            match place:
                case 1:
                    await hooks.say(reference=key)
                case 2:
                    for _ in range(3):
                        await hooks.say(reference=key, call="again")
                    await hooks.say(reference=key)
                case 3:
                    await hooks.say(reference=key)
                    await hooks.say(reference=key, status="sent")
                case 4:
                    await hooks.say(id=f"g-{place}")  # an id that nobody knows until the answer is there
                case 5:
                    await hooks.say(reference="m-999999999.1")
                    await hooks.say(id="of-somebody-else", status="undelivered")
                case _:
                    pass

        gateway.before_answer = early
        await here.start("workers", "sms")
        bodies = [*bookings(5), booking("late", number=99)]
        await here.publish(bodies)
        await here.taken_in(6, within=240)

        async def six() -> bool:
            return len(gateway.accepted) >= 6

        await eventually(six, within=240, what="six texts taken")
        keys = [one["reference"] for one in gateway.accepted]
        of = [key.rpartition(".")[0] for key in keys]
        for place in range(4):
            await here.holds(f"SELECT ({STATE}) = 'delivered'", of[place], within=120)
        for place in (4, 5):
            await here.holds(f"SELECT ({STATE}) = 'accepted'", of[place], within=120)

        await here.sql(DAYS_AGO, of[5])
        await hooks.say(reference=keys[5], status="undelivered", code="30003", reason="switched off")
        await hooks.say(reference=keys[5], status="sent")
        await hooks.say(reference=keys[4])
        # It was thought to have arrived, and for the first it stays so.
        await hooks.say(reference=keys[0], status="sent")

        await here.calm(within=240)
        findings = await check(here, bodies)
        assert not findings.faults
        assert findings.unknown == []
        states = [await here.value(STATE, one) for one in of]
        assert states == ["delivered"] * 5 + ["undelivered"]
        kept = await here.value("SELECT count(*) FROM receipts WHERE message_id IS NULL")
        assert kept == 2, "what names nobody is kept"
        stored = await here.value("SELECT count(*) FROM receipts WHERE dedupe_key = 'again'")
        assert stored == 1
        settled = "SELECT count(*) FROM commands WHERE verb IN ('message.delivered', 'message.failed')"
        assert await here.value(settled) == 6, "the CRM is told once of each"
        seen(
            "before the answer, by our key or by an id still unknown; three times; sent after delivered; 3 days late: "
            "each text settled once; 2 for nobody kept"
        )
