"""Processes that begin as a fork of one that has imported the program: `closeout` without the half second of its start.

Each is a process of its own, with its own environment, folder, standard streams and signals, and `kill -9` kills it.
Only its imports are another's. What is about the start itself (imports, locale, terminal, the process list) begins
`python -m closeout` instead.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, NamedTuple

from tests import forks

Main = Callable[[list[str]], int | None]

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.acceptance.preloaded"])


class _Stream:
    """The number of an open file, another one in the process that it is sent to."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self.number),)


def _received(sent: Any) -> _Stream:
    return _Stream(sent.detach())


class _Start(NamedTuple):
    """What a process has of its own."""

    main: Main
    arguments: list[str]
    folder: str
    environment: dict[str, str]
    streams: tuple[_Stream, ...]


def _begin(start: _Start) -> None:
    """Become the program: what `exec` would set, then its `main`."""
    for number, stream in enumerate(start.streams):
        os.dup2(stream.number, number)
        os.close(stream.number)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
    os.environ.clear()
    os.environ.update(start.environment)
    time.tzset()
    os.chdir(start.folder)
    sys.path.insert(0, start.folder)
    sys.argv = ["closeout", *start.arguments]
    sys.exit(start.main(start.arguments))


def closeout_main(arguments: list[str]) -> int:
    """Run the command line."""
    from closeout.cli.main import main

    return main(arguments)


def closeout_quick(arguments: list[str]) -> int:
    """Run the command line where AWS is emulated: a stack is gone, and a log line there, within a tenth of a second."""
    from closeout.actions.aws import codebuild_start_build, teardown
    from closeout.actions.github import dispatch_workflow
    from closeout.cli import ledger_option
    from closeout.core.retry import Backoff
    from closeout.run import step

    often = Backoff(first=0.1, factor=1.5, cap=30.0)
    teardown.POLL = codebuild_start_build.POLL = dispatch_workflow.POLL = step.VERIFY_POLL = often
    ledger_option.OF_STACK = ledger_option.OF_STACK._replace(every=0.2, delay=1.0)
    return closeout_main(arguments)


def closeout_hurried(arguments: list[str]) -> int:
    """Run a rotation that waits half as long: still more than twice the second after which a receiver reads again.

    It is here because a process imports the module of the function that it runs: a test's imports much more.
    """
    from closeout.cli import rotation

    rotation.SETTLE = 2.5
    return closeout_main(arguments)


def closeout_undisturbed(arguments: list[str]) -> int:
    """Run a rotation that waits just until a receiver may read again: without deliveries nothing makes it read before."""
    from closeout.cli import rotation
    from closeout.core.secrets import READ_EVERY

    rotation.SETTLE, rotation.PING_AGAIN = READ_EVERY + 0.1, 0.3
    return closeout_main(arguments)


def closeout_prompt(arguments: list[str]) -> int:
    """Run a server that tells of a problem within a second instead of two minutes, also where a look takes long."""
    from closeout.core import problems
    from closeout.wiring import notifying

    # On a busy machine the first look, which imports what sends, takes seconds, and a server rests many times as long.
    problems.WAIT, notifying.EVERY, notifying.REST = 0.3, 0.1, 0
    return closeout_main(arguments)


def closeout_executed(arguments: list[str]) -> int:
    """Run the command line in an image of its own: without what was loaded before the fork, so that memory counts."""
    os.execv(sys.executable, [sys.executable, "-m", "closeout", *arguments])


class Forked:
    """One such process, with as much of `subprocess.Popen` as tests use."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        output: Any,
        errors: Any,
        stdin: Any = None,
        main: Main = closeout_main,
    ) -> None:
        with Path(os.devnull).open() as nothing:
            streams = tuple(_Stream((stream or nothing).fileno()) for stream in (stdin, output, errors))
            start = _Start(main, list(arguments), str(folder), dict(environment), streams)
            self._process = PROCESSES.Process(target=_begin, args=(start,))
            forks.begin(self._process)

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended, if it has: a signal is a number below zero."""
        return forks.exit_code(self._process)

    def poll(self) -> int | None:
        """Return how it ended, if it has."""
        return self.returncode

    def wait(self, seconds: float | None = None) -> int:
        """Wait for its end."""
        code = forks.exit_code(self._process, seconds)
        if code is None:
            raise subprocess.TimeoutExpired("closeout", seconds or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it by kill -9."""
        self._process.kill()


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdin: str,
    seconds: float,
    main: Main = closeout_main,
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        process = Forked(
            arguments,
            folder=folder,
            environment=environment,
            output=out,
            errors=err,
            stdin=given,
            main=main,
        )
        try:
            code = process.wait(seconds)
        finally:
            process.kill()
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(io.TextIOWrapper(stream, "utf-8").read())
    return subprocess.CompletedProcess(list(arguments), code, *texts)
