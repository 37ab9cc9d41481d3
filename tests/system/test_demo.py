"""`demo`: everything at work on this machine alone, from one command to one Ctrl-C."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from control_center.embedded import Rabbitmq
from tests.support.installation import Installation
from tests.support.programs import Program, carriers, eventually, family, still_running

pytestmark = pytest.mark.process


async def test_the_demo_is_ready_within_a_minute_writes_to_people_and_ends_with_one_interrupt(
    folder: Path, broker: Rabbitmq
) -> None:
    async with Installation(folder / "one") as here:
        began = time.monotonic()
        demo = await here.start("control_center", "demo")
        await demo.wait_for_words("control center runs as process", within=60)
        assert time.monotonic() - began < 60
        await demo.wait_for_words("  TEXT   to +1312555")
        await demo.wait_for_words("  EMAIL  to ")
        await demo.wait_for_words("  waits  ")
        await _both_channels(here)
        listed = await here.json("messages", "list", "--data-dir", str(here.data_dir))
        assert listed["items"]
        await _ends(here, demo)


@pytest.mark.long
async def test_for_a_machine_the_demo_says_one_line_of_json_when_it_is_ready(folder: Path, broker: Rabbitmq) -> None:
    async with Installation(folder / "one") as here:
        demo = await here.start("control_center", "demo", "--json")
        ready = json.loads(await demo.wait_for_words('{"ready":true'))
        assert {"http", "api_token_file", "database_url", "broker_url", "pid", "outbox"} <= ready.keys()
        assert ready["pid"] == demo.pid
        assert json.loads((here.data_dir / "endpoints.json").read_text("utf-8"))["http"] == ready["http"]
        await _both_channels(here)
        assert (await here.api("GET", "/messages"))["items"]
        await _ends(here, demo)
        assert [line for line in demo.said if line.startswith("{")] == [line for line in demo.said if "ready" in line]


async def _both_channels(here: Installation) -> None:
    async def fact() -> list[dict[str, Any]]:
        lines = here.outbox()
        return lines if {line["channel"] for line in lines} == {"sms", "email"} else []

    lines = await eventually(fact, within=60, what="texts and emails in the outbox")
    assert all(line["text"] and line["to"] for line in lines)


async def _ends(here: Installation, demo: Program) -> None:
    """One SIGINT, as Ctrl-C sends it."""
    members = family(demo.pid)
    assert len(members) > 5  # workers, PostgreSQL with its processes, RabbitMQ
    took = await demo.stop(signal.SIGINT)
    assert demo.code == 0, demo.tail()
    assert took < 10
    assert still_running(members) == []
    assert carriers(str(here.data_dir)) == []
    assert not (here.data_dir / "endpoints.json").exists()
