"""What no trigger made waits as its origin has to, and for nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from control_center.domain import zones
from control_center.domain.blackouts import Blackout, Blackouts
from control_center.domain.message import Origin
from control_center.domain.patience import patience
from control_center.domain.planner import Expire, Send, Wait
from control_center.domain.windows import Calendar, Window

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
TOMORROW = datetime(2026, 11, 24, 6, tzinfo=UTC)
USE_BY = NOON + timedelta(days=3)
CHICAGO = zones.zone("America/Chicago")
CLOSED = Calendar(CHICAGO, blackouts=Blackouts((Blackout("Inventory", date(2026, 11, 23), date(2026, 11, 23)),)))
OPEN = Calendar(CHICAGO)


def test_bulk_waits_for_the_end_of_a_blackout_day() -> None:
    assert patience(Origin.BULK, CLOSED, NOON, USE_BY) == Wait(TOMORROW, "blackout day (Inventory)")


@pytest.mark.parametrize("origin", [Origin.PERSON, Origin.ANSWER])
def test_what_a_person_wrote_and_the_answer_to_a_stop_go_on_any_day(origin: Origin) -> None:
    assert patience(origin, CLOSED, NOON, USE_BY) == Send(USE_BY)


def test_bulk_goes_only_where_all_calendars_are_open_and_until_the_first_closes() -> None:
    theirs = Calendar(zones.zone("America/Los_Angeles"), Window.parse("11:00-20:00"))
    assert patience(Origin.BULK, OPEN, NOON, USE_BY, [theirs]) == Wait(
        NOON + timedelta(hours=1), "outside the window 11:00-20:00"
    )
    later = NOON + timedelta(hours=2)
    assert patience(Origin.BULK, OPEN, later, USE_BY, [theirs]) == Send(datetime(2026, 11, 24, 4, tzinfo=UTC))


def test_nothing_waits_past_its_use() -> None:
    assert patience(Origin.BULK, CLOSED, NOON, NOON + timedelta(hours=1)) == Wait(
        NOON + timedelta(hours=1), "blackout day (Inventory)"
    )
    assert isinstance(patience(Origin.BULK, OPEN, USE_BY, USE_BY), Expire)
