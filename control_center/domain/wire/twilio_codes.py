"""What Twilio's error codes mean for one text: wait, fail for good, hold the account, or respect an opt-out."""

from __future__ import annotations

from control_center.domain.outcome import Fate

THROTTLED = {
    14107: "the sender's rate is exceeded",
    20429: "too many requests at once",
    21611: "the sender's queue is full",
    21730: "maintenance",
    63018: "the channel's rate is exceeded",
}
RECIPIENT = {
    21211: "not a phone number",
    21614: "this number cannot receive texts",
    21635: "a landline",
}
# What the account may not, or Twilio cannot: mended there, it goes, so nothing is held against the number.
ROUTE = {
    21408: "the account may not text this region",
    21604: "no number given",
    21612: "no route to this number",
}
CONTENT = {
    21602: "no text given",
    21605: "the text is too long",
    21617: "the text is too long",
    21619: "no text given",
    30007: "filtered",
    90007: "the validity period is out of range",
}
BLOCKED = {
    10001: "the account is not active",
    20003: "wrong credentials",
    20005: "the account is not active",
    20006: "access denied",
    20008: "test credentials",
    20404: "no such account",
    21212: "the sender is not a phone number",
    21603: "no sender given",
    21606: "the sender cannot text",
    21607: "the sender does not belong to this account",
    21608: "a trial account texts verified numbers only",
    21609: "the callback's address is not valid",
    21659: "the sender does not belong to this account",
    21660: "the sender does not belong to this account",
    21661: "the sender cannot text",
    21701: "no such messaging service",
    21703: "the messaging service has no sender",
    21704: "the messaging service has no sender",
    21705: "no such messaging service",
    30002: "the account is suspended",
    30032: "the toll-free sender is not verified",
    30034: "the sender is not registered",
    63038: "the account's daily limit is reached",
}
# 30004 ("blocked") is not here: it also stands for a phone switched off, a landline and a carrier's filter.
OPTED_OUT = {21610: "opted out"}
# What is told of a text that was taken, and is its end: another one may arrive, and none is sent because of it.
PASSING = {
    30001: "the queue ran over",
    30003: "the phone cannot be reached",
    30004: "blocked",
    30005: "no such number",
    30006: "a landline, or its carrier cannot be reached",
    30008: "the carrier does not say why",
    30022: "the carrier's rate is exceeded",
    30023: "the carrier's limit for the day is reached",
    30036: "it could not leave by its use-by",
}

# Those that say in a receipt that a number takes no texts. 30006 is also a carrier that cannot be reached, and 30003 a
# phone that is off: the one has to come twice, the other says nothing of its number.
DEAD = frozenset({*RECIPIENT, 30005, 30006})

FATES = {
    "accepted": Fate.SENT,
    "scheduled": Fate.SENT,
    "queued": Fate.SENT,
    "sending": Fate.SENT,
    "sent": Fate.SENT,
    "delivered": Fate.DELIVERED,
    "read": Fate.DELIVERED,
    "undelivered": Fate.UNDELIVERED,
    "failed": Fate.UNDELIVERED,
    "canceled": Fate.UNDELIVERED,
}


def said(code: int) -> str | None:
    """The code in our words: Twilio's own carry the recipient's number."""
    for table in (THROTTLED, BLOCKED, RECIPIENT, ROUTE, OPTED_OUT, CONTENT, PASSING):
        if code in table:
            return table[code]
    return None
