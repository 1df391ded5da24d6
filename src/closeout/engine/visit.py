"""One visit of a durable Lambda to an execution: claim it, replay it, go on until it ends or waits.

What the local engine's scheduler does with threads and alarms happens here in each visit: is it this run's turn, has
the process died under it, is it cancelled. The rules are the same, and so is the code below them (`durable`, `calling`,
`keeping`). Between two visits nothing is held but rows; whoever calls decides how the time until `wake` is spent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from closeout.core import runs
from closeout.core.errors import CloseoutError, StoreUnavailable
from closeout.engine.calling import Finished, call
from closeout.engine.durable import Abandoned, ReplayDurable
from closeout.engine.keeping import StoringKeeper, persist
from closeout.engine.remote import UNKNOWN, BegunEarlier, Bury, RemoteStore, Starts
from closeout.ports import Clock, Ending, Execution, Operation, RunFunction, Standing
from closeout.stack.invocation import ALIVE, EARLIER

DRAIN = 60.0
"""Seconds before the end of an invocation in which no operation is begun any more, unless told otherwise."""
LAST = 5.0
"""Seconds before it in which a store that does not answer is no longer waited for."""
LONGEST_WAIT = 300.0
"""Seconds between two visits at most: a waiting run hears of a cancel that late."""
AFTER_A_FAULT = 5.0
AFTER_A_COLLISION = 2.0
SHORTEST_QUEUE, LONGEST_QUEUE = 2.0, 30.0
"""Seconds between two visits to a run that waits for its turn; they grow with the time that it has waited."""
UNSTARTED, SUSPECT = 10.0, 60.0
"""Seconds after its acceptance from which a run that others wait for is asked about: not started, and started."""
MOST_CLEARED = 20
"""Executions that are over and found ahead in a queue by one visit."""

DONE: dict[str, Any] = {"done": True}


class Visits:
    """Visits executions of one ledger with one run function.

    `token` gives a new text each time (a visit's fence); `spread` numbers in [0, 1); `redact` takes secrets out of
    error messages; `report` gets an execution and a sentence about it for the operator; `on_finish` is told of an end after it is stored. `drain` are
    the seconds before the end of the process's time in which nothing is begun any more. `longest` are those that one
    operation may take: with less left, only a visit's first one is begun, since the next visit has more.
    """

    def __init__(  # noqa: PLR0913 - the composition root names them all
        self,
        store: RemoteStore,
        run: RunFunction,
        *,
        starts: Starts,
        bury: Bury,
        clock: Clock,
        token: Callable[[], str],
        spread: Callable[[], float],
        redact: Callable[[str], str],
        report: Callable[[str, str], None],
        on_finish: Callable[[Finished], None] = lambda _finished: None,
        pause: Callable[[float], None] = time.sleep,
        drain: float = DRAIN,
        longest: float = 0.0,
    ) -> None:
        self.store = store
        self.drain = drain
        self.clock = clock
        self.spread = spread
        self.redact = redact
        self.report = report
        self.on_finish = on_finish
        self.pause = pause
        self._run = run
        self._starts = starts
        self._bury = bury
        self._token = token
        self._longest = longest
        self._left: dict[str, str] = {}
        """Fences of visits of this process that could not even give their run back: no crash, if they come again."""

    def visit(self, execution: str, remaining: Callable[[], float]) -> dict[str, Any]:
        """Bring an execution as far as it goes now: `{"done": true}`, or `{"wake": …}` (seconds since the epoch).

        `remaining` gives the seconds that are left of this process's time. Never raises: a run is never lost because
        the ledger could not be reached.
        """
        return self._safely(execution, lambda: self._visit(execution, remaining))

    def end(self, execution: str, run: RunFunction, remaining: Callable[[], float]) -> bool:
        """Bring an execution that nobody visits any more to its end with another run function; whether it has ended.

        A finished run is left alone. What the run function waits for is waited for here, as long as there is time.
        """
        while True:
            outcome = self._safely(execution, lambda: self._end(execution, run, remaining))
            if outcome == DONE:
                return True
            wait = max(0.2, outcome["wake"] - self.clock.now())
            if remaining() - wait < self.drain:
                return False
            self.pause(wait)

    def _safely(self, execution: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return work()
        except Abandoned:
            return self._later(AFTER_A_COLLISION)
        except Exception as error:  # noqa: BLE001 - whatever it is, the execution must be visited again
            self.report(execution, f"it cannot be taken up now: {self.redact(str(error) or repr(error))}")
            return self._later(AFTER_A_FAULT)

    def _visit(self, execution: str, remaining: Callable[[], float]) -> dict[str, Any]:
        standing = self.store.look(execution)
        if standing is None:
            self.report(execution, "it is not in the ledger; there is nothing to do")
            return DONE
        run, now = standing.run, self.clock.now()
        if run.state == "finished":
            return DONE
        if run.state == "waiting" and run.wake is not None and run.wake > now and not run.cancel:
            return self._wake(run.wake)
        turn: str | None = run.turn
        if run.state == "queued" and turn == "own" and standing.key is not None:
            turn = self._turn(standing, standing.key, now, remaining)
        if turn is None:
            return self._wake(_next_look(standing, now))
        return self._take(standing, turn, self._run, remaining)

    def _end(self, execution: str, run: RunFunction, remaining: Callable[[], float]) -> dict[str, Any]:
        standing = self.store.look(execution)
        if standing is None or standing.run.state == "finished":
            return DONE
        begun = standing.run.started_at is not None
        return self._take(standing, standing.run.turn if begun else "cancelled", run, remaining, over=True)

    # --- whose turn it is -----------------------------------------------------------------------------------

    def _turn(self, standing: Standing, key: str, now: float, remaining: Callable[[], float]) -> str | None:
        """Return the turn in which a queued execution may run, None if it is to wait for its key."""
        for _ in range(MOST_CLEARED):
            ahead = self.store.ahead(standing)
            if ahead is None:
                return "own"
            if not self._over(standing, key, ahead, remaining):
                break
        if standing.run.cancel:
            return "cancelled"
        return "expired" if now >= standing.accepted_at + standing.queue_timeout else None

    def _over(self, behind: Standing, key: str, ahead: str, remaining: Callable[[], float]) -> bool:
        """Whether the execution ahead no longer stands in the way. One that was never started is started."""
        other, now = self.store.look(ahead), self.clock.now()
        if other is None and now - behind.accepted_at < SUSPECT:
            return False  # its ticket may be seen a moment before its row, which is written with it
        if other is None or other.run.state == "finished":
            self.store.clear(key, ahead)
            return True
        if now - other.accepted_at < (SUSPECT if other.started else UNSTARTED):
            return False
        try:
            status = self._starts.ensure(ahead)
        except CloseoutError as error:
            self.report(ahead, f"it is not known what became of it: {self.redact(error.message)}")
            return False
        return status not in ALIVE and self._bury(ahead, status, remaining)

    # --- one claim ------------------------------------------------------------------------------------------

    def _take(
        self,
        found: Standing,
        turn: str,
        run: RunFunction,
        remaining: Callable[[], float],
        *,
        over: bool = False,
    ) -> dict[str, Any]:
        """Claim an execution and execute it; with `over` no crash is counted: it is being ended because of them."""
        before = found.run
        given_back = self._left.get(found.execution)
        if over:
            before = runs.advance(before, runs.Recorded())
        elif given_back is None or given_back != found.fence:
            before = runs.advance(before, runs.Crashed(alone=True))
        after = runs.advance(before, runs.Taken(turn, self.clock.now()))
        taken = found._replace(run=after, fence=self._token())
        keyed = found.key is not None
        try:
            took = self.store.take(
                found, taken, hold=keyed and turn == "own", leave=keyed and found.run.turn == "own" != turn
            )
        except StoreUnavailable:
            self._give_back(taken)  # it may be written, and only the answer lost
            raise
        if not took:
            return self._later(AFTER_A_COLLISION)
        self._left.pop(found.execution, None)
        visit = _Visit(self, taken, run, remaining, over=over, longest=0.0 if over else self._longest)
        try:
            wake = visit.execute()
        except BegunEarlier:
            return DONE if self._bury(found.execution, EARLIER, remaining) else self._later(AFTER_A_FAULT)
        except (Abandoned, StoreUnavailable) as error:
            if visit.outage or isinstance(error, StoreUnavailable):
                self._give_back(visit.standing)
            raise
        return DONE if wake is None else self._wake(wake)

    def _give_back(self, standing: Standing) -> None:
        """Park a run that an outage stopped: found `running`, it would look to the next process as if this one had died."""
        parked = runs.advance(standing.run, runs.Parked(self.clock.now() + AFTER_A_FAULT))
        try:
            if self.store.save(standing, parked, None):
                return
        except StoreUnavailable:
            pass
        if standing.fence is not None:
            self._left[standing.execution] = standing.fence

    def _wake(self, at: float) -> dict[str, Any]:
        return {"wake": min(at, self.clock.now() + LONGEST_WAIT)}

    def _later(self, seconds: float) -> dict[str, Any]:
        return {"wake": self.clock.now() + seconds}


class _Visit:
    """An execution that is claimed. `standing` is what the ledger says of it, as this visit has left it."""

    def __init__(
        self,
        visits: Visits,
        standing: Standing,
        run: RunFunction,
        remaining: Callable[[], float],
        *,
        over: bool,
        longest: float,
    ) -> None:
        self._visits = visits
        self._run = run
        self._remaining = remaining
        self._over = over
        self._longest = longest
        self._seal: str | None = None
        self._stored = False
        self.standing = standing
        self.crashes = standing.run.crashes
        self.deaths = standing.run.deaths
        self.suspected = 0
        self.cancel = standing.run.cancel
        self.outage = False
        """The ledger was waited for in vain."""

    def execute(self) -> float | None:
        """Execute it from its start until it ends (None) or waits (when to go on)."""
        visits = self._visits
        try:
            loaded = visits.store.load(self.standing)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - what cannot be read now can never be run
            summary = f"the run cannot be read from the ledger: {error}"
            self._finish(Ending("failure", summary))
            visits.report(self.standing.execution, f"{summary}; its status on GitHub may be pending for good")
            return None
        execution, self._seal = loaded.execution, loaded.seal
        if loaded.doubt == "unknown":
            if (wake := self._hold(execution)) is not None:
                return wake
            execution = execution._replace(unreadable=UNKNOWN)
        elif loaded.doubt == "earlier" and not self._over:
            raise BegunEarlier
        keeper = _VisitKeeper(self)
        durable = ReplayDurable(keeper, loaded.operations)
        report = partial(visits.report, execution.id)
        ending = call(self._run, durable, execution, redact=visits.redact, report=report)
        if durable.suspended is None:
            self._finish(ending, execution, durable.operations)
            return None
        if not keeper.parked:
            self._store(None, runs.Parked(durable.suspended))
        return durable.suspended

    def _hold(self, execution: Execution) -> float | None:
        """Let a run wait whose definition may still become known; return when to look again, None if its time is up.

        Nothing of an unknown definition is believed, not even where its status would be posted.
        """
        visits, standing, now = self._visits, self.standing, self._visits.clock.now()
        if standing.run.cancel is not None or now >= standing.accepted_at + standing.queue_timeout:
            return None
        visits.report(execution.id, f"waiting: {UNKNOWN} ({execution.automation})")
        wake = _next_look(standing, now, LONGEST_WAIT)
        self._store(None, runs.Parked(wake))
        return wake

    def hear(self) -> str | None:
        """Ask between two operations. Raises `Abandoned` if another visit has the execution now."""
        word = persist(lambda: self._visits.store.hear(self.standing), self)
        if not word.mine:
            self._give_up()
        self.cancel = word.cancel
        self.standing = self.standing._replace(run=self.standing.run._replace(cancel=word.cancel))
        return word.cancel

    def save(self, operation: Operation, *outcomes: runs.Outcome) -> None:
        """Store an operation, and what it means for the run (`keeping.Save`)."""
        self._write(operation, *outcomes)
        self._stored = True

    def draining(self) -> bool:
        """Whether nothing more is to be begun."""
        left = self._remaining()
        return left < self._visits.drain or (self._stored and left < self._longest)

    def is_set(self) -> bool:
        """Whether there is no time to wait for the ledger any more (`keeping.Patience`)."""
        self.outage = self._remaining() < LAST
        return self.outage

    def wait(self, timeout: float) -> bool:
        """Wait; whether there is no time any more."""
        self._visits.pause(timeout)
        return self.is_set()

    @property
    def visits(self) -> Visits:
        """Whose visit this is."""
        return self._visits

    def _store(self, operation: Operation | None, *outcomes: runs.Outcome) -> None:
        persist(lambda: self._write(operation, *outcomes), self)

    def _write(self, operation: Operation | None, *outcomes: runs.Outcome) -> None:
        after = self._after(*outcomes)
        if not self._visits.store.save(self.standing, after, operation, self._seal):
            self._give_up()
        if operation is not None:
            self._seal = None
        self.standing = self.standing._replace(run=after)

    def _after(self, *outcomes: runs.Outcome) -> runs.RunState:
        after = self.standing.run
        for outcome in outcomes:
            after = runs.advance(after, outcome)
        return after

    def _finish(
        self,
        ending: Ending,
        execution: Execution | None = None,
        operations: tuple[Operation, ...] = (),
    ) -> None:
        at = self._visits.clock.now()
        after = self._after(runs.Ended(ending.verdict, ending.summary, at))
        if not persist(lambda: self._visits.store.finish(self.standing, after), self):
            self._give_up()
        if execution is not None:
            self._visits.on_finish(Finished(execution, ending, at, operations))

    def _give_up(self) -> None:
        """Leave it to the visit that has it now."""
        raise Abandoned


class _VisitKeeper(StoringKeeper):
    """A keeper that asks the ledger between two operations: others cancel there, and others may have taken over."""

    def __init__(self, visit: _Visit) -> None:
        super().__init__(
            visit,
            visit.save,
            clock=visit.visits.clock,
            spread=visit.visits.spread,
            redact=visit.visits.redact,
            stopping=visit.draining,
            given_up=visit,
        )
        self._visit = visit

    def cancelled_by(self) -> str | None:
        """Who asked to cancel this execution, if it has not been told yet."""
        return self._visit.hear()


def _next_look(standing: Standing, now: float, longest: float = LONGEST_QUEUE) -> float:
    """Return when a run that is not to begin yet looks again: rarer the longer it has waited, and when its time is up."""
    waited = max(0.0, now - standing.accepted_at)
    pause = min(max(waited / 4, SHORTEST_QUEUE), longest)
    return min(now + pause, max(standing.accepted_at + standing.queue_timeout, now + 1.0))
