"""Health, readiness and metrics."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from closeout.core.errors import StoreUnavailable
from closeout.server import serve
from closeout.server.health import Readiness
from closeout.server.log import Log
from tests.contract.http.serving import SECRET, FakeStore, Running, serving
from tests.until import until


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """A server that tests read from and do not change."""
    with serving(metrics_token="t0ken") as running:
        yield running


def test_health_says_that_the_process_lives(server: Running) -> None:
    """It depends on nothing else."""
    answer = server.send("GET", "/healthz")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/runs/x", "/x"])
def test_a_request_cannot_forge_a_line_of_the_log(path: str) -> None:
    """A path is logged as it was sent: line feeds, escape sequences and direction marks stay encoded."""
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


def test_ready_means_that_the_store_accepted_a_write() -> None:
    """A real write; the reason's detail goes to the log only."""

    def ready() -> None:
        raise StoreUnavailable("disk full at /srv/secret")

    with serving(ready=ready) as server:
        answer = server.send("GET", "/readyz")
        assert (answer.status, answer.json["error"]) == (503, "store-unavailable")
        assert b"/srv" not in answer.body
        assert any("disk full" in line for line in server.log)


def test_readiness_costs_the_store_one_write_a_second() -> None:
    """An answer is reused for a second, whether good or bad, however many probes come."""
    now, writes = [100.0], list[float]()

    def ready() -> None:
        writes.append(now[0])
        if len(writes) > 1:
            raise StoreUnavailable("disk full")

    async def ask() -> list[bool]:
        readiness = Readiness(ready, Log(stream=io.StringIO()), lambda: now[0])
        answers = []
        for moment in (100.0, 100.5, 101.0, 101.1, 102.0, 102.2):
            now[0] = moment
            answers.append(await readiness.reason() is None)
        return answers

    assert asyncio.run(ask()) == [True, True, True, False, False, False]
    assert writes == [100.0, 101.1, 102.2]


def test_a_store_that_hangs_is_not_ready_but_the_server_is_healthy() -> None:
    """Probes share one write, and the health probe still answers."""
    release = threading.Event()
    with serving(ready=lambda: (release.wait(5), None)[1]) as server:
        waiting = threading.Thread(target=lambda: server.send("GET", "/readyz"))
        waiting.start()
        time.sleep(0.1)
        assert server.send("GET", "/healthz").status == 200
        release.set()
        waiting.join(5)


def test_slow_pages_delay_no_probe_and_no_rotated_secret() -> None:
    """Visitors may occupy all threads in which pages read; a load balancer and GitHub must not notice."""
    gate = threading.Event()
    secrets = [b"old"]

    def refresh() -> bool:
        secrets[:] = [SECRET]
        return True

    store = FakeStore()
    store.stats = lambda: (gate.wait(10), {})[1]  # type: ignore[method-assign]
    with serving(store=store, secrets=lambda: secrets, refresh=refresh) as server:
        busy = [
            threading.Thread(target=server.send, args=("GET", "/metrics"), daemon=True) for _ in range(40)
        ]
        for one in busy:
            one.start()
        try:
            assert server.send("GET", "/readyz").status == 200
            assert server.deliver(guid="a").status == 202
        finally:
            gate.set()
            for one in busy:
                one.join(10)


def test_metrics_count_deliveries_by_outcome() -> None:
    """What came, how it ended, and how long accepting took."""
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


def test_metrics_behind_a_proxy_need_the_token(server: Running) -> None:
    """A forwarded request without it is refused, whatever address it comes from."""
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    assert server.send("GET", "/metrics", headers=forwarded).status == 403
    assert (
        server.send("GET", "/metrics", headers={**forwarded, "Authorization": "Bearer t0ken"}).status == 200
    )


def test_metrics_that_cannot_be_read_do_not_hide_the_others(server: Running) -> None:
    """When the ledger fails, the operator needs the remaining figures most."""

    class Failing:
        def stats(self) -> dict[str, object]:
            raise StoreUnavailable("locked")

    with serving(views=Failing()) as failing:
        answer = failing.send("GET", "/metrics")
    assert answer.status == 200
    assert b"closeout_build_info" in answer.body


def test_a_port_in_use_is_an_error_before_anything_starts(server: Running) -> None:
    """`closeout serve` reports it in one sentence."""
    with pytest.raises(OSError, match="in use"):
        serve.bind("127.0.0.1", server.port)


def test_a_port_is_free_again_as_soon_as_its_server_ends() -> None:
    """The kernel remembers for a minute the connections that the last server closed."""
    with serve.bind("127.0.0.1", 0) as listener:
        listener.listen()
        address = listener.getsockname()
        with socket.create_connection(address):
            listener.accept()[0].close()
    serve.bind(*address).close()


def test_addresses_are_shown_with_their_port() -> None:
    """For IPv6 in brackets. A wildcard address is replaced, since no browser can open it."""
    for host, own in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")):
        with serve.bind(host, 0) as listener:
            port = listener.getsockname()[1]
            assert serve.base_address(listener) == f"http://{host}:{port}"
            assert serve.base_address(listener, wildcard=False) == f"http://{own}:{port}"
    try:
        with serve.bind("::1", 0) as listener:
            assert serve.base_address(listener).startswith("http://[::1]:")
    except OSError:
        return  # this machine has no IPv6


def test_an_invalid_host_name_is_an_address_error() -> None:
    """`closeout serve` reports it in one sentence, like an unknown host."""
    with pytest.raises(OSError, match="not a host name"):
        serve.bind("x" * 64 + ".example", 0)
