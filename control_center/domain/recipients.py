"""To whom an action goes: which people, at which numbers and addresses, by which leg.

The leg is chosen from data before any attempt, and the choice is recorded with its reason. A number that said
STOP, or was found to take no texts, counts as none; a box that is not ticked ends the matter, and never starts a
fallback.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from control_center.domain.catalogue_actions import Choice, Leg
from control_center.domain.consent import OPTED_OUT
from control_center.domain.people import NOBODY, Circle, Recipient, Somebody, Users, named, ticked
from control_center.domain.record import Record
from control_center.domain.trigger import Trigger

Stopped = Callable[[str, str], str]  # of a channel and an address: why nothing goes there; empty where it does


@dataclass(frozen=True, slots=True)
class Letterbox:
    """One number or address at which one person is reached."""

    leg: Leg
    address: str
    recipient: Recipient


@dataclass(frozen=True, slots=True)
class Errand:
    """One leg that is a command to the CRM, about this client. `instead` marks the second leg of a fallback."""

    leg: Leg
    client_id: str | None = None
    recipient: Recipient | None = None
    instead: bool = False


@dataclass(slots=True)
class Routing:
    """Where an action goes: the messages to write, the commands to give, and why any leg was not taken.

    `excluded` says why the action as a whole does not go to its client; then there is nothing else.
    """

    letterboxes: list[Letterbox] = field(default_factory=list)
    errands: list[Errand] = field(default_factory=list)
    unwanted: list[Letterbox] = field(default_factory=list)  # taken, had their box been ticked
    reasons: list[str] = field(default_factory=list)
    excluded: str = ""

    @property
    def empty(self) -> bool:
        return not self.letterboxes and not self.errands

    @property
    def reason(self) -> str:
        return "; ".join(dict.fromkeys(self.reasons))

    def write(self, boxes: Iterable[Letterbox]) -> None:
        """Take letterboxes on, each address once, whoever is reached there and however it is capitalised."""
        taken = {(box.leg, box.address.casefold()) for box in self.letterboxes}
        for box in boxes:
            if (box.leg, box.address.casefold()) not in taken:
                taken.add((box.leg, box.address.casefold()))
                self.letterboxes.append(box)


def route(
    trigger: Trigger,
    record: Record,
    client: Record | None,
    country: str,
    stopped: Stopped,
    *,
    users: Users = NOBODY,
    gone: bool = False,
    countries: Collection[str] = (),
) -> Routing:
    """Choose people, legs and addresses. `stopped(channel, address)` says why an address takes nothing, if it does.

    Staff is looked up among `users`: who has left is left out. `gone`: the client was deleted, and `client` is None.
    A number of another country than `country` and `countries` counts as none.

    The same number or address reached twice is written to once. Under a fallback exactly one leg is taken for
    each person, and a command at most once for each client.
    """
    circle = Circle(record, client, country, users, gone, countries)
    enrolled = _enrolled(trigger, client)
    if enrolled is not None:
        return Routing(reasons=[enrolled], excluded=enrolled)
    routing = Routing()
    if not trigger.action.personal:
        _ask(trigger, circle, routing)
        return routing
    search = _Search(trigger, circle, stopped, routing)
    meant = _people(trigger, circle, routing)
    wanting = [one for one, legs in meant if not _stands_in(trigger, legs) and not _reach(one, legs, search)]
    if wanting and routing.empty:
        for one, legs in meant:
            if _stands_in(trigger, legs):
                _reach(one, legs, search)
    return routing


@dataclass(frozen=True, slots=True)
class _Search:
    """What looking for the ways to each person needs, and the routing that grows by it."""

    trigger: Trigger
    circle: Circle
    stopped: Stopped
    routing: Routing


def _enrolled(trigger: Trigger, client: Record | None) -> str | None:
    program = client.referral_program if client is not None else None
    if trigger.referral is None or not trigger.referral.skip or not program:
        return None
    return f"referral: the client is in the program {program!r} already"


def _ask(trigger: Trigger, circle: Circle, routing: Routing) -> None:
    """What is asked of the CRM about the record itself. A form needs somebody to fill it in."""
    for leg in trigger.action.legs:
        if leg is Leg.WEB_FORM and circle.client_id is None:
            routing.reasons.append(f"no recipient: the {circle.record.kind} has no client to fill the form in")
        else:
            routing.errands.append(Errand(leg, circle.client_id))


def _people(trigger: Trigger, circle: Circle, routing: Routing) -> list[tuple[Somebody, list[Leg]]]:
    """Everybody who is meant, each client once, with the legs that are meant for them, in the action's order."""
    meant: list[tuple[Somebody, set[Leg]]] = []
    for wanted in trigger.send_to.everybody:
        legs = {leg for leg in trigger.action.legs if wanted in trigger.send_to.of(leg)}
        said = len(routing.reasons)
        found = list(named(wanted, circle, routing.reasons.append))
        for somebody in found:
            place = next((place for place, (one, _) in enumerate(meant) if one.is_same(somebody)), None)
            if place is None:
                meant.append((somebody, legs))
            else:
                known, theirs = meant[place]
                meant[place] = (known.joined(somebody), theirs | legs)
        if not found and len(routing.reasons) == said:  # else it was said why
            routing.reasons.append(f"no recipient: the {circle.record.kind} has no {wanted}")
    return [(somebody, [leg for leg in trigger.action.legs if leg in legs]) for somebody, legs in meant]


def _stands_in(trigger: Trigger, legs: list[Leg]) -> bool:
    """Whether somebody is written to only where the first leg finds an address of nobody it is meant for."""
    return trigger.action.choice is Choice.FIRST and trigger.action.legs[0] not in legs


def _reach(somebody: Somebody, legs: list[Leg], search: _Search) -> bool:
    """Take the first of these legs that has somewhere to go, or each; False where none has."""
    trigger, circle, routing, role = search.trigger, search.circle, search.routing, somebody.recipient.role
    settled = False
    for leg in legs:
        boxes = _letterboxes(leg, somebody, search.stopped, routing) if leg.is_message else []
        if not boxes and (leg.is_message or somebody.client_id is None):
            if leg is trigger.action.legs[0] and not leg.is_message:
                routing.reasons.append(f"no route: a {leg.value} is for clients, and {role} has no id of one")
            continue  # staff and families are not called, and get no letters
        settled = True
        instead = trigger.action.choice is Choice.FIRST and leg is not trigger.action.legs[0]
        if not allowed(trigger, leg, role, circle.record, circle.client):
            routing.unwanted.extend(boxes)
            routing.reasons.append(f"allow marketing: {role} has not ticked the box for {leg.value}")
        else:
            routing.write(boxes)
            if not leg.is_message:
                routing.errands.append(Errand(leg, somebody.client_id, somebody.recipient, instead=instead))
            if instead:
                routing.reasons.append(f"fallback: {leg.value} for {role}")
        if trigger.action.choice is Choice.FIRST:
            break
    return settled


def allowed(trigger: Trigger, leg: Leg, role: str, record: Record, client: Record | None) -> bool:
    """Whether the trigger's exclusion of those who do not allow marketing lets this leg through."""
    return not trigger.exclude.without_allow_marketing or ticked(leg, role, record, client)


def _letterboxes(leg: Leg, somebody: Somebody, stopped: Stopped, routing: Routing) -> list[Letterbox]:
    """The letterboxes of one person for one leg: every ticked number, the first email address that takes mail."""
    addresses = somebody.phones if leg is Leg.SMS else somebody.emails
    against = {address: stopped(leg.value, address) for address in addresses}
    open_ones = [address for address, why in against.items() if not why]
    if leg is Leg.EMAIL:
        open_ones = open_ones[:1]
    role = somebody.recipient.role
    if not addresses:
        what = "no number that takes texts" if leg is Leg.SMS else "no email address"
        routing.reasons.append(f"no route: {role} has {what}")
    elif not open_ones:
        routing.reasons.append(closed(role, leg, against.values()))
    return [Letterbox(leg, address, somebody.recipient) for address in open_ones]


def closed(role: str, leg: Leg, against: Iterable[str]) -> str:
    """Why somebody is not reached by a leg of which all addresses have something against it."""
    known = [why for why in dict.fromkeys(against) if why != OPTED_OUT]
    return f"no route: {role}: {known[0]}" if known else f"{OPTED_OUT}: {role} takes no {leg.value}"


def possible(
    trigger: Trigger,
    record: Record,
    client: Record | None,
    country: str,
    *,
    users: Users = NOBODY,
    gone: bool = False,
    countries: Collection[str] = (),
) -> list[tuple[str, str]]:
    """Every (channel, address) that `route` may ask `stopped` about, so that one query can answer all of them."""
    everything: list[tuple[str, str]] = []

    def note(channel: str, address: str) -> str:
        everything.append((channel, address))
        return OPTED_OUT  # as if it were, so that every leg is looked at

    route(trigger, record, client, country, note, users=users, gone=gone, countries=countries)
    return everything
