"""Logs: a line is one JSON object, names a known event, and shows nobody's number, address, words or secrets."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from control_center import logs
from control_center.domain.action import State as ActionState
from control_center.domain.message import State as MessageState
from control_center.logs import EVENTS
from control_center.logs.masking import scrub

ROOT = Path(__file__).resolve().parents[1]
SECRET = "canary-5ecret"

Logged = Callable[..., list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Other tests log as if nothing had been configured here."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:], logging.root.level = handlers, level
    logging.captureWarnings(False)


def written(say: Callable[[Any], object], **options: Any) -> bytes:
    """What `say` writes when it is handed a logger."""
    stream = io.BytesIO()
    logs.configure(**{"style": "json", "stream": stream, "secrets": [SECRET], **options})
    say(structlog.get_logger())
    return stream.getvalue()


def fail(error: Exception) -> None:
    raise error


def line(**fields: Any) -> dict[str, Any]:
    """The one line that these fields make."""
    (found,) = written(lambda log: log.info("event.received", **fields)).splitlines()
    decoded: dict[str, Any] = json.loads(found)
    return decoded


# --- shape -----------------------------------------------------------------------------------------------------


def test_a_line_is_a_json_object_with_time_level_event_and_ids() -> None:
    found = line(studio="main", record="session/4711", event_id="01JD", message="m-12345678", reason=None)
    assert list(found)[:3] == ["timestamp", "level", "event"]
    assert datetime.fromisoformat(found["timestamp"]).tzinfo == UTC
    assert found["timestamp"].endswith("Z")
    assert (found["level"], found["event"]) == ("info", "event.received")
    assert (found["studio"], found["record"], found["event_id"]) == ("main", "session/4711", "01JD")
    assert found["message"] == "m-12345678"
    assert "reason" not in found


@given(st.text(max_size=60), st.sampled_from(["reason", "record", "name", "field"]))
@example("a\nb\r\u2028\u2029\x85\x1b[31m\u202e", "reason")
@example("\ud800", "reason")
def test_no_text_breaks_a_line_or_moves_the_cursor(text: str, key: str) -> None:
    for style in ("json", "console"):
        stream = io.BytesIO()
        logs.configure(style=style, stream=stream)
        structlog.get_logger().info("event.received", **{key: text})
        out = stream.getvalue()
        assert out.count(b"\n") == 1
        assert out.endswith(b"\n")
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", out.decode())
        if style == "json":
            json.loads(out)


def test_less_than_the_chosen_level_is_not_written() -> None:
    def say(log: Any) -> None:
        log.info("event.received")
        log.warning("loop.paused")

    assert len(written(say, level="warning").splitlines()) == 1


def test_what_is_not_written_to_a_terminal_is_json() -> None:
    assert written(lambda log: log.info("event.received"), style="").startswith(b"{")


def test_a_line_costs_little() -> None:
    count = 2000

    def say(log: Any) -> None:
        for _ in range(count):
            log.info("event.received", studio="main", event_id="01JD", type="crm.session.updated", record="session/1")

    began = time.perf_counter()
    written(say)
    assert (time.perf_counter() - began) / count < 0.0005


# --- what is masked --------------------------------------------------------------------------------------------

digits = st.integers(2_000_000_000, 9_999_999_999).map(str)
phones = digits.flatmap(
    lambda d: st.sampled_from(
        [
            f"+1{d}",
            f"+1 {d[:3]} {d[3:6]} {d[6:]}",
            f"({d[:3]}) {d[3:6]}-{d[6:]}",
            f"{d[:3]}.{d[3:6]}.{d[6:]}",
            f"{d[:3]}-{d[3:6]}-{d[6:]}",
            f"+49 (0) {d[:4]} / {d[4:]}",
            f"00{d}",
            d[:7],
            f"{d[:2]}.{d[2:4]}.{d[4:6]}.{d[6:8]}",
            f"{d[:3]}_{d[3:6]}_{d[6:]}",
            f"{d[:3]}\u200b{d[3:6]}\u200b{d[6:]}",
            f"%2B1{d}",
        ]
    )
)
locals_ = st.from_regex(r"[a-z]{3,8}([.+_-][a-z]{2,6})?", fullmatch=True)
mails = st.builds("{}@{}.example".format, locals_, st.from_regex(r"[a-z]{3,8}", fullmatch=True))
bodies = st.builds("Hi {}, your session with us is on {}".format, locals_, locals_)
keys = st.sampled_from(["reason", "to", "phone", "address", "recipient", "found", "text", "body", "subject", "detail"])


@given(phone=phones, mail=mails, body=bodies, key=keys)
def test_nobodys_number_address_or_words_are_in_any_line(phone: str, mail: str, body: str, key: str) -> None:
    def say(log: Any) -> None:
        log.info("message.accepted", studio="main", **{key: f"for {phone} and {mail}"})
        log.info("message.accepted", **{key: phone, "sender": mail, "text": body, "subject": body, "body": body})
        log.info("message.accepted", found=[phone, {mail: phone, "text": body}], given=(mail,), raw=body.encode())
        log.info("message.accepted", message=body, record=body)
        try:
            fail(ValueError(f"cannot take {body!r} to {phone} {mail}"))
        except ValueError as error:
            log.exception("delivery.fault", reason=f"{type(error).__name__}: {error}")
            log.warning("delivery.fault", error=error)
        logging.getLogger("aiormq.connection").warning("lost %s: %r", mail, body)

    for style in ("json", "console"):
        out = written(say, style=style).decode()
        assert phone not in out
        assert mail not in out
        assert mail.partition("@")[0] + "@" not in out
        assert body not in out


@given(phone=digits, mail=mails, at=st.sampled_from(["@", "%40", "\uff20"]))
def test_an_address_is_masked_however_its_sign_is_written_and_one_that_is_an_id_can_be_followed(
    phone: str, mail: str, at: str
) -> None:
    local, _, domain = mail.partition("@")
    spelled = f"{local}{at}{domain}"

    def say(log: Any) -> None:
        log.info("message.accepted", reason=f"GET https://crm.example/clients?mail={spelled}", found=[spelled])
        log.info("message.accepted", record=f"client/{spelled}", client=f"+1{phone}", event_id=spelled)
        log.info("message.accepted", record=f"client/{spelled}", client=f"+1{phone}", event_id="e-1")

    lines = [json.loads(line) for line in written(say).splitlines()]

    for line in lines:
        assert local + at not in str(line)
        assert phone not in str(line)
    assert lines[1]["record"] == lines[2]["record"]
    assert lines[1]["record"].startswith("client/***@")
    assert lines[1]["client"] == lines[2]["client"]
    assert lines[2]["event_id"] == "e-1"


@given(
    before=st.text(max_size=10),
    after=st.text(max_size=10),
    key=st.sampled_from(["reason", "record", "event_id", "text", "x"]),
)
def test_a_secret_is_in_no_line_whatever_else_is_allowed(before: str, after: str, key: str) -> None:
    def say(log: Any) -> None:
        log.info("loop.paused", **{key: f"{before}{SECRET}{after}", "more": [SECRET], "path": Path("/x") / SECRET})
        try:
            fail(ConnectionError(f"postgresql://user:{SECRET}@host/db"))
        except ConnectionError:
            log.exception("loop.paused")

    for options in ({}, {"personal": True}, {"style": "console"}):
        assert SECRET not in written(say, **options).decode()


def test_a_traceback_shows_no_variables_and_what_the_row_was() -> None:
    words = "Hi Jo Park, see you"
    error = RuntimeError(f"new row violates a check\nDETAIL:  Failing row contains (main, 5, {words}).")

    def say(log: Any) -> None:
        try:
            fail(error)
        except RuntimeError:
            log.exception("delivery.fault")

    found = json.loads(written(say))
    assert "test_logs.py" in found["exception"]
    assert "RuntimeError: new row violates a check" in found["exception"]
    assert words not in found["exception"]


def test_personal_data_may_be_let_through() -> None:
    found = json.loads(written(lambda log: log.info("message.accepted", to="+13125550188", text="Hi"), personal=True))
    assert (found["to"], found["text"]) == ("+13125550188", "Hi")


def test_a_value_nobody_knows_is_not_shown() -> None:
    class Client:
        def __repr__(self) -> str:
            return "Client(Jo Park, +13125550188)"

    assert line(client_found=Client())["client_found"] == "<Client>"


def test_a_value_that_cannot_be_looked_at_costs_the_fields_and_not_the_line() -> None:
    class Broken(dict[str, str]):
        def items(self) -> Any:
            raise RuntimeError("no")

    found = line(studio="main", reason=Broken(a="b"))
    assert found["event"] == "event.received"
    assert found["masking_failed"] == "RuntimeError"


@pytest.mark.parametrize(
    "long",
    [
        "@ " + "a" * 400_000,
        "@ " + "m-1" * 150_000,
        "@ " + "%4" * 200_000,
        '@ "' + '"a' * 200_000,
        "ValueError: " + " " * 400_000 + "x",
        "ValueError: " + "DETAIL" * 70_000,
    ],
    ids=["a word", "ids", "escapes", "quotes", "spaces", "details"],
)
def test_a_long_line_that_somebody_made_up_is_looked_through_once(long: str) -> None:
    assert line(reason=long)["reason"]  # seconds; hours, if each letter began anew


@pytest.mark.parametrize(
    "harmless",
    [
        "outside its window until 2026-11-23T09:00:00+00:00",
        "blackout: 2026-11-23",
        "m-1234567.12 of a-12345678",
        "cannot listen on 127.0.0.1:8484",
        "192.168.100.12:5672 does not answer",
        "no confirmation within 10 s, 250 of 1000 sent",
    ],
)
def test_dates_ids_and_machines_stay_readable(harmless: str) -> None:
    assert scrub(harmless) == harmless


def test_two_people_can_be_told_apart() -> None:
    assert line(to="+1 (312) 555-0188")["to"] == "***88"
    assert line(to="jo@mail.example")["to"] == "***@mail.example"


# --- names -----------------------------------------------------------------------------------------------------

SOURCES = [path for package in ("control_center", "workers") for path in (ROOT / package).rglob("*.py")]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def named(path: Path) -> Iterator[tuple[int, ast.expr]]:
    """The first argument of each call of a logger in a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            whose = node.func.value
            called = whose.func if isinstance(whose, ast.Call) else whose
            name = (
                called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
            )
            if name in {"log", "get_logger"} and node.args:
                yield node.lineno, node.args[0]


def duties(path: Path) -> Iterator[tuple[int, str]]:
    """What a file calls its loops and duties; what is filled in is an account or a channel, which are ids."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        if ast.unparse(node.func).endswith(("Loop", "life.start")) and isinstance(
            node.args[0], ast.Constant | ast.JoinedStr
        ):
            pieces = ast.walk(node.args[0])
            yield node.lineno, "".join(str(one.value) for one in pieces if isinstance(one, ast.Constant))


def test_the_name_of_no_loop_or_duty_is_hidden_in_a_log() -> None:
    found = [(path.name, number, name) for path in SOURCES for number, name in duties(path)]
    assert ("duties.py", "hearing") in {(file, name) for file, _, name in found}
    assert [one for one in found if " " in one[2]] == []


def test_every_event_in_the_code_is_explained() -> None:
    for path in SOURCES:
        for number, argument in named(path):
            if isinstance(argument, ast.Constant):
                assert argument.value in EVENTS, (
                    f"{path.name}:{number} logs {argument.value!r}, which EVENTS does not know"
                )
            else:
                assert ast.unparse(argument).startswith("_EVENTS["), f"{path.name}:{number} makes up a name"


def test_every_explained_event_is_in_the_code() -> None:
    code = "".join(path.read_text("utf-8") for path in SOURCES if path.name != "events.py")
    states = {f"action.{one.value}" for one in ActionState} | {f"message.{one.value}" for one in MessageState}
    assert states <= set(EVENTS)
    unused = [name for name in EVENTS if f'"{name}"' not in code and name not in states]
    assert not unused


def test_a_line_that_finds_no_room_is_lost_without_harm_and_the_next_one_says_how_many_are_missing() -> None:
    class Disk(io.BytesIO):
        full = False

        def write(self, line: Any) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(line)

    disk = Disk()
    logs.configure(style="json", stream=disk)
    log = structlog.get_logger()
    disk.full = True
    log.info("event.received")
    log.info("event.received")
    disk.full = False
    log.info("event.received")
    log.info("event.received")
    assert [json.loads(line).get("lost_lines") for line in disk.getvalue().splitlines()] == [2, None]
