"""`./run audit` says that nothing is known of the packages only where somebody who knows was asked about each."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
PINS: Final = [("aiohttp", "3.14.5"), ("jinja2", "3.1.6")]
WEAK: Final = [{"id": "PYSEC-1", "fix_versions": ["3.14.6"], "aliases": [], "description": "x"}]
KNOWS: Final = {"dependencies": [{"name": "jinja2", "version": "2.10", "vulns": WEAK}]}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers(*vulns: list[Any] | None) -> dict[str, Any]:
    """What pip-audit writes of PINS; None is skipped."""
    of = [
        {"name": name, "skip_reason": "not found"} if one is None else {"name": name, "version": version, "vulns": one}
        for (name, version), one in zip(PINS, vulns, strict=True)
    ]
    return {"dependencies": of, "fixes": []}


def test_all_were_asked_about_and_nothing_is_known(audit: ModuleType) -> None:
    assert audit.judged(answers([], []), KNOWS, PINS) == (0, ["2 packages, and no weakness is known of any"])


def test_a_weakness_is_named_with_what_mends_it(audit: ModuleType) -> None:
    assert audit.judged(answers(WEAK, []), KNOWS, PINS) == (1, ["aiohttp 3.14.5: PYSEC-1, mended in 3.14.6"])
    assert audit.judged(answers(WEAK, None), None, PINS)[0] == 1  # whatever else could not be asked


@pytest.mark.parametrize(
    ("found", "known", "says"),
    [
        (None, None, "about 2 of 2 packages"),
        (answers(None, None), KNOWS, "about 2 of 2 packages"),  # as an index of packages alone does, with exit 0
        (answers([], None), KNOWS, "about 1 of 2 packages"),
        (answers([], []), answers([], []), "of no weakness in jinja2==2.10"),
        (answers([], []), None, "of no weakness in jinja2==2.10"),
    ],
)
def test_who_could_not_be_asked_is_never_taken_for_who_knows_nothing(
    audit: ModuleType, found: Any, known: Any, says: str
) -> None:
    code, [line] = audit.judged(found, known, PINS)

    assert (code, says in line) == (69, True), line


def test_every_lock_is_asked_about_and_listed(audit: ModuleType) -> None:
    pins = audit.pinned()
    text = "".join((ROOT / lock).read_text("utf-8") for lock in audit.LOCKS)

    assert len(pins) == len(set(pins)) > 50
    assert {name for name, _ in pins} == {
        line.split("==")[0] for line in text.splitlines() if "==" in line[:60] and line[0].isalpha()
    }
    assert {lock.name for lock in ROOT.glob("requirements*.lock")} == set(audit.LOCKS)


def test_the_list_of_what_an_installation_is_made_of_names_each_package_once(audit: ModuleType) -> None:
    pins = audit.pinned(["requirements.lock"])
    document = json.loads(json.dumps(audit.bill(pins)))

    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert [(one["name"], one["version"]) for one in document["components"]] == pins
    assert len({one["bom-ref"] for one in document["components"]}) == len(pins)
    assert f"pkg:pypi/aiohttp@{dict(pins)['aiohttp']}" in {one["purl"] for one in document["components"]}


def test_it_needs_nothing_but_python(audit: ModuleType) -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            "import ast, sys; sys.path.insert(0, sys.argv[1]); import audit",
            str(Path(str(audit.__file__)).parent),
        ],
        check=False,
        capture_output=True,
        timeout=60,
    )

    assert said.returncode == 0, said.stderr
