"""Triggers as files: what is written can be read back, and nothing of it is lost."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_center.cli.toml import table as written
from control_center.domain.catalogue import EMAIL_EVENTS, KINDS, Base, Kind, Source
from control_center.domain.catalogue_actions import ACTIONS, ActionKind, Leg
from control_center.domain.errors import Malformed
from control_center.domain.trigger import parse
from control_center.domain.trigger_action import ATTACHMENTS
from control_center.engine import trigger_changes, triggers
from control_center.engine.trigger_files import Mistakes, mistakes_of, plain, read_files
from control_center.store import db
from tests.support.rows import a_studio

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


def clock() -> datetime:
    return NOW


# What a person may have written ---------------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00{}%"), min_size=1, max_size=40)
ODD = ('Say "hi"', "a.b", "C:\\x", "tab\there", "line\nbreak", "é\u2019😀", "#", "[x]")
NAMES = st.one_of(TEXTS, st.sampled_from(ODD))
KEYS = st.one_of(st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True), NAMES)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(NAMES, st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
SHORT = st.sampled_from(("Booked", "Zoë's", 'the "big" one', "a\tb"))
HOURS = st.sampled_from(("09:00-18:00", "22:00-06:00"))
DAYS = st.lists(st.sampled_from(("mon", "sat", "sun")), unique=True, max_size=3)
PERIODS = st.sampled_from(("2d", "6h", "90m"))
NPS = st.one_of(
    st.just({"recorded": True}),
    st.fixed_dictionaries({"only_between": st.just([0, 6])}, optional={"only_with_comment": st.booleans()}),
)
Keys: TypeAlias = dict[str, st.SearchStrategy[Any]]


def filters(kind: Kind) -> Keys:
    found = {name: SHORT for name in kind.filters if name not in ("event", "keyword")}
    if "event" in kind.filters:
        found["event"] = st.sampled_from(EMAIL_EVENTS)
    return found | ({"match": st.just("whole")} if "keyword" in kind.filters else {})


def whom(action: ActionKind, kind: Kind) -> st.SearchStrategy[Any]:
    """One list for all, or one for each way."""
    offered = ["client", *(["bill_to"] if kind.name == "invoice" else [])]
    if all(leg.is_message for leg in action.legs):
        offered += ["photographer", "family:Mother", 'family:the "other" one']
    one = st.lists(st.sampled_from(offered), min_size=1, unique=True)
    by_leg = {leg.value: one for leg in action.legs if leg.is_personal}
    numbers = st.just(["client", "address:+13125550123"]) if action.legs == (Leg.SMS,) else st.nothing()
    return st.one_of(one, st.fixed_dictionaries(by_leg), numbers)


def wording(action: ActionKind, *, templates: bool) -> st.SearchStrategy[dict[str, Any]]:
    """The words of an action: a text, a template, or one for each way."""
    if not action.writes:
        note = st.fixed_dictionaries({"text": TEXTS})
        return st.one_of(st.just({}), note) if action.has(Leg.CALL) else st.just({})
    own = st.fixed_dictionaries({"text": TEXTS})
    if action.own_text or not templates:
        return own
    legs = [leg.value for leg in action.legs if leg.is_personal]
    each = st.fixed_dictionaries({"template": st.fixed_dictionaries(dict.fromkeys(legs, SHORT))})
    return st.one_of(own, st.fixed_dictionaries({"template": SHORT}), each)


def about_the_action(action: ActionKind, kind: Kind) -> Keys:
    """What may be said beside this action."""
    later = {"type": SHORT, "due_days": st.integers(0, 9), "assign": SHORT}
    found: Keys = {"send_to": whom(action, kind)} if action.personal else {}
    if action.has(Leg.CALL):
        found["call"] = st.fixed_dictionaries({}, optional=later)
    if "status" in kind.filters and not action.has(Leg.CHANGE_STATUS):
        found["then_status"] = SHORT
    attached = [name for name, kinds in ATTACHMENTS.items() if kind.name in kinds]
    if action.has(Leg.EMAIL) and attached:
        found["attach"] = st.just(attached)
    if any(leg.is_message for leg in action.legs):
        found["referral"] = st.fixed_dictionaries(
            {"program": SHORT}, optional={"if_enrolled": st.sampled_from(("skip", "move"))}
        )
    return found


def about_the_base(base: Base, action: ActionKind, days: int, *, templates: bool) -> Keys:
    """What may be said beside this date. A ladder is for what goes out before it."""
    movable = base.source is Source.DATE and not base.past
    found: Keys = {"must_hold": PERIODS} if base.name == "status_changed" and not days else {}
    if movable and days < 0 and any(leg.is_message for leg in action.legs):
        rungs = zip(("1d", "6h"), ("call", "sms_other"), strict=True)
        found["ladder"] = st.just([{"unless": "delivered", "by": by, "action": way} for by, way in rungs])
    if movable and action.writes and templates:
        found["moved_template"] = SHORT
    return found


def anyhow(kind: Kind) -> Keys:
    """What may be said of every trigger."""
    expect = st.one_of(
        st.fixed_dictionaries({"text_contains": st.one_of(TEXTS, st.lists(TEXTS, min_size=1))}),
        st.fixed_dictionaries({"nothing": st.one_of(st.just(True), TEXTS)}),
        st.just({"send_at": "2027-06-05T09:00", "to": "client", "by": ["sms"]}),
    )
    given_ = st.fixed_dictionaries(
        {"record": st.fixed_dictionaries({"fields": VALUES})},
        optional={"at": st.just("2027-06-01"), "client": st.just({})},
    )
    hours = {
        "window": HOURS,
        "not_on": DAYS,
        "blackouts": st.booleans(),
        "mode": st.sampled_from(("manual", "automatic")),
    }
    excluded: Keys = {name: NPS if name == "nps" else st.booleans() for name in kind.exclusions}
    return {
        "purpose": st.sampled_from(("transactional", "marketing")),
        "late": st.sampled_from(("skip", "send")),
        "moved": st.sampled_from(("remind", "nothing")),
        "use_by": PERIODS,
        "ceiling": st.integers(0, 1000),
        "priority": st.integers(1, 9),
        "enabled": st.booleans(),
        "shadow": st.booleans(),
        "processing": st.fixed_dictionaries({}, optional=hours),
        "exclude": st.fixed_dictionaries({}, optional=excluded),
        "test": st.lists(st.fixed_dictionaries({"given": given_, "expect": expect}), min_size=1, max_size=3),
        **filters(kind),
    }


NEEDED: dict[str, Keys] = {  # tables without which an action says nothing
    "task": {
        "task": st.fixed_dictionaries(
            {"subject": TEXTS},
            optional={
                "description": TEXTS,
                "type": SHORT,
                "priority": st.integers(1, 10),
                "due_days": st.integers(0, 9),
                "assign": SHORT,
            },
        )
    },
    "web_form": {"web_form": st.fixed_dictionaries({"form": SHORT})},
    "change_status": {"change_status": st.fixed_dictionaries({"to": SHORT})},
}
PAIRS = [
    (kind, one) for kind in KINDS.values() for one in ACTIONS.values() if one.kinds is None or kind.name in one.kinds
]


@st.composite
def tables(draw: st.DrawFn, *, templates: bool = True) -> dict[str, Any]:
    """A [[trigger]] table that may be saved, with any of the keys that such a file may have."""
    kind, action = draw(st.sampled_from(PAIRS))
    base = draw(st.sampled_from([*kind.bases.values()]))
    days = draw(st.integers(0 if base.past else -400, 400))
    optional = anyhow(kind) | about_the_action(action, kind) | about_the_base(base, action, days, templates=templates)
    table: dict[str, Any] = {
        "name": draw(NAMES),
        "record": kind.name,
        "activate": {"on": base.name, "days": days},
        "action": action.name,
        **({"keyword": "Spring"} if "keyword" in kind.filters else {}),
        **draw(wording(action, templates=templates)),
        **draw(st.fixed_dictionaries(NEEDED.get(action.name, {}), optional=optional)),
    }
    if "moved_template" in table:
        table["moved"] = "tell"
    if "ladder" in table:  # which has its say in what else may stand beside it
        unfit = ("ladder",) if isinstance(table.get("template"), dict) else ("use_by", "send_to", "exclude")
        table = {key: value for key, value in table.items() if key not in unfit}
    return table


def test_every_key_that_a_trigger_may_have_is_written_and_read_back_below() -> None:
    tried: set[str] = {"name", "record", "activate", "action", "text", "template", "keyword"}
    known: set[str] = set()
    for kind, action in PAIRS:
        for base in kind.bases.values():
            tried |= anyhow(kind).keys() | about_the_action(action, kind).keys() | NEEDED.get(action.name, {}).keys()
            tried |= about_the_base(base, action, 0 if base.past else -7, templates=True).keys()
        table = {"name": "A", "record": kind.name, "activate": {"on": next(iter(kind.bases))}, "action": action.name}
        words = {"text": "Hi"} if action.writes else {}
        needed = {"task": {"subject": "x"}, "web_form": {"form": "x"}, "change_status": {"to": "x"}}.get(action.name)
        more = {action.name: needed} if needed else {}
        keyword = {"keyword": "Spring"} if "keyword" in kind.filters else {}
        with pytest.raises(Malformed, match="is not a known key") as caught:
            parse({**table, **words, **more, **keyword, "§": 1})
        known |= set(str(caught.value).rpartition("allowed: ")[2].split(", "))

    assert tried == known


@given(tables())
def test_a_table_that_is_written_as_toml_reads_back_as_it_was(table: dict[str, Any]) -> None:
    read = tomllib.loads(written("trigger", table))

    assert read == {"trigger": [table]}
    assert parse(plain(read["trigger"][0], "x")) == parse(table)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_whatever_a_table_holds_it_reads_back_as_it_was(table: dict[str, Any]) -> None:
    assert tomllib.loads(written("trigger", table)) == {"trigger": [plain(table, "x")]}


def off() -> st.SearchStrategy[dict[str, Any]]:
    """Tables that a studio without templates may save, whatever the tests beside them expect."""
    return tables(templates=False).map(lambda table: {**table, **({"enabled": False} if table.get("enabled") else {})})


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(found=st.lists(off(), min_size=1, max_size=3, unique_by=lambda table: str(table["name"])))
async def test_what_is_exported_and_applied_again_changes_nothing_and_loses_nothing(
    pool: db.Pool, tmp_path: Path, found: list[dict[str, Any]]
) -> None:
    await pool.execute("DELETE FROM triggers")
    await triggers.apply(pool, clock, "main", [("x", one) for one in found], by="Ada")
    file = tmp_path / "exported.toml"

    file.write_text("\n".join(written("trigger", one) for one in await triggers.export(pool, "main")), "utf-8")
    again = read_files([file])
    plan = await trigger_changes.plan(pool, clock, "main", again)
    saved = await triggers.apply(pool, clock, "main", again, by="Bea")

    assert {one.kind for one in plan} == {"same"}
    assert {one.version for one in saved} == {1}
    assert sorted((one for _, one in again), key=lambda one: str(one["name"])) == sorted(
        found, key=lambda one: str(one["name"])
    )


# Reading --------------------------------------------------------------------------------------------------


def test_dates_that_toml_knows_are_read_as_the_text_they_stand_for(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[[trigger]]\nname = "A"\nx = [2027-06-12, 2027-06-12T14:00:00, 14:00:00]\n')

    assert read_files([tmp_path])[0][1]["x"] == ["2027-06-12", "2027-06-12T14:00:00", "14:00:00"]


@pytest.mark.parametrize(("value", "says"), [("nan", "a finite number"), ("1" + "0" * 30, "too large a number")])
def test_a_number_that_could_not_be_kept_is_refused(tmp_path: Path, value: str, says: str) -> None:
    (tmp_path / "a.toml").write_text(f'[[trigger]]\nname = "A"\nexclude = {{ x = {value} }}\n')

    with pytest.raises(Mistakes, match=rf'a\.toml "A", exclude\.x: .*{says}'):
        read_files([tmp_path])


def test_every_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[[trigger]\n")
    (tmp_path / "b.toml").write_text("triggers = 3\n")

    with pytest.raises(Mistakes) as caught:
        read_files([tmp_path, tmp_path / "nowhere"])

    assert [str(one).partition(":")[0] for one in caught.value.all] == [
        str(tmp_path / "nowhere"),
        "a.toml",
        "b.toml, triggers",
    ]


def test_a_file_that_begins_with_the_mark_of_some_editors_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b'\xef\xbb\xbf[[trigger]]\nname = "A"\n')

    assert read_files([tmp_path]) == [("a.toml", {"name": "A"})]


def test_a_file_in_another_encoding_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes('[[trigger]]\nname = "Zoë"\n'.encode("latin-1"))

    with pytest.raises(Mistakes, match=r"a\.toml: is not written in UTF-8, at byte 23"):
        read_files([tmp_path])


def test_a_folder_without_a_file_is_a_mistake_and_not_an_empty_plan(tmp_path: Path) -> None:
    (tmp_path / "x.toml").mkdir()

    with pytest.raises(Mistakes, match=r"there is no \.toml file in this folder"):
        read_files([tmp_path])


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.toml").write_text('[[trigger]]\nname = "A"\n')

    mistake = mistakes_of(read_files([tmp_path / "a", tmp_path / "b"]))[0]

    assert str(mistake) == (
        f'{tmp_path / "b" / "x.toml"} "A", name: is used twice, also in {tmp_path / "a" / "x.toml"}; names are unique'
    )


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('[[trigger]]\nname = "A"\n')

    assert len(read_files([tmp_path, tmp_path / "x.toml"])) == 1
