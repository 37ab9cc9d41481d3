"""What people do with bulks: make the list, take somebody off it, let it go, stop it, let it go on, end it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from control_center.domain import bulk as rules
from control_center.domain import imprint, template_advice, wording
from control_center.domain.bulk import LASTS, Audience, State, Turn, Way
from control_center.domain.catalogue_actions import Leg
from control_center.domain.errors import Malformed, NotFound, Refused
from control_center.domain.links import out_of_place
from control_center.domain.studio import Studio
from control_center.domain.text_advice import Advice
from control_center.engine import arming, bulk_list, second_person
from control_center.engine.review_list import Miscounted
from control_center.store import audit, bulk_approvals, bulks, db, studios, templates
from control_center.store.bulks import Bulk, New
from control_center.store.messages import WORK_CHANNEL

log = structlog.get_logger(__name__)

PUMP_CHANNEL = "control_center_bulk"  # what db.notify is told where a bulk may have its turn
_EVENTS = {"paused": "bulk.paused", "resumed": "bulk.resumed", "cancelled": "bulk.cancelled"}
_YEAR = timedelta(days=365)
_JUST_NOW = timedelta(minutes=5)  # so long ago a time may be that somebody means as "at once"


@dataclass(frozen=True, slots=True)
class Wish:
    """A bulk as a person asks for it. `expect`: let it go at once, where the list has just so many."""

    audience: Audience
    template: str
    channel: str = "sms"
    name: str = ""
    start_at: datetime | None = None
    lasts: timedelta = LASTS
    expect: int | None = None


async def create(pool: db.Pool, clock: Callable[[], datetime], studio: str, wish: Wish, *, by: str) -> Bulk:
    """Freeze a list, which waits for its review. Raises Malformed, NotFound, Refused."""

    async def work(tx: db.Connection) -> Bulk:
        house = (await studios.share(tx, [studio])).get(studio)
        if house is None:
            raise NotFound(f"there is no studio {studio!r}")
        words = (await templates.with_frames(tx, studio)).get(wish.template)
        new = _new(house, wish, words, clock(), by=by)
        bulk_id = await bulks.add(tx, new)
        way = Way(Leg(new.channel), new.purpose, house.country)
        count = await bulk_list.freeze(tx, studio, bulk_id, wish.audience, way)
        made = await _locked(tx, studio, bulk_id)
        if not count:
            raise Refused("nobody is meant: no record passes this filter")
        after = {"name": new.name, "audience": new.audience.said(), "template": new.template, "recipients": count}
        await audit.write(tx, by, audit.Entry(studio, "create", f"bulk/b-{bulk_id}", None, after))
        if wish.expect is not None and wish.expect == await bulks.count_listed(tx, studio, bulk_id):
            await _let_go(tx, made, wish.expect, wish.start_at, clock(), by=by)
        return await _locked(tx, studio, bulk_id)

    made = await db.retried(pool, work)
    log.info("bulk.made", studio=studio, bulk=f"b-{made.bulk_id}", state=made.state.value)
    return made


def _new(house: Studio, wish: Wish, words: dict[str, Any] | None, now: datetime, *, by: str) -> New:
    """The row of a bulk. Raises Malformed naming what does not go together."""
    if words is None:
        raise Malformed("template", f"there is no template {wish.template!r}")
    if words.get("kind", "any") not in ("any", wish.audience.kind):
        raise Malformed(
            "template", f"{wish.template!r} is for a {words['kind']}, and this list has {wish.audience.kind}s"
        )
    wording.refuse({part: words.get(part) for part in template_advice.PARTS}, "template.")
    text = wish.channel == "sms"
    if not (words.get("sms") or words.get("text")):
        raise Malformed("template", f"{wish.template!r} has no words for this channel")
    lacking = out_of_place(words, Leg(wish.channel), wish.audience.kind)
    if lacking is not None:
        raise Malformed("template", f"{wish.template!r}: {lacking}; this list has {wish.audience.kind}s")
    sender = house.sms_sender if text else house.email_sender
    if not sender:
        raise Refused(f"the studio has no {'number to text' if text else 'address to mail'} from")
    _check_time(wish.start_at, now)
    purpose = words.get("purpose", "marketing")
    nameless = imprint.lacking(house) if not text and purpose == "marketing" else None
    if nameless is not None:
        raise Refused(nameless)
    return New(
        studio=house.studio,
        name=wish.name or wish.template,
        channel=wish.channel,
        purpose=purpose,
        audience=wish.audience,
        template=wish.template,
        words=words,
        account=f"sms/{house.sms_account}" if text else f"email/{house.email_account}",
        sender=sender,
        start_at=wish.start_at,
        lasts=wish.lasts,
        made_by=str(by),
    )


def _check_time(when: datetime | None, now: datetime) -> None:
    """Raise Malformed for a time that is over: who has mistaken the day wants nothing to go out at once."""
    if when is not None and when > now + _YEAR:
        raise Malformed("when", "lies more than a year ahead")
    if when is not None and when < now - _JUST_NOW:
        raise Malformed("when", f"{when.isoformat(timespec='minutes')} is over; leave it out to begin at once")


async def advised(tx: db.Connection, studio: str, words: Mapping[str, Any], channel: str) -> list[Advice]:
    """What somebody should think over of a bulk's words before they let it go. Raises NotFound."""
    house = (await studios.get(tx, [studio])).get(studio)
    if house is None:
        raise NotFound(f"there is no studio {studio!r}")
    return template_advice.advise_bulk(words, channel, house)


async def tick(
    pool: db.Pool, studio: str, bulk_id: int, recipients: Sequence[int], *, on: bool = False, by: str
) -> list[int]:
    """Take people off a list that is being reviewed, or put them back `on`. Raises NotFound naming who is not on it."""
    turn = Turn.LISTED if on else Turn.UNTICKED

    async def work(tx: db.Connection) -> list[int]:
        found = await _locked(tx, studio, bulk_id)
        rules.check(found.state, "changed")
        done = await bulks.tick(tx, studio, bulk_id, recipients, turn)
        if missing := set(recipients) - set(done):
            named = ", ".join(str(one) for one in sorted(missing)[:10])
            raise NotFound(f"no. {named} is not on this list, or cannot be written to anyway")
        people = {"recipients": sorted(done)}
        before, after = {"on_list": not on, **people}, {"on_list": on, **people}
        await bulk_approvals.changed(tx, found, by=str(by))
        await audit.write(tx, by, audit.Entry(studio, "change", f"bulk/b-{bulk_id}", before, after))
        return done

    return await db.retried(pool, work)


async def start(
    pool: db.Pool,
    clock: Callable[[], datetime],
    studio: str,
    bulk_id: int,
    *,
    expect: int,
    at: datetime | None = None,
    by: str,
) -> Bulk:
    """Let a reviewed list go, now or `at` a time. `expect` is how many the list had when it was looked at.

    Above its studio's second_person_above it is only asked for by who made or changed it, and stays in review.
    Raises NotFound, Refused, Malformed for a time that is over or too far ahead, and Miscounted where the list has
    another number.
    """

    async def work(tx: db.Connection) -> Bulk:
        found = await _locked(tx, studio, bulk_id)
        rules.check(found.state, "started")
        _check_time(at, clock())
        listed = await bulks.count_listed(tx, studio, bulk_id)
        if listed != expect:
            raise Miscounted(expect, {"listed": listed})
        if not listed:
            raise Refused("nobody is left on this list")
        await _let_go(tx, found, listed, at or found.start_at, clock(), by=by)
        return await _locked(tx, studio, bulk_id)

    begun = await db.retried(pool, work)
    _tell_begun(begun, expect)
    return begun


async def approve(
    pool: db.Pool, clock: Callable[[], datetime], studio: str, bulk_id: int, *, expect: int, seen: str, by: str
) -> Bulk:
    """Let a list go that others made and `by` has reviewed: so many people, under the code of what they saw.

    Raises NotFound, Refused, and Miscounted where the list has another number.
    """

    async def work(tx: db.Connection) -> Bulk:
        found, now = await _locked(tx, studio, bulk_id), clock()
        rules.check(found.state, "approved")
        await arming.refuse_forgotten(tx, found)
        await second_person.check(tx, found, now, expect=expect, seen=seen, by=by)
        await _begin(tx, found, found.begins or now, by=found.asked_by or by)
        await bulk_approvals.approve(tx, found, now, by=str(by))
        return await _locked(tx, studio, bulk_id)

    begun = await db.retried(pool, work)
    _tell_begun(begun, expect)
    return begun


def _tell_begun(one: Bulk, listed: int) -> None:
    names = {"studio": one.studio, "bulk": f"b-{one.bulk_id}", "recipients": listed}
    if one.state is State.REVIEW:
        log.warning("bulk.asked", **names, reason=one.reason)
    else:
        log.info("bulk.started", **names, start_at=str(one.start_at), approved_by=one.approved_by)


async def _let_go(
    tx: db.Connection, found: Bulk, listed: int, when: datetime | None, now: datetime, *, by: str
) -> None:
    begins = now if when is None else max(when, now)
    await arming.refuse_forgotten(tx, found)
    wording.refuse({part: found.words.get(part) for part in template_advice.PARTS}, "template.")
    if not await second_person.passes(tx, found, listed, when, now, by=by):
        return
    await _begin(tx, found, begins, by=by)
    after = {"state": State.SCHEDULED.value, "start_at": begins}
    await audit.write(tx, by, audit.Entry(found.studio, "change", f"bulk/b-{found.bulk_id}", _shown(found), after))


async def _begin(tx: db.Connection, found: Bulk, at: datetime, *, by: str) -> None:
    await bulks.let_go(tx, found, State.SCHEDULED, at, by=str(by))
    await db.notify(tx, PUMP_CHANNEL)


async def pause(pool: db.Pool, clock: Callable[[], datetime], studio: str, bulk_id: int, *, by: str) -> Bulk:
    """Stop a bulk: what has not left yet waits. Raises NotFound, Refused."""

    async def work(tx: db.Connection, found: Bulk) -> None:
        await bulks.pause(tx, found, reason=_signed("paused", by, clock()))

    return await _turned(pool, studio, bulk_id, "paused", work, by=by)


async def resume(pool: db.Pool, clock: Callable[[], datetime], studio: str, bulk_id: int, *, by: str) -> Bulk:
    """Let a paused bulk go on. Raises NotFound, Refused."""

    async def work(tx: db.Connection, found: Bulk) -> None:
        await bulks.resume(tx, found, clock())
        await db.notify(tx, PUMP_CHANNEL)
        await db.notify(tx, WORK_CHANNEL)

    return await _turned(pool, studio, bulk_id, "resumed", work, by=by)


async def cancel(pool: db.Pool, clock: Callable[[], datetime], studio: str, bulk_id: int, *, by: str) -> Bulk:
    """End a bulk: what has not left yet never does. Raises NotFound, Refused."""

    async def work(tx: db.Connection, found: Bulk) -> None:
        await bulks.cancel(tx, found, reason=_signed("cancelled", by, clock()))

    return await _turned(pool, studio, bulk_id, "cancelled", work, by=by)


async def _turned(
    pool: db.Pool, studio: str, bulk_id: int, deed: str, work: Callable[[db.Connection, Bulk], Any], *, by: str
) -> Bulk:
    async def turned(tx: db.Connection) -> Bulk:
        found = await _locked(tx, studio, bulk_id)
        rules.check(found.state, deed)
        await work(tx, found)
        after = await _locked(tx, studio, bulk_id)
        entry = audit.Entry(studio, "change", f"bulk/b-{bulk_id}", _shown(found), _shown(after))
        await audit.write(tx, by, entry)
        return after

    after = await db.retried(pool, turned)
    log.info(_EVENTS[deed], studio=studio, bulk=f"b-{bulk_id}", reason=after.reason or None)
    return after


async def _locked(tx: db.Connection, studio: str, bulk_id: int) -> Bulk:
    found = await bulks.lock(tx, studio, bulk_id)
    if found is None:
        raise NotFound(f"there is no bulk b-{bulk_id}")
    return found


def _signed(deed: str, by: str, now: datetime) -> str:
    return f"{deed} by {by} at {now.isoformat(timespec='seconds')}"


def _shown(one: Bulk) -> dict[str, Any]:
    return {"state": one.state.value, "reason": one.reason}
