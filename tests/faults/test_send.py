"""A worker dies, or stands still, at the worst moment: its message goes once, or is known to be unknown."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from tests.support.bookings import bookings, phone
from tests.support.checker import Findings, check
from tests.support.installation import RUN_OUT, Installation
from tests.support.matrix import Seen
from tests.support.programs import Program, eventually, suspended

pytestmark = pytest.mark.process

Install = Callable[..., Awaitable[Installation]]

SLOTS: Final = 16
SLOW: Final = '[accounts.slow]\nchannel = "sms"\nprovider = "sandbox"\nslots = {slots}\nlatency = {latency}\n'
SUBMITTING: Final = "SELECT count(*) FROM messages WHERE state = 'submitting'"
CLAIMED: Final = "SELECT count(*) FROM messages WHERE state = 'claimed'"
TAKEN_OVER: Final = "SELECT count(*) = 0 FROM messages WHERE state IN ('queued', 'claimed', 'submitting')"
QUEUED_AGAIN: Final = "SELECT count(*) FROM attempts WHERE reason = 'its worker was killed before it left'"
OWNER: Final = "SELECT lease_owner FROM messages WHERE state = 'submitting' LIMIT 1"
OWNER_RUN_OUT: Final = (
    "UPDATE messages SET lease_until = clock_timestamp() WHERE lease_owner = $1 AND lease_until IS NOT NULL"
)
DELIVERED: Final = "SELECT count(*) = $1 FROM messages WHERE state = 'delivered'"

many = pytest.mark.parametrize("number", [60, pytest.param(2000, marks=pytest.mark.long)])


async def slow(install: Install, *, slots: int = SLOTS, latency: float = 0.2) -> Installation:
    """An installation whose texts take a provider that thinks about each."""
    here = await install(SLOW.format(slots=slots, latency=latency))
    await here.furnish(account="slow")
    await here.run("engine", "release")
    return here


async def killed(install: Install, point: str, number: int) -> tuple[Installation, list[bytes]]:
    """One whose worker died at this point in the middle of a stream, with nobody in its place."""
    here = await slow(install)
    bodies = bookings(number)
    await here.publish(bodies)
    await here.holds("SELECT count(*) = $1 FROM messages", number, within=240)
    worker = await here.start("workers", "sms", crash_at=point)
    assert await worker.ended(within=240) == -signal.SIGKILL
    return here, bodies


async def at_rest(here: Installation, bodies: list[bytes]) -> Findings:
    """What there is to find once all is calm; none of it may be a fault."""
    await here.taken_in(len(bodies), within=240)
    await here.calm(within=240)
    findings = await check(here, bodies)
    assert not findings.faults
    return findings


async def caught(worker: Program, here: Installation, statement: str) -> None:
    """Suspend a worker at a moment when this holds: found by looking first, it might be over by the time it stands."""

    async def holds() -> bool:
        await suspended(worker.pid)
        if await here.value(statement):
            return True
        os.kill(worker.pid, signal.SIGCONT)
        return False

    await eventually(holds, within=240, what=statement)


def went_back(worker: Program) -> int:
    return sum(line["messages"] for line in worker.lines("flight.recovered"))


# Killed ------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F25")
@many
async def test_f25_killed_between_its_claim_and_its_mark_a_worker_leaves_no_doubt(
    install: Install, number: int, seen: Seen
) -> None:
    here, bodies = await killed(install, "after_claim", number)
    assert await here.value(SUBMITTING) == 0
    claimed = await here.value(CLAIMED)
    assert claimed > 0

    await here.work()

    findings = await at_rest(here, bodies)
    assert findings.unknown == []
    assert len(here.outbox()) == number
    seen(f"{claimed} claimed by the dead worker: all sent once by the next, none unknown")


@pytest.mark.fault("F27")
@many
@pytest.mark.parametrize("point", ["after_mark", "after_mark:3"])
async def test_f27_killed_between_its_mark_and_its_note_a_worker_leaves_no_doubt(
    install: Install, point: str, number: int, seen: Seen
) -> None:
    here, bodies = await killed(install, point, number)
    marked = await here.value(SUBMITTING)
    assert marked > 0

    worker = await here.work()

    findings = await at_rest(here, bodies)
    assert findings.unknown == []
    assert len(here.outbox()) == number
    back = went_back(worker)
    assert 0 < back == await here.value(QUEUED_AGAIN) <= marked
    seen(f"{marked} marked and not noted: {back} queued again by the flight recorder, 0 unknown, none twice")


@pytest.mark.fault("F27")
@many
@pytest.mark.parametrize("point", ["after_note", "after_note:40"])
async def test_f27_killed_between_its_note_and_the_first_byte_a_worker_leaves_that_one_in_doubt_and_no_other(
    install: Install, point: str, number: int, seen: Seen
) -> None:
    """The one message that was noted, and did not leave, is the price of noting before."""
    here, bodies = await killed(install, point, number)
    left = {line["message"] for line in here.outbox()}
    owner = await here.value(OWNER)

    await here.work()
    await here.holds(f"SELECT ({SUBMITTING} AND lease_owner = $1) = 1", owner)
    await here.sql(OWNER_RUN_OUT, owner)  # nobody waits for that here

    findings = await at_rest(here, bodies)
    assert len(findings.unknown) == 1
    assert findings.unknown[0] not in left
    assert len(here.outbox()) == number - 1
    seen("noted and not sent: 1 unknown")


@pytest.mark.fault("F28")
@many
async def test_f28_killed_with_an_answer_in_hand_what_the_provider_took_is_settled_by_its_receipts(
    install: Install, number: int, seen: Seen
) -> None:
    here, bodies = await killed(install, "after_answer:20", number)
    left = {line["message"] for line in here.outbox()}
    marked = await here.value(SUBMITTING)

    worker = await here.work()

    findings = await at_rest(here, bodies)
    assert findings.unknown == []
    assert len(here.outbox()) == number
    assert len(left) >= 20
    assert went_back(worker) < marked
    seen(f"{len(left)} taken, up to {marked} of them without an answer written down: settled by receipts, none twice")


@pytest.mark.fault("F28")
async def test_f28_killed_while_its_provider_thinks_what_it_had_sent_is_settled_and_the_rest_stays_bounded(
    install: Install, seen: Seen
) -> None:
    """The provider takes the text and the worker dies before it learns so: the doubt is over when the receipt comes."""
    here = await slow(install, latency=60)
    bodies = bookings(SLOTS)
    await here.publish(bodies)
    # All of them before there is a worker: one that came first would be answered while the others wait to be sent.
    await here.holds("SELECT count(*) = $1 FROM messages WHERE state = 'queued'", SLOTS, within=240)
    worker = await here.work()
    # Killed once its provider has begun to take the texts, before it could write down the answers.
    await here.holds(f"SELECT ({SUBMITTING}) = $1", SLOTS, within=240)
    await here.sent(1, within=240)
    await worker.kill()
    sent = len(here.outbox())
    await here.sql(RUN_OUT)
    await here.holds("SELECT count(*) = $1 FROM messages WHERE state = 'delivered'", sent, within=240)

    findings = await at_rest(here, bodies)
    assert len(findings.unknown) == SLOTS - sent
    assert await here.value("SELECT count(*) FROM messages WHERE state = 'delivered'") == sent
    seen(f"without a flight recorder to read, {SLOTS - sent} of {SLOTS} slots unknown")


@pytest.mark.fault("F28")
@pytest.mark.parametrize("number", [120, pytest.param(2000, marks=pytest.mark.long)])
async def test_f28_a_killed_worker_loses_nothing_sends_nothing_twice_and_leaves_its_slots_in_doubt_at_most(
    to_kill: Installation, number: int, seen: Seen
) -> None:
    bodies = bookings(number)
    await to_kill.run("engine", "release")
    worker = await to_kill.work()
    await to_kill.publish(bodies)

    await to_kill.sent(number // 3, within=240)
    await caught(worker, to_kill, f"SELECT ({SUBMITTING}) > 0")
    await worker.kill()
    assert await to_kill.value(SUBMITTING) <= SLOTS
    if number <= 120:  # the long test waits for as long as it takes
        await to_kill.sql(RUN_OUT)
    await to_kill.work()

    findings = await at_rest(to_kill, bodies)
    assert len(findings.unknown) <= SLOTS
    assert len(to_kill.outbox()) == number - len(findings.unknown)
    if findings.unknown:
        words = (await to_kill.done("explain", findings.unknown[0])).out
        assert "may have been sent" in words
        assert "never sent again by itself" in words
    seen(f"{len(findings.unknown)} of {number} unknown")


# Frozen ------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F33")
async def test_f33_a_worker_that_was_given_up_past_its_mark_and_wakes_again_sends_nothing_twice(
    to_kill: Installation, seen: Seen
) -> None:
    """A machine that stood still for longer than its leases: another worker went on meanwhile."""
    bodies = bookings(90)
    await to_kill.run("engine", "release")
    frozen = await to_kill.work()
    await to_kill.publish(bodies)
    await to_kill.sent(30, within=240)
    os.kill(frozen.pid, signal.SIGSTOP)
    await to_kill.sql(RUN_OUT)
    await to_kill.work()
    await to_kill.calm(within=240)
    doubtful = await to_kill.value("SELECT count(*) FROM messages WHERE state = 'unknown'")
    assert doubtful <= SLOTS

    os.kill(frozen.pid, signal.SIGCONT)
    # It sends what it had begun, which was given to nobody else; that it did is written down as a fact.
    await to_kill.sent(90, within=240)
    await to_kill.holds(DELIVERED, 90, within=240)
    findings = await at_rest(to_kill, bodies)
    assert findings.unknown == []
    assert len(to_kill.outbox()) == 90
    assert frozen.code is None
    seen(f"{doubtful} unknown while it slept, 0 when its late answers were written down; none twice")


@pytest.mark.fault("F34")
async def test_f34_a_worker_that_was_given_up_before_its_mark_finds_that_nothing_is_its_own_any_more(
    install: Install, seen: Seen
) -> None:
    """With one slot: all but one of what it has at hand is claimed and not marked."""
    here = await slow(install, slots=1, latency=1)
    bodies = bookings(20)
    await here.publish(bodies)
    await here.holds("SELECT count(*) = 20 FROM messages WHERE state = 'queued'", within=240)
    frozen = await here.work()
    await caught(frozen, here, f"SELECT ({CLAIMED}) >= 10 AND ({SUBMITTING}) = 1")
    began = await here.value(SUBMITTING)
    at_hand = await here.value(CLAIMED)
    before = len(frozen.lines("message.accepted"))
    await here.sql(RUN_OUT)
    other = await here.work()
    # Not "none claimed, none submitting": that also holds between being queued again and being claimed by the other.
    await here.holds(TAKEN_OVER, within=240)

    os.kill(frozen.pid, signal.SIGCONT)
    # The one it had marked is unknown, which is at rest too, until its late answer is written down.
    await here.holds(DELIVERED, len(bodies), within=240)
    findings = await at_rest(here, bodies)
    assert findings.unknown == []
    assert len(here.outbox()) == len(bodies)
    assert frozen.code is None
    assert len(frozen.lines("message.accepted")) <= before + began
    assert other.lines("message.accepted")
    seen(f"{at_hand} claimed and {began} marked when it froze: none of the {at_hand} sent by it, none twice")


# STOP --------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F36")
async def test_f36_a_stop_between_claim_and_mark_wins_and_one_after_the_mark_is_shown_to_have_come_too_late(
    install: Install, seen: Seen
) -> None:
    here = await slow(install, slots=1, latency=1)
    bodies = bookings(6)
    await here.publish(bodies)
    await here.holds("SELECT count(*) = 6 FROM messages WHERE state = 'queued'", within=240)
    worker = await here.work()
    await caught(worker, here, f"SELECT ({CLAIMED}) >= 3 AND ({SUBMITTING}) = 1")
    (flying,) = await here.sql("SELECT 'm-' || message_id AS id, address FROM messages WHERE state = 'submitting'")
    (waiting, *_) = await here.sql("SELECT 'm-' || message_id AS id, address FROM messages WHERE state = 'claimed'")

    for address in (flying["address"], waiting["address"]):
        await here.done("consents", "record", address, "--stop", "--evidence", "said so on the phone")
    os.kill(worker.pid, signal.SIGCONT)

    findings = await at_rest(here, bodies)
    assert findings.unknown == []
    sent = [line["to"] for line in here.outbox()]
    assert sorted(sent) == sorted({phone(n) for n in range(6)} - {waiting["address"]})
    assert await here.value("SELECT state FROM messages WHERE 'm-' || message_id = $1", waiting["id"]) == "suppressed"
    order = """
        SELECT started_at < (SELECT max(at) FROM consents WHERE consents.address = messages.address)
          FROM attempts JOIN messages USING (studio_id, message_id) WHERE 'm-' || message_id = $1"""
    assert await here.value(order, flying["id"]), "the attempt stands before the STOP"
    seen("STOP before the mark: suppressed; after it: sent once, and the attempt is on record before the STOP")
