"""Health, readiness, metrics, and how a server ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.server import serve
from tests.acceptance.cli_process import ROOT, environment
from tests.acceptance.machine import until
from tests.acceptance.serving import Running, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """A server that is asked, not changed."""
    with serving(metrics_token="t0ken") as running:
        yield running


def test_health_says_that_the_process_lives(server: Running) -> None:
    """It asks nobody else."""
    answer = server.send("GET", "/healthz")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/runs/x", "/x"])
def test_a_request_forges_no_line_of_the_log(path: str) -> None:
    """A path is logged as it was sent: encoded line feeds, escape sequences and marks of direction stay encoded."""
    target = path + "%0a2026-01-01%20closeout:%20forged%0d%1b%5b2J%7f%c2%9b2J%e2%80%ae%e2%80%a8?a%1b%0ab"
    with serving() as running:
        running.send("GET", target)
        # The line is written after the answer.
        until("the line of the log", lambda: any("forged" in line for line in list(running.log)))
        written = "".join(running.log)
    (line,) = [line for line in written.split("\n") if "forged" in line]
    assert f" path={target} " in line
    assert written.replace("\n", "").isprintable()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_read_only(server: Running, path: str) -> None:
    """HEAD is fine, POST is 405."""
    assert server.send("HEAD", path).status == 200
    answer = server.send("POST", path)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_ready_means_that_the_store_took_a_write() -> None:
    """A real write, at most once a second however often it is asked; the reason's detail goes to the log only."""
    writes: list[str] = []

    def ready() -> None:
        writes.append("write")
        if len(writes) > 1:
            raise StoreUnavailable("disk full at /srv/secret")

    with serving(ready=ready) as server:
        assert [server.send("GET", "/readyz").status for _ in range(5)] == [200] * 5
        assert len(writes) == 1
        time.sleep(1.05)
        answer = server.send("GET", "/readyz")
        assert (answer.status, answer.json["error"]) == (503, "store-unavailable")
        assert b"/srv" not in answer.body
        assert any("disk full" in line for line in server.log)


def test_a_store_that_hangs_is_not_ready_and_harms_no_probe() -> None:
    """Probes share one write, and a server whose store hangs still says that it lives."""
    release = threading.Event()
    with serving(ready=lambda: (release.wait(5), None)[1]) as server:
        waiting = threading.Thread(target=lambda: server.send("GET", "/readyz"))
        waiting.start()
        time.sleep(0.1)
        assert server.send("GET", "/healthz").status == 200
        release.set()
        waiting.join(5)


def test_metrics_count_deliveries_by_outcome() -> None:
    """What came, how it ended, and how long an accepted one took."""
    with serving() as server:
        server.deliver(guid="a")
        server.deliver(guid="a")
        server.deliver(guid="b", secret=b"wrong")
        answer = server.send("GET", "/metrics")
    text = answer.body.decode()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for outcome in ("accepted", "duplicate", "unauthorized"):
        assert f'closeout_deliveries_total{{outcome="{outcome}"}} 1' in text
    assert "closeout_ack_seconds_count 1" in text
    assert 'closeout_runs{verdict="success"} 2' in text
    assert 'closeout_step_seconds_count{automation="a",step="b"} 3' in text


def test_metrics_through_a_proxy_need_the_token(server: Running) -> None:
    """A forwarded request is refused without it, whatever address it comes from."""
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    assert server.send("GET", "/metrics", headers=forwarded).status == 403
    assert (
        server.send("GET", "/metrics", headers={**forwarded, "Authorization": "Bearer t0ken"}).status == 200
    )


def test_figures_that_cannot_be_read_leave_the_rest(server: Running) -> None:
    """A ledger that fails must not blind whoever looks."""

    class Failing:
        def stats(self) -> dict[str, object]:
            raise StoreUnavailable("locked")

    with serving(views=Failing()) as failing:
        answer = failing.send("GET", "/metrics")
    assert answer.status == 200
    assert b"closeout_build_info" in answer.body


def test_a_port_in_use_is_an_error_before_anything_starts(server: Running) -> None:
    """`closeout serve` turns it into one sentence."""
    with pytest.raises(OSError, match="in use"):
        serve.bind("127.0.0.1", server.port)


def test_addresses_are_said_with_their_port() -> None:
    """Also for IPv6, in brackets."""
    with serve.bind("127.0.0.1", 0) as listener:
        assert serve.base_address(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with serve.bind("::1", 0) as listener:
            assert serve.base_address(listener).startswith("http://[::1]:")
    except OSError:
        return  # this machine has no IPv6


PROGRAM = """
import sys, threading
from tests.acceptance import serving as world
from closeout.core.errors import StoreUnavailable
from closeout.intake import Receiver
from closeout.server import serve
from closeout.server.app import ServerParts, create_app
store = world.FakeStore()
if "held" in sys.argv:
    store.hold.clear()
app = create_app(ServerParts(receiver=Receiver.of([world.AUTOMATION], lambda: (world.SECRET,)),
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
        assert child.wait(3) == 0


def test_a_second_signal_ends_at_once() -> None:
    """Whoever asks twice does not want to wait for what is in flight."""
    with process("held") as (child, server), server.connect() as connection:
        connection.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n")
        waiting = threading.Thread(target=lambda: _quietly(server))
        waiting.start()
        time.sleep(1.0)
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
