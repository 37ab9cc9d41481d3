"""When a message comes to nothing: which way an action goes next, and that no text follows one that may have come."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain import words
from control_center.domain.blackouts import Blackout
from control_center.domain.catalogue_actions import Leg
from control_center.domain.consent import OPTED_OUT
from control_center.domain.errors import Malformed
from control_center.domain.ladder import Climb, Done, Look, Pass, Sent, Standing, Step, step, upcoming
from control_center.domain.message import State
from control_center.domain.recipients import Errand, Letterbox
from control_center.domain.trigger import Trigger
from control_center.domain.trigger_words import check_words
from tests.support.values import a_client, a_picture, a_rule, a_trigger, as_read, local

EMAIL = {"unless": "delivered", "by": "2d", "action": "email"}
CALL = {"unless": "delivered", "by": "24h", "action": "call"}
OTHER = {"unless": "delivered", "by": "2d", "action": "sms_other"}
CONFIRMED = {"unless": "confirmed", "by": "36h", "action": "call"}
TWO_DAYS = local("2027-06-10 14:00")  # before the session
OCCURRENCE = "2027-06-12T14:00:00"
MOBILE, SECOND = "+13125550188", "+13125550177"


def text(state: State, address: str = MOBILE, *, role: str = "client") -> Sent:
    return Sent(Leg.SMS, address, role, state)


def nobody_stopped(_channel: str, _address: str) -> str:
    return ""


def standing(*sent: Sent, rung: int = 0, record: Any = None, client: Any = None, **trigger: Any) -> Standing:
    """A reminder of the session on 12 June, 14:00, whose text stands as `sent` says."""
    return Standing(
        rule=a_rule(**{"ladder": [EMAIL], **trigger}),
        picture=a_picture(**(record or {})),
        client=as_read(a_client(**(client or {}))),
        country="US",
        occurrence=OCCURRENCE,
        rung=rung,
        sent=sent,
    )


def taken(at: Standing, now: datetime = TWO_DAYS) -> Step:
    return step(at, now, nobody_stopped)


# What is written in a file --------------------------------------------------------------------------------


def read(*rungs: dict[str, Any], **keys: Any) -> Trigger:
    return a_trigger(ladder=list(rungs), **keys)


def test_a_ladder_says_until_when_what_must_have_happened_and_what_is_done_else() -> None:
    rungs = read(EMAIL, CONFIRMED).ladder.rungs

    assert [(rung.unless.value, rung.by, rung.way) for rung in rungs] == [
        ("delivered", timedelta(days=2), "email"),
        ("confirmed", timedelta(hours=36), "call"),
    ]


@pytest.mark.parametrize(
    ("rungs", "keys", "field", "says"),
    [
        ([{**EMAIL, "unless": "read"}], {}, "ladder[1].unless", "allowed: delivered, confirmed"),
        ([{**EMAIL, "by": "2 days"}], {}, "ladder[1].by", "a number and d, h or m"),
        ([{"unless": "delivered", "action": "call"}], {}, "ladder[1].by", "is missing"),
        ([{**EMAIL, "by": "8d"}], {}, "ladder[1].by", "before anything goes out"),
        ([{**EMAIL, "action": "sms"}], {}, "ladder[1].action", "allowed: sms_other, email, call"),
        ([{**EMAIL, "to": "x"}], {}, "ladder[1].to", "is not a known key"),
        ([CALL, EMAIL], {}, "ladder[2].by", "nearer to the date"),
        ([EMAIL, {**EMAIL, "by": "1d"}], {}, "ladder[2].action", "left: sms_other, call"),
        ([{**OTHER, "template": "x"}], {}, "ladder[1].template", "leave it out"),
        ([EMAIL], {"action": "call", "text": ...}, "ladder", "sends no message"),
        ([EMAIL], {"activate": {"on": "booked"}}, "ladder", "'booked' is none"),
        ([EMAIL], {"activate": {"on": "session", "days": 1}}, "ladder", "activate.days is 1"),
        ([EMAIL], {"send_to": ["photographer"]}, "ladder", "send_to does not name"),
        ([EMAIL], {"exclude": {"past_date": True}}, "ladder", "exclude.past_date, which ends it"),
        ([EMAIL], {"use_by": "5d"}, "ladder[1].by", "by then its use_by is over"),
        ([CALL], {"use_by": "12h", "activate": {"on": "session", "days": -2}}, "ladder[1].by", "use_by"),
        ([CONFIRMED], {"record": "task", "activate": {"on": "due", "days": -7}}, "ladder[1].unless", "confirmed"),
        ([], {}, "ladder", "[[trigger.ladder]]"),
        (["email"], {}, "ladder", "[[trigger.ladder]]"),
    ],
)
def test_a_ladder_that_could_not_work_is_refused_by_field(
    rungs: list[Any], keys: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(Malformed) as refused:
        a_trigger(ladder=rungs, **keys)

    assert refused.value.field.endswith(f", {field}")
    assert says in refused.value.reason


def test_a_step_comes_before_the_use_by_and_on_the_day_itself_also_where_past_dates_are_excluded() -> None:
    assert read(EMAIL, use_by="6d").ladder.rungs
    today = {"activate": {"on": "session"}, "exclude": {"past_date": True}}
    assert read({**EMAIL, "by": "2h"}, **today).ladder.rungs


def test_an_email_that_only_a_step_sends_may_carry_the_session() -> None:
    assert read(EMAIL, attach=["confirmation"]).attach == ("confirmation",)


def test_a_step_may_have_words_of_its_own_for_a_leg_that_the_action_has_not() -> None:
    trigger = read({**EMAIL, "template": "late"}, CALL)

    late = {"subject": "Late", "text": "Late."}
    assert words.source(trigger, {"late": late}, Leg.EMAIL) == late
    assert words.source(trigger, {}, Leg.SMS)["sms"] == "See you soon."
    with pytest.raises(Malformed, match="late"):
        check_words(trigger, "booking.toml", {}, "US")


def test_a_step_without_words_is_refused_where_the_trigger_has_none_for_its_leg() -> None:
    by_leg = {"action": "email_or_call", "text": ..., "template": {"email": "mail"}}

    with pytest.raises(Malformed, match="no words for sms"):
        read(OTHER, **by_leg)


def test_a_step_that_calls_may_say_which_call_it_is() -> None:
    assert read(CALL, call={"type": "Chase"}).call.type == "Chase"


# When -----------------------------------------------------------------------------------------------------


def test_the_first_step_is_the_first_whose_time_lies_ahead() -> None:
    rule, record = a_rule(ladder=[EMAIL, CALL]), a_picture().record

    assert upcoming(rule, record, TWO_DAYS - timedelta(days=3)) == (0, TWO_DAYS)
    assert upcoming(rule, record, TWO_DAYS) == (1, local("2027-06-11 14:00"))
    assert upcoming(rule, record, local("2027-06-11 14:00")) is None


def test_a_date_without_a_time_counts_from_its_beginning() -> None:
    record = a_picture(dates={"session": "2027-06-12"}).record

    assert upcoming(a_rule(ladder=[EMAIL]), record, TWO_DAYS - timedelta(days=3)) == (0, local("2027-06-10 00:00"))


def test_a_step_waits_for_its_time() -> None:
    assert taken(standing(text(State.UNDELIVERED)), TWO_DAYS - timedelta(minutes=1)) == Look(TWO_DAYS)


def test_a_blackout_day_holds_a_step() -> None:
    at = standing(text(State.UNDELIVERED))
    closed = a_rule(ladder=[EMAIL], blackouts=[Blackout.on("Staff day", TWO_DAYS.date())])

    assert taken(replace(at, rule=closed)) == Look(local("2027-06-11 00:00"), "blackout day (Staff day)")


# Whether --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [one for one in State if one is not State.DELIVERED])
def test_whatever_was_not_delivered_goes_by_mail(state: State) -> None:
    found = taken(standing(text(state)))

    assert isinstance(found, Climb)
    assert isinstance(found.to, Letterbox)
    assert (found.to.leg, found.to.address) == (Leg.EMAIL, "jo@mail.example")
    assert found.reason == "not delivered, so email"


def test_what_was_delivered_goes_nowhere_else() -> None:
    assert taken(standing(text(State.DELIVERED))) == Pass("delivered in time")


def test_a_mail_that_was_taken_counts_as_delivered_since_nobody_says_more_of_it() -> None:
    mailed = Sent(Leg.EMAIL, "jo@mail.example", "client", State.ACCEPTED)

    assert taken(standing(mailed, action="email", ladder=[CALL]), local("2027-06-11 14:00")) == Pass(
        "delivered in time"
    )


def test_what_somebody_else_got_was_not_delivered_to_the_client() -> None:
    found = taken(standing(text(State.DELIVERED, "+13125550100", role="photographer"), text(State.FAILED)))

    assert isinstance(found, Climb)


def test_who_confirmed_is_left_alone_and_who_did_not_is_called_though_the_text_arrived() -> None:
    now = local("2027-06-11 02:00")
    flags = {"on_hold": False, "confirmed": True, "canceled": False}

    assert taken(standing(text(State.DELIVERED), ladder=[CONFIRMED], record={"flags": flags}), now) == Pass(
        "confirmed in time"
    )
    found = taken(standing(text(State.DELIVERED), ladder=[CONFIRMED]), now)
    assert isinstance(found, Climb)
    assert isinstance(found.to, Errand)
    assert (found.to.leg, found.to.client_id) == (Leg.CALL, "c-12")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"record": {"status": "Canceled"}, "status": "Booked"}, "status: it is 'Canceled'"),
        ({"record": {"dates": {"session": "2027-07-12T14:00"}}}, "moved: the session is now"),
        ({"record": {"flags": {"canceled": True}}, "exclude": {"canceled": True}}, "canceled: the session"),
        ({"shadow": True}, "its trigger only records"),
        ({"rung": 1}, "its trigger has no further step"),
        ({"processing": {"mode": "manual"}}, "manual: the trigger waits for a person"),
    ],
)
def test_what_no_longer_qualifies_goes_no_further(change: dict[str, Any], says: str) -> None:
    found = taken(standing(text(State.UNDELIVERED), **change))

    assert isinstance(found, Done | Look)
    assert found.reason.startswith(says)


def test_nothing_goes_out_once_the_date_is_here_however_long_it_would_be_of_use() -> None:
    at = standing(text(State.UNDELIVERED), use_by="30d")

    assert taken(at, local("2027-06-12 14:00")) == Done("its date is here")


def test_nothing_goes_out_past_its_use_by() -> None:
    assert isinstance(taken(standing(text(State.UNDELIVERED), use_by="130h")), Done)


def test_a_trigger_that_was_switched_off_ends_it() -> None:
    assert taken(replace(standing(text(State.UNDELIVERED)), rule=None)) == Done("trigger: it is switched off")


# Whereto --------------------------------------------------------------------------------------------------

PHONES = [{"number": MOBILE, "sms": True}, {"number": "+13125550166", "sms": False}, {"number": SECOND, "sms": True}]


def test_another_number_is_one_that_takes_texts_and_was_not_written_to() -> None:
    found = taken(standing(text(State.UNDELIVERED), ladder=[OTHER], client={"phones": PHONES}))

    assert isinstance(found, Climb)
    assert isinstance(found.to, Letterbox)
    assert (found.to.leg, found.to.address) == (Leg.SMS, SECOND)


@pytest.mark.parametrize(
    "state", [State.UNKNOWN, State.SUBMITTING, State.ACCEPTED, State.QUEUED, State.CLAIMED, State.HELD]
)
def test_where_a_text_may_have_arrived_or_may_still_there_is_no_second(state: State) -> None:
    found = taken(standing(text(state), ladder=[OTHER], client={"phones": PHONES}))

    assert found == Pass("not delivered, and no sms_other: an earlier text may have arrived")


def test_a_step_that_leads_nowhere_says_why() -> None:
    at = standing(text(State.FAILED), ladder=[OTHER])
    assert taken(at) == Pass("not delivered, and no sms_other: the client has no other number that takes texts")

    mailed = standing(text(State.FAILED))
    assert step(mailed, TWO_DAYS, lambda *_: OPTED_OUT) == Pass(
        "not delivered, and no email: opted out: the client takes no email"
    )

    unticked = standing(text(State.FAILED), exclude={"without_allow_marketing": True})
    assert taken(unticked) == Pass(
        "not delivered, and no email: allow marketing: the client has not ticked the box for email"
    )


# The law --------------------------------------------------------------------------------------------------

PROVEN = {State.UNDELIVERED, State.FAILED, State.CANCELLED, State.SUPPRESSED, State.EXPIRED}
sent = st.lists(
    st.builds(
        Sent,
        st.sampled_from([Leg.SMS, Leg.EMAIL]),
        st.sampled_from([MOBILE, SECOND, "+13125550100", "jo@mail.example"]),
        st.sampled_from(["client", "photographer", "family:Mother"]),
        st.sampled_from(list(State)),
    ),
    max_size=4,
)
RUNGS = [a_rule(ladder=[{"unless": unless, "by": "2d", "action": way}]) for unless in ("delivered", "confirmed")
         for way in ("sms_other", "email", "call")]  # fmt: skip


@given(
    messages=sent,
    rule=st.sampled_from(RUNGS),
    hours=st.integers(-24, 60),
    confirmed=st.booleans(),
    stops=st.sets(st.sampled_from([MOBILE, SECOND, "jo@mail.example"])),
)
def test_whatever_became_of_its_messages_no_text_follows_one_that_may_have_arrived(
    *, messages: list[Sent], rule: Any, hours: int, confirmed: bool, stops: set[str]
) -> None:
    at = standing(*messages, client={"phones": PHONES}, record={"flags": {"confirmed": confirmed}})
    now = TWO_DAYS + timedelta(hours=hours)

    found = step(replace(at, rule=rule), now, lambda _, address: OPTED_OUT if address in stops else "")

    if isinstance(found, Climb):
        assert TWO_DAYS <= now < local("2027-06-12 14:00")
        if isinstance(found.to, Letterbox):
            assert (found.to.leg, found.to.address) not in {(one.leg, one.address) for one in messages}
            assert found.to.address not in stops
            if found.to.leg is Leg.SMS:
                assert all(one.state in PROVEN for one in messages if one.leg is Leg.SMS)
