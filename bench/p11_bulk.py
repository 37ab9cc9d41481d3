"""P11: one studio's reminders, from the publish of their events to the provider, beside another studio's bulk.

Both studios share the provider account and its worker. The floor is the same without the bulk, in the same round; the
bulk is as long as asked for (20,000), on a number that takes one text a second: it lasts longer than the measurement.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from contextlib import AsyncExitStack
from urllib.parse import unquote_plus

import asyncpg

from bench import child, events, machine, seeds
from bench.context import Context
from bench.p3_latency import AT_ONCE, MARK, WARM_UP, empty_queue, noted, publish
from bench.table import Goal, Row, Run, in_turn
from bench.worker import workers
from control_center.domain import studio
from control_center.embedded.process import until
from control_center.store import studios

PER_SECOND = 20
OTHER = "other"
NUMBER = "+13125550199"
OFFER = "Hello {{ client.first_name }}, the doors are open all week."
BULK_TEXT = "doors are open"


async def measure(context: Context) -> list[Row]:
    count = WARM_UP + PER_SECOND * context.count(60, 4)
    quiet = await context.servers.template("p11_quiet", lambda connection: _studios(connection, 0))
    loud = await context.servers.template("p11_loud", lambda connection: _studios(connection, context.bulk))
    series = await in_turn(
        context.rounds,
        {
            "reminders alone": lambda: _run(context, quiet, count),
            "beside bulk": lambda: _run(context, loud, count),
        },
        context.say,
    )
    await context.servers.drop(quiet)
    await context.servers.drop(loud)
    alone, beside = series.values()
    goals: Mapping[str, Goal | None] = {"p50": None, "p99": Goal(2.0, at_least=False)}
    rows = [
        Row("P11", f"reminders beside bulk, {name}", "ms", noted(beside, name), goal, noted(alone, name))
        for name, goal in goals.items()
    ]
    left, seconds = beside.note("bulk"), beside.note("seconds")
    rows[-1].remarks.append(
        f"bulk of {context.bulk:,} on a number of one a second: {left:,.0f} left in {seconds:,.0f} seconds"
    )
    return rows


async def _studios(connection: asyncpg.Connection, bulk: int) -> None:
    """The studio with reminders, and the other one with so many texts of a bulk that runs."""
    await seeds.a_studio(connection, [AT_ONCE])
    sms = {"account": "bench", "numbers": [NUMBER], "limits": {"number": {"per_second": 1}}}
    hours = {"transactional": "00:00-24:00"}  # bulk keeps to them, and this is measured at any
    other = {"id": OTHER, "name": "Other", "sms": sms, "quiet_hours": hours}
    await studios.put(connection, studio.parse(events.STUDIO | other))
    client = {
        "id": f"c-{seeds.PLACE}",
        "version": 1,
        "first_name": "Jo",
        "phones": [{"number": f"+1414{seeds.PLACE}", "sms": True}],
        "allow_marketing": {"sms": True},
    }
    await connection.execute(_CLIENTS, bulk, OTHER, seeds.PLACE, json.dumps(client), timeout=300)
    if bulk:
        words = json.dumps({"sms": OFFER})
        await connection.execute(_BULK, OTHER, words, seeds.ACCOUNT, NUMBER)
        await connection.execute(_LIST, OTHER, bulk, timeout=300)


async def _run(context: Context, template: str, count: int) -> Run:
    await empty_queue(context)
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(context.servers.clone(template))
        (worker,) = await stack.enter_async_context(workers(context, dsn, slots=16))
        options = {"dsn": dsn, "broker_url": context.servers.broker_url}
        engine = await stack.enter_async_context(child.contender("bench.engine", options, context.servers.log))
        await engine.go()
        await context.provider.forget()
        trees = context.servers.trees | {"engine": [engine.pid], "worker": [worker]}
        first = machine.read(trees)
        published = await publish(context, count, PER_SECOND)
        found: dict[int, float] = {}
        others = 0

        async def all_came() -> bool:
            nonlocal others
            others = 0
            for at, body in (await context.provider.seen(bodies=True))["bodies"]:
                text = unquote_plus(body)
                others += BULK_TEXT in text
                if mark := MARK.search(text):
                    found.setdefault(int(mark[1]), at)
            return len(found) >= count

        assert await until(all_came, within=60), f"of {count} reminders the provider has {len(found)}"
        usage = machine.between(first, machine.read(trees))
    waits = [(found[n] - published[n]) * 1000 for n in range(WARM_UP, count)]
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    notes = {"p50": cuts[49], "p99": cuts[98], "bulk": float(others), "seconds": usage.seconds}
    return Run(cuts[98], count, usage, notes)


_NUMBER = "lpad((2000000 + n)::text, 7, '0')"

_CLIENTS = f"""
INSERT INTO records (studio_id, kind, record_id, version, first_version, body)
SELECT $2, 'client', 'c-' || {_NUMBER}, 1, 1, replace($4::text, $3::text, {_NUMBER})
  FROM generate_series(1, $1::integer) AS n"""

_BULK = """
INSERT INTO bulks (studio_id, name, state, channel, purpose, audience, template, words, account, sender, start_at,
                   use_by, lasts, next_at, made_by, released_by)
VALUES ($1, 'Offer', 'running', 'sms', 'transactional', '{}', 'offer', $2, $3, $4, now(), now() + interval '14 days',
        interval '14 days', now(), 'the bench', 'the bench')"""

_LIST = f"""
INSERT INTO bulk_recipients (studio_id, bulk_id, recipient_id, state, address, kind, record_id, client_id, due_at)
SELECT $1, bulk_id, n, 'listed', '+1414' || {_NUMBER}, 'client', 'c-' || {_NUMBER}, 'c-' || {_NUMBER}, 'epoch'
  FROM bulks, generate_series(1, $2::integer) AS n"""
