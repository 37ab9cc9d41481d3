"""The score that the answers to a question come to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.net_promoter import Promoters, count


@pytest.mark.parametrize(
    ("score", "group"),
    [(0, "detractors"), (6, "detractors"), (7, "passives"), (8, "passives"), (9, "promoters"), (10, "promoters")],
)
def test_each_score_belongs_to_its_group(score: int, group: str) -> None:
    assert count([(score, 1)]) == Promoters(**{group: 1})


def test_where_nobody_answered_there_is_no_score_and_not_nought() -> None:
    assert count([]).score is None
    assert count([(7, 3)]).score == 0


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(1, 50)), min_size=1))
def test_it_lies_between_all_against_and_all_for(scores: list[tuple[int, int]]) -> None:
    found = count(scores)
    assert found.responses == sum(times for _, times in scores)
    assert -100 <= (found.score or 0) <= 100
