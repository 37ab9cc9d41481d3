"""Our automatic answers meet a machine that answers everything: it ends by itself, and soon."""

from __future__ import annotations

from typing import Final

import pytest

from control_center.domain.automatic import AN_HOUR
from tests.support import crm
from tests.support.fixtures import Install
from tests.support.installation import Installation
from tests.support.matrix import Seen

pytestmark = pytest.mark.process

ROBOT: Final = "+13125550042"
ANSWERS: Final = """\
[[trigger]]
name = "Prices"
purpose = "transactional"
record = "sms"
keyword = "prices"
match = "first_word"
activate = { on = "received" }
action = "sms"
text = "Prices: a portrait is 120, a family 180."
enabled = true

[trigger.processing]
mode = "automatic"
blackouts = false
"""


async def test_a_loop_between_two_robots_ends_and_a_person_is_told(install: Install, seen: Seen) -> None:
    here = await install()
    await here.done("triggers", "apply", str(here.write("prices.toml", ANSWERS)), "--yes")
    running = await here.run()
    robot = crm.client("c-1", phones=[{"number": ROBOT, "label": "mobile", "sms": True}])
    await here.publish([crm.event(about=robot)])
    await here.holds("SELECT count(*) = 1 FROM records")
    said = await _text(here, "Prices?")
    rounds = 0
    while said["attention"] is None:
        rounds += 1
        assert rounds <= AN_HOUR, "it would go on for ever"
        lines = await here.sent(rounds)
        said = await _text(here, lines[-1]["text"])  # the other one sends back what it gets

    assert said["attention"].startswith("robot: ")
    await here.calm()
    assert len(here.outbox()) == rounds == AN_HOUR
    await running.stop()
    seen(f"silent after {rounds} answers")


async def _text(here: Installation, text: str) -> dict[str, str | None]:
    found: dict[str, str | None] = await here.api(
        "POST", "/sandbox/inbound", body={"from": ROBOT, "to": "+13125550100", "text": text}
    )
    return found
