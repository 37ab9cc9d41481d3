"""What `check` finds of a studio's texts, by the functions behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from control_center.cli.aim import Database
from control_center.cli.checking import Finding, _broker, _of_others, _texts
from control_center.settings import Account, Settings
from control_center.store import db
from tests.support.rows import a_studio


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    yield opened
    await opened.close()


async def found(pool: db.Pool, **sms: object) -> Finding:
    await pool.execute("TRUNCATE studios CASCADE")
    await a_studio(pool, settings={"sms": sms})
    first = Account(
        channel="sms",
        provider="http",
        url=SecretStr("http://a"),
        secret=SecretStr("four-and-twenty--letters"),
        failover="second",
    )
    second = first.model_copy(update={"failover": "", "sender": "+13125550199"})
    settings = Settings(accounts={"first": first, "second": second})
    return await _texts(Database(pool, "", "main"), settings)


async def test_a_second_account_whose_number_the_studio_has_not_takes_nothing_over(pool: db.Pool) -> None:
    able = await found(pool, account="first", numbers=["+13125550100"], failover_numbers=["+13125550199"])
    unable = await found(pool, account="first", numbers=["+13125550100"])

    assert (able.ok, able.says, able.hint) == (True, "leave by sms/first, failing that by sms/second", "")
    assert unable.hint == "second takes nothing over before +13125550199 stands in main's failover_numbers"


async def test_an_account_that_is_in_no_settings_sends_nothing(pool: db.Pool) -> None:
    lost = await found(pool, account="third", numbers=[])

    assert (lost.ok, lost.says) == (False, "account 'third' is in no settings")


async def test_of_a_cluster_the_node_that_does_not_answer_is_named(broker_url: str) -> None:
    both = broker_url.replace("@", "@127.0.0.1:1,")

    says = await _broker(Settings(broker_url=SecretStr(both)), None)

    assert says.startswith(f"answers at {both.replace('guest@', '***@')}; amqp://guest:***@127.0.0.1:1 does not: ")


async def test_every_studio_is_looked_at_and_not_the_one_of_the_settings_alone(pool: db.Pool) -> None:
    await pool.execute("TRUNCATE studios CASCADE")
    await a_studio(pool)
    await a_studio(pool, "north", settings={"sms": {"account": "third", "numbers": []}})
    await a_studio(pool, "south", settings={"sms": {"account": "third", "numbers": []}}, enabled=False)

    others = await _of_others(Database(pool, "", "main"), Settings())

    assert [(one.name, one.ok, one.says) for one in others] == [
        ("texts", False, "studio north: account 'third' is in no settings")
    ]
