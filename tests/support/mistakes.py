"""Settings that are read where nothing is set but by the test, and what is said of those that are wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from control_center.domain.errors import ConfigurationError
from control_center.settings import read


def bare(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """No setting from outside, and no file where one is looked for."""
    for name in os.environ:
        if name.startswith("CONTROL_CENTER_") or name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "home"))
    monkeypatch.chdir(folder)


def a_file(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file that says this, and is the one to be read."""
    file = folder / "some.toml"
    file.write_text(text)
    monkeypatch.setenv("CONTROL_CENTER_CONFIG", str(file))
    return file


def mistake() -> str:
    """The one line that reading the settings ends with."""
    with pytest.raises(ConfigurationError) as caught:
        read()
    line = str(caught.value)
    assert "\n" not in line
    return line
