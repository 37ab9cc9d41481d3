"""What to think over before a text is sent to many: told when its words are saved, by their source.

None of it is forbidden. Links are judged as carriers judge them, letters as they are paid for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from control_center.domain import sms, template_samples
from control_center.domain.errors import Malformed
from control_center.domain.identity import says_who
from control_center.domain.opt_out_invitation import invited
from control_center.domain.sms_letters import Effect, letters
from control_center.domain.studio import Studio
from control_center.domain.template import Unrenderable, render

MANY_PARTS: Final = 3  # a text in more of them is warned of
_MOST_LETTERS: Final = 5  # that are named one by one

# Addresses that anybody may hide anything behind: carriers stop texts that hold them.
SHORTENERS: Final = frozenset(
    {"bit.ly", "bl.ink", "buff.ly", "clck.ru", "cutt.ly", "dlvr.it", "fb.me", "goo.gl", "is.gd", "j.mp", "lnkd.in"}
    | {"ow.ly", "qrco.de", "rb.gy", "rebrand.ly", "s.id", "short.gy", "short.io", "shorturl.at", "shrtco.de", "soo.gd"}
    | {"t.co", "t.ly", "t2m.io", "tiny.cc", "tiny.one", "tinyurl.com", "tr.im", "trib.al", "u.to", "urlz.fr", "v.gd"}
)

_HOLE: Final = re.compile(r"\{\{-?\s*([\w.]+)?.*?\}\}", re.DOTALL)
_TAG: Final = re.compile(r"\{%.*?%\}", re.DOTALL)
_LINK_NAME: Final = re.compile(r"(?:^|[._])(?:\w*link|url|web|gallery|nps_bar)$")
_FILLED_LINK: Final = "https://filled-in.invalid/here"

LINK: Final = re.compile(r"(?:https?://|www\.)[^\s<>\"']+", re.IGNORECASE)
_BARE: Final = re.compile(r"(?<![\w@./-])(?:[a-z0-9-]+\.)+[a-z]{2,8}(?=/)", re.IGNORECASE)
_AFTER: Final = ".,;:!?)]'\""
_HOST: Final = re.compile(r"(?:https?://)?([^/:?#\s]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to think over; `code` is stable, `field` the part that it is about."""

    field: str
    code: str
    sentence: str

    def __str__(self) -> str:
        """A line for a person."""
        return f"{self.field}: {self.sentence}"


def refuse_invitation(source: str, field: str, *, seen: Callable[[str], str] | None = None) -> None:
    """Refuse words that ask to be answered with what opts out. Raises Malformed with `field`.

    `seen` makes what a reader sees of a source that has no braces any more.
    """
    shown = outline(source)
    word = invited(shown if seen is None else seen(shown))
    if word is not None:
        raise Malformed(
            field,
            f"asks to be answered with {word!r}, and whoever answers that gets no texts any more; "
            "ask for a YES, for a call, or for another word such as RESCHEDULE",
        )


def advise(source: str, kind: str, studio: Studio, field: str) -> Iterator[Advice]:
    """Everything about the words of a text that somebody should think over."""
    shown = outline(source, studio.name)
    for code, sentence in (*_of_links(shown, studio), *_of_letters(shown), *_of_length(source, kind, studio)):
        yield Advice(field, code, sentence)
    if not studio.sms_identify and not says_who(shown, studio.name):
        yield Advice(
            field,
            "identity",
            "does not say at its beginning who writes; begin with {{ studio.name }}, or let it be put there "
            "(sms.identify of the studio)",
        )


def advise_typed(text: str, studio: Studio, field: str, *, greets: bool) -> Iterator[Advice]:
    """The same about a text that goes out as somebody typed it; who writes is known where it does not `greet`."""
    plain = sms.plain(text)
    for code, sentence in (*of_braces(text), *_of_links(text, studio), *_of_letters(text), *_of_parts(plain, "")):
        yield Advice(field, code, sentence)
    if greets and not says_who(text, studio.name):
        yield Advice(field, "identity", f"does not say at its beginning who writes; begin with {studio.name}")


def outline(source: str, studio_name: str = "Studio") -> str:
    """A source without its braces: a link where one would be filled in, the studio's name, and a word for the rest."""

    def filled(hole: re.Match[str]) -> str:
        name = hole[1] or ""
        if name == "studio.name":
            return studio_name
        return _FILLED_LINK if _LINK_NAME.search(name) else "Jo"

    return _HOLE.sub(filled, _TAG.sub("", source))


# Links ----------------------------------------------------------------------------------------------------


def links_in(text: str) -> list[str]:
    """The addresses in a text, with what is written right behind them."""
    return [*(found[0] for found in LINK.finditer(text)), *(found[0] for found in _BARE.finditer(text))]


def shorteners(text: str) -> list[str]:
    """The public shorteners that a text uses."""
    hosts = dict.fromkeys(host(link) for link in links_in(text))
    return [one for one in hosts if one in SHORTENERS]


def host(link: str) -> str:
    """The host of an address, without `www.`."""
    found = _HOST.match(link)
    return found[1].lower().removeprefix("www.") if found else ""


def _of_links(text: str, studio: Studio) -> Iterator[tuple[str, str]]:
    for short in shorteners(text):
        yield (
            "shortener",
            f"has a link of the public shortener {short}, which carriers stop; use one on your own domain",
        )
    own = host(studio.web)
    for found in LINK.finditer(text):
        link = found[0].rstrip(_AFTER)
        if found.start() and not text[found.start() - 1].isspace():
            yield "link-space", f"has no space before {_cut(link)}: some phones do not make it a link"
        if link != found[0] or text[found.end() : found.end() + 1] in ('"', "'"):
            yield "link-punctuation", f"has punctuation right behind {_cut(link)}, which phones take for a part of it"
        if link == _FILLED_LINK:
            continue
        if not link.lower().startswith("https://"):
            yield "link-https", f"has {_cut(link)}: a link should begin with https://"
        if own and not (host(link) == own or host(link).endswith(f".{own}")) and host(link) not in SHORTENERS:
            yield "link-domain", f"has a link to {host(link)}; carriers trust the studio's own domain, {own}"
        if double := sorted({letter for letter in link if sms.width(letter) == 2}):
            yield "link-letters", f"has {' '.join(double)} in {_cut(link)}, each of which counts twice"


def _cut(link: str) -> str:
    if link == _FILLED_LINK:
        return "the link that is filled in"
    return link if len(link) <= 60 else f"{link[:57]}..."


def of_braces(text: str) -> Iterator[tuple[str, str]]:
    """Fields that whoever typed them may have expected to be filled in."""
    found = _HOLE.search(text) or _TAG.search(text)
    if found is not None:
        yield "braces", f"has {_cut(found[0])}, which goes out as it stands here: fields are filled in for templates"


# Letters and length ---------------------------------------------------------------------------------------


def _of_letters(text: str) -> Iterator[tuple[str, str]]:
    wide = [letter for letter in letters(text) if letter.effect is Effect.WIDE]
    for letter in wide[:_MOST_LETTERS]:
        yield "emoji" if letter.emoji else "letter", f"has {letter}"
    if len(wide) > _MOST_LETTERS:
        yield "letter", f"has {len(wide) - _MOST_LETTERS} further letters that do not fit the 7-bit alphabet"


def _of_length(source: str, kind: str, studio: Studio) -> Iterator[tuple[str, str]]:
    try:
        text = sms.plain(render(source, template_samples.seen(kind, studio, complete=True)))
    except Unrenderable:  # a field that only this CRM sends; a preview with a real record tells
        return
    yield from _of_parts(text, ", filled in with made-up values")


def _of_parts(text: str, how: str) -> Iterator[tuple[str, str]]:
    count = sms.segments(text).count
    if refused := sms.refusal(text):
        yield "length", f"would not go out{how}: {refused}"
    elif count > MANY_PARTS:
        yield "length", f"goes out, and is paid for, as {count} parts{how}"
