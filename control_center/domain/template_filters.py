"""The filters a template may use. Each makes a value of values: none reads a clock, a file or another template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import wraps
from types import MappingProxyType
from typing import Any

from liquid import Environment
from liquid.builtin.filters import array, misc, string
from liquid.exceptions import FilterArgumentError, LiquidTypeError, ResourceLimitError
from liquid.filter import with_environment
from liquid.undefined import Undefined

from control_center.domain import template_dates
from control_center.domain.template_dates import Face, When
from control_center.domain.template_engine import Missing, words

LONGEST_TEXT = 16 * 1024  # characters that a filter may be given or make
LONGEST_LIST = 1000
_DIGITS = 18  # on either side of the point: beyond any price, and keeps a number from becoming a bomb

Filter = Callable[..., Any]


@with_environment
def _join(items: list[Any], between: str = " ", *, environment: Environment) -> str:
    texts = [words(item) for item in items]
    _check_length(sum(map(len, texts)) + len(between) * len(texts))
    joined: str = array.join(texts, between, environment=environment)
    return joined


def _map(items: list[Any], name: str) -> list[Any]:
    return [_item(item, name) for item in items]


def _item(item: Any, name: str) -> Any:
    try:
        found = item[name]
    except (KeyError, TypeError, IndexError):
        found = None
    return Missing(name, token=None) if found is None else found


def _replace(text: str, old: str, new: str = "") -> str:
    # Counted first: one replacement can make a text as long as its square.
    _check_length(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _date(value: Any, form: str | None = None) -> str:
    when = _when(value)
    if when is None:
        return words(value)  # as Liquid does with what is no date
    if form is None:
        return when.format.date(when.day)
    try:
        return template_dates.write(when, form)
    except ValueError as error:
        raise FilterArgumentError(str(error), token=None) from None


def _time(value: Any) -> str:
    when = _when(value)
    if when is None or when.clock is None:
        raise FilterArgumentError(f"{words(value)[:40]!r} has no time of day", token=None)
    return when.format.time(when.clock)


def _when(value: Any) -> When | None:
    if isinstance(value, When):
        return value
    return template_dates.read(value, template_dates.format_of(None), None, Face.BOTH)


def _number(value: Any) -> Decimal:
    """Amounts come as text ("800.00"): counted as decimals they keep their cents, and 0.1 stays 0.1."""
    try:
        number = Decimal(words(value).strip())
    except InvalidOperation:
        raise FilterArgumentError(f"{words(value)[:40]!r} is not a number", token=None) from None
    if not number.is_finite() or (number and not -_DIGITS <= number.adjusted() < _DIGITS):
        raise FilterArgumentError(f"{words(value)[:40]!r} is no number to count with", token=None)
    return number


def _counted(count: Callable[[Decimal, Decimal], Decimal]) -> Filter:
    def run(value: Any, other: Any) -> Decimal:
        try:
            return count(_number(value), _number(other))
        except ArithmeticError:
            raise FilterArgumentError("cannot divide by zero", token=None) from None

    return run


def _round(value: Any, digits: Any = 0) -> Decimal:
    if not isinstance(digits, int) or not 0 <= digits <= 9:
        raise FilterArgumentError("rounds to 0 to 9 digits", token=None)
    return _number(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


def _check_length(length: int) -> None:
    if length > LONGEST_TEXT:
        raise ResourceLimitError(f"a text longer than {LONGEST_TEXT} characters", token=None)


def _check_result(value: Any) -> Any:
    """Stop what grows: each filter may at most double what it is given, and here that ends."""
    if isinstance(value, str):
        _check_length(len(value))
    elif isinstance(value, list) and len(value) > LONGEST_LIST:
        raise ResourceLimitError(f"a list longer than {LONGEST_LIST}", token=None)
    elif isinstance(value, Decimal) and value.adjusted() >= _DIGITS:
        raise ResourceLimitError("a number beyond any price", token=None)
    return Missing("nothing", token=None) if value is None else value


def _of_text(run: Filter) -> Filter:
    """Make a filter of text: numbers and dates become text first."""

    @wraps(run)
    def fenced(value: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(value, Missing):
            return value  # so that a `default` further on still finds it missing
        text = words(value)
        _check_length(len(text))
        plain = [one if isinstance(one, int) else words(one) for one in arguments]
        return _check_result(run(text, *plain, **options))

    return fenced


def _of_list(run: Filter) -> Filter:
    @wraps(run)
    def fenced(value: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(value, Missing):
            return value
        if not isinstance(value, list):
            raise LiquidTypeError("needs a list", token=None)
        _check_result(value)
        return _check_result(run(value, *(words(one) for one in arguments), **options))

    return fenced


def _of_any(run: Filter) -> Filter:
    @wraps(run)
    def fenced(value: Any, *arguments: Any) -> Any:
        if isinstance(value, Missing):
            return value
        plain = [words(one) if isinstance(one, Undefined) else one for one in arguments]
        return _check_result(run(value, *plain))

    return fenced


_TEXT: Mapping[str, Filter] = {
    "append": string.append,
    "capitalize": string.capitalize,
    "downcase": string.downcase,
    "escape": string.escape,
    "lstrip": string.lstrip,
    "newline_to_br": string.newline_to_br,
    "prepend": string.prepend,
    "remove": string.remove,
    "remove_first": string.remove_first,
    "replace": _replace,
    "replace_first": string.replace_first,
    "rstrip": string.rstrip,
    "slice": string.slice_,
    "split": string.split,
    "strip": string.strip,
    "strip_newlines": string.strip_newlines,
    "truncate": string.truncate,
    "truncatewords": string.truncatewords,
    "upcase": string.upcase,
    "url_encode": string.url_encode,
}
_LIST: Mapping[str, Filter] = {
    "compact": array.compact,
    "join": _join,
    "map": _map,
    "reverse": array.reverse,
    "sort": array.sort,
    "uniq": array.uniq,
}
_ANY: Mapping[str, Filter] = {
    "date": _date,
    "divided_by": _counted(lambda one, other: one / other),
    "first": lambda items: items[0] if isinstance(items, list) and items else None,
    "last": lambda items: items[-1] if isinstance(items, list) and items else None,
    "minus": _counted(lambda one, other: one - other),
    "plus": _counted(lambda one, other: one + other),
    "round": _round,
    "size": lambda value: len(value) if isinstance(value, str | list | dict) else 0,
    "time": _time,
    "times": _counted(lambda one, other: one * other),
}

FILTERS: Mapping[str, Filter] = MappingProxyType(
    {
        "default": misc.default,
        **{name: _of_text(run) for name, run in _TEXT.items()},
        **{name: _of_list(run) for name, run in _LIST.items()},
        **{name: _of_any(run) for name, run in _ANY.items()},
    }
)
