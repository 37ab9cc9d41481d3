"""Addresses of servers: one that cannot be read, or does not guard what it seems to guard, is refused unshown."""

from __future__ import annotations

import pytest

from control_center.settings import addresses, read
from tests.support.mistakes import mistake

DATABASE, BROKER, SMTP = "CONTROL_CENTER_DATABASE_URL", "CONTROL_CENTER_BROKER_URL", "CONTROL_CENTER_SMTP_URL"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    for name in ("PGSSLMODE", "PGHOST", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("scheme", [(DATABASE, "postgresql"), (BROKER, "amqp"), (SMTP, "smtp")])
@pytest.mark.parametrize(
    "rest",
    [
        "cc:tweet/canary@127.0.0.1/x",
        "cc:tweet#canary@127.0.0.1/x",
        "cc:tweet?canary@127.0.0.1/x",
        "cc:12345?canary@127.0.0.1/x",
        "cc:12345/canary@127.0.0.1/x",
        "cc:tweet@canary@127.0.0.1/x",
        "cc:[canary@127.0.0.1/x",
        "cc:can]ary@127.0.0.1/x",
        "cc:tweet@127.0.0.1:canary/x",
        "canary:tweet",
    ],
)
def test_a_password_that_cuts_its_address_in_two_is_refused_and_neither_half_is_shown(
    scheme: tuple[str, str], rest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, kind = scheme
    monkeypatch.setenv(name, f"{kind}://{rest}")

    said = mistake()

    assert said.startswith(f"{name} is '***'; allowed: ")
    assert "in a password write / as %2F" in said
    for part in ("tweet", "canary", "12345"):
        assert part not in said


def test_the_address_of_an_account_is_looked_at_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROL_CENTER_ACCOUNTS__LAKE__PROVIDER", "smtp")
    monkeypatch.setenv("CONTROL_CENTER_ACCOUNTS__LAKE__URL", "smtp://cc:[canary@127.0.0.1")

    said = mistake()

    assert "accounts" in said.lower()
    assert "canary" not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://cc@/cc?host=/run/postgresql",
        "postgresql://cc@/cc?host=/run/one,/run/two&port=5432,5433&target_session_attrs=read-write",
        "postgresql://cc@%2Frun%2Fpostgresql/cc",
        "postgresql:///cc",
        "postgresql://cc:secret@127.0.0.1:5432/cc",
        "postgresql://cc:secret@[::1]:5432/cc",
        "postgresql://cc:secret@localhost/cc",
        "postgresql://cc:secret@db.example/cc?sslmode=verify-full",
        "postgresql://cc:secret@10.0.0.1:5432,10.0.0.2/cc?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql://cc:secret@db.example/cc?sslmode=disable",
    ],
)
def test_a_database_here_or_one_whose_certificate_is_checked_is_taken(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE, url)

    assert read().database_url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "seems"),
    [
        ("postgresql://cc:canary@db.example/cc", "prefer"),
        ("postgresql://cc:canary@db.example/cc?sslmode=prefer", "prefer"),
        ("postgresql://cc:canary@db.example/cc?sslmode=allow", "allow"),
        ("postgresql://cc:canary@db.example/cc?sslmode=require", "require"),
        ("postgresql://cc:canary@db.example/cc?sslmode=verify-ca", "verify-ca"),
        ("postgresql://cc:canary@127.0.0.1,db.example/cc", "prefer"),
        ("postgresql://cc:canary@/cc?host=10.1.2.3", "prefer"),
        ("postgresql://cc:canary@[2001:db8::1]:5432/cc", "prefer"),
        ("postgresql:///cc?service=studio", "prefer"),
    ],
)
def test_a_database_elsewhere_whose_certificate_only_seems_to_be_checked_is_refused(
    url: str, seems: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE, url)

    said = mistake()

    assert "sslmode=verify-full" in said
    assert said.endswith(f"this one is sslmode={seems}")
    assert "canary" not in said


def test_what_libpq_is_told_by_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE, "postgresql:///cc")
    monkeypatch.setenv("PGHOST", "db.example")
    assert "sslmode=prefer" in mistake()

    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert read().database_url


def test_a_broker_whose_certificate_is_not_to_be_looked_at_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BROKER, "amqps://cc:canary@mq.example/?no_verify_ssl=1")
    assert "no_verify_ssl" in mistake()

    monkeypatch.setenv(BROKER, "amqps://cc:canary@mq.example/?cafile=/etc/ca.pem")
    assert read().broker_url

    monkeypatch.setenv(BROKER, "amqps://cc:canary@one.example:5671,two.example:5671,three.example/?cafile=/etc/ca.pem")
    assert read().broker_url


@pytest.mark.parametrize("said", ["no_verify_ssl=", "no_verify_ssl", "no_verify_ssl=1&no_verify_ssl=0"])
def test_a_broker_is_checked_where_the_library_would_read_otherwise_than_we_do(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BROKER, f"amqps://cc:canary@mq.example/?{said}")

    assert "no_verify_ssl" in mistake()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://cc:canary@db.example:5432/cc", "postgresql://cc:***@db.example:5432/cc"),
        ("postgresql://db/cc?user=cc&password=canary", "postgresql://db/cc?user=cc&password=***"),
        (
            "postgresql://db/cc?sslpassword=canary&sslmode=verify-full",
            "postgresql://db/cc?sslpassword=***&sslmode=verify-full",
        ),
        ("postgresql://cc@/cc?host=%2Frun", "postgresql://cc@/cc?host=%2Frun"),
        ("amqp://guest:guest@127.0.0.1:5672", "amqp://guest:***@127.0.0.1:5672"),
    ],
)
def test_an_address_is_shown_without_its_passwords(url: str, shown: str) -> None:
    assert addresses.masked(url) == shown


def test_a_password_beside_the_user_is_a_secret_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE, "postgresql://localhost/cc?user=cc&password=canary&sslpassword=canary-two")

    assert {"canary", "canary-two"} <= set(read().secrets())


@pytest.mark.parametrize(
    ("url", "readable"),
    [
        ("postgresql://cc@db.example/cc?sslmode=disable", True),
        ("postgresql://cc@db.example/cc?sslmode=verify-full", False),
        ("postgresql://cc@127.0.0.1/cc", False),
        ("amqp://cc:x@mq.example", True),
        ("amqps://cc:x@mq.example", False),
        ("amqp://cc:x@127.0.0.1", False),
        ("amqp://cc:x@127.0.0.1:5672,[::1]:5672,localhost/", False),
        ("amqp://cc:x@127.0.0.1:5672,mq.example:5672/", True),
        ("amqps://cc:x@one.example,two.example/", False),
        ("smtp://relay.example:587", False),
        ("smtp://relay.example:587?tls=none", True),
        ("smpp://smsc.example", True),
        ("http://10.0.0.5:13013", True),
        ("https://gateway.example", False),
        ("", False),
        ("none", False),
    ],
)
def test_what_others_can_read_on_its_way_is_known(url: str, *, readable: bool) -> None:
    assert addresses.in_clear(url) is readable
