"""The story of one event: what it showed, which triggers acted on it, and why the others did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from control_center.domain.errors import Malformed
from control_center.domain.event import decode
from control_center.domain.record import Picture
from control_center.engine.explain_words import Case, Step, Told, Verdict, settled_by, verdict_of, when
from control_center.store import db, views_actions, views_events
from control_center.store.triggers import Saved
from control_center.store.views_actions import Action
from control_center.store.views_events import Event

LONGEST = 30  # triggers, or records of a snapshot, told one by one
CATALOG = "crm.catalog"
MOST = 1000  # actions of one record that one event can have made: more than there are triggers


async def of(tx: db.Connection, case: Case, event: Event, body: str) -> Told:
    """What became of an event, in a sentence and in steps."""
    name = f"event {event.id}"
    if event.type == CATALOG:
        return _catalog(case, event, body)
    if event.verdict == "loaded":
        sentence = f"{name} loaded history from the CRM: a snapshot fires no trigger."
        return Told(sentence, [*_shown(case, event, body), Step(event.received_at, sentence, [event.id])])
    planned = await _planned_by(tx, case, event, body)
    verdicts = _verdicts(case, event, body, planned)
    steps = [*_shown(case, event, body), *verdicts]
    if event.verdict == "superseded":
        version = case.picture.version if case.picture else "a later one"
        sentence = f"{name} changed nothing: {event.subject} was already known in version {version} or later."
        return Told(sentence, [*steps, Step(event.received_at, sentence, [event.id])])
    if planned:
        each = ", ".join(f"{one.id} of trigger {one.trigger!r} ({one.state})" for one in planned)
        return Told(f"{name} about {event.subject} planned {each}.", [*steps, *_made(case, planned)])
    first = verdicts[0].text if verdicts else f"no trigger is about {case.kind} records"
    return Told(f"{name} about {event.subject} was taken in and planned nothing: {first}.", steps)


def _catalog(case: Case, event: Event, body: str) -> Told:
    """What the CRM told of a studio; it fires no trigger."""
    catalog = decode(body.encode()).catalog
    sizes = {section: len(entries) for section, entries in (catalog.named if catalog else {}).items()}
    sentence = f"event {event.id} told the catalogue: " + ", ".join(f"{name} ({n})" for name, n in sizes.items()) + "."
    if event.verdict == "superseded":
        sentence = f"event {event.id} changed nothing: of what it tells of the catalogue, something newer was known."
    return Told(sentence, [*_shown(case, event, body), Step(event.received_at, sentence, [event.id])])


async def origin(tx: db.Connection, case: Case, action: Action) -> list[Step]:
    """The event that planned an action, as far as it is still kept, and what the other triggers made of it."""
    if action.event_id is None:
        return []
    found = await views_events.by_id(tx, case.studio.studio, action.event_id)
    own = [one for one in found if one[0].subject == action.record] or found
    if not own:
        text = f"event {action.event_id} planned {action.id}; it is no longer kept"
        return [Step(action.created_at, text, [action.event_id, action.id])]
    event, body = own[-1]
    others = [one for one in await _planned_by(tx, case, event, body) if one.id != action.id]
    verdicts = _verdicts(case, event, body, [action, *others])
    return [*_shown(case, event, body), *verdicts, *_made(case, others)]


async def unknown_record(tx: db.Connection, case: Case, *, of: str | None) -> Told:
    """Why nothing was sent about a record that no event ever showed; `of` is the studio whose bodies may be told."""
    steps = [
        Step(one.received_at, f"set aside, since it could not be understood: {one.field}: {one.reason}")
        for one in await views_events.dead_mentioning(tx, case.record, studio=of)
    ]
    sentence = f"Nothing was sent: no event about {case.record} has come in, so it is not known here."
    if steps:
        sentence = f"Nothing was sent: what came about {case.record} could not be understood; see the steps."
    return Told(sentence, [*steps[::-1], Step(case.now, sentence, [case.record])])


def _shown(case: Case, event: Event, body: str) -> list[Step]:
    """That the event came, and the versions it showed."""
    happened = (
        f"{event.type} came from {event.source}, about {event.subject}; it happened on {when(case.zone, event.time)}"
    )
    steps = [Step(event.received_at, happened, [event.id, event.subject])]
    if not body:
        steps.append(Step(event.received_at, "what it showed was erased with its client"))
    for picture in islice(_pictures(body), LONGEST):
        name = f"{picture.kind}/{picture.record_id}"
        gone = ", deleted" if picture.deleted else f", status {picture.record.status!r}"
        steps.append(Step(event.received_at, f"it showed {name} in version {picture.version}{gone}", [name]))
    return steps


def _verdicts(case: Case, event: Event, body: str, planned: Sequence[Action]) -> list[Step]:
    """What today's triggers say to the version that the event showed, except those that acted on it."""
    shown = next((one for one in _pictures(body) if one.key[1:] == (case.kind, case.record_id)), None)
    if shown is None:
        return []
    if case.picture is not None:  # by itself, a version looks as if it were the first we ever saw
        known = case.picture
        shown = replace(shown, first_facts=known.first_facts, known_since=known.known_since)
    then = replace(case, now=event.received_at)
    settled = settled_by(then, shown)
    acted = {action.trigger_id for action in planned if action.record == case.record}
    others = [
        saved
        for saved in case.saved.values()
        if saved.trigger_id not in acted and saved.definition["record"] == case.kind
    ]
    steps = []
    for saved in others[:LONGEST]:
        why = _why_not(then, saved, verdict_of(then, saved, shown, settled))
        steps.append(Step(event.received_at, f"trigger {saved.name!r} did not act: {why}", [saved.name]))
    if len(others) > LONGEST:
        steps.append(Step(event.received_at, f"and {len(others) - LONGEST} more triggers did not act"))
    return steps


def _why_not(then: Case, saved: Saved, verdict: Verdict) -> str:
    if not verdict.qualifies:
        return verdict.sentence
    if saved.saved_at > then.now:
        return f"it was saved later, on {when(then.zone, saved.saved_at)}"
    return "it had an action for this occurrence already, or was not switched on yet"


def _made(case: Case, planned: Sequence[Action]) -> list[Step]:
    return [
        Step(
            one.created_at,
            f"{one.id} was made by trigger {one.trigger!r} for {one.record}: due on {when(case.zone, one.due_at)},"
            f" now {one.state}" + (f": {one.reason}" if one.reason else ""),
            [one.id, one.record],
        )
        for one in planned[:LONGEST]
    ]


async def _planned_by(tx: db.Connection, case: Case, event: Event, body: str) -> list[Action]:
    """What the event made, for each record that it showed: a session's event may show its client, too."""
    shown = {(case.kind, case.record_id): None}
    shown |= {one.key[1:]: None for one in islice(_pictures(body), LONGEST)}
    planned: list[Action] = []
    for record in shown:
        wanted = views_actions.Filter(record=record, event_id=event.id)
        planned += (await views_actions.actions(tx, case.studio.studio, wanted, limit=MOST)).items
    return sorted(planned, key=lambda one: one.number)


def _pictures(body: str) -> tuple[Picture, ...]:
    """What the event showed. An event that was understood once may not be by stricter code: then nothing is shown."""
    try:
        return decode(body.encode()).seen
    except Malformed:
        return ()
