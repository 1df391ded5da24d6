"""The engine on one machine: a few threads, one scheduler, and a ledger that remembers.

The schedule lives in memory and is loaded from the store at start; one engine process per ledger (the store's
lock) makes that safe, and makes recovery immediate. Nothing polls but one look, twice a second, for requests of other
processes and for executions that were stored and not told of: an accepted run is never forgotten until a restart.
"""

from __future__ import annotations

import heapq
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from queue import SimpleQueue

from closeout.core.errors import StoreUnavailable
from closeout.core.runs import VERDICTS, Outcome, Recorded
from closeout.engine.calling import Finished, call
from closeout.engine.durable import Abandoned, ReplayDurable
from closeout.engine.keeping import StoringKeeper, persist
from closeout.engine.lanes import Lanes
from closeout.engine.requests import Requests
from closeout.engine.store import EngineStore
from closeout.engine.tasks import Counts, Task, count
from closeout.engine.turns import TURN, Turns, announce, place, seconds
from closeout.ports import Clock, Ending, Execution, Operation, Request, RunFunction

REQUESTS_EVERY = 0.5
"""Seconds between two looks for requests of other processes, and for executions that nobody told of."""

MOST_THREADS = 64
"""A script or a slow host holds a thread for as long as it takes; when all are held, more are made, up to this many."""


def _report(text: str) -> None:
    print(f"closeout: {text}", file=sys.stderr)  # noqa: T201 - the default of an argument


class Engine:
    """Runs executions of a store with one run function.

    `on_request` is called on a worker thread for requests other than cancel, pause and resume; what it gives
    (or raises) is kept as the outcome. `on_finish` is called after an ending is stored. `spread` gives numbers
    in [0, 1); `redact` takes secrets out of error messages; `report` gets sentences for the operator. `turn` are the
    seconds of a suspect's first turn alone.
    """

    def __init__(  # noqa: PLR0913 - the composition root names them all
        self,
        store: EngineStore,
        run: RunFunction,
        *,
        clock: Clock,
        threads: int = 8,
        turn: float = TURN,
        spread: Callable[[], float] = random.random,
        redact: Callable[[str], str] = str,
        on_request: Callable[[Request], str | None] | None = None,
        on_finish: Callable[[Finished], None] | None = None,
        report: Callable[[str], None] = _report,
    ) -> None:
        self._store = store
        self._run = run
        self._clock = clock
        self._spread = spread
        self._redact = redact
        self._on_finish = on_finish
        self._report = report
        self._lock = threading.Lock()
        self._tasks: dict[int, Task] = {}
        self._names: dict[str, int] = {}
        self._lanes = Lanes()
        self._turns = Turns()
        self._turn = turn
        self._alarms: list[tuple[float, int]] = []
        self._last = 0
        self._finished = dict.fromkeys(VERDICTS, 0)
        self._early_cancels: dict[str, str] = {}
        self.troubles: dict[str, str] = {}
        """Why runs cannot be taken up now: by execution, or of the whole schedule."""
        self._ready: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._requests = Requests(
            store, on_request, cancel=self.request_cancel, redact=redact, later=self._ready.put
        )
        self._nudged = threading.Event()
        self._news = False
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._scheduler = threading.Thread(target=self._schedule, name="engine-scheduler", daemon=True)
        self._workers = [self._worker(number) for number in range(threads)]
        self._begun = 0
        self._stuck_at: int | None = None
        """How many jobs had been begun at the last look, if others were waiting then."""

    # --- what others call -----------------------------------------------------------------------------

    def start(self) -> int:
        """Take the ledger's lock, take up every unfinished execution, and begin. Gives how many. Raises `LedgerInUse`."""
        self._store.lock()
        now = self._clock.now()
        found = self._store.recover()
        with self._lock:
            # Suspects first: nothing else begins before their turns. None of them waits for the key of another run.
            for pending in sorted(found, key=place):
                self._admit(Task(pending, found=True), pending.state, now)
        announce(found, self._turn, self._report)
        self._requests.look(self._given_up)
        self._scheduler.start()
        for worker in self._workers:
            worker.start()
        return len(found)

    def enqueue(self, executions: Iterable[str] = ()) -> None:
        """Say that executions were accepted. Which ones, and in which order, the store knows best."""
        del executions
        self._news = True
        self._nudged.set()

    def request_cancel(self, execution: str, by: str) -> bool:
        """Ask an execution (or a run's latest attempt) to end early; False if it is unknown or finished.

        It is told at its next operation boundary or in its wait, at once if it is queued. The request survives
        a crash.
        """
        name = self._store.find(execution)
        if name is None or not self._store.ask_cancel(name, by):
            return False
        with self._lock:
            task = self._tasks.get(self._names.get(name, -1))
            if task is not None:
                task.cancel = by
                self._hasten(task)
            else:
                self._early_cancels[name] = by  # accepted, but the scheduler has not seen it yet
        return True

    def stop(self, timeout: float, hurry: Callable[[], bool] = lambda: False) -> bool:
        """Begin nothing new, wait for operations that are running, stop. False if some took longer than `timeout`.

        Executions stop at their next operation boundary and go on at the next start. What still runs after
        `timeout` seconds, or once `hurry` says so, is given up: its operation runs again at the next start, and no
        crash is counted.
        """
        with self._lock:
            self._stopping.set()
        self._nudged.set()
        deadline = time.monotonic() + timeout
        for _ in self._workers:
            self._ready.put(None)
        threads = [thread for thread in (self._scheduler, *self._workers) if thread.ident is not None]
        for thread in threads:
            # In short waits: a signal's handler runs between them, and a join that it broke off would end for good.
            while thread.is_alive() and (rest := deadline - time.monotonic()) > 0 and not hurry():
                thread.join(min(rest, 0.2))
        self._given_up.set()
        if not any(thread.is_alive() for thread in threads):
            return True
        with self._lock:
            left = [task.number for task in self._tasks.values() if task.state == "running"]
        for number in left:
            self._store.park(number, self._clock.now())
        return False

    def under_way(self) -> list[str]:
        """Return the operations that run at this moment, as `automation/step`: what a stop waits for."""
        with self._lock:
            tasks = [task for task in self._tasks.values() if task.state == "running"]
        return [doing for task in tasks if (call := task.doing) and (doing := call()) is not None]

    def counts(self) -> Counts:
        """Return the engine's figures at this moment."""
        with self._lock:
            return count(self._tasks.values(), dict(self._finished), self._clock.now())

    def _trouble(self, what: str, text: str) -> None:
        self.troubles[what] = text
        self._report(text)

    # --- the schedule: everything here holds the lock ---------------------------------------------------

    def _admit(self, task: Task, state: str, now: float) -> None:
        """Take an execution into the schedule, new or found at start."""
        self._tasks[task.number] = task
        self._names[task.execution] = task.number
        self._last = max(self._last, task.number)
        task.cancel = self._early_cancels.pop(task.execution, task.cancel)
        mine = self._lanes.join(task.key, task.number) if task.turn == "own" else True
        if not mine:
            heapq.heappush(self._alarms, (task.expires, task.number))
            if task.cancel:
                self._out_of_turn(task, "cancelled")
        elif state == "waiting" and task.wake > now and not task.cancel:
            task.state = "waiting"
            heapq.heappush(self._alarms, (task.wake, task.number))
        else:
            self._make_ready(task)

    def _make_ready(self, task: Task) -> None:
        """Let an execution begin when no turn alone is on; one that is cancelled at once, since it only ends."""
        task.state = "ready"
        died = (task.deaths, task.suspected) if task.alone else None
        self._begin([task.number] if task.cancel else self._turns.ready(task.number, died))

    def _begin(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._ready.put(partial(self._execute, self._tasks[number]))

    def _out_of_turn(self, task: Task, turn: str) -> None:
        """Let a queued execution run without its key, only to end."""
        task.turn = turn
        self._lanes.leave(task.key, task.number)
        self._make_ready(task)

    def _hasten(self, task: Task) -> None:
        """Bring a cancelled execution to where it can be told."""
        if task.state == "queued":
            self._out_of_turn(task, "cancelled")
        elif task.state == "waiting" or (task.state == "ready" and self._turns.drop(task.number)):
            self._make_ready(task)

    def _ring(self, now: float) -> float:
        """Make ready what is due; return the seconds until the next alarm."""
        while self._alarms and self._alarms[0][0] <= now:
            _, number = heapq.heappop(self._alarms)
            task = self._tasks.get(number)
            if task is None:
                continue
            if task.state == "queued" and task.expires <= now:
                self._out_of_turn(task, "expired")
            elif task.state == "waiting" and task.wake <= now:
                self._make_ready(task)
        return self._alarms[0][0] - now if self._alarms else REQUESTS_EVERY

    # --- the scheduler's thread ---------------------------------------------------------------------------

    def _schedule(self) -> None:
        look_at = time.monotonic() + REQUESTS_EVERY
        while not self._stopping.is_set():
            self._nudged.clear()
            look = time.monotonic() >= look_at
            try:
                if self._news or look:
                    self._news = False
                    self._take_news()
                if look:
                    self._requests.look(self._given_up)
                    look_at = time.monotonic() + REQUESTS_EVERY
                    self.troubles.pop("", None)
                self._end_turn()
            except Exception as error:  # noqa: BLE001 - without this thread nothing would ever run again
                self._news = True
                self._trouble("", f"the schedule cannot be read: {error}")
                self._stopping.wait(REQUESTS_EVERY)
            with self._lock:
                due = min(self._ring(self._clock.now()), self._turns.rest(time.monotonic()))
                if look:
                    self._grow()
            self._nudged.wait(max(0.0, min(due, look_at - time.monotonic())))

    def _worker(self, number: int) -> threading.Thread:
        return threading.Thread(target=self._work, name=f"engine-{number}", daemon=True)

    def _grow(self) -> None:
        """Make more threads when jobs waited at the last look and none was taken since: slow ones hold them all."""
        stuck, self._stuck_at = self._stuck_at, self._begun if self._ready.qsize() else None
        if stuck != self._begun or self._stopping.is_set():
            return
        for _ in range(min(self._ready.qsize(), MOST_THREADS - len(self._workers))):
            worker = self._worker(len(self._workers))
            self._workers.append(worker)
            worker.start()

    def _take_news(self) -> None:
        now = self._clock.now()
        news = self._store.pending(self._last)
        with self._lock:
            for pending in news:
                if pending.number not in self._tasks:
                    self._admit(Task(pending), pending.state, now)

    def _end_turn(self) -> None:
        """Let the others begin beside a suspect whose turn is up. First on disk: no death from then on is its own."""
        with self._lock:
            task = self._tasks.get(self._turns.up(time.monotonic()) or -1)
        if task is None:
            return
        self._store.join(task.number)
        self._report(f"a turn alone is over: {task.execution} goes on beside the others")
        with self._lock:
            task.alone = False
            self._begin(self._turns.over(task.number))

    # --- the workers' threads -------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            job = self._ready.get()
            if job is None:
                return
            if self._stopping.is_set():
                continue
            self._begun += 1
            try:
                job()
            except Abandoned:
                return
            except Exception as error:  # noqa: BLE001 - a worker outlives whatever happens in a job
                self._report(f"the engine failed at a job: {error!r}")

    def _execute(self, task: Task) -> None:
        """Execute a task from its start until it ends or waits."""
        with self._lock:
            alone = self._turns.now == task.number
            beside = alone and any(other.state == "running" for other in self._tasks.values())
            task.state = "running"
        wait = task.found or not task.fresh or task.turn != "own"
        try:
            at = self._clock.now()
            self._store.begin(task.number, task.turn, at, wait=wait, alone=alone, beside=beside)
            task.fresh = False
            if alone:
                with self._lock:
                    self._turns.begun(task.number, time.monotonic() + seconds(self._turn, task.suspected))
                self._nudged.set()
            execution, recorded = self._store.load(task.number)
            self.troubles.pop(task.execution, None)
        except StoreUnavailable as error:
            self._trouble(task.execution, f"a run cannot be taken up now: {task.execution}: {error}")
            # On disk before the next turn is noted: a death in that one is not its own.
            self._park(task, self._clock.now() + 1.0, stored=not alone)
            return
        except Exception as error:  # noqa: BLE001 - what cannot be read now can never be run
            self._finish(task, Ending("failure", f"the run cannot be read from the ledger: {error}"))
            return
        keeper = self._keeper(task)
        durable = ReplayDurable(keeper, recorded)
        task.doing = lambda: (
            f"{execution.automation}/{inside.partition('/')[0]}" if (inside := durable.inside) else None
        )
        ending = call(self._run, durable, execution, redact=self._redact, report=self._report)
        task.doing = None
        if durable.suspended is None:
            self._finish(task, ending, execution, durable.operations)
            return
        self._park(task, durable.suspended, stored=keeper.parked)

    def _keeper(self, task: Task) -> StoringKeeper:
        return StoringKeeper(
            task,
            partial(self._save, task),
            clock=self._clock,
            spread=self._spread,
            redact=self._redact,
            stopping=self._stopping.is_set,
            given_up=self._given_up,
        )

    def _save(self, task: Task, operation: Operation, *outcomes: Outcome) -> None:
        self._store.save(task.number, operation, *outcomes)
        if task.alone and Recorded() in outcomes:
            with self._lock:
                task.alone = False
                self._begin(self._turns.over(task.number))

    def _park(self, task: Task, wake: float, *, stored: bool) -> None:
        if not stored:
            self._store.park(task.number, wake)
        with self._lock:
            task.wake = wake
            task.state = "waiting"
            self._begin(self._turns.over(task.number))
            if task.cancel:
                self._make_ready(task)
            else:
                heapq.heappush(self._alarms, (wake, task.number))
        self._nudged.set()

    def _finish(
        self,
        task: Task,
        ending: Ending,
        execution: Execution | None = None,
        operations: tuple[Operation, ...] = (),
    ) -> None:
        at = self._clock.now()
        persist(lambda: self._store.finish(task.number, ending, at), self._given_up)
        with self._lock:
            del self._tasks[task.number], self._names[task.execution]
            self.troubles.pop(task.execution, None)
            self._finished[ending.verdict] += 1
            following = self._lanes.leave(task.key, task.number)
            if following is not None:
                self._make_ready(self._tasks[following])
            self._begin(self._turns.over(task.number))
        if self._on_finish and execution is not None:
            self._on_finish(Finished(execution, ending, at, operations))
