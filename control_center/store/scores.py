"""The session whose score counts for an invoice, and the invoices that a session's score counts for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from control_center.domain.record import Picture
from control_center.domain.rules import Rules
from control_center.store import records
from control_center.store.db import Connection
from control_center.store.records import Key
from control_center.store.rulebooks import Rulebook


async def sessions(
    tx: Connection, wanted: Iterable[tuple[int | None, int | None, Picture | None]], books: Mapping[str, Rulebook]
) -> dict[Key, Picture]:
    """The sessions of those records, each with its trigger and version, that are invoices and judged by a score.

    By the key of the invoice; what no trigger made has none. Asks nothing where there is none, which is nearly always.
    """
    of = {
        picture.key: session
        for trigger_id, version, picture in wanted
        if picture is not None
        and picture.kind == "invoice"
        and trigger_id is not None
        and version is not None
        and (rule := books[picture.studio].rules.of(trigger_id, version)) is not None
        and rule.trigger.exclude.nps is not None
        and (session := session_of(picture)) is not None
    }
    if not of:
        return {}
    found = await records.get(tx, set(of.values()))
    return {invoice: found[session] for invoice, session in of.items() if session in found}


def session_of(invoice: Picture) -> Key | None:
    """The key of the session that an invoice says it is for."""
    session = (invoice.record.links or {}).get("session")
    return None if session is None else (invoice.studio, "session", session)


WAITING = """
SELECT DISTINCT actions.studio_id, actions.kind, actions.record_id
  FROM unnest($1::text[], $2::bigint[]) AS asked (studio_id, trigger_id)
  JOIN actions ON actions.studio_id = asked.studio_id AND actions.trigger_id = asked.trigger_id
 WHERE state = 'lapsed' AND kind = 'invoice' AND use_by > $3 AND reason LIKE 'NPS:%'"""


async def waiting(
    tx: Connection, scored: Collection[Key], rules: Mapping[str, Rules], now: datetime
) -> dict[Key, Picture]:
    """The invoices of these sessions, locked, that lapsed for their score and can still be of use.

    Asks nothing where no trigger on invoices looks at one.
    """
    asked = [
        (studio, trigger_id)
        for studio in sorted({studio for studio, _, _ in scored})
        for trigger_id, rule in rules[studio].by_id.items()
        if rule.trigger.kind.name == "invoice" and rule.trigger.exclude.nps is not None
    ]
    if not asked:
        return {}
    rows = await tx.fetch(WAITING, [studio for studio, _ in asked], [trigger_id for _, trigger_id in asked], now)
    found = await records.get(tx, [(row[0], row[1], row[2]) for row in rows])
    theirs = [key for key, picture in found.items() if session_of(picture) in scored]
    return await records.lock(tx, theirs) if theirs else {}
