"""Templates: checked when they are saved, filled in when a message goes out.

A template is Liquid with few tags and filters (`template_engine`, `template_filters`) over the fields of the
event (`template_fields`). What a client or the CRM wrote is only ever a value: it is never read as a template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.primitive import Literal
from liquid.builtin.tags.comment_tag import CommentNode
from liquid.exceptions import LiquidError, OutputStreamLimitError, ResourceLimitError, UndefinedError
from markupsafe import escape

from control_center.domain.errors import ControlCenterError, Malformed
from control_center.domain.mail_html import check_size
from control_center.domain.template_check import parse
from control_center.domain.template_context import context
from control_center.domain.template_engine import OUTPUT_LIMIT, Hole, Missing, Parsed, Reading, dotted, words
from control_center.domain.template_fields import KINDS, names, roots

__all__ = [
    "Template",
    "Unrenderable",
    "check",
    "check_template",
    "context",
    "fields_of",
    "names",
    "needed",
    "render",
    "render_subject",
]


class Unrenderable(ControlCenterError):  # noqa: N818 - reads as the sentence "raise Unrenderable(...)"
    """One message cannot be written. `field` is the one without a value, or empty; `reason` is for the log."""

    def __init__(self, field: str, reason: str = "") -> None:
        self.field = field
        self.reason = f"template: {reason or field}"
        super().__init__(self.reason)


@dataclass(frozen=True, slots=True)
class Template:
    """Words for one kind of record (or `any`), by channel. Letters and call notes use `text` and `html` too."""

    name: str
    kind: str = "any"
    purpose: str = "marketing"
    sms: str | None = None
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    layout: str | None = None
    attachments: tuple[str, ...] = ()


def check_template(template: Template) -> None:
    """Refuse a template that could not be filled in. Raises Malformed naming the part, the line and the field."""
    if template.sms is None and template.text is None:
        raise Malformed("template", "has no words: give sms or text, beside html also")
    for part in ("sms", "subject", "text", "html"):
        source = getattr(template, part)
        if source is not None:
            check(source, template.kind, field=f"template.{part}", html=part == "html")
    if template.html is not None:
        check_size(template.html, "template.html")
    if template.sms is not None and "unsubscribe_link" in fields_of(template.sms):
        raise Malformed("template.sms", "unsubscribe_link is for mail; a text is ended by the reply STOP")


def check(source: str, kind: str, *, field: str, html: bool = False) -> None:
    """Refuse a source that does not parse, or that uses a field, tag or filter that does not exist.

    `kind` is a kind of record, or `any`. Raises Malformed with `field`, the line and what is near or allowed.
    """
    if kind != "any" and kind not in KINDS:
        raise Malformed("template.kind", f"{kind[:40]!r}; allowed: any, {', '.join(KINDS)}")
    parse(source, field, roots(kind), html=html)


@lru_cache(maxsize=1024)
def fields_of(source: str) -> frozenset[str]:
    """The fields a source uses, as written: `{"client.first_name", "session.date"}`. Raises Malformed."""
    _, usage = parse(source, "template", None)
    return frozenset(usage.fields)


@lru_cache(maxsize=1024)
def needed(source: str) -> frozenset[tuple[str, ...]]:
    """The fields that a source cannot do without, outside conditions and loops.

    Each stands with those that a `default` puts in its place, of which one has to have a value:
    `{{ record.fields.gallery | default: studio.web }}` needs `("record.fields.gallery", "studio.web")`.
    """
    parsed, _ = parse(source, "template", None)
    found = set()
    for node in parsed.nodes:
        filled = node.expression if isinstance(node, Hole) else None
        if not isinstance(filled, FilteredExpression) or not isinstance(filled.left, Path):
            continue
        defaults = [one for one in filled.filters or [] if one.name == "default"]
        tried = [filled.left, *(one.args[0].value if one.args else None for one in defaults)]
        names = tuple(dotted(list(one.path)) for one in tried if isinstance(one, Path))
        if len(names) == len(tried):
            found.add(names)
    return frozenset(found)


def render(source: str, context: Mapping[str, Any], *, html: bool = False) -> str:
    """Fill a source in with a `context`; values are escaped where it is HTML.

    Raises Unrenderable where a field that is used is null or absent and no `default` stands in for it, and
    where a limit of time or size is reached.
    """
    try:
        text = _program(source, html).run(context)
    except UndefinedError as error:
        raise Unrenderable(str(error.message)) from None
    except ResourceLimitError as error:
        raise Unrenderable("", f"limit: {error.message}") from None
    except LiquidError as error:
        raise Unrenderable("", str(error.message)) from None
    except Malformed as error:
        raise Unrenderable("", error.reason) from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # A value of a type that nobody thought of must stop its own message and no other.
        raise Unrenderable("", f"{type(error).__name__}: {error}") from None
    return text


_PROPERTIES = frozenset({"size", "first", "last"})  # which Liquid gives to every list and text
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def render_subject(source: str, context: Mapping[str, Any]) -> str:
    """Fill a subject in, on one line: a value must not be able to begin another header."""
    return _BREAKS.sub(" ", render(source, context)).strip()


@dataclass(frozen=True, slots=True)
class _Blank:
    """One place to fill in: a path of names, then filters with their arguments."""

    path: tuple[str, ...]
    filters: tuple[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]], ...]

    def text(self, context: Mapping[str, Any], html: bool) -> str:  # noqa: FBT001 - on the hot path
        value: Any = context
        try:
            for name in self.path:
                value = value[name]
        except (KeyError, TypeError, IndexError):
            value = None
        if value is None:
            value = Missing(".".join(self.path), token=None)
        for run, arguments, options in self.filters:
            value = run(value, *arguments, **options)
        return escape(words(value)) if html else words(value)


@dataclass(frozen=True, slots=True)
class _Program:
    """A source made ready to run.

    The short way is a row of words and blanks, which is what nearly every template is made of. One with
    conditions, loops or assignments takes the long way through python-liquid, which costs three times as much.
    """

    way: tuple[str | _Blank, ...] | Parsed
    html: bool

    def run(self, context: Mapping[str, Any]) -> str:
        if isinstance(self.way, Parsed):
            return self.way.render(context)
        texts = [piece if isinstance(piece, str) else piece.text(context, self.html) for piece in self.way]
        text = "".join(texts)
        if len(text) * 4 > OUTPUT_LIMIT and len(text.encode()) > OUTPUT_LIMIT:
            raise OutputStreamLimitError("output stream limit reached", token=None)
        return text


@lru_cache(maxsize=2048)
def _program(source: str, html: bool) -> _Program:  # noqa: FBT001 - part of the cache's key
    parsed, _ = parse(source, "template", None, html=html)
    return _Program(_pieces(parsed) or parsed, html)


def _pieces(parsed: Parsed) -> tuple[str | _Blank, ...] | None:
    pieces: list[str | _Blank] = []
    for node in parsed.nodes:
        if isinstance(node, ContentNode):
            pieces.append(node.text)
        elif isinstance(node, Hole):
            blank = _blank(node, parsed)
            if blank is None:
                return None
            pieces.append(blank)
        elif not isinstance(node, CommentNode):
            return None
    return tuple(pieces)


def _blank(node: Hole, parsed: Parsed) -> _Blank | None:
    """A place whose path is made of names and whose filters have nothing but constants; None for any other."""
    expression = node.expression
    if not isinstance(expression, FilteredExpression) or not isinstance(expression.left, Path):
        return None
    path = expression.left.path
    filters = expression.filters or []
    constant = all(isinstance(argument.value, Literal) for one in filters for argument in one.args)
    if not constant or any(not isinstance(name, str) or name in _PROPERTIES for name in path):
        return None
    return _Blank(tuple(map(str, path)), tuple(_bound(one, Reading(parsed)) for one in filters))


def _bound(one: Filter, reading: Reading) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """A filter with its constant arguments, as python-liquid would evaluate them on every rendering."""
    values, options = one.evaluate_args(reading)
    return reading.filter(one.name, token=one.token), tuple(values), options
