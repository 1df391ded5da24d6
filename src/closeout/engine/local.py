"""The engine on one machine: worker threads, one scheduler thread, and a store that survives the process.

The schedule is in memory and is loaded from the store at start. That is safe because only one engine process runs on a
ledger (the store's lock), and it makes recovery immediate. Twice a second the scheduler reads the store for requests of
other processes and for executions that `wake` was not called for, so that an accepted run never waits for a restart.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from queue import SimpleQueue

from closeout.core.errors import StoreUnavailable
from closeout.core.threads import background
from closeout.engine.durable import Abandoned, ReplayDurable
from closeout.engine.recorder import Finished, TaskRecorder, call, persist
from closeout.engine.requests import Requests
from closeout.engine.schedule import KeyQueues, Task
from closeout.engine.store import EngineStore
from closeout.engine.turns import TURN, Turns, announce, recovery_order, seconds
from closeout.ports import Clock, Ending, Execution, Operation, Request, RunFunction

LOOK_EVERY = 0.5
"""Seconds between two reads of the store, for requests of other processes and for new executions."""

MOST_THREADS = 64
"""A script or a slow host blocks a thread for as long as it takes. When all are blocked, more start, up to this many."""


@dataclass(eq=False)
class Engine:
    """Runs the executions of a store with one run function.

    `on_request` is called on a worker thread for requests other than cancel, pause and resume; what it returns or
    raises is stored as the outcome. `on_finish` is called after an ending is stored. `jitter` returns numbers in
    [0, 1); `redact` removes secrets from error messages; `report` receives sentences for the operator. `turn` is the
    length of a suspect's first turn alone, in seconds; `look_every` is how often the scheduler reads the store unasked.
    """

    store: EngineStore
    run: RunFunction
    _: KW_ONLY
    clock: Clock
    threads: int = 8
    turn: float = TURN
    look_every: float = LOOK_EVERY
    jitter: Callable[[], float] = random.random
    redact: Callable[[str], str] = str
    on_request: Callable[[Request], str | None] | None = None
    on_finish: Callable[[Finished], None] = lambda _finished: None
    report: Callable[[str], None] = print

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[int, Task] = {}
        self._names: dict[str, int] = {}
        self._queues = KeyQueues()
        self._turns = Turns()
        self._alarms: list[tuple[float, int]] = []
        self._last = 0
        self._early_cancels: dict[str, str] = {}
        self.troubles: dict[str, str] = {}
        """Why runs cannot be taken up now: by execution, or under "" for the whole schedule."""
        self._ready: SimpleQueue[Task | Request | None] = SimpleQueue()
        """Jobs for worker threads; None ends a thread."""
        self._nudged = threading.Event()
        self._news = False
        self.stopping = threading.Event()
        self.given_up = threading.Event()
        self._requests = Requests(self)
        self._scheduler = background("engine-scheduler", self._schedule)
        self._workers = [self._worker(number) for number in range(self.threads)]
        self._begun = 0
        self._stuck_at: int | None = None
        """How many jobs had begun at the last check, if others were waiting then."""

    # --- called from outside --------------------------------------------------------------------------

    def start(self) -> int:
        """Take up every unfinished execution, and begin; return how many."""
        now = self.clock.now()
        found = self.store.recover()
        with self._lock:
            # Suspects first, because nothing else may begin before their turns. Each of them was running when the
            # process died, so none waits for the lock of another run.
            for pending in sorted(found, key=recovery_order):
                self._admit(Task(pending, found=True), pending.state, now)
        announce(found, self.turn, self.report)
        self._take_requests()
        self._scheduler.start()
        for worker in self._workers:
            worker.start()
        return len(found)

    def wake(self) -> None:
        """Make the scheduler read the store now, because executions were accepted."""
        self._news = True
        self._nudged.set()

    def request_cancel(self, execution: str, by: str) -> bool:
        """Ask an execution (or a run's latest attempt) to end early; False if it is unknown or finished.

        The cancel is delivered at the next operation boundary, during a wait, or at once to a queued execution. The
        request survives a crash.
        """
        name = self.store.find(execution)
        if name is None or not self.store.ask_cancel(name, by):
            return False
        with self._lock:
            task = self._tasks.get(self._names.get(name, -1))
            if task is not None:
                task.cancel = by
                self._wake_cancelled(task)
            else:
                self._early_cancels[name] = by  # accepted, but the scheduler has not seen it yet
        return True

    def stop(self, timeout: float, recheck_now: Callable[[], bool] = lambda: False) -> bool:
        """Begin nothing new, wait for running operations, and stop. False if some took longer than `timeout` seconds.

        Executions stop at their next operation boundary and continue at the next start. What still runs after
        `timeout`, or once `recheck_now` returns True, is abandoned: its operation runs again at the next start, and no crash
        is counted.
        """
        with self._lock:
            self.stopping.set()
        self._nudged.set()
        deadline = time.monotonic() + timeout
        for _ in self._workers:
            self._ready.put(None)
        threads = [thread for thread in (self._scheduler, *self._workers) if thread.ident is not None]
        for thread in threads:
            # Join in short waits, so that a signal handler can run between them.
            while thread.is_alive() and (rest := deadline - time.monotonic()) > 0 and not recheck_now():
                thread.join(min(rest, 0.2))
        self.given_up.set()
        if not any(thread.is_alive() for thread in threads):
            return True
        with self._lock:
            left = [task.number for task in self._tasks.values() if task.state == "running"]
        for number in left:
            self.store.park(number, self.clock.now())
        return False

    def under_way(self) -> list[str]:
        """Return the operations that run now and that a stop waits for, as `automation/step`."""
        with self._lock:
            tasks = [task for task in self._tasks.values() if task.state == "running"]
        return [operation for task in tasks if (operation := task.operation) is not None]

    def counts(self) -> Counter[str]:
        """Return how many unfinished executions are in each state of `Task`."""
        with self._lock:
            return Counter(task.state for task in self._tasks.values())

    def _report_trouble(self, what: str, text: str) -> None:
        self.troubles[what] = text
        self.report(text)

    # --- the schedule: everything here holds the lock ---------------------------------------------------

    def _admit(self, task: Task, state: str, now: float) -> None:
        """Add an execution to the schedule, new or found at start."""
        self._tasks[task.number] = task
        self._names[task.execution] = task.number
        self._last = max(self._last, task.number)
        task.cancel = self._early_cancels.pop(task.execution, task.cancel)
        if task.turn == "own" and not self._queues.join(task.key, task.number):
            heapq.heappush(self._alarms, (task.expires, task.number))
            if task.cancel:
                self._leave_queue(task, "cancelled")
        elif state == "waiting" and task.wake > now and not task.cancel:
            task.state = "waiting"
            heapq.heappush(self._alarms, (task.wake, task.number))
        else:
            self._make_ready(task)

    def _make_ready(self, task: Task) -> None:
        """Let an execution begin when no turn alone is on. A cancelled one begins at once, because it only ends."""
        task.state = "ready"
        died = (task.deaths, task.suspected) if task.alone else None
        self._begin([task.number] if task.cancel else self._turns.add(task.number, died))

    def _begin(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._ready.put(self._tasks[number])

    def _leave_queue(self, task: Task, turn: str) -> None:
        """Let a queued execution run without the lock of its key, only to end."""
        task.turn = turn
        self._queues.leave(task.key, task.number)
        self._make_ready(task)

    def _wake_cancelled(self, task: Task) -> None:
        """Make a cancelled execution run, so that the cancel can be delivered."""
        if task.state == "queued":
            self._leave_queue(task, "cancelled")
        elif task.state == "waiting" or (task.state == "ready" and self._turns.drop(task.number)):
            self._make_ready(task)

    def _fire_timers(self, now: float) -> float:
        """Make ready what is due; return the seconds until the next alarm."""
        while self._alarms and self._alarms[0][0] <= now:
            _, number = heapq.heappop(self._alarms)
            task = self._tasks.get(number)
            if task is None:
                continue
            if task.state == "queued" and task.expires <= now:
                self._leave_queue(task, "expired")
            elif task.state == "waiting" and task.wake <= now:
                self._make_ready(task)
        return self._alarms[0][0] - now if self._alarms else self.look_every

    # --- the scheduler's thread ---------------------------------------------------------------------------

    def _schedule(self) -> None:
        look_at = time.monotonic() + self.look_every
        while not self.stopping.is_set():
            self._nudged.clear()
            look = time.monotonic() >= look_at
            try:
                if self._news or look:
                    self._news = False
                    self._take_accepted()
                if look:
                    self._take_requests()
                    look_at = time.monotonic() + self.look_every
                    self.troubles.pop("", None)
                self._end_turn()
            except Exception as error:  # noqa: BLE001 - without this thread nothing would ever run again
                self._news = True
                self._report_trouble("", f"the schedule cannot be read: {error}")
                self.stopping.wait(self.look_every)
            with self._lock:
                due = min(self._fire_timers(self.clock.now()), self._turns.remaining(time.monotonic()))
                if look:
                    self._grow()
            self._nudged.wait(max(0.0, min(due, look_at - time.monotonic())))

    def _worker(self, number: int) -> threading.Thread:
        return background(f"engine-{number}", self._work)

    def _grow(self) -> None:
        """Start more threads when jobs waited at the last check and none was taken since: slow jobs block them all."""
        stuck, self._stuck_at = self._stuck_at, self._begun if self._ready.qsize() else None
        if stuck != self._begun or self.stopping.is_set():
            return
        for _ in range(min(self._ready.qsize(), MOST_THREADS - len(self._workers))):
            worker = self._worker(len(self._workers))
            self._workers.append(worker)
            worker.start()

    def _take_requests(self) -> None:
        for request in self._requests.take():
            self._ready.put(request)

    def _take_accepted(self) -> None:
        now = self.clock.now()
        news = self.store.pending(self._last)
        with self._lock:
            for pending in news:
                if pending.number not in self._tasks:
                    self._admit(Task(pending), pending.state, now)

    def _end_turn(self) -> None:
        """End a turn that has lasted long enough. Stored first: a later crash does not count against this run."""
        with self._lock:
            task = self._tasks.get(self._turns.overdue(time.monotonic()) or -1)
        if task is None:
            return
        self.store.join(task.number)
        self.report(f"a turn alone is over: {task.execution} continues along with the others")
        with self._lock:
            task.alone = False
            self._begin(self._turns.end(task.number))

    # --- the workers' threads -------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            job = self._ready.get()
            if job is None:
                return
            if self.stopping.is_set():
                continue
            self._begun += 1
            try:
                if isinstance(job, Task):
                    self._execute(job)
                else:
                    self._requests.serve(job)
            except Abandoned:
                return
            except Exception as error:  # noqa: BLE001 - a worker survives any error of a job
                self.report(f"the engine failed at a job: {error!r}")

    def _execute(self, task: Task) -> None:
        """Replay a task and continue it until it ends or waits."""
        with self._lock:
            alone = self._turns.current == task.number
            beside = alone and any(other.state == "running" for other in self._tasks.values())
            task.state = "running"
        # A new run does not wait for this commit: if the process dies before it, the run just begins again.
        wait = not task.fresh or task.turn != "own"
        try:
            at = self.clock.now()
            self.store.begin(task.number, task.turn, at, wait=wait, alone=alone, beside=beside)
            task.fresh = False
            if alone:
                with self._lock:
                    self._turns.set_end(task.number, time.monotonic() + seconds(self.turn, task.suspected))
                self._nudged.set()
            execution, recorded = self.store.load(task.number)
            self.troubles.pop(task.execution, None)
        except StoreUnavailable as error:
            self._report_trouble(task.execution, f"a run cannot be taken up now: {task.execution}: {error}")
            # After a turn alone, store that it waits before the next turn begins: it did not cause a later crash.
            self._park(task, self.clock.now() + 1.0, stored=not alone)
            return
        except Exception as error:  # noqa: BLE001 - a run that cannot be read now can never run
            self._finish(task, Ending("failure", f"the run cannot be read from the ledger: {error}"))
            return
        recorder = TaskRecorder(self, task)
        durable = ReplayDurable(recorder, recorded)
        task.running = (execution.automation, durable)
        ending = call(self.run, durable, execution, redact=self.redact, report=self.report)
        task.running = None
        if durable.suspended is None:
            self._finish(task, ending, execution, durable.operations)
            return
        self._park(task, durable.suspended, stored=recorder.parked)

    def clear_suspicion(self, task: Task) -> None:
        """End a task's turn alone, because its progress is stored: it did not end the process."""
        if task.alone:
            with self._lock:
                task.alone = False
                self._begin(self._turns.end(task.number))

    def _park(self, task: Task, wake: float, *, stored: bool) -> None:
        if not stored:
            self.store.park(task.number, wake)
        with self._lock:
            task.wake = wake
            task.state = "waiting"
            self._begin(self._turns.end(task.number))
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
        at = self.clock.now()
        persist(lambda: self.store.finish(task.number, ending, at), self.given_up.wait)
        with self._lock:
            del self._tasks[task.number], self._names[task.execution]
            self.troubles.pop(task.execution, None)
            next_holder = self._queues.leave(task.key, task.number)
            if next_holder is not None:
                self._make_ready(self._tasks[next_holder])
            self._begin(self._turns.end(task.number))
        if execution is not None:
            self.on_finish(Finished(execution, ending, at, operations))
