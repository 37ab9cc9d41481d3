"""What Telnyx's codes and statuses mean for one text: wait, fail for good, hold the account, respect an opt-out."""

from __future__ import annotations

from control_center.domain.outcome import Fate

THROTTLED = {
    "10011": "too many requests",
    "40011": "the carrier's rate is exceeded",
    "40018": "the carrier's rate is exceeded",
    "40318": "the queue is full",
}
RECIPIENT = {
    "10002": "not a phone number",
    "10016": "not a phone number",
    "40001": "a landline, or not routable",
    "40012": "the carrier does not know this number",
    "40310": "not a phone number",
}
# What the account may not, or two numbers cannot do together: with another sender it may go.
ROUTE = {
    "40301": "this kind of message cannot go to this number",
    "40309": "the account may not text this region",
    "40319": "this kind of message cannot go to this number",
}
CONTENT = {
    "40002": "filtered as spam",
    "40003": "filtered as spam",
    "40009": "the text is not valid",
    "40015": "filtered as spam",
    "40017": "filtered as spam",
    "40302": "the text is too long",
    "40304": "the text is not valid",
    "40316": "no text given",
    "40322": "filtered",
    "40328": "the text is too long",
}
BLOCKED = {
    "10001": "the sender is not active",
    "10003": "the callback's address is not valid",
    "10005": "no such resource",
    "10006": "no such messaging profile",
    "10009": "wrong credentials",
    "10010": "access denied",
    "20002": "the API key was revoked",
    "20006": "the API key has expired",
    "20012": "the account is not active",
    "20013": "the account is blocked",
    "20014": "the account is not verified",
    "20015": "the account lacks a feature",
    "20016": "the account is not verified",
    "20017": "the account is not verified",
    "20100": "no credit",
    "40010": "the sender is not registered",
    "40013": "the sender is not valid",
    "40016": "the brand's daily limit is reached",
    "40100": "the sender cannot text",
    "40150": "the sender is not registered",
    "40151": "the sender cannot text yet",
    "40305": "the sender does not belong to this messaging profile",
    "40306": "the sender is not configured",
    "40308": "the sender cannot text",
    "40311": "wrong credentials",
    "40312": "the messaging profile is disabled",
    "40313": "wrong credentials",
    "40314": "the account may not text",
    "40315": "the sender is unhealthy",
    "40320": "the sender cannot text yet",
    "40321": "the messaging profile has no sender",
    "40329": "the sender is not registered",
    "40333": "a limit of the account is reached",
}
OPTED_OUT = {"40300": "opted out"}

FATES = {
    "queued": Fate.SENT,
    "sending": Fate.SENT,
    "sent": Fate.SENT,
    "delivery_unconfirmed": Fate.SENT,  # handed over, and no carrier says more
    "delivered": Fate.DELIVERED,
    "read": Fate.DELIVERED,
    "sending_failed": Fate.UNDELIVERED,
    "delivery_failed": Fate.UNDELIVERED,
    "expired": Fate.UNDELIVERED,
}


def said(code: str) -> str | None:
    """The code in our words: Telnyx's own carry both numbers."""
    for table in (THROTTLED, BLOCKED, RECIPIENT, ROUTE, OPTED_OUT, CONTENT):
        if code in table:
            return table[code]
    return None


def means_opt_out(code: str, words: str) -> bool:
    """Whether an error says that the number has said STOP.

    The code alone does not: it also stands for a sender that is on no messaging profile. Its title tells them apart.
    """
    return code in OPTED_OUT and (not words.strip() or "stop" in words.lower() or "block rule" in words.lower())
