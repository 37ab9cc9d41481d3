"""`bulk` on the command line: a list is made, reviewed, let go with its number, and stopped."""

from __future__ import annotations

import pytest

from control_center.store import db
from tests.support.fixtures import Install
from tests.support.installation import Installation
from tests.support.rows import a_client


async def three_clients(here: Installation) -> None:
    await here.done("migrate")
    await here.done("studios", "put", str(here.write("main.toml", STUDIO)))
    await here.done("templates", "apply", str(here.write("offer.toml", OFFER)))
    pool = await db.open_pool(here.database_url, application="test")
    for n in range(3):
        phones = [{"number": f"+1312555{n:04}", "sms": True}]
        await a_client(pool, f"c-{n}", phones=phones, allow_marketing={"sms": n != 2}, fields={"group": "Families"})
    await pool.close()


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    return await install_alone(given=three_clients)


STUDIO = """\
id = "main"
name = "Ada Park Photography"
timezone = "America/Chicago"
country = "US"

[sms]
numbers = ["+13125550100"]

[sms.limits.number]
per_second = 1
per_day = 2000
"""
OFFER = 'purpose = "marketing"\nsms = "Hello {{ client.first_name }}, our spring offer is here."'


async def test_a_bulk_is_made_reviewed_let_go_and_stopped(here: Installation) -> None:
    made = await here.json("bulk", "make", "--template", "offer", "--status", "Active", "--field", "group=Families")
    assert (made["id"], made["state"], made["progress"]["listed"]) == ("b-1", "review", 2)
    told = (await here.done("bulk", "show", "b-1")).out
    assert "control-center bulk start b-1 --expect 2" in told
    assert "advice: sms: does not say at its beginning who writes" in told
    assert [one["code"] for one in made["advice"]] == ["identity"]
    assert "the box for sms is not ticked" in (await here.done("bulk", "recipients", "b-1", "--state", "barred")).out
    await here.done("bulk", "untick", "b-1", "1")
    assert (await here.json("bulk", "tick", "b-1", "1"))["progress"]["listed"] == 2

    assert "2 (2 listed)" in (await here.cli("bulk", "start", "b-1", "--expect", "3")).complaint
    begun = await here.json("bulk", "start", "b-1", "--expect", "2", "--when", "2027-03-01T10:00")
    assert (begun["state"], begun["start_at"]) == ("scheduled", "2027-03-01T16:00:00Z")
    ahead = (await here.done("triggers", "forecast", "--days", "120")).out
    assert "2027-03-01 10:00" in ahead
    assert "goes: bulk b-1, client/c-0, client c-0: sms Jo Park" in ahead
    assert "segments of what goes: 2" in ahead
    assert (await here.json("bulk", "pause", "b-1"))["state"] == "paused"
    assert (await here.json("bulk", "resume", "b-1"))["state"] == "scheduled"
    assert (await here.json("bulk", "cancel", "b-1"))["state"] == "cancelled"
    assert [one["id"] for one in (await here.json("bulk", "list", "--state", "cancelled"))["items"]] == ["b-1"]


async def test_more_than_one_person_writes_to_is_asked_for_and_approved_by_another_one(here: Installation) -> None:
    with_limit = here.write("main.toml", STUDIO.replace("[sms]", "second_person_above = 1\n\n[sms]", 1))
    await here.done("studios", "put", str(with_limit))
    await here.done("bulk", "make", "--template", "offer")

    asked = await here.cli("bulk", "start", "b-1", "--expect", "2", "--when", "2027-03-01T10:00")

    assert (asked.code, "b-1 does not begin yet: asked for by" in asked.complaint) == (1, True), asked.err
    assert "somebody else with the role author has to approve it" in asked.complaint
    told = (await here.done("bulk", "show", "b-1")).out
    seen = (await here.json("bulk", "show", "b-1"))["approval"]["seen"]
    assert f"control-center bulk approve b-1 --expect 2 --seen {seen}" in told
    assert "since more than 1 are listed; it begins 2027-03-01 10:00" in told
    refused = await here.cli("bulk", "approve", "b-1", "--expect", "2", "--seen", seen)
    assert (refused.code, "somebody else with the role author has to approve it" in refused.complaint) == (1, True)

    await here.sql("UPDATE bulks SET made_by = 'somebody else', asked_by = 'somebody else'")
    begun = await here.json("bulk", "approve", "b-1", "--expect", "2", "--seen", seen)
    assert (begun["state"], begun["start_at"]) == ("scheduled", "2027-03-01T16:00:00Z")
    assert "made by somebody else, approved by" in (await here.done("bulk", "show", "b-1")).out


async def test_what_is_wrong_is_said_in_one_line(here: Installation) -> None:
    for words, told in {
        "bulk show b-9": "there is no bulk b-9",
        "bulk pause b-9": "there is no bulk b-9",
        "bulk show x": "write b- and a number",
        "bulk make --template gone": "there is no template 'gone'",
        "bulk make --template offer --field group": "write the name and the value",
        "bulk make --template offer --record sms": "allowed: client",
        "bulk make --template offer --status Nowhere": "nobody is meant",
        "bulk list --state wating": "allowed: review",
    }.items():
        done = await here.cli(*words.split())
        assert (done.code, told in done.complaint) == (1, True), f"{words}: {done.code} {done.err}"


async def test_what_was_sent_is_told_by_country_with_its_cost(here: Installation) -> None:
    plan = '[plan]\nprice_per_segment = "0.01"\ncurrency = "USD"\n[plan.prices]\nCA = "0.05"\n'
    await here.done("studios", "put", str(here.write("main.toml", f"{STUDIO}\n{plan}")))
    await here.sql(
        "INSERT INTO usage_sources (studio_id, month, origin, trigger_id, country, texts, segments)"
        " SELECT 'main', date_trunc('month', now() AT TIME ZONE 'America/Chicago'), 'bulk', 0, country, 3, 4"
        " FROM unnest(ARRAY['US', 'CA', '']) AS country"
    )

    told = (await here.done("usage")).out
    month = (await here.json("usage"))["this_month"]

    assert [line.split()[1:] for line in told.splitlines() if " CA " in line] == [["CA", "3", "4", "0.20", "USD"]]
    assert "not known" in told
    assert month["cost"] == "0.28 USD"
    assert {one["country"]: one["cost"] for one in month["by_country"]} == {
        "US": "0.04 USD",
        "CA": "0.20 USD",
        None: "0.04 USD",
    }
