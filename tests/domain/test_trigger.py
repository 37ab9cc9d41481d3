"""Trigger files: what they say, what holds when they say nothing, and what is refused by name."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_center.domain.catalogue import KINDS
from control_center.domain.errors import Malformed
from control_center.domain.trigger import Processing, Trigger, parse
from control_center.domain.trigger_action import Call, Words
from control_center.domain.trigger_exclusions import Exclusions, NpsExclusion
from control_center.domain.windows import Window
from tests.support.values import a_trigger_table

FULL = tomllib.loads("""
name = "Session reminder, a week before"
purpose = "transactional"
record = "session"
status = "Booked"
type = "Wedding"
activate = { on = "session", days = -7 }
action = "sms_or_email"
send_to = ["client", "family:Mother", "photographer", "all_photographers"]
template = "session-reminder"
late = "skip"
moved = "nothing"
use_by = "2d"
ceiling = 200
enabled = true

[processing]
mode = "automatic"
window = "09:00-18:00"
not_on = ["sat", "sun"]
blackouts = false

[exclude]
past_date = true
on_hold = true
confirmed = true
canceled = true
""")


def read(**keys: Any) -> Trigger:
    return parse(a_trigger_table(**keys), where="booking.toml")


def refusal(**keys: Any) -> Malformed:
    with pytest.raises(Malformed) as refused:
        read(**keys)
    return refused.value


# What is understood ---------------------------------------------------------------------------------------


def test_everything_that_a_trigger_may_say_is_understood() -> None:
    trigger = parse(FULL)

    assert (trigger.name, trigger.purpose) == ("Session reminder, a week before", "transactional")
    assert (trigger.kind.name, trigger.status, trigger.type) == ("session", "Booked", "Wedding")
    assert (trigger.activate.on.name, trigger.activate.days) == ("session", -7)
    assert trigger.action.name == "sms_or_email"
    assert trigger.send_to.everybody == ("client", "family:Mother", "photographer", "all_photographers")
    assert trigger.words == Words("session-reminder", None)
    assert (trigger.late, trigger.moved, trigger.use_by) == ("skip", "nothing", timedelta(days=2))
    assert (trigger.ceiling, trigger.enabled) == (200, True)
    assert trigger.processing == Processing(
        automatic=True, window=Window.parse("09:00-18:00"), closed_weekdays=frozenset({5, 6}), blackouts=False
    )
    assert trigger.exclude == Exclusions(past_date=True, on_hold=True, confirmed=True, canceled=True)


def test_a_trigger_that_says_little_starts_disabled_manual_marketing_and_excludes_nothing() -> None:
    trigger = parse(
        {"name": "T", "record": "client", "activate": {"on": "status_changed"}, "action": "email", "text": "Hello."}
    )

    assert (trigger.enabled, trigger.purpose, trigger.processing.automatic) == (False, "marketing", False)
    assert (trigger.status, trigger.type, trigger.send_to.everybody) == (None, None, ("client",))
    assert (trigger.activate.days, trigger.late, trigger.moved) == (0, "send", "remind")
    assert (trigger.use_by, trigger.ceiling) == (None, None)
    assert trigger.processing == Processing(automatic=False, window=None, closed_weekdays=frozenset(), blackouts=True)
    assert trigger.exclude == Exclusions()


def needed(kind: str) -> dict[str, Any]:
    """What a trigger on this kind cannot do without."""
    return {"keyword": "PRINTS"} if kind == "sms" else {}


@pytest.mark.parametrize(("kind", "base"), [(kind.name, base) for kind in KINDS.values() for base in kind.bases])
def test_a_date_that_may_lie_ahead_takes_days_before_it_and_one_that_never_does_refuses_them(
    kind: str, base: str
) -> None:
    def days(count: int) -> Trigger:
        return read(record=kind, activate={"on": base, "days": count}, **needed(kind))

    assert (days(0).activate.days, days(3650).activate.days) == (0, 3650)
    if KINDS[kind].bases[base].past:
        with pytest.raises(Malformed, match="0 or more is allowed"):
            days(-1)
    else:
        assert days(-3650).activate.days == -3650


FILTERS = {"status": "Any", "type": "Any", "form": "Any", "event": "opened", "category": "Any", "keyword": "any"}
EXCLUSIONS: dict[str, Any] = {
    "past_date": True,
    "without_allow_marketing": True,
    "on_hold": True,
    "confirmed": True,
    "canceled": True,
    "nps": {"recorded": True},
    "redeemed": True,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_takes_its_own_filters_and_exclusions_and_refuses_the_others(kind: str) -> None:
    base = next(iter(KINDS[kind].bases))
    for name, value in FILTERS.items():
        ask = {"record": kind, "activate": {"on": base}, **needed(kind), name: value}
        if name in KINDS[kind].filters:
            trigger = read(**ask)
            assert value in (trigger.status, trigger.type, trigger.keyword and trigger.keyword.word)
        else:
            assert "is not offered" in refusal(**ask).reason
    for name, value in EXCLUSIONS.items():
        ask = {"record": kind, "activate": {"on": base}, **needed(kind), "exclude": {name: value}}
        if name in KINDS[kind].exclusions:
            assert getattr(read(**ask).exclude, name)
        else:
            assert "is not offered" in refusal(**ask).reason
        off: Any = {} if name == "nps" else False
        assert read(**{**ask, "exclude": {name: off}}).exclude == Exclusions()


def test_how_a_keyword_is_matched_is_offered_for_incoming_texts_only() -> None:
    assert "is not offered for session; offered: status, type" in refusal(match="whole").reason


def test_a_key_that_is_near_none_is_refused_with_those_that_this_kind_of_record_has() -> None:
    allowed = refusal(zzz=1).reason.rpartition("allowed: ")[2].split(", ")

    assert {"ceiling", "status", "type"} <= set(allowed)
    assert not {"form", "keyword", "event", "category"} & set(allowed)


@pytest.mark.parametrize(
    ("nps", "found"),
    [
        ({"recorded": True}, NpsExclusion(recorded=True)),
        ({"only_between": [0, 6]}, NpsExclusion(only_between=(0, 6))),
        (
            {"only_between": [0, 6], "only_with_comment": True},
            NpsExclusion(only_between=(0, 6), only_with_comment=True),
        ),
    ],
)
def test_a_score_leaves_out_or_keeps(nps: dict[str, Any], found: NpsExclusion) -> None:
    assert read(exclude={"nps": nps}).exclude.nps == found


@pytest.mark.parametrize(
    ("nps", "field"),
    [
        ({"only_between": [6, 0]}, "only_between"),
        ({"only_between": [0, 11]}, "only_between"),
        ({"only_between": [0]}, "only_between"),
        ({"only_between": [True, 6]}, "only_between"),
        ({"recorded": True, "only_with_comment": True}, "recorded"),
        ({"score": 3}, "score"),
    ],
)
def test_a_score_exclusion_that_means_nothing_is_refused(nps: dict[str, Any], field: str) -> None:
    assert refusal(exclude={"nps": nps}).field == f'booking.toml "Reminder", exclude.nps.{field}'


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({}, "is missing"),
        ({"keyword": "!?"}, "no letter or digit"),
        ({"keyword": "\u2764\ufe0f"}, "no letter or digit"),
        ({"keyword": "Stop"}, "reserved"),
        ({"keyword": "HELP!"}, "reserved"),
        ({"keyword": "two words", "match": "first_word"}, "more than one word"),
        ({"keyword": "prints", "match": "anywhere"}, "allowed: whole, first_word"),
    ],
)
def test_a_keyword_is_a_word_that_nobody_else_acts_on(keys: dict[str, Any], reason: str) -> None:
    assert reason in refusal(record="sms", activate={"on": "received"}, **keys).reason


def test_an_email_trigger_names_an_event_that_mail_has() -> None:
    found = refusal(record="email", activate={"on": "received"}, event="read")

    assert "allowed: delivered, opened, bounced, clicked, complained, unsubscribed" in found.reason


@pytest.mark.parametrize(
    ("text", "period"),
    [("3d", timedelta(days=3)), ("6h", timedelta(hours=6)), ("45m", timedelta(minutes=45))],
)
def test_a_use_by_is_a_number_of_days_hours_or_minutes(text: str, period: timedelta) -> None:
    assert read(use_by=text).use_by == period


@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_that_is_null_is_as_good_as_left_out(kind: str) -> None:
    nothing = {name: None for name in FILTERS if name not in needed(kind)}

    trigger = read(record=kind, activate={"on": next(iter(KINDS[kind].bases))}, **needed(kind), **nothing)

    assert (trigger.status, trigger.type) == (None, None)


def test_a_ceiling_of_none_is_not_the_same_as_none_given() -> None:
    assert (read(ceiling=0).ceiling, read(ceiling=None).ceiling, read().ceiling) == (0, None, None)


def test_a_call_says_its_type_its_due_date_and_whose_it_is() -> None:
    trigger = read(action="call", call={"type": "Follow-up", "due_days": 2, "assign": "Ada"})

    assert trigger.call == Call("Follow-up", 2, "Ada")


def test_a_change_of_status_says_to_which() -> None:
    assert read(action="change_status", text=..., change_status={"to": "Active"}).to_status == "Active"


def test_the_same_person_named_twice_is_one() -> None:
    assert read(send_to=["client", "family:Mother", "client"]).send_to.everybody == ("client", "family:Mother")


# What is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "field", "reason"),
    [
        ({"record": ...}, "record", "is missing; allowed: client, session"),
        ({"record": "sesion"}, "record", "did you mean 'session'?"),
        ({"record": "gallery"}, "record", "allowed: client"),
        ({"action": ...}, "action", "is missing"),
        ({"action": "text"}, "action", "allowed: sms"),
        ({"action": "sms_or_letter"}, "action", "allowed: sms"),
        ({"purpose": "spam"}, "purpose", "transactional, marketing"),
        ({"status": 5}, "status", "a text of 1 to 200"),
        ({"status": ""}, "status", "a text of 1 to 200"),
        ({"status": "a\x00"}, "status", "a text of 1 to 200"),
        ({"activate": ...}, "activate.on", "is missing"),
        ({"activate": "session"}, "activate", "a table is needed"),
        ({"activate": {"on": "birthday"}}, "activate.on", "allowed: session, booked, status_changed, status_due"),
        ({"activate": {"on": "session", "days": -3651}}, "activate.days", "from -3650 to 3650"),
        ({"activate": {"on": "session", "days": 1.5}}, "activate.days", "a whole number"),
        ({"activate": {"on": "session", "days": True}}, "activate.days", "a whole number"),
        ({"activate": {"on": "session", "hours": 3}}, "activate.hours", "not a known key"),
        ({"send_to": "client"}, "send_to", "a list such as"),
        ({"send_to": []}, "send_to", "a list such as"),
        ({"send_to": ["cleint"]}, "send_to", "allowed: client, photographer"),
        ({"send_to": ["family:"]}, "send_to", "family:<relationship>"),
        ({"send_to": ["family:\x00"]}, "send_to", "family:<relationship>"),
        ({"send_to": [["client"]]}, "send_to", "allowed: client"),
        ({"send_to": ["photographer"], "action": "call"}, "send_to", "only clients are called"),
        ({"text": ...}, "template", "needs a template or a text"),
        ({"template": "reminder"}, "text", "beside a template"),
        ({"text": "x" * 10_001}, "text", "1 to 10000"),
        ({"text": "Hi", "action": "change_status", "change_status": {"to": "A"}}, "text", "sends nothing"),
        ({"late": "never"}, "late", "allowed: send, skip"),
        ({"moved": "later"}, "moved", "allowed: remind, tell, nothing"),
        ({"use_by": "2 days"}, "use_by", "such as 3d or 6h"),
        ({"use_by": "0d"}, "use_by", "such as 3d or 6h"),
        ({"use_by": 2}, "use_by", "such as 3d or 6h"),
        ({"ceiling": -1}, "ceiling", "from 0"),
        ({"enabled": "yes"}, "enabled", "true, false"),
        ({"enabled": 1}, "enabled", "true, false"),
        ({"processing": {"mode": "auto"}}, "processing.mode", "did you mean 'automatic'?"),
        ({"processing": {"window": "9-18"}}, "processing.window", "HH:MM-HH:MM"),
        ({"processing": {"window": "09:00-09:00"}}, "processing.window", "leave the window out"),
        ({"processing": {"window": ["09:00", "18:00"]}}, "processing.window", "a text such as"),
        ({"processing": {"not_on": "sun"}}, "processing.not_on", "a list such as"),
        ({"processing": {"not_on": ["Sunday"]}}, "processing.not_on", "allowed: mon"),
        (
            {"processing": {"not_on": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}},
            "processing.not_on",
            "every weekday",
        ),
        ({"processing": {"blackouts": "no"}}, "processing.blackouts", "true, false"),
        ({"processing": {"windows": "09:00-18:00"}}, "processing.windows", "did you mean 'window'?"),
        ({"exclude": {"past_date": "yes"}}, "exclude.past_date", "true, false"),
        ({"exclude": {"on_hald": True}}, "exclude.on_hald", "did you mean 'on_hold'?"),
        ({"exclude": ["past_date"]}, "exclude", "a table"),
        ({"call": {"due_days": 1}}, "call", "makes no call"),
        ({"action": "call", "text": ..., "call": {"due_days": -1}}, "call.due_days", "from 0"),
        ({"change_status": {"to": "A"}}, "change_status", "stands beside"),
        ({"action": "change_status", "text": ...}, "change_status.to", "is missing"),
        ({"tempalte": "x"}, "tempalte", "did you mean 'template'?"),
        ({"id": 7}, "id", "not a known key"),
    ],
)
def test_a_wrong_trigger_is_refused_with_its_file_its_name_the_field_and_what_is_allowed(
    keys: dict[str, Any], field: str, reason: str
) -> None:
    found = refusal(**keys)

    assert (found.field, reason in found.reason) == (f'booking.toml "Reminder", {field}', True), str(found)


@pytest.mark.parametrize("name", [..., "", 7, "x" * 201, "a\x00"])
def test_a_trigger_without_a_usable_name_is_refused_with_its_file(name: Any) -> None:
    assert refusal(name=name).field == "booking.toml, name"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-4000, 4000)
    | st.floats(allow_nan=True)
    | st.text(max_size=8)
    | st.sampled_from(
        ["session", "sms", "call", "automatic", "09:00-18:00", "25:00-26:00", "3d", "client", "sat", "a\x00"]
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=4,
)
PLACES = [(key,) for key in FULL] + [
    (key, inner) for key, table in FULL.items() if isinstance(table, dict) for inner in table
]


@settings(deadline=None)
@given(st.sampled_from(PLACES), st.none() | st.text(min_size=1, max_size=8), VALUES)
def test_a_trigger_with_any_one_key_or_value_changed_is_understood_or_refused_by_name(
    place: tuple[str, ...], renamed: str | None, value: Any
) -> None:
    inner = FULL if len(place) == 1 else FULL[place[0]]
    changed = {key: old for key, old in inner.items() if key != place[-1]}
    changed[renamed or place[-1]] = inner[place[-1]] if renamed else value
    table = changed if len(place) == 1 else {**FULL, place[0]: changed}

    refused = refusal_of(table)

    if refused is None:
        assert renamed is None or renamed in FULL, "a key that nobody knows is never passed over"
    else:
        name = re.escape(str(table.get("name")))
        assert re.match(rf'booking\.toml( "{name}")?, .', refused.field, re.DOTALL), refused.field
        assert refused.reason


def refusal_of(table: dict[str, Any]) -> Malformed | None:
    try:
        parse(table, where="booking.toml")
    except Malformed as refused:
        return refused
    return None


def test_whatever_text_names_a_relationship_can_be_stored() -> None:
    assert read(send_to=["family:Großmutter (Mutter)"]).send_to.everybody == ("family:Großmutter (Mutter)",)
