"""The calls of a provider that one worker has under way, and what they were answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from control_center import crash_points
from control_center.domain.links import Links
from control_center.domain.outcome import NotSent, Outcome, Stage, Unknown
from control_center.store.cases import Case
from control_center.store.submissions import Ready
from workers.channel import Channel
from workers.flight_recorder import FlightRecorder
from workers.settling import Answered
from workers.writing import sheet

log = structlog.get_logger(__name__)

# A machine that slept between the mark and the first byte: what was decided then holds no more, and nothing has left.
HELD_UP: Final = "its worker was held up until it might not go any more"


class Sends:
    """Asks the provider, each message in a task of its own. `came` is set with each answer.

    A message is `begun` until its answer is settled: the commit of an outcome frees its slot, not the answer.
    """

    def __init__(
        self,
        channel: Channel,
        clock: Callable[[], datetime],
        *,
        links: Links | None,
        recorder: FlightRecorder | None,
    ) -> None:
        self.came = asyncio.Event()
        self.answered: list[Answered] = []
        self.begun: dict[int, Case] = {}
        self._channel = channel
        self._clock = clock
        self._links = links
        self._recorder = recorder
        self._flying: dict[int, asyncio.Task[None]] = {}

    @property
    def waiting(self) -> list[Case]:
        """Those whose answer has not come."""
        over = {one.ready.case.message_id for one in self.answered}
        return [case for message_id, case in self.begun.items() if message_id not in over]

    def begin(self, ready: Ready) -> None:
        """Ask about a message that has passed the point of no return."""
        self.begun[ready.case.message_id] = ready.case
        self._flying[ready.case.message_id] = asyncio.create_task(self._send(ready))

    def settled(self, outcomes: Sequence[Answered]) -> None:
        """The first of `answered` are committed: their slots are free."""
        self.answered = self.answered[len(outcomes) :]
        for one in outcomes:
            case = one.ready.case
            if self._recorder is not None:
                self._recorder.settled(case.message_id, case.token)
            self._flying.pop(case.message_id, None)
            self.begun.pop(case.message_id, None)

    async def finish(self, within: float) -> None:
        """Wait for the answers under way; what is late is cut off, and nobody can know what became of it."""
        pending = [task for task in self._flying.values() if not task.done()]
        if pending:
            _, late = await asyncio.wait(pending, timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def close(self) -> None:
        """All is settled: nobody has to read what was noted."""
        if self._recorder is not None:
            self._recorder.remove()

    async def _submitted(self, ready: Ready) -> Outcome:
        if self._recorder is not None:
            told = getattr(self._channel, "says_when_it_leaves", False)
            self._recorder.note_ahead(ready.case.message_id, ready.case.token, ready.case.asked + 1, told=told)
        return await self._channel.submit(sheet(ready, self._clock(), self._links))

    async def _send(self, ready: Ready) -> None:
        """Ask the provider. A call that we ourselves cut off may have arrived."""
        outcome: Outcome
        try:
            outcome = await self._submitted(ready) if self._clock() < ready.until else NotSent(HELD_UP)
        except asyncio.CancelledError:
            outcome = Unknown("the worker was stopped while it was sending", Stage.SENT)
        except Exception as error:
            # A fault of ours after the point of no return must not be taken for "not sent".
            log.exception("delivery.fault", message=f"m-{ready.case.message_id}")
            outcome = Unknown(f"{type(error).__name__}: {error}", Stage.SENT)
        crash_points.reach("after_answer")
        self.answered.append(Answered(ready, outcome, self._clock()))
        self.came.set()
