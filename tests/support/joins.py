"""What a statement joins, read from its plan: which tables come together, and what holds them together.

A plan says it better than the text: whatever way a join is written, each scan and each condition stands in it by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

_EQUAL: Final = re.compile(r'([\w."$*]+) = ([\w."$]+|\(hashed)')
_ANY: Final = re.compile(r"([\w.]*studio_id) = ANY")
# What is below one of these is a result of its own before anything else is joined to it.
_APART: Final = frozenset({"Append", "MergeAppend", "SetOp", "Subquery Scan", "Recursive Union"})


@dataclass(slots=True)
class Group:
    """Tables that are joined with each other, by the names that the plan gives them, and all conditions on them."""

    tables: dict[str, str] = field(default_factory=dict)
    conditions: list[str] = field(default_factory=list)

    def without(self, tables: Iterable[str]) -> Group:
        left = {name: table for name, table in self.tables.items() if table not in set(tables)}
        return Group(left, self.conditions)

    @property
    def held_together(self) -> bool:
        """Whether every table's studio is the same one, by what the conditions say."""
        return len({self._studio_of(name) for name in self.tables}) <= 1

    @property
    def of_named_studios(self) -> bool:
        """Whether the studio is told from outside: by a parameter, or by what comes in. Else all studios are asked."""
        own = {f"{name}.studio_id" for name in self.tables}
        told = {self._root(name) for pair in self._equal() for name in pair if name not in own}
        return all(self._studio_of(name) in told for name in self.tables)

    def _studio_of(self, name: str) -> str:
        return self._root(f"{name}.studio_id")

    def _root(self, name: str) -> str:
        same = self._same()
        while name in same and same[name] != name:
            name = same[name]
        return name

    def _same(self) -> dict[str, str]:
        """What stands for the same studio: a name for each name, the last of which stands for all."""
        same: dict[str, str] = {}

        def root(name: str) -> str:
            while same.setdefault(name, name) != name:
                name = same[name]
            return name

        for one, other in self._equal():
            same[root(one)] = root(other)
        return same

    def _equal(self) -> Iterator[tuple[str, str]]:
        only = next(iter(self.tables)) if len(self.tables) == 1 else ""
        for condition in self.conditions:
            pairs = [*_EQUAL.findall(condition), *((name, "ANY") for name in _ANY.findall(condition))]
            for pair in pairs:
                if any(name.rpartition(".")[2] == "studio_id" for name in pair):
                    one, other = (f"{only}.{name}" if name == "studio_id" else name for name in pair)
                    yield one, other


def groups(plan: dict[str, Any]) -> list[Group]:
    """Of the plan of a statement, as EXPLAIN (VERBOSE, FORMAT JSON) writes it."""
    found: list[Group] = []
    _walk(plan, _begin(found), found, json.dumps(plan))
    return [group for group in found if group.tables]


def _begin(found: list[Group]) -> Group:
    found.append(Group())
    return found[-1]


def _walk(node: dict[str, Any], group: Group, found: list[Group], whole: str) -> None:
    kind = node["Node Type"]
    if "Relation Name" in node and kind != "ModifyTable":
        group.tables[node["Alias"]] = node["Relation Name"]
    group.conditions += [str(value) for name, value in node.items() if name.endswith(("Cond", "Filter"))]
    for child in node.get("Plans", ()):
        name = child.get("Subplan Name", "")
        apart = child.get("Parent Relationship") == "InitPlan" or name.startswith("CTE ") or kind in _APART
        # A subplan that is hashed is worked out once; another one is asked for each row, and so joined with it.
        apart = apart or (name.startswith("SubPlan") and f"hashed {name})" in whole)
        _walk(child, _begin(found) if apart else group, found, whole)
