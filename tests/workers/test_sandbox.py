"""The sandbox channels: who is refused, what is written down, and that many may write at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control_center.domain.outcome import Accepted, CannotTell, Cause, NotSent, Refused, Unknown
from control_center.domain.wire.sandbox import OutboxLine, read_outbox
from tests.support.outgoing import AT, a_mail, a_text
from workers.sandbox import Sandbox

NOW = AT + timedelta(seconds=3)
TEXT = a_text()
MAIL = a_mail()
ROOT = Path(__file__).resolve().parents[2]
FROM_ANOTHER_PROCESS = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from control_center.domain.outcome import Text
from workers.sandbox import Sandbox
at = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
async def main():
    channel = Sandbox(outbox=Path(sys.argv[1]), clock=lambda: at)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(500):
        key = f"{sys.argv[2]}-{number}.1"
        await channel.submit(Text(key, key, "+13125550100", "+13125550188", sys.argv[2] * 9000, at, at))
asyncio.run(main())
"""


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sandbox" / "outbox.ndjson"


@pytest.fixture
async def texts(outbox: Path) -> AsyncIterator[Sandbox]:
    channel = Sandbox(outbox=outbox, clock=lambda: NOW, slow=timedelta(milliseconds=50))
    yield channel
    await channel.close()


@pytest.fixture
async def mails(outbox: Path) -> AsyncIterator[Sandbox]:
    channel = Sandbox(outbox=outbox, clock=lambda: NOW, slow=timedelta(milliseconds=50))
    yield channel
    await channel.close()


def permissions(outbox: Path) -> int:
    return outbox.stat().st_mode & 0o777


def written(outbox: Path) -> list[OutboxLine]:
    return read_outbox(outbox.read_bytes()) if outbox.exists() else []


async def test_an_accepted_text_is_one_line(texts: Sandbox, outbox: Path) -> None:
    assert await texts.submit(TEXT) == Accepted("sandbox-m-7.1")

    assert written(outbox) == [OutboxLine(NOW, "sms", "m-7", "m-7.1", "+13125550100", "+13125550188", None, "See you")]


async def test_an_accepted_mail_is_one_line(mails: Sandbox, outbox: Path) -> None:
    assert await mails.submit(MAIL) == Accepted("sandbox-m-8.1")

    assert written(outbox) == [
        OutboxLine(NOW, "email", "m-8", "m-8.1", "ada@studio.example", "jo@mail.example", "Saturday", "See you")
    ]


async def test_the_outbox_is_for_its_owner_only(texts: Sandbox, outbox: Path) -> None:
    await texts.submit(TEXT)

    assert permissions(outbox) == 0o600


@pytest.mark.parametrize(
    ("to", "outcome", "lines"),
    [
        ("+13125550001", Refused("sandbox: no such recipient", Cause.RECIPIENT, "0001"), 0),
        ("+13125550002", NotSent("sandbox: too many requests", "0002", timedelta(seconds=1)), 0),
        ("+13125550004", NotSent("sandbox: connection refused", "0004"), 0),
        ("+13125550005", Accepted("sandbox-m-7.1"), 1),
        ("+13125550006", Refused("sandbox: opted out", Cause.OPTED_OUT, "0006"), 0),
        ("+13125550007", Accepted("sandbox-m-7.1"), 1),
    ],
)
async def test_a_number_decides(texts: Sandbox, outbox: Path, to: str, outcome: object, lines: int) -> None:
    assert await texts.submit(replace(TEXT, to=to)) == outcome
    assert len(written(outbox)) == lines


@pytest.mark.parametrize(
    ("local", "kind", "lines"),
    [("refused", Refused, 0), ("busy", NotSent, 0), ("lost", Unknown, 1), ("down", NotSent, 0)],
)
async def test_a_local_part_decides(mails: Sandbox, outbox: Path, local: str, kind: type, lines: int) -> None:
    assert isinstance(await mails.submit(replace(MAIL, to=f"{local}@mail.example")), kind)
    assert len(written(outbox)) == lines


async def test_busy_accepts_the_third_attempt(texts: Sandbox, outbox: Path) -> None:
    busy = replace(TEXT, to="+13125550002")

    outcomes = [await texts.submit(replace(busy, key=f"m-7.{attempt}")) for attempt in (1, 2, 3)]

    assert [type(outcome) for outcome in outcomes] == [NotSent, NotSent, Accepted]
    assert [line.key for line in written(outbox)] == ["m-7.3"]


async def test_a_lost_answer_was_accepted_all_the_same(texts: Sandbox, outbox: Path) -> None:
    lost = replace(TEXT, to="+13125550003")

    assert isinstance(await texts.submit(lost), Unknown)

    assert len(written(outbox)) == 1
    assert isinstance(await texts.lookup(lost), CannotTell)


async def test_a_slow_one_is_written_when_it_is_accepted_which_a_stop_hastens(outbox: Path) -> None:
    channel = Sandbox(outbox=outbox, clock=lambda: NOW, slow=timedelta(hours=1))
    call = asyncio.create_task(channel.submit(replace(TEXT, to="+13125550007")))
    await channel.submit(TEXT)  # the first has begun by now

    assert len(written(outbox)) == 1
    await channel.close()

    assert isinstance(await call, Accepted)
    assert len(written(outbox)) == 2


async def test_every_call_may_be_given_a_latency(outbox: Path) -> None:
    channel = Sandbox(outbox=outbox, clock=lambda: NOW, latency=timedelta(milliseconds=100))
    started = asyncio.get_running_loop().time()

    await asyncio.gather(*(channel.submit(replace(TEXT, key=f"m-{number}.1")) for number in range(50)))

    assert 0.1 <= asyncio.get_running_loop().time() - started < 2
    assert len(written(outbox)) == 50


async def test_an_outbox_that_cannot_be_written_accepts_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    channel = Sandbox(outbox=tmp_path / "file" / "outbox.ndjson", clock=lambda: NOW)

    assert isinstance(await channel.submit(TEXT), NotSent)


async def test_two_processes_that_write_at_once_leave_whole_lines(outbox: Path) -> None:
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            FROM_ANOTHER_PROCESS,
            str(outbox),
            name,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for name in ("a", "b")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert await writer.stdout.readline() == b"ready\n"
    await asyncio.gather(*(writer.communicate(b"go\n") for writer in writers))

    lines = written(outbox)
    assert len(lines) == 1000
    assert all(line.text == line.key[0] * 9000 for line in lines)
    names = "".join(line.key[0] for line in lines)
    assert "ab" in names
    assert "ba" in names  # they did take turns
