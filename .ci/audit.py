"""`./run audit`: is a weakness known of any package that is locked here? And a list of them all, as CycloneDX.

Exits 0 where a service was asked about each and knows nothing, 1 where it knows something, and 69 where nobody was
asked. An index of packages alone answers about none, and pip-audit ends with 0 and "No known vulnerabilities found"
then; so each answer is counted, and the service is asked about a weakness that everybody knows as well.
"""
# ruff: noqa: T201, INP001 - a script of its own, which talks to whoever called it

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
BUILD: Final = ROOT / ".build" / "audit"
LOCKS: Final = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock", "requirements-audit.lock")
KNOWN: Final = "jinja2==2.10"  # CVE-2019-10906, among others: who knows nothing of this one knows nothing
NOT_ASKED: Final = 69  # EX_UNAVAILABLE: the machine lacks something
MINUTES: Final = 15
_PIN: Final = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)

Found = Mapping[str, Any]  # what pip-audit writes


def pinned(locks: Iterable[str] = LOCKS) -> list[tuple[str, str]]:
    """Every package with its version, once."""
    return sorted({pin for lock in locks for pin in _PIN.findall((ROOT / lock).read_text("utf-8"))})


def bill(pins: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The packages as a CycloneDX document; of the same locks always the same."""
    parts = [{"type": "library", "name": n, "version": v, "purl": f"pkg:pypi/{n}@{v}"} for n, v in pins]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "control-center", "bom-ref": "control-center"}},
        "components": [{**part, "bom-ref": part["purl"]} for part in parts],
    }


def judged(found: Found | None, known: Found | None, pins: Sequence[tuple[str, str]]) -> tuple[int, list[str]]:
    """What the answers come to: how to exit, and the lines to say. None is no answer at all."""
    asked = {one["name"]: one for one in (found or {}).get("dependencies", ()) if "vulns" in one}
    weak = [
        f"{one['name']} {one['version']}: {each['id']}, mended in {', '.join(each['fix_versions']) or 'no version'}"
        for one in asked.values()
        for each in one["vulns"]
    ]
    if weak:
        return 1, sorted(weak)
    missing = [name for name, _ in pins if name not in asked]
    if missing:
        return NOT_ASKED, [f"not asked: nobody answered about {len(missing)} of {len(pins)} packages"]
    if not any(one.get("vulns") for one in (known or {}).get("dependencies", ())):
        return NOT_ASKED, [f"not asked: who answered knows of no weakness in {KNOWN}, and so of none at all"]
    return 0, [f"{len(pins)} packages, and no weakness is known of any"]


def asked(pins: Iterable[str], name: str) -> Found | None:
    """What pip-audit found out about these; None where it could not."""
    wanted, answer = BUILD / f"{name}.txt", BUILD / f"{name}.json"
    wanted.write_text("\n".join(pins) + "\n", "utf-8")
    answer.unlink(missing_ok=True)
    words = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--output", str(answer))
    _said([str(BUILD / "bin" / "pip-audit"), *words, "-r", str(wanted)])
    try:
        found: Found = json.loads(answer.read_bytes())
    except (OSError, ValueError):
        return None
    return found


def installed() -> bool:
    """Make the environment with pip-audit in it, by its hashes alone; whether that could be."""
    if not (BUILD / "bin" / "python").exists():
        venv.create(BUILD, with_pip=True)
    lock = ROOT / "requirements-audit.lock"
    pip = [str(BUILD / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    return _said([*pip, "install", "-q", "--require-hashes", "-r", str(lock)])


def _said(command: Sequence[str]) -> bool:
    """Run it; what it says is of interest only where it did not go well, and then goes to a file."""
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=MINUTES * 60)  # noqa: S603 - ours
    except subprocess.TimeoutExpired:
        return False
    (BUILD / "said.log").write_bytes(done.stdout + done.stderr)
    return done.returncode == 0


def main() -> int:
    """Write the list, ask, and say what came of it."""
    BUILD.mkdir(parents=True, exist_ok=True)
    pins = pinned()
    sbom = BUILD.parent / "sbom.cdx.json"
    sbom.write_text(json.dumps(bill(pinned(["requirements.lock"])), indent=1) + "\n", "utf-8")
    print(f"audit: what an installation is made of: {sbom.relative_to(ROOT)}")
    if not installed():
        print("audit: not asked: pip-audit could not be installed (what pip said: .build/audit/said.log)")
        return NOT_ASKED
    code, lines = judged(asked((f"{n}=={v}" for n, v in pins), "locked"), asked([KNOWN], "known"), pins)
    for line in lines:
        print(f"audit: {line}")
    return code


if __name__ == "__main__":
    sys.exit(main())
