"""What a trigger may do, as data: adding an action is adding a row here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Leg(Enum):
    """One way to carry an action out."""

    SMS = "sms"
    EMAIL = "email"
    CALL = "call"
    CHANGE_STATUS = "change_status"

    @property
    def is_message(self) -> bool:
        """Whether workers deliver it; otherwise the CRM is told by a command."""
        return self in (Leg.SMS, Leg.EMAIL)


class Choice(Enum):
    """How the legs of an action relate."""

    FIRST = "first"  # the first leg for which the recipient has an address; never a second
    EACH = "each"  # all legs, each on its own


@dataclass(frozen=True, slots=True)
class ActionKind:
    """One choice of `action`."""

    name: str
    legs: tuple[Leg, ...]
    choice: Choice = Choice.FIRST

    @property
    def writes(self) -> bool:
        """Whether it sends words, and so needs a template or a text."""
        return any(leg.is_message for leg in self.legs)


ACTIONS: Mapping[str, ActionKind] = {
    action.name: action
    for action in (
        ActionKind("sms", (Leg.SMS,)),
        ActionKind("email", (Leg.EMAIL,)),
        ActionKind("sms_or_email", (Leg.SMS, Leg.EMAIL)),
        ActionKind("email_and_sms", (Leg.EMAIL, Leg.SMS), Choice.EACH),
        ActionKind("call", (Leg.CALL,)),
        ActionKind("change_status", (Leg.CHANGE_STATUS,)),
    )
}
