"""How a verb is made: options that every verb has, an example in its help, and one line when it fails."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import asyncio
import errno
import inspect
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

import typer

from control_center.cli.aim import Aim, fall_silent, harmless

_Config = Annotated[str, typer.Option("--config", help="The settings file to read.", metavar="FILE")]
_Set = Annotated[list[str], typer.Option("--set", help="Override one setting; may be repeated.", metavar="NAME=VALUE")]
_DataDir = Annotated[str, typer.Option("--data-dir", help="The data folder to aim at.", metavar="DIR")]
_Demo = Annotated[bool, typer.Option("--demo", help="Aim at the demo's data folder.")]
_Json = Annotated[bool, typer.Option("--json", help="Print for machines.")]
_Studio = Annotated[str, typer.Option("--studio", help="The studio; by default the one of the settings.", metavar="ID")]

COMMON: Final[dict[str, tuple[Any, Any]]] = {
    "config": (_Config, ""),
    "data_dir": (_DataDir, ""),
    "set_": (_Set, []),
    "demo": (_Demo, False),
    "studio": (_Studio, ""),
    "json": (_Json, False),
}
Work = Callable[..., Coroutine[Any, Any, int | None]]
# What a file or a terminal answers, and no connection: Python names no file where it was open already.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def group(app: typer.Typer, name: str, purpose: str) -> typer.Typer:
    """A noun with verbs of its own; one inside another is called by both names."""
    full = f"{app.info.name} {name}" if isinstance(app.info.name, str) else name
    noun = typer.Typer(name=full, help=purpose, rich_markup_mode=None, no_args_is_help=True)
    app.add_typer(noun, name=name)
    return noun


def verb(app: typer.Typer, name: str, *, example: str, but: tuple[str, ...] = ()) -> Callable[[Work], Work]:
    """Make a coroutine function a verb. Its first parameter is the Aim; the others are arguments and options.

    `but` names options of all verbs that this one has not. What it returns is the exit code, None for 0.
    """
    full = f"{app.info.name} {name}" if isinstance(app.info.name, str) else name

    def add(work: Work) -> Work:
        own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
        common = {key: one for key, one in COMMON.items() if key not in but}

        def run(**given: Any) -> None:
            aim = Aim(**{key: given.pop(key) for key in common})
            raise typer.Exit(_carry_out(full, lambda: work(aim, **given), aim))

        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        parameters += [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for key, (annotation, default) in common.items()
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__doc__ = work.__doc__
        app.command(name, epilog=f"Example: control-center {example}")(run)
        return work

    return add


def _carry_out(name: str, work: Callable[[], Coroutine[Any, Any, int | None]], aim: Aim) -> int:
    import uvloop

    try:
        aim.apply()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work()) or 0
    except (typer.BadParameter, typer.Exit, typer.Abort):
        raise  # wrong use, which typer explains
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `... | head` has read enough of what would never end
        fall_silent()
        return 0
    except Exception as error:  # noqa: BLE001 - the last place where anything can be said about it
        typer.echo(harmless(f"control-center {name}: {sentence(error)}"), err=True)
        return 1


def sentence(error: Exception) -> str:
    """What went wrong in one line."""
    from control_center.domain.errors import ControlCenterError

    words = " ".join(str(error).split())
    if isinstance(error, ControlCenterError):
        return words
    if isinstance(error, OSError) and error.filename is not None:  # of a file, and of no connection
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if isinstance(error, OSError) and error.errno in FULL:
        return f"what there was to write could not be written: {error.strerror}"
    db = sys.modules.get("control_center.store.db")  # only what was loaded can have failed
    if db is not None and isinstance(error, db.AWAY):
        return f"PostgreSQL does not answer ({type(error).__name__}: {words}): does it run, and is its address right?"
    if hasattr(error, "sqlstate"):
        return f"PostgreSQL says: {words}"
    if os.environ.get("CONTROL_CENTER_LOG_LEVEL") == "debug":
        import structlog

        structlog.get_logger().error("cli.fault", exc_info=error)
    hint = "CONTROL_CENTER_LOG_LEVEL=debug shows where"
    return f"a fault of this program, not of yours: {type(error).__name__}: {words} ({hint})"
