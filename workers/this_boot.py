"""Which run of which machine this is, and what of it a file may be trusted to tell."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

PROC: Final = Path("/proc")
BOOT_ID: Final = "CONTROL_CENTER_BOOT_ID"  # systemd's %b, for units that hide /proc/sys
MACHINE_IDS: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
# Kept by this kernel alone: a lock here is given back when its process ends, and not when a network is slow.
LOCAL: Final = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "reiserfs", "tmpfs", "xfs", "zfs"}
)


@dataclass(frozen=True, slots=True)
class Boot:
    """One run of one machine, from its start to its end; a container counts as a machine where its names differ."""

    boot: UUID
    host: bytes  # 16 bytes that stand for machine id and host name

    @property
    def packed(self) -> bytes:
        return self.boot.bytes + self.host


def this_boot(
    environment: Mapping[str, str], *, proc: Path = PROC, name: Callable[[], str] = socket.gethostname
) -> Boot | None:
    """None where the system does not say which run this is: then nothing can be proven across processes."""
    said = _text(proc / "sys/kernel/random/boot_id") or environment.get(BOOT_ID, "")
    try:
        boot = UUID(said)
    except ValueError:
        return None
    machine = next(filter(None, map(_text, MACHINE_IDS)), "")
    return Boot(boot, hashlib.blake2b(f"{machine}\n{name()}".encode(), digest_size=16).digest())


def is_local(descriptor: int, *, proc: Path = PROC) -> bool:
    """Whether an open file lies on a file system whose locks are this kernel's own."""
    about = _text(proc / "self/fdinfo" / str(descriptor))
    mount = next((line.split()[1] for line in about.splitlines() if line.startswith("mnt_id:")), None)
    for line in _text(proc / "self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[0] == mount:
            return after.split()[0] in LOCAL
    return False


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def here() -> Boot | None:
    """This run of this machine."""
    return this_boot(os.environ)
