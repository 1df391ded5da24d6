"""Counters and histograms in Prometheus' text format, without a dependency.

Deliveries and response times are counted in this process. Runs, steps and the queue are read from the ledger when metrics
are requested, so they are correct after a restart too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from closeout.patrol.report import PatrolFigures
from closeout.wiring.drills import DrillFigures
from closeout.wiring.notifying import NotifierFigures

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
ACK_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0)
"""Seconds. GitHub's timeout is ten."""
CLOSED = ("full", "address-share", "memory", "idle", "head", "body", "answer")
"""Reasons for closing a connection: three limits, then four deadlines by what the connection was waiting for."""


Samples: TypeAlias = Mapping[tuple[str, str], float] | float | Iterable[str]
"""A value, values by label and label value, or lines."""
METRICS: Mapping[str, tuple[str, str]] = {
    "build_info": ("gauge", "The running version."),
    "deliveries_total": ("counter", "Requests on the webhook path since the start, by outcome."),
    "ack_seconds": ("histogram", "Time from a delivery's head to its answer, of those that were stored."),
    "held_bytes": ("gauge", "Bytes of bodies being read or waiting for their commit."),
    "connections": ("gauge", "Open connections."),
    "connections_max": ("gauge", "Connections at most."),
    "connections_closed_total": ("counter", "Connections that closeout closed, by reason."),
    "runs": ("gauge", "Finished runs in the ledger, by verdict."),
    "open_runs": ("gauge", "Runs that have not finished, by state."),
    "suspect_runs": (
        "gauge",
        "Open runs that must run alone after a crash, or wait to; no other run starts until they have.",
    ),
    "queue_age_seconds": ("gauge", "Seconds that the oldest queued run has waited; 0 when none waits."),
    "empty_runs": (
        "gauge",
        "Runs that found nothing to delete, of automations that have never found anything.",
    ),
    "step_seconds": ("summary", "How long finished steps took, by automation and step."),
    "patrol_last_end_seconds": (
        "gauge",
        "When a patrol last ended, in seconds since the epoch: of the delivery logs, and of the lists.",
    ),
    "patrol_repositories": (
        "gauge",
        "Repositories whose list of closed pull requests the last patrol read as a whole.",
    ),
    "patrol_uncovered_patterns": ("gauge", "Patterns of `repositories` that patrol cannot follow."),
    "patrol_orphans": ("gauge", "Orphans of closed pull requests that the last daily audit found."),
    "patrol_total": ("counter", "What patrols have found and done since the start."),
    "drill_last_end_seconds": ("gauge", "When the last drill ended, in seconds since the epoch."),
    "check_failed": ("gauge", "Whether a check of the last drill found something wrong."),
    "check_unknown": ("gauge", "Whether a check could not run in the last drill."),
    "messages_total": ("counter", "Messages that each notifier accepted since the start."),
    "notifier_failures": ("gauge", "Failed messages of a notifier since it last accepted one."),
}
"""Kind and help of each metric, in the order of the page; their names begin with `closeout_`."""


class Histogram:
    """Observations in buckets. Use it from one thread."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> Iterable[str]:
        """Yield the samples with cumulative buckets."""
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


class ServerMetrics:
    """The metrics of this process."""

    def __init__(self) -> None:
        self.deliveries: Counter[str] = Counter()
        """Requests by outcome: `accepted`, `duplicate`, `ping`, `disconnected`, or an error's code."""
        self.ack = Histogram(ACK_BUCKETS)
        """Seconds from the request's head to the answer, of deliveries that were stored."""
        self.closed: Counter[str] = Counter()
        """Connections that closeout closed, by reason."""
        self.connections: Callable[[], int] = int
        self.most_connections = 0
        self.patrol: Callable[[], PatrolFigures | None] = lambda: None
        self.drill: Callable[[], DrillFigures | None] = lambda: None
        self.notifiers: Callable[[], Mapping[str, NotifierFigures]] = dict

    def render(self, version: str, stats: Mapping[str, Any], held_bytes: int) -> bytes:
        """Return the metrics page. `stats` comes from the ledger's `stats()`; missing parts are left out."""
        families = (
            *self._of_server(version, held_bytes),
            *_of_ledger(stats),
            *_of_patrol(self.patrol()),
            *_of_drill(self.drill()),
            *_of_notifiers(self.notifiers()),
        )
        lines = [line for name, samples in families for line in _lines(name, samples)]
        return ("\n".join(lines) + "\n").encode()

    def _of_server(self, version: str, held_bytes: int) -> Iterable[tuple[str, Samples]]:
        yield "build_info", {("version", version): 1}
        yield "deliveries_total", _by("outcome", self.deliveries)
        yield "ack_seconds", self.ack.lines("closeout_ack_seconds")
        yield "held_bytes", held_bytes
        yield "connections", self.connections()
        yield "connections_max", self.most_connections
        yield "connections_closed_total", {("reason", reason): self.closed[reason] for reason in CLOSED}


def _of_ledger(stats: Mapping[str, Any]) -> Iterable[tuple[str, Samples]]:
    if stats:
        yield "runs", _by("verdict", stats["runs_by_verdict"])
        yield "open_runs", _by("state", stats["runs_by_state"])
        yield "suspect_runs", stats["suspects"]
        yield "queue_age_seconds", float(stats["queue_age"])
        yield "empty_runs", _by("automation", stats["empty_runs"])
        yield "step_seconds", _step_lines(stats["step_durations"])


def _step_lines(durations: Mapping[tuple[str, str], tuple[int, float]]) -> Iterable[str]:
    for (automation, step), (count, total) in sorted(durations.items()):
        labels = f'{{automation="{_escaped(automation)}",step="{_escaped(step)}"}}'
        yield f"closeout_step_seconds_sum{labels} {total:.3f}"
        yield f"closeout_step_seconds_count{labels} {count}"


def _of_patrol(figures: PatrolFigures | None) -> Iterable[tuple[str, Samples]]:
    if figures is not None:
        yield "patrol_last_end_seconds", {("of", kind): at for kind, at in figures.ended_at.items()}
        yield "patrol_repositories", figures.repositories
        yield "patrol_uncovered_patterns", figures.uncovered
        yield "patrol_orphans", figures.orphans
        yield "patrol_total", {("what", what): count for what, count in figures.totals.items()}


def _of_drill(figures: DrillFigures | None) -> Iterable[tuple[str, Samples]]:
    if figures is not None:
        yield "drill_last_end_seconds", figures.ended_at
        for name, state in (("check_failed", "wrong"), ("check_unknown", "unknown")):
            yield name, {("check", check): int(found == state) for check, found in figures.states.items()}


def _of_notifiers(figures: Mapping[str, NotifierFigures]) -> Iterable[tuple[str, Samples]]:
    if figures:
        yield "messages_total", {("notifier", target): one.sent for target, one in figures.items()}
        yield "notifier_failures", {("notifier", target): one.failures for target, one in figures.items()}


def _by(label: str, counts: Mapping[str, int]) -> Samples:
    return {(label, value): count for value, count in sorted(counts.items())}


def _lines(name: str, samples: Samples) -> Iterable[str]:
    kind, help_text = METRICS[name]
    yield f"# HELP closeout_{name} {help_text}"
    yield f"# TYPE closeout_{name} {kind}"
    if isinstance(samples, Mapping):
        for (label, value), number in samples.items():
            yield f'closeout_{name}{{{label}="{_escaped(value)}"}} {number}'
    elif isinstance(samples, int | float):
        yield f"closeout_{name} {samples}"
    else:
        yield from samples


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
