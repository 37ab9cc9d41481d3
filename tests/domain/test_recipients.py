"""To whom an action goes, at which numbers and addresses, and by which leg."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from control_center.domain.catalogue_actions import Leg
from control_center.domain.consent import OPTED_OUT
from control_center.domain.dead_number import told
from control_center.domain.recipients import Routing, possible, route
from control_center.domain.studio_catalog import User
from tests.support.values import a_client, a_record, a_trigger, as_read

JO, KIM, ADA, BEN = "+13125550188", "+13125550177", "+13125550123", "+13125550124"


def of_kind(kind: str) -> dict[str, Any]:
    """A trigger on records of that kind, whatever date it hangs on."""
    return {} if kind == "session" else {"record": kind, "activate": {"on": "status_changed"}}


def keys_of(action: str, send_to: Collection[str] | dict[str, list[str]]) -> dict[str, Any]:
    """What a trigger must say beside its action."""
    own: dict[str, dict[str, Any]] = {
        "task": {"task": {"subject": "Look at it"}},
        "web_form": {"web_form": {"form": "Wishes"}},
        "change_status": {"change_status": {"to": "Active"}},
    }
    if action in own:
        return {**own[action], "text": ...}
    return {"send_to": send_to if isinstance(send_to, dict) else list(send_to)}


def routed(
    action: str = "sms",
    send_to: Collection[str] | dict[str, list[str]] = ("client",),
    *,
    kind: str = "session",
    client: dict[str, Any] | None = None,
    unlinked: bool = False,
    stopped: Collection[str] = (),
    dead: Collection[str] = (),
    trigger_keys: dict[str, Any] | None = None,
    inactive: Collection[str] = (),
    users: Collection[User] = (),
    gone: bool = False,
    countries: Collection[str] = (),
    **record: Any,
) -> Routing:
    questions: list[tuple[str, str]] = []

    def has_stopped(channel: str, address: str) -> str:
        questions.append((channel, address))
        return OPTED_OUT if address in stopped else told("twilio 21635: a landline") if address in dead else ""

    trigger = a_trigger(**of_kind(kind), action=action, **keys_of(action, send_to), **(trigger_keys or {}))
    about = as_read(a_record(kind, **record))
    person = None if unlinked or gone else as_read(a_client(**(client or {})))
    known = {**{user.name: (user,) for user in users}, **dict.fromkeys(inactive, ())}
    found = route(trigger, about, person, "US", has_stopped, users=known, gone=gone, countries=countries)
    every = set(possible(trigger, about, person, "US", users=known, gone=gone, countries=countries))
    assert set(questions) <= every, "one query must be able to answer it all"
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

    assert sent(routed(client={"phones": phones}, countries=["GB"])) == [("sms", JO), ("sms", "+442079460018")]


def test_a_number_of_a_country_that_is_not_switched_on_is_as_good_as_none_and_the_reason_says_so() -> None:
    phones = [a_phone("+44 20 7946 0018"), a_phone("+1 416 555 0188")]
    abroad = {"phones": phones, "emails": [{"address": "jo@mail.example"}]}

    routing = routed("sms_or_email", client=abroad)

    assert sent(routing) == [("email", "jo@mail.example")]
    assert "country: +442079460018 is of GB, which is not switched on in sms.countries" in routing.reason
    assert sent(routed("sms_or_email", client=abroad, countries=["CA"])) == [("sms", "+14165550188")]


def test_a_number_is_spelt_in_one_way_and_texted_once() -> None:
    phones = [a_phone("(312) 555-0188"), a_phone("+1 312 555 0188"), a_phone("1-312-555-0188")]

    assert sent(routed(client={"phones": phones})) == [("sms", JO)]


def test_a_number_that_cannot_be_one_is_refused_with_the_reason_and_not_guessed() -> None:
    routing = routed(client={"phones": [a_phone("555-01"), a_phone("312 555 0188")]})

    assert sent(routing) == [("sms", JO)]
    assert "unusable" in routing.reason


def test_a_number_that_takes_no_texts_is_not_texted() -> None:
    assert routed(client={"phones": [a_phone("800 234 5678")]}).empty


def test_an_email_address_is_the_same_however_it_is_capitalised() -> None:
    family = [a_relative("Mother", emails=[{"address": "Jo@Mail.example"}])]

    routing = routed("email", ["client", "family:Mother"], client={"family": family})

    assert sent(routing) == [("email", "jo@mail.example")]


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


@pytest.mark.parametrize("action", ["sms", "sms_or_call", "email_and_sms", "call", "letter"])
def test_a_client_who_was_deleted_is_neither_written_to_nor_called(action: str) -> None:
    routing = routed(action, gone=True)

    assert (routing.empty, routing.reason) == (True, "deleted: the client no longer exists")


def test_of_a_client_who_was_deleted_the_family_is_left_alone_and_staff_is_told() -> None:
    routing = routed(send_to=["client", "family:Mother", "photographer"], gone=True, staff=[a_photographer(ADA)])

    assert sent(routing) == [("sms", ADA)]
    assert routing.reason == "deleted: the client no longer exists"


def test_a_client_who_was_deleted_fills_in_no_form_and_a_task_about_the_record_has_no_client() -> None:
    assert routed("web_form", gone=True).empty
    assert asked(routed("task", gone=True)) == [("task", None)]


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


def test_a_photographer_who_has_left_is_not_written_to_and_nobody_takes_their_place() -> None:
    staff = [a_photographer(ADA, primary=True), a_photographer(BEN, name="Ben")]

    routing = routed(send_to=["photographer"], staff=staff, inactive={"Ada"})

    assert routing.empty
    assert routing.reason == "inactive: Ada does not work here any more"
    assert sent(routed(send_to=["all_photographers"], staff=staff, inactive={"Ada"})) == [("sms", BEN)]
    assert sent(routed(send_to=["photographer"], staff=staff, inactive={"Ben"})) == [("sms", ADA)]


def test_a_task_s_user_who_has_left_is_not_written_to_and_a_department_of_that_name_is() -> None:
    given = [{"user": "Ada", "phone": ADA}, {"department": "Ada", "phone": BEN}]

    routing = routed(send_to=["assigned"], kind="task", assigned=given, inactive={"Ada"})

    assert sent(routing) == [("sms", BEN)]
    assert "inactive" in routing.reason


def test_only_staff_can_be_inactive() -> None:
    assert sent(routed(client={"first_name": "Ada"}, inactive={"Ada"})) == [("sms", JO)]


def test_all_photographers_are_all_of_them() -> None:
    staff = [a_photographer(BEN), a_photographer(ADA, primary=True), {"role": "assistant", "phone": KIM}]

    assert sent(routed(send_to=["all_photographers"], staff=staff)) == [("sms", BEN), ("sms", ADA)]


def test_assistants_are_all_of_them_and_no_photographer() -> None:
    staff = [
        a_photographer(ADA),
        {"role": "Assistant", "name": "Ben", "phone": BEN},
        {"role": "assistant", "phone": KIM},
    ]

    routing = routed(send_to=["assistants"], staff=staff)

    assert sent(routing) == [("sms", BEN), ("sms", KIM)]
    assert routing.letterboxes[0].recipient.role == "assistant"
    assert sent(routed(send_to=["assistants"], staff=staff, inactive={"Ben"})) == [("sms", KIM)]
    assert routed(send_to=["assistants"], staff=staff[:1]).reason == "no recipient: the session has no assistants"


def test_a_user_of_the_studio_is_written_to_by_name_whatever_the_record_says() -> None:
    ada = User(name="Ada", phone="(312) 555-0123", email="ada@studio.example")

    routing = routed("email_and_sms", ["user:Ada"], users=[ada], unlinked=True, client_id=None)

    assert sent(routing) == [("email", "ada@studio.example"), ("sms", ADA)]
    assert routing.letterboxes[0].recipient.first_name == "Ada"
    assert sent(routed(send_to=["user:Ada", "photographer"], users=[ada], staff=[a_photographer(ADA)])) == [
        ("sms", ADA)
    ]
    assert routed(send_to=["user:Ada"], users=[ada], stopped=(ADA,)).empty


def test_a_user_whom_the_catalogue_does_not_have_or_who_has_left_is_not_written_to() -> None:
    unknown, left = routed(send_to=["user:Ada"]), routed(send_to=["user:Ada"], inactive={"Ada"})

    assert (unknown.empty, unknown.reason) == (True, "no recipient: the studio's catalogue has no user Ada")
    assert (left.empty, left.reason) == (True, "inactive: Ada does not work here any more")


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


def test_a_number_that_takes_no_texts_is_passed_over_and_named_as_that_and_not_as_an_opt_out() -> None:
    routing = routed("sms_or_email", dead=(JO,))

    assert [box.leg for box in routing.letterboxes] == [Leg.EMAIL]
    landline = "no route: client: this number takes no texts: twilio 21635: a landline"
    assert routing.reason == f"{landline}; fallback: email for client"
    assert routed(dead=(JO,)).reason == landline


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


def asked(routing: Routing) -> list[tuple[str, str | None]]:
    return [(errand.leg.value, errand.client_id) for errand in routing.errands]


def test_a_call_is_asked_for_once() -> None:
    routing = routed("call")

    assert (asked(routing), routing.letterboxes) == ([("call", "c-12")], [])


def test_a_call_needs_no_more_of_the_client_than_an_id() -> None:
    assert asked(routed("call", unlinked=True, client_id="c-12")) == [("call", "c-12")]


def test_a_record_without_a_client_has_nobody_to_call() -> None:
    routing = routed("call", unlinked=True, client_id=None)

    assert routing.empty
    assert "no client" in routing.reason


def test_a_status_is_changed_whether_there_is_a_client_or_not() -> None:
    assert asked(routed("change_status", unlinked=True, client_id=None)) == [("change_status", None)]


@pytest.mark.parametrize("action", ["task", "web_form", "change_status"])
def test_what_is_about_the_record_is_asked_for_once_and_writes_to_nobody(action: str) -> None:
    routing = routed(action)

    assert (asked(routing), routing.letterboxes) == ([(action, "c-12")], [])


def test_a_task_needs_no_client() -> None:
    assert asked(routed("task", unlinked=True, client_id=None)) == [("task", None)]


def test_a_form_needs_a_client_to_fill_it_in() -> None:
    routing = routed("web_form", unlinked=True, client_id=None)

    assert (routing.empty, routing.reason) == (True, "no recipient: the session has no client to fill the form in")


# A call or a letter in place of a message -----------------------------------------------------------------

NO_EMAIL: dict[str, Any] = {"emails": []}


@pytest.mark.parametrize(
    ("action", "client", "stopped", "messages", "commands"),
    [
        ("email_or_call", {}, (), ["email"], []),
        ("email_or_call", NO_EMAIL, (), [], ["call"]),
        ("email_or_call", {"emails": [{"address": "jo at mail"}]}, (), [], ["call"]),
        ("email_or_call", {}, ("jo@mail.example",), [], ["call"]),
        ("email_or_letter", {}, (), ["email"], []),
        ("email_or_letter", NO_EMAIL, (), [], ["letter"]),
        ("email_or_letter", {}, ("jo@mail.example",), [], ["letter"]),
        ("sms_or_call", {}, (), ["sms"], []),
        ("sms_or_call", NO_SMS, (), [], ["call"]),
        ("sms_or_call", {}, (JO,), [], ["call"]),
        ("letter", {"phones": [], "emails": []}, (), [], ["letter"]),
        ("nps_sms", {}, (), ["sms"], []),
        ("nps_sms", NO_SMS, (), [], []),
        ("confirmation_sms", {}, (), ["sms"], []),
        ("confirmation_sms", NO_SMS, (), [], []),
    ],
)
def test_a_client_without_an_address_for_the_first_leg_gets_the_second_and_never_both(
    action: str, client: dict[str, Any], stopped: tuple[str, ...], messages: list[str], commands: list[str]
) -> None:
    routing = routed(action, client=client, stopped=stopped)

    assert ([leg for leg, _ in sent(routing)], [leg for leg, _ in asked(routing)]) == (messages, commands)


def test_a_fallback_says_which_leg_was_taken_and_why() -> None:
    assert routed("sms_or_call", client=NO_SMS).reason == (
        "no route: client has no number that takes texts; fallback: call for client"
    )


@pytest.mark.parametrize("action", ["sms_or_call", "email_or_call", "email_or_letter"])
def test_staff_is_never_called_and_gets_no_letter(action: str) -> None:
    routing = routed(action, ["photographer"], staff=[{"role": "photographer", "name": "Ada"}])

    assert routing.empty
    assert "photographer has no" in routing.reason


def test_staff_without_a_number_is_mailed_where_the_trigger_says_so() -> None:
    routing = routed("sms_or_email", ["photographer"], staff=[a_photographer(None)])

    assert sent(routing) == [("email", "ada@studio.example")]


@pytest.mark.parametrize("action", ["sms_or_call", "email_or_call", "email_or_letter"])
def test_a_missing_family_member_starts_no_fallback(action: str) -> None:
    routing = routed(action, ["family:Mother"])

    assert (routing.empty, routing.reason) == (True, "no recipient: the session has no family:Mother")


def test_a_family_member_who_is_there_is_not_called_either() -> None:
    assert routed("sms_or_call", ["family:Mother"], client={"family": [a_relative("Mother")]}).empty


def test_with_several_recipients_each_gets_a_decision_and_the_client_one_call() -> None:
    routing = routed("sms_or_call", ["client", "photographer"], client=NO_SMS, staff=[a_photographer(ADA)])

    assert (sent(routing), asked(routing)) == ([("sms", ADA)], [("call", "c-12")])


# Further recipients ---------------------------------------------------------------------------------------


def a_payer(**keys: Any) -> dict[str, Any]:
    return {
        "id": "c-99",
        "first_name": "Lee",
        "phones": [a_phone(BEN)],
        "emails": [{"address": "lee@mail.example"}],
        **keys,
    }


def test_whoever_pays_is_written_to_in_place_of_the_client() -> None:
    routing = routed("sms", ["bill_to"], kind="invoice", bill_to=a_payer())

    assert sent(routing) == [("sms", BEN)]
    assert routing.letterboxes[0].recipient.role == "bill_to"


def test_an_invoice_without_another_payer_is_paid_by_its_client() -> None:
    assert sent(routed("sms", ["bill_to"], kind="invoice", bill_to=None)) == [("sms", JO)]


def test_a_payer_who_is_the_client_is_one_person_with_one_leg() -> None:
    payer = a_payer(id="c-12", phones=[])

    assert sent(routed("sms_or_email", ["client", "bill_to"], kind="invoice", bill_to=payer)) == [("sms", JO)]


def test_client_and_payer_without_an_address_are_each_called_once() -> None:
    payer = a_payer(emails=[])

    routing = routed("email_or_call", ["client", "bill_to"], kind="invoice", client=NO_EMAIL, bill_to=payer)

    assert asked(routing) == [("call", "c-12"), ("call", "c-99")]


@pytest.mark.parametrize("payer", [None, {"id": "c-12"}])
def test_a_client_who_pays_is_called_once(payer: dict[str, Any] | None) -> None:
    nowhere: dict[str, Any] = {"phones": [], "emails": []}

    routing = routed("email_or_call", ["client", "bill_to"], kind="invoice", client=nowhere, bill_to=payer)

    assert asked(routing) == [("call", "c-12")]


def test_whoever_pays_and_is_no_client_cannot_be_called_and_the_action_says_so() -> None:
    routing = routed("call", ["bill_to"], kind="invoice", bill_to=a_payer(id=None))

    assert (routing.empty, routing.reason) == (True, "no route: a call is for clients, and bill_to has no id of one")


def test_a_letter_may_be_meant_for_whoever_pays() -> None:
    assert asked(routed("letter", ["bill_to"], kind="invoice", bill_to=a_payer())) == [("letter", "c-99")]


def test_all_participants_of_a_session_are_written_to() -> None:
    people = [{"first_name": "Kim", "phones": [a_phone(KIM)]}, {"first_name": "Ben", "phones": [a_phone(BEN)]}]

    assert sent(routed(send_to=["participants"], participants=people)) == [("sms", KIM), ("sms", BEN)]


def test_a_participant_who_is_the_client_gets_no_second_leg() -> None:
    people = [{"first_name": "Jo", "last_name": "Park", "emails": [{"address": "jo@mail.example"}]}]

    assert sent(routed("sms_or_email", ["client", "participants"], participants=people)) == [("sms", JO)]


def test_a_task_is_told_to_whom_it_was_given() -> None:
    given = [{"user": "Ada", "department": "Lab", "phone": ADA}, {"department": "Lab", "email": "lab@studio.example"}]

    routing = routed("sms_or_email", ["assigned"], kind="task", assigned=given)

    assert sent(routing) == [("sms", ADA), ("email", "lab@studio.example")]
    assert [box.recipient.first_name for box in routing.letterboxes] == ["Ada", "Lab"]


@pytest.mark.parametrize(
    ("action", "wanted", "found"),
    [
        ("sms", "address:(312) 555-0124", [("sms", BEN)]),
        ("email", "address:Office@Studio.Example", [("email", "Office@studio.example")]),
        ("sms_or_email", "address:office@studio.example", [("email", "office@studio.example")]),
        ("email_and_sms", f"address:{BEN}", [("sms", BEN)]),
    ],
)
def test_a_fixed_number_or_address_is_written_to_as_it_is(
    action: str, wanted: str, found: list[tuple[str, str]]
) -> None:
    assert sent(routed(action, [wanted], unlinked=True, client_id=None)) == found


def test_a_stop_binds_a_fixed_number_too() -> None:
    assert routed("sms", [f"address:{BEN}"], stopped=(BEN,)).empty


def test_a_couple_on_one_phone_gets_one_text() -> None:
    routing = routed("sms_or_email", ["client", "family:Spouse"], client={"family": [a_relative("Spouse", JO)]})

    assert sent(routing) == [("sms", JO)]


# A list for each leg --------------------------------------------------------------------------------------


def test_email_and_sms_may_go_to_different_people() -> None:
    routing = routed("email_and_sms", {"email": ["client"], "sms": ["photographer"]}, staff=[a_photographer(ADA)])

    assert sent(routing) == [("email", "jo@mail.example"), ("sms", ADA)]


@pytest.mark.parametrize(
    ("client", "stopped", "found"),
    [
        ({}, (), [("sms", JO)]),
        (NO_SMS, (), [("email", "ada@studio.example")]),
        ({}, (JO,), [("email", "ada@studio.example")]),
    ],
)
def test_whom_only_the_second_leg_names_stands_in_where_the_first_finds_no_address(
    client: dict[str, Any], stopped: tuple[str, ...], found: list[tuple[str, str]]
) -> None:
    lists = {"sms": ["client"], "email": ["photographer"]}

    assert sent(routed("sms_or_email", lists, client=client, stopped=stopped, staff=[a_photographer()])) == found


def test_nobody_stands_in_for_a_family_member_who_is_missing() -> None:
    lists = {"sms": ["family:Mother"], "email": ["photographer"]}

    assert routed("sms_or_email", lists, staff=[a_photographer()]).empty


def test_nobody_stands_in_where_one_of_those_who_are_meant_was_reached() -> None:
    lists = {"sms": ["client", "family:Mother"], "email": ["photographer"]}
    family = [a_relative("Mother", KIM)]

    routing = routed("sms_or_email", lists, client={**NO_SMS, "family": family}, staff=[a_photographer()])

    assert sent(routing) == [("sms", KIM)]


def test_nobody_stands_in_for_a_client_who_does_not_allow_the_leg() -> None:
    lists = {"sms": ["client"], "call": ["client", "bill_to"]}
    client = {**NO_SMS, "allow_marketing": {"sms": True}}
    payer = a_payer(allow_marketing={"call": True})

    assert routed("sms_or_call", lists, kind="invoice", client=client, bill_to=payer, trigger_keys=ASKS).empty


# Allow Marketing ------------------------------------------------------------------------------------------

ASKS: dict[str, Any] = {"exclude": {"without_allow_marketing": True}}


@pytest.mark.parametrize(
    ("action", "boxes", "client", "legs"),
    [
        ("sms", {"sms": True}, {}, ["sms"]),
        ("sms", {"email": True, "call": True, "mail": True}, {}, []),
        ("email", {"email": True}, {}, ["email"]),
        ("email", {"sms": True, "call": True, "mail": True}, {}, []),
        ("call", {"call": True}, {}, ["call"]),
        ("call", {"sms": True, "email": True, "mail": True}, {}, []),
        ("letter", {"mail": True}, {}, ["letter"]),
        ("letter", {"sms": True, "email": True, "call": True}, {}, []),
        ("email_and_sms", {"sms": True}, {}, ["sms"]),
        ("sms_or_email", {"email": True}, {}, []),
        ("sms_or_email", {"email": True}, NO_SMS, ["email"]),
        ("sms_or_email", {"sms": True}, NO_SMS, []),
        ("sms_or_call", {"call": True}, {}, []),
        ("sms_or_call", {"call": True}, NO_SMS, ["call"]),
        ("email_or_letter", {"mail": True}, NO_EMAIL, ["letter"]),
        ("email_or_letter", {"mail": True}, {}, []),
        ("sms", {"sms": None}, {}, []),
    ],
)
def test_allow_marketing_needs_the_box_of_the_leg_that_is_taken_and_starts_no_fallback(
    action: str, boxes: dict[str, Any], client: dict[str, Any], legs: list[str]
) -> None:
    routing = routed(action, client={**client, "allow_marketing": boxes}, trigger_keys=ASKS)

    assert [leg for leg, _ in (*sent(routing), *asked(routing))] == legs
    if not legs:
        assert "allow marketing: client has not ticked the box" in routing.reason


def test_a_client_of_whom_nothing_is_said_allows_nothing() -> None:
    assert routed(trigger_keys=ASKS).empty


def test_without_that_exclusion_the_boxes_are_not_looked_at() -> None:
    assert sent(routed(client={"allow_marketing": {"sms": False}})) == [("sms", JO)]


def test_a_number_that_said_stop_counts_as_absent_before_its_box_is_looked_at() -> None:
    routing = routed("sms_or_email", client={"allow_marketing": {"email": True}}, stopped=(JO,), trigger_keys=ASKS)

    assert [leg for leg, _ in sent(routing)] == ["email"]


def test_a_family_member_goes_by_the_boxes_of_the_client_and_a_payer_by_their_own() -> None:
    family = [a_relative("Mother", KIM, allow_marketing={"sms": True})]
    assert routed(send_to=["family:Mother"], client={"family": family}, trigger_keys=ASKS).empty
    client = {"family": family, "allow_marketing": {"sms": True}}
    assert sent(routed(send_to=["family:Mother"], client=client, trigger_keys=ASKS)) == [("sms", KIM)]

    for ticked in (True, False):
        payer = a_payer(allow_marketing={"sms": ticked})
        client = {"allow_marketing": {"sms": not ticked}}
        routing = routed("sms", ["bill_to"], kind="invoice", client=client, bill_to=payer, trigger_keys=ASKS)
        assert sent(routing) == ([("sms", BEN)] if ticked else [])


def test_staff_is_not_asked_whether_it_allows_marketing() -> None:
    wanted = ["photographer", f"address:{BEN}", "assistants", "user:Kim"]
    staff = [a_photographer(ADA), {"role": "assistant", "name": "Lee", "phone": "+13125550125"}]

    routing = routed(send_to=wanted, staff=staff, users=[User(name="Kim", phone=KIM)], trigger_keys=ASKS)

    assert sent(routing) == [("sms", ADA), ("sms", BEN), ("sms", "+13125550125"), ("sms", KIM)]


@pytest.mark.parametrize("action", ["task", "change_status", "web_form"])
def test_what_has_no_box_is_not_stopped_for_want_of_one(action: str) -> None:
    assert asked(routed(action, trigger_keys=ASKS)) == [(action, "c-12")]


# Referral programs ----------------------------------------------------------------------------------------


def test_a_client_who_is_in_a_program_already_gets_nothing_where_the_trigger_says_skip() -> None:
    keys = {"referral": {"program": "Spring", "if_enrolled": "skip"}}

    routing = routed("sms_or_call", ["client"], client={"referral_program": "Autumn"}, trigger_keys=keys)

    assert routing.empty
    assert routing.excluded == "referral: the client is in the program 'Autumn' already"


@pytest.mark.parametrize(
    ("program", "if_enrolled"), [(None, "skip"), ("", "skip"), ("Autumn", "move"), ("Spring", "move")]
)
def test_a_client_in_no_program_or_one_who_is_to_be_moved_gets_the_message(
    program: str | None, if_enrolled: str
) -> None:
    keys = {"referral": {"program": "Spring", "if_enrolled": if_enrolled}}

    assert sent(routed(client={"referral_program": program}, trigger_keys=keys)) == [("sms", JO)]
