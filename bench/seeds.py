"""Databases to begin with: a studio with its triggers, and work that waits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg

from bench import events
from control_center.domain import studio, trigger
from control_center.store import studios

ACCOUNT: Final = "sms/bench"
PLACE: Final = "@@@@@@"  # where a body carries its number
AHEAD: Final = timedelta(days=3)


async def a_studio(connection: asyncpg.Connection, tables: Sequence[dict[str, Any]]) -> None:
    """The studio and these triggers, numbered from 1."""
    # High enough never to hold, and not 0: what the blast guard costs is part of what is measured.
    await studios.put(connection, studio.parse(events.STUDIO | {"blast_ceiling": 1_000_000}))
    for table in tables[:100]:
        trigger.parse(table)  # a mistake here would be a rule that never matches
    rows = [("main", n, table["name"], 1, table["record"], True) for n, table in enumerate(tables, 1)]
    columns = ["studio_id", "trigger_id", "name", "version", "kind", "enabled"]
    await connection.copy_records_to_table("triggers", records=rows, columns=columns)
    versions: Iterable[tuple[Any, ...]] = (
        ("main", n, 1, json.dumps(table), "the bench") for n, table in enumerate(tables, 1)
    )
    columns = ["studio_id", "trigger_id", "version", "definition", "saved_by"]
    await connection.copy_records_to_table("trigger_versions", records=versions, columns=columns)


REMINDER: Final = {
    "name": "Reminder",
    "record": "session",
    "status": "Booked",
    "activate": {"on": "session", "days": -7},
    "action": "sms",
    "text": events.TEXT,
    "purpose": "transactional",
    "processing": {"mode": "automatic"},
    "exclude": {"past_date": False, "canceled": True, "on_hold": True},
    "enabled": True,
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Reminders of sessions in three days: each with its record and client, or several to one record.

    `released` False leaves them as planned actions, all due since `due_for`; else they wait as messages, entered one
    after the other at `pace` a second, the last one just now.
    """

    count: int
    released: bool
    records: int = 0
    pace: int = 5000
    due_for: timedelta = timedelta(minutes=1)

    async def seed(self, connection: asyncpg.Connection) -> None:
        date = (datetime.now(UTC) + AHEAD).strftime("%Y-%m-%dT14:00")
        await a_studio(connection, [REMINDER])
        records = self.records or self.count
        record, client = _bodies(date)
        await connection.execute(_RECORDS, records, PLACE, record, client, timeout=600)
        state = "released" if self.released else "planned"
        use_by = datetime.now(UTC) + timedelta(days=2)
        due = datetime.now(UTC) - self.due_for
        await connection.execute(
            _ACTIONS, self.count, records, f"{date}:00", state, due, use_by, self.records > 0, timeout=600
        )
        if self.released:
            await connection.execute(_MESSAGES, ACCOUNT, float(self.pace), self.count, timeout=900)


def _bodies(date: str) -> tuple[str, str]:
    client = {
        "id": f"c-{PLACE}",
        "version": 1,
        "first_name": "Jo",
        "last_name": "Park",
        "phones": [{"number": f"+1312{PLACE}", "label": "mobile", "sms": True}],
        "emails": [{"address": f"jo{PLACE}@mail.example"}],
    }
    record = {
        "kind": "session",
        "id": PLACE,
        "version": 1,
        "client_id": f"c-{PLACE}",
        "type": "Wedding",
        "status": "Booked",
        "status_changed_at": "2026-11-01T16:04:05Z",
        "dates": {"session": date, "booked": "2026-11-01"},
        "flags": {"on_hold": False, "confirmed": False, "canceled": False},
        "fields": {"location": "Lakeside", "notes": "They would like the lake, in the evening. " * 8},
    }
    return json.dumps(record), json.dumps(client)


_NUMBER = "lpad((5550000 + n)::text, 7, '0')"  # as the end of a telephone number

_RECORDS = f"""
INSERT INTO records (studio_id, kind, record_id, version, first_version, client_id, body)
SELECT 'main', kind, CASE kind WHEN 'client' THEN 'c-' || {_NUMBER} ELSE {_NUMBER} END, 1, 1,
       CASE kind WHEN 'client' THEN NULL ELSE 'c-' || {_NUMBER} END,
       replace(CASE kind WHEN 'client' THEN $4::text ELSE $3::text END, $2::text, {_NUMBER})
  FROM generate_series(1, $1::integer) AS n, (VALUES ('client'), ('session')) AS kinds (kind)"""

_ACTIONS = """
INSERT INTO actions (studio_id, kind, record_id, trigger_id, occurrence, trigger_version, state, activation_at,
                     due_at, use_by, event_id, released_at)
SELECT 'main', 'session', lpad((5550001 + i % $2::integer)::text, 7, '0'), 1,
       $3::text || CASE WHEN $7 THEN '#' || i ELSE '' END, 1, $4::text, $5::timestamptz, $5, $6::timestamptz,
       'event-' || i, CASE WHEN $4 = 'released' THEN clock_timestamp() END
  FROM generate_series(1, $1::integer) AS i"""

_MESSAGES = """
INSERT INTO messages (studio_id, origin, purpose, action_id, channel, address, account, sender, recipient, kind,
                      record_id, client_id, trigger_id, trigger_version, state, due_at, use_by)
SELECT studio_id, 'trigger', 'transactional', action_id, 'sms', '+1312' || record_id, $1::text, '+13125550100',
       '{"role":"client","first_name":"Jo","last_name":"Park"}', kind, record_id, 'c-' || record_id, trigger_id, 1,
       'queued', statement_timestamp() - make_interval(secs => ($3::integer - action_id) / $2::float8), use_by
  FROM actions ORDER BY action_id"""
