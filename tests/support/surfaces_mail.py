"""What comes in as a file or a mail, for fuzzing: bounces, letters, calendars."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from email.message import EmailMessage
from random import Random
from typing import Any, Final

from icalendar.timezone import tzp

from control_center.domain.errors import Malformed
from control_center.domain.links import Links
from control_center.domain.wire import incoming_mail
from control_center.engine import closed_days, mailroom
from tests.support.hostile import HungError, Surface, deadline, storable

assert logging.getLogger("flufl.bounce").level == logging.CRITICAL, f"as {mailroom.__name__} sets it"

# Mail that comes in -----------------------------------------------------------------------------------------

LINKS: Final = Links("https://control.studio.example", b"a key that nobody else has, really")
BACK: Final = LINKS.return_path("m-12.1", "bounces.studio.example") or ""
NONCE: Final = "0123456789abcdef" * 2


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


DSNS: Final = (
    crlf(
        "Return-Path: <>\nFrom: Mail Delivery System <MAILER-DAEMON@relay.example>\n"
        f"To: {BACK}\nSubject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="edge"\n\n'
        "--edge\nContent-Type: text/plain\n\nYour mail could not be delivered.\n\n"
        "--edge\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; relay.example\n"
        "Arrival-Date: Tue, 1 Jun 2027 15:00:00 +0000\n\n"
        "Final-Recipient: rfc822; jo@mail.example\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 <jo@mail.example>: user unknown\n\n"
        "--edge\nContent-Type: text/rfc822-headers\n\nFrom: ada@studio.example\n"
        f"Message-ID: <m-12.{NONCE}@studio.example>\n--edge--\n"
    ),
    crlf(
        f"Return-Path: <>\nFrom: MAILER-DAEMON@relay.example\nTo: {BACK}\nSubject: failure notice\n\n"
        "Hi. This is the qmail-send program at relay.example.\nI'm afraid I wasn't able to deliver your message to the "
        "following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n"
        "<jo@mail.example>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 no such user\n\n"
        "--- Below this line is a copy of the message.\n\n"
        f"Message-ID: <m-12.{NONCE}@studio.example>\nSubject: x\n\nhello\n"
    ),
    crlf(
        "From: <postmaster@outlook.example>\nTo: bounces@studio.example\n"
        "Subject: =?utf-8?q?Unzustellbar=3A_Ihr_Termin?=\n"
        'MIME-Version: 1.0\nContent-Type: multipart/report; report-type="delivery-status"; boundary=b1\n\n--b1\n'
        "Content-Type: multipart/alternative; boundary=b2\n\n--b2\nContent-Type: text/html; charset=iso-8859-1\n"
        "Content-Transfer-Encoding: quoted-printable\n\n<html><body>nicht zustellbar =E4</body></html>\n--b2--\n--b1\n"
        "Content-Type: message/global-delivery-status\n\nReporting-MTA: dns;x\n\n"
        "Final-Recipient: rfc822;jo@mail.example\n"
        "Action: delayed\nStatus: 4.4.7\n--b1\nContent-Type: message/rfc822\n\n"
        "From: a@b.example\nSubject: hi\n\nwords\n--b1--\n"
    ),
    crlf(
        "From: feedback@provider.example\nTo: bounces@studio.example\nSubject: abuse report\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="fb"\n\n--fb\n'
        "Content-Type: text/plain\n\n"
        "This is an abuse report.\n--fb\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n"
        "User-Agent: x/1\nVersion: 1\n\n--fb\nContent-Type: message/rfc822\n\n"
        f"Message-ID: <m-12.{NONCE}@studio.example>\nFrom: ada@studio.example\n\nhello\n--fb--\n"
    ),
)


def letters() -> tuple[bytes, ...]:
    """What people and their programs write."""
    made = []
    for words_, more in (
        ("Yes, that suits us.\n\nOn Tue, Ada wrote:\n> See you on Saturday?\n", {}),
        ("STOP\n\n-- \nJo Park\n", {"In-Reply-To": f"<m-12.{NONCE}@studio.example>"}),
        ("Ich bin im Urlaub.", {"Auto-Submitted": "auto-replied", "Precedence": "bulk"}),
    ):
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = (
            "Jo Päark <jo@mail.example>",
            "ada@studio.example",
            "Re: Ünser Termin",
        )
        mail["Message-ID"] = "<abc@mail.example>"
        for name, value in more.items():
            mail[name] = value
        mail.set_content(words_)
        mail.add_alternative(
            f"<html><head><style>p{{}}</style></head><body><p>{words_}</p><br>&nbsp;é</body></html>", subtype="html"
        )
        mail.add_attachment(b"\x89PNG....", maintype="image", subtype="png", filename="bïld.png")
        made.append(mail.as_bytes())
    return (
        *made,
        crlf("From: jo@mail.example\nTo: ada@studio.example\nSubject: hi\n\nplease unsubscribe me\n"),
        crlf(
            "From: =?iso-2022-jp?B?GyRCNEE7ehsoQg==?= <jo@mail.example>\nTo: =?utf-8?q?a=2Cb?= <ada@studio.example>\n"
            'Subject: =?utf-16?b?//4=?=\nContent-Type: text/plain; charset="utf-7"\n'
            "Content-Transfer-Encoding: base64\n\n+AGE-\n"
        ),
    )


MAIL_WORDS: Final = tuple(
    one.encode()
    for one in (
        "Content-Type: multipart/mixed; boundary=edge\r\n",
        "Content-Type: message/rfc822\r\n\r\n",
        "--edge\r\n",
        "--edge--\r\n",
        "Content-Type: message/delivery-status\r\n\r\n",
        "Content-Type: text/plain; charset=hex\r\n\r\n",
        "charset=idna",
        "charset=punycode",
        "charset=undefined",
        "charset=unicode_escape",
        "charset=utf-7",
        "charset*=us-ascii'en'x",
        "Content-Transfer-Encoding: base64\r\n",
        "Content-Transfer-Encoding: x-uuencode\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n",
        "begin 644 a\r\n",
        "=?utf-8?b?",
        "=?hex?q?x?=",
        "=?utf-8?q?=00=0D=0ABcc:?=",
        'boundary=""',
        "boundary*0=a; boundary*2=b",
        "report-type*=utf-8''delivery-status",
        "From: (((((((((\r\n",
        "From: <@a,@b:c@d>\r\n",
        "From: a@[127.0.0.1]\r\n",
        "To: group: a@b.example, c@d.example;\r\n",
        ";;;;",
        "(comment (nested",
        "\\",
        "".join(f"Content-Type: multipart/mixed; boundary=n{n}\r\n\r\n--n{n}\r\n" for n in range(60)),
        "--edge\r\n\r\n" * 300,
        "Return-Path: <>\r\n",
        "Status: 5.1.1\r\n",
        "Action: failed\r\n",
        "Final-Recipient: rfc822; x\r\n",
        "Diagnostic-Code: smtp; 550\r\n",
        "Auto-Submitted: no\r\n",
        "<script",
        "<!--",
        "<![CDATA[",
        "<a href='/u/",
        "&#x110000;",
        "&#0;",
        "</style>",
        "MAILER-DAEMON",
        f"<m-99999999999999999999.{NONCE}@x>",
        BACK,
        "m-12.1",
    )
)


def a_mail(raw: bytes) -> Any:
    found = incoming_mail.read(raw, LINKS, to="")
    storable(found)
    return found


def nested_mail(chance: Random) -> bytes:
    """Parts within parts, with whatever type, and with edges that may not fit."""
    kinds = (
        "text/plain",
        "text/html",
        "multipart/mixed",
        "multipart/report; report-type=delivery-status",
        "message/rfc822",
        "message/delivery-status",
        "message/feedback-report",
        "text/rfc822-headers",
        "message/partial",
        "multipart/digest",
    )
    encodings = ("7bit", "base64", "quoted-printable", "x-uuencode", "8bit", "binary", "x")

    def part(depth: int) -> bytes:
        kind = chance.choice(kinds) if depth else chance.choice(kinds[2:4])
        edge = f"e{depth if chance.random() < 0.8 else chance.randrange(3)}"
        head = f"Content-Type: {kind}; boundary={edge}\r\nContent-Transfer-Encoding: {chance.choice(encodings)}\r\n"
        if kind.startswith("multipart"):
            inside = b"".join(
                f"--{edge}\r\n".encode() + part(depth + 1) + b"\r\n" for _ in range(chance.randrange(1, 4)) if depth < 5
            )
            return head.encode() + b"\r\n" + inside + f"--{edge}--\r\n".encode()
        if kind.startswith("message"):
            return (
                head.encode()
                + b"\r\n"
                + (part(depth + 1) if depth < 5 and chance.random() < 0.5 else chance.choice(MAIL_WORDS) + b"\r\n\r\nx")
            )
        return head.encode() + b"\r\n" + chance.randbytes(chance.randrange(60)) + chance.choice(MAIL_WORDS)

    top = b"".join(chance.choice(MAIL_WORDS[-30:]) for _ in range(2) if chance.random() < 0.3)
    return b"From: MAILER-DAEMON@x.example\r\nTo: " + BACK.encode() + b"\r\n" + top + part(0)


# Calendar files ---------------------------------------------------------------------------------------------

CALENDARS: Final = (
    crlf(
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//EN\nBEGIN:VEVENT\nUID:1@x\nDTSTART;VALUE=DATE:20261224\n"
        "DTEND;VALUE=DATE:20261227\nSUMMARY:Christmas\\, closed\nRRULE:FREQ=YEARLY;COUNT=3\n"
        "EXDATE;VALUE=DATE:20271224\n"
        "END:VEVENT\nEND:VCALENDAR\n"
    ),
    crlf(
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//EN\nX-WR-TIMEZONE:America/Chicago\n"
        "BEGIN:VTIMEZONE\nTZID:Home\nBEGIN:STANDARD\n"
        "DTSTART:20071104T020000\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU\nTZOFFSETFROM:-0500\n"
        "TZOFFSETTO:-0600\nTZNAME:CST\n"
        "END:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:20070311T020000\n"
        "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU\nTZOFFSETFROM:-0600\n"
        "TZOFFSETTO:-0500\nEND:DAYLIGHT\nEND:VTIMEZONE\nBEGIN:VEVENT\nUID:2@x\nDTSTART;TZID=Home:20261201T000000\n"
        "DTEND;TZID=Home:20261203T000000\nSUMMARY:Away\n"
        "RRULE:FREQ=WEEKLY;BYDAY=MO,TU;UNTIL=20270101T000000Z\nEND:VEVENT\n"
        "BEGIN:VEVENT\nUID:2@x\nRECURRENCE-ID;TZID=Home:20261208T000000\n"
        "DTSTART;TZID=Home:20261209T000000\nDURATION:P1D\n"
        "STATUS:CANCELLED\nSUMMARY:Not away\nEND:VEVENT\nEND:VCALENDAR\n"
    ),
    crlf(
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:3\n"
        "DTSTART:20261231T230000Z\nDURATION:PT48H\nSUMMARY:Long\n"
        "RDATE;VALUE=DATE:20270105,20270106\nEND:VEVENT\nBEGIN:VTODO\nUID:4\nDUE:20270101\nEND:VTODO\nEND:VCALENDAR\n"
    ),
)
ICS_WORDS: Final = tuple(
    one.encode()
    for one in (
        "RRULE:FREQ=DAILY\r\n",
        "RRULE:FREQ=SECONDLY\r\n",
        "RRULE:FREQ=DAILY;INTERVAL=0\r\n",
        "RRULE:FREQ=YEARLY;BYMONTHDAY=31;BYMONTH=2\r\n",
        "FREQ=YEARLY;BYSETPOS=-366",
        "COUNT=999999999",
        "UNTIL=99991231",
        "BYDAY=-53SU",
        "BYWEEKNO=53",
        "BYEASTER=0",
        "RSCALE=GREGORIAN",
        "EXRULE:FREQ=DAILY\r\n",
        "RRULE:FREQ=DAILY\r\nRRULE:FREQ=WEEKLY\r\n",
        "DTSTART:00010101T000000Z",
        "DTEND:99991231T235959Z",
        "DTSTART;VALUE=DATE:10000101",
        "DTEND;VALUE=DATE:99991231",
        "DURATION:P99999W",
        "DURATION:-P1D",
        "TZID=Mars/Olympus",
        'TZID="Home"',
        "TZOFFSETTO:+9999",
        "BEGIN:VEVENT\r\n",
        "END:VEVENT\r\n",
        "BEGIN:VALARM\r\n",
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20261224\r\n",
        "RDATE;VALUE=PERIOD:20261224T000000Z/P1D\r\n",
        "EXDATE:garbage\r\n",
        "SUMMARY;LANGUAGE=en:\\n\\,\r\n",
        " folded\r\n",
        "\t",
        'X-A;B="c:d":e\r\n',
        ":",
        ";",
        "VALUE=DATE-TIME",
        "VALUE=X",
        "20261224",
        "T240000",
        "Z",
    )
)
FIRST: Final = date(2026, 11, 25)


SLOW: Final[list[bytes]] = []  # calendars that a child works on for long


class NotACalendarError(Exception):
    """What the child that reads calendar files says on its way out."""


def a_calendar(ics: bytes) -> Any:
    """What the child does, whose every complaint is a refusal; what it finds must make blackout days."""
    # A child is new, and knows no zone of an earlier file: who is interrupted within the rule of one leaves it locked.
    tzp.use_default()
    try:
        with deadline(0.25):
            found = closed_days._whole_days(ics, FIRST, FIRST + timedelta(days=730))
    except HungError as error:  # the child would go on, and be ended when its own seconds are over
        SLOW.append(ics)
        raise NotACalendarError from error
    except Exception as error:
        if isinstance(error, Malformed):
            raise
        raise NotACalendarError from error
    days = list(closed_days.runs((name, date.fromisoformat(day)) for name, day in found))
    storable(days)
    return days


BOUNCES: Final = Surface("bounces", DSNS, a_mail, words=MAIL_WORDS, make=nested_mail)
LETTERS: Final = Surface("mail", letters(), a_mail, words=MAIL_WORDS, make=nested_mail)
FILES: Final = Surface("calendars", CALENDARS, a_calendar, (Malformed, NotACalendarError), words=ICS_WORDS)
