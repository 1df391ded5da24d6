"""Read the ledger for commands, pages and metrics: `ports.LedgerReader` and `ports.PageReader` over SQLite.

Each thread reads through its own connection, and the command line can read while a server runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from closeout.core.errors import NotFound
from closeout.core.ids import split_execution
from closeout.core.problems import Problem
from closeout.ledger.cursors import Start, page
from closeout.ledger.sqlite.bodies import payload_text
from closeout.ledger.sqlite.lists import delivery_rows, run_rows
from closeout.ledger.sqlite.problems import problem_of
from closeout.ledger.sqlite.reads import Reads
from closeout.ledger.steps import has_deleted
from closeout.ledger.views import RunFacts, run_view
from closeout.ports import (
    EVERY_DELIVERY,
    EVERY_RUN,
    Clock,
    Credential,
    DayTally,
    DeliveryFilter,
    DeliveryId,
    DeliveryView,
    ListPage,
    LogLine,
    LogWindow,
    Operation,
    RunFilter,
    RunView,
)

AT_A_TIME = 500
"""Runs whose operations one statement reads."""
STATES = ("queued", "running", "waiting")


class Views(Reads):
    """Reads one ledger, from any process. Raises as `Reads` does."""

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        super().__init__(path)
        self._now = clock.now if clock else time.time

    def runs(self, limit: int | None = None, wanted: RunFilter = EVERY_RUN) -> list[RunView]:
        """Return runs, the newest first, each as its latest attempt; all of them without `limit`."""
        with self._one_moment(), closing(run_rows(self._rows, wanted, Start())) as rows:
            return self._run_views(list(islice(rows, limit)))

    def run_page(self, wanted: RunFilter, cursor: str | None, limit: int) -> ListPage[RunView]:
        """Return a page of the list of runs. Raises `BadFilter` for a foreign cursor."""
        with self._one_moment():
            found = self._page(partial(run_rows, self._rows, wanted), cursor, limit)
            return ListPage(self._run_views(found.rows), found.newer, found.older)

    def run(self, run_id: str, attempt: int | None = None) -> RunView | None:
        """Return one run with its plans: by default its latest attempt. Accepts an execution's name, too."""
        name, named_attempt = split_execution(run_id)
        with self._one_moment():
            rows = self._read("run", {"run_id": name, "attempt": attempt or named_attempt})
            if not rows:
                return None
            operations = [Operation(*row) for row in self._read("load_operations", (rows[0][0],))]
            return self._run_view(rows[0], operations, {}, full=True)

    def run_ids(self, beginning: str, limit: int) -> list[str]:
        """Return the ids of runs that begin with `beginning`, in alphabetical order: at most `limit`."""
        return [row[0] for row in self._read("run_ids", {"beginning": beginning, "limit": limit})]

    def logs(
        self, run_id: str, attempt: int | None = None, after: int = 0, limit: int | None = None
    ) -> list[LogLine]:
        """Return a run's log lines with an id over `after`, in order."""
        name, named_attempt = split_execution(run_id)
        values = {
            "run_id": name,
            "attempt": attempt or named_attempt,
            "after": after,
            "search": "",
            "limit": limit or -1,
        }
        return [LogLine(*row) for row in self._read("logs", values)]

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
        """Return a part of an attempt's log that fits into memory, even if the log does not."""
        values = {
            "run_id": run_id,
            "attempt": attempt,
            "after": after or 0,
            "before": 2**62 if before is None else before,
            "search": search,
        }
        name = "logs_before" if after is None else "logs"
        lines: list[LogLine] = []
        size = 0
        for row in self._rows(name, {**values, "limit": limit + 1}):
            size += len(row[3])
            if lines and (len(lines) == limit or size > characters):
                beyond = {"before": lines[-1].id} if after is None else {"after": lines[-1].id}
                left_out = self._read("count_logs", {**values, **beyond})[0][0]
                break
            lines.append(LogLine(*row))
        else:
            left_out = 0
        return LogWindow(lines if after is not None else lines[::-1], left_out)

    def finished_teardowns(
        self, since: float, repository: str | None = None, number: int | None = None
    ) -> list[tuple[str, int, str, float, str]]:
        """Return (run id, attempt, automation, end, definition) of teardowns that succeeded after `since`, by latest attempt.

        Without a pull request, return all of them.
        """
        values = {"since": since, "repository": repository, "number": number}
        return [(row[0], row[1], row[2], row[3], row[4]) for row in self._read("finished_teardowns", values)]

    def superseded(self, run_id: str, attempt: int) -> bool:
        """Return whether a later closing of the same pull request started a run of the automation that was not skipped."""
        return bool(self._read("later_runs", {"run_id": run_id, "attempt": attempt}))

    def teardowns(self, repository: str, number: int) -> list[str]:
        """Return the open executions that the closing of a pull request started, the oldest first."""
        return [row[0] for row in self._read("teardowns", {"repository": repository, "number": number})]

    def deleted_before(self, run_id: str, attempt: int, closings: bool) -> bool:
        """Return whether an earlier attempt deleted something; with `closings` also an earlier run for the same number."""
        names = ("earlier_attempts", "earlier_runs") if closings else ("earlier_attempts",)
        return any(
            has_deleted([Operation(*row) for row in self._read("load_operations", found)])
            for name in names
            for found in self._read(name, {"run_id": run_id, "attempt": attempt})
        )

    def operations(self, run_id: str, attempt: int | None = None) -> list[Operation]:
        """Return the operations of a run in order: by default of its latest attempt."""
        name, named_attempt = split_execution(run_id)
        rows = self._read("run", {"run_id": name, "attempt": attempt or named_attempt})
        return [Operation(*row) for row in self._read("load_operations", (rows[0][0],))] if rows else []

    def deliveries(
        self, limit: int | None = None, wanted: DeliveryFilter = EVERY_DELIVERY
    ) -> list[DeliveryView]:
        """Return deliveries, the newest first; all of them without `limit`."""
        with closing(delivery_rows(self._rows, wanted, Start())) as rows:
            return self._delivery_views(list(islice(rows, limit)))

    def delivery_page(self, wanted: DeliveryFilter, cursor: str | None, limit: int) -> ListPage[DeliveryView]:
        """Return a page of the list of deliveries. Raises `BadFilter` for a foreign cursor."""
        found = self._page(partial(delivery_rows, self._rows, wanted), cursor, limit)
        return ListPage(self._delivery_views(found.rows), found.newer, found.older)

    def delivery(self, delivery_id: DeliveryId) -> DeliveryView | None:
        """Return one delivery."""
        views = self._delivery_views(self._read("delivery", (delivery_id,)))
        return views[0] if views else None

    def body(self, delivery_id: DeliveryId) -> bytes:
        """Return a delivery's payload as JSON text. Raises `NotFound`."""
        rows = self._read("body", (delivery_id,))
        if not rows:
            raise NotFound(f"the ledger has no delivery {delivery_id}")
        return payload_text(rows[0][0], form=bool(rows[0][1]))

    def setting(self, name: str) -> bytes | None:
        """Return a value that a server has stored; None if there is none."""
        rows = self._read("setting", (name,))
        return bytes(rows[0][0]) if rows else None

    def credentials(self) -> list[Credential]:
        """Return sessions and tokens, the newest first."""
        return [Credential(*row) for row in self._read("credentials", ())]

    def problems(self) -> list[Problem]:
        """Return the open problems, and closed ones of whose end a target has not been notified."""
        return [problem_of(row) for row in self._read("problems", ())]

    def open_problems(self) -> list[Problem]:
        """Return what needs a person, the oldest first."""
        return [problem for problem in self.problems() if problem.closed_at is None]

    def problem_count(self, most: int) -> int:
        """Return how many open problems there are, at most `most`."""
        return int(self._read("problem_count", (most,))[0][0])

    def problem_causes(self, most: int) -> list[tuple[Problem, int]]:
        """Return some of the open problems of each cause, with the number of all."""
        return [(problem_of(row[:-1]), row[-1]) for row in self._read("problem_causes", {"most": most})]

    def days(self, since: float) -> list[DayTally]:
        """Return the days on which a run of a closing ended, from the day of `since` on."""
        return [DayTally(*row) for row in self._read("days", (since,))]

    def stats(self) -> dict[str, Any]:
        """Return the figures for metrics."""
        states = dict.fromkeys(STATES, 0)
        oldest: float | None = None
        suspects = 0
        for state, count, first, alone in self._read("open_states", ()):
            states[state] = count
            suspects += alone
            oldest = first if first is not None else oldest
        return {
            "runs_by_verdict": dict(self._read("verdicts", ())),
            "runs_by_state": states,
            "suspects": suspects,
            "queue_age": max(0.0, self._now() - oldest) if oldest is not None else 0.0,
            "step_durations": {
                (automation, step): (count, seconds)
                for automation, step, count, seconds in self._read("step_seconds", ())
            },
            "empty_runs": dict(self._read("empty_runs", ())),
        }

    def _page(
        self, listed: Callable[[Start], Generator[Any]], cursor: str | None, limit: int
    ) -> ListPage[Any]:
        """Return one page of the rows that `listed` yields from a start."""

        def read(start: Start, count: int) -> list[tuple[int, Any]]:
            with closing(listed(start)) as rows:
                return [(row[0], row) for row in islice(rows, count)]

        return page(read, cursor, limit)

    def _run_views(self, rows: Sequence[Sequence[Any]]) -> list[RunView]:
        """Return runs without their plans."""
        views: list[RunView] = []
        texts: dict[int, str] = {}
        for at in range(0, len(rows), AT_A_TIME):
            part = rows[at : at + AT_A_TIME]
            operations: dict[int, list[Operation]] = {}
            for number, *row in self._read("operations_of_runs", (json.dumps([row[0] for row in part]),)):
                operations.setdefault(number, []).append(Operation(*row))
            views += [self._run_view(row, operations.get(row[0], []), texts, full=False) for row in part]
        return views

    def _run_view(
        self, row: Sequence[Any], operations: list[Operation], texts: dict[int, str], *, full: bool
    ) -> RunView:
        position, *facts, definition = row
        if definition not in texts:
            texts[definition] = self._read("definition", (definition,))[0][0]

        def behind(key: str) -> str | None:
            holder = self._read("holder", (key, position))
            return str(holder[0][0]) if holder else None

        return run_view(RunFacts._make((*facts, texts[definition])), operations, behind, full=full)

    def _delivery_views(self, rows: Sequence[Sequence[Any]]) -> list[DeliveryView]:
        runs: dict[int, list[str]] = {}
        for at in range(0, len(rows), AT_A_TIME):
            ids = json.dumps([row[0] for row in rows[at : at + AT_A_TIME]])
            for delivery, run_id, _number in self._read("runs_of_deliveries", (ids,)):
                runs.setdefault(delivery, []).append(run_id)
        return [DeliveryView._make((*row[:-1], tuple(runs.get(row[0], ())), row[-1])) for row in rows]
