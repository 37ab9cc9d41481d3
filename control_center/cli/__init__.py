"""`control-center VERB`: everything the console and the API can do, for hands and for scripts.

Each verb exits 0 on success, 1 on failure with one line on stderr, and 2 on wrong use.
"""

from __future__ import annotations

import io
import sys

import typer

from control_center.cli import (
    actions,
    audit,
    blackouts,
    bulk,
    clients,
    consents,
    emitting,
    events,
    fencing,
    logs,
    mail,
    messages,
    running,
    scores,
    studios,
    templates,
    triggers,
    usage,
    users,
    why,
)

app = typer.Typer(
    help="Turns a photography studio's CRM events into the right text or email, at the right hour, once.",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (
    running,
    emitting,
    why,
    logs,
    events,
    actions,
    messages,
    bulk,
    mail,
    blackouts,
    triggers,
    templates,
    studios,
    clients,
    consents,
    users,
    audit,
    usage,
    scores,
    fencing,
):
    part.add_to(app)


def main() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):  # a letter that a terminal does not know is shown by its number
        sys.stdout.reconfigure(errors="backslashreplace")
    app(prog_name="control-center")
