"""The verbs that run the installation, and those that look after it."""

# ruff: noqa: PLC0415 - help must not wait for what a verb works with

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from control_center.cli.aim import Aim, note, of_the_demo, show
from control_center.cli.tables import as_json
from control_center.cli.verbs import verb

if TYPE_CHECKING:
    from control_center.settings import Settings


def add_to(app: typer.Typer) -> None:
    verb(app, "run", example="run engine release web", but=("studio", "json"))(run)
    verb(app, "demo", example="demo --json", but=("demo", "studio", "config"))(demo)
    verb(app, "migrate", example="migrate", but=("studio",))(migrate)
    verb(app, "check", example="check --json", but=("studio",))(check)


async def run(
    aim: Aim,
    *,
    roles: Annotated[list[str] | None, typer.Argument(metavar="ROLE", help="engine, release, sms, email, web")] = None,
) -> None:
    """Run the roles named, or all of them, until SIGTERM or Ctrl-C."""
    from control_center.cli.looking import look
    from control_center.daemon import running

    unknown = [role for role in roles or () if role not in running.ROLES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r}; allowed: {', '.join(running.ROLES)}")
    settings = logged(aim)
    with until_told():
        await running.run(
            settings, roles or running.ROLES, say=note, beside=lambda here: look(settings, here.endpoints)
        )


async def demo(aim: Aim) -> None:
    """Show everything at work on this machine alone: a sample studio, a simulated CRM, providers that send nothing."""
    from control_center.cli import demonstration

    of_the_demo()
    aim.apply()
    # Its triggers text at any hour, on purpose; what that is warned of is for studios. For the workers as well.
    os.environ.setdefault("CONTROL_CENTER_LOG_LEVEL", "error")
    settings = logged(aim)
    with until_told():
        await demonstration.run(settings, machine=aim.json)


async def migrate(aim: Aim) -> None:
    """Create the database, or upgrade it to this program; nothing happens where there is nothing to do."""
    from control_center.daemon import place, servers
    from control_center.store import migrate as upgrade

    settings = aim.quiet()
    running = aim.endpoints(settings)
    dsn = settings.database_url.get_secret_value() or (running.database_url if running else "")
    if dsn:
        done = await upgrade.migrate(dsn)
    else:
        with place.occupied(settings.data_dir):
            async with servers.private_database(settings, note):
                done = ["the private database is up to date"]
    if aim.json:
        as_json({"done": done})
    else:
        show("\n".join(done) or "nothing to do: the database is up to date")


async def check(aim: Aim) -> int:
    """Look at settings, database, broker, templates, triggers and clock: a line each, and a hint where one fails."""
    from control_center.cli import checking

    findings = await checking.everything(aim)
    if aim.json:
        as_json({"ok": all(one.ok for one in findings), "checks": findings})
    else:
        for one in findings:
            show(f"{'ok    ' if one.ok else 'FAILED'}  {one.name:<10}{one.says}")
            if one.hint:
                show(f"        {'':<10}{one.hint}")
    return 0 if all(one.ok for one in findings) else 1


def logged(aim: Aim) -> Settings:
    """The settings, and this process' logs as they say."""
    from control_center import logs

    settings = aim.settings()
    logs.configure(
        style=settings.log_format,
        level=settings.log_level,
        personal=settings.log_personal_data,
        secrets=settings.secrets(),
    )
    return settings


class until_told:  # noqa: N801 - reads as the words it is used with
    """While starting, SIGTERM and SIGINT end us as well; once all is up, the service takes the two over."""

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._told = False

        def told() -> None:
            self._told = True
            task.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return self._told and kind is not None and issubclass(kind, asyncio.CancelledError)
