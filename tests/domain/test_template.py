"""Templates: what is refused when saved, what a client reads, and what stops at a limit."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import escape

from control_center.domain import catalogue, template, template_fields, zones
from control_center.domain.errors import Malformed
from control_center.domain.template import Template, Unrenderable

CHICAGO = zones.zone("America/Chicago")
TODAY = date(2026, 11, 22)
STUDIO = {
    "id": "main",
    "name": "Lakeside Portraits",
    "country": "US",
    "sms": {"account": "secret-account", "numbers": ["+13125550100"]},
    "email": {"from": "hello@studio.example", "reply_to": None},
}
CLIENT = {
    "id": "c-12",
    "first_name": "Jo",
    "last_name": "Park",
    "birthday": "1990-02-28",
    "phones": [
        {"number": "+13125550111", "sms": False},
        {"number": "(312) 555-0188", "label": "mobile", "sms": True},
    ],
    "emails": [{"address": "jo@mail.example"}],
    "allow_marketing": {"sms": True, "email": False},
    "shoe_size": 38,
}
SESSION = {
    "kind": "session",
    "id": "4711",
    "version": 17,
    "type": "Wedding",
    "status": "Booked",
    "status_changed_at": "2026-11-21T16:04:05Z",
    "status_due_date": "2026-12-01",
    "dates": {"session": "2027-06-12T14:00", "booked": "2026-11-21"},
    "flags": {"on_hold": False, "confirmed": True},
    "staff": [{"role": "photographer", "primary": True, "name": "Ada"}, {"role": "assistant", "name": "Bob"}],
    "links": {"invoice": "9001"},
    "nps": None,
    "fields": {"location": "Lakeside", "note": "", "unset": None, "tags": ["a", "b"]},
    "package": "Gold",
}
INVOICE = {
    "kind": "invoice",
    "id": "9001",
    "dates": {"invoice": "2026-11-01", "paid": None},
    "amounts": {"total": "1200.00", "paid": "400.00", "balance": "800.00", "currency": "USD"},
    "instalments": [
        {"id": "3", "due": "2027-02-15", "amount": "400.00", "paid": False},
        {"id": "1", "due": "2026-10-15", "amount": "400.00", "paid": True},
        {"id": "2", "due": "2026-12-15", "amount": "400.10", "paid": False},
    ],
    "bill_to": None,
}
RECORDS: Mapping[str, dict[str, Any]] = {"session": SESSION, "invoice": INVOICE}


def context(
    *,
    kind: str = "session",
    client: Mapping[str, Any] | None = CLIENT,
    studio: Mapping[str, Any] = STUDIO,
    links: Mapping[str, str] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    record = RECORDS.get(kind, {}) | changes
    return template.context(
        record, client, studio, client or {}, kind=kind, today=TODAY, zone=CHICAGO, links=links or {}
    )


def text(source: str, **given: Any) -> str:
    return template.render(source, context(**given))


def refused(source: str, *, kind: str = "session") -> str:
    with pytest.raises(Malformed) as caught:
        template.check(source, kind, field="template.sms")
    assert caught.value.field == "template.sms"
    return caught.value.reason


def unrenderable(source: str, **given: Any) -> str:
    with pytest.raises(Unrenderable) as caught:
        text(source, **given)
    return str(caught.value)


# --- fields


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ client.first_name }} {{ client.last_name }}", "Jo Park"),
        ("{{ client.full_name }}", "Jo Park"),
        ("{{ client.phone }} {{ client.email }}", "(312) 555-0188 jo@mail.example"),
        ("{{ client.phones[0].number }}", "+13125550111"),
        ("{{ client.birthday }}", "Wednesday, February 28"),
        ("{{ client.allow_marketing.sms }}", "true"),
        ("{{ record.status }} {{ session.status }}", "Booked Booked"),
        ("{{ session.date }} at {{ session.time }}", "Saturday, June 12 at 2:00 PM"),
        ("{{ record.date }}, {{ record.time }}", "Saturday, June 12, 2:00 PM"),
        ("{{ record.dates.session }}", "Saturday, June 12, 2:00 PM"),
        ("{{ record.dates.booked }}", "Saturday, November 21"),
        ("{{ session.status_changed_at }}", "Saturday, November 21, 10:04 AM"),
        ("{{ today }}", "Sunday, November 22"),
        ("{{ record.fields.location }}", "Lakeside"),
        ("{{ studio.name }} {{ studio.phone }} {{ studio.email }}", None),
        ("{{ recipient.first_name }} {{ recipient.phone }}", "Jo (312) 555-0188"),
        ("{% for one in session.staff %}{{ one.name }}{% unless forloop.last %}, {% endunless %}{% endfor %}", None),
        ("{{ session.staff | map: 'name' | join: ' and ' }}", "Ada and Bob"),
        ("{{ session.photographer }}", "Ada"),
    ],
)
def test_fields_are_named_as_in_the_event(source: str, shown: str | None) -> None:
    template.check(source, "session", field="template.sms")
    expected = (
        shown
        or {
            True: "Lakeside Portraits +13125550100 hello@studio.example",
            False: "Ada, Bob",
        }["studio" in source]
    )
    assert text(source) == expected


def test_what_the_crm_sent_beside_the_known_names_is_among_the_fields() -> None:
    assert text("{{ record.fields.package }} {{ client.fields.shoe_size }}") == "Gold 38"


def test_an_invoice_has_its_amounts_and_its_next_payment() -> None:
    source = "{{ invoice.balance }} of {{ invoice.amounts.total }} {{ invoice.currency }}, "
    source += "{{ invoice.next_payment_amount }} on {{ invoice.next_payment_date }}"
    template.check(source, "invoice", field="template.sms")
    assert text(source, kind="invoice") == "800.00 of 1200.00 USD, 400.10 on Tuesday, December 15"


def test_amounts_are_compared_and_counted_as_numbers_and_keep_their_cents() -> None:
    source = "{% if invoice.balance > 0 %}{{ invoice.total | minus: invoice.paid }}{% endif %}"
    assert text(source, kind="invoice") == "800.00"
    assert (
        text("{{ '0.1' | plus: '0.2' }} {{ 10 | divided_by: 3 | round: 2 }} {{ 0.125 | round: 2 }}") == "0.3 3.33 0.13"
    )


def test_a_clients_event_is_about_the_client() -> None:
    made = template.context(
        CLIENT | {"anniversary": "2015-05-02"}, None, STUDIO, {}, kind="client", today=TODAY, zone=CHICAGO
    )
    source = "{{ client.first_name }} {{ record.last_name }} {{ client.anniversary }}"
    template.check(source, "client", field="template.sms")
    assert template.render(source, made) == "Jo Park Saturday, May 2"


@pytest.mark.parametrize("kind", sorted(template_fields.KINDS))
def test_every_kind_of_record_stands_under_record_and_its_own_name(kind: str) -> None:
    template.check(f"{{{{ record.status }}}} {{{{ {kind}.fields.anything }}}}", kind, field="template.sms")
    body = {"status": "New", "fields": {"anything": "x"}}
    made = template.context(body, {}, STUDIO, {}, kind=kind, today=TODAY, zone=CHICAGO)
    assert template.render(f"{{{{ record.status }}}} {{{{ {kind}.fields.anything }}}}", made) == "New x"


@pytest.mark.parametrize("kind", [kind for kind in catalogue.KINDS.values() if kind.primary])
def test_record_date_is_the_primary_date_of_the_catalogue(kind: catalogue.Kind) -> None:
    body = {"dates": {kind.primary: "2027-06-12T14:00"}}
    made = template.context(body, {}, STUDIO, {}, kind=kind.name, today=TODAY, zone=CHICAGO)
    assert template.render("{{ record.date }}", made) == "Saturday, June 12"


@pytest.mark.parametrize("kind", sorted(template_fields.KINDS))
def test_every_listed_name_is_accepted(kind: str) -> None:
    for name in template.names(kind):
        condition = name.replace(".*", ".anything")
        template.check(f"{{% if {condition} %}}x{{% endif %}}", kind, field="template.sms")
        template.check(f"{{% if {condition.replace(f'{kind}.', 'record.')} %}}x{{% endif %}}", "any", field="t")


def test_links_have_a_value_only_where_one_was_made() -> None:
    source = "{{ confirm_link }} {{ record.nps_bar }}"
    template.check(source, "session", field="template.text")
    links = {"confirm_link": "https://go.example/c/1", "nps_bar": "0 1 2"}
    assert text(source, links=links) == "https://go.example/c/1 0 1 2"
    assert unrenderable(source) == "template: confirm_link"


def test_account_names_of_the_studio_are_no_field() -> None:
    assert "there is no field studio.sms.account" in refused("{{ studio.sms.account }}")
    assert unrenderable("{{ studio.sms.account }}") == "template: studio.sms.account"


# --- dates


@pytest.mark.parametrize(
    ("country", "shown"),
    [
        ("US", "Saturday, June 12 2:00 PM"),
        ("GB", "Saturday, 12 June 14:00"),
        ("DE", "Saturday, 12 June 14:00"),
        (None, "Saturday, 12 June 14:00"),
    ],
)
def test_dates_are_written_as_the_studios_country_does(country: str | None, shown: str) -> None:
    assert text("{{ session.date }} {{ session.time }}", studio=STUDIO | {"country": country}) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2027-06-12T00:05", "Saturday, June 12 12:05 AM"),
        ("2027-06-12T12:00:00", "Saturday, June 12 12:00 PM"),
        ("2027-06-12T03:30:00Z", "Friday, June 11 10:30 PM"),
        ("2027-06-12T14:00+02:00", "Saturday, June 12 7:00 AM"),
    ],
)
def test_a_local_time_stands_as_written_and_an_instant_is_shown_in_the_studios_zone(written: str, shown: str) -> None:
    assert text("{{ session.date }} {{ session.time }}", dates={"session": written}) == shown


def test_a_bare_date_has_no_time() -> None:
    dates = {"session": "2027-06-12"}
    assert text("{{ session.date }} {{ session.dates.session }}", dates=dates) == "Saturday, June 12 Saturday, June 12"
    assert unrenderable("{{ session.time }}", dates=dates) == "template: session.time"
    assert "has no time of day" in unrenderable("{{ session.dates.session | date: '%H' }}", dates=dates)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ session.date | date: '%A, %-d %B %Y' }}", "Saturday, 12 June 2027"),
        ("{{ session.time | date: '%H:%M' }}", "14:00"),
        ("{{ session.dates.session | date: '%a %e %b %y %I%p %-I %l %P %j %%' }}", "Sat 12 Jun 27 02PM 2  2 pm 163 %"),
        ("{{ session.dates.session | date }}", "Saturday, June 12"),
        ("{{ session.dates.session | time }}", "2:00 PM"),
        ("{{ '2027-06-02' | date: '%-d.%-m.%Y' }}", "2.6.2027"),
        ("{{ 'soon' | date: '%d' }}", "soon"),
        ("{{ 'now' | date: '%d' }}", "now"),
    ],
)
def test_the_date_filter_writes_dates_by_a_format(source: str, shown: str) -> None:
    template.check(source, "session", field="template.sms")
    assert text(source) == shown


def test_dates_compare_as_dates() -> None:
    assert text("{% if session.date > today %}ahead{% endif %}") == "ahead"
    assert text("{% if session.date == today %}now{% endif %}", dates={"session": "2026-11-22T09:00"}) == "now"


# --- missing values


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ("{{ client.company }}", "client.company"),
        ("{{ session.nps.score }}", "session.nps.score"),
        ("{{ record.fields.unset }}", "record.fields.unset"),
        ("{{ client.status | upcase }}", "client.status"),
        ("{{ 'Dear ' | append: client.status }}", "client.status"),
        ("{{ 1 | plus: client.status }}", "client.status"),
        ("{% for one in session.participants %}{% endfor %}", "session.participants"),
        ("{% assign who = client.status %}{{ who }}", "client.status"),
        ("{{ client.phones[7].number }}", "client.phones[7].number"),
        ("{{ session.staff | map: 'phone' | join }}", "phone"),
    ],
)
def test_a_value_that_is_null_or_absent_fails_the_message_by_its_name(source: str, field: str) -> None:
    with pytest.raises(Unrenderable) as caught:
        text(source)
    assert caught.value.field == field
    assert str(caught.value) == caught.value.reason == f"template: {field}"


def test_a_default_stands_in_for_a_missing_value() -> None:
    assert text("{{ client.status | default: 'there' }}") == "there"
    assert text("{{ client.status | upcase | default: 'there' }}") == "there"
    assert text("{{ client.status | default: client.first_name }}") == "Jo"
    assert unrenderable("{{ client.status | default: session.nps.score }}") == "template: session.nps.score"


def test_without_a_client_its_fields_are_missing() -> None:
    assert unrenderable("{{ client.first_name }}", client=None) == "template: client.first_name"
    assert text("{{ client.first_name | default: 'there' }}", client=None) == "there"


def test_an_empty_text_is_a_value() -> None:
    assert text("[{{ record.fields.note }}]") == "[]"


def test_a_condition_asks_without_using() -> None:
    assert text("{% if session.nps %}{{ session.nps.score }}{% else %}none{% endif %}") == "none"
    assert text("{% if client.status == 'Active' %}a{% elsif client.status == nil %}b{% endif %}") == "b"
    assert text("{% case client.status %}{% when 'Active' %}a{% else %}b{% endcase %}") == "b"


@pytest.mark.parametrize(
    "source", ["{{ client.phones }}", "{{ client }}", "{{ record.fields.tags }}", "{{ client | upcase }}"]
)
def test_a_list_or_group_is_never_written_as_it_is_stored(source: str) -> None:
    assert "is not text" in unrenderable(source)


# --- refused when saved


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("Hi\n{{ client.frist_name }}", "line 2: there is no field client.frist_name; did you mean client.first_name"),
        ("{{ session.dat }}", "there is no field session.dat; did you mean session.date"),
        ("{{ record.dates.bookd }}", "did you mean record.dates.booked"),
        ("{{ invoice.balance }}", "there is no invoice.balance here; names: session, record, client"),
        ("{{ now }}", "there is no now here"),
        ("{{ client.first_name.size }}", "there is no field client.first_name.size"),
        ("{% for p in session.participants %}{{ p.frist }}{% endfor %}", "there is no field p.frist"),
        ("{% assign who = session.staff %}{{ who.first.nam }}", "there is no field who.first.nam"),
        ("{{ client[record.type] }}", "a name must be written out"),
        ("{{ [client].first_name }}", "a name must be written out"),
        ("{{ client }}", "client is no single value"),
        ("{{ session.staff }}", "session.staff is no single value"),
        ("{% for letter in client.first_name %}{% endfor %}", "client.first_name is not a list"),
        ("{% for i in (1..3) %}{% endfor %}", "ranges are not allowed"),
        ("{{ client.first_name | upcas }}", "there is no filter 'upcas'; did you mean upcase"),
        ("{{ client.first_name | safe }}", "there is no filter 'safe'"),
        ("{{ session.date | date: '%Q' }}", "'%Q' is no part of a date"),
        ("{% include 'secret' %}", "the tag 'include' is not allowed; allowed: if,"),
        ("{% render 'secret' %}", "the tag 'render' is not allowed"),
        ("{% layout 'x' %}", "the tag 'layout' is not allowed"),
        ("{% liquid\n include 'x' %}", "the tag 'liquid' is not allowed"),
        ("{% comment %}{% include 'x' %}{% endcomment %}", "the tag 'include' is not allowed"),
        ("{% capture x %}{% endcapture %}", "the tag 'capture' is not allowed"),
        ("{%- %}", "the tag '' is not allowed"),
        ("{{ client.first_name", "line 1: {{ is never closed"),
        ("one\n{% if client.first_name", "line 2: {% is never closed"),
        ("{% raw %}{{ x }}", "raw is never closed"),
        ("{% if client.first_name %}x", "expected tag endif"),
        ("{{ client.first_name default: 'x' }}", "line 1: expected end of expression"),
        ("{{" + " " * 501 + "}}", "more than 500 characters"),
        ("x" * 100_001, "100001 characters; at most 100000"),
        ("{% if client.first_name %}" * 11 + "{% endif %}" * 11, "block nesting limit"),
    ],
)
def test_a_wrong_template_is_refused_by_name_and_line(source: str, reason: str) -> None:
    assert reason in refused(source)


def test_a_refused_template_would_not_render_either() -> None:
    assert unrenderable("{% include 'x' %}").startswith("template: line 1: the tag 'include'")


def test_a_template_for_any_kind_may_use_the_fields_of_any_record() -> None:
    template.check("{{ record.date }} {{ record.balance }} {{ client.first_name }}", "any", field="t")
    assert "there is no session.date here" in refused("{{ session.date }}", kind="any")


def test_a_template_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(Malformed, match=r"template\.kind: 'sesion'; allowed: any, client"):
        template.check("x", "sesion", field="template.sms")


def test_all_parts_of_a_template_are_checked() -> None:
    good = Template(name="reminder", kind="session", sms="{{ session.date }}", html="<b>{{ session.time }}</b>")
    template.check_template(good)
    with pytest.raises(Malformed) as caught:
        template.check_template(Template(name="x", kind="session", sms="x", subject="{{ session.dat }}"))
    assert caught.value.field == "template.subject"
    with pytest.raises(Malformed, match="has no words"):
        template.check_template(Template(name="x", subject="x"))


def test_the_fields_of_a_template_are_listed() -> None:
    source = "{% for p in session.staff %}{{ p.name }}{% endfor %}{{ client.first_name | default: studio.name }}"
    assert template.fields_of(source) == {"session.staff", "client.first_name", "studio.name"}


# --- values are only values

EXPANDABLE = st.sampled_from(
    ["{{7*7}}", "{{ client.last_name }}", "{% raw %}", "{%", "}}", "{{", "{# #}", "<b>", "&", "%d"]
)
CUSTOMER = st.lists(EXPANDABLE | st.text(max_size=8), max_size=5).map("".join)
ROUTES = [
    "{{ client.first_name }}",
    "{% if client.first_name %}{{ client.first_name }}{% endif %}",
    "{% assign a = client.first_name %}{{ a }}",
    "{% for p in session.participants %}{{ p.name }}{% endfor %}",
    "{{ record.fields.location }}",
    "{{ client.first_name | append: '' }}",
    "{{ nothing | default: client.first_name }}",
]


@given(CUSTOMER, st.sampled_from(ROUTES))
@example("{{7*7}}", ROUTES[0])
@example("{% for i in (1..9) %}x{% endfor %}", ROUTES[1])
def test_what_a_customer_wrote_is_never_expanded(value: str, source: str) -> None:
    client = CLIENT | {"first_name": value}
    made = context(client=client, participants=[{"name": value}], fields={"location": value})
    assert template.render(source, made) == value
    assert template.render(source, made, html=True) == str(escape(value))


GADGETS = [
    "__class__",
    "__class__.__mro__",
    "__init__.__globals__",
    "_body",
    "_shape",
    "keys",
    "items",
    "get",
    "format",
    "name.__class__",
]


@pytest.mark.parametrize("gadget", GADGETS)
@pytest.mark.parametrize("root", ["client", "record", "today", "record.fields", "client.first_name", "session.date"])
def test_no_attribute_of_an_object_can_be_reached(root: str, gadget: str) -> None:
    assert unrenderable(f"{{{{ {root}.{gadget} }}}}") == f"template: {root}.{gadget}"
    assert unrenderable(f"{{% assign x = {root} %}}{{{{ x.{gadget} }}}}") == f"template: x.{gadget}"


def test_the_machines_clock_cannot_be_read() -> None:
    assert unrenderable("{{ now }}") == "template: now"
    assert unrenderable("{% if true %}{{ now }}{% endif %}") == "template: now"
    with pytest.raises(Unrenderable):
        template.render("{% if true %}{{ today }}{% endif %}", {})


def test_html_escapes_values_and_keeps_what_the_author_wrote() -> None:
    made = context(client=CLIENT | {"first_name": "<script>&'\""})
    shown = template.render("<p>{{ client.first_name }}{{ client.status | default: '<br>' }}</p>", made, html=True)
    assert shown == "<p>&lt;script&gt;&amp;&#39;&#34;<br></p>"
    shown = template.render("{{ client.first_name | escape | upcase }}", made, html=True)
    assert "<" not in shown


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("<p>\n<a href={{ confirm_link }}>", "template.html: line 2: put quotes around a value"),
        ('<a title="x" href= {{ confirm_link | default: "y" }}>', "put quotes around a value"),
        ("<SCRIPT>alert('{{ client.first_name }}')</SCRIPT>", "a mail cannot run a script"),
    ],
)
def test_html_has_no_place_where_a_value_could_become_markup(source: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        template.check(source, "session", field="template.html", html=True)


@pytest.mark.parametrize(
    "source",
    [
        '<a href="{{ confirm_link }}">1 < 2 = {{ client.first_name }}</a>',
        "<a href='https://studio.example/?name={{ client.first_name | url_encode }}'>x</a>",
        '<p {% if session.status == "Booked" %}class="{{ session.type }}"{% endif %}>',
        '<p title="{{ client.first_name | default: "there" }}">',
    ],
)
def test_values_may_stand_in_text_and_in_quotes(source: str) -> None:
    template.check(source, "session", field="template.html", html=True)


def test_plain_text_is_not_escaped() -> None:
    assert text("{{ client.first_name }}", client={"first_name": "Tom & Jo's <3"}) == "Tom & Jo's <3"


@given(st.text(max_size=60))
@example("Hi\r\nBcc: kim@mail.example")
@example("a\u2028b\x00c\x85d")
def test_a_subject_is_one_line(value: str) -> None:
    shown = template.render_subject("Re: {{ client.first_name }}", context(client={"first_name": value}))
    assert len(shown.splitlines()) == 1
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)


# --- limits

DOUBLING = "{% assign x = 'xxxxxxxxxxxxxxxx' %}" + "{% assign x = x | append: x %}" * 40 + "{{ x }}"
BOMBS = {
    "doubling": DOUBLING,
    "squares": "{% assign x = 'xxxxxxxxxxxxxxxx' %}" + "{% assign x = x | replace: 'x', x %}" * 9,
    "long joins": "{% assign x = record.fields.long | split: 'x' %}{{ x | join: record.fields.long }}",
    "many pieces": "{{ record.fields.long | split: '' | size }}",
    "powers": "{% assign n = 99999 %}" + "{% assign n = n | times: n %}" * 40,
    "nested loops": "{% for a in record.fields.many %}" * 5 + "x" + "{% endfor %}" * 5,
    "loops in a row": "{% for a in record.fields.many %}{{ a }}{% endfor %}" * 200,
    "silent loops": "{% for a in record.fields.many %}" * 4 + "{% assign b = a %}" + "{% endfor %}" * 4,
    "big loop body": "{% for a in record.fields.many %}" + "{% if true %}{% endif %}" * 2000 + "{% endfor %}",
    "output": "{{ record.fields.long }}" * 20,
    "output in a loop": "{% for a in record.fields.many %}{{ record.fields.long }}{% endfor %}",
    "huge number": "{{ record.fields.number | plus: 1 }}",
    "tiny number": "{{ '0.1' | times: record.fields.tiny }}",
}
HEAVY = {
    "long": "x" * 60_000,
    "many": list(range(100)),
    "number": "1e999999999",
    "tiny": "1e-999999999",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_stops_at_a_limit(bomb: str) -> None:
    reason = unrenderable(BOMBS[bomb], fields=HEAVY)
    assert reason.startswith("template: limit: ") or "no number to count with" in reason


@pytest.mark.parametrize(
    "source",
    ["{{" + " " * 90_000, "{% " * 30_000, "{{ x " * 20_000, "{{ a" + "[a" * 200 + "]" * 200 + "}}", "{% raw " * 9000],
)
def test_a_source_made_to_be_slow_is_refused_at_once(source: str) -> None:
    assert refused(source)


PIECES = st.sampled_from(
    [
        "Hi ",
        "\n",
        "{{ client.first_name }}",
        "{{- client.status -}}",
        "{{ client.status | default: 'x' }}",
        "{{ session.date }}",
        "{{ session.time | date: '%H' | append: '<i>' }}",
        "{{ client.last_name | upcase | truncate: 3 }}",
        "{{ record.fields.tags | join: '<br>' }}",
        "{{ record.fields.tags }}",
        "{{ invoice.total }}",
        "{{ record.fields.location | replace: 'a', '&' | escape }}",
        "{{ client.last_name | newline_to_br | default: 'x', allow_false: true }}",
        "{{ client.last_name | upcase: 1 }}",
        "{% comment %}c{% endcomment %}",
        "{% raw %}{{ x }}{% endraw %}",
    ]
)


@given(source=st.lists(PIECES, max_size=6).map("".join), name=CUSTOMER, html=st.booleans())
def test_the_short_way_writes_what_python_liquid_writes(source: str, name: str, *, html: bool) -> None:
    made = context(client=CLIENT | {"last_name": name})
    results = []
    for variant in (source, source + "{% if false %}{% endif %}"):  # a condition takes the long way
        try:
            results.append(template.render(variant, made, html=html))
        except Unrenderable as error:
            results.append(str(error))
    assert results[0] == results[1]


BITS = [
    *("{{", "}}", "{%", "%}", "if", "endif", "for", "in", "endfor", "assign", "a", "=", "case", "when", "endcase"),
    *("client", "record", "session.date", ".first_name", "forloop.index", "[0]", "(", "..", ")", "==", "and"),
    *("|", "upcase", "append:", "default:", "'x'", "raw", "endraw", "comment", "-", "#", "\n"),
]
SOURCES = st.lists(st.sampled_from(BITS), max_size=25).map(" ".join)


@given(SOURCES | st.text(max_size=40))
@example("{% case client %}{% when %}{% endcase %}")
@example("{% # note %}{% comment %} {% endcomment %}")
@example("{{ [0] }}")
def test_any_source_is_refused_or_rendered_or_fails_its_message(source: str) -> None:
    try:
        template.check(source, "session", field="template.sms")
    except Malformed:
        return
    made = context()
    for html in (False, True):
        try:
            shown = template.render(source, made, html=html)
        except Unrenderable:
            continue
        assert len(shown.encode()) <= 256 * 1024


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.just("2027-06-12"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(JSON, st.sampled_from(sorted(set(template.names("invoice")))))
def test_a_body_of_any_shape_fails_at_most_its_own_message(value: Any, name: str) -> None:
    body = dict.fromkeys([*template_fields.KINDS["invoice"], "phones", "emails"], value)
    made = template.context(body, body, {"name": value}, body, kind="invoice", today=TODAY, zone=CHICAGO)
    with suppress(Unrenderable):
        template.render(f"{{{{ {name.replace('*', 'x')} }}}}", made)
