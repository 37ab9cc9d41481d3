"""Atheris, with which what an input reached in our code guides the next: fetched by its hash, into its own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

LOCK: Final = Path(__file__).with_name("atheris.lock")
BUILD: Final = Path(__file__).resolve().parents[2] / ".build" / "guided"
PLACE: Final = BUILD / "atheris"
PATIENCE: Final = 300.0  # seconds for an installation


def ready(say: Callable[[str], None], *, may_fetch: bool = True) -> Path | None:
    """The folder to put before all others on the path; None where it is not here and cannot be had."""
    stamp = PLACE / "made-from"
    if stamp.exists() and stamp.read_text() == LOCK.read_text():
        return PLACE
    if not may_fetch:
        return None
    say(f"installing atheris into {PLACE.relative_to(BUILD.parents[1])} ...")
    words = ["install", "-q", "--no-deps", "--require-hashes", "--upgrade", "--target", str(PLACE), "-r", str(LOCK)]
    try:
        for command in (["-m", "ensurepip"], ["-m", "pip", "--disable-pip-version-check", "--no-input", *words]):
            subprocess.run([sys.executable, *command], check=True, capture_output=True, timeout=PATIENCE)
    except (subprocess.SubprocessError, OSError) as error:
        say(f"atheris cannot be installed: {getattr(error, 'stderr', b'').decode(errors='replace')[-500:] or error}")
        return None
    stamp.write_text(LOCK.read_text())
    return PLACE


def environment(place: Path) -> dict[str, str]:
    """With it on the path, and without the byte code of what it is to rewrite."""
    path = os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}
