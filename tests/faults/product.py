"""The product at the level of its own statements: one step at a time, on one connection, in one transaction.

Each step is a function of the store or of a worker, called as the worker's or the engine's loop would call it. In one
transaction, so that a database that loses its last commit is a savepoint that is rolled back, and that nothing of one
history is left for the next one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID, uuid4

from control_center.domain.message import State
from control_center.domain.outcome import Accepted, Cause, Fate, NotSent, Outcome, Receipt, Refused, Stage, Unknown
from control_center.engine import arming, consenting, front_desk, replies
from control_center.engine.upkeep import Upkeep
from control_center.fence import recognise
from control_center.store import consents, db, doubts, flights, message_leases, messages, submissions
from control_center.store.doubts import Doubt
from control_center.store.fences import is_open
from control_center.store.messages import Return
from control_center.store.submissions import Ready
from tests.support.rows import a_message, a_studio, now
from tests.support.sayings import a_saying
from workers import delivery, flight_recorder, settling
from workers.flight_recorder import PLACES_AT, FlightRecorder
from workers.inquiry import Inquiry, _learned
from workers.preparation import Preparation
from workers.recovery import Recovery
from workers.settling import Answered
from workers.this_boot import Boot, here

ACCOUNT: Final = "sms/default"
EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
DAY: Final = timedelta(days=1)  # so long is every lease: none runs out by itself, however slow the machine
HOUR: Final = 3600 * 10**9  # nanoseconds
NONE: Final = timedelta(0)

LOOK: Final = """
SELECT message_id, state, reason, lease_owner AS owner, lease_token AS token,
       coalesce(lease_until < clock_timestamp(), false) AS expired, resolved_by IS NOT NULL AS by_a_person, asked,
       forgotten IS NOT NULL AS forgotten
  FROM messages ORDER BY message_id"""
# As if its time had gone by.
RUN_OUT: Final = """
UPDATE messages SET lease_until = clock_timestamp() - interval '1 second'
 WHERE message_id = ANY ($1) AND lease_until IS NOT NULL"""
# What was put off is due, and neither was tried nor lost so often that it would end for that: other tests tell of this.
LATER: Final = """
UPDATE messages SET due_at = least(due_at, clock_timestamp()), tries = 0, claims = least(claims, 1)
 WHERE state = 'queued'"""
# A standby has taken over: where the database is now is not where sending was armed.
FAILED_OVER: Final = "UPDATE fence SET timeline = 'FFFFFFFF'"

# What the provider does with a request, by what the model calls it, and what the worker learns.
ENDS: Final[dict[str, tuple[Outcome, bool]]] = {
    "taken, and told so": (Accepted(None), True),
    "taken, and the answer is lost": (Unknown("no answer", Stage.SENT), True),
    "in vain": (Unknown("no answer", Stage.SENT), False),
    "refused": (Refused("filtered", Cause.CONTENT, "30007"), False),
    "refused: it said STOP there": (Refused("opted out", Cause.OPTED_OUT, "21610"), False),
    "put off": (NotSent("not now"), False),
}


class BrokenError(AssertionError):
    """What happened at the provider must never happen."""


@dataclass
class Provider:
    """Takes texts; where it `knows` keys, one that comes again under its key is answered as it was at first."""

    knows: bool
    taken: list[tuple[int, str]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def takes(self, message: int, key: str) -> None:
        if self.knows and key in self.keys:
            return
        self.keys.add(key)
        self.taken.append((message, key))

    def times(self, message: int) -> int:
        return sum(one == message for one, _ in self.taken)


@dataclass
class Hand:
    """What one worker has of one message; `late` says that its mark was committed after STOP."""

    ready: Ready | None = None
    on_its_way: Ready | None = None  # a mark that nobody waits for, and that may still be carried out
    answered: Answered | None = None
    late: bool = False


class Process:
    """One worker, from its start to its end."""

    def __init__(self, folder: Path, boot: Boot, history: str) -> None:
        self.owner = uuid4()
        self.preparation = Preparation(self.owner, now, links=None)
        self.recorder = FlightRecorder(folder, self.owner, boot=boot, history=history, places=16)
        # It has been there for an hour: what was marked a moment after its start would be too old for whoever reads it.
        since = max(1, flight_recorder._now() - HOUR)
        self.recorder._put(flight_recorder.SINCE_AT, flight_recorder.SINCE.pack(since))
        self.hands: defaultdict[int, Hand] = defaultdict(Hand)

    def dies(self) -> None:
        self.recorder.close()


class _Keys:
    """A way to a provider that knows keys; what it is asked is written down elsewhere."""

    remembers = DAY


@dataclass
class Asking:
    """The inquiry at one message: decided once, under this token, and what it was answered."""

    doubt: Doubt
    ready: Ready
    token: int = -1
    late: bool = False
    outcome: Outcome | None = None


class Product:
    """Two workers, an inquiry and an engine on one transaction."""

    def __init__(self, tx: db.Connection, folder: Path, *, keys: bool) -> None:
        self.tx = tx
        self.pool = db.inside(tx)
        self.provider = Provider(knows=keys)
        self._folder = folder
        boot = here()
        assert boot is not None
        self.boot = boot
        self.stopped: set[int] = set()
        self.dead: list[Process] = []
        self.inquirers: list[UUID] = []
        self.asking: dict[int, Asking] = {}
        self.old_keys: set[str] = set()  # whose time at the provider is over
        self.receipts = 0

    async def opens(self, messages_at_once: int) -> list[int]:
        """A studio, and so many texts that a person has written; returns their numbers."""
        self.history = await flights.history(self.tx)
        await a_studio(self.tx)
        self.numbers: list[int] = []
        for _ in range(messages_at_once):
            await self.writes()
        self.live = [self._started(), self._started()]
        self._inquires()
        return self.numbers

    async def writes(self) -> int:
        """One more, to an address of its own."""
        number = await a_message(self.tx, origin="person", address=address(len(self.numbers)))
        self.numbers.append(number)
        return number

    def closes(self) -> None:
        for one in self.live:
            one.dies()
        for file in self._folder.glob("*.flight"):
            file.unlink()

    async def look(self) -> dict[int, Any]:
        return {row["message_id"]: row for row in await self.tx.fetch(LOOK)}

    # A worker ---------------------------------------------------------------------------------------------

    async def claims(self, who: int, most: int) -> tuple[set[int], set[int]]:
        """Claim and prepare; returns what was claimed, and what of it may go."""
        one = self.live[who]
        await self.tx.execute(LATER)
        claimed = await messages.claim_due(self.tx, ACCOUNT, one.owner, since=EVER, lease=DAY, limit=most)
        ready = await self._made_ready(one, claimed)
        return {found.message_id for found in claimed}, ready

    async def _made_ready(self, one: Process, cases: Sequence[Any]) -> set[int]:
        ready = await one.preparation.make_ready(self.tx, cases, at_hand=[])
        for found in ready:
            one.hands[found.case.message_id] = replace(one.hands[found.case.message_id], ready=found, late=False)
        return {found.case.message_id for found in ready}

    async def marks(self, who: int, wanted: Sequence[int], answered: Sequence[int], *, heard: bool) -> set[int]:
        """The one statement: outcomes of `answered` and marks of `wanted`; returns what passed, as far as we know."""
        one = self.live[who]
        passed = await self._step(one, [self._ready(one, number) for number in wanted], answered)
        if heard:
            for number in answered:
                self._forgets(one, number)
        return passed

    async def _step(self, one: Process, ready: Sequence[Ready], answered: Sequence[int]) -> set[int]:
        done = []
        for number in answered:
            said = one.hands[number].answered
            assert said is not None
            done.append(settling.written(said, settling.settlement_of(said, failover=False)))
            if done[-1].settlement.opted_out:
                self.stopped.add(number)
        late = set(self.stopped)  # what is said in the very statement is said before it is over, and no earlier
        passed = await submissions.step(self.tx, done, ready, lease=DAY, margin=delivery.MARGIN)
        for number in passed:
            one.hands[number].late = number in late
        return passed

    def _forgets(self, one: Process, number: int) -> None:
        said = one.hands[number].answered
        assert said is not None
        one.recorder.settled(number, said.ready.case.token)
        one.hands[number].answered = None

    async def decides_again(self, who: int, stale: Sequence[int]) -> set[int] | None:
        """What did not pass is decided anew, or all is given back where nothing passes; what may go then, or None."""
        one = self.live[who]
        if await is_open(self.tx):
            return await self._made_ready(one, [self._ready(one, number).case for number in stale])
        await self.gives_back(who)
        return None

    async def gives_back(self, who: int) -> None:
        await message_leases.drop_claims(self.tx, self.live[who].owner)

    async def puts_back(self, who: int, number: int) -> None:
        case = self._ready(self.live[who], number).case
        back = Return("main", number, case.token, State.QUEUED, "it waits", due_at=now())
        await messages.put_back(self.tx, [back])

    async def renews(self, who: int) -> None:
        await message_leases.renew_leases(self.tx, self.live[who].owner, lease=DAY)

    async def unmarks(self, who: int, doubtful: Sequence[int]) -> set[int]:
        """Take back what may have been marked; returns what never was, and may go."""
        one = self.live[who]
        await submissions.unmark(self.tx, one.owner, marked=list(doubtful))
        return await self._made_ready(one, [self._ready(one, number).case for number in doubtful])

    def loses_a_mark(self, who: int, number: int) -> None:
        one = self.live[who]
        one.hands[number].on_its_way = self._ready(one, number)

    async def marks_late(self, one: Process, number: int) -> bool:
        """Carry out a mark whose answer nobody waits for."""
        ready, one.hands[number].on_its_way = one.hands[number].on_its_way, None
        assert ready is not None
        late = one.hands[number].late
        passed = await self._step(one, [ready], [])
        one.hands[number].late = late  # nobody sends because of it
        return bool(passed)

    def notes(self, who: int, number: int) -> None:
        one = self.live[who]
        case = self._ready(one, number).case
        one.recorder.note(number, case.token, case.asked + 1)

    def sends(self, who: int, number: int, end: str) -> None:
        """The provider is asked."""
        hand = self.live[who].hands[number]
        ready = self._ready(self.live[who], number)
        outcome, arrives = ENDS[end]
        if arrives and hand.late:
            raise BrokenError("sent after STOP was committed before its mark")
        if arrives:
            self.provider.takes(number, ready.key)
        if isinstance(outcome, Accepted):
            outcome = Accepted(f"SM-{ready.key}")
        hand.answered = Answered(ready, outcome, now())

    def _ready(self, one: Process, number: int) -> Ready:
        ready = one.hands[number].ready
        assert ready is not None
        return ready

    # Ends -------------------------------------------------------------------------------------------------

    def _started(self) -> Process:
        return Process(self._folder, self.boot, self.history)

    def _inquires(self) -> None:
        self.inquiry = Inquiry(self.pool, _Keys(), account=ACCOUNT, clock=now, youngest=NONE)
        self.inquirers.append(self.inquiry._owner)
        for number in [number for number, one in self.asking.items() if one.token >= 0]:
            del self.asking[number]

    def is_killed(self, who: int, *, its_inquiry: bool) -> Process:
        old = self.live[who]
        old.dies()
        self.dead.append(old)
        self.live[who] = self._started()
        if its_inquiry:
            self._inquires()
        return old

    def crashes(self) -> list[Process]:
        """The machine: what its kernel knew of locks and pages is gone, and it is another run of it."""
        self.boot = replace(self.boot, boot=uuid4())
        for file in self._folder.glob("*.flight"):  # of what was noted, nothing need have reached the disk
            content = file.read_bytes()
            file.write_bytes(content[:PLACES_AT].ljust(len(content), b"\0"))
        return [self.is_killed(0, its_inquiry=True), self.is_killed(1, its_inquiry=False)]

    def copies_files(self) -> None:
        """As whoever copies a data folder, and puts it back beside those who live."""
        for file in self._folder.glob("*.flight"):
            file.with_name(f"copy of {file.name}").write_bytes(file.read_bytes())

    async def reads_files(self) -> None:
        await Recovery(self.pool, self._folder, boot=self.boot, history=self.history).run_once()

    # What else happens ------------------------------------------------------------------------------------

    async def lets_run_out(self, numbers: Sequence[int]) -> None:
        await self.tx.execute(RUN_OUT, list(numbers))

    async def rescues(self) -> None:
        await Upkeep(self.pool, now, uuid4()).rescue()

    async def says_stop(self, number: int, *, ends_what_waits: bool) -> None:
        """Written down, as by a worker that a provider told of it; or as a reply, which ends what waits as well."""
        said = a_saying(address(self.numbers.index(number)))
        known = number in self.stopped
        self.stopped.add(number)
        if not ends_what_waits:
            await consents.record(self.tx, said)
        elif known:
            await consenting.follow(self.tx, said, now())
        else:
            await consenting.say(self.tx, said, now())

    async def receipt(self, key: str, fate: Fate) -> None:
        self.receipts += 1
        came = Receipt(fate, key, f"SM-{key}")
        await replies.take_receipts(self.pool, ACCOUNT, [(f"receipt {self.receipts}", came, "as it came")])

    async def adopts(self) -> None:
        """Receipts that came too early find their message."""
        await replies.adopt(self.pool, limit=10)

    async def resolves(self, number: int, *, sent: bool) -> None:
        await front_desk.resolve(self.pool, "main", number, sent=sent, evidence="she says so", by="Ada")

    # The inquiry ------------------------------------------------------------------------------------------

    async def _doubt(self, number: int) -> Doubt | None:
        found = await doubts.undecided(self.tx, ACCOUNT, without=[], youngest=NONE, oldest=DAY, limit=len(self.numbers))
        return next((one for one in found if one.message_id == number), None)

    async def does_not_find(self, number: int) -> None:
        """The provider's list is complete, and lacks it."""
        doubt = await self._doubt(number)
        if doubt is not None:
            await doubts.missing(self.tx, doubt)

    async def decides_to_ask(self, number: int) -> bool:
        doubt = await self._doubt(number)
        ready = await self.inquiry._decided(self.tx, doubt) if doubt is not None and doubt.lost else None
        if doubt is None or ready is None or ready.body != doubt.body:
            return False
        self.asking[number] = Asking(doubt, ready)
        return True

    async def marks_again(self, number: int) -> bool:
        one = self.asking[number]
        within = NONE if one.doubt.key in self.old_keys else DAY
        late = number in self.stopped
        token = await doubts.repeat(self.tx, one.doubt, one.ready, owner=self.inquiry._owner, lease=DAY, within=within)
        if token is None:
            return False
        self.asking[number] = replace(one, token=token, late=late)
        return True

    def asks_again(self, number: int, end: str) -> None:
        one = self.asking[number]
        outcome, arrives = ENDS[end]
        if arrives and one.late:
            raise BrokenError("sent after STOP was committed before its mark")
        if arrives:
            self.provider.takes(number, one.doubt.key)
        one.outcome = Accepted(f"SM-{one.doubt.key}") if isinstance(outcome, Accepted) else outcome

    async def writes_what_it_learned(self, number: int) -> None:
        one = self.asking[number]
        assert one.outcome is not None
        self.asking[number] = replace(one, token=-1, outcome=None)
        reason = _learned(one.outcome)
        await doubts.repeated(self.tx, one.doubt, token=one.token, owner=self.inquiry._owner, reason=reason)
        if isinstance(one.outcome, Accepted):
            known = one.outcome.provider_id
            await doubts.found(self.tx, ACCOUNT, one.doubt, provider_id=known, fate=Fate.SENT.value)
        await self.adopts()

    # The fence --------------------------------------------------------------------------------------------

    async def fails_over(self) -> None:
        await self.tx.execute(FAILED_OVER)

    async def notices(self) -> None:
        await recognise(self.tx)

    async def arms(self, held: Literal["send", "doubt"]) -> None:
        """By a person who has ended every worker of before. No file of theirs is of this life of the database."""
        for file in self._folder.glob("*.flight"):
            if file.stem not in {str(one.owner) for one in self.live}:
                file.unlink()
        for number in self.stopped:
            await consents.record(self.tx, a_saying(address(self.numbers.index(number))))
        await arming.arm(self.pool, held, by="Ada", reason="compared")


def address(place: int) -> str:
    return f"+1312555{1000 + place}"
