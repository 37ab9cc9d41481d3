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
    """Show everything an address ever said: of each purpose, the last line counts."""
    from control_center.domain.consent import replay
    from control_center.store import consents, db

    async with aim.database() as here, db.session(here.pool) as connection:
        channel, known = _normal(address, await _country(connection, here.studio))
        found = await consents.history(connection, here.studio, channel, known)
    rows = [
        {"at": one.at, "purpose": one.purpose, "says": one.says, "source": one.source, "evidence": one.evidence}
        for one in found
    ]
    if aim.json:
        now = replay((one.purpose, one.says) for one in found)
        standing = {"stopped": now.stopped, "no_marketing": now.no_marketing, "doubtful": now.doubtful}
        as_json({"channel": channel, "address": known, **standing, "items": rows})
    else:
        columns(rows, none=f"{known} has said nothing; texts and mail may go there")


async def record(
    aim: Aim,
    *,
    address: Address,
    evidence: Annotated[str, typer.Option(help="How this is known; kept with it.")],
    stop: Annotated[bool, typer.Option("--stop", help="No more messages.")] = False,
    start: Annotated[bool, typer.Option("--start", help="Messages are welcome again.")] = False,
    no_stop: Annotated[bool, typer.Option("--no-stop", help="What was in doubt is no opt-out.")] = False,
    marketing: Annotated[bool, typer.Option("--marketing", help="Of marketing only.")] = False,
) -> None:
    """Write down what an address said; STOP also stops what waits for it."""
    from control_center.domain.consent import Purpose, Said, told
    from control_center.engine import consenting
    from control_center.service import now
    from control_center.store import audit, db
    from control_center.store.consents import Saying

    if stop + start + no_stop != 1:
        raise typer.BadParameter("give one of --stop, --start and --no-stop")
    says = Said.STOP if stop else Said.START if start else Said.NO_STOP
    purpose = Purpose.MARKETING if marketing else Purpose.ALL
    by = person()
    async with aim.database() as here, db.transaction(here.pool) as tx:
        channel, known = _normal(address, await _country(tx, here.studio))
        said = Saying(here.studio, channel, known, says, f"person: {by}", evidence, purpose)
        effect = await consenting.say(tx, said, now())
        before = {"stopped": effect.before.stopped, "no_marketing": effect.before.no_marketing}
        after = {"purpose": purpose, "says": says, "evidence": evidence}
        await audit.write(tx, by, audit.Entry(here.studio, "record", f"consent/{known}", before, after))
    consenting.tell(effect)
    if aim.json:
        as_json({"channel": channel, "address": known, "purpose": purpose, "says": says})
    else:
        show(f"{known}: {told(purpose, says)}")


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
