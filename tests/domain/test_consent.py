"""What an address allows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.consent import OPEN, Purpose, Said, Standing, refuse_pointless, replay
from control_center.domain.errors import Refused

ALL, MARKETING = Purpose.ALL, Purpose.MARKETING

sayings = st.lists(st.tuples(st.sampled_from(Purpose), st.sampled_from(Said)))


@pytest.mark.parametrize(
    ("said", "barred"),
    [
        ([], set()),
        ([(ALL, Said.STOP)], {"transactional", "marketing"}),
        ([(MARKETING, Said.STOP)], {"marketing"}),
        ([(MARKETING, Said.STOP), (MARKETING, Said.START)], set()),
        ([(MARKETING, Said.STOP), (ALL, Said.START)], {"marketing"}),  # each purpose for itself
        ([(ALL, Said.STOP), (MARKETING, Said.START)], {"transactional", "marketing"}),
        ([(ALL, Said.DOUBT)], set()),
    ],
)
def test_an_unsubscribed_address_still_gets_what_is_no_marketing(
    said: Sequence[tuple[Purpose, Said]], barred: set[str]
) -> None:
    now = replay(said)
    assert {purpose for purpose in ("transactional", "marketing") if now.bars(purpose)} == barred


@given(sayings)
def test_after_a_stop_only_an_opt_in_of_the_same_purpose_lets_messages_through(
    said: list[tuple[Purpose, Said]],
) -> None:
    # A ledger that is kept by these rules has neither a doubt nor its clearing after a stop.
    kept: list[tuple[Purpose, Said]] = []
    for purpose, says in said:
        try:
            refuse_pointless(replay(kept), says, purpose)
        except Refused:
            continue
        kept.append((purpose, says))
    words = [says for purpose, says in kept if purpose is ALL and says in {Said.STOP, Said.START}]
    assert replay(kept).stopped == (words[-1:] == [Said.STOP])


def test_a_doubt_is_settled_by_a_person_and_never_weakens_a_stop() -> None:
    with pytest.raises(Refused, match="said stop"):
        refuse_pointless(Standing(stopped=True), Said.DOUBT, ALL)
    with pytest.raises(Refused, match="only an explicit opt-in"):
        refuse_pointless(Standing(stopped=True), Said.NO_STOP, ALL)
    with pytest.raises(Refused, match="in doubt"):
        refuse_pointless(OPEN, Said.NO_STOP, ALL)
    refuse_pointless(Standing(doubtful=True), Said.NO_STOP, ALL)
