"""A run's log as its page shows it: folded by step, each line with its tone, and with search matches marked.

A line that belongs to no step, such as one about commit statuses, stays with the current step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from closeout.ports import LogLine, RunView
from closeout.server.pages.presentation import clean, step_name

OPEN_LINES = 40
"""A log of up to this many lines is shown unfolded."""
LONGEST_SEARCH = 200
_BAD = re.compile(
    r"\b(error|failed|failure|denied|refused|fatal|traceback|exception|still there)\b|_FAILED\b",
    re.IGNORECASE,
)
_WARNED = re.compile(
    r"\b(warning|waiting|not updated|not delivered|did not take|process ended|skipped)\b", re.IGNORECASE
)
_GOOD = re.compile(r"^(success|verified|status success)\b|DELETE_COMPLETE")


class LineRow(NamedTuple):
    """One line. `parts` are its text, split at the search's matches: (text, is a match)."""

    id: int
    at: float
    tone: str
    parts: tuple[tuple[str, bool], ...]


class Fold(NamedTuple):
    """Lines in a row that belong to one step; `step` is empty for those of the run."""

    step: str
    title: str
    tone: str
    open: bool
    lines: tuple[LineRow, ...]


def folds(run: RunView, lines: Sequence[LogLine], search: str = "") -> tuple[Fold, ...]:
    """Return a log, folded. Open are folds that failed or continue, a short log, and folds with search matches."""
    states = {step.id: step.state for step in run.steps}
    names = {step.id: step_name(step) for step in run.steps}
    groups = list(_groups(run, lines))
    every = bool(search) or len(lines) <= OPEN_LINES
    return tuple(
        Fold(
            step=clean(step),
            title=clean(names.get(step, step)) or "Run",
            tone=states.get(step, "none"),
            open=every
            or number == len(groups)
            or states.get(step) in ("failure", "running", "waiting", "cancelled"),
            lines=tuple(_line(line, search) for line in group),
        )
        for number, (step, group) in enumerate(groups, start=1)
    )


def _groups(run: RunView, lines: Iterable[LogLine]) -> Iterable[tuple[str, list[LogLine]]]:
    ends: Mapping[str, float | None] = {step.id: step.ended_at for step in run.steps}
    found: list[tuple[str, list[LogLine]]] = []
    for line in lines:
        step = line.step or ""
        if not step and found:
            end = ends.get(found[-1][0])
            step = found[-1][0] if end is None or line.at <= end else ""
        if not found or found[-1][0] != step:
            found.append((step, []))
        found[-1][1].append(line)
    return found


def _line(line: LogLine, search: str) -> LineRow:
    text = clean(line.text)
    return LineRow(id=line.id, at=line.at, tone=tone(text), parts=marked(text, search))


def tone(text: str) -> str:
    """Return the tone of a line: `bad`, `warned`, `good` or none. A plan has none, because it quotes past states."""
    if text.startswith("plan: "):
        return ""
    for name, pattern in (("bad", _BAD), ("warned", _WARNED), ("good", _GOOD)):
        if pattern.search(text):
            return name
    return ""


def marked(text: str, search: str) -> tuple[tuple[str, bool], ...]:
    """Return a text split at the matches of a search, which ignores case."""
    if not search:
        return ((text, False),)
    parts = re.split(f"({re.escape(search)})", text, flags=re.IGNORECASE)
    return tuple((part, number % 2 == 1) for number, part in enumerate(parts) if part)
