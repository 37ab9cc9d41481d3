"""A whole list is decided on only as it was seen, page by page, and what was not done says why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import asyncpg
import pytest

from control_center.domain.action import State
from control_center.domain.errors import Malformed
from control_center.engine import review_list
from control_center.engine.review_list import Deed, Miscounted, Tally
from control_center.store import actions, db
from control_center.store.views_actions import Filter
from tests.support.rounds import states
from tests.support.rows import a_client, a_record, a_studio, a_trigger, an_action

NOW = datetime(2027, 6, 6, 15, 0, tzinfo=UTC)  # 10:00 in Chicago, a week before the sessions
ACTIVE = datetime(2027, 6, 5, 5, tzinfo=UTC)
REMINDERS = Filter(trigger="Reminder", states=[State.REVIEW, State.HELD])
SENT = "SELECT count(*) FROM messages"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test")
    yield pool
    await pool.close()


async def some_for_review(pool: db.Pool, number: int, *, state: str = "review") -> list[int]:
    """Reminders about a session each that may go out now, and the next of another trigger."""
    await a_studio(pool)
    trigger = await a_trigger(pool, "Reminder", processing={"mode": "manual"})
    await a_client(pool)
    return [await one_for_review(pool, trigger, f"session/{n}", state=state) for n in range(number)]


async def one_for_review(pool: db.Pool, trigger: int, record: str, *, state: str = "review", **body: Any) -> int:
    await a_record(pool, record, **body)
    return await an_action(
        pool,
        record=record,
        trigger_id=trigger,
        state=state,
        occurrence="2027-06-12T14:00:00",
        activation_at=ACTIVE,
        due_at=ACTIVE,
        use_by=datetime(2027, 6, 12, 19, tzinfo=UTC),
    )


async def decided(
    pool: db.Pool, deed: Deed, expect: int, *, wanted: Filter = REMINDERS, clock: Callable[[], datetime] = lambda: NOW
) -> Tally:
    return await review_list.decide(pool, clock, "main", wanted, deed, expect=expect, by="Ada")


# What is decided on ----------------------------------------------------------------------------------------------


async def test_a_list_is_processed_in_pages_and_each_message_is_written_once(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_list, "PAGE", 2)
    await some_for_review(pool, 5)

    told = await decided(pool, Deed.PROCESS, 5)

    assert (told.count, told.done, told.why) == (5, 5, [])
    assert await pool.fetchval(SENT) == 5
    assert await pool.fetchval("SELECT array_agg(DISTINCT released_by) FROM actions") == ["Ada"]


@pytest.mark.parametrize("deed", Deed)
@pytest.mark.parametrize("expect", [0, 4, 6, 2000])
async def test_another_number_than_was_seen_changes_nothing(pool: db.Pool, deed: Deed, expect: int) -> None:
    await some_for_review(pool, 5)

    with pytest.raises(Miscounted, match=f"{expect} were expected and the list has 5 \\(5 review\\)") as refused:
        await decided(pool, deed, expect)

    assert refused.value.count == 5
    assert await states(pool) == {"review": 5}
    assert await pool.fetchval(SENT) == 0


@pytest.mark.parametrize(
    "wanted", [Filter(), Filter(states=list(State)), Filter(states=[State.PLANNED, State.REVIEW, State.HELD])]
)
async def test_a_list_that_leaves_nothing_out_has_to_be_meant(pool: db.Pool, wanted: Filter) -> None:
    await some_for_review(pool, 2)
    with pytest.raises(Malformed, match="all: this list leaves out nothing"):
        await decided(pool, Deed.DELETE, 2, wanted=wanted)
    told = await review_list.decide(pool, lambda: NOW, "main", wanted, Deed.DELETE, expect=2, every=True, by="Ada")
    assert told.done == 2


async def test_all_and_a_filter_contradict_each_other(pool: db.Pool) -> None:
    await some_for_review(pool, 2)
    with pytest.raises(Malformed, match="all: the list is narrowed"):
        await review_list.decide(pool, lambda: NOW, "main", REMINDERS, Deed.DELETE, expect=2, every=True, by="Ada")


async def test_a_list_longer_than_one_decision_is_refused_with_its_length(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_list, "MOST", 3)
    await some_for_review(pool, 5)
    with pytest.raises(Malformed, match="expect: 5; at most 3"):
        await decided(pool, Deed.PROCESS, 5)
    with pytest.raises(Miscounted, match="the list has 5"):
        await decided(pool, Deed.PROCESS, 3)
    assert await pool.fetchval(SENT) == 0


async def test_only_this_studio_is_decided_on(pool: db.Pool) -> None:
    await some_for_review(pool, 1)
    await a_studio(pool, "north")
    await an_action(pool, studio="north", state="review")
    told = await review_list.decide(pool, lambda: NOW, "main", Filter(), Deed.DELETE, expect=1, every=True, by="Ada")
    assert told.done == 1
    assert await states(pool) == {"deleted": 1, "review": 1}


# What became of it -----------------------------------------------------------------------------------------------


async def test_deleting_says_who_did_and_what_was_over_already(pool: db.Pool) -> None:
    first, second, third = await some_for_review(pool, 3)
    await pool.execute("UPDATE actions SET state = 'expired', reason = 'use-by' WHERE action_id = $1", second)
    await pool.execute("UPDATE actions SET state = 'held' WHERE action_id = $1", third)

    told = await decided(pool, Deed.DELETE, 3, wanted=Filter(trigger="Reminder"))

    assert (told.count, told.done, told.stopped, told.not_applicable) == (3, 2, 0, 1)
    [why] = told.why
    assert (why.state, why.reason, why.count, why.ids) == (
        "expired",
        "it is expired already: use-by",
        1,
        [f"a-{second}"],
    )
    reasons = await pool.fetch("SELECT reason FROM actions WHERE action_id = ANY ($1)", [first, third])
    assert all(row[0].startswith("deleted by Ada at 2027-06-06") for row in reasons)


async def test_skipping_leaves_everything_as_it_is(pool: db.Pool) -> None:
    await some_for_review(pool, 3)
    before = await pool.fetch("SELECT * FROM actions ORDER BY action_id")
    told = await decided(pool, Deed.SKIP, 3)
    assert (told.done, told.why) == (3, [])
    assert await pool.fetch("SELECT * FROM actions ORDER BY action_id") == before


async def test_what_does_not_qualify_any_more_is_counted_apart_with_its_reason(pool: db.Pool) -> None:
    await some_for_review(pool, 2)
    trigger = await pool.fetchval("SELECT trigger_id FROM triggers")
    gone = [await one_for_review(pool, trigger, f"session/x{n}", status="Inquiry") for n in range(12)]

    told = await decided(pool, Deed.PROCESS, 14)

    assert (told.done, told.stopped, told.not_applicable) == (2, 12, 0)
    [why] = told.why
    assert (why.state, why.count) == ("lapsed", 12)
    assert why.reason == "status: it is 'Inquiry', the trigger wants 'Booked'"
    assert why.ids == [f"a-{number}" for number in gone[:10]]


async def test_reasons_beyond_those_that_are_told_apart_are_one(pool: db.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_list, "GROUPS", 1)
    await some_for_review(pool, 0)
    trigger = await pool.fetchval("SELECT trigger_id FROM triggers")
    for n, status in enumerate(["Inquiry", "Inquiry", "Lost", "Done"]):
        await one_for_review(pool, trigger, f"session/x{n}", status=status)
    told = await decided(pool, Deed.PROCESS, 4)
    assert [(one.count, one.reason.split(";")[0]) for one in told.why] == [
        (2, "status: it is 'Inquiry', the trigger wants 'Booked'"),
        (2, "2 further reasons"),
    ]


# While it goes on ------------------------------------------------------------------------------------------------


async def test_what_joins_the_list_after_it_was_counted_is_not_touched(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some_for_review(pool, 2)
    trigger = await pool.fetchval("SELECT trigger_id FROM triggers")
    pick = actions.pick

    async def pick_while_one_comes(tx: db.Connection, studio: str, numbers: Any) -> Any:
        await one_for_review(pool, trigger, "session/new")
        return await pick(tx, studio, numbers)

    monkeypatch.setattr(actions, "pick", pick_while_one_comes)
    told = await decided(pool, Deed.PROCESS, 2)

    assert told.done == 2
    assert await states(pool) == {"released": 2, "review": 1}


async def test_what_leaves_the_list_after_it_was_counted_is_let_be(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = await some_for_review(pool, 3)
    pick = actions.pick

    async def pick_after_others(tx: db.Connection, studio: str, numbers: Any) -> Any:
        await pool.execute("UPDATE actions SET state = 'planned' WHERE action_id = $1", first)
        await pool.execute("DELETE FROM actions WHERE action_id = $1", second)
        return await pick(tx, studio, numbers)

    monkeypatch.setattr(actions, "pick", pick_after_others)
    told = await decided(pool, Deed.PROCESS, 3)

    assert (told.done, told.not_applicable) == (1, 2)
    assert {(one.state, one.reason, one.ids[0]) for one in told.why} == {
        ("planned", "it changed meanwhile, and is no longer in the list", f"a-{first}"),
        (None, "it is no longer kept", f"a-{second}"),
    }
    assert await pool.fetchval("SELECT state FROM actions WHERE action_id = $1", third) == "released"


async def test_two_who_decide_at_once_send_each_message_once(pool: db.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_list, "PAGE", 3)
    await some_for_review(pool, 20)

    both = await asyncio.gather(
        *(decided(pool, Deed.PROCESS, 20) for _ in range(2)), decided(pool, Deed.DELETE, 20), return_exceptions=True
    )

    told = [one for one in both if isinstance(one, Tally)]
    assert all(isinstance(one, Tally | Miscounted) for one in both)
    assert sum(one.done for one in told) == 20
    assert all(one.done + one.stopped + one.not_applicable == 20 for one in told)
    done = await states(pool)
    assert await pool.fetchval(SENT) == done.get("released", 0)
    assert sum(done.get(state, 0) for state in ("released", "deleted")) == 20


async def test_what_is_done_stays_done_where_the_database_goes_away(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_list, "PAGE", 2)
    await some_for_review(pool, 5)
    pick, asked = actions.pick, count(1)

    async def pick_until_it_goes(tx: db.Connection, studio: str, numbers: Any) -> Any:
        if next(asked) == 2:
            raise asyncpg.AdminShutdownError("terminating connection due to administrator command")
        return await pick(tx, studio, numbers)

    monkeypatch.setattr(actions, "pick", pick_until_it_goes)
    told = await decided(pool, Deed.PROCESS, 5)

    assert (told.done, told.not_reached, told.count) == (2, 3, 5)
    assert "the database did not take it (AdminShutdownError)" in told.why[0].reason
    assert await states(pool) == {"released": 2, "review": 3}


async def test_no_page_is_begun_after_the_time_for_all(pool: db.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_list, "PAGE", 2)
    await some_for_review(pool, 5)
    ticks = count()

    told = await decided(pool, Deed.DELETE, 5, clock=lambda: NOW + next(ticks) * timedelta(seconds=15))

    assert told.done + told.not_reached == 5
    assert 0 < told.not_reached < 5
    assert "40 seconds were over" in told.why[0].reason
    assert (await states(pool)).get("review") == told.not_reached
