"""Making, changing and dropping studios."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

import structlog

from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.studio import Studio, parse
from control_center.domain.wire import mime
from control_center.engine import zone_sweep
from control_center.engine.editions import check_edition
from control_center.store import audit, db, messages, studios, users

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]


def resource(studio: Studio) -> dict[str, Any]:
    """A studio as contract part 5 gives it; `parse` reads it back."""
    return {
        "id": studio.studio,
        "name": studio.name,
        "timezone": studio.timezone,
        "country": studio.country,
        **studio.settings(),
        "enabled": studio.enabled,
    }


async def create(pool: db.Pool, values: Mapping[str, Any], *, by: str) -> Studio:
    """Make a studio. Raises Malformed naming the field, Refused where there is one of that id."""
    wanted = parse(values)
    async with db.transaction(pool) as tx:
        if await _locked(tx, wanted.studio) is not None:
            raise Refused(f"there is a studio {wanted.studio!r} already")
        return await _save(tx, None, wanted, by=by)


async def replace(
    pool: db.Pool,
    clock: Clock,
    studio: str,
    values: Mapping[str, Any],
    *,
    by: str,
    sharing: bool = True,
    read: Collection[str] | None = None,
) -> Studio:
    """Replace all that a studio says: what is left out gets its default. Raises Malformed, NotFound, Refused.

    `read` are the editions from which it was written: Outdated where it says something else by now.
    In another time zone, what waits is placed by that one's clocks. Without `sharing` a number or an account that
    another studio has may not be taken: its replies would come here, and its texts be paid there.
    """
    wanted = parse({"id": studio, **values})
    if wanted.studio != studio:
        raise Malformed("id", f"{wanted.studio!r}; the studio is {studio!r}, and a studio keeps its id")
    async with db.transaction(pool) as tx:
        before = await _locked(tx, studio)
        if before is None:
            raise NotFound(f"there is no studio {studio!r}")
        check_edition(resource(before), read, f"studio {studio!r}")
        if not sharing:
            await _refuse_anothers(tx, before, wanted)
        saved = await _save(tx, before, wanted, by=by)
        await _relocate(tx, before, saved, clock())
        return saved


async def put(pool: db.Pool, clock: Clock, wanted: Studio, *, by: str) -> Studio:
    """Make a studio, or replace what it says."""
    async with db.transaction(pool) as tx:
        before = await _locked(tx, wanted.studio)
        saved = await _save(tx, before, wanted, by=by)
        await _relocate(tx, before, saved, clock())
        return saved


async def drop(pool: db.Pool, studio: str, *, by: str, read: Collection[str] | None = None) -> None:
    """Delete a studio with its triggers, templates and blackout days.

    Raises Refused while anything waits, NotFound, Outdated where it says something else than in the editions `read`.
    """
    async with db.transaction(pool) as tx:
        before = await _locked(tx, studio)
        if before is None:
            raise NotFound(f"there is no studio {studio!r}")
        check_edition(resource(before), read, f"studio {studio!r}")
        if await studios.has_waiting(tx, studio):
            raise Refused(f"studio {studio!r} has actions or messages that wait; delete them first, or disable it")
        await studios.drop(tx, studio)
        await users.forget_studio(tx, studio)
        await audit.write(tx, by, audit.Entry(studio, "delete", f"studio/{studio}", resource(before)))
    log.info("studio.deleted", studio=studio, by=by)


async def _locked(tx: db.Connection, studio: str) -> Studio | None:
    """The studio as it is; whoever else makes or changes it waits."""
    await studios.lock(tx, studio)
    await studios.bump(tx, studio)
    return (await studios.get(tx, [studio])).get(studio)


async def _refuse_anothers(tx: db.Connection, before: Studio, wanted: Studio) -> None:
    """Raise Refused where a studio would take what another one has; which one, is not said. What it has, it keeps."""
    await studios.lock_numbers(tx)
    added = [one for one in wanted.every_number if one not in before.every_number]
    has = await studios.used_elsewhere(tx, wanted.studio, added)
    who = "only who is for every studio may let several use it"
    for one in added:
        if one in has.numbers:
            raise Refused(f"the number {one} belongs to another studio; {who}")
    for channel, was, now, others in (
        ("sms", before.sms_account, wanted.sms_account, has.sms_accounts),
        ("email", before.email_account, wanted.email_account, has.email_accounts),
    ):
        if now != was and now in others:
            raise Refused(f"the {channel} account {now!r} belongs to another studio; {who}")


async def _save(tx: db.Connection, before: Studio | None, wanted: Studio, *, by: str) -> Studio:
    for field, address in (("email.from", wanted.email_sender), ("email.reply_to", wanted.reply_to)):
        if address:
            mime.address(field, address)  # a wrong one would pause the account, and other studios with it
    await studios.put(tx, wanted)
    saved = (await studios.get(tx, [wanted.studio]))[wanted.studio]
    verb, was = ("create", None) if before is None else ("change", resource(before))
    await audit.write(tx, by, audit.Entry(wanted.studio, verb, f"studio/{wanted.studio}", was, resource(saved)))
    if before is None:
        log.info("studio.created", studio=wanted.studio, by=by)
    else:
        log.info("studio.changed", studio=wanted.studio, by=by)
        if saved.enabled and not before.enabled:
            await messages.look_again(tx, saved.studio)
            await db.notify(tx, messages.WORK_CHANNEL)
    return saved


async def _relocate(tx: db.Connection, before: Studio | None, saved: Studio, now: datetime) -> None:
    """In another time zone, what waits is placed by that one's clocks."""
    if before is None or before.timezone == saved.timezone:
        return
    moved = await zone_sweep.place_anew(tx, saved, now)
    log.info("studio.relocated", studio=saved.studio, before=before.timezone, after=saved.timezone, moved=moved)
