"""`control-center mail`: the end of a mail server's pipe."""

from __future__ import annotations

import pytest

from control_center.domain.links import Links
from tests.support.fixtures import Install
from tests.support.installation import Installation
from tests.support.rows import a_message

KEY = "a key that nobody else has, really"
LETTER = b"From: jo@mail.example\nTo: hello@lakeside.example\nSubject: May\n\nDo you have a date?\n"


@pytest.fixture
async def here(install_alone: Install) -> Installation:
    return await install_alone(f'link_key = "{KEY}"\n')


async def test_a_letter_from_stdin_and_a_bounce_from_a_file(here: Installation) -> None:
    told = await here.json("mail", "receive", "-", stdin=LETTER)
    assert (told["what"], told["studio"], told["new"]) == ("letter", "main", True)
    again = await here.json("mail", "receive", "-", stdin=LETTER)
    assert not again["new"]

    await here.sql("SELECT 1")
    assert here._connection is not None
    message = await a_message(here._connection, channel="email", state="accepted")
    back = Links("", KEY.encode()).return_path(f"m-{message}.1", "bounces.lakeside.example") or ""
    bounce = here.write(
        "bounce.eml",
        "From: MAILER-DAEMON@relay.example\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="e"\n\n'
        "--e\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; relay.example\n\n"
        "Final-Recipient: rfc822; jo@mail.example\nAction: failed\nStatus: 5.1.1\n\n--e--\n",
    )
    told = await here.json("mail", "receive", str(bounce), "--to", back)
    assert (told["what"], told["message"]) == ("bounce", f"m-{message}")
    assert await here.value("SELECT state FROM messages WHERE message_id = $1", message) == "undelivered"


async def test_while_the_database_is_away_the_mail_server_is_told_to_bring_it_again(here: Installation) -> None:
    away = "postgresql://cc@127.0.0.1:1/nothing"
    done = await here.cli("mail", "receive", "-", stdin=LETTER, database_url=away)
    assert done.code == 75
    assert "bring it again" in done.err


async def test_whatever_keeps_a_mail_from_being_stored_the_mail_server_keeps_it(here: Installation) -> None:
    """Any other exit code but 75 makes it tell the client that the mail could not be delivered."""
    done = await here.cli("mail", "receive", "-", "--account", "spring", stdin=LETTER)
    assert (done.code, "known: default" in done.err) == (75, True)
    await here.sql("UPDATE schema_version SET version = version + 1")
    done = await here.cli("mail", "receive", "-", stdin=LETTER)
    assert (done.code, done.err.count("\n"), "bring it again" in done.err) == (75, 1, True)
    done = await here.cli("mail", "receive", "-", stdin=LETTER, sms_provider="carrier pigeon")
    assert (done.code, "CONTROL_CENTER_SMS_PROVIDER" in done.err) == (75, True)


async def test_a_mail_is_not_stored_in_a_database_made_for_it(here: Installation) -> None:
    here.database_url = ""
    done = await here.cli("mail", "receive", "-", stdin=LETTER)
    assert (done.code, "no database is named" in done.err) == (75, True)
    assert not (here.data_dir / "postgres").exists()


async def test_a_file_that_is_none_is_refused(here: Installation) -> None:
    done = await here.cli("mail", "receive", "nothing.eml")
    assert (done.code, "cannot be read" in done.err) == (1, True)
