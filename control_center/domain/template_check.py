"""What a template uses, told when it is saved: unknown fields, tags and filters are refused by name and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from liquid import Node, RenderContext
from liquid.builtin.expressions import FilteredExpression, LoopExpression, Path
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.primitive import RangeLiteral, StringLiteral
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.exceptions import LiquidError
from liquid.expression import Expression

from control_center.domain.errors import Malformed
from control_center.domain.template_dates import unknown_directive
from control_center.domain.template_engine import TAGS, Engine, Hole, Parsed, dotted
from control_center.domain.template_fields import At, Group, Leaf, Made, Many, Shape, full_names
from control_center.domain.template_filters import FILTERS

SOURCE_LIMIT = 100_000  # characters of one part of a template
_MARKUP_LIMIT = 500  # characters between two braces: the parser's patterns take the square of it

_OPENING = re.compile(r"\{\{|\{%")
_HTML_TAG = re.compile(r"""<[a-z](?:[^<>"']++|"[^"]*+"|'[^']*+')*+""", re.IGNORECASE)
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")
_UNQUOTED = re.compile(r"=\s{0,99}\{\{")
_SCRIPT = re.compile(r"<\s*script", re.IGNORECASE)
_TAG_NAME = re.compile(r"-?\s*(#|\w*)")
_END_OF_RAW = re.compile(r"\{%-?\s{0,99}endraw\s{0,99}-?%\}")

_ENGINES = {html: Engine(FILTERS, autoescape=html) for html in (False, True)}


@dataclass(slots=True)
class Usage:
    """What a template was found to use. `size` counts its nodes and expressions."""

    fields: set[str] = field(default_factory=set)
    size: int = 0


def parse(source: str, field: str, roots: Group | None, *, html: bool = False) -> tuple[Parsed, Usage]:
    """Parse a template and list what it uses.

    With `roots`, the names it may begin with, every field must be known. Raises Malformed with `field`, the line,
    what was found there and what is allowed.
    """
    _scan(source, field)
    if html:
        check_html(source, field)
    try:
        parsed = _ENGINES[html].from_string(source)
        assert isinstance(parsed, Parsed), "the engine makes no other"
        usage = _Reader(source, field, roots, RenderContext(parsed)).read(parsed.nodes)
    except LiquidError as error:
        place = error.token.start_index if error.token else -1
        raise _malformed(source, field, place, str(error.message)) from None
    except RecursionError:
        raise Malformed(field, "nested too deeply") from None
    parsed.size = max(usage.size, 1)
    return parsed, usage


def _malformed(source: str, field: str, place: int, reason: str) -> Malformed:
    return Malformed(field, f"line {source.count(chr(10), 0, place) + 1}: {reason}" if place >= 0 else reason)


def _scan(source: str, field: str) -> None:
    """Refuse what the parser should not see: unclosed or endless markup, and tags that are not ours."""
    check_length(source, field)
    place = 0
    while opening := _OPENING.search(source, place):
        start = opening.start()
        end = source.find("}}" if opening[0] == "{{" else "%}", start)
        if end < 0:
            raise _malformed(source, field, start, f"{opening[0]} is never closed")
        if end - start > _MARKUP_LIMIT:
            raise _malformed(source, field, start, f"more than {_MARKUP_LIMIT} characters in one pair of braces")
        place = end + 2
        if opening[0] == "{%":
            place = _scan_tag(source, field, start, place)


def check_length(source: str, field: str) -> None:
    """Refuse more than SOURCE_LIMIT characters. Raises Malformed with `field`."""
    if len(source) > SOURCE_LIMIT:
        raise Malformed(field, f"{len(source)} characters; at most {SOURCE_LIMIT}")


def check_html(source: str, field: str) -> None:
    """Refuse scripts, and places where escaping a value does not keep it a value. Raises Malformed with `field`."""
    if found := _SCRIPT.search(source):
        raise _malformed(source, field, found.start(), "a mail cannot run a script; leave it out")
    for tag in _HTML_TAG.finditer(source):
        if _UNQUOTED.search(_QUOTED.sub('""', tag[0])):
            raise _malformed(source, field, tag.start(), 'put quotes around a value in a tag: ="{{ … }}"')


def _scan_tag(source: str, field: str, start: int, end: int) -> int:
    """Check one tag's name; return where to go on, which for `raw` is behind its end."""
    found = _TAG_NAME.match(source, start + 2)
    name = found[1] if found else ""
    if name not in TAGS:
        names = ", ".join(tag for tag in TAGS if not tag.startswith("end") and tag != "#")
        raise _malformed(source, field, start, f"the tag {name[:40]!r} is not allowed; allowed: {names}")
    if name != "raw":
        return end
    closing = _END_OF_RAW.search(source, end)
    if closing is None:
        raise _malformed(source, field, start, "raw is never closed by endraw")
    return closing.end()


@dataclass(slots=True)
class _Reader:
    """Walks a parsed template with the shape of every name that is in scope."""

    source: str
    part: str
    roots: Group | None
    context: RenderContext
    assigned: dict[str, Shape] = field(default_factory=dict)
    blocks: list[dict[str, Shape]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    def read(self, nodes: Iterable[Node]) -> Usage:
        for node in nodes:
            self.node(node)
        return self.usage

    def node(self, node: Node) -> None:
        self.usage.size += 1
        shapes = [self.expression(expression) for expression in node.expressions()]
        if isinstance(node, Hole) and isinstance(shapes[0], Mapping | Many):
            raise self.wrong(node.expression, f"{node.expression} is no single value; use a field of it")
        if isinstance(node, AssignNode):
            shape = shapes[0]
            self.assigned[node.name] = shape if self.assigned.get(node.name, shape) == shape else Leaf.OPEN
        if isinstance(node, ForNode):
            item = self.item(node.expression, shapes[0])
            self.blocks.append({node.expression.identifier: item, "forloop": Leaf.OPEN})
            self.read(node.children(self.context))
            self.blocks.pop()
        else:
            self.read(node.children(self.context))

    def item(self, loop: LoopExpression, shape: Shape) -> Shape:
        if isinstance(shape, Many):
            return shape.item
        if shape is Leaf.OPEN or shape is Leaf.FIELDS:
            return Leaf.OPEN
        raise self.wrong(loop.iterable, f"{loop.iterable} is not a list")

    def expression(self, expression: Expression) -> Shape:
        """Check an expression; return the shape of its value, which any filter makes unknown."""
        self.usage.size += 1
        if isinstance(expression, RangeLiteral):
            raise self.wrong(expression, "ranges are not allowed; loop over a list")
        if isinstance(expression, Path):
            return self.path(expression)
        filters = (expression.filters or []) if isinstance(expression, FilteredExpression) else []
        for one in filters:
            self.filter(one)
        shapes = [self.expression(child) for child in expression.children()]
        whole = isinstance(expression, FilteredExpression | LoopExpression) and not filters
        return shapes[0] if whole else Leaf.OPEN

    def filter(self, one: Filter) -> None:
        self.usage.size += 1
        if one.name not in FILTERS:
            allowed = ", ".join(sorted(FILTERS))
            reason = f"there is no filter {one.name!r}{_nearest(one.name, FILTERS)}; allowed: {allowed}"
            raise _malformed(self.source, self.part, one.token.start_index, reason)
        form = one.args[0].value if one.name == "date" and one.args else None
        if isinstance(form, StringLiteral) and (unknown := unknown_directive(form.value)):
            raise self.wrong(form, f"{unknown!r} is no part of a date")

    def path(self, path: Path) -> Shape:
        """Follow a path through the shapes; what lies in an OPEN one is not known, and so not refused."""
        steps = list(path.path)
        root = steps[0]
        if not isinstance(root, str) or any(isinstance(step, Path) for step in steps):
            raise self.wrong(path, f"{path}: a name must be written out")
        for scope in (*reversed(self.blocks), self.assigned):
            if root in scope:
                return self.walk(path, scope[root], steps[1:])
        self.usage.fields.add(dotted(list(steps)))
        if self.roots is None:
            return Leaf.OPEN
        if root not in self.roots:
            raise self.wrong(path, f"there is no {path} here{self.nearest(path)}; names: {', '.join(self.roots)}")
        return self.walk(path, self.roots, list(steps))

    def walk(self, path: Path, shape: Shape, steps: Iterable[object]) -> Shape:
        for step in steps:
            found = _step(shape, step)
            if found is None:
                raise self.wrong(path, f"there is no field {path}{self.nearest(path)}")
            shape = found
        return shape

    def nearest(self, path: Path) -> str:
        return _nearest(str(path), full_names(self.roots)) if self.roots else ""

    def wrong(self, expression: Expression, reason: str) -> Malformed:
        return _malformed(self.source, self.part, expression.token.start_index, reason)


def _step(shape: Shape, step: object) -> Shape | None:
    """What stands one step further in; None where nothing can."""
    if isinstance(shape, Many):
        if step == "size":
            return Leaf.TEXT
        return shape.item if isinstance(step, int) or step in ("first", "last") else None
    if isinstance(shape, Mapping):
        return shape.get(step) if isinstance(step, str) else None
    leaf = shape.leaf if isinstance(shape, At | Made) else shape
    return Leaf.OPEN if leaf in (Leaf.OPEN, Leaf.FIELDS) else None


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=3)
    return f"; did you mean {', '.join(near)}?" if near else ""
