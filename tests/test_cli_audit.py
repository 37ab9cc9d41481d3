"""The audit trail of the command line: each verb that changes something signs what it changed, and no other does."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
import typer.main

from control_center.cli import app
from tests.support.fixtures import Install
from tests.support.installation import Installation, trigger
from tests.support.rows import a_client, a_message, a_record, an_action
from tests.support.spent import a_spent_day

# Written by hand, with what the trail says of it: a verb that is added has to be added here.
CHANGES = {
    "studios put": ("create studio", "change studio"),
    "studios catalog apply": ("change studio",),
    "studios remove": ("delete studio",),
    "templates apply": ("create template", "change template"),
    "templates remove": ("delete template",),
    "triggers apply": ("create trigger", "change trigger"),
    "triggers disable": ("change trigger",),
    "triggers enable": ("change trigger",),
    "triggers rollback": ("change trigger",),
    "triggers copy": ("create trigger",),
    "triggers remove": ("delete trigger",),
    "fence arm": ("arm fence",),
    "bulk make": ("create bulk",),
    "messages send": ("send message",),
    "messages link": ("link message",),
    "messages assign": ("assign message",),
    "messages task": ("task message",),
    "messages resolve": ("resolve message",),
    "messages release": ("release prefix",),
    "messages overspend": ("release spending",),
    **dict.fromkeys(("bulk untick", "bulk tick"), ("change bulk",)),
    "bulk start": ("ask bulk", "change bulk"),
    "bulk approve": ("approve bulk",),
    **dict.fromkeys(("bulk pause", "bulk resume", "bulk cancel"), ("change bulk",)),
    "blackouts add": ("create blackout",),
    "blackouts remove": ("delete blackout",),
    "blackouts holidays": ("create blackout",),
    "blackouts import": ("create blackout",),
    "actions release": ("decide action",),
    "actions process": ("decide action",),
    "actions delete": ("decide action",),
    "clients erase": ("erase client",),
    "consents record": ("record consent",),
    "users add": ("create user",),
    "users change": ("change user",),
    "users deactivate": ("change user",),
    "users token": ("issue token",),
    "users revoke": ("revoke token",),
    "events replay": ("replay dead_event",),
    "events discard": ("discard dead_event",),
    "events gaps": ("accept event",),
}
# What they do is the engine's or the CRM's doing, is signed where it is done, or is no change at all.
OTHERS = {
    *(
        "run",
        "demo",
        "migrate",
        "check",
        "logs",
        "emit",
        "audit",
        "explain",
        "fence show",
        "sandbox outbox",
        "sandbox receive",
        "commands list",
    ),
    *("studios list", "studios show", "studios catalog show", "templates list", "templates show", "blackouts list"),
    *("templates fields", "templates preview", "messages inbox", "messages sent", "messages read", "messages unread"),
    *("usage", "scores", "mail receive", "messages unrouted", "messages prefixes", "messages spending"),
    *("triggers list", "triggers show", "triggers diff", "triggers export", "triggers versions", "triggers test"),
    *("triggers forecast", "triggers backtest", "actions list", "actions show", "actions review", "actions skip"),
    *("messages list", "messages show", "consents show", "users list", "users show", "events list", "events show"),
    *("events dead", "events collect", "bulk list", "bulk show", "bulk recipients"),
}


SNAPSHOT = b"""{"specversion": "1.0", "id": "e-1", "source": "/crm", "type": "crm.snapshot", "studio": "main",
 "time": "2027-06-01T15:00:00Z", "data": {"clients": [], "records": []}}"""


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if not hasattr(command, "commands"):
        yield " ".join(path)
        return
    for name, one in command.commands.items():
        yield from verbs(one, (*path, name))


def test_of_every_verb_it_is_known_whether_it_changes_anything() -> None:
    assert set(verbs(typer.main.get_command(app))) == CHANGES.keys() | OTHERS
    assert not CHANGES.keys() & OTHERS


async def a_schema(here: Installation) -> None:
    await here.done("migrate")


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    """A schema with nothing in it."""
    return await install_alone(given=a_schema)


async def a_spent_today(database_url: str) -> str:
    """Today in Chicago, of which the money is spent."""
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        today = await pool.fetchval("SELECT (now() AT TIME ZONE 'America/Chicago')::date")
        await a_spent_day(pool, today, address="+13125550166")
    return f"{today:%Y-%m-%d}"


async def some_actions(database_url: str) -> list[str]:
    """One that is held, one to process and one to delete."""
    connection = await asyncpg.connect(database_url)
    try:
        await a_client(connection)
        record = await a_record(connection)
        trigger_id = await connection.fetchval("SELECT trigger_id FROM triggers")
        states = ("held", "review", "review")
        return [
            f"a-{await an_action(connection, record=record, trigger_id=trigger_id, state=state, occurrence=str(n))}"
            for n, state in enumerate(states)
        ]
    finally:
        await connection.close()


async def an_unknown_message(database_url: str) -> str:
    connection = await asyncpg.connect(database_url)
    try:
        return f"m-{await a_message(connection, state='unknown', address='+13125550155')}"
    finally:
        await connection.close()


@dataclass
class Trail:
    """Carries verbs out, and reads after each what it has left in the trail."""

    here: Installation
    seen: int = 0
    did: set[tuple[str, str]] = field(default_factory=set)

    async def leaves(self, words: str, *, nth: int = 0, code: int = 0) -> str:
        """What the verb printed. It must have left what CHANGES says, signed, and nothing else."""
        name = next(verb for verb in CHANGES if words.startswith(verb))
        done = await self.here.cli(*words.split())
        assert done.code == code, done.err
        rows = await self.here.sql(
            "SELECT audit_id, who, via, verb, resource, before, after FROM audit WHERE audit_id > $1 ORDER BY 1",
            self.seen,
        )
        assert {f"{row[3]} {row[4].split('/')[0]}" for row in rows} == {CHANGES[name][nth]}, words
        for number, who, via, verb, resource, before, after in rows:
            self.seen = number
            assert (who, via) == (getpass.getuser(), "cli"), resource
            assert before != after, f"{words} left {resource} as it was"
            assert (after is None) == (verb in {"delete", "revoke"}), f"{words}: {resource}"
            assert before is not None or verb in {"create", "issue", "record", "send", "task"}, f"{words}: {resource}"
        self.did.add((name, CHANGES[name][nth]))
        return done.out.strip()


@pytest.mark.long  # a process for each of thirty verbs
@pytest.mark.process
async def test_every_verb_that_changes_something_signs_it_with_what_was_and_what_is(
    here: Installation,
) -> None:
    trail, database_url = Trail(here), here.database_url
    studio = here.write(
        "main.toml", 'id = "main"\nname = "Ada"\ntimezone = "America/Chicago"\nsms.numbers = ["+13125550100"]\n'
    )
    news = here.write("news.toml", 'purpose = "transactional"\nsms = "News"\n')
    template = here.write("hello.toml", 'sms = "Hello"\n')
    rules = here.write("rules.toml", trigger())
    catalog = here.write("catalog.toml", 'forms = ["Contact Us"]\n')
    day = "BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Fair\r\nDTSTART;VALUE=DATE:20200705\r\nRRULE:FREQ=YEARLY\r\nEND:VEVENT\r\n"
    calendar = here.write("closed.ics", f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{day}END:VCALENDAR\r\n")

    await trail.leaves(f"studios put {studio}")
    studio.write_text(studio.read_text("utf-8").replace("Ada", "Ada Park"), "utf-8")
    await trail.leaves(f"studios put {studio}", nth=1)
    await trail.leaves(f"studios catalog apply {catalog}")
    await trail.leaves(f"templates apply {template}")
    template.write_text('sms = "Good day"\n', "utf-8")
    await trail.leaves(f"templates apply {template}", nth=1)
    await trail.leaves("templates remove hello")
    await trail.leaves(f"triggers apply {rules} --yes")
    rules.write_text(trigger(action="email"), "utf-8")
    await trail.leaves(f"triggers apply {rules} --yes", nth=1)
    await trail.leaves("triggers disable Booked")
    await trail.leaves("triggers enable Booked --yes")
    await trail.leaves("triggers rollback Booked 1 --yes")
    await trail.leaves("triggers copy Booked Copied")
    await trail.leaves("triggers remove Copied --yes")
    await trail.leaves("blackouts add Closed --date 2027-07-04")
    await trail.leaves("blackouts remove 1")
    await trail.leaves("blackouts holidays --country US --year 2027 --tick 2027-12-25")
    await trail.leaves(f"blackouts import {calendar}")
    held, one, other = await some_actions(database_url)
    await trail.leaves(f"actions release {held}")
    await trail.leaves(f"actions process {one}")
    await trail.leaves(f"actions delete {other}")
    await trail.leaves("messages send --to +13125550199 Hello")
    await here.done(*["sandbox", "receive", "--from", "+13125550144", "--to", "+13125550100", "Hello"])
    unknown = await an_unknown_message(database_url)
    [text] = [one["id"] for one in (await here.json("messages", "inbox"))["items"]]
    await trail.leaves(f"messages link {text} --client c-12")
    await trail.leaves("users add ada --role viewer --for main")
    await trail.leaves(f"messages assign {text} --to ada")
    await trail.leaves(f"messages task {text} --subject Call")
    await trail.leaves(f"messages resolve {unknown} --not-sent --evidence looked")
    await here.sql("INSERT INTO prefixes (studio_id, prefix, held_since) VALUES ('main', '+13125550', now())")
    await trail.leaves("messages release +13125550")
    await trail.leaves(f"messages overspend {await a_spent_today(database_url)}")
    await trail.leaves(f"templates apply {news}")
    await trail.leaves("bulk make --template news")
    for words in ("untick b-1 1", "tick b-1 1"):
        await trail.leaves(f"bulk {words}")
    await trail.leaves("bulk start b-1 --expect 1", nth=1)
    for words in ("pause b-1", "resume b-1", "cancel b-1"):
        await trail.leaves(f"bulk {words}")
    alone = "second_person_above = 0\nsms.numbers"
    studio.write_text(studio.read_text("utf-8").replace("sms.numbers", alone), "utf-8")
    await trail.leaves(f"studios put {studio}", nth=1)
    await trail.leaves("bulk make --template news")
    await trail.leaves("bulk start b-2 --expect 1", code=1)
    await here.sql("UPDATE bulks SET made_by = 'somebody else'")
    seen = (await here.json("bulk", "show", "b-2"))["approval"]["seen"]
    await trail.leaves(f"bulk approve b-2 --expect 1 --seen {seen}")
    await trail.leaves("bulk cancel b-2")
    await trail.leaves("consents record +13125550188 --stop --evidence by-phone")
    await trail.leaves("consents record +13125550188 --start --evidence by-phone-again")
    await trail.leaves("users change ada --role author")
    await trail.leaves("users deactivate ada")
    token = await trail.leaves("users token ada")
    await trail.leaves("users revoke ada")
    await here.sql("INSERT INTO dead_events (body, field, reason) VALUES ($1, 'studio', 'not there yet')", SNAPSHOT)
    await trail.leaves("events replay --all")
    await here.sql("INSERT INTO dead_events (body, field, reason) VALUES ('{', '', 'no JSON')")
    await trail.leaves("events discard 2 --reason of-no-use")
    numbers = "INSERT INTO event_numbers VALUES ('main', '/crm', 9, '{[3,5]}', clock_timestamp())"
    await here.sql(numbers)
    await trail.leaves("events gaps --accept")
    await trail.leaves("clients erase c-12 --reason asked --yes")
    await here.sql("DELETE FROM messages")
    await here.sql("DELETE FROM actions")
    await here.sql("UPDATE fence SET closed_at = clock_timestamp(), reason = 'a copy'")
    await trail.leaves("fence arm --reason looked")
    await trail.leaves("studios remove main")

    assert trail.did == {(name, did) for name, all_of_it in CHANGES.items() for did in all_of_it}
    assert token not in str(await here.sql("SELECT * FROM audit"))
