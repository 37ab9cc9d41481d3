"""Workers that a message kills, and two versions of the program at work on one database."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.support.bookings import booking, bookings
from tests.support.checker import Findings, check
from tests.support.fixtures import Install
from tests.support.installation import RUN_OUT, Installation
from tests.support.matrix import Seen
from tests.support.programs import ROOT

pytestmark = pytest.mark.process

# What no template can do, and a fault in an interpreter can: writing one client's words ends the process. And what a
# fault of ours might do: deciding on one record's action fails.
POISON = """
import os, signal
from control_center.domain import planner, words
def decide(rule, picture, *rest, true=planner.decide, **named):
    if picture.record_id == "undecidable":
        raise ZeroDivisionError("a fault of ours")
    return true(rule, picture, *rest, **named)
planner.decide = decide
def text_message(parts, seen, *rest, true=words.text_message, **named):
    if seen["client"]["first_name"] == "Poison":
        os.kill(os.getpid(), signal.SIGKILL)
    return true(parts, seen, *rest, **named)
words.text_message = text_message
"""


async def at_rest(here: Installation, bodies: list[bytes], *, within: float = 120) -> Findings:
    """What there is to find once all is calm; none of it may be a fault."""
    await here.taken_in(len(bodies), within=within)
    await here.calm(within=within)
    findings = await check(here, bodies)
    assert not findings.faults
    return findings


class Elsewhere(Installation):
    """An installation whose processes find the program, or more than that, in another place."""

    path: str = str(ROOT)

    def environment(self, **settings: str) -> dict[str, str]:
        return {**super().environment(**settings), "PYTHONPATH": self.path}


@pytest.mark.fault("F18")
async def test_f18_a_message_that_kills_whoever_prepares_it_ends_after_three_and_takes_nobody_along(
    installation: Installation, folder: Path, seen: Seen
) -> None:
    (folder / "sitecustomize.py").write_text(POISON, "utf-8")
    sound = installation
    here = Elsewhere(folder / "poisoned", database_url=sound.database_url, broker_url=sound.broker_url)
    here.path = f"{folder}:{ROOT}"
    async with here:
        await _poisoned(here, seen)


async def _poisoned(here: Installation, seen: Seen) -> None:
    bodies = [*bookings(40), *bookings(40, prefix="after", first=41)]
    poison = booking("poison", number=40).replace(b'"first_name": "Jo"', b'"first_name": "Poison"')
    bodies[40:40] = [poison, booking("undecidable", number=500)]
    running = await here.run("engine", "release")
    await here.publish(bodies)
    await here.holds("SELECT count(*) = 81 FROM messages WHERE state = 'queued'")

    deaths = 0
    while await here.value("SELECT state NOT IN ('failed') FROM messages WHERE record_id = 'poison'"):
        worker = await here.start("workers", "sms")
        await worker.ended(within=120)
        deaths += 1
        assert deaths <= 3, "it is given up"
        await here.sql(RUN_OUT)
        await here.holds("SELECT count(*) = 0 FROM messages WHERE lease_until < clock_timestamp()")
    await here.work()
    await here.sent(80)
    findings = await at_rest(here, bodies)
    assert deaths == 3
    states = {row[0]: row[1] for row in await here.sql("SELECT state, count(*) FROM messages GROUP BY state")}
    assert states == {"delivered": 80, "failed": 1}
    assert findings.unknown == []
    reason = await here.value("SELECT reason FROM messages WHERE state = 'failed'")
    assert reason.startswith("poison: ")
    assert await here.value("SELECT count(*) FROM commands WHERE verb = 'message.failed'") == 1
    # And one that release itself fails on: held for a person, with a word of why.
    held = await here.sql("SELECT record_id, reason FROM actions WHERE state = 'held'")
    assert [tuple(row) for row in held] == [("undecidable", "our own fault: ZeroDivisionError; the log says more")]
    assert running.code is None
    seen(f"{deaths} workers killed, then given up ({reason}), an undecidable action held; the 80 others once each")


# What a later version may add while this one runs: columns, tables, an index; nothing that this one has to know of.
LATER = """
ALTER TABLE messages ADD COLUMN seen_by text NOT NULL DEFAULT 'nobody';
ALTER TABLE actions ADD COLUMN weight integer;
ALTER TABLE events ADD COLUMN heard_at timestamptz DEFAULT now();
CREATE INDEX messages_seen ON messages (studio_id, seen_by) WHERE state = 'queued';
CREATE TABLE sightings (studio_id text NOT NULL, message_id bigint NOT NULL, PRIMARY KEY (studio_id, message_id));
"""


def version_after(place: Path) -> Path:
    """A copy of this program with one more migration, as its next release might come."""
    for package in ("control_center", "workers", "config"):
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    schema = (ROOT / "schema.sql").read_text("utf-8")
    (place / "schema.sql").write_text(schema + LATER, "utf-8")
    (place / "control_center" / "store" / "migrations" / "0099_later.sql").write_text(LATER, "utf-8")
    return place


@pytest.mark.fault("F24")
@pytest.mark.parametrize("messages", [200, pytest.param(4000, marks=pytest.mark.long)])
async def test_f24_the_former_version_goes_on_beside_the_next_and_nothing_is_done_twice_or_left_over(
    install: Install, folder: Path, seen: Seen, messages: int
) -> None:
    here = await install('[accounts.slow]\nchannel = "sms"\nprovider = "sandbox"\nslots = 4\nlatency = 0.1\n')
    await here.furnish(account="slow")
    settings = (here.folder / "control_center.toml").read_text("utf-8")
    later = Elsewhere(folder / "later", database_url=here.database_url, broker_url=here.broker_url, settings=settings)
    later.path = str(version_after(folder / "tree"))
    bodies = bookings(messages)
    async with later:
        former = [await here.run("engine", "release"), await here.work()]
        publishing = asyncio.create_task(here.publish(bodies, within=300))
        await here.sent(messages // 10)
        # Under the feet of those that run: their statements are prepared, their plans made.
        assert "took 0099_later.sql" in (await later.done("migrate")).out
        following = [await later.run("engine", "release"), await later.work()]
        await here.sent(messages // 2, within=240)
        await publishing
        assert [program.code for program in (*former, *following)] == [None] * 4
        # The receipts of what the former version sent are in its own data folder, and nobody else brings them.
        await here.holds("SELECT count(*) = $1 FROM messages WHERE state = 'delivered'", messages, within=240)
        for program in former:
            await program.stop()
        # Who is started only now is told why not, and leaves everything as it is.
        refused = await here.cli("run", "engine")
        assert refused.code == 1
        assert "newer than this program" in refused.complaint
        late = bookings(5, prefix="late", first=messages)
        await later.publish(late)

        await later.holds("SELECT count(*) = $1 FROM messages WHERE state = 'delivered'", messages + 5, within=240)
        lines = [*here.outbox(), *later.outbox()]
        assert len(lines) == len({line["to"] for line in lines}) == messages + 5
        await later.calm()
        assert await later.value("SELECT count(*) FROM messages WHERE state <> 'delivered'") == 0
        assert await later.value("SELECT count(*) FROM actions WHERE state <> 'released'") == 0
        both = (len(here.outbox()), len(later.outbox()))
        assert min(both) > 0
    seen(f"{both[0]} texts by the former version and {both[1]} by the next, migrated under it: none twice, none left")
