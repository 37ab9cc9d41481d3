"""What marketing mail must say at its end: who sends it, from where, and how to hear no more."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape, unescape
from typing import Final

from control_center.domain.studio import Studio
from control_center.domain.words import Words

ONE_CLICK: Final = "List-Unsubscribe=One-Click"  # RFC 8058: what a mail program posts
_END: Final = re.compile(r"</body\s*>", re.IGNORECASE)
_STYLE: Final = "margin:24px 0 0;color:#666;font-size:12px;line-height:1.5"


def lacking(studio: Studio) -> str | None:
    """Why this studio may not send marketing mail; None where it may."""
    if studio.postal_address.strip():
        return None
    return f"the studio {studio.studio!r} has no email.postal_address, which marketing mail has to name"


def signed_off(written: Words, studio: Studio, link: str) -> Words:
    """A mail with postal address and link to unsubscribe at its end, as far as its own words have not said them."""
    lines = studio.postal_address.strip().splitlines()
    text, html = written.text, written.html
    if not _says(text, lines):
        text = "\n".join([text.rstrip(), "", "-- ", studio.name, *lines])
    if link not in text:
        text = f"{text.rstrip()}\n\nUnsubscribe: {link}"
    if html is not None:
        own = [] if _says(unescape(html), lines) else [studio.name, *lines]
        foot = [escape(line) for line in own]
        if link not in html:
            foot.append(f'<a href="{escape(link)}" style="color:#666">Unsubscribe</a>')
        html = _closed(html, "<br>".join(foot)) if foot else html
    return replace(written, text=text, html=html)


def _says(text: str, lines: list[str]) -> bool:
    return all(line in text for line in lines)


def _closed(html: str, foot: str) -> str:
    """With a last paragraph, inside of the body where it has one."""
    paragraph = f'<p style="{_STYLE}">{foot}</p>\n'
    ends = [match.start() for match in _END.finditer(html)]
    return html[: ends[-1]] + paragraph + html[ends[-1] :] if ends else f"{html.rstrip()}\n{paragraph}"


def headers(studio: Studio, link: str, *, sender: str, stream: str) -> tuple[tuple[str, str], ...]:
    """The headers of marketing mail. `stream` is what complaints are counted by, such as `t12` or `bulk`."""
    domain = sender.rpartition("@")[2]
    return (
        ("List-Unsubscribe", f"<{link}>"),
        ("List-Unsubscribe-Post", ONE_CLICK),
        ("List-Id", f"<marketing.{studio.studio.replace('_', '-')}.{domain}>"),
        ("Feedback-ID", f"{stream}:{studio.studio}:marketing:controlcenter"),
    )
