"""What people and the CRM write, for fuzzing: event bodies and trigger files; each taken as far as it goes."""

from __future__ import annotations

import json
import tempfile
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

from control_center.cli.toml import table as written
from control_center.domain import words
from control_center.domain.action import Add
from control_center.domain.catalogue import KINDS
from control_center.domain.errors import Malformed
from control_center.domain.event import Event, decode
from control_center.domain.planner import decide
from control_center.domain.recipients import route
from control_center.domain.reconciliation import reconcile
from control_center.domain.record import Facts, Picture, as_mapping
from control_center.domain.rules import Rules
from control_center.domain.template import Unrenderable
from control_center.domain.trigger import parse
from control_center.domain.trigger_test_cases import failures
from control_center.domain.trigger_words import cautions, check_words, lacking
from control_center.engine.trigger_files import Mistakes, mistakes_of, read_files
from tests.support import crm
from tests.support.hostile import Surface, storable
from tests.support.values import CHICAGO, NOW, a_studio, a_trigger, the_rules

ROOT: Final = Path(__file__).resolve().parents[2]
STUDIO: Final = a_studio(email={"account": "default", "from": "ada@studio.example", "postal_address": "12 Shore Drive"})

# Event bodies -----------------------------------------------------------------------------------------------

# One trigger on every date of every kind, to whoever the kind has at hand: what is understood must be plannable.
EVERYTHING: Final[Rules] = the_rules(
    *(
        a_trigger(
            number,
            record=kind.name,
            activate={"on": base.name, "days": days},
            action="sms_or_email",
            send_to=whom,
            text="Hi {{ client.first_name | default: 'there' }}, {{ record.status }} {{ record.type | default: 1 }}",
        )
        for number, (kind, base, days, whom) in enumerate(
            (kind, base, days, whom)
            for kind in KINDS.values()
            for base in kind.bases.values()
            for days, whom in ((0, ["client"]), (2, ["client", "family:Mother"]))
            if not kind.ours
        )
    )
)


def record(kind: str, dates: dict[str, str], **more: Any) -> bytes:
    return crm.event(
        crm.session("4711", kind=kind, dates=dates, **more),
        "updated",
        about=crm.client(
            birthday="1990-02-28",
            allow_marketing={"sms": True, "email": True},
            family=[
                {"relationship": "Mother", "first_name": "Kim", "phones": [{"number": "+13125550177", "sms": True}]}
            ],
        ),
        event_id=f"e-{kind}",
    )


EVENTS: Final = (
    crm.event(crm.session(nps={"id": "r-1", "score": 9, "comment": "", "received_at": "2026-11-21T16:04:05Z"})),
    crm.event(crm.session(version=17), "status_changed", about=crm.client(), causedby="command-1"),
    record("session", {"session": "2027-06-12T14:00", "booked": "2026-11-21"}, participants=[{"first_name": "Kim"}]),
    record("appointment", {"appointment": "2027-06-12T14:00:00-05:00", "booked": "2026-11-21"}),
    record(
        "invoice",
        {"invoice": "2026-11-01", "paid": "2026-11-20T10:00Z"},
        amounts={"total": "1200.00", "paid": "400.00", "balance": "800.00", "currency": "USD"},
        instalments=[{"id": "1", "due": "2026-12-15", "amount": "400.00", "paid": False}],
        bill_to={"id": "c-13", "first_name": "Lee", "phones": [{"number": "312 555 0199", "sms": True}]},
        links={"session": "4711"},
    ),
    record("production_order", {"ordered": "2026-11-21"}, assigned=[{"user": "Ada", "department": "Lab"}]),
    record("preproduction_order", {"ordered": "2026-11-21"}),
    record("task", {"start": "2026-11-21", "due": "2026-11-28", "completed": "2026-11-27"}),
    record(
        "web_form",
        {"created": "2026-11-21", "submitted": "2026-11-22"},
        form={"name": "Contact", "link": "https://x.example"},
    ),
    record(
        "loyalty_reward", {"issued": "2026-11-21", "expires": "2027-11-21"}, reward={"code": "A", "balance": "50.00"}
    ),
    crm.event(
        about=crm.client(
            anniversary="2015-06-01", birthday="1992-02-29", status="Active", status_changed_at="2026-11-20"
        )
    ),
    crm.event(crm.session(), "deleted"),
    crm.snapshot(records=[crm.session("1"), crm.session("2")], clients=[crm.client()]),
    json.dumps(
        {
            "specversion": "1.0",
            "id": "catalog-1",
            "source": "/crm/main",
            "type": "crm.catalog",
            "studio": "main",
            "time": "2026-11-21T16:04:06Z",
            "data": {
                "statuses": [{"kind": "session", "type": None, "name": "Booked", "initial": True, "final": False}],
                "types": [{"kind": "session", "name": "Wedding"}],
                "relationships": ["Mother"],
                "departments": ["Lab"],
                "users": [
                    {"name": "Ada", "email": "ada@studio.example", "phone": "+13125550123", "roles": [], "active": True}
                ],
                "referral_programs": ["Spring"],
                "forms": [{"name": "Contact", "link": "https://x.example"}],
            },
        }
    ).encode(),
)


def an_event(body: bytes) -> Event:
    """Understand an event, and take each record in it as far as the words of a message."""
    event = decode(body)
    storable((event.source, event.event_id, event.subject, event.body, event.caused_by, event.catalog))
    for picture in event.seen:
        storable((picture.record_id, picture.client_id, picture.body))
        as_mapping(picture.body)
        facts = picture.first_facts or Facts()
        assert Facts.from_json(facts.to_json()) == facts
        client = event.seen[0] if event.seen[0].kind == "client" else None
        for step in reconcile(picture, EVERYTHING, (), NOW):
            assert isinstance(step, Add)
            rule = EVERYTHING.by_id[step.plan.trigger_id]
            decide(rule, picture, step.plan.occurrence, step.plan.due_at)
            routing = route(rule.trigger, picture.record, client.record if client else None, "US", lambda *_: "")
            try:
                seen = words.fields(STUDIO, picture, client, {"role": "client"}, NOW)
                text = words.text_message(words.source(rule.trigger, {}), seen)
            except Unrenderable as error:
                storable(error.reason)
            else:
                storable((text.text, [box.address for box in routing.letterboxes]))
    return event


_KEYS: Final = (
    "id",
    "version",
    "kind",
    "client_id",
    "dates",
    "status",
    "record",
    "client",
    "data",
    "clients",
    "records",
    "type",
)
BODIES: Final = Surface("events", EVENTS, an_event, (Malformed,), words=tuple(f'"{key}":'.encode() for key in _KEYS))

# Trigger files ----------------------------------------------------------------------------------------------


def _saved(*folders: str) -> dict[str, Any]:
    files = [file for folder in folders for file in sorted((ROOT / "config" / folder).glob("*.toml"))]
    return {file.stem: tomllib.loads(file.read_text("utf-8")) for file in files}


SAVED: Final = _saved("templates", "demo/templates")


def _triggers() -> tuple[bytes, ...]:
    """Each trigger of the pack as a file of its own, and whole files."""
    folders = (ROOT / "config/triggers", ROOT / "config/demo/triggers")
    each = [written("trigger", table).encode() for _, table in read_files(folders)]
    return (*each, *(file.read_bytes() for folder in folders for file in sorted(folder.glob("*.toml"))))


TOML_WORDS: Final = tuple(
    one.encode()
    for one in (
        "[[trigger]]\n",
        "[trigger]\n",
        "[trigger.processing]\n",
        "[[trigger.test]]\n",
        "[trigger.exclude]\n",
        "[trigger.task]\n",
        "then_status = ",
        "name = ",
        "record = ",
        '"client"',
        '"session"',
        '"invoice"',
        '"task"',
        '"sms"',
        '"email"',
        '"web_form"',
        "action = ",
        '"sms_or_call"',
        '"email_and_sms"',
        '"nps_sms"',
        '"confirmation_sms"',
        '"change_status"',
        '"letter"',
        "send_to = ",
        '["client", "family:Mother"]',
        '["address:+13125550123"]',
        '["participants"]',
        "text = ",
        "template = ",
        "template = { sms = 'birthday', email = 'birthday' }",
        "activate = { on = 'status_changed', days = 3 }",
        "activate = { on = 'birthday' }",
        "days = -3650",
        "use_by = ",
        '"0m"',
        '"999999999d"',
        "ceiling = 0",
        "window = ",
        '"24:00-00:00"',
        '"09:00-09:00"',
        "not_on = ['sat']",
        "nps = { only_between = [0, 6] }",
        "keyword = ",
        "match = 'first_word'",
        "must_hold = ",
        "priority = 9",
        "moved = 'tell'",
        "moved_template = 'birthday'",
        "ladder = ",
        "late = 'skip'",
        "shadow = true",
        "enabled = true",
        "enabled = false",
        "expect = ",
        "given = ",
        "at = ",
        "send_at = ",
        "2027-02-30",
        "2027-06-12T14:00",
        "07:32:00",
        "0x7fffffffffffffffffff",
        "1e400",
        "inf",
        "nan",
        "'''",
        '"""',
        "\\U0010FFFF",
        "\\u0000",
        "{",
        "[",
        "a.b.c = 1",
        "attach = ['invoice']",
    )
)


# A session, a client and an invoice that everything is tried on.
@cache
def _pictures() -> tuple[Picture, ...]:
    return tuple(picture for body in EVENTS[:13] for picture in decode(body).seen)


_FOLDER: Final = Path(tempfile.mkdtemp(prefix="control-center-test-"))


def a_trigger_file(raw: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Read a file, and take each trigger in it as far as the words that it would send."""
    file = _FOLDER / "one.toml"
    file.write_bytes(raw)
    tables = read_files([file])
    mistakes = mistakes_of(tables)
    if mistakes:
        storable([str(one) for one in mistakes])
        raise Mistakes(mistakes)
    for where, table in tables:
        again = tomllib.loads(written("trigger", table))["trigger"]
        assert again == [table], "what is exported is what was read"
        trigger = parse(table, where=where)
        check_words(trigger, where, SAVED, "US")
        cautions(trigger, STUDIO)
        lacking(trigger, SAVED, STUDIO)
        storable([str(one) for one in failures(trigger, STUDIO, SAVED)])
        rules = the_rules(a_trigger(**{**table, "enabled": True}), at=CHICAGO)
        for picture in _pictures():
            for step in reconcile(picture, rules, (), NOW):
                assert isinstance(step, Add)
                storable((step.plan.occurrence, step.plan.reason))
                decide(rules.by_id[1], picture, step.plan.occurrence, step.plan.due_at)
    return list(tables)


FILES: Final = Surface("triggers", _triggers(), a_trigger_file, (Malformed,), words=TOML_WORDS)
