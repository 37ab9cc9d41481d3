"""The protocol as it is, the worlds it is safe in, and every way to spoil it: one switch each, and what that breaks."""

# ruff: noqa: T201 - a program that prints a table

from __future__ import annotations

import argparse
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.faults.exploration import Finding, explore
from tests.faults.state import AFTER_STOP, FALSE, GHOST, STUCK, TWICE, Protocol

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "delivery-model.md"
REGION: Final = re.compile(r"(<!-- variants -->\n).*?(<!-- end -->)", re.DOTALL)
AS_IT_IS: Final = Protocol()
ONE_KILL: Final = {"kills": 1, "crashes": 0}


@dataclass(frozen=True, slots=True)
class Variant:
    """One protocol in one world; `breaks` is the law that it must be caught breaking, empty where it is safe."""

    words: str
    how: Protocol
    breaks: str = ""

    def at_length(self) -> Variant:
        """With as many crashes as the safe one has, and one more where it has these already."""
        kills = 3 if self.how.kills == AS_IT_IS.kills else AS_IT_IS.kills
        return replace(self, how=replace(self.how, kills=kills, crashes=AS_IT_IS.crashes))


def _without(**switches: object) -> Protocol:
    """As it was before there was a recorder."""
    return replace(AS_IT_IS, records=False, **switches)  # type: ignore[arg-type]


def _with(**switches: object) -> Protocol:
    return replace(AS_IT_IS, **switches)  # type: ignore[arg-type]


_EASY: Final = {"stops": False, "refuses": False}  # all else that can go wrong with one key for all
_NAIVE: Final = {"marks": False, "timeout_becomes": "queued", "rescue_makes": "queued"}

SAFE: Final = (
    Variant("as it is", AS_IT_IS),
    Variant("without a flight recorder", _without()),
    Variant(
        "the provider knows each attempt by a key, for a time; we ask again",
        _with(keys="attempt", forgets=True, **ONE_KILL),
    ),
    Variant("a failover loses an outcome that was committed, and nobody notices", _with(loses="outcome", **ONE_KILL)),
    Variant(
        "a failover loses any commit; the fence holds everything until it is armed",
        _with(loses="any", fence=True, **ONE_KILL),
    ),
    Variant(
        "one key for all attempts, no STOP, no refusal: queued again when not found",
        _without(keys="stable", queues_what_is_not_found=True, **_EASY, **ONE_KILL),
    ),
    Variant("… no mark, every doubt queued again", _without(keys="stable", **_EASY, **_NAIVE)),
    Variant(
        "… a failover loses any commit, no fence",
        _without(keys="stable", queues_what_is_not_found=True, **_EASY, loses="any", kills=0, crashes=0),
    ),
)

UNSAFE: Final = (
    # The point of no return, and what follows it.
    Variant("no mark; every doubt is queued again", _without(**_NAIVE), TWICE),
    Variant("a lost answer is queued again", _without(timeout_becomes="queued"), TWICE),
    Variant("what is submitting when its lease runs out is queued again", _without(rescue_makes="queued"), TWICE),
    Variant(
        "what is submitting when its lease runs out is left alone",
        _without(rescue_makes="submitting", **ONE_KILL),
        STUCK,
    ),
    Variant("a lost answer counts as refused", _without(timeout_becomes="failed"), FALSE),
    Variant("a lost answer counts as taken", _without(timeout_becomes="accepted"), GHOST),
    Variant("the mark does not ask for the token", _without(mark_asks_for_token=False), TWICE),
    Variant("the mark does not ask for STOP", _without(mark_asks_for_stop=False), AFTER_STOP),
    Variant("what the provider does not find is queued again", _without(queues_what_is_not_found=True), TWICE),
    Variant(
        "… after a look at the lease before each send",
        _without(queues_what_is_not_found=True, checks_deadline=True),
        TWICE,
    ),
    Variant(
        "… under one key for all attempts, which the provider forgets",
        _without(queues_what_is_not_found=True, keys="stable", forgets=True, **_EASY),
        TWICE,
    ),
    Variant(
        "… under one key for all attempts, and the address says STOP meanwhile",
        _without(queues_what_is_not_found=True, keys="stable", refuses=False),
        FALSE,
    ),
    Variant(
        "asked again under a key that may be forgotten",
        _with(keys="attempt", forgets=True, repeats_in_time=False),
        TWICE,
    ),
    Variant(
        "a process stands still for as long as the provider keeps keys",
        _with(keys="attempt", forgets=True, sleeps_through=True),
        TWICE,
    ),
    Variant("a lost mark is taken back together with what flies", _without(unmarks="what flies, too"), TWICE),
    # Failover.
    Variant("a failover loses any commit; no fence", _without(loses="any"), TWICE),
    Variant(
        "… with a fence that is armed while a worker of before lives on",
        _with(loses="any", fence=True, arms_over_the_living=True),
        TWICE,
    ),
    Variant(
        "a failover loses an outcome; a lost mark takes back all that is not flying",
        _without(loses="outcome", unmarks="all that is not flying"),
        TWICE,
    ),
    Variant(
        "a failover loses an outcome; its note was forgotten at the commit",
        _with(loses="outcome", forgets_note="at the commit"),
        TWICE,
    ),
    # The flight recorder.
    Variant("recorder: the note is forgotten when the answer comes", _with(forgets_note="at the answer"), TWICE),
    Variant("recorder: noted after the first byte", _with(notes="after the first byte"), TWICE),
    Variant("recorder: believed after a crash of the machine", _with(believes_after_crash=True), TWICE),
    Variant("recorder: believed while its process lives, frozen or not", _with(believes_the_living=True), TWICE),
    Variant("recorder: a copy of the file is believed", _with(believes_a_copy=True), TWICE),
    Variant("recorder: read before its lock is had", _with(reads_before_it_locks=True), TWICE),
    Variant("recorder: believed for what another process owns", _with(asks_for_owner=False), TWICE),
    Variant(
        "recorder: believed for what the inquiry asks again",
        _with(keys="attempt", covers_repeats=True, **ONE_KILL),
        TWICE,
    ),
    Variant(
        "recorder: believed for what is unknown already",
        _with(keys="attempt", takes_unknown_too=True, **ONE_KILL),
        TWICE,
    ),
)


def table(found: dict[str, Finding]) -> str:
    """The page's table: what was explored, and what it came to."""
    lines = ["| | states | |", "| --- | ---: | --- |"]
    for one in (*SAFE, *UNSAFE):
        finding = found[one.words]
        end = f"**{finding.wrong}**, in {len(finding.way)} steps" if finding.wrong else "safe"
        lines.append(f"| {one.words} | {finding.states:,} | {end} |")
    return "\n".join(lines)


def on_page(page: str, found: dict[str, Finding]) -> str:
    """The page with this table in it."""
    return REGION.sub(lambda region: f"{region[1]}\n{table(found)}\n\n{region[2]}", page)


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.faults.protocol", description=__doc__)
    parser.add_argument("--long", action="store_true", help="with more crashes: minutes")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    chosen = parser.parse_args()
    found = {}
    for one in (*SAFE, *UNSAFE):
        variant = one.at_length() if chosen.long else one
        began = time.perf_counter()
        finding = found[one.words] = explore(variant.how, variant.breaks)
        said = finding.wrong or "safe"
        print(f"{said:48} {finding.states:9,} states {time.perf_counter() - began:6.1f} s  {one.words}", flush=True)
        for number, step in enumerate(finding.way, 1):
            print(f"    {number:2}. {step}")
        if finding.wrong != one.breaks:
            raise SystemExit(f"expected: {one.breaks or 'safe'}")
    if chosen.write:
        PAGE.write_text(on_page(PAGE.read_text("utf-8"), found), "utf-8")
