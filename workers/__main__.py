"""`python -m workers sms` and `python -m workers email`: deliver until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid4

import structlog
import uvloop

from control_center import logs, settings
from control_center.domain.errors import ConfigurationError, ControlCenterError
from control_center.domain.links import Links
from control_center.domain.wire import kannel_hooks, smtp, telnyx, twilio
from control_center.fence import Fence, recognise
from control_center.loop import Loop, first_of
from control_center.service import Service, now
from control_center.settings import PREFIX, Account, Settings, link_key
from control_center.store import db, flights, messages, migrate
from control_center.store.clock import Clock
from workers.channel import Channel
from workers.delivery import Delivery
from workers.email import smtp as mail
from workers.email.signing import signer
from workers.email.smtp import Smtp
from workers.flight_recorder import FlightRecorder, NotBelievedError
from workers.hearing import Hearing
from workers.inquiry import Inquiry
from workers.recovery import Recovery
from workers.sandbox import Sandbox
from workers.sms import smpp
from workers.sms.gateway import Gateway
from workers.sms.kannel import Kannel
from workers.sms.smpp import Smpp
from workers.sms.smpp_session import Centre
from workers.sms.telnyx import Telnyx
from workers.sms.twilio import Twilio
from workers.this_boot import Boot, here

log = structlog.get_logger(__name__)

Record = Callable[[UUID], FlightRecorder | None]

CHANNELS: Final = ("sms", "email")
MOST_CONNECTIONS: Final = 10  # to the database, of one worker: marks and outcomes go by batches
# How long a call may take before a worker counts as lost: no call of the channel takes so long.
LONGEST_MAIL: Final = timedelta(seconds=mail.LONGEST)
LONGEST_TEXT: Final = timedelta(seconds=30)
LONGEST: Final = {"smtp": LONGEST_MAIL, "smpp": timedelta(seconds=smpp.LONGEST)}
TEND: Final = 15.0  # seconds between looks at the connection that wakes us

HELP: Final = """\
Delivers what the engine has released, by one channel, for every account of that channel. Start as many as you like,
on as many hosts: they share the work. `control-center run` starts one of each by itself.

Settings are those of control-center: config/control_center.toml and CONTROL_CENTER_* in the environment."""
EXAMPLE: Final = "example: CONTROL_CENTER_DATABASE_URL_FILE=/run/secrets/database_url python -m workers sms"


def main() -> int:
    parser = argparse.ArgumentParser(
        "python -m workers", description=HELP, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("channel", type=_channel_of, metavar="sms|email", help="what to deliver; sms-2 is sms, too")
    channel = parser.parse_args().channel

    try:
        chosen = settings.read()
        logs.configure(
            style=chosen.log_format,
            level=chosen.log_level,
            personal=chosen.log_personal_data,
            secrets=chosen.secrets(),
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(chosen, channel))
    except ControlCenterError as error:
        return _failed(channel, str(error))
    except db.AWAY as error:
        if isinstance(error, OSError) and error.filename is not None:  # of a file, and of no connection
            return _failed(channel, f"{error.filename}: {error.strerror}")
        return _failed(channel, f"PostgreSQL does not answer ({type(error).__name__}: {error})")
    return 0


def _failed(channel: str, reason: str) -> int:
    print(f"workers {channel}: {' '.join(reason.split())}", file=sys.stderr)  # noqa: T201 - the one line of a failed start
    return 1


def _channel_of(instance: str) -> str:
    """The channel of a service instance: `sms-2` is a second worker for texts."""
    channel = instance.partition("-")[0]
    if channel not in CHANNELS:
        raise argparse.ArgumentTypeError(f"{instance!r}; allowed: {', '.join(CHANNELS)}")
    return channel


async def serve(chosen: Settings, channel: str) -> None:
    """Deliver for every account of this channel until SIGTERM. Raises ConfigurationError where it cannot begin."""
    dsn = chosen.database_url.get_secret_value()
    if not dsn:
        raise ConfigurationError(
            "CONTROL_CENTER_DATABASE_URL is empty: the private PostgreSQL belongs to `control-center run`, "
            "which starts workers of its own"
        )
    life = Service()
    await db.reach(dsn, application=f"control-center {channel} worker start", patience=db.PATIENCE)
    await migrate.check(dsn)
    carriers = chosen.carriers(channel)
    links = _links(chosen, channel)
    slots = sum(account.slots for account in carriers.values())
    size = max(2, min(MOST_CONNECTIONS, slots))
    pool = await db.open_hot_pool(dsn, application=f"control-center {channel} worker", size=size, greet=recognise)
    life.on_close(pool.close)
    fence = Fence(pool, chosen.data_dir)
    life.start("fence", Loop("fence", fence.tend, life.stop, away=db.PASSES).run())
    record = await _recording(life, chosen, pool)
    clock = Clock(pool, now)
    await clock.tend()
    life.start("clock", Loop("clock", clock.tend, life.stop, away=db.PASSES).run())
    deliveries = [
        _start(life, chosen, pool, f"{channel}/{name}", one, links=links, fence=fence, record=record, clock=clock)
        for name, one in carriers.items()
    ]

    work = asyncio.Event()
    listener = db.Listener(dsn, {messages.WORK_CHANNEL: work}, application=f"control-center {channel} worker wakes")
    life.on_close(listener.close)

    async def tend() -> float:
        await listener.tend()
        return TEND

    life.start("listen", Loop("listen", tend, life.stop, away=db.PASSES).run())
    life.start("wake", _pass_on(work, deliveries, life.stop))
    accounts = [f"{channel}/{name}" for name in carriers]
    await life.run(
        ready=f"delivering {', '.join(accounts)}",
        announce=lambda: log.info("worker.ready", channel=channel, accounts=accounts),
    )


def _links(chosen: Settings, channel: str) -> Links | None:
    """What links in messages are made with. Raises ConfigurationError for mail without a key: it has to be left."""
    key = link_key.find(chosen)
    if key is None and channel == "email":
        raise ConfigurationError(
            f"{PREFIX}LINK_KEY is empty, and {chosen.data_dir} has no {link_key.FILE}: mail needs the key of the "
            "installation for its links; take it from the data folder of `control-center run`"
        )
    return Links(chosen.links_base, key) if key is not None else None


async def _recording(life: Service, chosen: Settings, pool: db.Pool) -> Record:
    """What makes a delivery's flight recorder; and those that dead workers have left are read from now on."""
    folder, boot = chosen.data_dir / "flights", here()
    async with db.session(pool) as connection:
        history = await flights.history(connection)
    if boot is None or not history:
        which = "the machine does not say which run" if boot is None else "the database does not say which life"
        log.warning("flight.not_recorded", reason=f"{which} this is")
        return lambda _: None
    recovery = Recovery(pool, folder, boot=boot, history=history)
    life.start("flights", Loop("flights", recovery.run_once, life.stop, away=db.PASSES).run())
    return partial(_recorder, folder, boot, history)


def _recorder(folder: Path, boot: Boot, history: str, owner: UUID) -> FlightRecorder | None:
    """Without one a worker works as well: only the doubt is greater that it leaves when it is killed."""
    try:
        return FlightRecorder(folder, owner, boot=boot, history=history)
    except (NotBelievedError, OSError) as error:
        log.warning("flight.not_recorded", reason=str(error))
        return None


def _start(
    life: Service,
    chosen: Settings,
    pool: db.Pool,
    name: str,
    account: Account,
    *,
    links: Links | None,
    fence: Fence,
    record: Record,
    clock: Clock,
) -> Delivery:
    owner = uuid4()
    provider = _channel(chosen, pool, name, account, links)
    life.on_close(provider.close)
    delivery = Delivery(
        pool,
        provider,
        account=name,
        owner=owner,
        clock=clock.now,
        slots=account.slots,
        longest=LONGEST.get(account.provider, LONGEST_TEXT),
        failover=f"sms/{account.failover}" if account.failover else None,
        failover_sender=chosen.carriers("sms")[account.failover].sender if account.failover else "",
        links=links,
        fence=fence,
        recorder=record(owner),
    )
    life.start(name, delivery.run(life.stop))
    if name.startswith("sms/"):  # no relay can be asked what became of a mail
        inquiry = Inquiry(pool, provider, account=name, clock=clock.now, links=links)
        life.start(f"{name}/inquiry", Loop(f"{name}/inquiry", inquiry.run_once, life.stop, away=db.PASSES).run())
    if account.provider == "sandbox":
        life.start(f"{name}/closes", _close_at(life.stop, provider))
    return delivery


def _channel(chosen: Settings, pool: db.Pool, name: str, account: Account, links: Links | None = None) -> Channel:
    """The account's way to its provider."""
    _, _, short = name.partition("/")
    url, secret, slots = account.url.get_secret_value(), account.secret.get_secret_value(), account.slots
    back = _callback(chosen, account.provider, short)
    match account.provider:
        case "twilio":
            base = url or twilio.BASE
            return Twilio(account=account.account, secret=secret, callback_url_template=back, base=base, slots=slots)
        case "telnyx":
            base, profile = url or telnyx.BASE, account.account
            return Telnyx(secret=secret, profile=profile, callback_url_template=back, base=base, slots=slots)
        case "kannel":
            known = f"{back}&token={kannel_hooks.token(secret)}" if back else None
            return Kannel(base=url, user=account.account, secret=secret, callback_url_template=known, slots=slots)
        case "http":
            return Gateway(url=url, secret=secret, slots=slots)
        case "smpp":
            return Smpp(_centre(account), Hearing(pool, name).hear, clock=now)
        case "smtp":
            return _relay(account, url, links)
        case "sandbox":
            outbox = chosen.data_dir / "sandbox" / "outbox.ndjson"
            latency = timedelta(seconds=account.latency)
            return Sandbox(outbox=outbox, clock=now, latency=latency)


def _centre(account: Account) -> Centre:
    """The message centre of an account; `?system_type=…` in its address, where it wants one."""
    parts = urlsplit(account.url.get_secret_value())
    tls = parts.scheme == "smpps"
    return Centre(
        host=parts.hostname or "",
        port=parts.port or (3550 if tls else 2775),
        system_id=account.account,
        password=account.secret.get_secret_value(),
        system_type=dict(parse_qsl(parts.query)).get("system_type", ""),
        tls=tls,
    )


def _relay(account: Account, url: str, links: Links | None) -> Smtp:
    """A relay, with bounces that come back to where they are understood, and signatures, as far as they are set up."""
    bounces = account.bounce_domain
    back = partial(links.return_path, domain=bounces) if bounces and links is not None else None
    sign = None
    if account.dkim_key_file is not None:
        sign = signer(selector=account.dkim_selector, domain=account.dkim_domain, key_file=account.dkim_key_file)
    return Smtp(smtp.relay(url), slots=account.slots, return_path=back, sign=sign)


def _callback(chosen: Settings, provider: str, short: str) -> str | None:
    """Our public address for what a provider says of a text, with `{key}` where its reference goes."""
    if not chosen.public_url:
        return None
    return f"{chosen.public_url.rstrip('/')}/hooks/sms/{provider}/{short}/status?ref={{key}}"


async def _close_at(stop: asyncio.Event, provider: Channel) -> None:
    """A sandbox takes nothing more once we are to stop: what it pretends to think about is over at once."""
    await stop.wait()
    await provider.close()


async def _pass_on(work: asyncio.Event, deliveries: list[Delivery], stop: asyncio.Event) -> None:
    """Wake every account when release has made messages."""
    while not stop.is_set():
        await first_of(work, stop, wait=60.0)
        work.clear()
        for delivery in deliveries:
            delivery.wake.set()


if __name__ == "__main__":
    sys.exit(main())
