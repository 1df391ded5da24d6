"""Counters and histograms in Prometheus' text format, without a dependency.

Deliveries and response times are counted in this process. Runs, steps and the queue are read from the ledger when metrics
are requested, so they are correct after a restart too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from closeout.patrol.report import PatrolFigures
from closeout.wiring.drills import DrillFigures
from closeout.wiring.notifying import NotifierFigures

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
ACK_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0)
"""Seconds. GitHub's timeout is ten."""
CLOSED = ("full", "address-share", "memory", "idle", "head", "body", "answer")
"""Reasons for closing a connection: three limits, then four deadlines by what the connection was waiting for."""


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
        self.connections: Callable[[], int] = lambda: 0
        self.most_connections = 0
        self.patrol: Callable[[], PatrolFigures] | None = None
        self.drill: Callable[[], DrillFigures | None] = lambda: None
        self.notifiers: Callable[[], Mapping[str, NotifierFigures]] = dict

    def render(self, version: str, stats: Mapping[str, Any], held_bytes: int) -> bytes:
        """Return the metrics page. `stats` comes from the ledger's `stats()`; missing parts are left out."""
        lines = [
            *_family("closeout_build_info", "gauge", "The running version.", {("version", version): 1}),
            *_family(
                "closeout_deliveries_total",
                "counter",
                "Requests on the webhook path since the start, by outcome.",
                {("outcome", outcome): count for outcome, count in sorted(self.deliveries.items())},
            ),
            "# HELP closeout_ack_seconds Time from a delivery's head to its answer, of those that were stored.",
            "# TYPE closeout_ack_seconds histogram",
            *self.ack.lines("closeout_ack_seconds"),
            *_family(
                "closeout_held_bytes",
                "gauge",
                "Bytes of bodies being read or waiting for their commit.",
                held_bytes,
            ),
            *_family("closeout_connections", "gauge", "Open connections.", self.connections()),
            *_family("closeout_connections_max", "gauge", "Connections at most.", self.most_connections),
            *_family(
                "closeout_connections_closed_total",
                "counter",
                "Connections that closeout closed, by reason.",
                {("reason", reason): self.closed[reason] for reason in CLOSED},
            ),
            *_ledger_lines(stats),
            *(_patrol_lines(self.patrol()) if self.patrol else ()),
            *_drill_lines(self.drill()),
            *_notifier_lines(self.notifiers()),
        ]
        return ("\n".join(lines) + "\n").encode()


def _ledger_lines(stats: Mapping[str, Any]) -> Iterable[str]:
    runs = stats.get("runs_by_verdict")
    if runs is not None:
        samples = {("verdict", verdict): count for verdict, count in sorted(runs.items())}
        yield from _family("closeout_runs", "gauge", "Finished runs in the ledger, by verdict.", samples)
    states = stats.get("runs_by_state")
    if states is not None:
        samples = {("state", state): count for state, count in sorted(states.items())}
        yield from _family("closeout_open_runs", "gauge", "Runs that have not finished, by state.", samples)
    if stats.get("suspects") is not None:
        told = (
            "Open runs that take a turn alone after a crash, or wait for it; nothing else begins until then."
        )
        yield from _family("closeout_suspect_runs", "gauge", told, stats["suspects"])
    if stats.get("queue_age") is not None:
        told = "Seconds that the oldest queued run has waited; 0 when none waits."
        yield from _family("closeout_queue_age_seconds", "gauge", told, float(stats["queue_age"]))
    empty = stats.get("empty_runs")
    if empty is not None:
        told = "Runs that found nothing to delete, of automations that have never found anything."
        samples = {("automation", name): count for name, count in sorted(empty.items())}
        yield from _family("closeout_empty_runs", "gauge", told, samples)
    durations = stats.get("step_durations")
    if durations is not None:
        yield "# HELP closeout_step_seconds How long finished steps took, by automation and step."
        yield "# TYPE closeout_step_seconds summary"
        for (automation, step), (count, total) in sorted(durations.items()):
            labels = f'{{automation="{_escaped(automation)}",step="{_escaped(step)}"}}'
            yield f"closeout_step_seconds_sum{labels} {total:.3f}"
            yield f"closeout_step_seconds_count{labels} {count}"


def _patrol_lines(figures: PatrolFigures) -> Iterable[str]:
    yield from _family(
        "closeout_patrol_last_end_seconds",
        "gauge",
        "When a patrol last ended, in seconds since the epoch: of the delivery logs, and of the lists.",
        {("of", kind): ended for kind, ended in figures.ended_at.items()},
    )
    yield from _family(
        "closeout_patrol_repositories",
        "gauge",
        "Repositories whose list of closed pull requests the last patrol read as a whole.",
        figures.repositories,
    )
    yield from _family(
        "closeout_patrol_uncovered_patterns",
        "gauge",
        "Patterns of `repositories` that patrol cannot follow.",
        figures.uncovered,
    )
    yield from _family(
        "closeout_patrol_orphans",
        "gauge",
        "What closed pull requests left behind, as the last daily audit found it.",
        figures.orphans,
    )
    yield from _family(
        "closeout_patrol_total",
        "counter",
        "What patrols since the start saw and did.",
        {("what", what): count for what, count in figures.totals.items()},
    )


def _drill_lines(figures: DrillFigures | None) -> Iterable[str]:
    if figures is None:
        return
    yield from _family(
        "closeout_drill_last_end_seconds",
        "gauge",
        "When the last drill ended, in seconds since the epoch.",
        figures.ended_at,
    )
    for state, told in (("wrong", "failed"), ("unknown", "unknown")):
        words = "found something wrong" if state == "wrong" else "could not be asked"
        samples = {("check", check): int(found == state) for check, found in figures.states.items()}
        yield from _family(
            f"closeout_check_{told}", "gauge", f"Whether a check of the last drill {words}.", samples
        )


def _notifier_lines(figures: Mapping[str, NotifierFigures]) -> Iterable[str]:
    if not figures:
        return
    yield from _family(
        "closeout_messages_total",
        "counter",
        "Messages that each notifier took since the start.",
        {("notifier", target): one.sent for target, one in figures.items()},
    )
    yield from _family(
        "closeout_notifier_failures",
        "gauge",
        "Times that a notifier took no message since it last took one.",
        {("notifier", target): one.failures for target, one in figures.items()},
    )


def _family(
    name: str, kind: str, told: str, samples: Mapping[tuple[str, str], float] | float
) -> Iterable[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} {kind}"
    if isinstance(samples, Mapping):
        for (label, value), number in samples.items():
            yield f'{name}{{{label}="{_escaped(value)}"}} {number}'
    else:
        yield f"{name} {samples}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
