"""The audit trail: who changed what. Rows are only ever added, in the transaction of the change they tell of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from control_center.domain.signature import door
from control_center.store.db import Connection

INSTALLATION = "*"  # stands for the studio where a change is about all of them


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of one resource (`trigger/12`). `before` None: it was made; `after` None: it is gone."""

    studio: str
    verb: str
    resource: str
    before: Any = None
    after: Any = None


WRITE_AUDIT = """
INSERT INTO audit (studio_id, who, via, verb, resource, before, after)
SELECT studio_id, $2, $3, verb, resource, before, after
  FROM unnest($1::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    AS change (studio_id, verb, resource, before, after)"""


async def write(tx: Connection, by: str, *entries: Entry) -> None:
    """Write down what `by` changed, and through which door where `by` is a Signature."""
    if not entries:
        return
    await tx.execute(
        WRITE_AUDIT,
        [one.studio for one in entries],
        str(by),
        door(by),
        [one.verb for one in entries],
        [one.resource for one in entries],
        [_json(one.before) for one in entries],
        [_json(one.after) for one in entries],
    )


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value, enc_hook=str).decode()
