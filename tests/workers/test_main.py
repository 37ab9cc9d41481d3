"""A worker as an administrator starts it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from control_center import settings
from control_center.domain.outcome import Accepted, Text
from control_center.domain.wire.kannel_hooks import token
from control_center.store import db
from tests.support import smsc
from tests.support.fixtures import Install
from tests.support.gateway_stub import GatewayStub
from tests.support.kannel_stub import KannelStub
from tests.support.provider_stub import ProviderStub
from tests.support.telnyx_stub import TelnyxStub
from workers.__main__ import _channel

TWO_ACCOUNTS = """\
[accounts.second]
channel = "sms"
provider = "sandbox"
"""


async def test_a_worker_says_for_whom_it_delivers_once_it_does(install_alone: Install) -> None:
    here = await install_alone(TWO_ACCOUNTS)
    worker = await here.start("workers", "sms-2")
    ready = await worker.wait_for("worker.ready")
    await worker.stop()

    assert (ready["level"], ready["channel"]) == ("info", "sms")
    assert sorted(ready["accounts"]) == ["sms/default", "sms/second"]
    assert len(worker.lines("worker.ready")) == 1
    assert worker.code == 0


ACCOUNTS = """\
public_url = "https://studio.example/"

[accounts.one]
provider = "twilio"
url = "{twilio}"
account = "AC1"
secret = "s3cret"

[accounts.two]
provider = "telnyx"
url = "{telnyx}"
account = "40017"
secret = "KEY-1"

[accounts.three]
provider = "kannel"
url = "{kannel}"
account = "cc"
secret = "s3cret-of-the-own-gateway"

[accounts.four]
provider = "http"
url = "{gateway}/texts"
secret = "s3cret-of-the-own-gateway"

[accounts.five]
provider = "smpp"
url = "smpp://127.0.0.1:{smpp}?system_type=SMPP"
account = "studio"
secret = "s3cret"
"""


async def test_each_account_is_reached_as_its_table_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    at = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
    text = Text("m-7.1", "m-7", "+13125550100", "+13125550188", "See you", at, at + timedelta(hours=2))
    pool = await db.open_pool(database_url, application="test")
    async with (
        ProviderStub() as twilio,
        TelnyxStub() as telnyx,
        KannelStub(password="s3cret-of-the-own-gateway") as kannel,
        GatewayStub(secret="s3cret-of-the-own-gateway") as gateway,
        smsc.running() as centre,
    ):
        file = tmp_path / "control_center.toml"
        addresses = {"twilio": twilio.url, "telnyx": telnyx.url, "kannel": kannel.url, "gateway": gateway.url}
        file.write_text(ACCOUNTS.format(**addresses, smpp=centre.port))
        monkeypatch.setenv("CONTROL_CENTER_CONFIG", str(file))
        chosen = settings.read()

        for name in ("one", "two", "three", "four", "five"):
            channel = _channel(chosen, pool, f"sms/{name}", chosen.accounts[name], None)
            assert isinstance(await channel.submit(text), Accepted)
            await channel.close()
    await pool.close()

    back = "https://studio.example/hooks/sms/{}/status?ref=m-7.1"
    assert twilio.requests[0].form["StatusCallback"] == back.format("twilio/one")
    assert telnyx.requests[0].json["webhook_url"] == back.format("telnyx/two")
    assert telnyx.requests[0].json["messaging_profile_id"] == "40017"
    known = f"&token={token('s3cret-of-the-own-gateway')}&status=%d&said=%A"
    assert kannel.accepted[0]["dlr-url"] == back.format("kannel/three") + known
    assert gateway.requests[0].path == "/texts"
    assert centre.binds == [("studio", "s3cret", "SMPP", 0x34)]
