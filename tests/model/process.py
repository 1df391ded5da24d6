"""One process of closeout over a store: its receiver, its patrol, and its runs. It can be killed at any call.

All of it is the real code, but for the loop that takes turns among runs: the machine calls `work` where an engine has
threads. What the process knows, the store has; a new process over the same store goes on.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from closeout.actions.spec import Action, Existing
from closeout.config.inverses import inventories
from closeout.core.automation import Automation, Current
from closeout.core.closing import Closing
from closeout.core.inverse import NamePatterns
from closeout.core.redact import Redactor
from closeout.core.runs import Outcome, Parked
from closeout.engine.durable import Suspended
from closeout.engine.recorder import Finished
from closeout.intake import headers as heads
from closeout.intake.receiver import Receiver
from closeout.orphans import audit as orphans
from closeout.patrol.report import Report
from closeout.patrol.rounds import Patrol
from closeout.ports import Ending, Execution, Operation, Pending, RunView
from closeout.run.deps import RunDeps
from closeout.run.recheck import BY
from closeout.run.workflow import make_run_function
from closeout.testing.durable import MemoryDurable
from closeout.wiring.api_intake import ApiIntake
from closeout.wiring.rechecks import Mark, Rechecks
from closeout.wiring.reruns import Reruns
from tests.model.outside import HOOK_URL, SECRET, Cloud, Delivery, GitHub
from tests.unit.run.world import ACCOUNT, DELETE

ATTEMPTS = ("new_attempt", "add_runs", "claim_closing")
WRITES = ("accept_group", "accept_wait", "save_mark", "begin", "save", "park", "finish", *ATTEMPTS)
"""What a process does to its store. It may be killed before each of these, and after."""


class Ended(NamedTuple):
    """The end of one attempt at a run."""

    automation: str
    closing: str | None
    verdict: str
    summary: str
    began: float
    ended: float
    heard: str
    again: bool
    """A recheck found something, and this attempt deleted it."""


class Store:
    """A ledger, whose process may be killed at each write, and which may lose its marks. It forgets no ending."""

    def __init__(self, ledger: Any, reader: Any) -> None:
        self.ledger, self.reader = ledger, reader
        self.endings: list[Ended] = []
        self.rechecked: float | None = None
        """Until when rechecks were made."""
        self.told: list[str] = []
        """What rechecks reported."""
        self._lost: set[tuple[str, str]] = set()

    def started(self, executions: Iterable[str]) -> None:
        """Do nothing: a server's engine finds by itself what was stored, and on AWS whatever stores it starts it."""

    def teardowns(self, repository: str, number: int) -> Sequence[str]:
        """Return the executions on their way that the closing of a pull request started."""
        found: Sequence[str] = self.reader.teardowns(repository, number)
        return found

    def lose_marks(self) -> None:
        """Lose how far patrol has read."""
        for kind in ("repository", "hook"):
            self._lost |= {(kind, key) for key in self.ledger.marks(kind)}

    def finish(self, number: int, ending: Ending, at: float) -> None:
        """Keep the end of an attempt."""
        self.ledger.finish(number, ending, at)
        execution, operations = self.ledger.load(number)
        self.note(execution.id, operations, ending)

    def note(self, execution: str, operations: Sequence[Operation], ending: Ending) -> None:
        """Remember an ending, which the ledger may forget."""
        run = self.reader.run(execution)
        # A ledger keeps one closing a delivery. Two runs of one that named none may have learned two, each for itself.
        claims = [
            json.loads(one.result or "null")["closing"]
            for one in operations
            if one.name == "closing" and one.state == "ok"
        ]
        closing = claims[0] if claims else _own_closing(run)
        began, ended = run.started_at or run.accepted_at, run.finished_at or 0.0
        again = run.requested_by == BY
        self.endings.append(Ended(run.automation, closing, *ending, began, ended, run.heard, again))

    def marks(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the marks that are not lost."""
        return {key: value for key, value in self.ledger.marks(kind).items() if (kind, key) not in self._lost}

    def save_mark(self, kind: str, key: str, value: Mapping[str, Any]) -> None:
        """Keep a mark."""
        self.ledger.save_mark(kind, key, value)
        self._lost.discard((kind, key))


def _own_closing(run: RunView) -> str | None:
    """Return the closing that a run is named after. Its delivery may have one that only another run of it has learned.

    A further attempt that learned none reads a delivery that names it.
    """
    if run.closing is None:
        return None
    repository, pull, closed_at = run.closing.split("/")
    named_after = Closing(int(repository), int(pull), closed_at).run_id(run.automation) == run.id
    return run.closing if named_after or run.attempt > 1 else None


class Process:
    """A process that has just been started."""

    def __init__(self, github: GitHub, cloud: Cloud, store: Store, automations: Sequence[Automation]) -> None:
        self._github, self._cloud, self._store = github, cloud, store
        self._fate, self._clock = github.fate, github.clock
        self._automations = {automation.name: automation for automation in automations}
        self._receiver = Receiver.of(automations, lambda: [SECRET.encode()])
        deps = self._deps()
        self._run = make_run_function(deps)
        ledger: Any = _Mortal(self, store.ledger)
        attempts: Any = _Mortal(self, store.ledger.attempts)
        reruns = Reruns(
            store.reader,
            attempts,
            self._automations,
            matched=self._receiver.runs,
            start=store.started,
        )
        self._ledger = ledger
        self._patrol = Patrol(
            github,
            ledger,
            ApiIntake(self._receiver, reruns, ledger, ledger.accept_wait, self._clock.now),
            automations,
            ours=lambda url: url == HOOK_URL,
            pause=self._clock.advance,
        )
        store.ledger.recover()
        self.rechecks = self.make_rechecks(attempts, deps)
        self.rechecks.recover()

    def make_rechecks(self, attempts: Any, deps: RunDeps) -> Rechecks:
        """Return what looks again after teardowns."""
        mark = Mark(lambda: self._store.rechecked, self._note_rechecked)
        return Rechecks(
            self._store.reader,
            attempts,
            self._automations,
            deps,
            mark=mark,
            start=lambda: None,
            report=self._store.told.append,
        )

    def _note_rechecked(self, until: float) -> None:
        self._fate.step()
        self._store.rechecked = until

    def write(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Write to the store, if the process lives that long."""
        self._fate.step()
        target = self._store if name in ("save_mark", "finish") else self._store.ledger
        target = self._store.ledger.attempts if name in ATTEMPTS else target
        answer = getattr(target, name)(*arguments, **keywords)
        self._fate.step()
        return answer

    def marks(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the marks that are not lost."""
        return self._store.marks(kind)

    def receive(self, delivery: Delivery, secret: str = SECRET) -> None:
        """Take in a delivery as the server does. Raises what the server answers with an error."""
        raw, body = delivery.request(secret)
        found = heads.check(raw)
        self._receiver.verify(found, body)
        decision = self._receiver.decide(found, body, self._clock.now())
        if decision.delivery is not None:
            self._ledger.accept_wait(decision.delivery, decision.runs)

    def patrol(self, *, deliveries: bool = True, closings: bool = True) -> Report:
        """Make one round."""
        return self._patrol.round(deliveries=deliveries, closings=closings)

    def audit(self) -> orphans.Report:
        """List what is there under the names of the automations, and whose it is."""
        clients: Any = _Clients(self._github, self._cloud)
        found = inventories(self._automations.values(), ACTIONS)
        return orphans.Audit(clients, self._github, self._clock.now(), lambda _text: None).run(found)

    def teardowns(self, names: Collection[str], number: int) -> list[str]:
        """Return the executions of closings that have not finished, of a pull request of a repository with these names."""
        ledger = self._store.ledger
        found = []
        for pending in ledger.pending(0):
            payload = json.loads(ledger.load(pending.number)[0].body)
            if payload["repository"]["full_name"] in names and payload["pull_request"]["number"] == number:
                found.append(pending.execution)
        return found

    # --- runs ---------------------------------------------------------------------------------------------

    def work(self) -> float | None:
        """Make what rechecks are due, then let each run go on; return when the next one has to, None if all have finished."""
        self.rechecks.run_due()
        wakes: list[float] = []
        busy: set[str | None] = set()
        for pending in self._store.ledger.pending(0):
            if pending.key in busy:
                continue
            wake = self._advance(pending)
            if wake is not None:
                busy.add(pending.key)
                wakes.append(wake)
        return min(wakes, default=None)

    def _advance(self, pending: Pending) -> float | None:
        """Let one run go on; return when it wants to again, None if it has finished."""
        if pending.wake is not None and pending.wake > self._clock.now():
            return pending.wake
        execution, operations = self._store.ledger.load(pending.number)
        self._ledger.begin(pending.number, "own", self._clock.now(), wait=False)
        durable = _Kept(self, pending.number, operations)
        replay = durable.replay()
        try:
            ending = self._run(replay, execution)
        except Suspended as waits:
            return waits.wake
        if replay.suspended is not None:
            return replay.suspended
        now = self._clock.now()
        self._ledger.finish(pending.number, ending, now)
        self.rechecks.finished(Finished(execution, ending, now, replay.operations))
        return None

    def _deps(self) -> RunDeps:
        clients = _Clients(self._github, self._cloud)

        class Lines:
            def write(self, execution: str, step: str | None, text: str) -> None:
                """Keep no log."""

        class Running:
            def paused(self) -> str | None:
                return None

        def claim(closing: str, run_id: str, owner: str) -> str:
            return str(self.write("claim_closing", (closing, run_id, owner), {}))

        return RunDeps(
            actions=ACTIONS,
            clients=clients,  # type: ignore[arg-type]
            github=self._github,
            journal=Lines(),
            clock=self._clock,
            switch=Running(),
            redact=Redactor([]),
            current=lambda name: Current(self._automations.get(name), ()),
            functions={},
            details=_no_details,
            directory=Path(),
            claim_closing=claim,
        )


def _inventory(_names: Sequence[NamePatterns], clients: Any) -> Iterator[Existing]:
    cloud: Cloud = clients.aws("x")
    return (Existing(name, {"name": name}, cloud.created[name]) for name in sorted(cloud.made))


ACTIONS: Mapping[str, Action] = {DELETE.uses: replace(DELETE, inventory=_inventory)}


def _no_details(_execution: Execution) -> str | None:
    return None


class _Mortal:
    """The store as the process has it."""

    def __init__(self, process: Process, target: Any) -> None:
        self._process, self._target = process, target
        self.marks = process.marks

    def __getattr__(self, name: str) -> Any:
        if name not in WRITES:
            return getattr(self._target, name)
        return lambda *arguments, **keywords: self._process.write(name, arguments, keywords)


class _Kept(MemoryDurable):
    """The operations of one run, which its store keeps."""

    def __init__(self, process: Process, number: int, operations: Sequence[Operation]) -> None:
        super().__init__(process._clock)
        self._process, self._number = process, number
        self.operations = {operation.name: operation for operation in operations}

    def save(self, operation: Operation, *outcomes: Outcome, **more: Any) -> None:
        """Keep an operation in the store."""
        self._process.write("save", (self._number, operation), {})
        for outcome in outcomes:
            if isinstance(outcome, Parked):
                self._process.write("park", (self._number, outcome.wake), {})
        super().save(operation, *outcomes, **more)


class _Clients:
    """`ports.Clients` over what is outside."""

    def __init__(self, github: GitHub, cloud: Cloud) -> None:
        self.github, self._cloud = github, cloud

    def for_step(self, _target: object) -> _Clients:
        return self

    def aws(self, _service: str) -> Cloud:
        return self._cloud

    def account(self) -> str:
        return ACCOUNT
