"""What a trigger may say of its action: understood, or refused by field, value and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from control_center.domain.catalogue import KINDS
from control_center.domain.catalogue_actions import ACTIONS, Leg
from control_center.domain.errors import Malformed
from control_center.domain.trigger import Trigger, parse
from control_center.domain.trigger_action import Call, Referral, Task, Words
from control_center.domain.trigger_words import check_words
from tests.support.values import a_trigger_table

TASK: dict[str, Any] = {"action": "task", "text": ..., "task": {"subject": "Look"}}
BY_LEG: dict[str, Any] = {"text": ..., "action": "email_or_call"}
TWO_LISTS: dict[str, Any] = {"action": "email_and_sms"}


def read(kind: str = "session", **keys: Any) -> Trigger:
    on = {"on": next(iter(KINDS[kind].bases))}
    return parse(a_trigger_table(record=kind, activate=on, **keys), where="booking.toml")


def refusal(kind: str = "session", **keys: Any) -> Malformed:
    with pytest.raises(Malformed) as refused:
        read(kind, **keys)
    return refused.value


# What is understood ---------------------------------------------------------------------------------------


def test_a_task_says_everything_that_one_has() -> None:
    table = {
        "subject": "Call {{ client.first_name }}",
        "description": "About {{ session.type }}",
        "type": "Follow-up",
        "priority": 3,
        "due_days": 2,
        "assign": "Lab",
    }

    found = read(action="task", text=..., task=table).task

    assert found == Task("Call {{ client.first_name }}", "About {{ session.type }}", "Follow-up", 3, 2, "Lab")


def test_a_task_needs_no_more_than_a_subject() -> None:
    assert read(**TASK).task == Task("Look")


def test_a_form_says_which() -> None:
    assert read(action="web_form", text=..., web_form={"form": "Wishes"}).web_form == "Wishes"


@pytest.mark.parametrize("action", ["call", "sms_or_call", "email_or_call"])
def test_a_call_says_its_type_its_due_date_and_whose_it_is_also_as_a_fallback(action: str) -> None:
    found = read(action=action, call={"type": "Follow-up", "due_days": 2, "assign": "Ada"})

    assert found.call == Call("Follow-up", 2, "Ada")


@pytest.mark.parametrize("action", sorted(set(ACTIONS) - {"change_status", "task", "web_form"}))
def test_any_action_may_change_the_status_besides(action: str) -> None:
    assert read(action=action, then_status="Asked").then_status == "Asked"


def test_a_task_and_a_form_may_change_the_status_besides() -> None:
    assert read(**TASK, then_status="Asked").then_status == "Asked"
    assert read(action="web_form", text=..., web_form={"form": "W"}, then_status="Asked").then_status == "Asked"


@pytest.mark.parametrize(
    ("kind", "name"), [("session", "confirmation"), ("appointment", "confirmation"), ("invoice", "invoice")]
)
def test_an_email_carries_what_its_record_has(kind: str, name: str) -> None:
    assert read(kind, action="email", attach=[name, name]).attach == (name,)


def test_a_program_may_be_entered_with_a_message() -> None:
    assert read(referral={"program": "Spring", "if_enrolled": "move"}).referral == Referral("Spring", skip=False)
    assert read(referral={"program": "Spring", "if_enrolled": "skip"}).referral == Referral("Spring", skip=True)
    assert read(referral={"program": "Spring"}).referral == Referral("Spring", skip=True)


def test_each_leg_may_have_a_template_of_its_own() -> None:
    words = read(**BY_LEG, template={"email": "mail", "call": "note"}).words

    assert words == Words(None, None, ((Leg.EMAIL, "mail"), (Leg.CALL, "note")))
    assert (words.template_of(Leg.EMAIL), words.template_of(Leg.CALL)) == ("mail", "note")
    assert words.templates == (("template.email", "mail"), ("template.call", "note"))


def test_the_note_of_a_call_may_be_left_out() -> None:
    assert read(**BY_LEG, template={"email": "mail"}).words.template_of(Leg.CALL) is None


def test_one_template_serves_every_leg() -> None:
    words = read(**BY_LEG, template="mail").words

    assert [words.template_of(leg) for leg in (Leg.EMAIL, Leg.CALL)] == ["mail", "mail"]


def test_each_leg_may_have_recipients_of_its_own() -> None:
    wanted = read(**TWO_LISTS, send_to={"sms": ["photographer"], "email": ["client", "family:Mother"]}).send_to

    assert wanted.of(Leg.SMS) == ("photographer",)
    assert wanted.of(Leg.EMAIL) == ("client", "family:Mother")
    assert wanted.everybody == ("client", "family:Mother", "photographer")


def test_a_call_in_place_of_an_email_is_meant_for_whom_the_email_is() -> None:
    wanted = read("invoice", **{**BY_LEG, "text": "Hi"}, send_to={"email": ["bill_to"]}).send_to

    assert wanted.of(Leg.CALL) == ("bill_to",)


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        ("invoice", "bill_to"),
        ("session", "participants"),
        ("task", "assigned"),
        ("production_order", "assigned"),
        ("preproduction_order", "assigned"),
        ("session", "address:+13125550123"),
        ("session", "address:(312) 555-0123"),
        ("appointment", "assistants"),
        ("invoice", "user:Ada Park"),
    ],
)
def test_whoever_a_record_may_have_can_be_written_to(kind: str, role: str) -> None:
    assert read(kind, send_to=[role]).send_to.everybody == (role,)


# What is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "keys", "field", "reason"),
    [
        ("invoice", {"action": "nps_sms"}, "action", "'nps_sms' is not offered for invoice; it is for session"),
        ("appointment", {"action": "nps_sms"}, "action", "it is for session"),
        ("invoice", {"action": "confirmation_sms"}, "action", "it is for appointment, session"),
        ("session", {"action": "confirmation_sms", "text": ..., "template": "t"}, "template", "give them as text"),
        ("session", {"action": "confirmation_sms", "text": ...}, "text", "needs a text of its own"),
        ("session", {"action": "letter", "text": ...}, "template", "needs a template or a text"),
        ("session", {**TASK, "text": "Hi"}, "text", "takes its words from [trigger.task]"),
        ("session", {**TASK, "template": "t"}, "template", "takes its words from [trigger.task]"),
        ("session", {**TASK, "task": ...}, "task.subject", "is missing"),
        ("session", {**TASK, "task": {"subject": "a", "priority": 11}}, "task.priority", "from 1 to 10"),
        ("session", {**TASK, "task": {"subject": "a", "priority": 0}}, "task.priority", "from 1 to 10"),
        ("session", {**TASK, "task": {"subject": "a", "due_days": -1}}, "task.due_days", "from 0 to 3650"),
        ("session", {**TASK, "task": {"subject": "a", "dueday": 1}}, "task.dueday", "did you mean 'due_days'?"),
        ("session", {"task": {"subject": "a"}}, "task", "stands beside the action 'sms', which creates no task"),
        ("session", {"web_form": {"form": "a"}}, "web_form", "which creates no form"),
        ("session", {"action": "web_form", "text": ...}, "web_form.form", "is missing"),
        ("session", {**TASK, "send_to": ["client"]}, "send_to", "'task' writes to nobody"),
        ("session", {"call": {"due_days": 1}}, "call", "makes no call"),
        ("loyalty_reward", {"then_status": "A"}, "then_status", "of kind loyalty_reward has no status to change"),
        (
            "loyalty_reward",
            {"action": "change_status", "text": ..., "change_status": {"to": "A"}},
            "action",
            "'change_status' is not offered for loyalty_reward",
        ),
        (
            "session",
            {"action": "change_status", "text": ..., "change_status": {"to": "A"}, "then_status": "B"},
            "then_status",
            "says its status itself",
        ),
        ("session", {"attach": ["confirmation"]}, "attach", "'sms', which sends no email"),
        ("session", {"action": "email", "attach": "confirmation"}, "attach", "a list such as"),
        ("session", {"action": "email", "attach": []}, "attach", "a list such as"),
        ("session", {"action": "email", "attach": ["invoice"]}, "attach", "allowed for session: confirmation"),
        ("invoice", {"action": "email", "attach": ["confirmation"]}, "attach", "allowed for invoice: invoice"),
        ("task", {"action": "email", "attach": ["invoice"]}, "attach", "allowed for task: nothing"),
        ("session", {"referral": {"if_enrolled": "skip"}}, "referral.program", "is missing"),
        ("session", {"referral": {"program": "S", "if_enrolled": "stay"}}, "referral.if_enrolled", "skip, move"),
        ("session", {"referral": {"program": "S", "until": 1}}, "referral.until", "not a known key"),
        ("session", {"action": "call", "referral": {"program": "S"}}, "referral", "sends no message"),
        ("session", {**BY_LEG, "template": {"call": "n"}}, "template.email", "needs words for it"),
        ("session", {**BY_LEG, "template": {"email": "m", "sms": "t"}}, "template.sms", "not a known key"),
        ("session", {**BY_LEG, "template": {"email": 5}}, "template.email", "a text of 1 to 200"),
        ("session", {**BY_LEG, "text": "Hi", "template": {"email": "m"}}, "text", "stands beside a template"),
        ("session", {**TWO_LISTS, "send_to": {}}, "send_to", "names nobody"),
        ("session", {**TWO_LISTS, "send_to": {"sms": ["client"]}}, "send_to.email", "needs a list"),
        ("session", {"send_to": {"sms": ["client"], "email": ["client"]}}, "send_to.email", "not a known key"),
        (
            "session",
            {**TWO_LISTS, "send_to": {"sms": "client", "email": ["client"]}},
            "send_to.sms",
            "a list such as",
        ),
        ("session", {"send_to": ["bill_to"]}, "send_to", "a record of kind session has none"),
        ("invoice", {"send_to": ["participants"]}, "send_to", "a record of kind invoice has none"),
        ("session", {"send_to": ["assigned"]}, "send_to", "a record of kind session has none"),
        ("session", {"action": "letter", "send_to": ["family:Mother"]}, "send_to", "only clients are called"),
        ("session", {"action": "call", "send_to": ["user:Ada"]}, "send_to", "only clients are called"),
        ("session", {"action": "call", "send_to": ["assistants"]}, "send_to", "only clients are called"),
        ("session", {"send_to": ["user:"]}, "send_to", "user:<name>"),
        ("session", {"send_to": ["address:"]}, "send_to", "must follow"),
        ("session", {"send_to": ["address:+1312"]}, "send_to", "is no number that takes texts"),
        ("session", {"send_to": ["address:office@studio.example"]}, "send_to", "goes out by email, the action by sms"),
        ("session", {"action": "email", "send_to": ["address:+13125550123"]}, "send_to", "goes out by sms"),
        ("session", {"action": "email", "send_to": ["address:a b@c"]}, "send_to", "is no email address"),
    ],
)
def test_what_does_not_fit_the_action_is_refused_with_the_field_and_what_is_allowed(
    kind: str, keys: dict[str, Any], field: str, reason: str
) -> None:
    found = refusal(kind, **keys)

    assert (found.field, reason in found.reason) == (f'booking.toml "Reminder", {field}', True), str(found)


# Whether it can be written --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "field", "reason"),
    [
        ({"text": "{{ client.frist_name }}"}, "text", "there is no field"),
        ({**TASK, "task": {"subject": "{{ session.dat }}"}}, "task.subject", "there is no field"),
        ({**TASK, "task": {"subject": "a", "description": "{{ x"}}, "task.description", "never closed"),
        ({**BY_LEG, "template": {"email": "mial"}}, "template.email", "'mial' does not exist; known: mail"),
        ({"text": ..., "template": "invoices"}, "template", "is for invoice records, the trigger is on session"),
        ({"text": ..., "template": "due"}, "template", "'due' has the attachment 'invoice', the trigger is on session"),
        ({"send_to": ["address:555 01"]}, "send_to", "is no number that takes texts"),
    ],
)
def test_what_could_never_be_written_is_refused_when_it_is_saved(keys: dict[str, Any], field: str, reason: str) -> None:
    known: dict[str, dict[str, Any]] = {
        "mail": {"text": "Hi"},
        "invoices": {"kind": "invoice", "text": "Hi"},
        "due": {"kind": "any", "text": "Hi", "attachments": ["invoice"]},
    }
    if "template" in keys and keys["template"] == {"email": "mial"}:
        known = {"mail": known["mail"]}

    with pytest.raises(Malformed) as refused:
        check_words(read(**keys), "here", known, "US")

    assert (refused.value.field, reason in refused.value.reason) == (f"here, {field}", True), str(refused.value)


def test_a_number_without_a_country_is_understood_in_the_country_of_the_studio() -> None:
    trigger = read(send_to=["address:020 7946 0018"])

    check_words(trigger, "here", {}, "GB")
    with pytest.raises(Malformed, match="no number that takes texts"):
        check_words(trigger, "here", {}, "US")
