"""Whether one person may let something go alone; where a bulk needs a second one, it is asked for, or approved."""

from __future__ import annotations

from datetime import datetime

from control_center.domain.errors import Refused
from control_center.domain.second_person import ROLE, needed
from control_center.engine.review_list import Miscounted
from control_center.store import audit, bulk_approvals, db, studios
from control_center.store.bulks import Bulk


async def passes(tx: db.Connection, one: Bulk, listed: int, begins: datetime | None, now: datetime, *, by: str) -> bool:
    """Whether `by` lets a locked bulk go to so many people alone; who may not, and made or changed it, asks for it.

    Raises Refused where `by` is the second person: they approve what they have reviewed, and nothing less.
    """
    above = await _above(tx, one.studio)
    if not needed(above, listed):
        return True
    named, why = f"b-{one.bulk_id}", f"{listed:,} are more than the {above:,} that one person may write to"
    if not one.hands.are(by):
        raise Refused(
            f"{named} was {one.hands.told}, and {why}: you may approve it; control-center bulk show {named} says what"
            " there is to review, and how"
        )
    begins = begins if begins is not None and begins > now else None
    reason = f"asked for by {by}: {why}; somebody else with the role {ROLE} has to approve it"
    await bulk_approvals.ask(tx, one, now, begins, by=str(by), reason=reason)
    after = {"state": one.state.value, "asked_for": begins or "at once", "recipients": listed}
    await audit.write(tx, by, audit.Entry(one.studio, "ask", f"bulk/{named}", _before(one), after))
    return False


async def check(tx: db.Connection, one: Bulk, now: datetime, *, expect: int, seen: str, by: str) -> None:
    """Note that `by` approves a locked bulk as they saw it. Raises Refused and Miscounted; each says who does what."""
    named = f"b-{one.bulk_id}"
    reviewed = await bulk_approvals.to_review(tx, one)
    if not needed(await _above(tx, one.studio), reviewed.listed):
        raise Refused(f"{named} needs no second person: control-center bulk start {named} lets it go")
    if one.hands.are(by):
        raise Refused(f"{named} was {one.hands.told}: somebody else with the role {ROLE} has to approve it")
    if reviewed.listed != expect:
        raise Miscounted(expect, {"listed": reviewed.listed})
    if reviewed.code != seen:
        raise Refused(
            f"{named} is not what was reviewed under {seen!r}: its people, their number, its words or its time are"
            f" others; look again: control-center bulk show {named}"
        )
    if one.begins is not None and one.begins < now:
        raise Refused(
            f"{named} was to begin at {one.begins.isoformat(timespec='minutes')}, which is over: {one.made_by} asks for"
            f" another time: control-center bulk start {named}"
        )
    after = {"state": "approved", "begins": one.begins or "at once", "recipients": expect, "seen": seen}
    await audit.write(tx, by, audit.Entry(one.studio, "approve", f"bulk/{named}", _before(one), after))


async def _above(tx: db.Connection, studio: str) -> int | None:
    house = (await studios.get(tx, [studio])).get(studio)
    return house.second_person_above if house is not None else None


def _before(one: Bulk) -> dict[str, object]:
    return {
        "state": one.state.value,
        "made_by": one.made_by,
        "changed_by": one.changed_by,
        "asked_by": one.asked_by,
        "asked_for": one.asked_for,
    }
