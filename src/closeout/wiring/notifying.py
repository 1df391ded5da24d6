"""Notify people of what needs them: on a server by a thread that looks every few seconds, and for `closeout notify test`.

Each look starts from the ledger, so a restart or an outage loses nothing. A notification is stored after the message
was sent: a process that dies between the two sends that message again, once. A target that does not answer is retried at
growing intervals, up to an hour, and delays no other: each has a thread of its own while a message is sent. The same on both
runtimes.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, NamedTuple

from closeout.adapters.clock import SystemClock
from closeout.core import messages
from closeout.core.errors import CloseoutError, NotifierFailed, NotifierUnknown
from closeout.core.messages import Links, Text
from closeout.core.problems import (
    WAIT,
    Message,
    Notification,
    Problem,
    Routes,
    due,
    is_topic,
    unannounced_ends,
)
from closeout.core.redact import Redactor
from closeout.core.retry import Backoff
from closeout.core.threads import background
from closeout.core.units import spoken_duration
from closeout.ports import ProblemStore, Secrets

if TYPE_CHECKING:
    from closeout.config.load import Loaded

EVERY = 5.0
"""Seconds between two looks."""
REST = 20
"""After a look, the next one waits at least this many times as long as the look took."""
JOIN_SECONDS = 2.0
NOTIFIER = "notifier"
"""The kind of the marks in which a server stores which notifiers take no messages."""
SECONDS = 30.0
"""How long a message may take."""
MISSED = 3
"""Intervals without a finished round after which patrol is stale."""
_PARTS = {"logs": "the delivery logs", "lists": "the lists of closed pull requests"}
RETRY = Backoff(first=30.0, factor=2.0, cap=3_600.0)

Send = Callable[[str, Text], None]
"""Sends a message to a target, by its reference. Raises `CloseoutError`."""


class Targets(NamedTuple):
    """Sends to targets by their references. `learned` receives every secret in a URL, for redaction.

    `topics` returns SNS's client of a region, boto3's unless given.
    """

    secrets: Callable[[], Secrets]
    learned: Callable[[str], None]
    topics: Callable[[str], Any] | None = None

    def send(self, target: str, text: Text) -> None:
        """Send a message. Raises `SecretError`, `NotifierUnknown` or `NotifierFailed`."""
        if is_topic(target):
            from closeout.adapters import sns

            sns.publish(target, *text, self.topics)
            return
        from closeout.adapters import notifier

        notifier.send(self.url(target), *text)

    def check(self, target: str, *, reach: bool = True) -> None:
        """Check a target without sending: its URL, or whether the topic exists. Raises as `send` does, and `ServiceError`.

        Without `reach` it calls nothing outside.
        """
        if is_topic(target):
            if not reach:
                return
            from closeout.adapters import sns

            sns.check(target, self.topics)
            return
        from closeout.adapters import notifier

        notifier.check(self.url(target), reach=reach)

    def url(self, target: str) -> str:
        """Read the URL of a target; its secrets are redacted from then on. Raises `SecretError`, `NotifierUnknown`."""
        from closeout.adapters import notifier

        urls = self.secrets().read(target)
        for part in (part for url in urls for part in notifier.secret_parts(url)):
            self.learned(part)
        if not urls:
            raise NotifierUnknown(f"{target} is empty")
        return urls[0].strip()


class NotifierFigures(NamedTuple):
    """What the metrics say about one target."""

    sent: int
    """Messages that it has taken since the start."""
    failures: int
    """Failed attempts since it last took a message."""


class _Failing(NamedTuple):
    """A target that does not take messages."""

    since: float
    times: int
    again_at: float
    error: str


def try_all(loaded: Loaded) -> list[tuple[str, CloseoutError | None]]:
    """Send a test message to each target of a configuration; return the error of each, None if it took the message."""
    from closeout.wiring.clients import configured_clients

    redactor = Redactor()
    clients = configured_clients(loaded, SystemClock(), redactor)
    return try_each(loaded.routes, Targets(lambda: clients.secrets, redactor.add).send, redactor)


def try_each(routes: Routes, send: Send, redactor: Redactor) -> list[tuple[str, CloseoutError | None]]:
    """Send a test message to each target; return the error of each, None if it took the message."""
    targets = routes.targets()
    results = dict(at_once({target: partial(send, target, messages.TEST) for target in targets}))
    for error in results.values():
        if error is not None:
            error.message = redactor.text(error.message)
    return [(target, results[target]) for target in targets]


def at_once(works: Mapping[str, Callable[[], None]]) -> Iterator[tuple[str, CloseoutError | None]]:
    """Call the function of each target, all at the same time; yield each one's error or None as soon as it is known.

    One that takes longer than `SECONDS` has failed. Its thread may go on, but neither this process nor a Lambda waits for it:
    a service that answers byte by byte may never end.
    """
    answers: Queue[tuple[str, CloseoutError | None]] = Queue()

    def do(target: str, work: Callable[[], None]) -> None:
        error: CloseoutError | None = None
        try:
            work()
        except CloseoutError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - a defect, too, must not hold up others; its text may hold a secret
            error = NotifierFailed(f"{type(failure).__name__}, which is a bug in closeout")
        answers.put((target, error))

    for target, work in works.items():
        background("notifier", do, target, work).start()
    until, waiting = time.monotonic() + SECONDS, set(works)
    while waiting:
        try:
            target, error = answers.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            break
        waiting.discard(target)
        yield target, error
    for target in sorted(waiting):
        yield target, NotifierFailed(f"no answer within {SECONDS:g} seconds")


@dataclass
class Notifying:
    """Notifies people, for one process.

    `check_target` raises for a target whose URL has no known form; `stale` returns by name why something is stale, None for
    what could not be asked. `wait` is how long a problem waits for others of its cause, `patience` how long a look begins
    further messages.
    """

    problems: ProblemStore
    routes: Routes
    send: Send
    links: Callable[[], Links]
    redact: Callable[[str], str]
    now: Callable[[], float]
    check_target: Callable[[str], None] = lambda _target: None
    keep: Callable[[str, Mapping[str, Any]], None] = lambda _target, _state: None
    stale: Callable[[], Mapping[str, str | None]] = dict
    wait: float = WAIT
    patience: float = math.inf

    def __post_init__(self) -> None:
        self._failing: dict[str, _Failing] = {}
        self._sent: dict[str, int] = dict.fromkeys(self.routes.targets(), 0)
        self._unmarked: list[Notification] = []
        """Notifications that were sent and could not be stored yet: nothing more is sent until they are."""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self, report: Callable[[str], None] = lambda _text: None) -> None:
        """Send what is due now. `report` gets a sentence for a target that begins to fail. Raises `StoreUnavailable`."""
        self._mark([])
        problems = self.problems.problems()
        if self._keep_stale(problems):
            problems = self.problems.problems()
        if not problems:
            return
        notifications, now = self.problems.notifications(), self.now()
        self._mark(unannounced_ends(problems, notifications, self.routes))
        messages_of = due(problems, notifications, now, self.routes, self.wait)
        self._send_all(
            {one: self._ordered(one, found) for one, found in messages_of.items() if self._may(one)}, report
        )

    def figures(self) -> dict[str, NotifierFigures]:
        """Return what the metrics say, by target."""
        return {
            target: NotifierFigures(count, self._failing[target].times if target in self._failing else 0)
            for target, count in self._sent.items()
        }

    def _may(self, target: str) -> bool:
        """Return whether it is time to try a target, also after the clock was set back."""
        failing = self._failing.get(target)
        return failing is None or not 0 < failing.again_at - self.now() <= RETRY.cap

    def _ordered(self, target: str, found: list[Message]) -> deque[Message]:
        # A message that a service refuses must not block the others: each further try begins with another one.
        ordered = deque(found)
        ordered.rotate(-self._failing[target].times if target in self._failing else 0)
        return ordered

    def _send_all(self, waiting: dict[str, deque[Message]], report: Callable[[str], None]) -> None:
        """Send each target its messages, one after the other, and all targets at the same time."""
        until = time.monotonic() + self.patience
        while waiting and not self._stopping.is_set() and time.monotonic() < until:
            links, now = self.links(), self.now()
            texts = {one: messages.text(found[0], links, self.redact, now) for one, found in waiting.items()}
            works = {target: partial(self.send, target, text) for target, text in texts.items()}
            for target, error in at_once(works):
                message = waiting[target].popleft()
                with suppress(CloseoutError):  # the ledger's error must not lose the other results
                    self._record_result(target, message, error, report)
                if error is not None or not waiting[target]:
                    del waiting[target]
            self._mark([])

    def _record_result(
        self, target: str, message: Message, error: CloseoutError | None, report: Callable[[str], None]
    ) -> None:
        if error is not None:
            self._failed(target, self.redact(error.message), report)
            return
        failed = self._failing.pop(target, None) is not None
        fresh = failed or not self._sent[target]  # an earlier process may have stored that it fails
        self._sent[target] += 1
        self._mark(
            Notification(target, one.automation, one.key, self.now(), recovered=one.closed_at is not None)
            for one in message.problems
        )
        if fresh:
            self.keep(target, {})

    def _mark(self, notifications: Iterable[Notification]) -> None:
        self._unmarked += notifications
        if self._unmarked:
            self.problems.record_notifications(self._unmarked)
            self._unmarked = []

    def _failed(self, target: str, error: str, report: Callable[[str], None]) -> None:
        before = self._failing.get(target)
        times = before.times + 1 if before else 1
        since = before.since if before else self.now()
        self._failing[target] = _Failing(since, times, self.now() + RETRY.delay(times), error)
        self.keep(target, {"since": since, "error": error})
        if before is None or before.error != error:
            report(f"notifier {target} took no message: {error}. It is tried again, and nothing is lost")

    def _keep_stale(self, problems: Sequence[Problem]) -> bool:
        """Open and close the problems of closeout itself; return whether one has changed."""
        known = {one.key for one in problems if one.kind == "stale" and one.closed_at is None}
        found = self.stale()
        fresh = {key: why for key, why in found.items() if why is not None and key not in known}
        for key, why in fresh.items():
            self.problems.open_problem(
                Problem("", key, "stale", why, why, self.now(), code=key.partition("/")[0])
            )
        over = known - found.keys()
        for key in over:
            self.problems.close_problems("", key, key, self.now(), "patrol")
        return bool(fresh or over)

    def start(self, report: Callable[[str], None]) -> None:
        """Look every few seconds, if there is anybody to notify."""
        if self.routes.targets():
            self._thread = background("notify", self._run, report)
            self._thread.start()

    def stop(self) -> None:
        """Begin no further message; one that is under way may end."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)

    def check(self, report: Callable[[str], None]) -> None:
        """Report each notifier whose URL has no known form: a failed run would be too late to learn it."""
        for target in self.routes.targets():
            try:
                self.check_target(target)
            except NotifierUnknown as error:
                report(
                    f"warning: notifier {target}: {self.redact(error.message)} ({error.code}), so it gets no messages."
                    " Write the URL of a service there, and try it with `closeout notify test`"
                )
            except CloseoutError:
                continue  # one that cannot be read was reported at the start, and is again when a message waits

    def _run(self, report: Callable[[str], None]) -> None:
        pause, checked = EVERY, False
        while not self._stopping.wait(pause):
            began = time.monotonic()
            try:
                if not checked:
                    # Not while the server starts: the library that knows the forms takes a third of a second to import.
                    checked = True
                    self.check(report)
                with suppress(CloseoutError):  # the ledger: others report that
                    self.look(report)
            except Exception as error:  # noqa: BLE001 - a defect, too, must be reported, and must not end the thread
                report(f"messages could not be made: {type(error).__name__}")
                self._stopping.wait(RETRY.cap / 60)
            pause = rest(time.monotonic() - began)


def rest(took: float) -> float:
    """Return how long to wait after a look that took so many seconds: 100,000 problems must not keep the process busy."""
    return max(EVERY, took * REST)


# --- what is stale in closeout itself: nobody would notice closings that were never heard of ------------------


def stale(
    every: Mapping[str, float | None],
    ended_at: Mapping[str, float],
    drill: Mapping[str, str],
    *,
    started: float,
    now: float,
) -> dict[str, str | None]:
    """Return by name why something is stale, None for what could not be asked. What is fine is not named.

    `every` has the intervals of `logs` and `lists`, None for what is switched off, and `ended_at` when a round of each last
    ended. `drill` has the states that the last drill found, by check. Rounds that were missed before patrol `started` do not
    count, and one that ended before then says nothing about now.
    """
    found: dict[str, str | None] = {}
    for part, interval in every.items():
        # A round with lists reads the logs too, and is stored as one of lists.
        ended = max(ended_at.get(one, 0.0) for one in {part, "lists"})
        silent = now - max(ended, started)
        if interval is not None and silent > MISSED * interval:
            found[f"patrol/{part}"] = (
                f"patrol has not read {_PARTS[part]} for {spoken_duration(silent)}, but should do so every"
                f" {spoken_duration(interval)}; a closing that GitHub did not deliver stays unknown"
            )
        elif interval is not None and ended < started:
            found[f"patrol/{part}"] = None  # a restart repairs nothing
    for check, state in drill.items():
        if state in ("wrong", "unknown"):
            wrong = f"the drill found something wrong with `{check}`"
            found[f"drill/{check}"] = wrong if state == "wrong" else None
    return found
