"""Commands leave in order per record, at least once, and never in a loop on a broker that is away."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import aio_pika
import msgspec
import pytest
from aio_pika.abc import AbstractIncomingMessage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from control_center.crm import outbox
from control_center.crm.connection import connect
from control_center.crm.outbox import Outbox
from control_center.crm.topology import Topology, declare
from control_center.domain.command import Cause, Command, command
from control_center.embedded import Rabbitmq
from control_center.engine.relay import LONGEST_PAUSE, POLL, Answer, Parcel, Relay, Verdict
from control_center.store import commands, db
from tests.support.operator import write_down

CAUSE = Cause("Reminder", 1, "a-1", "event-1")
PUBLISHED, UNCONFIRMED, UNROUTABLE = (
    Answer(Verdict.PUBLISHED),
    Answer(Verdict.UNCONFIRMED, "connection refused"),
    Answer(Verdict.UNROUTABLE, "no queue"),
)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    pool = await db.open_pool(database_url, application="test", size=4)
    yield pool
    await pool.close()


class Ears:
    """Stands where the broker is: notes what was published, and answers as told, or that it was published."""

    def __init__(self, answer: Callable[[Parcel], Answer] = lambda _: PUBLISHED) -> None:
        self.answer = answer
        self.offered: list[list[str]] = []
        self.heard: list[str] = []

    async def publish(self, parcels: Sequence[Parcel]) -> list[Answer]:
        self.offered.append([parcel.command_id for parcel in parcels])
        answers = [self.answer(parcel) for parcel in parcels]
        self.heard += [
            parcel.command_id
            for parcel, answer in zip(parcels, answers, strict=True)
            if answer.verdict is Verdict.PUBLISHED
        ]
        return answers


def a_command(of: str = "1", *, record: str = "session/4711", verb: str = "create_call") -> Command:
    return command("main", record, verb, {"note": of}, cause=CAUSE, of=of)


async def enqueue(pool: db.Pool, *made: Command) -> list[str]:
    async with db.transaction(pool) as tx:
        for one in made:
            await commands.enqueue(tx, [one])
    return [one.command_id for one in made]


async def come_due(pool: db.Pool) -> None:
    """As if every wait were over."""
    await pool.execute("UPDATE commands SET due_at = clock_timestamp() WHERE state <> 'published'")


async def states(pool: db.Pool) -> list[str]:
    return [row[0] for row in await pool.fetch("SELECT state FROM commands ORDER BY sequence")]


def relay_of(pool: db.Pool, ears: Ears, **more: Any) -> Relay:
    return Relay(pool, ears.publish, uuid.uuid4(), **more)


async def test_commands_of_one_record_go_one_after_the_other_those_of_many_together(pool: db.Pool) -> None:
    ears = Ears()
    one, two, other = await enqueue(pool, a_command("1"), a_command("2"), a_command("3", record="session/1"))

    wait = await relay_of(pool, ears).run_once()

    assert ears.offered == [[one, other], [two]]
    assert await states(pool) == ["published"] * 3
    assert wait == POLL


async def test_a_command_is_published_as_the_event_the_contract_describes(pool: db.Pool) -> None:
    seen: list[Parcel] = []

    async def publish(parcels: Sequence[Parcel]) -> list[Answer]:
        seen.extend(parcels)
        return [PUBLISHED for _ in parcels]

    await enqueue(pool, a_command(), a_command(verb="message.sent"))
    await Relay(pool, publish, uuid.uuid4()).run_once()

    [call, report] = seen
    event = msgspec.json.decode(call.body)
    assert (call.exchange, call.routing_key) == ("crm.commands", "main.create_call")
    assert (report.exchange, report.routing_key) == ("control-center.reports", "main.message.sent")
    assert event["id"] == call.command_id
    assert event["type"] == "control_center.command.create_call"
    assert event["subject"] == "session/4711"
    assert event["sequence"] == call.headers["x-sequence"]
    assert event["data"]["cause"]["trigger"] == "Reminder"


async def test_the_next_command_of_a_record_waits_until_the_one_before_it_is_confirmed(pool: db.Pool) -> None:
    one, two, other = await enqueue(pool, a_command("1"), a_command("2"), a_command("3", record="session/1"))
    ears = Ears(lambda parcel: UNCONFIRMED if parcel.command_id == one else PUBLISHED)
    relay = relay_of(pool, ears)

    await relay.run_once()
    await relay.run_once()
    assert ears.offered == [[one, other]]

    ears.answer = lambda _: PUBLISHED
    await come_due(pool)
    await relay.run_once()
    assert ears.offered[1:] == [[one], [two]]
    assert ears.heard == [other, one, two]


async def test_reports_and_commands_of_a_record_do_not_wait_for_each_other(pool: db.Pool) -> None:
    _, call = await enqueue(pool, a_command("1", verb="message.sent"), a_command("2"))
    ears = Ears(lambda parcel: UNROUTABLE if parcel.exchange == "control-center.reports" else PUBLISHED)

    await relay_of(pool, ears).run_once()

    assert ears.heard == [call]
    assert await states(pool) == ["unroutable", "published"]


async def test_what_nobody_listens_for_raises_an_alarm_once_a_kind_and_waits_long(pool: db.Pool) -> None:
    await enqueue(pool, *(a_command(str(number), record=f"session/{number}") for number in range(5)))
    relay = relay_of(pool, Ears(lambda _: UNROUTABLE))

    with capture_logs() as logs:
        await relay.run_once()

    assert await states(pool) == ["unroutable"] * 5
    [line] = [line for line in logs if line["event"] == "command.unroutable"]
    assert (line["log_level"], line["verb"], line["commands"]) == ("warning", "create_call", 5)
    assert relay.counts[Verdict.UNROUTABLE] == 5
    assert await pool.fetchval("SELECT min(due_at) > now() + interval '50 seconds' FROM commands")


async def test_what_nobody_listens_for_is_said_once_and_once_more_when_somebody_does(pool: db.Pool) -> None:
    ears = Ears(lambda parcel: UNROUTABLE if "letter" in parcel.routing_key else PUBLISHED)
    relay = relay_of(pool, ears)
    await enqueue(pool, a_command("1", verb="create_letter", record="session/1"), a_command("2"))

    with capture_logs() as logs:
        await relay.run_once()
        await enqueue(pool, a_command("3", verb="create_letter", record="session/3"))
        await relay.run_once()  # more of the kind
        await come_due(pool)
        relay._retry_at = float("-inf")
        await relay.run_once()  # and what waited is tried again
    assert relay.counts[Verdict.UNROUTABLE] == 4
    assert said(logs) == [("warning", "command.unroutable", "create_letter")]

    ears.answer = lambda _: PUBLISHED
    with capture_logs() as logs:
        await come_due(pool)
        relay._retry_at = float("-inf")
        await relay.run_once()
    assert await states(pool) == ["published"] * 3
    assert said(logs) == [("info", "command.routable", "create_letter")]

    ears.answer = lambda _: UNROUTABLE
    await enqueue(pool, a_command("4", verb="create_letter", record="session/4"))
    with capture_logs() as logs:
        await relay.run_once()
    assert said(logs) == [("warning", "command.unroutable", "create_letter")]


def said(logs: Sequence[MutableMapping[str, Any]]) -> list[tuple[str, str, str]]:
    return [(line["log_level"], line["event"], line["verb"]) for line in logs if line["event"].startswith("command.")]


async def test_what_is_declined_again_and_again_while_others_go_is_told_of_until_it_is_taken(pool: db.Pool) -> None:
    """A queue of the CRM that is full, or an exchange that our user may not write to: nothing else would say so."""
    ears = Ears(lambda parcel: UNCONFIRMED if "letter" in parcel.routing_key else PUBLISHED)
    relay = relay_of(pool, ears)
    await enqueue(pool, a_command("letter", verb="create_letter"))

    async def rounds(number: int) -> list[tuple[str, str, str]]:
        with capture_logs() as logs:
            for _ in range(number):
                await enqueue(pool, a_command(str(uuid.uuid4()), record="session/1"))
                await come_due(pool)
                await relay.run_once()
        return said(logs)

    assert await rounds(5) == [], "a loss of the connection passes"
    assert await rounds(3) == [("warning", "command.declined", "create_letter")]
    ears.answer = lambda _: PUBLISHED
    assert await rounds(2) == [("info", "command.accepted", "create_letter")]


async def test_what_nobody_listened_for_goes_out_as_soon_as_one_of_its_kind_is_heard(pool: db.Pool) -> None:
    made = await enqueue(pool, *(a_command(str(number), record=f"session/{number}") for number in range(5)))
    ears = Ears(lambda _: UNROUTABLE)
    await relay_of(pool, ears).run_once()
    await pool.execute("UPDATE commands SET due_at = clock_timestamp() WHERE command_id = $1", made[3])
    await pool.execute("UPDATE leases SET owner = NULL, lease_until = '-infinity'")

    ears.answer = lambda _: PUBLISHED
    relay = relay_of(pool, ears)
    await relay.run_once()
    await relay.run_once()

    assert ears.heard[0] == made[3]
    assert sorted(ears.heard) == sorted(made)


async def test_one_that_nobody_listens_for_holds_its_record_back_for_a_while_only(pool: db.Pool) -> None:
    letter, call = await enqueue(pool, a_command("1", verb="create_letter"), a_command("2"))
    ears = Ears(lambda parcel: UNROUTABLE if parcel.command_id == letter else PUBLISHED)
    relay = relay_of(pool, ears)

    await relay.run_once()
    await relay.run_once()
    assert ears.heard == []

    await pool.execute("UPDATE commands SET created_at = created_at - interval '11 minutes'")
    await relay.run_once()
    assert ears.heard == [call]


async def test_a_broker_that_confirms_nothing_is_left_alone_for_longer_and_longer(pool: db.Pool) -> None:
    await enqueue(pool, *(a_command(str(number), record=f"session/{number}") for number in range(30)))
    ears = Ears(lambda _: UNCONFIRMED)
    relay = relay_of(pool, ears, batch=10)

    waits = []
    for _ in range(8):
        waits.append(await relay.run_once())
        await come_due(pool)

    assert waits == [1, 2, 4, 8, 16, 30, LONGEST_PAUSE, LONGEST_PAUSE]
    assert [len(set(offered)) for offered in ears.offered] == [10] * 8
    assert len({command_id for offered in ears.offered for command_id in offered}) == 10

    ears.answer = lambda _: PUBLISHED
    assert [await relay.run_once() for _ in range(4)] == [0, 0, POLL, POLL]
    assert [len(offered) for offered in ears.offered[8:]] == [10, 20], "as many more as went quickly"


async def test_while_the_broker_is_away_only_the_oldest_are_tried(pool: db.Pool) -> None:
    await enqueue(pool, *(a_command(str(number), record=f"session/{number}") for number in range(30)))
    relay = relay_of(pool, Ears(lambda _: UNCONFIRMED), batch=10)

    await relay.run_once()

    assert await pool.fetchval("SELECT count(*) FROM commands WHERE tries > 0") == 10


async def test_a_command_that_becomes_visible_after_a_later_one_is_published_too(pool: db.Pool) -> None:
    ears = Ears()
    relay = relay_of(pool, ears)
    late, soon = a_command("1", record="session/1"), a_command("2", record="session/2")

    async with db.transaction(pool) as slow:
        await commands.enqueue(slow, [late])
        await enqueue(pool, soon)
        await relay.run_once()
        assert ears.heard == [soon.command_id]
    await relay.run_once()

    assert ears.heard == [soon.command_id, late.command_id]


async def test_one_relay_at_a_time_has_a_bucket_and_another_takes_over_when_it_is_lost(pool: db.Pool) -> None:
    lost, heir = Ears(), Ears()
    await relay_of(pool, lost, lease=timedelta(milliseconds=300)).run_once()
    successor = relay_of(pool, heir, lease=timedelta(milliseconds=300))
    [one] = await enqueue(pool, a_command())

    assert 0 < await successor.run_once() <= 0.1
    assert heir.heard == []
    await until(lambda: _ran(successor, heir))

    assert heir.heard == [one]


async def _ran(relay: Relay, ears: Ears) -> bool:
    await relay.run_once()
    return bool(ears.heard)


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the fact stands in a database
            await asyncio.sleep(0.02)


async def test_a_relay_that_stops_lets_another_take_over_at_once(pool: db.Pool) -> None:
    first, ears = relay_of(pool, Ears()), Ears()
    await first.run_once()
    await first.close()
    [one] = await enqueue(pool, a_command())

    await relay_of(pool, ears).run_once()

    assert ears.heard == [one]


async def test_killed_between_confirmation_and_mark_it_is_published_again_under_the_same_id(pool: db.Pool) -> None:
    [one, two] = await enqueue(pool, a_command("1"), a_command("2"))
    heard: list[str] = []

    async def publish_and_die(parcels: Sequence[Parcel]) -> list[Answer]:
        heard.extend(parcel.command_id for parcel in parcels)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Relay(pool, publish_and_die, uuid.uuid4()).run_once()
    await pool.execute("UPDATE leases SET lease_until = '-infinity'")
    ears = Ears()
    await relay_of(pool, ears).run_once()

    assert heard + ears.heard == [one, one, two]


async def test_a_relay_that_lost_its_lease_midway_repeats_nothing_more_and_the_order_stays(pool: db.Pool) -> None:
    made = await enqueue(pool, *(a_command(str(number)) for number in range(4)))
    heard: list[str] = []

    async def note(parcels: Sequence[Parcel]) -> list[Answer]:
        heard.extend(parcel.command_id for parcel in parcels)
        return [PUBLISHED for _ in parcels]

    async def note_slowly(parcels: Sequence[Parcel]) -> list[Answer]:
        """Its second wave is under way when its lease is over and another relay does the whole work."""
        answers = await note(parcels)
        if len(heard) == 2:
            await Relay(pool, note, uuid.uuid4()).run_once()
        return answers

    await Relay(pool, note_slowly, uuid.uuid4(), lease=timedelta(0)).run_once()

    assert list(dict.fromkeys(heard)) == made
    assert len(heard) == 5
    assert await states(pool) == ["published"] * 4


async def test_three_relays_at_once_publish_every_command_once_and_in_order(pool: db.Pool) -> None:
    made = await enqueue(pool, *(a_command(str(number), record=f"session/{number % 40}") for number in range(200)))
    ears = Ears()
    relays = [relay_of(pool, ears, batch=20) for _ in range(3)]

    async def published_all() -> bool:
        await asyncio.gather(*(relay.run_once() for relay in relays))
        return set(await states(pool)) == {"published"}

    await until(published_all)

    assert sorted(ears.heard) == sorted(made)
    for record in range(40):
        of_record = made[record::40]
        assert [heard for heard in ears.heard if heard in of_record] == of_record


VERDICTS = st.sampled_from([PUBLISHED, PUBLISHED, UNCONFIRMED, UNROUTABLE])


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.lists(VERDICTS, max_size=30), st.integers(1, 5))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_the_broker_answers_the_first_hearing_of_each_record_is_in_order(
    pool: db.Pool, records: list[str], answers: list[Answer], batch: int
) -> None:
    await pool.execute("TRUNCATE commands; UPDATE leases SET owner = NULL, lease_until = '-infinity'")
    made = [a_command(str(number), record=f"session/{record}") for number, record in enumerate(records)]
    await enqueue(pool, *made)
    script = iter(answers)
    ears = Ears(lambda _: next(script, PUBLISHED))

    async def published_all() -> bool:
        await come_due(pool)
        await relay_of_all(pool, ears, batch=batch).run_once()
        return set(await states(pool)) == {"published"}

    await until(published_all)

    for record in set(records):
        expected = [one.command_id for one in made if one.subject == f"session/{record}"]
        assert [heard for heard in ears.heard if heard in expected] == expected


def relay_of_all(pool: db.Pool, ears: Ears, *, batch: int) -> Relay:
    """A relay that finds every lease free, as after the loss of the one before it."""
    return relay_of(pool, ears, batch=batch, lease=timedelta(0))


# --- with 200,000 commands that were published ------------------------------------------------------------------

MANY_PUBLISHED = """
INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data, state, published_at)
SELECT 'main', 'old-' || n, 'session/' || n % 5000, 'create_call', n % 8, '{}', 'published', now()
  FROM generate_series(1, 200000) AS n"""
SOME_WAITING = """
INSERT INTO commands (studio_id, command_id, subject, verb, bucket, data, tries, state, due_at)
SELECT 'main', 'new-' || n, 'session/' || n % 5000, 'create_call', n % 8, '{}', n % 2,
       CASE n % 4 WHEN 1 THEN 'unroutable' ELSE 'new' END, now() + (n % 2) * interval '1 hour'
  FROM generate_series(1, 5000) AS n"""


async def test_the_next_batch_does_not_grow_with_what_was_published(pool: db.Pool) -> None:
    await pool.execute(MANY_PUBLISHED)
    await pool.execute(SOME_WAITING)
    await pool.execute("ANALYZE commands")

    plan = await pool.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {commands.NEXT}", list(range(8)), 51, 200)

    top = msgspec.json.decode(plan)[0]["Plan"]
    nodes = list(_nodes(top))
    assert {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"} == set()
    assert {node.get("Index Name") for node in nodes} >= {"commands_new", "commands_tried"}
    assert top["Actual Rows"] == 200
    assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 10_000


def _nodes(node: dict[str, Any]) -> Sequence[dict[str, Any]]:
    return [node, *(below for child in node.get("Plans", []) for below in _nodes(child))]


# --- with a real broker -----------------------------------------------------------------------------------------

LISTENERS = "crm.listener"
ANSWERS = {
    outbox.Published: Verdict.PUBLISHED,
    outbox.Unroutable: Verdict.UNROUTABLE,
    outbox.Unconfirmed: Verdict.UNCONFIRMED,
}


def through(line: Outbox) -> Callable[[Sequence[Parcel]], Awaitable[Sequence[Answer]]]:
    """What the daemon does: the relay's parcels through the CRM's outbox."""

    async def publish(parcels: Sequence[Parcel]) -> list[Answer]:
        receipts = await line.publish(
            [outbox.Parcel(one.exchange, one.routing_key, one.body, one.command_id, one.headers) for one in parcels]
        )
        return [Answer(ANSWERS[type(receipt)], getattr(receipt, "reason", "")) for receipt in receipts]

    return publish


async def listen(url: str, *verbs: str) -> None:
    async with await connect(url, "crm") as connection, connection.channel() as channel:
        await declare(connection, Topology())
        # Classic: a quorum queue made in the seconds before its node is killed does not always come back.
        queue = await channel.declare_queue(LISTENERS, durable=True)
        for verb in verbs:
            await queue.bind("crm.commands", f"*.{verb}")


async def heard(url: str) -> list[AbstractIncomingMessage]:
    messages = []
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        queue = await channel.get_queue(LISTENERS)
        while message := await queue.get(fail=False, no_ack=True):
            messages.append(message)
        await queue.delete(if_empty=False, if_unused=False)
    return messages


async def test_commands_reach_a_real_broker_in_order_with_their_ids(pool: db.Pool, broker_url: str) -> None:
    await listen(broker_url, "create_call")
    made = await enqueue(pool, *(a_command(str(number), record=f"session/{number % 3}") for number in range(60)))
    line = Outbox(broker_url)
    relay = Relay(pool, through(line), uuid.uuid4())

    await relay.run_once()
    await line.close()

    came = await heard(broker_url)
    assert sorted(str(message.headers["x-command-id"]) for message in came) == sorted(made)
    for record in range(3):
        of_record = [message for message in came if f'"session/{record}"'.encode() in message.body]
        sequences = [msgspec.json.decode(message.body)["sequence"] for message in of_record]
        assert sequences == sorted(sequences)
        assert len(sequences) == 20


async def test_a_broker_killed_and_started_again_gets_every_command(pool: db.Pool, tmp_path: Path) -> None:
    broker = Rabbitmq(tmp_path / "rabbitmq")
    tmp_path.parent.chmod(0o711)
    await broker.start()
    try:
        await listen(broker.url, "create_call")
        line = Outbox(broker.url, patience=2)
        relay = Relay(pool, through(line), uuid.uuid4())
        first = await enqueue(pool, a_command("1"))
        await relay.run_once()

        await write_down(broker)
        await broker.kill()
        then = await enqueue(pool, a_command("2"), a_command("3"))
        assert await relay.run_once() >= 1
        assert await states(pool) == ["published", "new", "new"]

        await broker.start()
        await come_due(pool)
        await until(lambda: _published_all(pool, relay), seconds=30)
        await line.close()

        assert [message.headers["x-command-id"] for message in await heard(broker.url)] == first + then
    finally:
        await broker.stop()


async def _published_all(pool: db.Pool, relay: Relay) -> bool:
    await relay.run_once()
    return set(await states(pool)) == {"published"}


async def test_a_verb_nobody_has_bound_is_unroutable_at_a_real_broker_until_somebody_does(
    pool: db.Pool, broker_url: str
) -> None:
    await listen(broker_url, "create_call")
    made = await enqueue(pool, a_command("1", verb="create_letter", record="session/1"), a_command("2"))
    line = Outbox(broker_url)
    await Relay(pool, through(line), uuid.uuid4(), lease=timedelta(0)).run_once()
    assert await states(pool) == ["unroutable", "published"]

    await listen(broker_url, "create_letter")
    await come_due(pool)
    await Relay(pool, through(line), uuid.uuid4()).run_once()
    await line.close()

    assert {message.headers["x-command-id"] for message in await heard(broker_url)} == set(made)
