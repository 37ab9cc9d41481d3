"""The studio of the settings, made where there is none at all."""

from __future__ import annotations

import structlog

from control_center.domain.signature import Signature
from control_center.domain.studio import Studio, spelled
from control_center.engine.studios import resource
from control_center.engine.users import SETTINGS
from control_center.settings import Settings
from control_center.store import audit, db, studios

log = structlog.get_logger(__name__)


async def first_studio(pool: db.Pool, settings: Settings) -> None:
    """Make the studio that the settings describe where there is none at all."""
    async with db.transaction(pool) as tx:
        if await studios.every(tx):
            return
        studio = Studio(
            settings.studio,
            settings.studio.replace("-", " ").title(),
            settings.timezone,
            settings.country,
            numbers=spelled([settings.sms_from] if settings.sms_from else [], settings.country),
            email_sender=settings.email_from,
        )
        await studios.put(tx, studio)
        made = audit.Entry(studio.studio, "create", f"studio/{studio.studio}", after=resource(studio))
        await audit.write(tx, Signature(SETTINGS, "settings"), made)
    log.info("studio.created", studio=studio.studio, timezone=studio.timezone)
