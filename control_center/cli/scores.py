"""`scores`: how likely clients are to recommend the studio."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_center.cli.aim import Aim, show
from control_center.cli.tables import as_json, columns
from control_center.cli.verbs import verb
from control_center.domain.errors import Malformed

if TYPE_CHECKING:
    from control_center.domain.net_promoter import Promoters


def add_to(app: typer.Typer) -> None:
    verb(app, "scores", example='scores --since 2027-01-01 --trigger "How was it?"')(scores)


async def scores(
    aim: Aim,
    *,
    since: Annotated[str, typer.Option(metavar="DATE", help="The first day; by default a year is shown.")] = "",
    until: Annotated[str, typer.Option(metavar="DATE", help="The last day; by default today.")] = "",
    trigger: Annotated[str, typer.Option(metavar="NAME", help="Only what this trigger asked.")] = "",
) -> None:
    """Show the net promoter score: of the studio, by month, and by the trigger that asked."""
    from control_center.engine import net_promoter
    from control_center.service import now

    async with aim.database() as here:
        found = await net_promoter.report(
            here.pool,
            now(),
            here.studio,
            since=_day("since", since),
            until=_day("until", until),
            trigger=trigger or None,
        )
    if aim.json:
        months = [{"month": one.name, **_counts(one.counted)} for one in found.months]
        asked_by = [{"asked_by": one.name, **_counts(one.counted)} for one in found.asked_by]
        total = _counts(found.total)
        as_json({"since": found.since, "until": found.until, "total": total, "months": months, "asked_by": asked_by})
        return
    lines = [(f"{found.since} to {found.until}", found.total)]
    lines += [(one.name, one.counted) for one in (*found.months, *found.asked_by) if one.counted.responses]
    columns([{"of": name, **_counts(counted), "score": _rounded(counted)} for name, counted in lines], none="")
    if not found.total.responses:
        show("nobody has answered: there is no score")


def _day(name: str, typed: str) -> date | None:
    try:
        return date.fromisoformat(typed) if typed else None
    except ValueError:
        raise Malformed(name, f"{typed[:40]!r}; a day such as 2027-06-12 is needed") from None


def _counts(found: Promoters) -> dict[str, Any]:
    counts = {name: getattr(found, name) for name in ("responses", "promoters", "passives", "detractors")}
    return {**counts, "score": found.score}


def _rounded(found: Promoters) -> str:
    return "" if found.score is None else f"{found.score:.0f}"
