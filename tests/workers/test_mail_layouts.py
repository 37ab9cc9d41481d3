"""Mail with a layout or HTML of the studio's own, as it is handed to the relay; texts with their sender in front."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from control_center.store import db
from tests.support.crm import client, event
from tests.support.rows import a_message, a_studio, a_trigger
from tests.workers.test_attachments import MAILED, TODAY, Scripted, a_template, booked, delivered, released

SETTINGS = {
    "sms": {"account": "default", "numbers": ["+13125550100"], "identify": True},
    "email": {"account": "default", "from": "ada@studio.example", "postal_address": "12 Shore Drive\nChicago"},
    "phone": "+13125550100",
}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened, name="Ada & Park", settings=SETTINGS)
    yield opened
    await opened.close()


async def sent(pool: db.Pool, **body: Any) -> Any:
    await a_template(pool, "words", **{"kind": "session", "purpose": "transactional", "subject": "Soon", **body})
    await a_trigger(pool, **{**MAILED, "text": None}, template="words")
    await released(pool, event(booked(), about=client(first_name="<Jo>")))
    provider = Scripted()
    await delivered(pool, provider)
    (mail,) = provider.asked
    return mail


@pytest.mark.parametrize("layout", ["plain", "reminder", "gallery"])
async def test_the_text_of_a_mail_stands_in_its_layout(pool: db.Pool, layout: str) -> None:
    mail = await sent(pool, layout=layout, text="Hi {{ client.first_name }},\n\nsee https://lakeside.example/x.")

    assert mail.text == "Hi <Jo>,\n\nsee https://lakeside.example/x."
    assert "[[content]]" not in mail.html
    assert "{" + "{" not in mail.html
    for said in (
        "Hi &lt;Jo&gt;,",
        '<a href="https://lakeside.example/x">',
        "Ada &amp; Park",
        "12 Shore Drive\nChicago",
    ):
        assert said in mail.html, said
    assert len(mail.html) < 12_000


async def test_html_of_the_studio_s_own_stands_in_its_layout_without_what_acts(pool: db.Pool) -> None:
    html = (
        "<style>p{color:red} @media (max-width:400px){p{color:blue}}</style><p>Hi {{ client.first_name }}</p>"
        "<form action='https://e.example'><input></form><a href='javascript:a()'>x</a>"
    )
    mail = await sent(pool, layout="plain", text="Hi", html=html)

    assert '<p style="color: red;">Hi &lt;Jo&gt;</p><a>x</a>' in mail.html
    assert "<style>@media (max-width:400px){p{color:blue}}</style></head>" in mail.html
    assert not [bad for bad in ("<form", "<input", "javascript") if bad in mail.html]


async def test_a_value_of_the_crm_s_is_no_link_that_runs(pool: db.Pool) -> None:
    html = '<p><a href="{{ record.fields.gallery }}">Pictures</a></p>'
    await a_template(pool, "words", kind="session", purpose="transactional", subject="Soon", text="Hi", html=html)
    await a_trigger(pool, **{**MAILED, "text": None}, template="words")
    await released(pool, event(booked(fields={"gallery": "javascript:alert(1)"}), about=client()))
    provider = Scripted()
    await delivered(pool, provider)
    assert provider.asked[0].html == "<p><a>Pictures</a></p>"


async def test_a_studio_that_wishes_so_is_named_in_front_of_its_texts_once(pool: db.Pool) -> None:
    await a_trigger(pool, "plain", text="See you soon", **TODAY)
    await a_trigger(pool, "named", text="Hi, this is {{ studio.name }}. See you soon", **TODAY)
    await a_message(pool, state="delivered")
    await released(pool)
    provider = Scripted()
    await delivered(pool, provider, account="sms/default", ends=3)
    assert sorted(one.body for one in provider.asked) == [
        "Ada & Park: See you soon",
        "Hi, this is Ada & Park. See you soon",
    ]


@pytest.mark.parametrize("before", [{"origin": "person"}, {"state": "undelivered"}, {"address": "+13125550177"}])
async def test_the_first_text_that_goes_to_a_number_by_itself_says_how_to_stop(
    pool: db.Pool, before: dict[str, Any]
) -> None:
    await a_trigger(pool, text="{{ studio.name }}: see you soon", **TODAY)
    await a_message(pool, **{"state": "delivered", **before})
    await released(pool)
    provider = Scripted()

    await delivered(pool, provider, account="sms/default", ends=2)

    assert provider.asked[0].body == "Ada & Park: see you soon Reply STOP to opt out."
