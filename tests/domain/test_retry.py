from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_center.domain.retry import FIRST_WAIT, GROWTH, LONGEST_WAIT, MAIL_ATTEMPTS, MAX_ATTEMPTS, next_attempt

NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
LATE = NOW + timedelta(days=14)

ATTEMPTS = st.integers(1, MAX_ATTEMPTS - 1)
KEYS = st.text(st.characters(exclude_categories=["Cs"]))
WAITS = st.none() | st.timedeltas(timedelta(days=-1), timedelta(days=30))
LAW = settings(deadline=None)


def pause(attempt: int, key: str = "message-1", wait: timedelta | None = None) -> timedelta:
    at = next_attempt(attempt, NOW, key=key, wait=wait, use_by=LATE)
    assert at is not None
    return at - NOW


def test_the_waits_triple_up_to_half_an_hour() -> None:
    steps = [min(FIRST_WAIT * GROWTH**tried, LONGEST_WAIT) for tried in range(MAX_ATTEMPTS - 1)]

    assert [step.total_seconds() for step in steps] == [15, 45, 135, 405, 1215, 1800, 1800]
    for attempt, step in enumerate(steps, start=1):
        assert step / 2 <= pause(attempt) < step


def test_after_the_last_attempt_there_is_no_next() -> None:
    assert next_attempt(MAX_ATTEMPTS, NOW, key="m", wait=None, use_by=LATE) is None
    assert next_attempt(MAIL_ATTEMPTS, NOW, key="m", wait=None, use_by=LATE, most=MAIL_ATTEMPTS) is None
    assert next_attempt(MAX_ATTEMPTS + 1, NOW, key="m", wait=None, use_by=LATE) is None


def test_what_would_come_at_its_use_by_is_not_tried_again() -> None:
    first = NOW + pause(1)

    assert next_attempt(1, NOW, key="message-1", wait=None, use_by=first) is None
    assert next_attempt(1, NOW, key="message-1", wait=None, use_by=first + timedelta(microseconds=1)) == first
    assert next_attempt(1, NOW, key="message-1", wait=None, use_by=NOW - timedelta(days=1)) is None


@pytest.mark.parametrize("wait", [timedelta(days=400), timedelta.max])
def test_a_provider_that_asks_for_longer_than_the_use_by_ends_it(wait: timedelta) -> None:
    assert next_attempt(1, NOW, key="m", wait=wait, use_by=LATE) is None


def test_messages_that_failed_together_come_back_apart() -> None:
    for wait in (None, timedelta(minutes=10)):
        pauses = {pause(3, key=f"message-{number}", wait=wait) for number in range(1000)}

        assert len(pauses) > 990
        assert max(pauses) - min(pauses) > timedelta(seconds=60)


@LAW
@given(ATTEMPTS, KEYS, WAITS, st.timedeltas(timedelta(days=-1), timedelta(days=14)))
def test_never_before_now_or_the_providers_wait_and_never_at_the_use_by(
    attempt: int, key: str, wait: timedelta | None, left: timedelta
) -> None:
    at = next_attempt(attempt, NOW, key=key, wait=wait, use_by=NOW + left)

    assert at is None or NOW + max(wait or timedelta(0), FIRST_WAIT / 2) <= at < NOW + left


@LAW
@given(ATTEMPTS, KEYS, WAITS)
def test_the_same_message_and_attempt_get_the_same_time(attempt: int, key: str, wait: timedelta | None) -> None:
    first, second = (next_attempt(attempt, NOW, key=key, wait=wait, use_by=LATE) for _ in "12")

    assert first == second


@LAW
@given(st.integers(1, 5), KEYS)
def test_each_wait_is_longer_than_the_last_until_the_longest(attempt: int, key: str) -> None:
    if FIRST_WAIT * GROWTH**attempt <= LONGEST_WAIT:
        assert pause(attempt + 1, key) > pause(attempt, key)
    assert pause(attempt + 1, key) <= LONGEST_WAIT


def test_the_tries_of_a_mail_last_for_more_than_a_day_and_none_is_far_from_the_next() -> None:
    at, waits = NOW, []
    for attempt in range(1, MAIL_ATTEMPTS):
        found = next_attempt(attempt, at, key="m", wait=None, use_by=LATE, most=MAIL_ATTEMPTS)
        assert found is not None
        waits.append(found - at)
        at = found
    assert timedelta(days=1) < at - NOW < timedelta(days=2)
    assert max(waits) <= LONGEST_WAIT
