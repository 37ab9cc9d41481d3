"""Days that come round each year: when one has been dealt with, the next is planned in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from control_center.domain.action import Add
from control_center.domain.reconciliation import reconcile
from control_center.store import actions, db, records, studios
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebook, Rulebooks


async def plan_next(
    tx: db.Connection,
    over: Iterable[tuple[Key, str]],
    now: datetime,
    *,
    books: Mapping[str, Rulebook] | None = None,
) -> None:
    """Plan what follows on these occurrences of records, where they are years. Nothing else tells that one is over.

    `books` are their studios' rules, where they are at hand. Whatever else an occurrence is named by, costs nothing.
    """
    keys = sorted({key for key, occurrence in over if occurrence.partition(" ")[0].isdecimal()})
    if not keys:
        return
    if books is None:
        books = await Rulebooks().of(tx, await studios.get(tx, {studio for studio, _, _ in keys}))
    pictures = await records.get(tx, keys)
    have = await actions.of_records(tx, keys)
    added: list[tuple[Key, Add, str | None]] = [
        (key, step, None)
        for key, picture in sorted(pictures.items())
        for step in reconcile(picture, books[picture.studio].rules, have.get(key, ()), now)
        if isinstance(step, Add)
    ]
    if added:
        await actions.add(tx, added)
