"""What is forgotten after a time, in bounded steps. Actions, messages, attempts and consents are kept for good."""

from __future__ import annotations

from datetime import timedelta

from control_center.store.db import Connection

# Studio by studio along the index by age.
EVENTS = """
WITH old AS MATERIALIZED (
     SELECT oldest.* FROM studios CROSS JOIN LATERAL (
            SELECT studio_id, source, event_id FROM events
             WHERE events.studio_id = studios.studio_id AND received_at < statement_timestamp() - $1::interval
             ORDER BY received_at LIMIT $2) AS oldest
      LIMIT $2)
DELETE FROM events USING old
 WHERE events.studio_id = old.studio_id AND events.source = old.source AND events.event_id = old.event_id"""


async def events(tx: Connection, *, older_than: timedelta, limit: int) -> int:
    """Events: until then a second copy of one does nothing."""
    return await _deleted(tx, EVENTS, older_than, limit)


# By their keys: coalesce() keeps the index of all that are published from being taken for each row again.
COMMANDS = """
WITH old AS MATERIALIZED (
     SELECT studio_id, command_id FROM commands
      WHERE state = 'published' AND published_at < statement_timestamp() - $1::interval
      ORDER BY published_at LIMIT $2)
DELETE FROM commands USING old
 WHERE commands.studio_id = old.studio_id AND commands.command_id = old.command_id
   AND coalesce(state, '') = 'published'"""


async def commands(tx: Connection, *, older_than: timedelta, limit: int) -> int:
    """Commands that were published or acknowledged. One that nobody has had yet is never forgotten."""
    return await _deleted(tx, COMMANDS, older_than, limit)


REPORTS = """
WITH old AS MATERIALIZED (
     SELECT studio_id, command_id FROM commands
      WHERE state = 'unroutable' AND created_at < statement_timestamp() - $1::interval AND verb LIKE '%.%'
      ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
DELETE FROM commands USING old
 WHERE commands.studio_id = old.studio_id AND commands.command_id = old.command_id
   AND coalesce(state, '') = 'unroutable'"""


async def unheard_reports(tx: Connection, *, older_than: timedelta, limit: int) -> int:
    """Reports that nobody ever listened for; unlike a command, a report asks nobody for anything."""
    return await _deleted(tx, REPORTS, older_than, limit)


RECEIPTS = """
WITH old AS MATERIALIZED (
     SELECT studio_id, receipt_id FROM receipts
      WHERE message_id IS NULL AND received_at < statement_timestamp() - $1::interval
      LIMIT $2 FOR UPDATE SKIP LOCKED)
DELETE FROM receipts USING old
 WHERE receipts.studio_id = old.studio_id AND receipts.receipt_id = old.receipt_id
   AND coalesce(message_id, 0) = 0"""


async def unmatched_receipts(tx: Connection, *, older_than: timedelta, limit: int) -> int:
    """Receipts of messages that were never ours."""
    return await _deleted(tx, RECEIPTS, older_than, limit)


ARRIVALS = """
WITH old AS MATERIALIZED (
     SELECT studio_id, account, known_by FROM arrivals
      WHERE message_id IS NOT NULL AND NOT waiting AND received_at < statement_timestamp() - $1::interval
      ORDER BY received_at LIMIT $2)
DELETE FROM arrivals USING old
 WHERE arrivals.studio_id = old.studio_id AND arrivals.account = old.account AND arrivals.known_by = old.known_by"""


async def arrivals(tx: Connection, *, older_than: timedelta, limit: int) -> int:
    """Calls and mails as they came, of which there is a message: until then a repeat of one does nothing."""
    return await _deleted(tx, ARRIVALS, older_than, limit)


IDEMPOTENCY_KEYS = """
WITH old AS MATERIALIZED (
     SELECT studio_id, key FROM idempotency_keys
      WHERE created_at < statement_timestamp() - $1::interval
      LIMIT $2 FOR UPDATE SKIP LOCKED)
DELETE FROM idempotency_keys USING old
 WHERE idempotency_keys.studio_id = old.studio_id AND idempotency_keys.key = old.key"""


async def idempotency_keys(tx: Connection, *, older_than: timedelta, limit: int) -> int:
    """Answers kept for requests that may be repeated."""
    return await _deleted(tx, IDEMPOTENCY_KEYS, older_than, limit)


RELEASE_COUNTS = """
WITH old AS MATERIALIZED (
     SELECT studio_id, trigger_id, hour FROM release_counts
      WHERE hour < statement_timestamp() - $1::interval
      ORDER BY hour LIMIT $2)
DELETE FROM release_counts USING old
 WHERE release_counts.studio_id = old.studio_id AND release_counts.trigger_id = old.trigger_id
   AND release_counts.hour = old.hour"""


async def release_counts(tx: Connection, *, older_than: timedelta, limit: int) -> int:
    """Hours from which the blast guard no longer learns."""
    return await _deleted(tx, RELEASE_COUNTS, older_than, limit)


DAY_SHARES = """
WITH old AS MATERIALIZED (
     SELECT studio_id, whom, day, share FROM day_shares
      WHERE day < (statement_timestamp() - $1::interval)::date
      ORDER BY day LIMIT $2)
DELETE FROM day_shares USING old
 WHERE day_shares.studio_id = old.studio_id AND day_shares.whom = old.whom AND day_shares.day = old.day
   AND day_shares.share = old.share"""


async def day_shares(tx: Connection, *, older_than: timedelta, limit: int) -> int:
    """Days that are over everywhere."""
    return await _deleted(tx, DAY_SHARES, older_than, limit)


async def _deleted(tx: Connection, statement: str, older_than: timedelta, limit: int) -> int:
    return int((await tx.execute(statement, older_than, limit)).split()[1])
