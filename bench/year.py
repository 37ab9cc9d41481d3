"""A studio of some years' standing: clients with their sessions, a year of events about them, and what waits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg

from bench import events, seeds
from control_center.domain.action import Add
from control_center.domain.reconciliation import reconcile
from control_center.store import actions, records, rulebooks, studios
from control_center.store.records import Key

TYPES: Final = ("Wedding", "Family", "Newborn", "Senior", "Pet", "School", "Boudoir", "Product", "Portrait", "Event")
OFFSETS: Final = (-14, -7, -3, -1, 2, 7)  # days from the session, each for every type: sixty triggers
AHEAD: Final = 60  # days in which there are sessions yet
PAGE: Final = 2000


def triggers() -> list[dict[str, Any]]:
    """For each type and offset one, half of them on weekdays by day only."""
    made: list[dict[str, Any]] = []
    for type_ in TYPES:
        for days in OFFSETS:
            processing: dict[str, Any] = {"mode": "automatic"}
            if len(made) % 2:
                processing |= {"window": "09:00-18:00", "not_on": ["sat", "sun"]}
            made.append(
                {
                    "name": f"Trigger {len(made)}",
                    "record": "session",
                    "type": type_,
                    "status": "Booked",
                    "activate": {"on": "session", "days": days},
                    "action": "sms",
                    "text": events.TEXT,
                    "purpose": "transactional",
                    "processing": processing,
                    "exclude": {"on_hold": True, "canceled": True},
                    "enabled": True,
                }
            )
    return made


@dataclass(frozen=True, slots=True)
class Year:
    """So many clients with two sessions each, spread over the last year and the next weeks."""

    clients: int

    async def seed(self, connection: asyncpg.Connection) -> None:
        await seeds.a_studio(connection, triggers())
        await connection.execute("SELECT setval(pg_get_serial_sequence('triggers', 'trigger_id'), 1000)")
        await connection.execute(_BLACKOUTS)
        record, client = _bodies()
        await connection.execute(_CLIENTS, self.clients, client, timeout=900)
        await connection.execute(_SESSIONS, self.clients * 2, self.clients, record, list(TYPES), AHEAD, timeout=900)
        for version, before in ((1, 60), (2, 30)):
            await connection.execute(_EVENTS, version, before, timeout=900)
        await connection.execute("ANALYZE")
        await _plan(connection)


def _bodies() -> tuple[str, str]:
    """As the CRM writes them, with places for what differs."""
    client = {
        "id": "c-@n@",
        "version": 1,
        "first_name": "Jo",
        "last_name": "Park",
        "phones": [{"number": "+1312@p@", "label": "mobile", "sms": True}],
        "emails": [{"address": "jo@n@@mail.example"}],
    }
    record = {
        "kind": "session",
        "id": "s-@n@",
        "version": 2,
        "client_id": "c-@c@",
        "type": "@t@",
        "status": "Booked",
        "status_changed_at": "@b@T16:04:05Z",
        "dates": {"session": "@d@T14:00", "booked": "@b@"},
        "flags": {"on_hold": False, "confirmed": False, "canceled": False},
        "fields": {"location": "Lakeside", "notes": "They would like the lake, in the evening. " * 8},
    }
    return json.dumps(record), json.dumps(client)


_BLACKOUTS: Final = """
INSERT INTO blackouts (studio_id, name, yearly) VALUES ('main', 'New Year', '01-01'), ('main', 'Christmas', '12-25')"""

_CLIENTS: Final = """
INSERT INTO records (studio_id, kind, record_id, version, first_version, body, changed_at)
SELECT 'main', 'client', 'c-' || n, 1, 1,
       replace(replace($2::text, '@p@', lpad(n::text, 7, '5')), '@n@', n::text), now() - interval '2 years'
  FROM generate_series(1, $1::integer) AS n"""

# Session n lies on one of the days from a year ago to AHEAD days ahead, and was booked sixty days before.
_SESSIONS: Final = """
INSERT INTO records (studio_id, kind, record_id, version, first_version, client_id, body, changed_at)
SELECT 'main', 'session', 's-' || n, 2, 1, 'c-' || owner,
       replace(replace(replace(replace(replace($3::text, '@n@', n::text), '@c@', owner::text), '@t@', type),
                       '@d@', day::text), '@b@', (day - 60)::text), least(now(), day - interval '30 days')
  FROM (SELECT n, 1 + (n - 1) % $2::integer AS owner, ($4::text[])[1 + n % 10] AS type,
               current_date + (n * 7919 % (365 + $5::integer)) - 365 AS day
          FROM generate_series(1, $1::integer) AS n) AS made"""

_EVENTS: Final = """
INSERT INTO events (studio_id, source, event_id, type, subject, time, received_at, body)
SELECT 'main', '/crm/main', record_id || '.' || $1::integer, type, 'session/' || record_id, heard, heard,
       json_build_object(
           'specversion', '1.0', 'id', record_id || '.' || $1::integer, 'source', '/crm/main', 'type', type,
           'subject', 'session/' || record_id, 'time', to_char(heard, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'studio', 'main',
           'data', json_build_object(
               'record', replace(body, '"version": 2', '"version": ' || $1::integer)::json,
               'client', (SELECT client.body::json FROM records AS client
                           WHERE client.studio_id = 'main' AND client.kind = 'client'
                             AND client.record_id = records.client_id)))::text
  FROM (SELECT *, CASE $1::integer WHEN 1 THEN 'crm.session.created' ELSE 'crm.session.updated' END AS type,
               ((body::json -> 'dates' ->> 'session')::timestamp - make_interval(days => $2::integer))
                   AT TIME ZONE 'America/Chicago' AS heard
          FROM records WHERE kind = 'session') AS records
 WHERE heard < now()"""


async def _plan(connection: asyncpg.Connection) -> None:
    """What waits, as intake would have planned it; what is over is left out."""
    now = datetime.now(UTC)
    book = await rulebooks.read(connection, (await studios.get(connection, ["main"]))["main"])
    after = ""
    while page := await records.of_kind(connection, "main", "session", after=after, limit=PAGE):
        added: list[tuple[Key, Add, str | None]] = []
        for picture in page:
            steps = reconcile(picture, book.rules, (), now)
            ahead = (one for one in steps if isinstance(one, Add) and one.plan.due_at > now - timedelta(days=1))
            added += [(picture.key, one, None) for one in ahead]
        if added:
            await actions.add(connection, added)
        after = page[-1].record_id
