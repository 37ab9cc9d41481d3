"""Every state that a message can be in, and every fact that may come late: what may become of it, and what may not.

The statements are held against the table of the states (`domain.message.TRANSITIONS`, which docs/reference/states.md is
made from): no fact takes a message where the table has no way, a proof counts wherever its attempt was made or may have
been, and nothing that may have left is queued again but by proof that it has not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID, uuid4

import pytest

from control_center.domain.consent import DOUBTFUL, Said
from control_center.domain.errors import Refused as NotAllowed
from control_center.domain.message import TRANSITIONS, State, settle
from control_center.domain.outcome import (
    Accepted,
    Blocked,
    Cause,
    Fate,
    NotSent,
    Outcome,
    Receipt,
    Refused,
    Stage,
    Unknown,
)
from control_center.engine import arming, consenting, front_desk, replies
from control_center.engine.upkeep import Upkeep
from control_center.store import (
    db,
    dead_numbers,
    doubts,
    failovers,
    fences,
    flights,
    message_leases,
    messages,
    submissions,
)
from control_center.store.doubts import Doubt
from control_center.store.messages import Return
from control_center.store.submissions import Settled
from tests.support.rows import a_message, a_studio, ago, ahead, now
from tests.support.sayings import a_saying

NUMBER: Final = "+13125550188"
OWNER: Final = UUID(int=7)
MINUTE: Final = timedelta(minutes=1)
HOURS: Final = timedelta(hours=9)
RANKS: Final = [State.ACCEPTED, State.UNDELIVERED, State.DELIVERED]
PROVEN: Final = frozenset(RANKS)
MAY_HAVE_LEFT: Final = {State.SUBMITTING, State.UNKNOWN} | PROVEN

# What a message is like, by the state that it shows: one for each way in which a state matters to a statement.
FORMS: Final[dict[str, dict[str, Any]]] = {
    "queued": {"state": "queued"},
    "queued, tried before": {"state": "queued", "asked": 1, "tries": 1, "reason": "retry: 429", "lease_token": 1},
    "held by its breaker": {"state": "held", "asked": 1, "tries": 1, "reason": "breaker: wrong password"},
    "held by another's doubt": {"state": "held", "reason": DOUBTFUL},
    "held by its plan": {"state": "held", "reason": "plan: 100 of 100"},
    "held by the fence": {"state": "held", "reason": "fence: it may have gone out", "forgotten": "perhaps"},
    "claimed": {"state": "claimed", "lease_owner": OWNER},
    "claimed for the third time": {"state": "claimed", "lease_owner": OWNER, "claims": 3},
    "submitting": {"state": "submitting", "lease_owner": OWNER},
    "unknown": {"state": "unknown", "reason": "sent: no answer"},
    "unknown by the fence": {"state": "unknown", "asked": 0, "reason": "fence: it may", "forgotten": "perhaps"},
    "accepted": {"state": "accepted", "provider_id": "SM1"},
    "accepted, says a person": {"state": "accepted", "resolved_by": "Ada", "reason": "sent, says Ada"},
    "delivered": {"state": "delivered", "provider_id": "SM1"},
    "undelivered": {"state": "undelivered", "provider_id": "SM1"},
    "failed": {"state": "failed", "reason": "content: filtered"},
    "failed, says a person": {"state": "failed", "resolved_by": "Ada", "reason": "not sent, says Ada"},
    "cancelled": {"state": "cancelled", "reason": "moved"},
    "cancelled, tried before": {"state": "cancelled", "asked": 1, "reason": "moved"},
    "suppressed": {"state": "suppressed", "reason": "opted out: reply"},
    "suppressed behind the fence": {
        "state": "suppressed",
        "reason": "opted out: reply; fence:",
        "forgotten": "perhaps",
    },
    "expired behind the fence": {"state": "expired", "reason": "use-by, and waited: fence:", "forgotten": "perhaps"},
    "expired": {"state": "expired", "reason": "use-by"},
    "shadow": {"state": "shadow"},
    "received": {"state": "received"},
}

Fact: TypeAlias = Callable[[db.Pool, int], Awaitable[Any]]


def _receipt(fate: Fate, *, by_id: bool = False) -> Fact:
    async def comes(pool: db.Pool, message: int) -> None:
        came = Receipt(fate, None if by_id else f"m-{message}.1", "SM1")
        await replies.take_receipts(pool, "sms/default", [(f"{fate}", came, "as it came")])

    return comes


def _answer(outcome: Outcome, *, token: int = 1) -> Fact:
    async def is_written(pool: db.Pool, message: int) -> None:
        settlement = settle(outcome, key=f"m-{message}", tries=0, use_by=ahead(days=1), now=now())
        month = now().date().replace(day=1)
        done = Settled("main", message, token, 1, NUMBER, "sms", settlement, (), month)
        async with db.session(pool) as tx:
            await submissions.step(tx, [done], [], lease=MINUTE, margin=MINUTE)

    return is_written


def _doubt(message: int) -> Doubt:
    return Doubt(
        "main", message, "sms", NUMBER, "+13125550100", f"m-{message}.1", None, "See you soon.", ago(minutes=5),
        ahead(days=1), True, (),
    )  # fmt: skip


async def _is_found(pool: db.Pool, message: int) -> None:
    async with db.transaction(pool) as tx:
        await doubts.found(tx, "sms/default", _doubt(message), provider_id="SM1", fate="delivered")
    await replies.adopt(pool, limit=10)


async def _is_not_found(pool: db.Pool, message: int) -> None:
    async with db.transaction(pool) as tx:
        await doubts.missing(tx, _doubt(message))


async def _ran_out(pool: db.Pool, message: int) -> None:
    await pool.execute(
        "UPDATE messages SET lease_until = $2 WHERE message_id = $1 AND lease_until IS NOT NULL",
        message,
        ago(minutes=1),
    )
    await Upkeep(pool, now, uuid4()).rescue()


def _sweep(*, noted: bool) -> Fact:
    async def reads(pool: db.Pool, message: int) -> None:
        async with db.transaction(pool) as tx:
            history = await flights.history(tx)
            notes = [(message, 1)] if noted else []
            await flights.never_left(tx, OWNER, notes, complete_for=HOURS, history=history, poison=3)
            await flights.run_out(tx, OWNER)
        await Upkeep(pool, now, uuid4()).rescue()

    return reads


def _settles(*, sent: bool) -> Fact:
    async def says_so(pool: db.Pool, message: int) -> None:
        await front_desk.resolve(pool, "main", message, sent=sent, evidence="saw it", by="Bo")

    return says_so


def _says(what: Said) -> Fact:
    async def says_it(pool: db.Pool, _: int) -> None:
        async with db.transaction(pool) as tx:
            await consenting.say(tx, a_saying(NUMBER, what), now())

    return says_it


async def _is_dead(pool: db.Pool, _: int) -> None:
    async with db.transaction(pool) as tx:
        await dead_numbers.suppress(tx, ("main", NUMBER), "takes no texts")


async def _is_too_late(pool: db.Pool, message: int) -> None:
    await pool.execute("UPDATE messages SET use_by = $2 WHERE message_id = $1", message, ago(minutes=1))
    await Upkeep(pool, now, uuid4()).expire_messages()


def _put_back(state: State, *, token: int = 1) -> Fact:
    async def is_put_back(pool: db.Pool, message: int) -> None:
        async with db.transaction(pool) as tx:
            await messages.put_back(tx, [Return("main", message, token, state, "decided anew")])

    return is_put_back


async def _gives_back(pool: db.Pool, _: int) -> None:
    async with db.transaction(pool) as tx:
        await message_leases.drop_claims(tx, OWNER)


async def _unmarks(pool: db.Pool, message: int) -> None:
    async with db.transaction(pool) as tx:
        await submissions.unmark(tx, OWNER, marked=[message])


async def _closes(pool: db.Pool, _: int) -> None:
    async with db.transaction(pool) as tx:
        await fences.close(tx, "a failover")


def _arms(held: Any) -> Fact:
    async def arms(pool: db.Pool, message: int) -> None:
        await _closes(pool, message)
        await arming.arm(pool, held, by="Ada", reason="looked")

    return arms


async def _account_is_well(pool: db.Pool, _: int) -> None:
    await Upkeep(pool, now, uuid4()).return_held()


async def _moves(pool: db.Pool, _: int) -> None:
    async with db.transaction(pool) as tx:
        await failovers.move(tx, "sms/default", "sms/other", sender=None, limit=10)


FACTS: Final[dict[str, Fact]] = {
    **{f"a receipt: {fate.value}": _receipt(fate) for fate in Fate},
    **{f"a receipt by the provider's id: {fate.value}": _receipt(fate, by_id=True) for fate in Fate},
    "its worker: taken": _answer(Accepted("SM1")),
    "its worker: refused": _answer(Refused("filtered", Cause.CONTENT, "30007")),
    "its worker: not sent": _answer(NotSent("refused connection")),
    "its worker: blocked": _answer(Blocked("wrong password")),
    "its worker: no answer": _answer(Unknown("no answer", Stage.SENT)),
    "a worker of before: taken": _answer(Accepted("SM1"), token=0),
    "a worker of before: refused": _answer(Refused("filtered", Cause.CONTENT), token=0),
    "a worker of before: not sent": _answer(NotSent("refused connection"), token=0),
    "a worker of before: blocked": _answer(Blocked("wrong password"), token=0),
    "a worker of before: no answer": _answer(Unknown("no answer", Stage.SENT), token=0),
    "the inquiry: found": _is_found,
    "the inquiry: not found": _is_not_found,
    "its lease runs out": _ran_out,
    "the recorder of its dead worker: not noted": _sweep(noted=False),
    "the recorder of its dead worker: noted": _sweep(noted=True),
    "a person: sent": _settles(sent=True),
    "a person: not sent": _settles(sent=False),
    "STOP": _says(Said.STOP),
    "START": _says(Said.START),
    "a doubtful reply": _says(Said.DOUBT),
    "its number takes no texts": _is_dead,
    "its use-by": _is_too_late,
    **{
        f"decided anew: {one.value}": _put_back(one)
        for one in (State.QUEUED, State.HELD, State.CANCELLED, State.SUPPRESSED)
    },
    "decided anew by a worker of before": _put_back(State.CANCELLED, token=0),
    "its worker gives back what it has": _gives_back,
    "its worker takes back its mark": _unmarks,
    "the fence closes": _closes,
    "the fence is armed: it goes": _arms("send"),
    "the fence is armed: in doubt": _arms("doubt"),
    "its account is well again": _account_is_well,
    "another account takes over": _moves,
}
PROVES: Final = {name for name in FACTS if "a receipt" in name or name.endswith((": taken", ": found"))}
# What the CRM hears of a state; what a worker writes it tells itself, and of a dead number another statement does.
REPORTED: Final = {
    State.ACCEPTED: "message.sent", State.DELIVERED: "message.delivered", State.UNDELIVERED: "message.failed",
    State.UNKNOWN: "message.unknown", State.FAILED: "message.failed", State.SUPPRESSED: "message.failed",
    State.EXPIRED: "message.failed",
}  # fmt: skip
UNTOLD: Final = {"its number takes no texts", *(name for name in FACTS if name.startswith("decided anew"))}
# Proof that no byte left: only these may queue again what was being submitted.
NOT_LEFT: Final = {
    "its worker: not sent", "its worker: blocked", "its worker takes back its mark",
    "the recorder of its dead worker: not noted",
}  # fmt: skip


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[db.Pool]:
    opened = await db.open_pool(database_url, application="test", size=4)
    await a_studio(opened)
    yield opened
    await opened.close()


async def _begins(pool: db.Pool, form: str) -> int:
    """An empty database but for this one; what was said may be forgotten here, which nobody can elsewhere."""
    async with db.transaction(pool) as tx:
        await tx.execute("SET LOCAL session_replication_role = replica")
        for table in ("messages", "attempts", "actions", "receipts", "commands", "consents"):
            await tx.execute(f"DELETE FROM {table}")
        await tx.execute("UPDATE fence SET closed_at = NULL")
    return await a_message(pool, **FORMS[form])


async def _comes(pool: db.Pool, message: int, fact: str) -> State:
    """What it has come to by that."""
    with suppress(NotAllowed):
        await FACTS[fact](pool, message)
    return State(await pool.fetchval("SELECT state FROM messages WHERE message_id = $1", message))


async def _told(pool: db.Pool) -> str | None:
    """What the CRM has heard of it last."""
    verb: str | None = await pool.fetchval(
        "SELECT verb FROM commands WHERE starts_with(verb, 'message.') ORDER BY sequence DESC LIMIT 1"
    )
    return verb


def _counts(form: str, fact: str) -> bool:
    """Whether a proof names an attempt that was made, or that the database may have forgotten."""
    row = FORMS[form]
    state, forgotten = State(row["state"]), row.get("forgotten") is not None
    if state in (State.SHADOW, State.RECEIVED):
        return False
    if "the provider's id" in fact:
        return "provider_id" in row
    if "worker" in fact:
        return forgotten or "resolved_by" in row or state in MAY_HAVE_LEFT
    return forgotten or row.get("asked", 0) > 0 or state in MAY_HAVE_LEFT | {State.FAILED}


def _wrong(before: State, fact: str, after: State) -> str | None:
    """The law that this step breaks, whatever came before it."""
    by_the_fence = TRANSITIONS[State.HELD] if fact.startswith("the fence is armed") else frozenset()  # closed before
    if after is not before and after not in TRANSITIONS[before] | by_the_fence:
        return "the table of states has no such way"
    if before in MAY_HAVE_LEFT and after in (State.QUEUED, State.HELD) and fact not in NOT_LEFT:
        return "it may have left, and would be sent again"
    if before in PROVEN and RANKS.index(after) < RANKS.index(before):
        return "what was proven is taken back"
    return None


@pytest.mark.parametrize("form", FORMS)
async def test_whatever_comes_late_a_message_goes_where_the_table_lets_it(pool: db.Pool, form: str) -> None:
    before = State(FORMS[form]["state"])
    for fact in FACTS:
        after = await _comes(pool, await _begins(pool, form), fact)

        assert (wrong := _wrong(before, fact, after)) is None, f"{fact}: {before} -> {after}: {wrong}"
        if fact in PROVES and before not in PROVEN:
            assert (after in PROVEN) is _counts(form, fact), f"{fact}: {before} -> {after}"
        if after is not before and after in REPORTED and "worker" not in fact and fact not in UNTOLD:
            kept = FORMS[form].get("forgotten") and after in (State.SUPPRESSED, State.EXPIRED)
            assert await _told(pool) == ("message.unknown" if kept else REPORTED[after]), f"{fact}: {after}"


@pytest.mark.long
@pytest.mark.parametrize("form", ["queued, tried before", "held by the fence", "claimed", "submitting", "unknown"])
async def test_of_two_late_facts_neither_undoes_what_the_other_proved(pool: db.Pool, form: str) -> None:
    for first in FACTS:
        for second in FACTS:
            message = await _begins(pool, form)
            between = await _comes(pool, message, first)
            after = await _comes(pool, message, second)

            wrong = _wrong(between, second, after)
            assert wrong is None, f"{first}, then {second}: {between} -> {after}: {wrong}"
