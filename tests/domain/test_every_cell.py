"""Each cell of the table in docs/reference/triggers.md, once, from a trigger to the addresses: written by hand.

What is expected follows from what studios were promised and not from the catalogue: a row that is taken out of that
fails here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from control_center.domain.action import Add
from control_center.domain.errors import Malformed
from control_center.domain.planner import Lapse, Send, Wait, decide
from control_center.domain.recipients import Routing, route
from control_center.domain.reconciliation import reconcile
from control_center.domain.record import Picture
from control_center.domain.trigger import Trigger
from tests.support.values import DAY, NOW, a_client, a_trigger, as_read, local, the_rules

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "triggers.md"

# All in Chicago; NOW is Wednesday, 25 November 2026, ten in the morning.

JO, KIM, LEE, ADA, BEN = "+13125550188", "+13125550177", "+13125550199", "+13125550123", "+13125550124"


def a_phone(number: str) -> dict[str, Any]:
    return {"number": number, "sms": True}


CLIENT: dict[str, Any] = a_client(
    id="c-12",
    status="Active",
    status_changed_at="2026-11-25T09:15",
    status_due_date="2026-12-07",
    birthday="1990-03-09",
    anniversary="2015-02-01",
    family=[{"relationship": "Mother", "first_name": "Kim", "phones": [a_phone(KIM)]}],
)
ENTERED: dict[str, Any] = {"status_changed_at": "2026-11-25T09:15", "status_due_date": "2026-12-07"}
STAFF: list[dict[str, Any]] = [
    {"role": "photographer", "primary": True, "name": "Ada", "phone": ADA},
    {"role": "photographer", "name": "Ben", "phone": BEN},
]
ASSIGNED = [{"user": "Ben", "department": "Lab", "phone": BEN}]

# By the number of the type: what a trigger says to be of it, and a record that it is about.
TYPES: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {
    1: (
        {"record": "appointment", "type": "Consultation"},
        {
            "type": "Consultation",
            "dates": {"appointment": "2026-12-10T11:30", "booked": "2026-11-24T17:00"},
            "staff": STAFF,
            **ENTERED,
            "status": "Made",
        },
    ),
    3: ({"record": "client", "status": "Active"}, CLIENT),
    4: (
        {"record": "email", "event": "opened", "category": "Newsletter"},
        {
            "status": "opened",
            "type": "Newsletter",
            "dates": {"received": "2026-11-25T02:30:00Z", "sent": "2026-11-23T15:00:00Z"},
        },
    ),
    5: (
        {"record": "invoice", "status": "Open"},
        {
            "status": "Open",
            **ENTERED,
            "dates": {"invoice": "2026-11-23", "paid": "2026-11-24T16:45"},
            "instalments": [{"id": "1", "due": "2026-11-16", "paid": True}, {"id": "2", "due": "2026-12-16"}],
            "bill_to": {"id": "c-99", "first_name": "Lee", "phones": [a_phone(LEE)]},
            "links": {"session": "4711"},
        },
    ),
    6: (
        {"record": "production_order", "type": "Album", "status": "At the lab"},
        {"type": "Album", "status": "At the lab", **ENTERED, "dates": {"ordered": "2026-11-22"}, "assigned": ASSIGNED},
    ),
    7: (
        {"record": "preproduction_order", "type": "Proofs", "status": "Selecting"},
        {"type": "Proofs", "status": "Selecting", **ENTERED, "dates": {"ordered": "2026-11-22"}, "assigned": ASSIGNED},
    ),
    8: (
        {"record": "session", "status": "Booked", "type": "Wedding"},
        {
            "type": "Wedding",
            "status": "Booked",
            **ENTERED,
            "dates": {"session": "2027-03-14T14:00", "booked": "2026-11-23"},
            "staff": STAFF,
            "participants": [{"first_name": "Kim", "phones": [a_phone(KIM)]}],
            "nps": {"id": "r-1", "score": 9, "comment": "lovely", "received_at": "2026-11-24T21:05"},
        },
    ),
    10: (
        {"record": "task", "status": "Open", "type": "Call back"},
        {
            "type": "Call back",
            "status": "Open",
            **ENTERED,
            "dates": {"start": "2026-11-30", "due": "2026-12-31", "completed": "2026-11-25T09:40"},
            "assigned": ASSIGNED,
        },
    ),
    12: (
        {"record": "web_form", "status": "Submitted", "form": "Contact Us"},
        {
            "status": "Submitted",
            "form": {"name": "Contact Us"},
            **ENTERED,
            "dates": {"created": "2026-11-20", "submitted": "2026-11-24T23:30"},
        },
    ),
    13: (
        {"record": "sms", "keyword": "prints", "match": "first_word"},
        {"text": "Prints, please!", "dates": {"received": "2026-11-25T09:59"}},
    ),
    14: (
        {"record": "loyalty_reward", "type": "Referral"},
        {
            "type": "Referral",
            "reward": {"code": "X", "balance": "20.00"},
            "dates": {"issued": "2026-11-24", "expires": "2027-01-31"},
        },
    ),
}
TYPES[2] = ({**TYPES[1][0], "status": "Made"}, TYPES[1][1])
TYPES[9] = ({"record": "session", "type": "Wedding"}, TYPES[8][1])
TYPES[11] = ({"record": "task", "type": "Call back"}, TYPES[10][1])


def a_picture(number: int, **keys: Any) -> Picture:
    """The record of a type, seen as it came to be."""
    says, record = TYPES[number]
    body = {"id": "7", "version": 1, "kind": says["record"], **record, **keys}
    if says["record"] == "client":
        body["id"] = "c-12"
    else:
        body["client_id"] = "c-12"
    text = msgspec.json.encode(body).decode()
    return Picture("main", says["record"], body["id"], 1, text, body.get("client_id"), False, 1, None, None)


def a_trigger_of(number: int, **keys: Any) -> Trigger:
    """A trigger of this type that acts by itself, on the first of its dates where none is named."""
    first = {"activate": {"on": DATES_OF[number][0]}}
    return a_trigger(1, **{**first, **TYPES[number][0], **keys})


def routed(trigger: Trigger, picture: Picture, **client: Any) -> Routing:
    return route(trigger, picture.record, as_read({**CLIENT, **client}), "US", lambda *_: "")


# When, and to whom ----------------------------------------------------------------------------------------

# type, date, offset in days: when it is active, for whom it is meant, which numbers are texted.
DATES: list[tuple[int, str, int, str, str, list[str]]] = [
    (1, "appointment", -1, "2026-12-09 00:00", "client", [JO]),
    (1, "booked", 0, "2026-11-24 17:00", "photographer", [ADA]),
    (1, "status_changed", 0, "2026-11-25 09:15", "all_photographers", [ADA, BEN]),
    (1, "status_due", -2, "2026-12-05 00:00", "family:Mother", [KIM]),
    (2, "appointment", 0, "2026-12-10 00:00", "client", [JO]),
    (2, "booked", 2, "2026-11-26 00:00", "photographer", [ADA]),
    (2, "status_changed", 1, "2026-11-26 00:00", "client", [JO]),
    (2, "status_due", 0, "2026-12-07 00:00", "address:(312) 555-0124", [BEN]),
    (3, "status_changed", 0, "2026-11-25 09:15", "client", [JO]),
    (3, "status_due", 3, "2026-12-10 00:00", "client", [JO]),
    (3, "birthday", -14, "2027-02-23 00:00", "client", [JO]),
    (3, "anniversary", -60, "2026-12-03 00:00", "client", [JO]),
    (4, "received", 0, "2026-11-24 20:30", "client", [JO]),
    (4, "sent", 3, "2026-11-26 00:00", "address:+13125550124", [BEN]),
    (5, "status_changed", 0, "2026-11-25 09:15", "client", [JO]),
    (5, "status_due", -7, "2026-11-30 00:00", "bill_to", [LEE]),
    (5, "payment_due", -5, "2026-12-11 00:00", "bill_to", [LEE]),
    (5, "invoice", 3, "2026-11-26 00:00", "client", [JO]),
    (5, "paid", 0, "2026-11-24 16:45", "bill_to", [LEE]),
    (6, "status_changed", 3, "2026-11-28 00:00", "assigned", [BEN]),
    (6, "status_due", 1, "2026-12-08 00:00", "assigned", [BEN]),
    (6, "ordered", 0, "2026-11-22 00:00", "client", [JO]),
    (7, "status_changed", 0, "2026-11-25 09:15", "client", [JO]),
    (7, "status_due", -1, "2026-12-06 00:00", "assigned", [BEN]),
    (7, "ordered", 10, "2026-12-02 00:00", "client", [JO]),
    (8, "session", -1, "2027-03-13 00:00", "client", [JO]),
    (8, "booked", 0, "2026-11-23 00:00", "photographer", [ADA]),
    (8, "status_changed", 0, "2026-11-25 09:15", "all_photographers", [ADA, BEN]),
    (8, "status_due", 0, "2026-12-07 00:00", "participants", [KIM]),
    (8, "nps_received", 0, "2026-11-24 21:05", "client", [JO]),
    (9, "session", 1, "2027-03-15 00:00", "client", [JO]),
    (9, "booked", 4, "2026-11-27 00:00", "client", [JO]),
    (9, "status_changed", 2, "2026-11-27 00:00", "client", [JO]),
    (9, "status_due", -3, "2026-12-04 00:00", "family:Mother", [KIM]),
    (9, "nps_received", 1, "2026-11-25 00:00", "participants", [KIM]),
    (10, "start", -2, "2026-11-28 00:00", "assigned", [BEN]),
    (10, "due", 1, "2027-01-01 00:00", "assigned", [BEN]),
    (10, "completed", 0, "2026-11-25 09:40", "client", [JO]),
    (10, "status_changed", 0, "2026-11-25 09:15", "assigned", [BEN]),
    (10, "status_due", -1, "2026-12-06 00:00", "assigned", [BEN]),
    (11, "start", 0, "2026-11-30 00:00", "assigned", [BEN]),
    (11, "due", -1, "2026-12-30 00:00", "assigned", [BEN]),
    (11, "completed", 1, "2026-11-26 00:00", "client", [JO]),
    (11, "status_changed", 5, "2026-11-30 00:00", "assigned", [BEN]),
    (11, "status_due", 1, "2026-12-08 00:00", "assigned", [BEN]),
    (12, "created", 7, "2026-11-27 00:00", "client", [JO]),
    (12, "submitted", 0, "2026-11-24 23:30", "client", [JO]),
    (12, "status_changed", 1, "2026-11-26 00:00", "address:+13125550123", [ADA]),
    (13, "received", 0, "2026-11-25 09:59", "client", [JO]),
    (14, "issued", 2, "2026-11-26 00:00", "client", [JO]),
    (14, "expires", -30, "2027-01-01 00:00", "client", [JO]),
]
DATES_OF: Final = {number: [case[1] for case in DATES if case[0] == number] for number in TYPES}


@pytest.mark.parametrize(("number", "base", "days", "at", "send_to", "addresses"), DATES)
def test_a_trigger_of_each_type_acts_on_each_of_its_dates_for_those_it_is_meant_for(
    number: int, base: str, days: int, *, at: str, send_to: str, addresses: list[str]
) -> None:
    trigger = a_trigger_of(number, activate={"on": base, "days": days}, send_to=[send_to])
    rules, picture = the_rules(trigger), a_picture(number)

    (step,) = reconcile(picture, rules, (), NOW)

    assert isinstance(step, Add)
    assert step.plan.activation_at == local(at)
    due, occurrence = max(local(at), NOW), step.plan.occurrence
    assert isinstance(decide(rules.by_id[1], picture, occurrence, due), Send)
    if due > NOW:
        assert isinstance(decide(rules.by_id[1], picture, occurrence, due - DAY / 24), Wait)
    assert [box.address for box in routed(trigger, picture).letterboxes] == addresses


# Whom its filters leave out -------------------------------------------------------------------------------

# type, filter, what is different in the record: how the reason begins.
FILTERS: list[tuple[int, str, dict[str, Any], str]] = [
    (1, "type", {"type": "Portrait"}, "type"),
    (2, "type", {"type": "Portrait"}, "type"),
    (2, "status", {"status": "Kept"}, "status"),
    (3, "status", {"status": "Lead"}, "status"),
    (4, "event", {"status": "bounced"}, "event"),
    (4, "category", {"type": "Reminder"}, "category"),
    (5, "status", {"status": "Paid"}, "status"),
    (6, "type", {"type": "Prints"}, "type"),
    (6, "status", {"status": "On hold"}, "status"),
    (7, "type", {"type": "Album"}, "type"),
    (7, "status", {"status": "Done"}, "status"),
    (8, "status", {"status": "Inquiry"}, "status"),
    (8, "type", {"type": "Portrait"}, "type"),
    (9, "type", {"type": None}, "type"),
    (10, "status", {"status": "Done"}, "status"),
    (10, "type", {"type": "Errand"}, "type"),
    (11, "type", {"type": "Errand"}, "type"),
    (12, "status", {"status": "Sent"}, "status"),
    (12, "form", {"form": {"name": "Wishes"}}, "form"),
    (13, "keyword", {"text": "Albums, please"}, "keyword"),
    (13, "match", {"text": "I want prints"}, "keyword"),
    (14, "type", {"type": "Loyalty"}, "type"),
]


@pytest.mark.parametrize(("number", "name", "differs", "reason"), FILTERS)
def test_a_trigger_of_each_type_leaves_out_what_its_filters_do(
    number: int, name: str, differs: dict[str, Any], reason: str
) -> None:
    trigger = a_trigger_of(number)
    rules, picture = the_rules(trigger), a_picture(number, **differs)

    assert name in TYPES[number][0]
    assert reconcile(picture, rules, (), NOW) == []
    decision = decide(rules.by_id[1], picture, "x", NOW)
    assert isinstance(decision, Lapse)
    assert decision.reason.startswith(reason)


# What its exclusions stop ---------------------------------------------------------------------------------

HELD, SURE, OFF = ({"flags": {flag: True}} for flag in ("on_hold", "confirmed", "canceled"))
POOR: dict[str, Any] = {"nps": {"id": "r-1", "score": 6, "received_at": "2026-11-24T09:00"}}
SPENT: dict[str, Any] = {"reward": {"code": "X", "balance": "0.00"}}

# type, exclusion as it is written, a record that goes out: one that it stops, how the reason begins.
EXCLUSIONS: list[tuple[int, str, Any, dict[str, Any], dict[str, Any], str]] = [
    *((number, "on_hold", True, SURE, HELD, "on hold") for number in (1, 2, 8, 9)),
    *((number, "confirmed", True, OFF, SURE, "confirmed") for number in (1, 2, 8, 9)),
    *((number, "canceled", True, HELD, OFF, "canceled") for number in (1, 2, 8, 9)),
    (8, "nps", {"recorded": True}, {"nps": None}, {}, "NPS: a score of 9"),
    (8, "nps", {"only_between": [0, 6]}, POOR, {}, "NPS: the score is 9"),
    (9, "nps", {"only_between": [7, 9]}, {}, POOR, "NPS: the score is 6"),
    (9, "nps", {"only_with_comment": True}, {}, POOR, "NPS: there is no comment"),
]
BOXES = {"sms": True, "email": False, "call": False, "mail": False}
# The last instant at which a trigger goes out that is not to after its day, by type: its first date above, on the day.
LAST: dict[int, str] = {
    1: "2026-12-10 23:59",
    2: "2026-12-10 23:59",
    3: "2026-11-25 23:59",
    4: "2026-11-24 23:59",
    5: "2026-11-25 23:59",
    6: "2026-11-25 23:59",
    7: "2026-11-25 23:59",
    8: "2027-03-14 23:59",
    9: "2027-03-14 23:59",
    10: "2026-11-30 23:59",
    11: "2026-11-30 23:59",
    12: "2026-11-20 23:59",
    13: "2026-11-25 23:59",
    14: "2026-11-24 23:59",
}


@pytest.mark.parametrize(("number", "name", "value", "goes", "stopped", "reason"), EXCLUSIONS)
def test_an_exclusion_of_each_type_stops_what_it_names_and_nothing_else(
    number: int, name: str, value: Any, *, goes: dict[str, Any], stopped: dict[str, Any], reason: str
) -> None:
    (rule,) = the_rules(a_trigger_of(number, activate={"on": "booked"}, exclude={name: value})).by_id.values()

    assert isinstance(decide(rule, a_picture(number, **goes), "booked", NOW), Send)
    decision = decide(rule, a_picture(number, **stopped), "booked", NOW)
    assert isinstance(decision, Lapse)
    assert decision.reason.startswith(reason)


def test_an_invoice_goes_by_the_score_of_its_session() -> None:
    trigger = a_trigger_of(5, activate={"on": "invoice"}, exclude={"nps": {"only_between": [7, 10]}})
    (rule,) = the_rules(trigger).by_id.values()

    assert isinstance(decide(rule, a_picture(5), "invoice", NOW, session=a_picture(8)), Send)
    assert isinstance(decide(rule, a_picture(5), "invoice", NOW, session=a_picture(8, **POOR)), Lapse)


def test_a_reward_of_which_nothing_is_left_goes_out_where_the_trigger_lets_it_in() -> None:
    for keys, ends in (({}, Lapse), ({"exclude": {"redeemed": False}}, Lapse), ({"exclude": {"redeemed": True}}, Send)):
        (rule,) = the_rules(a_trigger_of(14, **keys)).by_id.values()
        assert isinstance(decide(rule, a_picture(14), "issued", NOW), Send)
        assert isinstance(decide(rule, a_picture(14, **SPENT), "issued", NOW), ends)


@pytest.mark.parametrize("number", TYPES)
def test_of_each_type_what_is_not_to_go_out_after_its_day_goes_out_until_its_end(number: int) -> None:
    trigger = a_trigger_of(number, exclude={"past_date": True})
    rules, picture = the_rules(trigger), a_picture(number)
    (step,) = reconcile(picture, rules, (), NOW)
    assert isinstance(step, Add)

    last = local(LAST[number])

    assert isinstance(decide(rules.by_id[1], picture, step.plan.occurrence, last), Send)
    after = decide(rules.by_id[1], picture, step.plan.occurrence, last + DAY / 24)
    assert isinstance(after, Lapse)
    assert after.reason.startswith("past date")


@pytest.mark.parametrize("number", TYPES)
def test_of_each_type_a_client_is_written_to_only_as_they_allow_where_the_trigger_asks(number: int) -> None:
    asks = a_trigger_of(number, exclude={"without_allow_marketing": True})
    picture, ticked = a_picture(number), {"allow_marketing": BOXES}
    unticked = {"allow_marketing": {**BOXES, "sms": False, "email": True}}

    assert [box.address for box in routed(asks, picture, **ticked).letterboxes] == [JO]
    assert routed(asks, picture, **unticked).empty
    assert not routed(a_trigger_of(number), picture, **unticked).empty


OFFERED: dict[int, str] = {
    1: "past_date without_allow_marketing on_hold confirmed canceled",
    2: "past_date without_allow_marketing on_hold confirmed canceled",
    3: "past_date without_allow_marketing",
    4: "past_date without_allow_marketing",
    5: "past_date without_allow_marketing nps",
    6: "past_date without_allow_marketing",
    7: "past_date without_allow_marketing",
    8: "past_date without_allow_marketing on_hold confirmed canceled nps",
    9: "past_date without_allow_marketing on_hold confirmed canceled nps",
    10: "past_date without_allow_marketing",
    11: "past_date without_allow_marketing",
    12: "past_date without_allow_marketing",
    13: "past_date without_allow_marketing",
    14: "past_date without_allow_marketing redeemed",
}
WRITTEN: dict[str, Any] = {
    "past_date": True,
    "without_allow_marketing": True,
    "on_hold": True,
    "confirmed": True,
    "canceled": True,
    "nps": {"recorded": True},
    "redeemed": True,
}


@pytest.mark.parametrize("number", TYPES)
@pytest.mark.parametrize("name", WRITTEN)
def test_an_exclusion_that_a_type_does_not_offer_is_refused(number: int, name: str) -> None:
    if name in OFFERED[number].split():
        assert getattr(a_trigger_of(number, exclude={name: WRITTEN[name]}).exclude, name)
    else:
        with pytest.raises(Malformed, match=f"exclude.{name}: is not offered for"):
            a_trigger_of(number, exclude={name: WRITTEN[name]})


# What it does ---------------------------------------------------------------------------------------------

BY_MAIL = "jo@mail.example"
# action: what comes of it for a client with a number and an address, and for one without either.
DOES: dict[str, tuple[list[str], list[str]]] = {
    "sms": ([JO], []),
    "email": ([BY_MAIL], []),
    "email_or_call": ([BY_MAIL], ["call"]),
    "email_or_letter": ([BY_MAIL], ["letter"]),
    "sms_or_call": ([JO], ["call"]),
    "sms_or_email": ([JO], []),
    "email_and_sms": ([BY_MAIL, JO], []),
    "call": (["call"], ["call"]),
    "letter": (["letter"], ["letter"]),
    "task": (["task"], ["task"]),
    "web_form": (["web_form"], ["web_form"]),
    "nps_sms": ([JO], []),
    "confirmation_sms": ([JO], []),
    "change_status": (["change_status"], ["change_status"]),
}
SAYS: dict[str, dict[str, Any]] = {
    "task": {"text": ..., "task": {"subject": "Look at it"}},
    "web_form": {"text": ..., "web_form": {"form": "Wishes"}},
    "change_status": {"text": ..., "change_status": {"to": "Asked"}},
}
# Which types do not offer it; every other does.
NOT_OFFERED: dict[str, tuple[int, ...]] = {
    "nps_sms": (1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14),
    "confirmation_sms": (3, 4, 5, 6, 7, 10, 11, 12, 13, 14),
    "change_status": (4, 13, 14),
}


@pytest.mark.parametrize("number", TYPES)
@pytest.mark.parametrize("action", DOES)
def test_a_trigger_of_each_type_does_what_it_is_offered_to_do_and_no_other(number: int, action: str) -> None:
    keys = {"action": action, **SAYS.get(action, {})}
    if number in NOT_OFFERED.get(action, ()):
        with pytest.raises(Malformed, match=f"action: '{action}' is not offered for"):
            a_trigger_of(number, **keys)
        return
    trigger = a_trigger_of(number, **keys)
    reached, unreached = DOES[action]

    nowhere: dict[str, Any] = {"phones": [], "emails": []}
    for client, expected in (({}, reached), (nowhere, unreached)):
        body = a_picture(number, **client) if trigger.kind.name == "client" else a_picture(number)
        routing = routed(trigger, body, **client)
        found = [box.address for box in routing.letterboxes] + [errand.leg.value for errand in routing.errands]
        assert found == expected


# All of the table -----------------------------------------------------------------------------------------


def test_the_table_of_triggers_has_these_cells_and_no_others() -> None:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| \d+ \|", line)]
    assert len(lines) == len(TYPES) == 14
    for line in lines:
        number, _, kind, filters, dates, exclusions, actions = (cell.strip() for cell in line.strip("|").split("|"))
        mine = int(number)
        assert named(kind) == {TYPES[mine][0]["record"]}
        assert named(filters) == {name for one, name, _, _ in FILTERS if one == mine}
        assert named(dates) == set(DATES_OF[mine])
        assert named(exclusions) == set(OFFERED[mine].split())
        assert actions.startswith("all")
        assert named(actions) == {action for action, types in NOT_OFFERED.items() if mine in types}


def named(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def test_each_exclusion_of_each_type_has_its_case() -> None:
    of_all = {"past_date", "without_allow_marketing"}
    told = {(number, name) for number, name, *_ in EXCLUSIONS} | {(5, "nps"), (14, "redeemed")}

    assert told == {(number, name) for number, names in OFFERED.items() for name in names.split() if name not in of_all}
    assert set(LAST) == set(TYPES)
