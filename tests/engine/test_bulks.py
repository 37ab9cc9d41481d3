"""Bulk: a frozen list that a person reviews, let into the queue as fast as its number takes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from control_center.domain.bulk import Audience, State, parse
from control_center.domain.consent import Purpose, Said
from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.links import Links
from control_center.engine import bulks, consenting, hub
from control_center.engine.bulks import Wish
from control_center.engine.explain import explain
from control_center.engine.following import Following, Shown
from control_center.engine.pump import LEAD, REST, WINDOW, Pump
from control_center.engine.review_list import Miscounted
from control_center.store import db, expiry, views_bulks
from control_center.store.bulks import Bulk
from control_center.store.consents import Saying
from control_center.store.views_messages import Filter
from tests.support.rows import a_client, a_message, a_record, a_studio

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 12:00 in Chicago
OURS = "+13125550100"
LINKS = Links("https://control.studio.example", b"a key that nobody else has, really")
OFFER = {"kind": "any", "purpose": "marketing", "sms": "Hello {{ client.first_name }}, our spring offer is here."}
ALLOWED = {"sms": True, "email": True}
SUBMITTING = """
UPDATE messages SET state = 'submitting', lease_token = 1, lease_owner = $1, lease_until = now() + interval '1 hour'"""
THROTTLED = "UPDATE messages SET state = 'queued', reason = '429', lease_owner = NULL, lease_until = NULL"


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test", size=6)
    await a_studio(opened)
    await a_template(opened)
    yield opened
    await opened.close()


async def a_template(pool: db.Pool, name: str = "offer", **parts: Any) -> None:
    body = msgspec.json.encode({**OFFER, **parts}).decode()
    await pool.execute("INSERT INTO templates (studio_id, name, body) VALUES ('main', $1, $2)", name, body)


async def people(pool: db.Pool, count: int, **body: Any) -> None:
    for n in range(count):
        given: dict[str, Any] = {"allow_marketing": ALLOWED, **body}
        given.setdefault("phones", [{"number": f"+1312555{n:04}", "sms": True}])
        await a_client(pool, f"c-{n:03}", **given)


async def limits(pool: db.Pool, **number: Any) -> None:
    settings = {"sms": {"account": "default", "numbers": [OURS], "limits": {"number": number}}}
    await pool.execute(
        "UPDATE studios SET settings = $1, revision = revision + 1", msgspec.json.encode(settings).decode()
    )


async def made(pool: db.Pool, clock: Clock, audience: Audience | None = None, **wish: Any) -> Bulk:
    wanted = Wish(audience or Audience("client"), wish.pop("template", "offer"), **wish)
    return await bulks.create(pool, clock, "main", wanted, by="Ada")


async def begun(pool: db.Pool, clock: Clock, **wish: Any) -> Bulk:
    one = await made(pool, clock, **wish)
    listed = (await progress(pool, one)).listed
    return await bulks.start(pool, clock, "main", one.bulk_id, expect=listed, by="Ada")


async def progress(pool: db.Pool, one: Bulk) -> views_bulks.Progress:
    return (await shown(pool, one)).progress


async def shown(pool: db.Pool, one: Bulk) -> views_bulks.Bulk:
    async with db.session(pool) as connection:
        found = await views_bulks.bulk(connection, "main", one.bulk_id)
    assert found is not None
    return found


async def listed(pool: db.Pool, one: Bulk) -> list[views_bulks.Listed]:
    async with db.session(pool) as connection:
        return (await views_bulks.recipients(connection, "main", one.bulk_id, limit=200)).items


async def pumped(pool: db.Pool, clock: Clock, **options: Any) -> int:
    """All turns that are due now; how many messages bulk has since."""
    pump = Pump(pool, clock, **options)
    while await pump.run_once():
        pass
    count: int = await pool.fetchval("SELECT count(*) FROM messages WHERE origin = 'bulk'")
    return count


async def left(pool: db.Pool) -> None:
    """Whatever is queued is handed over."""
    await pool.execute("UPDATE messages SET state = 'accepted', sent_at = now() WHERE state = 'queued'")


# The list ------------------------------------------------------------------------------------------------------


async def test_a_list_has_everybody_whom_the_filter_finds_and_says_why_the_rest_is_not_on_it(
    pool: db.Pool, clock: Clock
) -> None:
    await a_client(pool, "c-1", allow_marketing=ALLOWED, phones=[{"number": "(312) 555-0101", "sms": True}])
    await a_client(pool, "c-2", allow_marketing=None, phones=[{"number": "+13125550102", "sms": True}])
    await a_client(pool, "c-3", allow_marketing=ALLOWED, phones=[{"number": "+13125550103", "sms": False}])
    await a_client(pool, "c-4", allow_marketing=ALLOWED, phones=[{"number": "312 555 0101", "sms": True}])
    await a_client(pool, "c-5", allow_marketing=ALLOWED, phones=[{"number": "+13125550105", "sms": True}])
    await a_client(pool, "c-6", allow_marketing=ALLOWED, status="Former")
    async with db.transaction(pool) as tx:
        stop = Saying("main", "sms", "+13125550105", Said.STOP, "reply", "STOP", Purpose.MARKETING)
        await consenting.say(tx, stop, NOON)

    one = await made(pool, clock, parse({"status": ["Active"]}))

    assert one.state is State.REVIEW
    assert [(row.client, row.state, row.to, row.reason.partition(":")[0]) for row in await listed(pool, one)] == [
        ("c-1", "listed", "+13125550101", ""),
        ("c-2", "barred", None, "allow marketing"),
        ("c-3", "barred", None, "no route"),
        ("c-4", "barred", None, "one message to each address"),
        ("c-5", "barred", "+13125550105", "opted out"),
    ]
    assert await pumped(pool, clock) == 0


async def test_words_that_have_clients_opt_out_make_no_bulk_and_begin_none(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 2)
    await a_template(pool, "asks", sms="Reply CANCEL to cancel")
    with pytest.raises(Malformed, match="CANCEL") as refused:
        await made(pool, clock, template="asks")
    assert refused.value.field == "template.sms"

    one = await made(pool, clock)
    await pool.execute("UPDATE bulks SET words = $1", msgspec.json.encode({"sms": "Reply CANCEL to cancel"}).decode())
    with pytest.raises(Malformed, match="CANCEL"):
        await bulks.start(pool, clock, "main", one.bulk_id, expect=2, by="Ada")
    assert (await shown(pool, one)).state == "review"


async def test_the_clients_of_records_of_a_kind_are_found_by_status_type_and_tag(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 4)
    await a_record(pool, "session/1", client_id="c-000", fields={"tags": ["album", "vip"]})
    await a_record(pool, "session/2", client_id="c-001", fields={"tags": ["album"]}, type="Portrait")
    await a_record(pool, "session/3", client_id="c-002", fields={"tags": "none"})
    await a_record(pool, "session/4", client_id="c-003", fields={"tags": ["vip"]}, deleted=True)
    audience = parse({"record": "session", "type": "Wedding", "fields": {"tags": ["vip", "gold"]}})

    one = await made(pool, clock, audience)

    assert [(row.record, row.client) for row in await listed(pool, one)] == [("session/1", "c-000")]
    assert (await shown(pool, one)).audience == {
        "record": "session",
        "type": ["Wedding"],
        "fields": {"tags": ["gold", "vip"]},
    }


@pytest.mark.parametrize(
    ("audience", "field"),
    [
        ({"record": "sms"}, "record"),
        ({"record": "invoice", "type": "Wedding"}, "type"),
        ({"status": []}, "status"),
        ({"status": [1]}, "status"),
        ({"group": "Families"}, "group"),
    ],
)
def test_an_audience_that_cannot_be_meant_is_refused_by_name(audience: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(audience)
    assert caught.value.field.endswith(field)


async def test_nobody_and_a_template_of_another_kind_are_refused(pool: db.Pool, clock: Clock) -> None:
    with pytest.raises(Refused, match="nobody"):
        await made(pool, clock)
    await a_template(pool, "of sessions", kind="session")
    with pytest.raises(Malformed, match="is for a session"):
        await made(pool, clock, template="of sessions")
    with pytest.raises(Malformed, match="there is no template"):
        await made(pool, clock, template="gone")
    assert await pool.fetchval("SELECT count(*) FROM bulks") == 0


async def test_a_list_is_frozen_and_so_are_its_words(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 1)
    await begun(pool, clock)
    await a_client(pool, "c-new", allow_marketing=ALLOWED, phones=[{"number": "+13125550999", "sms": True}])
    await pool.execute("UPDATE templates SET body = replace(body, 'spring', 'autumn')")

    assert await pumped(pool, clock) == 1
    row = await pool.fetchrow("SELECT * FROM messages WHERE origin = 'bulk'")
    assert (row["body"], row["address"]) == ("Hello Jo, our spring offer is here.", "+13125550000")
    assert (row["priority"], row["purpose"], row["sender"], row["made_by"]) == (2, "marketing", OURS, "Ada")


async def test_each_message_names_its_bulk_and_is_found_by_it(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 2)
    one = await begun(pool, clock)
    await pumped(pool, clock)
    other = await a_message(pool, origin="person", made_by="Eve")
    for wanted in (Filter(bulk=one.bulk_id), Filter(made_by="Ada")):
        page = await hub.messages(pool, "main", wanted)
        assert [(row.bulk, row.to) for row in page.items] == [("b-1", "+13125550001"), ("b-1", "+13125550000")]
    assert [row.number for row in (await hub.messages(pool, "main", Filter(made_by="Eve"))).items] == [other]
    told = await explain(pool, clock, "main", page.items[0].id)
    assert "one of bulk b-1, which Ada made" in str(told)


async def test_it_is_done_when_the_last_has_left_and_not_before(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 2)
    one = await begun(pool, clock)
    assert await pumped(pool, clock) == 2
    found = await shown(pool, one)
    assert (found.state, found.reason) == ("running", "2 of its messages still wait")
    await left(pool)
    clock.now += REST
    await pumped(pool, clock)
    assert (await shown(pool, one)).state == "done"


async def test_it_is_not_done_while_its_last_message_is_with_a_provider_that_may_yet_refuse_it(
    pool: db.Pool, clock: Clock
) -> None:
    await people(pool, 2)
    one = await begun(pool, clock)
    await pumped(pool, clock)
    await pool.execute(SUBMITTING, uuid4())
    clock.now += REST
    await pumped(pool, clock)
    found = await shown(pool, one)
    assert (found.state, found.reason) == ("running", "2 of its messages still wait")

    await pool.execute(THROTTLED)
    await bulks.cancel(pool, clock, "main", one.bulk_id, by="Ada")
    assert (await progress(pool, one)).messages == {"cancelled": 2}


# Review --------------------------------------------------------------------------------------------------------


async def test_who_is_unticked_gets_nothing_and_may_be_ticked_again(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 3)
    one = await made(pool, clock)
    await bulks.tick(pool, "main", one.bulk_id, [1, 2], by="Ada")
    await bulks.tick(pool, "main", one.bulk_id, [2], on=True, by="Ada")
    with pytest.raises(NotFound):
        await bulks.tick(pool, "main", one.bulk_id, [9], by="Ada")

    with pytest.raises(Miscounted):
        await bulks.start(pool, clock, "main", one.bulk_id, expect=3, by="Ada")
    assert await pumped(pool, clock) == 0
    await bulks.start(pool, clock, "main", one.bulk_id, expect=2, by="Ada")
    assert await pumped(pool, clock) == 2

    assert [row.state for row in await listed(pool, one)] == ["unticked", "released", "released"]
    with pytest.raises(Refused):
        await bulks.tick(pool, "main", one.bulk_id, [1], on=True, by="Ada")
    with pytest.raises(Refused):
        await bulks.start(pool, clock, "main", one.bulk_id, expect=2, by="Ada")


async def test_a_right_guess_lets_it_go_at_once_and_a_wrong_one_leaves_it_for_review(
    pool: db.Pool, clock: Clock
) -> None:
    await people(pool, 3)
    assert (await made(pool, clock, expect=4)).state is State.REVIEW
    assert (await made(pool, clock, expect=3)).state is State.SCHEDULED
    assert await pumped(pool, clock) == 3


async def test_it_begins_when_it_was_told_to(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 2)
    await begun(pool, clock, start_at=NOON + timedelta(hours=3))
    assert await pumped(pool, clock) == 0
    clock.now = NOON + timedelta(hours=3)
    assert await pumped(pool, clock) == 2


# Release -------------------------------------------------------------------------------------------------------


async def test_no_more_is_released_than_the_number_takes(pool: db.Pool, clock: Clock) -> None:
    await limits(pool, per_second=1)
    await people(pool, 40)
    one = await begun(pool, clock)
    lead = int(LEAD.total_seconds())

    assert await pumped(pool, clock) == lead
    clock.now += timedelta(seconds=2)
    assert await pumped(pool, clock) == lead  # nothing of it has left: no more goes in
    await left(pool)
    clock.now += timedelta(seconds=2)
    assert await pumped(pool, clock) == 2 * lead
    assert (await shown(pool, one)).state == "running"


async def test_a_number_without_limits_has_a_window(pool: db.Pool, clock: Clock) -> None:
    await people(pool, WINDOW + 10)
    await begun(pool, clock)
    assert await pumped(pool, clock) == WINDOW
    await left(pool)
    clock.now += timedelta(seconds=1)
    assert await pumped(pool, clock) == WINDOW + 10


async def test_what_a_day_leaves_to_bulk_is_less_than_the_day(pool: db.Pool, clock: Clock) -> None:
    await limits(pool, per_day=10)
    await people(pool, 12)
    one = await begun(pool, clock)
    assert await pumped(pool, clock) == 8
    await left(pool)
    today = NOON.date()
    await pool.execute("INSERT INTO senders (studio_id, number, day, used) VALUES ('main', $1, $2, 8)", OURS, today)
    clock.now += timedelta(minutes=10)
    assert await pumped(pool, clock) == 8
    assert (await shown(pool, one)).reason == f"limit: the day of {OURS} is full"
    clock.now = NOON + timedelta(days=1)
    assert await pumped(pool, clock) == 12


async def test_a_blackout_day_keeps_it_and_it_goes_on_behind_it(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 2)
    one = await begun(pool, clock)
    await pool.execute(
        "INSERT INTO blackouts (studio_id, name, first_day, last_day) VALUES ('main', 'Inventory', $1, $1)", NOON.date()
    )
    await pool.execute("UPDATE studios SET revision = revision + 1")
    assert await pumped(pool, clock) == 0
    assert (await shown(pool, one)).reason == "blackout day (Inventory)"
    clock.now = NOON + timedelta(days=1)
    assert await pumped(pool, clock) == 2


async def test_who_has_night_where_they_are_waits_on_the_list_and_holds_up_nobody(pool: db.Pool, clock: Clock) -> None:
    await limits(pool, per_second=1)
    for n in range(20):
        await a_client(
            pool, f"a-{n}", allow_marketing=ALLOWED, phones=[{"number": f"+1808555{n:04}", "sms": True}]
        )  # Hawaii, where it is 08:00
    await people(pool, 2)
    one = await begun(pool, clock)

    assert await pumped(pool, clock) == 2

    waiting = [row.reason for row in await listed(pool, one) if row.state == "listed"]
    assert len(waiting) == 20
    assert all("quiet hours" in reason for reason in waiting)
    await left(pool)
    clock.now = NOON + timedelta(hours=3)
    assert await pumped(pool, clock) > 2


async def test_of_several_numbers_each_is_texted_from_the_one_they_know(pool: db.Pool, clock: Clock) -> None:
    numbers = [OURS, "+13125550101"]
    settings = msgspec.json.encode({"sms": {"account": "default", "numbers": numbers}}).decode()
    await pool.execute("UPDATE studios SET settings = $1, numbers = $2, revision = revision + 1", settings, numbers)
    await people(pool, 30)
    for n, sender in ((4, numbers[1]), (5, numbers[0])):
        await a_message(pool, address=f"+1312555{n:04}", sender=sender, state="accepted")
    await begun(pool, clock)

    assert await pumped(pool, clock) == 30

    query = "SELECT address, sender FROM messages WHERE origin = 'bulk'"
    used = {row["address"]: row["sender"] for row in await pool.fetch(query)}
    assert (used["+13125550004"], used["+13125550005"]) == (numbers[1], numbers[0])
    assert set(used.values()) == set(numbers)


async def test_who_has_changed_their_mind_since_is_not_written_to(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 4)
    one = await begun(pool, clock)
    async with db.transaction(pool) as tx:
        await consenting.say(tx, Saying("main", "sms", "+13125550000", Said.STOP, "reply", "STOP"), NOON)
    body = "UPDATE records SET body = replace(body, $2, $3) WHERE record_id = $1"
    await pool.execute(body, "c-001", '"sms":true,"email":true', '"sms":false,"email":true')
    await pool.execute(body, "c-002", "+13125550002", "+13125550777")
    await pool.execute("UPDATE records SET deleted = true WHERE record_id = 'c-003'")

    assert await pumped(pool, clock) == 0
    assert [(row.state, row.reason.partition(":")[0]) for row in await listed(pool, one)] == [
        ("barred", "opted out"),
        ("barred", "allow marketing"),
        ("barred", "no route"),
        ("barred", "deleted"),
    ]
    assert (await shown(pool, one)).state == "done"


async def test_a_missing_value_fails_that_one_visibly(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 1)
    await a_client(
        pool, "c-x", allow_marketing=ALLOWED, first_name=None, phones=[{"number": "+13125550999", "sms": True}]
    )
    one = await begun(pool, clock)
    assert await pumped(pool, clock) == 1
    assert [(row.state, row.reason) for row in await listed(pool, one)] == [
        ("released", ""),
        ("failed", "template: client.first_name"),
    ]


async def test_a_bulk_about_sessions_asks_to_confirm_and_carries_them_for_the_calendar(
    pool: db.Pool, clock: Clock
) -> None:
    await people(pool, 1)
    await a_record(pool, client_id="c-000")
    asks = {"kind": "session", "text": "{{ confirm_link }}", "attachments": ["confirmation"], "sms": None}
    await a_template(pool, "asks", **asks)
    await begun(pool, clock, audience=Audience("session"), template="asks", channel="email")

    await pumped(pool, clock, links=LINKS)

    made = await pool.fetchrow("SELECT * FROM messages WHERE origin = 'bulk'")
    assert made["calendar"]
    view = await Following(pool, clock, LINKS).confirm(made["body"].split()[0].rpartition("/")[2])
    assert view is not None
    assert view.shown is Shown.DONE


async def test_who_is_texted_by_itself_for_the_first_time_is_told_how_to_stop(pool: db.Pool, clock: Clock) -> None:
    settings = {"sms": {"account": "default", "numbers": [OURS], "identify": True}}
    await pool.execute(
        "UPDATE studios SET settings = $1, revision = revision + 1", msgspec.json.encode(settings).decode()
    )
    await people(pool, 2)
    await a_message(pool, state="delivered", address="+13125550001")
    await begun(pool, clock)

    await pumped(pool, clock)

    said = dict(await pool.fetch("SELECT address, body FROM messages WHERE origin = 'bulk'"))
    assert [said[f"+1312555000{n}"].endswith("Reply STOP to opt out.") for n in range(2)] == [True, False]


async def test_a_template_whose_links_lead_nowhere_makes_no_list(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 1)
    await a_template(pool, "asks", kind="any", sms="Will you come? {{ confirm_link }}")

    with pytest.raises(Malformed, match="about a session or an appointment; this list has clients"):
        await made(pool, clock, template="asks")


async def test_more_that_fail_than_the_number_takes_do_not_stop_the_rest(pool: db.Pool, clock: Clock) -> None:
    await limits(pool, per_second=1)
    await people(pool, 8, first_name=None)
    await a_client(pool, "c-9", allow_marketing=ALLOWED, phones=[{"number": "+13125550999", "sms": True}])
    one = await begun(pool, clock)
    assert await pumped(pool, clock) == 1
    found = await progress(pool, one)
    assert (found.failed, found.released) == (8, 1)


async def test_what_is_of_no_use_any_more_is_not_released(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 1)
    one = await begun(pool, clock, lasts=timedelta(hours=1))
    clock.now += timedelta(hours=1)
    assert await pumped(pool, clock) == 0
    assert [row.state for row in await listed(pool, one)] == ["expired"]


async def test_two_pumps_release_each_of_a_list_once(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 60)
    one = await begun(pool, clock)
    await asyncio.gather(*(pumped(pool, clock) for _ in range(4)))
    assert (await progress(pool, one)).released == 60
    assert await pool.fetchval("SELECT count(DISTINCT address) FROM messages") == 60
    assert await pool.fetchval("SELECT count(*) FROM messages") == 60


# Stopping ------------------------------------------------------------------------------------------------------


async def test_a_pause_holds_what_has_not_left_and_a_resume_lets_it_go_on(pool: db.Pool, clock: Clock) -> None:
    await limits(pool, per_second=1)
    await people(pool, 20)
    one = await begun(pool, clock)
    released = await pumped(pool, clock)
    first = "SELECT min(message_id) FROM messages"
    await pool.execute(f"UPDATE messages SET state = 'accepted', sent_at = now() WHERE message_id = ({first})")

    assert (await bulks.pause(pool, clock, "main", one.bulk_id, by="Ada")).state is State.PAUSED
    clock.now += timedelta(minutes=5)
    assert await pumped(pool, clock) == released
    assert (await progress(pool, one)).messages == {"accepted": 1, "held": released - 1}

    await bulks.resume(pool, clock, "main", one.bulk_id, by="Ada")
    assert (await progress(pool, one)).messages == {"accepted": 1, "queued": released - 1}
    await left(pool)
    assert await pumped(pool, clock) > released


async def test_a_pause_of_days_costs_nobody_their_message(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 2)
    one = await begun(pool, clock)
    assert await pumped(pool, clock) == 2
    await bulks.pause(pool, clock, "main", one.bulk_id, by="Ada")
    async with db.session(pool) as connection:
        assert await expiry.expire_messages(connection, clock.now + timedelta(days=4), limit=9) == []
    await bulks.resume(pool, clock, "main", one.bulk_id, by="Ada")
    soon = "SELECT max(use_by) < now() + interval '50 hours' FROM messages WHERE state = 'queued'"
    assert await pool.fetchval(soon)


async def test_it_leaves_from_what_the_studio_has_when_its_turn_comes(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 2)
    one = await begun(pool, clock)
    for numbers in ([], ["+13125550177"]):
        settings = msgspec.json.encode({"sms": {"account": "other", "numbers": numbers}}).decode()
        await pool.execute("UPDATE studios SET settings = $1, numbers = $2, revision = revision + 1", settings, numbers)
        clock.now += timedelta(minutes=5)
        assert await pumped(pool, clock) == 2 * len(numbers)
        waits = "2 of its messages still wait" if numbers else "the studio has nothing to send from"
        assert (await shown(pool, one)).reason == waits
    rows = await pool.fetch("SELECT DISTINCT account, sender FROM messages")
    assert [tuple(row) for row in rows] == [("sms/other", "+13125550177")]


async def test_a_cancelled_bulk_is_over_for_everybody_who_has_not_had_it(pool: db.Pool, clock: Clock) -> None:
    await limits(pool, per_second=1)
    await people(pool, 20)
    one = await begun(pool, clock)
    released = await pumped(pool, clock)
    await bulks.pause(pool, clock, "main", one.bulk_id, by="Ada")

    await bulks.cancel(pool, clock, "main", one.bulk_id, by="Ada")

    clock.now += timedelta(minutes=5)
    assert await pumped(pool, clock) == released
    found = await progress(pool, one)
    assert (found.cancelled, found.messages) == (20 - released, {"cancelled": released})
    with pytest.raises(Refused):
        await bulks.resume(pool, clock, "main", one.bulk_id, by="Ada")
    trail = await pool.fetch("SELECT verb, who, after FROM audit ORDER BY audit_id")
    assert [tuple(row[:2]) for row in trail] == [("create", "Ada"), *[("change", "Ada")] * 3]
    states = [msgspec.json.decode(row["after"]).get("state") for row in trail]
    assert states == [None, "scheduled", "paused", "cancelled"]


async def test_a_bulk_of_another_studio_is_not_there(pool: db.Pool, clock: Clock) -> None:
    await people(pool, 1)
    one = await made(pool, clock)
    await a_studio(pool, "south")
    for deed in (bulks.pause, bulks.cancel, bulks.resume):
        with pytest.raises(NotFound):
            await deed(pool, clock, "south", one.bulk_id, by="Eve")


async def test_what_a_person_paused_or_an_address_in_doubt_is_not_before_other_bulk(
    pool: db.Pool, clock: Clock
) -> None:
    await limits(pool, per_second=1)
    await people(pool, 3)
    for _ in range(6):
        await a_message(pool, origin="bulk", state="held", reason="may be an opt-out", purpose="marketing")
    await begun(pool, clock)
    assert await pumped(pool, clock) == 6 + 3


async def test_marketing_mail_of_a_studio_without_a_postal_address_is_not_even_listed(pool: db.Pool) -> None:
    await people(pool, 1)
    settings = {"email": {"account": "default", "from": "ada@studio.example"}}
    await pool.execute(
        "UPDATE studios SET settings = $1, revision = revision + 1", msgspec.json.encode(settings).decode()
    )
    await a_template(pool, "news", subject="News", text="Hello")

    with pytest.raises(Refused, match="postal_address"):
        await made(pool, Clock(), template="news", channel="email")
