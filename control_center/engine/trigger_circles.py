"""Refusing triggers that would set one another off for ever, judged by all of them as they would be once saved."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from control_center.domain.chains import OF_A_STATUS, circle
from control_center.domain.errors import Malformed
from control_center.domain.trigger import Trigger
from control_center.store import db, triggers


async def refuse_circles(
    tx: db.Connection, studio: str, saved: Sequence[tuple[str, Trigger]], *, removed: Collection[str] = ()
) -> None:
    """Look at the enabled triggers of a studio with these in place of theirs, each with where it stands.

    Raises Malformed naming one of them where they go round in a circle.
    """
    if not any(one.changes_status or one.activate.on.source in OF_A_STATUS for _, one in saved if one.enabled):
        return
    mine = {one.name for _, one in saved} | set(removed)
    others = [one for one in await triggers.live(tx, studio) if one.name not in mine]
    found = circle([*others, *(one for _, one in saved)])
    if found is None:
        return
    where, named = next(((where, one) for where, one in saved if one.name in found), saved[0])
    way = " sets off ".join(repr(name) for name in found)
    raise Malformed(
        f'{where} "{named.name}", {_field(named)}', f"goes round in a circle: {way}; let one of them end it"
    )


def _field(named: Trigger) -> str:
    if named.then_status is not None:
        return "then_status"
    return "change_status.to" if named.to_status else "status"
