"""An invoice goes by the score of its session: when it is due, when the score comes later, and to whom asks why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_center.engine.explain import explain
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db
from tests.support.crm import client, event, session
from tests.support.rows import a_studio, a_trigger

PAID = datetime(2026, 11, 23, 18, tzinfo=UTC)
THANKS: dict[str, Any] = {
    "record": "invoice",
    "status": None,
    "activate": {"on": "paid", "days": 1},
    "text": "Would you tell others?",
}
HAPPY = {"id": "r-1", "score": 9, "comment": None, "received_at": "2026-11-20T10:00:00Z"}
POOR = {**HAPPY, "score": 3}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def takes_in(pool: db.Pool, record: dict[str, Any], verb: str = "updated", *, at: datetime = PAID) -> None:
    await Intake(pool, lambda: at).take_in([event(record, verb, about=client(), time=at.isoformat())])


async def is_scored(pool: db.Pool, nps: dict[str, Any] | None, *, version: int = 1, at: datetime = PAID) -> None:
    await takes_in(pool, session("4711", version=version, nps=nps), "created" if version == 1 else "updated", at=at)


async def is_paid(pool: db.Pool, *, version: int = 1, at: datetime = PAID, **keys: Any) -> None:
    invoice = {
        "kind": "invoice",
        "id": "9001",
        "version": version,
        "client_id": "c-12",
        "status": "Paid",
        "dates": {"paid": "2026-11-23"},
        "links": {"session": "4711"},
        **keys,
    }
    await takes_in(pool, invoice, "created" if version == 1 else "updated", at=at)


async def release(pool: db.Pool, at: datetime) -> None:
    while await Release(pool, lambda: at).run_once():
        pass


async def ends(pool: db.Pool) -> list[tuple[str, str]]:
    return [tuple(row) for row in await pool.fetch("SELECT state, reason FROM actions ORDER BY action_id")]


DUE = PAID + timedelta(days=1)


@pytest.mark.parametrize(
    ("nps", "exclude", "end"),
    [
        (HAPPY, {"only_between": [9, 10]}, ("released", "")),
        (POOR, {"only_between": [9, 10]}, ("lapsed", "NPS: the score is 3, the trigger wants 9 to 10")),
        (None, {"only_between": [9, 10]}, ("lapsed", "NPS: the score is None, the trigger wants 9 to 10")),
        (None, {"recorded": True}, ("released", "")),
        (POOR, {"recorded": True}, ("lapsed", "NPS: a score of 3 is recorded already")),
        (HAPPY, {"only_with_comment": True}, ("lapsed", "NPS: there is no comment")),
        ({**POOR, "comment": "cold"}, {"only_with_comment": True}, ("released", "")),
    ],
)
async def test_an_invoice_is_judged_by_the_score_of_its_session(
    pool: db.Pool, nps: dict[str, Any] | None, exclude: dict[str, Any], end: tuple[str, str]
) -> None:
    await a_trigger(pool, **THANKS, exclude={"nps": exclude})
    await is_scored(pool, nps)
    await is_paid(pool)

    await release(pool, DUE)

    assert await ends(pool) == [end]


async def test_an_invoice_that_waited_in_vain_for_a_score_goes_out_when_it_comes(pool: db.Pool) -> None:
    await a_trigger(pool, **THANKS, exclude={"nps": {"only_between": [9, 10]}})
    await is_scored(pool, None)
    await is_paid(pool)
    await release(pool, DUE)

    await is_scored(pool, HAPPY, version=2, at=DUE + timedelta(days=2))
    assert [state for state, _ in await ends(pool)] == ["planned"]
    await release(pool, DUE + timedelta(days=2))

    assert [state for state, _ in await ends(pool)] == ["released"]


async def test_only_the_invoices_of_the_session_that_was_scored_come_back(pool: db.Pool) -> None:
    await a_trigger(pool, **THANKS, exclude={"nps": {"only_between": [9, 10]}})
    await is_scored(pool, None)
    await is_paid(pool)
    await is_paid(pool, id="9002", links={"session": "4712"})
    await release(pool, DUE)

    await is_scored(pool, HAPPY, version=2, at=DUE)

    assert await pool.fetch("SELECT record_id, state FROM actions ORDER BY 1") == [
        ("9001", "planned"),
        ("9002", "lapsed"),
    ]


async def test_a_score_that_does_not_fit_leaves_the_invoice_where_it_is(pool: db.Pool) -> None:
    await a_trigger(pool, **THANKS, exclude={"nps": {"only_between": [9, 10]}})
    await is_scored(pool, None)
    await is_paid(pool)
    await release(pool, DUE)

    await is_scored(pool, POOR, version=2, at=DUE + timedelta(days=2))
    await release(pool, DUE + timedelta(days=2))

    assert [state for state, _ in await ends(pool)] == ["lapsed"]


async def test_a_score_after_the_use_by_brings_nothing_back(pool: db.Pool) -> None:
    await a_trigger(pool, **THANKS, exclude={"nps": {"only_between": [9, 10]}}, use_by="2d")
    await is_scored(pool, None)
    await is_paid(pool)
    await release(pool, DUE)

    await is_scored(pool, HAPPY, version=2, at=DUE + timedelta(days=3))

    assert [state for state, _ in await ends(pool)] == ["lapsed"]


async def test_an_invoice_that_changes_after_the_score_came_is_judged_by_it(pool: db.Pool) -> None:
    await a_trigger(pool, **THANKS, exclude={"nps": {"only_between": [9, 10]}})
    await is_scored(pool, HAPPY)
    await is_paid(pool, links=None)
    await release(pool, DUE)
    assert [state for state, _ in await ends(pool)] == ["lapsed"]

    await is_paid(pool, version=2, at=DUE)
    await release(pool, DUE)

    assert [state for state, _ in await ends(pool)] == ["released"]


async def test_explain_knows_the_score_of_an_invoice_s_session(pool: db.Pool) -> None:
    await a_trigger(pool, "Thanks", **THANKS, exclude={"nps": {"only_between": [9, 10]}})
    await is_scored(pool, HAPPY)
    await is_paid(pool)
    number = await pool.fetchval("SELECT action_id FROM actions")

    told = await explain(pool, lambda: PAID, "main", f"a-{number}")

    assert "waits until" in told.sentence, told.sentence
