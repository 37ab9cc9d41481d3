"""The words of an incoming text: its own, without what phones, mail programs and habits put around them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from control_center.domain.keyword import plain
from control_center.domain.opt_out import Words

LONGEST: Final = 2000  # characters that are read: providers carry 1,600 and a mail says what it wants before that

_UNSEEN: Final = re.compile("[\u115f\u1160\u3164\uffa0\u2800]")  # letters by their class that show nothing
_APOSTROPHES: Final = re.compile("[\u2018\u2019\u201b\u02bc\u2032\u00b4`]")  # as phones write them
_LINK: Final = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)

# What a phone sends for a tap on a message of ours: the tap, and our own words in quotes.
_QUOTE_OPENS = '["“”«„]'
_TAPPED: Final = re.compile(
    r"\W*(?:(?P<liked>liked|loved|emphasi[sz]ed|(?:\S+ ){0,2}?le (?:gust[oóa]|encant[oóa])|enfatiz[oó]"
    r"|(?:\S+ )?a (?:aim[eé]|ador[eé]))"
    r"|(?P<other>disliked|laughed at|questioned|removed .{1,30} from|(?:\S+ ){0,2}?no le gust[oóa]|se ri[oó] (?:de|con)"
    r"|(?:\S+ )?n'a pas aim[eé]|(?:\S+ )?a ri (?:[aà]|de))"
    r"|(?:reacted|reaccion[oó]|(?:\S+ )?a r[eé]agi)(?: con| avec| with)? (?P<sign>\S{1,12}) (?:to|a|[aà])"
    r"|(?P<bare>[^\w\s]{1,12}) (?:to|a|[aà]))"
    rf"\s*{_QUOTE_OPENS}(?P<quoted>.*)",
    re.IGNORECASE | re.DOTALL,
)
_GOES_ON: Final = re.compile(r'["”»“][^"”»“]*\w[^"”»“]*$')  # behind the quotation, where it has an end
_GLAD: Final = frozenset("👍❤♥😍🥰👌✅✔🙌💯🎉👏😊🙏")

# Where the text of a mail ends and what it answers, or who wrote it, begins.
_QUOTED: Final = re.compile(
    r"^\s*(?:>.*|on .{5,80} wrote:.*|el .{5,80} escribi[oó]:.*|le .{5,80} a [eé]crit ?:.*|-{3,} ?original message.*"
    r"|_{10,}.*)$",
    re.IGNORECASE,
)
_DEVICE: Final = re.compile(
    r"^\s*(?:sent (?:from|via|using|with) |get outlook for |enviado (?:desde|con) |envoy[eé] (?:de|depuis) )",
    re.IGNORECASE,
)
_DEVICE_BESIDE: Final = re.compile(r"\s+sent from my [\w ]{2,24}\W*$", re.IGNORECASE)
_SIGNED: Final = re.compile(r"^\s*[-~\u2013\u2014]{1,2} ?[^\W\d_][\w.]*(?: [^\W\d_][\w.]*){0,2}\s*$")
_REACHED: Final = re.compile(r"\+?\d[\d ().\-]{6,}\d|\S+@\S+|(?:https?://|www\.)\S+", re.IGNORECASE)
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_NAMED: Final = re.compile(r"[A-Z][a-zà-ÿ]+|[A-Z]|of|and|the|de")
_CLOSING: Final = re.compile(
    r"^\W*(?:thanks?(?: you)?|thx|many thanks|best|best regards|regards|kind regards|sincerely|cheers|love|xoxo|gracias"
    r"|saludos|merci|cordialement|bien [aà] vous)\W*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """A text as its readers need it.

    `every` are all its words; `own` those that are not ours, quoted back to us; `words` are `own` without a signature,
    and `body` is their text, with punctuation and case. A tap on a message is no text, and has none of these three;
    `glad` says that the tap, or all there is in emoji, is a friendly one.
    """

    every: Words
    own: Words
    words: Words
    body: str
    glad: bool = False

    @property
    def asks(self) -> bool:
        return "?" in self.body or "¿" in self.body


def words(text: str) -> Words:
    """The words of a text without case, accents, punctuation, emoji, apostrophes and what does not show."""
    return tuple(plain(_LINK.sub(" link ", _seen(text, accents=False).replace("'", ""))).split())


def heard(text: str) -> Said:
    """Take a text apart."""
    text = text[:LONGEST].replace("<3", "♥")  # no number
    shown = _seen(text, accents=True)
    every = words(text)
    tap = _tap(shown)
    if tap is not None:
        return Said(every, (), (), "", glad=tap)
    unquoted = _unquoted(shown)
    body = _unsigned(_by_hand(unquoted)).strip()
    own = words(body)
    return Said(every, words(unquoted), own, body, glad=not own and any(letter in _GLAD for letter in body))


def _seen(text: str, *, accents: bool) -> str:
    """In the plain spelling of each letter, and only what shows."""
    text = _APOSTROPHES.sub("'", text)
    if text.isascii():
        return text
    spelled = unicodedata.normalize("NFKC" if accents else "NFKD", text)
    dropped = ("Cf", "Me") if accents else ("Cf", "Me", "Mn")
    shown = "".join(letter for letter in spelled if unicodedata.category(letter) not in dropped)
    return _UNSEEN.sub("", shown).replace("\ufe0f", "").replace("\ufe0e", "")


def _tap(text: str) -> bool | None:
    """Whether the tap that a text tells of is a friendly one; None for a text that tells of none."""
    found = _TAPPED.match(text.strip())
    if found is None or _GOES_ON.search(found["quoted"]):
        return None
    sign = found["sign"] or found["bare"] or ""
    return found["liked"] is not None or any(letter in _GLAD for letter in sign)


def _unquoted(text: str) -> str:
    """Without the lines that are ours."""
    kept: list[str] = []
    for line in text.splitlines():
        if not _QUOTED.match(line):
            kept.append(line)
        elif not line.lstrip().startswith(">"):
            break
    return "\n".join(kept)


def _by_hand(text: str) -> str:
    """Without what a phone adds."""
    return _DEVICE_BESIDE.sub("", "\n".join(line for line in text.splitlines() if not _DEVICE.match(line)))


def _unsigned(text: str) -> str:
    """Without the lines that only say who wrote."""
    head, _, tail = text.strip().partition("\n\n")
    if tail and _is_card(tail):
        return head
    lines = [line for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if number and line.strip() == "--":
            return "\n".join(lines[:number])
        rest = lines[number + 1 :]
        if number and rest and len(rest) <= 3 and _CLOSING.match(line) and _are_names(rest):
            return "\n".join(lines[: number + 1])
    if len(lines) > 1 and (lines[-1].strip() == "--" or (_SIGNED.match(lines[-1]) and _are_names(lines[-1:]))):
        return "\n".join(lines[:-1])
    return "\n".join(lines)


def _is_card(text: str) -> bool:
    """Whether lines are a visiting card: names, a firm, and a number or address to reach them."""
    lines = [line for line in text.splitlines() if line.strip()]
    return len(lines) <= 6 and _are_names(lines) and _REACHED.search(text) is not None


def _are_names(lines: Sequence[str]) -> bool:
    return all(_NAMED.fullmatch(word) for line in lines for word in _LETTERS.findall(_REACHED.sub("", line)))
