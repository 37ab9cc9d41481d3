"""For whom a trigger is meant: its `send_to`, one list for all legs of its action or one for each."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from control_center.domain import number
from control_center.domain.catalogue import Kind
from control_center.domain.catalogue_actions import ActionKind, Leg
from control_center.domain.table import Table, shown

Recipients = tuple[str, ...]

# Who may be named, and on which kinds of records such a person can stand; None is every kind.
ROLES: Mapping[str, frozenset[str] | None] = {
    "client": None,
    "photographer": None,
    "all_photographers": None,
    "assistants": None,
    "assigned": frozenset({"task", "production_order", "preproduction_order"}),
    "bill_to": frozenset({"invoice"}),
    "participants": frozenset({"session"}),
}
CLIENTS = frozenset({"client", "bill_to"})  # whom the studio may call, or write a letter to

_BY_NAME = re.compile(r"(?:family|user):[^\s\x00][^\x00\n]{0,99}")
_ADDRESS = re.compile(r"address:([^\s\x00][^\x00\n]{0,253})")


@dataclass(frozen=True, slots=True)
class SendTo:
    """`everybody` is each recipient once, in the order of the file; `by_leg` is empty where one list serves all."""

    everybody: Recipients
    by_leg: tuple[tuple[Leg, Recipients], ...] = ()

    @property
    def family(self) -> frozenset[str]:
        """The relationships, where it is for members of the family and for nobody else."""
        named = [one.removeprefix("family:").casefold() for one in self.everybody if one.startswith("family:")]
        return frozenset(named if len(named) == len(self.everybody) else ())

    def of(self, leg: Leg) -> Recipients:
        """For whom this leg is meant. A leg without a list of its own follows the first leg that has one."""
        if not self.by_leg:
            return self.everybody
        return dict(self.by_leg).get(leg, self.by_leg[0][1])


def send_to(top: Table, action: ActionKind, kind: Kind) -> SendTo:
    """Read `send_to`. Raises Malformed for whom this action cannot reach, or a record of this kind does not have."""
    value = top.take("send_to")
    if value is None:
        return SendTo(("client",))
    if not action.personal:
        raise top.wrong("send_to", f"{action.name!r} writes to nobody; leave it out")
    if not isinstance(value, Mapping):
        return SendTo(_listed(top, "send_to", value, action.legs, kind))
    table = top.table("send_to")
    if not value:
        raise top.wrong("send_to", f"names nobody; allowed keys: {', '.join(leg.value for leg in action.legs)}")
    named = [leg for leg in action.legs if leg.value in value]
    lists = [(leg, _listed(table, leg.value, value[leg.value], (leg,), kind)) for leg in named]
    for leg in action.legs:
        if leg.is_message and leg.value not in value:
            raise table.wrong(leg.value, f"is missing; {action.name!r} needs a list for each way it writes")
    table.refuse_the_rest()
    everybody = dict.fromkeys(one for _, recipients in lists for one in recipients)
    return SendTo(tuple(everybody), tuple(lists))


def _listed(top: Table, key: str, value: Any, legs: Collection[Leg], kind: Kind) -> Recipients:
    top.used.add(key)
    if not isinstance(value, list) or not value:
        raise top.wrong(key, f'{shown(value)}; a list such as ["client"] is needed')
    for item in value:
        wrong = _refusal(item, legs, kind)
        if wrong:
            raise top.wrong(key, f"{shown(item)}; {wrong}")
    return tuple(dict.fromkeys(value))


def _refusal(item: Any, legs: Collection[Leg], kind: Kind) -> str | None:
    """Why nobody of that name can be meant."""
    offered = [role for role, kinds in ROLES.items() if kinds is None or kind.name in kinds]
    if isinstance(item, str) and item in ROLES:
        if item not in offered:
            return f"a record of kind {kind.name} has none; allowed: {_allowed(offered)}"
    elif isinstance(item, str) and item.startswith("address:"):
        return _address_refusal(item, legs)
    elif not isinstance(item, str) or not _BY_NAME.fullmatch(item):
        return f"allowed: {_allowed(offered)}"
    if item not in CLIENTS and not any(leg.is_message for leg in legs):
        return f"only clients are called or get letters; allowed: {', '.join(one for one in offered if one in CLIENTS)}"
    return None


def _allowed(offered: Collection[str]) -> str:
    return f"{', '.join(offered)}, family:<relationship>, user:<name>, address:<number or email>"


def _address_refusal(item: str, legs: Collection[Leg]) -> str | None:
    """A fixed address must fit a leg. A number without a country is understood in the studio's, when that is known."""
    found = _ADDRESS.fullmatch(item)
    if found is None:
        return "a number or an email address must follow, such as address:+13125550123"
    typed = found[1]
    needed = Leg.EMAIL if "@" in typed else Leg.SMS
    if needed not in legs:
        ways = " or ".join(leg.value for leg in legs)
        return f"goes out by {needed.value}, the action by {ways}"
    if needed is Leg.EMAIL:
        spelled = number.email(typed)
        return f"is no email address: {spelled.reason}" if isinstance(spelled, number.Unusable) else None
    return unusable_number(typed, "US") if typed.startswith("+") else None


def unusable_number(typed: str, country: str, countries: Collection[str] | None = None) -> str | None:
    """Why no text can go to this number, typed in this country. With `countries`, they and that one are texted to."""
    spelled = number.phone(typed, country)
    if isinstance(spelled, number.Unusable):
        return f"is no number that takes texts: {spelled.reason}"
    foreign = None if countries is None else number.foreign(spelled.e164, country, countries)
    return None if foreign is None else f"takes no texts: {foreign}"


def fixed_numbers(wanted: SendTo) -> list[str]:
    """The fixed numbers among the recipients, as they were typed."""
    found = (_ADDRESS.fullmatch(one) for one in wanted.everybody)
    return [one[1] for one in found if one is not None and "@" not in one[1]]
