"""The chart of the last days as geometry: one stacked bar for each day, drawn by the server and summarized in words.

Only numbers leave this module, so a template can place them in an SVG without a style attribute, which the pages' policy
forbids.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from closeout.ports import DayTally

WIDTH, HEIGHT = 720.0, 128.0
"""As in the template."""
_GAP = 0.28
"""The part of a bar's place that stays empty."""
_TOP = 14.0
"""Room for the scale's label."""
_LEAST = 2.0
"""Least height of a part: one failure next to a thousand successes must be visible."""


class Part(NamedTuple):
    """One rectangle of a bar. `kind` names its colour."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Chart(NamedTuple):
    """A drawn chart, with its words."""

    parts: tuple[Part, ...]
    top: int
    """The value at the upper end of the scale."""
    first: str
    last: str
    says: str


def chart(days: Sequence[DayTally]) -> Chart:
    """Return the chart of some days, the oldest first."""
    top = scale(max((_total(day) for day in days), default=0))
    room = WIDTH / max(len(days), 1)
    parts: list[Part] = []
    for number, day in enumerate(days):
        x, bottom = number * room + room * _GAP / 2, HEIGHT
        pending = max(day.closings - day.torn_down - day.left, 0)
        for kind, count in (("left", day.left), ("good", day.torn_down), ("none", pending)):
            if count:
                height = max(count / top * (HEIGHT - _TOP), _LEAST)
                bottom -= height
                parts.append(
                    Part(kind, round(x, 1), round(bottom, 1), round(room * (1 - _GAP), 1), round(height, 1))
                )
    first, last = (day_name(days[0].day), day_name(days[-1].day)) if days else ("", "")
    return Chart(tuple(parts), top, first, last, _says(days))


def day_name(day: str) -> str:
    """Return `2026-03-14` as `14 Mar`."""
    return date.fromisoformat(day).strftime("%-d %b")


def scale(most: int) -> int:
    """Return a round number of at least `most`: the end of the scale."""
    step = 1
    while True:
        for factor in (1, 2, 3, 4, 6, 8):
            if most <= step * factor:
                return step * factor
        step *= 10


def _total(day: DayTally) -> int:
    return max(day.closings, day.torn_down + day.left)


def _says(days: Sequence[DayTally]) -> str:
    if not any(map(_total, days)):
        return "Nothing was closed in this time."
    busiest = max(days, key=_total)
    failed = [day for day in days if day.left]
    worst = (
        f" Something was left on {len(failed)} of {len(days)} days."
        if failed
        else " Nothing was left on any day."
    )
    return f"The busiest day was {day_name(busiest.day)}, with {_total(busiest)}.{worst}"
