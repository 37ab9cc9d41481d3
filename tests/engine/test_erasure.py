"""A client is erased: nothing says any more who they were or what was said, and every promise goes on holding."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
import pytest

from control_center.domain.command import Command
from control_center.domain.consent import Purpose, Said
from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.inbound import Inbound
from control_center.domain.links import Links
from control_center.domain.message import Settlement, State
from control_center.domain.outcome import Fate, Receipt
from control_center.domain.signature import Signature
from control_center.domain.wire.incoming_mail import Bounce, Origin
from control_center.engine import erasure, explain, front_desk, proof, replies, returned_mail
from control_center.engine.conversations import Conversations
from control_center.engine.following import Following
from control_center.engine.intake import Intake
from control_center.store import consents, db, doubts, erasures, migrate, submissions, views_audit, views_messages
from control_center.store.rulebooks import Rulebooks
from control_center.store.submissions import Settled
from tests.support.rows import a_client, a_message, a_record, a_studio, a_trigger, now

OURS, NUMBER, MAIL, FAMILY = "+13125550100", "+13125550143", "canary@mail.example", "+13125550157"
ADA: Final = Signature("Ada", "cli")
# Each of these is somewhere in the tables before, and none after; but for the two addresses in the ledger and the like.
WORDS: Final = ("Zanzibarine", "Quillfeather", "Bartholomeus", "gooseberry", "marzipan", "clavichord", "oystercatcher")
NUMBERS: Final = ("13125550143", "(312) 555-0143", "13125550157", "canary@mail.example")
ROWS: Final = "SELECT coalesce(string_agg({row}, E'\\n'), '') FROM public.{table} t"
TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
# Tables in which an address stays, as the page says: what it said, that it takes nothing, and what it had today.
LEDGERS: Final = frozenset({"consents", "dead_numbers", "day_shares"})


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    await a_studio(pool)
    yield pool
    await pool.close()


def client(version: int = 3, client_id: str = "c-77", **body: Any) -> dict[str, Any]:
    return {
        "id": client_id,
        "version": version,
        "first_name": "Zanzibarine",
        "last_name": "Quillfeather",
        "status": "Active",
        "phones": [{"number": "(312) 555-0143", "label": "mobile", "sms": True}],
        "emails": [{"address": MAIL}],
        "family": [
            {
                "relationship": "Spouse",
                "first_name": "Bartholomeus",
                "birthday": "1980-02-03",
                "phones": [{"number": FAMILY, "label": "mobile", "sms": True}],
            }
        ],
        "notes": "gooseberry",
        **body,
    }


def session(version: int = 5, **body: Any) -> dict[str, Any]:
    return {
        "kind": "session",
        "id": "s-1",
        "version": version,
        "client_id": "c-77",
        "type": "Wedding",
        "status": "Booked",
        "status_changed_at": "2026-11-21T16:04:05Z",
        "dates": {"session": "2031-06-12T14:00", "booked": "2026-11-21"},
        "notes": "marzipan",
        **body,
    }


def event(event_id: str, kind: str, *, verb: str = "updated", studio: str = "main", **data: Any) -> bytes:
    about = data["client"] if kind == "client" else data["record"]
    return msgspec.json.encode({
        "specversion": "1.0",
        "id": event_id,
        "source": "/crm",
        "type": f"crm.{kind}.{verb}",
        "subject": f"{kind}/{about['id']}",
        "time": "2026-11-21T16:04:05Z",
        "studio": studio,
        "data": data,
    })  # fmt: skip


EVENTS: Final = [
    event("e-1", "client", client=client(), verb="created"),
    event("e-2", "session", record=session(), client=client(), verb="created"),
    event("e-3", "session", record=session(6, notes="clavichord"), client=client()),
]
SNAPSHOT: Final = msgspec.json.encode({
    "specversion": "1.0", "id": "e-4", "source": "/crm", "type": "crm.snapshot", "time": "2026-11-21T16:04:05Z",
    "studio": "main", "data": {"clients": [client(), client(client_id="c-1", emails=[], phones=[], family=[],
    first_name="Ann", last_name="Other", notes="")], "records": [session(4)]},
})  # fmt: skip


async def a_life(pool: db.Pool) -> dict[str, int]:
    """Everything that can be stored of one client; the ids of their messages by what became of them."""
    trigger = await a_trigger(pool, "Reminder", processing={"mode": "manual"})
    intake = Intake(pool, now, Rulebooks())
    await intake.take_in([*EVENTS, SNAPSHOT])
    await intake.take_in([event("e-3", "session", record=session(6, notes="oystercatcher"), client=client())])
    await intake.take_in([b'{"studio": "main", "data": {"client": {"id": "c-77", "first_name": "Zanzibarine"}}}'])
    about: dict[str, Any] = {
        "record": "session/s-1", "client_id": "c-77", "trigger_id": trigger, "address": NUMBER,
        "recipient": {"role": "client", "name": "Zanzibarine Quillfeather"}, "subject": "marzipan",
    }  # fmt: skip
    ids = {
        state: await a_message(pool, state=state, body="gooseberry", reason=f"to {NUMBER}", **about)
        for state in ("accepted", "delivered", "unknown", "failed", "suppressed")
    }
    for state in ("accepted", "unknown"):
        await pool.execute("UPDATE messages SET provider_id = $2 WHERE message_id = $1", ids[state], f"SM-{state}")
    family = {**about, "address": FAMILY, "recipient": {"role": "family:Spouse", "name": "Bartholomeus"}}
    ids["family"] = await a_message(pool, state="accepted", body="gooseberry", html="<b>marzipan</b>", **family)
    mailed = {**about, "address": MAIL, "channel": "email"}
    ids["mail"] = await a_message(pool, state="accepted", body="gooseberry", html="<b>marzipan</b>", **mailed)
    await pool.execute("UPDATE attempts SET subject = 'marzipan', reason = $1", f"to {NUMBER} of Quillfeather")
    receipt = Receipt(Fate.DELIVERED, f"m-{ids['accepted']}.1", None, None, f"to {NUMBER}")
    await replies.take_receipts(pool, "sms/default", [("r-1", receipt, f"To={NUMBER}&clavichord")])
    early = Receipt(Fate.SENT, None, "SM-not-ours-yet", None, None)
    await replies.take_receipts(pool, "sms/default", [("r-2", early, "To=%2B13125550143")])
    for number, text in enumerate(("clavichord, said the client", "stop")):
        inbound = Inbound(f"SM{number}", None, NUMBER, OURS, text)
        (taken,) = await Conversations(pool, now).take("sms/default", [(inbound, f"From={NUMBER}&Body={text}")])
        assert taken.message_id is not None
        ids[text] = taken.message_id
    await proof.record(
        pool, now, "main", MAIL, says=Said.STOP, purpose=Purpose.MARKETING, evidence="marzipan on the phone", by=ADA
    )
    for state in ("queued", "held"):
        ids[state] = await a_message(pool, state=state, body="gooseberry", reason=f"to {NUMBER}", **about)
    await pool.execute(
        "INSERT INTO answers (studio_id, message_id, meaning, words) VALUES ('main', $1, 'scored', '9'), "
        "('main', $1, 'commented', 'oystercatcher')",
        ids["delivered"],
    )
    await pool.execute(
        "INSERT INTO dead_numbers (studio_id, number, reason, message_id, at) VALUES ('main', $1, '30006', 1, now())",
        FAMILY,
    )
    await pool.execute(
        "INSERT INTO bulks (studio_id, name, state, channel, purpose, audience, template, words, account, sender,"
        " lasts, made_by) VALUES ('main', 'Offer', 'review', 'sms', 'marketing', '{}', 't', '{}', 'sms/default', $1,"
        " '1 day', 'Ada')",
        OURS,
    )
    await pool.execute(
        "INSERT INTO bulk_recipients (studio_id, bulk_id, recipient_id, state, reason, address, kind, record_id,"
        " client_id, name, due_at, message_id) SELECT 'main', max(bulk_id), n, s, 'of Quillfeather', a, 'client',"
        " 'c-77', 'c-77', 'Zanzibarine', now(), CASE WHEN s = 'released' THEN 1 END FROM bulks,"
        " (VALUES (1, 'listed', $1), (2, 'released', $2), (3, 'barred', NULL)) AS l (n, s, a) GROUP BY n, s, a",
        NUMBER,
        FAMILY,
    )
    await pool.execute(
        "INSERT INTO idempotency_keys (studio_id, key, digest, answer) VALUES ('main', 'k', 'd', $1)",
        msgspec.json.encode({"status": 201, "body": {"to": NUMBER, "text": "gooseberry"}, "headers": {}}).decode(),
    )
    await pool.execute(
        "INSERT INTO audit (studio_id, who, via, verb, resource, after) VALUES ('main', 'Ada', 'api', 'send', $1, $2)",
        f"message/m-{ids['accepted']}",
        '{"text": "gooseberry"}',
    )
    return ids


async def everything(pool: db.Pool, *, but: frozenset[str] = frozenset()) -> str:
    """Every row of every table as text, bytes as the letters that they are."""
    found = []
    for row in await pool.fetch(TABLES):
        table = row[0]
        if table not in but:
            shown = "concat_ws('|', encode(body, 'escape'), t::text)" if table == "dead_events" else "t::text"
            found.append(f"[{table}] " + await pool.fetchval(ROWS.format(table=table, row=shown)))
    return "\n".join(found)


def left_of(text: str, canaries: tuple[str, ...]) -> list[str]:
    return [line[:600] for line in text.splitlines() for one in canaries if one.lower() in line.lower()]


async def figures(pool: db.Pool) -> list[Any]:
    """What usage and the reports count."""
    asked = (
        "SELECT 'u', month::text, sum(texts), sum(segments) FROM usage GROUP BY 2",
        "SELECT 's', origin || trigger_id, sum(texts), sum(segments) FROM usage_sources GROUP BY 2",
        "SELECT 'm', channel || origin, count(*), sum(segments) FROM messages GROUP BY 2",
        "SELECT 'c', state, count(*), 0 FROM messages WHERE state NOT IN ('queued', 'held', 'cancelled') GROUP BY 2",
        "SELECT 'a', outcome, count(*), 0 FROM attempts GROUP BY 2",
        "SELECT 'n', words, count(*), 0 FROM answers WHERE meaning = 'scored' GROUP BY 2",
        "SELECT 'e', verdict, count(*), 0 FROM events GROUP BY 2",
        "SELECT 'r', fate, count(*), 0 FROM receipts GROUP BY 2",
        "SELECT 'x', kind, sum(version), 0 FROM records GROUP BY 2",
        "SELECT 'k', says || purpose || address, count(*), 0 FROM consents GROUP BY 2",
    )
    return [tuple(row) for statement in asked for row in await pool.fetch(f"{statement} ORDER BY 2")]


async def test_nothing_of_an_erased_client_is_left_in_any_row(pool: db.Pool) -> None:
    ids = await a_life(pool)
    before, text = await figures(pool), await everything(pool)
    assert [one for one in (*WORDS, *NUMBERS) if one.lower() not in text.lower()] == [], "each canary was stored"

    done = await erasure.erase(pool, "main", "c-77", reason="letter of 3 May", by=ADA)

    assert left_of(await everything(pool), WORDS) == []
    assert left_of(await everything(pool, but=LEDGERS), NUMBERS) == []
    assert await figures(pool) == before
    assert done.cancelled_messages >= 2
    assert done.cancelled_actions >= 1
    assert {kind for kind, rows in done.counts.items() if not rows} == set()
    states = {name: await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", ids[name]) for name in ids}
    assert states["queued"] == states["held"] == "cancelled"
    told = [
        row[0] for row in await pool.fetch("SELECT data FROM commands WHERE state = 'new' AND verb = 'message.failed'")
    ]
    assert {f"m-{ids['queued']}", f"m-{ids['held']}"} <= {msgspec.json.decode(one)["message"] for one in told}
    (entry,) = await pool.fetch("SELECT who, resource, before, after FROM audit WHERE verb = 'erase'")
    assert (entry["who"], entry["resource"]) == ("Ada", "client/c-77")
    assert msgspec.json.decode(entry["before"]) == {"rows": done.counts}
    assert msgspec.json.decode(entry["after"])["reason"] == "letter of 3 May"
    assert await pool.fetchval("SELECT count(*) FROM records WHERE record_id = 'c-1' AND NOT deleted") == 1


async def test_what_comes_again_brings_nothing_back_and_a_newer_version_is_news(pool: db.Pool) -> None:
    await a_life(pool)
    intake = Intake(pool, now, Rulebooks())
    await erasure.erase(pool, "main", "c-77", reason="a letter", by=ADA)
    before = await everything(pool)

    again = await intake.take_in([*EVENTS, SNAPSHOT])
    assert (len(again.new), len(again.duplicates), len(again.dead)) == (0, 4, 0)
    assert await everything(pool) == before

    await pool.execute("DELETE FROM events")  # as it is forgotten after its days
    once_more = await intake.take_in([*EVENTS, SNAPSHOT])
    assert len(once_more.new) == 4
    assert left_of(await everything(pool), WORDS) == []
    assert await pool.fetchval("SELECT bool_and(erased_at IS NOT NULL) FROM records WHERE record_id <> 'c-1'")
    assert await pool.fetchval("SELECT count(*) FROM actions WHERE state IN ('planned', 'review', 'held')") == 0

    told = await intake.take_in([event("e-9", "client", client=client(4))])
    assert len(told.new) == 1
    row = await pool.fetchrow("SELECT body, erased_at, deleted, first_version FROM records WHERE record_id = 'c-77'")
    assert "Zanzibarine" in row["body"]
    assert (row["erased_at"], row["deleted"], row["first_version"]) == (None, False, 4)


async def test_a_stop_holds_for_whoever_has_the_number_next(pool: db.Pool) -> None:
    await a_life(pool)
    await erasure.erase(pool, "main", "c-77", reason="a letter", by=ADA)

    await Intake(pool, now, Rulebooks()).take_in([event("e-9", "client", client=client(1, "c-78"))])
    async with db.session(pool) as connection:
        keys = [("main", "sms", NUMBER), ("main", "email", MAIL)]
        found = await consents.standings(connection, keys)
    assert found["main", "sms", NUMBER].stopped
    assert found["main", "email", MAIL].no_marketing
    known = await proof.read(pool, "main", NUMBER)
    assert known.standing.stopped
    assert {one.evidence for one in known.said} == {""}
    assert (await proof.read(pool, "main", FAMILY)).standing.dead == "30006"


async def test_a_preview_counts_the_same_and_changes_nothing_and_a_second_time_does_nothing(pool: db.Pool) -> None:
    await a_life(pool)
    before = await everything(pool)

    foreseen = await erasure.preview(pool, "main", "c-77", by=ADA)
    assert await everything(pool) == before
    done = await erasure.erase(pool, "main", "c-77", reason="a letter", by=ADA)
    assert (foreseen.counts, foreseen.cancelled_messages) == (done.counts, done.cancelled_messages)

    after = await everything(pool)
    again = await erasure.erase(pool, "main", "c-77", reason="a letter", by=ADA)
    assert again.rows == 0
    assert await everything(pool) == after


async def test_the_same_client_of_another_studio_is_somebody_else(pool: db.Pool) -> None:
    await a_life(pool)
    await a_studio(pool, "south")
    await a_client(pool, "c-77", studio="south", first_name="Zanzibarine", reach=[NUMBER])
    await a_record(pool, "session/s-1", studio="south", client_id="c-77")
    message = await a_message(
        pool, studio="south", record="session/s-1", client_id="c-77", address=NUMBER, state="accepted", body="marzipan"
    )
    await proof.record(
        pool, now, "south", NUMBER, says=Said.STOP, purpose=Purpose.ALL, evidence="marzipan", by=ADA
    )  # fmt: skip
    await pool.execute(
        "INSERT INTO dead_events (body, field, reason) VALUES ($1, 'x', 'y')",
        b'{"studio": "south", "data": {"client": {"id": "c-77"}}}',
    )
    south = "SELECT string_agg(t::text, '|' ORDER BY t::text) FROM {} t WHERE studio_id = 'south'"
    tables = ("records", "messages", "attempts", "consents", "commands", "audit", "actions")
    before = [await pool.fetchval(south.format(table)) for table in tables]

    await erasure.erase(pool, "main", "c-77", reason="a letter", by=ADA)

    assert [await pool.fetchval(south.format(table)) for table in tables] == before
    assert await pool.fetchval("SELECT address FROM messages WHERE message_id = $1", message) == NUMBER
    assert await pool.fetchval("SELECT count(*) FROM dead_events WHERE body <> ''") == 1


@pytest.mark.parametrize("state", ["claimed", "submitting"])
async def test_nothing_is_done_while_anything_of_theirs_is_in_somebodys_hands(pool: db.Pool, state: str) -> None:
    await a_client(pool)
    await a_record(pool)
    await a_message(pool, state="queued")
    message = await a_message(pool, state=state)
    before = await everything(pool)

    for deed in (
        erasure.preview(pool, "main", "c-12", by=ADA),
        erasure.erase(pool, "main", "c-12", reason="x", by=ADA),
    ):
        with pytest.raises(Refused, match=f"m-{message} is being sent at this moment; come again in a minute"):
            await deed
    assert await everything(pool) == before


async def test_an_id_that_names_nobody_and_no_reason_are_refused(pool: db.Pool) -> None:
    await a_client(pool)
    with pytest.raises(NotFound, match="there is no client 'c-13' in studio 'main'"):
        await erasure.erase(pool, "main", "c-13", reason="a letter", by=ADA)
    with pytest.raises(Malformed, match="reason"):
        await erasure.erase(pool, "main", "c-12", reason="  ", by=ADA)


async def test_a_late_receipt_is_a_fact_without_a_person(pool: db.Pool) -> None:
    ids = await a_life(pool)
    await erasure.erase(pool, "main", "c-77", reason="a letter", by=ADA)

    settled = Receipt(Fate.DELIVERED, f"m-{ids['unknown']}.1", "SM-unknown", "21610", f"to {NUMBER}", opted_out=True)
    failed = Receipt(Fate.UNDELIVERED, f"m-{ids['family']}.1", None, "30003", f"to {FAMILY}", dead=True)
    came = [("late-1", settled, f"To={NUMBER}"), ("late-2", failed, f"To={FAMILY}")]
    await replies.take_receipts(pool, "sms/default", came)

    states = [
        await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", ids[one])
        for one in ("unknown", "family")
    ]
    assert states == ["delivered", "undelivered"]
    assert left_of(await everything(pool, but=LEDGERS), (*WORDS, *NUMBERS)) == []
    assert await pool.fetchval("SELECT count(*) FROM consents WHERE address LIKE 'erased%'") == 0
    assert await pool.fetchval("SELECT count(*) FROM dead_numbers WHERE number LIKE 'erased%'") == 0


async def test_lists_and_explanations_meet_what_was_erased(pool: db.Pool) -> None:
    ids = await a_life(pool)
    await erasure.erase(pool, "main", "c-77", reason="a letter", by=ADA)

    async with db.session(pool) as connection:
        page = await views_messages.messages(connection, "main")
        shown = {one.number: one for one in page.items}
        trail = await views_audit.audit(connection, ["main"], views_audit.Filter())
    assert {shown[number].to for number in ids.values() if shown[number].direction == "out"} == {
        f"erased-{number}" for number in ids.values() if shown[number].direction == "out"
    }
    assert {shown[number].text for number in ids.values()} <= {"", None}
    assert {one.after for one in trail.items if one.verb != "erase"} == {"erased"}
    found = [await explain.explain_pair(pool, now, "main", "Reminder", "session/s-1")]
    found += [
        await explain.explain(pool, now, "main", one) for one in ("e-2", *(f"m-{number}" for number in ids.values()))
    ]
    assert left_of(str(found), (*WORDS, *NUMBERS)) == []
    assert "erased" in str(found[1])
    await front_desk.mark_read(pool, "main", [ids["stop"]], is_read=True)


async def test_what_rides_along_or_waits_to_be_read_keeps_everything_as_it_is(pool: db.Pool) -> None:
    await a_client(pool, reach=["+13125550188"])
    carrier = await a_message(pool, state="submitting", client_id="c-2", record="session/2")
    rider = await a_message(pool, state="held", rides_with=carrier, record="session/3")
    with pytest.raises(Refused, match=f"m-{carrier}, m-{rider} is being sent"):
        await erasure.erase(pool, "main", "c-12", reason="x", by=ADA)
    await pool.execute(
        "UPDATE messages SET state = 'accepted', sent_at = now(), lease_owner = NULL, lease_until = NULL"
    )
    await pool.execute(
        "INSERT INTO arrivals (studio_id, account, known_by, sender, receiver, body, waiting)"
        " VALUES ('', 'sms/default', 'k', '+13125550188', $1, '{}', true)",
        OURS,
    )
    with pytest.raises(Refused, match="is being read"):
        await erasure.erase(pool, "main", "c-12", reason="x", by=ADA)
    assert await pool.fetchval("SELECT count(*) FROM messages WHERE erased_at IS NOT NULL") == 0
    await pool.execute("DELETE FROM arrivals")
    await pool.execute("UPDATE attempts SET body = 'Zanzibarine and another', carries = ARRAY[$1::bigint]", rider)

    await erasure.erase(pool, "main", "c-12", reason="x", by=ADA)

    assert await pool.fetchval("SELECT body FROM attempts WHERE message_id = $1", carrier) == "erased"
    assert await pool.fetchval("SELECT address FROM messages WHERE message_id = $1", carrier) == "+13125550188"


async def test_an_id_that_is_somebody_elses_word_empties_nothing_of_theirs(pool: db.Pool) -> None:
    await a_client(pool, "12")
    await pool.execute(
        "INSERT INTO dead_events (body, field, reason) VALUES ($1, 'type', 'y')",
        b'{"studio": "main", "id": "12", "data": {"client": {"id": "13", "rank": "12"}}}',
    )
    await pool.execute(
        "INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data)"
        """ VALUES ('main', 'x', 'client/13', 'create_call', 1, '{"priority":"12","client":"13"}')"""
    )
    await pool.execute(
        "INSERT INTO audit (studio_id, who, via, verb, resource, after)"
        """ VALUES ('main', 'Ada', 'api', 'change', 'trigger/1', '{"days":"12"}')"""
    )

    done = await erasure.erase(pool, "main", "12", reason="x", by=ADA)

    assert {kind for kind, rows in done.counts.items() if rows} == {"records"}


async def test_a_link_or_bounce_of_an_erased_mail_leads_to_nobody(pool: db.Pool) -> None:
    ids = await a_life(pool)
    await erasure.erase(pool, "main", "c-77", reason="x", by=ADA)
    origin = Origin(attempt=f"m-{ids['mail']}.1")

    await returned_mail.bounced(
        pool, "email/default", Bounce("mail 1", origin, "5.1.1", MAIL, MAIL, (), MAIL), MAIL, now()
    )
    await returned_mail.bounced(
        pool, "email/default", Bounce("mail 2", origin, None, MAIL, MAIL, (), MAIL), MAIL, now()
    )

    assert await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", ids["mail"]) == "undelivered"
    assert left_of(await everything(pool, but=LEDGERS), (*WORDS, *NUMBERS)) == []
    assert await pool.fetchval("SELECT count(*) FROM consents WHERE address LIKE 'erased%'") == 0
    links = Links("https://studio.example", b"a key that is long enough for one")
    token = links.unsubscribe(ids["mail"]).rpartition("/")[2]
    assert await Following(pool, now, links).unsubscribe(token) is None


async def test_workers_do_not_ask_a_provider_about_what_was_erased(pool: db.Pool) -> None:
    await a_life(pool)
    await erasure.erase(pool, "main", "c-77", reason="x", by=ADA)
    hour = timedelta(hours=1)
    async with db.session(pool) as connection:
        asked = await doubts.undecided(connection, "sms/default", without=[], youngest=-hour, oldest=hour, limit=5)
    assert asked == []


async def test_an_event_and_an_erasure_at_once_leave_either_all_or_nothing(pool: db.Pool) -> None:
    await a_life(pool)
    intake = Intake(pool, now, Rulebooks())
    old = [event(f"o-{n}", "session", record=session(6 - n % 3), client=client(2)) for n in range(6)]

    await asyncio.gather(
        erasure.erase(pool, "main", "c-77", reason="x", by=ADA), *(intake.take_in([one]) for one in old)
    )
    await erasure.erase(pool, "main", "c-77", reason="x", by=ADA)

    assert left_of(await everything(pool), WORDS) == []


def test_the_page_goes_through_every_table() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/explanation/personal-data.md").read_text("utf-8")
    tables = set(re.findall(r"^create table (\w+)", migrate.schema(), re.MULTILINE))
    assert {one for one in tables if f"`{one}`" not in page} == set()


async def test_a_service_that_may_only_add_to_the_ledgers_empties_their_words_and_no_more(pool: db.Pool) -> None:
    await a_life(pool)
    async with db.session(pool) as connection:
        role = f"adds_only_{await connection.fetchval('SELECT current_database()')}"
        await connection.execute(f'CREATE ROLE "{role}"')
        await connection.execute(f'GRANT SELECT, INSERT ON consents, audit TO "{role}"')
        try:
            await connection.execute(f'SET ROLE "{role}"')
            assert await connection.fetchval(erasures.EVIDENCE, "main", [MAIL]) == 1
            assert await connection.fetchval(erasures.TRAIL, "main", [f"consent/{MAIL}"], []) == 1
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("UPDATE consents SET evidence = ''")
            await connection.execute("RESET ROLE")
            with pytest.raises(asyncpg.RaiseError, match="only grows"):
                await connection.execute("UPDATE consents SET evidence = 'something else'")
        finally:
            await connection.execute("RESET ROLE")
            await connection.execute(f'DROP OWNED BY "{role}"')
            await connection.execute(f'DROP ROLE "{role}"')


async def test_what_a_worker_learns_late_is_a_fact_without_a_person(pool: db.Pool) -> None:
    ids = await a_life(pool)
    before = await pool.fetchrow("SELECT lease_token, asked FROM messages WHERE message_id = $1", ids["unknown"])
    await erasure.erase(pool, "main", "c-77", reason="x", by=ADA)
    settlement = Settlement(State.ACCEPTED, "accepted", f"to {NUMBER}", provider_id="SM-late")
    words = Command("main", "late", "session/s-1", "message.sent", f'{{"to":"{NUMBER}"}}')
    late = Settled(
        "main", ids["unknown"], before["lease_token"], before["asked"], NUMBER, "sms", settlement, (words,),
        now().date().replace(day=1),
    )  # fmt: skip
    async with db.session(pool) as connection:
        await submissions.step(connection, [late], [], lease=timedelta(minutes=1), margin=timedelta(0))

    assert await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", ids["unknown"]) == "accepted"
    outcome = "SELECT outcome FROM attempts WHERE message_id = $1 AND number = 1"
    assert await pool.fetchval(outcome, ids["unknown"]) == "accepted"
    assert left_of(await everything(pool, but=LEDGERS), (*WORDS, *NUMBERS)) == []
