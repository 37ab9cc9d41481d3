"""Whatever comes in is understood or refused: it ends nothing, hangs nowhere, and passes no broken thing on.

These are the surfaces behind which nothing is stored; test_hostile_storing.py has the others, and
test_hostile_calls.py what is asked of the API, of the search and of the broker.
"""

from __future__ import annotations

import secrets
from typing import Final

import pytest

from tests.support import surfaces, surfaces_amqp, surfaces_api, surfaces_mail, surfaces_templates, surfaces_wire
from tests.support.hostile import Surface, Tally, fuzz

FEW: Final = 5_000
MANY: Final = 1_000_000
COUNTS: Final = (FEW, pytest.param(MANY, marks=pytest.mark.long))
ALONE: Final = (surfaces_mail.FILES, surfaces_wire.STREAMS, surfaces_amqp.HEADERS, surfaces_api.BODIES)
STORED: Final = (
    surfaces.BODIES,
    surfaces.FILES,
    surfaces_templates.TEMPLATES,
    surfaces_mail.BOUNCES,
    surfaces_mail.LETTERS,
    *surfaces_wire.HOOKS.values(),
    surfaces_wire.UNITS,
)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("surface", ALONE, ids=lambda one: one.name)
def test_whatever_comes_in_is_understood_or_refused(
    surface: Surface, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    say(capsys, fuzz(surface, count, seed_of(count)))


def say(capsys: pytest.CaptureFixture[str], tally: Tally) -> None:
    with capsys.disabled():
        print(f"\n{tally}")  # noqa: T201 - the seed of a long run, and how far it got


def seed_of(count: int) -> int:
    """The same in every fast run, so that a change is judged by what it changes; another in each long one."""
    return 55 if count <= FEW else secrets.randbits(32)
