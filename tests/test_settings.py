"""Settings: every source, their order, and mistakes told in one line without secrets."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from control_center.domain.quiet_hours import adopt, presets
from control_center.settings import Settings, read
from control_center.settings.account import Account
from control_center.settings.model import SECRETS
from tests.support.mistakes import a_file, bare, mistake

SAMPLE = Path(__file__).resolve().parents[1] / "config" / "control_center.toml"


@pytest.fixture(autouse=True)
def _a_bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare(monkeypatch, tmp_path)


# --- sources ---------------------------------------------------------------------------------------------------


def test_without_any_settings_everything_has_a_default() -> None:
    settings = read()
    assert settings.listen == "127.0.0.1:8484"
    assert settings.studio == "main"
    assert settings.sms_provider == "sandbox"
    assert settings.secrets() == []


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_file(tmp_path, 'listen = "127.0.0.1:1"\ncountry = "DE"', monkeypatch)
    monkeypatch.setenv("CONTROL_CENTER_LISTEN", "127.0.0.1:2")
    settings = read()
    assert settings.host_and_port == ("127.0.0.1", 2)
    assert settings.country == "DE"


def test_the_file_of_the_folder_comes_before_that_of_the_user(tmp_path: Path) -> None:
    user = tmp_path / "home" / "control-center" / "control_center.toml"
    user.parent.mkdir(parents=True)
    user.write_text('country = "FR"')
    assert read().country == "FR"
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "control_center.toml").write_text('country = "IT"')
    assert read().country == "IT"


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_may_lie_in_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scheme = {"database_url": "postgresql://", "broker_url": "amqp://", "smtp_url": "smtp://"}.get(name, "")
    (tmp_path / "secret").write_text(f"{scheme}canary-as-long-as-a-key-has-to-be@localhost\n")
    monkeypatch.setenv(f"CONTROL_CENTER_{name.upper()}_FILE", str(tmp_path / "secret"))
    assert getattr(read(), name).get_secret_value() == f"{scheme}canary-as-long-as-a-key-has-to-be@localhost"


def test_systemd_hands_secrets_over_and_the_environment_overrides_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sms_secret").write_text("from-systemd\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read().sms_secret.get_secret_value() == "from-systemd"
    monkeypatch.setenv("CONTROL_CENTER_SMS_SECRET", "from-environment")
    assert read().sms_secret.get_secret_value() == "from-environment"


def test_a_secret_given_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_CENTER_API_TOKEN", "canary-one")
    monkeypatch.setenv("CONTROL_CENTER_API_TOKEN_FILE", str(tmp_path / "token"))
    assert "both set" in mistake()


def test_the_file_may_name_a_file_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("beside")
    a_file(tmp_path, 'sms_secret_file = "secret"', monkeypatch)
    assert read().sms_secret.get_secret_value() == "beside"


# --- accounts --------------------------------------------------------------------------------------------------


def test_the_flat_settings_are_the_account_default_of_each_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_CENTER_SMS_PROVIDER", "twilio")
    monkeypatch.setenv("CONTROL_CENTER_SMS_ACCOUNT", "AC1")
    monkeypatch.setenv("CONTROL_CENTER_SMS_SECRET", "canary")
    monkeypatch.setenv("CONTROL_CENTER_SMTP_URL", "smtp://u:p@host:25")
    settings = read()
    assert settings.carriers("sms")["default"].provider == "twilio"
    assert settings.carriers("email")["default"].provider == "smtp"


def test_an_account_belongs_to_the_channel_of_its_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("canary-token\n")
    text = """
    [accounts.spring]
    provider = "twilio"
    account = "AC2"
    secret_file = "token"
    from = "+13125550100"
    slots = 4
    [accounts.slow]
    provider = "sandbox"
    channel = "email"
    latency = 2.5
    """
    a_file(tmp_path, text, monkeypatch)
    settings = read()
    assert list(settings.carriers("sms")) == ["default", "spring"]
    assert list(settings.carriers("email")) == ["default", "slow"]
    spring = settings.carriers("sms")["spring"]
    assert (spring.secret.get_secret_value(), spring.sender, spring.slots) == ("canary-token", "+13125550100", 4)
    assert "canary-token" in settings.secrets()


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('provider = "twilio"\naccount = "AC1"', "accounts.x.secret is missing; twilio needs account and secret"),
        ('provider = "telnyx"', "accounts.x.secret is missing; telnyx needs secret"),
        (
            'provider = "kannel"\nurl = "http://k"',
            "accounts.x.account is missing; kannel needs url, account and secret",
        ),
        ('provider = "http"\nsecret = "s"', "accounts.x.url is missing; http needs url and secret"),
        (
            'provider = "http"\nsecret = "s"\nurl = "g:80"',
            "accounts.x.url is '***'; allowed: http://host or https://host",
        ),
        (
            'provider = "smpp"\nsecret = "s"\naccount = "a"\nurl = "https://s"',
            "accounts.x.url is '***'; allowed: smpp://host or smpps://host",
        ),
        (
            'provider = "smpp"\nsecret = "longer-than-8"\naccount = "a"\nurl = "smpp://s"',
            "a password of at most 8 characters",
        ),
        ('provider = "telnyx"\nsecret = "s"\nchannel = "email"', "telnyx carries sms only"),
        ('provider = "telnyx"\nsecret = "s"\npublic_key = "x"', "accounts.x.public_key is 'x'; allowed: a public key"),
        ('provider = "sandbox"', 'accounts.x.channel: a sandbox needs one; allowed: "sms", "email"'),
        ('provider = "smtp"\nurl = "smtp://h"\nchannel = "sms"', "smtp carries email only"),
        ('provider = "smtp"\nurll = "smtp://h"', "accounts.x.urll is not a setting; did you mean url?"),
        ('provider = "sandbox"\nchannel = "sms"\nslots = 0', "accounts.x.slots is 0; allowed: greater than or equal"),
    ],
)
def test_a_wrong_account_is_told_by_its_key(
    table: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = a_file(tmp_path, f"[accounts.x]\n{table}", monkeypatch)
    assert told in mistake()
    assert str(file) in mistake()


@pytest.mark.parametrize(
    "table",
    [
        'provider = "telnyx"\nsecret = "s"',
        'provider = "kannel"\nurl = "http://10.0.0.5:13013"\naccount = "cc"\nsecret = "sixteen--letters"',
        'provider = "http"\nurl = "https://gateway.example/texts"\nsecret = "four-and-twenty--letters"',
        'provider = "smpp"\nurl = "smpps://smsc.example:3550"\naccount = "studio"\nsecret = "s3cret"',
    ],
)
def test_a_provider_of_texts_carries_texts(table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_file(tmp_path, f"[accounts.spring]\n{table}", monkeypatch)
    assert list(read().carriers("sms")) == ["default", "spring"]


def test_two_public_keys_are_in_force_while_one_replaces_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = "A" * 43 + "=", "B" * 43 + "="
    a_file(tmp_path, f'[accounts.x]\nprovider = "telnyx"\nsecret = "s"\npublic_key = "{old} {new}"', monkeypatch)
    assert read().accounts["x"].public_keys == (old, new)


SANDBOX = '[accounts.{}]\nprovider = "sandbox"\nchannel = "{}"\nfailover = "{}"\n'


@pytest.mark.parametrize(
    ("accounts", "told"),
    [
        ([("a", "sms", "nobody")], "failover: 'nobody'; allowed: another account that carries sms"),
        ([("a", "sms", "b"), ("b", "email", "")], "failover: 'b'; allowed: another account that carries sms"),
        ([("a", "sms", "a")], "failover: 'a' leads back"),
        ([("a", "sms", "b"), ("b", "sms", "a")], "leads back to where it began"),
    ],
)
def test_a_failover_leads_to_another_account_of_texts_and_never_back(
    accounts: list[tuple[str, str, str]], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_file(tmp_path, "".join(SANDBOX.format(*one) for one in accounts), monkeypatch)
    assert told in mistake()


def test_accounts_may_fail_over_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_file(tmp_path, "".join(SANDBOX.format(*one) for one in [("a", "sms", "b"), ("b", "sms", "")]), monkeypatch)
    assert read().accounts["a"].failover == "b"


def test_the_name_default_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_file(tmp_path, '[accounts.default]\nprovider = "sandbox"\nchannel = "sms"', monkeypatch)
    assert "default" in mistake()


# --- mistakes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LISTEN", "8484", "CONTROL_CENTER_LISTEN is '8484'; allowed: HOST:PORT, such as 127.0.0.1:8484"),
        ("LISTEN", "127.0.0.1:99999", "allowed: HOST:PORT"),
        ("SMS_PROVIDER", "twillio", "CONTROL_CENTER_SMS_PROVIDER is 'twillio'; allowed: 'sandbox' or 'twilio'"),
        ("TIMEZONE", "America/Chicgo", "did you mean America/Chicago"),
        ("COUNTRY", "usa", "allowed: two capital letters"),
        (
            "COUNTRY",
            "UK",
            "CONTROL_CENTER_COUNTRY is 'UK'; allowed: two capital letters of ISO 3166, such as US, or GB",
        ),
        ("EMAIL_FROM", "Lakeside", "CONTROL_CENTER_EMAIL_FROM is 'Lakeside'; allowed: an address such as"),
        ("KEEP_EVENTS_DAYS", "many", "CONTROL_CENTER_KEEP_EVENTS_DAYS is 'many'; allowed: a whole number"),
        ("STUDIO", "My Studio", "allowed: lower-case letters"),
        ("LOG_PERSONAL_DATA", "maybe", "allowed: true, false"),
        ("LOG_LEVEL", "loud", "allowed: 'debug', 'info', 'warning' or 'error'"),
        ("LISTN", "127.0.0.1:1", "CONTROL_CENTER_LISTN is not a setting; did you mean CONTROL_CENTER_LISTEN?"),
        ("CONFIG", "/nowhere.toml", "where no file is"),
        ("SMS_SECRET_FILE", "/nowhere", "cannot be read"),
    ],
)
def test_a_mistake_is_told_in_one_line(name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CONTROL_CENTER_{name}", value)
    assert told in mistake()


def test_a_key_of_the_file_that_does_not_exist_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_file(tmp_path, 'brokr_url = "none"', monkeypatch)
    assert "brokr_url is not a setting; did you mean broker_url?" in mistake()


def test_a_file_that_is_not_toml_is_told_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = a_file(tmp_path, "listen = [", monkeypatch)
    assert mistake().startswith(str(file))


def test_a_variable_of_somebody_else_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_CENTER_SERVICE_HOST", "10.0.0.1")
    read()


@pytest.mark.parametrize("name", ["DATABASE_URL", "BROKER_URL", "SMTP_URL"])
def test_a_wrong_address_is_told_without_its_password(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CONTROL_CENTER_{name}", "htp://user:canary-password@host/x")
    line = mistake()
    assert name in line
    assert "allowed" in line
    assert "canary" not in line


def test_no_secret_shows_in_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_CENTER_DATABASE_URL", "postgresql://u:canary%21pass@h/d?sslmode=verify-full")
    monkeypatch.setenv("CONTROL_CENTER_API_TOKEN", "canary-of-a-token")
    settings = read()
    assert "canary" not in repr(settings) + str(settings)
    assert {"canary!pass", "canary%21pass", "canary-of-a-token"} <= set(settings.secrets())


@pytest.mark.parametrize("days", ["29", "3661", "ever"])
def test_events_are_kept_for_30_days_at_least(days: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read().keep_events_days == 30
    monkeypatch.setenv("CONTROL_CENTER_KEEP_EVENTS_DAYS", days)
    assert "KEEP_EVENTS_DAYS" in mistake()


# --- the documented file ---------------------------------------------------------------------------------------


def documented() -> str:
    """The sample file with every setting taken out of its comment."""
    return re.sub(r"^# (?=(?:[a-z_]+ = |\[accounts))", "", SAMPLE.read_text(), flags=re.MULTILINE)


def test_the_sample_file_names_every_setting_with_its_default() -> None:
    given = tomllib.loads(documented())
    accounts = given.pop("accounts")["spring"]
    assert set(given) == set(Settings.model_fields) - {"accounts"}
    assert set(accounts) == {str(field.validation_alias or name) for name, field in Account.model_fields.items()}
    of_this_machine = {"data_dir", "timezone"}
    for name in given.keys() - of_this_machine:
        default = Settings.model_fields[name].default
        assert given[name] == (default.get_secret_value() if name in SECRETS else default), name
    assert accounts["slots"] == Account.model_fields["slots"].default


def test_the_sample_file_sets_nothing_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_CENTER_CONFIG", str(SAMPLE))
    assert tomllib.loads(SAMPLE.read_text()) == {}
    read()


PAGES = [SAMPLE.parents[1] / "docs" / "how-to" / f"{name}.md" for name in ("telnyx", "kannel", "http-gateway")]


@pytest.mark.parametrize("page", [SAMPLE, *PAGES], ids=lambda page: page.name)
def test_an_account_that_is_shown_is_accepted(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = documented()[documented().index("[accounts.summer]") :] if page == SAMPLE else None
    unindented = re.sub("^   ", "", page.read_text(), flags=re.MULTILINE)
    text = shown or re.findall(r"```toml\n(.*?)```", unindented, re.DOTALL)[0]
    a_file(tmp_path, text, monkeypatch)
    secrets = {}
    for name, account in tomllib.loads(text)["accounts"].items():
        secrets[name] = "s3cret" if account["provider"] == "smpp" else "s3cret-that-is-long-enough"
        (tmp_path / account["secret_file"]).write_text(secrets[name])

    found = read().accounts

    assert {name: one.secret.get_secret_value() for name, one in found.items()} == secrets
    assert {one.carries for one in found.values()} == {"sms"}


def test_there_are_few_settings() -> None:
    assert len(Settings.model_fields) + len(Account.model_fields) <= 37


# --- hours -----------------------------------------------------------------------------------------------------

OWN_HOURS = """
[default]
marketing = { days = "11:00-12:00" }
transactional = { days = "09:00-20:00" }
"""


def test_the_rules_for_texting_hours_beside_the_file_count_in_place_of_those_that_come_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_file(tmp_path, "", monkeypatch)
    (tmp_path / "quiet_hours.toml").write_text(OWN_HOURS)
    read()
    assert (str(presets().marketing.windows[0]), presets().laws) == ("11:00-12:00", ())

    (tmp_path / "quiet_hours.toml").write_text(OWN_HOURS.replace("12:00", "late"))
    assert "quiet_hours.toml" in mistake()

    adopt(None)
    assert presets().laws
