"""What may happen to a message besides what its workers do: repeats, leases, receipts, people, STOP, a failover."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.state import STALE, Before, Protocol, State, Step, arrived, commit


def repeats(s: State, how: Protocol) -> Iterator[Step]:
    """Submits an unknown one again under its key, past the point of no return once more."""
    if how.keys != "attempt":
        return
    match s.asking:
        case "":
            stopped = how.mark_asks_for_stop and s.stop == 1
            if s.row == "unknown" and not s.held and not stopped and (s.key < 2 or not how.repeats_in_time):
                keep = next((n for n, w in enumerate(s.workers) if w.mine), None) if how.takes_unknown_too else None
                marked = commit(s, how, "repeating", owner=keep, claim=True)
                yield "the inquiry marks it again", marked._replace(asking="go", asks_late=s.stop > 0)
        case "go":
            there = arrived(s, how, latest=True, late=s.asks_late)
            yield "the inquiry asks again: taken, and told so", there._replace(asking="was taken")
            yield "the inquiry asks again: there, and the answer is lost", there._replace(asking="heard nothing")
            yield "the inquiry asks again in vain", s._replace(asking="heard nothing")
        case "was taken" if s.row in ("repeating", "unknown"):
            yield "the inquiry writes down that it was taken", _asked(commit(s, how, "accepted", outcome=True))
        case "heard nothing" if s.row == "repeating":
            keep = next((n for n, w in enumerate(s.workers) if w.mine), None)
            yield "the inquiry knows no more than before", _asked(commit(s, how, "unknown", owner=keep))
        case _:
            yield "the inquiry is too late", _asked(s)


def _asked(s: State) -> State:
    return s._replace(asking="", asks_late=False)


def settles(s: State, how: Protocol) -> Iterator[Step]:
    """Leases, receipts, the provider's list, a person."""
    match s.row:
        case "claimed":
            yield "the lease runs out: nothing has left, queued", commit(s, how, "queued")
        case "submitting":
            owner = next((n for n, w in enumerate(s.workers) if w.mine), None) if how.takes_unknown_too else None
            yield f"the lease runs out: {how.rescue_makes}", commit(s, how, how.rescue_makes, owner=owner)
        case "repeating":
            yield "the lease of the repeat runs out: unknown", commit(s, how, "unknown")
        case "unknown":
            yield "a person settles it", commit(s, how, "resolved")
            if how.queues_what_is_not_found and not s.taken:
                yield "the provider does not find it: queued again", commit(s, how, "queued")
        case _:
            pass
    if s.taken and s.row != "accepted":
        yield "a receipt says that it was taken", commit(s, how, "accepted")


def happens(s: State, how: Protocol) -> Iterator[Step]:
    """STOP, the end of a key's time, a failover, and the person who arms everything again."""
    if how.stops and not s.stop:
        before = Before(s.row, 0, 0) if s.failovers and how.loses == "any" else None
        then = s._replace(workers=tuple(w._replace(was_mine=w.mine and before is not None) for w in s.workers))
        yield "the address says STOP", then._replace(stop=1, before=before)
    if s.held and s.stop == 1 and s.row in ("queued", "claimed"):
        yield "what waits ends with the STOP, and nobody knows whether it went", commit(s, how, "suppressed")
    if how.forgets and s.key < 2:
        yield "the time of the key is over", s._replace(key={0: 3, 1: 2}[s.key])
    about_to_send = s.asking == "go" or any(w.phase in ("go", "checked", "noted") for w in s.workers[:2])
    if s.key == 2 and (not about_to_send or how.sleeps_through):
        yield "the provider forgets the key", s._replace(key=3)
    if s.failovers and s.before is not None:
        yield "a failover loses the last commit", _failed_over(s, s.before, how)
    ended = all(w.phase == "idle" for w in s.workers[:2]) and not s.asking
    if s.held and (ended or how.arms_over_the_living):
        yield "a person compares, and arms everything again", _armed(s, how)


def _failed_over(s: State, before: Before, how: Protocol) -> State:
    workers = [
        w._replace(
            mine=w.was_mine,
            was_mine=False,
            token=STALE if w.token == STALE else w.token + before.token,
            pending=STALE,  # the server that would have carried it out is gone
        )
        for w in s.workers
    ]
    stop = 2 if s.stop and not before.stop else s.stop
    lost = s._replace(row=before.row, stop=stop, before=None, failovers=s.failovers - 1, held=how.fence)
    return lost._replace(workers=tuple(workers))


def _armed(s: State, how: Protocol) -> State:
    """Compared with the provider's list; no file from before is believed."""
    row = {"claimed": "queued", "submitting": "unknown", "repeating": "unknown"}.get(s.row, s.row)
    row = "accepted" if s.taken else row
    files = [w._replace(mine=False, phase="gone" if n > 1 else w.phase) for n, w in enumerate(s.workers)]
    return s._replace(row=row, stop=min(s.stop, 1), held=False, workers=tuple(files))
