"""The checker itself: a checker that finds nothing proves nothing, so each fault is planted and must be found."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.bookings import booking, bookings, phone
from tests.support.checker import check
from tests.support.far import Far, Install, far_away, mailing
from tests.support.installation import Installation, trigger
from tests.support.ledger import Brought

pytestmark = pytest.mark.process

# By mail, since a bulk of texts waits for the hours of whom it goes to.
NEWS = {"name": "news", "purpose": "transactional", "subject": "News", "text": "Hi {{ client.first_name }}, we moved."}
MESSAGE = "SELECT 'm-' || min(message_id) FROM messages WHERE origin = $1 AND channel = 'sms'"


async def test_in_the_sandbox_every_fault_that_is_made_by_hand_is_found(installation: Installation) -> None:
    here, bodies = installation, bookings(4)
    program = await here.run("engine", "release", "sms")
    await here.publish(bodies)
    await here.sent(4)
    await here.calm()
    await program.stop()
    findings = await check(here, bodies)
    assert not findings.faults
    assert findings.unknown == []

    assert (await check(here, [*bodies, booking("never")])).faults == {"lost": ["never-1"]}

    outbox = here.data_dir / "sandbox" / "outbox.ndjson"
    lines = outbox.read_text("utf-8").splitlines(keepends=True)
    outbox.write_text("".join([*lines, lines[0].replace(".1", ".2")]), "utf-8")
    assert (await check(here, bodies)).faults.keys() == {"dup", "ghost"}
    outbox.write_text("".join(lines[1:]), "utf-8")
    assert (await check(here, bodies)).faults.keys() == {"false"}
    outbox.write_text("".join(lines), "utf-8")

    await here.sql("UPDATE messages SET state = 'accepted' WHERE message_id = 1")
    assert (await check(here, bodies, patience=0)).faults == {"stuck": ["m-1 is accepted"]}
    await here.sql("UPDATE messages SET state = 'unknown' WHERE message_id = 1")
    findings = await check(here, bodies, patience=0)
    assert findings.faults == {"stuck": ["m-1 is unknown"]}
    assert findings.unknown == ["m-1"]
    await here.sql("UPDATE messages SET state = 'failed', reason = 'attempts: none' WHERE message_id = 1")
    assert (await check(here, bodies)).faults.keys() == {"false"}


@asynccontextmanager
async def history(install: Install) -> AsyncIterator[Far]:
    """All that goes in and out on one day: triggered texts and mail, a person's, a bulk's, and answers."""
    bodies = bookings(6)
    async with far_away(install, triggers=trigger() + mailing()) as far:
        here = far.here
        program = await far.run()
        await far.crm.say(bodies)
        await here.holds("SELECT count(*) = 12 FROM messages WHERE origin = 'trigger'")
        await here.api("POST", "/messages", body={"client": "c-s0", "text": "Your key is at the desk."})
        await here.api("POST", "/templates", body=NEWS)
        wish = {"audience": {"record": "client"}, "template": "news", "channel": "email", "when": "now", "expect": 6}
        await here.api("POST", "/bulk", body=wish)
        await here.holds("SELECT count(*) = 6 FROM messages WHERE origin = 'bulk'")
        await far.calm()  # who says STOP now says it after everything went
        await far.sms.bring("HELP", sender=phone(1))
        await far.sms.bring("STOP", sender=phone(2))
        await here.holds("SELECT count(*) >= 2 FROM messages WHERE origin = 'answer'")
        await far.calm()
        await far.heard()
        await program.stop()
        yield far


async def test_of_texts_and_mail_of_every_origin_each_planted_fault_is_found_by_its_name(install: Install) -> None:
    async with history(install) as far:
        findings = await far.check()
        assert not findings.faults
        assert findings.unknown == []
        assert len(far.mail.accepted) == 12
        assert len(far.sms.accepted) == 6 + 1 + 2
        assert len(far.crm.heard) > len(far.sms.accepted)
        await _lost(far)
        for origin in ("trigger", "person", "answer"):
            await _dup_and_ghost(far, origin)
            await _false_and_stuck(far, origin)
        for origin in ("trigger", "bulk"):
            await _of_mail(far, origin)
        await _of_commands(far)
        assert not (await far.check()).faults, "every fault was taken back"


async def _faults(far: Far) -> dict[str, list[str]]:
    return (await far.check(patience=0)).faults


async def _lost(far: Far) -> None:
    """An event that was confirmed, and calls that were answered, of which nothing is kept."""
    far.crm.said.append(booking("never"))
    assert await _faults(far) == {"lost": ["never-1"]}
    far.crm.said.pop()
    far.sms._brought += [Brought("text", "in-never"), Brought("receipt", "msg-never")]
    assert await _faults(far) == {"lost": ["text in-never", "receipt msg-never"]}
    del far.sms._brought[-2:]


async def _dup_and_ghost(far: Far, origin: str) -> None:
    """The same message at the provider once more: under a name of its own, and under that which it had."""
    name = await far.here.value(MESSAGE, origin)
    (line,) = [one for one in far.sms.accepted if one["reference"].startswith(f"{name}.")]
    far.sms.accepted.append({**line, "reference": f"{name}.7"})
    found = await _faults(far)
    assert found.keys() == {"dup", "ghost"}
    assert found["ghost"] == [f"{name}.7"]
    far.sms.accepted[-1] = line
    found = await _faults(far)
    assert found.keys() == {"dup"}
    assert line["to"] in found["dup"][0]
    far.sms.accepted.pop()


async def _false_and_stuck(far: Far, origin: str) -> None:
    """A text that is said to have gone and has not, that went and is said not to have, and that nobody ends."""
    name = await far.here.value(MESSAGE, origin)
    number = int(name.removeprefix("m-"))
    place = next(at for at, one in enumerate(far.sms.accepted) if one["reference"].startswith(f"{name}."))
    line = far.sms.accepted.pop(place)
    found = await _faults(far)
    assert found.keys() == {"false"}
    assert all(one.startswith(name) for one in found["false"])
    far.sms.accepted.insert(place, line)

    for state, fault in (("failed", "false"), ("cancelled", "false"), ("accepted", "stuck"), ("unknown", "stuck")):
        await far.here.sql("UPDATE messages SET state = $2 WHERE message_id = $1", number, state)
        findings = await far.check(patience=0)
        assert findings.faults.keys() == {fault}, state
        assert findings.faults[fault][0].startswith(f"{name} is {state}")
        assert findings.unknown == [name] * (state == "unknown")
    await far.here.sql("UPDATE messages SET state = 'delivered' WHERE message_id = $1", number)
    await far.here.sql("UPDATE attempts SET outcome = 'not_sent' WHERE message_id = $1", number)
    assert (await _faults(far)).keys() == {"false"}
    await far.here.sql("UPDATE attempts SET outcome = 'accepted' WHERE message_id = $1", number)


async def _of_mail(far: Far, origin: str) -> None:
    """A relay tells nobody what became of a mail: accepted is an end, and an unknown one stays so."""
    one = await far.here.value("SELECT min(message_id) FROM messages WHERE channel = 'email' AND origin = $1", origin)
    letter = next(each for each in far.mail.accepted if b"Message-ID: <m-%d." % one in each.content)
    far.mail.accepted.append(letter)
    assert (await _faults(far)).keys() == {"dup"}
    strange = letter.content.replace(b"Message-ID: <m-", b"Message-ID: <m-9", 1)
    far.mail.accepted[-1] = dataclasses.replace(letter, content=strange)
    assert (await _faults(far)).keys() == {"ghost"}
    far.mail.accepted.pop()
    far.mail.accepted.remove(letter)
    assert (await _faults(far)).keys() == {"false"}
    far.mail.accepted.insert(0, letter)

    for state, faults in (("unknown", set()), ("failed", {"false"}), ("claimed", {"stuck", "false"})):
        lease = "clock_timestamp(), lease_owner = gen_random_uuid()" if state == "claimed" else "NULL"
        await far.here.sql(f"UPDATE messages SET state = $2, lease_until = {lease} WHERE message_id = $1", one, state)
        assert (await _faults(far)).keys() == faults, state
    await far.here.sql(
        "UPDATE messages SET state = 'accepted', lease_until = NULL, lease_owner = NULL WHERE message_id = $1", one
    )


async def _of_commands(far: Far) -> None:
    """One that the CRM never heard, one that nobody here wished, one under two names, one that never left."""
    lines = Counter(one.line for one in far.crm.heard.values())
    command_id, heard = next((name, one) for name, one in far.crm.heard.items() if lines[one.line] > 1)
    rest = {name: one for name, one in far.crm.heard.items() if name != command_id}
    whole, far.crm.heard = far.crm.heard, rest
    assert (await _faults(far)).keys() == {"false"}
    far.crm.heard = {**whole, "made-up": heard}
    assert (await _faults(far)).get("ghost") == ["made-up"]
    last = whole[command_id]
    far.crm.heard = {**rest, command_id: dataclasses.replace(last, sequence=0)}
    assert (await _faults(far)).keys() == {"false"}, "it came after a later one of its record"
    far.crm.heard = whole

    twice = await far.here.value(
        "INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data) "
        "SELECT 'main', 'plant-' || n, 'session/s0', 'add_note', 0, '{}' FROM generate_series(1, 2) AS n "
        "RETURNING command_id"
    )
    assert twice == "plant-1"
    found = await _faults(far)
    assert found.keys() == {"dup", "stuck"}
    assert found["dup"] == ["2 times: add_note of session/s0"]
    await far.here.sql("DELETE FROM commands WHERE command_id LIKE 'plant-%'")
