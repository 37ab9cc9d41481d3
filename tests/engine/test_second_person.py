"""More than one person writes to alone, by a bulk, a held blast, a list to review: somebody else lets them go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from structlog.testing import capture_logs

from control_center.domain.action import State as Action
from control_center.domain.blast import HELD
from control_center.domain.bulk import Audience, State
from control_center.domain.errors import Malformed, Refused
from control_center.engine import bulks, review, review_list
from control_center.engine.bulks import Wish
from control_center.engine.pump import Pump
from control_center.engine.review_list import Deed, Miscounted
from control_center.store import db, views_bulks
from control_center.store.bulks import Bulk
from control_center.store.views_actions import Filter
from tests.support.rows import a_client, a_record, a_studio, a_trigger, an_action

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
HOUR = timedelta(hours=1)
ABOVE = 3
SETTINGS: dict[str, Any] = {"sms": {"account": "default", "numbers": ["+13125550100"]}}


def clock() -> datetime:
    return NOON


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    """Five people, of whom one person alone may write to three."""
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened, settings={**SETTINGS, "second_person_above": ABOVE})
    words = msgspec.json.encode({"kind": "any", "purpose": "transactional", "sms": "We are closed today."}).decode()
    await opened.execute("INSERT INTO templates (studio_id, name, body) VALUES ('main', 'closed', $1)", words)
    for n in range(5):
        await a_client(opened, f"c-{n}", phones=[{"number": f"+1312555{n:04}", "sms": True}])
    yield opened
    await opened.close()


async def made(pool: db.Pool, *, by: str = "Ada", **wish: Any) -> Bulk:
    return await bulks.create(pool, clock, "main", Wish(Audience("client"), "closed", **wish), by=by)


async def asked(pool: db.Pool, one: Bulk, *, by: str = "Ada", at: datetime | None = None) -> Bulk:
    return await bulks.start(pool, clock, "main", one.bulk_id, expect=5, at=at, by=by)


async def shown(pool: db.Pool, one: Bulk) -> views_bulks.Bulk:
    async with db.session(pool) as connection:
        found = await views_bulks.bulk(connection, "main", one.bulk_id)
    assert found is not None
    return found


async def approved(pool: db.Pool, seen: views_bulks.Bulk, *, by: str = "Bob", at: datetime = NOON) -> Bulk:
    """That `by` approves a bulk as it was `seen`."""
    code, listed = seen.approval.seen or "", seen.progress.listed
    return await bulks.approve(pool, lambda: at, "main", seen.number, expect=listed, seen=code, by=by)


async def trail(pool: db.Pool) -> list[tuple[str, str]]:
    return [tuple(row) for row in await pool.fetch("SELECT who, verb FROM audit ORDER BY audit_id")]


# Asked for, and approved ----------------------------------------------------------------------------------------


async def test_who_made_a_long_list_only_asks_for_it_and_nobody_is_written_to(pool: db.Pool) -> None:
    one = await made(pool)

    with capture_logs() as lines:
        after = await asked(pool, one)

    assert (after.state, after.asked_by, after.released_by) == (State.REVIEW, "Ada", None)
    assert after.reason == (
        "asked for by Ada: 5 are more than the 3 that one person may write to; somebody else with the role author has"
        " to approve it"
    )
    assert not await Pump(pool, clock).run_once()
    assert await pool.fetchval("SELECT count(*) FROM messages") == 0
    assert [line["log_level"] for line in lines if line["event"] == "bulk.asked"] == ["warning"]
    assert (await trail(pool))[-1] == ("Ada", "ask")


async def test_somebody_else_approves_what_they_have_seen_and_it_begins_when_it_was_asked_for(pool: db.Pool) -> None:
    one = await made(pool)
    await asked(pool, one, at=NOON + HOUR)

    begun = await approved(pool, await shown(pool, one))

    assert (begun.state, begun.start_at) == (State.SCHEDULED, NOON + HOUR)
    assert (begun.made_by, begun.released_by, begun.approved_by) == ("Ada", "Ada", "Bob")
    assert (await trail(pool))[-1] == ("Bob", "approve")
    assert not await Pump(pool, clock).run_once()
    assert await Pump(pool, lambda: NOON + HOUR).run_once()
    assert await pool.fetchval("SELECT count(*) FROM messages") == 5


async def test_what_is_asked_for_at_once_begins_with_its_approval(pool: db.Pool) -> None:
    one = await made(pool, expect=5)
    assert (one.state, one.asked_by) == (State.REVIEW, "Ada")

    assert (await approved(pool, await shown(pool, one), at=NOON + HOUR)).start_at == NOON + HOUR


async def test_a_second_person_need_not_be_asked(pool: db.Pool) -> None:
    one = await made(pool, start_at=NOON + HOUR)

    begun = await approved(pool, await shown(pool, one))

    assert (begun.state, begun.start_at, begun.released_by) == (State.SCHEDULED, NOON + HOUR, "Bob")


async def test_the_trail_says_what_was_approved(pool: db.Pool) -> None:
    one = await made(pool)
    await asked(pool, one)
    seen = await shown(pool, one)
    await approved(pool, seen)

    before, after = await pool.fetchrow("SELECT before, after FROM audit WHERE verb = 'approve'")
    was, became = msgspec.json.decode(before), msgspec.json.decode(after)
    assert (was["made_by"], was["asked_by"]) == ("Ada", "Ada")
    assert became == {"state": "approved", "begins": "at once", "recipients": 5, "seen": seen.approval.seen}


# Who may --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Ada", "ada ", "ADA"])
async def test_who_made_it_may_not_approve_it_whatever_their_name_is_spelled_like(pool: db.Pool, name: str) -> None:
    one = await made(pool)
    await asked(pool, one)

    with pytest.raises(Refused, match="made by Ada: somebody else with the role author"):
        await approved(pool, await shown(pool, one), by=name)


async def test_nor_may_who_changed_the_list_last(pool: db.Pool) -> None:
    one = await made(pool)
    await bulks.tick(pool, "main", one.bulk_id, [5], by="Bob")

    with pytest.raises(Refused, match="made by Ada and changed by Bob: somebody else"):
        await approved(pool, await shown(pool, one), by="Bob")
    with pytest.raises(Refused, match="made by Ada and changed by Bob: somebody else"):
        await approved(pool, await shown(pool, one), by="Ada")
    assert (await approved(pool, await shown(pool, one), by="Cy")).state is State.SCHEDULED


async def test_a_second_person_who_starts_it_is_told_to_approve_what_they_have_seen(pool: db.Pool) -> None:
    one = await made(pool)

    with pytest.raises(Refused, match=rf"you may approve it; control-center bulk show b-{one.bulk_id}"):
        await asked(pool, one, by="Bob")
    assert (await shown(pool, one)).approval.asked_by is None


async def test_the_database_itself_keeps_no_approval_by_who_made_it(pool: db.Pool) -> None:
    one = await made(pool)
    await asked(pool, one)
    await approved(pool, await shown(pool, one))

    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("UPDATE bulks SET approved_by = made_by")


# What was reviewed, and nothing else ----------------------------------------------------------------------------


async def test_another_list_of_the_same_length_is_not_what_was_approved(pool: db.Pool) -> None:
    one = await made(pool)
    await bulks.tick(pool, "main", one.bulk_id, [1], by="Ada")
    seen = await shown(pool, one)
    await bulks.tick(pool, "main", one.bulk_id, [2], by="Ada")
    await bulks.tick(pool, "main", one.bulk_id, [1], on=True, by="Ada")

    with pytest.raises(Refused, match="its people, their number, its words or its time are others"):
        await approved(pool, seen)
    assert (await shown(pool, one)).state == "review"


async def test_another_time_is_not_what_was_approved(pool: db.Pool) -> None:
    one = await made(pool)
    await asked(pool, one, at=NOON + HOUR)
    seen = await shown(pool, one)
    await asked(pool, one, at=NOON + 2 * HOUR)

    with pytest.raises(Refused, match="are others; look again"):
        await approved(pool, seen)
    assert (await approved(pool, await shown(pool, one))).start_at == NOON + 2 * HOUR


async def test_other_words_are_not_what_was_approved(pool: db.Pool) -> None:
    one = await made(pool)
    seen = await shown(pool, one)
    await pool.execute("UPDATE bulks SET words = replace(words, 'closed', 'open')")

    with pytest.raises(Refused, match="are others; look again"):
        await approved(pool, seen)


async def test_another_number_is_told_as_such(pool: db.Pool) -> None:
    one = await made(pool)
    seen = await shown(pool, one)
    await bulks.tick(pool, "main", one.bulk_id, [1], by="Ada")

    with pytest.raises(Miscounted):
        await approved(pool, seen)


async def test_whoever_changes_the_list_undoes_what_was_asked_for(pool: db.Pool) -> None:
    one = await made(pool)
    await asked(pool, one, at=NOON + HOUR)

    await bulks.tick(pool, "main", one.bulk_id, [1], by="Ada")

    after = await shown(pool, one)
    assert (after.approval.asked_by, after.approval.asked_for, after.reason) == (None, None, "")


async def test_a_time_that_is_over_is_asked_for_anew(pool: db.Pool) -> None:
    one = await made(pool)
    await asked(pool, one, at=NOON + HOUR)
    seen = await shown(pool, one)

    with pytest.raises(Refused, match="is over: Ada asks for another time"):
        await approved(pool, seen, at=NOON + 2 * HOUR)


async def test_nothing_is_asked_for_a_year_ahead(pool: db.Pool) -> None:
    one = await made(pool)
    with pytest.raises(Malformed, match="more than a year ahead"):
        await asked(pool, one, at=NOON + timedelta(days=400))


# Where one person may -------------------------------------------------------------------------------------------


async def test_so_many_as_one_person_may_write_to_need_no_second_one(pool: db.Pool) -> None:
    one = await made(pool)
    await bulks.tick(pool, "main", one.bulk_id, [1, 2], by="Ada")
    seen = await shown(pool, one)
    assert (seen.approval.needed, seen.approval.seen, seen.approval.above) == (False, None, ABOVE)

    with pytest.raises(Refused, match=rf"needs no second person: control-center bulk start b-{one.bulk_id}"):
        await approved(pool, seen)
    begun = await bulks.start(pool, clock, "main", one.bulk_id, expect=3, by="Ada")
    assert (begun.state, begun.approved_by) == (State.SCHEDULED, None)


async def test_a_studio_that_says_nothing_of_it_asks_for_nobody(pool: db.Pool) -> None:
    await pool.execute("UPDATE studios SET settings = $1", msgspec.json.encode(SETTINGS).decode())

    assert (await made(pool, expect=5)).state is State.SCHEDULED


# A blast --------------------------------------------------------------------------------------------------------


async def a_blast(pool: db.Pool, number: int) -> list[int]:
    """So many actions that the guard of a trigger holds, which Ada saved last."""
    trigger_id = await a_trigger(pool, "Reminder")
    await pool.execute("UPDATE trigger_versions SET saved_by = 'Ada'")
    await pool.execute(
        "INSERT INTO release_guards (studio_id, trigger_id, held_since, reason) VALUES ('main', $1, $2, $3)",
        trigger_id,
        NOON,
        f"{HELD} many",
    )
    found = []
    for n in range(number):
        record = await a_record(pool, f"session/s{n}", client_id="c-1", dates={"session": "2026-11-27T14:00"})
        columns: dict[str, Any] = {
            "record": record,
            "trigger_id": trigger_id,
            "occurrence": "2026-11-27T14:00:00",
            "state": "held",
        }
        times: dict[str, Any] = {"activation_at": NOON - HOUR, "due_at": NOON - HOUR, "use_by": NOON + 90 * HOUR}
        found.append(await an_action(pool, reason=f"{HELD} many", **columns, **times))
    return found


async def actions(pool: db.Pool, *states: str) -> int:
    number: int = await pool.fetchval("SELECT count(*) FROM actions WHERE state = ANY ($1)", list(states))
    return number


@pytest.mark.parametrize("deed", [Deed.RELEASE, Deed.PROCESS])
async def test_who_saved_a_trigger_lets_no_blast_of_it_go(pool: db.Pool, deed: Deed) -> None:
    held = await a_blast(pool, 5)
    wanted = Filter(trigger="Reminder", states=[Action.HELD])

    with pytest.raises(
        Refused,
        match=r"5 of 'Reminder' (are held|wait for a person), more than the 3 .* Ada saved it last: somebody else",
    ):
        await review_list.decide(pool, clock, "main", wanted, deed, expect=5, by="Ada")
    one_by_one = review.release if deed is Deed.RELEASE else review.process
    with pytest.raises(Refused, match="somebody else with the role front_desk has to let them go"):
        await one_by_one(pool, clock, "main", held[:1], by="Ada")
    assert await actions(pool, "held") == 5

    tally = await review_list.decide(pool, clock, "main", wanted, deed, expect=5, by="Bob")
    assert (tally.done, await actions(pool, "held")) == (5, 0)


async def test_who_saved_a_trigger_may_drop_what_is_held_of_it(pool: db.Pool) -> None:
    await a_blast(pool, 5)
    wanted = Filter(trigger="Reminder", states=[Action.HELD])

    tally = await review_list.decide(pool, clock, "main", wanted, Deed.DELETE, expect=5, by="Ada")

    assert tally.done == 5


async def test_a_small_blast_is_let_go_by_whoever_is_there(pool: db.Pool) -> None:
    await a_blast(pool, 3)
    wanted = Filter(trigger="Reminder", states=[Action.HELD])

    assert (await review_list.decide(pool, clock, "main", wanted, Deed.RELEASE, expect=3, by="Ada")).done == 3


# A list to review -----------------------------------------------------------------------------------------------


async def reviewed(pool: db.Pool, number: int, *, by: str = "Ada", state: str = "review", **keys: Any) -> list[int]:
    """So many actions of a trigger that waits for a person, which `by` saved last."""
    trigger_id = await a_trigger(pool, processing={"mode": "manual"}, **keys)
    await pool.execute("UPDATE trigger_versions SET saved_by = $1 WHERE trigger_id = $2", by, trigger_id)
    found = []
    for n in range(number):
        record = await a_record(
            pool, f"session/t{trigger_id}-{n}", client_id="c-1", dates={"session": "2026-11-27T14:00"}
        )
        columns: dict[str, Any] = {"record": record, "trigger_id": trigger_id, "occurrence": "2026-11-27T14:00:00"}
        times: dict[str, Any] = {"activation_at": NOON - HOUR, "due_at": NOON - HOUR, "use_by": NOON + 90 * HOUR}
        found.append(await an_action(pool, state=state, reason="manual", **columns, **times))
    return found


async def processed(pool: db.Pool, number: int, *, by: str, **wanted: Any) -> int:
    """How many of the list were processed."""
    narrowed = Filter(**{"states": [Action.REVIEW], **wanted})
    return (await review_list.decide(pool, clock, "main", narrowed, Deed.PROCESS, expect=number, by=by)).done


async def test_who_saved_a_trigger_processes_no_long_list_of_it(pool: db.Pool) -> None:
    waiting = await reviewed(pool, 5, name="Gallery")

    with pytest.raises(Refused, match=r"5 of 'Gallery' wait for a person, more than the 3 .* somebody else with the"):
        await processed(pool, 5, by="ada ", trigger="Gallery")
    assert await actions(pool, "review") == 5

    assert await processed(pool, 5, by="Bob", trigger="Gallery") == 5
    assert await actions(pool, "released") == len(waiting)


async def test_nor_does_who_saved_it_process_it_part_by_part(pool: db.Pool) -> None:
    waiting = await reviewed(pool, 5)
    first = await pool.fetchval("SELECT record_id FROM actions WHERE action_id = $1", waiting[0])

    with pytest.raises(Refused, match="wait for a person"):
        await review.process(pool, clock, "main", waiting[:1], by="Ada")
    with pytest.raises(Refused, match="wait for a person"):
        await processed(pool, 1, by="Ada", record=("session", first))
    assert await actions(pool, "review") == 5


async def test_short_lists_of_several_triggers_are_one_long_list(pool: db.Pool) -> None:
    await reviewed(pool, 2, name="Gallery")
    await reviewed(pool, 2, name="Album")
    await reviewed(pool, 2, name="Invoice", by="Bob")

    with pytest.raises(Refused, match=r"4 of 'Album', 'Gallery' wait for a person.*Ada saved them last"):
        await processed(pool, 6, by="Ada")
    assert await actions(pool, "review") == 6


async def test_so_many_as_one_person_may_write_to_are_processed_by_whoever_is_there(pool: db.Pool) -> None:
    await reviewed(pool, ABOVE, name="Gallery")

    assert await processed(pool, ABOVE, by="Ada", trigger="Gallery") == ABOVE


async def test_of_what_waits_for_its_time_only_what_is_processed_counts(pool: db.Pool) -> None:
    waiting = await reviewed(pool, 5, name="Gallery", state="planned")

    await review.process(pool, clock, "main", waiting[:1], by="Ada")
    assert await actions(pool, "released") == 1
    with pytest.raises(Refused, match="4 of 'Gallery' wait for a person"):
        await processed(pool, 4, by="Ada", trigger="Gallery", states=[Action.PLANNED])


async def test_who_saved_a_trigger_may_drop_what_waits_for_a_person(pool: db.Pool) -> None:
    await reviewed(pool, 5, name="Gallery")
    wanted = Filter(trigger="Gallery", states=[Action.REVIEW])

    assert (await review_list.decide(pool, clock, "main", wanted, Deed.DELETE, expect=5, by="Ada")).done == 5


async def test_where_the_studio_says_nothing_of_it_nobody_else_is_asked_for_to_process(pool: db.Pool) -> None:
    await pool.execute("UPDATE studios SET settings = $1", msgspec.json.encode(SETTINGS).decode())
    await reviewed(pool, 5, name="Gallery")

    assert await processed(pool, 5, by="Ada", trigger="Gallery") == 5
