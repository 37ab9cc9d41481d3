"""Messages on the command line: somebody writes, somebody answers, and people see to it."""

from __future__ import annotations

import pytest

from tests.support.fixtures import Install
from tests.support.installation import Installation

OURS, KIM = "+13125550100", "+13125550177"


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    return await install_alone()


async def test_a_text_that_a_person_writes_is_delivered_and_found_by_its_words(here: Installation) -> None:
    made = await here.json("messages", "send", "--to", "(312) 555-0177", "The key is under the mat.")
    assert made["id"] == "m-1"
    worker = await here.work()
    (line,) = await here.sent(1)
    assert (line["to"], line["text"]) == (KIM, "The key is under the mat.")
    await here.holds("SELECT state IN ('accepted', 'delivered') FROM messages")
    await worker.stop()

    for words in ("mat key", "UND", KIM):
        (found,) = (await here.json("messages", "sent", "--text", words))["items"]
        assert found["id"] == "m-1", words
    assert (await here.json("messages", "sent", "--text", "mattress"))["items"] == []
    assert "m-1" in (await here.done("explain", "m-1")).out


async def test_what_is_typed_is_refused_and_advised_of_in_lines_like_those_of_a_template(here: Installation) -> None:
    refused = await here.cli("messages", "send", "--to", KIM, "Reply CANCEL to cancel")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "text: asks to be answered with 'CANCEL'" in refused.err
    done = await here.done("messages", "send", "--to", KIM, "See bit.ly/x")
    assert "advice: text: has a link of the public shortener bit.ly" in done.err
    told = await here.json("messages", "send", "--to", KIM, "See bit.ly/x")
    assert [one["code"] for one in told["advice"]] == ["shortener", "identity"]


async def test_what_comes_in_is_read_linked_and_answered(here: Installation) -> None:
    for text in ("hello?", "anybody?"):
        await here.done("sandbox", "receive", "--from", KIM, "--to", OURS, text)
    await here.sql(
        "INSERT INTO records (studio_id, kind, record_id, version, first_version, body)"
        """ VALUES ('main', 'client', 'c-7', 1, 1, '{"id": "c-7", "version": 1, "first_name": "Kim"}')"""
    )

    inbox = (await here.done("messages", "inbox", "--unread", "--unlinked")).out
    assert "anybody?" in inbox
    assert "new" in inbox
    linked = (await here.done("messages", "link", "m-2", "--client", "c-7")).out
    assert "1 more with that number are nobody's" in linked
    await here.done("messages", "link", "m-2", "--client", "c-7", "--earlier")
    assert (await here.json("messages", "inbox", "--unlinked"))["items"] == []
    await here.done("messages", "read", "m-1", "m-2")
    assert "nothing came in" in (await here.done("messages", "unrouted")).out
    assert (await here.json("messages", "inbox", "--unread"))["items"] == []

    made = await here.json("messages", "send", "--reply-to", "m-2", "Yes, come in.")
    shown = await here.json("messages", "show", made["id"])
    assert (shown["to"], shown["client"]) == (KIM, "c-7")


# Sets the clipboard, the title and the colour of a terminal, takes a line back, turns the writing around.
CONTROL = "\x1b]52;c;ZXZpbA==\x07\x1b]0;evil\x07\x1b[2K\x9b31m\rpaid\u202e"


async def test_no_word_of_a_stranger_moves_the_cursor_of_who_looks_at_it(here: Installation) -> None:
    await here.done("sandbox", "receive", "--from", KIM, "--to", OURS, f"hello {CONTROL}")
    failed = "UPDATE messages SET reason = $1, attention = $1"
    await here.sql(failed, CONTROL)

    for words in (
        "messages inbox",
        "messages show m-1",
        "explain m-1",
        "consents show +13125550177",
        "messages list",
        "messages list --json",
    ):
        out = (await here.done(*words.split())).out
        assert [one for one in out if not one.isprintable() and one != "\n"] == [], words
    assert (await here.json("messages", "list"))["items"][0]["reason"] == CONTROL
    error = (await here.cli("messages", "show", f"m-1{CONTROL}")).err
    assert [one for one in error if not one.isprintable() and one != "\n"] == []


async def test_what_is_refused_is_told_in_a_line(here: Installation) -> None:
    await here.done("consents", "record", KIM, "--stop", "--evidence", "asked on the phone")
    for words, told in (
        (("send", "--to", KIM, "Please come back."), "said STOP"),
        (("send", "--to", "911", "Help"), "to:"),
        (("read", "m-1"), "there is no incoming message m-1"),
        (("link", "m-1", "--client", "c-1"), "there is no message m-1"),
        (("resolve", "m-1", "--sent", "--evidence", "a look"), "there is no message m-1"),
        (("resolve", "m-1", "--reading", "nonsense"), "allowed: confirmation"),
        (("task", "m-1", "--due", "tomorrow"), "is not a day"),
    ):
        done = await here.cli("messages", *words)
        assert (done.code, done.err.count("\n")) == (1, 1), done.err
        assert told in done.err
    assert (await here.cli("messages", "resolve", "m-1", "--sent", "--not-sent")).code == 2
    assert (await here.cli("messages", "link", "m-1")).code == 2


async def test_texts_to_numbers_in_a_row_are_listed_and_let_go(here: Installation) -> None:
    assert "no texts are held for being many" in (await here.done("messages", "prefixes")).out
    await here.sql("INSERT INTO prefixes (studio_id, prefix, held_since) VALUES ('main', '+13125550', now())")
    await here.done("messages", "send", "--to", KIM, "The key is under the mat.")
    await here.sql("UPDATE messages SET state = 'held', reason = 'prefix: many'")

    assert [(one["prefix"], one["held"]) for one in (await here.json("messages", "prefixes"))["items"]] == [
        ("+13125550", 1)
    ]
    assert "1 text to +13125550 let go" in (await here.done("messages", "release", "+13125550")).out
    again = await here.cli("messages", "release", "+13125550")
    assert (again.code, "no texts to +13125550 are held" in again.complaint) == (1, True)
    assert await here.sql("SELECT state FROM messages") == [("queued",)]
