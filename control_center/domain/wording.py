"""What nobody may write to clients, whether in a template, in a trigger's own words, or typed to one of them.

What is refused is refused everywhere, in the same words; what is advised against is told everywhere, and goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from control_center.domain import mail_advice, text_advice
from control_center.domain.mail_html import check_size
from control_center.domain.studio import Studio
from control_center.domain.template_check import check_html, check_length
from control_center.domain.text_advice import Advice
from control_center.domain.visible_html import visible


def refuse(parts: Mapping[str, str | None], where: str = "") -> None:
    """Refuse words that ask to be answered with what opts out, in a text and in a mail: both are heard.

    `parts` are words by the part that they are: `sms`, `subject`, `text` or `html`; `where` leads there, such as
    `template.`. Raises Malformed with the part, what was found there and what to write instead.
    """
    for part, source in parts.items():
        if source:
            text_advice.refuse_invitation(source, f"{where}{part}", seen=visible if part == "html" else None)


def refuse_typed(parts: Mapping[str, str | None]) -> None:
    """Refuse of what somebody typed whatever a template is refused for. Raises Malformed with the part."""
    for part, typed in parts.items():
        check_length(typed or "", part)
    html = parts.get("html")
    if html:
        check_html(html, "html")
        check_size(html, "html")
    refuse(parts)


def advise_typed(channel: str, parts: Mapping[str, str | None], studio: Studio, *, greets: bool) -> Iterator[Advice]:
    """What somebody should think over of what they typed; it goes all the same.

    `greets`: nobody was written to before, so that the words should say who writes.
    """
    if channel == "sms":
        return text_advice.advise_typed(parts.get("text") or "", studio, "text", greets=greets)
    return mail_advice.advise_typed(parts)
