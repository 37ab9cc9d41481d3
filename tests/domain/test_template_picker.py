"""The fields that are offered to whoever writes a template are those that there are."""

from __future__ import annotations

import pytest

from control_center.domain import template, template_samples
from control_center.domain.studio import parse
from control_center.domain.template_fields import KINDS
from control_center.domain.template_picker import fields, sentence

STUDIO = parse({"id": "main", "name": "Lakeside", "timezone": "Europe/London", "country": "GB"})
EVERY = ("any", *KINDS)


@pytest.mark.parametrize("kind", EVERY)
def test_every_field_of_a_kind_that_can_have_a_value_is_offered(kind: str) -> None:
    left_out = set(template.names(kind)) - {one.name for one in fields(kind, STUDIO)}
    assert all(name.startswith("recipient.") for name in left_out)


@pytest.mark.parametrize("kind", EVERY)
def test_what_is_offered_can_be_saved_and_reads_as_its_example(kind: str) -> None:
    seen = {one: template_samples.seen(one, STUDIO, complete=True) for one in KINDS}
    for one in fields(kind, STUDIO):
        template.check(one.insert, kind, field="template.sms")
        assert any(_reads(one.insert, each) == one.example for each in seen.values()), one


def _reads(source: str, seen: dict[str, object]) -> str | None:
    try:
        return template.render(source, seen)
    except template.Unrenderable:
        return None


@pytest.mark.parametrize("kind", EVERY)
def test_every_field_is_explained_in_a_sentence(kind: str) -> None:
    assert all(sentence(name) for name in template.names(kind))


def test_an_example_reads_as_the_studio_writes() -> None:
    found = {one.name: one.example for one in fields("session", STUDIO)}
    assert found["session.date"] == "Saturday, 12 June"
    assert found["session.time"] == "14:00"
    assert found["studio.name"] == "Lakeside"
    assert found["client.first_name"] == "Jo"
