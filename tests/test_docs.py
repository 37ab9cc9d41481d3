"""The documents: their links lead somewhere, what they show is so, and what they tell to type works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from control_center.cli import app
from control_center.domain.errors import Malformed
from control_center.domain.event import decode
from control_center.domain.studio import Studio
from control_center.domain.studio import parse as parse_studio
from control_center.domain.trigger import parse
from control_center.domain.trigger_test_cases import failures
from control_center.logs import EVENTS

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED: Final = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
HOUSE: Final = Studio(studio="main", name="Lakeside", timezone="America/Chicago", country="US")
OF_THE_LAUNCHER: Final = frozenset({"test", "check", "bench", "verbs", "help"})


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return [body for name, body in FENCED.findall(text_of(page)) if name == language]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


# --- what they show --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_to_a_page(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", FENCED.sub("", text_of(page)))
    ours = [(page.parent / name if name else page, part) for name, part in targets if "://" not in name]

    assert [str(target) for target, _ in ours if not target.exists()] == []
    assert [f"{target}#{part}" for target, part in ours if part and part not in parts_of(target)] == []


def test_the_page_of_the_studio_names_every_key() -> None:
    page = ROOT / "docs/reference/studio.md"
    shown = tomllib.loads(blocks(page, "toml")[0])
    parse_studio(shown)
    for table in ((), ("sms",), ("email",)):
        body: dict[str, Any] = {"id": "main", "name": "Lakeside", "timezone": "UTC", "sms": {}, "email": {}}
        (body[table[0]] if table else body)["nonsense"] = 1
        with pytest.raises(Malformed) as wrong:
            parse_studio(body)
        keys = re.findall(r"[a-z_]+", str(wrong.value).partition("allowed: ")[2])
        assert keys
        assert [key for key in keys if f"`{key}`" not in text_of(page) and f"{key}]`" not in text_of(page)] == []


def parts_of(page: Path) -> set[str]:
    """The names that a page's headings have in links."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text_of(page)), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def test_every_figure_and_every_fault_that_is_worth_an_alarm_is_on_the_pages_that_say_what_to_do() -> None:
    watched, alarms = text_of(ROOT / "docs/how-to/watch-it.md"), text_of(ROOT / "docs/how-to/read-the-logs.md")
    figures = set(re.findall(r'"(control_center_[a-z_]+)"', text_of(ROOT / "control_center/web/health.py")))

    assert [name for name in figures if f"`{name}`" not in watched and f"`{name}_total`" not in watched] == []
    assert [name for name in EVENTS if name.endswith((".fault", ".shut")) and f"`{name}`" not in alarms] == []
    assert "`fence.closed`" in alarms


def test_every_page_is_linked_from_the_list_of_documents() -> None:
    listed = text_of(ROOT / "docs/README.md")
    pages = [page.relative_to(ROOT / "docs") for page in PAGES if page.name != "README.md"]

    assert [str(page) for page in pages if str(page) not in listed and page.parent.name != "decisions"] == []


def test_decisions_are_numbered_without_gaps() -> None:
    files = sorted((ROOT / "docs/decisions").iterdir())

    for number, file in enumerate(files, 1):
        assert file.name.startswith(f"{number:04}-")
        assert text_of(file).startswith(f"# {number}. ")


def test_the_generated_parts_are_as_the_code_is() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, ""), "type: .venv/bin/python -m docs.generate"


@cache
def verbs() -> dict[str, Any]:
    tree: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return tree


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_verb_that_is_named_exists(page: Path) -> None:
    typed = "\n".join(blocks(page, "sh") + re.findall(r"`([^`\n]+)`", FENCED.sub("", text_of(page))))
    command = r"^(?:.* -m control_center|control-center|\./run) ([a-z]+)(?: ([a-z]+))?"
    found = re.findall(command, typed, re.MULTILINE)

    for verb, second in found:
        if verb in OF_THE_LAUNCHER:
            continue
        assert verb in verbs()
        inner = getattr(verbs()[verb], "commands", None)
        assert inner is None or not second or second in inner, f"{verb} {second}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_trigger_that_is_shown_is_understood(page: Path) -> None:
    shown = [*blocks(page, "toml"), *re.findall(r"<<'END'\n(.*?)^END$", text_of(page), re.MULTILINE | re.DOTALL)]

    for text in shown:
        if "[[trigger]]" in text:
            for table in tomllib.loads(text)["trigger"]:
                assert failures(parse(table), HOUSE, {}) == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_event_that_is_shown_is_understood(page: Path) -> None:
    for text in blocks(page, "json"):
        if '"specversion"' in text:
            decode(json.dumps(json.loads(text)).encode())


def test_the_readme_names_the_two_commands() -> None:
    commands = "".join(blocks(ROOT / "README.md", "sh"))

    assert "./run demo" in commands
    assert "./run test" in commands


# --- what they tell to type ------------------------------------------------------------------------------------

STORY: Final = (  # each goes on where the one before ended
    "docs/tutorial/first-text.md",
    "docs/how-to/write-a-trigger.md",
    "docs/how-to/mend-dead-events.md",
    "docs/how-to/when-something-did-not-go-out.md",
    "docs/how-to/back-up.md",
)
FOLDER: Final = "/tmp/first-text"  # as the pages name it
TYPED: Final = re.compile(r"<!-- run: (\w+) -->\n```sh\n(.*?)```", re.DOTALL)


class Reader:
    """Somebody who types what the pages say, in a shell that remembers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._remembered = folder / "shell"
        self._server: subprocess.Popen[bytes] | None = None
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CONTROL_CENTER_")},
            "CONTROL_CENTER_LISTEN": "127.0.0.1:0",
        }

    def start(self, commands: str) -> None:
        commands = self._mine(commands).replace(sys.executable, f"exec {sys.executable}")
        with (self._folder / "server.log").open("wb") as log:
            self._server = subprocess.Popen(
                ["sh", "-euc", commands], cwd=ROOT, env=self._environment, stderr=log, stdout=log
            )
        deadline = time.monotonic() + 120
        while b"control center runs" not in (self._folder / "server.log").read_bytes():
            assert self._server.poll() is None, (self._folder / "server.log").read_text("utf-8")
            assert time.monotonic() < deadline

    def type(self, commands: str) -> str:
        self._remembered.touch()
        script = f". {self._remembered}\n{self._mine(commands)}\nexport -p >{self._remembered}\n"
        script = re.sub(r"^(NOW=.*)$", r"export \1", script, flags=re.MULTILINE)  # a terminal would remember it
        done = subprocess.run(
            ["sh", "-euc", script],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        return done.stdout

    def type_until(self, commands: str, wanted: str) -> str:
        deadline = time.monotonic() + 30
        while wanted not in (said := self.type(commands)):
            assert time.monotonic() < deadline, said
        return said

    def end(self) -> int:
        if self._server is None:
            return 0
        self._server.terminate()
        return self._server.wait(60)

    def _mine(self, commands: str) -> str:
        commands = commands.replace("./run ", f"{sys.executable} -m control_center ")
        return commands.replace(FOLDER, str(self._folder / "data"))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    one = Reader(tmp_path)
    yield one
    one.end()


SOON: Final = ("delivered", "opted out: client takes no sms")  # what the pages promise after "a second later"


@pytest.mark.long
@pytest.mark.process
def test_what_the_pages_tell_to_type_works_from_first_to_last(reader: Reader) -> None:
    promises = iter(SOON)
    said = ""
    for page in STORY:
        for how, commands in TYPED.findall(text_of(ROOT / page)):
            match how:
                case "background":
                    reader.start(commands)
                case "soon":
                    said += reader.type_until(commands, next(promises))
                case _:
                    said += reader.type(commands)

    assert "blackout day (Studio retreat)" in said
    assert "Gallery ready" in said
    assert reader.end() == 0
