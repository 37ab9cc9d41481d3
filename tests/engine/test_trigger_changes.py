"""An edit is seen before it is saved: what it does to what waits, the choice that is kept with it, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_center.domain.errors import Malformed, NotFound, Outdated, Refused
from control_center.engine import trigger_changes, trigger_versions, triggers
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.engine.trigger_pausing import Choices
from control_center.store import db
from control_center.store.rulebooks import Rulebooks
from tests.support.crm import client, event, session
from tests.support.rows import a_studio

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
JUNE_5 = datetime(2027, 6, 5, 5, tzinfo=UTC)  # a week before the session, as its day begins in Chicago


BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def clock() -> datetime:
    return NOW


def at(instant: datetime) -> Any:
    return lambda: instant


def reminder(**keys: Any) -> dict[str, Any]:
    return {
        "name": "Reminder",
        "record": "session",
        "status": "Booked",
        "activate": {"on": "session", "days": -7},
        "action": "sms",
        "text": "See you soon, {{ client.first_name }}!",
        "processing": {"mode": "automatic"},
        "enabled": True,
        **keys,
    }


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


async def put(pool: db.Pool, *, pending: str | None = None, **keys: Any) -> int:
    return (await triggers.put(pool, clock, "main", reminder(**keys), by="Ada", pending=pending)).version


async def seen(pool: db.Pool, *, pending: str | None = None, **keys: Any) -> trigger_changes.Preview:
    return await trigger_changes.preview(pool, clock, "main", reminder(**keys), pending=pending)


async def book(pool: db.Pool, number: int = 1, *, first: int = 1, **keys: Any) -> None:
    bodies = [event(session(f"s{n}", **keys), about=client()) for n in range(first, first + number)]
    await Intake(pool, clock).take_in(bodies)


async def states(pool: db.Pool) -> list[str]:
    return [row[0] for row in await pool.fetch("SELECT state FROM actions ORDER BY record_id, action_id")]


async def due(pool: db.Pool) -> list[datetime]:
    return [row[0] for row in await pool.fetch("SELECT due_at FROM actions WHERE state = 'planned' ORDER BY action_id")]


async def sent(pool: db.Pool, when: datetime) -> int:
    await Release(pool, at(when), Rulebooks()).run_once()
    count: int = await pool.fetchval("SELECT count(*) FROM messages")
    return count


# What an edit does ----------------------------------------------------------------------------------------


async def test_a_preview_counts_what_stays_what_moves_and_what_vanishes_and_changes_nothing(pool: db.Pool) -> None:
    await put(pool)
    await book(pool, 3)
    await book(pool, 2, first=4, type="Portrait")

    moved = await seen(pool, activate={"on": "session", "days": -3})
    vanished = await seen(pool, type="Wedding")

    assert (moved.effect.total, moved.effect.move) == (5, 5)
    assert str(vanished.effect) == "5 pending: 3 keep, 2 vanish"
    assert dict(vanished.effect.why) == {"type": 2}
    assert str((await seen(pool, text="Soon!")).effect) == "5 pending: 5 keep"
    assert await states(pool) == ["planned"] * 5


@pytest.mark.parametrize(
    "keys", [{"activate": {"on": "session", "days": -3}}, {"type": "Wedding"}, {"text": "Soon!"}, {"type": "Portrait"}]
)
async def test_what_a_preview_says_is_what_saving_does(pool: db.Pool, keys: dict[str, Any]) -> None:
    await put(pool)
    await book(pool, 2)
    await book(pool, 2, first=3, type="Portrait")
    before = await due(pool)
    said = (await seen(pool, **keys)).effect

    await put(pool, **keys)

    after = await due(pool)
    assert len(after) == said.keep + said.move
    assert len(before) - len(after) == said.vanish
    assert sum(one not in before for one in after) == said.move


SESSIONS = st.lists(
    st.fixed_dictionaries(
        {
            "dates": st.sampled_from(("2026-11-20", "2026-11-25", "2026-11-28", "2026-12-03", "2027-06-12")).map(
                lambda day: {"session": f"{day}T14:00", "booked": "2026-11-19"}
            ),
            "type": st.sampled_from(("Wedding", "Portrait")),
            "status": st.sampled_from(("Booked", "Inquiry")),
        }
    ),
    min_size=1,
    max_size=6,
)
RULES = st.fixed_dictionaries(
    {"activate": st.sampled_from([{"on": "session", "days": n} for n in (-7, -3, 0)] + [{"on": "booked", "days": 4}])},
    optional={
        "type": st.just("Wedding"),
        "late": st.just("skip"),
        "use_by": st.just("3d"),
        "text": st.sampled_from(("Soon!", "Later!")),
        "enabled": st.booleans(),
        "processing": st.sampled_from(({"mode": "manual"}, {"mode": "automatic", "window": "09:00-10:00"})),
    },
)
LATER = st.sampled_from((timedelta(), timedelta(days=3), timedelta(days=9)))
ROWS = "SELECT action_id, state, activation_at, greatest(due_at, $1), use_by FROM actions"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    sessions=SESSIONS,
    rules=st.lists(st.tuples(RULES, st.sampled_from(("follow", "keep", "hold", "drain", "drop")), LATER), max_size=3),
)
async def test_whatever_is_edited_in_whatever_order_the_preview_counts_what_saving_changes(
    pool: db.Pool, sessions: list[dict[str, Any]], rules: list[tuple[dict[str, Any], str, timedelta]]
) -> None:
    for kept in ("actions", "triggers", "records", "events"):
        await pool.execute(f"DELETE FROM {kept}")
    await put(pool)
    now = NOW
    await Intake(pool, at(now)).take_in(
        [event(session(f"s{n}", **keys), about=client()) for n, keys in enumerate(sessions)]
    )
    for keys, pending, later in rules:
        now += later
        table = reminder(**keys)
        try:
            shown = await trigger_changes.preview(pool, at(now), "main", table, pending=pending)
        except Refused:
            with pytest.raises(Refused):
                await triggers.put(pool, at(now), "main", table, by="Ada", pending=pending)
            continue
        before = {row[0]: tuple(row) for row in await pool.fetch(ROWS, now)}
        await triggers.put(pool, at(now), "main", table, by="Ada", pending=pending)
        after = {row[0]: tuple(row) for row in await pool.fetch(ROWS, now)}

        said = shown.effect
        counted = (said.total, said.keep, said.move, said.vanish, said.hold)
        assert counted == (told(before, after) if shown.changes else (0, 0, 0, 0, 0)), (keys, pending)
        assert shown.changes or before == after


def told(before: dict[int, Any], after: dict[int, Any]) -> tuple[int, ...]:
    """What became of what was pending, by the rows themselves."""
    waiting = {"planned", "review", "held"}
    pairs = [(old, after[number]) for number, old in before.items() if old[1] in waiting]
    vanish = sum(new[1] not in waiting for _, new in pairs)
    move = sum(new[1] in waiting and new[2:] != old[2:] for old, new in pairs)
    hold = sum(new[1] == "held" and old[1] != "held" and new[2:] == old[2:] for old, new in pairs)
    return len(pairs), len(pairs) - vanish - hold - move, move, vanish, hold


async def test_a_preview_of_a_new_trigger_says_how_many_it_plans_and_sets_aside(pool: db.Pool) -> None:
    await book(pool, 2)
    await book(pool, 3, first=3, dates={"session": "2026-11-25T14:00"})

    found = await seen(pool)

    assert (found.kind, found.effect.planned, found.effect.set_aside) == ("new", 2, 3)
    assert str(found.effect) == "2 newly planned; 3 set aside as past"


async def test_an_edit_of_the_kind_of_record_lets_what_waits_under_the_old_one_lapse(pool: db.Pool) -> None:
    await put(pool)
    await book(pool, 2)

    said = await seen(pool, record="appointment", activate={"on": "appointment", "days": -7})
    await put(pool, record="appointment", activate={"on": "appointment", "days": -7})

    assert said.effect.vanish == 2
    assert await states(pool) == ["lapsed"] * 2


async def test_an_edit_of_the_hours_moves_what_waits_to_the_time_that_they_give(pool: db.Pool) -> None:
    evening = {"mode": "automatic", "window": "16:00-20:00"}
    await put(pool, processing=evening)
    await book(pool)
    await book(pool, first=2, dates={"session": "2026-11-27T14:00"})  # due since the 20th, and waits for today's window
    await sent(pool, NOW)
    noon = {"mode": "automatic", "window": "11:00-20:00"}

    said = await seen(pool, processing=noon)
    kept = await seen(pool, processing=noon, pending="keep")
    await put(pool, processing=noon)

    assert (str(said.effect), str(kept.effect)) == ("2 pending: 2 move", "2 pending: 2 keep")
    assert await due(pool) == [JUNE_5 + timedelta(hours=11), NOW]
    assert await sent(pool, NOW) == 1


async def test_what_had_lapsed_is_history_for_an_edit_by_which_it_matches_and_does_not_come_back(pool: db.Pool) -> None:
    await put(pool)
    soon = {"session": "2026-11-25T14:00"}
    await book(pool, dates=soon)
    asked = session("s1", version=2, status="Asked", dates=soon)
    await Intake(pool, clock).take_in([event(asked, "updated")])
    assert await states(pool) == ["lapsed"]

    said = await seen(pool, status="Asked")
    await put(pool, status="Asked")
    await Intake(pool, clock).take_in([event({**asked, "version": 3, "type": "Portrait"}, "updated")])

    assert str(said.effect) == "1 set aside as past"
    assert await sent(pool, NOW) == 0


async def test_what_waits_for_its_window_is_not_called_history_by_an_edit_of_the_filter(pool: db.Pool) -> None:
    await put(pool, processing={"mode": "automatic", "window": "14:00-18:00"})
    await book(pool, dates={"session": "2026-11-30T14:00"})

    await put(pool, type="Wedding", processing={"mode": "automatic", "window": "14:00-18:00"})

    assert await states(pool) == ["planned"]


# Keep or follow -------------------------------------------------------------------------------------------


async def test_by_default_what_waits_follows_the_new_version(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)

    await put(pool, activate={"on": "session", "days": -3})

    assert await due(pool) == [JUNE_5 + timedelta(days=4)]


async def test_what_is_kept_goes_out_at_the_time_and_in_the_words_of_the_version_that_planned_it(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    said = await seen(pool, pending="keep", activate={"on": "session", "days": -3}, text="Soon!")

    await put(pool, pending="keep", activate={"on": "session", "days": -3}, text="Soon!")
    await book(pool, first=2)

    assert str(said.effect) == "1 pending: 1 keep"
    assert await due(pool) == [JUNE_5, JUNE_5 + timedelta(days=4)]
    assert await sent(pool, JUNE_5) == 1
    assert await pool.fetchval("SELECT trigger_version FROM messages") == 1


async def test_what_is_kept_stays_kept_when_its_record_changes_in_another_way(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    await put(pool, pending="keep", activate={"on": "session", "days": -3})

    await Intake(pool, clock).take_in([event(session("s1", version=2, fields={"x": 1}), "updated")])

    assert await due(pool) == [JUNE_5]


async def test_a_kept_action_whose_record_moves_is_planned_by_the_new_version(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    await put(pool, pending="keep", activate={"on": "session", "days": -3})

    moved = session("s1", version=2, dates={"session": "2027-06-19T14:00"})
    await Intake(pool, clock).take_in([event(moved, "updated")])

    assert await states(pool) == ["lapsed", "planned"]
    assert await due(pool) == [datetime(2027, 6, 16, 5, tzinfo=UTC)]


async def test_a_kept_action_lapses_when_its_record_leaves_what_its_version_asks_for(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    await put(pool, pending="keep", text="Soon!")

    await Intake(pool, clock).take_in([event(session("s1", version=2, status="Completed"), "updated")])

    assert await states(pool) == ["lapsed"]


async def test_what_followed_one_edit_is_kept_by_the_next_as_it_was_then(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    await put(pool, text="Soon!")  # the times are the same, so its action still names the first version
    await put(pool, pending="keep", activate={"on": "session", "days": -3})

    assert await sent(pool, JUNE_5) == 1
    assert await pool.fetchval("SELECT trigger_version FROM messages") == 2


async def test_an_edit_that_says_follow_ends_what_earlier_ones_kept(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    await put(pool, pending="keep", activate={"on": "session", "days": -3})

    await put(pool, activate={"on": "session", "days": -3}, text="Soon!")

    assert await due(pool) == [JUNE_5 + timedelta(days=4)]


async def test_keep_is_refused_where_the_trigger_hangs_on_another_date(pool: db.Pool) -> None:
    await put(pool)

    with pytest.raises(Refused, match="choose follow"):
        await put(pool, pending="keep", activate={"on": "booked"})


async def test_the_choice_is_recorded_with_the_version(pool: db.Pool) -> None:
    await put(pool)
    await put(pool, pending="keep", text="Soon!")
    await put(pool, text="Sooner!")
    await put(pool, text="Sooner!", enabled=False, pending="drain")

    found = await trigger_versions.versions(pool, "main", "Reminder")

    assert [(one.version, one.saved_by, one.pending) for one in found] == [
        (4, "Ada", "drain"),
        (3, "Ada", "follow"),
        (2, "Ada", "keep"),
        (1, "Ada", "follow"),
    ]


async def test_a_choice_that_there_is_not_is_refused(pool: db.Pool) -> None:
    with pytest.raises(Refused, match="allowed are follow, keep; switching off, hold, drain, drop"):
        await put(pool, pending="maybe")


# The way back ---------------------------------------------------------------------------------------------


async def test_rolling_back_is_a_new_version_that_says_what_the_old_one_said(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    await put(pool, activate={"on": "session", "days": -3}, text="Soon!")

    said = await trigger_versions.preview_rollback(pool, clock, "main", "Reminder", 1)
    stored = await trigger_versions.rollback(pool, clock, "main", "Reminder", 1, by="Bea")

    assert stored.version == 3
    assert str(said.effect) == "1 pending: 1 move"
    assert await due(pool) == [JUNE_5]
    assert (await triggers.export(pool, "main"))[0] == reminder()


async def test_rolling_back_leaves_a_trigger_on_or_off_as_it_is(pool: db.Pool) -> None:
    await put(pool, enabled=False)
    await put(pool, text="Soon!")

    stored = await trigger_versions.rollback(pool, clock, "main", "Reminder", 1, by="Bea")

    assert stored.enabled


async def test_rolling_back_to_what_it_says_already_makes_no_version(pool: db.Pool) -> None:
    await put(pool)
    await triggers.switch(pool, clock, "main", "Reminder", on=False, by="Ada", pending="drop")

    rolled = await trigger_versions.rollback(pool, clock, "main", "Reminder", 2, by="Ada")

    assert rolled.version == 2


@pytest.mark.parametrize("deed", ["switch", "roll back"])
async def test_an_edit_that_was_made_meanwhile_is_not_undone_by_a_switch_and_stops_whoever_saw_less(
    pool: db.Pool, deed: str
) -> None:
    """The one who edits holds the studio when the other begins."""
    await put(pool)
    await put(pool, text="Soon!")

    async def act(expect: int | None) -> int:
        if deed == "switch":
            done = await triggers.switch(pool, clock, "main", "Reminder", on=False, by="Bea", expect=expect)
        else:
            done = await trigger_versions.rollback(pool, clock, "main", "Reminder", 1, by="Bea", expect=expect)
        return done.version

    async with db.transaction(pool) as tx:
        house = await triggers.locked(tx, "main")
        await triggers.save(tx, house, reminder(text="Later!"), "x", now=NOW, by="Ada")
        waiting = [asyncio.create_task(act(None)), asyncio.create_task(act(2))]
        while await pool.fetchval(BLOCKED) < 2:
            await asyncio.wait(waiting, timeout=0.01)
    found = await asyncio.gather(*waiting, return_exceptions=True)

    assert (found[0], type(found[1])) == (4, Outdated)
    if deed == "switch":
        assert (await triggers.export(pool, "main"))[0]["text"] == "Later!"


async def test_a_version_that_there_is_not_is_named(pool: db.Pool) -> None:
    await put(pool)

    with pytest.raises(NotFound, match="no version 7; the newest is 1"):
        await trigger_versions.rollback(pool, clock, "main", "Reminder", 7, by="Bea")


# Pausing --------------------------------------------------------------------------------------------------


async def switch(pool: db.Pool, *, on: bool, pending: str | None = None) -> None:
    await triggers.switch(pool, clock, "main", "Reminder", on=on, by="Ada", pending=pending)


async def test_what_is_held_sends_nothing_and_comes_back_when_its_trigger_is_switched_on(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)

    await switch(pool, on=False, pending="hold")
    assert await states(pool) == ["held"]
    assert await sent(pool, JUNE_5) == 0
    await switch(pool, on=True)

    assert await due(pool) == [JUNE_5]
    assert await sent(pool, JUNE_5) == 1


async def test_what_was_held_past_its_time_comes_back_and_what_is_new_and_past_is_set_aside(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    await switch(pool, on=False, pending="hold")
    await book(pool, first=2)

    later = at(JUNE_5 + timedelta(hours=10))
    await triggers.switch(pool, later, "main", "Reminder", on=True, by="Ada")

    assert await states(pool) == ["planned", "baselined"]


async def test_what_is_held_moves_with_its_record(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    await switch(pool, on=False, pending="hold")

    moved = session("s1", version=2, dates={"session": "2027-06-19T14:00"})
    await Intake(pool, clock).take_in([event(moved, "updated")])
    assert await states(pool) == ["lapsed", "held"]
    await switch(pool, on=True)

    assert await due(pool) == [JUNE_5 + timedelta(days=7)]


async def test_a_record_that_no_longer_qualifies_lapses_while_its_trigger_holds(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    await switch(pool, on=False, pending="hold")

    await Intake(pool, clock).take_in([event(session("s1", version=2, status="Completed"), "updated")])
    await switch(pool, on=True)

    assert await states(pool) == ["lapsed"]


async def test_what_drains_goes_out_and_nothing_new_is_planned(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)

    await switch(pool, on=False, pending="drain")
    await book(pool, first=2)

    assert await states(pool) == ["planned"]
    assert await sent(pool, JUNE_5) == 1


async def test_what_drains_moves_with_its_record(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    await switch(pool, on=False, pending="drain")

    moved = session("s1", version=2, dates={"session": "2027-06-19T14:00"})
    await Intake(pool, clock).take_in([event(moved, "updated")])

    assert await states(pool) == ["lapsed", "planned"]
    assert await sent(pool, JUNE_5 + timedelta(days=7)) == 1


async def test_what_is_dropped_never_comes_back(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)

    await switch(pool, on=False, pending="drop")
    await switch(pool, on=True)

    assert await states(pool) == ["deleted"]


@pytest.mark.parametrize(
    ("choice", "says"),
    [("hold", "2 pending: 2 are held"), ("drain", "2 pending: 2 keep"), ("drop", "2 pending: 2 vanish")],
)
async def test_switching_off_says_what_becomes_of_what_waits(pool: db.Pool, choice: str, says: str) -> None:
    await put(pool)
    await book(pool, 2)

    found = await seen(pool, enabled=False, pending=choice)

    assert (str(found.effect), found.turns, found.choice) == (says, "off", choice)


async def test_another_choice_for_what_waits_under_a_trigger_that_is_off_is_refused_and_not_passed_over(
    pool: db.Pool,
) -> None:
    await put(pool)
    await book(pool, 2)
    await triggers.switch(pool, clock, "main", "Reminder", on=False, by="Ada", pending="hold")

    with pytest.raises(Refused, match="off already, and 2 wait under it on 'hold'"):
        await triggers.switch(pool, clock, "main", "Reminder", on=False, by="Ada", pending="drop")

    same = await triggers.switch(pool, clock, "main", "Reminder", on=False, by="Ada", pending="hold")
    assert same.version == 2


async def test_what_the_blast_guard_holds_stays_held_when_its_trigger_is_switched_off_and_on(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    await pool.execute("UPDATE actions SET state = 'held', reason = 'ceiling: too many at once'")

    await switch(pool, on=False, pending="hold")
    await switch(pool, on=True)

    assert await states(pool) == ["held"]


# Many at once ---------------------------------------------------------------------------------------------


async def test_a_trigger_that_is_in_none_of_the_files_is_left_alone_unless_it_is_pruned(pool: db.Pool) -> None:
    await put(pool)
    await book(pool)
    other = [("a.toml", reminder(name="Other", enabled=False))]

    left = await trigger_changes.plan(pool, clock, "main", other)
    pruned = await trigger_changes.plan(pool, clock, "main", other, prune=True)
    await triggers.apply(pool, clock, "main", other, by="Ada", remove=["Reminder"])

    assert [(one.name, one.kind, one.changes) for one in left] == [
        ("Other", "new", True),
        ("Reminder", "missing", False),
    ]
    assert (pruned[1].kind, pruned[1].effect.vanish) == ("removed", 1)
    assert [one["name"] for one in await triggers.export(pool, "main")] == ["Other"]
    assert await states(pool) == ["deleted"]


async def test_what_somebody_else_changed_since_the_plan_is_not_saved_over(pool: db.Pool) -> None:
    await put(pool)
    expect = {"Reminder": 1}
    await put(pool, text="Soon!")

    with pytest.raises(Outdated, match="'Reminder' was changed by somebody else"):
        await triggers.apply(pool, clock, "main", [("a", reminder(text="Mine"))], by="Ada", expect=expect)

    assert (await triggers.export(pool, "main"))[0]["text"] == "Soon!"


async def test_every_mistake_is_told_and_names_file_trigger_field_value_and_what_is_allowed(pool: db.Pool) -> None:
    tables = [
        ("a.toml", reminder(late="maybe", processing={"mode": "auto", "not_on": ["someday"]})),
        ("b.toml", reminder(name="Other", text="Hi {{ client.frist_name }}")),
        ("b.toml", reminder(name="Third", template="nope", text=None)),
    ]

    with pytest.raises(Malformed) as caught:
        await trigger_changes.plan(pool, clock, "main", tables)

    said = [str(one) for one in caught.value.all]  # type: ignore[attr-defined]  # they are Mistakes
    assert len(said) == 5
    assert said[0] == "a.toml \"Reminder\", late: 'maybe'; allowed: send, skip"
    assert {one.partition(":")[0] for one in said} == {
        'a.toml "Reminder", late',
        'a.toml "Reminder", processing.mode',
        'a.toml "Reminder", processing.not_on',
        'b.toml "Other", text',
        'b.toml "Third", template',
    }


async def test_the_choices_of_a_file_are_one_for_edits_and_one_for_what_is_switched_off(pool: db.Pool) -> None:
    await put(pool)
    await put(pool, name="Other")
    await book(pool)
    tables = [("a", reminder(activate={"on": "session", "days": -3})), ("a", reminder(name="Other", enabled=False))]

    await triggers.apply(pool, clock, "main", tables, by="Ada", choices=Choices("keep", "drop"))

    assert sorted(await states(pool)) == ["deleted", "planned"]
    assert await due(pool) == [JUNE_5]


# The tests beside a trigger -------------------------------------------------------------------------------

PASSES = {
    "given": {"record": {"status": "Booked", "dates": {"session": "2027-06-12T14:00"}}},
    "expect": {"send_at": "2027-06-05T00:00", "to": "client", "text_contains": "Jo"},
}
FAILS = {**PASSES, "expect": {"send_at": "2027-06-06T00:00"}}


async def test_a_trigger_is_not_switched_on_while_a_test_beside_it_fails(pool: db.Pool) -> None:
    await put(pool, enabled=False, test=[PASSES, FAILS])

    with pytest.raises(Malformed, match=r"test\[2\]\.send_at: expected 2027-06-06T00:00, got 2027-06-05T00:00"):
        await switch(pool, on=True)

    assert await pool.fetchval("SELECT enabled FROM triggers") is False


async def test_a_trigger_whose_tests_hold_is_switched_on_and_keeps_them(pool: db.Pool) -> None:
    await put(pool, enabled=False, test=[PASSES])

    await switch(pool, on=True)

    assert (await triggers.export(pool, "main"))[0]["test"] == [PASSES]
    assert await pool.fetchval("SELECT enabled FROM triggers") is True
