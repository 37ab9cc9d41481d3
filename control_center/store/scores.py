"""The session whose score counts for an invoice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from control_center.domain.record import Picture
from control_center.store import records
from control_center.store.db import Connection
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebook


async def sessions(
    tx: Connection, wanted: Iterable[tuple[int, Picture | None]], books: Mapping[str, Rulebook]
) -> dict[Key, Picture]:
    """The sessions of those records, each with its trigger, that are invoices and whose trigger looks at a score.

    By the key of the invoice. Asks nothing where there is none, which is nearly always.
    """
    of = {
        picture.key: (picture.studio, "session", session)
        for trigger_id, picture in wanted
        if picture is not None
        and picture.kind == "invoice"
        and (rule := books[picture.studio].rules.by_id.get(trigger_id)) is not None
        and rule.trigger.exclude.nps is not None
        and (session := (picture.record.links or {}).get("session")) is not None
    }
    if not of:
        return {}
    found = await records.get(tx, set(of.values()))
    return {invoice: found[session] for invoice, session in of.items() if session in found}
