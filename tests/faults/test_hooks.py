"""What providers call in: believed when it is signed and fresh, answered when it is stored, counted once."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from control_center.embedded import Postgres
from tests.support import gateway_stub
from tests.support.bookings import bookings, phone
from tests.support.fake_sms import FakeSms, delivered
from tests.support.far import Far, far_away
from tests.support.installation import Installation
from tests.support.matrix import Seen
from tests.support.programs import eventually

pytestmark = pytest.mark.process

RECEIPTS: Final = "SELECT count(*) FROM receipts"
ARRIVALS: Final = "SELECT count(*) FROM arrivals"


@pytest.mark.fault("F41")
async def test_f41_a_call_is_refused_forged_or_stale_put_off_while_it_cannot_be_stored_and_counted_once(
    folder: Path, postgres_to_kill: Postgres, database_to_kill: str, broker_url: str, seen: Seen
) -> None:
    async with AsyncExitStack() as stack:

        async def install(settings: str, **_: Any) -> Installation:
            here = Installation(folder / "one", database_url=database_to_kill, broker_url=broker_url, settings=settings)
            return await stack.enter_async_context(here)

        far = await stack.enter_async_context(far_away(install))
        far.sms.reports = False
        program = await far.run()
        await far.crm.say(bookings(3))
        await far.here.holds("SELECT count(*) = 3 FROM messages WHERE state = 'accepted'")
        one, two, _ = (str(text["reference"]) for text in far.sms.accepted)

        await _forged_or_stale(far.sms, one)
        assert await far.here.value(RECEIPTS) == await far.here.value(ARRIVALS) == 0
        await _slow(far, database_to_kill, one)
        await postgres_to_kill.kill()
        assert await far.sms.call("status", delivered(one), "msg-one", within=40) == 503
        await postgres_to_kill.start()
        far.here.hang_up()
        assert await far.here.value(RECEIPTS) == 0, "it was never said to have been received"

        await _until_taken(far.sms, one, "msg-one")
        for _ in range(3):
            assert await far.sms.call("status", delivered(one), "msg-one") == 200
        minute_old = datetime.now(UTC) - timedelta(minutes=1)
        assert await far.sms.call("status", delivered(one), "msg-one", at=minute_old) == 200
        assert await far.here.value(RECEIPTS) == 1
        said = {"type": "message.received", "id": "in-one", "from": phone(1), "to": "+13125550100", "text": "Thanks"}
        for _ in range(3):
            assert await far.sms.call("inbound", said, "msg-two") == 200
        assert await far.here.value(ARRIVALS) == 1

        far.sms.reports = True
        far.sms.report()
        await far.calm()
        await far.heard()
        findings = await far.check()
        assert not findings.faults
        assert findings.unknown == []
        assert phone(1) not in program.tail(100_000)
        assert two not in "".join(str(line.get("route", "")) for line in program.lines("http.request"))
        seen("forged, stale, too early: 403; slow or no database: 503, nothing stored; repeats: 200, counted once")


async def _forged_or_stale(sms: FakeSms, key: str) -> None:
    said, now = delivered(key), datetime.now(UTC)
    assert await sms.call("status", said, "msg-one", secret="somebody-elses") == 403
    assert await sms.call("status", said, "msg-one", headers={"webhook-id": "msg-one"}) == 403
    for off in (timedelta(minutes=-6), timedelta(days=-1), timedelta(minutes=6)):
        assert await sms.call("status", said, "msg-one", at=now + off) == 403, off
    of_another = gateway_stub.signed(b'{"type": "message.status"}', now, sms.secret.encode(), "msg-one")
    assert await sms.call("status", said, "msg-one", headers=of_another) == 403
    text = {"type": "message.received", "id": "in-1", "from": phone(1), "to": "+13125550100", "text": "STOP"}
    assert await sms.call("inbound", text, "msg-in", at=now - timedelta(minutes=6)) == 403


async def _slow(far: Far, dsn: str, key: str) -> None:
    """Somebody holds the table: the call is answered before its provider would give up, and with no 200."""
    other = await asyncpg.connect(dsn)
    holding = other.transaction()
    await holding.start()
    await other.execute("LOCK TABLE receipts IN SHARE MODE")
    assert await far.sms.call("status", delivered(key), "msg-one", within=40) == 503
    await holding.rollback()
    await other.close()
    assert await far.here.value(RECEIPTS) == 0


async def _until_taken(sms: FakeSms, key: str, call: str) -> None:
    async def taken() -> bool:
        return await sms.call("status", delivered(key), call) == 200

    await eventually(taken, within=90, what="the database is back, and the call is stored")
