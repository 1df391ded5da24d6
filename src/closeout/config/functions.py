"""`@on(…)`: automations written as Python functions.

The decorator only stores its arguments. They are checked when the file is loaded, by the same code that checks
an automation in YAML, and findings point to the function's line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from closeout.config.keys import names
from closeout.core.retry import Backoff, Retry


class Run(Protocol):
    """What an `@on` function is called with: the event, and calls that outlive the process.

    A function starts again from its first line whenever its run resumes. A recorded call returns its stored result and is
    not repeated, so do everything that reads or changes the outside world in `record` or `wait_until`. Results are JSON.
    """

    @property
    def event(self) -> Mapping[str, Any]:
        """The payload, as a copy for this function."""

    @property
    def run_id(self) -> str:
        """The run's id, the same for every attempt."""

    @property
    def attempt(self) -> int:
        """1, or more for a rerun."""

    def record(self, name: str, fn: Callable[[], Any], retry: Retry | None = None) -> Any:
        """Run `fn` once and keep its result; after the live check, unless `on` says `destructive=False`."""

    def sleep(self, name: str, seconds: float) -> None:
        """Wait without holding a thread."""

    def wait_until(self, name: str, poll: Callable[[], Any], every: float | Backoff = 15.0) -> Any:
        """Poll until `poll` returns something other than None, and return that. `poll` must change nothing."""

    def log(self, text: str) -> None:
        """Write a line to the run's log; call it inside a recorded function."""


_Function = TypeVar("_Function", bound=Callable[[Run], object])
ATTRIBUTE = "__closeout_on__"
Texts = str | Sequence[str]


class Declaration(NamedTuple):
    """The arguments of `@on`: the keys of an automation as in the file, and the automation's name."""

    name: str | None
    keys: dict[str, Any]
    destructive: bool


def on(  # noqa: PLR0913  each is a key of the file under its own name
    *events: str,
    name: str | None = None,
    branches: Texts | None = None,
    branches_ignore: Texts | None = None,
    tags: Texts | None = None,
    tags_ignore: Texts | None = None,
    paths: Texts | None = None,
    paths_ignore: Texts | None = None,
    repositories: Texts | None = None,
    senders: Texts | None = None,
    condition: str | None = None,
    status: str | Literal[False] | None = None,
    concurrency: str | None = None,
    timeout: str | None = None,
    queue_timeout: str | None = None,
    mode: Literal["apply", "dry-run"] | None = None,
    grace: str | None = None,
    unguarded: bool | None = None,
    notify: Mapping[str, Any] | None = None,
    destructive: bool = True,
) -> Callable[[_Function], _Function]:
    """Declare that a function runs on events: `@on("pull_request.closed", repositories=["acme/shop"])`.

    An event is `name` or `name.action`; several may be given. The keywords are the keys of an automation in the
    file, with the same forms and defaults (`condition` is `if`, durations are texts like "3h"). The function is
    called with one argument, a `Run`. It counts as destructive, so `repositories` is required and a live check precedes each
    `record`, unless `destructive=False` says that it deletes nothing. Findings appear when the configuration is loaded.
    """
    keywords = {
        "branches": branches,
        "branches-ignore": branches_ignore,
        "tags": tags,
        "tags-ignore": tags_ignore,
        "paths": paths,
        "paths-ignore": paths_ignore,
        "repositories": repositories,
        "senders": senders,
        "if": condition,
        "status": status,
        "concurrency": concurrency,
        "timeout": timeout,
        "queue-timeout": queue_timeout,
        "mode": mode,
        "grace": grace,
        "unguarded": unguarded,
        "notify": notify,
    }
    given = {key: value for key, value in keywords.items() if value is not None}
    filters = {key: given.pop(key) for key in names("trigger") if key in given}
    declared = {"on": _triggers(events, filters), **given}

    def remember(function: _Function) -> _Function:
        setattr(function, ATTRIBUTE, Declaration(name, declared, destructive))
        return function

    return remember


def _triggers(events: Sequence[str], filters: dict[str, Any]) -> dict[str, Any]:
    triggers: dict[str, Any] = {}
    for event in events:
        head, _, action = str(event).partition(".")
        trigger = triggers.setdefault(head, dict(filters))
        if action:
            trigger.setdefault("types", []).append(action)
    return triggers
