"""Templates as people write them, for fuzzing: saved, and written with as far as the bytes of a mail."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any, Final

from control_center.domain import template_samples, words
from control_center.domain.catalogue import KINDS
from control_center.domain.catalogue_actions import Leg
from control_center.domain.errors import Malformed
from control_center.domain.outcome import Mail
from control_center.domain.template import Template, Unrenderable
from control_center.domain.template_advice import advise
from control_center.domain.template_context import context
from control_center.domain.wire import mime
from control_center.engine import templates as template_files
from control_center.web.api.reading import table as table_of
from control_center.web.problems import Problem
from tests.support.hostile import Surface, storable
from tests.support.mutations import HOSTILE
from tests.support.surfaces import SAVED, STUDIO
from tests.support.values import CHICAGO, NOW

_PATHS: Final = (
    *(
        "client.first_name",
        "client.phones",
        "client.phones[0].number",
        "client.family",
        "record.status",
        "record.dates.session",
        "record.fields.location",
        "record.fields",
        "session.date",
    ),
    *(
        "record.date",
        "record.time",
        "studio.name",
        "studio.address",
        "recipient.first_name",
        "today",
        "confirm_link",
        "unsubscribe_link",
        "record.nps_bar",
        "invoice.balance",
        "record.staff.first.name",
    ),
    *(
        "client.phones.size",
        "record.staff",
        "forloop.index",
        "x",
        "one",
        "client",
        "record",
        "''",
        "'a'",
        "12",
        "-1.5",
        "true",
        "nil",
        "empty",
        "(1..9)",
        "a[b]",
        "['client']",
        "client['first_name']",
    ),
)
_FILTERS: Final = (
    *(
        "upcase",
        "append: 'x'",
        "append: client.first_name",
        "default: 'there'",
        "default: nil",
        "date",
        "date: '%A %d %B'",
        "date: '%Q'",
        "time",
        "plus: 1",
        "times: 999999999999999999",
        "divided_by: 0",
    ),
    *(
        "round: 2",
        "round: -1",
        "split: ''",
        "split: ','",
        "join: '-'",
        "map: 'number'",
        "first",
        "last",
        "size",
        "slice: 0, 3",
        "slice: -99, 5",
        "truncate: 5",
        "truncate: -1",
        "truncatewords: 0",
        "replace: '', 'ab'",
    ),
    *(
        "replace: 'a', client.first_name",
        "sort",
        "sort: 'x'",
        "uniq",
        "reverse",
        "compact",
        "escape",
        "url_encode",
        "newline_to_br",
        "strip",
        "remove: 'a'",
        "prepend: nil",
        "nothing",
        "upcase: 1, 2",
        "default: a: b",
    ),
)
_TAGS: Final = (
    *(
        "{% if client.first_name %}",
        "{% elsif 1 == 'a' %}",
        "{% else %}",
        "{% endif %}",
        "{% unless record.status == 'Booked' %}",
        "{% endunless %}",
        "{% for x in client.phones %}",
        "{% for x in x %}",
        "{% endfor %}",
    ),
    *(
        "{% for x in client.family reversed limit: 2 offset: 1 %}",
        "{% case record.status %}",
        "{% when 'Booked', 'b' %}",
        "{% endcase %}",
        "{% assign x = client.first_name | append: x %}",
        "{% assign x = 'aaaaaaaaaaaaaaaa' %}",
    ),
    *(
        "{% assign x = x | append: x %}",
        "{% comment %}",
        "{% endcomment %}",
        "{% raw %}",
        "{% endraw %}",
        "{% break %}",
        "{% continue %}",
        "{% # words %}",
        "{% include 'x' %}",
        "{%- if a contains 'b' and c or d -%}",
        "{% if a < 1 %}",
    ),
)
_MARKUP: Final = (
    *(
        "<p>",
        "</p>",
        '<a href="{{ record.fields.link }}">',
        "<a href='javascript:alert(1)'>",
        "<img src=x onerror=y>",
        "<style>p{color:red}@media x{a{b:c}}</style>",
        "<style>",
        "<!-- ",
        "-->",
        "<table><tr><td>",
        "&nbsp;",
    ),
    *(
        "<script>",
        '<p style="x:expression(1)">',
        "<![CDATA[",
        "<svg><a>",
        "hello ",
        "Ünïcode ✓ ",
        "\r\n",
        "Reply STOP to end",
        "bit.ly/x",
        "https://studio.example/very/long",
        "{{",
        "}}",
        "{%",
        "%}",
        "😀",
        "\u2018\u2019\u201c\u201d",
    ),
)


def _liquid(chance: Random) -> str:
    pieces = []
    for _ in range(chance.randrange(1, 9)):
        match chance.randrange(5):
            case 0 | 1:
                filters = "".join(f" | {chance.choice(_FILTERS)}" for _ in range(chance.randrange(4)))
                pieces.append(f"{{{{ {chance.choice(_PATHS)}{filters} }}}}")
            case 2:
                pieces.append(chance.choice(_TAGS))
            case 3:
                opening = chance.choice(
                    (
                        "for x in client.phones",
                        "for x in record.staff",
                        "if client.first_name",
                        "unless x",
                        "for one in client.family",
                    )
                )
                inside = (
                    "".join(f"{{{{ {chance.choice(_PATHS)} | {chance.choice(_FILTERS)} }}}}" for _ in range(2))
                    if chance.random() < 0.7
                    else _liquid(chance)
                )
                pieces.append(f"{{% {opening} %}}{inside}{{% end{opening.partition(' ')[0]} %}}")
            case _:
                pieces.append(chance.choice(_MARKUP))
    return "".join(pieces)


def a_template_body(chance: Random) -> bytes:
    body: dict[str, Any] = {"kind": chance.choice((*KINDS, "any"))}
    for part in ("sms", "subject", "text", "html"):
        if chance.random() < 0.5:
            body[part] = _liquid(chance)
    if chance.random() < 0.2:
        body["layout"] = chance.choice(("plain", "gallery", "reminder", "x"))
    return json.dumps(body).encode()


def _odd(kind: str) -> dict[str, Any]:
    """A record of that kind in which everything is of a type that nobody thought of."""
    chance = Random(kind)
    return {
        key: chance.choice(HOSTILE) for key in ("status", "dates", "flags", "staff", "fields", "type", "amounts", "nps")
    }


@cache
def _contexts(kind: str) -> tuple[dict[str, Any], ...]:
    complete = template_samples.seen(kind, STUDIO, complete=True)
    odd = context(
        _odd(kind),
        _odd("client"),
        STUDIO.fields(),
        {"role": "client"},
        kind="session" if kind == "any" else kind,
        today=NOW.date(),
        zone=CHICAGO,
    )
    return (complete, template_samples.seen(kind, STUDIO), odd)


def a_template(raw: bytes) -> Template:
    """Save a template, and write with it whatever can be written with it, as far as the bytes of a mail."""
    body = _as_body(raw)
    template = template_files.parse("Thanks", body)
    frame = template_files.frame_of(template)
    storable([one.sentence for one in advise(template, STUDIO, frame)])
    parts = {**body, "frame": frame} if frame else body
    for seen in _contexts(template.kind):
        for leg in (Leg.SMS, Leg.EMAIL, Leg.LETTER):
            try:
                match leg:
                    case Leg.SMS:
                        made = words.text_message(parts, seen, STUDIO, first=True)
                    case Leg.EMAIL:
                        made = words.mail(parts, seen)
                    case _:
                        made = words.letter(parts, seen)
            except Unrenderable as error:
                storable(error.reason)
            else:
                storable((made.text, made.subject, made.html))
                if leg is Leg.EMAIL:
                    _as_mail(made)
    return template


def _as_body(raw: bytes) -> dict[str, Any]:
    """A template as the API reads it."""
    try:
        return table_of(raw)
    except Problem as problem:
        raise Malformed("", problem.detail) from problem


def _as_mail(made: words.Words) -> None:
    raw = mime.build(
        Mail(
            key="m-1.1",
            message="m-1",
            expires_at=NOW,
            message_id="m-1@studio.example",
            sender="ada@studio.example",
            sender_name="Ada",
            to="jo@mail.example",
            to_name="Jo",
            subject=made.subject or "",
            text=made.text,
            html=made.html,
            at=NOW,
        )
    )
    assert b"\r\nBcc:" not in raw.partition(b"\r\n\r\n")[0]


TEMPLATES: Final = Surface(
    "templates",
    tuple(json.dumps(one).encode() for one in SAVED.values()),
    a_template,
    (Malformed,),
    words=tuple(one.encode() for one in (*_TAGS, *_MARKUP)),
    make=a_template_body,
)
