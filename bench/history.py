"""A year of messages, written month by month, each with its event, attempt and reports.

Of every fourth its action is there too, and of every tenth its receipt: whole, it would be a quarter larger, on disk
and in time, with nothing more to learn from it.

Their clients come back: every message belongs to one of the clients whose sessions wait at the end of the year, spread
evenly over all of them, so that what is done to a message of today touches an index everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from bench import seeds

MONTHS: Final = 12
A_DAY: Final = timedelta(days=1)
EACH: Final = 50  # messages that a client has had in the year

# What is long done changes no more, and needs no room on its pages.
ROOMY: Final = {"messages": 70, "actions": 80}


@dataclass(frozen=True, slots=True)
class History:
    """So many messages within the last year; two percent more are planned for the weeks to come."""

    messages: int

    @property
    def clients(self) -> int:
        return max(1, self.messages // EACH)

    async def people(self, connection: asyncpg.Connection) -> None:
        """The studio, its clients with their sessions, and what is planned for them."""
        await seeds.Waiting(0, released=False, records=self.clients).seed(connection)
        await connection.execute(_PLANNED, self.messages // 50, self.clients, timeout=3600)

    async def month(self, connection: asyncpg.Connection, number: int) -> int:
        """What happened in this month, 1 to 12; returns how many rows that is."""
        first = self.messages * (number - 1) // MONTHS
        last = self.messages * number // MONTHS
        for table in ROOMY:
            await connection.execute(f"ALTER TABLE {table} SET (fillfactor = 100)")
        rows = 0
        for statement in _OF_A_MESSAGE:
            done = await connection.execute(statement, first + 1, last, self.messages, self.clients, timeout=7200)
            rows += int(done.split()[2])
        for table, part in ROOMY.items():
            await connection.execute(f"ALTER TABLE {table} SET (fillfactor = {part})")
        return rows


async def wait(connection: asyncpg.Connection, count: int, history: History, *, round_: int) -> None:
    """So many reminders that wait for a worker, of clients from all over; entered within the last seconds."""
    date = (datetime.now(UTC) + seeds.AHEAD).strftime("%Y-%m-%dT14:00:00")
    before = history.messages + count * round_
    use_by = datetime.now(UTC) + 2 * A_DAY
    await connection.execute(_ACTIONS, before, count, history.clients, date, use_by, timeout=600)
    await connection.execute(_MESSAGES, before, count, seeds.ACCOUNT, timeout=600)


_PERSON: Final = "lpad((5550001 + (n * 7919::bigint) % $4::integer)::text, 7, '0')"
_AT: Final = "statement_timestamp() - ($3::bigint - n) * (interval '1 year' / $3::bigint)"
_FROM: Final = (
    f"FROM (SELECT n, {_AT} AS at, {_PERSON} AS person FROM generate_series($1::bigint, $2::bigint) AS n) AS past"
)

_PAST_EVENTS: Final = f"""
INSERT INTO events (studio_id, source, event_id, type, subject, time, received_at, body)
SELECT 'main', '/crm/main', 'past-' || n, 'crm.session.updated', 'session/' || person, at, at,
       '{{"specversion": "1.0", "note": "' || repeat('a note, ', 25) || '"}}'
  {_FROM}"""
_PAST_ACTIONS: Final = f"""
INSERT INTO actions (studio_id, kind, record_id, trigger_id, occurrence, action_id, trigger_version, state,
                     activation_at, due_at, use_by, event_id, released_at, created_at) OVERRIDING SYSTEM VALUE
SELECT 'main', 'session', person, 1, to_char(at, 'YYYY-MM-DD"T"HH24:MI') || '#' || n, n, 1, 'released', at, at, at,
       'past-' || n, at, at
  {_FROM} WHERE n % 4 = 0 AND $3 > 0"""
_PAST_MESSAGES: Final = f"""
INSERT INTO messages (studio_id, origin, purpose, action_id, channel, address, account, sender, recipient, kind,
                      record_id, client_id, trigger_id, trigger_version, state, due_at, use_by, asked, tries, body,
                      provider_id, created_at, sent_at, ended_at, message_id) OVERRIDING SYSTEM VALUE
SELECT 'main', 'trigger', 'transactional', n, 'sms', '+1312' || person, '{seeds.ACCOUNT}', '+13125550100',
       '{{"role":"client"}}', 'session', person, 'c-' || person, 1, 1, state, at, at, 1, 1,
       'See you on the ' || n % 28 || 'th', CASE WHEN sent THEN 'SM' || n END, at, CASE WHEN sent THEN at END, at, n
  FROM (SELECT *, state IN ('delivered', 'undelivered') AS sent
          FROM (SELECT *, CASE WHEN n % 100 < 2 THEN 'undelivered' WHEN n % 100 = 2 THEN 'failed'
                               WHEN n % 100 = 3 THEN 'cancelled' ELSE 'delivered' END AS state
                  {_FROM}) AS ended) AS done WHERE $3 > 0"""
_PAST_ATTEMPTS: Final = f"""
INSERT INTO attempts (studio_id, message_id, number, key, lease_token, body, started_at, ended_at, outcome, provider_id)
SELECT 'main', n, 1, 'm-' || n || '.1', 1, 'See you on the ' || n % 28 || 'th', at, at, 'accepted', 'SM' || n
  {_FROM} WHERE n % 100 <> 3 AND $4 > 0"""
_PAST_RECEIPTS: Final = f"""
INSERT INTO receipts (studio_id, account, dedupe_key, key, provider_id, fate, body, message_id, received_at)
SELECT CASE WHEN n % 1000 <> 5 THEN 'main' ELSE '' END, '{seeds.ACCOUNT}', 'SM' || n, 'm-' || n || '.1', 'SM' || n,
       'delivered', '{{}}', CASE WHEN n % 1000 <> 5 THEN n END, at
  {_FROM} WHERE n % 10 = 5 AND $4 > 0"""
_PAST_REPORTS: Final = f"""
INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data, state, due_at, created_at, published_at)
SELECT 'main', 'm-' || n || ' ' || verb, 'session/' || person, verb, n % 8, '{{"message": "m-' || n || '"}}',
       CASE WHEN heard THEN 'published' ELSE 'unroutable' END, at, at, CASE WHEN heard THEN at END
  FROM (SELECT *, n % 100 > 0 AS heard {_FROM}) AS told,
       (VALUES ('message.sent'), ('message.delivered')) AS verbs (verb)
 WHERE $4 > 0"""
_PAST_ARRIVALS: Final = f"""
INSERT INTO arrivals (studio_id, account, known_by, sender, receiver, body, message_id, received_at)
SELECT 'main', '{seeds.ACCOUNT}', 'in-' || n, '+1312' || person, '+13125550100', 'YES', n, at
  {_FROM} WHERE n % 50 = 0 AND $4 > 0"""
_PAST_SHARES: Final = f"""
INSERT INTO day_shares (studio_id, whom, day, share, holder)
SELECT 'main', 'sms/+1312' || person, at::date, 1, 'm-' || n
  {_FROM} WHERE n % 50 = 0 ON CONFLICT DO NOTHING"""
_PAST_KEYS: Final = f"""
INSERT INTO idempotency_keys (studio_id, key, digest, answer, created_at)
SELECT 'main', 'key-' || n, md5(n::text), '{{}}', at
  {_FROM} WHERE n % 1000 = 0 AND $4 > 0"""
_PAST_COUNTS: Final = f"""
INSERT INTO release_counts (studio_id, trigger_id, hour, released)
SELECT 'main', 1, date_trunc('hour', at), count(*)
  {_FROM} WHERE $4 > 0 GROUP BY 3 ON CONFLICT DO NOTHING"""

_OF_A_MESSAGE: Final = (
    _PAST_EVENTS,
    _PAST_ACTIONS,
    _PAST_MESSAGES,
    _PAST_ATTEMPTS,
    _PAST_RECEIPTS,
    _PAST_REPORTS,
    _PAST_ARRIVALS,
    _PAST_SHARES,
    _PAST_KEYS,
    _PAST_COUNTS,
)

_PLANNED: Final = """
INSERT INTO actions (studio_id, kind, record_id, trigger_id, occurrence, action_id, trigger_version, state,
                     activation_at, due_at, use_by, event_id) OVERRIDING SYSTEM VALUE
SELECT 'main', 'session', lpad((5550001 + (n * 7919::bigint) % $2::integer)::text, 7, '0'), 1, 'planned#' || n,
       1000000000000 + n, 1, 'planned', at, at, at + interval '7 days', 'planned-' || n
  FROM (SELECT n, now() + interval '1 day' + n * interval '80 days' / $1::bigint AS at
          FROM generate_series(1, $1::integer) AS n) AS ahead"""

_ACTIONS: Final = """
INSERT INTO actions (studio_id, kind, record_id, trigger_id, occurrence, action_id, trigger_version, state,
                     activation_at, due_at, use_by, event_id, released_at) OVERRIDING SYSTEM VALUE
SELECT 'main', 'session', lpad((5550001 + (n * 7919::bigint) % $3::integer)::text, 7, '0'), 1, $4::text || '#' || n, n,
       1, 'released', now(), now(), $5::timestamptz, 'event-' || n, clock_timestamp()
  FROM generate_series($1::bigint + 1, $1::bigint + $2::bigint) AS n"""
_MESSAGES: Final = """
INSERT INTO messages (studio_id, origin, purpose, action_id, channel, address, account, sender, recipient, kind,
                      record_id, client_id, trigger_id, trigger_version, state, due_at, use_by, message_id)
       OVERRIDING SYSTEM VALUE
SELECT studio_id, 'trigger', 'transactional', action_id, 'sms', '+1312' || record_id, $3::text, '+13125550100',
       '{"role":"client","first_name":"Jo","last_name":"Park"}', kind, record_id, 'c-' || record_id, trigger_id, 1,
       'queued', statement_timestamp() - ($1::bigint + $2::bigint - action_id) * interval '200 microseconds', use_by,
       action_id
  FROM actions WHERE studio_id = 'main' AND action_id BETWEEN $1::bigint + 1 AND $1::bigint + $2::bigint
 ORDER BY action_id"""
