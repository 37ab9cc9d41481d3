"""The model of the protocol beside the product: what the one allows, the other has to show."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final
from uuid import UUID

from tests.faults.exploration import broken
from tests.faults.protocol import successors
from tests.faults.state import STALE, Before, Protocol, State, changed, commit, start

# In one the provider knows keys, in the other a standby may lack the last commit. Nobody counts who is killed.
WITH_KEYS: Final = Protocol(kills=999, crashes=999, keys="attempt", forgets=True)
WITH_FAILOVER: Final = Protocol(kills=999, crashes=999, loses="any", fence=True)

QUEUED: Final = "the lease runs out: nothing has left, queued"
LEASED: Final = ("claimed", "submitting", "repeating")
PROVEN: Final = ("accepted", "undelivered", "delivered")
_EVERY: Final = {
    "queued": ("queued",),
    "claimed": ("claimed",),
    "submitting": ("submitting",),
    "repeating": ("submitting",),
    "unknown": ("unknown",),
    "accepted": PROVEN,
    "failed": ("failed",),
    "suppressed": ("suppressed",),
    "resolved": ("accepted", "failed"),
}


class DisagreesError(AssertionError):
    """The product did what the model does not allow, or not what it asks for."""


class Oracle:
    """One message as the model has it."""

    def __init__(self, how: Protocol) -> None:
        self.how = how
        self.state = start(how)

    @property
    def row(self) -> str:
        return self.state.row

    def phase(self, who: int) -> str:
        return self.state.workers[who].phase

    def after(self, step: str, where: Callable[[State], bool] = lambda _: True) -> State | None:
        """What this step would make of it; None where the model does not have it now."""
        found = (then for what, then in successors(self.state, self.how) if what == step and where(then))
        return next(found, None)

    def may(self, step: str) -> bool:
        """Take this step if there is one; whether there was."""
        then = self.after(step)
        self.state = then or self.state
        return then is not None

    def goes(self, *steps: str) -> None:
        for step in steps:
            if not self.may(step):
                raise DisagreesError(f"the model does not know this here: {step}; it has {self.state}")

    # What the product does in one step, and the model in several ----------------------------------------------

    def suppressed(self) -> None:
        """What waits ends with the STOP: whichever worker is free would have found it."""
        if self.state.held:
            self.may("what waits ends with the STOP, and nobody knows whether it went")
            return
        if self.row == "claimed":
            self.goes(QUEUED)
        if self.row == "queued":
            self.state = commit(self.state, self.how, "suppressed")

    def given_up(self, who: int) -> None:
        """Its worker gives back what it had claimed, and knows nothing of it any more."""
        if self.row == "claimed" and self.state.workers[who].mine:
            self.goes(QUEUED)
        if self.phase(who) == "claimed":
            self.goes(f"worker {who + 1} is refused the mark")

    def written_in_vain(self, who: int) -> None:
        """It is written down what the provider answered, and its worker does not learn that: it will do so again."""
        w = self.state.workers[who]
        self.goes(f"worker {who + 1} writes down that it {w.phase}")
        self.state = changed(self.state, who, phase=w.phase, token=w.token, noted=w.noted, late=w.late)

    def marked_late(self, i: int, *, in_time: bool) -> bool:
        """The mark that number `i` asked for is carried out; whether it passes, which it only may `in_time`."""
        if self.state.workers[i].pending == STALE:
            return False
        whose = f"worker {i + 1}" if i < 2 else "a dead worker"
        then = self.after(
            f"a mark that {whose} asked for is carried out late",
            lambda then: then.workers[i].pending != self.state.workers[i].pending,
        )
        assert then is not None
        passes = in_time and (self.row, then.row) == ("claimed", "submitting")
        self.state = then if passes else changed(self.state, i, pending=then.workers[i].pending)
        return passes

    def is_killed(self, who: int, *, its_inquiry: bool) -> bool:
        """Whether it leaves anything behind that the model keeps."""
        if its_inquiry and self.state.asking:
            self.goes("worker 1 is killed, and its inquiry with it")
            return True
        return self.may(f"worker {who + 1} is killed")

    def crashes(self) -> list[int]:
        """Both workers and every file of theirs; returns which workers are kept as dead ones."""
        if self.may("the machine of the workers crashes"):
            return [0, 1]
        kept = [who for who in (0, 1) if self.is_killed(who, its_inquiry=False)]
        files = (w._replace(phase="gone", noted=False) for w in self.state.workers[2:])
        self.state = self.state._replace(workers=(*self.state.workers[:2], *files))
        return kept

    def closes(self) -> None:
        """The fence, without anything being lost."""
        self.state = self.state._replace(held=True)

    def fails_over(self, found: State, tokens: int) -> None:
        """The last commit is lost: what it `found` comes back, and the token that was `tokens` lower."""
        held = [one.mine for one in found.workers]
        workers = tuple(w._replace(was_mine=mine) for w, mine in zip(self.state.workers, held, strict=True))
        before = Before(found.row, tokens, found.stop)
        self.state = self.state._replace(before=before, failovers=1, workers=workers)
        self.goes("a failover loses the last commit")

    def armed(self) -> None:
        """… and no mark is still on its way from before."""
        self.goes("a person compares, and arms everything again")
        workers = tuple(w._replace(pending=STALE) for w in self.state.workers)
        self.state = self.state._replace(workers=workers)

    # What has to be so --------------------------------------------------------------------------------------

    def check(self, row: Any, taken: int, inquirers: Collection[UUID]) -> None:
        """Raises DisagreesError, or for a law that is broken."""
        s = self.state
        told = f"the model has {s}, the product {dict(row)}"
        if wrong := broken(s):
            raise DisagreesError(f"{wrong}: {told}")
        shown = _EVERY[s.row]
        if s.held and s.row in ("queued", "claimed"):
            shown = ("queued", "claimed", "held", *(["suppressed"] if s.stop == 1 else []))
        person = row["by_a_person"] or s.row != "resolved"
        owned = (s.row == "repeating") == (row["state"] == "submitting" and row["owner"] in inquirers)
        if row["state"] not in shown or not person or not owned:
            raise DisagreesError(f"the row: {told}")
        if taken != s.taken:
            raise DisagreesError(f"taken {taken} times: {told}")

    def check_owner(self, row: Any, i: int, owner: UUID, token: int | None) -> None:
        """Whose the row is, and whether a worker that has something to do with it has its token."""
        w = self.state.workers[i]
        if self.state.held:
            return
        if w.mine != (row["owner"] == owner):
            raise DisagreesError(f"its owner: the model has {self.state}, the product {dict(row)} of {owner}")
        if self.row in LEASED and i < 2 and w.phase != "idle" and (w.token == 0) != (row["token"] == token):
            raise DisagreesError(f"its token: the model has {self.state}, the product {dict(row)} and {token}")
