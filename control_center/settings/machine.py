"""What this machine says of itself, for the defaults."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from control_center.domain import zones


def state_folder() -> Path:
    """Where the platform wants a program to keep its data."""
    if given := os.environ.get("STATE_DIRECTORY"):  # systemd's StateDirectory=
        return Path(given.partition(":")[0])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "control-center"
    if os.geteuid() == 0:
        return Path("/var/lib/control-center")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "control-center"


def machine_zone() -> str:
    """The zone that this machine is set to, UTC where it does not say."""
    link = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    candidates = [os.environ.get("TZ", "").lstrip(":"), link.removeprefix("posix/")]
    return next((name for name in candidates if name in zones.names()), "UTC")
