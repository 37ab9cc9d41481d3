"""The person in the office, who goes on working meanwhile: with the command, again where it did not go through."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from tests.soak.plan import Fault
from tests.soak.stage import HERE, Stage
from tests.soak.stream import GROUP
from tests.support.programs import Done

ZONE: Final = ZoneInfo("America/Chicago")
PAUSED: Final = ("Remind", "Confirm")  # nothing is expected of these: what comes up while one is off stays out
NOW: Final = "SELECT clock_timestamp()"


async def persist(stage: Stage, *words: str) -> Done:
    """Say it until it is done, or refused for another reason than that something is away."""
    for _ in range(30):
        done = await stage.office.cli(*words, within=120)
        if done.code == 0 or not _away(done):
            return done
        await asyncio.sleep(1)
    return done


def _away(done: Done) -> bool:
    return done.code == 1 and any(
        words in done.err for words in ("does not answer", "Connection", "connection", "starting up", "shutting down")
    )


async def _pauses(stage: Stage, fault: Fault) -> None:
    name = PAUSED[fault.number % len(PAUSED)]
    await persist(stage, "triggers", "disable", name, "--pending", "hold", "--yes")
    await asyncio.sleep(fault.seconds)
    await persist(stage, "triggers", "enable", name, "--yes")


async def _edits(stage: Stage, fault: Fault) -> None:
    """Other words after the colon, for everything that is still to come."""
    edits = stage.desk.edits = stage.desk.edits + 1
    rules = (HERE / "triggers.toml").read_text("utf-8").replace("see you on", f"this is wording {edits}, see you on")
    await persist(stage, "triggers", "apply", str(stage.office.write("edited.toml", rules)), "--yes")


async def _closes(stage: Stage, fault: Fault) -> None:
    """Today and tomorrow, so that midnight changes nothing; and opens again."""
    today = datetime.now(ZONE).date()
    days = ("--from", f"{today}", "--to", f"{today + timedelta(days=1)}")
    added = await persist(stage, "blackouts", "add", f"Closed by #{fault.number}", *days)
    if added.code == 0:
        begins = await stage.value(NOW)
        await asyncio.sleep(fault.seconds)
        stage.desk.closed.append((begins, await stage.value(NOW)))
    await reopen(stage)


async def reopen(stage: Stage) -> None:
    """No day is closed any more."""
    listed = await persist(stage, "blackouts", "list", "--json")
    for one in listed.json["items"] if listed.code == 0 else ():
        await persist(stage, "blackouts", "remove", str(one["id"]))


async def resume(stage: Stage) -> None:
    """Everything that was paused or closed goes on."""
    await reopen(stage)
    for name in PAUSED:
        await persist(stage, "triggers", "enable", name, "--yes")


async def _sends_a_bulk(stage: Stage, fault: Fault) -> None:
    """To the sessions of a group that had none yet. A list whose answer was lost is never started."""
    here = stage.desk
    open_ = [f"g{number}" for number in range(here.groups()) if f"g{number}" not in here.offered]
    if not open_:
        return
    group = open_[0]
    made = await persist(
        stage, "bulk", "make", "--template", "offer", "--record", "session", "--status", "Booked",
        "--field", f"group={group}", "--name", f"#{fault.number}", "--json",
    )  # fmt: skip
    if made.code != 0:
        return
    here.offered.add(group)
    bulk: dict[str, Any] = made.json
    assert bulk["progress"]["listed"] <= GROUP
    started = await persist(stage, "bulk", "start", bulk["id"], "--expect", str(bulk["progress"]["listed"]))
    if started.code != 0:
        return
    await asyncio.sleep(fault.seconds / 4)
    with suppress(AssertionError):
        await persist(stage, "bulk", "pause", bulk["id"])
        await asyncio.sleep(fault.seconds / 4)
        await persist(stage, "bulk", "resume", bulk["id"])


DONE_BY: Final[Mapping[str, Callable[[Stage, Fault], Awaitable[None]]]] = {
    "pauses a trigger": _pauses,
    "edits a trigger": _edits,
    "closes the day": _closes,
    "sends a bulk": _sends_a_bulk,
}
