"""A studio's catalogue: told by the CRM, replaced by a person, added to by records, asked when a trigger is saved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count, permutations
from typing import Any

import pytest

from control_center.domain.errors import Malformed, NotFound
from control_center.domain.studio_catalog import Catalog, parse
from control_center.engine import catalogs, explain, trigger_changes, triggers
from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.engine.trigger_files import Mistakes
from control_center.store import db
from control_center.store.catalogs import ADD_SEEN
from control_center.store.catalogs import users as users_of
from tests.support.crm import client, event, session
from tests.support.rows import a_studio

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
BOOKED = {"kind": "session", "name": "Booked"}
INQUIRY = {"kind": "session", "name": "Inquiry"}

_numbers = count(1)


def clock() -> datetime:
    return NOW


def told(*, time: str = "2026-11-21T16:04:06Z", studio: str = "main", **sections: Any) -> bytes:
    """What the CRM tells of its catalogue."""
    body = {
        "specversion": "1.0",
        "id": f"catalog-{next(_numbers)}",
        "source": "/crm/main",
        "type": "crm.catalog",
        "time": time,
        "studio": studio,
        "data": sections,
    }
    return json.dumps(body).encode()


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


@pytest.fixture
def intake(pool: db.Pool) -> Intake:
    return Intake(pool, clock)


async def catalog(pool: db.Pool, studio: str = "main") -> Catalog:
    return await catalogs.read(pool, studio)


async def statuses(pool: db.Pool) -> list[str]:
    return [one.name for one in (await catalog(pool)).statuses or ()]


async def save(pool: db.Pool, **keys: Any) -> None:
    await triggers.put(pool, clock, "main", thanks(**keys), by="Ada")


# Told by the CRM --------------------------------------------------------------------------------------------


async def test_what_the_crm_tells_is_stored_in_its_order(pool: db.Pool, intake: Intake) -> None:
    sections: dict[str, Any] = {
        "statuses": [
            {**INQUIRY, "type": None, "initial": True, "final": False, "submit": False},
            {"kind": "web_form", "type": None, "name": "Sent", "initial": False, "final": False, "submit": True},
            {**BOOKED, "type": "Wedding", "initial": False, "final": True, "submit": False},
            {**BOOKED, "type": "Album", "initial": False, "final": False, "submit": False},
        ],
        "types": [{"kind": "session", "name": "Wedding"}, {"kind": "session", "name": "Album"}],
        "relationships": ["Mother", "Father"],
        "departments": ["Lab"],
        "users": [
            {"name": "Ada", "email": "a@studio.example", "phone": "+13125550123", "roles": ["editor"], "active": True},
            {"name": "Ada", "email": "b@studio.example", "phone": None, "roles": [], "active": False},
        ],
        "referral_programs": ["Spring"],
        "forms": ["Contact Us"],
    }

    taken = await intake.take_in([told(**sections)])

    assert len(taken.new) == 1
    assert await catalog(pool) == parse(sections)
    assert await pool.fetchval("SELECT verdict FROM events") == "taken"


async def test_a_section_that_is_named_is_replaced_and_the_others_stay(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in([told(statuses=[BOOKED, INQUIRY], forms=["Contact Us"], departments=["Lab"])])

    await intake.take_in([told(statuses=[INQUIRY], departments=[])])

    found = await catalog(pool)
    assert (await statuses(pool), found.forms, found.departments) == (["Inquiry"], ("Contact Us",), ())


async def test_a_catalog_event_that_comes_again_changes_nothing(pool: db.Pool, intake: Intake) -> None:
    body = told(statuses=[BOOKED])
    await intake.take_in([body])
    await intake.take_in([told(statuses=[INQUIRY])])

    again = await intake.take_in([body, body])

    assert (len(again.new), len(again.duplicates)) == (0, 2)
    assert await statuses(pool) == ["Inquiry"]


async def test_an_older_catalog_never_replaces_a_newer_one_in_whatever_order_they_come(
    pool: db.Pool, intake: Intake
) -> None:
    newer = told(time="2026-11-21T16:00:00Z", statuses=[BOOKED])
    older = told(time="2026-11-20T16:00:00Z", statuses=[INQUIRY], forms=["Contact Us"])
    oldest = told(time="2026-11-19T16:00:00Z", forms=["Quote"])

    await intake.take_in([newer, older])
    await intake.take_in([oldest])

    assert (await statuses(pool), (await catalog(pool)).forms) == (["Booked"], ("Contact Us",))
    verdicts = await pool.fetch("SELECT verdict FROM events ORDER BY time")
    assert [row[0] for row in verdicts] == ["superseded", "taken", "taken"]


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_the_order_of_arrival_makes_no_difference(pool: db.Pool, intake: Intake, order: tuple[int, ...]) -> None:
    sections: tuple[dict[str, Any], ...] = (
        {"forms": ["A"], "departments": ["Lab"]},
        {"forms": ["B"], "relationships": ["Mother"]},
        {"relationships": [], "departments": ["Front desk"]},
        {"forms": ["C"]},
    )
    bodies = [told(time=f"2026-11-1{day}T16:00:00Z", **some) for day, some in enumerate(sections)]

    for number in order:
        await intake.take_in([bodies[number]])

    found = await catalog(pool)
    assert (found.forms, found.relationships, found.departments) == (("C",), (), ("Front desk",))


async def test_a_studio_made_again_learns_its_names_again(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in([event(session())])
    await pool.execute("DELETE FROM studios")
    await a_studio(pool)

    await intake.take_in([event(session("4712"))])

    assert await statuses(pool) == ["Booked"]


async def test_an_event_from_the_future_does_not_silence_those_that_follow(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in([told(time="2036-01-01T00:00:00Z", statuses=[BOOKED])])

    await intake.take_in([told(time="2026-11-21T17:00:00Z", statuses=[INQUIRY])])

    assert await statuses(pool) == ["Inquiry"]


async def test_a_malformed_catalog_is_set_aside_with_its_field_and_costs_its_neighbours_nothing(
    pool: db.Pool, intake: Intake
) -> None:
    wrong = told(statuses=[{"kind": "sesion", "name": "X"}])

    taken = await intake.take_in([wrong, event(session()), told(forms=["A"])])

    assert len(taken.new) == 2
    assert (await catalog(pool)).forms == ("A",)
    dead = await pool.fetch("SELECT field, reason FROM dead_events")
    assert [row["field"] for row in dead] == ["data.statuses[0].kind"]
    assert "'sesion'; allowed: appointment, client," in dead[0]["reason"]


async def test_a_catalog_of_an_unknown_studio_is_set_aside(pool: db.Pool, intake: Intake) -> None:
    taken = await intake.take_in([told(studio="elsewhere", forms=["A"])])

    assert [one.field for one in taken.dead] == ["studio"]


async def test_each_studio_has_a_catalogue_of_its_own(pool: db.Pool, intake: Intake) -> None:
    await a_studio(pool, "north")

    await intake.take_in([told(forms=["A"]), told(studio="north", forms=["B"])])

    assert ((await catalog(pool)).forms, (await catalog(pool, "north")).forms) == (("A",), ("B",))


async def test_a_catalogue_does_not_touch_the_revision_that_decisions_hang_on(pool: db.Pool, intake: Intake) -> None:
    before = await pool.fetchval("SELECT revision FROM studios")

    await intake.take_in([told(statuses=[BOOKED]), event(session(), about=client())])
    await catalogs.replace(pool, "main", parse({"statuses": [INQUIRY]}), by="Ada")

    assert await pool.fetchval("SELECT revision FROM studios") == before


@pytest.mark.parametrize("by_a_person", [False, True])
async def test_who_has_left_is_not_written_to_from_then_on(pool: db.Pool, intake: Intake, *, by_a_person: bool) -> None:
    await triggers.put(pool, clock, "main", thanks(send_to=["all_photographers"]), by="Ada")
    release = Release(pool, clock)
    names = ("Ada", "Ben")
    users = [{"name": name, "active": True} for name in names]
    staff = [{"role": "photographer", "name": one, "phone": f"+1312555012{n}"} for n, one in enumerate(names)]
    await intake.take_in([told(users=users), event(session("s-1", staff=staff), about=client())])
    await release.run_once()
    before = await pool.fetchval("SELECT revision FROM studios")

    gone = [{"name": "Ada", "active": False}, users[1]]
    if by_a_person:
        await catalogs.replace(pool, "main", parse({"users": gone}), by="Ada")
    else:
        await intake.take_in([told(users=gone)])
    await intake.take_in([event(session("s-2", staff=staff), about=client())])
    await release.run_once()
    await catalogs.replace(pool, "main", parse({"users": gone, "statuses": [BOOKED]}), by="Ada")

    rows = await pool.fetch("SELECT record_id, address FROM messages ORDER BY message_id")
    assert [tuple(row) for row in rows] == [
        ("s-1", "+13125550120"),
        ("s-1", "+13125550121"),
        ("s-2", "+13125550121"),
    ]
    reason = await pool.fetchval("SELECT reason FROM actions WHERE record_id = 's-2'")
    assert reason == "inactive: Ada does not work here any more"
    assert await pool.fetchval("SELECT revision FROM studios") == before + 1


async def test_a_name_is_active_while_any_user_of_that_name_is(pool: db.Pool) -> None:
    users = [
        {"name": "Ada", "email": "ada@studio.example", "active": False},
        {"name": "Ada", "email": "ada.b@studio.example"},
        {"name": "Ben", "active": False},
        {"name": "Kim"},
    ]
    await catalogs.replace(pool, "main", parse({"users": users}), by="Ada")

    async with db.session(pool) as connection:
        known = await users_of(connection, "main")
    emails = {name: [one.email for one in found] for name, found in known.items()}
    assert emails == {"Ada": ["ada.b@studio.example"], "Ben": [], "Kim": [None]}


async def test_a_named_user_is_written_to_at_the_number_that_the_catalogue_has_now(
    pool: db.Pool, intake: Intake
) -> None:
    await triggers.put(pool, clock, "main", thanks(send_to=["user:Ada"]), by="Ada")
    for number, record in (("+13125550120", "s-1"), ("+13125550121", "s-2")):
        await intake.take_in([told(users=[{"name": "Ada", "phone": number}])])
        await intake.take_in([event(session(record), about=client())])
        await Release(pool, clock).run_once()

    rows = await pool.fetch("SELECT record_id, address, enrols FROM messages ORDER BY message_id")
    assert [tuple(row) for row in rows] == [("s-1", "+13125550120", None), ("s-2", "+13125550121", None)]


async def test_engines_that_are_told_at_the_same_time_agree(pool: db.Pool) -> None:
    engines = [Intake(pool, clock) for _ in range(4)]
    bodies = [told(time=f"2026-11-21T16:00:{n:02}Z", statuses=[{**BOOKED, "name": f"S{n}"}]) for n in range(12)]

    await asyncio.gather(
        *(engines[n % 4].take_in([body, event(session(str(n), status=f"Seen {n}"))]) for n, body in enumerate(bodies))
    )

    assert (await statuses(pool))[0] == "S11"
    assert await pool.fetchval("SELECT count(*) FROM dead_events") == 0


async def test_a_catalog_event_is_explained(pool: db.Pool, intake: Intake) -> None:
    taken = await intake.take_in([told(statuses=[BOOKED], forms=[])])
    late = await intake.take_in([told(time="2026-01-01T00:00:00Z", statuses=[])])

    told_of = [await explain.explain(pool, clock, "main", one.new[0].event_id) for one in (taken, late)]

    assert "told the catalogue: statuses (1), forms (0)" in told_of[0].sentence
    assert "changed nothing" in told_of[1].sentence


# Replaced by a person ---------------------------------------------------------------------------------------


async def test_a_person_replaces_whatever_the_crm_told_and_the_trail_says_so(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in([told(statuses=[BOOKED])])

    await catalogs.replace(pool, "main", parse({"statuses": [INQUIRY]}), by="Ada")

    assert await statuses(pool) == ["Inquiry"]
    (entry,) = await pool.fetch("SELECT who, resource, before, after FROM audit")
    assert (entry["who"], entry["resource"]) == ("Ada", "studio/main/catalog")
    assert [json.loads(entry[key])["statuses"][0]["name"] for key in ("before", "after")] == ["Booked", "Inquiry"]


async def test_a_studio_that_does_not_exist_has_no_catalogue(pool: db.Pool) -> None:
    with pytest.raises(NotFound, match="'nowhere'"):
        await catalogs.replace(pool, "nowhere", Catalog(forms=("A",)), by="Ada")


# Names that records show ------------------------------------------------------------------------------------


async def test_names_that_records_show_are_added_by_themselves(pool: db.Pool, intake: Intake) -> None:
    family = [{"relationship": "Mother", "first_name": "Kim"}]
    form = {"kind": "web_form", "id": "w", "version": 1, "status": "Sent", "form": {"name": "Contact Us"}}

    await intake.take_in([event(session(), about=client(status="Active", family=family)), event(form)])

    found = await catalog(pool)
    assert {(one.kind, one.type, one.name) for one in found.statuses or ()} == {
        ("client", None, "Active"),
        ("session", None, "Booked"),
        ("web_form", None, "Sent"),
    }
    assert [(one.kind, one.name) for one in found.types or ()] == [("session", "Wedding")]
    assert (found.forms, found.relationships) == (("Contact Us",), ("Mother",))


async def test_a_name_that_the_crm_told_for_one_type_is_not_added_again_for_all(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in([told(statuses=[{**BOOKED, "type": "Album"}])])

    await intake.take_in([event(session())])

    assert [(one.name, one.type) for one in (await catalog(pool)).statuses or ()] == [("Booked", "Album")]


async def test_a_name_that_was_removed_comes_back_when_a_record_shows_it_again(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in([event(session())])
    await catalogs.replace(pool, "main", parse({"statuses": [INQUIRY]}), by="Ada")
    assert await statuses(pool) == ["Inquiry"]

    await intake.take_in([event(session("4712"))])

    assert await statuses(pool) == ["Inquiry", "Booked"]


async def test_a_name_shown_beside_a_catalogue_without_it_is_added(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in([event(session())])

    await intake.take_in([told(statuses=[INQUIRY]), event(session("4712"))])

    assert await statuses(pool) == ["Inquiry", "Booked"]


async def test_two_engines_that_see_the_same_new_names_add_them_once(pool: db.Pool) -> None:
    engines = [Intake(pool, clock) for _ in range(6)]
    bodies = [event(session(str(n), status=f"Status {n % 5}", type=f"Type {n % 3}")) for n in range(60)]

    await asyncio.gather(*(engine.take_in(bodies[n::6]) for n, engine in enumerate(engines)))

    assert sorted(await statuses(pool)) == [f"Status {n}" for n in range(5)]


async def test_a_batch_that_fails_leaves_its_names_to_the_next(pool: db.Pool, intake: Intake) -> None:
    await pool.execute("""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'away' USING errcode = '57P01'; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON catalog_entries FOR EACH ROW EXECUTE FUNCTION fail()""")
    with pytest.raises(db.AWAY):
        await intake.take_in([event(session())])
    await pool.execute("DROP TRIGGER fail ON catalog_entries")

    await intake.take_in([event(session())])

    assert await statuses(pool) == ["Booked"]


async def test_a_crm_that_makes_names_up_fills_the_catalogue_only_so_far(
    pool: db.Pool, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogs, "MOST_SEEN", 20)

    for n in range(100):
        await intake.take_in([event(session(str(n), status=f"Number {n}"))])

    assert len(await statuses(pool)) < 25


@pytest.fixture
async def asked(pool: db.Pool, database_url: str) -> AsyncIterator[tuple[Intake, list[str]]]:
    """An intake on one connection, and every statement that it sends."""
    single = await db.open_hot_pool(database_url, application="test", size=1)
    statements: list[str] = []
    async with single.acquire() as connection:
        connection.add_query_logger(lambda record: statements.append(record.query))
    yield Intake(single, clock), statements
    await single.close()


async def test_a_batch_with_nothing_new_asks_the_database_nothing_more(asked: tuple[Intake, list[str]]) -> None:
    """The hot path costs what it did before there was a catalogue."""
    intake, statements = asked
    await intake.take_in([event(session("1", client="c-1"), about=client("c-1"))])
    first, statements[:] = list(statements), []

    await intake.take_in([event(session(str(n), client=f"c-{n}"), about=client(f"c-{n}")) for n in range(2, 252)])
    many, statements[:] = list(statements), []
    await intake.take_in([event(session("2", version=2, client="c-2", status="Delivered"), "status_changed")])
    new_name = list(statements)

    assert ADD_SEEN in first
    assert not [one for one in many if "catalog_entries" in one or "catalog_sections" in one]
    assert [one for one in new_name if one not in many] == [ADD_SEEN]


# Asked when a trigger is saved ------------------------------------------------------------------------------


async def test_a_trigger_that_names_an_unknown_status_is_refused_with_the_nearest(
    pool: db.Pool, intake: Intake
) -> None:
    await intake.take_in([told(statuses=[BOOKED, INQUIRY])])

    with pytest.raises(Malformed) as caught:
        await save(pool, status="Bookd")

    assert caught.value.field == 'trigger "Thanks", status'
    assert caught.value.reason == "'Bookd' is not a status of session records that this studio has; nearest: 'Booked'"
    assert await pool.fetchval("SELECT count(*) FROM triggers") == 0


async def test_a_trigger_that_names_an_unknown_type_is_refused(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in([event(session())])

    with pytest.raises(Malformed, match=r"type: 'Weding' is not a type of session records .* nearest: 'Wedding'"):
        await save(pool, type="Weding")


async def test_a_trigger_that_writes_to_an_unknown_relationship_is_refused(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in([told(relationships=["Mother"])])

    with pytest.raises(Malformed, match="send_to: 'Mothr' is not a relationship"):
        await save(pool, send_to=["family:Mothr"])


async def test_a_call_for_somebody_unknown_is_refused(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in([told(users=[{"name": "Ada"}], departments=["Lab"])])

    with pytest.raises(Malformed, match=r"call\.assign: 'Adda' is not a user or department .* nearest: 'Ada'"):
        await save(pool, action="call", text=None, call={"assign": "Adda"})


async def test_while_a_kind_has_no_entry_at_all_a_trigger_is_accepted_with_a_warning(
    pool: db.Pool, intake: Intake
) -> None:
    await intake.take_in([told(statuses=[{"kind": "invoice", "name": "Sent"}])])

    shown = await trigger_changes.preview(pool, clock, "main", thanks())
    await save(pool)

    says = "status: 'Booked' cannot be checked: the studio's catalogue has no status of session records yet"
    assert says in shown.warnings
    assert await pool.fetchval("SELECT count(*) FROM triggers") == 1


async def test_a_preview_refuses_what_saving_would_refuse_all_of_it_at_once(pool: db.Pool, intake: Intake) -> None:
    await intake.take_in([told(statuses=[INQUIRY])])

    await intake.take_in([told(types=[{"kind": "session", "name": "Album"}])])

    with pytest.raises(
        Mistakes, match=r"a\.toml .Thanks., status: 'Booked' is not a status .* \(and 1 more\)"
    ) as caught:
        await trigger_changes.plan(pool, clock, "main", [("a.toml", thanks(type="Wedding"))])

    assert [one.field for one in caught.value.all] == ['a.toml "Thanks", status', 'a.toml "Thanks", type']


async def test_a_trigger_whose_status_has_gone_can_be_switched_off_and_not_on_again(
    pool: db.Pool, intake: Intake
) -> None:
    await save(pool)
    await intake.take_in([told(statuses=[INQUIRY])])

    await save(pool)  # as it is: nothing to refuse
    await triggers.switch(pool, clock, "main", "Thanks", on=False, by="Ada")

    assert await pool.fetchval("SELECT enabled FROM triggers") is False
    with pytest.raises(Malformed, match="'Booked' is not a status"):
        await triggers.switch(pool, clock, "main", "Thanks", on=True, by="Ada")


async def test_saved_triggers_whose_names_have_gone_or_whose_user_has_left_are_told(
    pool: db.Pool, intake: Intake
) -> None:
    await save(pool)
    await save(pool, name="Call", status=None, action="call", text=None, call={"assign": "Ben"})
    await save(pool, name="Fine", status="Inquiry")
    users = [{"name": "Ben", "active": False}]
    await intake.take_in([told(statuses=[INQUIRY], users=users, departments=["Lab"])])

    async with db.session(pool) as connection:
        found = await catalogs.complaints(connection, "main")

    assert [(name, one.field) for name, one in found] == [("Call", "call.assign"), ("Thanks", "status")]
