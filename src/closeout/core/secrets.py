"""A secret that is cached for a while, and read again if it seems to have changed.

This is separate from reading, because it is about time and threads. A rotated secret is used without a restart, and a flood
of bad signatures causes at most one read a second. While a store is down the old values stay in use, the failure is
reported, and no unsigned request is accepted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from closeout.core.errors import SecretError
from closeout.core.threads import background

PREVIOUS_SECONDS = 86_400.0
"""How long AWSPREVIOUS is accepted after the current version was created, so that there is time to change the hook, too."""
REFERENCES = ("env:", "file:", "aws-secretsmanager:")
"""The prefix of references to secrets, for each kind of store."""
TTL = 300.0
READ_EVERY = 1.0
FRESH = 2.0
"""How long after a change `refresh` tells callers to check again, because they may still hold the old values."""


class Active(NamedTuple):
    """One accepted value, until `until` (seconds since the epoch; None: as long as it exists)."""

    value: str
    until: float | None = None

    def __repr__(self) -> str:
        """Return a representation without the value."""
        return "Active(…)"


class ActiveSecrets(Protocol):
    """The reader whose answers are cached: `SecretReader`."""

    def read_active(self, reference: str) -> tuple[Active, ...]:
        """Return the active values of a reference."""


def can_change(reference: str) -> bool:
    """Whether a second read may return something else: a process's environment does not change."""
    return not reference.startswith("env:")


class CachedSecret:
    """The values of one or more references, all accepted, newest first.

    The constructor raises `SecretError` if a reference cannot be read: a server without its secret must not start.
    `report` receives a sentence when a later read fails. `now` is the time of day, `tick` counts seconds; `start`
    runs the read that is due after `ttl` (by default in a thread), so that `values` never blocks. A `start` that defers the
    read must run it before the next `refresh`.
    """

    def __init__(
        self,
        references: Sequence[str],
        reader: ActiveSecrets,
        *,
        ttl: float = TTL,
        report: Callable[[str], None] = lambda _text: None,
        now: Callable[[], float] = time.time,
        tick: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        if not references:
            raise SecretError("no secret reference is configured")
        self._references = tuple(references)
        self._changing = any(can_change(reference) for reference in references)
        self._reader = reader
        self._ttl = ttl
        self._report = report
        self._now = now
        self._tick = tick
        self._start = start or _in_thread
        self._reading = threading.Lock()
        self._kept = {reference: reader.read_active(reference) for reference in self._references}
        self._failing: dict[str, str] = {}
        self._read_at = self._changed_at = tick()
        self._changed_at -= FRESH

    def values(self) -> tuple[str, ...]:
        """Return the accepted values at once; after `ttl` they are read again in the background."""
        if (
            self._changing
            and self._tick() - self._read_at >= self._ttl
            and self._reading.acquire(blocking=False)
        ):
            try:
                self._start(self._read_and_release)
            except BaseException:
                self._reading.release()
                raise
        return self._accepted()

    def _read_and_release(self) -> None:
        try:
            self._read_again()
        finally:
            self._reading.release()

    def newest(self) -> str:
        """Return the newest value of the first reference: what to sign or authenticate with."""
        return self.values()[0]

    def keys(self) -> tuple[bytes, ...]:
        """Return the accepted values as bytes, for checking signatures."""
        return tuple(value.encode() for value in self.values())

    def refresh(self) -> bool:
        """Read again because a value did not match; return whether the caller should check once more.

        One thread reads while the others wait for its answer; there is at most one read a second, and none for references
        that cannot change. It blocks as long as a read takes: call it from a thread, not from an event loop.
        """
        if not self._changing:
            return False
        with self._reading:
            if self._tick() - self._read_at >= READ_EVERY:
                self._read_again()
            return self._tick() - self._changed_at < FRESH

    def _accepted(self) -> tuple[str, ...]:
        now = self._now()
        return tuple(
            active.value
            for reference in self._references
            for active in self._kept[reference]
            if active.until is None or now < active.until
        )

    def _read_again(self) -> None:
        """Read every reference that can change. One that fails keeps its old values and is reported."""
        before = self._accepted()
        kept = dict(self._kept)
        for reference in filter(can_change, self._references):
            try:
                kept[reference] = self._reader.read_active(reference)
                self._failing.pop(reference, None)
            except SecretError as error:
                self._failed(reference, error.message)
            except Exception as error:  # noqa: BLE001 - a reader's defect must not take the receiver down
                self._failed(reference, f"{reference} cannot be read: {type(error).__name__}")
        self._kept = kept
        self._read_at = self._tick()
        if self._accepted() != before:
            self._changed_at = self._read_at

    def _failed(self, reference: str, text: str) -> None:
        """Report a failure only once while it lasts."""
        if self._failing.get(reference) != text:
            self._failing[reference] = text
            self._report(f"{text}; the value read before stays in use")


class StepSecrets:
    """The secrets that steps name. They are read before a step can print one, which makes them known to the redactor.

    `learn` reads at its first call, and again `ttl` seconds later, since a rotation creates a new value; the redactor keeps
    the old one. `report` receives a sentence, once, for a secret that cannot be read: the step that needs it fails by itself.
    """

    def __init__(
        self,
        references: Sequence[str],
        reader: Callable[[], ActiveSecrets],
        *,
        report: Callable[[str], None],
        ttl: float = TTL,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._references = tuple(references)
        self._reader = reader
        self._report = report
        self._ttl = ttl
        self._tick = tick
        self._reading = threading.Lock()
        self._read_at: float | None = None
        self._failing: dict[str, str] = {}

    def learn(self) -> None:
        """Read what is due. All callers wait for the first read; a later read delays only the caller that makes it."""
        if not self._references or not self._reading.acquire(blocking=self._read_at is None):
            return
        try:
            if self._read_at is None or self._tick() - self._read_at >= self._ttl:
                self._read()
                self._read_at = self._tick()
        finally:
            self._reading.release()

    def _read(self) -> None:
        """Read each. A store that does not answer is asked only once, so that ten secrets do not wait for ten timeouts."""
        silent: set[str] = set()
        for reference in self._references:
            store = reference.partition(":")[0]
            try:
                if store not in silent:
                    self._reader().read_active(reference)
                    self._failing.pop(reference, None)
                    continue
                problem = f"{reference} was not read, since its store does not answer"
            except SecretError as error:
                problem = error.message
                silent |= {store} if error.transient else set()
            except Exception as error:  # noqa: BLE001 - a reader's defect must not take the server down
                problem = f"{reference} cannot be read: {type(error).__name__}"
            if self._failing.get(reference) != problem:
                self._failing[reference] = problem
                self._report(f"{problem}; it cannot be taken out of logs until it can be read")


def _in_thread(read: Callable[[], None]) -> None:
    background("closeout-secret", read).start()
