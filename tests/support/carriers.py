"""Each provider of texts as its own pages describe it: what it takes from us, and how it calls us back.

A test tells one story with all of them. Receipts go to the address that came along with the text, where the provider
takes one; else, and with what clients write, to the address that its page in docs/how-to names.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from multidict import MultiDict
from twilio.request_validator import RequestValidator
from yarl import URL

from tests.support import gateway_stub, kannel_stub, provider_stub, telnyx_stub
from tests.support.gateway_stub import GatewayStub
from tests.support.http_stub import DROP, Step
from tests.support.kannel_stub import KannelStub
from tests.support.provider_stub import ProviderStub
from tests.support.smsc import Smsc
from tests.support.telnyx_stub import TelnyxStub

ROOT: Final = Path(__file__).resolve().parents[2]
PUBLIC_URL: Final = "https://studio.example"
OURS: Final = "+13125550100"
THEIRS: Final = "+13125550188"
TOKEN: Final = "the first client's"  # for the API, where the sandbox's texts come in
MINUTE: Final = timedelta(minutes=1)
SECRET: Final = "s3cret-of-the-provider-s"
LOST: Final = Step(answer=DROP)
_numbers = count(1)


@dataclass
class Web:
    """Our web application, as providers reach it."""

    session: aiohttp.ClientSession
    base: str

    async def call(self, method: str, url: str, **options: Any) -> None:
        """Call one of our public addresses. It has to be answered with 200."""
        at = URL(self.base + url.removeprefix(PUBLIC_URL), encoded=True)
        async with self.session.request(method, at, **options) as answer:
            assert answer.status == 200, (url, answer.status, await answer.text())


class Carrier:
    """One provider. `table` is its account in the settings; `settles` is what becomes of a text whose answer was lost
    once we have asked, `waits` what it asks us to wait for when it takes no more.
    """

    answers_stop = False  # by itself, and says so with the text, or documents it
    settles = "unknown"
    echoes = True  # our reference, so that a receipt settles what an answer did not
    waits = timedelta()
    theirs = THEIRS
    table = ""
    web: Web

    def __init__(self, folder: Path) -> None:
        """`folder` is the installation's; `web` is there once it serves."""
        self.folder = folder

    async def begin(self) -> None:
        """Be there."""

    async def end(self) -> None: ...

    def lose(self) -> None:
        """Take the next text, and let nobody know."""
        raise NotImplementedError

    def throttle(self, times: int) -> None:
        """Take none of the next ones for now."""
        raise NotImplementedError

    @property
    def texts(self) -> list[str]:
        """What went out, in that order."""
        raise NotImplementedError

    async def receipt(self, place: int) -> None:
        """Say of one of those that it arrived."""
        raise NotImplementedError

    async def bring(self, words: str) -> None:
        """Bring what a client wrote."""
        raise NotImplementedError


class Twilio(Carrier):
    answers_stop = True
    settles = "accepted"  # found in its list
    waits = MINUTE

    async def begin(self) -> None:
        self.stub = await ProviderStub().__aenter__()
        self.table = f'provider = "twilio"\nurl = "{self.stub.url}"\naccount = "AC1"\nsecret = "{SECRET}"'

    async def end(self) -> None:
        await self.stub.__aexit__()

    def lose(self) -> None:
        self.stub.script(LOST)

    def throttle(self, times: int) -> None:
        self.stub.script(*[provider_stub.refuse(429, 20429, Retry_After="60")] * times)

    @property
    def texts(self) -> list[str]:
        return [one.form["Body"] for one in self.stub.accepted]

    async def receipt(self, place: int) -> None:
        taken = self.stub.accepted[place]
        said = {"SmsSid": taken.sid, "MessageSid": taken.sid, "SmsStatus": "delivered", "MessageStatus": "delivered"}
        await self._call(taken.form["StatusCallback"], {**said, "To": taken.form["To"], "From": OURS})

    async def bring(self, words: str) -> None:
        sid = f"SM{next(_numbers):032x}"
        said = {"MessageSid": sid, "From": self.theirs, "To": OURS, "Body": words, "NumMedia": "0", "NumSegments": "1"}
        await self._call(f"{PUBLIC_URL}/hooks/sms/twilio/theirs/inbound", said)

    async def _call(self, url: str, fields: Mapping[str, str]) -> None:
        fields = {**fields, "AccountSid": "AC1", "ApiVersion": "2010-04-01"}
        signature = RequestValidator(SECRET).compute_signature(url, MultiDict(fields))
        form = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
        await self.web.call("POST", url, data=urlencode(fields), headers={**form, "X-Twilio-Signature": signature})


class Telnyx(Carrier):
    answers_stop = True
    settles = "accepted"  # submitted again under its key
    waits = MINUTE

    async def begin(self) -> None:
        self.stub = await TelnyxStub().__aenter__()
        replaced = TelnyxStub().public_key
        self.table = (
            f'provider = "telnyx"\nurl = "{self.stub.url}"\nsecret = "KEY"\n'
            f'public_key = "{replaced} {self.stub.public_key}"'
        )

    async def end(self) -> None:
        await self.stub.__aexit__()

    def lose(self) -> None:
        self.stub.script(LOST)

    def throttle(self, times: int) -> None:
        self.stub.script(*[telnyx_stub.refuse(429, "10011", Retry_After="60")] * times)

    @property
    def texts(self) -> list[str]:
        return [one.json["text"] for one in self.stub.accepted.values()]

    async def receipt(self, place: int) -> None:
        key = list(self.stub.accepted)[place]
        url = self.stub.accepted[key].json["webhook_url"]
        await self._call(url, "message.finalized", self.stub.message(key, "delivered"))

    async def bring(self, words: str) -> None:
        payload = {
            "id": f"in-{next(_numbers)}",
            "from": {"phone_number": self.theirs},
            "to": [{"phone_number": OURS}],
            "text": words,
            **({"autoresponse_type": "STOP"} if words == "STOP" else {}),
        }
        await self._call(f"{PUBLIC_URL}/hooks/sms/telnyx/theirs/inbound", "message.received", payload)

    async def _call(self, url: str, kind: str, payload: dict[str, Any]) -> None:
        body = telnyx_stub.event(kind, payload, f"e-{next(_numbers)}")
        await self.web.call("POST", url, data=body, headers=self.stub.signed(body, datetime.now(UTC)))


class Kannel(Carrier):
    async def begin(self) -> None:
        self.stub = await KannelStub(password=SECRET).__aenter__()
        self.table = f'provider = "kannel"\nurl = "{self.stub.url}"\naccount = "cc"\nsecret = "{SECRET}"'

    async def end(self) -> None:
        await self.stub.__aexit__()

    def lose(self) -> None:
        self.stub.script(LOST)

    def throttle(self, times: int) -> None:
        self.stub.script(*[kannel_stub.refuse(503, "Temporal failure, try again later.")] * times)

    @property
    def texts(self) -> list[str]:
        return [one["text"] for one in self.stub.accepted]

    async def receipt(self, place: int) -> None:
        for status, said in (("8", "ACK/"), ("1", "id:1 stat:DELIVRD err:000")):  # as the real one was seen to
            values = {"d": status, "A": said}
            await self.web.call("GET", kannel_stub.filled(self.stub.accepted[place]["dlr-url"], values))

    async def bring(self, words: str) -> None:
        page = (ROOT / "docs/how-to/kannel.md").read_text("utf-8")
        (address,) = re.findall(r'get-url = "https://[^/]+/hooks/sms/kannel/kannel(/\S+)"', page)
        token = hmac.new(SECRET.encode(), b"kannel", hashlib.sha256).hexdigest()
        url = f"{PUBLIC_URL}/hooks/sms/kannel/theirs{address.replace('TOKEN', token)}"
        plain = words.isascii()
        values: dict[str, bytes | str] = {
            "p": self.theirs,
            "P": OURS,
            "b": words.encode("ascii" if plain else "utf-16-be"),
            "C": "US-ASCII" if plain else "UTF-16BE",
            "I": f"k-{next(_numbers)}",
            "T": str(int(datetime.now(UTC).timestamp())),
        }
        await self.web.call("GET", kannel_stub.filled(url, values))


class Gateway(Carrier):
    waits = MINUTE

    async def begin(self) -> None:
        self.stub = await GatewayStub(secret=SECRET).__aenter__()
        self.table = f'provider = "http"\nurl = "{self.stub.url}/texts"\nsecret = "{SECRET}"'

    async def end(self) -> None:
        await self.stub.__aexit__()

    def lose(self) -> None:
        self.stub.script(LOST)

    def throttle(self, times: int) -> None:
        self.stub.script(*[gateway_stub.refuse(429, Retry_After="60")] * times)

    @property
    def texts(self) -> list[str]:
        return [one["text"] for one in self.stub.accepted]

    async def receipt(self, place: int) -> None:
        said = {"reference": self.stub.accepted[place]["reference"], "id": f"g-{place + 1}", "status": "delivered"}
        await self._call("status", {"type": "message.status", **said})

    async def bring(self, words: str) -> None:
        said = {"id": f"in-{next(_numbers)}", "from": self.theirs, "to": OURS, "text": words}
        await self._call("inbound", {"type": "message.received", **said})

    async def _call(self, where: str, said: Mapping[str, str]) -> None:
        body = json.dumps(said).encode()
        headers = gateway_stub.signed(body, datetime.now(UTC), SECRET.encode(), f"msg_{next(_numbers)}")
        await self.web.call("POST", f"{PUBLIC_URL}/hooks/sms/http/theirs/{where}", data=body, headers=headers)


class MessageCentre(Carrier):
    """SMPP: everything goes and comes over the one session."""

    echoes = False

    async def begin(self) -> None:
        self.smsc = Smsc()
        await self.smsc.start()
        address = f"smpp://127.0.0.1:{self.smsc.port}"
        self.table = f'provider = "smpp"\nurl = "{address}"\naccount = "studio"\nsecret = "secret"'

    async def end(self) -> None:
        await self.smsc.stop()

    def lose(self) -> None:
        self.smsc.statuses += ["lost"]

    def throttle(self, times: int) -> None:
        self.smsc.statuses += [0x58] * times

    @property
    def texts(self) -> list[str]:
        return [one.text for one in self.smsc.texts]

    async def receipt(self, place: int) -> None:
        await self.smsc.bound.wait()
        assert await self.smsc.receipt(f"id-{place + 1}") == 0

    async def bring(self, words: str) -> None:
        await self.smsc.bound.wait()
        sender, plain = self.theirs.removeprefix("+"), words.isascii()
        raw = words.encode("ascii" if plain else "utf-16-be")
        assert await self.smsc.deliver(raw, sender=sender, coding=0 if plain else 8) == 0


class Sandbox(Carrier):
    """What is pretended is told by the recipient's last digits, as in the tutorial; nothing of it settles a doubt."""

    echoes = False
    table = 'provider = "sandbox"\nchannel = "sms"'
    waits = timedelta(seconds=1)

    async def begin(self) -> None:
        self.outbox = self.folder / "sandbox" / "outbox.ndjson"

    def lose(self) -> None:
        self.theirs = "+13125550003"

    def throttle(self, times: int) -> None:
        assert times == 2, "so the sandbox has it"
        self.theirs = "+13125550002"

    @property
    def texts(self) -> list[str]:
        return [json.loads(line)["text"] for line in self.outbox.read_text("utf-8").splitlines()]

    async def receipt(self, place: int) -> None:
        """Its network brings them by itself."""

    async def bring(self, words: str) -> None:
        said = {"from": self.theirs, "to": OURS, "text": words}
        async with self.web.session.post(
            f"{self.web.base}/api/v1/sandbox/inbound", json=said, headers={"Authorization": f"Bearer {TOKEN}"}
        ) as answer:
            assert answer.status == 201, await answer.text()


EVERY: Final[Mapping[str, type[Carrier]]] = {
    "twilio": Twilio,
    "telnyx": Telnyx,
    "kannel": Kannel,
    "gateway": Gateway,
    "smpp": MessageCentre,
    "sandbox": Sandbox,
}
