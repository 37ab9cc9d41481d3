"""`usage`: texts of this month and last against the plan."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from typing import Any

import typer

from control_center.cli.aim import Aim, show
from control_center.cli.tables import as_json, columns
from control_center.cli.verbs import verb
from control_center.domain.errors import NotFound


def add_to(app: typer.Typer) -> None:
    verb(app, "usage", example="usage --studio main")(usage)


async def usage(aim: Aim) -> None:
    """Show the texts of this month and last, sent and received, against the studio's plan."""
    from control_center.engine import text_plans
    from control_center.service import now
    from control_center.store import db, studios

    accounts = aim.settings().carriers("sms")
    async with aim.database() as here, db.session(here.pool) as connection:
        studio = (await studios.get(connection, [here.studio])).get(here.studio)
        if studio is None:
            raise NotFound(f"there is no studio {here.studio!r}")
        found = await text_plans.report(connection, studio, now(), texting=studio.sms_account in accounts)
    if aim.json:
        as_json(found)
        return
    if not found["enabled"]:
        show(found["text"])
        return
    months = [found["this_month"], found["last_month"]]
    columns([_row(one) for one in months], none="")
    columns([_source(one, source) for one in months for source in one["by_trigger"]], none="nothing was sent")
    columns([_country(one, to) for one in months for to in one["by_country"]], none="")
    if found["plan"]:
        show(f"plan: {found['plan'].get('texts_per_month', 'without limit')} texts a month")
    if found["warning"]:
        show(found["warning"])


def _row(month: dict[str, Any]) -> dict[str, Any]:
    counts = {key: month[key] for key in ("month", "sent", "received", "segments_sent", "segments_received")}
    return {**counts, "cost": month["cost"] or ""}


def _source(month: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    return {"month": month["month"], "by": source["trigger"] or source["origin"], "texts": source["texts"]}


def _country(month: dict[str, Any], to: dict[str, Any]) -> dict[str, Any]:
    counts = {"texts": to["texts"], "segments": to["segments"], "cost": to["cost"] or ""}
    return {"month": month["month"], "to": to["country"] or "not known", **counts}
