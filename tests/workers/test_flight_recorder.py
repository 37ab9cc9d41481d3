"""A flight recorder outlives its process, and is believed where that proves something, and nowhere else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import pytest

from workers.flight_recorder import PLACE, PLACES_AT, Flight, FlightRecorder, FlyingError, NotBelievedError, Note, read
from workers.this_boot import BOOT_ID, Boot, here, is_local, this_boot

ROOT: Final = Path(__file__).resolve().parents[2]
HISTORY: Final = "7302859038475629384/00000001"
# A worker in all but its messages: it notes two, of which one is settled, says so, and waits for its end.
WORKER: Final = """
import signal, sys
from pathlib import Path
from uuid import UUID
from workers.flight_recorder import FlightRecorder
from workers.this_boot import here

recorder = FlightRecorder(Path(sys.argv[1]), UUID(sys.argv[2]), boot=here(), history=sys.argv[3])
recorder.note(7, 3, 1)
recorder.note(8, 4, 2)
recorder.settled(8, 4)
print("noted", flush=True)
signal.pause()
"""


def boot() -> Boot:
    found = here()
    assert found is not None, "the machine that tests run on says which run this is"
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "flights"


def recorder(folder: Path, owner: UUID, *, places: int = 64) -> FlightRecorder:
    return FlightRecorder(folder, owner, boot=boot(), history=HISTORY, places=places)


def looked_at(file: Path, by: Boot | None = None) -> Flight:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        return read(descriptor, by or boot())
    finally:
        os.close(descriptor)


def file_of(folder: Path, owner: UUID) -> Path:
    return folder / f"{owner}.flight"


def a_dead_one(folder: Path, *notes: tuple[int, int, int], places: int = 64) -> Path:
    """What a worker leaves that noted these, in this process; its lock is gone as if the process were."""
    owner = uuid4()
    made = recorder(folder, owner, places=places)
    for note in notes:
        made.note(*note)
        made.settled(*note[:2])
    made.close()
    return file_of(folder, owner)


# --- real processes --------------------------------------------------------------------------------------------


def a_worker(folder: Path, owner: UUID) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), str(owner), HISTORY], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "noted\n"
    return process


def test_what_a_process_noted_is_read_after_kill_9_and_not_while_it_lives_or_is_frozen(folder: Path) -> None:
    owner = uuid4()
    worker = a_worker(folder, owner)
    try:
        with pytest.raises(FlyingError):
            looked_at(file_of(folder, owner))
        os.kill(worker.pid, signal.SIGSTOP)
        with pytest.raises(FlyingError):
            looked_at(file_of(folder, owner))
    finally:
        worker.kill()
        worker.communicate()

    flight = looked_at(file_of(folder, owner))

    assert (flight.owner, flight.history) == (owner, HISTORY)
    assert flight.notes == (Note(7, 3, 1), Note(8, 4, 2)), "what is settled is remembered, too: a commit may be lost"
    assert timedelta(0) < flight.complete_for < timedelta(minutes=5)


def test_a_child_that_still_has_the_file_keeps_its_dead_parent_from_being_believed(folder: Path) -> None:
    owner = uuid4()
    flying = recorder(folder, owner)
    flying.note(7, 3, 1)
    with subprocess.Popen(["sleep", "60"], pass_fds=[flying._descriptor]) as child:
        flying.close()
        with pytest.raises(FlyingError):
            looked_at(file_of(folder, owner))
        child.kill()

    assert looked_at(file_of(folder, owner)).notes == (Note(7, 3, 1),)


def test_what_is_executed_does_not_inherit_it(folder: Path) -> None:
    owner = uuid4()
    flying = recorder(folder, owner)
    with subprocess.Popen(["sleep", "60"], close_fds=False) as other:
        flying.close()
        assert looked_at(file_of(folder, owner)).notes == ()
        other.kill()


# --- what is not believed --------------------------------------------------------------------------------------


def test_a_copy_is_not_believed(folder: Path) -> None:
    file = a_dead_one(folder, (7, 3, 1))
    copy = folder / f"{uuid4()}.flight"
    shutil.copy(file, copy)

    with pytest.raises(NotBelievedError, match="a copy"):
        looked_at(copy)

    assert looked_at(file).notes == (Note(7, 3, 1),)


def test_another_run_of_the_machine_does_not_believe_it(folder: Path) -> None:
    with pytest.raises(NotBelievedError, match="started anew"):
        looked_at(a_dead_one(folder), replace(boot(), boot=uuid4()))


def test_another_machine_does_not_believe_it_though_it_has_the_same_boot_id(folder: Path) -> None:
    with pytest.raises(NotBelievedError, match="another machine"):
        looked_at(a_dead_one(folder), replace(boot(), host=bytes(16)))


@pytest.mark.parametrize("at", [0, 12, 40, 100, 122, PLACES_AT, PLACES_AT + 9, PLACES_AT + PLACE - 1])
def test_a_torn_file_is_not_believed(folder: Path, at: int) -> None:
    file = a_dead_one(folder, (7, 3, 1))
    content = bytearray(file.read_bytes())
    content[at] ^= 0x10
    with file.open("r+b") as written:
        written.write(content)

    with pytest.raises(NotBelievedError, match="torn"):
        looked_at(file)


@pytest.mark.parametrize("size", [0, 1, 100, PLACES_AT, PLACES_AT + PLACE])
def test_a_cut_file_is_not_believed(folder: Path, size: int) -> None:
    file = a_dead_one(folder, (7, 3, 1))
    os.truncate(file, size)

    with pytest.raises(NotBelievedError):
        looked_at(file)


def test_nobody_finds_a_file_before_its_lock_is_held(folder: Path) -> None:
    flying = recorder(folder, uuid4())

    assert [one.suffix for one in folder.iterdir()] == [".flight"]

    flying.remove()
    assert list(folder.iterdir()) == []
    flying.close()


@pytest.mark.parametrize(
    ("kind", "local"), [("ext4", True), ("xfs", True), ("nfs4", False), ("cifs", False), ("fuse.sshfs", False)]
)
def test_a_lock_counts_on_file_systems_of_this_machine_alone(tmp_path: Path, kind: str, *, local: bool) -> None:
    about = tmp_path / "self/fdinfo"
    about.mkdir(parents=True)
    (about / "5").write_text("pos:\t0\nflags:\t02100002\nmnt_id:\t27\nino:\t99\n")
    mounts = f"26 1 254:0 / / rw - tmpfs none rw\n27 26 0:40 / /data rw,relatime shared:1 - {kind} there:/data rw\n"
    (tmp_path / "self/mountinfo").write_text(mounts)

    assert is_local(5, proc=tmp_path) is local
    assert not is_local(6, proc=tmp_path), "of what nobody says where it lies nothing is believed"


def test_which_run_of_which_machine_this_is(tmp_path: Path) -> None:
    hidden = {BOOT_ID: "9be459adc77d4afa82d1f8469483d916"}

    assert here() == here()
    assert this_boot({}, proc=tmp_path) is None
    assert this_boot({BOOT_ID: "always the same"}, proc=tmp_path) is None
    assert this_boot(hidden, proc=tmp_path) == this_boot(hidden, proc=tmp_path)
    assert this_boot(hidden, proc=tmp_path, name=lambda: "a") != this_boot(hidden, proc=tmp_path, name=lambda: "b")
    assert this_boot(hidden) == here(), "the kernel is believed first"


# --- what it remembers -----------------------------------------------------------------------------------------


def test_what_is_not_settled_is_never_overwritten(folder: Path) -> None:
    owner = uuid4()
    flying = recorder(folder, owner, places=8)
    flying.note(1, 1, 1)
    for message in range(2, 100):
        flying.note(message, message, 1)
        flying.settled(message, message)
    flying.close()

    notes = looked_at(file_of(folder, owner)).notes

    assert {note.message_id for note in notes} == {1, *range(93, 100)}


def test_it_says_for_how_long_it_remembers_everything(folder: Path) -> None:
    owner = uuid4()
    flying = recorder(folder, owner, places=4)
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    for message in range(1, 8):
        flying.note(message, 1, 1)
        flying.settled(message, 1)
    third = time.clock_gettime(time.CLOCK_BOOTTIME)
    time.sleep(0.05)
    flying.note(8, 1, 1)  # over the fourth, which was noted before the pause
    flying.close()

    flight = looked_at(file_of(folder, owner))

    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert [note.message_id for note in flight.notes] == [5, 6, 7, 8]
    assert now - third - 0.01 < flight.complete_for.total_seconds() < now - began


def test_one_that_flies_for_long_does_not_make_it_remember_what_it_has_forgotten(folder: Path) -> None:
    owner = uuid4()
    flying = recorder(folder, owner, places=4)
    flying.note(1, 1, 1)  # and stays, while the others go round
    time.sleep(0.05)
    went_round = time.clock_gettime(time.CLOCK_BOOTTIME)
    for message in range(2, 8):
        flying.note(message, 1, 1)
        flying.settled(message, 1)
    flying.settled(1, 1)
    flying.note(8, 1, 1)  # over the first
    flying.close()

    flight = looked_at(file_of(folder, owner))

    assert [note.message_id for note in flight.notes] == [8, 5, 6, 7]
    assert flight.complete_for.total_seconds() < time.clock_gettime(time.CLOCK_BOOTTIME) - went_round


def test_a_message_is_noted_once_for_each_token(folder: Path) -> None:
    assert looked_at(a_dead_one(folder, (7, 3, 1))).notes == (Note(7, 3, 1),)
    owner = uuid4()
    flying = recorder(folder, owner)
    for _ in range(3):  # the parts of a long text
        flying.note(7, 3, 1)
    flying.settled(7, 3)
    flying.note(7, 4, 2)
    flying.close()

    assert looked_at(file_of(folder, owner)).notes == (Note(7, 3, 1), Note(7, 4, 2))


def test_a_note_costs_microseconds(folder: Path) -> None:
    flying = recorder(folder, uuid4(), places=4096)
    began = time.process_time()
    for message in range(20_000):
        flying.note(message + 1, 1, 1)
        flying.settled(message + 1, 1)
    cost = (time.process_time() - began) / 20_000
    flying.close()

    assert cost < 100e-6, f"{cost * 1e6:.1f} microseconds"
