"""A mistake as one line: the setting, its value with secrets masked, and what is allowed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_core import ErrorDetails

from control_center.settings.account import Account
from control_center.settings.model import PREFIX, SECRETS, Settings


def line(error: ErrorDetails, file: Path | None) -> str:
    """One error of the model as one line; `file` is the file that was read, if there was one."""
    path = [str(part) for part in error["loc"]]
    value = error.get("input")
    reason = error["msg"].removeprefix("Value error, ")
    if isinstance(value, Mapping) and error["type"] == "value_error" and ": " in reason:
        within, _, reason = reason.partition(": ")  # said by a validator of the whole table
        path.append(within)
        value = value.get(within)
    elif not path:
        within, _, reason = reason.partition(": ")
        path, value = [within], None
    label = _label(path, file)
    if error["type"] == "extra_forbidden":
        return f"{label} is not a setting; {_meant(path)}"
    if value is None or isinstance(value, Mapping):
        return f"{label} {reason}" if reason.startswith("is ") else f"{label}: {reason}"
    return f"{label} is {_shown(path, value)}; {_allowed(error, reason)}"


def _meant(path: list[str]) -> str:
    model = Account if path[0] == "accounts" else Settings
    known = [str(field.validation_alias or name) for name, field in model.model_fields.items()]
    near = get_close_matches(path[-1], known, 1)
    return f"did you mean {near[0]}?" if near else f"allowed: {', '.join(sorted(known))}"


def _label(path: list[str], file: Path | None) -> str:
    variable = PREFIX + "__".join(path).upper()
    if variable in os.environ or f"{variable}_FILE" in os.environ or file is None:
        return variable
    return f"{file}: {'.'.join(path)}"


def _shown(path: list[str], value: Any) -> str:
    secret = path[-1] in SECRETS or path[-1] in {"secret", "url"} or isinstance(value, SecretStr)
    in_place_of_an_account = path[:-1] == ["accounts"]  # whoever forgot a name may have written its secret there
    if secret or in_place_of_an_account:
        return "'***'"
    return repr(value if isinstance(value, (str, int, float, bool)) else type(value).__name__)


def _allowed(error: ErrorDetails, reason: str) -> str:
    allowed = {
        "literal_error": f"allowed: {error.get('ctx', {}).get('expected', '')}",
        "string_pattern_mismatch": {
            "studio": "allowed: lower-case letters, digits, - and _, at most 50",
        }.get(str(error["loc"][0])),
        "bool_parsing": "allowed: true, false",
        "int_parsing": "allowed: a whole number",
    }.get(error["type"])
    return allowed or reason.replace("Input should be", "allowed:", 1)
