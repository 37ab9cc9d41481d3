"""What a reader sees of HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

_BLOCKS: Final = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3", "blockquote", "table"})
_HIDDEN: Final = frozenset({"script", "style", "head", "title"})


class _Seen(HTMLParser):
    """Collects what of an HTML page is text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the library's
        self._hidden += tag in _HIDDEN
        if tag in _BLOCKS:
            self.texts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.append(" ".join(data.split()) + " " if data.strip() else " ")


def visible(html: str) -> str:
    """The text of a page or of a piece of one, a line for each block, whatever the input."""
    seen = _Seen()
    try:
        seen.feed(html)
    except (AssertionError, ValueError):  # what html.parser raises at its worst
        return ""
    lines = (" ".join(line.split()) for line in "".join(seen.texts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
