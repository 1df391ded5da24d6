"""The event that `closeout explain` or `closeout plan` is asked about: a payload, or a pull request on GitHub.

Both commands take the same options and read them here, so that both answer about the same event.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from closeout.actions.registry import builtin
from closeout.adapters.clock import SystemClock
from closeout.cli import options, output
from closeout.config.load import Loaded, load
from closeout.core.errors import BadDelivery, UsageError
from closeout.core.payload import decode
from closeout.run.closed_event import read_closed_event
from closeout.wiring.preview import github_of

F = TypeVar("F", bound=Callable[..., Any])

_NAME, _NUMBER = r"([\w.-]{1,100}/[\w.-]{1,100})", r"([1-9][0-9]{0,9})"
NAMED = re.compile(f"{_NAME}#{_NUMBER}", re.ASCII)
URL = re.compile(rf"https://[\w.:-]+/{_NAME}/pull/{_NUMBER}(?:[/?#].*)?", re.ASCII)
"""The address of a page of a pull request, on GitHub or a GitHub Enterprise Server."""


class EventSource(NamedTuple):
    """An event, and the configuration that is asked about it."""

    config: Path
    loaded: Loaded
    event: str
    payload: Mapping[str, Any]
    read: dict[str, Any]
    """What `--json` adds: `{"pull_request": {"name", "state", "notes"}}` if that was read, else nothing."""


def event_source(function: F) -> F:
    """Add `--config`, `--pull-request`, `--event` and `--payload`; the command gets them as one `source`."""

    @functools.wraps(function)
    def called(
        *, config: Path, pull_request: str | None, event: str | None, payload: str | None, **rest: Any
    ) -> Any:
        return function(source=_read(config, pull_request, event, payload), **rest)

    return cast("F", options.config(options.pull_request(options.event(options.payload(called)))))


def _read(config: Path, pull_request: str | None, event: str | None, payload: str | None) -> EventSource:
    """Return the event that the options name. Notes about a pull request that was read go to standard error.

    Raises `UsageError` for options that name none, or two, before anything is read.
    """
    if pull_request is None:
        if event is None and payload is None:
            raise UsageError(
                "Name the event: --pull-request OWNER/REPO#N, or --event and --payload, as in --help's examples."
            )
        name, value = _event_and_payload(event, payload)
        return EventSource(config, load(config, builtin()), name, value, {})
    if event is not None or payload is not None:
        raise UsageError("Give either --pull-request, or --event and --payload.")
    repository, number = read_name(pull_request)
    loaded = load(config, builtin())
    closed, *about = read_closed_event(github_of(loaded), repository, number, SystemClock().now())
    read = dict(zip(("name", "state", "notes"), about, strict=True))
    for note in read["notes"]:
        output.note(output.wrapped(output.clean(note)))
    return EventSource(config, loaded, "pull_request", closed, {"pull_request": read})


def _event_and_payload(event: str | None, source: str | None) -> tuple[str, dict[str, Any]]:
    """Return the event's name and its payload, decoded by the receiver's rule. Raises `UsageError`."""
    if not event:
        raise UsageError("Name the event with --event, for example --event pull_request.")
    if source is None:
        raise UsageError("Give the payload with --payload PATH, or --payload - for standard input.")
    try:
        return event, decode(options.read_payload(source))
    except BadDelivery as error:
        raise UsageError(f"{'Standard input' if source == '-' else source}: {error.message}") from None


def read_name(text: str) -> tuple[str, int]:
    """Read `owner/repo#17` or the URL of its page. Raises `UsageError`."""
    found = NAMED.fullmatch(text) or URL.fullmatch(text)
    if found is None or {".", ".."} & set(found[1].split("/")):
        raise UsageError(
            f"{text!r} does not name a pull request; write acme/shop#17 or https://github.com/acme/shop/pull/17."
        )
    return found[1], int(found[2])
