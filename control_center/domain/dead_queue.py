"""What lies in the broker's dead queue, told by counting alone: copies of ours, and what the broker has set aside.

To read a message there counts as a delivery, and whatever has killed its readers would be handed to one more. So it is
only asked how many there are; what we put there ourselves we know.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Account:
    """Of what lies there, at most `copies` are ours, and at least `others` are not."""

    copies: int
    others: int


def counted(known: Account, ready: int, *, quiet: bool, read: bool) -> Account:
    """What is known once `ready` messages were counted.

    `quiet`: no copy of ours has been put there for a while, so none is on its way. `read`: somebody else reads the
    queue, and may give back what is in their hands. More than we put there is the broker's. Of fewer nobody can say
    which are gone: our copies are thought to be, so that an alarm ends too late and never too early.
    """
    if ready > known.copies + known.others:
        return replace(known, others=ready - known.copies)
    others = min(known.others, ready)
    if not quiet or read:
        return replace(known, others=others)
    return Account(ready - others, others)
