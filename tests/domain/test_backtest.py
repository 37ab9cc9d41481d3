"""The history of one record, played once more: what was known when, and what a trigger would have made of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from control_center.domain.backtest import TOGETHER, Came, Play, Shown, known_at, play, with_beginning
from control_center.domain.catalogue_actions import Leg
from control_center.domain.forecast import Fate
from control_center.domain.people import Recipient
from control_center.domain.recipients import Letterbox, Routing
from tests.support.values import DAY, a_picture, a_trigger, local, the_rules, utc

START, END = utc("2027-05-01 00:00"), utc("2027-07-01 00:00")
BOOKED = utc("2027-05-10 15:00")
SMS = Letterbox(Leg.SMS, "+13125550188", Recipient("client", "Jo", "Park"))
WEEK_BEFORE = local("2027-06-05 00:00")


def played(*history: Shown, routing: Routing | None = None, **keys: Any) -> list[Came]:
    goes = routing or Routing(letterboxes=[SMS])
    return play(Play(the_rules(a_trigger(**keys)), START, END, lambda *_: goes, lambda *_: None), history)


def shown(at: datetime, version: int = 1, *, loaded: bool = False, **keys: Any) -> Shown:
    verb = "created" if version == 1 else "updated"
    return Shown(at, a_picture(verb=verb, version=version, time=at.isoformat(), **keys), loaded)


def told(came: list[Came]) -> list[tuple[datetime, Fate]]:
    return [(one.end.at, one.end.fate) for one in came]


def test_what_was_booked_goes_when_it_was_due() -> None:
    assert told(played(shown(BOOKED))) == [(WEEK_BEFORE, Fate.GOES)]


def test_what_was_past_before_the_first_day_is_history() -> None:
    entered: dict[str, Any] = {"activate": {"on": "status_changed"}}
    early = shown(START - DAY, status_changed_at=(START - DAY).isoformat())

    assert played(early, **entered) == []


def test_what_waited_on_the_first_day_is_part_of_it() -> None:
    assert told(played(shown(START - DAY))) == [(WEEK_BEFORE, Fate.GOES)]


def test_what_a_record_became_in_the_same_breath_was_never_acted_on_before() -> None:
    entered: dict[str, Any] = {"activate": {"on": "status_changed"}, "status": "Booked"}
    at = BOOKED.isoformat()
    flapped = shown(BOOKED + TOGETHER / 2, 2, status="Asked", status_changed_at=at)

    came = played(shown(BOOKED, status_changed_at=at), flapped, **entered)

    assert came == []


def test_a_later_change_comes_too_late_for_what_has_gone() -> None:
    entered: dict[str, Any] = {"activate": {"on": "status_changed"}, "status": "Booked"}
    at = BOOKED.isoformat()
    later = shown(BOOKED + timedelta(seconds=1), 2, status="Asked", status_changed_at=at)

    assert told(played(shown(BOOKED, status_changed_at=at), later, **entered)) == [(BOOKED, Fate.GOES)]


def test_what_a_snapshot_loads_fires_nothing_for_what_is_past_and_keeps_what_lies_ahead() -> None:
    loaded = shown(local("2027-06-05 10:00"), loaded=True)
    ahead = shown(BOOKED, loaded=True)

    assert played(loaded) == []
    assert told(played(ahead)) == [(WEEK_BEFORE, Fate.GOES)]


def test_a_record_that_moved_is_written_to_about_each_date_it_had_when_that_was_due() -> None:
    moved = shown(WEEK_BEFORE + DAY, 2, dates={"session": "2027-06-20T14:00"})

    assert told(played(shown(BOOKED), moved)) == [
        (WEEK_BEFORE, Fate.GOES),
        (local("2027-06-13 00:00"), Fate.GOES),
    ]


def test_whom_nobody_can_reach_ends_with_the_reason() -> None:
    (came,) = played(shown(BOOKED), routing=Routing(reasons=["no route: client has no number"]))

    assert (came.end.fate, came.end.reason) == (Fate.EXPIRES, "no route: client has no number")


def test_what_was_known_at_an_instant_is_the_newest_version_heard_by_then() -> None:
    history = [shown(BOOKED), shown(BOOKED + DAY, 3), shown(BOOKED + 2 * DAY, 2)]

    versions = [found.version if (found := known_at(history, BOOKED + n * DAY)) else None for n in (-1, 0, 1, 2)]

    assert versions == [None, 1, 3, 3]


def test_a_record_without_events_is_known_as_it_was_left_since_then() -> None:
    row = a_picture(verb="updated", version=4, time=BOOKED.isoformat())

    assert with_beginning([], row, BOOKED) == [Shown(BOOKED, row, loaded=True)]


def test_a_record_without_events_that_never_changed_is_known_as_it_came_to_be() -> None:
    row = a_picture()

    assert with_beginning([], row, BOOKED) == [Shown(BOOKED, row)]


def test_a_record_that_is_older_than_its_events_is_not_taken_for_new() -> None:
    row = a_picture(verb="updated", version=2, time="2027-01-01T00:00:00Z")
    first = shown(BOOKED, 5)

    (known,) = with_beginning([first], row, BOOKED)

    assert known.picture.version == 5
    assert (known.picture.first_version, known.picture.known_since) == (2, utc("2027-01-01 00:00"))
