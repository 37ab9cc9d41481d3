"""What to think over before a mail is sent: told when its words are saved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Final

from control_center.domain import mail_html, template_samples, words
from control_center.domain.mail_html import CLIPPED_FROM, TAGS
from control_center.domain.studio import Studio
from control_center.domain.template import Template, Unrenderable
from control_center.domain.text_advice import Advice, of_braces, shorteners

_PARTS: Final = ("subject", "text", "html")
_DOCUMENT: Final = frozenset({"body", "head", "html", "meta", "style", "title"})  # at home in any page, and no loss
_ADDRESSES: Final = frozenset({"action", "background", "formaction", "href", "src"})
_RUNS: Final = re.compile(r"[\s\x00-\x20]*(?:javascript|vbscript|data)\s*:", re.IGNORECASE)


def advise(template: Template, studio: Studio, frame: str | None = None) -> Iterator[Advice]:
    """Everything about the words of a mail that somebody should think over. `frame` is its layout as HTML."""
    yield from _of_parts({part: getattr(template, part) for part in _PARTS})
    yield from _of_size(_size(template, studio, frame))


def advise_typed(parts: Mapping[str, str | None]) -> Iterator[Advice]:
    """The same about a mail that goes out as somebody typed it: its `subject`, `text` and `html`."""
    yield from _of_parts(parts)
    for part in _PARTS:
        yield from (Advice(part, code, sentence) for code, sentence in of_braces(parts.get(part) or ""))
    yield from _of_size(len((parts.get("html") or "").encode()))


def _of_parts(parts: Mapping[str, str | None]) -> Iterator[Advice]:
    if "\n" in (parts.get("subject") or "").strip():
        yield Advice("subject", "subject-lines", "has a line break; it goes out as one line")
    for part in ("text", "html"):
        for short in shorteners(parts.get(part) or ""):
            yield Advice(part, "shortener", f"has a link of the public shortener {short}, which filters distrust")
    removed = sorted(_removed(parts.get("html") or ""))
    if removed:
        yield Advice("html", "removed", f"has what is left out of every mail: {', '.join(removed[:10])}")


def _of_size(size: int) -> Iterator[Advice]:
    if size > CLIPPED_FROM:
        reason = f"makes a mail of {size // 1024} KB; from {CLIPPED_FROM // 1024} KB on it is shown cut off"
        yield Advice("html", "size", reason)


def _size(template: Template, studio: Studio, frame: str | None) -> int:
    """How many bytes of HTML the mail has, filled in with made-up values where that can be done."""
    parts = {"text": template.text or template.sms, "html": template.html, "frame": frame}
    try:
        html = words.mail(parts, template_samples.seen(template.kind, studio, complete=True)).html
    except Unrenderable:
        html = (frame or "") + (template.html or "")
    return len((html or "").encode())


def _removed(html: str) -> set[str]:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.removed


class _Reader(HTMLParser):
    """Notes what `mail_html` will leave out, for the person who wrote it; what counts is what that does."""

    def __init__(self) -> None:
        super().__init__()
        self.removed: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag, and attributes that act."""
        if tag not in TAGS and tag not in _DOCUMENT:
            self.removed.add(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on"):
                self.removed.add(name)
            elif name in _ADDRESSES and _RUNS.match(value or ""):
                self.removed.add(f"{name}={value[:20]!r}" if value else name)
            elif name == "style" and mail_html.acts(value or ""):
                self.removed.add("a style that loads something")
