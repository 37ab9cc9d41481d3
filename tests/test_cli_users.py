"""Users, their tokens and the audit trail from the command line, and the token of the settings through restarts."""

from __future__ import annotations

import json

import aiohttp
import pytest

from tests.support.fixtures import Install
from tests.support.installation import Installation


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    """An installation with a studio and no broker."""
    return await install_alone()


async def status_of(here: Installation, token: str, path: str = "/triggers") -> int:
    base = json.loads((here.data_dir / "endpoints.json").read_text("utf-8"))["http"]
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.get(f"{base}/api/v1{path}?studio=main") as answer,
    ):
        return answer.status


@pytest.mark.process
async def test_a_users_token_counts_until_it_is_revoked_and_all_of_it_is_in_the_trail(here: Installation) -> None:
    await here.run("web")
    await here.done("users", "add", "ada", "--role", "viewer", "--for", "main")
    token = (await here.done("users", "token", "ada")).out.strip()
    assert [await status_of(here, token, path) for path in ("/triggers", "/audit")] == [200, 403]

    await here.done("users", "change", "ada", "--role", "owner")
    assert await status_of(here, token, "/audit") == 200
    await here.done("users", "deactivate", "ada")
    assert await status_of(here, token) == 401
    await here.done("users", "change", "ada", "--activate")
    assert await status_of(here, token) == 200
    [held] = (await here.json("users", "show", "ada"))["tokens"]
    await here.done("users", "revoke", "ada", "--token", held["id"])
    assert await status_of(here, token) == 401

    items = (await here.json("audit"))["items"]
    did = [f"{one['verb']} {one['resource'].split('/')[0]}" for one in items if one["via"] == "cli"]
    assert did == [
        *("revoke token", "change user", "change user", "change user", "issue token", "create user"),
        *("create trigger", "change studio" if "change studio" in did else "create studio"),
    ]
    assert token not in json.dumps(items)
    assert "change user" in (await here.done("audit", "--resource", f"user/{_id(items)}")).out


def _id(items: list[dict[str, str]]) -> str:
    return next(
        one["resource"].split("/")[1] for one in items if one["verb"] == "create" and "user/" in one["resource"]
    )


@pytest.mark.process
async def test_a_changed_token_of_the_settings_lets_the_old_one_in_no_more(here: Installation) -> None:
    for token, other in (("the-first-of-them", "the-second-of-them"), ("the-second-of-them", "the-first-of-them")):
        running = await here.run("web", api_token=token)
        assert [await status_of(here, one) for one in (token, other)] == [200, 401]
        await running.stop()


async def test_wrong_use_says_what_is_allowed(here: Installation) -> None:
    for words, complaint in (
        (("add", "jo", "--role", "king"), "allowed: viewer, front_desk, author, owner"),
        (("add", "jo", "--role", "viewer", "--for", "nowhere"), "there is no studio 'nowhere'"),
        (("token", "nobody"), "there is no user 'nobody'"),
        (("revoke", "nobody"), "there is no user 'nobody'"),
    ):
        done = await here.cli("users", *words)
        assert (done.code, complaint in done.complaint) == (1, True), done.complaint


async def test_holidays_are_listed_and_those_that_are_ticked_are_closed(here: Installation) -> None:
    words = ("blackouts", "holidays", "--country", "US", "--year", "2027")
    assert "Christmas Day" in (await here.done(*words)).out
    assert (await here.json("blackouts", "list"))["items"] == []
    await here.done(*words, "--tick", "2027-12-25")
    assert [one["from"] for one in (await here.json("blackouts", "list"))["items"]] == ["2027-12-25"]
    assert "2027-12-26" in (await here.cli(*words, "--tick", "2027-12-26")).complaint


async def test_a_calendar_file_closes_its_days(here: Installation) -> None:
    day = "DTSTART;VALUE=DATE:20270705\r\nDTEND;VALUE=DATE:20270707\r\n"
    event = f"BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Fair\r\n{day}END:VEVENT\r\n"
    file = here.write("closed.ics", f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{event}END:VCALENDAR\r\n")
    await here.done("blackouts", "import", str(file))
    [found] = (await here.json("blackouts", "list"))["items"]
    assert (found["name"], found["from"], found["to"]) == ("Fair", "2027-07-05", "2027-07-06")
