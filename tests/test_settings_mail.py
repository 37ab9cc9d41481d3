"""What is set for mail: the key of links, where bounces come back to, and signatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from control_center.domain.errors import ConfigurationError
from control_center.settings import link_key, read


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_CENTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def an_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **keys: str) -> None:
    told = {"provider": "smtp", "url": "smtp://relay.example", **keys}
    lines = "".join(f'{name} = "{value}"\n' for name, value in told.items())
    file = tmp_path / "control_center.toml"
    file.write_text(f"[accounts.mail]\n{lines}")
    monkeypatch.setenv("CONTROL_CENTER_CONFIG", str(file))


def test_a_key_is_made_once_for_us_alone_and_kept(tmp_path: Path) -> None:
    assert link_key.find(read()) is None
    key = link_key.keep(read())
    assert len(key) >= 32
    assert link_key.keep(read()) == link_key.find(read()) == key
    assert (tmp_path / "data" / link_key.FILE).stat().st_mode & 0o777 == 0o600
    assert [one.name for one in (tmp_path / "data").iterdir()] == [link_key.FILE]


def test_a_configured_key_comes_before_the_one_that_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = link_key.keep(read())
    monkeypatch.setenv("CONTROL_CENTER_LINK_KEY", "k" * 32)
    assert link_key.find(read()) == b"k" * 32 != made


def test_a_key_that_can_be_guessed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_CENTER_LINK_KEY", "secret")
    with pytest.raises(ConfigurationError, match=r"LINK_KEY is '\*\*\*'; allowed: at least 32 characters"):
        read()


def test_a_signing_key_is_looked_for_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"dkim_selector": "cc1", "dkim_domain": "Studio.Example", "dkim_key_file": "dkim.pem"}
    an_account(monkeypatch, tmp_path, bounce_domain="bounces.studio.example", **keys)
    found = read().accounts["mail"]
    assert (found.dkim_domain, found.dkim_key_file) == ("studio.example", tmp_path / "dkim.pem")
    assert found.bounce_domain == "bounces.studio.example"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"dkim_selector": "cc1"}, "dkim_domain is missing; signing mail needs"),
        ({"bounce_domain": "no domain"}, "a name such as bounces.studio.example"),
        ({"bounce_domain": "-.example"}, "a name such as bounces.studio.example"),
        (
            {"provider": "http", "secret": "s" * 24, "url": "https://x.example", "bounce_domain": "b.example"},
            "smtp alone",
        ),
    ],
)
def test_what_is_half_set_up_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, str], says: str
) -> None:
    an_account(monkeypatch, tmp_path, **keys)
    with pytest.raises(ConfigurationError, match=says):
        read()
