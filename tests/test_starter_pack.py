"""The starter pack: what a studio may switch on, and every example beside it holds."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from control_center.domain.studio import Studio
from control_center.domain.studio import parse as parse_studio
from control_center.domain.template import names
from control_center.domain.trigger import parse
from control_center.domain.trigger_test_cases import failures
from control_center.domain.trigger_words import check_words, lacking
from control_center.engine import templates, triggers
from control_center.engine.templates import parse as parse_template
from control_center.engine.trigger_files import mistakes_of, read_files
from control_center.store import db
from tests.support.rows import a_studio

ROOT: Final = Path(__file__).resolve().parents[1]
TABLES: Final = read_files([ROOT / "config/triggers"])
TEMPLATES: Final[dict[str, dict[str, Any]]] = {
    file.stem: tomllib.loads(file.read_text("utf-8")) for file in (ROOT / "config/templates").glob("*.toml")
}
# An example must hold wherever a studio is, or it could not switch the trigger on.
MAIL: Final = {"postal_address": "12 Shore Drive, Chicago"}  # without which nobody sends marketing mail
STUDIOS: Final = [
    parse_studio({"id": "main", "name": "Ada Park", "timezone": zone, "country": country, "email": MAIL, **more})
    for zone, country, more in (
        ("America/Chicago", "US", {"phone": "555 0100"}),
        ("Europe/Berlin", "DE", {"sms": {"numbers": ["+493025550100"]}}),
        ("Pacific/Auckland", "NZ", {}),  # as one is made at first start: no phone, no number, no web
    )
]


def named(one: tuple[str, Any]) -> str:
    return str(one[1]["name"])


def test_the_pack_has_what_a_studio_begins_with() -> None:
    assert {table["name"] for _, table in TABLES} == {
        "Booking thanks",
        "Session reminder, a week before",
        "Session confirmation",
        "Session reminder, the day before",
        "Order ready",
        "Production overdue",
        "Payment overdue",
        "How likely are you to recommend us?",
        "Poor score: call",
        "Happy birthday",
        "Contact form: call back",
    }


def test_the_pack_has_no_mistake() -> None:
    assert [str(one) for one in mistakes_of(TABLES)] == []


@pytest.mark.parametrize("one", TABLES, ids=named)
def test_a_trigger_of_the_pack_is_off_writes_only_in_its_hours_or_by_hand_and_has_examples(one: Any) -> None:
    trigger = parse(one[1], where=one[0])

    assert not trigger.enabled
    assert trigger.processing.window is not None or not trigger.processing.automatic
    assert trigger.examples


@pytest.mark.parametrize("studio", STUDIOS, ids=lambda studio: studio.timezone)
@pytest.mark.parametrize("one", TABLES, ids=named)
def test_every_example_beside_a_trigger_of_the_pack_holds(one: Any, studio: Studio) -> None:
    trigger = parse(one[1], where=one[0])
    check_words(trigger, named(one), TEMPLATES, studio.country)

    assert [str(failure) for failure in failures(trigger, studio, TEMPLATES)] == []
    assert lacking(trigger, TEMPLATES, studio) == {}


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_of_the_pack_is_understood_and_used(name: str) -> None:
    parse_template(name, TEMPLATES[name])

    assert names(TEMPLATES[name]["kind"])
    assert name in {table.get("template") for _, table in TABLES}


async def test_a_studio_that_says_only_where_it_is_can_switch_all_of_the_pack_on(
    database_url: str,
) -> None:
    pool = await db.open_pool(database_url, application="test")
    await a_studio(pool, settings={"email": MAIL})
    for name, body in TEMPLATES.items():
        await templates.put(pool, "main", name, body, by="Ada")

    await triggers.apply(pool, clock, "main", TABLES, by="Ada")
    for _, table in TABLES:
        await triggers.switch(pool, clock, "main", table["name"], on=True, by="Ada")

    assert await pool.fetchval("SELECT count(*) FROM triggers WHERE enabled") == len(TABLES)
    await pool.close()


def clock() -> datetime:
    return datetime(2026, 11, 23, 18, tzinfo=UTC)
