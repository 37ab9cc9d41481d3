"""What a message owes its recipient's day: shares of it, and which of several a client hears."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.arrival import Addressee, Rival, Share, gives_way
from control_center.domain.courtesy import Posted, courtesy
from control_center.domain.message import Origin
from control_center.domain.planner import Expire, Send, Wait
from control_center.domain.text_hours import TextHours
from control_center.domain.windows import Calendar, Window
from tests.support.values import CHICAGO, a_studio

MONDAY = datetime(2026, 11, 23, 18, tzinfo=UTC)  # 12:00 in Chicago
TODAY = date(2026, 11, 23)
WEEK = timedelta(days=7)


def posted(hours: TextHours | None = None, **keys: Any) -> Posted:
    """An offer to Jo, in Chicago."""
    usual = Posted(
        studio=replace(a_studio(), hours=hours or TextHours()),
        message_id=7,
        origin=Origin.TRIGGER,
        purpose="marketing",
        channel="sms",
        to=Addressee("+13125550188"),
        use_by=MONDAY + WEEK,
        priority=5,
        whose=(("sms +13125550188", "m-7"),),
    )
    return replace(usual, **keys)


def test_what_may_go_takes_a_share_of_the_recipients_day_and_may_no_longer_when_its_hours_end() -> None:
    verdict = courtesy(posted(), Send(MONDAY + WEEK), MONDAY)

    assert verdict.decision == Send(datetime(2026, 11, 24, 0, tzinfo=UTC))
    assert verdict.shares == (Share("sms +13125550188", TODAY, 1, "m-7"),)


def test_its_own_share_of_an_earlier_try_is_no_reason_to_wait() -> None:
    own = ("sms +13125550188", TODAY, "m-7")

    assert isinstance(courtesy(posted(taken=(own,)), Send(MONDAY + WEEK), MONDAY).decision, Send)


def test_what_other_days_have_had_does_not_count() -> None:
    earlier = ("sms +13125550188", TODAY - timedelta(days=1), "m-1")

    assert isinstance(courtesy(posted(taken=(earlier,)), Send(MONDAY + WEEK), MONDAY).decision, Send)


def test_an_email_has_no_hours_and_takes_part_in_calm_days_alone() -> None:
    night = MONDAY + timedelta(hours=12)
    mail = posted(
        TextHours(calm_day="move"), channel="email", to=Addressee("jo@mail.example"), whose=(("client c-12", "a-3"),)
    )

    verdict = courtesy(mail, Send(MONDAY + WEEK), night)

    assert isinstance(verdict.decision, Send)
    assert verdict.shares == (Share("client c-12", date(2026, 11, 24), 1, "a-3"),)


def test_what_waits_for_its_own_window_is_looked_at_when_the_recipients_hours_are_open_too() -> None:
    evening = Calendar(CHICAGO, Window.parse("16:00-23:00"), closed_weekdays=frozenset({0, 1}))
    at = datetime(2026, 11, 28, 5, tzinfo=UTC)  # Friday, 23:00
    waits = Wait(datetime(2026, 11, 28, 22, tzinfo=UTC), "outside the window 16:00-23:00")

    assert courtesy(posted(), waits, at, evening).decision == waits, "Saturday from 16 to 17 is open in both"
    later = Wait(datetime(2026, 11, 29, 22, tzinfo=UTC), "outside the window 16:00-23:00")  # Sunday
    decision = courtesy(posted(use_by=MONDAY + 3 * WEEK), later, at + timedelta(days=1), evening).decision
    assert decision == Wait(
        datetime(2026, 12, 2, 22, tzinfo=UTC),
        "outside the window 16:00-23:00; then quiet hours: Sunday (zone from the number: America/Chicago)",
    )


def test_what_is_moved_past_its_use_ends_with_the_reason() -> None:
    rival = Rival(3, 1, MONDAY, gone=False)
    calm = TextHours(calm_day="move")
    late = posted(calm, rivals=(rival,), whose=(("client c-12", "a-3"),), use_by=MONDAY + timedelta(hours=8))

    decision = courtesy(late, Send(late.use_by), MONDAY).decision

    assert isinstance(decision, Expire)
    assert decision.reason.startswith("calm day: the client is to hear of something more important today (m-3)")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 50)), min_size=1, unique_by=lambda one: one[1]))
def test_of_all_that_wait_for_one_day_exactly_one_has_it(waiting: list[tuple[int, int]]) -> None:
    heard = []
    for priority, number in waiting:
        rivals = [Rival(other, theirs, MONDAY, gone=False) for theirs, other in waiting if other != number]
        if gives_way(priority, number, MONDAY, CHICAGO, rivals) is None:
            heard.append((priority, number))

    assert heard == [min(waiting)]


@given(st.integers(1, 9), st.integers(1, 9), st.booleans(), st.integers(-72, 72))
def test_what_has_gone_has_its_day_and_no_other(priority: int, theirs: int, gone: bool, hours: int) -> None:  # noqa: FBT001 - drawn
    rival = Rival(1, theirs, MONDAY + timedelta(hours=hours), gone=gone)

    gave = gives_way(priority, 2, MONDAY, CHICAGO, [rival])

    same_day = (rival.at if gone else max(rival.at, MONDAY)).astimezone(UTC) - timedelta(hours=6)
    assert (gave is not None) == (same_day.date() == TODAY and (gone or theirs <= priority))


def test_where_days_are_merged_it_waits_for_the_text_that_may_say_it_too_as_long_as_it_is_of_use() -> None:
    calm, soon = TextHours(calm_day="merge"), MONDAY + timedelta(hours=8)
    waits, gone = Rival(3, 1, MONDAY, gone=False), Rival(3, 1, MONDAY, gone=True)

    def decided(rival: Rival, use_by: datetime) -> Send | Wait | Expire:
        one = posted(calm, rivals=(rival,), whose=(("client c-12", "a-3"),), use_by=use_by)
        return courtesy(one, Send(use_by), MONDAY).decision

    why = "calm day: the client is to hear of something more important today (m-3)"
    said = f"{why}; it goes in the same text, or on another day"
    assert decided(waits, MONDAY + WEEK) == Wait(MONDAY + timedelta(hours=22), said)
    assert decided(waits, soon) == Wait(soon, said)
    assert isinstance(decided(gone, soon), Expire)
