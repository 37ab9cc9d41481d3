"""Looking for words in messages, however many there are: newest first, as far as a page or a moment goes.

What is short, and the newest of what is long, is read and its words are looked at. Behind that the index of words is
asked, from block to block. A search that has looked for a moment gives what it has, and its cursor goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from control_center.domain.message import State
from control_center.store.db import Connection
from control_center.store.halves import EITHER
from control_center.store.pages import Page, page
from control_center.store.pages import cursor as cursor_of
from control_center.store.views_messages import ENDS, EVERYTHING, SHOWN, WANTED, Box, Filter, Message, narrowed, shown

PATIENCE: Final = 0.3  # seconds after which a search gives what it has
_SHORT: Final = 5_000  # messages of a list that is read; what an index of words would have to find among them is more
_NEWEST: Final = 250  # messages that are read at once, and of every list: a common word fills its page from these
_STEP: Final = 0.1  # seconds that one look at the index should take
_MOST: Final = 16  # blocks of one look


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for: every word of `text`, each whole or as the beginning of a longer one; or an `address`."""

    text: str
    address: str | None = None


NUMBERS = f"""
SELECT message_id FROM messages
 WHERE messages.studio_id = $1 AND {WANTED}
 ORDER BY message_id DESC LIMIT $22"""

FIRST = f"""
SELECT message_id FROM messages
 WHERE messages.studio_id = $1 AND {WANTED}
 ORDER BY message_id LIMIT 1"""

# In block 0, whichever they are in: so the words that are sought are put together once.
READ = f"""{SHOWN}
 WHERE messages.studio_id = $1 AND messages.message_id = ANY ($2::bigint[])
   AND (words_said($1, 0, messages.subject, messages.body) @@ words_sought($1, 0, $3)
        OR EXISTS (SELECT FROM attempts
                    WHERE attempts.studio_id = $1 AND attempts.message_id = messages.message_id
                      AND words_said($1, 0, attempts.subject, attempts.body) @@ words_sought($1, 0, $3))
        OR lower(messages.address) = lower($4::text))
 ORDER BY messages.message_id DESC
 LIMIT $5"""

# Block by block (see words_said in schema.sql): each is read only once the page has room left after the one before, and
# the loop over blocks cannot be joined in another order, since what stands inside depends on the block.
SEARCH = f"""
SELECT page.* FROM (
       SELECT found.* FROM generate_series($22::bigint, $23::bigint, -1) AS block
        CROSS JOIN LATERAL (
              {SHOWN}
               WHERE messages.studio_id = $1 AND {WANTED}
                 AND messages.message_id IN (
                     SELECT attempts.message_id FROM attempts
                      WHERE NOT $24::boolean AND studio_id = $1 AND outcome IS NOT NULL
                        AND words_said(studio_id, attempts.message_id, attempts.subject, attempts.body)
                            @@ words_sought($1, block, $26)
                      UNION
                     SELECT written.message_id FROM messages AS written
                      WHERE (written.origin IN ('client', 'person') OR written.state = 'shadow') AND studio_id = $1
                        AND NOT ($25::boolean AND written.origin = 'client')
                        AND words_said(studio_id, written.message_id, written.subject, written.body)
                            @@ words_sought($1, block, $26)
                      UNION
                     SELECT reached.message_id FROM messages AS reached
                      WHERE reached.studio_id = $1 AND lower(reached.address) = lower($27::text)
                        AND {EITHER}
                        AND reached.message_id >= block << 15 AND reached.message_id < (block + 1) << 15)
               ORDER BY messages.message_id DESC
               LIMIT $28) AS found
        LIMIT $28) AS page
 ORDER BY message_id DESC"""


async def search(
    tx: Connection,
    studio: str,
    sought: Sought,
    wanted: Filter = EVERYTHING,
    *,
    cursor: str | None = None,
    limit: int = 50,
    patience: float = PATIENCE,
) -> Page[Message]:
    """A page of the messages that have what is sought, newest first. Raises Malformed for a cursor that is none.

    After so many seconds of `patience` it is what was found so far, perhaps nothing, with the cursor to go on from.
    """
    one = _Search(tx, studio, sought, limit, time.monotonic() + patience)
    values = await narrowed(tx, studio, wanted, cursor)
    most = _SHORT if _is_narrow(wanted) else _NEWEST
    numbers = [row[0] for row in await tx.fetch(NUMBERS, *values, most + 1)]
    short = len(numbers) <= most
    for begin in range(0, len(numbers) if short else _NEWEST, _NEWEST):
        some = numbers[begin : begin + _NEWEST]
        await one.read(some)
        if one.is_over:
            return one.page(None if some[-1] == numbers[-1] else some[-1])
    if short:
        return one.page(None)
    if _is_narrow(wanted):
        values[14] = await tx.fetchval(FIRST, *values)
    values[1] = numbers[_NEWEST - 1]
    return one.page(await one.ask(values, _ways(wanted)))


def _is_narrow(wanted: Filter) -> bool:
    """Whether a list is narrowed to what an index has, so that its length is soon known."""
    own = (wanted.client, wanted.record, wanted.action, wanted.assigned_to, wanted.trigger, wanted.bulk, wanted.made_by)
    asked = wanted.attention or wanted.unread or wanted.unlinked or wanted.states is not None
    return asked or any(value is not None for value in own)


def _ways(wanted: Filter) -> tuple[bool, bool]:
    """Whether all of a list came in, and whether all of it went out."""
    states = set(wanted.states or ())
    came = wanted.box is Box.INBOX or wanted.unread or wanted.attention or states == {State.RECEIVED}
    of_ours = any(one is not None for one in (wanted.trigger, wanted.action, wanted.bulk, wanted.made_by))
    went = wanted.box is Box.SENT or of_ours or (bool(states) and State.RECEIVED not in states)
    return came, went


class _Search:
    """One search under way: what it has found, and until when it looks."""

    def __init__(self, tx: Connection, studio: str, sought: Sought, limit: int, deadline: float) -> None:
        self._tx = tx
        self._studio = studio
        self._sought = sought
        self._limit = limit
        self._deadline = deadline
        self._found: list[Message] = []

    @property
    def is_over(self) -> bool:
        return len(self._found) > self._limit or time.monotonic() >= self._deadline

    @property
    def _room(self) -> int:
        return self._limit + 1 - len(self._found)

    async def read(self, numbers: Sequence[int]) -> None:
        """Look at the words of these."""
        sought = self._sought
        rows = await self._tx.fetch(READ, self._studio, numbers, sought.text, sought.address, self._room)
        self._found += map(shown, rows)

    async def ask(self, values: Sequence[Any], ways: tuple[bool, bool]) -> int | None:
        """Ask the index, block by block, for what has a lower number than `values` say; how far it came, None: all."""
        lowest, highest = await self._tx.fetchrow(ENDS, self._studio)
        before, since, until = values[1], values[14], values[16]
        block = min(one for one in (highest, before - 1, until) if one is not None) >> 15
        last = max(one for one in (lowest, since) if one is not None) >> 15
        count, sought = 1, (self._sought.text, self._sought.address)
        while block >= last:
            begun, end = time.monotonic(), max(last, block - count + 1)
            rows = await self._tx.fetch(SEARCH, *values, block, end, *ways, *sought, self._room)
            self._found += map(shown, rows)
            block = end - 1
            count = _next(count, time.monotonic() - begun)
            if self.is_over:
                break
        return (block + 1) << 15 if block >= last else None

    def page(self, reached: int | None) -> Page[Message]:
        """What was found; `reached` is the number down to which was looked, None: there is no more."""
        if len(self._found) > self._limit or reached is None:
            return page(self._found, self._limit, lambda one: [one.number])
        return Page(self._found, cursor_of([reached]))


def _next(count: int, took: float) -> int:
    """How many blocks the next look takes in: about a step's worth, and at most twice as many."""
    return max(1, min(2 * count, _MOST, int(count * _STEP / max(took, 0.001))))
