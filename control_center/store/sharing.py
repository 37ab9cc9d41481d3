"""What marketing needs besides to pass the point of no return: its shares of days, and whose words it says, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from control_center.domain.arrival import Share
from control_center.store.cases import Case


# Marketing takes its share of the recipient's day in the same breath, and goes only with it: the key of day_shares lets
# one of two workers have it, whoever is first, and the other's message is decided again. Only what passes everything
# else takes one, in one order everywhere, and what is proven not to have been taken by the provider gives it back.
#
# What gives way to it on a calm day, and whose words stand in its body, is taken out of the queue in that breath, too,
# while it waits and its record is the one that its words were decided on. Else it does not pass, and is written again.
def days(ready: str, may_pass: str) -> str:
    """The parts of the statement that come first; `ready` and `may_pass` are the statement's own."""
    return f"""freed AS (
     DELETE FROM day_shares
      USING unnest($42::text[], $43::text[], $44::date[], $45::text[], $56::bigint[])
            AS given (studio_id, whom, day, holder, action_id)
      WHERE day_shares.studio_id = given.studio_id AND day_shares.whom = given.whom AND day_shares.day = given.day
        AND day_shares.holder = given.holder
        AND NOT EXISTS (SELECT FROM messages AS other
                         WHERE other.studio_id = given.studio_id AND other.action_id = given.action_id
                           AND other.message_id <> ALL ($2::bigint[])
                           AND other.state IN ('submitting', 'accepted', 'delivered', 'undelivered', 'unknown'))),
asked_for AS MATERIALIZED (
     SELECT * FROM unnest($46::text[], $47::bigint[], $48::text[], $49::date[], $50::smallint[], $51::text[])
                AS asked_for (studio_id, message_id, whom, day, most, holder)),
could AS MATERIALIZED (
     SELECT messages.studio_id, messages.message_id
       FROM messages,
            {ready}
      WHERE ready.message_id IN (SELECT message_id FROM asked_for) AND {may_pass}
        FOR UPDATE OF messages),
along AS MATERIALIZED (
     SELECT along.* FROM unnest($52::text[], $53::bigint[], $54::bigint[], $55::bigint[])
                      AS along (studio_id, first_id, message_id, version)
       JOIN could ON could.studio_id = along.studio_id AND could.message_id = along.first_id),
rode AS (
     UPDATE messages
        SET state = 'held', reason = 'calm day: its words go with m-' || first_id, rides_with = first_id,
            lease_owner = NULL, lease_until = NULL
       FROM along
      WHERE messages.studio_id = along.studio_id AND messages.message_id = along.message_id
        AND (messages.state IN ('queued', 'claimed') OR messages.state = 'held' AND rides_with = first_id)
        AND (SELECT count(*) FROM steady
              WHERE steady.message_id = along.message_id AND steady.version = along.version) > 0
  RETURNING messages.message_id, first_id),
shared AS (
     INSERT INTO day_shares (studio_id, whom, day, share, holder)
     SELECT DISTINCT ON (studio_id, whom, day) studio_id, whom, day, free.share, holder
       FROM asked_for JOIN could USING (studio_id, message_id)
      CROSS JOIN LATERAL (
            SELECT share FROM generate_series(1, most) AS share (share)
             WHERE NOT EXISTS (SELECT FROM day_shares AS known
                                WHERE known.studio_id = asked_for.studio_id AND known.whom = asked_for.whom
                                  AND known.day = asked_for.day
                                  AND (known.share = share.share OR known.holder = asked_for.holder))
             ORDER BY share LIMIT 1) AS free
      ORDER BY studio_id, whom, day, message_id
         ON CONFLICT DO NOTHING
  RETURNING studio_id, whom, day, holder),
granted AS (
     SELECT message_id FROM asked_for JOIN could USING (studio_id, message_id)
      WHERE EXISTS (SELECT FROM day_shares AS known
                     WHERE known.studio_id = asked_for.studio_id AND known.whom = asked_for.whom
                       AND known.day = asked_for.day AND known.holder = asked_for.holder)
         OR EXISTS (SELECT FROM shared
                     WHERE shared.studio_id = asked_for.studio_id AND shared.whom = asked_for.whom
                       AND shared.day = asked_for.day AND shared.holder = asked_for.holder)),"""


GRANTED = """AND (SELECT count(*) FROM asked_for WHERE asked_for.message_id = messages.message_id)
            = (SELECT count(*) FROM granted WHERE granted.message_id = messages.message_id)
        AND (SELECT count(*) FROM along WHERE along.first_id = messages.message_id)
            = (SELECT count(*) FROM rode WHERE rode.first_id = messages.message_id)"""
PASSING = "unnest($24::text[] || $52::text[], $25::bigint[] || $54::bigint[], $31::bigint[] || $55::bigint[])"
CARRIES = "(SELECT array_agg(message_id) FROM rode WHERE first_id = submitted.message_id)"


def columns(
    freed: Sequence[tuple[str, Share]], taken: Sequence[tuple[Case, Share]], riders: Sequence[tuple[Case, Case]]
) -> list[list[Any]]:
    """What STEP_SHARING takes besides: the shares given back, those that are asked for, and whose words go along."""
    return [
        [studio for studio, _ in freed],
        [share.whom for _, share in freed],
        [share.day for _, share in freed],
        [share.holder for _, share in freed],
        [one.studio.studio for one, _ in taken],
        [one.message_id for one, _ in taken],
        [share.whom for _, share in taken],
        [share.day for _, share in taken],
        [share.most for _, share in taken],
        [share.holder for _, share in taken],
        [one.studio.studio for one, _ in riders],
        [one.message_id for one, _ in riders],
        [rider.message_id for _, rider in riders],
        [rider.record.version if rider.record is not None else None for _, rider in riders],
        [share.action_id for _, share in freed],
    ]
