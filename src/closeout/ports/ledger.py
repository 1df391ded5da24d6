"""What the program needs from a store: accept deliveries, start attempts, take requests, read, keep settings, prune.

The engine declares what it needs in addition, to schedule and to record: `EngineStore` on a server, `RemoteStore` on AWS.
`docs/how-to/add-a-store.md` says which of these a store implements. One suite of tests, `tests/contract/ledger_suite.py`,
runs over every store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from closeout.core.closing import WEBHOOK, heard_by
from closeout.core.problems import Problem
from closeout.core.records import NewDelivery, NewRun
from closeout.ports.durable import Journal, Operation, Switch
from closeout.ports.lists import EVERY_DELIVERY, EVERY_RUN, DayTally, DeliveryFilter, ListPage, RunFilter
from closeout.ports.patrol import PatrolStore
from closeout.ports.problems import ProblemStore

DeliveryId: TypeAlias = int | str
"""A number in a server's store, a name in DynamoDB."""

Incoming: TypeAlias = tuple[NewDelivery, Sequence[NewRun], Callable[[Any], None]]
"""A delivery, the runs that it starts, and the callback that gets `Accepted` or the error after the commit."""


# --- what is read -------------------------------------------------------------------------------------------


class StepView(NamedTuple):
    """One step of one attempt. `changes` is None in lists, which read no plans, and before there is a plan."""

    id: str
    name: str
    uses: str
    state: str
    """`pending running waiting success failure skipped cancelled`."""
    attempts: int
    """How often its most tried operation was called, without waits; 0 before it has begun."""
    summary: str | None
    reason: str | None
    left: tuple[dict[str, Any], ...]
    changes: tuple[dict[str, Any], ...] | None
    started_at: float | None
    ended_at: float | None
    public: str | None = None
    """The part of its result that anybody may read."""
    code: str | None = None
    """The error's stable code (`core.errors`), or the name of its type, of a step that failed."""
    timeout: float | None = None
    """Seconds that it may take; None if it has no limit of its own."""
    outcomes: tuple[str, ...] = ()
    """The outcome of each of `changes`: one of `core.outcomes.OUTCOMES`."""

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        value = self._asdict()
        value["left"] = list(self.left)
        if self.changes is None:
            del value["changes"], value["outcomes"]
        else:
            value["changes"], value["outcomes"] = list(self.changes), list(self.outcomes)
        return value


class RunView(NamedTuple):
    """One attempt at a run, as people see it."""

    id: str
    execution: str
    attempt: int
    automation: str
    state: str
    verdict: str | None
    delivery: DeliveryId
    event: str
    action: str | None
    repository: str | None
    number: int | None
    guid: str
    key: str | None
    requested_by: str | None
    accepted_at: float
    started_at: float | None
    finished_at: float | None
    summary: str | None
    reason: str | None
    """Why it does not go on at this moment."""
    status: str | None
    """Of the final commit status: `delivered`, `undelivered`, `none` (there is none); None before."""
    steps: tuple[StepView, ...]
    public: str | None = None
    """The part of its result that anybody may read; None if there is none."""
    sleeps_in: str | None = None
    """The step in which it sleeps; None for a run that does not sleep, or that somebody has cancelled."""
    until: float | None = None
    """When that sleep ends, in seconds since the epoch."""
    heard: str = WEBHOOK
    """How closeout first heard of its event: one of `core.closing.HEARD`."""
    closing: str | None = None
    """The text of the closing that it acts upon, None for any other event."""
    reopened: bool = False
    """It was cancelled because its pull request was open again, or its ref was there again."""
    timeout: float | None = None
    queue_timeout: float | None = None
    """Seconds that it may take, and seconds that it may wait for its key before it begins; None if they cannot be read."""

    @property
    def about(self) -> str:
        """`acme/shop#17`, or the repository, or the event."""
        if self.repository is None:
            return self.event
        return f"{self.repository}#{self.number}" if self.number else self.repository

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {**self._asdict(), "steps": [step.to_json() for step in self.steps]}


class LogLine(NamedTuple):
    """One line of a run's log. Ids grow, but not by one."""

    id: int
    step: str | None
    at: float
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return self._asdict()


class LogWindow(NamedTuple):
    """A part of a run's log, in order."""

    lines: Sequence[LogLine]
    left_out: int
    """Lines beyond the window: before its first line, or after its last one if it was read forward."""


class DeliveryView(NamedTuple):
    """A delivery without its body. `runs` are those of its event or closing, whichever delivery brought it first."""

    id: DeliveryId
    guid: str
    hook: str
    event: str
    action: str | None
    repository: str | None
    number: int | None
    size: int
    origin: str
    received_at: float
    runs: tuple[str, ...]
    closing: str | None = None
    """The closing that it brings (`core.closing`), None for any other event."""

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {**self._asdict(), "heard": heard_by(self.origin), "runs": list(self.runs)}


# --- who reads ----------------------------------------------------------------------------------------------


class RunReader(Protocol):
    """Reads one run and its delivery. Called in any thread; every method raises `LedgerError` or `StoreUnavailable`."""

    def run(self, run_id: str, attempt: int | None = None) -> RunView | None:
        """Return a run with its plans, None if there is none: the latest attempt unless told otherwise.

        `run_id` may be an execution's name too.
        """

    def delivery(self, delivery_id: DeliveryId) -> DeliveryView | None:
        """Return a delivery, None if there is none."""

    def body(self, delivery_id: DeliveryId) -> bytes:
        """Return a delivery's payload as JSON text. Raises `NotFound`."""


class LedgerReader(RunReader, Protocol):
    """Reads what the commands show."""

    def runs(self, limit: int | None = None, wanted: RunFilter = EVERY_RUN) -> list[RunView]:
        """Return runs, the newest first, each as its latest attempt; all of them without `limit`.

        Leave out runs that only asked for a pull request's earlier bases (`core.runs.NO_BASE`), unless the wanted
        verdict is `skipped`. Raises `BadFilter` for a field by which this store cannot filter.
        """

    def run_ids(self, beginning: str, limit: int) -> list[str]:
        """Return the ids of runs that begin with `beginning`, in alphabetical order: at most `limit`."""

    def logs(
        self, run_id: str, attempt: int | None = None, after: int = 0, limit: int | None = None
    ) -> list[LogLine]:
        """Return a run's log lines with an id over `after`, in order."""

    def deliveries(
        self, limit: int | None = None, wanted: DeliveryFilter = EVERY_DELIVERY
    ) -> list[DeliveryView]:
        """Return deliveries, the newest first; all of them without `limit`.

        Raises `BadFilter` for a field by which this store cannot filter.
        """

    def teardowns(self, repository: str, number: int) -> Sequence[str]:
        """Return the open executions that closings of a pull request started, the oldest first.

        The case of the repository's name is ignored. Raises `CloseoutError` if the answer is not certain.
        """


class PageReader(LedgerReader, Switch, Protocol):
    """Reads what a server's pages and metrics show."""

    def run_page(self, wanted: RunFilter, cursor: str | None, limit: int) -> ListPage[RunView]:
        """Return a page of the list of runs that `LedgerReader.runs` returns. Raises `BadFilter` for a foreign cursor."""

    def delivery_page(self, wanted: DeliveryFilter, cursor: str | None, limit: int) -> ListPage[DeliveryView]:
        """Return a page of the list of deliveries. Raises `BadFilter` for a foreign cursor."""

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
        """Return a part of an attempt's log that fits into memory, however long the log is.

        With `after` the first lines with a higher id, without it the last lines with an id under `before`. At most
        `limit` lines; the window ends with the line that reaches `characters`. With `search` only lines that contain
        that text; upper and lower case of ASCII letters are the same.
        """

    def operations(self, run_id: str, attempt: int | None = None) -> Sequence[Operation]:
        """Return what an attempt recorded, in order of position: the latest attempt unless told otherwise."""

    def days(self, since: float) -> Sequence[DayTally]:
        """Return the days on which a run of a closing ended, the oldest first, from the day of `since` on."""

    def open_problems(self) -> Sequence[Problem]:
        """Return what needs a person, the oldest first."""

    def problem_count(self, most: int) -> int:
        """Return how many open problems there are, at most `most`."""

    def problem_causes(self, most: int) -> Sequence[tuple[Problem, int]]:
        """Return open problems with the number of their cause: of every cause the newest, and at most `most` others.

        The others are the oldest. A cause is what `core.problems.cause` returns.
        """

    def marks(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Return patrol's marks of a kind, by key."""

    def stats(self) -> Mapping[str, Any]:
        """Return the figures behind `/metrics`.

        `runs_by_verdict` and `step_durations` ({(automation, step): (count, seconds)}) count finished runs;
        `runs_by_state` counts the others, `suspects` those of them that take a turn alone or wait for it; `queue_age` is
        how many seconds the oldest queued run has waited; `empty_runs` counts, by automation, successful runs that found
        nothing to delete, as long as no run of it found anything.
        """


# --- who writes ---------------------------------------------------------------------------------------------


class Attempts(Protocol):
    """Stores further attempts and further runs of a delivery. The engine must be notified of each."""

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
        """Store the next attempt at a run; return its execution. Raises `LedgerError` if it cannot have one.

        It cannot if there is no such run, or if its last attempt has not finished. The write checks this again, because what
        the caller has read may be out of date.

        It reads the payload of the attempt before, or of another `delivery` of the same closing.

        A store that keeps requests finishes `request` in the same transaction, so that a crash cannot make two attempts
        of one request.
        """

    def claim_closing(self, closing: str, run_id: str, owner: str) -> str:
        """Assign a closing to the run `owner`, which learned it while it runs; return the run that has it.

        `run_id` is the id that the closing and the automation give. The closing is another run's if that one exists or
        has claimed it before; if it is `owner`'s, no delivery starts `run_id` any more.
        """

    def add_runs(self, delivery: DeliveryId, runs: Sequence[NewRun], requested_by: str) -> tuple[str, ...]:
        """Store runs for a delivery that is stored already; return the executions that are new.

        A run that was pruned starts again, because somebody asks for it. Raises `LedgerError` if there is no such delivery.
        """


class Requests(Protocol):
    """Takes what a command asks for: `cancel`, `rerun`, `replay`, `clean`, `pause`, `resume` or `prune`."""

    def add_request(self, kind: str, target: str | None, by: str, reason: str | None) -> int:
        """Store a request for the server, or carry it out if there is no server; return its number."""

    def outcome(self, request: int) -> str | None:
        """Return the outcome of a request: a word, an execution or a sentence; None while it waits."""

    def server_running(self) -> bool:
        """Return whether requests are carried out now."""


class ServerLedger(Journal, Switch, PatrolStore, Protocol):
    """The ledger of a server's process, open for writing. Methods raise `StoreUnavailable` when they cannot write."""

    @property
    def attempts(self) -> Attempts:
        """Further attempts and runs."""

    @property
    def problems(self) -> ProblemStore:
        """What needs a person, and what each target was told about it."""

    def accept_group(self, group: Sequence[Incoming]) -> None:
        """Queue deliveries with their runs for one transaction, and return; call each one's callback after the commit.

        Store a delivery once for its hook and GUID, and a run once whichever hook brings its event. Pass an item's own
        error to its callback; raise nothing.
        """

    def setting(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return a value that is made once for this ledger."""

    def newest_time(self) -> float | None:
        """Return the newest time in the ledger; None when no run is unfinished."""

    def probe(self) -> None:
        """Make one real commit. Raises `StoreUnavailable` if that fails, or if the store has shown damage."""

    def prune(self, older_than: float) -> Mapping[str, int]:
        """Remove deliveries older than `older_than` seconds whose runs finished before then; return what was removed.

        Their runs, operations and logs are removed too.
        """
