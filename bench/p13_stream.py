"""P13's CRM: events at an even pace, then several seconds' worth at once, each confirmed by the broker."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

from bench import child
from bench.p3_latency import event
from control_center.crm.outbox import Outbox, Parcel, Published
from control_center.crm.topology import Topology

TICK: Final = 0.02  # seconds
PAGE: Final = 400


async def contend(options: dict[str, Any]) -> dict[str, Any]:
    """Publish `rate` a second for `seconds`, and `burst` more; when each was handed over goes to a file."""
    count = options["rate"] * options["seconds"]
    outbox, events = Outbox(options["broker_url"], in_flight=PAGE), Topology().events_exchange
    published: list[float] = []

    async def publish(last: int) -> None:
        bodies = [event(number, type_="Wedding") for number in range(len(published), last)]
        published.extend([time.monotonic()] * len(bodies))
        receipts = await outbox.publish([Parcel(events, "main.session.created", body) for body in bodies])
        assert all(isinstance(one, Published) for one in receipts), "the broker did not take all events"

    try:
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
    finally:
        await outbox.close()
    await asyncio.to_thread(Path(options["file"]).write_text, json.dumps(published))  # too long for a line
    return {"even": count, "ended": ended, "all": time.monotonic()}
