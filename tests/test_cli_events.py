"""`events` on the command line: what the broker had set aside is alarm enough until somebody has dealt with it."""

from __future__ import annotations

import json

import pytest

from tests.support.crm import client, event
from tests.support.fixtures import Install
from tests.support.installation import Installation

STUDIO = 'id = "main"\nname = "Main"\ntimezone = "America/Chicago"\ncountry = "US"\n'
BURY = "INSERT INTO dead_events (body, field, reason, by_broker) VALUES ($1, '', $2, $3)"


async def a_studio(here: Installation) -> None:
    await here.done("migrate")
    await here.done("studios", "put", str(here.write("main.toml", STUDIO)))


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    return await install_alone(given=a_studio)


async def the_line(here: Installation) -> tuple[bool, str]:
    """What `check` says of the broker's events."""
    found = json.loads((await here.cli("check", "--json")).out)
    (line,) = [one for one in found["checks"] if one["name"] == "events"]
    return line["ok"], line["says"]


async def test_what_was_brought_over_is_told_of_until_it_is_replayed_or_discarded(here: Installation) -> None:
    assert await the_line(here) == (True, "the broker has set none aside")
    await here.sql(BURY, event(about=client()), "handed out too often", True)
    await here.sql(BURY, b"kills whoever reads it", "handed out too often", True)
    await here.sql(BURY, b"no event at all", "is not JSON", False)

    ok, told = await the_line(here)
    assert (ok, "2 that the broker had set aside wait to be replayed" in told) == (False, True), told

    await here.done("events", "replay", "1")
    ok, told = await the_line(here)
    assert (ok, "1 that the broker had set aside waits to be replayed" in told) == (False, True), told

    done = await here.json("events", "discard", "2", "--reason", "the CRM sends it again, mended")
    assert done["items"] == [{"id": 2, "result": "discarded"}]
    assert await the_line(here) == (True, "the broker has set none aside")
    assert [one["id"] for one in (await here.json("events", "dead"))["items"]] == [3]


async def test_what_was_discarded_is_kept_and_not_replayed(here: Installation) -> None:
    await here.sql(BURY, event(about=client()), "handed out too often", True)
    await here.done("events", "discard", "1", "--reason", "sent again")

    assert (await here.json("events", "replay", "--all"))["items"] == []
    for verb in (("replay", "1"), ("discard", "1", "--reason", "again")):
        refused = await here.cli("events", *verb)
        assert (refused.code, "nothing is set aside under 1" in refused.complaint) == (1, True)
    assert await here.value("SELECT count(*) FROM dead_events WHERE body IS NOT NULL") == 1
    assert await here.value("SELECT count(*) FROM events") == 0
