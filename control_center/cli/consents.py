"""`consents`: what an address has said about being written to."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from typing import Annotated

import typer

from control_center.cli.aim import Aim, person, show
from control_center.cli.tables import as_json, columns, pairs
from control_center.cli.verbs import group, verb

Address = Annotated[str, typer.Argument(metavar="NUMBER|ADDRESS", help="A phone number or an email address.")]


def add_to(app: typer.Typer) -> None:
    noun = group(app, "consents", "What each number and address said about being written to.")
    verb(noun, "show", example="consents show +13125550188")(show_one)
    verb(noun, "record", example='consents record +13125550188 --stop --evidence "asked on the phone"')(record)


async def show_one(aim: Aim, *, address: Address) -> None:
    """Show everything an address ever said, with what passed between it and the studio: proof on one page."""
    from dataclasses import asdict

    from control_center.engine import proof

    async with aim.database() as here:
        found = await proof.read(here.pool, here.studio, address)
    told = asdict(found)
    said, standing = told.pop("said"), told.pop("standing")
    takes_no_texts = standing["takes_no_texts"] = bool(standing.pop("dead"))
    if aim.json:
        as_json({**told, **standing, "items": said})
        return
    ways = ", ".join(name for name, holds in standing.items() if holds) or "open"
    dead = told.pop("dead")
    if dead is not None:
        told |= {"takes no texts": dead["reason"], "since": dead["at"], "as told of": f"m-{dead['message_id']}"}
        told |= {"until": dead["lifted_at"], "because": dead["lifted_by"]} if dead["lifted_at"] else {}
    pairs({**told, "clients": ", ".join(found.clients), "standing": ways})
    leave = "" if takes_no_texts else "; texts and mail may go there"
    columns(said, none=f"{found.address} has said nothing{leave}")


async def record(
    aim: Aim,
    *,
    address: Address,
    evidence: Annotated[str, typer.Option(help="How this is known; kept with it.")],
    stop: Annotated[bool, typer.Option("--stop", help="No more messages.")] = False,
    start: Annotated[bool, typer.Option("--start", help="Messages are welcome again.")] = False,
    no_stop: Annotated[bool, typer.Option("--no-stop", help="What was in doubt is no opt-out.")] = False,
    takes_texts: Annotated[bool, typer.Option("--takes-texts", help="A provider is wrong about the number.")] = False,
    marketing: Annotated[bool, typer.Option("--marketing", help="Of marketing only.")] = False,
) -> None:
    """Write down what an address said; STOP also stops what waits for it."""
    from control_center.domain.consent import Purpose, Said, told
    from control_center.engine import proof
    from control_center.service import now

    if stop + start + no_stop + takes_texts != 1:
        raise typer.BadParameter("give one of --stop, --start, --no-stop and --takes-texts")
    if takes_texts:
        async with aim.database() as here:
            known = await proof.takes_texts(here.pool, here.studio, address, evidence=evidence, by=person())
        if aim.json:
            as_json({"channel": "sms", "address": known, "takes_no_texts": False})
        else:
            show(f"{known}: it takes texts after all")
        return
    says = Said.STOP if stop else Said.START if start else Said.NO_STOP
    purpose = Purpose.MARKETING if marketing else Purpose.ALL
    async with aim.database() as here:
        known = await proof.record(
            here.pool, now, here.studio, address, says=says, purpose=purpose, evidence=evidence, by=person()
        )
    if aim.json:
        as_json({"channel": "email" if "@" in known else "sms", "address": known, "purpose": purpose, "says": says})
    else:
        show(f"{known}: {told(purpose, says)}")
