"""`serve` in this process: what it logs from start to stop, and what it leaves for the next start."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from closeout.adapters.clock import SystemClock
from closeout.ledger.sqlite import Ledger, Views
from closeout.server import access, details, serve, service
from closeout.server.log import Log
from closeout.testing import deliveries
from tests.until import until

SECRET = "a-secret-for-tests"
CONFIG = """\
version: 1
secrets: { webhook: env:WEBHOOK_SECRET }
notify: { to: env:NOTIFY_URL }
modules: [service_hooks]
automations: {}
"""
HOOKS = """\
from closeout import on

@on("push", name="hello", branches=["main"], repositories=["acme/shop"], status=False, destructive=False)
def hello(run):
    return "greeted"

@on("push", name="sleeper", branches=["slow"], repositories=["acme/shop"], status=False, destructive=False)
def sleeper(run):
    run.sleep("nap", 600)
"""


class Folder(NamedTuple):
    """A folder with a configuration, and what is written to stderr."""

    path: Path
    read: Callable[[], str]

    @property
    def db(self) -> Path:
        """The ledger's file."""
        return self.path / "closeout.db"

    def serve(
        self,
        visit: Callable[[str], None],
        base_url: str | None = None,
        pages: socket.socket | None = None,
    ) -> list[str]:
        """Serve while `visit` runs in a thread with the address, then send SIGTERM; return the lines of the log."""
        failed: list[BaseException] = []

        def visitor(address: str) -> None:
            try:
                visit(address)
            except BaseException as error:
                failed.append(error)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        service.serve_forever(
            self.path / "closeout.yaml",
            self.db,
            "127.0.0.1",
            0,
            base_url=base_url,
            json_logs=False,
            pages=pages,
            on_listening=lambda address: threading.Thread(target=visitor, args=(address,)).start(),
        )
        assert not failed, failed
        return [line.partition(" closeout: ")[2] for line in self.read().splitlines()]

    def states(self) -> list[str]:
        """Return the state of every run."""
        return [run.state for run in Views(self.db, clock=SystemClock()).runs()]


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Folder]:
    """A folder to serve; whatever a server changes in this process is restored."""
    assert threading.current_thread() is threading.main_thread(), "signals reach the main thread only"
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("NOTIFY_URL", "json://127.0.0.1:1/")
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    (tmp_path / "closeout.yaml").write_text(CONFIG, "utf-8")
    (tmp_path / "service_hooks.py").write_text(HOOKS, "utf-8")
    handlers, threshold = logging.getLogger().handlers[:], gc.get_threshold()
    yield Folder(tmp_path, lambda: capsys.readouterr().err)
    logging.getLogger().handlers[:] = handlers
    gc.set_threshold(*threshold)  # without gc.unfreeze(), which would unfreeze all collected tests too
    sys.modules.pop("service_hooks", None)


def deliver(address: str, branch: str) -> None:
    """Send a push."""
    body = deliveries.encode(deliveries.push(ref=f"refs/heads/{branch}"))
    headers = deliveries.signed_headers("push", body, SECRET.encode(), f"g-{branch}")
    request = urllib.request.Request(f"{address}/webhook", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 202


def test_a_server_logs_its_start_its_runs_and_its_stop(folder: Folder) -> None:
    """What it will do, each run that has ended, and that it stopped with nothing open."""

    def visit(address: str) -> None:
        deliver(address, "main")
        until("the run's end", lambda: folder.states() == ["finished"])
        until("its threads", lambda: {"drill", "notify"} <= {each.name for each in threading.enumerate()})
        logging.getLogger("a.library").warning("is slow")
        assert gc.get_threshold()[0] == service.YOUNG
        assert gc.get_freeze_count() > 10_000

    lines = folder.serve(visit, "https://closeout.example.com/")
    assert lines[0].startswith(
        "webhook URL: https://closeout.example.com/webhook, received at http://127.0.0.1:"
    )
    [finished] = [line for line in lines if line.startswith("a run has finished: success ")]
    assert "automation=hello" in finished
    assert "summary=greeted" in finished
    assert 0 <= float(finished.partition("seconds=")[2].split()[0]) < 60
    assert "a.library says at WARNING text=is slow" in lines
    assert lines[-2:] == ["stopping", "stopped"]
    with contextlib.closing(Ledger(folder.db, clock=SystemClock()).open()) as ledger:
        assert ledger.setting(details.BASE_SETTING, lambda: b"") == b"https://closeout.example.com"


def _opened(request: urllib.request.Request) -> Any:
    """Return an answer, whatever its status."""
    try:
        return urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        return error


def test_sign_in_links_begin_with_the_address_of_the_pages(folder: Folder) -> None:
    """Their own address if they have one, else the public URL: `closeout open` reads what the last start wrote."""
    public = "https://closeout.example.com"

    def written() -> bytes | None:
        return Views(folder.db, clock=SystemClock()).setting(details.PAGES_SETTING)

    listener = serve.bind("0.0.0.0", 0)
    own = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def visit(address: str) -> None:
        until("it is written", lambda: written() is not None)
        for begins, status in ((own, 200), (address, 404)):
            request = urllib.request.Request(f"{begins}/login", headers={"Accept": "text/html"})
            with contextlib.closing(_opened(request)) as answer:
                assert answer.status == status

    lines = folder.serve(visit, public, listener)
    assert f"pages: {own}/, and nowhere else; `closeout open` signs you in" in lines
    assert written() == own.encode()
    folder.serve(lambda _: until("it is written", lambda: written() == public.encode()), public)


def test_a_visitor_who_signed_in_may_act(folder: Folder) -> None:
    """With the link that `closeout open` makes, which the command line signs with the ledger's key."""

    def visit(address: str) -> None:
        until("it is written", lambda: Views(folder.db, clock=SystemClock()).setting(details.PAGES_SETTING))
        key = Views(folder.db, clock=SystemClock()).setting(details.KEY_SETTING)
        assert key is not None
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        browser.addheaders = [("Accept", "text/html")]
        browser.open(access.login_link(address, key, "ada@desk", time.time()), timeout=10).close()
        with browser.open(f"{address}/pause", timeout=10) as answer:
            assert b"ada@desk" in answer.read()

    folder.serve(visit)


def test_an_open_run_continues_after_a_restart(folder: Folder) -> None:
    """Both starts log it, and without a public URL links begin with the address."""
    seen: list[str] = []

    def visit(address: str) -> None:
        seen.append(address)
        deliver(address, "slow")
        until("the run's sleep", lambda: folder.states() == ["waiting"])

    assert folder.serve(visit)[-1] == "stopped; 1 run continues at the next start"
    with contextlib.closing(Ledger(folder.db, clock=SystemClock()).open()) as ledger:
        assert ledger.setting(details.BASE_SETTING, lambda: b"").decode() == seen[0]
    lines = folder.serve(lambda _address: None)
    assert "continuing 1 open run" in lines
    assert lines[-1] == "stopped; 1 run continues at the next start"


def test_a_port_in_use_leaves_no_new_ledger_behind(folder: Folder) -> None:
    """The next start is not mistaken for a second server on an old ledger."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        service.serve_forever(
            folder.path / "closeout.yaml",
            folder.db,
            "127.0.0.1",
            taken.getsockname()[1],
            base_url=None,
            json_logs=True,
            on_listening=lambda _: None,
        )
    assert not folder.db.exists()


@pytest.mark.parametrize(
    ("under_way", "said"),
    [
        ([], "stopping"),
        (["a/x"], "waiting up to 20 s for 1 operation (a/x). A second"),
        (list("abcde"), "for 5 operations (a, b, c, d, e). A second"),
        (list("abcdef"), "for 6 operations (a, b, c, d, e, …). A second"),
    ],
)
def test_a_stop_names_what_it_waits_for(under_way: list[str], said: str) -> None:
    """Five operations, and how many more there are."""
    assert said in service._stopping(under_way)


@pytest.mark.parametrize(
    ("counts", "ended", "said"),
    [
        ({}, True, "stopped"),
        ({"queued": 1}, True, "stopped; 1 run continues at the next start"),
        ({"queued": 1, "running": 2, "waiting": 3}, True, "stopped; 6 runs continue at the next start"),
        (
            {"running": 1},
            False,
            "stopped; 1 run continues at the next start; the interrupted operation runs again",
        ),
    ],
)
def test_the_last_line_says_what_is_left(counts: dict[str, int], ended: bool, said: str) -> None:
    """It also says whether an operation was interrupted."""
    lines: list[str] = []

    class Stream:
        def write(self, text: str) -> None:
            lines.append(text.strip().partition(" closeout: ")[2])

        def flush(self) -> None:
            pass

    class Engine:
        def counts(self) -> Counter[str]:
            return Counter(counts)

    class Runtime:
        engine = Engine()

        def stop(self, seconds: float, recheck_now: Callable[[], bool]) -> bool:
            assert (seconds, recheck_now()) == (7.0, False)
            return ended

    service._stop(Runtime(), Log(stream=Stream()), 7.0)  # type: ignore[arg-type]
    assert lines == [said]


def test_a_second_signal_stops_at_once_and_handlers_are_restored() -> None:
    """An operator who asks twice does not want to wait."""
    before = signal.getsignal(signal.SIGTERM)
    with serve.signals() as told:
        assert not told
        signal.raise_signal(signal.SIGTERM)
        assert told == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before
