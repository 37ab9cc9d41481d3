"""For machines that watch: is the process alive, is it ready, and how does the work flow.

`/healthz` and `/readyz` need no token and tell no secrets. `/metrics` needs none from this machine itself, unless
a proxy passed the call on; from elsewhere it needs a token for every studio, since it tells of all of them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from control_center.domain.text_plan import month_before, month_of
from control_center.store import (
    commands,
    db,
    dead_queue,
    event_numbers,
    prefixes,
    spending,
    studios,
    usage,
    views_health,
)
from control_center.web.api import bearer
from control_center.web.parts import PARTS, Parts
from control_center.web.problems import Problem
from control_center.web.readiness import Readiness

AHEAD = timedelta(days=1)  # that a zone's calendar is ahead of the one of UTC, and more
BEAT = 0.5  # seconds between looks at how late the event loop is

_PASSED_ON = frozenset({"forwarded", "via", "x-real-ip"})
_PORT = re.compile(r":\d+\Z")

_TABLES = {
    "events": "control_center_events_taken",
    "dead_events": "control_center_events_dead",
    "actions": "control_center_actions_planned",
    "messages": "control_center_messages_made",
    "attempts": "control_center_attempts",
    "receipts": "control_center_receipts",
    "commands": "control_center_commands_made",
}


class LoopLag:
    """How late the event loop runs what was due: the worst of the looks since last asked."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self, _app: web.Application) -> AsyncIterator[None]:
        stop = asyncio.Event()
        watching = asyncio.create_task(self._beat(stop))
        yield
        stop.set()
        await watching

    async def _beat(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            due = loop.time() + BEAT
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), BEAT)
                return
            self.worst = max(self.worst, loop.time() - due)

    def taken(self) -> float:
        worst, self.worst = self.worst, 0.0
        return worst


LAG = web.AppKey("loop_lag", LoopLag)


def add_routes(app: web.Application) -> None:
    """Health, readiness and metrics."""
    lag = LoopLag()
    app[LAG] = lag
    app.cleanup_ctx.append(lag.watch)
    app.router.add_get("/healthz", _healthz, name="healthz")
    app.router.add_get("/readyz", Readiness(app[PARTS]).answer, name="readyz")
    app.router.add_get("/metrics", _metrics, name="metrics")


async def _healthz(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _metrics(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    if not _from_here(request) and not (await bearer.caller(parts, request)).everywhere:
        raise Problem(HTTPStatus.FORBIDDEN, "metrics tell of every studio; this token is for some")
    registry = CollectorRegistry()
    lag = _gauge(registry, "control_center_loop_lag_seconds", "How late the event loop ran, at worst since last asked")
    lag.set(request.app[LAG].taken())
    await _measure(registry, parts)
    # Not through `content_type`, which would lose the version that scrapers look at.
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _from_here(request: web.Request) -> bool:
    """Whether the caller is on this machine, means this machine, and nobody passed the call on.

    Not every proxy says that it is one, and a browser here may be led to us by a name of somebody else's.
    """
    if any(name.lower() in _PASSED_ON or name.lower().startswith("x-forwarded-") for name in request.headers):
        return False
    return _is_here(request.remote or "") and _is_here(_PORT.sub("", request.host).strip("[]"))


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _measure(registry: CollectorRegistry, parts: Parts) -> None:
    now = parts.clock()
    async with db.session(parts.pool) as tx:
        due = await views_health.oldest_due_action(tx, now)
        lag = _gauge(registry, "control_center_release_lag_seconds", "How long the oldest due action has been due")
        lag.set(_age(now, due))
        words = "Actions held of each trigger whose blast guard is shut: a person has to decide"
        held = _gauge(registry, "control_center_actions_held", words, ("studio", "trigger"))
        for studio, trigger, number in await views_health.guarded(tx):
            held.labels(studio, trigger).set(number)
        await _measure_database(registry, tx)
        waiting, oldest = await commands.unpublished(tx)
        words = "Commands and reports not yet published; of those that nobody listens for, ten thousand are counted"
        _gauge(registry, "control_center_commands_waiting", words).set(waiting)
        _gauge(registry, "control_center_relay_lag_seconds", "Age of the oldest of them").set(oldest)
        words = "Events that a source has counted and that have not come"
        missing = _gauge(registry, "control_center_events_missing", words, ("studio", "source"))
        for gap in await event_numbers.gaps(tx):
            missing.labels(gap.studio, gap.source).inc(gap.last - gap.first + 1)
        words = "Events that the broker has set aside: still in its dead queue, or brought over and not replayed"
        set_aside = (await dead_queue.others(tx))[0] + (await dead_queue.brought(tx))[0]
        _gauge(registry, "control_center_events_set_aside", words).set(set_aside)
        await _measure_messages(registry, tx, now)
        await _measure_prefixes(registry, tx)
        await _measure_spending(registry, tx)
        await _measure_plans(registry, tx, now)
        for table, number in (await views_health.inserted(tx, list(_TABLES))).items():
            words = f"Rows ever written to {table}, by PostgreSQL's own count"
            Counter(_TABLES[table], words, registry=registry).inc(number)


async def _measure_database(registry: CollectorRegistry, tx: db.Connection) -> None:
    words = "How long the oldest transaction has been open: what has died since cannot be cleaned away"
    found = await views_health.oldest_transaction(tx)
    gauge = _gauge(registry, "control_center_oldest_transaction_seconds", words)
    gauge.set(0.0 if found is None else found.seconds)


async def _measure_messages(registry: CollectorRegistry, tx: db.Connection, now: datetime) -> None:
    labels = ("account",)
    queued = _gauge(registry, "control_center_messages_queued", "Messages that a worker may take now", labels)
    lag = _gauge(registry, "control_center_delivery_lag_seconds", "How long the oldest of them has waited", labels)
    for account, number, oldest in await views_health.queued(tx):
        queued.labels(account).set(number)
        lag.labels(account).set(_age(now, oldest))
    held = _gauge(registry, "control_center_messages_held", "Messages that a breaker, limit or fence holds", labels)
    for account, number in await views_health.held(tx):
        held.labels(account).set(number)
    latest = _gauge(
        registry, "control_center_latest_messages", "The newest messages of each studio", ("account", "state")
    )
    for account, state, number in await views_health.states(tx):
        latest.labels(account, state).set(number)
    await _measure_answers(registry, tx)


async def _measure_answers(registry: CollectorRegistry, tx: db.Connection) -> None:
    labels = ("account", "outcome")
    asked = _gauge(registry, "control_center_latest_attempts", "How providers answered the newest messages", labels)
    median = _gauge(registry, "control_center_provider_median_seconds", "How long they took to", labels)
    slowest = _gauge(registry, "control_center_provider_slowest_seconds", "The longest they took to", labels)
    for answers in await views_health.answers(tx):
        asked.labels(answers.account, answers.outcome).set(answers.attempts)
        median.labels(answers.account, answers.outcome).set(answers.median)
        slowest.labels(answers.account, answers.outcome).set(answers.slowest)


async def _measure_prefixes(registry: CollectorRegistry, tx: db.Connection) -> None:
    words = "Texts held because many would go to neighbouring numbers: a person has to decide"
    held = _gauge(registry, "control_center_neighbours_held", words, ("studio",))
    for one in await prefixes.shut(tx):
        held.labels(one.studio).inc(one.held)


async def _measure_spending(registry: CollectorRegistry, tx: db.Connection) -> None:
    words = "Texts held because what a day's texts may cost is spent"
    held = _gauge(registry, "control_center_money_held", words, ("studio",))
    for one in await spending.shut(tx):
        held.labels(one.studio).set(one.held)


async def _measure_plans(registry: CollectorRegistry, tx: db.Connection, now: datetime) -> None:
    """Each studio's texts of this month on its own calendar, and its plan where it has one."""
    labels = ("studio",)
    sent = _gauge(registry, "control_center_texts_this_month", "Texts handed over this month", labels)
    plan = _gauge(registry, "control_center_texts_planned", "Texts of a month that the studio's plan allows", labels)
    found = await usage.newest(tx, month_before(now.date().replace(day=1)), (now + AHEAD).date())
    known = await studios.get(tx, {studio for studio, _, _ in found})
    for studio, month, texts in found:
        if studio in known:
            sent.labels(studio).set(texts if month == month_of(now, known[studio].timezone) else 0)
            plan.labels(studio).set(known[studio].plan.texts_per_month or float("inf"))


def _gauge(registry: CollectorRegistry, name: str, words: str, labels: tuple[str, ...] = ()) -> Gauge:
    return Gauge(name, words, labels, registry=registry)


def _age(now: datetime, since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
