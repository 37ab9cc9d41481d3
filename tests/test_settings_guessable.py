"""A secret that whoever calls from outside could hit upon is refused at the start, with how to make a better one."""

from __future__ import annotations

from pathlib import Path

import pytest

from control_center.settings import read
from tests.support.mistakes import a_file, bare, mistake

LONG = "a-secret-of-more-than-24-characters"


@pytest.fixture(autouse=True)
def _a_bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare(monkeypatch, tmp_path)


@pytest.mark.parametrize("name", ["API_TOKEN", "LINK_KEY"])
def test_what_opens_doors_of_ours_is_too_long_to_guess(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CONTROL_CENTER_{name}", "x")
    line = mistake()
    assert line.startswith(f"CONTROL_CENTER_{name} is '***'; allowed: ")
    assert line.endswith("python3 -c 'import secrets; print(secrets.token_urlsafe(32))' makes one")


@pytest.mark.parametrize(
    ("token", "fits"),
    [
        ("fifteen-letters", False),
        ("sixteen--letters", True),
        ("x" * 500, True),
        ("x" * 501, False),
        ("sixteen  letters", False),
        ("sechzehn-zäh-len", False),
        ("sixteen--letters\n", False),
    ],
)
def test_a_token_that_no_call_could_bring_is_refused(
    token: str, monkeypatch: pytest.MonkeyPatch, *, fits: bool
) -> None:
    monkeypatch.setenv("CONTROL_CENTER_API_TOKEN", token)
    if fits:
        assert read().api_token.get_secret_value() == token
    else:
        assert "CONTROL_CENTER_API_TOKEN is '***'; allowed: 16 to 500 characters" in mistake()


KANNEL = 'provider = "kannel"\nurl = "http://10.0.0.5:13013"\naccount = "cc"\n'
GATEWAY = 'provider = "http"\nurl = "https://gateway.example/texts"\n'
RELAY = 'provider = "smtp"\nurl = "smtps://mail.lakeside.example"\n'


@pytest.mark.parametrize(
    ("table", "secret", "told"),
    [
        (KANNEL, "fifteen-letters", "at least 16 characters"),
        (GATEWAY, "twenty-three-letters-it", "at least 24 characters, or whsec_ and 24 bytes or more in base64"),
        (GATEWAY, "whsec_c2l4dGVlbi0tbGV0dGVycw==", "at least 24 characters, or whsec_ and 24 bytes or more"),
        (GATEWAY, "whsec_this is no base64 at all, is it?", "at least 24 characters, or whsec_"),
        (RELAY, "s", "at least 24 characters, or whsec_"),
    ],
)
@pytest.mark.parametrize("in_a_file", [False, True])
def test_what_proves_that_a_call_is_a_providers_is_too_long_to_guess(
    table: str,
    secret: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    in_a_file: bool,
) -> None:
    (tmp_path / "kept").write_text(f"{secret}\n")
    where = 'secret_file = "kept"' if in_a_file else f'secret = "{secret}"'
    a_file(tmp_path, f"[accounts.x]\n{table}{where}", monkeypatch)
    line = mistake()
    assert f"accounts.x.secret is '***'; allowed: {told}" in line
    assert line.endswith("makes one")


@pytest.mark.parametrize(
    "table",
    [
        f'{KANNEL}secret = "sixteen--letters"',
        f'{GATEWAY}secret = "{LONG}"',
        f'{GATEWAY}secret = "whsec_dHdlbnR5LWZvdXIgYnl0ZXMgb2Yga2V5"',
        f'{RELAY}secret = "{LONG}"',
        RELAY,
        'provider = "twilio"\naccount = "AC1"\nsecret = "s"',
    ],
)
def test_what_is_long_enough_or_made_by_the_provider_is_taken(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_file(tmp_path, f"[accounts.x]\n{table}", monkeypatch)
    assert "x" in read().accounts


def test_a_file_of_a_secret_that_says_nothing_is_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").write_text("\n")
    a_file(tmp_path, '[accounts.x]\nprovider = "telnyx"\nsecret_file = "kept"', monkeypatch)
    assert "kept', which is empty; remove it where nothing is to be set" in mistake()


def test_a_password_in_a_file_has_to_fit_a_bind_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").write_text("longer-than-8")
    a_file(
        tmp_path,
        '[accounts.x]\nprovider = "smpp"\naccount = "a"\nurl = "smpp://s"\nsecret_file = "kept"',
        monkeypatch,
    )
    assert "accounts.x.secret is '***'; allowed: a password of at most 8 characters" in mistake()
