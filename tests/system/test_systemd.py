"""The units: what they claim, held against systemd itself, the settings, and the page that installs them.

The last part boots a Debian with systemd as its first process (boot_systemd.sh), installs the project there by the
words of docs/how-to/install.md, and looks at what an administrator would look at. It takes root, debootstrap, the
network and some minutes: `./run test --long`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from control_center.service import DRAIN
from control_center.settings.model import PREFIX, SECRETS, Settings
from control_center.settings.sources import OTHERS
from workers import delivery

ROOT: Final = Path(__file__).resolve().parents[2]
SYSTEMD: Final = ROOT / "systemd"
PAGE: Final = ROOT / "docs/how-to/install.md"
BOOT: Final = ROOT / "tests/system/boot_systemd.sh"
SERVICES: Final = ("control-center.service", "control-center-worker@.service")
UNITS: Final = (*SERVICES, "control-center.target")
EXPOSURE: Final = "20"  # in tenths of systemd's scale from 0 (locked) to 10 (open)

Needs = Callable[[str], Path]


def settings_of(unit: str, key: str) -> list[str]:
    """Every value of a key in a unit, in order."""
    return re.findall(rf"^{key}=(.*)$", (SYSTEMD / unit).read_text("utf-8"), re.MULTILINE)


def blocks(where: str = r"\w+") -> list[tuple[str, str]]:
    """The page's commands that a machine may run, each with when: `online`, before the boot, or `booted`."""
    found = re.findall(rf"<!-- run: ({where}) -->\n```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found
    return found


# --- on paper --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_is_hardly_exposed(unit: str, needs: Needs) -> None:
    analyze = needs("systemd-analyze")

    said = subprocess.run(
        [analyze, "security", "--offline=true", f"--threshold={EXPOSURE}", SYSTEMD / unit],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_COLORS": "0"},
    )

    assert said.returncode == 0, said.stdout + said.stderr


def test_systemd_understands_every_line(needs: Needs, tmp_path: Path) -> None:
    analyze = needs("systemd-analyze")
    for unit in UNITS:  # the programs are not installed here
        text = (SYSTEMD / unit).read_text("utf-8")
        (tmp_path / unit).write_text(re.sub(r"/opt/control-center/bin/[\w-]+", "/bin/true", text), "utf-8")

    said = subprocess.run(
        [analyze, "verify", "--man=no", *(tmp_path / unit for unit in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize("file", [*SERVICES, "control-center.sh"])
def test_what_is_set_in_the_environment_is_a_setting(file: str) -> None:
    names = re.findall(rf"{PREFIX}([A-Z_]+)=", (SYSTEMD / file).read_text("utf-8"))

    assert names
    assert {name.lower() for name in names} <= {name.lower() for name in OTHERS} | set(Settings.model_fields)


@pytest.mark.parametrize("file", ["control-center.service", "control-center.sh"])
def test_where_an_address_got_lost_nothing_begins_on_a_database_of_its_own(file: str) -> None:
    assert f"{PREFIX}PRIVATE_SERVERS=no" in (SYSTEMD / file).read_text("utf-8")  # a worker never has one


def test_each_secret_that_a_service_needs_is_handed_over_from_the_store() -> None:
    engine = settings_of("control-center.service", "LoadCredential")
    worker = settings_of("control-center-worker@.service", "LoadCredential")
    by_hand = re.findall(r"--property=LoadCredential=(\S+)", (SYSTEMD / "control-center.sh").read_text("utf-8"))

    assert sorted(engine) == sorted(f"{name}:control-center.{name}" for name in SECRETS)
    assert sorted(worker) == sorted(set(engine) - {one for one in engine if one.startswith(("api_", "broker_"))})
    assert sorted(by_hand) == sorted(engine)


def test_both_services_are_closed_in_the_same_way() -> None:
    def sandbox(unit: str) -> list[str]:
        return (SYSTEMD / unit).read_text("utf-8").partition("NoNewPrivileges")[2].splitlines()

    assert sandbox(SERVICES[0])[:-3] == sandbox(SERVICES[1])[:-3]


def test_the_target_starts_everything_and_stops_it() -> None:
    assert settings_of("control-center.target", "Wants") == [
        "control-center.service control-center-worker@sms.service control-center-worker@email.service"
    ]
    for unit in SERVICES:
        assert settings_of(unit, "PartOf") == ["control-center.target"]


def test_a_stop_leaves_time_for_the_drain() -> None:
    for unit in SERVICES:
        assert int(settings_of(unit, "TimeoutStopSec")[0]) > max(DRAIN, delivery.DRAIN)


@pytest.mark.parametrize("file", [*UNITS, "control-center.sh"])
def test_every_file_that_is_named_is_made_by_the_installation(file: str) -> None:
    commands = "\n".join(body for _, body in blocks())
    text = "\n".join(line for line in (SYSTEMD / file).read_text("utf-8").splitlines() if not line.startswith("#"))
    named = set(re.findall(r"/(?:etc|opt|usr|var)/[\w./@-]+", text)) - {"/var/lib/control-center"}  # StateDirectory=
    made_by_pip = {"/opt/control-center/bin/control-center", "/opt/control-center/bin/python"}

    assert "python3 -m venv /opt/control-center\n" in commands
    assert {path for path in named - made_by_pip if path not in commands} == set()


def test_every_shipped_file_is_installed() -> None:
    commands = "\n".join(body for _, body in blocks())

    assert {file.name for file in SYSTEMD.iterdir() if f"systemd/{file.name}" not in commands} == set()


# --- for real --------------------------------------------------------------------------------------------------


class Machine:
    """A booted Debian; `run` is what root types in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._booted: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        self._call("make")
        home = self._folder / "machine/root/control-center"
        home.mkdir()
        without = [".venv", ".git", ".build", ".demo", ".*_cache", "__pycache__", ".hypothesis"]
        shutil.copytree(ROOT, home, ignore=shutil.ignore_patterns(*without), dirs_exist_ok=True)
        for _, body in blocks("online"):
            self._call("online", f"cd /root/control-center\n{body}", patience=900)

    def boot(self) -> None:
        self._booted = subprocess.Popen([BOOT, "boot", self._folder])
        self.until("systemctl is-system-running", "running", patience=120)

    def end(self) -> None:
        if self._booted is not None:
            self._booted.send_signal(signal.SIGKILL)  # and with it every process of the machine
            self._booted.wait()

    def run(self, command: str, *, fails: bool = False) -> str:
        return self._call("in", f"cd /root/control-center\n{command}", fails=fails)

    def until(self, command: str, wanted: str, *, patience: float = 30) -> str:
        """Ask until the answer holds what is wanted."""
        deadline = time.monotonic() + patience
        said = ""
        while time.monotonic() < deadline:
            said = self._call("in", command, fails=True)
            if wanted in said:
                return said
        raise AssertionError(f"{command!r} said after {patience} s only: {said}")

    def of(self, unit: str, name: str) -> str:
        return self.run(f"systemctl show --value -p {name} {unit}").strip()

    def _call(self, *words: str, fails: bool = False, patience: float = 300) -> str:
        verb, *rest = words
        done = subprocess.run(
            [BOOT, verb, self._folder, *rest],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=patience,
        )
        assert fails or done.returncode == 0, f"{rest}\n{done.stdout}"
        return done.stdout


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which the whole page was followed."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None or shutil.which("unshare") is None:
        pytest.skip("booting systemd takes root, debootstrap and unshare")
    kept = os.environ.get("SYSTEMD_TEST_FOLDER")
    made = Machine(Path(kept) if kept else tmp_path_factory.mktemp("systemd"))
    made.prepare()
    made.boot()
    try:
        for _, body in blocks("booted"):
            made.run(body)
        yield made
    finally:
        made.end()


EVERYTHING: Final = ("control-center", "control-center-worker@sms", "control-center-worker@email")

DROP_IN: Final = "/run/systemd/system/control-center.service.d"

TRIGGER: Final = """\
[[trigger]]
name = "Booked"
purpose = "transactional"
record = "session"
status = "Booked"
activate = { on = "status_changed" }
action = "sms"
text = "Hi {{ client.first_name }}, see you on {{ session.date }}."
enabled = true

[trigger.processing]
mode = "automatic"
blackouts = false
"""


def event(number: str) -> str:
    now = datetime.now(UTC).isoformat()
    record = {
        "kind": "session",
        "id": number,
        "version": 1,
        "client_id": "c-1",
        "status": "Booked",
        "status_changed_at": now,
        "dates": {"session": "2027-06-12T14:00"},
    }
    client = {"id": "c-1", "version": 1, "first_name": "Jo", "phones": [{"number": "+13125550188", "sms": True}]}
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"e-{number}",
            "source": "/crm",
            "type": "crm.session.created",
            "subject": f"session/{number}",
            "time": now,
            "studio": "main",
            "data": {"record": record, "client": client},
        }
    )


@pytest.mark.long
@pytest.mark.process
def test_by_the_page_an_event_becomes_a_text(machine: Machine) -> None:
    assert [machine.of(unit, "ActiveState") for unit in EVERYTHING] == ["active"] * 3
    assert machine.of("control-center-worker@sms", "StatusText") == "delivering sms/default"
    machine.run(f"cat >/etc/control-center/booked.toml <<'END'\n{TRIGGER}END")

    machine.run("control-center triggers apply --yes /etc/control-center/booked.toml")
    machine.run(f"control-center emit - <<'END'\n{event('4711')}\nEND")

    text = machine.until("cat /var/lib/control-center/sandbox/outbox.ndjson", "+13125550188")
    assert json.loads(text)["text"] == "Hi Jo, see you on Saturday, June 12."
    machine.until("journalctl -o cat -u control-center-worker@sms", "message.accepted")


@pytest.mark.long
@pytest.mark.process
def test_secrets_are_handed_over_and_one_that_is_absent_is_no_reason_not_to_start(machine: Machine) -> None:
    pid = machine.of("control-center", "MainPID")
    there = machine.run(f"ls /proc/{pid}/root/run/credentials/control-center.service").split()

    assert there == ["broker_url"]
    password = machine.run("sed 's/.*:\\(.*\\)@.*/\\1/' /etc/credstore/control-center.broker_url").strip()
    assert len(password) > 20
    assert password not in machine.run("journalctl -o cat")
    assert password not in machine.run(f"tr '\\0' '\\n' </proc/{pid}/environ; cat /proc/{pid}/cmdline")


@pytest.mark.long
@pytest.mark.process
def test_a_verb_gets_its_words_as_they_were_typed(machine: Machine) -> None:
    name = "$20 off, ${HOME} $$ 5%n"

    machine.run(f"control-center blackouts add '{name}' --date 2031-05-01")

    assert name in machine.run("control-center blackouts list --json")


@pytest.mark.long
@pytest.mark.process
def test_logs_reads_the_journal(machine: Machine) -> None:
    assert "inbox.attached" in machine.run("control-center logs --unit control-center")


@pytest.mark.long
@pytest.mark.process
@pytest.mark.parametrize("how", ["INT", "TERM"])
def test_a_verb_ends_with_whoever_typed_it(machine: Machine, how: str) -> None:
    machine.run(f"timeout --signal={how} 5 control-center logs --unit control-center --follow", fails=True)

    machine.until("systemctl list-units --all 'verb-*' | cat", "0 loaded units listed")


@pytest.mark.long
@pytest.mark.process
def test_a_stop_is_graceful_and_quick(machine: Machine) -> None:
    began = time.monotonic()

    machine.run("systemctl stop control-center.target 'control-center*.service'")

    assert time.monotonic() - began < 10
    for unit in EVERYTHING:
        assert [machine.of(unit, name) for name in ("Result", "ExecMainCode", "ExecMainStatus")] == [
            "success",
            "1",
            "0",
        ]
    machine.run("systemctl start control-center.target")
    assert machine.of("control-center", "ActiveState") == "active"  # start returns after READY


@pytest.mark.long
@pytest.mark.process
def test_a_loop_that_hangs_is_killed_and_started_again(machine: Machine) -> None:
    machine.run(f"""
mkdir -p /opt/hang {DROP_IN}
cat >/opt/hang/sitecustomize.py <<'END'
import signal, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(3600))
END
printf '[Service]\\nEnvironment=PYTHONPATH=/opt/hang\\nWatchdogSec=3\\n' >{DROP_IN}/hang.conf
systemctl daemon-reload && systemctl restart control-center""")
    pid = machine.of("control-center", "MainPID")

    machine.run(f"kill -USR1 {pid}")

    machine.until("systemctl show -p NRestarts,ActiveState control-center", "NRestarts=1\nActiveState=active")
    assert "Watchdog timeout" in machine.run("journalctl -o cat _PID=1")
    assert machine.of("control-center", "MainPID") != pid
    machine.run(f"rm -r {DROP_IN}; systemctl daemon-reload")
    machine.run("systemctl restart control-center")


@pytest.mark.long
@pytest.mark.process
def test_with_a_wrong_setting_it_stops_trying_and_says_why(machine: Machine) -> None:
    machine.run("echo CONTROL_CENTER_LISTEN=nonsense >>/etc/control-center/control_center.env")
    machine.run("systemctl stop control-center && systemctl reset-failed")

    machine.run("systemctl start control-center", fails=True)

    machine.until("systemctl is-failed control-center", "failed", patience=90)
    assert int(machine.of("control-center", "NRestarts")) <= 5
    said = machine.run("journalctl -o cat -n 20 -u control-center")
    assert "CONTROL_CENTER_LISTEN is 'nonsense'; allowed: HOST:PORT, such as 127.0.0.1:8484" in said
    machine.run("sed -i /nonsense/d /etc/control-center/control_center.env")
    machine.run("systemctl reset-failed control-center && systemctl start control-center.target")
    assert machine.of("control-center", "ActiveState") == "active"
