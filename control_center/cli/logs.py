"""`logs`: what the programs have logged, for people."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import Enum
from pathlib import Path
from typing import Annotated, Final

import typer

from control_center.cli import streams
from control_center.cli.aim import Aim
from control_center.cli.verbs import verb

UNITS: Final = "control-center*"


class Level(str, Enum):
    """How grave a line is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def add_to(app: typer.Typer) -> None:
    verb(app, "logs", example="logs --message m-12", but=("config", "demo", "studio"))(logs)


async def logs(
    aim: Aim,
    *,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="- is stdin. Without: what is piped in, else the journal.")
    ] = "",
    unit: Annotated[str, typer.Option(metavar="NAME", help=f"The journal of this unit. [default: {UNITS}]")] = "",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, after the last ten lines.")] = False,
    studio: Annotated[str, typer.Option(metavar="ID", help="Only this studio.")] = "",
    trigger: Annotated[str, typer.Option(metavar="NAME", help="Only this trigger.")] = "",
    record: Annotated[str, typer.Option(help="Only this record, such as session/4711.")] = "",
    action: Annotated[str, typer.Option(metavar="ID", help="Only this action, such as a-12.")] = "",
    message: Annotated[str, typer.Option(metavar="ID", help="Only this message, such as m-12.")] = "",
    event: Annotated[str, typer.Option(metavar="ID", help="Only what this event of the CRM caused.")] = "",
    level: Annotated[Level | None, typer.Option(help="Only this and worse.")] = None,
) -> None:
    """Show log lines in words, all or those about one thing; what is no log line is shown as it is. Times are UTC."""
    from control_center.logs.reading import Sought, reader

    fields = {
        "studio": studio, "trigger": trigger, "record": record,
        "action": action, "message": message, "event_id": event,
    }  # fmt: skip
    sought = Sought({name: value for name, value in fields.items() if value}, level.value if level else "")
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    read = reader(sought, colours=colours, machine=aim.json)
    async with aclosing(_source(file, unit, follow=follow)) as chunks:
        async for some in streams.lines(chunks):
            shown = [text for line in some if (text := read(line)) is not None]
            sys.stdout.buffer.write(b"".join(text + b"\n" for text in shown))
            sys.stdout.buffer.flush()


def _source(file: str, unit: str, *, follow: bool) -> AsyncGenerator[bytes, None]:
    if file and unit:
        raise typer.BadParameter("give a FILE or --unit, not both")
    if file not in ("", "-"):
        return streams.file(Path(file), follow=follow)
    if file == "-" or (not unit and sys.stdin is not None and not sys.stdin.isatty()):
        return streams.piped(sys.stdin.fileno())
    return streams.journal(unit or UNITS, follow=follow)
