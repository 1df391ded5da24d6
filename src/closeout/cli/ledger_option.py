"""Which ledger a command works on: a file of this machine (`--db`), or a deployed stack's (`--stack`).

The commands show the same for both. Requests on a file wait for its server; on a stack the command carries them out
itself, because no Lambda function waits for requests.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click
from click.core import ParameterSource

from closeout.cli import options, output
from closeout.core.errors import UsageError

if TYPE_CHECKING:
    from closeout.config.load import Loaded
    from closeout.ledger.sqlite import Views
    from closeout.ports import DeliveryId, LedgerReader, Requests, RunView
    from closeout.ports.patrol import Marks
    from closeout.wiring.stack import Stack
    from closeout.wiring.stack_ledger import StackLedger

F = TypeVar("F", bound=Callable[..., Any])


class LogReading(NamedTuple):
    """How the log of a run is read and followed."""

    every: float
    """Seconds between two reads: CloudWatch Logs allows a whole account a few searches a second."""
    lines: int | None
    """Lines to read at once; all of a stack's, since CloudWatch Logs would search the same again."""
    delay: float
    """Seconds after a run's end in which its last lines may still arrive."""
    back: int = 0
    """How far below the highest id that was read a line may still arrive."""


OF_FILE = LogReading(every=0.2, lines=2000, delay=0.0)
# Each invocation of a run may write to a log stream of its own, so lines arrive out of order. Ids are microseconds.
OF_STACK = LogReading(every=2.0, lines=None, delay=6.0, back=30_000_000)


class CurrentConfig(NamedTuple):
    """The configuration that a rerun or a replay uses; `description` names it in a sentence. `load` may raise."""

    load: Callable[[], Loaded]
    description: str
    code_here: bool
    """Whether the Python that it names is on this machine."""


class SelectedLedger:
    """The ledger that a command works on. Nothing is opened before it is needed.

    `named` says that `config` was given on the command line, and is not the default.
    """

    def __init__(self, config: Path, db: Path | None, stack: str | None, *, named: bool = False) -> None:
        self.config = config
        self._named = named
        self._db = db
        self._stack = stack

    @property
    def path(self) -> Path:
        """The ledger's file. Raises `Unavailable` when there is none."""
        return options.existing_ledger(self._db, self.config)

    @property
    def path_if_any(self) -> Path:
        """The ledger's file, whether it is there or not."""
        return options.ledger_path(self._db, self.config)

    @property
    def on_stack(self) -> bool:
        """Whether it is a deployed stack's."""
        return self._stack is not None

    @property
    def views_if_any(self) -> LedgerReader | None:
        """The read side; None if no ledger was named and there is none next to the configuration."""
        there = self._stack or self._db or options.ledger_path(None, self.config).exists()
        return self.views if there else None

    @property
    def log(self) -> LogReading:
        """How its runs' logs are read."""
        return OF_STACK if self._stack else OF_FILE

    @cached_property
    def views(self) -> LedgerReader:
        """The read side."""
        return self._remote.views if self._stack else self._file

    @cached_property
    def patrol_marks(self) -> Marks:
        """What patrol keeps in the ledger."""
        if not self._stack:
            return self._file
        from closeout.ledger.dynamodb.marks import DynamoMarks

        return DynamoMarks(self._remote.table)

    @property
    def empty_runs(self) -> Mapping[str, int]:
        """Return, by automation, how many runs found nothing, for those that never found anything."""
        if self._stack:
            return self._remote.empty_runs.counts()
        found: Mapping[str, int] = self._file.stats()["empty_runs"]
        return found

    def page(self, run: RunView) -> str | None:
        """Return a new link to a run's page, or to its log lines on a stack; None before a server has run here."""
        if self._stack:
            from closeout.stack.console import run_log_url

            return run_log_url(self.stack.region, self.stack.output("LogGroupName"), run.id, run.accepted_at)
        from closeout.server import details

        key, base = self._file.setting(details.KEY_SETTING), self._file.setting(details.BASE_SETTING)
        return details.link(base.decode(), key, run.execution, time.time()) if key and base else None

    @cached_property
    def current_config(self) -> CurrentConfig:
        """Return the configuration that a rerun or a replay uses: the server's file, or what is deployed, read once.

        Raises `Unavailable` when a stack does not say what is deployed, `UsageError` for a file that differs from it.
        """
        from closeout.actions.registry import builtin
        from closeout.config.load import load

        if not self._stack:
            return CurrentConfig(lambda: load(self.config, builtin()), "", code_here=True)
        from closeout.wiring.deployed import as_loaded, check_same, read_deployed

        stack = self.stack
        deployed = read_deployed(stack.name, self._remote)
        if self._named:
            check_same(stack, deployed, load(self.config, builtin()), self.config)
        loaded = as_loaded(stack, deployed)
        since = output.moment(deployed.since)
        description = f", as deployed {since} and planned here with your rights"
        return CurrentConfig(lambda: loaded, description, code_here=False)

    def requests(self, kind: str) -> Requests:
        """Return what takes a request of this kind; a rerun and a replay on a stack use `today`."""
        from closeout.ledger.sqlite import Requests as LedgerRequests

        if self._stack:
            loaded = self.current_config.load() if kind in ("rerun", "replay") else None
            return self._remote.requests(loaded, clean=self.stack.clean)
        return LedgerRequests(self.path)

    def delivery_id(self, text: str) -> DeliveryId:
        """Read a delivery's id: a number in a file, a name on a stack. Raises `UsageError`."""
        if self._stack:
            return text
        if not text.isascii() or not text.isdigit():
            raise UsageError(f"{text!r} is not a delivery's number; `closeout deliveries list` shows them.")
        return int(text)

    def check_file(self) -> None:
        """Raise `LedgerError` if the ledger is a file and SQLite finds damage in it."""
        from closeout.ledger.sqlite.connection import check_file

        if not self._stack:
            check_file(self.path)

    @cached_property
    def stack(self) -> Stack:
        """The deployed stack. Raises `Unavailable` or `ServiceError`."""
        from closeout.wiring.stack import open_stack

        return open_stack(str(self._stack))

    @cached_property
    def _file(self) -> Views:
        from closeout.ledger.sqlite import Views as FileViews

        return FileViews(self.path)

    @cached_property
    def _remote(self) -> StackLedger:
        return self.stack.ledger()


def ledger(function: F) -> F:
    """Add `--config`, `--db` and `--stack`; the command gets them as one `selected`."""

    @functools.wraps(function)
    def called(*, config: Path, db: Path | None, stack_name: str | None, **rest: Any) -> Any:
        source = click.get_current_context().get_parameter_source
        if stack_name is not None and source("db") is ParameterSource.COMMANDLINE:
            raise UsageError("Give either --db, a ledger on this machine, or --stack, a deployed one's.")
        named = source("config") is ParameterSource.COMMANDLINE
        selected = SelectedLedger(config, db, stack_name, named=named)
        try:
            return function(selected=selected, **rest)
        except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError):
            selected.check_file()  # a value that closeout does not write: the file may be damaged
            raise

    stack = click.option(
        "--stack", "stack_name", metavar="NAME", help="A deployed stack's ledger, instead of --db."
    )
    return cast("F", options.config(options.db(stack(called))))
