"""When a text of a studio may reach somebody: asked by the worker's last check, the forecast, and whoever warns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from control_center.domain import quiet_hours, zones
from control_center.domain.quiet_hours import Hours
from control_center.domain.recipient_zone import Place, place
from control_center.domain.record import Picture
from control_center.domain.studio import Studio
from control_center.domain.windows import Calendar, Never, Window, is_open, next_open_all

CAPPED: Final = "marketing cap:"  # how the reason of a text begins that waits because others went that day
WAKING: Final = Window.parse("08:00-21:00")  # outside of it a person is warned, whatever they write
CALM: Final = "calm day:"  # how the reason of a message begins that gave way to another


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a text is written to: their number, the role they have in it, and their client's JSON, if that is known."""

    number: str
    role: str = "client"
    client: str | None = None


def addressee(number: str, role: str, client: Picture | None) -> Addressee:
    """Whom a text is written to; a client who was deleted says nothing of themselves any more."""
    return Addressee(number, role, client.body if client is not None and not client.deleted else None)


@dataclass(frozen=True, slots=True)
class Later:
    """Not now. `until` None: never, as far as can be told."""

    until: datetime | None
    reason: str


def where(studio: Studio, to: Addressee) -> Place:
    """Where they are. What a client says of themselves holds for nobody else who is reached through them."""
    body = to.client if to.role == "client" else None
    return place(to.number, studio.timezone, studio.country, body)


def hours(studio: Studio, to: Addressee, purpose: str, now: datetime, *, bulk: bool = False) -> Hours | None:
    """The hours that a text for this purpose keeps to; None where it may arrive at any time.

    Nobody has asked for what is sent to a whole list: of a `bulk` that is no marketing, too, the usual hours are kept.
    """
    own = studio.hours
    if not own.keeps(purpose) and not bulk:
        return None
    reminders = own.transactional or (quiet_hours.presets().transactional if bulk else None)
    return quiet_hours.hours(where(studio, to), purpose, own.marketing, reminders, now)


def warning(studio: Studio, to: Addressee, purpose: str, now: datetime) -> str | None:
    """Why a person may want to wait with a text that they write themselves; it goes all the same."""
    found = hours(studio, to, purpose, now)
    if found is not None:
        return found.closed(now)
    place = where(studio, to)
    asleep = (zone for zone in map(zones.zone, place.zones) if not is_open(Calendar(zone, WAKING), now))
    zone = next(asleep, None)
    if zone is None:
        return None
    return f"it is {zones.at_local(zone, now):%H:%M} there, outside {WAKING} ({place})"


def later(
    studio: Studio, to: Addressee, purpose: str, now: datetime, *others: Calendar, bulk: bool = False
) -> Later | None:
    """When a text may arrive that would go now, with what else must be open then; None where it may."""
    found = hours(studio, to, purpose, now, bulk=bulk)
    return None if found is None else out_of_hours(found, now, *others)


def out_of_hours(found: Hours, now: datetime, *others: Calendar) -> Later | None:
    """When it may arrive, with what else must be open then; None where its hours are open now."""
    closed = found.closed(now)
    return None if closed is None else Later(found.opening(now, *others), closed)


def tomorrow(found: Hours | None, zone: zones.Zone, now: datetime, *others: Calendar) -> datetime | None:
    """The first instant of a later day, of its recipient or in `zone`, at which everything is open."""
    if found is not None:
        return quiet_hours.next_day(found, now, *others)
    start = zones.end_of_day(zone, zones.local_date(zone, now))
    opening = next_open_all(others, start) if others else start
    return None if isinstance(opening, Never) else opening


# Days that are shared --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Share:
    """A part of somebody's day that a message takes when it goes: `most` holders may share that day of `whom`."""

    whom: str
    day: date
    most: int
    holder: str

    @property
    def action_id(self) -> int | None:
        """The action whose messages hold it together; None where it is one message's."""
        return int(self.holder[2:]) if self.holder.startswith("a-") else None


def of_number(number: str) -> str:
    """Whose day marketing texts to a number share."""
    return f"sms {number}"


def of_client(client_id: str) -> str:
    """Whose day marketing of triggers to a client shares, where the studio keeps days calm."""
    return f"client {client_id}"


@dataclass(frozen=True, slots=True)
class Rival:
    """Another message that reaches the same client. `priority` 1 is the most important; a reminder is 0."""

    message_id: int
    priority: int
    at: datetime  # when it went, or when it is looked at next
    gone: bool


def is_today(zone: zones.Zone, at: datetime, now: datetime) -> bool:
    """Whether what is looked at next at this instant is for today, or overdue."""
    return zones.local_date(zone, max(at, now)) == zones.local_date(zone, now)


def gives_way(priority: int, message_id: int, now: datetime, zone: zones.Zone, rivals: list[Rival]) -> Rival | None:
    """The message of the same day that a marketing message gives way to; None where it is the day's own.

    What went first has the day; of what waits, the lower number comes first, and of equals the older.
    """
    today = zones.local_date(zone, now)
    same_day = [one for one in rivals if zones.local_date(zone, max(one.at, now) if not one.gone else one.at) == today]
    better = [one for one in same_day if one.gone or (one.priority, one.message_id) < (priority, message_id)]
    return min(better, key=lambda one: (not one.gone, one.priority, one.message_id), default=None)
