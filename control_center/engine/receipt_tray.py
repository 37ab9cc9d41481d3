"""Receipts that are called in side by side are stored together: what comes while one transaction runs is the next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from control_center.domain.outcome import Receipt
from control_center.engine.replies import take_receipts
from control_center.store import db

Came: TypeAlias = tuple[str, Receipt, str]

BATCH: Final = 100  # calls whose receipts share a transaction
ROOM: Final = 1000  # calls of an account that may wait; a provider whose call finds no room comes again


@dataclass(frozen=True, slots=True)
class _Call:
    """What one call brings; `stored` is set with its commit, or with what went wrong."""

    came: Sequence[Came]
    stored: asyncio.Future[None]


class ReceiptTray:
    """Takes receipts in for every account. A call is answered after its own commit, and nobody waits for company."""

    def __init__(self, pool: db.Pool) -> None:
        self._pool = pool
        self._waiting: dict[str, list[_Call]] = {}
        self._emptying: dict[str, asyncio.Task[None]] = {}

    async def take(self, account: str, came: Sequence[Came]) -> None:
        """Store what a call brings, as `take_receipts` does; returns once it is committed.

        Raises TimeoutError at once where too many wait already, and whatever storing raises.
        """
        waiting = self._waiting.setdefault(account, [])
        if len(waiting) >= ROOM:
            raise TimeoutError(f"{ROOM} receipts of {account} wait to be stored")
        call = _Call(came, asyncio.get_running_loop().create_future())
        waiting.append(call)
        if account not in self._emptying:
            self._emptying[account] = asyncio.create_task(self._empty(account))
        await call.stored

    async def _empty(self, account: str) -> None:
        try:
            while waiting := self._waiting.pop(account, []):
                batch, self._waiting[account] = waiting[:BATCH], waiting[BATCH:]
                # A call that was given up has been told to come again.
                if calls := [one for one in batch if not one.stored.done()]:
                    await self._store(account, calls)
        finally:
            del self._emptying[account]

    async def _store(self, account: str, calls: Sequence[_Call]) -> None:
        """One transaction for all; where it fails on one of them, one for each, so that it fails alone."""
        came = [one for call in calls for one in call.came]
        storing = asyncio.ensure_future(take_receipts(self._pool, account, came))
        for call in calls:
            call.stored.add_done_callback(lambda _: _end_if_given_up(storing, calls))
        await asyncio.wait([storing])
        error = None if storing.cancelled() else storing.exception()
        if error is not None and len(calls) > 1 and not isinstance(error, db.PASSES):
            for call in calls:
                await self._store(account, [call])
            return
        for call in calls:
            if call.stored.done():
                continue
            if error is not None:
                call.stored.set_exception(error)
            else:
                call.stored.set_result(None)


def _end_if_given_up(storing: asyncio.Future[int], calls: Sequence[_Call]) -> None:
    """What nobody waits for any more is undone: all of them have been told that it was not stored."""
    if all(call.stored.done() for call in calls):
        storing.cancel()
