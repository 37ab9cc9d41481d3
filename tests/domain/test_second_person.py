"""What names a list that was reviewed, and whose hands something has been in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from control_center.domain.second_person import Hands, Reviewed, needed

AT = datetime(2027, 3, 1, 16, tzinfo=UTC)
LIST = Reviewed("main b-12", "1 +13125550101", 1, {"sms": "Hello", "kind": "any"}, AT)
TIMES = st.none() | st.timedeltas(timedelta(0), timedelta(days=9)).map(lambda span: AT + span)


def test_the_code_is_the_same_in_whatever_order_and_zone_things_are_said() -> None:
    chicago = AT.astimezone(tz=None)
    assert replace(LIST, words={"kind": "any", "sms": "Hello"}, start_at=chicago).code == LIST.code
    assert len(LIST.code) == 12


@given(
    st.builds(
        Reviewed,
        st.sampled_from(["main b-12", "north b-12", "main b-13"]),
        st.text(max_size=9),
        st.integers(0, 3),
        st.dictionaries(st.sampled_from(["sms", "kind"]), st.text(max_size=3), max_size=2),
        TIMES,
    )
)
def test_whatever_else_is_reviewed_has_another_code(other: Reviewed) -> None:
    assert (other.code == LIST.code) == (other == LIST)


def test_a_number_is_what_one_person_may_write_to_and_the_next_one_is_too_many() -> None:
    assert [needed(500, number) for number in (499, 500, 501)] == [False, False, True]
    assert not needed(None, 100_000)
    assert needed(0, 1)


def test_a_hand_is_known_by_its_name() -> None:
    assert Hands("Ada").are(" ada")
    assert Hands("Ada", "Bob").are("bob")
    assert Hands("Ada", "Bob").are("Ada")
    assert not Hands("Ada", "Bob").are("Cy")
    assert (Hands("Ada", "ada").told, Hands("Ada", "Bob").told) == ("made by Ada", "made by Ada and changed by Bob")
