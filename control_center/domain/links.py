"""Links that act for whoever got a message, and the address that its bounces come back to.

Each carries the number of its message and a mark that only this installation can make: nobody can guess one, none
names an address, none has to be remembered, and none grows old by itself.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from control_center.domain.answered import date_asked
from control_center.domain.catalogue_actions import Leg
from control_center.domain.message import key_of, message_of
from control_center.domain.rating import NpsBar
from control_center.domain.record import Picture
from control_center.domain.template import needed
from control_center.domain.template_fields import offered
from control_center.domain.words import Source, sources

_ID, _DATE, _ATTEMPT, _MARK = 6, 3, 2, 12  # bytes of each part
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{24,28}")
_LOCAL: Final = re.compile(r"b[.]([a-z2-7]{32})@", re.IGNORECASE)
URL_LENGTH: Final = 75  # the longest that the button of one click survives in every mail program
TOKEN_LENGTH: Final = 24


class For(Enum):
    """What a link is for: one made for the one thing does nothing for the other."""

    UNSUBSCRIBE = b"u"
    CONFIRM = b"c"
    SCORE = b"n"
    RETURN = b"b"


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the links of one installation and reads them. `base` is its public address, `key` its secret."""

    base: str
    key: bytes = field(repr=False)

    def unsubscribe(self, message_id: int) -> str:
        """One click ends marketing to the address of this message, at any time."""
        return f"{self.base}/u/{self._token(For.UNSUBSCRIBE, _number(message_id))}"

    def confirm(self, message_id: int, record: Picture) -> str:
        """Confirms the record for the date that it has now."""
        return f"{self.base}/c/{self._token(For.CONFIRM, _number(message_id) + self._about(record))}"

    def score(self, message_id: int) -> str:
        """Asks how likely a client is to recommend us; `/0` to `/10` behind it says the answer."""
        return f"{self.base}/n/{self._token(For.SCORE, _number(message_id))}"

    def of_message(self, message_id: int, record: Picture | None, channel: str) -> dict[str, str]:
        """The links that have a meaning in a message about this record, by the names that templates have for them."""
        offers = offered(record.kind if record is not None else "client", channel)
        made: dict[str, str] = {}
        if record is not None and "confirm_link" in offers:
            made["confirm_link"] = self.confirm(message_id, record)
        if "nps_bar" in offers:
            made["nps_bar"] = NpsBar(self.score(message_id))
        if "unsubscribe_link" in offers:
            made["unsubscribe_link"] = self.unsubscribe(message_id)
        return made

    def message(self, what: For, token: str) -> int | None:
        """The message of a link that this installation made for this; None where it did not."""
        found = self._read(what, token)
        return int.from_bytes(found[:_ID], "big") if found is not None else None

    def same_date(self, token: str, record: Picture) -> bool:
        """Whether a link to confirm was made for the date that the record has now."""
        found = self._read(For.CONFIRM, token)
        return found is not None and hmac.compare_digest(found[_ID:], self._about(record))

    def return_path(self, key: str, domain: str) -> str | None:
        """Where bounces of this attempt (`m-12.1`) come back to; None for what is no attempt of ours.

        Capitals mean nothing in it: some servers write the part before the @ in small letters.
        """
        known = message_of(key)
        if known is None or known[0] >= 1 << 8 * _ID or known[1] >= 1 << 8 * _ATTEMPT:
            return None
        body = _number(known[0]) + known[1].to_bytes(_ATTEMPT, "big")
        return f"b.{base64.b32encode(body + self._mark(For.RETURN, body)).decode().lower()}@{domain}"

    def returned(self, text: str) -> str | None:
        """The attempt (`m-12.1`) whose return path stands in a text; None where none of ours does."""
        for match in _LOCAL.finditer(text):
            raw = base64.b32decode(match[1].upper())
            body, mark = raw[:-_MARK], raw[-_MARK:]
            if hmac.compare_digest(mark, self._mark(For.RETURN, body)):
                return key_of(int.from_bytes(body[:_ID], "big"), int.from_bytes(body[_ID:], "big"))
        return None

    def _token(self, what: For, body: bytes) -> str:
        return base64.urlsafe_b64encode(body + self._mark(what, body)).decode()

    def _read(self, what: For, token: str) -> bytes | None:
        if _TOKEN.fullmatch(token) is None or len(token) % 4:
            return None
        try:
            raw = base64.b64decode(token, altchars=b"-_", validate=True)
        except binascii.Error:
            return None
        body, mark = raw[:-_MARK], raw[-_MARK:]
        length = _ID + (_DATE if what is For.CONFIRM else 0)
        return body if len(body) == length and hmac.compare_digest(mark, self._mark(what, body)) else None

    def _mark(self, what: For, body: bytes) -> bytes:
        return hmac.digest(self.key, what.value + body, "sha256")[:_MARK]

    def _about(self, record: Picture) -> bytes:
        """The date of a record in three bytes, which tell one date of it from another."""
        date = f"date {record.kind}/{record.record_id} {date_asked(record)}"
        return hmac.digest(self.key, date.encode("utf-8", "surrogatepass"), "sha256")[:_DATE]


_MEANT_FOR: Final = {
    "confirm_link": "a message about a session or an appointment",
    "nps_bar": "a message about a session",
    "unsubscribe_link": "an email",
}


def out_of_place(parts: Source, leg: Leg, kind: str, *, made: bool = True) -> str | None:
    """Why words cannot do without a link that a message about this kind of record has not; None where they can.

    `made`: whether links can be made here at all. Raises Unrenderable where there are no words for the leg.
    """
    offers = offered(kind, leg.value) if made else frozenset()
    for fields in sorted(fields for source in sources(parts, leg) for fields in needed(source)):
        names = [field.rpartition(".")[2] for field in fields]
        if all(name in _MEANT_FOR and name not in offers for name in names):
            lacking = "there is no key to make it with here" if not made else f"it is for {_MEANT_FOR[names[0]]}"
            return f"{fields[0]}: {lacking}"
    return None


def _number(message_id: int) -> bytes:
    return message_id.to_bytes(_ID, "big")


_MESSAGE_ID: Final = re.compile(r"<m-([1-9][0-9]{0,14})\.([0-9a-f]{32})@[^<>\s@]+>", re.IGNORECASE)


def message_header(message_id: int, nonce: str, sender: str) -> str:
    """The Message-ID of an email, the same for all its attempts; the nonce keeps it from being guessed."""
    return f"m-{message_id}.{nonce}@{sender.rpartition('@')[2] or 'localhost'}"


def named_in(text: str) -> list[tuple[int, str]]:
    """The messages whose Message-IDs stand in a text, with the nonce that each claims, in their order."""
    return [(int(match[1]), match[2].lower()) for match in _MESSAGE_ID.finditer(text)]
