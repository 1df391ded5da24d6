"""The one table of figures, and below it every promise that was seen broken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.hostile.report import HOLDS, SHOWN, Report

HEADS = (
    "attack",
    "events",
    "good deliveries in / worst",
    "memory MB: start, peak, after",
    "descriptors",
    "s",
    "verdict",
)
WIDE = 64
"""Characters of the column of events; what is longer is wrapped."""


def render(reports: Iterable[Report]) -> str:
    """Return the table as text."""
    reports = list(reports)
    rows = [cells for report in reports for cells in _rows(report)]
    widths = [max(len(row[column]) for row in (HEADS, *rows)) for column in range(len(HEADS))]
    lines = [_line(HEADS, widths), _line(["-" * width for width in widths], widths)]
    lines += [_line(row, widths) for row in rows]
    return "\n".join([*lines, *(text for report in reports for text in _broken(report))])


def good(reports: Sequence[Report]) -> bool:
    """Tell whether every scene was played and every promise held."""
    return bool(reports) and all(report.verdict == HOLDS for report in reports)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _rows(report: Report) -> list[list[str]]:
    events = _wrapped(report.events) or ["-"]
    first = [
        report.scene,
        events[0],
        "-" if report.good_sent is None else f"{report.good_in} of {report.good_sent} / {report.worst_ms:,.0f} ms",
        "-" if report.memory is None else ", ".join(f"{figure:.0f}" for figure in report.memory),
        "-" if report.descriptors is None else "{} -> {}".format(*report.descriptors),
        f"{report.seconds:.0f}",
        report.verdict,
    ]  # fmt: skip
    return [first, *([["", text, "", "", "", "", ""] for text in events[1:]])]


def _wrapped(events: Iterable[str]) -> list[str]:
    """Return the events, joined by commas, in lines of at most `WIDE` characters where words allow it."""
    lines: list[str] = []
    for event in events:
        if lines and len(lines[-1]) + len(event) + 2 <= WIDE:
            lines[-1] += f", {event}"
        else:
            lines.append(event)
    return lines


def _broken(report: Report) -> list[str]:
    said = [f"  - {promise}" for promise in report.broken[:SHOWN]]
    if len(report.broken) > SHOWN:
        said.append(f"  - and {len(report.broken) - SHOWN} more")
    if report.absent:
        said.append(f"  - absent: {report.absent}")
    return [f"\n{report.scene}:", *said] if said else []
