"""The HTML of a mail: nothing in it acts, whatever went in, and its words stay."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from control_center.domain import mail_html
from control_center.domain.errors import Malformed
from control_center.domain.mail_html import Page, framed, page, paragraphs

PIECES = st.sampled_from(
    [
        *(
            "<script>",
            "</script>",
            "<style>",
            "</style>",
            "<svg>",
            "<math>",
            "<iframe src=x>",
            "<img src=x onerror=a()>",
        ),
        *("<a href='javascript:a()'>", '<a href="jav&#x09;ascript:a()">', "<form action='https://e'>", "<input>"),
        *("<body onload=a()>", "<p style='background:url(javascript:a())'>", '<p style="width:expression(a())">'),
        *("<link rel=stylesheet href='https://e/x.css'>", "<base href='https://e/'>", "<meta http-equiv=refresh>"),
        *("<!--", "-->", "<![CDATA[", "]]>", "<noscript>", "</noscript>", "<template>", "<textarea>", "</title>"),
        *(
            "@media x{a{background:url(x)}}",
            "@import 'https://e/x.css';",
            "<mtext>",
            "<mglyph>",
            "{",
            "}",
            '"',
            "'",
            ">",
        ),
        *("<table>", "<td>", "</table>", "&lt;script&gt;", "\x00", "hello", "<div", " onclick=a()", "<html><head>"),
        *("<![if mso]>", "data:text/html,x", "<a href=' data:text/html;base64,x'>", "<object data=x>", "<embed src=x>"),
    ]
)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@given(st.lists(PIECES | st.text(max_size=12), max_size=14).map("".join))
@example("<style><!--</style><script>a()</script>-->")
@example("<svg><style><img src=x onerror=a()></style></svg>")
@example('<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=a()&gt;">')
def test_nothing_in_a_mail_acts_whatever_went_in(html: str) -> None:
    out = page(html)
    found = read(out.body)
    assert found.tags <= mail_html.TAGS
    for name, value in found.attributes:
        assert not name.startswith("on")
        plain = re.sub(r"[\x00-\x20]", "", unescape(value)).casefold()
        if name in ("href", "src"):
            assert plain.startswith(("https:", "http:", "mailto:", "tel:", "sms:", "#")), value
        if name == "style":
            assert not mail_html.acts(value)
    assert "<" not in out.media
    assert not mail_html.acts(out.media)


@given(st.lists(PIECES | st.text(max_size=12), max_size=14).map("".join))
def test_what_is_clean_stays_as_it_is(html: str) -> None:
    once = page(html).body
    assert page(once).body == once


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"]), min_size=1, max_size=30)
STYLED = "<html><head><style>p {{ color: red }} @media (max-width: 400px) {{ p {{ color: blue }} }}</style></head>"


@given(st.lists(WORDS, min_size=1, max_size=5))
def test_inlining_styles_keeps_every_word(said: list[str]) -> None:
    escaped = [word.replace("&", "&amp;").replace("<", "&lt;") for word in said]
    out = page(STYLED.format() + "<body>" + "".join(f"<p>{word}</p>" for word in escaped) + "</body></html>")
    assert read(out.body).text == "".join(said)
    assert out.body.count("color: red") == len(said)
    assert "max-width: 400px" in out.media


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_text_as_paragraphs_says_the_same_and_holds_no_markup_of_its_own(text: str) -> None:
    made = paragraphs(text)
    assert read(made).tags <= {"p", "br", "a"}
    assert page(made).body.replace("&nbsp;", "\xa0") == made or "\x00" in text or "\r" in text
    assert "".join(read(made).text.split()) == "".join(text.split())


def test_a_link_in_a_text_becomes_a_link_without_the_full_stop() -> None:
    made = paragraphs("See https://lakeside.example/g?a=1&b=2.\nBye\n\nAda")
    assert made == (
        '<p style="margin:0 0 16px">See <a href="https://lakeside.example/g?a=1&amp;b=2">'
        'https://lakeside.example/g?a=1&amp;b=2</a>.<br>Bye</p><p style="margin:0 0 16px">Ada</p>'
    )


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<p>Hi <b>Jo</b> &amp; Kim</p>", "<p>Hi <b>Jo</b> &amp; Kim</p>"),
        ('<form action="https://e.example"><p>Hi</p><input name="a"><button>Go</button></form>', "<p>Hi</p>Go"),
        ('<a href="javascript:alert(1)">x</a>', "<a>x</a>"),
        ('<a href="https://a.example/?q=1&amp;r=2">x</a>', '<a href="https://a.example/?q=1&amp;r=2">x</a>'),
        ('<a href="/session">x</a><a href="#place">y</a>', '<a>x</a><a href="#place">y</a>'),
        (
            '<p style="color:red">a</p><p style="background:url(https://e.example/x)">b</p>',
            '<p style="color:red">a</p><p>b</p>',
        ),
        ("<script>a()</script>Hi<!-- there -->", "Hi"),
        ('<img src="https://a.example/x.png" alt="x" onerror="a()">', '<img src="https://a.example/x.png" alt="x">'),
    ],
)
def test_what_a_studio_writes_is_left_as_far_as_it_only_shows(html: str, left: str) -> None:
    assert str(page(html)) == left


def test_a_remote_style_sheet_is_not_fetched_and_a_page_keeps_its_background() -> None:
    head = '<head><title>T</title><link rel="stylesheet" href="https://e.invalid/x.css"></head>'
    html = f'<html>{head}<body style="color:red">Hi</body></html>'
    assert page(html) == Page('<div style="color:red">Hi</div>')


def test_styles_that_cannot_be_read_are_left_out_and_not_the_mail() -> None:
    assert "Hi" in str(page("<style>p {{{ color</style><p>Hi</p>"))


@pytest.mark.parametrize("tag", ["<div>", "<b>", "<table><td>", "<ul><li>", "<a href=x><span>"])
@pytest.mark.parametrize("styled", ["", "<style>p{color:red}</style>"])
def test_as_many_tags_as_are_allowed_can_be_inside_of_each_other(tag: str, styled: str) -> None:
    room = (mail_html.MOST_TAGS - styled.count("<")) // tag.count("<")
    assert "Hi" in str(page(styled + tag * room + "Hi"))
    with pytest.raises(Malformed, match="at most 3000"):
        page(tag * mail_html.MOST_TAGS + "<p>")


def test_words_stand_in_their_layout_with_the_rules_for_narrow_screens_in_its_head() -> None:
    made = framed("<html><head></head><body>[[content]]</body></html>", Page("<p>Hi</p>", "@media x{p{color:red}}"))
    assert made == "<html><head><style>@media x{p{color:red}}</style></head><body><p>Hi</p></body></html>"
