"""Engines side by side, killed in the middle, and rules and records that change while events wait."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.bookings import booking, bookings, phone
from tests.support.checker import Findings, check
from tests.support.fixtures import Install
from tests.support.installation import Installation, trigger
from tests.support.matrix import Seen

pytestmark = pytest.mark.process

# Whatever a transaction wrote waits at its very end, or right after its actions, for as long as the test holds a lock.
WAITS = "CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(53); RETURN NULL; END $$"  # noqa: E501 - one statement
AT_COMMIT = (
    "CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON actions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    " EXECUTE FUNCTION wait_here()"
)
AFTER_ACTIONS = "CREATE TRIGGER waits AFTER INSERT ON actions FOR EACH STATEMENT EXECUTE FUNCTION wait_here()"
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'"
ROWS = "SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM actions) AS actions"


async def at_rest(here: Installation, bodies: list[bytes], *, within: float = 120) -> Findings:
    """What there is to find once all is calm; none of it may be a fault."""
    await here.taken_in(len({json.loads(body)["id"] for body in bodies}), within=within)
    await here.calm(within=within)
    findings = await check(here, bodies)
    assert not findings.faults
    return findings


@pytest.mark.fault("F13")
@pytest.mark.parametrize("messages", [200, pytest.param(2000, marks=pytest.mark.long)])
async def test_f13_two_engines_that_are_handed_the_same_events_at_once_make_one_action_of_each(
    to_kill: Installation, folder: Path, seen: Seen, messages: int
) -> None:
    bodies = bookings(messages)
    second = Installation(folder / "two", database_url=to_kill.database_url, broker_url=to_kill.broker_url)
    async with second:
        hosts = [await to_kill.run("engine", "release"), await second.run("engine", "release")]
        workers = [await to_kill.work(), await to_kill.work()]
        # The broker deals them out in turns: of two copies side by side, each engine gets one.
        await to_kill.publish([copy for body in bodies for copy in (body, body)])
        await to_kill.sent(messages)
        assert (await at_rest(to_kill, bodies)).unknown == []
        assert tuple(await to_kill.sql(ROWS)) == ((messages, messages),)
        assert len(to_kill.outbox()) == messages
        for host in hosts:
            assert host.lines("event.received") or host.lines("event.duplicate"), "each was handed some"
        for worker in workers:
            assert worker.lines("message.accepted"), "each has sent some"
        copies = sum(len(host.lines("event.duplicate")) for host in hosts)
        assert copies >= messages, "whichever came second"
        seen(f"{messages} events twice to two engines and two workers: {copies} copies absorbed, one text each")


@pytest.mark.fault("F14")
async def test_f14_an_engine_that_dies_between_actions_and_commit_leaves_both_or_none(
    install: Install, seen: Seen
) -> None:
    for number, (where, gives_up) in enumerate([(AFTER_ACTIONS, False), (AT_COMMIT, True), (AT_COMMIT, False)]):
        here = await install()
        bodies = bookings(20, prefix=f"f14-{number}-")
        await here.sql(WAITS)
        await here.sql(where)
        await here.sql("SELECT pg_advisory_lock(53)")
        engine = await here.run("engine")
        await here.publish(bodies)
        await here.holds(f"SELECT count(*) FROM ({WAITING}) AS waiting")
        backend = (await here.sql(WAITING))[0][0]
        await engine.kill()
        if gives_up:
            await here.sql("SELECT pg_terminate_backend($1)", backend)
        await here.sql("SELECT pg_advisory_unlock(53)")
        await here.holds("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $1", backend)
        stored = (await here.sql(ROWS))[0]
        # A server that has begun to commit goes through with it, whether anybody still listens or not.
        assert stored["events"] == stored["actions"]
        assert (stored["events"] > 0) == (where is AT_COMMIT and not gives_up)

        await here.run("engine", "release", "sms")
        await here.sent(20)
        assert (await at_rest(here, bodies)).unknown == []
        assert tuple((await here.sql(ROWS))[0]) == (20, 20)
        assert len(here.outbox()) == 20
        for program in here.programs:
            await program.kill()
    seen("killed after the insert, at the commit, and with the commit going through unheard: both or none, then once")


@pytest.mark.fault("F15")
async def test_f15_a_trigger_edited_while_events_wait_says_one_version_of_it_to_each_and_a_replay_nothing(
    installation: Installation, folder: Path, seen: Seen
) -> None:
    here = installation
    bodies = bookings(120)
    engine = await here.run("engine")
    publishing = asyncio.create_task(here.publish(bodies))
    await here.taken_in(20)
    for name in ("second", "third"):
        rules = here.write(f"{name}.toml", trigger().replace("Hi ", f"The {name} says "))
        await here.done("triggers", "apply", str(rules), "--yes")
    await publishing
    await here.taken_in(120)
    await engine.stop()

    # What release finds is words of one version each, and another edit in the middle of it.
    await here.run("engine", "release", "sms")
    await here.sent(10)
    rules = here.write("fourth.toml", trigger().replace("Hi ", "The fourth says "))
    await here.done("triggers", "apply", str(rules), "--yes")
    await here.sent(120)
    # Everything once more: word for word, and under new ids as from a CRM that does not know what it has told.
    again = [json.dumps({**json.loads(body), "id": f"again-{one}"}).encode() for one, body in enumerate(bodies)]
    await here.publish([*bodies, *again])
    await at_rest(here, [*bodies, *again])

    assert await here.value("SELECT count(*) FROM actions") == len(here.outbox()) == 120
    rows = await here.sql("SELECT version, definition FROM trigger_versions")
    versions = {row[0]: json.loads(row[1])["text"].partition("{{")[0] for row in rows}
    said = {row[0]: row[1] for row in await here.sql("SELECT 'm-' || message_id, trigger_version FROM messages")}
    for line in here.outbox():
        assert versions[said[line["message"]]] in line["text"]
    told = Counter(f"version {version}" for version in said.values())
    seen(f"120 actions, one text each, by {', '.join(sorted(told))}; 240 replayed events changed nothing")


def of_the_slip(here: Installation) -> list[str]:
    return [line["to"] for line in here.outbox() if "Hi " in line["text"]]


@pytest.mark.fault("F16")
async def test_f16_a_trigger_that_catches_everybody_is_held_at_its_ceiling_until_a_person_lets_go(
    install: Install, folder: Path, seen: Seen
) -> None:
    here = await install()
    slip = trigger("Slip").replace("ceiling = 0", "ceiling = 20")
    other = trigger("Neighbour").replace("Hi ", "Dear ")
    await here.furnish(triggers=f"{slip}\n{other}")
    await here.done("triggers", "disable", "Booked", "--pending", "drop", "--yes")
    bodies = bookings(60)
    second = Installation(folder / "two", database_url=here.database_url, broker_url=here.broker_url)
    async with second:
        first = await here.run()
        await second.run("engine", "release")
        await here.publish(bodies)
        await here.sent(80)
        await at_rest(here, bodies)
        assert len(of_the_slip(here)) == 20
        assert len(here.outbox()) == 80, "its neighbour goes on"
        held = await here.sql("SELECT reason FROM actions WHERE state = 'held'")
        assert len(held) == 40
        assert all("the ceiling is 20 in 60 minutes" in row[0] for row in held)
        hosts = [first, second.programs[0]]
        assert any(host.lines("guard.shut", trigger="Slip") for host in hosts)

        refused = await here.cli("actions", "release", "--trigger", "Slip", "--expect", "39", "--yes")
        assert refused.code == 1, "whoever let go looked at another list"
        await here.done("actions", "release", "--trigger", "Slip", "--expect", "40", "--yes")
        await here.sent(120)
        await at_rest(here, bodies)
        assert len(of_the_slip(here)) == len(set(of_the_slip(here))) == 60
        assert len(here.outbox()) == 120
    seen("20 of 60 went, 40 held; a neighbour's 60 went; let go by a person, each once")


FLIPPING = trigger().replace('on = "status_changed"', 'on = "session", days = -7')
PLACE = "SELECT coalesce(messages.state, actions.state) FROM actions LEFT JOIN messages USING (studio_id, action_id) WHERE actions.record_id = $1"  # noqa: E501 - one statement


def flip(name: str, number: int, version: int) -> bytes:
    """A session in five days: booked in odd versions, and not in even ones."""
    date = (datetime.now(UTC) + timedelta(days=5)).strftime("%Y-%m-%d")
    keys: dict[str, Any] = {"status": "Booked" if version % 2 else "Inquiry", "dates": {"session": f"{date}T14:00"}}
    return booking(name, number=number, version=version, verb="updated" if version > 1 else "created", **keys)


@pytest.mark.fault("F17")
@pytest.mark.parametrize("messages", [60, pytest.param(2000, marks=pytest.mark.long)])
async def test_f17_a_status_that_leaves_and_returns_is_written_about_once_wherever_its_message_is_just_then(
    install: Install, folder: Path, seen: Seen, messages: int
) -> None:
    here = await install('[accounts.one]\nchannel = "sms"\nprovider = "sandbox"\nslots = 1\nlatency = 2.0\n')
    await here.furnish(account="one", triggers=FLIPPING)
    names = ["planned", "queued", "looked_at", "sending", "at_hand", "away", "last"]
    numbers = {name: number for number, name in enumerate(names)}
    told: dict[str, str] = {}
    bodies: list[bytes] = []

    async def says(name: str, version: int) -> None:
        bodies.append(flip(name, numbers[name], version))
        await here.publish(bodies[-1:])
        await here.holds("SELECT count(*) FROM records WHERE record_id = $1 AND version = $2", name, version)

    async def turns(name: str, versions: tuple[int, ...]) -> None:
        told[name] = await here.value(PLACE, name)
        for version in versions:
            await says(name, version)

    async with Installation(folder / "two", database_url=here.database_url, broker_url=here.broker_url) as other:
        await here.run("engine")
        for name in names:
            await says(name, 1)
        await turns("planned", (2, 3))
        await other.run("release")
        await here.holds("SELECT count(*) = 7 FROM messages WHERE state = 'queued'")
        await turns("queued", (2, 3))
        await turns("looked_at", (2,))  # a worker finds it as it should not go
        worker = await here.work()
        await here.holds("SELECT state = 'cancelled' FROM messages WHERE record_id = 'looked_at'")
        await turns("looked_at", (3,))
        await turns("at_hand", (2, 3))
        for name, state in (("sending", "submitting"), ("away", "delivered")):
            await here.holds(f"SELECT state = '{state}' FROM messages WHERE record_id = $1", name, within=120)
            await turns(name, (2, 3))
        await at_rest(here, bodies)
        assert len(here.outbox()) == 7
        assert (told["planned"], told["queued"], told["sending"], told["away"]) == (
            "planned", "queued", "submitting", "delivered")  # fmt: skip
        await worker.stop()

        # And a storm of them, wherever each is just then, by a provider that is quicker.
        await here.furnish(triggers=FLIPPING)
        await here.work()
        storm = [flip(f"s{one}", 100 + one, version) for version in (1, 2, 3) for one in range(messages)]
        await here.publish(storm, within=300)
        await here.sent(7 + messages, within=300)
        await at_rest(here, [*bodies, *storm], within=300)
    addresses = Counter(line["to"] for line in here.outbox())
    assert len(addresses) == sum(addresses.values()) == 7 + messages
    assert addresses[phone(100)] == 1
    seen(f"left and back while {', '.join(sorted(set(told.values())))}, and {messages} at random: one text each")
