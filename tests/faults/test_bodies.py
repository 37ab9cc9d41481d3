"""What cannot be understood costs its neighbours nothing, is kept with the reason, and is taken in once mended."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.support.bookings import booking, bookings
from tests.support.broker import DEAD, depth, publish, taken_out
from tests.support.checker import check
from tests.support.installation import Installation
from tests.support.matrix import Seen

pytestmark = pytest.mark.process


def _with(**keys: object) -> bytes:
    """A booking with this in its record."""
    body = json.loads(booking("bad"))
    body["data"]["record"].update(keys)
    return json.dumps(body).encode()


def _nested(levels: int) -> bytes:
    deep = '{"a":' * levels + "1" + "}" * levels
    return _with(fields="DEEP").replace(b'"DEEP"', deep.encode())


# What is wrong, and the field that it is wrong in.
BAD: Mapping[str, tuple[bytes, str]] = {
    "not JSON": (b"Dear studio, I would like to book", ""),
    "not an object": (b"[1, 2, 3]", ""),
    "nothing at all": (b"", ""),
    "not UTF-8": (booking("bad").replace(b"Wedding", b"Wedd\xffing"), ""),
    "NUL bytes": (b"\0" * 512, ""),
    "NUL in a name": (_with(location="Lake\0side"), "data.record.location"),
    "a version in words": (_with(version="seventeen"), "data.record.version"),
    "a day that never comes": (_with(dates={"session": "2027-02-30T14:00"}), "data.record.dates.session"),
    "a megabyte": (_with(note="x" * 1_000_000), ""),
    "nested a hundred thousand deep": (b"[" * 100_000, ""),
    "a record nested too deep": (_nested(500), "data.record"),
    "a version of CloudEvents to come": (booking("bad").replace(b'"1.0"', b'"2.0"'), "specversion"),
    "a kind of its own": (booking("bad").replace(b"crm.session.created", b"crm.spaceship.created"), "type"),
    "a studio that is not here": (booking("n1", number=77, studio="north"), "studio"),
}


@pytest.mark.fault("F5")
@pytest.mark.parametrize("events", [len(BAD) + 1, pytest.param(1000 * len(BAD), marks=pytest.mark.long)])
async def test_f5_bodies_that_cannot_be_understood_are_set_aside_each_with_its_reason_and_neighbours_flow(
    installation: Installation, events: int, seen: Seen
) -> None:
    here = installation
    program = await here.run()
    good = bookings(events)
    mixed = [body for pair in zip(good, (body for body, _ in BAD.values()), strict=False) for body in pair]
    patience = 60 + events / 20
    await publish(here.broker_url, [*mixed, *good[len(BAD) :]], within=patience)

    await here.sent(len(good), within=patience)
    await here.calm()
    assert not (await check(here, [*good, *(body for body, _ in BAD.values())])).faults
    assert len(here.outbox()) == len(good)
    await _is_said_once_each(here, len(program.lines("event.dead")))
    complaints = [line for line in program.log if line["level"] in ("warning", "error")]
    assert {line["event"] for line in complaints} <= {"event.dead", "command.unroutable"}
    assert all(len(str(line)) < 2000 for line in complaints)
    await _copies_lie_in_the_dead_queue(here)
    await _are_replayed_once_mended(here)
    seen(f"{len(BAD)} bodies set aside, each with field and reason, and copied; {events} good ones among them sent")


async def _is_said_once_each(here: Installation, lines: int) -> None:
    assert lines == len(BAD)
    stored = {row["body"]: row for row in await here.sql("SELECT body, field, reason FROM dead_events")}
    assert len(stored) == len(BAD)
    for name, (body, field) in BAD.items():
        assert stored[body]["field"] == field, name
        assert stored[body]["reason"], name


async def _copies_lie_in_the_dead_queue(here: Installation) -> None:
    copies = dict(await taken_out(here.broker_url, len(BAD)))
    for name, (body, field) in BAD.items():
        assert copies[body]["x-field"] == field, name
        assert copies[body]["x-reason"], name
    assert (await depth(here.broker_url, DEAD))[0] == 0


async def _are_replayed_once_mended(here: Installation) -> None:
    listed = (await here.json("events", "dead"))["items"]
    assert len(listed) == len(BAD)
    (north,) = [one["id"] for one in listed if one["field"] == "studio"]
    unmended = await here.cli("events", "replay", str(north), "--json")
    assert unmended.code == 1
    assert unmended.json["items"][0]["result"] == "not understood"

    before = len(here.outbox())
    await here.furnish(studio="north")
    mended = await here.json("events", "replay", str(north))
    assert [one["result"] for one in mended["items"]] == ["understood"]
    await here.sent(before + 1)
    assert north not in [one["id"] for one in (await here.json("events", "dead"))["items"]]
    assert (await here.cli("events", "replay", str(north))).code == 1
    # All the others are still what they were, and say so.
    rest = await here.cli("events", "replay", "--all", "--json")
    assert rest.code == 1
    assert len(rest.json["items"]) == len(BAD) - 1


async def test_over_http_the_answer_is_the_rejection_and_nothing_of_it_is_stored(installation: Installation) -> None:
    here = installation
    await here.run("engine", "release", "sms", "web")
    good, bad = booking("4711"), json.loads(_with(version=0))
    said = await here.api("POST", "/events", body=[json.loads(good), bad, json.loads(good)])
    assert [one["result"] for one in said["items"]] == ["accepted", "rejected", "duplicate"]
    assert said["items"][1]["field"] == "data.record.version"
    await here.sent(1)
    await here.calm()
    assert await here.value("SELECT count(*) FROM dead_events") == 0
    assert not (await check(here, [good])).faults
