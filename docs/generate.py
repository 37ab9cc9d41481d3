"""Writes those parts of docs/reference/ that follow from the code, so that they cannot say anything else.

    python -m docs.generate            # write them anew
    python -m docs.generate --check    # exit 1, naming the pages that are not as the code is

A page is written by hand but for the lines between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

# ruff: noqa: INP001 - a script beside the pages, not a package

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import typer
from pydantic import SecretStr

from control_center.cli import app
from control_center.domain import action, message, template
from control_center.domain.catalogue import EMAIL_EVENTS, KINDS, TYPES
from control_center.domain.catalogue_actions import ACTIONS, Choice
from control_center.domain.trigger import WEEKDAYS
from control_center.logs import EVENTS
from control_center.settings.model import PREFIX, Settings
from docs import limits

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = ROOT / "docs" / "reference"
REGION: Final = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    stale = []
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text("utf-8")
        fresh = REGION.sub(lambda region: f"{region[1]}\n{GENERATORS[region[2]]()}\n{region[3]}", text)
        if fresh != text:
            stale.append(page.name)
            if "--check" not in sys.argv:
                page.write_text(fresh, "utf-8")
    if stale:
        print("written:" if "--check" not in sys.argv else "not as the code is:", *stale)  # noqa: T201
    return int(bool(stale) and "--check" in sys.argv)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)


def code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


# --- settings --------------------------------------------------------------------------------------------------


def settings() -> str:
    """Every setting, by the headings and in the order of the settings file, which says what each is for."""
    parts = _parts((ROOT / "config" / "control_center.toml").read_text("utf-8"))
    fields = {name: field for name, field in Settings.model_fields.items() if name != "accounts"}
    if differ := fields.keys() ^ {name for part in parts.values() for name in part}:
        raise SystemExit(f"config/control_center.toml and the settings differ in: {', '.join(sorted(differ))}")
    head = ("in the environment", "in the file", "default", "what it is")
    return "\n".join(
        f"### {heading.capitalize()}\n\n"
        + table(
            head,
            (
                (f"`{PREFIX}{name.upper()}`", f"`{name}`", _default(fields[name]), sentence)
                for name, sentence in part.items()
            ),
        )
        for heading, part in parts.items()
    )


def _parts(text: str) -> dict[str, dict[str, str]]:
    """The comment above each `# name = value` of the settings file, by the heading it stands under."""
    found: dict[str, dict[str, str]] = {}
    said: list[str] = []
    part: dict[str, str] = {}
    for line in text.partition("# --- more provider accounts")[0].splitlines():
        if heading := re.fullmatch(r"# --- (.*?) -+", line):
            part = found.setdefault(heading[1], {})
        elif setting := re.fullmatch(r"# ([a-z_]+) = .*", line):
            part[setting[1]] = " ".join(said)
        said = [*said, line.removeprefix("# ")] if line.startswith("# ") and not (heading or setting) else []
    return found


def _default(field: Any) -> str:
    if field.default_factory is not None:
        return "depends on the machine"
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if get_origin(field.annotation) is Literal:
        allowed = code(one for one in get_args(field.annotation) if one)
        return f"{f'`{value}`' if value else 'empty'}; {allowed}"
    return {"": "empty", True: "`true`", False: "`false`"}.get(value, f"`{value}`")


def secrets() -> str:
    return code(name for name, field in Settings.model_fields.items() if field.annotation is SecretStr) + "\n"


# --- logs ------------------------------------------------------------------------------------------------------


def log_events() -> str:
    return table(("event", "meaning"), ((f"`{name}`", meaning) for name, meaning in EVENTS.items()))


# --- states ----------------------------------------------------------------------------------------------------


def states_of(name: str, transitions: Mapping[Any, Iterable[Any]]) -> str:
    """The states of a table with the meaning that stands beside each in schema.sql, and where each may go."""
    schema = (ROOT / "schema.sql").read_text("utf-8")
    declared = re.search(rf"create table {name} \(.*?check \(state in \((.*?)\n    \)\)", schema, re.DOTALL)
    assert declared, name
    meanings = dict(re.findall(r"'(\w+)',?\s+-- (.*)", declared[1]))
    rows = [
        (f"`{state.value}`", meanings[state.value], code(_ordered(goes)) or "nothing: it is an end")
        for state, goes in transitions.items()
    ]
    assert meanings.keys() == {state.value for state in transitions}
    return table(("state", "meaning", "may become"), rows)


def _ordered(states: Iterable[Any]) -> Iterator[str]:
    present = set(states)
    kind: type[Enum] | None = type(next(iter(present))) if present else None
    return (one.value for one in kind or () if one in present)


# --- triggers --------------------------------------------------------------------------------------------------


def kinds() -> str:
    """The fourteen types of triggers, with what each offers."""
    rows = []
    for one in TYPES:
        kind = KINDS[one.kind]
        dates = ", ".join(f"`{base.name}`{'°' if base.past else ''}" for base in kind.bases.values())
        fits = [action.name for action in ACTIONS.values() if action.kinds is None or kind.name in action.kinds]
        missing = [name for name in ACTIONS if name not in fits]
        but = f"all but {code(missing)}" if missing else "all"
        excluded = code(sorted(kind.exclusions))
        rows.append((str(one.number), one.name, f"`{kind.name}`", code(one.filters), dates, excluded, but))
    head = ("", "type", "`record`", "filters", "`activate.on`", "`exclude`", "actions")
    return table(head, rows)


def actions() -> str:
    rows = []
    for one in ACTIONS.values():
        word = " and " if one.choice is Choice.EACH else ", else "
        rows.append((f"`{one.name}`", word.join(leg.value for leg in one.legs), "yes" if one.writes else "no"))
    return table(("`action`", "what happens", "needs words"), rows)


def weekdays() -> str:
    return code(WEEKDAYS) + "\n"


def fields() -> str:
    """The template fields of each kind: first what all kinds share, then each kind's own."""
    names = {kind: template.names(kind) for kind in KINDS}
    shared = [name for name in next(iter(names.values())) if all(name in other for other in names.values())]
    parts = ["**Everywhere**\n", *_listed(shared)]
    for kind, known in names.items():
        own = [name for name in known if name.startswith("record.") and name not in shared]
        parts += ["", f"**In `{kind}` records** (also as `{kind}.…` in place of `record.…`)\n", *_listed(own)]
    return "\n".join(parts) + "\n"


def _listed(names: Iterable[str]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.partition(".")[0], []).append(name)
    return (f"- {code(group)}" for group in groups.values())


# --- the command -----------------------------------------------------------------------------------------------


def verbs() -> str:
    """Every verb with what it does and its example, as its --help says."""
    return table(("verb", "does", "example"), _walk(typer.main.get_command(app), ()))


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    for name, one in getattr(command, "commands", {}).items():
        if getattr(one, "commands", None):
            yield from _walk(one, (*path, name))
        else:
            said = " ".join(cleandoc(one.help or "").split())
            example = (one.epilog or "").removeprefix("Example: ")
            yield f"`{' '.join((*path, name))}`", said, f"`{example}`"


GENERATORS: Final[Mapping[str, Callable[[], str]]] = {
    "settings": settings,
    "secrets": secrets,
    "log-events": log_events,
    "action-states": lambda: states_of("actions", action.TRANSITIONS),
    "message-states": lambda: states_of("messages", message.TRANSITIONS),
    "kinds": kinds,
    "actions": actions,
    "weekdays": weekdays,
    "email-events": lambda: code(EMAIL_EVENTS) + "\n",
    "fields": fields,
    "verbs": verbs,
    "limits-outward": lambda: table(
        ("to whom", "to connect", "for an answer", "at once", "when full", "tried again"), limits.outward()
    ),
    "limits-tries": lambda: table(("what came of it", "what we do", "until"), limits.tries()),
    "limits-inward": lambda: table(("what", "at most", "beyond that"), limits.inward()),
    "limits-held": lambda: table(("what", "at most", "beyond that"), limits.held()),
}

if __name__ == "__main__":
    sys.exit(main())
