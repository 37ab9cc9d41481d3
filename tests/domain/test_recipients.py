"""To whom an action goes, at which numbers and addresses, and by which leg."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from control_center.domain.catalogue_actions import Leg
from control_center.domain.recipients import Routing, possible, route
from tests.support.values import a_client, a_record, a_trigger, as_read

JO, KIM, ADA, BEN = "+13125550188", "+13125550177", "+13125550123", "+13125550124"


def routed(
    action: str = "sms",
    send_to: Collection[str] = ("client",),
    *,
    client: dict[str, Any] | None = None,
    unlinked: bool = False,
    stopped: Collection[str] = (),
    **record: Any,
) -> Routing:
    asked: list[tuple[str, str]] = []

    def has_stopped(channel: str, address: str) -> bool:
        asked.append((channel, address))
        return address in stopped

    writes = action not in ("call", "change_status")
    more: dict[str, Any] = {"send_to": list(send_to)} if writes else {"text": ...}
    if action == "change_status":
        more["change_status"] = {"to": "Active"}
    trigger = a_trigger(action=action, **more)
    about = as_read(a_record(**record))
    person = None if unlinked else as_read(a_client(**(client or {})))
    found = route(trigger, about, person, "US", has_stopped)
    assert set(asked) <= set(possible(trigger, about, person, "US")), "one query must be able to answer it all"
    return found


def sent(routing: Routing) -> list[tuple[str, str]]:
    return [(box.leg.value, box.address) for box in routing.letterboxes]


def a_phone(number: str, *, sms: bool = True) -> dict[str, Any]:
    return {"number": number, "sms": sms}


def a_relative(relationship: str = "Mother", *numbers: str, **keys: Any) -> dict[str, Any]:
    return {"relationship": relationship, "first_name": "Kim", "phones": [a_phone(one) for one in numbers], **keys}


def a_photographer(phone: str | None = ADA, **keys: Any) -> dict[str, Any]:
    return {"role": "photographer", "name": "Ada", "phone": phone, "email": "ada@studio.example", **keys}


# Numbers --------------------------------------------------------------------------------------------------


def test_a_text_goes_to_every_ticked_number_and_to_no_other() -> None:
    phones = [a_phone("(312) 555-0188"), a_phone("312-555-0189", sms=False), a_phone("+44 20 7946 0018")]

    assert sent(routed(client={"phones": phones})) == [("sms", JO), ("sms", "+442079460018")]


def test_a_number_is_spelt_in_one_way_and_texted_once() -> None:
    phones = [a_phone("(312) 555-0188"), a_phone("+1 312 555 0188"), a_phone("1-312-555-0188")]

    assert sent(routed(client={"phones": phones})) == [("sms", JO)]


def test_a_number_that_cannot_be_one_is_refused_with_the_reason_and_not_guessed() -> None:
    routing = routed(client={"phones": [a_phone("555-01"), a_phone("312 555 0188")]})

    assert sent(routing) == [("sms", JO)]
    assert "unusable" in routing.reason


def test_a_number_that_takes_no_texts_is_not_texted() -> None:
    assert routed(client={"phones": [a_phone("800 234 5678")]}).empty


def test_an_email_goes_to_the_first_usable_address() -> None:
    emails = [{"address": "jo at mail"}, {"address": "jo@mail.example"}, {"address": "park@mail.example"}]

    assert sent(routed("email", client={"emails": emails})) == [("email", "jo@mail.example")]


# People ---------------------------------------------------------------------------------------------------


def test_a_text_to_the_client_says_who_that_is() -> None:
    (box,) = routed().letterboxes

    assert (box.recipient.role, box.recipient.first_name, box.recipient.last_name) == ("client", "Jo", "Park")


def test_a_record_without_a_client_has_nobody_to_write_to() -> None:
    routing = routed(unlinked=True, client_id=None)

    assert routing.empty
    assert routing.reason == "no recipient: the session has no client"


def test_of_several_relatives_of_that_name_all_are_written_to() -> None:
    family = [a_relative("Mother", KIM), a_relative("Father", ADA), a_relative("mother", BEN)]

    routing = routed(send_to=["family:Mother"], client={"family": family})

    assert sent(routing) == [("sms", KIM), ("sms", BEN)]
    assert routing.letterboxes[0].recipient.first_name == "Kim"


@pytest.mark.parametrize("action", ["sms", "sms_or_email", "email_and_sms"])
def test_where_no_such_relative_is_nothing_is_sent_not_even_to_the_client(action: str) -> None:
    routing = routed(action, ["family:Mother"], client={"family": [a_relative("Father", KIM)]})

    assert routing.empty
    assert routing.reason == "no recipient: the session has no family:Mother"


def test_the_photographer_is_the_primary_one() -> None:
    staff = [a_photographer(BEN), a_photographer(ADA, primary=True), {"role": "assistant", "phone": KIM}]

    assert sent(routed(send_to=["photographer"], staff=staff)) == [("sms", ADA)]


def test_the_only_photographer_is_the_primary_one_without_being_marked() -> None:
    assert sent(routed(send_to=["photographer"], staff=[a_photographer(ADA)])) == [("sms", ADA)]


def test_of_several_photographers_none_is_picked_by_chance() -> None:
    assert routed(send_to=["photographer"], staff=[a_photographer(ADA), a_photographer(BEN)]).empty


def test_all_photographers_are_all_of_them() -> None:
    staff = [a_photographer(BEN), a_photographer(ADA, primary=True), {"role": "assistant", "phone": KIM}]

    assert sent(routed(send_to=["all_photographers"], staff=staff)) == [("sms", BEN), ("sms", ADA)]


def test_one_number_reached_as_two_people_is_texted_once() -> None:
    routing = routed(send_to=["client", "family:Mother"], client={"family": [a_relative("Mother", JO)]})

    assert sent(routing) == [("sms", JO)]


# Legs -----------------------------------------------------------------------------------------------------

NO_SMS: dict[str, Any] = {"phones": [a_phone("(312) 555-0188", sms=False)]}


@pytest.mark.parametrize(
    ("action", "client", "stopped", "legs"),
    [
        ("sms_or_email", {}, (), ["sms"]),
        ("sms_or_email", NO_SMS, (), ["email"]),
        ("sms_or_email", {"phones": []}, (), ["email"]),
        ("sms_or_email", {"phones": [a_phone("555-01")]}, (), ["email"]),
        ("sms_or_email", {}, (JO,), ["email"]),
        ("sms_or_email", {"phones": [], "emails": []}, (), []),
        ("sms_or_email", {}, (JO, "jo@mail.example"), []),
        ("sms", NO_SMS, (), []),
        ("sms", {}, (JO,), []),
        ("email", {"emails": []}, (), []),
        ("email", {}, ("jo@mail.example",), []),
        ("email_and_sms", {}, (), ["email", "sms"]),
        ("email_and_sms", {"emails": []}, (), ["sms"]),
        ("email_and_sms", {}, (JO,), ["email"]),
    ],
)
def test_a_fallback_takes_one_leg_and_both_means_each_on_its_own(
    action: str, client: dict[str, Any], stopped: tuple[str, ...], legs: list[str]
) -> None:
    routing = routed(action, client=client, stopped=stopped)

    assert [leg for leg, _ in sent(routing)] == legs
    assert routing.reason or len(legs) == 2 or legs == ["sms"], "a leg not taken has its reason"


def test_a_number_that_said_stop_is_left_out_and_another_of_the_same_person_is_not() -> None:
    phones = [a_phone("312 555 0188"), a_phone("312 555 0177")]

    assert sent(routed("sms_or_email", client={"phones": phones}, stopped=(JO,))) == [("sms", KIM)]


def test_a_stop_is_named_as_the_reason() -> None:
    assert routed(stopped=(JO,)).reason == "opted out: client takes no sms"


def test_neither_number_nor_address_ends_without_a_route_and_says_so() -> None:
    routing = routed("sms_or_email", client={"phones": [], "emails": []})

    assert routing.empty
    assert routing.reason == "no route: client has no number that takes texts; no route: client has no email address"


def test_each_person_gets_a_leg_of_their_own() -> None:
    family = [a_relative("Mother", emails=[{"address": "kim@mail.example"}])]

    routing = routed("sms_or_email", ["client", "family:Mother"], client={"family": family})

    assert sent(routing) == [("sms", JO), ("email", "kim@mail.example")]


def test_a_stop_binds_staff_too() -> None:
    assert routed(send_to=["photographer"], staff=[a_photographer(ADA)], stopped=(ADA,)).empty


# What the CRM is asked to do ------------------------------------------------------------------------------


def test_a_call_is_asked_for_once() -> None:
    routing = routed("call")

    assert (routing.commands, routing.letterboxes) == ([Leg.CALL], [])


def test_a_call_needs_no_more_of_the_client_than_an_id() -> None:
    assert routed("call", unlinked=True, client_id="c-12").commands == [Leg.CALL]


def test_a_record_without_a_client_has_nobody_to_call() -> None:
    routing = routed("call", unlinked=True, client_id=None)

    assert routing.empty
    assert "no client" in routing.reason


def test_a_status_is_changed_whether_there_is_a_client_or_not() -> None:
    assert routed("change_status", unlinked=True, client_id=None).commands == [Leg.CHANGE_STATUS]
