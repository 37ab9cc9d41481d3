"""What a catalogue may say, and which names a record shows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from control_center.domain.errors import Malformed
from control_center.domain.event import Verb, decode
from control_center.domain.record import read
from control_center.domain.studio_catalog import Status, Type, User, names_in, parse, understand


def told(**sections: Any) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": "e-1",
            "source": "/crm/main",
            "type": "crm.catalog",
            "time": "2026-11-21T16:04:06Z",
            "studio": "main",
            "data": sections,
        }
    ).encode()


BOOKED = {"kind": "session", "type": None, "name": "Booked", "initial": True, "final": False, "submit": False}


def test_a_catalog_event_tells_sections_and_shows_no_records() -> None:
    event = decode(
        told(
            statuses=[BOOKED],
            types=[{"kind": "session", "name": "Wedding"}],
            relationships=["Mother"],
            departments=[{"name": "Lab"}],
            users=[{"name": "Ada", "email": "ada@studio.example", "phone": None, "roles": ["photographer"]}],
        )
    )

    assert (event.verb, event.subject, event.seen) == (Verb.CATALOG, "catalog", ())
    assert event.catalog is not None
    assert event.catalog.named == {
        "statuses": (Status(kind="session", name="Booked", initial=True),),
        "types": (Type(kind="session", name="Wedding"),),
        "relationships": ("Mother",),
        "departments": ("Lab",),
        "users": (User(name="Ada", email="ada@studio.example", roles=("photographer",)),),
    }


def test_a_section_that_is_empty_is_named_and_one_that_is_null_is_not() -> None:
    assert understand({"forms": [], "users": None}).named == {"forms": ()}


def test_what_a_later_crm_says_besides_is_passed_over() -> None:
    assert understand({"colours": ["red"], "types": [{"kind": "task", "name": "Edit", "icon": "x"}]}).named == {
        "types": (Type(kind="task", name="Edit"),)
    }


def test_an_entry_told_twice_stands_once() -> None:
    assert understand({"forms": ["Contact", "Contact"], "statuses": [BOOKED, BOOKED]}).named == {
        "forms": ("Contact",),
        "statuses": (Status(kind="session", name="Booked", initial=True),),
    }


@pytest.mark.parametrize(
    ("sections", "field"),
    [
        ({"statuses": "Booked"}, "data.statuses"),
        ({"statuses": [{"kind": "session"}]}, "data.statuses[0]"),
        ({"statuses": [{"kind": "sesion", "name": "Booked"}]}, "data.statuses[0].kind"),
        ({"statuses": [{**BOOKED, "initial": "yes"}]}, "data.statuses[0].initial"),
        ({"statuses": [{**BOOKED, "name": ""}]}, "data.statuses[0].name"),
        ({"statuses": [BOOKED, {**BOOKED, "final": True}]}, "data.statuses[1]"),
        ({"types": [{"kind": "session", "name": "x" * 201}]}, "data.types[0].name"),
        ({"types": [{"kind": "sms", "name": "Reply"}]}, "data.types[0].kind"),
        ({"relationships": ["Mother", 5]}, "data.relationships[1]"),
        ({"users": [{"name": "Ada", "roles": [""]}]}, "data.users[0].roles[0]"),
        ({"users": [{"name": "Ada", "active": 1}]}, "data.users[0].active"),
        ({"forms": ["a\x00"]}, "data.forms[0]"),
        ({"forms": [str(n) for n in range(5001)]}, "data.forms"),
    ],
)
def test_a_malformed_catalog_is_refused_naming_the_field(sections: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode(told(**sections))

    assert caught.value.field == field


def test_the_data_of_a_catalog_must_be_an_object() -> None:
    with pytest.raises(Malformed) as caught:
        decode(told().replace(b'"data": {}', b'"data": []'))

    assert caught.value.field == "data"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"statusses": []}, "f.toml, statusses: is not a known key; did you mean 'statuses'?"),
        ({"types": [{"kind": "task", "nam": "x"}]}, "f.toml, types[0].nam: is not a known key; did you mean 'name'?"),
        ({"types": [{"kind": "task"}]}, "f.toml, types[0]: Object missing required field `name`"),
    ],
)
def test_a_person_is_told_of_a_key_that_is_not_known(values: dict[str, Any], says: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(values, field="f.toml, ")

    assert str(caught.value) == says


def test_a_record_shows_its_status_type_form_and_the_relationships_of_its_family() -> None:
    client = '{"id": "c", "version": 1, "status": "Active", "type": "VIP", "family": [{"relationship": "Mother"}, {}]}'
    form = '{"id": "w", "version": 1, "kind": "web_form", "status": "Submitted", "form": {"name": "Contact Us"}}'
    session = '{"id": "s", "version": 1, "kind": "session", "status": null, "type": "Wedding"}'

    assert [tuple(one) for one in names_in("client", read(client))] == [
        ("statuses", "client", "Active"),
        ("relationships", "", "Mother"),
    ]
    assert [tuple(one) for one in names_in("web_form", read(form))] == [
        ("statuses", "web_form", "Submitted"),
        ("forms", "", "Contact Us"),
    ]
    assert [tuple(one) for one in names_in("session", read(session))] == [("types", "session", "Wedding")]
