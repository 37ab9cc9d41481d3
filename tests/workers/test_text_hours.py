"""Texts keep to their recipient's hours, to so many a day, and to calm days, whatever made them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from control_center.domain.outcome import (
    Accepted,
    CannotTell,
    Cause,
    Lookup,
    NotSent,
    Outcome,
    Refused,
    Stage,
    Text,
    Unknown,
)
from control_center.engine import consenting
from control_center.engine.explain import explain
from control_center.engine.upkeep import Upkeep
from control_center.store import cases, db, messages, pruning, studios
from control_center.store.rulebooks import Rulebooks
from control_center.store.submissions import Ready, step
from tests.support.days import monday_ahead
from tests.support.rows import a_client, a_message, a_record, a_studio, a_trigger, an_action
from tests.support.sayings import a_saying
from workers.delivery import Delivery
from workers.writing import prepare

MONDAY = monday_ahead()  # 12:00 in Chicago
MONDAY_AT_10 = MONDAY - timedelta(hours=2)
SUNDAY = MONDAY - timedelta(days=1)
TUESDAY_AT_10 = MONDAY_AT_10 + timedelta(days=1)
BOOKED = MONDAY - timedelta(days=2, hours=1, minutes=55, seconds=55)
IN_SUMMER = MONDAY + timedelta(days=201)
LONG_SINCE = datetime(1970, 1, 1, tzinfo=UTC)
DEADLINE = 20.0  # seconds that a test waits for a fact
SUNDAY_REASON = "quiet hours: Sunday (zone from the number: America/Chicago)"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test")
    yield opened
    await opened.close()


class Provider:
    """Takes everything, unless it is told to say something else first."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[Text] = []

    async def submit(self, message: Text) -> Outcome:
        self.asked.append(message)
        return self.outcomes.pop(0) if self.outcomes else Accepted(f"SM-{message.key}")

    async def lookup(self, _message: Text) -> Lookup:
        return CannotTell("it keeps nothing")

    async def close(self) -> None:
        """It has nothing open."""


class Stopping(Provider):
    """Takes its time: while it has a text in hand, its recipient says STOP."""

    def __init__(self, pool: db.Pool, *outcomes: Outcome) -> None:
        super().__init__(*outcomes)
        self.pool = pool

    async def submit(self, message: Text) -> Outcome:
        async with db.transaction(self.pool) as tx:
            await consenting.say(tx, a_saying(message.to), MONDAY)
        return await super().submit(message)


async def a_house(pool: db.Pool, **settings: Any) -> None:
    sms = {"account": "default", "numbers": ["+13125550100"], **settings.pop("sms", {})}
    await a_studio(pool, settings={"sms": sms, "email": {"from": "ada@studio.example"}, **settings})
    await a_client(pool, allow_marketing={"sms": True, "email": True})  # as whoever is on a list of marketing has
    await booked(pool)


async def booked(pool: db.Pool, record: str = "session/4711") -> None:
    """A session of next summer, booked on the Saturday before."""
    dates = {"session": f"{IN_SUMMER:%Y-%m-%d}T14:00", "booked": f"{BOOKED:%Y-%m-%d}"}
    await a_record(pool, record, status_changed_at=BOOKED.isoformat(), dates=dates)


async def a_text(
    pool: db.Pool, *, purpose: str = "marketing", trigger: dict[str, Any] | None = None, **columns: Any
) -> int:
    """A released text of a trigger of its own, about a session that was booked; as everything is it may go."""
    definition = {"purpose": purpose, "activate": {"on": "status_changed"}, "use_by": "30d", **(trigger or {})}
    trigger_id = await a_trigger(pool, **definition)
    use_by = columns.pop("use_by", BOOKED + timedelta(days=30))
    record = columns.pop("record", "session/4711")
    action = await an_action(
        pool,
        record=record,
        state="released",
        trigger_id=trigger_id,
        occurrence=f"Booked@{BOOKED.isoformat()}",
        activation_at=BOOKED,
        use_by=use_by,
        released_by=columns.pop("by", None),
    )
    return await a_message(
        pool,
        record=record,
        action=action,
        trigger_id=trigger_id,
        purpose=purpose,
        use_by=use_by,
        due_at=LONG_SINCE,
        **columns,
    )


async def written(pool: db.Pool, origin: str, purpose: str = "marketing", **columns: Any) -> int:
    """A text whose words somebody chose already."""
    return await a_message(
        pool,
        origin=origin,
        purpose=purpose,
        use_by=MONDAY + timedelta(days=28),
        due_at=LONG_SINCE,
        **columns,
    )


def delivery(pool: db.Pool, channel: Any, at: datetime, *, account: str = "sms/default") -> Delivery:
    return Delivery(pool, channel, account=account, owner=uuid4(), clock=lambda: at)


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not await fact():  # noqa: ASYNC110 - the fact is in the database, which sets no event here
            await asyncio.sleep(0.01)


async def delivering(pool: db.Pool, *deliveries: Delivery) -> None:
    """Deliver until everything has been looked at: nothing is left that was never claimed, or is on its way."""

    async def over() -> bool:
        on_their_way = "state IN ('claimed', 'submitting') OR state = 'queued' AND due_at = $1"
        return not await pool.fetchval(f"SELECT count(*) FROM messages WHERE {on_their_way}", LONG_SINCE)

    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for one in deliveries:
            group.create_task(one.run(stop))
        await until(over)
        stop.set()


async def the(pool: db.Pool, message_id: int) -> Any:
    return await pool.fetchrow("SELECT * FROM messages WHERE message_id = $1", message_id)


async def states(pool: db.Pool) -> list[tuple[str, str]]:
    rows = await pool.fetch("SELECT state, reason FROM messages ORDER BY message_id")
    return [tuple(row) for row in rows]


# Hours ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [None, "Ada"])
async def test_a_marketing_text_waits_for_its_recipients_hours_also_when_processed_by_hand(
    pool: db.Pool, by: str | None
) -> None:
    await a_house(pool)
    text = await a_text(pool, by=by)
    provider = Provider()

    await delivering(pool, delivery(pool, provider, SUNDAY))

    row = await the(pool, text)
    assert (row["state"], row["reason"], row["due_at"]) == ("queued", SUNDAY_REASON, MONDAY_AT_10)
    assert (row["asked"], row["tries"], provider.asked) == (0, 0, [])


async def test_a_reminder_keeps_to_hours_only_where_the_studio_sets_some(pool: db.Pool) -> None:
    await a_house(pool, quiet_hours={"transactional": "14:00-20:00"})
    text = await a_text(pool, purpose="transactional")

    await delivering(pool, delivery(pool, Provider(), SUNDAY))
    waiting = await the(pool, text)
    await pool.execute("UPDATE studios SET settings = '{}', revision = revision + 1")
    await pool.execute("UPDATE messages SET due_at = $1", LONG_SINCE)
    await delivering(pool, delivery(pool, Provider(), SUNDAY))

    assert (waiting["state"], waiting["due_at"]) == ("queued", SUNDAY + timedelta(hours=2))
    assert waiting["reason"].startswith("quiet hours: outside 14:00-20:00")
    assert (await the(pool, text))["state"] == "accepted"


@pytest.mark.parametrize(("origin", "state"), [("bulk", "queued"), ("person", "accepted"), ("answer", "accepted")])
async def test_bulk_keeps_to_hours_and_what_a_person_writes_or_answers_a_stop_does_not(
    pool: db.Pool, origin: str, state: str
) -> None:
    await a_house(pool)
    text = await written(pool, origin)

    await delivering(pool, delivery(pool, Provider(), SUNDAY))

    row = await the(pool, text)
    assert row["state"] == state
    assert row["reason"] == (SUNDAY_REASON if state == "queued" else "")


async def test_bulk_that_is_no_marketing_waits_for_the_usual_hours_too(pool: db.Pool) -> None:
    await a_house(pool)
    text = await written(pool, "bulk", "transactional")

    await delivering(pool, delivery(pool, Provider(), SUNDAY.replace(hour=4)))

    row = await the(pool, text)
    assert (row["state"], row["due_at"]) == ("queued", SUNDAY.replace(hour=15))


async def test_it_goes_at_the_first_moment_that_its_triggers_window_and_the_recipients_hours_have_in_common(
    pool: db.Pool,
) -> None:
    await a_house(pool)
    processing = {"mode": "automatic", "window": "14:00-20:00", "not_on": ["mon"]}
    text = await a_text(pool, trigger={"processing": processing})
    early = await a_text(pool, trigger={"processing": {"mode": "automatic", "window": "06:00-09:00"}})

    await delivering(pool, delivery(pool, Provider(), SUNDAY.replace(hour=21)))

    row = await the(pool, text)
    assert (row["state"], row["due_at"]) == ("queued", MONDAY + timedelta(days=1, hours=2))
    assert (await the(pool, early))["state"] == "expired", "there is no such moment"


async def test_a_text_that_would_be_of_no_use_by_its_hours_expires_with_that_reason(pool: db.Pool) -> None:
    await a_house(pool)
    text = await a_text(pool, trigger={"use_by": "31h"}, use_by=BOOKED + timedelta(hours=31))

    await delivering(pool, delivery(pool, Provider(), SUNDAY))

    row = await the(pool, text)
    assert (row["state"], row["asked"]) == ("expired", 0)
    assert row["reason"].startswith(f"{SUNDAY_REASON}; it would go on {MONDAY_AT_10:%Y-%m-%d} 16:00 UTC")


async def test_hours_never_apply_to_email(pool: db.Pool) -> None:
    await a_house(pool)
    await a_text(pool, trigger={"action": "email"}, purpose="transactional", channel="email")
    async with db.session(pool) as connection:
        (decided,) = await prepared(connection, "email/default", SUNDAY)

    assert "quiet" not in getattr(decided, "reason", "")


async def test_a_decision_holds_no_longer_than_the_hours(pool: db.Pool) -> None:
    await a_house(pool)
    await a_text(pool)
    async with db.session(pool) as connection:
        (decided,) = await prepared(connection, "sms/default", MONDAY)

    assert isinstance(decided, Ready)
    assert decided.until == MONDAY + timedelta(hours=6)  # 18:00 in Chicago


async def test_a_text_to_a_country_that_is_not_switched_on_is_stopped_at_the_last_check(pool: db.Pool) -> None:
    await a_house(pool, sms={"countries": ["DE"]})
    british = await written(pool, "bulk", "transactional", address="+442079460018")
    german = await written(pool, "bulk", "transactional", address="+4930901820")

    await delivering(pool, delivery(pool, Provider(), MONDAY))

    assert (await the(pool, german))["state"] == "accepted"
    row = await the(pool, british)
    assert (row["state"], row["reason"][:36]) == ("cancelled", "country: +442079460018 is of GB, whi")


# So many a day --------------------------------------------------------------------------------------------


async def prepared(connection: db.Connection, account: str, at: datetime, limit: int = 100) -> list[Any]:
    """What a worker decides on the messages that it claims."""
    owner = uuid4()
    claimed = await messages.claim_due(
        connection, account, owner, since=LONG_SINCE, lease=timedelta(seconds=90), limit=limit
    )
    books = await Rulebooks().of(connection, await studios.get(connection, ["main"]))
    return [prepare(case, books["main"], at) for case in await cases.gather(connection, claimed, owner)]


async def passed(connection: db.Connection, ready: Sequence[Ready]) -> set[int]:
    lease = timedelta(seconds=90)
    return await step(connection, [], ready, lease=lease, margin=timedelta(seconds=1))


async def test_one_marketing_text_a_day_reaches_a_number_across_triggers_and_bulk_and_the_next_goes_the_next_day(
    pool: db.Pool,
) -> None:
    await a_house(pool)
    texts = [await a_text(pool), await written(pool, "bulk"), await a_text(pool)]
    reminder = await a_text(pool, purpose="transactional")
    typed = await written(pool, "person")
    provider = Provider()

    await delivering(pool, delivery(pool, provider, MONDAY))

    rows = [await the(pool, one) for one in texts]
    (gone,) = (row["message_id"] for row in rows if row["state"] == "accepted")
    waits = [(row["state"], row["due_at"], row["reason"]) for row in rows if row["state"] != "accepted"]
    assert (
        waits
        == [
            ("queued", TUESDAY_AT_10, f"marketing cap: one marketing text a day to one number, and m-{gone} went today")
        ]
        * 2
    )
    assert {(await the(pool, one))["state"] for one in (reminder, typed)} == {"accepted"}


async def test_a_studio_may_allow_more_a_day(pool: db.Pool) -> None:
    await a_house(pool, marketing_per_day=2)
    for _ in range(3):
        await a_text(pool)

    await delivering(pool, delivery(pool, Provider(), MONDAY))

    assert sorted(state for state, _ in await states(pool)) == ["accepted", "accepted", "queued"]


@pytest.mark.parametrize("a_day", [1, 3])
async def test_of_many_workers_at_one_time_no_more_pass_than_a_day_allows(pool: db.Pool, a_day: int) -> None:
    await a_house(pool, marketing_per_day=a_day)
    for n in range(24):
        await (a_text(pool) if n % 2 else written(pool, "bulk"))
    ready: list[list[Ready]] = []
    async with db.session(pool) as connection:
        for _ in range(8):
            decided = await prepared(connection, "sms/default", MONDAY, limit=3)
            ready.append([one for one in decided if isinstance(one, Ready)])
    rounds = [one for one in ready if one]
    start = asyncio.Barrier(len(rounds))

    async def worker(mine: list[Ready]) -> set[int]:
        async with db.session(pool) as connection:
            await start.wait()
            return await passed(connection, mine)

    went = [message for those in await asyncio.gather(*(worker(one) for one in rounds)) for message in those]

    assert 1 <= len(went) <= a_day
    assert await pool.fetchval("SELECT count(*) FROM messages WHERE state = 'submitting'") == len(went)
    assert await pool.fetchval("SELECT count(*) FROM day_shares") == len(went)


async def test_many_workers_in_earnest_send_one_a_day_to_each_number(pool: db.Pool) -> None:
    await a_house(pool)
    for n in range(60):
        await written(pool, "bulk", address=f"+1312555{1000 + n % 20}")
    provider = Provider()

    await delivering(pool, *(delivery(pool, provider, MONDAY) for _ in range(4)))

    assert len(provider.asked) == len({one.to for one in provider.asked}) == 20
    assert sorted({state for state, _ in await states(pool)}) == ["accepted", "queued"]


async def test_what_the_provider_did_not_take_leaves_the_day_to_another(pool: db.Pool) -> None:
    await a_house(pool)
    await written(pool, "bulk")
    provider = Provider(NotSent("connection refused"))

    await delivering(pool, delivery(pool, provider, MONDAY))
    assert await pool.fetchval("SELECT count(*) FROM day_shares") == 0
    other = await written(pool, "bulk")
    await delivering(pool, delivery(pool, provider, MONDAY))

    assert (await the(pool, other))["state"] == "accepted"


async def test_days_that_are_over_everywhere_are_forgotten(pool: db.Pool) -> None:
    await a_house(pool)
    for days in (3, 9):
        await pool.execute(
            "INSERT INTO day_shares VALUES ('main', 'sms +1', current_date - $1::integer, 1, 'm-1')", days
        )

    async with db.session(pool) as connection:
        assert await pruning.day_shares(connection, older_than=timedelta(days=8), limit=10) == 1

    assert await pool.fetchval("SELECT current_date - day FROM day_shares") == 3


async def test_the_day_is_the_recipients_own(pool: db.Pool) -> None:
    await a_house(pool, quiet_hours={"marketing": "00:00-24:00"})
    await pool.execute("UPDATE studios SET timezone = 'Asia/Tokyo'")
    first, second = await written(pool, "bulk"), await written(pool, "bulk")

    await delivering(pool, delivery(pool, Provider(), MONDAY))

    row = max([await the(pool, first), await the(pool, second)], key=lambda row: row["due_at"])
    assert row["due_at"] == MONDAY + timedelta(hours=20)  # 08:00 on Tuesday in Chicago, by the rule of the US


# Calm days ------------------------------------------------------------------------------------------------


async def test_on_a_calm_day_a_client_hears_what_is_most_important_and_the_rest_is_moved(pool: db.Pool) -> None:
    await a_house(pool, calm_day="move", marketing_per_day=5)
    late, first = await a_text(pool, trigger={"priority": 8}), await a_text(pool, trigger={"priority": 2})

    await delivering(pool, delivery(pool, Provider(), MONDAY))

    assert (await the(pool, first))["state"] == "accepted"
    row = await the(pool, late)
    assert (row["state"], row["due_at"]) == ("queued", TUESDAY_AT_10)
    assert row["reason"].startswith("calm day: the client")
    assert row["reason"].endswith("; moved to another day")


async def test_a_studio_may_have_the_less_important_dropped(pool: db.Pool) -> None:
    await a_house(pool, calm_day="drop")
    dropped, first = await a_text(pool), await a_text(pool, purpose="transactional", trigger={"priority": 9})

    await delivering(pool, delivery(pool, Provider(), MONDAY))

    assert (await the(pool, first))["state"] == "accepted", "a reminder comes before whatever is marketing"
    row = await the(pool, dropped)
    assert (row["state"], row["asked"]) == ("expired", 0)
    assert row["reason"] == f"calm day: the client is to hear of something more important today (m-{first}); dropped"


TWO = {
    "sms": {"priority": 2, "text": "Mini sessions on 5 December."},
    "late": {"priority": 8, "text": "Cards: 20 % off."},
}


async def settled(pool: db.Pool) -> None:
    upkeep = Upkeep(pool, lambda: MONDAY, uuid4())
    await upkeep.follow_riders()


async def test_where_days_are_merged_one_text_says_both_and_each_of_them_knows_it(pool: db.Pool) -> None:
    await a_house(pool, calm_day="merge")
    late, first = await a_text(pool, trigger=TWO["late"]), await a_text(pool, trigger=TWO["sms"])
    provider = Provider()

    await delivering(pool, delivery(pool, provider, MONDAY))
    between = await the(pool, late)
    await settled(pool)

    assert [one.body for one in provider.asked] == ["Mini sessions on 5 December.\n\nCards: 20 % off."]
    assert (between["state"], between["reason"]) == ("held", f"calm day: its words go with m-{first}")
    row = await the(pool, late)
    assert (row["state"], row["asked"]) == ("accepted", 0)
    assert row["reason"] == f"calm day: its words went with m-{first}"
    assert await pool.fetchval("SELECT carries FROM attempts") == [late]
    steps = [one.text for one in (await explain(pool, lambda: MONDAY, "main", f"m-{first}")).steps]
    said = (await explain(pool, lambda: MONDAY, "main", f"m-{late}")).sentence
    assert any(f"m-{first}.1, with the words of m-{late}: accepted" in one for one in steps)
    assert said.endswith(f"its words went with m-{first}, which tells whether it arrived.")


async def test_what_the_provider_did_not_take_gives_no_words_away(pool: db.Pool) -> None:
    await a_house(pool, calm_day="merge", marketing_per_day=5)
    late, first = await a_text(pool, trigger=TWO["late"]), await a_text(pool, trigger=TWO["sms"])

    await delivering(pool, delivery(pool, Provider(Refused("no such number", Cause.RECIPIENT)), MONDAY))
    await settled(pool)

    assert (await the(pool, first))["state"] == "failed"
    row = await the(pool, late)
    assert (row["state"], row["rides_with"]) == ("queued", None)
    assert await pool.fetchval("SELECT count(*) FROM day_shares") == 0, "nobody was written to that day"


async def test_while_nobody_knows_whether_it_went_its_words_wait_with_it(pool: db.Pool) -> None:
    await a_house(pool, calm_day="merge", marketing_per_day=5)
    late, first = await a_text(pool, trigger=TWO["late"]), await a_text(pool, trigger=TWO["sms"])

    await delivering(pool, delivery(pool, Provider(Unknown("no answer", Stage.SENT)), MONDAY))
    await settled(pool)
    await pool.execute("UPDATE messages SET use_by = $1", MONDAY)
    await Upkeep(pool, lambda: MONDAY, uuid4()).expire_messages()
    doubtful = await the(pool, late)
    await pool.execute("UPDATE attempts SET outcome = 'accepted'")
    await pool.execute("UPDATE messages SET state = 'delivered', sent_at = now() WHERE message_id = $1", first)
    await settled(pool)

    assert doubtful["state"] == "held"
    assert (await the(pool, late))["state"] == "accepted"


@pytest.mark.parametrize(
    ("outcome", "ends"),
    [
        (Accepted("SM1"), ("accepted", "calm day: its words went with m-{first}")),
        (Refused("no", Cause.CONTENT), ("suppressed", "opted out: the address said STOP")),
    ],
)
async def test_a_stop_meanwhile_leaves_its_words_to_what_the_text_comes_to(
    pool: db.Pool, outcome: Outcome, ends: tuple[str, str]
) -> None:
    await a_house(pool, calm_day="merge", marketing_per_day=5)
    late, first = await a_text(pool, trigger=TWO["late"]), await a_text(pool, trigger=TWO["sms"])
    provider = Stopping(pool, outcome)

    await delivering(pool, delivery(pool, provider, MONDAY))
    between = await the(pool, late)
    await settled(pool)
    await delivering(pool, delivery(pool, Provider(), MONDAY))

    assert (between["state"], between["rides_with"]) == ("held", first)
    row = await the(pool, late)
    assert (row["state"], row["reason"]) == (ends[0], ends[1].format(first=first))
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    "apart",
    [
        {"purpose": "transactional"},
        {"address": "+13125550189"},
        {"trigger": {"action": "nps_sms", "priority": 1}, "question": "nps"},
    ],
)
async def test_an_offer_is_never_put_into_a_reminder_a_question_or_what_goes_to_another_number(
    pool: db.Pool, apart: dict[str, Any]
) -> None:
    await a_house(pool, calm_day="merge", marketing_per_day=5)
    late = await a_text(pool, trigger=TWO["late"])
    await a_text(pool, **{"trigger": TWO["sms"], **apart})
    provider = Provider()

    await delivering(pool, delivery(pool, provider, MONDAY))

    assert len(provider.asked) == 1
    assert "Cards" not in provider.asked[0].body
    row = await the(pool, late)
    assert (row["state"], row["due_at"], row["rides_with"]) == ("queued", TUESDAY_AT_10, None)


async def test_what_does_not_qualify_any_more_or_has_changed_meanwhile_is_not_taken_along(pool: db.Pool) -> None:
    await a_house(pool, calm_day="merge", marketing_per_day=5)
    await booked(pool, "session/s-2")
    late = await a_text(pool, trigger=TWO["late"], record="session/s-2")
    first = await a_text(pool, trigger=TWO["sms"])
    async with db.session(pool) as connection:
        ready = [one for one in await prepared(connection, "sms/default", MONDAY) if isinstance(one, Ready)]
        assert [(one.case.message_id, [rider.message_id for rider in one.riders]) for one in ready] == [(first, [late])]
        await pool.execute("UPDATE records SET version = version + 1 WHERE record_id = 's-2'")
        assert await passed(connection, ready) == set()

    await pool.execute(
        "UPDATE messages SET state = 'queued', claims = 0, due_at = $1, lease_owner = NULL, lease_until = NULL",
        LONG_SINCE,
    )
    await pool.execute("UPDATE records SET deleted = true WHERE record_id = 's-2'")
    provider = Provider()
    await delivering(pool, delivery(pool, provider, MONDAY))

    assert [one.body for one in provider.asked] == ["Mini sessions on 5 December."]
    assert (await the(pool, late))["state"] == "cancelled"


async def test_nothing_is_taken_along_whose_record_is_just_changing(pool: db.Pool) -> None:
    """Whoever has that record counts what waits as told to nobody: so the words of it must not go with another text."""
    await a_house(pool, calm_day="merge", marketing_per_day=5)
    await booked(pool, "session/s-2")
    late = await a_text(pool, trigger=TWO["late"], record="session/s-2")
    first = await a_text(pool, trigger=TWO["sms"])
    async with db.session(pool) as connection, db.session(pool) as other:
        ready = [one for one in await prepared(connection, "sms/default", MONDAY) if isinstance(one, Ready)]
        assert [one.case.message_id for one in ready] == [first]
        async with other.transaction():
            await other.execute("SELECT FROM records WHERE record_id = 's-2' FOR UPDATE")
            assert await passed(connection, ready) == set()
        assert (await the(pool, late))["rides_with"] is None
        assert await passed(connection, ready) == {first}

    assert (await the(pool, late))["rides_with"] == first


async def test_days_are_not_calm_unless_the_studio_says_so(pool: db.Pool) -> None:
    await a_house(pool, marketing_per_day=5)
    for priority in (8, 2):
        await a_text(pool, trigger={"priority": priority})

    await delivering(pool, delivery(pool, Provider(), MONDAY))

    assert await states(pool) == [("accepted", ""), ("accepted", "")]


async def test_the_texts_of_one_action_to_several_numbers_are_one_thing_to_hear(pool: db.Pool) -> None:
    await a_house(pool, calm_day="drop")
    text = await a_text(pool)
    row = await the(pool, text)
    await a_message(
        pool,
        action=row["action_id"],
        trigger_id=row["trigger_id"],
        purpose="marketing",
        address="+13125550189",
        use_by=row["use_by"],
        due_at=LONG_SINCE,
    )

    await delivering(pool, delivery(pool, Provider(), MONDAY))

    assert await states(pool) == [("accepted", ""), ("accepted", "")]


async def test_two_that_pass_at_one_time_cannot_both_have_a_calm_day(pool: db.Pool) -> None:
    await a_house(pool, calm_day="move", marketing_per_day=5)
    await a_text(pool)
    async with db.session(pool) as one:
        first = await prepared(one, "sms/default", MONDAY)
        await pool.execute("UPDATE messages SET state = 'held', lease_owner = NULL, lease_until = NULL")
        await a_text(pool)  # the first is out of its sight
        second = await prepared(one, "sms/default", MONDAY)
        await pool.execute(
            "UPDATE messages SET state = 'claimed', lease_owner = $1, lease_until = now() + interval '1 minute'",
            uuid4(),
        )
    ready = [found for found in (*first, *second) if isinstance(found, Ready)]
    assert len(ready) == 2

    async def worker(mine: Ready) -> set[int]:
        async with db.session(pool) as connection:
            return await passed(connection, [mine])

    went = await asyncio.gather(*(worker(found) for found in ready))

    assert sorted(map(len, went)) == [0, 1]
