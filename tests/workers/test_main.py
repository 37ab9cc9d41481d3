"""A worker as an administrator starts it."""

from __future__ import annotations

from pathlib import Path

from tests.support.installation import Installation

TWO_ACCOUNTS = """\
broker_url = "none"

[accounts.second]
channel = "sms"
provider = "sandbox"
"""


async def test_a_worker_says_for_whom_it_delivers_once_it_does(tmp_path: Path, database_url: str) -> None:
    async with Installation(tmp_path / "here", database_url=database_url, settings=TWO_ACCOUNTS) as here:
        await here.sql("DROP SCHEMA public CASCADE")
        await here.sql("CREATE SCHEMA public")
        await here.done("migrate")

        worker = await here.start("workers", "sms-2")
        ready = await worker.wait_for("worker.ready")
        await worker.stop()

        assert (ready["level"], ready["channel"]) == ("info", "sms")
        assert sorted(ready["accounts"]) == ["sms/default", "sms/second"]
        assert len(worker.lines("worker.ready")) == 1
        assert worker.code == 0
