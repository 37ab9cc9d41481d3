from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from control_center.embedded import debian


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a cache"))
    return tmp_path / "a cache" / "control-center" / "debian"


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "policy-rc.d"
    monkeypatch.setattr(debian, "POLICY", file)
    return file


def test_no_service_starts_during_an_installation_and_all_may_afterwards(policy: Path) -> None:
    with debian._no_service_starts():
        assert subprocess.run([policy], check=False).returncode == 101
    assert not policy.exists()


def test_a_policy_of_the_administrator_is_never_touched(policy: Path) -> None:
    policy.write_text("#!/bin/sh\nexit 0\n")
    with debian._no_service_starts():
        assert "exit 0" in policy.read_text()
    assert policy.exists()


def test_a_policy_left_by_a_killed_installation_is_taken_away_by_the_next(policy: Path) -> None:
    policy.write_text(debian.POLICY_TEXT)
    with debian._no_service_starts():
        assert policy.exists()
    assert not policy.exists()


def test_an_unpacked_program_runs_with_the_libraries_unpacked_beside_it(cache: Path) -> None:
    tree = cache / "greeter"
    library = tree / "usr/lib/x86_64-linux-gnu/libgreeter.so.1"
    program = tree / "usr/bin/greet-from-afar"
    for file in (library, program):
        file.parent.mkdir(parents=True)
    library.touch()
    program.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH|$1"\n')
    program.chmod(0o755)

    found = debian.find("greet-from-afar", "greeter")

    assert found
    said = subprocess.run([found, "two words"], capture_output=True, text=True, check=True).stdout
    assert said == f"{library.parent}|two words\n"


def test_erlangs_scripts_are_told_where_they_lie_even_with_a_space_in_the_path(cache: Path, tmp_path: Path) -> None:
    script = tmp_path / "tree" / "usr/lib/erlang/bin/erl"
    script.parent.mkdir(parents=True)
    script.write_text('ROOTDIR=/usr/lib/erlang\necho "$ROOTDIR"\n')

    debian._settle_erlang(tmp_path / "tree", cache / "rabbitmq-server")

    said = subprocess.run(["sh", script], capture_output=True, text=True, check=True).stdout.strip()
    assert said == str(cache / "rabbitmq-server" / "usr/lib/erlang")


def test_a_package_that_cannot_be_had_is_answered_by_the_line_to_type(
    cache: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(command: list[str], folder: Path | None = None) -> str:
        raise subprocess.CalledProcessError(100, command, "Reading lists\nE: Unable to locate package greeter\n")

    monkeypatch.setattr(debian, "_run", refuse)
    said: list[str] = []

    assert debian.obtain("greet-from-afar", "greeter", said.append) is None

    assert "Unable to locate package greeter" in said[-1]
    assert "sudo apt-get install greeter" in said[-1]
    assert list(cache.glob("*")) == [], "nothing half-made stays"


def test_where_there_is_no_apt_nothing_is_tried(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    said: list[str] = []
    assert debian.obtain("greet-from-afar", "greeter", said.append) is None
    assert said == ["greeter is not here, and this is no Debian to fetch it from"]
