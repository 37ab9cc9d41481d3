"""Of the security checklist what holds for the whole program: statements, connections out, packages, hostile names."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest

from control_center.web.api import openapi
from control_center.web.server import ROUTES
from tests.support.bookings import booking
from tests.support.fixtures import Install
from tests.support.installation import STUDIO, Installation, trigger
from tests.support.matrix import Seen
from tests.support.programs import ROOT

PRODUCT: Final = sorted([*ROOT.joinpath("control_center").rglob("*.py"), *ROOT.joinpath("workers").rglob("*.py")])


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the product, with the file that it stands in."""
    for file in PRODUCT:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield named(file), node


# --- SQL by parameters only ------------------------------------------------------------------------------------

ASKS: Final = frozenset({"execute", "executemany", "fetch", "fetchrow", "fetchval", "prepare", "cursor", "add_query"})
SQL: Final = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|ORDER BY)\b")
# What is neither a constant in capitals nor a word without values: whole files of ours, carried out by `migrate`, and
# one of several constants.
OTHERS: Final = {
    ("control_center/store/erasures.py", "statement"),
    ("control_center/store/migrate.py", "schema()"),
    ("control_center/store/migrate.py", "step.sql"),
    ("control_center/store/heard.py", "TAKE_PARTS if parts else TAKE"),
    ("control_center/store/pruning.py", "statement"),
    ("control_center/store/submissions.py", "STEP_SHARING if shared else STEP"),
    ("control_center/web/api/forecast.py", "[start.now.isoformat(), start.given + query.limit]"),  # no statement
}
# Called while their modules are imported, with pieces of statements.
PIECES: Final = {
    "control_center/store/held.py: studios_holding",
    "control_center/store/sharing.py: days",
    "control_center/store/submissions.py: _step",
}


def is_constant(argument: ast.expr) -> bool:
    name = argument.attr if isinstance(argument, ast.Attribute) else getattr(argument, "id", "")
    return bool(re.fullmatch(r"_?[A-Z][A-Z0-9_]*", name)) or isinstance(argument, ast.Constant)


def test_every_statement_is_a_constant_and_its_values_are_parameters() -> None:
    asked = [
        (file, ast.unparse(call.args[0]))
        for file, call in calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in ASKS
        and call.args
        and not is_constant(call.args[0])
    ]

    assert set(asked) == OTHERS


def test_no_statement_is_put_together_while_it_runs() -> None:
    made = set()
    for file in PRODUCT:
        for function in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                made |= {
                    f"{named(file)}: {function.name}"
                    for node in ast.walk(function)
                    if isinstance(node, (ast.JoinedStr, ast.BinOp)) and SQL.search(_words(node))
                }

    assert made == PIECES


def _words(node: ast.AST) -> str:
    return "".join(one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str))


# --- connections out -------------------------------------------------------------------------------------------

OPENS: Final = frozenset(
    {
        *("ClientSession", "open_connection", "create_connection", "create_datagram_endpoint", "open_unix_connection"),
        *(
            "create_pool",
            "urlopen",
            "urlretrieve",
            "SMTP",
            "SMTP_SSL",
            "HTTPConnection",
            "HTTPSConnection",
            "getaddrinfo",
        ),
        *("connect", "connect_robust", "socket"),
    }
)
# Where each gets its address: nothing of it comes from a call, a text, a mail, an event, a trigger or a template.
PLACES: Final = {
    "control_center/cli/emitting.py": "the running installation's own address, from its data folder",
    "control_center/crm/connection.py": "broker_url",
    "control_center/crm/consumer.py": "broker_url",
    "control_center/crm/dead_letters.py": "broker_url",
    "control_center/crm/outbox.py": "broker_url",
    "control_center/crm/tap.py": "broker_url",
    "control_center/cli/checking.py": "broker_url",
    "control_center/embedded/rabbitmq.py": "loopback",
    "control_center/service.py": "systemd's socket",
    "control_center/store/db.py": "database_url",
    "control_center/store/migrate.py": "database_url",
    "control_center/store/servers.py": "database_url",
    "workers/email/smtp.py": "smtp_url, or url of an account",
    "workers/sms/line.py": "sms_url, url of an account, or the provider's own",
    "workers/sms/smpp_session.py": "url of an account",
    "workers/sms/smpp.py": "url of an account",
}
ADDRESSES: Final = re.compile(
    r"(^|_)(url|uri|host|hostname|webhook|callback|endpoint|server|proxy|relay)s?$", re.IGNORECASE
)


def test_connections_out_are_opened_in_a_few_places_whose_addresses_are_settings() -> None:
    opened = {
        file
        for file, call in calls()
        if (call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")) in OPENS
    }

    assert opened == set(PLACES)


def test_no_call_of_the_api_takes_an_address_to_connect_to() -> None:
    document = openapi.document(ROUTES, server="https://studio.example", prefix="/api/v1")

    assert sorted(set(filter(ADDRESSES.search, _taken(document)))) == []


def _taken(document: dict[str, Any]) -> Iterator[str]:
    """The names of everything that a caller may say."""
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                yield from (one["name"] for one in operation.get("parameters", ()) if "name" in one)
                yield from _names(operation.get("requestBody", {}), document, set())


def _names(schema: Any, document: dict[str, Any], met: set[str]) -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from _names(one, document, met)
    if not isinstance(schema, dict):
        return
    reference = schema.get("$ref")
    if reference is not None and reference not in met:
        met.add(reference)
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        yield from _names(found, document, met)
    yield from schema.get("properties", {})
    for value in schema.values():
        yield from _names(value, document, met)


# --- packages --------------------------------------------------------------------------------------------------

LOCKS: Final = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock", "requirements-audit.lock")
# Below these, something that this program relies on is broken, or open: see docs/explanation/security.md.
FLOORS: Final = {
    "aio-pika": "10.2",
    "aiormq": "7.2",
    "aiosmtplib": "5.1.3",
    "aiohttp": "3.14",
    "jinja2": "3.1.6",
    "asyncpg": "0.30",
    "cryptography": "46",
}


def pinned(lock: str) -> dict[str, tuple[str, int]]:
    """Each package of a lock file: its version, and how many hashes it may have."""
    text = re.sub(r"\\\n", " ", (ROOT / lock).read_text("utf-8"))
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            match = re.match(r"([a-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", line)
            assert match, f"{lock}: {line[:80]}"
            found[match[1]] = (match[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", line)))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_to_a_version_and_to_the_bytes_it_may_have(lock: str) -> None:
    packages = pinned(lock)

    assert packages
    assert [name for name, (_, hashes) in packages.items() if hashes == 0] == []


def test_everything_that_is_declared_is_locked_and_installed_by_its_hashes_alone() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = {re.split(r"[\s\[<>=!~;]", one)[0].lower().replace(".", "-") for one in declared}

    assert names <= set(pinned("requirements.lock"))
    for file in ("run", "docs/how-to/install.md"):
        installing = re.findall(
            r"^.*\bpip\b.*\binstall\b.*requirements.*$", (ROOT / file).read_text("utf-8"), re.MULTILINE
        )
        assert all("--require-hashes" in line for line in installing), file


def test_no_package_is_older_than_it_may_be() -> None:
    locked = pinned("requirements.lock")

    for name, floor in FLOORS.items():
        for one in (locked[name][0], version(name)):
            assert _parts(one) >= _parts(floor), f"{name} {one}"


def _parts(one: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", one)[:3])


# --- names of clients that are programs ------------------------------------------------------------------------

GADGETS: Final = (
    "{{7*7}}",
    "{{ 7 | times: 7 }}",
    "${7*7}",
    "#{7*7}",
    "{{ client.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''.__class__ }}",
    "{{ self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id').read() }}",
    "{% for i in (1..99999999) %}x{% endfor %}",
    "{% include '/etc/passwd' %}",
    "{% raw %}",
    "{0.__class__}",
    "%(secret)s",
    "=cmd|'/c calc'!A1",
    "<script>alert(1)</script>",
    "Jo\r\nBcc: everybody@mail.example\r\n\r\nhello",
    'Jo\n{"level": "error", "event": "forged"}',
    "Jo\x1b[2J\u2028\u202e",
)
MESSAGES: Final = "SELECT channel, state, reason, subject, body FROM messages WHERE record_id = $1"
LETTER: Final = """\
name = "hello"
kind = "session"
purpose = "transactional"
subject = "Hello {{ client.first_name }}"
text = "Hello {{ client.first_name }}!"
html = "<p>Hello {{ client.first_name }}!</p>"
"""


@pytest.mark.process
async def test_a_name_that_is_a_program_is_written_as_a_name_and_neither_runs_nor_breaks_a_header_or_a_log(
    install: Install, seen: Seen
) -> None:
    here = await install()
    await _furnish(here)
    running = await here.run(log_personal_data="true")
    bodies = [_booked(number, name) for number, name in enumerate(GADGETS)]
    await here.publish(bodies)
    await here.holds("SELECT count(*) = $1 FROM messages WHERE state IN ('delivered', 'failed')", 2 * len(GADGETS))

    for number, name in enumerate(GADGETS):
        rows = await here.sql(MESSAGES, f"g{number}")
        for row in rows:
            if "\x1b" in name and row["channel"] == "sms":
                assert (row["state"], "control character" in row["reason"]) == ("failed", True)
                continue
            assert row["state"] == "delivered", (name, row["reason"])
            assert _bare(name) in _bare(f"{row['subject']} {row['body']}"), name
            assert not re.search(r"[\r\n]", row["subject"] or "")
    for line in running.said:
        assert "forged" not in line
    assert [line for line in running.log if line["event"] == "forged"] == []
    await running.stop()
    seen(f"{len(GADGETS)} names in texts, subjects and letters, each as it was")


def _booked(number: int, name: str) -> bytes:
    body = json.loads(booking(f"g{number}", number=number))
    body["data"]["client"]["first_name"] = name
    return json.dumps(body).encode()


async def _furnish(here: Installation) -> None:
    words = STUDIO.format(studio="main", timezone="America/Chicago", account="default")
    await here.done("studios", "put", str(here.write("main.toml", words)))
    await here.done("templates", "apply", str(here.write("hello.toml", LETTER)))
    mail = trigger("Mail", action="email").replace('text = "', 'template = "hello"\n# ')
    await here.done("triggers", "apply", str(here.write("rules.toml", trigger() + mail)), "--yes")


def _bare(text: str) -> str:
    """Without what may not stand in a line, or is written otherwise in a text."""
    return re.sub(r"[^!-~]", "", text)
