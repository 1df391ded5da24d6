"""The page that Prometheus reads, and who may read it."""

from __future__ import annotations

import pytest

from closeout.patrol.report import PatrolFigures
from closeout.server.app import may_read_metrics
from closeout.server.metrics import Histogram, ServerMetrics
from closeout.wiring.drills import DrillFigures


def test_every_family_is_announced_once_and_has_samples() -> None:
    """The text format wants HELP and TYPE before a family's samples."""
    metrics = ServerMetrics()
    metrics.deliveries.update({"accepted": 3, "unauthorized": 1})
    metrics.ack.observe(0.0007)
    stats = {
        "runs_by_verdict": {"success": 2, "failure": 1},
        "runs_by_state": {"queued": 1},
        "suspects": 0,
        "queue_age": 2.5,
        "step_durations": {("clean-up", 'st"ack'): (4, 8.25)},
        "empty_runs": {"clean-up": 5},
    }
    metrics.patrol = lambda: PatrolFigures({"lists": 1_780_000_000.0}, 12, 1, {"started": 3}, 4)
    text = metrics.render("1.2.3", stats, 24).decode()
    assert 'closeout_patrol_last_end_seconds{of="lists"} 1780000000.0' in text
    assert "closeout_patrol_repositories 12" in text
    assert "closeout_patrol_orphans 4" in text
    assert 'closeout_patrol_total{what="started"} 3' in text
    assert 'closeout_build_info{version="1.2.3"} 1' in text
    assert 'closeout_deliveries_total{outcome="accepted"} 3' in text
    assert 'closeout_runs{verdict="failure"} 1' in text
    assert 'closeout_open_runs{state="queued"} 1' in text
    assert "closeout_queue_age_seconds 2.5" in text
    assert "closeout_held_bytes 24" in text
    assert 'closeout_empty_runs{automation="clean-up"} 5' in text
    assert 'closeout_step_seconds_sum{automation="clean-up",step="st\\"ack"} 8.250' in text
    lines = text.splitlines()
    announced = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(announced) == len(set(announced))
    samples = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    endings = ("_bucket", "_sum", "_count")
    families = {next((s.removesuffix(e) for e in endings if s.endswith(e)), s) for s in samples}
    assert families == set(announced)


def test_a_ledger_that_cannot_be_read_leaves_its_figures_out() -> None:
    """The process's own figures are there all the same."""
    text = ServerMetrics().render("1", {}, 0).decode()
    assert "closeout_ack_seconds_count 0" in text
    assert "closeout_runs" not in text


def test_buckets_add_up() -> None:
    """Each bucket holds what is at or below its bound."""
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 3.0):
        histogram.observe(value)
    assert list(histogram.lines("x")) == [
        'x_bucket{le="0.1"} 2',
        'x_bucket{le="1.0"} 3',
        'x_bucket{le="+Inf"} 4',
        "x_sum 3.650000",
        "x_count 4",
    ]


def allowed(client: str | None, token: str | None = None, **headers: str) -> bool:
    """Whether a client with these headers may read."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"headers": pairs, "client": (client, 1) if client else None}
    return may_read_metrics(scope, token)


@pytest.mark.parametrize("client", ["127.0.0.1", "::1"])
def test_this_machine_may_read(client: str) -> None:
    """Without a token, loopback is enough."""
    assert allowed(client)


@pytest.mark.parametrize("client", ["10.0.0.1", "127.0.0.1.evil", None])
def test_others_may_not(client: str | None) -> None:
    """Figures tell of an organization's work."""
    assert not allowed(client)


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "via", "x_real_ip"])
def test_a_forwarded_request_needs_the_token(header: str) -> None:
    """Behind a proxy everybody looks like this machine."""
    assert not allowed("127.0.0.1", **{header: "203.0.113.9"})
    assert allowed("127.0.0.1", "t0ken", **{header: "203.0.113.9", "authorization": "Bearer t0ken"})


def test_the_token_opens_from_anywhere_and_must_be_exact() -> None:
    """A prefix, another scheme or none does not open."""
    assert allowed("10.0.0.1", "t0ken", authorization="Bearer t0ken")
    for wrong in ("Bearer t0ke", "t0ken", "Basic t0ken", "Bearer t0ken "):
        assert not allowed("10.0.0.1", "t0ken", authorization=wrong)


def test_an_empty_token_opens_nothing() -> None:
    """A variable that is set to nothing is no token."""
    assert not allowed("10.0.0.1", "", authorization="Bearer ")


def test_a_drill_says_of_each_check_whether_it_is_wrong_or_unknown() -> None:
    """What could not be asked is not wrong, and no drill is no check."""
    metrics = ServerMetrics()
    assert "closeout_check" not in metrics.render("1", {}, 0).decode()
    states = {"disk": "wrong", "clock": "unknown", "ledger": "fine", "paused": "skipped"}
    metrics.drill = lambda: DrillFigures(1_780_000_000.0, states)
    text = metrics.render("1", {}, 0).decode()
    assert "closeout_drill_last_end_seconds 1780000000.0" in text
    for name, failed, unknown in (("disk", 1, 0), ("clock", 0, 1), ("ledger", 0, 0), ("paused", 0, 0)):
        assert f'closeout_check_failed{{check="{name}"}} {failed}' in text
        assert f'closeout_check_unknown{{check="{name}"}} {unknown}' in text
