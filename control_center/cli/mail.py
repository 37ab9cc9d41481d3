"""`mail`: mail that comes in, out of a mail server's pipe or from a file."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from control_center.cli.aim import Aim, note
from control_center.cli.tables import as_json, pairs
from control_center.cli.verbs import group, sentence, verb
from control_center.domain.errors import NotFound, Refused

if TYPE_CHECKING:
    from control_center.engine.returned_mail import Came

TRY_AGAIN: Final = 75  # sysexits.h: the mail server keeps the mail and brings it again


def add_to(app: typer.Typer) -> None:
    noun = group(app, "mail", "Mail that comes in: replies, bounces and complaints.")
    verb(noun, "receive", example="mail receive bounce.eml", but=("studio",))(receive)


async def receive(
    aim: Aim,
    *,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The mail as it came; - reads it from stdin.")],
    to: Annotated[str, typer.Option("--to", help="The address it was delivered to.")] = "",
    account: Annotated[str, typer.Option(help="The account of mail that it came in by.")] = "default",
) -> int:
    """Take in one mail. Exits 75 where it could not be stored, so that a mail server brings it again."""
    raw = _read(file)
    try:
        done = await _store(aim, raw, to, account)
    except Exception as error:  # noqa: BLE001 - for any other exit code the mail server gives the mail back to its sender
        note(f"control-center mail receive: {sentence(error)}; bring it again")
        return TRY_AGAIN
    told = {
        "what": done.what,
        "studio": done.studio,
        "message": f"m-{done.message_id}" if done.message_id is not None else None,
        "reason": done.reason,
        "new": done.new,
    }
    if aim.json:
        as_json(told)
    else:
        pairs(told)
    return 0


async def _store(aim: Aim, raw: bytes, to: str, account: str) -> Came:
    """Raises ControlCenterError, and whatever a database that is away makes of it."""
    from control_center.domain.links import Links
    from control_center.engine.mailroom import Mailroom
    from control_center.service import now
    from control_center.settings import link_key

    settings = aim.quiet()
    if account not in settings.carriers("email"):
        raise NotFound(f"there is no account {account!r} for mail; known: {', '.join(settings.carriers('email'))}")
    key = link_key.find(settings)
    if key is None:
        raise Refused(f"{settings.data_dir} has no {link_key.FILE} yet; `control-center run` makes it")
    if not settings.database_url.get_secret_value() and aim.endpoints(settings) is None:
        # Other verbs start a private database then. One that was only made for this mail nobody would ever look into.
        raise Refused(f"no database is named, and nothing runs in {settings.data_dir}")
    async with aim.database() as here:
        return await Mailroom(here.pool, now, Links(settings.links_base, key)).take(f"email/{account}", raw, to=to)


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None
