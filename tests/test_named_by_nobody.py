"""Which studio is meant where nobody names one: the same on the command line and over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from tests.support.fixtures import Install
from tests.support.installation import STUDIO, Installation

pytestmark = pytest.mark.process


async def triggers_over_http(here: Installation) -> int:
    """How many triggers the studio has that is meant where a call names none."""
    endpoints = json.loads((here.data_dir / "endpoints.json").read_text("utf-8"))
    token = Path(endpoints["api_token_file"]).read_text("utf-8").strip()  # noqa: ASYNC240 - 43 bytes
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.get(f"{endpoints['http']}/api/v1/triggers") as answer,
    ):
        assert answer.status == 200
        return len((await answer.json())["items"])


async def test_it_is_the_one_of_the_settings_and_not_the_first_of_the_alphabet(install_alone: Install) -> None:
    here = await install_alone()
    words = STUDIO.format(studio="able", timezone="America/Chicago", account="default")
    await here.done("studios", "put", str(here.write("able.toml", words)))
    await here.run("web")

    assert len((await here.json("triggers", "list"))["items"]) == await triggers_over_http(here) == 1


async def test_where_that_one_is_not_there_over_http_it_is_the_first(install_alone: Install) -> None:
    here = await install_alone()
    await here.run("web", studio="gone")

    assert await triggers_over_http(here) == 1
