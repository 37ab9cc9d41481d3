"""`consents`: what an address has said about being written to."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from control_center.cli.aim import Aim, person, show
from control_center.cli.tables import as_json, columns
from control_center.cli.verbs import group, verb
from control_center.domain.errors import Malformed, NotFound

if TYPE_CHECKING:
    from control_center.store import db

Address = Annotated[str, typer.Argument(metavar="NUMBER|ADDRESS", help="A phone number or an email address.")]


def add_to(app: typer.Typer) -> None:
    noun = group(app, "consents", "What each number and address said about being written to.")
    verb(noun, "show", example="consents show +13125550188")(show_one)
    verb(noun, "record", example='consents record +13125550188 --stop --evidence "asked on the phone"')(record)


async def show_one(aim: Aim, *, address: Address) -> None:
    """Show everything an address ever said; the last line counts."""
    from control_center.store import consents, db

    async with aim.database() as here, db.session(here.pool) as connection:
        channel, known = _normal(address, await _country(connection, here.studio))
        found = await consents.history(connection, here.studio, channel, known)
    rows = [
        {"at": one.at, "says": "yes" if one.allowed else "STOP", "source": one.source, "evidence": one.evidence}
        for one in found
    ]
    if aim.json:
        allowed = not found or found[-1].allowed
        as_json({"channel": channel, "address": known, "allowed": allowed, "items": rows})
    else:
        columns(rows, none=f"{known} has said nothing; texts and mail may go there")


async def record(
    aim: Aim,
    *,
    address: Address,
    evidence: Annotated[str, typer.Option(help="How this is known; kept with it.")],
    stop: Annotated[bool, typer.Option("--stop", help="No more messages.")] = False,
    start: Annotated[bool, typer.Option("--start", help="Messages are welcome again.")] = False,
) -> None:
    """Write down what an address said; STOP also stops what waits for it."""
    from control_center.store import audit, consents, db

    if stop == start:
        raise typer.BadParameter("give --stop or --start")
    by = person()
    async with aim.database() as here, db.transaction(here.pool) as tx:
        channel, known = _normal(address, await _country(tx, here.studio))
        said = await consents.history(tx, here.studio, channel, known)
        before = {"allowed": said[-1].allowed, "evidence": said[-1].evidence} if said else None
        after = {"allowed": start, "evidence": evidence}
        await consents.record(tx, here.studio, channel, known, allowed=start, source=f"person: {by}", evidence=evidence)
        await audit.write(tx, by, audit.Entry(here.studio, "record", f"consent/{known}", before, after))
    if aim.json:
        as_json({"channel": channel, "address": known, "allowed": start})
    else:
        show(f"{known}: {'messages are welcome again' if start else 'no more messages'}")


async def _country(tx: db.Connection, studio: str) -> str:
    from control_center.store import studios

    found = (await studios.get(tx, [studio])).get(studio)
    if found is None:
        raise NotFound(f"there is no studio {studio!r}")
    return found.country


def _normal(address: str, country: str) -> tuple[str, str]:
    """Channel and spelling under which an address is kept."""
    from control_center.domain import number

    found = number.email(address) if "@" in address else number.phone(address, country)
    if isinstance(found, number.Unusable):
        raise Malformed("address", f"{address!r}: {found.reason}")
    return ("sms", found.e164) if isinstance(found, number.Phone) else ("email", found)
