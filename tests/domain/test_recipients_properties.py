"""Whatever the data: nobody is reached by two legs of a fallback, no address twice, and no box is passed over."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.catalogue_actions import BOXES, Leg
from control_center.domain.consent import OPTED_OUT
from control_center.domain.people import STAFF
from control_center.domain.recipients import possible, route
from tests.support.values import a_client, a_record, a_trigger, as_read

NUMBERS = ["+13125550188", "(312) 555-0188", "+13125550177", "312 555 0123", "555-01", "800 234 5678"]
MAILS = ["jo@mail.example", "kim@mail.example", "Jo@Mail.example", "jo at mail"]
BOX_NAMES = ["sms", "email", "call", "mail"]

phones = st.lists(st.fixed_dictionaries({"number": st.sampled_from(NUMBERS), "sms": st.booleans()}), max_size=3)
emails = st.lists(st.fixed_dictionaries({"address": st.sampled_from(MAILS)}), max_size=2)
boxes = st.none() | st.dictionaries(st.sampled_from(BOX_NAMES), st.none() | st.booleans())
ways = {"phones": st.none() | phones, "emails": st.none() | emails}
relatives = st.lists(
    st.fixed_dictionaries({"relationship": st.sampled_from(["Mother", "mother", "Father"]), **ways}), max_size=2
)
payers = st.none() | st.fixed_dictionaries(
    {"id": st.sampled_from(["c-12", "c-99", None]), "first_name": st.just("Lee"), "allow_marketing": boxes, **ways}
)
photographers = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.just("photographer"),
            "primary": st.booleans(),
            "phone": st.none() | st.sampled_from(NUMBERS),
            "email": st.none() | st.sampled_from(MAILS),
        }
    ),
    max_size=2,
)
FALLBACKS = ["sms_or_email", "sms_or_call", "email_or_call", "email_or_letter"]
ROLES = ["client", "bill_to", "family:Mother", "photographer", "all_photographers", "address:312 555 0188"]
actions = st.sampled_from([*FALLBACKS, "email_and_sms", "sms", "email"])
wanted = st.lists(st.sampled_from(ROLES), min_size=1, max_size=4, unique=True)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    action = draw(actions)
    lists = [one for one in draw(wanted) if action != "email" or not one.startswith("address")]
    if action.startswith("email_or"):
        lists = [one for one in lists if not one.startswith("address")]
    client = a_client(allow_marketing=draw(boxes), family=draw(relatives), **{k: draw(v) for k, v in ways.items()})
    return {
        "trigger": a_trigger(
            record="invoice",
            activate={"on": "status_changed"},
            action=action,
            send_to=lists or ["client"],
            exclude={"without_allow_marketing": draw(st.booleans())},
        ),
        "record": as_read(a_record("invoice", bill_to=draw(payers), staff=draw(photographers))),
        "client": as_read(client) if draw(st.booleans()) else None,
        "stopped": frozenset(draw(st.lists(st.sampled_from(["+13125550188", "+13125550177", "jo@mail.example"])))),
    }


@given(cases())
def test_whatever_the_data_no_address_twice_no_second_leg_and_no_box_passed_over(case: dict[str, Any]) -> None:
    trigger, record, client, stopped = (case[name] for name in ("trigger", "record", "client", "stopped"))

    routing = route(trigger, record, client, "US", lambda _, address: OPTED_OUT if address in stopped else "")

    reached = [(box.leg, box.address) for box in routing.letterboxes]
    assert len(reached) == len({address.casefold() for _, address in reached}), "the same address is written to once"
    assert stopped.isdisjoint(address for _, address in reached), "a STOP binds everybody"
    assert {(leg.value, address) for leg, address in reached} <= set(possible(trigger, record, client, "US"))
    errands = [(errand.leg, errand.client_id) for errand in routing.errands]
    assert len(errands) == len(set(errands)), "a client is called once"
    if trigger.action.name in FALLBACKS:
        legs: dict[tuple[str, str, str], set[Leg]] = {}
        taken = [(box.recipient, box.leg) for box in routing.letterboxes]
        taken += [(errand.recipient, errand.leg) for errand in routing.errands if errand.recipient]
        for who, leg in taken:
            if who.role in ("client", "bill_to"):
                legs.setdefault((who.role, who.first_name, who.last_name), set()).add(leg)
        assert all(len(found) == 1 for found in legs.values()), "one leg of the pair for each person"
    if trigger.exclude.without_allow_marketing:
        for box in routing.letterboxes:
            assert box.recipient.role in STAFF or _ticked(box.leg, box.recipient.role, record, client)
        for errand in routing.errands:
            assert errand.recipient
            assert _ticked(errand.leg, errand.recipient.role, record, client)


def _ticked(leg: Leg, role: str, record: Any, client: Any) -> bool:
    holder = record.bill_to if role == "bill_to" else client
    return bool(holder and holder.allow_marketing and getattr(holder.allow_marketing, BOXES[leg]))
