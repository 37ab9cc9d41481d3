"""One account at a provider: what each kind of them needs, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from control_center.domain.wire import gateway_hooks
from control_center.settings import addresses

HOST: Final = r"(?!-)[A-Za-z0-9-]{1,63}(\.(?!-)[A-Za-z0-9-]{1,63})*"
DKIM: Final = ("dkim_selector", "dkim_domain", "dkim_key_file")
PUBLIC_KEY: Final = r"[A-Za-z0-9+/]{43}="  # 32 bytes in base64
# What carries which channel (a sandbox either), and what each cannot do without.
CARRIES: Final[Mapping[str, str]] = {
    "twilio": "sms",
    "telnyx": "sms",
    "kannel": "sms",
    "http": "sms",
    "smpp": "sms",
    "smtp": "email",
}
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "twilio": ("account", "secret"),
    "telnyx": ("secret",),
    "kannel": ("url", "account", "secret"),
    "http": ("url", "secret"),
    "smpp": ("url", "account", "secret"),
    "smtp": ("url",),
    "sandbox": (),
}
# How long a secret is that we agree on with the other side, and by which a call from outside is known to be theirs.
# What a provider makes itself is as long as it is.
LEAST: Final[Mapping[str, int]] = {"kannel": 16, "http": 24, "smtp": 24}
MAKE: Final = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"


class Account(BaseModel):
    """One account at a provider, as the messages' `account` names it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True)

    channel: Literal["sms", "email"] | None = None
    provider: Literal["sandbox", "twilio", "telnyx", "kannel", "http", "smpp", "smtp"] = "sandbox"
    url: SecretStr = SecretStr("")  # an address of SMTP carries its password
    account: str = ""
    secret: SecretStr = SecretStr("")
    secret_file: Path | None = None
    public_key: str = ""
    sender: str = Field(default="", validation_alias="from")
    bounce_domain: str = ""
    dkim_selector: str = ""
    dkim_domain: str = ""
    dkim_key_file: Path | None = None
    failover: str = ""  # the account of the same channel that takes over what this one certainly did not send
    slots: int = Field(default=16, ge=1, le=256)
    latency: float = Field(default=0.0, ge=0, le=60)

    @model_validator(mode="after")
    def _complete(self) -> Account:
        natural = CARRIES.get(self.provider, self.channel)
        if natural is None:
            raise ValueError('channel: a sandbox needs one; allowed: "sms", "email"')
        if self.channel not in (None, natural):
            raise ValueError(f"channel: {self.provider} carries {natural} only")
        needed = NEEDED[self.provider]
        missing = [name for name in needed if not plain(getattr(self, name))]
        if missing and not (missing == ["secret"] and self.secret_file):
            raise ValueError(f"{missing[0]}: is missing; {self.provider} needs {_listed(needed)}")
        return self

    @model_validator(mode="after")
    def _web_address(self) -> Account:
        url = plain(self.url)
        try:
            addresses.refuse_unreadable(url, "scheme://user:password@host:port")
        except ValueError as wrong:
            raise ValueError(f"url: {wrong}") from None
        parts = urlsplit(url)
        schemes = ("smpp", "smpps") if self.provider == "smpp" else ("http", "https")
        is_address = parts.scheme in schemes and parts.hostname
        if url and CARRIES.get(self.provider) == "sms" and not is_address:
            raise ValueError(f"url: allowed: {schemes[0]}://host or {schemes[1]}://host")
        return self

    @model_validator(mode="after")
    def _fits_a_bind(self) -> Account:
        if self.provider != "smpp":
            return self
        if not self.account.isascii() or len(self.account) > 15:
            raise ValueError("account: allowed: a system id of at most 15 characters, as SMPP 3.4 has it")
        if not plain(self.secret).isascii() or len(plain(self.secret)) > 8:
            raise ValueError("secret: allowed: a password of at most 8 characters, as SMPP 3.4 has it")
        return self

    @model_validator(mode="after")
    def _unguessable(self) -> Account:
        secret, least = plain(self.secret), LEAST.get(self.provider, 0)
        signs = self.provider != "kannel"  # which only shows it
        if secret and (len(gateway_hooks.key(secret)) if signs else len(secret)) < least:
            or_key = f", or whsec_ and {least} bytes or more in base64" if signs else ""
            raise ValueError(f"secret: allowed: at least {least} characters{or_key}, that nobody can guess; {MAKE}")
        return self

    @field_validator("bounce_domain", "dkim_domain", "dkim_selector")
    @classmethod
    def _names(cls, value: str) -> str:
        return _host(value)

    @model_validator(mode="after")
    def _signed(self) -> Account:
        of_mail = {name: getattr(self, name) for name in ("bounce_domain", *DKIM)}
        given = [name for name in DKIM if of_mail[name]]
        missing = [name for name in DKIM if not of_mail[name]]
        if given and missing:
            raise ValueError(f"{missing[0]}: is missing; signing mail needs {_listed(DKIM)}")
        if any(of_mail.values()) and self.provider != "smtp":
            raise ValueError(f"{next(filter(of_mail.get, of_mail))}: is for smtp alone")
        return self

    @field_validator("public_key")
    @classmethod
    def _keys(cls, value: str) -> str:
        if not all(re.fullmatch(PUBLIC_KEY, key) for key in value.split()):
            raise ValueError("allowed: a public key in base64 as the provider shows it; several with a space between")
        return value

    @property
    def public_keys(self) -> tuple[str, ...]:
        """The keys that calls may be signed with: two while one replaces another."""
        return tuple(self.public_key.split())

    @property
    def carries(self) -> str:
        """`sms` or `email`."""
        return self.channel or CARRIES[self.provider]


def _host(value: str) -> str:
    if value and not re.fullmatch(HOST, value):
        raise ValueError("allowed: a name such as bounces.studio.example, or nothing")
    return value.lower()


def plain(value: Any) -> str:
    """A value as it is, secrets too: for looking at, and never for showing."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
