"""Reading JSON from outside: what is wrong is refused with its field, in one line."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from control_center.domain.errors import Malformed
from control_center.domain.record import Record, check_moment

_NAME_LIMIT = 200  # characters of anything that becomes part of a key
_LARGEST_VERSION = 2**53  # what every JSON writer can say exactly
_NESTING = 100  # levels of one record
_BEST_SCORE = 10  # how likely somebody is to recommend

_MISSING = re.compile("Object missing required field `(.*)`")
_ANYTHING = msgspec.json.Decoder()


def decode_json(decoder: Any, raw: Any, field: str) -> Any:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        found, _, path = str(error).partition(" - at `$")
        place = path.rstrip("`").lstrip(".").partition("[...]")[0]  # msgspec does not say which name it was
        missing = _MISSING.fullmatch(found)
        if missing:
            place, found = f"{place}.{missing[1]}".lstrip("."), "is missing"
        raise Malformed(".".join(part for part in (field, place) if part), found) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(field, f"not JSON: {error}") from None
    except RecursionError:
        raise Malformed(field, "nested too deeply") from None


def check_name(field: str, text: str) -> None:
    if not 1 <= len(text) <= _NAME_LIMIT:
        raise Malformed(field, f"{len(text)} characters; allowed are 1 to {_NAME_LIMIT}")


def check_record(record: Record, field: str) -> None:
    check_name(f"{field}.id", record.record_id)
    if not 1 <= record.version <= _LARGEST_VERSION:
        raise Malformed(f"{field}.version", f"{str(record.version)[:40]}; allowed is an integer from 1 to 2^53")
    for name in ("client_id", "type", "status"):
        value = getattr(record, name)
        if value is not None:
            check_name(f"{field}.{name}", value)
    for name in ("status_changed_at", "status_due_date"):
        value = getattr(record, name)
        if value is not None:
            check_moment(f"{field}.{name}", value)
    for name, value in record.dates.items():
        if value is not None:
            check_moment(f"{field}.dates.{_in_a_line(name)}", value)
    _check_rarer(record, field)


def _check_rarer(record: Record, field: str) -> None:
    """What few records have: days that come round each year, instalments, a score."""
    days = [("birthday", record.birthday), ("anniversary", record.anniversary)]
    days += [(f"family[{place}].birthday", one.birthday) for place, one in enumerate(record.family or ())]
    days += [(f"instalments[{place}].due", one.due) for place, one in enumerate(record.instalments or ())]
    for place, instalment in enumerate(record.instalments or ()):
        check_name(f"{field}.instalments[{place}].id", instalment.instalment_id)
    nps = record.nps
    if nps is not None:
        days.append(("nps.received_at", nps.received_at))
        if nps.response_id is not None:
            check_name(f"{field}.nps.id", nps.response_id)
        if nps.score is not None and not 0 <= nps.score <= _BEST_SCORE:
            raise Malformed(f"{field}.nps.score", f"{nps.score}; allowed is a whole number from 0 to {_BEST_SCORE}")
    for name, value in days:
        if value is not None:
            check_moment(f"{field}.{name}", value)


def _in_a_line(name: str) -> str:
    """A name that somebody else chose, fit for a line that a person reads."""
    return repr(name[:_NAME_LIMIT])[1:-1]


def refuse_nul(body: bytes) -> None:
    """NUL cannot be stored as text. The quick look finds nearly none; the walk names the field."""
    if b"\\u0000" not in body:
        return
    try:
        field = _find_nul(decode_json(_ANYTHING, body, ""), "")
    except RecursionError:
        raise Malformed("", "nested too deeply") from None
    if field is not None:
        raise Malformed(_in_a_line(field), "holds a NUL character, which cannot be stored")


def _find_nul(value: Any, path: str) -> str | None:
    if isinstance(value, str):
        return path if "\x00" in value else None
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(key, str) and "\x00" in key:
            return path or "a name at the top"
        inner = _find_nul(item, f"{path}.{key}".lstrip(".") if isinstance(key, str) else f"{path}[{key}]")
        if inner is not None:
            return inner
    return None


# Every digit becomes a 0: then numbers too large for any reader show as a few fixed sequences, found at memory speed.
_ONE_DIGIT = bytes.maketrans(b"123456789E", b"000000000e")
_HUGE = (b"0" * 200, b"0e000", b"0e+000")


def _may_hold_a_huge_number(raw: bytes) -> bool:
    flat = raw.translate(_ONE_DIGIT)
    return any(sequence in flat for sequence in _HUGE)


def check_readable(raw: bytes, field: str) -> None:
    """Refuse what typed reading passes over and nobody could read later. The quick look clears nearly every body."""
    if raw.count(b"{") + raw.count(b"[") <= _NESTING and not _may_hold_a_huge_number(raw):
        return
    level, depth = [decode_json(_ANYTHING, raw, field)], 0
    while level:
        depth += 1
        inner = (value for outer in level for value in (outer.values() if isinstance(outer, dict) else outer))
        level = [value for value in inner if isinstance(value, (dict, list))]
    if depth > _NESTING:
        raise Malformed(field, f"nested {depth} levels deep; allowed are {_NESTING}")
