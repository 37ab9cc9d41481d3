"""The way of one message to its provider, as a model small enough to try everything that can happen, in every order.

    python -m tests.faults.protocol            # every variant, with the shortest way to its fault
    python -m tests.faults.protocol --long     # the same with more crashes

Two workers, processes and a machine that crash, leases that run out at any moment, answers that are lost, a provider
with or without keys, receipts, a person, STOP, a database that loses its last commit, and the flight recorder. A state
is plain values; `successors` says what may happen next; `Protocol` has one switch for each way to do it otherwise.
Nothing of the product is imported: what is checked here is the idea, and other tests check the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.faults.state import IDLE, STALE, Protocol, State, Step, Worker, arrived, changed, commit
from tests.faults.world import happens, repeats, settles


def successors(s: State, how: Protocol) -> Iterator[Step]:
    """Everything that may happen next, each with its name."""
    for i, worker in enumerate(s.workers):
        name = f"worker {i + 1}" if i < 2 else "a dead worker"
        if i < 2:
            for what, then in _does(s, i, worker, how):
                yield f"{name} {what}", then
            yield from _dies(s, i, worker, how)
        if worker.pending != STALE:
            then = _marked(s, i, worker.pending, how) or s
            yield f"a mark that {name} asked for is carried out late", changed(then, i, pending=STALE)
        yield from _read(s, i, worker, how)
    yield from repeats(s, how)
    yield from settles(s, how)
    yield from happens(s, how)


# What a worker does -----------------------------------------------------------------------------------------


def _does(s: State, i: int, w: Worker, how: Protocol) -> Iterator[Step]:
    match w.phase:
        case "idle":
            if s.row == "queued" and not s.held and s.stop == 1:
                yield "finds that the address said STOP", commit(s, how, "suppressed")
            elif s.row == "queued" and not s.held:
                claimed = commit(s, how, "claimed", owner=i, claim=True)
                yield "claims it", changed(claimed, i, phase="claimed", token=0, noted=False, copied=False, late=False)
        case "claimed":
            yield from _marks(s, i, w, how)
        case "doubtful":
            yield "takes back what it may have marked", _unmarked(s, i, w, how)
        case "go" | "checked" | "noted":
            yield from _sends(s, i, w, how)
        case _:
            yield f"writes down that it {w.phase}", _settled(s, i, w, how)
    flies = w.phase in ("go", "noted", "was taken", "heard nothing")
    if s.row == "submitting" and w.mine and (how.unmarks, flies) in UNMARKED:
        yield "takes back what it owns, as another mark was lost", commit(s, how, "queued")


UNMARKED: Final = {("what flies, too", True), ("all that is not flying", False)}


def _marks(s: State, i: int, w: Worker, how: Protocol) -> Iterator[Step]:
    """The point of no return; its answer may be lost, and it may be carried out much later."""
    if not how.marks:
        yield "goes on without a mark", changed(s, i, phase="go")
        return
    marked = _marked(s, i, w.token, how)
    if marked is None:
        yield "is refused the mark", changed(s, i, phase="idle", token=STALE)
    else:
        yield "marks it", changed(marked, i, phase="go")
        yield "marks it, and the answer is lost", changed(marked, i, phase="doubtful")
    yield "loses the connection while it marks it", changed(s, i, phase="doubtful", pending=w.token)


def _marked(s: State, i: int, token: int, how: Protocol) -> State | None:
    """The one statement: it asks for everything again, and changes nothing where an answer is no."""
    may = s.row == "claimed" and token == 0
    if not how.mark_asks_for_token:
        may = s.row in ("claimed", "queued", "submitting")
    if not may or s.held or (how.mark_asks_for_stop and s.stop == 1):
        return None
    marked = changed(commit(s, how, "submitting", owner=i), i, late=s.stop > 0)
    if how.keys != "attempt":
        return marked
    workers = tuple(w._replace(latest=n == i) for n, w in enumerate(marked.workers))
    return marked._replace(key=0, workers=workers)


def _unmarked(s: State, i: int, w: Worker, how: Protocol) -> State:
    if s.row == "submitting" and w.mine:
        return changed(commit(s, how, "queued"), i, phase="idle", token=STALE)
    if s.row == "claimed" and w.token == 0:
        return changed(s, i, phase="claimed")  # it never stood: prepared again
    return changed(s, i, phase="idle", token=STALE)


def _sends(s: State, i: int, w: Worker, how: Protocol) -> Iterator[Step]:
    if w.phase == "go" and how.checks_deadline:
        current = w.token == 0 and s.row in ("claimed", "submitting")
        yield "looks at its lease once more", changed(s, i, phase="checked" if current else "idle")
        return
    early = how.records and how.notes == "before the first byte"
    if w.phase != "noted" and early:
        yield "finds nobody to connect to", changed(s, i, phase="was put off")
        yield "notes it", changed(s, i, phase="noted", noted=True)
        return
    for what, phase, arrives in (
        ("sends it: taken, and told so", "was taken", True),
        ("sends it: taken, and the answer is lost", "heard nothing", True),
        ("sends it in vain, and hears nothing", "heard nothing", False),
        ("sends it, and is refused", "was refused", False),
        ("sends it, and is put off", "was put off", False),
    ):
        known = s.key in (1, 2) and (how.keys == "stable" or w.latest)  # it is answered as the first was
        if phase == "was refused" and (known or not how.refuses):
            continue
        then = arrived(s, how, latest=w.latest, late=w.late) if arrives else s
        if how.records and not early:
            yield f"{what} (not noted yet)", changed(then, i, phase=f"{phase}, to be noted")
        else:
            yield what, changed(then, i, phase=phase, noted=w.noted and how.forgets_note != "at the answer")


def _settled(s: State, i: int, w: Worker, how: Protocol) -> State:
    """What the answer makes of the row: that it was taken counts always, anything else for whoever holds the token."""
    phase, _, to_be_noted = w.phase.partition(", ")
    if to_be_noted:
        return changed(s, i, phase=phase, noted=True)
    s = changed(s, i, phase="idle", token=STALE, noted=w.noted and how.forgets_note != "at the commit")
    open_row = "submitting" if how.marks else "claimed"
    if phase == "was taken":
        # Also of what a failover has forgotten, and against a person who thought otherwise.
        forgotten = s.held and s.row in ("queued", "claimed", "suppressed")
        open_for_all = forgotten or s.row in (open_row, "repeating", "unknown", "resolved")
        return commit(s, how, "accepted", outcome=True) if open_for_all else s
    if w.token != 0 or s.row != open_row:
        return s
    becomes = {"heard nothing": how.timeout_becomes, "was refused": "failed", "was put off": "queued"}[phase]
    return commit(s, how, becomes, outcome=True)


# How a worker ends, and what is read in its file ------------------------------------------------------------


def _dies(s: State, i: int, w: Worker, how: Protocol) -> Iterator[Step]:
    if w.phase == "idle" and not w.mine and not w.was_mine and not s.asking:
        return
    if s.kills:
        killed = _buried(s._replace(kills=s.kills - 1), i, how, believed=how.records)
        yield f"worker {i + 1} is killed", killed
        if i == 0 and s.asking:
            yield "worker 1 is killed, and its inquiry with it", killed._replace(asking="", asks_late=False)
    if s.crashes and i == 0:
        crashed = s._replace(crashes=s.crashes - 1, asking="", asks_late=False)
        for one in (0, 1):
            crashed = _buried(crashed, one, how, believed=how.believes_after_crash)
        # Of what was noted, nothing need have reached the disk.
        files = [_forgotten(one, how) if n > 1 else one for n, one in enumerate(crashed.workers)]
        yield "the machine of the workers crashes", crashed._replace(workers=tuple(files))


def _forgotten(file: Worker, how: Protocol) -> Worker:
    believed = how.records and how.believes_after_crash
    return file._replace(phase="dead" if believed else "gone", noted=False)


def _buried(s: State, i: int, how: Protocol, *, believed: bool) -> State:
    """A new process in its place, and what the old one leaves: its file, and perhaps a statement on its way."""
    w = s.workers[i]
    pending = w.token if w.phase == "claimed" and how.marks else w.pending
    left = w._replace(phase="dead" if believed else "gone", token=STALE, pending=pending, late=False)
    workers = [*s.workers, left]
    workers[i] = IDLE
    return s._replace(workers=tuple(workers))


def tidy(s: State, how: Protocol) -> State:
    """Without what can never matter again."""
    first, second, *dead = s.workers
    left = [w for w in dead if w.pending != STALE or (w.phase == "dead" and _may_matter(w, how))]
    workers = (_at_rest(first), _at_rest(second), *left)
    return s if workers == s.workers else s._replace(workers=workers)


def _at_rest(w: Worker) -> Worker:
    if w.phase != "idle" or w.mine or w.was_mine:
        return w
    return IDLE if w.pending == STALE else IDLE._replace(pending=w.pending)


def _may_matter(file: Worker, how: Protocol) -> bool:
    return file.mine or file.was_mine or (how.keeps_every_file and not file.noted)


def _read(s: State, i: int, w: Worker, how: Protocol) -> Iterator[Step]:
    """What is submitting under a dead owner, and not in its file, never left: it is queued again."""
    if not how.records or w.phase == "gone":
        return
    dead = i > 1
    if (how.believes_a_copy or how.reads_before_it_locks) and not dead and w.phase in ("claimed", "go"):
        yield f"the file of worker {i + 1} is read, or copied, too early", changed(s, i, copied=True)
    rows = {"submitting", "unknown"} if how.takes_unknown_too else {"submitting"}
    judged = s.row in rows and (w.mine or not how.asks_for_owner)
    judged = judged or (how.covers_repeats and dead and s.row == "repeating")
    believed = (dead or how.believes_the_living) and not w.noted
    believed = believed or (w.copied and (how.believes_a_copy or (how.reads_before_it_locks and dead)))
    if judged and believed and not s.held:
        whose = "a dead worker" if dead else f"worker {i + 1}, which lives"
        yield f"by the file of {whose}, it never left: queued again", commit(s, how, "queued")


if __name__ == "__main__":
    from tests.faults import variants

    variants.main()
