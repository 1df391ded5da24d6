"""A ledger in memory: the smallest store that keeps the contract, for tests that need a ledger and no disk.

It is a `ports.ServerLedger` with its readers and requests, and the engine's `EngineStore`, all over a few dicts.
`tests/contract/test_ledgers.py` runs the suite of every store over it, so what it answers is what SQLite answers.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from closeout.core import runs, words
from closeout.core.closing import KEPT_DAYS, WEBHOOK, heard_by
from closeout.core.errors import LedgerError, NotFound
from closeout.core.ids import execution_id, split_execution
from closeout.core.payload import from_form
from closeout.core.problems import Problem
from closeout.core.records import Accepted, NewDelivery, NewRun
from closeout.core.runs import NO_BASE
from closeout.core.units import DAY, iso
from closeout.ledger.cursors import Start, page
from closeout.ledger.lines import JournalLines
from closeout.ledger.problems import of_reopened, of_run
from closeout.ledger.steps import has_deleted, rehearsed, reopened
from closeout.ledger.views import RunFacts, pause_phrase, run_view
from closeout.ports import (
    EVERY_DELIVERY,
    EVERY_RUN,
    UNFINISHED,
    Clock,
    DayTally,
    DeliveryFilter,
    DeliveryId,
    DeliveryView,
    Ending,
    Execution,
    Incoming,
    ListPage,
    LogLine,
    LogWindow,
    Operation,
    Pending,
    Request,
    RunFilter,
    RunView,
)
from tests.memory_problems import MemoryProblems, causes_of

T = TypeVar("T")


@dataclass
class _Run:
    """One attempt at a run."""

    number: int
    run: NewRun
    attempt: int
    delivery: int
    requested_by: str | None
    accepted_at: float
    state: runs.RunState = field(default_factory=runs.RunState)
    operations: dict[str, Operation] = field(default_factory=dict)
    lines: list[LogLine] = field(default_factory=list)

    @property
    def execution(self) -> str:
        """The execution's name."""
        return execution_id(self.run.run_id, self.attempt)


class MemoryLedger:
    """Everything that one server keeps, behind one lock. It needs no opening and no closing."""

    def __init__(self, clock: Clock, redact: Callable[[str], str] = str) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._deliveries: dict[int, NewDelivery] = {}
        self._runs: dict[int, _Run] = {}
        self._requests: dict[int, Request] = {}
        self._outcomes: dict[int, str] = {}
        self._settings: dict[str, bytes] = {}
        self._marks: dict[tuple[str, str], dict[str, Any]] = {}
        self._closing_runs: dict[str, tuple[str, float]] = {}
        self._paused: Request | None = None
        self._days: dict[str, DayTally] = {}
        self.problems = MemoryProblems()
        self._lines = JournalLines(redact)
        self._delivery_ids, self._run_numbers = itertools.count(1), itertools.count(1)
        self._request_ids, self._line_ids = itertools.count(1), itertools.count(1)

    @property
    def attempts(self) -> MemoryLedger:
        """Itself: it stores attempts too."""
        return self

    # --- deliveries -----------------------------------------------------------------------------------------

    def accept_group(self, group: Sequence[Incoming]) -> None:
        """Store each delivery, then call its callback."""
        for delivery, new_runs, done in group:
            done(self._outcome(delivery, new_runs))

    def accept_wait(self, delivery: NewDelivery, new_runs: Sequence[NewRun]) -> Accepted:
        """Store a delivery and its runs."""
        return self._outcome(delivery, new_runs)

    def _outcome(self, delivery: NewDelivery, new_runs: Sequence[NewRun]) -> Accepted:
        with self._lock:
            there = self._there(delivery.guid, new_runs)
            known = tuple(there.values())
            for number, kept in self._deliveries.items():
                if (kept.hook, kept.guid) == (delivery.hook, delivery.guid):
                    return Accepted(number, known, True, ())
            fresh = [run for run in new_runs if run.automation not in there]
            number = next(self._delivery_ids)
            self._deliveries[number] = delivery
            self.problems.settle(of_reopened(delivery), None, self._clock.now())
            started = tuple(self._add(run, 1, number, None) for run in fresh)
            duplicate = bool(known) and not fresh
            return Accepted(number, known + tuple(run.run_id for run in fresh), duplicate, started)

    def new_attempt(
        self,
        run_id: str,
        definition: str,
        requested_by: str,
        *,
        key: str | None,
        queue_timeout: float,
        request: int | None = None,
        delivery: DeliveryId | None = None,
    ) -> str:
        """Store the next attempt at a run. Raises `LedgerError`."""
        with self._lock:
            last = self._find(run_id)
            if last is None:
                raise LedgerError(f"there is no run {run_id} in this ledger")
            if last.state.state != "finished":
                raise LedgerError(f"run {run_id} has not finished")
            run = NewRun(run_id, last.run.automation, key, definition, queue_timeout)
            source = last.delivery if delivery is None else int(delivery)
            if source not in self._deliveries:
                raise LedgerError(f"there is no delivery {source} in this ledger")
            execution = self._add(run, last.attempt + 1, source, requested_by)
            if request is not None:
                self.finish_request(request, execution)
            return execution

    def add_runs(
        self, delivery: DeliveryId, new_runs: Sequence[NewRun], requested_by: str
    ) -> tuple[str, ...]:
        """Store the runs that a stored delivery does not have. Raises `LedgerError`."""
        with self._lock:
            if delivery not in self._deliveries:
                raise LedgerError(f"there is no delivery {delivery} in this ledger")
            for run in new_runs:
                if self._closing_runs.get(run.run_id, ("", 0.0))[0] == run.run_id:
                    del self._closing_runs[run.run_id]
            there = self._there(self._deliveries[int(delivery)].guid, new_runs)
            fresh = [run for run in new_runs if run.automation not in there]
            return tuple(self._add(run, 1, int(delivery), requested_by) for run in fresh)

    def _add(self, run: NewRun, attempt: int, delivery: int, requested_by: str | None) -> str:
        number = next(self._run_numbers)
        self._runs[number] = _Run(number, run, attempt, delivery, requested_by, self._clock.now())
        return self._runs[number].execution

    def _there(self, guid: str, new_runs: Sequence[NewRun]) -> dict[str, str]:
        """Return the runs of an event and of a closing, by automation."""
        named = {run.run_id for run in new_runs}
        found = {
            run.run.automation: run.run.run_id
            for run in self._runs.values()
            if self._deliveries[run.delivery].guid == guid or run.run.run_id in named
        }
        claimed = {
            run.automation: self._closing_runs[run.run_id][0]
            for run in new_runs
            if run.run_id in self._closing_runs
        }
        return claimed | found

    def claim_closing(self, closing: str, run_id: str, owner: str) -> str:
        """Give a closing to a run that learned it while it runs."""
        with self._lock:
            if self._find(run_id):
                return run_id
            if run_id not in self._closing_runs:
                self._closing_runs[run_id] = (owner, self._clock.now())
                mine = self._find(owner)
                if mine is not None:
                    kept = self._deliveries[mine.delivery]
                    self._deliveries[mine.delivery] = kept._replace(closing=closing)
            return self._closing_runs[run_id][0]

    def _runs_of(self, shown: NewDelivery) -> tuple[str, ...]:
        """Return the runs of a delivery's event or closing."""
        mine = (
            run
            for run in self._runs.values()
            for brought in (self._deliveries[run.delivery],)
            if brought.guid == shown.guid or (shown.closing and brought.closing == shown.closing)
        )
        return tuple(dict.fromkeys(run.run.run_id for run in mine))

    def _find(self, run_id: str, attempt: int | None = None) -> _Run | None:
        name, named = split_execution(run_id)
        wanted = attempt or named
        found = [one for one in self._runs.values() if one.run.run_id == name]
        return next((one for one in reversed(found) if wanted in (None, one.attempt)), None)

    # --- executions -----------------------------------------------------------------------------------------

    def recover(self) -> Sequence[Pending]:
        """Count a crash of each running execution; return all unfinished ones."""
        with self._lock:
            for run in self._runs.values():
                if run.state.state == "waiting":
                    self.write(run.execution, None, runs.RESTARTED)
            running = [run for run in self._runs.values() if run.state.state == "running"]
            turn = next((run.number for run in running if run.state.alone in runs.IN_TURN), None)
            for run in running:
                self._advance(run.number, runs.Crashed(by_another=turn not in (None, run.number)))
                self.write(run.execution, None, runs.SURVIVED)
            return self.pending(0)

    def pending(self, after: int) -> Sequence[Pending]:
        """Return unfinished executions with a higher number."""
        with self._lock:
            return [_pending(run) for run in self._unfinished() if run.number > after]

    def find(self, target: str) -> str | None:
        """Return the execution that `target` names."""
        with self._lock:
            found = self._find(target)
            return found.execution if found else None

    def load(self, number: int) -> tuple[Execution, Sequence[Operation]]:
        """Return an execution with its operations."""
        with self._lock:
            run = self._runs[number]
            delivery = self._deliveries[run.delivery]
            execution = Execution(
                run.execution,
                run.run.run_id,
                run.attempt,
                run.run.automation,
                run.run.definition,
                delivery.event,
                run.delivery,
                delivery.guid,
                delivery.hook,
                _text(delivery),
                run.accepted_at,
                queue_expired=run.state.turn == "expired",
            )
            return execution, _in_order(run)

    def begin(
        self, number: int, turn: str, at: float, *, wait: bool, alone: bool = False, beside: bool = False
    ) -> None:
        """Note that an execution runs now."""
        del wait
        self._advance(number, runs.Taken(turn, at, alone, beside))

    def join(self, number: int) -> None:
        """Note that an execution's turn alone is over."""
        self._advance(number, runs.Joined())

    def save(self, number: int, operation: Operation, *outcomes: runs.Outcome) -> None:
        """Keep an operation and what it means for its run."""
        with self._lock:
            self._runs[number].operations[operation.name] = operation
            self._advance(number, *outcomes)

    def park(self, number: int, wake: float) -> None:
        """Note that an execution waits."""
        self._advance(number, runs.Parked(wake))

    def finish(self, number: int, ending: Ending, at: float) -> None:
        """Keep an execution's ending."""
        with self._lock:
            if self._runs[number].state.state != "finished":
                self._advance(number, runs.Ended(ending.verdict, ending.summary, at))
                execution, operations = self.load(number)
                closing = self._deliveries[self._runs[number].delivery].closing
                outcome = of_run(execution, operations, ending, closing, at)
                self.problems.settle(outcome, execution.automation, at)
                self._count_day(self._runs[number], ending, at)

    def _count_day(self, run: _Run, ending: Ending, at: float) -> None:
        delivery = self._deliveries[run.delivery]
        if delivery.closing is None or ending.verdict == "skipped":
            return
        others = (
            one
            for one in self._runs.values()
            if one is not run and self._deliveries[one.delivery].guid == delivery.guid
        )
        first = run.attempt == 1 and all(one.state.verdict in (None, "skipped") for one in others)
        torn_down = ending.verdict == "success" and has_deleted(_in_order(run))
        heard = heard_by(delivery.origin) != WEBHOOK
        before = self._days.get(day := iso(at)[:10], DayTally(day))
        counted = (first, torn_down, ending.verdict == "failure", first and heard)
        self._days[day] = DayTally(day, *(old + new for old, new in zip(before[1:], counted, strict=True)))

    def days(self, since: float) -> list[DayTally]:
        """Return the days on which a run of a closing ended."""
        return [self._days[day] for day in sorted(self._days) if day >= iso(since)[:10]]

    def open_problems(self) -> list[Problem]:
        """Return what needs a person."""
        return [one for one in self.problems.problems() if one.closed_at is None]

    def problem_count(self, most: int) -> int:
        """Return how many of these there are."""
        return min(len(self.open_problems()), most)

    def problem_causes(self, most: int) -> list[tuple[Problem, int]]:
        """Return some of what needs a person."""
        return causes_of(self.open_problems(), most)

    def ask_cancel(self, execution: str, by: str) -> bool:
        """Keep a cancel request; False if the execution is unknown or finished."""
        with self._lock:
            found = self._find(execution)
            if found is None or found.state.state == "finished":
                return False
            self._advance(found.number, runs.CancelAsked(by))
            return True

    def _advance(self, number: int, *outcomes: runs.Outcome) -> None:
        with self._lock:
            for outcome in outcomes:
                self._runs[number].state = runs.advance(self._runs[number].state, outcome)

    def _unfinished(self) -> Iterator[_Run]:
        return (run for run in self._runs.values() if run.state.state != "finished")

    # --- requests, the switch, settings -----------------------------------------------------------------------

    def add_request(self, kind: str, target: str | None, by: str, reason: str | None) -> int:
        """Store a request."""
        number = next(self._request_ids)
        self._requests[number] = Request(number, kind, target, by, reason)
        return number

    def outcome(self, request: int) -> str | None:
        """Return the outcome of a request."""
        return self._outcomes.get(request)

    def server_running(self) -> bool:
        """Return True: whoever has this object is the server."""
        return True

    def take_requests(self) -> Sequence[Request]:
        """Return requests that are not done; carry out pause and resume."""
        with self._lock:
            for request in self._open_switches():
                self._paused = request if request.kind == "pause" else None
                self._outcomes[request.id] = "done"
            return [one for one in self._requests.values() if one.id not in self._outcomes]

    def finish_request(self, request: int, outcome: str) -> None:
        """Note how a request ended."""
        self._outcomes.setdefault(request, outcome)

    def paused(self) -> str | None:
        """Return who paused and why: the newest request counts, taken or not."""
        with self._lock:
            last = next(reversed(self._open_switches()), self._paused)
        return pause_phrase(last.by, last.reason) if last and last.kind == "pause" else None

    def _open_switches(self) -> list[Request]:
        requests = self._requests.values()
        return [one for one in requests if one.kind in ("pause", "resume") and one.id not in self._outcomes]

    def setting(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return a value that is made once."""
        with self._lock:
            if name not in self._settings:
                self._settings[name] = make()
            return self._settings[name]

    # --- patrol -----------------------------------------------------------------------------------------------

    def marks(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return patrol's marks of a kind."""
        with self._lock:
            return {key: dict(value) for (of, key), value in self._marks.items() if of == kind}

    def save_mark(self, kind: str, key: str, value: Mapping[str, Any]) -> None:
        """Keep a mark."""
        with self._lock:
            self._marks[kind, key] = dict(value)

    def has_delivery(self, hook: str, guid: str) -> bool:
        """Return whether a delivery is stored."""
        with self._lock:
            return any((one.hook, one.guid) == (hook, guid) for one in self._deliveries.values())

    # --- care -----------------------------------------------------------------------------------------------

    def newest_time(self) -> float | None:
        """Return the newest time of acceptance; None when no run is unfinished."""
        return max((run.accepted_at for run in self._unfinished()), default=None)

    def probe(self) -> None:
        """Do nothing: memory takes what it is given."""

    def prune(self, older_than: float) -> dict[str, int]:
        """Remove old deliveries whose runs have all finished."""
        cutoff = self._clock.now() - older_than
        gone: Counter[str] = Counter({"deliveries": 0, "runs": 0, "log lines": 0})
        with self._lock:
            for number, delivery in list(self._deliveries.items()):
                mine = [
                    run for run in self._runs.values() if self._deliveries[run.delivery].guid == delivery.guid
                ]
                if delivery.received_at >= cutoff or any(_needed(run, cutoff) for run in mine):
                    continue
                gone.update(
                    {"deliveries": 1, "runs": len(mine), "log lines": sum(len(run.lines) for run in mine)}
                )
                open_again = {run.run.run_id for run in mine if self._met_it_open(run)}
                for run in mine:
                    if self._deliveries[run.delivery].closing and run.run.run_id not in open_again:
                        self._closing_runs.setdefault(run.run.run_id, (run.run.run_id, run.accepted_at))
                    del self._runs[run.number]
                del self._deliveries[number]
            oldest = self._clock.now() - max(older_than, KEPT_DAYS * DAY)
            kept = self._closing_runs.items()
            self._closing_runs = {run_id: claim for run_id, claim in kept if claim[1] >= oldest}
            self.problems.prune(cutoff)
        return dict(gone)

    def _met_it_open(self, run: _Run) -> bool:
        last = run is self._find(run.run.run_id)
        return last and run.state.verdict == "cancelled" and reopened(_in_order(run))

    def close(self) -> None:
        """Do nothing."""

    # --- logs -----------------------------------------------------------------------------------------------

    def write(self, execution: str, step: str | None, text: str) -> None:
        """Keep one log line."""
        line = self._lines.line(execution, text)
        with self._lock:
            run = self._find(execution)
            if line is not None and run is not None and run.execution == execution:
                run.lines.append(LogLine(next(self._line_ids), step, self._clock.now(), line))

    def logs(
        self, run_id: str, attempt: int | None = None, after: int = 0, limit: int | None = None
    ) -> list[LogLine]:
        """Return log lines with an id over `after`."""
        with self._lock:
            run = self._find(run_id, attempt)
            return [line for line in run.lines if line.id > after][:limit] if run else []

    def operations(self, run_id: str, attempt: int | None = None) -> Sequence[Operation]:
        """Return what an attempt recorded."""
        with self._lock:
            run = self._find(run_id, attempt)
        return self.load(run.number)[1] if run else ()

    def log_window(
        self,
        run_id: str,
        attempt: int,
        *,
        after: int | None = None,
        before: int | None = None,
        search: str = "",
        limit: int,
        characters: int,
    ) -> LogWindow:
        """Return a part of a log."""
        lines = [
            line for line in self.logs(run_id, attempt, after or 0) if search.lower() in line.text.lower()
        ]
        if after is None:
            lines = [line for line in lines if before is None or line.id < before][::-1]
        shown: list[LogLine] = []
        for line in lines[:limit]:
            if shown and sum(len(one.text) for one in (*shown, line)) > characters:
                break
            shown.append(line)
        return LogWindow(shown[::-1] if after is None else shown, len(lines) - len(shown))

    # --- what people see --------------------------------------------------------------------------------------

    def runs(self, limit: int | None = None, wanted: RunFilter = EVERY_RUN) -> list[RunView]:
        """Return runs, the newest first."""
        return [view for _, view in self._listed_runs(wanted)][:limit]

    def run_page(self, wanted: RunFilter, cursor: str | None, limit: int) -> ListPage[RunView]:
        """Return a page of them."""
        return page(partial(_part, self._listed_runs(wanted)), cursor, limit)

    def _listed_runs(self, wanted: RunFilter) -> list[tuple[int, RunView]]:
        with self._lock:
            latest = {run.run.run_id: run for run in self._runs.values()}.values()
            newest_first = sorted(latest, key=lambda run: -run.number)
            views = [(run.number, self._view(run, full=False)) for run in newest_first]
        return [(number, view) for number, view in views if _is_wanted_run(view, wanted)]

    def run(self, run_id: str, attempt: int | None = None) -> RunView | None:
        """Return one run."""
        with self._lock:
            found = self._find(run_id, attempt)
            return self._view(found, full=True) if found else None

    def run_ids(self, beginning: str, limit: int) -> list[str]:
        """Return the ids of runs that begin with `beginning`."""
        with self._lock:
            ids = {run.run.run_id for run in self._runs.values()}
        return sorted(run_id for run_id in ids if run_id.startswith(beginning))[:limit]

    def teardowns(self, repository: str, number: int) -> list[str]:
        """Return the open executions that the closing of a pull request started."""
        with self._lock:
            closed = self._closed(repository, number)
            return [run.execution for run in closed if run.state.state != "finished"]

    def finished_teardowns(
        self, since: float, repository: str | None = None, number: int | None = None
    ) -> list[tuple[str, int, str, float, str]]:
        """Return the teardowns that succeeded after `since`, by their latest attempt."""
        with self._lock:
            return [
                (run.run.run_id, run.attempt, run.run.automation, run.state.finished_at, run.run.definition)
                for run in self._closed(repository, number)
                if run.state.verdict == "success"
                and run.state.finished_at is not None
                and run.state.finished_at > since
                and run is self._find(run.run.run_id)
                and not rehearsed(_in_order(run))
            ]

    def superseded(self, run_id: str, attempt: int) -> bool:
        """Return whether a later closing of the pull request started a run that was not skipped."""
        with self._lock:
            mine = self._find(run_id, attempt)
            if mine is None:
                return False
            delivery = self._deliveries[mine.delivery]
            return any(
                later.run.automation == mine.run.automation
                and later.number > mine.number
                and later.run.run_id != run_id
                and later.state.verdict != "skipped"
                for later in self._closed(delivery.repository, delivery.number)
            )

    def _closed(self, repository: str | None, number: int | None) -> list[_Run]:
        """Return the runs that closings started: all of them, or those of one pull request."""
        return [
            run
            for run in self._runs.values()
            for delivery in (self._deliveries[run.delivery],)
            if (delivery.event, delivery.action) == ("pull_request", "closed")
            and (
                number is None
                or (delivery.number == number and str(delivery.repository).lower() == str(repository).lower())
            )
        ]

    def deliveries(
        self, limit: int | None = None, wanted: DeliveryFilter = EVERY_DELIVERY
    ) -> list[DeliveryView]:
        """Return deliveries, the newest first."""
        return [view for _, view in self._listed_deliveries(wanted)][:limit]

    def delivery_page(self, wanted: DeliveryFilter, cursor: str | None, limit: int) -> ListPage[DeliveryView]:
        """Return a page of them."""
        return page(partial(_part, self._listed_deliveries(wanted)), cursor, limit)

    def _listed_deliveries(self, wanted: DeliveryFilter) -> list[tuple[int, DeliveryView]]:
        with self._lock:
            views = [(number, self._delivery_view(number)) for number in reversed(self._deliveries)]
        return [(number, view) for number, view in views if _is_wanted_delivery(view, wanted)]

    def delivery(self, delivery_id: DeliveryId) -> DeliveryView | None:
        """Return one delivery."""
        with self._lock:
            return self._delivery_view(int(delivery_id)) if delivery_id in self._deliveries else None

    def body(self, delivery_id: DeliveryId) -> bytes:
        """Return a delivery's payload as JSON text."""
        with self._lock:
            if delivery_id not in self._deliveries:
                raise NotFound(f"the ledger has no delivery {delivery_id}")
            return _text(self._deliveries[int(delivery_id)])

    def stats(self) -> dict[str, Any]:
        """Return the figures behind `/metrics`."""
        found = self.runs()
        states = Counter(run.state for run in found)
        queued = [run.accepted_at for run in found if run.state == "queued"]
        return {
            "runs_by_verdict": dict(Counter(run.verdict for run in found if run.verdict)),
            "runs_by_state": {state: states[state] for state in runs.STATES if state != "finished"},
            "suspects": sum(run.state.alone is not None for run in self._unfinished()),
            "queue_age": self._clock.now() - min(queued) if queued else 0.0,
            "step_durations": _durations(found),
            "empty_runs": self._empty_runs(),
        }

    def _empty_runs(self) -> dict[str, int]:
        ended = [
            (run.run.automation, run.state.summary or "")
            for run in self._runs.values()
            if run.state.verdict == "success"
        ]
        found = {automation for automation, summary in ended if not runs.found_nothing(summary)}
        return dict(Counter(automation for automation, _ in ended if automation not in found))

    def _view(self, run: _Run, *, full: bool) -> RunView:
        delivery = self._deliveries[run.delivery]
        facts = RunFacts(
            id=run.run.run_id,
            attempt=run.attempt,
            automation=run.run.automation,
            state=run.state.state,
            verdict=run.state.verdict,
            delivery=run.delivery,
            event=delivery.event,
            action=delivery.action,
            repository=delivery.repository,
            number=delivery.number,
            guid=delivery.guid,
            key=run.run.key,
            requested_by=run.requested_by,
            accepted_at=run.accepted_at,
            started_at=run.state.started_at,
            finished_at=run.state.finished_at,
            summary=run.state.summary,
            cancel=run.state.cancel,
            alone=run.state.alone,
            deaths=run.state.deaths,
            origin=delivery.origin,
            closing=delivery.closing,
            definition=run.run.definition,
        )

        def behind(key: str) -> str | None:
            ahead = (one for one in self._unfinished() if one.run.key == key and one.state.turn == "own")
            first = next((one for one in ahead if one.number < run.number), None)
            return first.execution if first else None

        return run_view(facts, _in_order(run), behind, full=full)

    def _delivery_view(self, number: int) -> DeliveryView:
        kept = self._deliveries[number]
        return DeliveryView(
            id=number,
            guid=kept.guid,
            hook=kept.hook,
            event=kept.event,
            action=kept.action,
            repository=kept.repository,
            number=kept.number,
            size=len(kept.body),
            origin=kept.origin,
            received_at=kept.received_at,
            runs=self._runs_of(kept),
            closing=kept.closing,
        )


def _part(rows: Sequence[tuple[int, T]], start: Start, count: int) -> Sequence[tuple[int, T]]:
    """Return the first rows from there on, in that direction."""
    if start.number is None:
        return rows[:count]
    if start.newer:
        return [row for row in reversed(rows) if row[0] > start.number][:count]
    return [row for row in rows if row[0] < start.number][:count]


def _is_wanted_run(run: RunView, wanted: RunFilter) -> bool:
    if wanted.verdict != "skipped" and (run.summary or "").startswith(NO_BASE):
        return False
    if wanted.phrases and not words.found(run.summary or "", wanted.phrases):
        return False
    if wanted.state == UNFINISHED:
        return run.state != "finished" and _is_wanted_run(run, wanted._replace(state=None))
    names = ("automation", "state", "verdict", "repository", "number")
    return _within(run.accepted_at, wanted) and _same(run, wanted, names)


def _is_wanted_delivery(delivery: DeliveryView, wanted: DeliveryFilter) -> bool:
    names = ("event", "repository", "number", "guid")
    return _within(delivery.received_at, wanted) and _same(delivery, wanted, names)


def _within(at: float, wanted: RunFilter | DeliveryFilter) -> bool:
    return (wanted.since is None or at >= wanted.since) and (wanted.until is None or at < wanted.until)


def _same(row: object, wanted: object, names: Sequence[str]) -> bool:
    return all(getattr(wanted, name) in (None, getattr(row, name)) for name in names)


def _pending(run: _Run) -> Pending:
    state = run.state
    return Pending(
        number=run.number,
        execution=run.execution,
        key=run.run.key,
        state=state.state,
        turn=state.turn,
        accepted_at=run.accepted_at,
        queue_timeout=run.run.queue_timeout,
        wake=state.wake,
        crashes=state.crashes,
        cancel=state.cancel,
        suspected=state.suspected,
        alone=state.alone,
        deaths=state.deaths,
    )


def _in_order(run: _Run) -> list[Operation]:
    return sorted(run.operations.values(), key=lambda operation: operation.position)


def _needed(run: _Run, cutoff: float) -> bool:
    return run.state.finished_at is None or max(run.state.finished_at, run.accepted_at) >= cutoff


def _text(delivery: NewDelivery) -> bytes:
    return from_form(delivery.body) if delivery.form else delivery.body


def _durations(found: Iterable[RunView]) -> dict[tuple[str, str], tuple[int, float]]:
    """Return {(automation, step): (count, seconds)} of the steps that ended and were not skipped."""
    sums: dict[tuple[str, str], tuple[int, float]] = {}
    for run in found:
        for step in run.steps:
            if step.started_at is None or step.ended_at is None or step.state == "skipped":
                continue
            count, seconds = sums.get((run.automation, step.id), (0, 0.0))
            sums[run.automation, step.id] = (count + 1, seconds + step.ended_at - step.started_at)
    return sums
