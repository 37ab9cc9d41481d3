"""Where values come from besides the environment: the file, systemd's credentials, files named by the environment."""

from __future__ import annotations

import os
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from control_center.domain.errors import ConfigurationError, Malformed
from control_center.settings import mistakes
from control_center.settings.account import Account
from control_center.settings.model import PREFIX, SECRETS, Settings

# Read elsewhere: where the file lies, which PostgreSQL to run, which Python the launcher takes, whose a server is,
# whether it may be private, which run of the machine this is, where a test lets us die.
OTHERS: Final = frozenset({"CONFIG", "POSTGRES_BIN", "PYTHON", "SERVER", "PRIVATE_SERVERS", "BOOT_ID", "CRASH_AT"})


def config_file() -> Path | None:
    """The file that is read: the one named, else that of the folder we are in, else the user's; None without any."""
    named = os.environ.get(f"{PREFIX}CONFIG")
    if named:
        if not Path(named).exists():
            raise ConfigurationError(f"{PREFIX}CONFIG is {named!r}, where no file is")
        return Path(named)
    user = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    found = (Path("config/control_center.toml"), user / "control-center" / "control_center.toml")
    return next((path for path in found if path.is_file()), None)


def unknown_in_environment() -> list[str]:
    """Variables that look like ours and mean nothing."""
    known = {name.upper() for name in Settings.model_fields} | OTHERS
    known |= {f"{name.upper()}_FILE" for name in SECRETS}
    given = [name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX)]
    return sorted(name for name in given if name not in known and not name.startswith("ACCOUNTS__"))


def refuse_misspelt() -> None:
    """Refuse what is nearly a name of ours. Others may share the prefix: an orchestrator names services so."""
    for name in unknown_in_environment():
        if near := get_close_matches(name, [field.upper() for field in Settings.model_fields], 1, 0.8):
            raise ConfigurationError(f"{PREFIX}{name} is not a setting; did you mean {PREFIX}{near[0]}?")


def table(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text("utf-8-sig"))  # some editors begin a file with a mark
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file}: {error}") from None
    for name in SECRETS:
        if (path := values.pop(f"{name}_file", None)) is not None:
            values[name] = _content(f"{file}, {name}_file", file.parent / str(path))
    return values


def adopt_quiet_hours(file: Path | None) -> None:
    """Go by the `quiet_hours.toml` beside the file, where there is one: what an upgrade brings would overwrite it."""
    own = file.with_name("quiet_hours.toml") if file is not None else None
    if own is None or not own.is_file():
        return
    from control_center.domain import quiet_hours  # noqa: PLC0415 - with the plan of all phone numbers: only if needed

    try:
        quiet_hours.adopt(quiet_hours.read(table(own), str(own)))
    except Malformed as error:
        raise ConfigurationError(str(error)) from None


def credentials() -> dict[str, str]:
    """Secrets that systemd hands over (LoadCredential=sms_secret:...)."""
    folder = Path(os.environ.get("CREDENTIALS_DIRECTORY") or os.devnull)
    return {name: _content(name, folder / name) for name in SECRETS if (folder / name).is_file()}


def from_files() -> dict[str, str]:
    found = {}
    for name in SECRETS:
        variable = f"{PREFIX}{name.upper()}"
        if path := os.environ.get(f"{variable}_FILE"):
            if variable in os.environ:
                raise ConfigurationError(f"{variable} and {variable}_FILE are both set; one of the two is allowed")
            found[name] = _content(f"{variable}_FILE", Path(path))
    return found


def _content(label: str, path: Path) -> str:
    """What a file holds that was named for it. Raises ConfigurationError: nothing at all was hardly meant."""
    try:
        found = path.read_text("utf-8-sig").strip()
    except (OSError, ValueError) as error:  # ValueError: bytes that are no text, a path that is none
        reason = error.strerror if isinstance(error, OSError) else "not a text"
        raise ConfigurationError(f"{label} is {str(path)!r}, which cannot be read: {reason}") from None
    if not found:
        raise ConfigurationError(f"{label} is {str(path)!r}, which is empty; remove it where nothing is to be set")
    return found


def with_secret(name: str, account: Account, file: Path | None) -> Account:
    """Read the file that a secret lies in, and find the one of a key; a plain name is looked for among systemd's
    credentials first. What it says has to be as right as what stands in the table itself.
    """
    found: dict[str, Any] = {}
    if account.secret_file is not None:
        label, path = f"accounts.{name}.secret_file", _found(account.secret_file, file)
        found["secret"] = SecretStr(_content(label, path))
        if not found["secret"]:
            raise ConfigurationError(f"{label} is {str(path)!r}, which is empty")
    if account.dkim_key_file is not None:
        found["dkim_key_file"] = _found(account.dkim_key_file, file).absolute()
    given = {field: getattr(account, field) for field in account.model_fields_set}
    try:
        return Account(**{**given, **found}) if found else account
    except ValidationError as wrong:
        error = wrong.errors(include_url=False)[0]
        error["loc"] = ("accounts", name, *error["loc"])
        raise ConfigurationError(mistakes.line(error, file)) from None


def _found(named: Path, file: Path | None) -> Path:
    handed_over = os.environ.get("CREDENTIALS_DIRECTORY")
    folders = [*([Path(handed_over)] if handed_over else []), file.parent if file else Path()]
    paths = [folder / named for folder in folders]
    return next((path for path in paths if path.is_file()), paths[-1])
