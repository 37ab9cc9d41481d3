"""Fuzzing that learns from what each input reaches finds what chance does not, and finds nothing in what is ours.

Of the long run: Atheris is fetched once; where it cannot be had, this is listed as not run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.conftest import MAY_FETCH, NotHere, _say
from tests.guided import tool
from tests.guided.__main__ import run
from tests.guided.surfaces import REAL

pytestmark = pytest.mark.long

SECONDS: Final = 120


@pytest.fixture(scope="module")
def atheris(request: pytest.FixtureRequest) -> Path:
    place = tool.ready(_say(request), may_fetch=MAY_FETCH)
    if place is None:
        raise NotHere("atheris")
    return place


def test_a_defect_behind_several_branches_is_found_and_told(atheris: Path, tmp_path: Path) -> None:
    found = run("planted", atheris, seconds=SECONDS, folder=tmp_path)
    assert "KeyError: b'STOP'" in found.failure


@pytest.mark.parametrize("name", REAL)
def test_whatever_is_reached_is_understood_or_refused(
    name: str, atheris: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(name, atheris, seconds=SECONDS, folder=tmp_path)
    assert not found.failure
    assert found.inputs > 0
    with capsys.disabled():
        print(f"\n{found}")  # noqa: T201 - how far it got
