"""A CRM that is at work while something happens: what is to survive a fault must be under way in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from tests.support.bookings import bookings
from tests.support.fake_crm import Crm
from tests.support.installation import Installation


class Flow:
    """Events that keep coming for as long as something happens to the brokers, and so many at least."""

    def __init__(self, here: Installation, crm: Crm, at_least: int) -> None:
        self._here = here
        self._crm = crm
        self._at_least = at_least
        self._batch = max(10, at_least // 50)
        self.number = 0

    async def during(self, happens: Callable[[], Coroutine[None, None, None]]) -> None:
        """What happens begins once a quarter is taken in, while more are on their way."""
        happening: asyncio.Task[None] | None = None
        while self.number < self._at_least or happening is None or not happening.done():
            if happening is None and self.number >= self._at_least // 4:
                happening = asyncio.create_task(happens())
            await self._crm.say(bookings(self._batch, prefix=f"e{self.number}-", first=self.number), within=300)
            self.number += self._batch
            await self._here.taken_in(self.number - 4 * self._batch, within=300)
        await happening
