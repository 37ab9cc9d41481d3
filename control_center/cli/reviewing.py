"""`actions review`: what waits, by trigger, with a few of each to look at before deciding about all."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

from typing import TYPE_CHECKING

from control_center.cli.aim import Aim, show
from control_center.cli.narrowing import DueBefore, DueFrom, OfRecord, OfTrigger, States, filter_of
from control_center.cli.tables import as_json, columns, local

if TYPE_CHECKING:
    from control_center.domain.zones import Zone
    from control_center.store.views_review import Group


async def review(
    aim: Aim,
    *,
    state: States = None,
    trigger: OfTrigger = None,
    record: OfRecord = None,
    due_from: DueFrom = None,
    due_before: DueBefore = None,
) -> None:
    """What waits, by trigger: how many, since when, ten of them, and why any are held. Decides nothing."""
    from control_center.store import db, views_review

    async with aim.database() as here, db.session(here.pool) as connection:
        zone = await here.zone()
        wanted = filter_of(state, trigger, record, due=(due_from, due_before), zone=zone)
        groups = await views_review.groups(connection, here.studio, wanted)
    if aim.json:
        as_json({"items": groups, "next_cursor": None})
        return
    if not groups:
        show("nothing waits there")
    for number, group in enumerate(groups):
        if number:
            show("")
        _print(group, zone)


def _print(group: Group, zone: Zone) -> None:
    states = ", ".join(f"{number:,} {state}" for state, number in group.states.items()) or "nothing waits"
    since = f"; the oldest was due {local(zone, group.oldest_due)}" if group.oldest_due else ""
    show(f"{group.trigger or 'a deleted trigger'}: {states}{since}")
    if group.held_since is not None:
        show(f"  shut since {local(zone, group.held_since)}: {group.reason}")
    rows = [
        {
            "id": one.id,
            "state": one.state,
            "due": local(zone, one.due_at),
            "who": one.who,
            "record": one.record,
            "reason": "" if one.reason == group.reason else one.reason,
        }
        for one in group.samples
    ]
    if rows:
        columns(rows, none="")
    if group.count > len(rows):
        show(f"and {group.count - len(rows):,} more")
