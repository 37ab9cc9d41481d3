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
from control_center.domain.trigger_words import check_words
from control_center.engine.trigger_files import Mistakes
from control_center.store import db, studios, templates, triggers


async def checked(tx: db.Connection, house: Studio, table: Mapping[str, Any], where: str) -> Trigger:
    """Understand a table and everything it names; a trigger that is switched on has to pass its own tests.

    Raises Malformed, or Mistakes where several tests fail.
    """
    trigger = parse(table, where=where)
    place = f'{where} "{trigger.name}"'
    known = await templates.of_studio(tx, house.studio)
    check_words(trigger, place, known, house.country)
    failing = trigger_test_cases.failures(trigger, house, known) if trigger.enabled else []
    if failing:
        raise Mistakes([Malformed(f"{place}, {one.example}", _refusal(one)) for one in failing])
    return trigger


def _refusal(failure: Failure) -> str:
    return f"expected {failure.expected}, got {failure.got}; it is not switched on while that fails"


async def failing(tx: db.Connection, house: Studio, trigger: Trigger) -> list[Failure]:
    """What the tests beside a trigger expect and does not come of them."""
    return trigger_test_cases.failures(trigger, house, await templates.of_studio(tx, house.studio))


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
        known = await templates.of_studio(connection, studio)
    return [
        Result(name, len(one.examples), [str(failure) for failure in trigger_test_cases.failures(one, house, known)])
        for name, one in saved.items()
        if not names or name in names
    ]
