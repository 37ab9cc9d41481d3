"""What to think over before a template goes to many, of all its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from control_center.domain import mail_advice, text_advice, zones
from control_center.domain.studio import Studio
from control_center.domain.template import Template, Unrenderable, context, needed, render
from control_center.domain.text_advice import Advice

PARTS = ("sms", "subject", "text", "html")


def advise(template: Template, studio: Studio, frame: str | None = None) -> list[Advice]:
    """Everything that somebody should think over. `frame` is the template's layout as HTML with fields."""
    found = list(_unsure(template, studio))
    if template.sms is not None:
        found += text_advice.advise(template.sms, template.kind, studio, "sms")
    elif template.text is not None and template.subject is None and template.html is None and frame is None:
        found += text_advice.advise(template.text, template.kind, studio, "text")
    return [*found, *mail_advice.advise(template, studio, frame)]


def advise_bulk(words: Mapping[str, Any], channel: str, studio: Studio) -> list[Advice]:
    """The same of the words that a bulk has frozen, as far as its channel says them; the layout is among them."""
    kind, text, sms = words.get("kind", "any"), words.get("text"), words.get("sms")
    if channel == "sms":
        only = Template("", kind, sms=sms, text=None if sms else text)
        return [*_unsure(only, studio), *text_advice.advise(sms or text or "", kind, studio, "sms" if sms else "text")]
    mail = Template("", kind, subject=words.get("subject"), text=text or sms, html=words.get("html"))
    return [*_unsure(mail, studio), *mail_advice.advise(mail, studio, words.get("frame"))]


def is_absent(field: str, seen: Mapping[str, Any]) -> bool:
    """Whether a field has no value."""
    try:
        render(f"{{{{ {field} }}}}", seen)
    except Unrenderable:
        return True
    return False


def of_studio(studio: Studio, kind: str) -> dict[str, Any]:
    """What a template sees of a studio alone."""
    kind = "client" if kind == "any" else kind
    return context({}, None, studio.fields(), {}, kind=kind, today=date.min, zone=zones.zone(studio.timezone))


def _unsure(template: Template, studio: Studio) -> Iterator[Advice]:
    """Fields of the studio that it does not have, and that nothing stands in for."""
    seen = of_studio(studio, template.kind)
    for part in PARTS:
        for fields in sorted(needed(getattr(template, part) or "")):
            last = fields[-1]
            if last.startswith("studio.") and is_absent(last, seen):
                where = "every message" if len(fields) == 1 else f"a message without {fields[0]}"
                yield Advice(part, "studio", f"writes {last}, which the studio does not have: {where} fails")
