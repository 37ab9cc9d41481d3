"""What an administrator may set, read once at the start: a TOML file, systemd's credentials, the environment, in this
order, each overriding the one before.

A mistake stops the start with one line that names the setting, its value (secrets masked) and what is allowed.
"""

from __future__ import annotations

from pydantic import ValidationError

from control_center.domain.errors import ConfigurationError
from control_center.settings import mistakes, sources
from control_center.settings.account import Account
from control_center.settings.model import PREFIX, Settings
from control_center.settings.sources import config_file, unknown_in_environment

__all__ = ["PREFIX", "Account", "Settings", "config_file", "read", "unknown_in_environment"]


def read() -> Settings:
    """All settings of this process. Raises ConfigurationError with one line for the first mistake found."""
    file = config_file()
    values = sources.table(file) if file else {}
    values |= sources.credentials() | sources.from_files()
    sources.refuse_misspelt()
    sources.adopt_quiet_hours(file)
    try:
        settings = Settings(**values)
        accounts = {name: sources.with_secret(name, one, file) for name, one in settings.accounts.items()}
        return settings.model_copy(update={"accounts": accounts})
    except ValidationError as wrong:
        raise ConfigurationError(mistakes.line(wrong.errors(include_url=False)[0], file)) from None
