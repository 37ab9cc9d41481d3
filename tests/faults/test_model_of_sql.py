"""The SQL does what the model's steps do, in whatever order; and whoever spoils a statement is found out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from control_center.store import db
from tests.faults.conformance import Conformance
from tests.faults.oracle import DisagreesError
from tests.faults.product import BrokenError
from tests.faults.spoiled import PAGE, SPOILED, Spoiled, Way, on_page

CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@pytest.fixture
def machine(database_url: str, tmp_path: Path) -> Iterator[type[Conformance]]:
    """Of one connection, on which histories come and go without a trace."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # of 10,000 steps
    with asyncio.Runner() as runner:
        pool = runner.run(_opened(database_url))
        connection = runner.run(_acquired(pool))
        yield type("Machine", (Conformance,), {"runner": runner, "connection": connection, "folder": tmp_path})
        runner.run(pool.release(connection))
        runner.run(pool.close())
    structlog.reset_defaults()


async def _opened(dsn: str) -> db.Pool:
    return await db.open_hot_pool(dsn, application="model", size=1)


async def _acquired(pool: db.Pool) -> db.Connection:
    return await pool.acquire()


def gone(machine: type[Conformance], way: Way, *, keys: bool) -> None:
    """Go this way, and then to an end."""
    one = machine()
    one.opens(keys=keys)
    try:
        way(one)
    finally:
        one.teardown()


@pytest.mark.parametrize("one", SPOILED, ids=lambda one: one.words)
def test_what_is_spoiled_in_the_product_is_found_out(
    machine: type[Conformance], monkeypatch: pytest.MonkeyPatch, one: Spoiled
) -> None:
    gone(machine, one.way, keys=one.keys)
    monkeypatch.setattr(one.place, one.name, one.made())

    with pytest.raises((DisagreesError, BrokenError)):
        gone(machine, one.way, keys=one.keys)


def test_the_page_lists_what_was_spoiled() -> None:
    page = PAGE.read_text("utf-8")

    assert on_page(page) == page, "type: python -m tests.faults.spoiled --write"


@pytest.mark.parametrize(
    ("examples", "steps"), [(100, 40), pytest.param(3000, 60, marks=pytest.mark.long)], ids=["fast", "long"]
)
def test_the_product_goes_the_ways_of_the_model(machine: type[Conformance], examples: int, steps: int) -> None:
    # The fast run goes the same ways each time; the long one finds others.
    law = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=CHECKS,
        derandomize=examples < 1000,
        database=None,
        print_blob=True,
    )
    run_state_machine_as_test(machine, settings=law)
