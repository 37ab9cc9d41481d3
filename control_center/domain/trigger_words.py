"""Whether what a trigger writes could be written: checked when it is saved, against what is known then."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from control_center.domain import imprint, template, text_advice, wording, words
from control_center.domain.catalogue_actions import Leg
from control_center.domain.errors import Malformed
from control_center.domain.reply_score import score
from control_center.domain.reply_words import heard
from control_center.domain.reply_yes import Answer, answer
from control_center.domain.studio import Studio
from control_center.domain.template import Unrenderable
from control_center.domain.template_advice import is_absent, of_studio
from control_center.domain.trigger import Trigger
from control_center.domain.trigger_action import ATTACHMENTS
from control_center.domain.trigger_recipients import fixed_numbers, unusable_number


def check_words(
    trigger: Trigger,
    place: str,
    known: Mapping[str, Mapping[str, Any]],
    country: str,
    countries: Collection[str] = (),
) -> None:
    """Refuse texts that cannot be filled in, templates that do not exist, and numbers that no text can go to.

    `place` names file and trigger, `known` are the studio's templates by name, `countries` those that it texts to
    besides its own. Raises Malformed.
    """
    kind = trigger.kind.name
    sources = {"text": trigger.words.text}
    if trigger.task is not None:
        sources |= {"task.subject": trigger.task.subject, "task.description": trigger.task.description}
    for key, source in sources.items():
        if source is not None:
            template.check(source, kind, field=f"{place}, {key}")
    if _texts(trigger) or _mails(trigger):
        wording.refuse({"text": trigger.words.text}, f"{place}, ")
    for key, name in trigger.words.templates:
        found = known.get(name)
        if found is None:
            names = ", ".join(known) or "none is saved yet"
            raise Malformed(f"{place}, {key}", f"{name!r} does not exist; known: {names}")
        wrong = misfit(name, found, kind)
        if wrong is not None:
            raise Malformed(f"{place}, {key}", f"{wrong}, the trigger is on {kind}")
    for typed in fixed_numbers(trigger.send_to):
        reason = unusable_number(typed, country, countries)
        if reason is not None:
            raise Malformed(f"{place}, send_to", f"{typed!r} {reason}")


def misfit(name: str, template: Mapping[str, Any], kind: str) -> str | None:
    """Why a template does not fit records of this kind."""
    if template.get("kind", "any") not in ("any", kind):
        return f"{name!r} is for {template['kind']} records"
    wrong = next((one for one in template.get("attachments", ()) if kind not in ATTACHMENTS[one]), None)
    return None if wrong is None else f"{name!r} has the attachment {wrong!r}"


def cautions(trigger: Trigger, studio: Studio | None = None) -> list[str]:
    """What a person may not have thought of, though it is allowed; of its own words, as this studio's."""
    found = []
    texts = _texts(trigger)
    if texts and trigger.processing.automatic and trigger.processing.window is None:
        found.append("processing.window: there is none, so it may text at night; with 09:00-18:00 it does not")
    if trigger.keyword is not None and (says := _also_an_answer(trigger.keyword.word)):
        found.append(f"keyword: {trigger.keyword.word!r} {says}, and where one is open the trigger does not hear it")
    if studio is not None and texts and trigger.words.text is not None:
        found += map(str, text_advice.advise(trigger.words.text, trigger.kind.name, studio, "text"))
    return found


def _texts(trigger: Trigger) -> bool:
    return trigger.action.has(Leg.SMS) or trigger.ladder.has(Leg.SMS)


def _mails(trigger: Trigger) -> bool:
    return trigger.action.has(Leg.EMAIL) or trigger.ladder.has(Leg.EMAIL)


def _also_an_answer(word: str) -> str | None:
    """What a keyword is an answer to, too: an open question hears a text before the keywords do."""
    if word.isdecimal() or score(word) is not None:
        return "is also how clients answer the question for a score"
    return "is also how clients answer a confirmation" if answer(heard(word)) is not Answer.NEITHER else None


def lacking(trigger: Trigger, known: Mapping[str, words.Source], studio: Studio) -> dict[str, str]:
    """Why nothing could ever be written by a trigger that `check_words` has passed, after the key that it is about.

    A template without words for the way that it is to go, a field of the studio that this studio does not have, a
    field of who writes, or marketing mail of a studio that does not say where it is.
    Calls and tasks are left out: they are made without their words, too.
    """
    seen = of_studio(studio, trigger.kind.name)
    found: dict[str, str] = {}
    for key, leg, parts in _worded(trigger, known):
        try:
            sources = words.sources(parts, leg)
        except Unrenderable as error:
            found.setdefault(key, f"{error.reason.removeprefix('template: ')}, and {trigger.action.name!r} needs it")
            continue
        for fields in sorted({fields for source in sources for fields in template.needed(source)}):
            if all(field.startswith(("studio.", "sender.")) and is_absent(field, seen) for field in fields):
                found.setdefault(key, _without(fields, studio))
    unsigned = imprint.lacking(studio) if _mails(trigger) and trigger.purpose == "marketing" else None
    if unsigned is not None:
        found["purpose"] = f'{unsigned}; give it one with `studios put`, or say purpose = "transactional"'
    return found


def _without(fields: tuple[str, ...], studio: Studio) -> str:
    tried, field = " or ".join(fields), fields[-1]
    if field.startswith("sender."):
        return f"writes {tried}, and nobody writes what a trigger sends; write {{{{ {field} | default: studio.name }}}}"
    return (
        f"writes {tried}, and the studio {studio.studio!r} has none, so that every message would fail; give it one "
        f'with `studios put`, or write {{{{ {field} | default: "…" }}}}'
    )


def _worded(trigger: Trigger, known: Mapping[str, words.Source]) -> Iterator[tuple[str, Leg, words.Source]]:
    """Every leg that goes by its words alone, with the key that names them and the parts they are made of."""
    written, legs = trigger.words, [*trigger.action.legs, *(rung.leg for rung in trigger.ladder.rungs)]
    own = "text" if written.text is not None else "template"
    for leg in dict.fromkeys(leg for leg in legs if leg.is_message or leg is Leg.LETTER):
        key = "ladder.template" if leg in dict(written.ladder) else own
        yield f"{key}.{leg.value}" if leg in dict(written.by_leg) else key, leg, words.source(trigger, known, leg)
        if written.moved is not None:
            yield "moved_template", leg, words.source(trigger, known, leg, moved=True)
