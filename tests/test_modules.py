"""What a reader of the package may rely on: no module is long, and nothing is named that nobody uses."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
LONGEST: Final = 300  # lines
PRODUCT: Final = sorted(file for folder in ("control_center", "workers") for file in (ROOT / folder).rglob("*.py"))
OTHERS: Final = sorted((ROOT / "docs").glob("*.py"))
IN_A_LOOP: Final = (".__all__", ".add_to")  # read by the import system, and of each part of `cli` by all of it
# Each with its reason.
OF_TESTS: Final = {
    "control_center.embedded.debian.obtain": "how the tests come by the servers that this machine has not",
    "control_center.engine.triggers.put": "one of what `apply` saves together, which is all that a test is about",
}


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES: Final = {module_of(file): ast.parse(file.read_text("utf-8")) for file in (*PRODUCT, *OTHERS)}


def test_no_module_of_the_product_is_long() -> None:
    lengths = {str(file.relative_to(ROOT)): len(file.read_text("utf-8").splitlines()) for file in PRODUCT}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def used() -> Counter[str]:
    """How often each name of a module is read: in that module, or by whoever imports it or its module."""
    found: Counter[str] = Counter()
    for module, tree in TREES.items():
        modules: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for one in node.names:
                    whole = f"{node.module}.{one.name}"
                    found[whole] += 1
                    modules[one.asname or one.name] = whole
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found[f"{module}.{node.id}"] += 1
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found[f"{modules.get(node.value.id, node.value.id)}.{node.attr}"] += 1
    return found


def defined() -> Iterator[tuple[str, ast.stmt]]:
    for file in PRODUCT:
        module = module_of(file)
        for node in TREES[module].body:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    yield f"{module}.{node.name}", node
                case ast.AnnAssign(target=ast.Name(id=name)):
                    yield f"{module}.{name}", node
                case ast.Assign():
                    for target in node.targets:
                        for one in ast.walk(target):
                            if isinstance(one, ast.Name):
                                yield f"{module}.{one.id}", node
                case _:
                    pass


def by_itself(name: str, node: ast.stmt) -> int:
    """How often a definition reads its own name."""
    own = name.rpartition(".")[2]
    return sum(isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load) and one.id == own for one in ast.walk(node))


def test_nothing_is_defined_that_only_its_tests_use() -> None:
    reads = used()
    unused = {name for name, node in defined() if reads[name] <= by_itself(name, node)}
    assert {name for name in unused if not name.endswith(IN_A_LOOP)} == OF_TESTS.keys()
