"""A studio's servers and hosts, apart from each other: a database, a broker, a provider, and hosts that share the work.

A web is where we are, and where the provider's receipts come in until a test gives them another door; engines, workers
and other webs are on hosts of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from control_center.embedded import Postgres, postgres
from control_center.embedded.place import borrowed_account, locate
from tests.support.checker import Findings, check
from tests.support.fake_crm import Crm
from tests.support.fake_sms import ACCOUNT, FakeSms
from tests.support.hosts import WEB, Host, Network
from tests.support.installation import Installation, trigger
from tests.support.proxy import Proxy
from tests.support.replica import administer

PRIMARY: Final = 2
STANDBY: Final = 3
NAME: Final = "control_center"
SLOWLY: Final = 0.1  # seconds to the provider, and back
HEARTBEAT: Final = 3  # seconds; of the product's own choice it is 10


class OnNetwork(Postgres):
    """A server that is also reached over the network, at an address of its own."""

    def __init__(self, base: Path, address: str) -> None:
        super().__init__(base)
        self._address = address

    async def _launch(self, *where: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(postgres.SETTINGS, "listen_addresses", self._address)
            await super()._launch(*where)


@dataclass
class Site:
    """Everything; hosts are added by `host`."""

    folder: Path
    network: Network
    primary: Postgres
    desk: Installation
    sms: FakeSms
    crm: Crm
    broker: Proxy
    provider: Proxy
    stack: AsyncExitStack
    hosts: list[Host] = field(default_factory=list)

    async def host(self, *roles: str) -> Host:
        """One more host, which runs these roles."""
        number = len(self.hosts)
        settings = self.sms.table.replace(self.sms.url, f"http://{self.provider.at}:{self.provider.port}")
        made = Host(
            self.network,
            number,
            self.folder / f"host-{number}",
            database_url=self.desk.database_url,
            settings=settings,
        )
        made.broker_url = self.desk.broker_url
        servers = ",".join(f"{self.network.server(one)}:5432" for one in (PRIMARY, STANDBY))
        made.told = {
            "database_url": f"postgresql://cc@{servers}/{NAME}?target_session_attrs=read-write&sslmode=disable",
            "broker_url": f"{self.broker.url(self.desk.broker_url)}/?heartbeat={HEARTBEAT}",
            "listen": f"{made.address}:{WEB}",
        }
        self.stack.push_async_callback(made.remove)
        await made.plug_in()
        self.hosts.append(await self.stack.enter_async_context(made))
        await made.run(*roles)
        return made

    async def at_rest(self, number: int, *, besides: int = 0, within: float = 300.0) -> Findings:
        """What there is to find once so many events have come to their ends, and so many messages `besides` theirs.

        None of it may be a fault.
        """
        await self.desk.taken_in(number, within=within)
        await self.desk.holds("SELECT count(*) = $1 FROM messages", number + besides, within=within)
        await self.desk.calm(within=within)
        await self.sms.reported()
        await self.desk.calm(within=within)
        await self.desk.holds("SELECT count(*) = 0 FROM commands WHERE state = 'new'", within=within)
        await self.crm.hears(await self.desk.value("SELECT count(*) FROM commands"), within=within)
        findings = await check(self.desk, ledgers=[self.sms], crm=self.crm)
        assert not findings.faults
        return findings


@asynccontextmanager
async def site(folder: Path, network: Network, broker_url: str) -> AsyncIterator[Site]:
    """With a studio that texts whoever books; the web runs, and no host is there yet."""
    async with AsyncExitStack() as stack:
        primary = OnNetwork(folder / "primary", await network.appear(PRIMARY))
        await primary.start()
        stack.push_async_callback(primary.stop)
        await _let_in(primary, folder / "primary", network)
        sms = await stack.enter_async_context(FakeSms())
        desk = Installation(folder / "desk", database_url=primary.dsn(), broker_url=broker_url, settings=sms.table)
        await stack.enter_async_context(desk)
        await desk.done("migrate")
        await desk.furnish(account=ACCOUNT, triggers=trigger())
        await desk.run("web")
        sms.here = desk
        provider = await stack.enter_async_context(Proxy.before(sms.url, at=network.ours))
        provider.latency = SLOWLY
        broker = await stack.enter_async_context(Proxy.before(broker_url, at=network.ours))
        crm = await stack.enter_async_context(Crm(broker_url))
        yield Site(folder, network, primary, desk, sms, crm, broker, provider, stack)


async def _let_in(server: Postgres, base: Path, network: Network) -> None:
    """Whoever comes over the network; nobody else is on it."""
    with (locate(base, borrowed_account("postgres")) / "data" / "pg_hba.conf").open("a", encoding="utf-8") as rules:
        rules.write(f"host all all {network.prefix}.0/24 trust\n")
    await administer(server, "SELECT pg_reload_conf()")
