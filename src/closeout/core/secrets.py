"""A secret that is kept for a while, and read again when it seems to have changed.

Apart from reading, because what matters here is time and threads: a rotated secret is taken up without a
restart, while a flood of bad signatures costs one read a second at most, and a store that is down never accepts
an unsigned request: the old values stay, and the failure is reported.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from closeout.core.errors import SecretError
from closeout.core.threads import background

PREVIOUS_SECONDS = 86_400.0
"""How long AWSPREVIOUS is accepted after the current version was created: time to change the hook as well."""
REFERENCES = ("env:", "file:", "aws-secretsmanager:")
"""How references to secrets begin, by where the secret is."""
TTL = 300.0
READ_EVERY = 1.0
FRESH = 2.0
"""How long after a change `refresh` tells late comers to look again: they may hold the values from before."""


class Active(NamedTuple):
    """One accepted value, until `until` (seconds since the epoch; None: as long as it is there)."""

    value: str
    until: float | None = None

    def __repr__(self) -> str:
        """Return a text without the value."""
        return "Active(…)"


class ActiveSecrets(Protocol):
    """What is cached: `SecretReader`."""

    def read_active(self, reference: str) -> tuple[Active, ...]:
        """Return the active values of a reference."""


def can_change(reference: str) -> bool:
    """Whether reading again may give something else: a process's environment does not change."""
    return not reference.startswith("env:")


class CachedSecret:
    """The values of one or more references, all accepted, newest first.

    Raises `SecretError` when made if a reference cannot be read: a server without its secret must not start.
    `report` gets a sentence when a later read fails. `now` is the time of day, `tick` counts seconds; `start`
    runs the read that the time limit asks for (a thread unless told), so that `values` never blocks; who only keeps it
    for later must have run it before the next `refresh`.
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
        """Return the accepted values at once; past the time limit they are read again behind the scenes."""
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
        """Return the accepted values as bytes: what signatures are checked with."""
        return tuple(value.encode() for value in self.values())

    def refresh(self) -> bool:
        """Read again because a value did not fit; say whether it is worth checking once more.

        One thread reads, the others wait for its answer; at most one read a second, and none for references
        that cannot change. Blocks as long as a read takes: call it from a thread, not from an event loop.
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
        """Read every reference that can change. One that fails keeps its old values, and is reported."""
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
        """Report a failure once, not once a second while it lasts."""
        if self._failing.get(reference) != text:
            self._failing[reference] = text
            self._report(f"{text}; the value read before stays in use")


class StepSecrets:
    """The secrets that steps name, read before a step can print one: reading tells the redactor.

    `learn` reads at its first call, and again `ttl` seconds later, since a rotation brings a new value; the redactor keeps
    the old one. `report` gets a sentence, once, for a secret that cannot be read: the step that needs it fails by itself.
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
        """Read what is due. The first call is waited for by all; later ones hold up only who makes it."""
        if not self._references or not self._reading.acquire(blocking=self._read_at is None):
            return
        try:
            if self._read_at is None or self._tick() - self._read_at >= self._ttl:
                self._read()
                self._read_at = self._tick()
        finally:
            self._reading.release()

    def _read(self) -> None:
        """Read each. A store that does not answer is asked once: ten secrets are not ten times its time limit."""
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
