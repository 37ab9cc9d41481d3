"""The pages that links in messages lead to: a GET changes nothing, a POST acts once, and nothing on them runs."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import aiohttp
import pytest

from control_center.domain.record import Picture
from control_center.engine.following import Following
from control_center.store import db, records
from tests.support.rows import a_client, a_message, a_record
from tests.web.conftest import LINKS, NOW, Answer, Caller

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
TABLES = ("consents", "answers", "commands", "actions")


async def a_mail(app: Caller, **columns: Any) -> int:
    return await a_message(
        app.pool, **{"channel": "email", "state": "accepted", "purpose": "marketing", "sent_at": NOW, **columns}
    )


def path(url: str) -> str:
    return url.removeprefix(LINKS.base)


async def follow(app: Caller, url: str, method: str = "GET", **options: Any) -> Answer:
    return await app.call(method, path(url), token=None, allow_redirects=False, **options)


async def everything(app: Caller) -> list[int]:
    return [await app.pool.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES]


async def a_link_to_confirm(app: Caller, **record: Any) -> str:
    await a_client(app.pool)
    await a_record(app.pool, **{"dates": {"session": "2027-06-12T14:00"}, **record})
    key = ("main", "session", "4711")
    async with db.session(app.pool) as connection:
        picture: Picture = (await records.get(connection, {key}))[key]
    return LINKS.confirm(await a_mail(app), picture)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_at_any_link_changes_nothing(app: Caller, method: str) -> None:
    confirm = await a_link_to_confirm(app)
    mail = await a_mail(app)
    before = await everything(app)
    for url in (LINKS.unsubscribe(mail), confirm, LINKS.score(mail), f"{LINKS.score(mail)}/9"):
        answer = await follow(app, url, method)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert await everything(app) == before


async def test_one_click_posted_as_a_form_or_in_parts(app: Caller) -> None:
    parts = aiohttp.MultipartWriter("form-data")
    parts.append("One-Click").set_content_disposition("form-data", name="List-Unsubscribe")
    for number, data in enumerate((ONE_CLICK, parts)):
        url = LINKS.unsubscribe(await a_mail(app, address=f"jo{number}@mail.example"))
        answer = await follow(app, url, "POST", data=data)
        assert answer.status == 200
        assert await app.pool.fetchval("SELECT count(*) FROM consents") == number + 1


async def test_a_repeat_is_answered_the_same_and_says_it_once(app: Caller) -> None:
    url = LINKS.unsubscribe(await a_mail(app))
    for _ in range(3):
        answer = await follow(app, url, "POST", data=ONE_CLICK)
        assert answer.status == 200
        assert b"You are unsubscribed" in answer.body
    rows = [tuple(row) for row in await app.pool.fetch("SELECT address, purpose, says, source FROM consents")]
    assert rows == [("jo@mail.example", "marketing", "stop", "link")]


@pytest.mark.parametrize("data", [b"", b"List-Unsubscribe=Two", b"\xff=\xff", {"something": "else"}])
async def test_a_post_that_is_no_one_click_ends_nothing(app: Caller, data: Any) -> None:
    url = LINKS.unsubscribe(await a_mail(app))
    assert (await follow(app, url, "POST", data=data)).status == 400
    assert await app.pool.fetchval("SELECT count(*) FROM consents") == 0


@pytest.mark.parametrize("where", ["/u/{}", "/c/{}", "/n/{}", "/n/{}/9"])
async def test_a_forged_link_leads_nowhere(app: Caller, where: str) -> None:
    await a_mail(app)
    before = await everything(app)
    for token in ("A" * 24, "A" * 28, "x", "%00", "..%2f..%2fapi"):
        for method in ("GET", "POST"):
            answer = await follow(app, where.format(token), method, data=ONE_CLICK | {"score": "9"})
            assert answer.status == 404
            assert b"leads nowhere" in answer.body or token == "..%2f..%2fapi"
    assert await everything(app) == before


async def test_nothing_on_a_page_runs_or_is_fetched(app: Caller) -> None:
    answer = await follow(app, LINKS.unsubscribe(await a_mail(app)))
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    style = re.search(rb"<style>(.*?)</style>", answer.body)
    assert style is not None
    assert base64.b64encode(hashlib.sha256(style[1]).digest()).decode() in policy
    assert b"<script" not in answer.body
    assert b"http" not in answer.body
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_names_of_the_studio_and_the_crm_are_only_text(app: Caller) -> None:
    await app.pool.execute("UPDATE studios SET name = '<b>Ada & Co</b>'")
    answer = await follow(app, await a_link_to_confirm(app, type="<script>alert(1)</script>"))
    assert b"&lt;b&gt;Ada &amp; Co&lt;/b&gt;" in answer.body
    assert b"<script" not in answer.body


async def test_a_session_is_confirmed_by_its_button(app: Caller) -> None:
    url = await a_link_to_confirm(app)
    page = await follow(app, url)
    assert b"Wedding on Saturday, June 12, 2:00 PM" in page.body
    assert b"<button>Yes, I confirm</button>" in page.body

    for _ in range(2):
        assert b"It is confirmed" in (await follow(app, url, "POST")).body
    assert await app.pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'confirm_record'") == 1


async def test_a_session_that_moved_says_so_and_how_to_reach_the_studio(app: Caller) -> None:
    url = await a_link_to_confirm(app)
    moved = '{"dates": {"session": "2027-06-13T14:00"}, "kind": "session", "id": "4711", "version": 1}'
    await app.pool.execute("UPDATE records SET body = $1 WHERE record_id = '4711'", moved)
    answer = await follow(app, url, "POST")
    assert answer.status == 200
    assert b"nothing was confirmed" in answer.body
    assert b"ada@studio.example" in answer.body
    assert await app.pool.fetchval("SELECT count(*) FROM commands WHERE verb = 'confirm_record'") == 0


async def test_a_score_is_given_by_link_with_a_comment(app: Caller) -> None:
    await a_client(app.pool)
    await a_record(app.pool)
    url = LINKS.score(await a_mail(app))
    page = await follow(app, f"{url}/10")
    assert b'value="10" required checked' in page.body
    action = re.search(rb'action="([^"]+)"', page.body)
    assert action is not None
    assert action[1].decode() == path(url)

    assert (await follow(app, url, "POST", data={"score": "11"})).status == 400
    answer = await follow(app, url, "POST", data={"score": "8", "comment": "Lovely & quick"})
    assert answer.status == 200
    (row,) = await app.pool.fetch("SELECT data FROM commands WHERE verb = 'record_nps'")
    assert '"score":8,"comment":"Lovely & quick"' in row[0]


async def test_a_score_in_the_address_counts_where_the_form_gives_none(app: Caller) -> None:
    await a_client(app.pool)
    await a_record(app.pool)
    url = LINKS.score(await a_mail(app))
    assert (await follow(app, f"{url}/0", "POST")).status == 200
    assert await app.pool.fetchval("SELECT words FROM answers") == "0"
    assert (await follow(app, f"{url}/11")).status == 404


async def test_a_body_beyond_a_form_is_refused(app: Caller) -> None:
    url = LINKS.unsubscribe(await a_mail(app))
    assert (await follow(app, url, "POST", data=b"x" * 20_000)).status == 413


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 400, b"Nothing was changed"),
        (b"x" * 20_000, 413, b"Nothing was changed"),
    ],
)
async def test_what_a_page_cannot_do_it_says_to_a_person_and_not_to_a_program(
    app: Caller, data: bytes, status: int, words: bytes
) -> None:
    answer = await follow(app, LINKS.unsubscribe(await a_mail(app)), "POST", data=data)

    assert (answer.status, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert words in answer.body
    assert "style-src" in answer.headers["Content-Security-Policy"]


async def test_a_score_that_is_none_is_asked_for_on_the_page(app: Caller) -> None:
    await a_client(app.pool)
    await a_record(app.pool)

    answer = await follow(app, LINKS.score(await a_mail(app)), "POST", data={"comment": "Lovely"})

    assert (answer.status, answer.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert b"from 0 to 10" in answer.body


@pytest.mark.parametrize("error", [ConnectionRefusedError("no database"), RuntimeError("a fault of ours")])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_follows_a_link_while_nothing_works_is_asked_to_come_again(
    app: Caller, monkeypatch: pytest.MonkeyPatch, error: Exception, method: str
) -> None:
    url = await a_link_to_confirm(app)

    async def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(Following, "confirm", fails)
    monkeypatch.setattr(Following, "confirmation", fails)
    answer = await follow(app, url, method)

    assert answer.status in {500, 503}
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"in a few minutes" in answer.body
    assert str(error).encode() not in answer.body
