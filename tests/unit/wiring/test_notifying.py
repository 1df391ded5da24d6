"""A server's notifications: over a real HTTP service and an injected clock, through outages, floods and faults."""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import thread as pools
from pathlib import Path
from typing import Any, cast

import pytest

from closeout.actions.registry import builtin
from closeout.adapters import notifier
from closeout.config.load import load_text
from closeout.core.errors import NotifierFailed, NotifierUnknown, StoreUnavailable
from closeout.core.messages import Links
from closeout.core.problems import AGAIN, EVENTS, WAIT, Notification, Problem, Route, Routes
from closeout.core.redact import Redactor
from closeout.core.units import DAY, HOUR
from closeout.testing.durable import FakeClock
from closeout.wiring import notifying
from closeout.wiring.notifying import Notifying, Targets, at_once, rest, try_all, try_each
from tests.memory_problems import MemoryProblems
from tests.notified import Service, service

RUN = "abcdefghijklmnopqrstuvwxyz"
PROBLEM = Problem(
    "teardown", "5/7/x", "failure", "stack: still imported by of-private", "stack: still imported", 0.0,
    code="action-failed", step="stack", left=("stack preview-17",), public_left=("preview-17",),
    repository="acme/shop", number=17, login="ada", private=True, execution=f"{RUN}-1",
)  # fmt: skip
ON_PAGE = "on that page (sign in with `closeout open`)"


class Bench:
    """A store, a clock, and what tells over them; `urls` are what the targets' references say."""

    def __init__(self, *, patience: float = math.inf, **urls: str) -> None:
        self.patience = patience
        self.store = MemoryProblems()
        self.clock = FakeClock(0.0)
        self.urls = urls
        self.reported: list[str] = []
        self.kept: dict[str, Any] = {}
        self.stale: dict[str, str | None] = {}
        self.redactor = Redactor()
        self.restart()

    def restart(self) -> None:
        """Begin a new process over the same store."""
        self.notifying = Notifying(
            self.store,
            Routes(Route(frozenset(EVENTS), tuple(self.urls))),
            Targets(lambda: self, self.redactor.add).send,
            links=lambda: Links(lambda execution: f"https://c.example/runs/{execution}", "https://c.example"),
            redact=self.redactor.text,
            now=self.clock.now,
            keep=self.kept.__setitem__,
            stale=lambda: self.stale,
            patience=self.patience,
        )

    def read(self, reference: str) -> tuple[str, ...]:
        """Read a secret, as `Secrets` does."""
        self.redactor.add(self.urls[reference])
        return (self.urls[reference],)

    def look(self, seconds: float = 0.0) -> None:
        """Let time go by and look."""
        self.clock.advance(seconds)
        self.notifying.look(self.reported.append)

    def open(self, *problems: Problem) -> None:
        """Store problems."""
        for one in problems:
            self.store.open_problem(one)


@pytest.fixture
def receiver() -> Iterator[Service]:
    """A service that takes messages."""
    with service() as running:
        yield running


def test_a_message_says_what_is_left_why_and_what_to_do(receiver: Service) -> None:
    """With its owner and location; then what was deleted, with the page of that run."""
    bench = Bench(A=receiver.url())
    bench.open(PROBLEM)
    bench.look(WAIT - 1)
    assert receiver.taken == []
    bench.look(1)
    bench.look(HOUR)
    (taken,) = receiver.taken
    assert taken.title == "closeout: teardown failed for acme/shop#17, step stack"
    assert taken.body.splitlines() == [
        "acme/shop#17, a pull request by ada",
        "What is left: stack preview-17",
        "Why: stack: still imported by of-private",
        f"https://c.example/runs/{RUN}-1",
        (
            f"To do: Something else uses the resource. Remove that first, then this one can go. Then rerun it {ON_PAGE} or"
            f" with `closeout runs rerun {RUN}`."
        ),
    ]
    bench.store.close_problems("teardown", "5/7/x", "5/7/x", bench.clock.now(), f"{RUN}-2")
    bench.look(WAIT)
    bench.look(DAY)
    _, repaired = receiver.taken
    assert repaired.title == "closeout: repaired: acme/shop#17"
    assert repaired.body.splitlines()[1:] == [
        "stack preview-17 is gone now",
        f"https://c.example/runs/{RUN}-2",
    ]


def test_a_message_about_a_public_repository_has_only_public_text(receiver: Service) -> None:
    """In a chat's format too."""
    bench = Bench(A=receiver.url("mmost", "abcdefghijklmnopqrstuv"))
    bench.open(PROBLEM._replace(private=False))
    bench.look(WAIT)
    (taken,) = receiver.taken
    assert "What is left: preview-17\nWhy: stack: still imported\n" in taken.body
    assert "of-private" not in taken.everything


def test_a_thousand_failures_of_one_cause_are_one_message(receiver: Service) -> None:
    """It shows ten, the number of the others, and where they are."""
    bench = Bench(A=receiver.url())
    bench.open(*(PROBLEM._replace(key=f"5/{one}/x", number=one) for one in range(1, 1_001)))
    bench.look(WAIT)
    (taken,) = receiver.taken
    lines = taken.body.splitlines()
    assert taken.title == "closeout: teardown failed for 1,000 pull requests, step stack"
    assert lines[0] == "acme/shop#1 (ada): stack preview-17 is left. stack: still imported by of-private"
    assert lines[10:12] == ["and 990 more", "https://c.example/"]
    bench.look(AGAIN - 1)
    assert len(receiver.taken) == 1
    bench.look(1)
    assert len(receiver.taken) == 2


def test_a_target_that_is_down_for_a_day_then_gets_the_current_state(receiver: Service) -> None:
    """Recovered problems are left out; other targets are not delayed; attempts become rare."""
    with service() as other:
        bench = Bench(A=receiver.url(), B=other.url())
        receiver.status = 503
        bench.open(PROBLEM)
        bench.look(WAIT)
        assert [len(receiver.taken), len(other.taken)] == [1, 1]
        assert bench.notifying.figures()["A"] == (0, 1)
        assert bench.kept["A"]["error"]
        for hour in range(24):
            key = f"6/{hour}/x"
            bench.open(PROBLEM._replace(key=key, number=hour, code=str(hour), since=bench.clock.now()))
            bench.look(HOUR)
            if hour % 2:
                bench.store.close_problems("teardown", key, key, bench.clock.now(), "r-1")
        assert len(receiver.taken) <= 26
        (line,) = bench.reported
        assert line.startswith("notifier A took no message: json: ")
        tries = len(receiver.taken)
        receiver.status = 200
        bench.look(HOUR)
        assert 1 <= len(receiver.taken) - tries <= 5
        assert bench.notifying.figures()["A"].failures == 0
        assert bench.kept["A"] == {}
        bodies = "\n".join(one.body for one in receiver.taken[tries:])
        assert "acme/shop#22 " in bodies
        assert "acme/shop#23 " not in bodies


def test_a_restart_repeats_nothing(receiver: Service) -> None:
    """The store has what was sent."""
    bench = Bench(A=receiver.url())
    bench.open(PROBLEM)
    bench.look(WAIT)
    bench.restart()
    bench.look(HOUR)
    assert len(receiver.taken) == 1


def test_a_report_that_cannot_be_stored_delays_further_messages(receiver: Service) -> None:
    """Otherwise a full disk would repeat the same message every five seconds."""
    bench = Bench(A=receiver.url())
    real = bench.store.record_notifications

    def fails(_notifications: Iterable[Notification]) -> None:
        raise StoreUnavailable("the disk is full")

    bench.store.record_notifications = fails  # type: ignore[method-assign,assignment]
    bench.open(PROBLEM)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            bench.look(WAIT)
    assert len(receiver.taken) == 1
    bench.store.record_notifications = real  # type: ignore[method-assign]
    bench.look(HOUR)
    assert len(receiver.taken) == 1


def test_closeouts_own_problems_and_recoveries_are_reported(receiver: Service) -> None:
    """An unknown result ends no problem."""
    bench = Bench(A=receiver.url())
    bench.stale = {"patrol/lists": "patrol has not read the lists for 4 h"}
    bench.look()
    bench.look(WAIT)
    assert receiver.taken[0].title == "closeout needs you: patrol has not read the lists for 4 h"
    assert "closeout doctor" in receiver.taken[0].body
    bench.stale = {"patrol/lists": None}
    bench.look(HOUR)
    assert len(receiver.taken) == 1
    bench.stale = {}
    bench.look()
    bench.look(WAIT)
    assert receiver.taken[1].title == "closeout: repaired: closeout itself"


def test_no_message_log_or_error_contains_a_secret(
    receiver: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither one that closeout knows, nor one in the notifier's URL."""
    bench = Bench(
        A=receiver.url("json", "path-token-1?token=query-token-2").replace("//", "//user-3:pass-word-4@")
    )
    bench.redactor.add("hunter2-hunter2")
    bench.open(PROBLEM._replace(text="psql: hunter2-hunter2 refused", left=("stack hunter2-hunter2",)))
    receiver.status = 500
    with caplog.at_level(logging.DEBUG):
        bench.look(WAIT)
    (taken,) = receiver.taken
    assert "hunter2" not in taken.title + taken.body
    assert "psql: *** refused" in taken.body
    said = json.dumps(
        [
            bench.reported,
            bench.kept,
            *(record.getMessage() for record in caplog.records if record.name == "apprise"),
        ]
    )
    for secret in ("hunter2", "path-token-1", "query-token-2", "pass-word-4"):
        assert secret not in said
    with pytest.raises(NotifierFailed) as raised:
        notifier.send(bench.urls["A"], "a", "b")
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert "pass-word-4" not in str(raised.value)


def test_a_redirect_is_never_followed(receiver: Service) -> None:
    """A service that moved, or was taken over, must not forward messages."""
    with service() as elsewhere:
        receiver.status, receiver.location = 307, f"http://127.0.0.1:{elsewhere.server_port}/"
        with pytest.raises(NotifierFailed, match="307"):
            notifier.send(receiver.url(path="x?redirect=yes"), "a", "b")
        assert elsewhere.taken == []


def test_an_endless_answer_does_not_delay_the_exit(
    receiver: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then does not trigger a socket's time-out."""
    monkeypatch.setattr(notifying, "SECONDS", 0.2)
    entered, gate = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        gate.wait(10)

    receiver.before = hang
    before = {threading.main_thread(), *pools._threads_queues}
    ((_, error),) = at_once({"A": lambda: notifier.send(receiver.url(), "a", "b")})
    assert error is not None
    assert error.message == "no answer within 0.2 seconds"
    assert entered.wait(10)
    waited_for = {one for one in threading.enumerate() if not one.daemon} | set(pools._threads_queues)
    gate.set()
    assert waited_for <= before, "the end of a process waits for these"


def test_a_hanging_target_does_not_delay_the_others(receiver: Service) -> None:
    """The first target answers only once the second has its message."""
    arrived, waited = threading.Event(), []
    receiver.before = arrived.set
    with service() as hanging:
        hanging.before = lambda: waited.append(arrived.wait(10))
        bench = Bench(A=hanging.url(), B=receiver.url())
        bench.open(PROBLEM)
        bench.look(WAIT)
    assert waited == [True]
    assert len(bench.store.notifications()) == 2


def test_a_bug_in_sending_fails_only_one_target(receiver: Service) -> None:
    """Its text may contain the URL, so only the kind of error is stored."""

    def broken() -> None:
        raise KeyError("token-1")

    results = dict(at_once({"A": broken, "B": lambda: notifier.send(receiver.url(), "a", "b")}))
    assert results["B"] is None
    assert results["A"] is not None
    assert results["A"].message == "KeyError, which is a bug in closeout"


def test_a_targets_answer_to_a_test_is_redacted() -> None:
    """A service may repeat the token that it refuses."""
    redactor = Redactor()
    redactor.add("path-token-1")

    def refuse(_target: str, _text: object) -> None:
        raise NotifierFailed("json: no such token: path-token-1")

    ((_, error),) = try_each(Routes(Route(frozenset(), ("A",))), refuse, redactor)
    assert error is not None
    assert error.message == "json: no such token: ***"


def test_no_message_is_begun_after_the_time_limit(receiver: Service) -> None:
    """A function's next invocation sends the rest."""
    bench = Bench(A=receiver.url(), patience=0.0)
    bench.open(PROBLEM)
    bench.look(WAIT)
    assert receiver.taken == []


def test_a_refused_message_does_not_block_the_others(receiver: Service) -> None:
    """A chat refuses what it cannot parse each time."""
    bench = Bench(A=receiver.url())
    bench.open(PROBLEM._replace(text="poison"), PROBLEM._replace(key="5/8/x", text="other", code="other"))
    receiver.before = lambda: setattr(receiver, "status", 400 if "poison" in receiver.taken[-1].body else 200)
    bench.look(WAIT)
    bench.look(HOUR)
    assert "other" in receiver.taken[1].body
    keys = {one.key for one in bench.store.notifications()}
    assert keys == {"5/8/x"}


def test_a_slow_check_is_followed_by_a_long_pause() -> None:
    """At most a twentieth of the time is spent on checks."""
    assert (rest(0.01), rest(10.0)) == (5.0, 200.0)


def test_setting_the_clock_back_blocks_no_target(receiver: Service) -> None:
    """It failed while the clock was a month ahead."""
    bench = Bench(A=receiver.url())
    bench.open(PROBLEM)
    receiver.status = 500
    bench.look(30 * DAY)
    receiver.status = 200
    bench.look(-29 * DAY)
    assert len(receiver.taken) == 2


@pytest.mark.parametrize(
    "url", ["", "hunter2", "nosuch://x", "slack://one", "syslog://", "dbus://", "SYSLOG://x"]
)
def test_an_invalid_notifier_url_is_refused(url: str) -> None:
    """Unknown, incomplete, or local only; the error repeats only the scheme."""
    with pytest.raises(NotifierUnknown) as raised:
        notifier.check(url)
    assert "hunter2" not in raised.value.message
    assert raised.value.code == "notifier-unknown"


def test_the_librarys_own_log_lines_are_suppressed() -> None:
    """The error already has the text, redacted."""
    lines: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = lines.append  # type: ignore[method-assign,assignment]
    logging.getLogger().addHandler(handler)
    try:
        with pytest.raises(NotifierUnknown):
            notifier.check("json://a..b/x")
    finally:
        logging.getLogger().removeHandler(handler)
    assert lines == []


def test_every_local_scheme_is_refused() -> None:
    """A plugin whose URL has neither token nor host acts on this machine."""
    from apprise.manager_plugins import NotificationManager

    manager: Any = cast("Any", NotificationManager)()
    manager.load_modules()
    local = set()
    for scheme in manager.schemas():
        plugin = manager[scheme]
        tokens = {part for one in plugin.templates for part in _fields(one)}
        if tokens <= {"schema", "facility", "serial"}:
            local.add(scheme)
    assert local == notifier.LOCAL


def _fields(template: str) -> set[str]:
    import string

    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_which_parts_of_a_url_may_be_secret() -> None:
    """A host is not, unless a token is in its place."""
    assert notifier.secret_parts("slack://TOKEN-A1/TOKEN-B2/a%2Fb-c3d4") == (
        "TOKEN-A1",
        "TOKEN-B2",
        "a%2Fb-c3d4",
        "a/b-c3d4",
    )
    assert notifier.secret_parts("mailtos://ada:pass%21word@mail.example.com:587?to=x&pass=other1") == (
        "pass%21word", "pass!word", "other1",
    )  # fmt: skip
    assert notifier.address("json://127.0.0.1:80/x") == ("127.0.0.1", 80)
    assert notifier.address("slack://TOKEN/B/C") is None
    assert notifier.address("json://[x") is None


@pytest.mark.parametrize(
    "url", ["ntfy://previews", "rsyslog://127.0.0.1:1/local5", "json://127.0.0.1/x", "json://localhost/x"]
)
def test_no_connection_is_tried_without_a_port(url: str) -> None:
    """A service without a host cannot be looked up, and a datagram proves nothing."""
    notifier.check(url, reach=True)


@pytest.mark.parametrize("url", ["json://chat.example/path-token-1", "json://chat.example:443/path-token-1"])
def test_a_host_is_looked_up_only_on_request(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is checked without a network; `closeout doctor` names unreachable hosts, without the URL's secrets."""

    def unknown(host: str, *_given: object) -> None:
        assert host == "chat.example"
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    notifier.check(url)
    with pytest.raises(NotifierFailed) as raised:
        notifier.check(url, reach=True)
    assert raised.value.message == "json://chat.example cannot be reached: gaierror"


def test_each_notifier_is_tested(receiver: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each, the result says whether the message arrived."""
    monkeypatch.setitem(os.environ, "GOOD", receiver.url())
    monkeypatch.setitem(os.environ, "BAD", "nosuch://x")
    loaded = load_text(
        "version: 1\nnotify: { to: [env:GOOD, env:BAD, env:NOT_SET] }\nautomations:\n  a:\n    on: { push: {} }\n"
        "    steps: [{ uses: shell, destructive: false, with: { run: 'true' } }]\n",
        builtin(),
    )
    results = [(target, error and error.code) for target, error in try_all(loaded)]
    assert results == [
        ("env:GOOD", None),
        ("env:BAD", "notifier-unknown"),
        ("env:NOT_SET", "secret-unavailable"),
    ]
    assert receiver.taken[0].title == "closeout: a test message"
