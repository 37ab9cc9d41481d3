"""Saving triggers: checked, with a baseline, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from control_center.domain.errors import Malformed, NotFound
from control_center.engine import templates, trigger_changes, trigger_edits, trigger_files, trigger_sweep, triggers
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.engine.templates import put as put_template
from control_center.store import actions, db
from tests.support.crm import client, event, session
from tests.support.rows import a_studio

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


def clock() -> datetime:
    return NOW


def thanks(**keys: Any) -> dict[str, Any]:
    return {
        "name": "Thanks",
        "record": "session",
        "status": "Booked",
        "activate": {"on": "status_changed"},
        "action": "sms",
        "text": "Thank you, {{ client.first_name }}!",
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


async def states(pool: db.Pool) -> list[tuple[str, str]]:
    rows = await pool.fetch("SELECT occurrence, state FROM actions ORDER BY occurrence")
    return [tuple(row) for row in rows]


async def test_saving_a_trigger_sends_nothing_for_the_past(pool: db.Pool) -> None:
    await Intake(pool, clock).take_in([event(session(str(n)), about=client()) for n in range(5)])

    await triggers.put(pool, clock, "main", thanks(), by="Ada")
    await Release(pool, clock).run_once()

    assert [state for _, state in await states(pool)] == ["baselined"] * 5
    assert await pool.fetchval("SELECT count(*) FROM messages") == 0


async def test_what_activates_after_today_stays_armed(pool: db.Pool) -> None:
    await Intake(pool, clock).take_in([event(session(), about=client())])

    await triggers.put(pool, clock, "main", thanks(activate={"on": "session", "days": -7}), by="Ada")

    assert await states(pool) == [("2027-06-12T14:00:00", "planned")]


async def test_a_disabled_trigger_plans_nothing_and_enabling_it_runs_its_baseline(pool: db.Pool) -> None:
    await triggers.put(pool, clock, "main", thanks(enabled=False), by="Ada")
    await Intake(pool, clock).take_in([event(session(), about=client())])
    assert await states(pool) == []

    await triggers.switch(pool, clock, "main", "Thanks", on=True, by="Ada")

    assert [state for _, state in await states(pool)] == ["baselined"]


async def test_switching_a_trigger_off_holds_what_it_has_planned(pool: db.Pool) -> None:
    await triggers.put(pool, clock, "main", thanks(activate={"on": "session", "days": -7}), by="Ada")
    await Intake(pool, clock).take_in([event(session(), about=client())])

    await triggers.switch(pool, clock, "main", "Thanks", on=False, by="Ada")

    assert await states(pool) == [("2027-06-12T14:00:00", "held")]


async def test_a_baseline_that_breaks_off_half_way_leaves_no_trigger(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Intake(pool, clock).take_in([event(session(str(n)), about=client()) for n in range(5)])
    monkeypatch.setattr(trigger_sweep, "PAGE", 2)
    written = []

    async def breaks_off(tx: Any, added: Any) -> None:
        written.append(len(added))
        if len(written) > 1:
            raise ConnectionError
        await add(tx, added)

    add = actions.add
    monkeypatch.setattr(actions, "add", breaks_off)
    with pytest.raises(ConnectionError):
        await triggers.put(pool, clock, "main", thanks(), by="Ada")

    assert written == [2, 2]
    assert await states(pool) == []
    assert await pool.fetchval("SELECT count(*) FROM triggers") == 0


async def test_a_copy_that_is_switched_on_sends_nothing_for_the_past(pool: db.Pool) -> None:
    await Intake(pool, clock).take_in([event(session(), about=client())])
    original = await triggers.put(pool, clock, "main", thanks(), by="Ada")
    made = await trigger_edits.copy(pool, clock, "main", original.trigger_id, None, by="Ada")
    assert len(await states(pool)) == 1

    await triggers.switch(pool, clock, "main", made.trigger.name, on=True, by="Ada")
    await Release(pool, clock).run_once()

    assert [state for _, state in await states(pool)] == ["baselined", "baselined"]


async def test_an_edit_of_the_offset_moves_what_is_planned(pool: db.Pool) -> None:
    await triggers.put(pool, clock, "main", thanks(activate={"on": "session", "days": -7}), by="Ada")
    await Intake(pool, clock).take_in([event(session(), about=client())])

    await triggers.put(pool, clock, "main", thanks(activate={"on": "session", "days": -3}), by="Ada")

    assert await pool.fetchval("SELECT due_at FROM actions") == datetime(2027, 6, 9, 5, tzinfo=UTC)


async def test_an_edit_of_the_words_keeps_keys_and_sends_nothing_again(pool: db.Pool) -> None:
    await triggers.put(pool, clock, "main", thanks(), by="Ada")
    await Intake(pool, clock).take_in([event(session(), about=client())])
    await Release(pool, clock).run_once()

    second = await triggers.put(pool, clock, "main", thanks(text="Thanks again!"), by="Ada")
    await Release(pool, clock).run_once()

    assert second.version == 2
    assert await pool.fetchval("SELECT count(*) FROM messages") == 1


async def test_an_edit_of_the_filter_drops_whom_it_no_longer_matches(pool: db.Pool) -> None:
    await triggers.put(pool, clock, "main", thanks(activate={"on": "session", "days": -7}), by="Ada")
    asking = session("4712", status="Inquiry", dates={})
    await Intake(pool, clock).take_in([event(session(), about=client()), event(asking)])

    await triggers.put(pool, clock, "main", thanks(activate={"on": "session", "days": -7}, status="Inquiry"), by="Ada")

    assert await states(pool) == [("2027-06-12T14:00:00", "lapsed")]


async def test_saving_the_same_again_makes_no_version(pool: db.Pool) -> None:
    await triggers.put(pool, clock, "main", thanks(), by="Ada")

    again = await triggers.put(pool, clock, "main", thanks(), by="Ada")

    assert again.version == 1


async def test_events_that_arrive_while_a_trigger_is_saved_are_taken_once(pool: db.Pool) -> None:
    bodies = [event(session(str(n)), about=client()) for n in range(300)]
    intake = Intake(pool, clock)

    await asyncio.gather(
        *(intake.take_in(bodies[start : start + 20]) for start in range(0, 300, 20)),
        triggers.put(pool, clock, "main", thanks(), by="Ada"),
    )

    found = await states(pool)
    assert len(found) == 300
    assert {state for _, state in found} <= {"baselined", "planned"}


async def test_one_wrong_table_among_many_changes_nothing(pool: db.Pool) -> None:
    tables = [("a.toml", thanks()), ("a.toml", thanks(name="Other", action="telegram"))]

    with pytest.raises(Malformed, match=r"a\.toml .Other., action: 'telegram'; allowed: sms, "):
        await triggers.apply(pool, clock, "main", tables, by="Ada")

    assert await pool.fetchval("SELECT count(*) FROM triggers") == 0


async def test_a_template_that_does_not_exist_is_refused(pool: db.Pool) -> None:
    with pytest.raises(Malformed, match="'thanks' does not exist; known: none is saved yet"):
        await triggers.put(pool, clock, "main", thanks(text=None, template="thanks"), by="Ada")


async def test_templates_that_are_saved_together_are_saved_all_or_none(pool: db.Pool) -> None:
    await templates.put(pool, "main", "words", {"kind": "session", "text": "Hi"}, by="Ada")
    table = {key: value for key, value in thanks(template="words").items() if key != "text"}
    await triggers.put(pool, clock, "main", table, by="Ada")
    bodies = {"first": {"text": "Hi"}, "words": {"kind": "invoice", "text": "Hi"}}

    with pytest.raises(Malformed, match="invoice"):
        await templates.put_all(pool, "main", bodies, by="Ada")

    assert [one.name for one in await templates.every(pool, "main")] == ["words"]


async def test_a_template_for_another_kind_is_refused(pool: db.Pool) -> None:
    await put_template(pool, "main", "due", {"kind": "invoice", "sms": "{{ invoice.balance }} is due"}, by="Ada")

    with pytest.raises(Malformed, match="is for invoice records, the trigger is on session"):
        await triggers.put(pool, clock, "main", thanks(text=None, template="due"), by="Ada")


async def test_an_unknown_field_is_refused_when_saved(pool: db.Pool) -> None:
    with pytest.raises(Malformed, match=r"client\.frist_name"):
        await triggers.put(pool, clock, "main", thanks(text="Hi {{ client.frist_name }}"), by="Ada")


async def test_a_studio_that_does_not_exist_is_named(pool: db.Pool) -> None:
    with pytest.raises(NotFound, match="'nowhere'"):
        await triggers.put(pool, clock, "nowhere", thanks(), by="Ada")


async def test_a_diff_shows_what_would_change_and_changes_nothing(pool: db.Pool) -> None:
    await triggers.put(pool, clock, "main", thanks(activate={"on": "session", "days": -7}), by="Ada")
    await Intake(pool, clock).take_in([event(session(), about=client())])
    edited = thanks(activate={"on": "session", "days": -3}, late="skip")

    found = await trigger_changes.plan(pool, clock, "main", [("a.toml", edited), ("a.toml", thanks(name="New"))])

    assert [(one.name, one.kind, one.effect.total) for one in found] == [("Thanks", "changed", 1), ("New", "new", 0)]
    assert found[0].lines == ("~ activate.days = -7 -> -3", '+ late = "skip"')
    assert await pool.fetchval("SELECT version FROM triggers") == 1


@pytest.mark.parametrize("content", ["[[trigger]\nname=", "days = 1" + 5000 * "0", "days = " + 5000 * "["])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(content)

    with pytest.raises(Malformed, match=r"wrong\.toml: not TOML"):
        trigger_files.read_files([file])


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[[trigger]]\nname = "A"\n[[trigger]]\nname = "B"\n')
    (tmp_path / "b.toml").write_text('[[trigger]]\nname = "C"\n')

    found = trigger_files.read_files([tmp_path])

    assert [(where, table["name"]) for where, table in found] == [("a.toml", "A"), ("a.toml", "B"), ("b.toml", "C")]


async def test_what_is_exported_can_be_applied_again_without_a_difference(pool: db.Pool) -> None:
    await triggers.put(pool, clock, "main", thanks(), by="Ada")

    exported = await triggers.export(pool, "main")

    plan = await trigger_changes.plan(pool, clock, "main", [("x", table) for table in exported])
    assert [one.kind for one in plan] == ["same"]


async def test_a_save_and_its_preview_say_how_many_records_they_have_looked_through(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigger_sweep, "PAGE", 2)
    await Intake(pool, clock).take_in([event(session(str(n)), about=client()) for n in range(5)])
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))

    await trigger_changes.preview(pool, clock, "main", thanks(), progress=progress)
    previewed, seen[:] = list(seen), []
    await triggers.put(pool, clock, "main", thanks(), by="Ada", progress=progress)

    assert previewed == seen == [(2, 5), (4, 5), (5, 5)]


async def test_full_pages_end_with_all_records_looked_through_too(
    pool: db.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigger_sweep, "PAGE", 2)
    await Intake(pool, clock).take_in([event(session(str(n)), about=client()) for n in range(4)])
    seen: list[tuple[int, int]] = []

    await triggers.put(pool, clock, "main", thanks(), by="Ada", progress=lambda done, total: seen.append((done, total)))

    assert seen[-1] == (4, 4)
