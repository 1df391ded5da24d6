"""Workers that are forks of the process that has collected the tests: `pytest -p tests.workers --workers 6`.

Each of pytest-xdist's workers imports and collects everything by itself: 3.5 seconds of a processor, 9 in a fresh clone.
Here that happens once, and so does what a process reads once. A worker takes the next tests of a file when it has done
its last, so that no worker keeps tests that another has time for.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import warnings
import zlib
from collections.abc import Iterator
from itertools import groupby
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

AT_ONCE = 12
"""Tests of one file that a worker takes: what a module shares is made anew in each worker that has some of them."""
WIDTH = 4
"""Bytes of a number in the pipe. It holds all numbers before anybody reads, and a read takes one whole."""
STOPPED = 30.0
"""Seconds that a worker has to tear down its fixtures."""
AHEAD = (
    ("tests.acceptance.forked", "share_server"),
    ("tests.openapi.description", "description"),
    ("tests.service_models", "read_models"),
)
Batch = list[pytest.Item]
forks = multiprocessing.get_context("fork")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the number of workers; without it, the tests run in this process."""
    parser.addoption("--workers", type=int, default=0, help="run the tests in so many forks of this process")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests in workers, and report them here."""
    options = session.config.option
    if not options.workers or options.collectonly or session.testsfailed:
        return None
    read_ahead()
    team = Team(session, batches(session.items), options.workers)
    try:
        team.report()
    except BaseException:
        team.interrupt()
        raise
    finally:
        team.join()
    return True


def read_ahead() -> None:
    """Read what the tests have imported and every worker would read, and start the process that theirs fork from."""
    for module, function in AHEAD:
        if module in sys.modules:
            getattr(sys.modules[module], function)()


def batches(items: list[pytest.Item]) -> list[Batch]:
    """Cut the files into batches. Those with slow tests come first: no worker has one left when the others are done.

    The rest is mixed. In the order of their names, all that wait for processes would run at the same time.
    """
    files = [list(tests) for _, tests in groupby(items, lambda item: item.nodeid.partition("::")[0])]
    cut = [tests[start : start + AT_ONCE] for tests in files for start in range(0, len(tests), AT_ONCE)]

    def place(batch: Batch) -> tuple[bool, int]:
        slow = any(item.get_closest_marker("slow") for item in batch)
        return not slow, zlib.crc32(batch[0].nodeid.encode())

    return sorted(cut, key=place)


class Team:
    """The workers of a session, and what they have still to report."""

    def __init__(self, session: pytest.Session, tests: list[Batch], count: int) -> None:
        self._session = session
        self._left = {item.nodeid: item for batch in tests for item in batch}
        self._running: dict[Connection, str] = {}
        self._workers: list[BaseProcess] = []
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        feed, numbers = os.pipe()
        os.write(numbers, b"".join(number.to_bytes(WIDTH) for number in range(len(tests))))
        os.close(numbers)
        for number in range(count):
            mine, theirs = forks.Pipe(duplex=False)
            worker = forks.Process(target=_work, args=(session, tests, feed, theirs, number))
            worker.start()
            theirs.close()
            self._workers.append(worker)
            self._running[mine] = ""
        os.close(feed)

    def report(self) -> None:
        """Pass on what the workers report until all have ended; a test in which one died has failed."""
        while self._running:
            for worker in wait(list(self._running)):
                assert isinstance(worker, Connection)
                try:
                    kind, data = worker.recv()
                except EOFError:
                    self._ended(self._running.pop(worker))
                else:
                    self._hear(worker, kind, data)
            if self._session.shouldfail:
                raise self._session.Failed(self._session.shouldfail)
            if self._session.shouldstop:
                raise self._session.Interrupted(self._session.shouldstop)
        if self._left:
            raise self._session.Interrupted(f"{len(self._left)} tests did not run")

    def _hear(self, worker: Connection, kind: str, data: Any) -> None:
        hook = self._session.config.hook
        if kind == "begun":
            self._running[worker] = data
            hook.pytest_runtest_logstart(nodeid=data, location=self._left[data].location)
        elif kind == "report":
            report = hook.pytest_report_from_serializable(config=self._session.config, data=data)
            hook.pytest_runtest_logreport(report=report)
        elif kind == "warning":
            hook.pytest_warning_recorded.call_historic(kwargs=data)
        elif kind == "over":
            del self._running[worker]
        else:
            self._running[worker] = ""
            item = self._left.pop(data)
            hook.pytest_runtest_logfinish(nodeid=data, location=item.location)

    def _ended(self, nodeid: str) -> None:
        if nodeid:
            item = self._left.pop(nodeid)
            died = pytest.TestReport(
                nodeid, item.location, {}, "failed", "the worker died in this test", "call"
            )
            self._session.config.hook.pytest_runtest_logreport(report=died)

    def interrupt(self) -> None:
        """Stop the workers as Ctrl-C does."""
        for worker in self._workers:
            if worker.is_alive() and worker.pid:
                os.kill(worker.pid, signal.SIGINT)

    def join(self) -> None:
        """Wait for the workers' ends, but not for ever."""
        for worker in self._workers:
            worker.join(STOPPED)
            worker.kill()


class Reporter:
    """A worker's plugin: what a terminal would show goes to the session that has one."""

    def __init__(self, session: pytest.Session, out: Connection) -> None:
        self._config = session.config
        self._out = out
        self._tw = session.config.get_terminal_writer()  # pytest-timeout writes all threads' stacks to it

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send a part of a test's result."""
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._out.send(("report", data))

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: Any
    ) -> None:
        """Send a warning, as text: what it is about may not be able to leave the process."""
        message = warnings.WarningMessage(
            f"{warning_message.category.__name__}: {warning_message.message}",
            UserWarning,
            warning_message.filename,
            warning_message.lineno,
        )
        data = {"warning_message": message, "when": when, "nodeid": nodeid, "location": location}
        self._out.send(("warning", data))


def _work(session: pytest.Session, tests: list[Batch], feed: int, out: Connection, number: int) -> None:
    """Run tests until none is left."""
    random.seed()
    _become_worker(session, Reporter(session, out), number)
    try:
        for item, following in _with_next(tests, feed):
            out.send(("begun", item.nodeid))
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            out.send(("done", item.nodeid))
            if session.shouldfail or session.shouldstop:
                break
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        session._setupstate.teardown_exact(None)
    out.send(("over", ""))


def _become_worker(session: pytest.Session, reporter: Reporter, number: int) -> None:
    """Take what a process must have of its own: a reporter, captured output, a folder."""
    plugins = session.config.pluginmanager
    plugins.unregister(name="terminalreporter")
    plugins.register(reporter, "terminalreporter")
    capture = plugins.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    capture.suspend_global_capture()
    factory = session.config._tmp_path_factory  # type: ignore[attr-defined]
    factory._basetemp = factory.getbasetemp() / f"worker-{number}"
    factory._basetemp.mkdir(mode=0o700)


def _with_next(tests: list[Batch], feed: int) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    """Yield a worker's tests, each with the next: fixtures that it needs as well are not torn down in between."""

    def mine() -> Iterator[pytest.Item]:
        while taken := os.read(feed, WIDTH):
            yield from tests[int.from_bytes(taken)]

    waiting = mine()
    item = next(waiting, None)
    while item is not None:
        following = next(waiting, None)
        yield item, following
        item = following
