"""Whom a policy blames that a relay tells of one recipient: us, once several in a row were told so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from control_center.domain.outcome import Accepted, Blocked
from workers.settling import Answered

DOMAINS: Final = 3  # different ones in a row, of which none has anything to do with the others …
RECIPIENTS: Final = 10  # … or so many different recipients: most of a studio's clients may be of one domain


class Blame:
    """Counts, for one account, the recipients that were refused by policy since a mail was last taken."""

    def __init__(self) -> None:
        self._refused: set[str] = set()

    def judged(self, answered: Sequence[Answered]) -> list[Answered]:
        """The same answers; from where it is evident on, a recipient's policy is the account's."""
        return [self._judged(one) for one in answered]

    def _judged(self, one: Answered) -> Answered:
        match one.outcome:
            case Accepted():
                self._refused.clear()
            case Blocked(alone=True):
                self._refused.add(one.ready.case.address.lower())
                if self._is_ours:
                    return replace(one, outcome=replace(one.outcome, alone=False))
            case _:
                pass
        return one

    @property
    def _is_ours(self) -> bool:
        domains = {address.rpartition("@")[2] for address in self._refused}
        return len(domains) >= DOMAINS or len(self._refused) >= RECIPIENTS
