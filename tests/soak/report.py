"""What a soak has to say at its end: in a terminal, and on the page about what is promised."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.soak.causes import Doubt, by_fault

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "reliability.md"
REGION: Final = re.compile(r"(<!-- soak -->\n).*?(<!-- end -->)", re.DOTALL)
SHOWN: Final = 10  # of each finding


@dataclass(frozen=True)
class Report:
    wish: Mapping[str, Any]
    at: datetime
    lasted: float
    calm: bool
    events: int  # that the CRM had confirmed, repeats among them
    said: Mapping[str, int]
    stored: int
    messages: int
    texts: int  # that the provider took
    mails: int
    heard: int  # commands and reports, by the CRM
    states: Mapping[str, int]
    starts: Mapping[str, int]  # of each program
    faults: Mapping[str, int]
    doubts: list[Doubt]
    found: Mapping[str, list[str]]

    @property
    def wrong(self) -> dict[str, list[str]]:
        """Everything that must not be; empty where all is well."""
        found = {name: some for name, some in self.found.items() if some}
        causeless = [f"{one.attempt}: {one.reason}" for one in self.doubts if one.fault is None]
        if causeless:
            found["unknown without a cause"] = causeless
        if not self.calm:
            found.setdefault("stuck", []).append("it never became calm")
        return found

    @property
    def verdict(self) -> str:
        return "all is well" if not self.wrong else "FOUND: " + ", ".join(self.wrong)

    @property
    def command(self) -> str:
        """What draws the same faults."""
        wish = self.wish
        words = [f"--seed {wish['seed']}", f"--minutes {wish['seconds'] / 60:g}", f"--every {wish['every']:g}"]
        return " ".join(["python -m tests.soak", *words, *["--long"] * wish["patient"]])

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        yield from self._figures()
        for name, some in self.wrong.items():
            yield f"{name}: {len(some)}"
            yield from (f"    {one}" for one in some[:SHOWN])
        yield f"unknown: {len(self.doubts)}"
        for cause, alike in by_fault(self.doubts):
            yield f"    {cause}"
            yield from (f"        {one.attempt}: {one.reason}" for one in alike)
        yield self.verdict

    def _figures(self) -> Iterator[str]:
        wish = self.wish
        yield f"seed {wish['seed']}, {self.at:%Y-%m-%d %H:%M} UTC, {self.lasted / 60:.1f} minutes, {machine()}"
        yield f"{self.events:,} events said ({_list(self.said)}), {self.stored:,} stored"
        yield f"{self.messages:,} messages ({_list(self.states)}): {self.texts:,} texts and {self.mails:,} mails taken"
        yield f"{self.heard:,} commands and reports heard by the CRM"
        yield f"{sum(self.faults.values())} faults ({_list(self.faults)})"
        yield f"starts: {_list(self.starts)}"

    def on_page(self, page: str) -> str:
        """The page with this run in its region."""
        return REGION.sub(lambda region: f"{region[1]}\n" + "\n".join(self._markdown()) + f"\n\n{region[2]}", page)

    def _markdown(self) -> Iterator[str]:
        wish = self.wish
        verdicts = [name for name in ("lost", "dup", "ghost", "false", "stuck") if name in self.wrong]
        numbers = {name: len(self.wrong.get(name, ())) for name in self.found}
        yield f"`{self.command}`, {self.at:%Y-%m-%d}, on {machine()}."
        yield ""
        yield "| | |"
        yield "| --- | --- |"
        yield f"| length | {self.lasted / 60:.1f} minutes, a fault every {wish['every']:g} s, and then calm |"
        yield f"| events | {self.events:,} confirmed by the broker: {_list(self.said)} |"
        yield f"| messages | {self.messages:,}: {_list(self.states)} |"
        yield f"| taken by the providers | {self.texts:,} texts, {self.mails:,} mails |"
        yield f"| heard by the CRM | {self.heard:,} commands and reports |"
        yield f"| faults survived | {sum(self.faults.values())}: {_list(self.faults)} |"
        yield f"| programs started | {_list(self.starts)} |"
        yield f"| verdict | {', '.join(f'{name} {number}' for name, number in numbers.items())} |"
        yield f"| unknown | {len(self.doubts)} |"
        if self.doubts:
            yield ""
            yield "| unknown | its cause |"
            yield "| --- | --- |"
            for cause, alike in by_fault(self.doubts):
                yield f"| {', '.join(one.attempt for one in alike)} | {cause} |"
        if verdicts:
            yield ""
            yield f"**This run found {', '.join(verdicts)}.**"


def machine() -> str:
    """What it ran on, as far as that says how fast it is."""
    return f"{len(os.sched_getaffinity(0))} cores, {platform.system()}, Python {platform.python_version()}"


def _list(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda one: -one[1])
    return ", ".join(f"{number:,} {name}" for name, number in ordered if number)
