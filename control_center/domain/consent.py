"""What an address allows: nothing lifts a stop but an explicit opt-in, and a doubt is for a person to settle.

Beside it stands what a number can: one that takes no texts has said nothing, and is no opt-out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from control_center.domain import dead_number
from control_center.domain.errors import Refused

OPTED_OUT: Final = "opted out"
DOUBTFUL: Final = "may be an opt-out"  # how the reason of a message begins that waits for a person to settle a doubt


class Purpose(StrEnum):
    """What was spoken about, and what a message is for: a message for marketing is covered by both."""

    ALL = "all"
    MARKETING = "marketing"


class Said(StrEnum):
    """What an address said, or was understood to say."""

    STOP = "stop"
    START = "start"
    DOUBT = "doubt"
    NO_STOP = "no_stop"


@dataclass(frozen=True, slots=True)
class Standing:
    """How an address stands now. `doubtful`: what goes there by itself waits until a person has read what was said.

    `dead` is how we know that a number takes no texts; empty where nothing says so.
    """

    stopped: bool = False
    no_marketing: bool = False
    doubtful: bool = False
    dead: str = ""

    def bars(self, purpose: str) -> bool:
        """Whether nothing of this purpose may go there."""
        return self.stopped or (self.no_marketing and purpose == Purpose.MARKETING)

    def against(self, purpose: str) -> str:
        """Why nothing of this purpose goes there by itself; empty where it does."""
        if self.bars(purpose):
            return OPTED_OUT
        return dead_number.told(self.dead) if self.dead else ""


OPEN: Final = Standing()


def standing(newest: Mapping[Purpose, Said], dead: str = "") -> Standing:
    """How an address stands by the newest thing that it said of each purpose, and by whether it takes texts."""
    everything = newest.get(Purpose.ALL)
    return Standing(
        stopped=everything is Said.STOP,
        no_marketing=newest.get(Purpose.MARKETING) is Said.STOP,
        doubtful=everything is Said.DOUBT,
        dead=dead,
    )


def replay(said: Iterable[tuple[Purpose, Said]]) -> Standing:
    """How an address stands after all of this, oldest first."""
    return standing(dict(said))


_WORDS: Final = {
    Said.STOP: "no more",
    Said.START: "messages are welcome again",
    Said.DOUBT: "this may be an opt-out; a person is to read it",
    Said.NO_STOP: "a person has read it: no opt-out",
}


def told(purpose: Purpose, says: Said) -> str:
    """What an address said, for people."""
    return f"{_WORDS[says]} marketing" if (purpose, says) == (Purpose.MARKETING, Said.STOP) else _WORDS[says]


def refuse_pointless(now: Standing, says: Said, purpose: Purpose) -> None:
    """Raise Refused for what would not mean anything, or would lift a stop by the back door."""
    if says is Said.NO_STOP and not now.doubtful:
        raise Refused("nothing that this address said is in doubt; only an explicit opt-in (start) lifts a stop")
    if says is Said.DOUBT and now.stopped:
        raise Refused("this address has said stop; a doubt would weaken it")
    if says in (Said.DOUBT, Said.NO_STOP) and purpose is not Purpose.ALL:
        raise Refused("a doubt is about everything; only an explicit opt-in (start) lets marketing go there again")
