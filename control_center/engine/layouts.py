"""The built-in layouts of mails: MJML in `config/layouts`, made into HTML when a template that names one is saved.

What is stored is the HTML with its fields still to be filled in: a worker needs neither the files nor what reads them,
and a mail looks the same whoever sends it.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from control_center.domain.errors import Malformed
from control_center.domain.mail_html import CONTENT
from control_center.domain.template import check


def names() -> tuple[str, ...]:
    """The layouts there are."""
    return tuple(sorted(file.name.removesuffix(".mjml") for file in _folder().iterdir() if file.name.endswith(".mjml")))


def frame(layout: str, kind: str, *, field: str) -> str:
    """A layout as HTML with fields, checked for a kind of record. Raises Malformed with `field`."""
    if layout not in names():
        raise Malformed(field, f"{layout[:40]!r}; allowed: {', '.join(names())}")
    made = _html(layout)
    try:
        check(made, kind, field="layout", html=True)
    except Malformed as error:
        raise Malformed(field, f"{layout!r} is not for {kind} records: {error.reason}") from None
    return made


@lru_cache(maxsize=16)
def _html(layout: str) -> str:
    from mjml import mjml2html  # noqa: PLC0415 - for whoever saves a template, and nobody else

    made = mjml2html(_folder().joinpath(f"{layout}.mjml").read_text("utf-8"))
    assert made.count(CONTENT) == 1, "a layout has one place for the words"
    return made


def _folder() -> Traversable:
    """Beside the packages in a checkout, inside the package where installed."""
    beside = Path(__file__).resolve().parents[2] / "config" / "layouts"
    return beside if beside.exists() else files("control_center").joinpath("package_data", "config", "layouts")
