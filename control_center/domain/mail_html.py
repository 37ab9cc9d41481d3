"""The HTML of a mail as it may leave: styles where mail programs read them, and nothing that acts or calls home.

Done after the template is filled in, so that it holds for what clients and the CRM wrote as well. What is needed for it
is imported when the first mail needs it: a worker that sends texts never does.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Final

from control_center.domain.errors import Malformed

if TYPE_CHECKING:
    import css_inline
    import nh3

CLIPPED_FROM: Final = 102 * 1024  # bytes; a large mail service shows no more of a mail, nor its unsubscribe link
MOST_TAGS: Final = 3000  # what reads HTML for us works inwards, and some thousand deep it ends our process
CONTENT: Final = "[[content]]"  # stands in a layout where a mail's own words go

TAGS: Final = frozenset(
    {"a", "abbr", "b", "blockquote", "br", "caption", "center", "cite", "code", "col", "colgroup", "dd", "del", "div"}
    | {"dl", "dt", "em", "figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr"}
    | {"i", "img", "ins", "li", "main", "mark", "ol", "p", "pre", "q", "s", "section", "small", "span", "strike"}
    | {"strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "u", "ul", "wbr"}
)
# Gone with all that is in them; of what else is not listed above, only the tag goes.
_GONE: Final = frozenset(
    {"applet", "audio", "base", "canvas", "embed", "frameset", "iframe", "math", "noembed", "noframes", "noscript"}
    | {"object", "script", "select", "style", "svg", "template", "textarea", "title", "video", "xmp"}
)
_EVERYWHERE: Final = frozenset(
    {"align", "bgcolor", "class", "dir", "lang", "role", "style", "title", "valign", "width"}
)
_ATTRIBUTES: Final = {
    "*": set(_EVERYWHERE),
    "a": {"href", "name", "target"},
    "col": {"span"},
    "font": {"color", "face", "size"},
    "hr": {"size"},
    "img": {"alt", "border", "height", "hspace", "src", "vspace"},
    "ol": {"start", "type"},
    "table": {"border", "cellpadding", "cellspacing", "height", "summary"},
    "td": {"colspan", "headers", "height", "nowrap", "rowspan"},
    "th": {"colspan", "headers", "height", "nowrap", "rowspan", "scope"},
    "tr": {"height"},
}
_SCHEMES: Final = {"http", "https", "mailto", "sms", "tel"}

_STYLED: Final = re.compile(r"<\s*(?:style|!doctype|html|head|body)\b", re.IGNORECASE)
_BODY: Final = re.compile(r"<(/?)body\b", re.IGNORECASE)
# In CSS, all that fetches something or was once run by a mail program.
_ACTS: Final = re.compile(
    r"url\s*\(|image-set|expression|@import|javascript|behaviou?r|-moz-binding|[\\<]|/\*", re.IGNORECASE
)
_LINK: Final = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]]")


@dataclass(frozen=True, slots=True)
class Page:
    """What is left of a mail's HTML: its body, and the rules for narrow and dark screens that go into its head."""

    body: str
    media: str = ""

    def __str__(self) -> str:
        """A mail of its own; a fragment stays one where it has no such rules."""
        if not self.media:
            return self.body
        head = f'<meta charset="utf-8"><style>{self.media}</style>'
        return f"<!doctype html><html><head>{head}</head><body>{self.body}</body></html>"


def page(html: str) -> Page:
    """Put styles where they belong and leave out what must not be there, whatever the input.

    Raises Malformed for more than MOST_TAGS tags.
    """
    check_size(html, "html")
    media = ""
    if _STYLED.search(html):
        html, media = _inlined(html)
    return Page(_cleaner().clean(html), media)


def check_size(html: str, field: str) -> None:
    """Raises Malformed for more than MOST_TAGS tags."""
    tags = html.count("<")
    if tags > MOST_TAGS:
        raise Malformed(field, f"{tags} tags; at most {MOST_TAGS}")


def framed(frame: str, content: Page) -> str:
    """A filled-in layout with a mail's own words in it, where it says `CONTENT`."""
    head, _, tail = frame.partition(CONTENT)
    if content.media:
        head = head.replace("</head>", f"<style>{content.media}</style></head>", 1)
    return head + content.body + tail


def paragraphs(text: str) -> str:
    """Plain text as HTML: a paragraph for each, its line breaks kept, its links made links."""
    parts = (part.strip("\n") for part in re.split(r"\n[ \t]*\n", text))
    return "".join(f'<p style="margin:0 0 16px">{_lines(part)}</p>' for part in parts if part.strip())


def _lines(text: str) -> str:
    pieces, end = [], 0
    for link in _LINK.finditer(text):
        there = escape(link[0])
        pieces += [escape(text[end : link.start()]), f'<a href="{there}">{there}</a>']
        end = link.end()
    return "".join([*pieces, escape(text[end:])]).replace("\n", "<br>")


def _inlined(html: str) -> tuple[str, str]:
    """Move the styles of a document to where they apply; return it with the rules that cannot be moved."""
    import css_inline

    try:
        inlined = _inliner().inline(html)
    except css_inline.InlineError:  # styles that nobody can read are left out, and not the mail
        return html, ""
    media = "\n".join(rule for style in _styles(inlined) for rule in _media(style))
    return _BODY.sub(r"<\1div", inlined), media


def _styles(html: str) -> Iterator[str]:
    """What stands between the tags of the styles of a document that the inliner wrote."""
    end = 0
    while (start := html.find("<style", end)) >= 0:
        opened, end = html.find(">", start), html.find("</style>", start)
        if end < 0 or not 0 <= opened < end:
            return
        yield html[opened + 1 : end]


def _media(css: str) -> Iterator[str]:
    """The `@media` rules of a style sheet that do nothing but lay out."""
    start = 0
    while (start := css.find("@", start)) >= 0:
        opened, depth, end = css.find("{", start), 0, start
        if opened < 0:
            return
        for end in range(opened, len(css)):
            depth += (css[end] == "{") - (css[end] == "}")
            if depth == 0:
                break
        rule, start = css[start : end + 1], end + 1
        if rule.startswith("@media") and depth == 0 and not acts(rule):
            yield rule


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    import css_inline

    return css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


@lru_cache(maxsize=1)
def _cleaner() -> nh3.Cleaner:
    import nh3

    return nh3.Cleaner(
        tags=TAGS,
        clean_content_tags=_GONE,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes=_SCHEMES,
        url_relative=_anchor,
        link_rel=None,
        filter_style_properties=None,
    )


def acts(css: str) -> bool:
    """Whether a style does anything beside laying out."""
    return _ACTS.search(css) is not None


def _attribute(_tag: str, name: str, value: str) -> str | None:
    return None if name == "style" and acts(value) else value


def _anchor(address: str) -> str | None:
    """Addresses without a host lead nowhere from within a mail, but for places in the mail itself."""
    return address if address.startswith("#") else None
