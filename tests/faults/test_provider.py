"""The provider of texts: it takes and does not say so, is not there, has enough, or does not know us any more."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from tests.support import gateway_stub, kannel_stub
from tests.support.bookings import bookings
from tests.support.far import WAITED, Far, Install, far_away
from tests.support.http_stub import DROP, Answer, Step
from tests.support.kannel_stub import KannelStub
from tests.support.ledger import Brought, Taken
from tests.support.matrix import Seen

pytestmark = pytest.mark.process

STATES: Final = "SELECT state, count(*) AS number FROM messages WHERE studio_id = $1 GROUP BY state"
# Nobody can resolve it, which is found out without asking anybody: a name has 255 letters at most.
NO_NAME: Final = ".".join(["nobody" * 10] * 5)
NO_PORT: Final = "127.0.0.1:1"
OF: Final = "SELECT count(*) = $2 FROM messages WHERE studio_id = $1 AND state = $3"


async def states(far: Far, studio: str = "main") -> dict[str, int]:
    return {row["state"]: row["number"] for row in await far.here.sql(STATES, studio)}


# Taken by the provider, and what the worker is told of it.
DOUBTS: Final = (
    Step(answer=Answer(500, b'{"message": "it broke"}')),
    Step(answer=Answer(502, b"<html>bad gateway</html>")),
    Step(answer=Answer(cut=5)),
    Step(answer=Answer(200, b"OK, thank you")),
    Step(answer=Answer(200, b'{"error": "no credit"}')),
    Step(answer=DROP),
)
REFUSALS: Final = (
    gateway_stub.refuse(400, "recipient", "21614", "not a mobile number"),
    gateway_stub.refuse(422, "content", "30007", "filtered"),
    gateway_stub.refuse(429, Retry_After="1"),
)


@pytest.mark.fault("F29")
@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.long)])
async def test_f29_a_text_that_was_taken_and_answered_with_nonsense_is_unknown_until_its_receipt_and_never_repeated(
    install: Install, rounds: int, seen: Seen
) -> None:
    doubts, refusals = len(DOUBTS) * rounds, len(REFUSALS) * rounds
    async with far_away(install) as far:
        here, far.sms.reports = far.here, False
        far.sms.script(*(DOUBTS + REFUSALS) * rounds)
        program = await far.run()
        await far.crm.say(bookings(doubts + refusals))
        await here.holds("SELECT count(*) = $1 FROM messages WHERE state = 'unknown'", doubts, within=120)
        await here.sql(WAITED)
        await here.holds("SELECT count(*) = $1 FROM messages WHERE state = 'accepted'", rounds)
        assert await states(far) == {"unknown": doubts, "failed": 2 * rounds, "accepted": rounds}
        assert len(far.sms.accepted) == doubts + rounds
        findings = await far.check(listened=False)
        assert not findings.faults
        assert len(findings.unknown) == doubts
        reasons = await here.sql("SELECT DISTINCT reason FROM messages WHERE state = 'unknown' ORDER BY 1")

        # Nothing of it is asked for again, by whoever comes next either.
        asked = len(far.sms.requests)
        await program.stop()
        await far.run()
        await far.crm.say(bookings(1, prefix="later", first=900))
        await here.holds("SELECT count(*) = $1 FROM messages WHERE state = 'accepted'", rounds + 1)
        assert len(far.sms.requests) == asked + 1

        far.sms.reports = True
        far.sms.report()
        await far.calm()
        await far.heard()
        findings = await far.check()
        assert not findings.faults
        assert findings.unknown == []
        assert await states(far) == {"delivered": doubts + rounds + 1, "failed": 2 * rounds}
        seen(f"{doubts} taken and badly answered ({len(reasons)} ways): unknown, asked for once, settled by receipts")


@pytest.mark.fault("F30")
async def test_f30_where_no_connection_comes_about_nothing_was_sent_and_it_goes_when_there_is_one(
    install: Install, seen: Seen
) -> None:
    async with far_away(install, others=("dns", "tls")) as far, _speaks_no_tls() as port:
        here, right = far.here, {one.account: f"{one.url}/texts" for one in (far.sms, *far.others)}
        wrong = {
            "far": f"http://{NO_PORT}/texts",
            "dns": f"http://{NO_NAME}/texts",
            "tls": f"https://127.0.0.1:{port}/texts",
        }
        settings = (here.folder / "control_center.toml").read_text("utf-8")
        there = settings
        for account, url in right.items():
            there = there.replace(url, wrong[account])
        here.write("control_center.toml", there)
        for studio in ("dns", "tls"):
            await here.furnish(studio=studio, account=studio)
        program = await far.run()
        for first, studio in enumerate(("main", "dns", "tls")):
            await far.crm.say(bookings(3, prefix=studio, studio=studio, first=first * 100))
        await here.holds("SELECT count(*) = 9 FROM messages WHERE state = 'queued' AND reason LIKE 'retry:%'")
        outcomes = {row[0] for row in await here.sql("SELECT outcome FROM attempts")}
        assert outcomes == {"not_sent"}
        said = {row[0] for row in await here.sql("SELECT DISTINCT reason FROM attempts")}
        assert {_kind(one) for one in said} == {
            "ClientConnectorError",
            "ClientConnectorDNSError",
            "ClientConnectorSSLError",
        }
        assert not (await far.check(listened=False)).faults

        await program.stop()
        here.write("control_center.toml", settings)
        await far.run()
        await here.sql(WAITED)
        await here.holds("SELECT count(*) = 9 FROM messages WHERE state = 'delivered'", within=90)
        await far.calm()
        await far.heard()
        findings = await far.check()
        assert not findings.faults
        assert findings.unknown == []
        assert [len(one.accepted) for one in (far.sms, *far.others)] == [3, 3, 3]
        seen("refused, no such name, no TLS: 9 of 9 proven not sent, sent once each when there was a way")


def _kind(reason: str) -> str:
    found = re.search(r"\w+Error", reason)
    return found[0] if found else reason


@asynccontextmanager
async def _speaks_no_tls() -> AsyncIterator[int]:
    """A server that answers whatever it hears as a web server without TLS does."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


class KannelBooks:
    """What a Kannel has taken: our reference stands in the address that it is to call."""

    def __init__(self, stub: KannelStub) -> None:
        self._stub = stub

    def taken(self) -> list[Taken]:
        keys = [re.search(r"m-[0-9]+\.[0-9]+", one["dlr-url"]) for one in self._stub.accepted]
        return [Taken(key[0].rpartition(".")[0], key[0]) for key in keys if key is not None]

    def brought(self) -> list[Brought]:
        return []


@pytest.mark.fault("F31")
async def test_f31_a_provider_that_has_enough_slows_its_own_lane_alone_and_a_503_counts_as_it_is_documented(
    install: Install, seen: Seen
) -> None:
    enough = (gateway_stub.refuse(429), gateway_stub.refuse(429, Retry_After="3600"))
    async with KannelStub(password="s3cret-of-the-own-gateway") as kannel:
        table = f'\n[accounts.kannel]\nprovider = "kannel"\nurl = "{kannel.url}"\naccount = "cc"\n'
        table += f'secret = "{kannel.password}"\n'
        async with far_away(install, others=("other",), settings='public_url = "http://studio.example"') as far:
            here = far.here
            here.write("control_center.toml", (here.folder / "control_center.toml").read_text("utf-8") + table)
            for account in ("other", "kannel"):
                await here.furnish(studio=account, account=account)
            far.sms.script(*enough * 5)
            far.others[0].script(Step(accept=False, answer=Answer(503, b"{}")))
            kannel.script(*[kannel_stub.refuse(503, "Temporal failure, try again later.")] * 2)
            await far.run()
            for first, studio in enumerate(("main", "other", "kannel")):
                await far.crm.say(bookings(10, prefix=studio, studio=studio, first=first * 100))

            await here.holds(OF, "other", 9, "delivered")
            await here.holds(OF, "kannel", 8, "accepted")
            await here.holds(OF, "main", 10, "queued")
            assert far.sms.accepted == [], "only its own lane waits"
            assert await states(far, "other") == {"delivered": 9, "unknown": 1}, "nobody documents that a 503 is a no"
            assert await states(far, "kannel") == {"accepted": 8, "queued": 2}, "Kannel documents that it is"
            asked = await here.value(
                "SELECT count(*) FROM messages WHERE studio_id = 'main' AND due_at > now() + '50 min'"
            )
            assert asked == 5, "who was told when, waits until then"
            assert not (await far.here.sql("SELECT * FROM breakers WHERE open_until IS NOT NULL"))

            await here.sql(WAITED)
            await here.holds(OF, "main", 10, "delivered")
            await here.holds(OF, "kannel", 10, "accepted")
            await far.calm()
            await far.heard()
            findings = await far.check(ledgers=[KannelBooks(kannel)])
            assert not findings.faults
            assert len(findings.unknown) == 1
            seen(
                "10 throttled and 2 put off went later, once; the other lanes went on; the undocumented 503: 1 unknown"
            )


@pytest.mark.fault("F32")
@pytest.mark.parametrize("messages", [20, pytest.param(1000, marks=pytest.mark.long)])
async def test_f32_a_provider_that_does_not_know_us_any_more_is_left_alone_and_no_attempt_is_burned(
    install: Install, messages: int, seen: Seen
) -> None:
    async with far_away(install, slots=3) as far:
        here, ours = far.here, far.sms.secret
        far.sms.secret = "s3cret-that-was-changed-over-there"
        program = await far.run()
        await far.crm.say(bookings(messages))
        await here.holds("SELECT count(*) = $1 FROM messages", messages)
        await here.holds("SELECT count(*) FROM breakers WHERE account = 'sms/far' AND open_until IS NOT NULL")
        await here.holds("SELECT count(*) = 0 FROM messages WHERE state IN ('claimed', 'submitting')")
        asked = len(far.sms.requests)
        assert 3 <= asked <= 2 * far.sms.slots, "it opens after three; what was under way is answered"
        assert await here.value("SELECT max(tries) FROM messages") == 0
        held = await here.value("SELECT count(*) FROM messages WHERE state = 'held' AND reason LIKE 'breaker:%'")
        assert held == asked
        assert not (await far.check(listened=False)).lost

        # The time of the probe has come: it is refused like the others, and the breaker stays open for longer.
        await here.sql("UPDATE breakers SET open_until = clock_timestamp()")
        await here.holds("SELECT open_until > clock_timestamp() FROM breakers")
        await far.sms.heard(asked + 1, within=60)
        # Somebody types the new secret, and what waited goes.
        settings = (here.folder / "control_center.toml").read_text("utf-8")
        await program.stop()
        here.write("control_center.toml", settings.replace(ours, far.sms.secret))
        assert len(far.sms.requests) == asked + 1, "one probe"
        await far.run()
        await here.sql("UPDATE breakers SET open_until = clock_timestamp()")
        await here.holds("SELECT count(*) = 0 FROM messages WHERE state = 'held'", within=180)
        await here.sql(WAITED)  # those that were refused themselves follow after minutes
        await here.holds("SELECT count(*) = $1 FROM messages WHERE state = 'delivered'", messages, within=180)
        await far.calm()
        await far.heard()
        findings = await far.check()
        assert not findings.faults
        assert findings.unknown == []
        assert len(far.sms.accepted) == messages
        assert await here.value("SELECT max(tries) FROM messages") <= 1
        seen(f"{asked} of {messages} asked before the breaker opened, one probe, no attempt burned, all sent once")
