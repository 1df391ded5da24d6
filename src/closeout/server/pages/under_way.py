"""Runs under way, with their time against its limit, those first that are nearest to it.

Apart from what needs somebody: a list of what goes on is looked at when all is well, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from closeout.ports import RunView
from closeout.server.pages.wording import rough

NEAR_LIMIT = 0.75
"""Of its time limit, after which a run is said to wait long."""


class Going(NamedTuple):
    """A run under way. `percent` is of its limit, None if it has none."""

    run: RunView
    is_near: bool
    """Whether its time is nearly over."""
    took: str
    limit: str
    percent: int | None


def going(runs: Sequence[RunView], now: float) -> tuple[Going, ...]:
    """Return runs with those nearest to their limit first, and the queued ones last."""
    by_urgency = sorted(
        runs, key=lambda run: (run.started_at is None, -(_share(run, now) or 0.0), run.accepted_at)
    )
    return tuple(_going(run, now) for run in by_urgency)


def spent_time(run: RunView, now: float) -> float:
    """Return for how many seconds a run has been at it; a queued one: has waited."""
    return max(now - (run.accepted_at if run.started_at is None else run.started_at), 0.0)


def _going(run: RunView, now: float) -> Going:
    share = _share(run, now)
    limit = run.queue_timeout if run.started_at is None else run.timeout
    return Going(
        run,
        is_near=share is not None and share >= NEAR_LIMIT,
        took=rough(spent_time(run, now)),
        limit=rough(limit) if limit else "",
        percent=None if share is None else min(round(100 * share), 100),
    )


def _share(run: RunView, now: float) -> float | None:
    """Return how much of its limit a run has used. A sleep is no use of it: the automation asked for that."""
    limit = run.queue_timeout if run.started_at is None else run.timeout
    return None if not limit or run.sleeps_in else spent_time(run, now) / limit
