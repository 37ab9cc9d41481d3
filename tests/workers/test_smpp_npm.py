"""The npm package `smpp` as an oracle: it reads our submissions as we mean them, and we read its deliveries.

Of the long run: it is fetched once; without Node or npm's registry this is listed as not run.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from control_center.domain.inbound import Inbound
from control_center.domain.outcome import Accepted, Fate, Receipt, Text
from tests.conftest import MAY_FETCH, NotHere, _say
from tests.support import node
from workers.sms.smpp import Smpp
from workers.sms.smpp_session import Centre

SERVER: Final = Path(__file__).resolve().parents[1] / "support" / "smsc_of_npm.js"
NOON: Final = datetime(2026, 11, 23, 18, tzinfo=UTC)


class Ear:
    def __init__(self) -> None:
        self.texts: list[Inbound] = []
        self.receipts: list[Receipt] = []
        self.came = asyncio.Event()

    async def hear(self, text: Inbound | None, _part: Any, receipt: tuple[str, Receipt] | None, _raw: str) -> bool:
        self.texts += [text] if text is not None else []
        self.receipts += [receipt[1]] if receipt is not None else []
        self.came.set()
        return True

    async def until(self, texts: int, receipts: int) -> None:
        async with asyncio.timeout(10):
            while (len(self.texts), len(self.receipts)) < (texts, receipts):
                self.came.clear()
                await self.came.wait()


@pytest.fixture
async def centre(request: pytest.FixtureRequest) -> AsyncIterator[asyncio.subprocess.Process]:
    program = node.node()
    modules = await asyncio.to_thread(node.modules, _say(request), may_fetch=MAY_FETCH)
    if program is None or modules is None:
        raise NotHere("npm's smpp")
    process = await asyncio.create_subprocess_exec(
        program,
        str(SERVER),
        stdout=asyncio.subprocess.PIPE,
        env={"NODE_PATH": str(modules), "PATH": os.environ["PATH"]},
    )
    yield process
    with suppress(ProcessLookupError):
        process.kill()
    await process.communicate()


async def line(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    async with asyncio.timeout(10):
        return json.loads(await process.stdout.readline())


@pytest.mark.long  # its package comes from npm's registry, which not every machine may ask
async def test_what_we_submit_is_read_there_as_we_mean_it_and_its_deliveries_here(
    centre: asyncio.subprocess.Process,
) -> None:
    ear = Ear()
    smpp = Smpp(Centre("127.0.0.1", await line(centre), "studio", "secret"), ear.hear, clock=lambda: NOON)
    bodies = ["See you soon.", "@£$ é [€]", "¡Sí! 😀", "See you at the lake. " * 20, "😀" * 36, "Bye"]
    for number, body in enumerate(bodies, 1):
        text = Text(
            f"m-{number}.1", f"m-{number}", "+13125550100", "+13125550188", body, NOON, NOON + timedelta(hours=1)
        )
        assert isinstance(await smpp.submit(text), Accepted)

    await ear.until(1, len(bodies))
    await smpp.close()

    parts = [await line(centre) for _ in range(5 + 2 + 2)]
    assert {(one["source"], one["to"]) for one in parts} == {("13125550100", "13125550188")}
    assert "".join(one["text"] for one in parts) == "".join(bodies)
    assert [one["udh"][-4:] for one in parts if one["udh"]] == ["0301", "0302", "0303", "0201", "0202"]
    assert [one.fate for one in ear.receipts] == [Fate.DELIVERED] * len(bodies)
    assert {one.reference for one in ear.receipts if one.reference} == {"m-4.1", "m-5.1"}
    assert [one.text for one in ear.texts] == ["STOP, ¡sí! 😀"]
