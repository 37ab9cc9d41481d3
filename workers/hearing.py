"""What a message centre says on its session, stored before the centre is told that we have it."""

from __future__ import annotations

from datetime import UTC
from hashlib import sha256

import structlog

from control_center.domain.inbound import LONGEST_NAME, Inbound, readable
from control_center.domain.outcome import Receipt
from control_center.store import db, heard, receipts
from control_center.store.heard import Words
from control_center.store.receipts import Came

log = structlog.get_logger(__name__)

SAME_TEXT = 600  # seconds within which parts of one reference are of one text: centres count references to 255


class Hearing:
    """Stores what one account's session brings. The engine reads it: receipts and texts go the way of all others."""

    def __init__(self, pool: db.Pool, account: str) -> None:
        self._pool = pool
        self._account = account

    async def hear(
        self,
        text: Inbound | None,
        part: tuple[str, int, int] | None,
        receipt: tuple[str, Receipt] | None,
        raw: str,
    ) -> bool:
        """Whether it is stored; where not, the centre has to bring it again."""
        try:
            async with db.session(self._pool) as connection:
                if receipt is not None:
                    # Without its message, which the engine finds on its next round.
                    came = Came(readable(receipt[0])[:LONGEST_NAME], receipt[1].readable, raw)
                    await receipts.add(connection, self._account, [(came, None)])
                if text is not None:
                    await self._keep(connection, text, part, raw)
                    await db.notify(connection, heard.CHANNEL)
        except (*db.AWAY, *db.MET) as error:
            log.warning("delivery.unheard", account=self._account, reason=f"{type(error).__name__}: {error}")
            return False
        return True

    async def _keep(
        self, connection: db.Connection, text: Inbound, part: tuple[str, int, int] | None, raw: str
    ) -> None:
        if part is None:
            await heard.keep(connection, self._account, text.known_by, Words(text, raw))
            return
        common, number, total = part
        assert text.at is not None, "what comes on a session comes now"
        stretch = int(text.at.astimezone(UTC).timestamp()) // SAME_TEXT
        before, whole = f"smpp {common} {stretch - 1}", f"smpp {common} {stretch}"
        said = f"{number} {sha256(text.text.encode('utf-8', 'replace')).hexdigest()[:16]}"
        if await heard.begun(connection, self._account, f"{before} {said}", before):
            whole = before  # its text began in the stretch of time before this one
        await heard.keep(connection, self._account, f"{whole} {said}", Words(text, raw, whole, number, total))
