"""Every guard of the product's statements taken away, one at a time, and the way on which the model finds that out."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final
from uuid import UUID

import pytest

from control_center.domain.message import Settlement, State, settle
from control_center.domain.outcome import Fate, Unknown
from control_center.engine import replies
from control_center.store import consents, desk, doubts, fences, flights, message_leases, messages, submissions
from tests.faults.conformance import MOST, Conformance
from workers import flight_recorder, recovery, settling
from workers.flight_recorder import Flight, FlightRecorder
from workers.this_boot import Boot

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "delivery-model.md"
REGION: Final = re.compile(r"(<!-- spoiled -->\n).*?(<!-- end of spoiled -->)", re.DOTALL)

Way = Callable[[Conformance], None]

# The ways ---------------------------------------------------------------------------------------------------

LOST, PUT_OFF = 1, 4  # how the provider's answer ends, where a worker has noted its message


def claims(one: Conformance) -> None:
    one.claims(who=0, most=1)


def marks(one: Conformance) -> None:
    claims(one)
    one.goes_on(0)


def notes(one: Conformance) -> None:
    marks(one)
    one.goes_on(0, way=3)


def sends(one: Conformance, how: int = 0) -> None:
    notes(one)
    one.goes_on(0, way=how)


def is_told(one: Conformance, how: int = 0) -> None:
    sends(one, how)
    one.goes_on(0)


def runs_out(one: Conformance) -> None:
    one.leases_run_out(place=0, rescued=True)


def is_in_doubt(one: Conformance) -> None:
    """Its answer was lost, and the inquiry has decided to ask again."""
    is_told(one, LOST)
    one.the_inquiry_goes_on(place=0, way=0)


def a_zombie(one: Conformance) -> None:
    """Two workers believe that it is theirs."""
    claims(one)
    runs_out(one)
    one.claims(who=1, most=MOST)


def zombie_marks(one: Conformance) -> None:
    a_zombie(one)
    one.goes_on(0)


def zombie_puts_back(one: Conformance) -> None:
    a_zombie(one)
    one.gives_back_or_keeps(0, 4)


def marks_twice(one: Conformance) -> None:
    claims(one)
    one.goes_on(0, way=1)  # on its way
    one.goes_on(0)  # taken back: it never stood
    one.goes_on(0)
    one.a_mark_is_carried_out_late(place=0)


def marks_after_its_lease(one: Conformance) -> None:
    claims(one)
    one.leases_run_out(place=0, rescued=False)
    one.goes_on(0)


def marks_after_stop(one: Conformance) -> None:
    claims(one)
    one.an_address_says_stop(0, ends_what_waits=False)
    one.goes_on(0)


def marks_after_a_failover(one: Conformance) -> None:
    claims(one)
    one.the_database_fails_over()
    one.goes_on(0)


def lease_of_a_mark_runs_out(one: Conformance) -> None:
    marks(one)
    runs_out(one)


def rescued_too_early(one: Conformance) -> None:
    marks(one)
    one.leases_run_out(place=4, rescued=True)


def kept_while_submitting(one: Conformance) -> None:
    marks(one)
    one.leases_run_out(place=0, rescued=False)
    one.gives_back_or_keeps(0, 0)


def put_off_beside_the_inquiry(one: Conformance) -> None:
    sends(one, PUT_OFF)
    runs_out(one)
    one.the_inquiry_goes_on(place=0, way=1)
    one.goes_on(0)


def put_off_when_unknown(one: Conformance) -> None:
    sends(one, PUT_OFF)
    runs_out(one)
    one.goes_on(0)


def taken_when_unknown(one: Conformance) -> None:
    sends(one)
    runs_out(one)
    one.goes_on(0)


def others_claim(one: Conformance) -> None:
    marks(one)
    one.claims(who=1, most=MOST)


def loses_an_answer(one: Conformance) -> None:
    is_told(one, LOST)


def receipts_in_the_wrong_order(one: Conformance) -> None:
    is_told(one)
    one.a_receipt_comes(place=0, fate=Fate.DELIVERED)
    one.a_receipt_comes(place=0, fate=Fate.UNDELIVERED)


def repeats_too_late(one: Conformance) -> None:
    is_in_doubt(one)
    one.a_key_grows_old(place=0)
    one.the_inquiry_goes_on(place=0, way=1)


def repeats_after_stop(one: Conformance) -> None:
    is_in_doubt(one)
    one.an_address_says_stop(0, ends_what_waits=False)
    one.the_inquiry_goes_on(place=0, way=1)


def repeats_after_a_failover(one: Conformance) -> None:
    is_in_doubt(one)
    one.the_database_fails_over()
    one.the_inquiry_goes_on(place=0, way=1)


def repeats_what_is_settled(one: Conformance) -> None:
    is_in_doubt(one)
    one.a_receipt_comes(place=0, fate=Fate.SENT)
    number = min(one.models)
    one.carry_out(one.marks_again(number))


def reads_beside_a_mark(one: Conformance) -> None:
    """The other worker is dead; this one lives."""
    marks(one)
    one.is_killed(1, its_inquiry=False)
    one.files_are_read()


def reads_beside_the_inquiry(one: Conformance) -> None:
    """Which asks again for what a worker had sent that is dead now."""
    sends(one)
    one.is_killed(0, its_inquiry=False)
    runs_out(one)
    one.the_inquiry_goes_on(place=0, way=1)
    one.files_are_read()


def is_not_found(one: Conformance) -> None:
    is_told(one, LOST)
    one.the_provider_does_not_find_it(place=0)


def reads_what_was_noted(one: Conformance) -> None:
    notes(one)
    one.is_killed(0, its_inquiry=False)
    one.files_are_read()


def reads_what_was_sent(one: Conformance) -> None:
    sends(one)
    one.is_killed(0, its_inquiry=False)
    one.files_are_read()


def reads_after_the_lease(one: Conformance) -> None:
    marks(one)
    one.leases_run_out(place=0, rescued=False)
    one.is_killed(0, its_inquiry=False)
    one.files_are_read()


def reads_after_a_failover(one: Conformance) -> None:
    marks(one)
    one.is_killed(0, its_inquiry=False)
    one.the_database_fails_over()
    one.files_are_read()


def reads_after_a_crash(one: Conformance) -> None:
    sends(one)
    one.the_machine_crashes()
    one.files_are_read()


def reads_while_it_lives(one: Conformance) -> None:
    marks(one)
    one.files_are_read()


def reads_a_copy(one: Conformance) -> None:
    marks(one)
    one.product.copies_files()
    one.files_are_read()


def takes_back_beside_what_flies(one: Conformance) -> None:
    one.claims(who=0, most=MOST)
    one.goes_on(0, place=0)
    one.goes_on(0, place=1, way=2)
    one.goes_on(0, place=1)


def gives_back_beside_what_flies(one: Conformance) -> None:
    one.claims(who=0, most=MOST)
    one.goes_on(0)
    one.gives_back_or_keeps(0, 2)


def settles_what_is_known(one: Conformance) -> None:
    is_told(one)
    one.a_person_settles_it(place=0, sent=False)


def says_stop_while_it_flies(one: Conformance) -> None:
    marks(one)
    one.an_address_says_stop(0, ends_what_waits=True)


def a_failover_forgets_a_mark(one: Conformance) -> None:
    sends(one)
    one.the_database_fails_over()
    one.somebody_notices_or_arms()


def says_stop_to_what_a_failover_forgot(one: Conformance) -> None:
    sends(one)
    one.the_database_fails_over()
    one.an_address_says_stop(0, ends_what_waits=True)
    one.a_receipt_comes(place=0, fate=Fate.SENT)


def is_told_after_a_failover(one: Conformance) -> None:
    sends(one)
    one.the_database_fails_over()
    one.goes_on(0)


# What is spoiled --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spoiled:
    """`words` of what is not asked for any more, the statement or function, what becomes of it, and the way to it.

    A statement loses `part`, in favour of `instead`; a function is replaced by `instead`.
    """

    words: str
    place: Any
    name: str
    part: str
    instead: Any
    way: Way
    keys: bool = True

    @property
    def where(self) -> str:
        return _where(self.place, self.name)

    def made(self) -> Any:
        """What stands there instead."""
        if not self.part:
            return self.instead
        whole: str = getattr(self.place, self.name)
        assert whole.count(self.part) == 1, f"{self.where} has {whole.count(self.part)} of {self.part!r}"
        return whole.replace(self.part, self.instead)


@dataclass(frozen=True, slots=True)
class Waits:
    """A statement that waits for what another one has taken, and is found out where two of them meet."""

    words: str
    place: Any
    name: str

    @property
    def where(self) -> str:
        return _where(self.place, self.name)

    def made(self) -> str:
        whole: str = getattr(self.place, self.name)
        assert whole.count("FOR UPDATE SKIP LOCKED") == 1
        return whole.replace(" SKIP LOCKED", "")


def _where(place: Any, name: str) -> str:
    module = place.__name__ if isinstance(place, ModuleType) else f"{place.__module__}.{place.__name__}"
    return f"{module.removeprefix('control_center.')}.{name}"


def _a_lost_answer(state: State) -> Callable[..., Settlement]:
    def settled(outcome: Any, **named: Any) -> Settlement:
        found = settle(outcome, **named)
        return replace(found, state=state) if isinstance(outcome, Unknown) else found

    return settled


def _last_wins(state: State, fate: Fate) -> State:
    del state
    return {Fate.SENT: State.ACCEPTED, Fate.DELIVERED: State.DELIVERED, Fate.UNDELIVERED: State.UNDELIVERED}[fate]


def _whatever_run_it_was(descriptor: int, _boot: Boot) -> Flight:
    head = flight_recorder.FIXED.unpack_from(os.pread(descriptor, flight_recorder.FIXED.size, 0))
    return flight_recorder.read(descriptor, Boot(UUID(bytes=head[2][:16]), head[2][16:]))


def _whatever_file_it_is(descriptor: int, boot: Boot) -> Flight:
    real = os.fstat
    head = flight_recorder.FIXED.unpack_from(os.pread(descriptor, flight_recorder.FIXED.size, 0))
    with pytest.MonkeyPatch.context() as patch:
        found = real(descriptor)
        about = SimpleNamespace(st_dev=head[3], st_ino=head[4], st_size=found.st_size, st_mode=found.st_mode)
        patch.setattr(os, "fstat", lambda _: about)
        return flight_recorder.read(descriptor, boot)


def _nothing(*_: object) -> None:
    return None


_TOKEN: Final = "AND messages.lease_token = ready.token"
_LEASE: Final = "AND coalesce(messages.lease_until, '-infinity') > clock_timestamp() + $33"
_OF_ITS_TOKEN: Final = "messages.state = 'submitting' AND messages.lease_token = done.token"
_OPEN: Final = "OR done.state = 'accepted' AND messages.state IN ('submitting', 'unknown')"
_MAY_GO: Final = f"AND {consents.MAY_GO}"
_STANDS: Final = f"AND {fences.STANDS}"
_NOTED: Final = "WHERE noted.message_id = messages.message_id AND"

SPOILED: Final = (
    Spoiled("the mark does not ask for the token", submissions, "STEP", _TOKEN, "", zombie_marks),
    Spoiled(
        "the mark takes what is not claimed",
        submissions,
        "STEP",
        "messages.state = 'claimed' AND messages.lease_token = ready.token",
        "messages.lease_token = ready.token",
        marks_twice,
    ),
    Spoiled(
        "the mark does not ask for the lease",
        submissions,
        "STEP",
        _LEASE,
        "AND $33::interval IS NOT NULL",
        marks_after_its_lease,
    ),
    Spoiled("the mark does not ask for STOP", submissions, "STEP", _MAY_GO, "", marks_after_stop),
    Spoiled("the mark does not ask for the fence", submissions, "STEP", _STANDS, "", marks_after_a_failover),
    Spoiled("a lost answer is queued again", settling, "settle", "", _a_lost_answer(State.QUEUED), loses_an_answer),
    Spoiled("a lost answer counts as refused", settling, "settle", "", _a_lost_answer(State.FAILED), loses_an_answer),
    Spoiled("a lost answer counts as taken", settling, "settle", "", _a_lost_answer(State.ACCEPTED), loses_an_answer),
    Spoiled(
        "an outcome does not ask for the token",
        submissions,
        "STEP",
        _OF_ITS_TOKEN,
        "messages.state = 'submitting'",
        put_off_beside_the_inquiry,
    ),
    Spoiled(
        "an outcome takes what is unknown",
        submissions,
        "STEP",
        _OF_ITS_TOKEN,
        "messages.state IN ('submitting', 'unknown') AND messages.lease_token = done.token",
        put_off_when_unknown,
    ),
    Spoiled(
        "that it was taken counts only for whoever holds the token", submissions, "STEP", _OPEN, "", taken_when_unknown
    ),
    Spoiled(
        "a lost mark is taken back together with what flies",
        submissions,
        "UNMARK",
        "message_id = ANY ($2::bigint[])",
        "$2::bigint[] IS NOT NULL",
        takes_back_beside_what_flies,
    ),
    Spoiled(
        "a claim takes what is submitting",
        messages,
        "CLAIM_DUE",
        "state = 'queued'",
        "state IN ('queued', 'submitting')",
        others_claim,
    ),
    Spoiled(
        "a claim gives out the token of before",
        messages,
        "CLAIM_DUE",
        "lease_token = lease_token + 1",
        "lease_token = lease_token",
        zombie_marks,
    ),
    Spoiled(
        "what is put back does not ask for the token",
        messages,
        "PUT_BACK",
        "AND messages.lease_token = back.token",
        "",
        zombie_puts_back,
    ),
    Spoiled(
        "what is submitting is given back with the claims",
        message_leases,
        "DROP_CLAIMS",
        "state = 'claimed'",
        "state IN ('claimed', 'submitting')",
        gives_back_beside_what_flies,
    ),
    Spoiled(
        "the lease of what is submitting is renewed",
        message_leases,
        "LEASE_RENEW",
        "state = 'claimed'",
        "state IN ('claimed', 'submitting')",
        kept_while_submitting,
    ),
    Spoiled(
        "what is submitting when its lease runs out is queued again",
        message_leases,
        "RESCUE_EXPIRED_LEASES",
        "THEN 'unknown'",
        "THEN 'queued'",
        lease_of_a_mark_runs_out,
    ),
    Spoiled(
        "what is submitting when its lease runs out is left alone",
        message_leases,
        "RESCUE_EXPIRED_LEASES",
        "state IN ('claimed', 'submitting')",
        "state = 'claimed'",
        lease_of_a_mark_runs_out,
    ),
    Spoiled(
        "a lease counts as over while it lasts",
        message_leases,
        "RESCUE_EXPIRED_LEASES",
        "lease_until < statement_timestamp()",
        "lease_until IS NOT NULL",
        rescued_too_early,
    ),
    Spoiled("a receipt lowers what another has proven", replies, "fold", "", _last_wins, receipts_in_the_wrong_order),
    Spoiled(
        "a receipt for what a failover forgot is put aside",
        replies,
        "_was_forgotten",
        "",
        _nothing,
        a_failover_forgets_a_mark,
        keys=False,
    ),
    Spoiled(
        "a receipt for what a failover forgot is put aside after a STOP",
        replies,
        "_was_forgotten",
        "",
        lambda named: named.state is State.HELD,
        says_stop_to_what_a_failover_forgot,
        keys=False,
    ),
    Spoiled(
        "that it was taken does not count where a failover forgot the mark",
        submissions,
        "STEP",
        "(forgotten IS NOT NULL OR resolved_by IS NOT NULL)",
        "resolved_by IS NOT NULL",
        is_told_after_a_failover,
        keys=False,
    ),
    Spoiled(
        "a STOP ends what is submitting",
        consents,
        "SUPPRESS",
        "'claimed')",
        "'claimed', 'submitting')",
        says_stop_while_it_flies,
    ),
    Spoiled(
        "a person settles what is not unknown", desk, "RESOLVE", "AND state = 'unknown'", "", settles_what_is_known
    ),
    Spoiled(
        "asked again under a key that may be forgotten",
        doubts,
        "REPEAT",
        "> clock_timestamp() - $7::interval",
        "> clock_timestamp() - $7::interval - '9 years'::interval",
        repeats_too_late,
    ),
    Spoiled("asked again after STOP", doubts, "REPEAT", _MAY_GO, "", repeats_after_stop),
    Spoiled("asked again while the fence is closed", doubts, "REPEAT", _STANDS, "", repeats_after_a_failover),
    Spoiled(
        "asked again what is settled",
        doubts,
        "REPEAT",
        "AND state = 'unknown' AND reason LIKE 'sent: %'",
        "",
        repeats_what_is_settled,
    ),
    Spoiled(
        "what the provider does not find is queued again",
        doubts,
        "MISSING",
        "SET reason",
        "SET state = 'queued', reason",
        is_not_found,
    ),
    Spoiled("recorder: noted after the first byte", FlightRecorder, "note", "", _nothing, reads_what_was_sent),
    Spoiled(
        "recorder: what was noted is queued again",
        flights,
        "NEVER_LEFT",
        _NOTED,
        "WHERE false AND noted.message_id = messages.message_id AND",
        reads_what_was_noted,
    ),
    Spoiled(
        "recorder: believed for what another process owns",
        flights,
        "NEVER_LEFT",
        "lease_owner = $1 AND",
        "$1::uuid IS NOT NULL AND",
        reads_beside_a_mark,
    ),
    Spoiled(
        "recorder: believed for what the inquiry asks again",
        flights,
        "NEVER_LEFT",
        "lease_owner = $1 AND",
        "$1::uuid IS NOT NULL AND",
        reads_beside_the_inquiry,
    ),
    Spoiled(
        "recorder: believed after the lease",
        flights,
        "NEVER_LEFT",
        "AND lease_until > clock_timestamp()",
        "",
        reads_after_the_lease,
    ),
    Spoiled("recorder: believed while the fence is closed", flights, "NEVER_LEFT", _STANDS, "", reads_after_a_failover),
    Spoiled(
        "recorder: believed after a crash of the machine",
        recovery,
        "read",
        "",
        _whatever_run_it_was,
        reads_after_a_crash,
    ),
    Spoiled("recorder: a copy of the file is believed", recovery, "read", "", _whatever_file_it_is, reads_a_copy),
    Spoiled("recorder: believed while its process lives", flight_recorder, "_lock", "", _nothing, reads_while_it_lives),
)

WAITING: Final = (
    Waits("a claim waits for what another one has", messages, "CLAIM_DUE"),
    Waits("the rescue of leases waits for what somebody settles", message_leases, "RESCUE_EXPIRED_LEASES"),
)


def table() -> str:
    """The page's table: what was spoiled, and where."""
    lines = (f"| {one.words} | `{one.where}` |" for one in (*SPOILED, *WAITING))
    return "\n".join(["| spoiled | where |", "| --- | --- |", *lines])


def on_page(page: str) -> str:
    return REGION.sub(lambda region: f"{region[1]}\n{table()}\n\n{region[2]}", page)


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m tests.faults.spoiled", description=__doc__)
    parser.add_argument("--write", action="store_true", required=True, help=f"write the table into {PAGE.name}")
    parser.parse_args()
    PAGE.write_text(on_page(PAGE.read_text("utf-8")), "utf-8")
