"""One breaker for each provider account: while it is open nothing is sent there, and no attempt is burned.

It opens after a few blocked outcomes in a row. When its time has come, one message goes out as a probe, which at the
same moment opens it again for longer; only a message that the provider takes closes it.
"""

from __future__ import annotations

from datetime import timedelta

from control_center.store.db import Connection
from control_center.store.fences import STANDS

OPENS_AT = 3  # blocked outcomes in a row
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=30)


# What is still answered after it opened was sent before: it counts for nothing.
FAILED = """
INSERT INTO breakers AS known (account, failures, open_until, reason)
VALUES ($1, $3::integer, CASE WHEN $3::integer >= $4 THEN clock_timestamp() + $5 END, $2)
    ON CONFLICT (account) DO UPDATE
   SET failures = CASE WHEN known.open_until IS NULL THEN least(known.failures + $3, $4) ELSE known.failures END,
       open_until = CASE WHEN known.open_until IS NULL AND known.failures + $3 >= $4 THEN clock_timestamp() + $5
                         ELSE known.open_until END,
       reason = excluded.reason
RETURNING open_until IS NOT NULL"""


async def failed(
    tx: Connection,
    account: str,
    reason: str,
    *,
    times: int = 1,
    opens_at: int = OPENS_AT,
    wait: timedelta = FIRST_WAIT,
) -> bool:
    """The provider blocked this account, so many times in a row; whether its breaker is open now."""
    opened: bool = await tx.fetchval(FAILED, account, reason, min(times, opens_at), opens_at, wait)
    return opened


SUCCEEDED = """
UPDATE breakers SET failures = 0, open_until = NULL, reason = ''
 WHERE account = $1 AND (failures > 0 OR open_until IS NOT NULL)"""


async def succeeded(tx: Connection, account: str) -> bool:
    """The provider took a message of this account; whether that closed or reset its breaker."""
    return bool((await tx.execute(SUCCEEDED, account)) == "UPDATE 1")


# Taking the probe is what opens the breaker anew, so that of many workers one sends it, and so that a probe which is
# lost with its worker, or ends undecided, is followed by another and not waited for.
CLAIM_PROBE = f"""
WITH probe AS (
     UPDATE breakers
        SET failures = failures + 1,
            open_until = clock_timestamp()
                + least($2::interval * power(2, least(failures - $4::integer + 1, 20)), $3::interval)
      WHERE account = $1 AND open_until <= statement_timestamp() AND {STANDS}
        AND EXISTS (SELECT FROM messages
                     WHERE messages.account = $1 AND priority IN (0, 1, 2) AND state = 'queued'
                       AND due_at <= statement_timestamp())
  RETURNING account)
SELECT CASE WHEN NOT {STANDS} THEN 0
            WHEN EXISTS (SELECT FROM probe) THEN 1
            WHEN EXISTS (SELECT FROM breakers WHERE account = $1 AND open_until IS NOT NULL) THEN 0 END"""


async def allowance(
    tx: Connection,
    account: str,
    limit: int,
    *,
    wait: timedelta = FIRST_WAIT,
    longest: timedelta = LONGEST_WAIT,
    opens_at: int = OPENS_AT,
) -> int:
    """How many messages may be claimed on this account: `limit`, one as a probe, or none: fence or breaker say so."""
    allowed: int | None = await tx.fetchval(CLAIM_PROBE, account, wait, longest, opens_at)
    return limit if allowed is None else min(allowed, limit)


# Of a closed account all, the oldest first and so many at a time; of one whose time has come a single one, unless
# something is queued already that can be the probe. Account by account along the index of what is held, so that one
# is found even if its breaker never heard of the failure. What enters the queue enters at its end.
#
# Studios may share an account, and what is blocked may be one's sender alone. So the probe is any of what waits, and
# not the oldest each time, which may be that studio's for ever; and what was asked for itself comes due the later the
# more often, so that what closes the breaker lets the others through first, and nothing is asked every few seconds.
RETURN_HELD = """
WITH RECURSIVE accounts AS (
     (SELECT account FROM messages WHERE state = 'held' ORDER BY account LIMIT 1)
      UNION ALL
     SELECT (SELECT messages.account FROM messages WHERE state = 'held' AND messages.account > accounts.account
              ORDER BY messages.account LIMIT 1)
       FROM accounts WHERE accounts.account IS NOT NULL),
lines AS MATERIALIZED (
     SELECT account, open_until,
            (SELECT message_id FROM messages
              WHERE messages.account BETWEEN accounts.account AND accounts.account
                AND state = 'held' AND starts_with(reason, 'breaker:')
                AND (starts_with(reason, 'breaker:') OR starts_with(reason, 'failover:'))
              ORDER BY messages.account, message_id LIMIT 1) AS first,
            (SELECT message_id FROM messages
              WHERE messages.account BETWEEN accounts.account AND accounts.account
                AND state = 'held' AND starts_with(reason, 'breaker:')
                AND (starts_with(reason, 'breaker:') OR starts_with(reason, 'failover:'))
              ORDER BY messages.account DESC, message_id DESC LIMIT 1) AS last
       FROM accounts LEFT JOIN breakers USING (account)
      WHERE open_until IS NULL OR open_until <= statement_timestamp()),
asked AS MATERIALIZED (
     SELECT account, open_until,
            first + CASE WHEN open_until IS NULL THEN 0 ELSE floor(random() * (last - first + 1))::bigint END AS start
       FROM lines),
due AS MATERIALIZED (
     SELECT first.studio_id, first.message_id, asked.open_until IS NULL AS closed
       FROM asked CROSS JOIN LATERAL (
            SELECT studio_id, message_id FROM messages
             -- Between, not equal: then only the index of what is held has them in this order.
             WHERE messages.account BETWEEN asked.account AND asked.account
               AND state = 'held' AND starts_with(reason, 'breaker:')
               AND (starts_with(reason, 'breaker:') OR starts_with(reason, 'failover:'))  -- as the index has it
               AND message_id >= asked.start
             ORDER BY messages.account, message_id
             LIMIT CASE WHEN asked.open_until IS NULL THEN $1::integer
                        WHEN EXISTS (SELECT FROM messages AS ready
                                      WHERE ready.account = asked.account AND ready.priority IN (0, 1, 2)
                                        AND ready.state = 'queued'
                                        AND ready.due_at <= statement_timestamp()) THEN 0
                        ELSE 1 END
               FOR UPDATE SKIP LOCKED) AS first
      LIMIT $1)
UPDATE messages SET state = 'queued', reason = 'waited for its provider account',
       due_at = clock_timestamp() + CASE WHEN due.closed AND asked > 0
           THEN least($2::interval * power(2, least(asked - 1, 20)), $3::interval) ELSE '0' END
  FROM due
 WHERE messages.studio_id = due.studio_id AND messages.message_id = due.message_id AND state = 'held'
RETURNING messages.studio_id, messages.message_id"""


async def return_held(
    tx: Connection, *, limit: int, wait: timedelta = FIRST_WAIT, longest: timedelta = LONGEST_WAIT
) -> list[tuple[str, int]]:
    """Queue what waited for a breaker, at most `limit`; returns each message with its studio.

    What a provider was asked about comes due after `wait`, doubled for each time that it was, up to `longest`.
    """
    return [(row[0], row[1]) for row in await tx.fetch(RETURN_HELD, limit, wait, longest)]
