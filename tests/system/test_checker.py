"""The checker itself: a checker that finds nothing proves nothing."""

from __future__ import annotations

import pytest

from tests.support.bookings import booking, bookings
from tests.support.checker import check
from tests.support.installation import Installation

pytestmark = pytest.mark.process


async def test_the_checker_sees_every_fault_that_is_made_by_hand(installation: Installation) -> None:
    here, bodies = installation, bookings(4)
    program = await here.run("engine", "release", "sms")
    await here.publish(bodies)
    await here.sent(4)
    await here.calm()
    await program.stop()
    findings = await check(here, bodies)
    assert not findings.faults
    assert findings.unknown == []

    assert (await check(here, [*bodies, booking("never")])).faults == {"lost": ["never-1"]}

    outbox = here.data_dir / "sandbox" / "outbox.ndjson"
    lines = outbox.read_text("utf-8").splitlines(keepends=True)
    outbox.write_text("".join([*lines, lines[0].replace(".1", ".2")]), "utf-8")
    assert (await check(here, bodies)).faults.keys() == {"dup", "ghost"}
    outbox.write_text("".join(lines[1:]), "utf-8")
    assert (await check(here, bodies)).faults.keys() == {"false"}
    outbox.write_text("".join(lines), "utf-8")

    await here.sql("UPDATE messages SET state = 'accepted' WHERE message_id = 1")
    assert (await check(here, bodies)).faults == {"stuck": ["m-1 is accepted"]}
    await here.sql("UPDATE messages SET state = 'unknown' WHERE message_id = 1")
    findings = await check(here, bodies)
    assert findings.faults == {"stuck": ["m-1 is unknown"]}
    assert findings.unknown == ["m-1"]
    await here.sql("UPDATE messages SET state = 'failed', reason = 'attempts: none' WHERE message_id = 1")
    assert (await check(here, bodies)).faults.keys() == {"false"}
