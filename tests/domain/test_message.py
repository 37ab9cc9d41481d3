"""What an answer and a receipt make of a message."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_center.domain.inbound import LONGEST_NAME, MOST_SEGMENTS
from control_center.domain.message import TRANSITIONS, State, fold, key_of, message_of, settle
from control_center.domain.outcome import Accepted, Blocked, Cause, Fate, NotSent, Outcome, Refused, Stage, Unknown
from control_center.domain.retry import MAX_ATTEMPTS
from tests.support.values import DAY, NOW

REASONS = st.text(max_size=5)
CODES = st.none() | st.text(max_size=5)
WAITS = st.none() | st.timedeltas(timedelta(0), timedelta(days=2))
OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Accepted, CODES),
    st.builds(NotSent, REASONS, CODES, WAITS),
    st.builds(Blocked, REASONS, CODES),
    st.builds(Refused, REASONS, st.sampled_from(Cause), CODES),
    st.builds(Unknown, REASONS, st.sampled_from(Stage), CODES),
)
LAW = settings(deadline=None)
TRIES, SPANS = st.integers(0, 12), st.timedeltas(timedelta(seconds=-5), timedelta(days=15))

# The moves one by one. Whoever has a receipt was asked: it proves any of them taken, whatever we believed.
PROVEN = " accepted delivered undelivered"
MOVES = {
    "queued": "claimed held cancelled suppressed expired" + PROVEN,
    "held": "queued cancelled suppressed expired unknown" + PROVEN,
    "claimed": "submitting queued held failed cancelled suppressed expired" + PROVEN,
    "submitting": "accepted queued held failed unknown delivered undelivered",
    "unknown": "submitting accepted delivered undelivered failed",
    "accepted": "delivered undelivered",
    "undelivered": "delivered",
    "failed": PROVEN,
    "cancelled": "queued" + PROVEN,
    "suppressed": PROVEN,
    "expired": PROVEN,
    "delivered": "",
    "shadow": "",
    "received": "",
}


@pytest.mark.parametrize("state", State)
def test_a_message_moves_only_as_the_contract_says(state: State) -> None:
    assert {following.value for following in TRANSITIONS[state]} == set(MOVES[state.value].split())


# The answer -----------------------------------------------------------------------------------------------


@LAW
@given(OUTCOMES, TRIES, SPANS)
def test_every_answer_moves_a_submitting_message_where_it_may_go(outcome: Outcome, tries: int, left: timedelta) -> None:
    settled = settle(outcome, key="m-1", tries=tries, use_by=NOW + left, now=NOW)

    assert settled.state in TRANSITIONS[State.SUBMITTING]


@LAW
@given(OUTCOMES, TRIES, SPANS)
def test_only_what_is_proven_not_taken_is_tried_again(outcome: Outcome, tries: int, left: timedelta) -> None:
    settled = settle(outcome, key="m-1", tries=tries, use_by=NOW + left, now=NOW)

    if settled.state is State.QUEUED:
        assert isinstance(outcome, NotSent)
    if settled.state is State.HELD:
        assert isinstance(outcome, Blocked)
    if isinstance(outcome, Unknown):
        assert settled.state is State.UNKNOWN


@LAW
@given(st.builds(NotSent, REASONS, CODES, WAITS), TRIES, SPANS)
def test_another_try_comes_later_but_before_the_use_by(outcome: NotSent, tries: int, left: timedelta) -> None:
    use_by = NOW + left

    settled = settle(outcome, key="m-1", tries=tries, use_by=use_by, now=NOW)

    if settled.state is State.QUEUED:
        assert settled.due_at is not None
        assert NOW + (outcome.wait or timedelta(0)) <= settled.due_at < use_by
        assert settled.due_at > NOW
    else:
        assert (settled.state, settled.due_at) == (State.FAILED, None)


def test_the_last_try_is_the_last() -> None:
    def after(tries: int) -> State:
        return settle(NotSent("refused"), key="m-1", tries=tries, use_by=NOW + DAY, now=NOW).state

    assert [after(tries) for tries in (0, MAX_ATTEMPTS - 2, MAX_ATTEMPTS - 1)] == [
        State.QUEUED,
        State.QUEUED,
        State.FAILED,
    ]


@pytest.mark.parametrize(
    ("outcome", "state", "reason", "counts"),
    [
        (Accepted("SM1"), State.ACCEPTED, "", True),
        (NotSent("connection refused"), State.QUEUED, "retry: connection refused", True),
        (Blocked("no credit"), State.HELD, "breaker: no credit", False),
        (Refused("landline", Cause.RECIPIENT), State.FAILED, "recipient: landline", True),
        (Unknown("timed out", Stage.SENT), State.UNKNOWN, "sent: timed out", True),
    ],
)
def test_an_answer_becomes_a_state_and_a_reason(outcome: Outcome, state: State, reason: str, *, counts: bool) -> None:
    settled = settle(outcome, key="m-1", tries=0, use_by=NOW + DAY, now=NOW)

    assert (settled.state, settled.reason, settled.counts) == (state, reason, counts)


def test_a_blocked_account_costs_no_try_and_counts_against_its_breaker() -> None:
    settled = settle(Blocked("no credit"), key="m-1", tries=MAX_ATTEMPTS, use_by=NOW, now=NOW)

    assert (settled.state, settled.counts, settled.blocked) == (State.HELD, False, True)


@pytest.mark.parametrize("cause", Cause)
def test_only_a_stop_that_the_provider_knows_of_becomes_an_opt_out(cause: Cause) -> None:
    settled = settle(Refused("no", cause), key="m-1", tries=0, use_by=NOW + DAY, now=NOW)

    assert settled.opted_out is (cause is Cause.OPTED_OUT)
    assert settled.dead is (cause is Cause.RECIPIENT)


# Receipts -------------------------------------------------------------------------------------------------


def folded(state: State, fates: tuple[Fate, ...]) -> State:
    for fate in fates:
        state = fold(state, fate) or state
    return state


@pytest.mark.parametrize("state", State)
def test_a_receipt_moves_a_message_where_it_may_go_or_not_at_all(state: State) -> None:
    assert {fold(state, fate) for fate in Fate} <= {None, *TRANSITIONS[state]}


@pytest.mark.parametrize("state", State)
def test_the_same_receipt_again_changes_nothing(state: State) -> None:
    assert [fold(folded(state, (fate,)), fate) for fate in Fate] == [None, None, None]


@pytest.mark.parametrize("state", State)
def test_receipts_may_come_in_any_order(state: State) -> None:
    for fates in product(Fate, repeat=3):
        assert {folded(state, order) for order in permutations(fates)} == {folded(state, fates)}


@pytest.mark.parametrize("state", [State.SUBMITTING, State.UNKNOWN, State.ACCEPTED, State.UNDELIVERED, State.FAILED])
def test_delivered_outranks_every_other_word(state: State) -> None:
    assert folded(state, (Fate.DELIVERED, Fate.UNDELIVERED, Fate.SENT)) is State.DELIVERED


@pytest.mark.parametrize(
    ("state", "fate", "reached"),
    [
        (State.SUBMITTING, Fate.SENT, State.ACCEPTED),
        (State.SUBMITTING, Fate.DELIVERED, State.DELIVERED),
        (State.UNKNOWN, Fate.SENT, State.ACCEPTED),
        (State.UNKNOWN, Fate.UNDELIVERED, State.UNDELIVERED),
        (State.ACCEPTED, Fate.SENT, None),
        (State.ACCEPTED, Fate.UNDELIVERED, State.UNDELIVERED),
        (State.DELIVERED, Fate.UNDELIVERED, None),
        (State.UNDELIVERED, Fate.DELIVERED, State.DELIVERED),
        (State.FAILED, Fate.DELIVERED, State.DELIVERED),
        (State.CANCELLED, Fate.DELIVERED, State.DELIVERED),
        (State.SUPPRESSED, Fate.DELIVERED, State.DELIVERED),
        (State.EXPIRED, Fate.UNDELIVERED, State.UNDELIVERED),
    ],
)
def test_a_receipt_settles_what_was_open_and_proves_wrong_what_ended_otherwise(
    state: State, fate: Fate, reached: State | None
) -> None:
    assert fold(state, fate) is reached


@pytest.mark.parametrize("state", [State.SHADOW, State.RECEIVED])
def test_what_was_never_sent_takes_no_receipts(state: State) -> None:
    assert [fold(state, fate) for fate in Fate] == [None, None, None]


# References -----------------------------------------------------------------------------------------------


@LAW
@given(st.integers(1, 2**63 - 1), st.integers(1, 10**9 - 1))
def test_our_reference_leads_back_to_the_message_and_the_attempt(message_id: int, number: int) -> None:
    assert message_of(key_of(message_id, number)) == (message_id, number)


@LAW
@given(st.text() | st.from_regex(r"m-\d{1,25}\.\d{1,25}", fullmatch=True))
def test_whatever_a_provider_echoes_is_our_reference_or_none(text: str) -> None:
    found = message_of(text)

    assert found is None or key_of(*found) == text


@pytest.mark.parametrize(
    "text",
    ["", "m-1", "m-1.", "m-.1", "M-1.1", "m-1.1.1", "m-01.1", "m-1.0", "m-٣.1", "m-1.1\n", "m-" + "9" * 5000 + ".1"],
)
def test_what_is_not_our_reference_names_nothing(text: str) -> None:
    assert message_of(text) is None


def test_whatever_letters_a_provider_answers_with_it_can_be_stored() -> None:
    """One message that cannot be would keep all that are settled beside it from being so."""
    long = "x" * 10_000
    for outcome in (
        Accepted("a\0" + long, 10**9),
        Refused("no\0\ud800", Cause.CONTENT, "\0" + long),
        Unknown("\ud800", Stage.SENT),
    ):
        found = settle(outcome, key="m-1.1", tries=0, use_by=NOW + timedelta(days=1), now=NOW)
        for text in (found.reason, found.code or "", found.provider_id or ""):
            assert "\0" not in text
            text.encode()
        assert len(found.provider_id or "") <= LONGEST_NAME
        assert found.segments in (None, MOST_SEGMENTS)
