"""A soak has a plan that a seed chooses, knows what it finds, and finds nothing in an installation that is sound."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center import crash_points
from control_center.embedded import Postgres, Rabbitmq
from tests.soak import laws
from tests.soak.befalling import BEFALL
from tests.soak.causes import Befallen, doubts
from tests.soak.far_side import STAGE_OF, TAKES_AND
from tests.soak.office import DONE_BY
from tests.soak.plan import ANSWERS, DEEDS, KINDS, LINES, PATIENT, POINTS, PROGRAMS, STAGES, Fault, plan
from tests.soak.report import PAGE, Report
from tests.soak.run import Soak, Wish
from tests.soak.stage import Stage, staged

SEEDS: Final = st.integers(0, 10**6)
TARGETS: Final = {*PROGRAMS, *LINES, "database", "broker", "provider", "relay", "receipts", "operator"}
HOUR: Final = 3600.0
NOON: Final = datetime(2027, 3, 1, 12, tzinfo=UTC)

# The plan ----------------------------------------------------------------------------------------------------


@given(SEEDS, st.floats(1, 300), st.floats(1, 300), st.booleans())
def test_the_same_seed_draws_the_same_faults_and_a_longer_run_begins_as_a_shorter_one(
    seed: int,
    some: float,
    more: float,
    patient: bool,  # noqa: FBT001 - drawn
) -> None:
    short = plan(seed, some, every=3, patient=patient)

    assert short == plan(seed, some, every=3, patient=patient)
    assert plan(seed, some + more, every=3, patient=patient)[: len(short)] == short


@given(SEEDS, st.floats(1, 20))
def test_faults_come_in_their_order_all_the_time_and_each_ends(seed: int, every: float) -> None:
    drawn = plan(seed, 300, every=every)

    assert [one.number for one in drawn] == list(range(1, len(drawn) + 1))
    assert all(a.at < b.at <= a.at + 1.5 * every for a, b in pairwise(drawn))
    assert 300 / (1.5 * every) - 1 <= len(drawn) <= 300 / (0.5 * every)
    assert {one.target for one in drawn} <= TARGETS
    assert all(0 <= one.seconds <= 20 and one.times >= 1 for one in drawn)


@given(SEEDS)
def test_an_hour_has_two_hundred_faults_and_every_kind_of_them(seed: int) -> None:
    drawn = plan(seed, HOUR, every=Wish(seed, HOUR).every, patient=True)

    assert len(drawn) >= 200
    assert {one.kind for one in drawn} == {*KINDS, *PATIENT}


def test_two_seeds_draw_different_faults() -> None:
    assert len({plan(seed, 60, every=3) for seed in range(20)}) == 20


def test_everything_that_may_be_drawn_can_be_done() -> None:
    assert {*KINDS, *PATIENT} == BEFALL.keys()
    assert set(ANSWERS) == TAKES_AND.keys()
    assert set(STAGES) == STAGE_OF.keys()
    assert set(DEEDS) == DONE_BY.keys()
    assert POINTS.keys() == crash_points.POINTS.keys()


# What it finds -----------------------------------------------------------------------------------------------


def far_side(*texts: tuple[str, str], mails: tuple[tuple[str, bytes], ...] = ()) -> Stage:
    letters = [SimpleNamespace(recipients=(to,), content=content) for to, content in mails]
    provider = SimpleNamespace(accepted=[{"to": to, "text": text} for to, text in texts])
    return cast("Stage", SimpleNamespace(provider=provider, relay=SimpleNamespace(accepted=letters)))


def test_a_text_that_a_client_had_twice_is_found_whatever_words_follow() -> None:
    books = far_side(
        ("+1", "Booked s1: hi"), ("+1", "Booked s1: hi again"), ("+2", "Booked s1: hi"), ("+1", "Remind s1 Monday: hi")
    )

    assert laws.twice(books) == ["2 times to +1: Booked s1"]


def test_a_mail_that_a_client_had_twice_is_found() -> None:
    mail = b"From: a@b.example\r\nSubject: Booked s1: see you\r\n\r\n"
    books = far_side(mails=(("jo@mail.example", mail), ("jo@mail.example", mail)))

    assert laws.twice(books) == ["2 times to jo@mail.example: mail Booked s1"]


def doubt(**row: Any) -> Mapping[str, Any]:
    return {
        "message": "m-1", "key": "m-1.1", "channel": "sms", "reason": "sent: the worker was lost while it was sending",
        "started_at": NOON, "ended_at": None, **row,
    }  # fmt: skip


def befallen(number: int, kind: str, target: str, *, after: float = 1.0, lasts: float = 0.0) -> Befallen:
    began = NOON + timedelta(seconds=after)
    return Befallen(Fault(number, after, kind, target), began, began + timedelta(seconds=lasts))


def test_a_doubt_follows_from_what_its_submission_met_at_the_far_side() -> None:
    before = [befallen(1, "kill -9", "text-1"), befallen(2, "provider", "provider", after=-30)]

    (found,) = doubts([doubt(reason="gateway: HTTP 500")], {"m-1.1": 2}, before)

    assert found.fault == before[1].fault


def test_a_lost_workers_doubt_follows_from_the_end_of_a_worker_of_its_channel_while_it_was_sending() -> None:
    happened = [
        befallen(1, "kill -9", "text-1", after=-20),
        befallen(2, "kill -9", "mail"),
        befallen(3, "stands still", "text-2"),
        befallen(4, "line is slow", "texts to provider", after=2),
        befallen(5, "kill -9", "text-1", after=30),
    ]

    (found,) = doubts([doubt()], {}, happened)

    assert found.fault == happened[2].fault


def test_a_doubt_that_nothing_befell_has_no_cause_and_is_a_finding() -> None:
    (found,) = doubts([doubt()], {}, [befallen(1, "kill -9", "engine")])

    assert found.fault is None
    assert report(doubts=[found]).wrong == {
        "unknown without a cause": ["m-1.1: sent: the worker was lost while it was sending"]
    }


def report(**keys: Any) -> Report:
    counts: dict[str, Any] = {name: {} for name in ("said", "states", "starts", "faults")}
    numbers: dict[str, Any] = dict.fromkeys(("events", "stored", "messages", "texts", "mails", "heard"), 0)
    found: dict[str, list[str]] = {"lost": [], "dup": []}
    rest = {
        "wish": {"seed": 7, "every": 5.0, "seconds": 60.0, "patient": False},
        "at": NOON,
        "lasted": 60.0,
        "calm": True,
        "doubts": [],
        "found": found,
    }
    return Report(**{**counts, **numbers, **rest, **keys})


def test_a_report_is_all_well_only_where_nothing_was_found_and_all_became_calm() -> None:
    assert report().wrong == {}
    assert report(found={"lost": ["e-1"], "dup": []}).wrong == {"lost": ["e-1"]}
    assert report(calm=False).wrong == {"stuck": ["it never became calm"]}


def test_the_page_has_a_place_for_the_report() -> None:
    page = PAGE.read_text("utf-8")

    assert "--seed 7 --minutes 1 " not in page
    assert "--seed 7 --minutes 1 " in report().on_page(page)


# The soak ----------------------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.parametrize(
    "wish",
    [
        Wish(seed=5, seconds=40, every=3),
        pytest.param(Wish(seed=random.randrange(10**6), seconds=HOUR, patient=True), marks=pytest.mark.long, id="hour"),
    ],
)
async def test_under_faults_drawn_from_a_seed_nothing_is_lost_nothing_goes_twice_and_every_doubt_has_its_cause(
    folder: Path,
    postgres_to_kill: Postgres,
    database_to_kill: str,
    broker_to_kill: Rabbitmq,
    wish: Wish,
) -> None:
    database = urlsplit(database_to_kill).path.removeprefix("/")
    async with staged(folder, postgres_to_kill, broker_to_kill, database) as stage:
        found = await Soak(stage, wish, print).run()

    told = "\n".join(found.lines())
    print(told)  # noqa: T201 - shown where it fails
    assert not found.wrong, told
    assert sum(found.faults.values()) >= wish.seconds / (1.5 * wish.every) - 1
    assert found.texts > 0
    assert found.mails > 0
