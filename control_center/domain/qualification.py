"""Whether a record still qualifies: what its rule's filters and exclusions say of it now."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from control_center.domain import zones
from control_center.domain.record import Picture
from control_center.domain.record_parts import Flags, Nps
from control_center.domain.rules import Rule, compared
from control_center.domain.trigger_exclusions import NpsExclusion


def unmatched(rule: Rule, picture: Picture, *, any_status: bool = False) -> str | None:
    """Why the rule's filters do not let the record through; with `any_status`, whichever status it has."""
    trigger = rule.trigger
    if picture.deleted:
        return f"deleted: the {picture.kind} no longer exists"
    first, second = compared(picture.kind, picture.record)
    if trigger.keyword is not None:
        return None if trigger.keyword.key in first else f"keyword: the text does not say {trigger.keyword.word!r}"
    names = list(trigger.kind.filters)
    if trigger.status is not None and not any_status and trigger.status not in first:
        found = first[0] if first else None
        return f"{names[0]}: it is {found!r}, the trigger wants {trigger.status!r}"
    if trigger.type is not None and second != trigger.type:
        return f"{names[-1]}: it is {second!r}, the trigger wants {trigger.type!r}"
    return None


def excluded(
    rule: Rule, picture: Picture, day: date, now: datetime, *, session: Picture | None = None, alone: bool = False
) -> str | None:
    """The first exclusion that is true of the record now; `day` is the activation's.

    An invoice's score is that of its `session`; with `alone` only what the record says itself is looked at. Allow
    Marketing depends on the leg that is taken, so it is looked at where that is chosen.
    """
    exclude, record = rule.trigger.exclude, picture.record
    flags = record.flags or Flags()
    if exclude.on_hold and flags.on_hold:
        return f"on hold: the {picture.kind} is on hold"
    if exclude.confirmed and flags.confirmed:
        return f"confirmed: the {picture.kind} is already confirmed"
    if exclude.canceled and flags.canceled:
        return f"canceled: the {picture.kind} is canceled"
    if exclude.nps is not None and not (alone and picture.kind != "session"):
        scored = picture if picture.kind == "session" else session
        reason = _by_score(exclude.nps, scored.record.nps if scored else None)
        if reason is not None:
            return reason
    if picture.kind == "loyalty_reward" and not exclude.redeemed and record.reward and _is_spent(record.reward.balance):
        return "redeemed: nothing is left of the reward"
    if exclude.past_date and zones.local_date(rule.zone, now) > day:
        return f"past date: its activation, {day}, is over"
    return None


def _by_score(exclude: NpsExclusion, nps: Nps | None) -> str | None:
    score = nps.score if nps else None
    if exclude.recorded and score is not None:
        return f"NPS: a score of {score} is recorded already"
    if exclude.only_between is not None:
        least, most = exclude.only_between
        if score is None or not least <= score <= most:
            return f"NPS: the score is {score}, the trigger wants {least} to {most}"
    if exclude.only_with_comment and not (nps and (nps.comment or "").strip()):
        return "NPS: there is no comment"
    return None


def _is_spent(balance: str | None) -> bool:
    try:
        return balance is not None and Decimal(balance) <= 0
    except InvalidOperation:
        return False
