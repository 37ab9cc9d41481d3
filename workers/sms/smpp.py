"""Texts through an SMPP 3.4 message centre: one bound session, kept up, over which everything goes and comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from functools import partial
from typing import Final
from uuid import uuid4

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from control_center.domain.inbound import Inbound
from control_center.domain.outcome import (
    Accepted,
    Blocked,
    CannotTell,
    Fate,
    Lookup,
    NotSent,
    Outcome,
    Receipt,
    Stage,
    Text,
    Unknown,
)
from control_center.domain.sms import MOST_PARTS
from control_center.domain.wire import smpp
from control_center.domain.wire.smpp import Delivered
from control_center.domain.wire.smpp_ids import spellings
from control_center.loop import first_of
from workers.leaving import about_to_leave
from workers.sms import smpp_pdus as pdus
from workers.sms.smpp_pdus import Pdu
from workers.sms.smpp_session import ANSWER, CONNECT, Centre, LostError, NotBoundError, Session, connect

log = structlog.get_logger(__name__)

LONGEST = CONNECT + MOST_PARTS * ANSWER  # no call takes longer: each part is answered on its own
LONGEST_PAUSE = 30.0  # seconds between tries to connect
REMEMBERED: Final = 10_000  # parts of texts whose receipts may still come, for all texts of this process

Part = tuple[str, int, int]  # what the parts of one text have in common, which it is, and how many there are
Hear = Callable[[Inbound | None, Part | None, tuple[str, Receipt] | None, str], Awaitable[bool]]


class Smpp:
    """Owns the session with one centre: makes it, keeps it up, makes it again. Make it inside the running loop.

    `hear` keeps what the centre delivers - a text or a part of one, or a receipt with what a repeat of it is known by,
    and the bytes as they came - and says whether it could.
    """

    says_when_it_leaves = True

    def __init__(
        self, centre: Centre, hear: Hear, *, clock: Callable[[], datetime], longest_pause: float = LONGEST_PAUSE
    ) -> None:
        self._centre = centre
        self._hear = hear
        self._clock = clock
        self._longest_pause = longest_pause
        self._bound = asyncio.Event()
        self._barred = asyncio.Event()  # the centre has refused our bind: waiting for it is in vain
        self._session: Session | None = None
        self._reason = "not connected yet"
        self._refused: int | None = None  # the status that our bind was refused with
        self._ours = uuid4().hex[:12]
        self._references = 0
        self._parts: dict[str, _Long] = {}
        self._keeping = asyncio.create_task(self._keep())

    async def submit(self, message: Text) -> Outcome:
        """Hand over a text, part by part. Whatever the network or the centre does is a value, save cancellation."""
        session = await self._session_soon()
        if session is None:
            return self._unbound()
        self._references = (self._references + 1) % 256
        cut = smpp.parts(message.body, self._references)
        long = _Long(message.key, message.to) if len(cut) > 1 else None
        outcomes: list[Outcome] = []
        for part in cut:
            outcomes.append(await self._submit(session, message, part))
            if not isinstance(outcomes[-1], Accepted):
                break
            if long is not None:
                self._remember(outcomes[-1].provider_id, long)
        if long is not None:
            long.complete = isinstance(outcomes[-1], Accepted)
            await self._arrived(long)
        return smpp.together(outcomes, len(cut))

    async def lookup(self, message: Text, known: Collection[str] = ()) -> Lookup:  # noqa: ARG002 - as every channel
        return CannotTell("smpp: only a receipt tells")

    async def close(self) -> None:
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    # Going ------------------------------------------------------------------------------------------------

    async def _submit(self, session: Session, message: Text, part: smpp.Part) -> Outcome:
        try:
            said = await session.ask(partial(_leaving, message, part))
        except LostError as lost:
            return Unknown(f"smpp: {lost}", Stage.SENT) if lost.left else NotSent(f"smpp: {lost}")
        except ValueError as error:  # the library will not write it: nothing has left
            return smpp.unwritable(str(error))
        if said.status == smpp.OK and said.command != pdus.SUBMIT | pdus.ANSWER:
            return Unknown("smpp: the answer is to something else", Stage.ANSWERED)
        return smpp.outcome(said.status, said.text)

    async def _session_soon(self) -> Session | None:
        await first_of(self._bound, self._barred, wait=CONNECT)
        session = self._session
        return session if session is not None and not session.ended.is_set() else None

    def _unbound(self) -> Outcome:
        """Nothing has left: there was no session for it to leave by."""
        if self._refused is not None:
            outcome = smpp.outcome(self._refused, "")
            return (
                Blocked(f"smpp: {self._reason}", f"0x{self._refused:02X}")
                if isinstance(outcome, Blocked)
                else (NotSent(f"smpp: {self._reason}", f"0x{self._refused:02X}"))
            )
        return NotSent(f"smpp: {self._reason}")

    def _remember(self, part_id: str | None, long: _Long) -> None:
        if part_id is None:
            return
        long.waiting.add(part_id)
        self._parts[part_id] = long
        while len(self._parts) > REMEMBERED:
            del self._parts[next(iter(self._parts))]

    # Keeping the session up -------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Connect, wait for the end of it, connect again: the edge where we try without being asked."""
        while True:
            session = await self._connected()
            self._session, self._refused = session, None
            self._barred.clear()
            self._bound.set()
            log.info("smpp.bound", host=self._centre.host, system_id=self._centre.system_id)
            await session.ended.wait()
            self._bound.clear()
            self._reason = session.reason
            log.warning("smpp.unbound", host=self._centre.host, reason=session.reason)
            await session.close()

    async def _connected(self) -> Session:
        tries = AsyncRetrying(
            retry=retry_if_exception_type((OSError, TimeoutError, NotBoundError, LostError)),
            wait=wait_random_exponential(multiplier=0.2, max=self._longest_pause),
        )
        async for attempt in tries:
            with attempt:
                try:
                    return await connect(self._centre, self._delivered, self._ours)
                except (OSError, TimeoutError, NotBoundError, LostError) as error:
                    self._refused = error.status if isinstance(error, NotBoundError) else None
                    self._barred.clear() if self._refused is None else self._barred.set()
                    reason = str(error) or type(error).__name__
                    if reason != self._reason:
                        log.warning("smpp.unbound", host=self._centre.host, reason=reason)
                    self._reason = reason
                    raise
        raise AssertionError("it is tried for ever")

    # Coming -----------------------------------------------------------------------------------------------

    async def _delivered(self, pdu: Pdu, session: Session) -> int:
        """Keep what the centre delivers; the status to answer it with."""
        raw = pdu.body.hex()
        try:
            came = pdus.delivered(pdu)
        except pdus.GarbledError as error:
            log.warning("smpp.unreadable", reason=str(error))
            return smpp.REFUSED  # brought again it would be no better
        if came.is_receipt:
            said = smpp.receipt(came)
            told = self._folded(said) if said is not None else None
            kept = told is None or await self._hear(None, None, (smpp.receipt_known_by(told), told), raw)
        else:
            text = smpp.inbound(came, at=self._clock(), sequence=pdu.sequence, session=session.name)
            kept = await self._hear(text, _part(came), None, raw)
        return smpp.OK if kept else smpp.TRY_LATER

    def _folded(self, said: Receipt) -> Receipt | None:
        """A receipt of one part, as one of its text: that has arrived with its last part, and not when one has not."""
        part_id = self._known_as(said)
        if part_id is None:
            return said
        long = self._parts[part_id]
        whole = Receipt(said.fate, long.key, None, said.code, said.reason, said.opted_out)
        if said.fate is Fate.DELIVERED:
            long.waiting.discard(part_id)
        if said.fate is Fate.UNDELIVERED:
            return whole
        # That one part was taken, or has arrived, says nothing of the others.
        return whole if long.complete and (said.fate is Fate.SENT or not long.waiting) else None

    def _known_as(self, said: Receipt) -> str | None:
        """The id that the part of a receipt was taken under: its own, or another spelling of it to the same number."""
        own = said.provider_id or ""
        others = [one for one in spellings(own) if one in self._parts and self._parts[one].is_to(said.numbers)]
        if own in self._parts and (not others or self._parts[own].is_to(said.numbers)):
            return own
        return others[0] if len(others) == 1 else None

    async def _arrived(self, long: _Long) -> None:
        """All parts of a text may have arrived before the last was answered."""
        if long.complete and not long.waiting:
            whole = Receipt(Fate.DELIVERED, long.key, None)
            await self._hear(None, None, (smpp.receipt_known_by(whole), whole), "each part has arrived")


class _Long:
    """A text in several parts: our reference of it, its recipient, and the ids of those that have not arrived."""

    def __init__(self, key: str, to: str) -> None:
        self.key = key
        self.to = to
        self.waiting: set[str] = set()
        self.complete = False

    def is_to(self, numbers: Collection[str]) -> bool:
        return any(self.to.endswith(one) for one in numbers)


def _leaving(message: Text, part: smpp.Part, sequence: int) -> bytes:
    """A part as it is written the next moment. Raises ValueError where it cannot be."""
    unit = pdus.submit(sequence, message, part)
    about_to_leave()
    return unit


def _part(came: Delivered) -> Part | None:
    if came.part is None:
        return None
    reference, total, number = came.part
    return f"{came.sender} {came.to} {reference}/{total}", number, total
