"""Names in triggers against the catalogue of their studio."""

from __future__ import annotations

from typing import Any

import pytest

from control_center.domain.studio_catalog import Catalog, Status, Type, User
from control_center.domain.trigger_names import Finding, findings

CATALOG = Catalog(
    statuses=(
        Status(kind="session", name="Booked", initial=True),
        Status(kind="session", name="Delivered", type="Wedding", final=True),
        Status(kind="invoice", name="Overdue"),
    ),
    types=(Type(kind="session", name="Wedding"), Type(kind="session", name="Portrait"), Type(kind="task", name="Edit")),
    relationships=("Mother", "Father"),
    departments=("Lab",),
    users=(User(name="Ada"), User(name="Ben", active=False)),
    referral_programs=("Spring",),
    forms=("Contact Us",),
)


def trigger(**keys: Any) -> dict[str, Any]:
    return {"name": "T", "record": "session", "status": "Booked", "type": "Wedding", **keys}


def only(catalog: Catalog = CATALOG, **keys: Any) -> Finding:
    (found,) = findings(trigger(**keys), catalog)
    return found


def test_names_that_the_catalogue_has_need_no_word() -> None:
    table = trigger(
        send_to=["client", "family:mother", "user:Ada"],
        then_status="Delivered",
        task={"type": "Edit", "assign": "Lab"},
        call={"assign": "Ada"},
        referral={"program": "Spring"},
        web_form={"form": "Contact Us"},
    )

    assert findings(table, CATALOG) == []


@pytest.mark.parametrize(
    ("keys", "field", "nearest"),
    [
        ({"status": "Bookd"}, "status", "'Booked'"),
        ({"status": "booked"}, "status", "'Booked'"),
        ({"type": "Weding"}, "type", "'Wedding'"),
        ({"then_status": "Deliverd"}, "then_status", "'Delivered'"),
        ({"change_status": {"to": "Deliverd"}}, "change_status.to", "'Delivered'"),
        ({"web_form": {"form": "Contact"}}, "web_form.form", "'Contact Us'"),
        ({"record": "web_form", "form": "Contact", "status": None, "type": None}, "form", "'Contact Us'"),
        ({"send_to": ["family:Mothr"]}, "send_to", "'Mother'"),
        ({"send_to": {"sms": ["client"], "email": ["family:Fathr"]}}, "send_to.email", "'Father'"),
        ({"send_to": ["user:Adda"]}, "send_to", "'Ada'"),
        ({"referral": {"program": "Sprin"}}, "referral.program", "'Spring'"),
        ({"task": {"type": "Edits"}}, "task.type", "'Edit'"),
        ({"task": {"assign": "Lap"}}, "task.assign", "'Lab'"),
        ({"call": {"assign": "Ad"}}, "call.assign", "'Ada'"),
    ],
)
def test_a_name_that_nobody_knows_is_unknown_with_the_nearest(keys: dict[str, Any], field: str, nearest: str) -> None:
    found = only(**keys)

    assert (found.field, found.unknown) == (field, True)
    assert f"nearest: {nearest}" in found.says


def test_where_no_name_is_near_those_there_are_are_listed() -> None:
    assert only(status="Xyz").says == (
        "'Xyz' is not a status of session records that this studio has; there are: 'Booked', 'Delivered'"
    )


def test_a_status_of_another_kind_of_record_is_unknown() -> None:
    assert only(status="Overdue").unknown


@pytest.mark.parametrize(
    ("keys", "lacking"),
    [
        ({"record": "client", "status": "Active", "type": None}, "status of client records"),
        ({"record": "task", "status": None, "type": "Edits"}, None),
        ({"record": "loyalty_reward", "status": None, "type": "Gift"}, "type of loyalty reward records"),
    ],
)
def test_while_a_kind_has_no_entry_at_all_its_names_cannot_be_checked(
    keys: dict[str, Any], lacking: str | None
) -> None:
    found = only(**keys)

    assert found.unchecked is (lacking is not None)
    assert found.unknown is (lacking is None)
    assert lacking is None or lacking in found.says


def test_with_an_empty_catalogue_nothing_is_unknown() -> None:
    table = trigger(send_to=["family:Mother", "user:Ada"], call={"assign": "Ada"}, referral={"program": "Spring"})

    assert {(one.unknown, one.unchecked) for one in findings(table, Catalog())} == {(False, True)}


def test_a_status_for_another_type_only_is_a_warning() -> None:
    found = only(type="Portrait", status="Delivered")

    assert (found.unknown, found.unchecked) == (False, False)
    assert found.says == "'Delivered' is known as a status of the type 'Wedding' and not of 'Portrait'"


@pytest.mark.parametrize("keys", [{"call": {"assign": "Ben"}}, {"send_to": ["user:Ben"]}])
def test_a_user_who_has_left_is_a_warning(keys: dict[str, Any]) -> None:
    found = only(**keys)

    assert (found.unknown, found.unchecked) == (False, False)
    assert found.says == "'Ben' is a user who is no longer active"


def test_whom_something_is_given_to_is_not_refused_while_users_or_departments_are_not_known() -> None:
    assert only(Catalog(users=CATALOG.users), type=None, status=None, call={"assign": "Lab"}).unchecked
