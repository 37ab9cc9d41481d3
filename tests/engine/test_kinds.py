"""Each kind of record that a CRM tells of, from its event to the message that a trigger on it makes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from control_center.engine.intake import Intake
from control_center.engine.release import Release
from control_center.store import db
from tests.support.crm import client, event
from tests.support.rows import a_studio, a_trigger

NOW = datetime(2026, 11, 25, 16, tzinfo=UTC)  # ten in the morning in Chicago
DUE = {"status_due_date": "2026-11-25"}

# kind, what a trigger on it says, the record as the CRM tells of it.
KINDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "appointment",
        {"type": "Fitting", "activate": {"on": "appointment"}},
        {"dates": {"appointment": "2026-11-25T15:00"}},
    ),
    ("client", {"status": "Active", "activate": {"on": "birthday", "days": -3}}, {"birthday": "1990-11-28"}),
    ("invoice", {"activate": {"on": "payment_due"}}, {"instalments": [{"id": "1", "due": "2026-11-25"}]}),
    ("production_order", {"type": "Fitting", "activate": {"on": "status_due"}}, DUE),
    ("preproduction_order", {"activate": {"on": "ordered", "days": 5}}, {"dates": {"ordered": "2026-11-20"}}),
    (
        "session",
        {"activate": {"on": "nps_received"}, "exclude": {"nps": {"only_between": [0, 6]}}},
        {"nps": {"id": "r-1", "score": 2, "received_at": "2026-11-25T09:00"}},
    ),
    ("task", {"type": "Fitting", "activate": {"on": "due", "days": -1}}, {"dates": {"due": "2026-11-26"}}),
    (
        "web_form",
        {"form": "Wishes", "activate": {"on": "submitted"}},
        {"form": {"name": "Wishes"}, "dates": {"submitted": "2026-11-25T09:30"}},
    ),
    (
        "loyalty_reward",
        {"type": "Fitting", "activate": {"on": "expires"}},
        {"reward": {"balance": "5.00"}, "dates": {"expires": "2026-11-25"}},
    ),
]


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


@pytest.mark.parametrize(("kind", "trigger", "record"), KINDS)
async def test_a_trigger_on_each_kind_of_record_writes_to_its_client(
    pool: db.Pool, kind: str, trigger: dict[str, Any], record: dict[str, Any]
) -> None:
    await a_trigger(pool, **{"record": kind, "status": None, "text": "Hello {{ client.first_name }}.", **trigger})
    about = {
        "kind": kind,
        "id": "7",
        "version": 1,
        "client_id": "c-12",
        "status": "Active",
        "type": "Fitting",
        **record,
    }
    body = event(
        None if kind == "client" else about, about=client(status="Active", **(record if kind == "client" else {}))
    )

    await Intake(pool, lambda: NOW).take_in([body])
    await Release(pool, lambda: NOW).run_once()

    assert await pool.fetch("SELECT kind, address FROM messages") == [(kind, "+13125550188")]
