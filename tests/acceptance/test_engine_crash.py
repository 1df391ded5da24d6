"""kill -9 of a real process: nothing acknowledged is lost, nothing finished is repeated."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.core.runs import MAX_DEATHS
from closeout.ledger.sqlite import Views
from closeout.ports import RunFilter
from tests.acceptance import engine_process
from tests.acceptance.engine_process import OPERATIONS
from tests.acceptance.forked import Forked

ROOT = Path(__file__).resolve().parents[2]


class Machine:
    """A ledger, a journal of effects, and the process that may be killed."""

    def __init__(self, folder: Path) -> None:
        self.ledger = folder / "ledger.db"
        self.journal = folder / "journal"
        self.acknowledged: list[str] = []
        self.turn = 15.0
        """Seconds of a suspect's first turn alone."""
        self._process: Forked | None = None

    @property
    def process(self) -> Forked:
        """The running process."""
        assert self._process is not None
        return self._process

    def start(self, *, to_die: bool = False) -> None:
        """Start it and wait until it has recovered, unless it is to die before that."""
        given, answers = os.pipe(), os.pipe()
        self.stdin, self.stdout = os.fdopen(given[1], "w"), os.fdopen(answers[0])
        with os.fdopen(given[0]) as stdin, os.fdopen(answers[1], "w") as stdout:
            self._process = Forked(
                [str(self.ledger), str(self.journal), str(self.turn)],
                folder=ROOT,
                environment=os.environ,
                stdin=stdin,
                output=stdout,
                errors=sys.__stderr__,
                main=engine_process.main,
            )
        if not to_die:
            assert self.stdout.readline() == "ready\n"

    def accept(self, name: str, key: str = "-") -> None:
        """Send a delivery; it counts as acknowledged once the process says so."""
        try:
            self.stdin.write(f"accept {name} {key}\n")
            self.stdin.flush()
        except BrokenPipeError:
            return
        if self.stdout.readline() == f"accepted {name}\n":
            self.acknowledged.append(name)

    def send(self, *names: str) -> None:
        """Send deliveries in one go, without waiting for their answers."""
        self.stdin.write("".join(f"accept {name} -\n" for name in names))
        self.stdin.flush()

    def ends_or_dies(self, seconds: float = 30.0) -> bool:
        """Wait until all acknowledged runs have finished (True), or the process has died (False)."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            if self.unfinished() == set():
                return True
            assert time.monotonic() < deadline, f"unfinished: {self.unfinished()}"
            time.sleep(0.02)
        return False

    def unfinished(self) -> set[str]:
        """Return acknowledged runs that have no verdict."""
        views = Views(self.ledger)
        try:
            return set(self.acknowledged) - {view.id for view in views.runs() if view.verdict is not None}
        finally:
            views.close()

    def kill(self) -> None:
        """Kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(5)

    def wait_for_end(self, seconds: float = 20.0) -> dict[str, str]:
        """Wait until all acknowledged runs have finished; return their verdicts."""
        deadline = time.monotonic() + seconds
        views = Views(self.ledger)
        try:
            while True:
                verdicts = {view.id: view.verdict for view in views.runs() if view.verdict is not None}
                if set(self.acknowledged) <= set(verdicts):
                    return verdicts
                assert time.monotonic() < deadline, f"unfinished: {set(self.acknowledged) - set(verdicts)}"
                time.sleep(0.02)
        finally:
            views.close()

    def summaries(self, verdict: str) -> dict[str, str]:
        """Return what runs with this verdict said at their end."""
        views = Views(self.ledger)
        found = {view.id: view.summary or "" for view in views.runs(wanted=RunFilter(verdict=verdict))}
        views.close()
        return found

    def effects(self, after: int = 0) -> list[tuple[str, str]]:
        """Return (run, operation) in the order of their calls, of those behind that many bytes of the journal."""
        lines = self.journal.read_bytes()[after:].decode().splitlines() if self.journal.exists() else []
        return [(run, operation) for run, operation in (line.split() for line in lines)]

    def recorded(self) -> dict[str, set[str]]:
        """Return the operations that are recorded as final, by run."""
        if not self.ledger.exists():
            return {}
        views = Views(self.ledger)
        rows = views._connection()[0].execute(
            "SELECT r.run_id, o.name FROM operation o JOIN run r ON r.number = o.run WHERE o.state <> 'waiting'"
        )
        found: dict[str, set[str]] = defaultdict(set)
        for run, name in rows:
            found[run].add(name)
        views.close()
        return found

    def close(self) -> None:
        """End the process in peace, or else."""
        if self._process is not None and self._process.poll() is None:
            self.stdin.close()
            self._process.wait(20)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine that is ended afterwards."""
    machine = Machine(tmp_path)
    yield machine
    machine.close()


def test_twenty_kills_under_load_lose_and_repeat_nothing(machine: Machine) -> None:
    """At random moments: every acknowledged delivery is run to its end, and no recorded operation is called again."""
    chance = random.Random(20)
    number = 0
    for _ in range(20):
        recorded, before = machine.recorded(), len(machine.effects())
        machine.start()
        until = time.monotonic() + chance.uniform(0.02, 0.25)
        while time.monotonic() < until:
            number += 1
            machine.accept(f"run{number}", chance.choice(["-", "pr-1", "pr-2"]))
            time.sleep(0.005)
        machine.kill()
        repeated = [(run, name) for run, name in machine.effects()[before:] if name in recorded.get(run, ())]
        assert repeated == [], "finished operations were called again after a restart"
    machine.start()
    verdicts = machine.wait_for_end(40)
    assert machine.summaries("failure") == {}, "a run may fail only when it ended the process alone"
    assert len(machine.acknowledged) > 40
    effects = Counter(machine.effects())
    missing = {(run, name) for run in verdicts for name in OPERATIONS if (run, name) not in effects}
    assert missing == set()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_kill_at_each_operation_converges(machine: Machine, operation: str) -> None:
    """Whichever operation the process dies in, the next one takes the run up there."""
    machine.start()
    machine.accept("a")
    deadline = time.monotonic() + 30
    while ("a", operation) not in machine.effects():
        assert time.monotonic() < deadline
    machine.kill()
    recorded, before = machine.recorded()["a"], len(machine.effects())
    machine.start()
    assert machine.wait_for_end() == {"a": "success"}
    after = [name for _, name in machine.effects()[before:]]
    assert not recorded & set(after), "a finished operation was called again"


def test_order_of_a_key_survives_kills(machine: Machine) -> None:
    """First in, first out over three processes; no two runs of a key at once."""
    machine.start()
    names = [f"run{number}" for number in range(12)]
    for name in names:
        machine.accept(name, "pr-17")
    for _ in range(2):
        time.sleep(0.1)
        machine.kill()
        machine.start()
    machine.wait_for_end()
    assert list(dict.fromkeys(run for run, _ in machine.effects())) == names


@pytest.mark.parametrize("poison", ["poison", "poison-at-once"])
def test_a_run_that_ends_its_process_fails_and_the_six_beside_it_succeed(
    machine: Machine, poison: str
) -> None:
    """It says so and posts its final operation; also when it kills before anything of it is on disk."""
    innocent = [f"slow-{number}" for number in range(6)]
    machine.start()
    machine.acknowledged = [*innocent, poison]
    machine.send(*machine.acknowledged)
    assert machine.process.wait(10) == -9
    deaths = 1
    while deaths < 10:
        machine.start(to_die=True)
        if machine.ends_or_dies():
            break
        deaths += 1
    assert machine.wait_for_end() == dict.fromkeys(machine.acknowledged, "success") | {poison: "failure"}
    # Besides: one in company, one if the first left no trace, one in a turn that began beside another run.
    assert MAX_DEATHS + 1 <= deaths <= MAX_DEATHS + 3
    effects = Counter(machine.effects())
    assert effects[(poison, "poison")] in (deaths, 0), "none of what kills before it can write anything down"
    assert effects[(poison, "final")] == 1
    [summary] = machine.summaries("failure").values()
    assert f"ended closeout's process {MAX_DEATHS} times while it ran alone" in summary


def test_a_poison_that_kills_late_fails_beside_an_innocent_that_takes_long(machine: Machine) -> None:
    """Its turns double until it dies in them; the innocent one is begun anew each time and ends well."""
    machine.turn = 0.1
    machine.start()
    machine.send("long-innocent", "poison-late")
    machine.acknowledged = ["long-innocent", "poison-late"]
    for _ in range(20):
        if machine.ends_or_dies():
            break
        machine.start(to_die=True)
    assert machine.wait_for_end() == {"long-innocent": "success", "poison-late": "failure"}


FULL_DISK = """
import json, pathlib, resource, sys
from closeout.ledger.sqlite import Ledger
from closeout.core.errors import StoreUnavailable
from closeout.core.records import NewDelivery
from tests.contract.local_harness import WallClock, new_delivery, new_run
path = pathlib.Path(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
answers = {}
body = bytes(range(256)) * 100
def send(ledger, name):
    try:
        answers[name] = ledger.accept_wait(new_delivery(name, body=body), [new_run(name)]).delivery
    except StoreUnavailable as error:
        answers[name] = None
with Ledger(path, clock=WallClock()) as ledger:
    send(ledger, "before")
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
    for number in range(60):
        send(ledger, f"full{number}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    for number in range(5):
        send(ledger, f"after{number}")
print(json.dumps(answers))
"""


def test_a_file_that_cannot_grow_acknowledges_nothing_that_is_not_stored(tmp_path: Path) -> None:
    """Under a real limit on file size, deliveries are refused; with the limit gone they are stored again."""
    path = tmp_path / "ledger.db"
    _check_full(
        path,
        subprocess.run(
            [sys.executable, "-c", FULL_DISK, str(path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        ),
    )


def _check_full(path: Path, ran: subprocess.CompletedProcess[str]) -> None:
    assert ran.returncode == 0, ran.stderr
    answers = json.loads(ran.stdout.splitlines()[-1])
    views = Views(path)
    stored = {view.guid: view.id for view in views.deliveries()}
    runs = {view.id for view in views.runs()}
    views.close()
    acknowledged = {name: number for name, number in answers.items() if number is not None}
    refused = set(answers) - set(acknowledged)
    assert refused, "the disk was never full"
    assert all(name.startswith("full") for name in refused)
    assert acknowledged.items() <= stored.items()
    assert set(acknowledged) <= runs
    assert not refused & set(stored), "a refused delivery was stored in part or in whole"
