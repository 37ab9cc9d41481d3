"""P13's CRM: events at an even pace, then several seconds' worth at once, each confirmed by the broker."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

import aio_pika

from bench import child
from bench.p3_latency import event
from bench.servers import persistent
from control_center.crm.topology import Topology

TICK: Final = 0.02  # seconds
PAGE: Final = 400


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Publish `rate` a second for `seconds`, and `burst` more; when each was handed over goes to a file."""
    count = options["rate"] * options["seconds"]
    connection = await aio_pika.connect(options["broker_url"])
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(Topology().events_exchange, ensure=False)
        published: list[float] = []

        async def publish(last: int) -> None:
            first = len(published)
            bodies = [(event(n, type_="Wedding"), f"event-{n}") for n in range(first, last)]
            published.extend([time.monotonic()] * len(bodies))
            await asyncio.gather(
                *(exchange.publish(persistent(body, name), "main.session.created") for body, name in bodies)
            )

        await child.ready()
        begun = time.monotonic()
        while len(published) < count:
            due = min(count, int((time.monotonic() - begun) * options["rate"]) + 1)
            if due > len(published):
                await publish(min(due, len(published) + PAGE))
            await asyncio.sleep(TICK)
        ended = time.monotonic()
        while len(published) < count + options["burst"]:
            await publish(min(count + options["burst"], len(published) + PAGE))
    await asyncio.to_thread(Path(options["file"]).write_text, json.dumps(published))  # too long for a line
    return {"even": count, "ended": ended, "all": time.monotonic()}
