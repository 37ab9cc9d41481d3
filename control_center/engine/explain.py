"""Why something happened, or did not: told from what is stored, and by the planner that decided it.

No rule is repeated here. Whatever can still be decided is decided by `planner.decide` and `reconciliation.reconcile` on
what is stored now; whatever is over is told from the reasons written down when it happened.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from datetime import datetime

import msgspec

from control_center.domain import zones
from control_center.domain.errors import Malformed, NotFound
from control_center.domain.record import Picture
from control_center.domain.rules import Rules
from control_center.engine import explain_action, explain_event
from control_center.engine.explain_words import Case, Step, settled_by, verdict_of, when
from control_center.store import (
    actions,
    db,
    records,
    rulebooks,
    scores,
    studios,
    triggers,
    views_actions,
    views_events,
    views_messages,
)

_OURS = re.compile(r"(?P<kind>[am])-(?P<number>[1-9][0-9]{0,17})")


class Explanation(msgspec.Struct, frozen=True):
    """The answer in a sentence, and the whole story behind it in the order it happened. Instants are UTC."""

    id: str
    sentence: str
    steps: list[Step]


async def explain(
    pool: db.Pool, clock: Callable[[], datetime], studio: str, wanted: str, *, everywhere: bool = True
) -> Explanation:
    """Why a message (`m-12`), an action (`a-12`) or an event (its id, or `source#id`) did what it did.

    Of bodies that could not be understood, who is not for `everywhere` is told of those that name the studio.
    Raises NotFound for an id that names nothing here.
    """
    async with db.session(pool) as tx:
        found = _OURS.fullmatch(wanted)
        if found is not None:
            number = int(found["number"])
            told = await (_message if found["kind"] == "m" else _action)(tx, clock(), studio, number)
            if told is not None:
                return told
        return await _event(tx, clock(), studio, wanted, of=None if everywhere else studio)


async def explain_pair(
    pool: db.Pool, clock: Callable[[], datetime], studio: str, trigger: str, record: str, *, everywhere: bool = True
) -> Explanation:
    """Why a trigger, by name, sent nothing (or something) about a record such as `session/4711`.

    `everywhere` is that of `explain`. Raises Malformed where `record` is not of that form, NotFound for a trigger
    that does not exist.
    """
    kind, slash, record_id = record.partition("/")
    if not (kind and slash and record_id):
        raise Malformed("record", f"{record[:60]!r}; write the kind and the id, such as session/4711")
    wanted = f"{trigger} + {record}"
    async with db.session(pool) as tx:
        case = await gather(tx, clock(), studio, kind, record_id)
        saved = await triggers.by_name(tx, studio, trigger)
        if saved is None:
            raise NotFound(await _no_such_trigger(tx, studio, trigger))
        if case.picture is None:
            sentence, steps = await explain_event.unknown_record(tx, case, of=None if everywhere else studio)
            return Explanation(wanted, sentence, steps)
        filtered = views_actions.Filter(record=(kind, record_id), trigger=trigger)
        page = await views_actions.actions(tx, studio, filtered, limit=20)
        if page.items:
            latest = page.items[0]
            told = await explain_action.of(tx, case, latest)
            earlier = [step for one in reversed(page.items[1:]) for step in explain_action.state_of(case, one)]
            return Explanation(wanted, told.sentence, sorted([*earlier, *told.steps], key=lambda step: step.at))
        have = (await actions.of_records(tx, [case.picture.key])).get(case.picture.key, [])
    verdict = verdict_of(case, saved, case.picture, settled_by(case, case.picture, have))
    sentence = f"Nothing was sent: {verdict.sentence}."
    shown = f"{record} is known in version {case.picture.version}, status {case.picture.record.status!r}"
    steps = [Step(saved.saved_at, f"trigger {trigger!r} was saved in version {saved.version} by {saved.saved_by}")]
    return Explanation(wanted, sentence, [*steps, Step(case.now, shown, [record]), Step(case.now, sentence)])


async def gather(tx: db.Connection, now: datetime, studio: str, kind: str, record_id: str) -> Case:
    """A studio's rules and one record, as they are committed now. Raises NotFound for a studio that is not here."""
    found = (await studios.get(tx, [studio])).get(studio)
    if found is None:
        raise NotFound(f"there is no studio {studio!r}")
    book = await rulebooks.read(tx, found)
    rules: Rules = book.rules
    key = (studio, kind, record_id)
    picture: Picture | None = (await records.get(tx, [key])).get(key)
    billed = scores.session_of(picture) if picture is not None and kind == "invoice" else None
    session = (await records.get(tx, [billed])).get(billed) if billed is not None else None
    saved = {one.trigger_id: one for one in await triggers.every(tx, studio)}
    return Case(found, zones.zone(found.timezone), rules, saved, kind, record_id, picture, now, session)


async def _action(tx: db.Connection, now: datetime, studio: str, number: int) -> Explanation | None:
    action = await views_actions.action(tx, studio, number)
    if action is None:
        return None
    case = await gather(tx, now, studio, *action.record.split("/", 1))
    told = await explain_action.of(tx, case, action)
    return Explanation(action.id, told.sentence, told.steps)


async def _message(tx: db.Connection, now: datetime, studio: str, number: int) -> Explanation | None:
    message = await views_messages.message(tx, studio, number)
    if message is None:
        return None
    about = message.record or f"client/{message.client or ''}"
    case = await gather(tx, now, studio, *about.split("/", 1))
    made_by = message.action
    action = await views_actions.action(tx, studio, int(made_by.removeprefix("a-"))) if made_by is not None else None
    if action is None:
        sentence, steps = await explain_action.of_message(tx, case, message)
        return Explanation(message.id, sentence, steps)
    told = await explain_action.of(tx, case, action, only=message.id)
    return Explanation(message.id, told.sentence, told.steps)


async def _event(tx: db.Connection, now: datetime, studio: str, wanted: str, *, of: str | None) -> Explanation:
    """An event by its id; a source before a `#` says which where several sources use the same id."""
    found = await views_events.by_id(tx, studio, wanted)
    source, mark, event_id = wanted.rpartition("#")
    if not found and mark:
        found = await views_events.by_id(tx, studio, event_id, source=source)
    if found:
        event, body = found[-1]
        kind, _, record_id = event.subject.partition("/")
        case = await gather(tx, now, studio, kind, record_id)
        sentence, steps = await explain_event.of(tx, case, event, body)
        return Explanation(wanted, sentence, steps)
    dead = await views_events.dead_mentioning(tx, event_id or wanted, studio=of)
    if not dead:
        shown = wanted[:100]
        hint = f"; of a record, ask with a trigger: --trigger NAME --record {shown}" if "/" in wanted else ""
        raise NotFound(
            f"nothing here is known as {shown!r}: no message, no action, and no event with that id came in{hint}"
        )
    case = await gather(tx, now, studio, "", "")
    latest = dead[0]
    sentence = (
        f"What came on {when(case.zone, latest.received_at)} with {wanted!r} in it could not be understood: "
        f"{latest.field}: {latest.reason}."
    )
    steps = [Step(one.received_at, f"set aside: {one.field}: {one.reason}", [f"dead {one.id}"]) for one in dead]
    return Explanation(wanted, sentence, steps[::-1])


async def _no_such_trigger(tx: db.Connection, studio: str, name: str) -> str:
    near = difflib.get_close_matches(name, [one.name for one in await triggers.every(tx, studio)], 3, 0.5)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"there is no trigger {name[:100]!r} in studio {studio!r}{hint}"
