"""A message: one SMS or one email to one address, and what an outcome makes of it.

queued ──▶ claimed ──▶ submitting ──▶ accepted ──▶ delivered | undelivered
  ▲ ▲         │            ├─ proven not taken, tries left ───▶ queued, later
  │ │         │            ├─ the account is blocked ─────────▶ held
  │ │         │            ├─ refused for good, or tries over ▶ failed
  │ │         │            ├─ nobody can know, lease ran out ─▶ unknown ──▶ accepted | delivered | undelivered
  │ │         │            └◀ once more, under the same key ─── unknown, where the provider knows the key
  │ │         ├─ window, blackout day, quiet hours, cap ──────▶ queued, later
  │ │         ├─ no longer qualifies, STOP, past its use-by ──▶ cancelled | suppressed | expired
  │ │         └─ lease ran out: nothing has left ─────────────▶ queued
  │ └─ held ◀── breaker open, fence closed ── a person: in doubt ──▶ unknown
  └──── nobody puts a submitting message back but by proof that nothing was taken: the owner, or its flight recorder
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from control_center.domain.inbound import MOST_SEGMENTS, named, readable
from control_center.domain.outcome import Accepted, Blocked, Cause, Fate, NotSent, Outcome, Refused, Unknown
from control_center.domain.retry import ALONE_ATTEMPTS, ALONE_WAIT, MAX_ATTEMPTS, next_attempt


class State(str, Enum):
    """The states of contract part 5; what each means stands beside the column in schema.sql."""

    QUEUED = "queued"
    HELD = "held"
    CLAIMED = "claimed"
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    SHADOW = "shadow"
    RECEIVED = "received"


class Origin(str, Enum):
    """What made a message; what each means stands beside the column in schema.sql."""

    TRIGGER = "trigger"
    PERSON = "person"
    BULK = "bulk"
    ANSWER = "answer"
    CLIENT = "client"


# In this order a worker takes what waits; schema.sql gives each origin its own: a person's texts and the answers to
# theirs, reminders, bulk.
PRIORITIES = (0, 1, 2)

# What goes out because of a rule or a list, and not because somebody meant this one person.
BY_ITSELF = frozenset({Origin.TRIGGER, Origin.BULK})

# What a receipt can prove of any message that a provider was ever asked to take.
_PROVEN = frozenset({State.ACCEPTED, State.DELIVERED, State.UNDELIVERED})
_DROPPED = frozenset({State.CANCELLED, State.SUPPRESSED, State.EXPIRED})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: _PROVEN | _DROPPED | {State.CLAIMED, State.HELD},
    State.HELD: _PROVEN | _DROPPED | {State.QUEUED, State.UNKNOWN},  # unknown: the fence was armed in doubt
    State.CLAIMED: _PROVEN | _DROPPED | {State.SUBMITTING, State.QUEUED, State.HELD, State.FAILED},
    State.SUBMITTING: _PROVEN | {State.QUEUED, State.HELD, State.FAILED, State.UNKNOWN},
    State.UNKNOWN: _PROVEN | {State.FAILED, State.SUBMITTING},
    State.ACCEPTED: frozenset({State.DELIVERED, State.UNDELIVERED}),
    State.UNDELIVERED: frozenset({State.DELIVERED}),
    State.DELIVERED: frozenset(),
    State.FAILED: _PROVEN,
    State.CANCELLED: _PROVEN | {State.QUEUED},  # its action has come back, and nobody was ever asked to take it
    State.SUPPRESSED: _PROVEN,
    State.EXPIRED: _PROVEN,
    State.SHADOW: frozenset(),
    State.RECEIVED: frozenset(),
}

POISON = 3  # claims that ended in a lost lease before anything was decided


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of a submitting message: the state it goes to and everything written with it.

    `outcome` is the attempt's; `counts` says whether the try counts towards the limit; `opted_out` that the
    address is to be suppressed from now on; `blocked` that the account's breaker is to count a failure; `dead` that
    the address itself cannot receive; `segments` is what the provider counted.
    """

    state: State
    outcome: str
    reason: str
    code: str | None = None
    due_at: datetime | None = None
    provider_id: str | None = None
    counts: bool = True
    opted_out: bool = False
    blocked: bool = False
    dead: bool = False
    segments: int | None = None


def settle(
    outcome: Outcome,
    *,
    key: str,
    tries: int,
    use_by: datetime,
    now: datetime,
    failover: bool = False,
    most: int = MAX_ATTEMPTS,
) -> Settlement:
    """Turn what the provider answered into what becomes of the message; the only place where that happens.

    `tries` counts the tries before this one, `most` how many there may be. Only what is proven not taken goes back to
    the queue. With `failover` another account takes over what has no tries left. Whatever letters the provider wrote,
    what becomes of the message can be stored.
    """
    found = _settled(outcome, key=key, tries=tries, use_by=use_by, now=now, failover=failover, most=most)
    return replace(found, reason=readable(found.reason), code=named(found.code))


def _settled(
    outcome: Outcome, *, key: str, tries: int, use_by: datetime, now: datetime, failover: bool, most: int
) -> Settlement:
    match outcome:
        case Accepted(provider_id=provider_id, segments=segments):
            counted = min(segments, MOST_SEGMENTS) if segments is not None else None
            return Settlement(State.ACCEPTED, "accepted", "", provider_id=named(provider_id), segments=counted)
        case NotSent(reason=reason, code=code, wait=wait):
            again = next_attempt(tries + 1, now, key=key, wait=wait, use_by=use_by, most=most)
            if again is None and failover and now < use_by:
                return Settlement(State.HELD, "not_sent", f"failover: {reason}", code)
            if again is None:
                return Settlement(State.FAILED, "not_sent", f"attempts: {reason}", code)
            return Settlement(State.QUEUED, "not_sent", f"retry: {reason}", code, due_at=again)
        case Blocked(reason=reason, code=code, alone=True):
            most = min(most, ALONE_ATTEMPTS)
            again = next_attempt(tries + 1, now, key=key, wait=ALONE_WAIT, use_by=use_by, most=most)
            if again is None:
                return Settlement(State.FAILED, "blocked", f"policy: {reason}", code)
            return Settlement(State.QUEUED, "blocked", f"retry: {reason}", code, due_at=again)
        case Blocked(reason=reason, code=code):
            return Settlement(State.HELD, "blocked", f"breaker: {reason}", code, counts=False, blocked=True)
        case Refused(reason=reason, cause=cause, code=code):
            opted_out, dead = cause is Cause.OPTED_OUT, cause is Cause.RECIPIENT
            return Settlement(State.FAILED, "refused", f"{cause.value}: {reason}", code, opted_out=opted_out, dead=dead)
        case Unknown(reason=reason, stage=stage, code=code):
            return Settlement(State.UNKNOWN, "unknown", f"{stage.value}: {reason}", code)


def fold(state: State, fate: Fate) -> State | None:
    """What a receipt makes of a message in `state`; None where it changes nothing.

    Whoever has a receipt was asked, so any receipt proves that the message was taken, whatever we believed: also of
    one that waits to be tried again, which then must not be sent a second time. Facts are folded by their rank, so
    that neither order nor repetition matters: delivered outranks undelivered, and both outrank accepted.
    """
    reached = _FATES[fate]
    if state in (State.SHADOW, State.RECEIVED) or _RANKS.get(state, 0) >= _RANKS[reached]:
        return None
    return reached


_FATES = {Fate.SENT: State.ACCEPTED, Fate.DELIVERED: State.DELIVERED, Fate.UNDELIVERED: State.UNDELIVERED}
_RANKS = {State.ACCEPTED: 1, State.UNDELIVERED: 2, State.DELIVERED: 3}


def key_of(message_id: int, number: int) -> str:
    """Our reference of one attempt at the provider."""
    return f"m-{message_id}.{number}"


def message_of(key: str) -> tuple[int, int] | None:
    """The message and attempt number that a reference names; None where it is none of ours."""
    match = _KEY.fullmatch(key)
    return (int(match[1]), int(match[2])) if match else None


# No longer than the columns hold: a provider may echo anything.
_KEY = re.compile(r"m-([1-9][0-9]{0,18})\.([1-9][0-9]{0,8})")
