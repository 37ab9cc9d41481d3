"""Triggers as files: what is written can be read back, and nothing of it is lost."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_center.cli.toml import table as written
from control_center.domain.catalogue import KINDS, Source
from control_center.domain.catalogue_actions import ACTIONS
from control_center.domain.trigger import parse
from control_center.engine import trigger_changes, triggers
from control_center.engine.trigger_files import Mistakes, plain, read_files
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
HOURS = st.sampled_from(("09:00-18:00", "22:00-06:00"))
DAYS = st.lists(st.sampled_from(("mon", "sat", "sun")), unique=True, max_size=3)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """A [[trigger]] table that may be saved."""
    kind = KINDS[draw(st.sampled_from([name for name, one in KINDS.items() if not one.ours]))]
    base = draw(st.sampled_from([*kind.bases.values()]))
    plain_ones = [name for name in ("sms", "email", "sms_or_email", "sms_or_call", "letter") if name in ACTIONS]
    table: dict[str, Any] = {
        "name": draw(NAMES),
        "record": kind.name,
        "activate": {"on": base.name, "days": draw(st.integers(0 if base.past else -400, 400))},
        "action": draw(st.sampled_from(plain_ones)),
        "text": draw(TEXTS),
    }
    optional = {
        "purpose": st.sampled_from(("transactional", "marketing")),
        "late": st.sampled_from(("skip", "send")),
        "moved": st.sampled_from(("remind", "nothing")),
        "use_by": st.sampled_from(("2d", "6h", "90m")),
        "ceiling": st.integers(0, 1000),
        "enabled": st.just(False),
        "send_to": st.just(["client"]),
        "processing": st.fixed_dictionaries(
            {"mode": st.sampled_from(("manual", "automatic"))},
            optional={"window": HOURS, "not_on": DAYS, "blackouts": st.booleans()},
        ),
        "exclude": st.fixed_dictionaries({}, optional={name: st.booleans() for name in kind.exclusions - {"nps"}}),
        "test": st.lists(
            st.fixed_dictionaries(
                {
                    "given": st.fixed_dictionaries({"record": st.fixed_dictionaries({"fields": VALUES})}),
                    "expect": st.fixed_dictionaries({"text_contains": st.one_of(TEXTS, st.lists(TEXTS, min_size=1))}),
                }
            ),
            min_size=1,
            max_size=3,
        ),
    }
    if base.source is Source.DATE and not base.past and table["activate"]["days"] < 0 and table["action"] != "letter":
        ways = draw(st.permutations(["sms_other", "email", "call"]))
        rungs = [{"unless": "delivered", "by": by, "action": way} for by, way in zip(("1d", "6h"), ways, strict=False)]
        optional["ladder"] = st.just(rungs)
    chosen: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=optional))
    return {**table, **chosen}


@given(tables())
def test_a_table_that_is_written_as_toml_reads_back_as_it_was(table: dict[str, Any]) -> None:
    parse(table)

    assert tomllib.loads(written("trigger", table)) == {"trigger": [table]}


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_whatever_a_table_holds_it_reads_back_as_it_was(table: dict[str, Any]) -> None:
    assert tomllib.loads(written("trigger", table)) == {"trigger": [plain(table, "x")]}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    await a_studio(opened)
    yield opened
    await opened.close()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(found=st.lists(tables(), min_size=1, max_size=3, unique_by=lambda table: str(table["name"])))
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
        "a.toml",
        "b.toml, triggers",
        str(tmp_path / "nowhere"),
    ]
