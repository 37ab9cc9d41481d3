"""Templates on the command line: what they may use, what they would say, and what to think over."""

from __future__ import annotations

import pytest

from control_center.store import db
from tests.support.fixtures import Install
from tests.support.installation import Installation
from tests.support.rows import a_client, a_record

TEMPLATE = """
kind = "session"
purpose = "transactional"
sms = "Hi {{ client.first_name }}, see you on {{ session.date }} 🎉"
"""


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    """A client and a session to write to and about."""
    made = await install_alone()
    pool = await db.open_pool(made.database_url, application="test")
    await a_client(pool)
    await a_record(pool, dates={"session": "2027-06-12T14:00"})
    await pool.close()
    return made


async def test_a_template_is_saved_with_advice_and_shown_with_a_real_record(here: Installation) -> None:
    file = here.write("soon.toml", TEMPLATE)
    saved = await here.done("templates", "apply", str(file))
    assert "warning: soon, sms: has 🎉 PARTY POPPER" in saved.err
    assert "warning: soon, sms: does not say at its beginning who writes" in saved.err

    shown = (await here.done("templates", "preview", "soon", "--record", "session/4711")).out
    assert "with session/4711" in shown
    assert "  Hi Jo, see you on Saturday, June 12 🎉" in shown
    assert "1 part, 38 units of UCS-2" in shown
    assert "🎉 PARTY POPPER at character 37 makes every part hold 70 characters instead of 160" in shown


async def test_what_is_missing_is_named_of_a_file_that_is_not_saved(here: Installation) -> None:
    file = here.write("draft.toml", 'kind = "session"\nsms = "{{ client.birthday }} {{ session.nps.score }}"\n')
    seen = await here.cli("templates", "preview", str(file), "--record", "session/4711")
    assert seen.code == 1
    assert "cannot be written: sms: client.birthday has no value" in seen.out
    assert "cannot be written: sms: session.nps.score has no value" in seen.out
    made_up = await here.json("templates", "preview", str(file))
    assert (made_up["sms"]["text"], made_up["record"]) == ("Wednesday, February 28 9", None)
    assert (await here.json("templates", "list"))["items"] == []


async def test_the_fields_of_a_kind_are_listed_with_an_example(here: Installation) -> None:
    found = {one["name"]: one for one in (await here.json("templates", "fields", "session"))["items"]}
    assert found["session.time"]["example"] == "2:00 PM"
    assert "allowed: any, client" in (await here.cli("templates", "fields", "wedding")).complaint
