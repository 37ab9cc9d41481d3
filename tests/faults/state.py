"""What the model of the protocol is made of: the switches, the states, and what a commit does to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

STALE: Final = -2  # so far behind the row's token that the two can never be equal again
ENDS: Final = frozenset({"accepted", "failed", "suppressed", "resolved"})


@dataclass(frozen=True, slots=True)
class Protocol:
    """What may happen, and what is done. As it stands: what the product does, where nothing but crashes happens."""

    # What may happen.
    kills: int = 2  # of a process
    crashes: int = 1  # of the machine that the workers run on
    keys: str = "none"  # "attempt": the provider knows each attempt by a key; "stable": all by the same one
    forgets: bool = False  # … which it forgets some day
    stops: bool = True  # the address may say STOP
    refuses: bool = True  # the provider may refuse it for good
    loses: str = "nothing"  # what a failover takes away: the last commit, if it was an "outcome", or "any"

    # What is done before the first byte.
    marks: bool = True  # commits `submitting` before it
    mark_asks_for_token: bool = True
    mark_asks_for_stop: bool = True
    checks_deadline: bool = False  # looks at its lease once more just before it sends

    # What is done after it.
    timeout_becomes: str = "unknown"
    rescue_makes: str = "unknown"  # of what is submitting when its lease runs out
    queues_what_is_not_found: bool = False
    unmarks: str = "what it gave up"  # or "what flies, too", "all that is not flying"
    repeats_in_time: bool = True  # submits again only while the provider is sure to know the key
    sleeps_through: bool = False  # a process may stand still, after its mark, for as long as a provider keeps keys

    # The flight recorder: how it is written …
    records: bool = True
    notes: str = "before the first byte"  # or "after the first byte"
    forgets_note: str = "never"  # or "at the answer", "at the commit"
    # … and when it is believed.
    asks_for_owner: bool = True
    believes_the_living: bool = False
    believes_after_crash: bool = False
    believes_a_copy: bool = False
    reads_before_it_locks: bool = False
    takes_unknown_too: bool = False
    covers_repeats: bool = False

    # Failover.
    fence: bool = False  # holds everything until a person has compared, restarted the workers and armed it again
    arms_over_the_living: bool = False

    @property
    def keeps_every_file(self) -> bool:
        return not self.asks_for_owner or self.covers_repeats


class Worker(NamedTuple):
    """A process with its recorder. A killed one stays as its file; `token` is relative to the row's."""

    phase: str = "idle"
    token: int = STALE
    mine: bool = False  # the row names it as its owner …
    was_mine: bool = False  # … or did so before the commit that a failover would take away
    noted: bool = False
    copied: bool = False  # somebody has read or copied the file while it held no note
    pending: int = STALE  # the token of a mark whose answer nobody waits for, and which may still be carried out
    late: bool = False  # its mark was committed after STOP
    latest: bool = False  # nobody has marked it since


class Before(NamedTuple):
    """What the last commit found, where a failover may bring that back."""

    row: str
    token: int
    stop: int


class State(NamedTuple):
    row: str = "queued"
    stop: int = 0  # 1: committed; 2: committed, and lost by a failover
    taken: int = 0  # how often the provider took it
    key: int = 0  # the provider: 0 never saw it, 1 knows it, 2 knows it still, 3 may forget it, or has
    asking: str = ""  # the inquiry that submits it again under its key
    asks_late: bool = False
    held: bool = False
    before: Before | None = None
    kills: int = 0
    crashes: int = 0
    failovers: int = 0
    workers: tuple[Worker, ...] = (Worker(), Worker())
    wrong: str = ""  # the law that the last step broke


Step = tuple[str, State]
IDLE: Final = Worker()
TWICE: Final = "accepted twice"
AFTER_STOP: Final = "sent after STOP was committed before its mark"
FALSE: Final = "says that it was not taken, and it was"
GHOST: Final = "says that it was taken, and it was not"
STUCK: Final = "can never come to an end"


def start(how: Protocol) -> State:
    return State(kills=how.kills, crashes=how.crashes, failovers=int(how.loses != "nothing"))


def commit(
    s: State, how: Protocol, row: str, *, owner: int | None = None, claim: bool = False, outcome: bool = False
) -> State:
    """The row as a statement leaves it; a claim gives it the next token."""
    may_be_lost = bool(s.failovers) and (how.loses == "any" or (how.loses == "outcome" and outcome))
    workers = [
        w._replace(
            mine=n == owner,
            was_mine=w.mine and may_be_lost,
            token=max(STALE, w.token - claim),
            pending=max(STALE, w.pending - claim),
        )
        for n, w in enumerate(s.workers)
    ]
    before = Before(s.row, int(claim), s.stop) if may_be_lost else None
    return s._replace(row=row, before=before, workers=tuple(workers))


def changed(s: State, i: int, **changes: Any) -> State:
    workers = list(s.workers)
    workers[i] = workers[i]._replace(**changes)
    return s._replace(workers=tuple(workers))


def arrived(s: State, how: Protocol, *, latest: bool, late: bool) -> State:
    """The request is there. A second one under a key that the provider knows is answered as the first was."""
    if late:
        return s._replace(wrong=AFTER_STOP)
    keyed = how.keys == "stable" or (how.keys == "attempt" and latest)
    if keyed and s.key in (1, 2):
        return s
    key = {0: 1, 3: 2}[s.key] if keyed else s.key
    return s._replace(taken=s.taken + 1, key=key, wrong=TWICE if s.taken else "")
