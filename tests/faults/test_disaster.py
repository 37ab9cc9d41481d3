"""The database itself is lost, put back, or there twice: nothing is sent until a person has looked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from control_center.embedded import Postgres
from tests.support.bookings import booking, bookings
from tests.support.checker import check
from tests.support.installation import Installation, trigger
from tests.support.matrix import Seen
from tests.support.replica import administer, caught_up, copied, either, put_back, standby_of

pytestmark = pytest.mark.process

# Events come over HTTP: with a broker, what it still holds would be taken in again by itself.
WITHOUT_BROKER: Final = 'broker_url = "none"\n'


@pytest.fixture
async def primary(folder: Path) -> AsyncIterator[Postgres]:
    """A server of this test alone."""
    server = Postgres(folder / "primary")
    await server.start()
    yield server
    await server.stop()


async def furnished(folder: Path, dsn: str) -> Installation:
    here = Installation(folder, database_url=dsn, settings=WITHOUT_BROKER)
    await here.done("migrate")
    await here.furnish(triggers=trigger(processing="blackouts = false"))
    return here


async def emit(here: Installation, bodies: list[bytes]) -> None:
    await here.done("emit", "-", stdin=b"\n".join(bodies) + b"\n")


async def fence(here: Installation) -> Any:
    return (await here.cli("fence", "show", "--json")).json


@pytest.mark.fault("F44")
async def test_f44_after_a_failover_that_lost_the_last_sends_nothing_goes_until_a_person_arms(
    folder: Path, primary: Postgres, seen: Seen
) -> None:
    (await furnished(folder / "before", primary.dsn())).hang_up()
    standby = await standby_of(primary, folder / "standby")
    try:
        address = either(primary, standby, "control_center")
        async with Installation(folder / "one", database_url=address, settings=WITHOUT_BROKER) as here:
            await here.run()
            known = bookings(5, prefix="known")
            await emit(here, known)
            await here.sent(5)
            await here.calm()
            await caught_up(primary)
            # From here on the standby hears nothing more: what is sent now, it will never know of.
            await administer(standby, "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
            lost = bookings(5, prefix="lost", first=100)
            await emit(here, lost)
            await here.sent(10)
            await here.calm()

            await primary.kill()
            await administer(standby, "SELECT pg_promote()")
            closed = await here.programs[0].wait_for("fence.closed", within=60)
            assert "failed over or was recovered" in closed["reason"]

            # The CRM sends again what it has heard nothing of, and something new besides.
            await emit(here, [*lost, booking("fresh", number=77)])
            await here.holds("SELECT count(*) = 5 FROM actions WHERE state = 'held' AND record_id LIKE 'lost%'")
            await here.holds("SELECT state = 'released' FROM actions WHERE record_id = 'fresh'")
            assert len(here.outbox()) == 10, "nothing goes while the fence is closed"
            assert (await fence(here))["open"] is False

            await here.done("fence", "arm", "--held", "doubt", "--reason", "the replica was two seconds behind")
            await here.sent(11)
            await here.calm()
            assert [line["to"] for line in here.outbox()].count(here.outbox()[-1]["to"]) == 1
            held = await here.value("SELECT count(*) FROM actions WHERE state = 'held' AND reason LIKE 'fence:%'")
            assert held == 5, "each of those that were lost is for a person"
            seen(f"{held} of 5 lost sends held for a person, none twice; what came later went")
    finally:
        await standby.stop()


@pytest.mark.fault("F45")
async def test_f45_a_backup_that_is_put_back_sends_nothing_until_a_person_arms_and_what_is_too_late_expires(
    folder: Path, primary: Postgres, seen: Seen
) -> None:
    made = await furnished(folder / "one", primary.dsn())
    async with made:
        running = await made.run()
        early = bookings(3, prefix="early")
        await emit(made, early)
        await made.sent(3)
        await made.calm()
        await running.stop()
        # The backup: two texts are due in it that go out, and are forgotten, after it was made.
        await made.sql("UPDATE studios SET enabled = false")
        running = await made.run()
        await emit(made, bookings(2, prefix="due", first=200))
        await made.taken_in(5)
        await running.stop()
        await made.sql("UPDATE studios SET enabled = true")
        made.hang_up()
        await primary.stop()
        await copied(primary, folder / "backup")
        await primary.start()

        running = await made.run()
        late = bookings(4, prefix="late", first=300)
        await emit(made, late)
        await made.sent(9)
        await made.calm()
        await running.stop()
        made.hang_up()
        await primary.stop()
        await put_back(folder / "backup", primary)
        await primary.start()

        # A day later for one of them: its use is over.
        await made.sql("UPDATE actions SET use_by = clock_timestamp() WHERE record_id = 'due0'")
        running = await made.start("control_center", "run")
        closed = await running.wait_for("fence.closed", within=60)
        assert "put back to an earlier state" in closed["reason"]
        await running.wait_for_words("nothing is sent")
        await running.wait_for_words("control center runs as process", within=90)
        await emit(made, late)
        await made.holds("SELECT count(*) = 4 FROM actions WHERE state = 'held' AND record_id LIKE 'late%'")
        assert len(made.outbox()) == 9

        await made.done("fence", "arm", "--held", "doubt", "--reason", "the backup of last night")
        fresh = booking("fresh", number=99)
        await emit(made, [fresh])
        await made.sent(10)
        await made.calm()
        await made.holds("SELECT state = 'expired' FROM actions WHERE record_id = 'due0'", within=90)
        held = await made.value("SELECT count(*) FROM actions WHERE state = 'held'")
        assert held == 5
        addresses = [line["to"] for line in made.outbox()]
        assert len(addresses) == len(set(addresses)) == 10
        findings = await check(made, [*early, *late, fresh])
        assert findings.dup == []
        seen("nothing sent before a person armed; 5 held, 1 expired, none twice")


@pytest.mark.fault("F46")
async def test_f46_a_second_daemon_shares_the_work_or_is_refused_and_a_copy_of_the_database_sends_nothing(
    folder: Path, primary: Postgres, seen: Seen
) -> None:
    async with await furnished(folder / "one", primary.dsn()) as here:
        running = await here.run()
        again = await here.cli("run")
        assert again.code == 1
        assert f"is already run by process {running.pid}" in again.complaint

        # On another host, against the same database: they share the work.
        async with Installation(folder / "two", database_url=primary.dsn(), settings=WITHOUT_BROKER) as other:
            await other.run()
            sent = bookings(40)
            await asyncio.gather(emit(here, sent[:20]), emit(other, sent[20:]))
            await here.holds("SELECT count(*) = 40 FROM messages WHERE state = 'delivered'")
            lines = [*here.outbox(), *other.outbox()]
            assert len(lines) == len({line["to"] for line in lines}) == 40
            await other.programs[0].stop()
        await running.stop()
        here.hang_up()

        # A copy that somebody makes of it to try something out.
        copy = await standby_of(primary, folder / "copy")
        await caught_up(primary)
        await administer(copy, "SELECT pg_promote()")
        try:
            async with Installation(folder / "three", database_url=copy.dsn(), settings=WITHOUT_BROKER) as three:
                running = await three.start("control_center", "run")
                closed = await running.wait_for("fence.closed", within=60)
                await running.wait_for_words("control center runs as process", within=90)
                await emit(three, [booking("try", number=500)])
                await three.taken_in(41)
                assert three.outbox() == []
                seen(f"a second daemon is refused or shares; a promoted copy sent nothing: {closed['reason']}")
        finally:
            await copy.stop()
