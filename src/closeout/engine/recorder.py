"""What both engines share: they call a run function so that it always ends in an `Ending`, and store its records.

A defect of the run function ends its run with a sentence, never the thread or the invocation that ran it. An outcome is
stored however long the ledger accepts no writes, because its effect has already happened.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from closeout.core import runs
from closeout.core.errors import StoreUnavailable
from closeout.engine.durable import Abandoned, ReplayDurable, RunCounters, Suspended
from closeout.engine.schedule import Task
from closeout.ports import Ending, Execution, Operation, RunFunction

if TYPE_CHECKING:
    from closeout.engine.lambda_ import LambdaEngine
    from closeout.engine.local import Engine

T = TypeVar("T")

LONGEST_PAUSE = 2.0
"""Seconds between two tries to store an outcome while the ledger accepts no writes."""


class Finished(NamedTuple):
    """What `on_finish` receives about an execution that ended here."""

    execution: Execution
    ending: Ending
    finished_at: float
    operations: tuple[Operation, ...]


def call(
    run: RunFunction,
    durable: ReplayDurable,
    execution: Execution,
    *,
    redact: Callable[[str], str],
    report: Callable[[str], None],
) -> Ending:
    """Call the run function. The result counts only if the run was not suspended. Raises `Abandoned`."""
    try:
        ending = run(durable, execution)
    except Abandoned:
        raise
    except Suspended:
        return Ending("failure", "internal error: the run raised Suspended itself")
    except BaseException as error:  # noqa: BLE001 - a defect ends its run, never the thread
        report(f"the run function failed: {execution.id}: {error!r}")
        return Ending(
            "failure", _storable(redact(f"internal error: {type(error).__name__}: {error}")[:1_000])
        )
    if not isinstance(ending, Ending) or ending.verdict not in runs.VERDICTS:
        return Ending("failure", f"internal error: the run function returned {ending!r}"[:1_000])
    return ending._replace(summary=_storable(ending.summary))


def _storable(text: str) -> str:
    """Return the text with a UTF-8 form. The message of an exception may have none, and no ledger stores such text."""
    return text.encode("utf-8", "backslashreplace").decode()


Wait: TypeAlias = Callable[[float], bool]
"""Waits that many seconds; returns whether to give up on a store that does not answer, like `threading.Event.wait`."""


class OutOfTime(Abandoned):
    """This process stops before the store has answered."""


def persist(attempt: Callable[[], T], wait: Wait) -> T:
    """Try until the store answers, so that no effect is repeated. Raises `OutOfTime` once `wait` gives up."""
    pause = 0.0
    while not wait(pause):
        try:
            return attempt()
        except StoreUnavailable:
            pause = min(max(pause * 2, 0.05), LONGEST_PAUSE)
    raise OutOfTime


class StoreRecorder(ABC):
    """`durable.Recorder` of one execution over a store. Each engine says how it commits and when it drains."""

    def __init__(self, engine: Engine | LambdaEngine, wait: Wait) -> None:
        self.now = engine.clock.now
        self.jitter = engine.jitter
        self.redact = engine.redact
        self.parked = False
        """Whether the store already says that this execution waits."""
        self._wait = wait

    @property
    @abstractmethod
    def counters(self) -> RunCounters:
        """The run as it stands after the last commit."""

    @abstractmethod
    def draining(self) -> bool:
        """Whether no new operation may begin."""

    @abstractmethod
    def commit(self, operation: Operation, *outcomes: runs.Outcome) -> None:
        """Store one operation and its outcomes for its run, and update `counters`. Raises `StoreUnavailable`."""

    def cancelled_by(self) -> str | None:
        """Who asked to cancel this execution, until that is delivered."""
        return self.counters.cancel

    def save(
        self, operation: Operation, *outcomes: runs.Outcome, progressed: bool = True, later: bool = False
    ) -> None:
        """Commit an operation, however long the store accepts no writes. Raises `Abandoned`."""
        del later  # storing it now is correct, too
        counters = self.counters
        if counters.crashes or (progressed and (counters.suspected or counters.deaths)):
            outcomes = (runs.Recorded(progressed), *outcomes)
        persist(lambda: self.commit(operation, *outcomes), self._wait)
        self.parked = any(isinstance(outcome, runs.Parked) for outcome in outcomes)


class TaskRecorder(StoreRecorder):
    """Records one execution of the local engine, which keeps it in memory as a task."""

    def __init__(self, engine: Engine, task: Task) -> None:
        super().__init__(engine, engine.given_up.wait)
        self._engine = engine
        self._task = task

    @property
    def counters(self) -> RunCounters:
        """The task."""
        return self._task

    def draining(self) -> bool:
        """Whether the engine stops."""
        return self._engine.stopping.is_set()

    def commit(self, operation: Operation, *outcomes: runs.Outcome) -> None:
        """Store one operation and its outcomes for its run."""
        task = self._task
        self._engine.store.save(task.number, operation, *outcomes)
        for outcome in outcomes:
            if isinstance(outcome, runs.CancelDelivered):
                task.cancel = None
            elif isinstance(outcome, runs.Recorded):
                task.crashes = 0
                if outcome.progressed:
                    task.suspected = task.deaths = 0
                    self._engine.clear_suspicion(task)
