"""The settings themselves: names, defaults, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from control_center.domain import number, zones
from control_center.domain.errors import Malformed
from control_center.settings import addresses
from control_center.settings.account import MAKE, Account, plain
from control_center.settings.machine import machine_zone, state_folder

PREFIX: Final = "CONTROL_CENTER_"
NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,49}$"
URLS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "database_url": (("postgresql", "postgres"), "postgresql://user:password@host:5432/database, or nothing"),
    "broker_url": (("amqp", "amqps", "none"), "amqp://user:password@host:5672/, amqps://..., none, or nothing"),
    "smtp_url": (("smtp", "smtps"), "smtp://user:password@host:587, smtps://..., or nothing"),
    "public_url": (("http", "https"), "https://host, or nothing"),
    "sms_url": (("http", "https"), "https://host, or nothing"),
}
GUARDS: Final[Mapping[str, Callable[[str], None]]] = {
    "database_url": addresses.refuse_unguarded,
    "broker_url": addresses.refuse_unchecked,
}
TOKEN: Final = "[!-~]{16,500}"  # noqa: S105 - what a call can bring in its header, and nobody hits upon


class Settings(BaseSettings):
    """Every setting with its default; `config/control_center.toml` says what each is for."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    data_dir: Path = Field(default_factory=state_folder)
    database_url: SecretStr = SecretStr("")
    broker_url: SecretStr = SecretStr("")
    listen: str = "127.0.0.1:8484"
    api_token: SecretStr = SecretStr("")
    public_url: str = ""
    link_key: SecretStr = SecretStr("")
    sms_provider: Literal["sandbox", "twilio"] = "sandbox"
    sms_url: str = ""
    sms_account: str = ""
    sms_secret: SecretStr = SecretStr("")
    sms_from: str = ""
    smtp_url: SecretStr = SecretStr("")
    email_from: str = ""
    studio: str = Field(default="main", pattern=NAME)
    timezone: str = Field(default_factory=machine_zone)
    country: str = "US"
    keep_events_days: int = Field(default=30, ge=30, le=3660)
    log_format: Literal["", "console", "json"] = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_personal_data: bool = False
    accounts: dict[str, Account] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - there are no such files here
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - `read` takes systemd's folder itself
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # What `read` hands over comes from files, so that here, unlike elsewhere, the environment wins.
        return env_settings, init_settings

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        # One without a name would be whatever folder we happen to be in.
        return (value if value.parts else state_folder()).expanduser().absolute()

    @field_validator("listen")
    @classmethod
    def _address(cls, value: str) -> str:
        host, port = _split(value)
        if not host or not 0 <= port <= 65535:
            raise ValueError("allowed: HOST:PORT, such as 127.0.0.1:8484")
        return value

    @field_validator("database_url", "broker_url", "smtp_url", "public_url", "sms_url")
    @classmethod
    def _url(cls, value: Any, info: Any) -> Any:
        schemes, example = URLS[info.field_name]
        url = plain(value)
        if not url or url in {"none"} & set(schemes):
            return value
        addresses.refuse_unreadable(url, example)
        if addresses.parts(url).scheme not in schemes:
            raise ValueError(f"allowed: {example}")
        if info.field_name in GUARDS:
            GUARDS[info.field_name](url)
        return value

    @field_validator("link_key")
    @classmethod
    def _long(cls, value: SecretStr) -> SecretStr:
        if 0 < len(plain(value)) < 32:
            raise ValueError(f"allowed: at least 32 characters that nobody can guess, or nothing; {MAKE}")
        return value

    @field_validator("api_token")
    @classmethod
    def _unguessable(cls, value: SecretStr) -> SecretStr:
        if plain(value) and not re.fullmatch(TOKEN, plain(value)):
            allowed = "16 to 500 characters that nobody can guess, in ASCII and without a space, or nothing"
            raise ValueError(f"allowed: {allowed}; {MAKE}")
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            zones.zone(value)
        except Malformed as wrong:
            raise ValueError(wrong.reason) from None
        return value

    @field_validator("country")
    @classmethod
    def _country(cls, value: str) -> str:
        if not number.is_country(value):  # a studio made of it could not be read any more
            raise ValueError("allowed: two capital letters of ISO 3166, such as US, or GB, not UK")
        return value

    @field_validator("email_from")
    @classmethod
    def _sender(cls, value: str) -> str:
        if value and "@" not in value:
            raise ValueError("allowed: an address such as hello@lakeside.example, or nothing")
        return value

    @field_validator("accounts")
    @classmethod
    def _names(cls, value: dict[str, Account]) -> dict[str, Account]:
        if "default" in value:
            raise ValueError("the account `default` is made of sms_provider, sms_url, ... and smtp_url")
        return value

    @model_validator(mode="after")
    def _failovers(self) -> Settings:
        for name, account in self.accounts.items():
            seen, other = {name}, account.failover
            while other:
                known = self.accounts.get(other)
                if known is None or known.carries != "sms" or account.carries != "sms":
                    raise ValueError(f"accounts.{name}: failover: {other!r}; allowed: another account that carries sms")
                if other in seen:
                    raise ValueError(f"accounts.{name}: failover: {other!r} leads back to where it began")
                seen.add(other)
                other = known.failover
        return self

    @model_validator(mode="after")
    def _provider(self) -> Settings:
        if self.sms_provider == "twilio":
            for name in ("sms_account", "sms_secret"):
                if not plain(getattr(self, name)):
                    raise ValueError(f"{name}: is missing; the provider {self.sms_provider} needs it")
        return self

    @property
    def links_base(self) -> str:
        """What links in messages begin with."""
        return (self.public_url or f"http://{self.listen}").rstrip("/")

    @property
    def host_and_port(self) -> tuple[str, int]:
        return _split(self.listen)

    def carriers(self, channel: str) -> dict[str, Account]:
        """The accounts of one channel by name; `default` is the one that the flat settings describe."""
        if channel == "sms":
            default = Account(
                channel="sms",
                provider=self.sms_provider,
                url=SecretStr(self.sms_url),
                account=self.sms_account,
                secret=self.sms_secret,
                sender=self.sms_from,
            )
        else:
            url = self.smtp_url
            default = Account(
                channel="email", provider="smtp" if plain(url) else "sandbox", url=url, sender=self.email_from
            )
        named = {name: account for name, account in self.accounts.items() if account.carries == channel}
        return {"default": default, **named}

    def secrets(self) -> list[str]:
        """Every secret in here as text, passwords inside of addresses too: no log line may hold one of them."""
        held = [self.database_url, self.broker_url, self.api_token, self.link_key, self.sms_secret, self.smtp_url]
        for account in self.accounts.values():
            held += [account.secret, account.url]
        found = {secret.get_secret_value() for secret in held}
        return sorted(found.union(*map(addresses.secrets_in, found)) - {"", "none"})


SECRETS: Final = tuple(name for name, field in Settings.model_fields.items() if field.annotation is SecretStr)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port) if port.isascii() and port.isdigit() else -1
