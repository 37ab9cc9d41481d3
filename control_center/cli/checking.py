"""What `check` looks at: each finding says what is so, and what to do where it is not as it must be."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from control_center.cli.aim import Aim, Database
from control_center.domain.errors import ConfigurationError, ControlCenterError, Malformed, NotFound

if TYPE_CHECKING:
    from control_center.daemon.place import Endpoints
    from control_center.settings import Settings

SKEW: Final = 5.0  # seconds that our clock and the database's may differ


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    ok: bool
    says: str
    hint: str = ""


async def everything(aim: Aim) -> list[Finding]:
    """All findings; what needs a thing that is not there is left out."""
    try:
        settings = aim.quiet()
    except ControlCenterError as error:
        return [Finding("settings", ok=False, says=str(error), hint="every setting: config/control_center.toml")]
    findings = [_settings(settings), _links(settings), _network(settings)]
    running = aim.endpoints(settings)
    hint = "set CONTROL_CENTER_BROKER_URL, or none"
    findings.append(await _asked("broker", lambda: _broker(settings, running), hint))
    try:
        async with aim.database() as here:
            findings.append(await _asked("database", lambda: _database(here), ""))
            findings.append(await _asked("fence", lambda: _fence(here), "look, then: control-center fence arm"))
            findings.append(await _asked("clock", lambda: _clock(here), "let both machines keep time by NTP"))
            findings.append(await _events(here))
            if await _none_yet(here):
                findings.append(Finding("studio", ok=True, says=f"none yet: the first `run` makes {here.studio!r}"))
                return findings
            await here.zone()  # a studio of the settings that is not there has nothing to look at
            findings += await _of_studio(here, settings)
            findings += await _of_others(here, settings)
    except NotFound as error:
        hint = "set CONTROL_CENTER_STUDIO to one that is there"
        findings.append(Finding("studio", ok=False, says=str(error), hint=hint))
    except ConfigurationError as error:
        findings.append(Finding("database", ok=False, says=str(error)))
    except Exception as error:  # noqa: BLE001 - whatever keeps us from the database is the finding
        says = f"{type(error).__name__}: {' '.join(str(error).split())}"
        findings.append(Finding("database", ok=False, says=says, hint="does it run, and is its address right?"))
    return findings


async def _none_yet(here: Database) -> bool:
    """Whether this is how `migrate` has left it."""
    from control_center.store import db, studios

    async with db.session(here.pool) as connection:
        return not await studios.every(connection)


async def _of_studio(here: Database, settings: Settings) -> list[Finding]:
    return [
        await _texts(here, settings),
        await _mail(here, settings),
        await _asked("templates", lambda: _templates(here), "mend it, and save it again"),
        await _asked("triggers", lambda: _triggers(here), "mend it, and save it again"),
        await _catalog(here),
    ]


async def _of_others(here: Database, settings: Settings) -> list[Finding]:
    """Of every other studio that is not switched off what is not as it must be, or gives a hint."""
    from control_center.store import db, studios

    async with db.session(here.pool) as connection:
        others = [one.studio for one in await studios.every(connection) if one.enabled and one.studio != here.studio]
    found = {studio: await _of_studio(replace(here, studio=studio), settings) for studio in others}
    return [
        replace(one, says=f"studio {studio}: {one.says}")
        for studio, findings in found.items()
        for one in findings
        if not one.ok or one.hint
    ]


def _network(settings: Settings) -> Finding:
    """What is said to another machine so that it can be read on its way: allowed where an address says it outright."""
    from control_center.settings.addresses import in_clear

    told = {"database_url": settings.database_url, "broker_url": settings.broker_url}
    for channel in ("sms", "email"):
        told |= {f"{channel}/{name}": one.url for name, one in settings.carriers(channel).items()}
    clear = [name for name, url in told.items() if in_clear(url.get_secret_value())]
    if not clear:
        return Finding("network", ok=True, says="nothing leaves this machine that others can read on its way")
    hint = "sslmode=verify-full, amqps://, smtps://, https:// or smpps:// guard it; else the network has to"
    return Finding("network", ok=True, says=f"not encrypted: {', '.join(clear)}", hint=hint)


async def _asked(name: str, ask: Callable[[], Awaitable[str]], hint: str) -> Finding:
    try:
        return Finding(name, ok=True, says=await ask())
    except ControlCenterError as error:
        return Finding(name, ok=False, says=" ".join(str(error).split()), hint=hint)


def _settings(settings: Settings) -> Finding:
    from control_center.settings import PREFIX, config_file, unknown_in_environment

    unknown = [f"{PREFIX}{name}" for name in unknown_in_environment()]
    hint = f"these mean nothing here: {', '.join(unknown)}" if unknown else ""
    carriers = [
        f"{kind}/{name} ({one.provider})" for kind in ("sms", "email") for name, one in settings.carriers(kind).items()
    ]
    return Finding("settings", ok=True, says=f"{config_file() or 'defaults'}; {', '.join(carriers)}", hint=hint)


def _links(settings: Settings) -> Finding:
    """What links in messages are made of: a key, and an address that clients reach and mail programs leave whole."""
    from control_center.domain.links import TOKEN_LENGTH, URL_LENGTH
    from control_center.settings import PREFIX, link_key

    made = "with the key of this installation" if link_key.find(settings) else "with a key that the first `run` makes"
    longest = URL_LENGTH - TOKEN_LENGTH - len("/u/")
    hint = ""
    if not settings.public_url:
        hint = f"set {PREFIX}PUBLIC_URL: this address leads nowhere from a client's phone"
    elif not settings.links_base.startswith("https://"):
        hint = f"let {PREFIX}PUBLIC_URL begin with https://: mail programs show no button to unsubscribe otherwise"
    elif len(settings.links_base) > longest:
        hint = f"{PREFIX}PUBLIC_URL has more than {longest} characters: some mail programs lose the link to unsubscribe"
    return Finding("links", ok=True, says=f"begin with {settings.links_base}, made {made}", hint=hint)


async def _broker(settings: Settings, running: Endpoints | None) -> str:
    from control_center.crm.connection import BrokerAway, connect, hang_up
    from control_center.daemon.servers import refuse_private
    from control_center.domain.server_list import each_server
    from control_center.embedded import find_rabbitmq
    from control_center.settings.addresses import masked

    url = settings.broker_url.get_secret_value() or (running.broker_url if running else "")
    if url == "none":
        return "switched off: events come over HTTP"
    if not url:
        refuse_private("BROKER_URL", "name the broker, or `none`")
        return "a private RabbitMQ, started by run" if find_rabbitmq() else "none: events come over HTTP"
    away = {}
    for node in each_server(url):
        try:
            await hang_up(await connect(node, "control-center check"))
        except BrokerAway as error:
            away[node] = str(error)
    if len(away) == len(each_server(url)):
        raise BrokerAway("; ".join(away.values()))
    silent = "".join(f"; {masked(node)} does not: {why}" for node, why in away.items())
    return f"answers at {masked(url)}{silent}"


async def _database(here: Database) -> str:
    from control_center.store import db, migrate, studios

    version = await migrate.check(here.dsn)
    async with db.session(here.pool) as connection:
        known = [one.studio for one in await studios.every(connection)]
    return f"schema version {version}; studios: {', '.join(known) or 'none yet'}"


async def _fence(here: Database) -> str:
    from control_center.store import db, fences

    async with db.session(here.pool) as connection:
        fence = await fences.look(connection)
        if not await fences.is_open(connection):
            raise ConfigurationError(f"closed, nothing is sent: {fence.reason or 'this is another database'}")
    return "open: messages go out"


async def _clock(here: Database) -> str:
    from control_center.service import now
    from control_center.store import clock, db

    async with db.session(here.pool) as connection:
        before = now()
        theirs = await clock.read(connection)
        after = now()
    apart = max((theirs - after).total_seconds(), (before - theirs).total_seconds(), 0.0)
    if apart > SKEW:
        raise ConfigurationError(f"this machine's clock and the database's are {apart:.0f} s apart")
    return f"at most {apart:.1f} s from the database's"


async def _events(here: Database) -> Finding:
    """What the broker has set aside, in its queue or brought over: nothing is told of what these events say."""
    from control_center.store import db, dead_queue

    async with db.session(here.pool) as connection:
        others, since = await dead_queue.others(connection)
        brought, first = await dead_queue.brought(connection)
    if since is not None:
        says = f"the broker has set {others} aside, the first by {since:%Y-%m-%d %H:%M}Z"
        return Finding("events", ok=False, says=says, hint="bring them over: control-center events collect")
    if first is not None:
        wait = "wait" if brought > 1 else "waits"
        says = f"{brought} that the broker had set aside {wait} to be replayed since {first:%Y-%m-%d %H:%M}Z"
        return Finding("events", ok=False, says=says, hint="control-center events dead; replay or discard each")
    return Finding("events", ok=True, says="the broker has set none aside")


async def _texts(here: Database, settings: Settings) -> Finding:
    """By which account the studio texts, and whether the one that is to take over may: it has to have the number."""
    from control_center.engine.trigger_changes import house_of
    from control_center.store import db

    async with db.session(here.pool) as connection:
        house = await house_of(connection, here.studio)
    accounts = settings.carriers("sms")
    account = accounts.get(house.sms_account)
    if account is None:
        known = f"name one that is there: {', '.join(accounts)}"
        return Finding("texts", ok=False, says=f"account {house.sms_account!r} is in no settings", hint=known)
    second = accounts.get(account.failover)
    if second is None:
        return Finding("texts", ok=True, says=f"leave by sms/{house.sms_account}")
    foreign = second.sender and second.sender not in house.failover_numbers
    hint = f"{account.failover} takes nothing over before {second.sender} stands in {house.studio}'s failover_numbers"
    says = f"leave by sms/{house.sms_account}, failing that by sms/{account.failover}"
    return Finding("texts", ok=True, says=says, hint=hint if foreign else "")


async def _mail(here: Database, settings: Settings) -> Finding:
    """Who the studio's mail is from: other servers take it for forged where its domain is somebody else's."""
    from control_center.domain.mail_sender import borrowed
    from control_center.domain.wire import smtp
    from control_center.engine.trigger_changes import house_of
    from control_center.store import db

    async with db.session(here.pool) as connection:
        house = await house_of(connection, here.studio)
    account = settings.carriers("email").get(house.email_account)
    if not house.email_sender or account is None or account.provider != "smtp":
        return Finding("mail", ok=True, says="none leaves this machine")
    taken = borrowed(house.email_sender, smtp.relay(account.url.get_secret_value()).host)
    hint = f"mail from {taken} that {taken} did not send is refused: use an address of your own, and this as reply_to"
    return Finding("mail", ok=True, says=f"is from {house.email_sender}", hint=hint if taken else "")


async def _templates(here: Database) -> str:
    from control_center.engine.templates import parse
    from control_center.store import db, templates

    async with db.session(here.pool) as connection:
        saved = await templates.of_studio(connection, here.studio)
    for name, body in saved.items():
        parse(name, body)
    return f"{len(saved)} in studio {here.studio}"


async def _catalog(here: Database) -> Finding:
    """Saved triggers against what the CRM has by now: a name that has gone is a warning, since it stops nothing."""
    from control_center.engine import catalogs
    from control_center.store import db

    async with db.session(here.pool) as connection:
        found = await catalogs.complaints(connection, here.studio)
    if not found:
        return Finding("catalog", ok=True, says="every name that a trigger uses is known, or cannot be checked yet")
    triggers = len({name for name, _ in found})
    says = f"{triggers} trigger{'' if triggers == 1 else 's'} with names that the CRM no longer has"
    hint = "; ".join(f"trigger {name!r}, {one.field}: {one.says}" for name, one in found)
    return Finding("catalog", ok=True, says=says, hint=hint)


async def _triggers(here: Database) -> str:
    from control_center.domain.trigger_words import check_words, lacking
    from control_center.engine.trigger_changes import house_of
    from control_center.store import db, templates, triggers

    async with db.session(here.pool) as connection:
        house = await house_of(connection, here.studio)
        saved = await triggers.every(connection, here.studio)
        known = await templates.of_studio(connection, here.studio)
    for one in saved:
        trigger, place = one.trigger, f"trigger {one.name!r}"
        check_words(trigger, place, known, house.country, house.countries)
        unwritten = lacking(trigger, known, house) if one.enabled else {}
        if unwritten:
            key, says = next(iter(unwritten.items()))
            raise Malformed(f"{place}, {key}", says)
    live = sum(one.enabled for one in saved)
    return f"{len(saved)} in studio {here.studio}, {live} of them enabled"
