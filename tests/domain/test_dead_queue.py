"""What the dead queue holds beside our copies is known by counting: an alarm may end late, and never early."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.dead_queue import Account, counted

NONE = Account(0, 0)
COUNTS = st.integers(0, 20)


def test_what_we_put_there_is_nothing_to_tell_of_and_one_more_is() -> None:
    assert counted(Account(3, 0), 3, quiet=True, read=False) == Account(3, 0)
    assert counted(Account(3, 0), 4, quiet=True, read=False) == Account(3, 1)
    assert counted(Account(3, 1), 4, quiet=True, read=False) == Account(3, 1)
    assert counted(Account(3, 1), 6, quiet=True, read=False) == Account(3, 3)


def test_of_those_that_are_gone_our_copies_are_thought_to_be_the_first() -> None:
    assert counted(Account(3, 2), 4, quiet=True, read=False) == Account(2, 2)
    assert counted(Account(3, 2), 1, quiet=True, read=False) == Account(0, 1)
    assert counted(Account(3, 2), 0, quiet=True, read=False) == NONE


def test_a_copy_that_is_on_its_way_is_not_given_up() -> None:
    on_its_way = counted(Account(1, 0), 0, quiet=False, read=False)
    assert counted(on_its_way, 1, quiet=False, read=False) == Account(1, 0)


def test_what_a_reader_holds_and_gives_back_is_not_news() -> None:
    in_hands = counted(Account(2, 0), 0, quiet=True, read=True)
    assert counted(in_hands, 2, quiet=True, read=False) == Account(2, 0)
    assert counted(Account(2, 1), 0, quiet=True, read=True).others == 0


@given(st.lists(st.tuples(st.sampled_from(["copy", "set aside"]), COUNTS), max_size=20), COUNTS)
def test_where_nobody_takes_anything_the_two_are_told_apart_exactly(came: list[tuple[str, int]], before: int) -> None:
    known, copies, others = Account(before, 0), before, 0
    for what, number in came:
        if what == "copy":
            copies += number
            known = Account(known.copies + number, known.others)
        else:
            others += number
        known = counted(known, copies + others, quiet=True, read=False)
        assert known == Account(copies, others)


@given(COUNTS, COUNTS, COUNTS, st.fixed_dictionaries({"quiet": st.booleans(), "read": st.booleans()}))
def test_never_more_is_told_of_than_there_is_and_an_empty_queue_ends_it(
    copies: int, others: int, ready: int, how: dict[str, bool]
) -> None:
    after = counted(Account(copies, others), ready, **how)
    assert 0 <= after.others <= ready
    assert after.others >= min(others, ready)
