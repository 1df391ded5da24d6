"""How a server ends after a signal."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.acceptance.cli_process import ROOT, environment
from tests.contract.http.serving import Running, serving

PROGRAM = """
import sys, threading
from tests.contract.http import serving as world
from closeout.core.errors import StoreUnavailable
from closeout.intake import Receiver
from closeout.server import serve
from closeout.server.app import Application
from closeout.server.parts import ServerParts
store = world.FakeStore()
if "held" in sys.argv:
    store.hold.clear()
app = Application(ServerParts(receiver=Receiver.of([world.AUTOMATION], lambda: (world.SECRET,)),
    accept=store.accept_group, started=lambda runs: None, refresh=lambda: False, ready=lambda: None,
    views=store, link_key=world.KEY))
good = serve.run(app, "127.0.0.1", 0, lambda address: print(address, flush=True), on_draining=app.drain, drain_seconds=5)
sys.exit(0 if good else 7)
"""


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], Running]]:
    """A server that is a process of its own; it prints its address once it listens."""
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env=environment({"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        host, port = url.removeprefix("http://").split(":")
        with serving() as model:
            yield child, model._replace(url=url, host=host, port=int(port))
    finally:
        child.kill()
        child.wait(5)
        if child.stdout is not None:
            child.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_in_good_order(number: int) -> None:
    """Exit code 0, not death by signal; idle connections do not hold it up."""
    with process() as (child, server), server.connect() as idle:
        assert server.deliver().status == 202
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        child.send_signal(number)
        assert child.wait(15) == 0


def test_a_second_signal_ends_at_once() -> None:
    """Whoever asks twice does not want to wait for what is in flight."""
    with process("held") as (child, server), server.connect() as connection:
        connection.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n")
        waiting = threading.Thread(target=lambda: _quietly(server))
        waiting.start()
        time.sleep(0.3)
        child.send_signal(signal.SIGTERM)
        time.sleep(0.4)
        assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        assert child.wait(15) == 7
        waiting.join(5)


def _quietly(server: Running) -> None:
    try:
        server.deliver()
    except (OSError, EOFError):
        return
    except Exception as error:
        if "RemoteDisconnected" not in type(error).__name__:
            raise
