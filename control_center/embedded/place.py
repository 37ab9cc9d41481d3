"""Where the files of a private server lie, and as whom it runs.

PostgreSQL refuses to run as root, and an account without rights cannot walk into a folder under a 0700 home. So, for
root only, a base folder that the account cannot reach is answered by a folder under `/var/lib` (under the temporary
folder, when the base is temporary), named by a hash of the base. Either way `base/location` says where the files are,
and is believed from then on: a folder whose rights change later must not seem to be an empty one.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from control_center.domain.errors import ConfigurationError

SOCKET_PATH_LIMIT = 107  # sun_path holds 108 bytes, the last of them zero
STATE = Path("/var/lib/control-center-embedded")
CACHE = Path("/var/cache/control-center-embedded")


@dataclass(frozen=True)
class Account:
    """An account without rights, borrowed by root for a server."""

    name: str
    uid: int
    gid: int

    def can_walk_into(self, folder: Path) -> bool:
        """Whether every folder from `/` down to this one lets the account pass."""
        resolved = folder.resolve()
        return all(self._may_enter(step) for step in (resolved, *resolved.parents))

    def _may_enter(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def borrowed_account(*preferred: str) -> Account | None:
    """The first of these accounts that exists, else nobody; None for everyone but root, who runs servers as himself."""
    if os.geteuid() != 0:
        return None
    for name in (*preferred, "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise ConfigurationError("no account to run a server as: create one with `adduser --system nobody`")


def locate(base: Path, account: Account | None) -> Path:
    """The folder that holds the server's files, made if need be, readable by the account alone."""
    if not base.is_dir():
        base.mkdir(parents=True, mode=0o711 if account else 0o700)
    pointer = base / "location"
    if pointer.exists():
        place = Path(pointer.read_text("utf-8").rstrip("\n"))
        if not place.is_dir():
            raise ConfigurationError(
                f"{pointer} says that the data lies in {place}, which is not there: put it back, "
                f"or remove {base} to begin with an empty one"
            )
        return place
    place = _new_place(base, account)
    own(place, account)
    draft = pointer.with_suffix(".new")
    draft.write_text(f"{place}\n", "utf-8")
    draft.rename(pointer)
    return place


def own(folder: Path, account: Account | None) -> None:
    """Make this folder the account's alone."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if account:
        os.chown(folder, account.uid, account.gid)


def hand_over(file: Path, text: str, account: Account | None) -> None:
    """Write a file that the server, as that account, may read."""
    file.write_text(text, "utf-8")
    if account:
        os.chown(file, account.uid, account.gid)


def short_folder(name: str, account: Account | None) -> Path:
    """A folder with a short path without spaces, for what cannot bear a long one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if not account and runtime and " " not in runtime and len(runtime) < 60 and os.access(runtime, os.W_OK):
        parent = Path(runtime) / "control-center"
    else:
        parent = Path("/tmp") / f"control-center-{os.geteuid()}"  # noqa: S108 - its owner is checked below
    _make_ours(parent, 0o711 if account else 0o700)
    folder = parent / name
    own(folder, account)
    return folder


def socket_folder(place: Path, account: Account | None) -> Path:
    """Where the unix socket lies: beside the data, unless that path is longer than a socket's may be."""
    if _fits_a_socket(place):
        return place
    folder = short_folder(digest(place), account)
    if not _fits_a_socket(folder):
        raise ConfigurationError(
            f"{folder} is too long for a unix socket ({SOCKET_PATH_LIMIT} bytes at most), and so is {place}: "
            "choose a shorter CONTROL_CENTER_DATA_DIR"
        )
    return folder


def digest(path: Path | str) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def open_copy(folder: Path, key: str) -> Path:
    """A copy of program files that any account may read, made once under `/var/cache` (root only)."""
    copy = CACHE / key
    if copy.is_dir():
        return copy
    for parent in (CACHE, copy.parent):
        parent.mkdir(parents=True, exist_ok=True)
        parent.chmod(0o755)
    draft = Path(tempfile.mkdtemp(dir=CACHE, prefix="new-"))
    shutil.copytree(folder, draft, symlinks=True, dirs_exist_ok=True)
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():  # a umask of 077 at installation must not follow the files here
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044))
    try:
        draft.rename(copy)
    except OSError:  # someone else was quicker
        shutil.rmtree(draft)
    return copy


def _fits_a_socket(folder: Path) -> bool:
    return len(os.fsencode(folder / ".s.PGSQL.5432")) <= SOCKET_PATH_LIMIT


def _new_place(base: Path, account: Account | None) -> Path:
    if account is None or account.can_walk_into(base):
        return base.resolve() / "files"
    temporary = Path(tempfile.gettempdir()).resolve()
    if base.resolve().is_relative_to(temporary) and account.can_walk_into(temporary):
        parent = temporary / f"control-center-{os.geteuid()}"
        _make_ours(parent, 0o711)
        _sweep(parent)
        place = parent / digest(base.resolve())
        own(place, account)
        place.joinpath("base").write_text(f"{base.resolve()}\n", "utf-8")
        return place
    STATE.mkdir(parents=True, exist_ok=True, mode=0o711)
    STATE.chmod(0o711)
    return STATE / digest(base.resolve())


def _sweep(parent: Path) -> None:
    """Remove the temporary places of bases that are gone, which tests leave by the dozen."""
    for note in parent.glob("*/base"):
        if not Path(note.read_text("utf-8").rstrip("\n")).exists():
            shutil.rmtree(note.parent, ignore_errors=True)


def _make_ours(folder: Path, mode: int) -> None:
    """Make a folder where others may write beside it, refusing one that somebody else has laid there."""
    folder.mkdir(mode=mode, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ConfigurationError(f"{folder} belongs to somebody else: remove it, or set XDG_RUNTIME_DIR")
    folder.chmod(mode)
