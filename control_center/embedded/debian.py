"""Programs from Debian's packages, for `./run demo` and `./run test`: a service never installs anything.

Root installs a package, and no service of it is started. Anybody else downloads it with what it needs and unpacks it
into the cache folder, where it works without being installed.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

HINT: Final = "type: sudo apt-get install rabbitmq-server"
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT: Final = "#!/bin/sh\n# control-center: for the length of one installation, start no service\nexit 101\n"
NETWORK: Final = ("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=30", "-o", "DPkg::Lock::Timeout=300")

Progress = Callable[[str], None]


def obtain(program: str, package: str, progress: Progress) -> Path | None:
    """The program's path: the system's, an unpacked one, or one fetched now; None when it cannot be had.

    Blocks for as long as that takes. `progress` is given one line a step, and at the end of the failing one
    the line to type.
    """
    if path := find(program, package):
        return path
    if not fetch(package, progress):
        return None
    return find(program, package)


def find(program: str, package: str) -> Path | None:
    if installed := shutil.which(program):
        return Path(installed)
    tree = unpacked(package)
    for folder in ("usr/bin", "usr/sbin", "bin", "sbin") if tree else ():
        if tree and (tree / folder / program).is_file():
            return _wrapped(tree, tree / folder / program)
    return None


def fetch(package: str, progress: Progress) -> bool:
    """Install or unpack the package; False when that failed, after a line that says what to type."""
    if not shutil.which("apt-get"):
        progress(f"{package} is not here, and this is no Debian to fetch it from")
        return False
    try:
        with _one_at_a_time():
            if os.geteuid() == 0:
                progress(f"installing {package} with apt-get")
                _install(package)
            else:
                progress(f"fetching {package} with apt-get download into {_cache()}")
                _unpack(package)
    except subprocess.CalledProcessError as failure:
        last = (failure.output or "").strip().splitlines()[-1:] or [str(failure)]
        progress(
            f"{package} could not be fetched ({last[0]}); type: sudo apt-get update && sudo apt-get install {package}"
        )
        return False
    return True


def unpacked(package: str) -> Path | None:
    """The folder that an earlier `fetch` without root's rights has unpacked this package into."""
    tree = _cache() / package
    return tree if tree.is_dir() else None


def library_path(tree: Path) -> str:
    """The folders of shared libraries in an unpacked tree, as LD_LIBRARY_PATH wants them."""
    folders = {path.parent for pattern in ("lib", "usr/lib") for path in tree.glob(f"{pattern}/*-linux-gnu*/**/*.so*")}
    return ":".join(sorted(map(str, folders)))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Of all the processes of this account, such as those of one run of the tests."""
    _cache().mkdir(parents=True, exist_ok=True)
    with (_cache().parent / "fetching.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(package: str) -> None:
    command = ["apt-get", "-q", "-y", "--no-install-recommends", *NETWORK, "install", package]
    with _no_service_starts():
        try:
            _run(command)
        except subprocess.CalledProcessError:  # a fresh machine has no package lists yet, an old one stale ones
            _run(["apt-get", "-q", *NETWORK, "update"])
            _run(command)


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian's own switch; somebody else's is left as it is, one that a killed run of ours left is taken over."""
    ours = not POLICY.exists() or POLICY.read_text("utf-8", "replace") == POLICY_TEXT
    if ours:
        POLICY.write_text(POLICY_TEXT, "utf-8")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def _unpack(package: str) -> None:
    """Download what the machine lacks for this package and lay it out in one folder, whole or not at all."""
    if unpacked(package):  # somebody else was quicker
        return
    draft = Path(tempfile.mkdtemp(dir=_cache(), prefix="new-"))
    try:
        archives, tree = draft / "archives", draft / "tree"
        archives.mkdir()
        _run(["apt-get", "-q", *NETWORK, "download", *_lacking(package)], folder=archives)
        for archive in archives.glob("*.deb"):
            _run(["dpkg", "-x", str(archive), str(tree)])
        destination = _cache() / package
        _settle_erlang(tree, destination)
        tree.rename(destination)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _lacking(package: str) -> list[str]:
    """The packages that an installation would bring, and all of Erlang, which must lie in one place."""
    planned = _run(["apt-get", "-s", "--no-install-recommends", "install", package])
    names = {line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")}
    if any(name.startswith("erlang-") for name in names):
        flags = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
        wanted = _run(["apt-cache", "depends", "--recurse", *flags, package])
        names |= {line for line in wanted.splitlines() if line.startswith("erlang-")}
    return sorted(names | {package})


def _settle_erlang(tree: Path, destination: Path) -> None:
    """Tell Erlang's start scripts where they lie now: they have `/usr/lib/erlang` written into them."""
    home = shlex.quote(str(destination / "usr/lib/erlang"))
    scripts = [tree / "usr/lib/erlang/bin/erl", *tree.glob("usr/lib/erlang/erts-*/bin/erl")]
    for script in scripts:
        if script.is_file() and not script.is_symlink():
            text = script.read_text("utf-8").replace("=/usr/lib/erlang", f"={home}")
            script.write_text(text, "utf-8")


def _wrapped(tree: Path, program: Path) -> Path:
    """A script that runs the unpacked program with the libraries and Perl modules unpacked beside it."""
    perl = [
        folder
        for pattern in (
            "usr/share/perl5",
            "usr/share/perl/*",
            "usr/lib/*/perl5/*",
            "usr/lib/*/perl/*",
            "usr/lib/*/perl-base",
        )
        for folder in sorted(tree.glob(pattern))
    ]
    lines = [
        "#!/bin/sh",
        f"export LD_LIBRARY_PATH={shlex.quote(library_path(tree))}",
        f"export PERL5LIB={shlex.quote(':'.join(map(str, perl)))}",
        f'exec {shlex.quote(str(program))} "$@"',
    ]
    wrapper = tree / "wrapped" / program.name
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.write_text("\n".join(lines) + "\n", "utf-8")
    wrapper.chmod(0o755)
    return wrapper


def _run(command: list[str], folder: Path | None = None) -> str:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(  # noqa: S603 - the words are ours, the package names Debian's
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "control-center" / "debian"
