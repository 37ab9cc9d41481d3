"""What becomes of what waits under a trigger that is edited, counted: `37 pending: 30 keep, 5 move, 2 vanish`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Self

from control_center.domain.action import PENDING, Action, Add, Change
from control_center.engine.trigger_sweep import Looked


@dataclass(slots=True)
class Effect:
    """What becomes of what waits under a trigger, and what is planned beside it. `why` counts reasons to vanish."""

    total: int = 0
    keep: int = 0
    move: int = 0
    vanish: int = 0
    hold: int = 0
    planned: int = 0
    set_aside: int = 0
    why: Counter[str] = field(default_factory=Counter)

    def take(self, looked: Looked) -> None:
        """Count one record."""
        changes = {step.action.action_id: step for step in looked.steps if isinstance(step, Change)}
        for action in looked.have:
            if action.state in PENDING:
                self.total += 1
                self._count(action, changes.get(action.action_id))
        for step in looked.steps:
            back = isinstance(step, Change) and step.action.state not in PENDING
            if (isinstance(step, Add) or back) and step.plan.state in PENDING:
                self.planned += 1
            elif isinstance(step, Add) or back:
                self.set_aside += 1

    def _count(self, action: Action, change: Change | None) -> None:
        if change is not None and change.plan.state not in PENDING:
            self.vanish += 1
            self.why[change.plan.reason.partition(":")[0]] += 1
        elif change is not None and (change.plan.due_at, *change.plan.times) != (action.due_at, *action.times):
            self.move += 1
        else:
            self.keep += 1

    def __str__(self) -> str:
        """`37 pending: 30 keep, 5 move, 2 vanish`."""
        kinds = (("keep", self.keep), ("move", self.move), ("vanish", self.vanish), ("are held", self.hold))
        parts = [f"{number} {name}" for name, number in kinds if number]
        more = [f"{self.planned} newly planned"] if self.planned else []
        more += [f"{self.set_aside} set aside as past"] if self.set_aside else []
        said = f"{self.total} pending: {', '.join(parts)}" if self.total else ""
        return "; ".join([said, *more] if said else more)

    def on_hold(self) -> Self:
        """The same where what stays is held: its trigger is switched off with it."""
        return replace(self, keep=0, hold=self.hold + self.keep)

    @classmethod
    def of_all(cls, waiting: int, choice: str) -> Self:
        """What becomes of everything that waits under a trigger that is switched off and else stays as it is."""
        kept, held = waiting * (choice == "drain"), waiting * (choice == "hold")
        return cls(total=waiting, keep=kept, hold=held, vanish=waiting - kept - held)
