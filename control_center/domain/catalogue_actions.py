"""What a trigger may do, as data: adding an action is adding a row here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from control_center.domain.catalogue import KINDS


class Leg(Enum):
    """One way to carry an action out."""

    SMS = "sms"
    EMAIL = "email"
    CALL = "call"
    LETTER = "letter"
    TASK = "task"
    WEB_FORM = "web_form"
    CHANGE_STATUS = "change_status"

    @property
    def is_message(self) -> bool:
        """Whether workers deliver it; otherwise the CRM is told by a command."""
        return self in (Leg.SMS, Leg.EMAIL)

    @property
    def is_personal(self) -> bool:
        """Whether it is meant for a person, so that a trigger says for whom and a client may not want it."""
        return self in BOXES


# The box of `allow_marketing` that each personal leg needs ticked, where a trigger asks for that.
BOXES: Mapping[Leg, str] = {Leg.SMS: "sms", Leg.EMAIL: "email", Leg.CALL: "call", Leg.LETTER: "mail"}


class Choice(Enum):
    """How the legs of an action relate."""

    FIRST = "first"  # the first leg for which the recipient has an address; never a second
    EACH = "each"  # all legs, each on its own


class Question(Enum):
    """What a text asks; its answer is looked for in the replies."""

    CONFIRMATION = "confirmation"
    NPS = "nps"


@dataclass(frozen=True, slots=True)
class ActionKind:
    """One choice of `action`. `kinds` are the only kinds of records it is offered for, where it is not for all."""

    name: str
    legs: tuple[Leg, ...]
    choice: Choice = Choice.FIRST
    kinds: frozenset[str] | None = None
    own_text: bool = False  # its words stand in the trigger itself and come from no template
    question: Question | None = None

    @property
    def writes(self) -> bool:
        """Whether it sends words, and so needs a template or a text."""
        return any(leg.is_message or leg is Leg.LETTER for leg in self.legs)

    @property
    def personal(self) -> bool:
        """Whether it is meant for somebody, who may be named in `send_to`."""
        return any(leg.is_personal for leg in self.legs)

    def has(self, leg: Leg) -> bool:
        return leg in self.legs


# The kinds that have a status to change.
WITH_STATUS = frozenset(kind.name for kind in KINDS.values() if "status" in kind.filters)
_CONFIRMED = frozenset({"session", "appointment"})  # the kinds that a client can confirm
_RATED = frozenset({"session"})  # the kinds that keep a score

ACTIONS: Mapping[str, ActionKind] = {
    action.name: action
    for action in (
        ActionKind("sms", (Leg.SMS,)),
        ActionKind("email", (Leg.EMAIL,)),
        ActionKind("email_or_call", (Leg.EMAIL, Leg.CALL)),
        ActionKind("email_or_letter", (Leg.EMAIL, Leg.LETTER)),
        ActionKind("sms_or_call", (Leg.SMS, Leg.CALL)),
        ActionKind("sms_or_email", (Leg.SMS, Leg.EMAIL)),
        ActionKind("email_and_sms", (Leg.EMAIL, Leg.SMS), Choice.EACH),
        ActionKind("call", (Leg.CALL,)),
        ActionKind("letter", (Leg.LETTER,)),
        ActionKind("task", (Leg.TASK,)),
        ActionKind("web_form", (Leg.WEB_FORM,)),
        ActionKind("nps_sms", (Leg.SMS,), kinds=_RATED, question=Question.NPS),
        ActionKind("confirmation_sms", (Leg.SMS,), kinds=_CONFIRMED, own_text=True, question=Question.CONFIRMATION),
        ActionKind("change_status", (Leg.CHANGE_STATUS,), kinds=WITH_STATUS),
    )
}
