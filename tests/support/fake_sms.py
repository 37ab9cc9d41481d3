"""A provider of texts on loopback that keeps books: it speaks the API of docs/how-to/http-gateway.md, both ways.

What a submission meets is scripted as for every stub: is it taken, what is answered, after how long. What became of a
text, and what clients write, it calls in until that is answered with 200, as providers do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import aiohttp

from tests.support import gateway_stub
from tests.support.gateway_stub import GatewayStub
from tests.support.http_stub import Request
from tests.support.installation import Installation
from tests.support.ledger import Brought, Taken
from tests.support.programs import eventually

ACCOUNT: Final = "far"
OURS: Final = "+13125550100"
_calls = count(1)


@dataclass
class FakeSms(GatewayStub):
    """Owns its listening socket, and every call that it has yet to get through."""

    secret: str = "s3cret-of-the-own-gateway"
    account: str = ACCOUNT
    slots: int = 16
    reports: bool = True  # says of each text that it arrived, once `here` is there

    def __post_init__(self) -> None:
        super().__post_init__()
        self.here: Installation | None = None
        self.door = ""  # the public address, where that is another than the one that `here` listens on
        self.patience = 20.0  # seconds that it waits for an answer
        self.unanswered = 0  # calls of ours that nobody took
        self._told: set[str] = set()
        self._brought: list[Brought] = []
        self._unreported: list[str] = []
        self._reporting: set[asyncio.Task[None]] = set()

    @property
    def table(self) -> str:
        """Its account in the settings."""
        where = f'provider = "http"\nurl = "{self.url}/texts"\nsecret = "{self.secret}"'
        return f"[accounts.{self.account}]\n{where}\nslots = {self.slots}\n"

    def taken(self) -> list[Taken]:
        keys = [str(one["reference"]) for one in self.accepted]
        return [Taken(key.rpartition(".")[0], key, key in self._told) for key in keys]

    def brought(self) -> list[Brought]:
        return list(self._brought)

    def take(self, request: Request) -> None:
        super().take(request)
        self._unreported.append(str(request.json["reference"]))
        if self.reports and self.here is not None:
            self.report()

    def report(self) -> None:
        """Begin to say of all that were taken so far that they arrived."""
        for key in self._unreported:
            call = asyncio.create_task(self._report(key))
            self._reporting.add(call)
            call.add_done_callback(self._reporting.discard)
        self._unreported.clear()

    async def reported(self) -> None:
        """Until every report that was begun has got through."""
        while self._reporting:
            await asyncio.gather(*self._reporting)

    async def bring(self, words: str, *, sender: str, to: str = OURS) -> None:
        """Bring what a client wrote, until that is answered with 200."""
        said = {"type": "message.received", "id": f"in-{next(_calls)}", "from": sender, "to": to, "text": words}
        await self._until_taken("inbound", said)

    async def __aexit__(self, *_: object) -> None:
        for call in self._reporting:
            call.cancel()
        await asyncio.gather(*self._reporting, return_exceptions=True)
        await super().__aexit__()

    async def _report(self, key: str) -> None:
        await self._until_taken("status", delivered(key))

    async def _until_taken(self, what: str, said: Mapping[str, str]) -> None:
        """Call again and again, as one and the same call."""
        call = f"msg_{next(_calls)}"

        async def taken() -> bool:
            return await self.call(what, said, call) == 200

        await eventually(taken, within=120, what=f"{what} {call} is taken")

    async def call(self, what: str, said: Mapping[str, Any], call: str, **options: Any) -> int:
        """Call one of our hooks once, signed; returns the status, 0 where nobody answers."""
        base = self.door or self._listens()
        if not base:
            return 0
        body = json.dumps(said).encode()
        at, key = options.get("at", datetime.now(UTC)), options.get("secret", self.secret)
        headers = options.get("headers") or gateway_stub.signed(body, at, key.encode(), call)
        url = f"{base}/hooks/sms/http/{self.account}/{what}"
        limit = aiohttp.ClientTimeout(total=options.get("within", self.patience))
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.post(url, data=options.get("body", body), headers=headers) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            self.unanswered += 1
            return 0
        if status == 200:
            text = what == "inbound"
            self._brought.append(Brought("text" if text else "receipt", said["id"] if text else call))
            self._told.update(() if text else (said["reference"],))
        return status

    def _listens(self) -> str:
        """Where its web listens; empty while none runs."""
        assert self.here is not None
        endpoints = self.here.data_dir / "endpoints.json"
        return str(json.loads(endpoints.read_text("utf-8"))["http"]) if endpoints.exists() else ""


def delivered(key: str) -> dict[str, str]:
    """What is called in of a text that arrived."""
    return {"type": "message.status", "reference": key, "status": "delivered"}
