"""Looking for words in messages, however many there are: from block to block, newest first, as far as a page goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from control_center.domain.message import State
from control_center.store.db import Connection
from control_center.store.pages import Page, page
from control_center.store.views_messages import ENDS, EVERYTHING, SHOWN, WANTED, Box, Filter, Message, narrowed, shown


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for: every word of `text`, each whole or as the beginning of a longer one; or an `address`."""

    text: str
    address: str | None = None


# Block by block (see words_said in schema.sql): each is read only once the page has room left after the one before, and
# the loop over blocks cannot be joined in another order, since what stands inside depends on the block.
SEARCH = f"""
SELECT page.* FROM (
       SELECT found.* FROM generate_series($20::bigint >> 15, $21::bigint >> 15, -1) AS block
        CROSS JOIN LATERAL (
              {SHOWN}
               WHERE messages.studio_id = $1 AND {WANTED}
                 AND messages.message_id IN (
                     SELECT attempts.message_id FROM attempts
                      WHERE NOT $22::boolean AND studio_id = $1 AND outcome IS NOT NULL
                        AND words_said(studio_id, attempts.message_id, attempts.subject, attempts.body)
                            @@ words_sought($1, block, $23)
                      UNION
                     SELECT written.message_id FROM messages AS written
                      WHERE (written.origin IN ('client', 'person') OR written.state = 'shadow') AND studio_id = $1
                        AND words_said(studio_id, written.message_id, written.subject, written.body)
                            @@ words_sought($1, block, $23)
                      UNION
                     SELECT reached.message_id FROM messages AS reached
                      WHERE reached.studio_id = $1 AND lower(reached.address) = lower($24::text)
                        AND reached.message_id >= block << 15 AND reached.message_id < (block + 1) << 15)
               ORDER BY messages.message_id DESC
               LIMIT $25) AS found
        LIMIT $25) AS page
 ORDER BY message_id DESC"""


# Where the list is short by itself, it is read, and the words of each message are looked at.
WITHIN = f"""{SHOWN}
 WHERE messages.studio_id = $1 AND {WANTED}
   AND (words_said(messages.studio_id, messages.message_id, messages.subject, messages.body)
            @@ words_sought($1, messages.message_id >> 15, $20)
        OR EXISTS (SELECT FROM attempts
                    WHERE attempts.studio_id = $1 AND attempts.message_id = messages.message_id
                      AND words_said(attempts.studio_id, attempts.message_id, attempts.subject, attempts.body)
                          @@ words_sought($1, attempts.message_id >> 15, $20))
        OR lower(messages.address) = lower($21::text))
 ORDER BY messages.message_id DESC
 LIMIT $22"""

_USUAL: Final = frozenset({State.QUEUED, State.ACCEPTED, State.DELIVERED, State.RECEIVED})


def _is_short(wanted: Filter) -> bool:
    """Whether a list has few messages by what it is narrowed to, however many there are."""
    narrow = (wanted.client, wanted.record, wanted.action, wanted.assigned_to)
    unusual = wanted.states is not None and _USUAL.isdisjoint(wanted.states)
    return any(one is not None for one in narrow) or wanted.attention or unusual


async def search(
    tx: Connection,
    studio: str,
    sought: Sought,
    wanted: Filter = EVERYTHING,
    *,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Message]:
    """A page of the messages that have what is sought, newest first. Raises Malformed for a cursor that is none."""
    values = await narrowed(tx, studio, wanted, cursor)
    if _is_short(wanted):
        rows = await tx.fetch(WITHIN, *values, sought.text, sought.address, limit + 1)
        return page([shown(row) for row in rows], limit, lambda one: [one.number])
    lowest, highest = await tx.fetchrow(ENDS, studio)
    if lowest is None:
        return Page([], None)
    before, since, until = values[1], values[14], values[16]
    top = min(one for one in (highest, before, until) if one is not None)
    low = max(one for one in (lowest, since) if one is not None)
    rows = await tx.fetch(SEARCH, *values, top, low, wanted.box is Box.INBOX, sought.text, sought.address, limit + 1)
    return page([shown(row) for row in rows], limit, lambda one: [one.number])
