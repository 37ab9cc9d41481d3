"""What a client's answer makes of our picture of a record, until the CRM's next version of it says otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from control_center.domain import zones
from control_center.domain.catalogue import KINDS
from control_center.domain.record import Picture, as_mapping, moment
from control_center.domain.reply import Asked, Standing

# How long an answer is taken for one. A confirmation is over with its date anyway.
LASTS: Final = {Asked.CONFIRMATION: timedelta(days=90), Asked.NPS: timedelta(days=14)}
COMMENT_LASTS: Final = timedelta(days=1)  # how long after a score a text may be the comment to it

_OURS = "m-"  # how the id of a score begins that came in as a text


def date_asked(picture: Picture) -> str | None:
    """The date that a question about this record is about, as the CRM wrote it."""
    return picture.record.dates.get(KINDS[picture.kind].primary)


def standing(
    kind: Asked, picture: Picture | None, date: str | None, zone: str, now: datetime, *, answered: bool
) -> Standing:
    """What has become of what a question was about; `date` is the one it named."""
    if answered:
        return Standing.ANSWERED
    if kind is Asked.NPS:
        return Standing.OPEN  # how it was can be said of whatever it was
    if picture is None or picture.deleted or (picture.record.flags and picture.record.flags.canceled):
        return Standing.CANCELED
    today = date_asked(picture)
    if today is None or today != date:
        return Standing.MOVED
    when = moment(today, zone)
    over = now > when.instant if when.instant else zones.local_date(zones.zone(zone), now) > when.day
    return Standing.OVER if over else Standing.OPEN


def rated(picture: Picture | None, asked_at: datetime, zone: str) -> bool:
    """Whether a record has had its score since a question was asked, in whatever way it came: the first one counts."""
    nps = picture.record.nps if picture is not None else None
    if nps is None or nps.score is None:
        return False
    try:
        when = moment(nps.received_at, zone) if nps.received_at else None
    except ValueError:
        return True
    if when is None:
        return True  # nobody says when: asked and answered as far as we know
    return when.instant >= asked_at if when.instant else when.day >= zones.local_date(zones.zone(zone), asked_at)


def confirmed(picture: Picture) -> Picture:
    """The record, confirmed."""
    body = as_mapping(picture.body)
    return _with(picture, {**body, "flags": {**(body.get("flags") or {}), "confirmed": True}})


def scored(picture: Picture, question: int, score: int, comment: str, at: datetime) -> Picture:
    """The record with a score that came in as the answer to a message."""
    nps = {
        "id": f"{_OURS}{question}",
        "score": score,
        "comment": comment,
        "received_at": at.astimezone(UTC).isoformat(),
    }
    return _with(picture, {**as_mapping(picture.body), "nps": nps})


def commented(picture: Picture, comment: str) -> Picture | None:
    """The record with what was added to its score; None where it has none any more."""
    body = as_mapping(picture.body)
    nps = body.get("nps")
    if not nps:
        return None
    said = "\n".join(part for part in (nps.get("comment"), comment) if part)
    return _with(picture, {**body, "nps": {**nps, "comment": said}})


def same_score(before: Picture | None, after: Picture) -> Picture:
    """The new version, in which a score that we know from a text keeps the id that it has here.

    The CRM gives it one of its own; by that it would be another rating, and triggers would fire on it again.
    """
    if before is None or f'"id":"{_OURS}' not in before.body:
        return after  # nearly always, and without reading either
    known, come = before.record.nps, after.record.nps
    if known is None or come is None or not (known.response_id or "").startswith(_OURS):
        return after
    if come.response_id == known.response_id or come.score != known.score:
        return after
    body = as_mapping(after.body)
    return _with(after, {**body, "nps": {**body["nps"], "id": known.response_id}})


def _with(picture: Picture, body: dict[str, Any]) -> Picture:
    return replace(picture, body=msgspec.json.encode(body).decode())
