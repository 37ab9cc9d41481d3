"""`audit`: who changed what, and when."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_center.cli.aim import Aim
from control_center.cli.tables import as_json, columns, local
from control_center.cli.verbs import verb

if TYPE_CHECKING:
    from control_center.domain.zones import Zone
    from control_center.store.views_audit import Audited


def add_to(app: typer.Typer) -> None:
    verb(app, "audit", example="audit --resource trigger/12")(audit)


async def audit(
    aim: Aim,
    *,
    resource: Annotated[str, typer.Option(help="Only of this one, such as trigger/12.")] = "",
    who: Annotated[str, typer.Option(help="Only what this user or account did.")] = "",
    cursor: Annotated[str, typer.Option(help="next_cursor of the page before.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
) -> None:
    """List who changed what, newest first: triggers, blackouts, users, consents, decisions and the like."""
    from control_center.store import db, views_audit
    from control_center.store.audit import INSTALLATION

    wanted = views_audit.Filter(resource=resource or None, who=who or None)
    async with aim.database() as here, db.session(here.pool) as connection:
        studios = [here.studio, INSTALLATION]
        page = await views_audit.audit(connection, studios, wanted, cursor=cursor or None, limit=limit)
        zone = await here.zone()
    if aim.json:
        as_json(page)
        return
    nothing = "nothing was changed yet"
    if resource or who:
        nothing = "no such change; resources are named as in trigger/12, message/m-12 or template/session-reminder"
    columns([_row(one, zone) for one in page.items], none=nothing)


def _row(one: Audited, zone: Zone) -> dict[str, Any]:
    return {
        "at": local(zone, one.at),
        "who": one.who,
        "via": one.via,
        "did": f"{one.verb} {one.resource}",
        "changed": ", ".join(_changed(one.before, one.after)),
    }


def _changed(before: Any, after: Any) -> list[str]:
    """The fields that differ, or nothing where the whole was made or is gone."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return []
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
