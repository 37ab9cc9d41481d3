"""`studios catalog` and `check`, on a real database."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from control_center.domain.studio_catalog import parse
from control_center.domain.trigger_names import findings as findings_of
from tests.support.fixtures import Install
from tests.support.installation import Installation
from tests.support.programs import ROOT

CATALOG = """\
relationships = ["Mother", "Father"]
users = [{ name = "Ada", email = "ada@studio.example", roles = ["photographer"] }, { name = "Ben", active = false }]

[[statuses]]
kind = "session"
name = "Booked"
initial = true

[[statuses]]
kind = "session"
type = "Album"
name = "Delivered"

[[types]]
kind = "session"
name = "Wedding"
"""


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    """The studio `main` and a trigger that texts whoever books; no broker."""
    return await install_alone()


async def findings(here: Installation) -> dict[str, Any]:
    return {one["name"]: one for one in (await here.json("check"))["checks"]}


async def test_a_catalogue_is_applied_from_a_file_and_shown_as_one(here: Installation) -> None:
    empty = await here.done("studios", "catalog", "show")
    applied = await here.json("studios", "catalog", "apply", str(here.write("catalog.toml", CATALOG)))
    shown = (await here.done("studios", "catalog", "show")).out
    again = await here.done("studios", "catalog", "apply", str(here.write("shown.toml", shown)))

    assert "is empty" in empty.out
    assert applied == {"replaced": {"statuses": 2, "types": 1, "relationships": 2, "users": 2}, "warnings": []}
    assert tomllib.loads(shown)["statuses"][0]["name"] == "Booked"
    assert "replaced: statuses (2), types (1), relationships (2), users (2)" in again.out
    assert (await here.done("studios", "catalog", "show")).out == shown


async def test_only_the_sections_that_a_file_names_are_replaced(here: Installation) -> None:
    await here.done("studios", "catalog", "apply", str(here.write("catalog.toml", CATALOG)))

    await here.done("studios", "catalog", "apply", str(here.write("some.json", '{"relationships": ["Aunt"]}')))

    found = await here.json("studios", "catalog", "show")
    assert (found["relationships"], [one["name"] for one in found["types"]]) == (["Aunt"], ["Wedding"])


async def test_a_wrong_file_changes_nothing_and_names_what_is_wrong(here: Installation) -> None:
    cases = {
        "a.toml": ("status = []", "a.toml, status: is not a known key; did you mean 'statuses'?"),
        "b.toml": ('[[types]]\nkind = "sesion"\nname = "X"', "b.toml, types[0].kind: 'sesion'; allowed: appointment"),
        "c.json": ("[]", "a table of sections is needed"),
        "d.toml": ("=", "d.toml: "),
    }
    for name, (text, told) in cases.items():
        done = await here.cli("studios", "catalog", "apply", str(here.write(name, text)))
        assert done.code == 1, name
        assert done.err.startswith("control-center studios catalog apply: "), name
        assert told in done.err, name
    assert not any((await here.json("studios", "catalog", "show")).values())


async def test_a_trigger_file_that_names_an_unknown_status_is_refused_and_a_doubtful_one_warns(
    here: Installation,
) -> None:
    call = '[[trigger]]\nname = "Call"\nrecord = "{}"\nstatus = "Bookd"\nactivate = {{ on = "status_changed" }}\n'
    call += 'action = "call"\n'
    await here.done("studios", "catalog", "apply", str(here.write("catalog.toml", CATALOG)))

    refused = await here.cli("triggers", "apply", str(here.write("one.toml", call.format("session"))), "--yes")
    warned = await here.cli("triggers", "diff", str(here.write("two.toml", call.format("invoice"))))

    assert refused.code == 1
    assert "one.toml \"Call\", status: 'Bookd' is not a status of session records" in refused.err
    assert "nearest: 'Booked'" in refused.err
    assert "! status: 'Bookd' cannot be checked" in warned.out


async def test_check_warns_of_triggers_whose_status_has_gone_or_whose_user_has_left(here: Installation) -> None:
    call = '[[trigger]]\nname = "Call"\nrecord = "session"\nactivate = { on = "status_changed" }\naction = "call"\n'
    call += '[trigger.call]\nassign = "Ben"\n'
    await here.done("triggers", "apply", str(here.write("call.toml", call)), "--yes")
    assert (await findings(here))["catalog"]["hint"] == ""

    gone = {"statuses": [{"kind": "session", "name": "Inquiry"}], "users": [{"name": "Ben", "active": False}]}
    applied = await here.done("studios", "catalog", "apply", str(here.write("gone.json", json.dumps(gone))))
    found = (await findings(here))["catalog"]

    assert "! trigger 'Booked', status: 'Booked' is not a status" in applied.out
    assert (found["ok"], found["says"]) == (True, "2 triggers with names that the CRM no longer has")
    assert "trigger 'Call', call.assign: 'Ben' is a user who is no longer active" in found["hint"]


def test_the_demo_names_nothing_that_its_crm_has_not() -> None:
    demo = ROOT / "config" / "demo"
    catalog = parse(tomllib.loads((demo / "catalog.toml").read_text("utf-8")))
    tables = [
        table
        for file in (demo / "triggers").glob("*.toml")
        for table in tomllib.loads(file.read_text("utf-8"))["trigger"]
    ]

    assert [(table["name"], findings_of(table, catalog)) for table in tables if findings_of(table, catalog)] == []
