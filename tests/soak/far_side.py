"""A provider of texts and a relay that misbehave as a fault says, and know which fault each message met."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from random import Random
from typing import Any, Final

from tests.soak.plan import Fault
from tests.support import gateway_stub
from tests.support.fake_sms import OURS, FakeSms, delivered
from tests.support.gateway_stub import GatewayStub
from tests.support.http_stub import Answer, Request, Step
from tests.support.smtp_stub import Act, Letter, Place, SmtpStub, _named, says

PAUSE: Final = 0.5  # seconds between two tries to get a call through

TAKES_AND: Final[Mapping[str, Step]] = {
    "takes it and closes without a word": Step(answer=Answer(raw=b"")),
    "takes it and answers 500": Step(answer=Answer(500, b'{"message": "it broke"}')),
    "takes it and answers 502 in HTML": Step(answer=Answer(502, b"<html>bad gateway</html>")),
    "takes it and breaks off the answer": Step(answer=Answer(cut=5)),
    "takes it and answers nonsense": Step(answer=Answer(200, b"OK, thank you")),
    "takes it and thinks for a while": Step(delay=4.0),
    "takes it and thinks for longer than anybody waits": Step(delay=25.0),
    "answers 500 and takes nothing": Step(accept=False, answer=Answer(500, b"{}")),
    "closes without a word and takes nothing": Step(accept=False, answer=Answer(raw=b"")),
    "answers 429": gateway_stub.refuse(429),
    "answers 429 and says when": gateway_stub.refuse(429, Retry_After="2"),
    "answers 503": Step(accept=False, answer=Answer(503, b"{}")),
    "refuses the recipient": gateway_stub.refuse(400, "recipient", "21614", "not a mobile number"),
    "does not know us": gateway_stub.refuse(401),
}
# Where, what is done there, and whether it is the mail's content that meets it.
STAGE_OF: Final[Mapping[str, tuple[Place, Act]]] = {
    "hangs up on whoever connects": (Place.GREETING, Act(close=True)),
    "hangs up at EHLO": (Place.EHLO, Act(close=True)),
    "hangs up at MAIL": (Place.MAIL, Act(close=True)),
    "hangs up at RCPT": (Place.RCPT, Act(close=True)),
    "hangs up at DATA": (Place.DATA, Act(close=True)),
    "hangs up at the dot and takes nothing": (Place.DOT, Act(close=True)),
    "hangs up at the dot and takes it": (Place.DOT, Act(close=True, accept=True)),
    "resets at the dot and takes it": (Place.DOT, Act(reset=True, accept=True)),
    "takes it and thinks for a while": (Place.DOT, Act(b"250 2.0.0 Ok: at last\r\n", accept=True, delay=4.0)),
    "hangs up after its 250": (Place.AFTER, Act(close=True)),
    "hangs up at QUIT": (Place.QUIT, Act(close=True)),
    "puts off the recipient": (Place.RCPT, says(450, "4.2.0 greylisted")),
    "puts off the mail at the dot": (Place.DOT, says(451, "4.3.0 try again")),
    "refuses the recipient": (Place.RCPT, says(550, "5.1.1 no such user")),
}


@dataclass(frozen=True)
class _Scripted(Answer):
    fault: int = 0


@dataclass(frozen=True)
class _ScriptedAct(Act):
    fault: int = 0


class Provider(FakeSms):
    """Owns its listening socket, and every call that it has yet to get through, for as long as that takes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.met: dict[str, int] = {}  # by our reference of the attempt: the number of the fault
        self.stopped: dict[str, datetime] = {}  # when an address's STOP had been answered with 200
        self.manner = ""  # in which receipts come
        self._number = count(1)
        self._chance = Random(7)

    async def bring(self, words: str, *, sender: str, to: str = OURS) -> None:
        await super().bring(words, sender=sender, to=to)
        if words == "STOP":
            self.stopped.setdefault(sender, datetime.now(UTC))

    def misbehave(self, fault: Fault) -> None:
        step = TAKES_AND[fault.what]
        answer = _Scripted(**{**vars(step.answer), "fault": fault.number})
        self.script(*[replace(step, answer=answer)] * fault.times)

    def behave(self) -> None:
        self._steps.clear()

    @property
    def scripted(self) -> int:
        return len(self._steps)

    @property
    def unreported(self) -> int:
        return len(self._unreported) + len(self._reporting)

    def take(self, request: Request) -> None:
        GatewayStub.take(self, request)
        self._unreported.append(str(request.json["reference"]))
        if self.manner not in ("late", "before the answer"):
            self.report()

    async def _answer(self, writer: asyncio.StreamWriter, answer: Answer, request: Request) -> bool:
        if isinstance(answer, _Scripted):
            self.met[str(request.json["reference"])] = answer.fault
        if self.manner == "before the answer" and self._unreported:
            self.report()
            await asyncio.wait(self._reporting, timeout=3)
        return await super()._answer(writer, answer, request)

    async def _report(self, key: str) -> None:
        manner = self.manner
        if not manner:
            await asyncio.sleep(self._chance.uniform(0, 1))
        await self._until_taken("status", delivered(key))
        if manner == "twice":
            await self._until_taken("status", delivered(key))
        if manner == "out of order":
            await self._until_taken("status", {**delivered(key), "status": "sent"})

    async def _until_taken(self, what: str, said: Mapping[str, str]) -> None:
        """Call again and again, as one and the same call; now and then once more after it was taken."""
        call = f"msg_{what}_{next(self._number)}"
        while await self.call(what, said, call) != 200:  # noqa: ASYNC110 - nobody tells a provider that we are back
            await asyncio.sleep(PAUSE)
        if self.manner == "twice":
            await self.call(what, said, call)

    async def call(self, what: str, said: Mapping[str, Any], call: str, **options: Any) -> int:
        try:
            return await super().call(what, said, call, **options)
        except (OSError, ValueError):  # the file with the address is just being written, or gone
            return 0


class Relay(SmtpStub):
    """Owns its listening socket."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.met: dict[str, int] = {}  # by the message's name: the number of the fault at the dot, or right after

    def misbehave(self, fault: Fault) -> None:
        place, act = STAGE_OF[fault.what]
        self.on(place, *[_ScriptedAct(**vars(act), fault=fault.number)] * fault.times)

    def behave(self) -> None:
        for acts in self._acts.values():
            acts.clear()

    @property
    def scripted(self) -> int:
        return sum(map(len, self._acts.values()))

    async def _dot(self, letter: Letter, writer: asyncio.StreamWriter) -> None:
        for place in (Place.DOT, Place.AFTER):
            ahead = self._acts.get(place)
            if ahead and isinstance(ahead[0], _ScriptedAct):
                self.met.setdefault(_named(letter), ahead[0].fault)
        await super()._dot(letter, writer)
