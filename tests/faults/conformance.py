"""A machine that takes the product and the model through the same history, and compares them after each step."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, cast

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from control_center.domain.errors import Refused
from control_center.domain.message import key_of
from control_center.domain.outcome import Fate
from control_center.store import db
from tests.faults.oracle import PROVEN, QUEUED, WITH_FAILOVER, WITH_KEYS, DisagreesError, Oracle
from tests.faults.product import Process, Product
from tests.faults.state import ENDS, State

P = ParamSpec("P")
WHO: Final = st.integers(0, 1)
ANY: Final = st.integers(0, 5)  # which of those there are, and which of the ways that a step can go
TEXTS: Final = 2  # at once …
MOST: Final = 12  # … and in one history
ANSWERED: Final = ("was taken", "heard nothing", "was refused", "was put off")
# As the model calls it, how the product's provider is to behave, and whether it said that the address said STOP.
SENT: Final = (
    ("sends it: taken, and told so", "taken, and told so"),
    ("sends it: taken, and the answer is lost", "taken, and the answer is lost"),
    ("sends it in vain, and hears nothing", "in vain"),
    ("sends it, and is refused", "refused"),
    ("sends it, and is put off", "put off"),
    ("sends it, and is refused", "refused: it said STOP there"),
)
ASKED: Final = (
    ("the inquiry asks again: taken, and told so", "taken, and told so"),
    ("the inquiry asks again: there, and the answer is lost", "taken, and the answer is lost"),
    ("the inquiry asks again in vain", "in vain"),
    ("the inquiry asks again in vain", "put off"),
)
LEASES: Final = {
    "claimed": QUEUED,
    "submitting": "the lease runs out: unknown",
    "repeating": "the lease of the repeat runs out: unknown",
}
NEVER_LEFT: Final = "by the file of a dead worker, it never left: queued again"
ENOUGH: Final = 40  # rounds in which everything comes to an end that can


def acts(
    work: Callable[Concatenate[Conformance, P], Coroutine[Any, Any, None]],
) -> Callable[Concatenate[Conformance, P], None]:
    """Carry a rule out, and compare."""

    @functools.wraps(work)
    def carried_out(self: Conformance, *args: P.args, **named: P.kwargs) -> None:
        self.carry_out(work(self, *args, **named))

    return cast("Callable[Concatenate[Conformance, P], None]", carried_out)


class Conformance(RuleBasedStateMachine):
    """Several texts, two workers, an inquiry, and all that may happen to them."""

    runner: ClassVar[asyncio.Runner]
    connection: ClassVar[db.Connection]
    folder: ClassVar[Path]

    product: Product
    models: dict[int, Oracle]

    def __init__(self) -> None:
        super().__init__()
        self.sound = True
        self.earlier: dict[int, State] = {}
        self.savepoint: Any = None  # what a standby has that lacks the last step
        self.ranks: dict[int, int] = {}

    @initialize(keys=st.booleans())
    def opens(self, *, keys: bool) -> None:
        async def begin() -> None:
            self.tx = self.connection.transaction()
            await self.tx.start()
            self.product = Product(self.connection, self.folder, keys=keys)
            how = WITH_KEYS if keys else WITH_FAILOVER
            self.models = {number: Oracle(how) for number in await self.product.opens(TEXTS)}
            self.graves: dict[int, list[Process]] = {number: [] for number in self.models}
            self.rows = await self.product.look()
            self.keys = keys

        self.runner.run(begin())

    def carry_out(self, work: Coroutine[Any, Any, None], *, writes: bool = True) -> None:
        """Do it; what `writes` in the database may be lost with a failover that comes next."""

        async def whole() -> None:
            before = {number: model.state for number, model in self.models.items()}
            if not self.keys and writes:
                if self.savepoint is not None:
                    await self.savepoint.commit()
                self.savepoint = self.connection.transaction()
                await self.savepoint.start()
            await work
            self.earlier = before if writes else self.earlier
            await self.compare()

        self.sound = False
        self.runner.run(whole())
        self.sound = True

    async def compare(self) -> None:
        self.rows = await self.product.look()
        for number, model in self.models.items():
            row = self.rows[number]
            model.check(row, self.product.provider.times(number), self.product.inquirers)
            for i, one in enumerate([*self.product.live, *self.graves[number]]):
                ready = one.hands[number].ready
                model.check_owner(row, i, one.owner, ready.case.token if ready is not None else None)
            rank = PROVEN.index(row["state"]) + 1 if row["state"] in PROVEN and model.row == "accepted" else 0
            if rank < self.ranks.get(number, 0) and model.row == "accepted":
                raise DisagreesError(f"m-{number} was {PROVEN[self.ranks[number] - 1]}, and is {row['state']}")
            self.ranks[number] = rank

    # Workers ----------------------------------------------------------------------------------------------

    def _open(self, place: int) -> int:
        """One of those that something can still happen to, or the last one."""
        some = [number for number, model in self.models.items() if model.row not in ENDS] or [max(self.models)]
        return some[place % len(some)]

    @precondition(lambda self: len(self.models) < MOST and sum(m.row not in ENDS for m in self.models.values()) < TEXTS)
    @rule()
    @acts
    async def another_is_written(self) -> None:
        number = await self.product.writes()
        closed = self._is_closed()
        self.models[number] = Oracle(next(iter(self.models.values())).how)
        if closed:
            self.models[number].closes()
        self.graves[number] = []

    def _busy(self, who: int) -> list[int]:
        return [number for number, model in self.models.items() if model.phase(who) != "idle"]

    def _waiting(self) -> list[int]:
        return [number for number, model in self.models.items() if model.row == "queued"]

    @precondition(lambda self: self._waiting() and not (self._busy(0) and self._busy(1)))
    @rule(who=WHO, most=st.integers(1, TEXTS + 1))
    @acts
    async def claims(self, who: int, most: int) -> None:
        waiting = self._waiting()
        who = who if not self._busy(who) else 1 - who
        claimed, ready = await self.product.claims(who, most)
        if any(model.state.held for model in self.models.values()):
            passed = await self.product.marks(who, sorted(ready), [], heard=True)
            if passed:
                raise DisagreesError(f"{passed} pass a closed fence")
            await self.product.gives_back(who)
            return
        if not claimed <= set(waiting) or len(claimed) != min(most, len(waiting)):
            raise DisagreesError(f"claimed {claimed} of {waiting}")
        for number in claimed:
            stopped = self.models[number].state.stop == 1
            if (number in ready) is stopped:
                raise DisagreesError(f"m-{number} may go: {number in ready}, and it said STOP: {stopped}")
            does = "finds that the address said STOP" if stopped else "claims it"
            self.models[number].goes(f"worker {who + 1} {does}")

    @precondition(lambda self: self._busy(0) or self._busy(1))
    @rule(who=WHO, place=ANY, way=ANY)
    def goes_on_with_one(self, who: int, place: int, way: int) -> None:
        self.goes_on(who, place, way, together=False)

    @precondition(lambda self: self._busy(0) or self._busy(1))
    @rule(who=WHO, place=ANY, way=ANY)
    def goes_on_with_all(self, who: int, place: int, way: int) -> None:
        self.goes_on(who, place, way, together=True)

    @precondition(lambda self: self._waiting() and not (self._busy(0) and self._busy(1)) and not self._is_closed())
    @rule(who=WHO, steps=st.integers(1, 4), end=ANY)
    def goes_far(self, who: int, steps: int, end: int) -> None:
        """As most do: claimed, marked, noted, sent, settled, with nothing in between."""
        who = who if not self._busy(who) else 1 - who
        self.claims(who, 1)
        for _ in range(steps):
            if busy := self._busy(who):
                self.goes_on(who, way=end if self.models[busy[0]].phase(who) == "noted" else 3)

    def goes_on(self, who: int, place: int = 0, way: int = 0, *, together: bool = False) -> None:
        """The next step of this worker at one message, whatever it is; or at all that are as far."""
        who = who if self._busy(who) else 1 - who
        busy = self._busy(who)
        writes = self.models[busy[place % len(busy)]].phase(who) not in ("go", "noted")
        self.carry_out(self._goes_on(who, place, way, together=together), writes=writes)

    async def _goes_on(self, who: int, place: int, way: int, *, together: bool) -> None:
        busy = self._busy(who)
        first = busy[place % len(busy)]
        match self.models[first].phase(who):
            case "claimed" | "was taken" | "heard nothing" | "was refused" | "was put off":
                some = busy if together else [first]
                marked = [number for number in some if self.models[number].phase(who) == "claimed"]
                answered = [number for number in some if self.models[number].phase(who) in ANSWERED]
                await self._steps(who, marked, answered, way)
            case "doubtful":
                await self._unmarks(who, [n for n in busy if self.models[n].phase(who) == "doubtful"])
            case "go" if way == 0:
                self.models[first].goes(f"worker {who + 1} finds nobody to connect to")
                self.product.sends(who, first, "put off")
            case "go":
                self.models[first].goes(f"worker {who + 1} notes it")
                self.product.notes(who, first)
            case "noted":
                does, end = SENT[way % len(SENT)]
                if not self.models[first].may(f"worker {who + 1} {does}"):
                    does, end = SENT[0]  # one that knows its key answers as it did the first time
                    self.models[first].goes(f"worker {who + 1} {does}")
                self.product.sends(who, first, end)
            case phase:
                raise AssertionError(phase)

    async def _steps(self, who: int, marked: Sequence[int], answered: Sequence[int], way: int) -> None:
        if way == 1:  # nothing arrives
            for number in marked:
                self.models[number].goes(f"worker {who + 1} loses the connection while it marks it")
                self.product.loses_a_mark(who, number)
            return
        heard = way != 2
        stops = [number for number in answered if self._says_stop(who, number)]
        if answered and self._is_closed():
            await self.product.notices()  # as whoever connects does first
        passed = await self.product.marks(who, marked, answered, heard=heard)
        for number in answered:
            model = self.models[number]
            if heard:
                model.goes(f"worker {who + 1} writes down that it {model.phase(who)}")
            else:
                model.written_in_vain(who)
            if number in stops:
                model.may("the address says STOP")
        stale = []
        for number in marked:
            model = self.models[number]
            may = model.after(f"worker {who + 1} marks it") is not None and not self.rows[number]["expired"]
            if (number in passed) is not may:
                raise DisagreesError(f"m-{number} passes: {number in passed}, with {model.state}")
            if may:
                model.goes(f"worker {who + 1} marks it" + ("" if heard else ", and the answer is lost"))
            elif heard:
                stale.append(number)
            else:
                w = model.state.workers[who]
                model.goes(f"worker {who + 1} loses the connection while it marks it")
                model.state = _with(model.state, who, pending=w.pending)
        if stale:
            await self._decides_again(who, stale)

    def _says_stop(self, who: int, number: int) -> bool:
        said = self.product.live[who].hands[number].answered
        return said is not None and getattr(getattr(said.outcome, "cause", None), "value", "") == "opted_out"

    async def _decides_again(self, who: int, stale: Sequence[int]) -> None:
        found = await self.product.look()
        ready = await self.product.decides_again(who, stale)
        if ready is None:  # the fence is closed: all that is at hand is given back
            for model in self.models.values():
                model.given_up(who)
            return
        for number in stale:
            model = self.models[number]
            ours = model.row == "claimed" and model.state.workers[who].mine
            if ours and model.state.stop == 1:
                model.given_up(who)
                model.suppressed()
            elif not ours:
                model.goes(f"worker {who + 1} is refused the mark")
            elif number not in ready or not found[number]["expired"]:
                raise DisagreesError(f"m-{number} is ours, and does not pass: {model.state}")

    async def _unmarks(self, who: int, doubtful: Sequence[int]) -> None:
        ready = await self.product.unmarks(who, doubtful)
        for number in doubtful:
            model = self.models[number]
            model.goes(f"worker {who + 1} takes back what it may have marked")
            if model.state.held and number not in ready:  # the fence has taken it out of its hands
                model.given_up(who)
            elif model.phase(who) == "claimed" and model.state.stop == 1:  # which the decision finds
                model.given_up(who)
                model.suppressed()
            elif (number in ready) is not (model.phase(who) == "claimed"):
                raise DisagreesError(f"m-{number} is prepared again: {number in ready}, with {model.state}")

    @acts
    async def gives_back_or_keeps(self, who: int, way: int) -> None:
        if way < 2:
            await self.product.renews(who)
            after = await self.product.look()
            if any(
                row["state"] == "submitting" and self.rows[n]["expired"] > row["expired"] for n, row in after.items()
            ):
                raise DisagreesError("what is being submitted was kept longer")
        elif way < 4:
            await self.product.gives_back(who)
            for model in self.models.values():
                model.given_up(who)
        else:
            for number, model in self.models.items():
                if model.phase(who) == "claimed":
                    await self.product.puts_back(who, number)
                    w = model.state.workers[who]
                    if model.row == "claimed" and w.token == 0:
                        model.goes(QUEUED)
                    model.goes(f"worker {who + 1} is refused the mark")

    @rule(who=WHO, place=ANY, way=st.integers(0, 11))
    def something_breaks(self, who: int, place: int, way: int) -> None:
        who = who if self._busy(who) else 1 - who
        match way:
            case 0 | 1 | 2 | 3:
                self.is_killed(who, its_inquiry=way == 3)
            case 4:
                self.the_machine_crashes()
            case 5 if not self._is_closed():
                self.the_database_fails_over()
            case 6 | 7:
                self.an_address_says_stop(place, ends_what_waits=way == 7)
            case _:
                self.gives_back_or_keeps(who, way - 6)

    @acts
    async def is_killed(self, who: int, *, its_inquiry: bool) -> None:
        self._is_killed(who, its_inquiry=its_inquiry and who == 0)

    def _is_killed(self, who: int, *, its_inquiry: bool) -> None:
        left = self.product.is_killed(who, its_inquiry=its_inquiry)
        for number, model in self.models.items():
            hand = left.hands[number]
            if model.phase(who) == "claimed":
                hand.on_its_way = hand.ready
            if model.is_killed(who, its_inquiry=its_inquiry):
                self.graves[number].append(left)

    @acts
    async def the_machine_crashes(self) -> None:
        left = self.product.crashes()
        for number, model in self.models.items():
            claimed = [who for who in (0, 1) if model.phase(who) == "claimed"]
            for who in claimed:
                left[who].hands[number].on_its_way = left[who].hands[number].ready
            self.graves[number] += [left[who] for who in model.crashes()]

    @precondition(lambda self: self._on_their_way())
    @rule(place=ANY)
    @acts
    async def a_mark_is_carried_out_late(self, place: int) -> None:
        every = self._on_their_way()
        number, i, one = every[place % len(every)]
        passes = self.models[number].marked_late(i, in_time=not self.rows[number]["expired"])
        if await self.product.marks_late(one, number) is not passes:
            raise DisagreesError(f"a late mark of m-{number} should pass: {passes}")

    def _on_their_way(self) -> list[tuple[int, int, Process]]:
        return [
            (number, i, one)
            for number in self.models
            for i, one in enumerate([*self.product.live, *self.graves[number]])
            if one.hands[number].on_its_way is not None
        ]

    @precondition(lambda self: any(model.row in LEASES for model in self.models.values()))
    @rule()
    @acts
    async def files_are_read(self) -> None:
        await self.product.reads_files()
        for number, model in self.models.items():
            if not self.rows[number]["expired"]:
                model.may(NEVER_LEFT)

    # What else happens ------------------------------------------------------------------------------------

    @precondition(lambda self: any(model.row in LEASES for model in self.models.values()))
    @rule(place=ANY, rescued=st.booleans())
    @acts
    async def leases_run_out(self, place: int, rescued: bool) -> None:  # noqa: FBT001 - drawn
        leased = [number for number, model in self.models.items() if model.row in LEASES]
        if leased and place < 4:
            await self.product.lets_run_out([leased[place % len(leased)]])
        if rescued or place >= 4:
            await self._rescued()

    async def _rescued(self) -> None:
        over = [number for number, row in (await self.product.look()).items() if row["expired"]]
        await self.product.rescues()
        for number in over:
            if (row := self.models[number].row) in LEASES:
                self.models[number].goes(LEASES[row])

    @acts
    async def an_address_says_stop(self, place: int, *, ends_what_waits: bool) -> None:
        number = self._open(place)
        model = self.models[number]
        if model.state.stop and not ends_what_waits:
            return
        if self._is_closed():
            await self.product.notices()  # as whoever connects does first
        await self.product.says_stop(number, ends_what_waits=ends_what_waits and model.state.stop < 2)
        model.may("the address says STOP")
        if ends_what_waits and model.state.stop == 1:
            model.suppressed()

    @precondition(lambda self: self.product.provider.taken)
    @rule(place=ANY, fate=st.sampled_from(Fate))
    @acts
    async def a_receipt_comes(self, place: int, fate: Fate) -> None:
        taken = self.product.provider.taken
        await self._receipt(*taken[place % len(taken)], fate)

    async def _receipt(self, number: int, key: str, fate: Fate) -> None:
        row, model = self.rows[number], self.models[number]
        await self.product.receipt(key, fate)
        known = int(key.rpartition(".")[2]) <= row["asked"] or row["forgotten"]
        if known:
            model.may("a receipt says that it was taken")

    @precondition(lambda self: any(model.row in ("submitting", "unknown") for model in self.models.values()))
    @rule(place=ANY, sent=st.booleans())
    @acts
    async def a_person_settles_it(self, place: int, sent: bool) -> None:  # noqa: FBT001 - drawn
        number = self._open(place)
        try:
            await self.product.resolves(number, sent=sent)
            settled = True
        except Refused:
            settled = False
        if self.models[number].may("a person settles it") is not settled:
            raise DisagreesError(f"a person settles it: {settled}, with {self.models[number].state}")

    @precondition(lambda self: any(model.row == "unknown" for model in self.models.values()))
    @rule(place=ANY)
    @acts
    async def the_provider_does_not_find_it(self, place: int) -> None:
        await self.product.does_not_find(self._open(place))

    # The inquiry, and the provider's keys -----------------------------------------------------------------

    @precondition(lambda self: self.keys and any(m.state.asking or m.row == "unknown" for m in self.models.values()))
    @rule(place=ANY, way=ANY)
    @acts
    async def the_inquiry_goes_on(self, place: int, way: int) -> None:
        some = [number for number, model in self.models.items() if model.state.asking or model.row == "unknown"]
        number = some[place % len(some)]
        model = self.models[number]
        match model.state.asking:
            case "":
                decided = number in self.product.asking or await self.product.decides_to_ask(number)
                if way == 0 or not decided:
                    return  # it is decided, and much may happen before it is asked
                await self.marks_again(number)
            case "go":
                does, end = ASKED[way % len(ASKED)]
                model.goes(does)
                self.product.asks_again(number, end)
            case asking:
                await self._written(number, asking)

    async def marks_again(self, number: int) -> None:
        """As it was decided, however long ago."""
        passes = await self.product.marks_again(number)
        if self.models[number].may("the inquiry marks it again") is not passes:
            raise DisagreesError(f"m-{number} is marked again: {passes}, with {self.models[number].state}")

    async def _written(self, number: int, asking: str) -> None:
        model = self.models[number]
        await self.product.writes_what_it_learned(number)
        knows = {"was taken": "writes down that it was taken", "heard nothing": "knows no more than before"}[asking]
        if not model.may(f"the inquiry {knows}"):
            model.goes("the inquiry is too late")
            if asking == "was taken":  # which is a receipt, and proves it to whoever thought otherwise
                model.may("a receipt says that it was taken")

    @precondition(lambda self: self.keys and any(row["asked"] for row in self.rows.values()))
    @rule(place=ANY)
    @acts
    async def a_key_grows_old(self, place: int) -> None:
        number = self._open(place)
        key = key_of(number, self.rows[number]["asked"])
        if self.models[number].may("the provider forgets the key"):
            self.product.provider.keys.discard(key)
        elif self.models[number].may("the time of the key is over"):
            self.product.old_keys.add(key)

    # The fence --------------------------------------------------------------------------------------------

    def the_database_fails_over(self) -> None:
        self.carry_out(self._fails_over(), writes=False)

    async def _fails_over(self) -> None:
        """What the last step committed is lost, where a standby may lack it; nothing else is."""
        lost = not self.keys and self.savepoint is not None and self._as_many_as_before()
        if lost:
            await self.savepoint.rollback()
            self.ranks = {}
        elif self.savepoint is not None:
            await self.savepoint.commit()
        self.savepoint = None
        found = await self.product.look()
        for number, model in self.models.items():
            if lost:
                model.fails_over(self.earlier[number], self.rows[number]["token"] - found[number]["token"])
                for one in [*self.product.live, *self.graves[number]]:
                    one.hands[number].on_its_way = None
            else:
                model.closes()
        await self.product.fails_over()

    def _as_many_as_before(self) -> bool:
        """Nobody was killed in the last step, and nothing was written anew."""
        return self.earlier.keys() == self.models.keys() and all(
            len(self.earlier[n].workers) == len(model.state.workers) for n, model in self.models.items()
        )

    def _is_closed(self) -> bool:
        return any(model.state.held for model in self.models.values())

    @precondition(_is_closed)
    @rule(way=ANY)
    @acts
    async def somebody_notices_or_arms(self, way: int = 5) -> None:
        await self.product.notices()
        if way > 1:
            await self._arms(doubt=way == 5 and not self.keys)

    async def _arms(self, *, doubt: bool) -> None:
        """A person ends every worker, compares with the provider, and arms the fence."""
        for who in (0, 1):
            self._is_killed(who, its_inquiry=who == 0)
        for number, key in list(self.product.provider.taken):
            self.rows = await self.product.look()
            await self._receipt(number, key, Fate.SENT)
        before = await self.product.look()
        await self.product.arms("doubt" if doubt else "send")
        await self.product.lets_run_out(sorted(self.models))
        await self.product.rescues()
        after = await self.product.look()
        for number, model in self.models.items():
            model.armed()
            for one in [*self.product.live, *self.graves[number]]:
                one.hands[number].on_its_way = None
            if model.row == "queued" and doubt and before[number]["state"] == "held":
                model.state = model.state._replace(row="unknown")
            if model.row == "queued" and after[number]["state"] == "suppressed":
                model.suppressed()

    # The end ----------------------------------------------------------------------------------------------

    def comes_to_an_end(self) -> None:
        """From wherever it is: every lease runs out, every worker goes on, and a person settles what is unknown."""
        if self._is_closed():
            self.somebody_notices_or_arms(way=3)
        for _ in range(ENOUGH):
            if all(model.row in ENDS for model in self.models.values()):
                return
            for who in (0, 1):
                if self._waiting() and not self._busy(who):
                    self.claims(who=who, most=MOST)
                for _ in range(ENOUGH):
                    if not self._busy(who):
                        break
                    if all(model.phase(who) in ("idle", "claimed") for model in self.models.values()):
                        self.leases_run_out(place=5, rescued=True)  # else it is ours, and may not pass
                    self.goes_on(who=who, place=0, together=True, way=3)
            for place in range(TEXTS):
                if any(model.state.asking for model in self.models.values()):
                    self.the_inquiry_goes_on(place=place, way=2)
                self.leases_run_out(place=place, rescued=True)
                self.a_person_settles_it(place=place, sent=False)
        raise DisagreesError(f"it never comes to an end: {[model.state for model in self.models.values()]}")

    def teardown(self) -> None:
        if not hasattr(self, "product"):
            return
        try:
            if self.sound:
                self.comes_to_an_end()
        finally:
            self.product.closes()
            self.runner.run(self._forgets())

    async def _forgets(self) -> None:
        if self.savepoint is not None:
            await self.savepoint.rollback()
        await self.tx.rollback()


def _with(state: State, who: int, **changes: Any) -> State:
    workers = list(state.workers)
    workers[who] = workers[who]._replace(**changes)
    return state._replace(workers=tuple(workers))
