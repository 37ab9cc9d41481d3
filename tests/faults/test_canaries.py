"""A canary in every secret setting: the real daemon runs, fails in every way at hand, and no canary comes out.

What is looked through: every line of every log, every answer of every route, metrics, what commands print, command
lines and environments of all processes, every row of the database, and every file of the data folder.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from control_center.embedded import Postgres, Rabbitmq
from control_center.settings.model import SECRETS
from control_center.web.server import ROUTES
from tests.support.bookings import bookings, phone
from tests.support.http_stub import HttpStub, Request
from tests.support.installation import STUDIO, Installation, trigger
from tests.support.matrix import Seen
from tests.support.operator import operate
from tests.support.programs import Program, eventually, family
from tests.support.smtp_stub import SmtpStub

pytestmark = pytest.mark.process

BIRD: Final = "c4n4ry"  # in every secret
ACCOUNTS: Final = """\
[accounts.telnyx]
provider = "telnyx"
url = "{stub}"
secret_file = "{folder}/telnyx"

[accounts.kannel]
provider = "kannel"
url = "{stub}"
account = "studio"
secret_file = "{folder}/kannel"

[accounts.gateway]
provider = "http"
url = "{stub}/texts"
secret = "c4n4ry-gateway-and-its-calls"

[accounts.smpp]
provider = "smpp"
url = "smpp://127.0.0.1:1"
account = "studio"
secret = "c4n4ry-s"

[accounts.relay]
provider = "smtp"
url = "smtp://studio:c4n4ry%2Frelay@127.0.0.1:{smtp}?tls=none"
secret = "c4n4ry-calls-that-bring-mail"
from = "hello@lakeside.example"
bounce_domain = "bounces.lakeside.example"
dkim_selector = "cc1"
dkim_domain = "lakeside.example"
dkim_key_file = "{folder}/dkim.pem"
"""
EVERY_ROW: Final = "SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM public.{table} t"
TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
ASKED: Final = "SELECT count(DISTINCT account) >= $1 FROM attempts JOIN messages USING (studio_id, message_id)"
ONCE_MORE: Final = """
INSERT INTO {table} OVERRIDING SYSTEM VALUE
SELECT (jsonb_populate_record(t, jsonb_build_object('studio_id', $1::text))).* FROM {table} t
 WHERE studio_id = 'by-default'"""
BY_ACCOUNT: Final = """
UPDATE studios SET settings = (settings::jsonb
       || jsonb_build_object('sms', coalesce(settings::jsonb -> 'sms', '{}') || jsonb_build_object('account', $2::text))
       || jsonb_build_object('email', coalesce(settings::jsonb -> 'email', '{}')
                                      || jsonb_build_object('account', $3::text)))::text
 WHERE studio_id = $1"""
ACCOUNTS_OF_TEXTS: Final = ("default", "telnyx", "kannel", "gateway", "smpp")
LETTER: Final = """\
name = "hello"
kind = "session"
purpose = "transactional"
subject = "Zanzibar"
text = "Zanzibar, {{ client.first_name }}"
"""


class Echo(HttpStub):
    """A provider, or a proxy before it, that refuses everything and quotes what it was asked, password and all."""

    def submits(self, request: Request) -> bool:  # noqa: ARG002 - the same for all
        return False

    def take(self, request: Request) -> None:
        raise AssertionError(request.target)

    def shown(self, request: Request) -> tuple[int, bytes]:
        quoted = {"target": request.target, "headers": request.headers, "body": request.body.decode("utf-8", "replace")}
        said = {"code": 20003, "message": f"refused: {quoted}", "errors": [{"code": "10009", "detail": f"{quoted}"}]}
        return 403, json.dumps(said).encode()


@pytest.fixture
async def nest(folder: Path, database_to_kill: str, broker_to_kill: Rabbitmq) -> AsyncIterator[Nest]:
    """An installation with a canary in every secret that a setting can hold."""
    await operate(broker_to_kill, "add_user", "studio", f"{BIRD}/broker")
    await operate(broker_to_kill, "set_permissions", "studio", ".*", ".*", ".*")
    secrets = folder / "secrets"
    secrets.mkdir()
    told = {
        "database_url": database_to_kill.replace("//cc@", f"//cc:{BIRD}%2Fdatabase@"),
        "broker_url": broker_to_kill.url.replace("guest:guest", f"studio:{BIRD}%2Fbroker"),
        "api_token": f"{BIRD}-token-that-nobody-guesses",
        "link_key": f"{BIRD}-key-that-is-long-enough-for-one",
        "sms_secret": f"{BIRD}-twilio",
        "smtp_url": f"smtp://studio:{BIRD}%40smtp@127.0.0.1:1?tls=none",
    }
    assert set(told) == set(SECRETS), "a secret setting without a canary"
    for name, value in {**told, "telnyx": f"{BIRD}-telnyx", "kannel": f"{BIRD}-password-of-kannel"}.items():
        (secrets / name).write_text(value, "utf-8")
    key = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (secrets / "dkim.pem").write_bytes(key)
    async with Echo() as stub, SmtpStub() as smtp:
        here = Nest(folder / "one", secrets)
        here.write("control_center.toml", ACCOUNTS.format(stub=stub.url, folder=secrets, smtp=smtp.port))
        here.stub = stub.url
        here.database_url = database_to_kill  # for our own looks at it
        here.broker_url = broker_to_kill.url
        async with here:
            yield here
    await operate(broker_to_kill, "delete_user", "studio")


class Nest(Installation):
    """Secrets come from files, so that neither a command line nor an environment has them."""

    copies = False  # a copy shows the words and the environment of what it is a copy of

    def __init__(self, folder: Path, secrets: Path) -> None:
        super().__init__(folder)
        self.secrets = secrets
        self.stub = ""

    def environment(self, **settings: str) -> dict[str, str]:
        files = {f"{name}_file": str(self.secrets / name) for name in SECRETS} | {"database_url": "", "broker_url": ""}
        ours = {"sms_provider": "twilio", "sms_account": "AC1", "sms_url": self.stub, "log_level": "debug"}
        ours |= {"sms_from": "+13125550100", "log_format": "json", "public_url": "https://studio.example"}
        return super().environment(**{**files, **ours, **settings})


async def test_no_secret_comes_out_whatever_fails(
    nest: Nest, postgres_to_kill: Postgres, broker_to_kill: Rabbitmq, seen: Seen
) -> None:
    await _furnish(nest)
    running = await nest.run()
    bodies = [body for one in ACCOUNTS_OF_TEXTS for body in bookings(3, prefix=one, studio=f"by-{one}", first=10)]
    await nest.publish([*bodies, b"no event", b"\xff\xfe"])
    await nest.holds(ASKED, len(ACCOUNTS_OF_TEXTS) + 2, within=90)
    await nest.holds("SELECT count(*) = 2 FROM dead_events")

    assert (nest.data_dir / "endpoints.json").stat().st_mode & 0o777 == 0o600
    found = _processes(running) | await _answers(nest) | await _commands(nest)
    await _break(nest, running, postgres_to_kill, broker_to_kill)
    found |= await _rows(nest)
    await running.stop()
    log = "\n".join(json.dumps(line, ensure_ascii=False) for line in running.log)
    found |= {"log": log, "words": "\n".join(running.said), **_files(nest)}

    assert "refused" in found["rows"], "what the echo quoted was kept, as far as it may be"
    birds = (BIRD, b64encode(f"AC1:{BIRD}-twilio".encode()).decode())
    out = {where: _around(text, bird) for bird in birds for where, text in found.items() if bird in text}
    assert out == {}
    assert not (nest.data_dir / "endpoints.json").exists()
    for one in range(10, 13):
        assert phone(one).removeprefix("+1") not in log
        assert f"client{one}@" not in log
    assert "Zanzibar" not in log
    size = sum(map(len, found.values())) // 1000
    seen(f"{len(running.log)} log lines and {size} kB looked through, of them {len(found['rows']) // 1000} kB of rows")


async def _furnish(nest: Nest) -> None:
    """A studio for each account of texts, one of which mails by the relay. The first is made by commands, as it is
    done; the others are its copies, since commands take their time.
    """
    words = STUDIO.format(studio="by-default", timezone="America/Chicago", account="default")
    await nest.done("studios", "put", str(nest.write("first.toml", words)))
    await nest.done("templates", "apply", str(nest.write("hello.toml", LETTER)), "--studio", "by-default")
    mail = trigger("Mail", action="email").replace('text = "', 'template = "hello"\n# ')
    rules = nest.write("rules.toml", trigger().replace("Hi {{", "Zanzibar, {{") + mail)
    await nest.done("triggers", "apply", str(rules), "--yes", "--studio", "by-default")
    for account in ACCOUNTS_OF_TEXTS[1:]:
        for table in ("studios", "templates", "triggers", "trigger_versions"):
            await nest.sql(ONCE_MORE.format(table=table), f"by-{account}")
        mail = "relay" if account == "smpp" else "default"
        await nest.sql(BY_ACCOUNT, f"by-{account}", account, mail)


def _processes(running: Program) -> dict[str, str]:
    """What anybody on this machine sees of us, and what only root does."""
    found = {}
    for pid in family(running.pid):
        for source in ("cmdline", "environ"):
            text = Path(f"/proc/{pid}/{source}").read_bytes().decode("utf-8", "replace")
            found[f"{source} of {pid}"] = text
    assert len(found) >= 6, "the engine and two workers"
    return found


async def _answers(nest: Nest) -> dict[str, str]:
    """What is answered to its owner on every route that is read, and to strangers who try."""
    endpoints = json.loads((nest.data_dir / "endpoints.json").read_text("utf-8"))
    base, owner = endpoints["http"], {"Authorization": f"Bearer {BIRD}-token-that-nobody-guesses"}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/api/v1{re.sub(r'{id}', _some(route.path), route.path)}?studio={studio}", {"headers": owner})
        for route in ROUTES
        if route.method == "GET"
        for studio in ("by-kannel", "by-smpp")
    ]
    calls += [("GET", path, {"headers": owner}) for path in ("/metrics", "/readyz", "/healthz", "/api/v1/openapi.json")]
    calls += [
        ("GET", "/api/v1/studios", {"headers": {"Authorization": "Bearer of-nobody"}}),
        ("POST", "/api/v1/events", {"headers": owner, "data": b"{"}),
        ("POST", "/api/v1/events", {"headers": {**owner, "Content-Encoding": "gzip"}, "data": gzip.compress(b"x")[:9]}),
        ("POST", "/hooks/sms/twilio/status", {"data": {"AccountSid": "AC1", "To": "+13125550188"}}),
        ("GET", "/hooks/sms/kannel/status?token=wrong&ref=m-1.1&status=8", {}),
        ("POST", "/hooks/sms/http/inbound", {"data": b"{}", "headers": {"webhook-signature": "v1,AAAA"}}),
        ("POST", "/hooks/email/bounce", {"data": b"From: x"}),
        ("GET", "/u/forged", {}),
        ("GET", "/nowhere?token=of-nobody", {}),
    ]
    found = {}
    async with aiohttp.ClientSession(base) as session:
        for method, path, options in calls:
            async with session.request(method, path, **options) as answer:
                said = f"{answer.status} {dict(answer.headers)} {(await answer.read()).decode('utf-8', 'replace')}"
            assert answer.status != 500, f"{path}: {said}"
            found[f"{method} {path}"] = said
    return found


def _some(path: str) -> str:
    return {"actions": "a-1", "messages": "m-1", "bulk": "b-1", "studios": "by-smpp", "templates": "hello"}.get(
        path.split("/")[1], "1"
    )


async def _commands(nest: Nest) -> dict[str, str]:
    """What commands print, those that fail too."""
    rows = await nest.sql("SELECT studio_id, message_id FROM messages")
    words = [
        ("check",),
        ("check", "--json"),
        ("run",),
        ("users", "list"),
        ("fence", "show", "--json"),
        ("events", "dead"),
        ("emit", str(nest.folder / "nothing")),
        *(("explain", f"m-{row['message_id']}", "--studio", row["studio_id"]) for row in rows[:2]),
    ]
    found = {}
    for one in words:
        done = await nest.cli(*one)
        found[" ".join(one)] = done.out + done.err
    broken = nest.secrets / "broken"
    broken.write_text(f"postgresql://cc:1/{BIRD}@127.0.0.1/x", "utf-8")
    done = await nest.cli("studios", "list", database_url_file=str(broken))
    return {**found, "an address that is cut in two": done.out + done.err}


async def _break(nest: Nest, running: Program, postgres: Postgres, broker: Rabbitmq) -> None:
    """Workers, broker and database are killed and come back; then all goes on."""
    for pid in _workers(running):
        os.kill(pid, signal.SIGKILL)
    await running.wait_for("worker.died", within=60)
    await broker.kill()
    await running.wait_for("inbox.broker_away", within=60)
    nest.hang_up()
    await postgres.kill()
    await running.wait_for("loop.paused", within=60)
    await postgres.start()
    await broker.start()
    await eventually(lambda: _attached_again(running), within=120, what="the inbox is attached again")
    await nest.publish(bookings(1, prefix="after", studio="by-gateway", first=50), within=120)
    await nest.holds("SELECT count(*) = 1 FROM events WHERE subject = 'session/after0'", within=90)


def _workers(running: Program) -> list[int]:
    return [pid for pid in family(running.pid) if b"workers" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def _attached_again(running: Program) -> bool:
    return len(running.lines("inbox.attached")) > 1


async def _rows(nest: Nest) -> dict[str, str]:
    tables = [row["tablename"] for row in await nest.sql(TABLES)]
    rows = [await nest.value(EVERY_ROW.format(table=table)) for table in tables]
    assert len(tables) > 30
    return {"rows": "\n".join(rows)}


def _files(nest: Nest) -> dict[str, str]:
    """Of the data folder, save the one file that is there to tell the token, for us alone."""
    token = nest.data_dir / "api_token"
    assert token.stat().st_mode & 0o777 == 0o600
    files = [one for one in nest.data_dir.rglob("*") if one.is_file() and one != token]
    return {str(one): one.read_bytes().decode("utf-8", "replace") for one in files}


def _around(text: str, bird: str) -> str:
    place = text.index(bird)
    return text[max(0, place - 150) : place + 60]
