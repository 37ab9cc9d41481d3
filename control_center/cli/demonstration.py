"""The demo: the whole installation on a data folder of its own, and a look over its shoulder."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import msgspec

from control_center.cli import emitting
from control_center.cli.aim import note, sample, show
from control_center.cli.crm import Crm
from control_center.cli.looking import look
from control_center.cli.studios import read_file
from control_center.cli.templates import read_files
from control_center.crm import tap
from control_center.daemon import place, running
from control_center.daemon.running import Running
from control_center.domain import studio_catalog, zones
from control_center.domain.action import State
from control_center.domain.blackouts import Blackout
from control_center.domain.errors import ConfigurationError
from control_center.domain.studio import Studio, parse
from control_center.domain.wire.sandbox import OutboxLine, read_outbox, whole
from control_center.embedded import ensure_rabbitmq
from control_center.engine import blackouts, catalogs, templates, trigger_files, triggers
from control_center.loop import Loop, first_of
from control_center.service import now
from control_center.settings import Settings
from control_center.store import blackouts as stored_blackouts
from control_center.store import db, studios, views_actions, views_messages

WATCH = 0.5  # seconds between looks at what happened
WAITING = [State.PLANNED, State.REVIEW, State.HELD]
TROUBLE = ("failed", "unknown", "undelivered", "suppressed", "cancelled", "expired")


async def run(settings: Settings, *, machine: bool) -> None:
    """Run the demo until it is stopped. `machine`: one line of JSON when it is ready, and nothing else."""
    say = note
    if not settings.broker_url.get_secret_value():
        await ensure_rabbitmq(say)
    house = parse(read_file(sample("demo/studio.toml")))

    async def prepare(pool: db.Pool) -> None:
        await _furnish(pool, house)

    def beside(here: Running) -> None:
        _announce(settings, here, machine=machine)
        here.life.start("crm", _live_a_day(here, house, machine=machine))
        if here.endpoints.broker_url:
            heard = _hear if not machine else lambda _: None
            here.life.start("crm-ear", tap.listen(here.endpoints.broker_url, here.life.stop, heard))
        if not machine:
            watch = _Watch(here.pool, house, settings.data_dir / place.OUTBOX)
            here.life.start("watch", Loop("watch", watch.look, here.life.stop, away=db.AWAY).run())

    await running.run(settings, say=say, prepare=prepare, beside=beside)
    if not machine:
        show("stopped; the data stays in " + str(settings.data_dir))


async def _furnish(pool: db.Pool, house: Studio) -> None:
    """The sample studio with its templates, triggers and blackout days. Raises where the database is somebody's."""
    async with db.transaction(pool) as tx:
        strangers = [one for one in await studios.every(tx) if (one.studio, one.name) != (house.studio, house.name)]
        if strangers:
            raise ConfigurationError(
                f"this database belongs to the studio {strangers[0].name!r}; the demo wants one of its own"
            )
        if not await studios.get(tx, [house.studio]):
            await studios.put(tx, house)
    for name, body in read_files([sample("demo/templates")]).items():
        await templates.put(pool, house.studio, name, body, by="demo")
    catalog = studio_catalog.parse(read_file(sample("demo/catalog.toml")))
    await catalogs.replace(pool, house.studio, catalog, by="demo")
    tables = trigger_files.read_files([sample("demo/triggers")])
    await triggers.apply(pool, now, house.studio, tables, by="demo")
    async with db.session(pool) as connection:
        known = {one.blackout for one in await stored_blackouts.of_studio(connection, house.studio)}
    for day in _closed(zones.local_date(zones.zone(house.timezone), now())):
        if day not in known:
            await blackouts.add(pool, now, house.studio, day, by="demo")


def _closed(today: date) -> list[Blackout]:
    """Tomorrow, so that something is seen to wait for it; and Christmas."""
    return [Blackout.on("Studio retreat", today + timedelta(days=1)), Blackout.every_year("Christmas", "12-25")]


def _announce(settings: Settings, running: Running, *, machine: bool) -> None:
    endpoints = running.endpoints
    if machine:
        fields = {name: getattr(endpoints, name) for name in endpoints.__slots__}
        outbox = settings.data_dir / place.OUTBOX
        show(msgspec.json.encode({"ready": True, **fields, "outbox": str(outbox)}).decode())
        return
    look(settings, endpoints)
    show("A day in the studio begins. What leaves goes into the sandbox's file; nothing reaches anybody.\n")


async def _live_a_day(running: Running, house: Studio, *, machine: bool) -> None:
    """Emit the day's events as they happen, then wait for the end."""
    began = now()
    today = zones.local_date(zones.zone(house.timezone), began)
    crm = Crm(house.studio, f"{began:%d%H%M%S}", began, today)
    stop, http = running.life.stop, running.endpoints.http
    token = Path(running.endpoints.api_token_file).read_text("utf-8").strip() if http else ""  # noqa: ASYNC240 - 43 bytes
    for at, said, body in crm.day():
        await first_of(stop, wait=max(0.0, at - (now() - began).total_seconds()))
        if stop.is_set():
            return
        if running.endpoints.broker_url:
            await emitting.publish(running.endpoints.broker_url, [body])
        else:
            await emitting.post(http, token, [body])
        if not machine:
            show(f"  CRM    {said}")
    if not machine:
        show("\nThe day is over; what waits goes out in its time. Look around, for example:")
        for line in ("actions list --demo --by-due", "messages list --demo", "explain m-1 --demo"):
            show(f"  ./run {line}")
        show("Ctrl-C stops everything.\n")
    await stop.wait()


def _hear(body: bytes) -> None:
    """Say what the CRM is asked to do; that something was sent shows anyway."""
    event = msgspec.json.decode(body)
    verb = str(event["type"]).removeprefix("control_center.command.")
    if verb != event["type"]:
        show(f"  CRM    is asked to {verb.replace('_', ' ')} for {event['subject']}")


class _Watch:
    """Tells what left, what waits, and what went wrong, each once."""

    def __init__(self, pool: db.Pool, house: Studio, outbox: Path) -> None:
        self._pool = pool
        self._house = house
        self._zone = zones.zone(house.timezone)
        self._outbox = outbox
        self._offset = outbox.stat().st_size if outbox.exists() else 0
        self._began = now()
        self._told: set[tuple[str, str]] = set()

    async def look(self) -> float:
        """Tell what is new; returns the seconds until the next look."""
        for line in self._left():
            subject = f"{line.subject}: " if line.subject else ""
            words = " ".join(line.text.split())
            show(f"{'  TEXT' if line.channel == 'sms' else '  EMAIL':<7}  to {line.to}: {subject}{words}")
        async with db.session(self._pool) as connection:
            studio = self._house.studio
            waiting = await views_actions.actions(connection, studio, views_actions.Filter(states=WAITING), limit=100)
            messages = await views_messages.messages(connection, studio, limit=100)
        for action in reversed(waiting.items):
            until = f"{zones.at_local(self._zone, action.due_at):%a %d %b %H:%M}"
            person = action.state != State.PLANNED.value
            when = "for a person" if person else f"until {until}"
            about = f"{action.trigger} ({action.record})"
            if action.created_at >= self._began and (person or action.due_at > now() + timedelta(seconds=5)):
                self._tell("waits", action.id + when, f"{about}: {when}{f', {action.reason}' if action.reason else ''}")
        for message in reversed(messages.items):
            if message.created_at >= self._began and message.state in TROUBLE:
                self._tell("!", message.id + message.state, f"{message.to}: {message.state}, {message.reason}")
        return WATCH

    def _left(self) -> list[OutboxLine]:
        if not self._outbox.exists():
            return []
        with self._outbox.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += whole(data)
        return read_outbox(data)

    def _tell(self, mark: str, key: str, line: str) -> None:
        if (mark, key) not in self._told:
            self._told.add((mark, key))
            show(f"  {mark:<5}  {line}")
