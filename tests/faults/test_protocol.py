"""The protocol holds whatever happens in whatever order, and every way to spoil it is caught."""

from __future__ import annotations

import ast
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from tests.faults import variants
from tests.faults.exploration import Finding, explore
from tests.faults.protocol import successors
from tests.faults.state import Protocol, start
from tests.faults.variants import AS_IT_IS, PAGE, SAFE, UNSAFE, Variant

EVERY = (*SAFE, *UNSAFE)
AT_LENGTH = pytest.mark.parametrize("at_length", [False, pytest.param(True, marks=pytest.mark.long)])


def named(one: Variant) -> str:
    return one.words


@cache
def found(how: Protocol, law: str) -> Finding:
    return explore(how, law)


@AT_LENGTH
@pytest.mark.parametrize("one", SAFE, ids=named)
def test_what_is_safe_breaks_no_law_in_any_state_that_can_be_reached(one: Variant, *, at_length: bool) -> None:
    chosen = one.at_length() if at_length else one

    finding = found(chosen.how, chosen.breaks)

    assert finding.wrong == "", "\n".join(finding.way)
    assert finding.states > 1000


@pytest.mark.parametrize("one", UNSAFE, ids=named)
def test_what_is_unsafe_is_caught_with_the_way_to_it(one: Variant) -> None:
    finding = found(one.how, one.breaks)

    assert finding.wrong == one.breaks
    assert finding.way == told(one.how, finding.way)


def told(how: Protocol, way: tuple[str, ...]) -> tuple[str, ...]:
    """The steps of this way that can be taken, one after the other, from the beginning."""
    states, taken = [start(how)], []
    for step in way:
        states = [then for s in states for what, then in successors(s, how) if what == step]
        if not states:
            break
        taken.append(step)
    return tuple(taken)


def test_every_switch_is_thrown_by_a_variant() -> None:
    thrown = {
        field.name
        for field in fields(Protocol)
        for one in EVERY
        if getattr(one.how, field.name) != getattr(AS_IT_IS, field.name)
    }

    assert thrown == {field.name for field in fields(Protocol)}


def test_the_model_imports_nothing_of_the_product() -> None:
    for name in ("protocol", "state", "world", "exploration", "variants"):
        tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text("utf-8"))
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {module for module in modules if module.startswith(("control_center", "workers"))}


def test_the_page_shows_what_is_found() -> None:
    findings = {one.words: found(one.how, one.breaks) for one in EVERY}
    page = PAGE.read_text("utf-8")

    assert variants.on_page(page, findings) == page, "type: python -m tests.faults.protocol --write"
