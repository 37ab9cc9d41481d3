"""A process goes by the database's clock, whatever its own shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from control_center.store import db
from control_center.store.clock import SKEW, Clock


@pytest.mark.parametrize("off", [timedelta(hours=-1), timedelta(), timedelta(days=1)])
async def test_its_own_clock_counts_until_the_first_look_alone(database_url: str, off: timedelta) -> None:
    pool = await db.open_pool(database_url, application="test")
    clock = Clock(pool, lambda: datetime.now(UTC) + off)
    assert abs(clock.now() - datetime.now(UTC) - off) < SKEW

    with capture_logs() as logs:
        await clock.tend()
        await clock.tend()

    assert abs(clock.now() - datetime.now(UTC)) < SKEW
    before = clock.now()
    assert clock.now() >= before
    assert [one["event"] for one in logs] == (["clock.apart"] if off else []), "said once, and not at every look"
    await pool.close()
