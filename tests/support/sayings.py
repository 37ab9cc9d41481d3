"""What addresses say, with defaults."""

from __future__ import annotations

from control_center.domain.consent import Purpose, Said
from control_center.store import consents, db
from control_center.store.consents import Saying

NUMBER = "+13125550188"


def a_saying(
    address: str = NUMBER,
    says: Said = Said.STOP,
    *,
    purpose: Purpose = Purpose.ALL,
    studio: str = "main",
    source: str = "reply",
    evidence: str = "STOP",
) -> Saying:
    """What one address said; by default STOP, in reply to a text."""
    return Saying(studio, "email" if "@" in address else "sms", address, says, source, evidence, purpose)


async def said(tx: db.Connection, address: str = NUMBER, says: Said = Said.STOP, **details: str) -> None:
    """Write it into the ledger, and nothing else."""
    await consents.record(tx, a_saying(address, says, **details))  # type: ignore[arg-type]  # passed on as they are
