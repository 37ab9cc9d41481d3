"""What a studio's plan of texts leaves room for: what goes by itself beyond it waits, and is never dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from control_center.domain.message import State
from control_center.domain.text_plan import month_of
from control_center.store import db, usage
from control_center.store.cases import Case
from control_center.store.messages import Return
from control_center.store.submissions import Ready


@dataclass(slots=True)
class Ration:
    """How many texts of each studio's month are used up, those counted in that are about to be handed over."""

    now: datetime
    spent: Counter[tuple[str, date]] = field(default_factory=Counter)

    def take(self, ready: Ready) -> Ready | Return:
        """Let a text go and count it, or hold it where its studio's plan is used up."""
        case = ready.case
        key = _month(case, self.now)
        if key is None:
            return ready
        why = case.studio.plan.holds(case.origin, self.spent[key])
        if why is not None:
            return Return(case.studio.studio, case.message_id, case.token, State.HELD, why)
        self.spent[key] += 1
        return ready


async def ration(connection: db.Connection, cases: Iterable[Case], at_hand: Iterable[Case], now: datetime) -> Ration:
    """What these may draw on, after those `at_hand`, which are decided and have not left yet."""
    months = {key for case in cases if (key := _month(case, now)) is not None}
    if not months:
        return Ration(now)
    spent = Counter(await usage.spent(connection, months))
    spent.update(key for case in at_hand if (key := _month(case, now)) in months)
    return Ration(now, spent)


def limited(ready: Iterable[Ready], now: datetime) -> list[Ready]:
    """These as they pass the point of no return: each with how few texts of its month may be used up by then.

    What is counted there are texts of whatever worker that have left; so each leaves room for those before it here.
    """
    before: Counter[tuple[str, date]] = Counter()
    found = []
    for one in ready:
        key, limit = _month(one.case, now), one.case.studio.plan.limit
        if key is None or limit is None:
            found.append(one)
            continue
        free = one.case.studio.plan.holds(one.case.origin, limit) is None
        found.append(one if free else replace(one, month=key[1], room=limit - before[key]))
        before[key] += 1
    return found


def _month(case: Case, now: datetime) -> tuple[str, date] | None:
    """The month that a text counts in; None where no plan limits it."""
    if case.channel != "sms" or case.studio.plan.limit is None:
        return None
    return case.studio.studio, month_of(now, case.studio.timezone)
