"""The web application of this process: on the address of the settings, with the first API client's token."""

from __future__ import annotations

import asyncio

from control_center import web
from control_center.daemon import place
from control_center.daemon.duties import Duties
from control_center.domain.links import Links
from control_center.domain.signature import Signature
from control_center.engine import users
from control_center.engine.conversations import Conversations
from control_center.engine.following import Following
from control_center.engine.mailroom import Mailroom
from control_center.settings import Settings, link_key
from control_center.settings.account import plain
from control_center.store import db

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what is listened on, and where we find it ourselves


async def served(settings: Settings, duties: Duties) -> str:
    """Begin to serve; returns the address once it is open. Raises ConfigurationError where it cannot be had."""
    await _admit(settings, duties.pool)
    host, port = settings.host_and_port
    opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def listening(bound: str, port: int) -> None:
        name = ANYWHERE.get(bound, f"[{bound}]" if ":" in bound else bound)
        opened.set_result(f"http://{name}:{port}")

    links = Links(settings.links_base, link_key.keep(settings))
    parts = web.Parts(
        pool=duties.pool,
        clock=duties.now,
        intake=duties.intake,
        conversations=Conversations(duties.pool, duties.now),
        public_url=settings.public_url or f"http://{settings.listen}",
        links=links,
        studio=settings.studio,
        following=Following(duties.pool, duties.now, links),
        mailroom=Mailroom(duties.pool, duties.now, links),
        accounts=_accounts(settings),
        texting=frozenset(f"sms/{name}" for name in settings.carriers("sms")),
        sandboxes=frozenset(
            f"sms/{name}" for name, one in settings.carriers("sms").items() if one.provider == "sandbox"
        ),
        readiness={"fence": duties.fenced, **({"broker": duties.consuming} if duties.broker_url else {})},
    )

    async def duty() -> None:
        try:
            await web.serve(parts, host=host, port=port, stop=duties.life.stop, listening=listening)
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)  # whoever waits for the address hears of it

    duties.life.start("web", duty())
    return await opened


async def _admit(settings: Settings, pool: db.Pool) -> None:
    """Let the first API client in: its token is kept in a file for people, as a digest for us."""
    configured = settings.api_token.get_secret_value()
    token = place.token(settings.data_dir, configured)
    await users.admit_first(pool, token, configured=bool(configured), by=Signature(users.SETTINGS, "settings"))


def _accounts(settings: Settings) -> tuple[web.Account, ...]:
    """The provider accounts whose calls we take: those with a secret by which a call is known to be theirs."""
    return tuple(
        web.Account(f"{channel}/{name}", one.provider, one.account, keys)
        for channel in ("sms", "email")
        for name, one in settings.carriers(channel).items()
        if (keys := one.public_keys if one.provider == "telnyx" else tuple(filter(None, [plain(one.secret)])))
    )
