"""The product's text worker as an administrator starts it: `python -m workers sms`, on an account at our provider."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from bench import child
from bench.context import Context
from bench.servers import settings

CONFIG: Final = """\
[accounts.bench]
provider = "twilio"
url = "{url}"
account = "AC0123456789"
secret = "not-a-secret"
from = "+13125550100"
slots = {slots}
"""


@asynccontextmanager
async def workers(context: Context, dsn: str, *, slots: int, processes: int = 1) -> AsyncIterator[list[int]]:
    """So many worker processes with so many slots each; their pids. Their logs go to a file."""
    folder = context.servers.folder
    config = folder / f"worker-{slots}.toml"
    config.write_text(CONFIG.format(url=context.provider.url, slots=slots))
    # A place of its own for each run: one that remembers another copy of the database rightly closes the fence.
    place = tempfile.mkdtemp(prefix="worker-", dir=folder)
    environment = settings(
        config=str(config),
        database_url=dsn,
        data_dir=place,
        public_url="https://control-center.example",
        log_format="json",
    )
    async with contextlib.AsyncExitStack() as stack:
        log = context.servers.log
        words = (sys.executable, "-m", "workers", "sms")
        found = [await stack.enter_async_context(child.program(words, log, environment)) for _ in range(processes)]
        yield [process.pid for process in found]
