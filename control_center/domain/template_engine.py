"""python-liquid, fenced in: few tags, few filters, no clock, no files, limits, and values that must be there."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TextIO

from liquid import Environment, RenderContext, Tag, Token
from liquid.builtin import content, illegal, output
from liquid.builtin.tags import assign_tag, case_tag, comment_tag, for_tag, if_tag, inline_comment_tag, unless_tag
from liquid.exceptions import LiquidTypeError, LoopIterationLimitError, UndefinedError
from liquid.output import LimitedStringIO
from liquid.template import BoundTemplate
from liquid.undefined import UNDEFINED, Undefined
from liquid.utils import ReadOnlyChainMap
from markupsafe import escape

from control_center.domain.template_dates import When

OUTPUT_LIMIT = 256 * 1024  # bytes of one rendered part; mail programs cut off earlier
LOCALS_LIMIT = 64 * 1024  # bytes held by `assign`
STEPS_LIMIT = 20_000  # nodes and expressions of a template, times the rounds of its loops

TAGS = (
    *("if", "elsif", "else", "endif", "unless", "endunless", "case", "when", "endcase"),
    *("for", "endfor", "break", "continue", "assign", "comment", "endcomment", "raw", "endraw", "#"),
)


class Missing(Undefined):
    """A field without a value: false in a condition, replaced by `default`, and an error wherever it is used."""

    __slots__ = ()
    force_liquid_default = True

    def _use(self, *_: object) -> Any:
        raise UndefinedError(self.name, token=None)

    __str__ = __iter__ = __len__ = __int__ = __float__ = __reversed__ = _use


def words(value: object) -> str:
    """Write a value as a reader sees it. Raises LiquidTypeError for what is no text, number or date."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int | float | When | Undefined):
        return str(value)
    if value is None:
        raise LiquidTypeError("nothing is there", token=None)
    raise LiquidTypeError("a list or group is not text; use a field of it, `join` or a `for` loop", token=None)


class Reading(RenderContext):
    """One rendering: looks names up in plain mappings only, and counts the rounds of loops."""

    rounds = 0

    def __init__(self, template: BoundTemplate, **options: Any) -> None:
        super().__init__(template, **options)
        # Without python-liquid's own `now` and `today`, which read the machine's clock.
        self.scope = ReadOnlyChainMap(self.locals, self.globals)

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        """Follow a path; what is absent, and what is null, is Missing."""
        value: Any = self.scope
        try:
            value = value[path[0]]
            for name in path[1:]:
                value = self.get_item(value, name)
        except (KeyError, TypeError, IndexError):
            value = None
        if value is not None:
            return value
        return Missing(dotted(path), token=token) if default is UNDEFINED else default

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Stop a template whose loops together would take too many rounds, nested or one after the other."""
        self.rounds += length
        template = self.template
        assert isinstance(template, Parsed), "this engine makes no other"
        if self.rounds * template.size > STEPS_LIMIT:
            raise LoopIterationLimitError("too many rounds of loops", token=None)


def dotted(path: list[object]) -> str:
    """`["client", "phones", 0, "number"]` as it is written: client.phones[0].number."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


class Parsed(BoundTemplate):
    """A parsed template; `size` is what one pass through it costs, in steps."""

    context_class = Reading
    size = 1

    def _get_buffer(self) -> LimitedStringIO:
        # Its own choice of newlines would turn a value's \r into \n.
        return LimitedStringIO(OUTPUT_LIMIT, newline="")


class Hole(output.OutputNode):
    """A place of a template where a value is written."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the value, escaped where the template is HTML."""
        text = words(self.expression.evaluate(context))
        return buffer.write(escape(text) if context.autoescape else text)


class _Output(output.Output):
    node_class = Hole


_TAGS: tuple[type[Tag], ...] = (
    *(content.Literal, _Output, illegal.Illegal, if_tag.IfTag, unless_tag.UnlessTag, case_tag.CaseTag),
    *(for_tag.ForTag, for_tag.BreakTag, for_tag.ContinueTag, assign_tag.AssignTag),
    *(comment_tag.CommentTag, inline_comment_tag.InlineCommentTag),
)


class Engine(Environment):
    """Parses templates. Two exist: for HTML, and for everything else."""

    template_class = Parsed
    local_namespace_limit = LOCALS_LIMIT
    output_stream_limit = OUTPUT_LIMIT
    block_nesting_limit = 10
    context_depth_limit = 20

    def __init__(self, filters: Mapping[str, Any], *, autoescape: bool) -> None:
        self._allowed = filters
        super().__init__(undefined=Missing, autoescape=autoescape)

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Register what a template may use, and nothing that reads files, clocks or other templates."""
        assert not extra, "there is one set"
        for tag in _TAGS:
            self.add_tag(tag)
        self.filters = dict(self._allowed)
