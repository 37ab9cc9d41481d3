"""Whether a [[trigger]] table may be saved: understood, and everything that it names is there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from control_center.domain import trigger_test_cases
from control_center.domain.errors import Malformed, NotFound
from control_center.domain.studio import Studio
from control_center.domain.trigger import Trigger, parse
from control_center.domain.trigger_test_cases import Failure
from control_center.domain.trigger_words import cautions, check_words, lacking
from control_center.engine.trigger_files import Mistakes
from control_center.store import catalogs, db, studios, templates, triggers


async def checked(tx: db.Connection, house: Studio, table: Mapping[str, Any], where: str) -> Trigger:
    """Understand a table and everything it names; one that is switched on can be written, and passes its own tests.

    Raises Malformed, or Mistakes where several things are wrong.
    """
    trigger = parse(table, where=where)
    place = f'{where} "{trigger.name}"'
    known = await templates.of_studio(tx, house.studio)
    check_words(trigger, place, known, house.country, house.countries)
    if not trigger.enabled:
        return trigger
    unwritten = lacking(trigger, known, house)
    if unwritten:
        raise Mistakes([Malformed(f"{place}, {key}", says) for key, says in unwritten.items()])
    wrong = await failing(tx, house, trigger)
    if wrong:
        raise Mistakes([Malformed(f"{place}, {one.example}", _refusal(one)) for one in wrong])
    return trigger


def _refusal(failure: Failure) -> str:
    return f"expected {failure.expected}, got {failure.got}; it is not switched on while that fails"


async def hindrances(tx: db.Connection, house: Studio, trigger: Trigger) -> list[str]:
    """What a person may not have thought of, and what keeps a trigger that is off from being switched on as it is."""
    if trigger.enabled:
        return cautions(trigger, house)
    known = await templates.of_studio(tx, house.studio)
    unwritten = [f"{key}: {says}" for key, says in lacking(trigger, known, house).items()]
    return cautions(trigger, house) + unwritten + [str(one) for one in await failing(tx, house, trigger)]


async def failing(tx: db.Connection, house: Studio, trigger: Trigger) -> list[Failure]:
    """What the tests beside a trigger expect and does not come of them."""
    known, users = await templates.of_studio(tx, house.studio), await catalogs.users(tx, house.studio)
    return trigger_test_cases.failures(trigger, house, known, users)


@dataclass(frozen=True, slots=True)
class Result:
    """How the tests beside one trigger went."""

    name: str
    tests: int
    failures: list[str]


async def run_tests(pool: db.Pool, studio: str, names: Collection[str] = ()) -> list[Result]:
    """Run the tests beside these triggers, or beside all that a studio has. Raises NotFound."""
    async with db.session(pool) as connection:
        house = (await studios.get(connection, [studio])).get(studio)
        if house is None:
            raise NotFound(f"there is no studio {studio!r}")
        saved = {one.name: one.trigger for one in await triggers.every(connection, studio)}
        missing = [repr(name) for name in names if name not in saved]
        if missing:
            raise NotFound(f"there is no trigger {', '.join(missing)}; there are: {', '.join(map(repr, saved))}")
        return [
            Result(name, len(one.examples), [str(failure) for failure in await failing(connection, house, one)])
            for name, one in saved.items()
            if not names or name in names
        ]
